//! What looking at a whole value costs.
//!
//! A value may be shared by reference many times over, and so be far larger than the memory it takes: what
//! compares or writes whole values asks [`weigh`] first, or is bounded by the text it writes.

use crate::budget::{Budget, Exceeded, LimitKind};
use crate::{Value, View};

/// Deepest nesting of values that a builtin takes or makes: all work on values is recursive.
pub const MAX_NESTING: usize = 500;

/// Asks the budget for what it takes to compare a value with another, or to copy it: a step for each value in
/// it, as often as it is there. The caller must have asked before it compares, as comparing itself cannot.
///
/// # Errors
///
/// If a limit is exceeded, of steps or of nesting.
pub fn weigh(budget: &mut Budget<'_>, value: &Value) -> Result<(), Exceeded> {
    weigh_at(budget, value, 0)
}

/// As [`weigh`], for a value that will be so many levels below another.
///
/// # Errors
///
/// As [`weigh`].
pub fn weigh_at(budget: &mut Budget<'_>, value: &Value, depth: usize) -> Result<(), Exceeded> {
    if depth > MAX_NESTING {
        return Err(too_deep());
    }
    let depth = depth + 1;
    match value.view() {
        View::String(text) => budget.step(text.len() as u64 / 64 + 1),
        View::Array(items) => {
            budget.step(1)?;
            items.iter().try_for_each(|item| weigh_at(budget, item, depth))
        }
        View::Set(items) => {
            budget.step(1)?;
            items.iter().try_for_each(|item| weigh_at(budget, item, depth))
        }
        View::Object(object) => {
            budget.step(1)?;
            object.iter().try_for_each(|(key, value)| {
                weigh_at(budget, key, depth)?;
                weigh_at(budget, value, depth)
            })
        }
        View::Number(number) => {
            // Its decimal digits take time with the square of its size.
            let words = number.large_bits() / 64;
            budget.step(words.saturating_mul(words) / 32 + words + 1)
        }
        View::Null | View::Bool(_) | View::Undefined => budget.step(1),
    }
}

/// The error for values nested deeper than [`MAX_NESTING`].
#[must_use]
pub fn too_deep() -> Exceeded {
    let limit = LimitKind::Depth;
    Exceeded { limit, message: format!("a value is nested more than {MAX_NESTING} deep (limit `{limit}`)") }
}

/// The elements of an array or a set, in order; none for other values.
///
/// # Errors
///
/// If they are more than there are steps left.
pub fn elements<'v>(budget: &mut Budget<'_>, value: &'v Value) -> Result<Option<&'v [Value]>, Exceeded> {
    let items = match value.view() {
        View::Array(items) => items,
        View::Set(items) => items.as_slice(),
        _ => return Ok(None),
    };
    budget.step(items.len() as u64)?;
    Ok(Some(items))
}
