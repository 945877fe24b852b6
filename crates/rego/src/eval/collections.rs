//! Looking into values.

use std::sync::Arc;

use crate::Value;
use crate::limits::{Budget, Exceeded};
use crate::term;

/// The value of a key: of an object's entry, an array's element by number, or a set's element itself.
pub(super) fn get<'v>(value: &'v Value, key: &Value) -> Option<&'v Value> {
    match value {
        Value::Object(object) => object.get(key),
        Value::Array(items) => {
            let Value::Number(number) = key else { return None };
            let index = number.as_u64().filter(|_| number.is_integer())?;
            items.get(usize::try_from(index).ok()?)
        }
        Value::Set(items) => items.get(key),
        _ => None,
    }
}

/// As [`get`], for documents that are no rules: OPA's store has texts for keys, also where a number is asked for, and
/// takes them for the numbers of an array's elements.
pub(super) fn get_base<'v>(value: &'v Value, key: &Value) -> Option<&'v Value> {
    let found = get(value, key);
    match (value, key) {
        (Value::Object(object), Value::Number(_)) if found.is_none() => {
            object.get(&Value::from(key.to_string()))
        }
        // As Go reads a number: a sign and zeros may come first.
        (Value::Array(items), Value::String(text)) => items.get(text.parse::<usize>().ok()?),
        _ => found,
    }
}

/// Asks the budget for what [`entries`] takes.
pub(super) fn weigh_entries(budget: &mut Budget<'_>, value: &Value) -> Result<(), Exceeded> {
    match value {
        Value::Array(items) => budget.step(items.len() as u64),
        Value::Set(items) => {
            budget.step(items.len() as u64)?;
            term::weigh_order(budget, items.len(), items.iter())
        }
        Value::Object(object) => {
            budget.step(object.len() as u64)?;
            term::weigh_order(budget, object.len(), object.keys())
        }
        _ => Ok(()),
    }
}

/// The keys and elements of a collection, in OPA's order.
pub(super) fn entries(value: &Value) -> Vec<(Value, Value)> {
    match value {
        Value::Array(items) => {
            items.iter().enumerate().map(|(index, item)| (Value::from(index as u64), item.clone())).collect()
        }
        other => pairs(other).into_iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
    }
}

/// The keys and elements of a set or an object, in OPA's order.
pub(super) fn pairs(value: &Value) -> Vec<(&Value, &Value)> {
    let mut pairs: Vec<(&Value, &Value)> = match value {
        Value::Set(items) => items.iter_sorted().map(|item| (item, item)).collect(),
        Value::Object(object) => object.iter_sorted().collect(),
        _ => Vec::new(),
    };
    sort(&mut pairs, |(key, _)| key);
    pairs
}

/// How many elements a collection has; none if it is no collection.
pub(super) fn len(value: &Value) -> Option<usize> {
    match value {
        Value::Array(items) => Some(items.len()),
        Value::Set(items) => Some(items.len()),
        Value::Object(object) => Some(object.len()),
        _ => None,
    }
}

/// The engine has sets before objects, OPA has them after. Scalars are in the same order in both.
fn sort<T>(items: &mut [T], key: impl Fn(&T) -> &Value) {
    if items.iter().any(|item| matches!(key(item), Value::Array(_) | Value::Set(_) | Value::Object(_))) {
        items.sort_by(|a, b| term::compare(key(a), key(b)));
    }
}

/// Whether two values are equal. A step for each pair of elements that is looked at: a value may hold another one many
/// times over, and so be far larger than the memory it takes.
pub(super) fn equal(budget: &mut Budget<'_>, a: &Value, b: &Value) -> Result<bool, Exceeded> {
    if len(a).is_none() {
        return equal_scalars(budget, a, b);
    }
    let mut rest = vec![(a, b)];
    while let Some((a, b)) = rest.pop() {
        match (a, b) {
            (Value::Array(a), Value::Array(b)) => {
                if Arc::ptr_eq(a, b) {
                    continue;
                }
                if a.len() != b.len() {
                    return Ok(false);
                }
                budget.step(a.len() as u64)?;
                rest.extend(a.iter().zip(b.iter()));
            }
            (Value::Set(a), Value::Set(b)) => {
                if Arc::ptr_eq(a, b) {
                    continue;
                }
                if a.len() != b.len() {
                    return Ok(false);
                }
                budget.step(a.len() as u64)?;
                rest.extend(a.iter_sorted().zip(b.iter_sorted()));
            }
            (Value::Object(a), Value::Object(b)) => {
                if Arc::ptr_eq(a, b) {
                    continue;
                }
                if a.len() != b.len() {
                    return Ok(false);
                }
                budget.step(a.len() as u64)?;
                for ((a_key, a), (b_key, b)) in a.iter_sorted().zip(b.iter_sorted()) {
                    rest.extend([(a, b), (a_key, b_key)]);
                }
            }
            (a, b) => {
                if !equal_scalars(budget, a, b)? {
                    return Ok(false);
                }
            }
        }
    }
    Ok(true)
}

/// As [`equal`], if one has no parts.
fn equal_scalars(budget: &mut Budget<'_>, a: &Value, b: &Value) -> Result<bool, Exceeded> {
    if let (Value::String(a), Value::String(b)) = (a, b) {
        if a.len() != b.len() {
            return Ok(false);
        }
        budget.step(a.len() as u64 / 64)?;
    }
    Ok(a == b)
}

/// Asks the budget for what it takes to compare a value with others: nothing for a short one without parts.
pub(super) fn weigh(budget: &mut Budget<'_>, value: &Value) -> Result<(), Exceeded> {
    if let Value::String(text) = value {
        return budget.step(text.len() as u64 / 64);
    }
    if len(value).is_none() {
        return Ok(());
    }
    // It is compared with several others on its way to its place.
    budget.step(4)?;
    term::weigh(budget, value)
}
