//! Documents that evaluations of one review have in common: made by the first that asks, taken over by the
//! others.
//!
//! Whoever takes one over is charged what making it would have cost here, and asks for the documents that it
//! needs as if it made it, so that each of these is charged once as well. How deep the making went is kept as
//! a bound: where that would be too deep, the document is made. So an evaluation that comes to its end is the
//! same as one that shared nothing; one that does not is run again and shares nothing.

use std::cell::OnceCell;

use portcullis_value::Value;

use super::tracer::Tracer;
use super::{MAX_SLOTS, Machine, Stop};
use crate::common::{Common, Commons, Digest};
use crate::normal_form::GroupId;

/// Documents that are kept of one review.
const PLACES: usize = 32;

/// What making a document may be charged, in bytes, for it to be kept.
const MAX_BYTES: u64 = 64 << 10;

/// Documents that evaluations with the same entry of `input` have made.
#[derive(Debug)]
pub(super) struct Shared {
    key: Value,
    value: Value,
    made: Box<[OnceCell<Made>]>,
}

/// A document that was made.
#[derive(Debug)]
struct Made {
    digest: Digest,
    value: Value,
    /// What making it is charged, without the documents it needs.
    steps: u64,
    memory: u64,
    /// Not less than what waits for each other while it is made, in any order, and the slots these have.
    depth: u32,
    slots: usize,
    /// Those documents that it asks for, by their numbers among those it may need.
    asked: u64,
}

/// What is noted of the documents that are being made, for those who share them.
#[derive(Default)]
pub(super) struct Notes {
    /// What was charged for the documents that were made within the one that is being made.
    steps: u64,
    memory: u64,
    /// The documents that were asked for.
    asked: Vec<GroupId>,
    /// How deep it went.
    pub(super) depth: u32,
    pub(super) slots: usize,
}

/// Where the making of a document began.
pub(super) struct Began {
    steps: u64,
    memory: u64,
    outer: (u64, u64),
    asked: usize,
    deepest: (u32, usize),
}

impl Shared {
    pub(super) fn new(key: Value, value: Value) -> Self {
        Self { key, value, made: (0..PLACES).map(|_| OnceCell::new()).collect() }
    }

    pub(super) fn key(&self) -> &Value {
        &self.key
    }

    /// Whether it is of inputs with these entries.
    pub(super) fn is_for(&self, entries: &[(Value, Value)]) -> bool {
        entries.iter().any(|(key, value)| *key == self.key && value.is_same(&self.value))
    }

    /// How many documents it has.
    pub(super) fn len(&self) -> usize {
        self.made.iter().filter(|made| made.get().is_some()).count()
    }

    fn find(&self, digest: &Digest) -> Option<&Made> {
        self.made.iter().map_while(OnceCell::get).find(|made| made.digest == *digest)
    }

    fn keep(&self, made: Made) {
        if let Some(place) = self.made.iter().find(|place| place.get().is_none()) {
            // It is empty, as nobody else is here.
            let _ = place.set(made);
        }
    }
}

impl<'v, T: Tracer<'v>> Machine<'v, T> {
    /// What may be shared of a document, where everything is as it was when the evaluation began.
    fn common(&self, id: GroupId) -> Option<(&'v Shared, &'v Common)> {
        let (shared, commons): (&'v Shared, &'v Commons) = self.shared?;
        let is_outermost = self.outer.is_empty() && self.world.functions.is_empty();
        is_outermost.then(|| commons.get(id)).flatten().map(|common| (shared, common))
    }

    pub(super) fn begin_document(&mut self) -> Began {
        let (steps, memory) = (self.budget.steps(), self.budget.memory());
        let outer = (self.notes.steps, self.notes.memory);
        let deepest = (self.notes.depth, self.notes.slots);
        (self.notes.steps, self.notes.memory) = (0, 0);
        (self.notes.depth, self.notes.slots) = (self.depth, self.stack.len());
        Began { steps, memory, outer, asked: self.notes.asked.len(), deepest }
    }

    /// Notes that a document is asked for.
    pub(super) fn ask(&mut self, id: GroupId) {
        if self.shared.is_some() {
            self.notes.asked.push(id);
        }
    }

    /// The document, if another evaluation has made it.
    pub(super) fn take_over(&mut self, id: GroupId) -> Result<Option<&'v Value>, Stop> {
        let Some((shared, common)) = self.common(id) else { return Ok(None) };
        let Some(made) = shared.find(&common.digest) else { return Ok(None) };
        let (depth, slots) =
            (self.depth.saturating_add(made.depth), self.stack.len().saturating_add(made.slots));
        if depth > self.budget.limits().depth || slots > MAX_SLOTS {
            return Ok(None);
        }
        for (number, needed) in common.needed.iter().enumerate() {
            if made.asked & (1 << number) != 0 {
                self.document(*needed)?;
            }
        }
        self.notes.depth = self.notes.depth.max(depth);
        self.notes.slots = self.notes.slots.max(slots);
        self.budget.step(made.steps)?;
        self.budget.charge(made.memory)?;
        Ok(Some(&made.value))
    }

    /// Ends what [`Self::begin_document`] began. A document that was made here is kept for others.
    pub(super) fn end_document(&mut self, id: GroupId, began: &Began, made: Option<&'v Value>) {
        let (steps, memory) = (self.budget.steps() - began.steps, self.budget.memory() - began.memory);
        if let Some(value) = made
            && memory <= MAX_BYTES
            && let Some((shared, common)) = self.common(id)
            && shared.find(&common.digest).is_none()
            && let Some(made) = self.noted(shared, common, began, value, (steps, memory))
        {
            shared.keep(made);
        }
        self.notes.asked.truncate(began.asked);
        self.notes.steps = began.outer.0 + steps;
        self.notes.memory = began.outer.1 + memory;
        self.notes.depth = self.notes.depth.max(began.deepest.0);
        self.notes.slots = self.notes.slots.max(began.deepest.1);
    }

    fn noted(
        &self,
        shared: &'v Shared,
        common: &Common,
        began: &Began,
        value: &Value,
        (steps, memory): (u64, u64),
    ) -> Option<Made> {
        let mut asked = 0;
        let mut depth = self.notes.depth.saturating_sub(self.depth);
        let mut slots = self.notes.slots.saturating_sub(self.stack.len());
        for id in self.notes.asked.get(began.asked..)? {
            let number = common.needed.iter().position(|needed| needed == id)?;
            let bit = 1 << number;
            if asked & bit == 0 {
                // It may have been made before here, and within this one elsewhere.
                let within = shared.find(&self.common(*id)?.1.digest)?;
                depth = depth.saturating_add(within.depth);
                slots = slots.saturating_add(within.slots);
                asked |= bit;
            }
        }
        let (steps, memory) = (steps - self.notes.steps, memory - self.notes.memory);
        Some(Made { digest: common.digest, value: value.clone(), steps, memory, depth, slots, asked })
    }
}

impl Notes {
    /// The room for what is noted, without what was noted.
    pub(super) fn in_room_of(mut asked: Vec<GroupId>) -> Self {
        asked.clear();
        Self { asked, ..Self::default() }
    }

    pub(super) fn into_room(self) -> Vec<GroupId> {
        self.asked
    }
}
