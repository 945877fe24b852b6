//! Arrays.

use portcullis_value::{Value, View};

use super::operand::{array, integer};
use super::{Context, Outcome, collect};

table![
    "array.concat" => concat,
    "array.flatten" => flatten,
    "array.reverse" => reverse,
    "array.slice" => slice,
];

fn concat(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let (left, right) = (array(args, 1)?, array(args, 2)?);
    collect::array(context.budget, left.iter().chain(right))
}

/// One level.
fn flatten(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let items = array(args, 1)?;
    context.budget.step(items.len() as u64)?;
    let items = items.iter().flat_map(|item| match item.view() {
        View::Array(items) => items,
        _ => std::slice::from_ref(item),
    });
    collect::array(context.budget, items)
}

fn reverse(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    collect::array(context.budget, array(args, 1)?.iter().rev())
}

/// What is out of bounds is not there.
fn slice(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let items = array(args, 1)?;
    let clamped = |position: i64| usize::try_from(position.max(0)).unwrap_or(usize::MAX);
    let (from, to) = (clamped(integer(args, 2)?), clamped(integer(args, 3)?).min(items.len()));
    collect::array(context.budget, items.get(from.min(to)..to).unwrap_or_default().iter())
}
