//! `match.kinds`: groups and kinds, with `*` and the empty list for any. Case sensitive; versions do not matter.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::api::matching::Kinds;
use crate::names::Gvk;

/// Entries of `match.kinds`; none at all matches everything.
#[derive(Clone, Debug)]
pub(crate) struct KindsMatcher(Box<[Entry]>);

#[derive(Clone, Debug)]
struct Entry {
    groups: Names,
    kinds: Names,
}

#[derive(Clone, Debug)]
enum Names {
    Any,
    Listed(BTreeSet<Arc<str>>),
}

impl Names {
    fn compile(names: &[Arc<str>]) -> Self {
        if names.is_empty() || names.iter().any(|name| &**name == "*") {
            return Self::Any;
        }
        Self::Listed(names.iter().cloned().collect())
    }

    fn listed(&self) -> Option<&BTreeSet<Arc<str>>> {
        match self {
            Self::Any => None,
            Self::Listed(names) => Some(names),
        }
    }

    fn contain(&self, name: &str) -> bool {
        match self {
            Self::Any => true,
            Self::Listed(names) => names.contains(name),
        }
    }
}

impl KindsMatcher {
    pub(super) fn compile(entries: &[Kinds]) -> Self {
        let compile = |entry: &Kinds| Entry {
            groups: Names::compile(&entry.api_groups),
            kinds: Names::compile(&entry.kinds),
        };
        Self(entries.iter().map(compile).collect())
    }

    pub(super) fn matches(&self, gvk: &Gvk) -> bool {
        let fits = |entry: &Entry| entry.kinds.contain(&gvk.kind) && entry.groups.contain(&gvk.group);
        self.0.is_empty() || self.0.iter().any(fits)
    }

    /// The groups and kinds of each entry, none for any; no entry at all is any kind.
    pub(super) fn entries(
        &self,
    ) -> impl Iterator<Item = (Option<&BTreeSet<Arc<str>>>, Option<&BTreeSet<Arc<str>>>)> {
        self.0.iter().map(|entry| (entry.groups.listed(), entry.kinds.listed()))
    }

    /// The kinds that some entry names; `None` if an entry takes any kind.
    pub(super) fn named_kinds(&self) -> Option<impl Iterator<Item = &str>> {
        let open = self.0.is_empty() || self.0.iter().any(|entry| matches!(entry.kinds, Names::Any));
        (!open).then(|| {
            self.0.iter().flat_map(|entry| match &entry.kinds {
                Names::Any => None.into_iter().flatten(),
                Names::Listed(names) => Some(names.iter().map(|name| &**name)).into_iter().flatten(),
            })
        })
    }
}
