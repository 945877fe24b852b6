//! A rule that says what is wrong.

use std::fmt;
use std::sync::Arc;

use crate::enforcement::EnforcementAction;
use crate::names::ConstraintKey;
use crate::source::{Location, Source};

/// A rule that is asked: all definitions of one name in one package.
#[derive(Clone, Debug)]
pub struct ModuleRule {
    pub(super) package: Arc<str>,
    pub(super) name: Arc<str>,
    pub(super) kind: ModuleRuleKind,
    pub(super) location: Location,
    pub(super) definitions: usize,
}

/// What the findings of a rule mean.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ModuleRuleKind {
    /// `deny`, `deny_…`.
    Deny,
    /// `violation`, `violation_…`: the same.
    Violation,
    /// `warn`, `warn_…`.
    Warn,
    /// `exception`, which says which of the others do not count for an input. It finds nothing itself, but may
    /// break.
    Exception,
}

impl ModuleRuleKind {
    /// What a rule of this name is; `None` if it is none that is asked.
    #[must_use]
    pub fn of_rule(name: &str) -> Option<Self> {
        if name == "exception" {
            return Some(Self::Exception);
        }
        [("deny", Self::Deny), ("violation", Self::Violation), ("warn", Self::Warn)].into_iter().find_map(
            |(word, kind)| {
                let rest = name.strip_prefix(word)?;
                let parts = rest.strip_prefix('_').map(|rest| rest.split('_'));
                let is_part =
                    |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
                let is_asked = rest.is_empty() || parts.is_some_and(|mut parts| parts.all(is_part));
                is_asked.then_some(kind)
            },
        )
    }

    /// What findings of it lead to.
    #[must_use]
    pub const fn action(self) -> EnforcementAction {
        match self {
            Self::Deny | Self::Violation | Self::Exception => EnforcementAction::Deny,
            Self::Warn => EnforcementAction::Warn,
        }
    }
}

impl ModuleRule {
    /// The package, without `data`.
    #[must_use]
    pub fn package(&self) -> &Arc<str> {
        &self.package
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What it is.
    #[must_use]
    pub const fn kind(&self) -> ModuleRuleKind {
        self.kind
    }

    /// What reports call it, where constraints have their kind and name: package and name.
    #[must_use]
    pub fn key(&self) -> ConstraintKey {
        ConstraintKey { kind: self.package.clone(), name: self.name.clone() }
    }

    /// What exceptions call it: the name behind `deny_`, `violation_` or `warn_`; empty if there is none.
    #[must_use]
    pub fn suffix(&self) -> &str {
        self.name.split_once('_').map_or("", |(_, suffix)| suffix)
    }

    /// Where its first definition is.
    #[must_use]
    pub const fn location(&self) -> &Location {
        &self.location
    }

    /// The file of its first definition.
    #[must_use]
    pub fn source(&self) -> &Arc<Source> {
        self.location.source()
    }

    /// How many definitions it has.
    #[must_use]
    pub const fn definitions(&self) -> usize {
        self.definitions
    }
}

/// As OPA asks for it: `data.main.deny`.
impl fmt::Display for ModuleRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "data.{}.{}", self.package, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::ModuleRuleKind;

    #[test]
    fn names_are_those_of_conftest() {
        let kind = ModuleRuleKind::of_rule;
        assert_eq!(kind("deny"), Some(ModuleRuleKind::Deny));
        assert_eq!(kind("deny_run_as_root"), Some(ModuleRuleKind::Deny));
        assert_eq!(kind("violation_a1"), Some(ModuleRuleKind::Violation));
        assert_eq!(kind("warn_x"), Some(ModuleRuleKind::Warn));
        for other in ["denied", "deny_", "deny__x", "deny_ü", "denyx", "test_deny", "exceptions", ""] {
            assert_eq!(kind(other), None, "{other}");
        }
    }
}
