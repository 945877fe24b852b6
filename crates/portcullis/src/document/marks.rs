//! Where every node of a document is: one compact arena per document, in the order of the text.
//!
//! `events -> Marks`; a lookup walks the path from a root, so nothing is computed for nodes nobody asks
//! about.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use super::wide::{self, Children, Wide};
use crate::path::{FieldPath, Segment};

/// Index of a mark in its arena.
pub(super) type MarkId = u32;

/// The positions of one node. Bytes of the source; the children follow directly, up to `next`.
#[derive(Debug)]
pub(super) struct Mark {
    /// The key the node is under; `None` for list items, roots and the values of merge keys.
    pub(super) key: Option<Arc<str>>,
    pub(super) key_start: u32,
    /// Equal to `key_start` if there is no key in the text; a merge key is one without `key` but with a
    /// range.
    pub(super) key_end: u32,
    pub(super) start: u32,
    pub(super) end: u32,
    /// The mark after the last descendant.
    pub(super) next: MarkId,
    /// Whose children are this node's: its own, or for an alias those of the anchored node.
    pub(super) children_of: MarkId,
}

impl Mark {
    pub(super) fn is_merge(&self) -> bool {
        self.key.is_none() && self.key_start != self.key_end
    }

    /// Whether it is an item of a list.
    pub(super) fn is_item(&self) -> bool {
        self.key_start == self.key_end
    }

    pub(super) fn range(&self) -> Range<u32> {
        self.start..self.end
    }

    pub(super) fn key_range(&self) -> Range<u32> {
        self.key_start..self.key_end
    }
}

/// The arena. Grows while a document is read, then is shared.
#[derive(Debug, Default)]
pub(super) struct Marks {
    list: Vec<Mark>,
    /// Of what there is when it is first needed: forgotten when something is added.
    wide: OnceLock<Wide>,
}

/// Merge keys can be chained and doubled, so looking for a key in them can be exponential; this many merge
/// keys and mappings in their lists are followed before a lookup gives up.
const MERGE_FUEL: u32 = 1024;

impl Marks {
    pub(super) fn get(&self, id: MarkId) -> Option<&Mark> {
        self.list.get(id as usize)
    }

    pub(super) fn get_mut(&mut self, id: MarkId) -> Option<&mut Mark> {
        self.forget_wide();
        self.list.get_mut(id as usize)
    }

    fn forget_wide(&mut self) {
        // Mostly there is nothing, which is quicker to see than to take.
        if self.wide.get().is_some() {
            self.wide.take();
        }
    }

    pub(super) fn len(&self) -> u32 {
        crate::source::clamp(self.list.len())
    }

    /// Appends a node; it has no children yet.
    pub(super) fn push(&mut self, key: Option<Arc<str>>, key_range: Range<u32>, range: Range<u32>) -> MarkId {
        let id = self.len();
        self.forget_wide();
        self.list.push(Mark {
            key,
            key_start: key_range.start,
            key_end: key_range.end,
            start: range.start,
            end: range.end,
            next: id + 1,
            children_of: id,
        });
        id
    }

    /// Frees what the vector holds in reserve.
    pub(super) fn finish(mut self) -> Arc<Self> {
        self.list.shrink_to_fit();
        Arc::new(self)
    }

    pub(super) fn clear(&mut self) {
        self.forget_wide();
        self.list.clear();
    }

    /// The node that was begun last.
    pub(super) fn last(&self) -> Option<&Mark> {
        self.list.last()
    }

    /// The node that begins last at or before an offset, and the one after it.
    pub(super) fn around(&self, offset: u32) -> (Option<&Mark>, Option<&Mark>) {
        let after = self.list.partition_point(|mark| mark.start <= offset);
        (after.checked_sub(1).and_then(|last| self.list.get(last)), self.list.get(after))
    }

    /// Whether an offset is inside of a value that has no parts, behind its beginning.
    pub(super) fn is_in_scalar(&self, offset: u32) -> bool {
        let Some(last) = self.list.partition_point(|mark| mark.start < offset).checked_sub(1) else {
            return false;
        };
        let id = MarkId::try_from(last).unwrap_or(MarkId::MAX);
        let is_leaf = |mark: &Mark| mark.children_of == id && mark.next == id.saturating_add(1);
        self.list.get(last).is_some_and(|mark| is_leaf(mark) && offset < mark.end)
    }

    /// The direct children of a node, in the order of the text.
    pub(super) fn children(&self, parent: MarkId) -> impl Iterator<Item = (MarkId, &Mark)> {
        let owner = self.get(parent).map_or(parent, |mark| mark.children_of);
        let end = self.get(owner).map_or(0, |mark| mark.next);
        let mut id = owner.saturating_add(1);
        std::iter::from_fn(move || {
            if id >= end {
                return None;
            }
            let mark = self.get(id)?;
            let current = id;
            id = mark.next;
            Some((current, mark))
        })
    }

    /// The children of a node that has many; `None` if they are to be looked at one by one.
    fn wide(&self, parent: MarkId) -> Option<&Children> {
        let owner = self.get(parent)?.children_of;
        if !wide::may_be_wide(owner, self.get(owner)?) {
            return None;
        }
        self.wide.get_or_init(|| Wide::of(self)).get(owner)
    }

    /// One step of a path. Numbers and number-like keys are taken for each other, because JSON pointers do
    /// not tell them apart.
    pub(super) fn child(&self, parent: MarkId, segment: &Segment) -> Option<MarkId> {
        let is_list = self.children(parent).next().is_some_and(|(_, mark)| mark.is_item());
        match segment {
            Segment::Key(key) if is_list => self.item(parent, key.parse().ok()?),
            Segment::Index(index) if is_list => self.item(parent, *index),
            Segment::Key(key) => self.entry(parent, key, &mut MERGE_FUEL.clone()),
            Segment::Index(index) => self.entry(parent, &index.to_string(), &mut MERGE_FUEL.clone()),
        }
    }

    /// The item of a list.
    pub(super) fn item(&self, parent: MarkId, index: usize) -> Option<MarkId> {
        if index >= wide::FEW
            && let Some(Children::Items(items)) = self.wide(parent)
        {
            return items.get(index).copied();
        }
        self.children(parent).nth(index).map(|(id, _)| id)
    }

    /// The entry that counts for a key: the last one in the text, whether written there or merged in.
    fn entry(&self, parent: MarkId, key: &str, fuel: &mut u32) -> Option<MarkId> {
        if let Some(Children::Entries { keys, merges }) = self.wide(parent) {
            let written = wide::last_of(self, keys, key);
            // Where the last merge key stands that has it, and what it has.
            let mut merged = None;
            for merge in merges {
                if *fuel == 0 {
                    break;
                }
                merged = self.merged_entry(*merge, key, fuel).map(|found| (*merge, found)).or(merged);
            }
            return match (written, merged) {
                (Some(written), Some((merge, found))) => Some(if merge > written { found } else { written }),
                (written, merged) => written.or(merged.map(|(_, found)| found)),
            };
        }
        let mut found = None;
        for (id, mark) in self.children(parent) {
            if mark.key.as_deref() == Some(key) {
                found = Some(id);
            } else if mark.is_merge()
                && let Some(merged) = self.merged_entry(id, key, fuel)
            {
                found = Some(merged);
            }
        }
        found
    }

    fn merged_entry(&self, merge: MarkId, key: &str, fuel: &mut u32) -> Option<MarkId> {
        *fuel = fuel.checked_sub(1)?;
        let (_, first) = self.children(merge).next()?;
        if !first.is_item() {
            return self.entry(merge, key, fuel);
        }
        // Of a list of mappings the first that has the key counts.
        self.children(merge).find_map(|(item, _)| {
            *fuel = fuel.checked_sub(1)?;
            self.entry(item, key, fuel)
        })
    }

    /// The node at a path, as far down as it exists, and how many steps that are.
    pub(super) fn nearest(&self, root: MarkId, path: &FieldPath) -> (MarkId, usize) {
        let mut id = root;
        for (depth, segment) in path.segments().iter().enumerate() {
            match self.child(id, segment) {
                Some(child) => id = child,
                None => return (id, depth),
            }
        }
        (id, path.segments().len())
    }

    /// The node at a path.
    pub(super) fn find(&self, root: MarkId, path: &FieldPath) -> Option<MarkId> {
        let (id, depth) = self.nearest(root, path);
        (depth == path.segments().len()).then_some(id)
    }
}
