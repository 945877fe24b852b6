//! Sets.

use std::collections::BTreeSet;

use portcullis_value::{Budget, Value, View};

use super::operand::{value, wrong_type};
use super::{Context, Failure, Outcome, collect};

table![
    "and" => and,
    "intersection" => intersection,
    "or" => or,
    "set_diff" => set_diff,
    "union" => union,
];

fn and(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let (left, right) = operands(args)?;
    common(context.budget, left, right)
}

fn or(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let (left, right) = operands(args)?;
    let (View::Set(left), View::Set(right)) = (left.view(), right.view()) else {
        return Ok(Value::UNDEFINED);
    };
    collect::set(context.budget, left.iter().chain(right))
}

fn set_diff(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let (left, right) = operands(args)?;
    difference(context.budget, left, right)
}

fn union(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let View::Set(sets) = set_operand(args, 1)?.view() else { return Ok(Value::UNDEFINED) };
    let mut union = BTreeSet::new();
    for set in sets {
        context.budget.step(1)?;
        add(context.budget, &mut union, inner(set)?)?;
    }
    Ok(Value::from(union))
}

fn intersection(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let View::Set(sets) = set_operand(args, 1)?.view() else { return Ok(Value::UNDEFINED) };
    let mut result = None;
    for set in sets {
        context.budget.step(1)?;
        let set = inner(set)?;
        result = Some(match result {
            None => set.clone(),
            Some(result) => common(context.budget, &result, set)?,
        });
    }
    Ok(result.unwrap_or_else(Value::new_set))
}

/// What is in the left set and not in the right one.
pub(super) fn difference(budget: &mut Budget<'_>, left: &Value, right: &Value) -> Outcome {
    filtered(budget, left, right, false)
}

fn common(budget: &mut Budget<'_>, left: &Value, right: &Value) -> Outcome {
    filtered(budget, left, right, true)
}

/// Those of the left set that are in the right one, or those that are not.
fn filtered(budget: &mut Budget<'_>, left: &Value, right: &Value, is_kept: bool) -> Outcome {
    let (View::Set(left), View::Set(right)) = (left.view(), right.view()) else {
        return Ok(Value::UNDEFINED);
    };
    budget.step(left.len() as u64)?;
    left.iter().try_for_each(|item| portcullis_value::weigh(budget, item))?;
    collect::set(budget, left.iter().filter(|item| right.contains(item) == is_kept))
}

fn add(budget: &mut Budget<'_>, set: &mut BTreeSet<Value>, items: &Value) -> Result<(), Failure> {
    let View::Set(items) = items.view() else { return Ok(()) };
    for item in items {
        collect::insert(budget, set, item.clone())?;
    }
    Ok(())
}

fn operands<'v>(args: &[&'v Value]) -> Result<(&'v Value, &'v Value), Failure> {
    Ok((set_operand(args, 1)?, set_operand(args, 2)?))
}

fn set_operand<'v>(args: &[&'v Value], position: usize) -> Result<&'v Value, Failure> {
    let value = value(args, position)?;
    if matches!(value.view(), View::Set(_)) { Ok(value) } else { Err(wrong_type(position, value, &["set"])) }
}

fn inner(value: &Value) -> Result<&Value, Failure> {
    if matches!(value.view(), View::Set(_)) { Ok(value) } else { Err(wrong_type(1, value, &["set"])) }
}
