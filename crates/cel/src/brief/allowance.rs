//! What brief evaluations may use together.

use std::cell::{Cell, OnceCell, RefCell};

use portcullis_value::Limits;
use typed_arena::Arena;

use super::{BYTES_OF_UNIT, COST_OF_UNIT, STEPS_OF_UNIT, Sight, View};
use crate::cost::PER_CALL_LIMIT;
use crate::value::CelValue;

/// Most units of an allowance: beyond, counting is no more than a part of the work.
const MOST: u64 = 50_000;
/// So many values are made room for at first.
const FIRST: usize = 8;

/// Where brief evaluations put texts together, one after the other: they hand on room, and nothing that is in it.
#[derive(Debug, Default)]
pub struct Scratch(pub(super) RefCell<String>);

/// What brief evaluations may use together, and where what they make is kept until the allowance goes.
///
/// ```
/// use portcullis_cel::{Allowance, Environment, Program, Scratch, Stop, Type, Variables};
/// use portcullis_value::Value;
///
/// let environment = Environment::default().with_variable("object", Type::Dyn);
/// let program = Program::compile("object.spec.replicas <= 5", &environment).unwrap();
/// let object = Value::from_json(r#"{"spec": {"replicas": 3}}"#).unwrap();
/// let variables = Variables::default().with("object", object.into());
///
/// let scratch = Scratch::default();
/// let allowance = Allowance::within(&scratch, 1_000_000, 1_000_000, 1 << 20);
/// assert_eq!(program.evaluate_briefly(&variables, &allowance).unwrap().as_bool(), Some(true));
/// let none = Allowance::within(&scratch, 1_000_000, 1_000_000, 0);
/// assert_eq!(program.evaluate_briefly(&variables, &none).unwrap_err(), Stop::Unsure);
/// ```
pub struct Allowance<'e> {
    left: Cell<u64>,
    /// Most evaluations make no more than these.
    first: [OnceCell<CelValue>; 4],
    values: OnceCell<Arena<CelValue>>,
    first_lists: [OnceCell<Vec<View<'e>>>; 4],
    lists: OnceCell<Arena<Vec<View<'e>>>>,
    pub(super) scratch: &'e Scratch,
}

impl<'e> Allowance<'e> {
    /// So much that evaluations which count would stay within all of this: a cost, steps, and bytes.
    #[must_use]
    pub fn within(scratch: &'e Scratch, cost: u64, steps: u64, memory: u64) -> Self {
        let units = cost.min(PER_CALL_LIMIT) / COST_OF_UNIT;
        let units = units.min(steps / STEPS_OF_UNIT).min(memory / BYTES_OF_UNIT);
        Self {
            left: Cell::new(units.min(MOST)),
            first: Default::default(),
            values: OnceCell::new(),
            first_lists: Default::default(),
            lists: OnceCell::new(),
            scratch,
        }
    }

    /// How many units are left.
    #[must_use]
    pub fn left(&self) -> u64 {
        self.left.get()
    }

    /// Uses units that somebody else has counted. Whether there were so many.
    #[must_use]
    #[inline]
    pub fn take(&self, units: u64) -> bool {
        let left = self.left.get().checked_sub(units);
        self.left.set(left.unwrap_or(0));
        left.is_some()
    }

    /// What who counts may use of it.
    pub(crate) fn limits(&self) -> Limits {
        let left = self.left.get();
        Limits { steps: left, memory: left.saturating_mul(BYTES_OF_UNIT), ..Limits::default() }
    }

    /// Keeps a value.
    pub(super) fn keep(&'e self, value: CelValue) -> &'e CelValue {
        kept(&self.first, &self.values, value)
    }

    /// A list of values that are kept.
    pub(super) fn list(&'e self, items: Vec<View<'e>>) -> View<'e> {
        View::Items(kept(&self.first_lists, &self.lists, items))
    }

    /// Keeps a value that somebody else has made.
    pub fn hold(&'e self, value: CelValue) -> Sight<'e> {
        Sight::of(self.keep(value))
    }
}

fn kept<'e, T>(first: &'e [OnceCell<T>], others: &'e OnceCell<Arena<T>>, value: T) -> &'e T {
    match first.iter().find(|place| place.get().is_none()) {
        Some(place) => place.get_or_init(|| value),
        None => others.get_or_init(|| Arena::with_capacity(FIRST)).alloc(value),
    }
}
