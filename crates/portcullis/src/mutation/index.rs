//! Which mutators are worth asking, by the kind of the object: an object that none concerns costs a look-up.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::compiled::Compiled;

/// Positions of mutators, ascending: the order in which they are applied.
#[derive(Debug, Default)]
pub(super) struct Index {
    by_kind: HashMap<Box<str>, Box<[usize]>>,
    /// Those for every kind that no mutator names.
    open: Box<[usize]>,
}

impl Index {
    /// Of the mutators that are applied.
    pub(super) fn build<'a>(mutators: impl Iterator<Item = (usize, &'a Arc<Compiled>)>) -> Self {
        let mut named: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        let mut open = Vec::new();
        for (position, mutator) in mutators {
            match mutator.kinds() {
                None => open.push(position),
                Some(kinds) => {
                    for kind in kinds {
                        named.entry(kind).or_default().push(position);
                    }
                }
            }
        }
        let by_kind = named.into_iter().map(|(kind, mut positions)| {
            positions.extend_from_slice(&open);
            positions.sort_unstable();
            positions.dedup();
            (Box::from(kind), positions.into_boxed_slice())
        });
        Self { by_kind: by_kind.collect(), open: open.into_boxed_slice() }
    }

    /// The first mutator for a kind that is not before a position.
    pub(super) fn next(&self, kind: &str, from: usize) -> Option<usize> {
        let positions = self.candidates(kind);
        positions.get(positions.partition_point(|position| *position < from)).copied()
    }

    /// Whether no mutator is for a kind.
    pub(super) fn has_none(&self, kind: &str) -> bool {
        self.candidates(kind).is_empty()
    }

    fn candidates(&self, kind: &str) -> &[usize] {
        self.by_kind.get(kind).unwrap_or(&self.open)
    }
}
