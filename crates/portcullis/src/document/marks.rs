//! Where every node of a document is: one compact arena per document, in the order of the text.
//!
//! `events -> Marks`; a lookup walks the path from a root, so nothing is computed for nodes nobody asks about.

use std::ops::Range;
use std::sync::Arc;

use crate::path::{FieldPath, Segment};

/// Index of a mark in its arena.
pub(super) type MarkId = u32;

/// The positions of one node. Bytes of the source; the children follow directly, up to `next`.
#[derive(Debug)]
pub(super) struct Mark {
    /// The key the node is under; `None` for list items, roots and the values of merge keys.
    pub(super) key: Option<Arc<str>>,
    pub(super) key_start: u32,
    /// Equal to `key_start` if there is no key in the text; a merge key is one without `key` but with a range.
    pub(super) key_end: u32,
    pub(super) start: u32,
    pub(super) end: u32,
    /// The mark after the last descendant.
    pub(super) next: MarkId,
    /// Whose children are this node's: its own, or for an alias those of the anchored node.
    pub(super) children_of: MarkId,
}

impl Mark {
    fn is_merge(&self) -> bool {
        self.key.is_none() && self.key_start != self.key_end
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
pub(super) struct Marks(Vec<Mark>);

/// Merge keys can be chained and doubled, so looking for a key in them can be exponential; this many merge keys
/// are followed before a lookup gives up.
const MERGE_FUEL: u32 = 256;

impl Marks {
    pub(super) fn get(&self, id: MarkId) -> Option<&Mark> {
        self.0.get(id as usize)
    }

    pub(super) fn get_mut(&mut self, id: MarkId) -> Option<&mut Mark> {
        self.0.get_mut(id as usize)
    }

    pub(super) fn len(&self) -> u32 {
        crate::source::clamp(self.0.len())
    }

    /// Appends a node; it has no children yet.
    pub(super) fn push(&mut self, key: Option<Arc<str>>, key_range: Range<u32>, range: Range<u32>) -> MarkId {
        let id = self.len();
        self.0.push(Mark {
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
        self.0.shrink_to_fit();
        Arc::new(self)
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// The node that was begun last.
    pub(super) fn last(&self) -> Option<&Mark> {
        self.0.last()
    }

    /// The node that begins last at or before an offset, and the one after it.
    pub(super) fn around(&self, offset: u32) -> (Option<&Mark>, Option<&Mark>) {
        let after = self.0.partition_point(|mark| mark.start <= offset);
        (after.checked_sub(1).and_then(|last| self.0.get(last)), self.0.get(after))
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

    /// One step of a path. Numbers and number-like keys are taken for each other, because JSON pointers do not
    /// tell them apart.
    pub(super) fn child(&self, parent: MarkId, segment: &Segment) -> Option<MarkId> {
        let is_list = self.children(parent).next().is_some_and(|(_, mark)| mark.key_start == mark.key_end);
        match segment {
            Segment::Key(key) if is_list => self.item(parent, key.parse().ok()?),
            Segment::Index(index) if is_list => self.item(parent, *index),
            Segment::Key(key) => self.entry(parent, key, &mut MERGE_FUEL.clone()),
            Segment::Index(index) => self.entry(parent, &index.to_string(), &mut MERGE_FUEL.clone()),
        }
    }

    /// The item of a list.
    pub(super) fn item(&self, parent: MarkId, index: usize) -> Option<MarkId> {
        self.children(parent).nth(index).map(|(id, _)| id)
    }

    /// The entry that counts for a key: the last one in the text, whether written there or merged in.
    fn entry(&self, parent: MarkId, key: &str, fuel: &mut u32) -> Option<MarkId> {
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
        if first.key_start != first.key_end {
            return self.entry(merge, key, fuel);
        }
        // Of a list of mappings the first that has the key counts.
        self.children(merge).find_map(|(item, _)| self.entry(item, key, fuel))
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
