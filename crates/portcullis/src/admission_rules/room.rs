//! How much the names of a policy set's constraints may come to: groups times kinds, as each kind may be in
//! each group.

use crate::matcher::Names;

/// Bytes of all pairs of a group and a kind together. An API server stores no configuration above 1.5 MiB, in
/// which pairs share their names; a thousand constraints about twenty kinds each fit.
const MAX_PAIRS: usize = 2 << 20;
/// What a pair takes beside its names.
const PAIR: usize = 64;
/// Groups that a kind is taken to be in which names none.
const GROUPS_OF_ANY: usize = 4;

/// What is left for pairs. Constraints take it in their order, so that the result is the same for the same
/// set.
#[derive(Debug)]
pub(super) struct Room {
    left: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self { left: MAX_PAIRS }
    }
}

impl Room {
    /// Takes what all kinds in all groups come to, or nothing and says so.
    #[must_use]
    pub(super) fn takes<'a>(&mut self, groups: Names<'_>, kinds: impl Iterator<Item = &'a str>) -> bool {
        let (count, bytes) = match groups {
            None => (GROUPS_OF_ANY, 0),
            Some(groups) => (groups.len(), groups.iter().map(|group| group.len()).sum()),
        };
        let each = |kind: &str| kind.len().saturating_add(PAIR).saturating_mul(count).saturating_add(bytes);
        let wanted = kinds.fold(0usize, |sum, kind| sum.saturating_add(each(kind)));
        let left = self.left.checked_sub(wanted);
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }
}
