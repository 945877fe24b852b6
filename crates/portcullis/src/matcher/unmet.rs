//! Which criteria keep a constraint from applying to an object: for people who ask why nothing was found.

use super::namespaces::any;
use super::{Glob, Home, Matcher, Subject, scope_matches};
use crate::api::matching::{Scope, SourceFilter};

impl Matcher {
    /// The criteria that do not hold, as they were written, in the order of the manual; none if the constraint applies,
    /// or if that is not known.
    pub(crate) fn unmet(&self, subject: &Subject<'_>) -> Vec<String> {
        let list = |name: &str, globs: &[Glob]| {
            let globs: Vec<String> = globs.iter().map(Glob::to_string).collect();
            format!("`{name}: [{}]`", globs.join(", "))
        };
        let Self { kinds, namespaces, labels, namespace_labels: _, name, source } = self;
        let object = subject.object;
        let mut unmet = Vec::new();
        if !kinds.matches(object.gvk()) {
            unmet.push("`kinds`".to_owned());
        }
        if !scope_matches(namespaces.scope(), subject) {
            let scope = if namespaces.scope() == Scope::Cluster { "Cluster" } else { "Namespaced" };
            unmet.push(format!("`scope: {scope}`"));
        }
        let home = match subject.home {
            _ if object.is_namespace() => Some(&**object.name()),
            Home::Namespace { name, .. } => Some(name),
            Home::Cluster | Home::Unnamed => None,
        };
        if let Some(home) = home {
            let (included, excluded) = (namespaces.included(), namespaces.excluded());
            if !included.is_empty() && !any(included, home) {
                unmet.push(list("namespaces", included));
            }
            if any(excluded, home) {
                unmet.push(list("excludedNamespaces", excluded));
            }
        }
        if labels.as_ref().is_some_and(|labels| !labels.matches(object)) {
            unmet.push("`labelSelector`".to_owned());
        }
        if self.namespace_selector_matches(subject) == Ok(false) {
            unmet.push("`namespaceSelector`".to_owned());
        }
        if let Some(name) = name.as_ref().filter(|name| !name.matches_name_of(object)) {
            unmet.push(format!("`name: {name}`"));
        }
        if !self.source_matches(subject.source) {
            let word = if *source == SourceFilter::Generated { "Generated" } else { "Original" };
            unmet.push(format!("`source: {word}`"));
        }
        unmet
    }
}
