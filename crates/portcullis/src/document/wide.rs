//! Finds children of nodes that have many: lists of thousands of items, mappings of thousands of keys.
//!
//! Made once per arena, when somebody first looks below a large node, and linear in the arena: four bytes for
//! each child of a node that has many. Without it, each look-up would take time with the number of children,
//! and placing a finding in each of them time with its square.

use std::collections::HashMap;

use super::marks::{Mark, MarkId, Marks};

/// Children that are looked at one by one.
pub(super) const FEW: usize = 32;

/// The nodes that have more than a few children.
#[derive(Debug, Default)]
pub(super) struct Wide(HashMap<MarkId, Children>);

/// The children of one node.
#[derive(Debug)]
pub(super) enum Children {
    /// Of a list, in order.
    Items(Box<[MarkId]>),
    /// Of a mapping.
    Entries {
        /// By key, those of one key in the order of the text.
        keys: Box<[MarkId]>,
        /// Merge keys, in the order of the text.
        merges: Box<[MarkId]>,
    },
}

impl Wide {
    pub(super) fn of(marks: &Marks) -> Self {
        let has_many = |id: &MarkId| marks.get(*id).is_some_and(|mark| may_be_wide(*id, mark));
        let wide = (0..marks.len()).filter(has_many);
        Self(wide.filter_map(|id| Some((id, Children::of(marks, id)?))).collect())
    }

    pub(super) fn get(&self, owner: MarkId) -> Option<&Children> {
        self.0.get(&owner)
    }
}

/// Whether a node has enough below it to have many children.
pub(super) fn may_be_wide(id: MarkId, mark: &Mark) -> bool {
    mark.children_of == id && mark.next.saturating_sub(id) as usize > FEW + 1
}

impl Children {
    fn of(marks: &Marks, parent: MarkId) -> Option<Self> {
        let children = || marks.children(parent);
        children().nth(FEW)?;
        if children().next().is_some_and(|(_, first)| first.is_item()) {
            return Some(Self::Items(children().map(|(id, _)| id).collect()));
        }
        let (merges, keyed): (Vec<_>, Vec<_>) = children().partition(|(_, mark)| mark.is_merge());
        let mut keyed: Vec<(Option<&str>, MarkId)> =
            keyed.into_iter().map(|(id, mark)| (mark.key.as_deref(), id)).collect();
        keyed.sort_unstable();
        Some(Self::Entries {
            keys: keyed.into_iter().map(|(_, id)| id).collect(),
            merges: merges.into_iter().map(|(id, _)| id).collect(),
        })
    }
}

/// The last of the children with a key.
pub(super) fn last_of(marks: &Marks, keys: &[MarkId], key: &str) -> Option<MarkId> {
    let key_of = |id: &MarkId| marks.get(*id).and_then(|mark| mark.key.as_deref());
    let after = keys.partition_point(|id| key_of(id) <= Some(key));
    let last = keys.get(after.checked_sub(1)?)?;
    (key_of(last) == Some(key)).then_some(*last)
}
