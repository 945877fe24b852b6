//! What brief evaluations may use together, and where they keep what they make.

use std::cell::{Cell, OnceCell, RefCell};

use portcullis_value::Limits;
use typed_arena::Arena;

use super::{BYTES_OF_UNIT, COST_OF_UNIT, STEPS_OF_UNIT, View};
use crate::cost::PER_CALL_LIMIT;
use crate::value::CelValue;

/// Most units of an allowance: beyond, counting is no more than a part of the work.
const MOST: u64 = 50_000;
/// So many values are made room for at first.
const FIRST: usize = 16;
/// What is counted for a list beside its elements.
const LIST: usize = 64;

/// Where brief evaluations keep what they make, until it goes: also what one has made for another.
#[derive(Default)]
pub struct Desk<'e> {
    values: OnceCell<Arena<CelValue>>,
    lists: OnceCell<Arena<Vec<View<'e>>>>,
    bytes: Cell<u64>,
    /// Where texts are put together.
    pub(super) text: RefCell<String>,
}

impl<'e> Desk<'e> {
    /// Most bytes that are on one, about.
    pub const MOST_BYTES: u64 = 8 << 20;

    /// Keeps a value that takes so many bytes beside itself; `None` if there is no room for it.
    pub fn keep(&'e self, value: CelValue, bytes: usize) -> Option<&'e CelValue> {
        self.take(bytes.saturating_add(size_of::<CelValue>())).then_some(())?;
        Some(self.values.get_or_init(|| Arena::with_capacity(FIRST)).alloc(value))
    }

    /// A list of values that are kept.
    pub(super) fn list(&'e self, items: Vec<View<'e>>) -> Option<View<'e>> {
        let bytes = items.capacity().saturating_mul(size_of::<View<'e>>());
        self.take(bytes.saturating_add(LIST)).then_some(())?;
        Some(View::Items(self.lists.get_or_init(|| Arena::with_capacity(FIRST)).alloc(items)))
    }

    /// Takes room that something beside it needs, which is kept as long. Whether there was so much.
    #[must_use]
    pub fn take(&self, bytes: usize) -> bool {
        let all = self.bytes.get().saturating_add(bytes as u64);
        self.bytes.set(all);
        all <= Self::MOST_BYTES
    }
}

/// What brief evaluations may use together.
///
/// ```
/// use portcullis_cel::{Allowance, Desk, Environment, Program, Stop, Type, Variables};
/// use portcullis_value::Value;
///
/// let environment = Environment::default().with_variable("object", Type::Dyn);
/// let program = Program::compile("object.spec.replicas <= 5", &environment).unwrap();
/// let object = Value::from_json(r#"{"spec": {"replicas": 3}}"#).unwrap();
/// let variables = Variables::default().with("object", object.into());
///
/// let desk = Desk::default();
/// let allowance = Allowance::within(&desk, 1_000_000, 1_000_000, 1 << 20);
/// assert_eq!(program.evaluate_briefly(&&variables, &allowance).unwrap().as_bool(), Some(true));
/// let none = Allowance::within(&desk, 1_000_000, 1_000_000, 0);
/// assert_eq!(program.evaluate_briefly(&&variables, &none).unwrap_err(), Stop::Unsure);
/// ```
pub struct Allowance<'e> {
    left: Cell<u64>,
    pub(super) desk: &'e Desk<'e>,
}

impl<'e> Allowance<'e> {
    /// So much that evaluations which count would stay within all of this: a cost, steps, and bytes.
    #[must_use]
    pub fn within(desk: &'e Desk<'e>, cost: u64, steps: u64, memory: u64) -> Self {
        let units = cost.min(PER_CALL_LIMIT) / COST_OF_UNIT;
        let units = units.min(steps / STEPS_OF_UNIT).min(memory / BYTES_OF_UNIT);
        Self { left: Cell::new(units.min(MOST)), desk }
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
}
