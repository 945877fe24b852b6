//! What each index over a snapshot may use of what all of them together may.
//!
//! Shares follow from the policies and the objects only: a part is the same for every index, the rest goes by
//! the number of objects that its policy reads. So whether an index is there does not depend on which is made
//! first.

use std::sync::{Arc, Weak};

use portcullis_rego::IndexLimits;

use super::Inventory;
use crate::analysis::InventoryRead;
use crate::policy::PolicySet;
use crate::program::Program;

/// What all indexes of a set of policies ask of a snapshot.
#[derive(Clone, Debug)]
pub(super) struct Demand {
    /// The set, by identity.
    set: Weak<()>,
    indexes: u64,
    /// For each index the objects that its policy reads, all together.
    objects: u128,
}

impl Demand {
    pub(super) fn of(set: &PolicySet, inventory: &Inventory) -> Self {
        let (mut indexes, mut objects) = (0, 0);
        for program in set.programs() {
            let count = program.index_count() as u64;
            if count > 0 {
                indexes += count;
                objects += u128::from(count) * u128::from(read_by(program, inventory));
            }
        }
        Self { set: Arc::downgrade(set.identity()), indexes, objects }
    }

    /// Whether it is of this set.
    pub(super) fn is_of(&self, set: &PolicySet) -> bool {
        std::ptr::eq(self.set.as_ptr(), Arc::as_ptr(set.identity()))
    }

    /// What each index of a program of the set may use. All shares together are no more than there is.
    pub(super) fn share(&self, total: IndexLimits, program: &Program, inventory: &Inventory) -> IndexLimits {
        /// What everyone has, if there is enough.
        const LEAST: IndexLimits = IndexLimits { steps: 10_000, memory: 64 << 10 };
        let read = u128::from(read_by(program, inventory));
        let part = |total: u64, least: u64| {
            let indexes = self.indexes.max(1);
            let least = least.min(total / 2 / indexes);
            let rest = u128::from(total - least * indexes) * read / self.objects.max(1);
            least.saturating_add(u64::try_from(rest).unwrap_or(u64::MAX)).min(total)
        };
        IndexLimits { steps: part(total.steps, LEAST.steps), memory: part(total.memory, LEAST.memory) }
    }
}

/// How many objects a policy reads from the inventory, as far as its text says.
fn read_by(program: &Program, inventory: &Inventory) -> u64 {
    let reads = program.told().inventory_reads();
    let is_read = |gvk| reads.iter().any(|read: &InventoryRead| read.covers(gvk));
    inventory.kinds().filter(|(gvk, _)| is_read(gvk)).map(|(_, count)| count as u64).sum()
}
