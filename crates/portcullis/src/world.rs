//! Everything an evaluation may look at besides the review.

use crate::inventory::Inventory;

/// The surroundings of a review, borrowed: the cached cluster objects.
#[derive(Clone, Copy, Debug)]
pub struct World<'a> {
    inventory: &'a Inventory,
}

impl<'a> World<'a> {
    /// A world with an inventory.
    #[must_use]
    pub const fn new(inventory: &'a Inventory) -> Self {
        Self { inventory }
    }

    /// The cached objects.
    #[must_use]
    pub const fn inventory(&self) -> &'a Inventory {
        self.inventory
    }
}
