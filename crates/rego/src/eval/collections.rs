//! Looking into values.

use portcullis_value::{Budget, Exceeded, Value, View};

use super::heap::Heap;

/// The value of a key: of an object's entry, an array's element by number, or a set's element itself.
pub(super) fn get<'v>(value: &'v Value, key: &Value) -> Option<&'v Value> {
    match value.view() {
        View::Object(object) => object.get(key),
        View::Array(items) => {
            let View::Number(number) = key.view() else { return None };
            let index = number.as_u64().filter(|_| number.is_integer())?;
            items.get(usize::try_from(index).ok()?)
        }
        View::Set(items) => items.get(key),
        _ => None,
    }
}

/// As [`get`], for documents that are not rules: OPA's store has texts for keys, also where a number is asked
/// for, and takes them for the numbers of an array's elements.
pub(super) fn get_base<'v>(value: &'v Value, key: &Value) -> Option<&'v Value> {
    let found = get(value, key);
    match (value.view(), key.view()) {
        (View::Object(object), View::Number(_)) if found.is_none() => {
            object.get(&Value::from(key.to_string()))
        }
        // As Go reads a number: a sign and zeros may come first.
        (View::Array(items), View::String(text)) => items.get(text.parse::<usize>().ok()?),
        _ => found,
    }
}

/// The keys of a collection, in order.
///
/// # Errors
///
/// If they are more than there are steps left, or room for the indices of an array.
pub(super) fn keys<'v>(
    budget: &mut Budget<'_>,
    heap: &'v Heap,
    value: &'v Value,
) -> Result<Vec<&'v Value>, Exceeded> {
    budget.step(value.count().unwrap_or(0) as u64)?;
    match value.view() {
        View::Array(items) => (0..items.len()).map(|index| heap.index(budget, index)).collect(),
        View::Set(items) => Ok(items.iter().collect()),
        View::Object(object) => Ok(object.keys().collect()),
        _ => Ok(Vec::new()),
    }
}

/// Whether two values are equal. A step for each pair of elements that is looked at: a value may hold another
/// one many times over, and so be far larger than the memory it takes.
pub(super) fn equal(budget: &mut Budget<'_>, a: &Value, b: &Value) -> Result<bool, Exceeded> {
    if !a.is_collection() {
        return equal_scalars(budget, a, b);
    }
    let mut rest = vec![(a, b)];
    while let Some((a, b)) = rest.pop() {
        if a.is_same(b) {
            continue;
        }
        match (a.view(), b.view()) {
            (View::Array(a), View::Array(b)) => {
                if a.len() != b.len() {
                    return Ok(false);
                }
                budget.step(a.len() as u64)?;
                rest.extend(a.iter().zip(b));
            }
            (View::Set(a), View::Set(b)) => {
                if a.len() != b.len() {
                    return Ok(false);
                }
                budget.step(a.len() as u64)?;
                rest.extend(a.iter().zip(b));
            }
            (View::Object(a), View::Object(b)) => {
                if a.len() != b.len() {
                    return Ok(false);
                }
                budget.step(a.len() as u64)?;
                for ((a_key, a), (b_key, b)) in a.iter().zip(b.iter()) {
                    rest.extend([(a, b), (a_key, b_key)]);
                }
            }
            _ => {
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
    if let (View::String(a), View::String(b)) = (a.view(), b.view()) {
        if a.len() != b.len() {
            return Ok(false);
        }
        budget.step(a.len() as u64 / 64)?;
    }
    Ok(a == b)
}

/// Asks the budget for what it takes to compare a value with others: nothing for a short one without parts.
pub(super) fn weigh(budget: &mut Budget<'_>, value: &Value) -> Result<(), Exceeded> {
    if let View::String(text) = value.view() {
        return budget.step(text.len() as u64 / 64);
    }
    if !value.is_collection() {
        return Ok(());
    }
    // It is compared with several others on its way to its place.
    budget.step(4)?;
    portcullis_value::weigh(budget, value)
}
