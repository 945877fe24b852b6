//! `match.kinds`: groups and kinds, with `*` and the empty list for any. Case sensitive; versions do not
//! matter.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::api::matching::Kinds;
use crate::names::Gvk;

/// Entries of `match.kinds`; none at all matches everything.
#[derive(Clone, Debug)]
pub(crate) struct KindsMatcher(Box<[Entry]>);

#[derive(Clone, Debug)]
struct Entry {
    groups: Listing,
    kinds: Listing,
}

/// The names that an entry lists; none if it takes any.
pub(crate) type Names<'a> = Option<&'a BTreeSet<Arc<str>>>;

#[derive(Clone, Debug)]
enum Listing {
    Any,
    Listed(BTreeSet<Arc<str>>),
}

impl Listing {
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
            groups: Listing::compile(&entry.api_groups),
            kinds: Listing::compile(&entry.kinds),
        };
        Self(entries.iter().map(compile).collect())
    }

    pub(super) fn matches(&self, gvk: &Gvk) -> bool {
        let fits = |entry: &Entry| entry.kinds.contain(&gvk.kind) && entry.groups.contain(&gvk.group);
        self.0.is_empty() || self.0.iter().any(fits)
    }

    /// The groups and kinds of each entry, none for any; no entry at all is any kind.
    pub(super) fn entries(&self) -> impl Iterator<Item = (Names<'_>, Names<'_>)> {
        self.0.iter().map(|entry| (entry.groups.listed(), entry.kinds.listed()))
    }

    /// The kinds that some entry names; `None` if an entry takes any kind.
    pub(super) fn named_kinds(&self) -> Option<impl Iterator<Item = &str>> {
        let open = self.0.is_empty() || self.0.iter().any(|entry| matches!(entry.kinds, Listing::Any));
        (!open).then(|| {
            self.0.iter().flat_map(|entry| match &entry.kinds {
                Listing::Any => None.into_iter().flatten(),
                Listing::Listed(names) => Some(names.iter().map(|name| &**name)).into_iter().flatten(),
            })
        })
    }
}
