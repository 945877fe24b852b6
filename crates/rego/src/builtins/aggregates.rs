//! What a collection comes to.

use portcullis_value::{Budget, Value, View};

use super::arithmetic::{add, multiply};
use super::operand::{elements, value, wrong_element, wrong_type};
use super::{Context, Failure, Outcome, collect};

table![
    "all" => all,
    "any" => any,
    "count" => count,
    "internal.member_2" => member,
    "internal.member_3" => member_with_key,
    "max" => max,
    "min" => min,
    "product" => product,
    "sort" => sort,
    "sum" => sum,
];

/// Of a text, the characters.
fn count(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    Ok(Value::from(match value(args, 1)?.view() {
        View::Array(array) => array.len(),
        View::Object(object) => object.len(),
        View::Set(set) => set.len(),
        View::String(text) => {
            context.budget.read_text(text.len())?;
            text.chars().count()
        }
        other => return Err(wrong_type(1, other, &["array", "object", "set", "string"])),
    }))
}

fn sum(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    fold(context.budget, args, 0, add)
}

fn product(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    fold(context.budget, args, 1, multiply)
}

fn fold(
    budget: &mut Budget<'_>,
    args: &[&Value],
    first: i64,
    operation: fn(&mut Budget<'_>, &Value, &Value) -> Outcome,
) -> Outcome {
    let mut result = Value::from(first);
    for element in elements(budget, args, 1)? {
        if !matches!(element.view(), View::Number(_)) {
            return Err(wrong_element(1, value(args, 1)?, element, "number"));
        }
        budget.step(1)?;
        result = operation(budget, &result, element)?;
    }
    Ok(result)
}

fn max(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let elements = comparable(context.budget, args)?;
    Ok(elements.iter().max().cloned().unwrap_or(Value::UNDEFINED))
}

fn min(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let elements = comparable(context.budget, args)?;
    Ok(elements.iter().min().cloned().unwrap_or(Value::UNDEFINED))
}

fn sort(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let mut elements: Vec<&Value> = comparable(context.budget, args)?.iter().collect();
    elements.sort();
    collect::array(context.budget, elements.into_iter())
}

/// Elements that have been weighed.
fn comparable<'v>(budget: &mut Budget<'_>, args: &[&'v Value]) -> Result<&'v [Value], Failure> {
    let elements = elements(budget, args, 1)?;
    elements.iter().try_for_each(|element| portcullis_value::weigh(budget, element))?;
    Ok(elements)
}

/// Only `true` counts: everything else, `null` and texts too, is not true.
fn is_true(value: &Value) -> bool {
    matches!(value.view(), View::Bool(true))
}

fn all(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    truth(context.budget, args, true)
}

fn any(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    truth(context.budget, args, false)
}

fn truth(budget: &mut Budget<'_>, args: &[&Value], is_all: bool) -> Outcome {
    let decides = |item: &Value| is_true(item) != is_all;
    let is_decided = match value(args, 1)?.view() {
        View::Array(items) => {
            budget.step(items.len() as u64)?;
            items.iter().any(decides)
        }
        View::Set(items) => {
            budget.step(items.len() as u64)?;
            items.iter().any(decides)
        }
        other => return Err(wrong_type(1, other, &["array", "set"])),
    };
    Ok(Value::from(is_decided != is_all))
}

/// `x in collection`.
fn member(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let (wanted, collection) = (value(args, 1)?, value(args, 2)?);
    let budget = &mut *context.budget;
    portcullis_value::weigh(budget, wanted)?;
    let mut is_wanted = |item: &Value| -> Result<bool, Failure> {
        budget.step(1)?;
        Ok(is_equal(budget, wanted, item)?)
    };
    match collection.view() {
        View::Set(set) => return Ok(Value::from(set.contains(wanted))),
        View::Array(items) => {
            for item in items {
                if is_wanted(item)? {
                    return Ok(Value::TRUE);
                }
            }
        }
        View::Object(object) => {
            for value in object.values() {
                if is_wanted(value)? {
                    return Ok(Value::TRUE);
                }
            }
        }
        _ => {}
    }
    Ok(Value::FALSE)
}

/// `key, value in collection`.
fn member_with_key(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let (key, wanted, collection) = (value(args, 1)?, value(args, 2)?, value(args, 3)?);
    portcullis_value::weigh(context.budget, key)?;
    let found = match collection.view() {
        View::Set(set) => set.get(key),
        View::Array(items) => index(key).and_then(|index| items.get(index)),
        View::Object(object) => object.get(key),
        _ => None,
    };
    let Some(found) = found else { return Ok(Value::FALSE) };
    Ok(Value::from(is_equal(context.budget, wanted, found)?))
}

fn index(key: &Value) -> Option<usize> {
    super::number::small(key).and_then(|index| usize::try_from(index).ok())
}

/// Whether two values are equal. Those of different types or lengths differ at once.
pub(super) fn is_equal(
    budget: &mut Budget<'_>,
    a: &Value,
    b: &Value,
) -> Result<bool, portcullis_value::Exceeded> {
    let is_different = match (a.view(), b.view()) {
        (View::Array(a), View::Array(b)) => a.len() != b.len(),
        (View::Object(a), View::Object(b)) => a.len() != b.len(),
        (View::Set(a), View::Set(b)) => a.len() != b.len(),
        _ => a.ty() != b.ty(),
    };
    if is_different {
        return Ok(false);
    }
    portcullis_value::weigh(budget, a)?;
    portcullis_value::weigh(budget, b)?;
    Ok(a.cmp(b).is_eq())
}
