//! `match.scope`, `match.namespaces`, `match.excludedNamespaces`.
//!
//! The name that is compared is the object's own if it is a Namespace, else that of the namespace it lives
//! in. What lives in none matches both lists.

use std::sync::Arc;

use super::{Glob, Home, MatchError, Subject, scope_matches};
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

    pub(super) fn matches(&self, subject: &Subject<'_>) -> Result<bool, MatchError> {
        if !scope_matches(self.scope, subject) {
            return Ok(false);
        }
        if self.included.is_empty() && self.excluded.is_empty() {
            return Ok(true);
        }
        let name = match subject.home {
            _ if subject.object.is_namespace() => subject.object.name(),
            Home::Cluster => return Ok(true),
            Home::Namespace { name, .. } => name,
            Home::Unnamed => return self.match_any_name(),
        };
        Ok(self.take(name))
    }

    /// Whether a namespace of this name is let through.
    pub(super) fn take(&self, name: &str) -> bool {
        (self.included.is_empty() || any(&self.included, name)) && !any(&self.excluded, name)
    }

    /// What all names have in common.
    fn match_any_name(&self) -> Result<bool, MatchError> {
        let all = |globs: &[Glob]| globs.iter().any(Glob::is_universal);
        match (self.included.is_empty() || all(&self.included), self.excluded.is_empty()) {
            _ if all(&self.excluded) => Ok(false),
            (true, true) => Ok(true),
            _ => Err(MatchError::UnnamedNamespace),
        }
    }

    pub(super) fn scope(&self) -> Scope {
        self.scope
    }

    pub(super) fn included(&self) -> &[Glob] {
        &self.included
    }

    pub(super) fn excluded(&self) -> &[Glob] {
        &self.excluded
    }
}

pub(super) fn any(globs: &[Glob], name: &str) -> bool {
    globs.iter().any(|glob| glob.matches(name))
}
