//! What a constraint would say of an object that names no namespace, if it were in another one than it is
//! taken to be in.

use std::sync::Arc;

use super::namespaces::any;
use super::{Glob, Home, Matcher, Subject};
use crate::api::matching::Scope;
use crate::object::Object;

/// A namespace in which the constraint would apply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Elsewhere {
    /// Its name, if it has to be that one.
    pub(crate) name: Option<Arc<str>>,
    /// The criteria that are why it does not apply here, as they were written.
    pub(crate) criteria: Vec<String>,
}

impl Matcher {
    /// Whether the constraint would apply to an object in some namespace, which `is_open` says may be that of
    /// an object that is judged. Asked of constraints that do not apply, or are kept from being asked, where
    /// the object is taken to be.
    pub(crate) fn elsewhere(
        &self,
        subject: &Subject<'_>,
        is_open: impl Fn(&str) -> bool,
        known: impl Fn(&str) -> Option<Object>,
    ) -> Option<Elsewhere> {
        let object = subject.object;
        // A criterion that is not about the namespace holds there as it does here.
        let Self { kinds, namespaces, labels, namespace_labels: _, name, source: _ } = self;
        let may_apply = kinds.matches(object.gvk())
            && namespaces.scope() != Scope::Cluster
            && labels.as_ref().is_none_or(|labels| labels.matches(object))
            && name.as_ref().is_none_or(|name| name.matches_name_of(object))
            && self.source_matches(subject.source);
        if !may_apply {
            return None;
        }
        let selected = |name: &str| match (&self.namespace_labels, known(name)) {
            (Some(selector), Some(namespace)) => selector.matches(&namespace),
            // Whatever its labels are.
            _ => true,
        };
        let is_possible = |name: &str| self.namespaces.take(name) && is_open(name) && selected(name);
        let name = match self.namespaces.included() {
            [] => self.fillings().any(|name| is_possible(&name)).then_some(None)?,
            included => {
                let exact = included.iter().filter_map(|glob| match glob {
                    Glob::Exactly(name) => Some(name),
                    _ => None,
                });
                let exact = exact.into_iter().find(|name| is_possible(name)).cloned();
                let open = || {
                    let globs = included.iter().filter(|glob| !matches!(glob, Glob::Exactly(_)));
                    globs
                        .into_iter()
                        .any(|glob| self.fillings().any(|filling| is_possible(&glob.example(&filling))))
                };
                match exact {
                    Some(name) => Some(name),
                    None => open().then_some(None)?,
                }
            }
        };
        Some(Elsewhere { name, criteria: self.reasons(subject) })
    }

    /// Texts of which each glob that does not take every name takes one at most, and one more than there are
    /// such globs: if none of them is possible, hardly any name is.
    fn fillings(&self) -> impl Iterator<Item = String> {
        /// What a Config excludes is not counted.
        const MORE: usize = 8;
        (0..self.namespaces.excluded().len() + MORE).map(|number| format!("x{number:03}x"))
    }

    /// The criteria that do not hold where the object is taken to be; none if they all do.
    fn reasons(&self, subject: &Subject<'_>) -> Vec<String> {
        let list = |name: &str, globs: &[Glob]| {
            let globs: Vec<String> = globs.iter().map(Glob::to_string).collect();
            format!("`{name}: [{}]`", globs.join(", "))
        };
        let (name, namespace) = match subject.home {
            Home::Namespace { name, object } => (name, object),
            Home::Cluster | Home::Unnamed if self.namespaces.scope() == Scope::Namespaced => {
                return vec!["`scope: Namespaced`".to_owned()];
            }
            Home::Cluster | Home::Unnamed => return Vec::new(),
        };
        let mut reasons = Vec::new();
        let (included, excluded) = (self.namespaces.included(), self.namespaces.excluded());
        if !included.is_empty() && !any(included, name) {
            reasons.push(list("namespaces", included));
        }
        if any(excluded, name) {
            reasons.push(list("excludedNamespaces", excluded));
        }
        let selects = |namespace: &Object| {
            self.namespace_labels.as_ref().is_none_or(|selector| selector.matches(namespace))
        };
        if namespace.is_some_and(|namespace| !selects(namespace)) {
            reasons.push("`namespaceSelector`".to_owned());
        }
        reasons
    }
}
