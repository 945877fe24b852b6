//! Where the values of an evaluation lie.
//!
//! Nothing is taken away before the evaluation ends. That is what the budget counts anyway: all values that
//! are made, also those no longer in use.

use std::sync::LazyLock;

use portcullis_value::{Budget, Exceeded, Value, View};
use typed_arena::Arena;

use crate::normal_form::kept_bytes;

/// What a slot holds that was not written.
pub(super) const UNDEFINED: &Value = &Value::UNDEFINED;
const NULL: &Value = &Value::NULL;
const TRUE: &Value = &Value::TRUE;
const FALSE: &Value = &Value::FALSE;

/// The first integers, which are the indices of most arrays and the lengths of most collections.
static SMALL: LazyLock<Box<[Value]>> = LazyLock::new(|| (0_u64..256).map(Value::from).collect());

/// A boolean.
pub(super) const fn boolean(value: bool) -> &'static Value {
    if value { TRUE } else { FALSE }
}

/// So many values lie together at first: few evaluations make more.
const FIRST_VALUES: usize = 32;

/// The values that an evaluation made.
pub(super) struct Heap(Arena<Value>);

impl Default for Heap {
    fn default() -> Self {
        Self(Arena::with_capacity(FIRST_VALUES))
    }
}

impl Heap {
    /// How many values lie there.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Keeps a value. Those that are the same everywhere take no room.
    pub(super) fn keep<'v>(&'v self, budget: &mut Budget<'_>, value: Value) -> Result<&'v Value, Exceeded> {
        match value.view() {
            View::Undefined => Ok(UNDEFINED),
            View::Null => Ok(NULL),
            View::Bool(value) => Ok(boolean(value)),
            _ => {
                budget.take(kept_bytes(&value))?;
                Ok(self.0.alloc(value))
            }
        }
    }

    /// Keeps what was there before the evaluation, which is charged nothing.
    pub(super) fn keep_free(&self, value: Value) -> &Value {
        self.0.alloc(value)
    }

    /// Keeps an index.
    pub(super) fn index<'v>(&'v self, budget: &mut Budget<'_>, index: usize) -> Result<&'v Value, Exceeded> {
        match SMALL.get(index) {
            Some(value) => Ok(value),
            None => self.keep(budget, Value::from(index)),
        }
    }

    /// The keys of a collection, in order.
    ///
    /// # Errors
    ///
    /// If they are more than there are steps left, or room for the indices of an array.
    pub(super) fn keys<'v>(
        &'v self,
        budget: &mut Budget<'_>,
        value: &'v Value,
    ) -> Result<Vec<&'v Value>, Exceeded> {
        budget.step(value.count().unwrap_or(0) as u64)?;
        match value.view() {
            View::Array(items) => (0..items.len()).map(|index| self.index(budget, index)).collect(),
            View::Set(items) => Ok(items.iter().collect()),
            View::Object(object) => Ok(object.keys().collect()),
            _ => Ok(Vec::new()),
        }
    }
}
