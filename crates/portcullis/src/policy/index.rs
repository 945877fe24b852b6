//! Which constraints are worth asking their matcher, by the kind of the object: the cost of a review depends
//! on the constraints that may apply, not on all that exist.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::CompiledConstraint;

/// Positions of constraints, ascending, so that candidates come in key order.
#[derive(Debug, Default)]
pub(super) struct Index {
    by_kind: HashMap<Box<str>, Box<[usize]>>,
    /// Candidates for every kind that no constraint names.
    open: Box<[usize]>,
}

impl Index {
    pub(super) fn build(constraints: &[Arc<CompiledConstraint>]) -> Self {
        let mut named: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        let mut open = Vec::new();
        for (position, constraint) in constraints.iter().enumerate() {
            match constraint.matcher.kinds() {
                None => open.push(position),
                Some(kinds) => kinds.for_each(|kind| named.entry(kind).or_default().push(position)),
            }
        }
        let by_kind = named
            .into_iter()
            .map(|(kind, mut positions)| {
                positions.extend_from_slice(&open);
                positions.sort_unstable();
                positions.dedup();
                (Box::from(kind), positions.into_boxed_slice())
            })
            .collect();
        Self { by_kind, open: open.into_boxed_slice() }
    }

    pub(super) fn candidates(&self, kind: &str) -> &[usize] {
        self.by_kind.get(kind).unwrap_or(&self.open)
    }
}
