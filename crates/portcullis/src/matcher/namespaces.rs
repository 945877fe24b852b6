//! `match.scope`, `match.namespaces`, `match.excludedNamespaces`.
//!
//! The name that is compared is the object's own if it is a Namespace, else that of the Namespace it is known to live in, else
//! `metadata.namespace`. Objects with none of these are cluster-scoped: they match both lists.

use std::sync::Arc;

use super::{Glob, Subject, scope_matches};
use crate::api::matching::Scope;

#[derive(Clone, Debug)]
pub(crate) struct NamespacesMatcher {
    scope: Scope,
    included: Box<[Glob]>,
    excluded: Box<[Glob]>,
}

impl NamespacesMatcher {
    pub(super) fn compile(scope: Scope, included: &[Arc<str>], excluded: &[Arc<str>]) -> Self {
        let globs = |texts: &[Arc<str>]| texts.iter().map(|text| Glob::compile(text)).collect();
        Self { scope, included: globs(included), excluded: globs(excluded) }
    }

    pub(super) fn matches(&self, subject: &Subject<'_>) -> bool {
        if !scope_matches(self.scope, subject) {
            return false;
        }
        if self.included.is_empty() && self.excluded.is_empty() {
            return true;
        }
        let Some(name) = namespace_name(subject) else { return true };
        let any = |globs: &[Glob]| globs.iter().any(|glob| glob.matches(name));
        (self.included.is_empty() || any(&self.included)) && !any(&self.excluded)
    }
}

fn namespace_name<'a>(subject: &Subject<'a>) -> Option<&'a str> {
    let object = subject.object;
    if object.is_namespace() {
        return Some(object.name());
    }
    let known = subject.namespace.map(|namespace| &**namespace.name()).filter(|name| !name.is_empty());
    known.or_else(|| Some(&**object.namespace()).filter(|name| !name.is_empty()))
}
