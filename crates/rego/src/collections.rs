//! Looking into values and comparing them, as the operations of the normal form do.

use portcullis_value::{Budget, Exceeded, Value, View};

use crate::normal_form::Comparison;

/// The value of a key: of an object's entry, an array's element by number, or a set's element itself.
pub(crate) fn get<'v>(value: &'v Value, key: &Value) -> Option<&'v Value> {
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
pub(crate) fn get_base<'v>(value: &'v Value, key: &Value) -> Option<&'v Value> {
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

/// Whether two values are equal. A step for each pair of elements that is looked at: a value may hold another
/// one many times over, and so be far larger than the memory it takes. One and the same value is gone through as
/// well: whether a value was made once or twice, which differs with what was worked out ahead, is nothing that steps
/// may tell.
pub(crate) fn equal(budget: &mut Budget<'_>, a: &Value, b: &Value) -> Result<bool, Exceeded> {
    if !a.is_collection() {
        return equal_scalars(budget, a, b);
    }
    let mut rest = vec![(a, b)];
    while let Some((a, b)) = rest.pop() {
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
pub(crate) fn weigh(budget: &mut Budget<'_>, value: &Value) -> Result<(), Exceeded> {
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

/// Whether a comparison holds.
pub(crate) fn compare(
    budget: &mut Budget<'_>,
    operator: Comparison,
    left: &Value,
    right: &Value,
) -> Result<bool, Exceeded> {
    if matches!(operator, Comparison::Equal | Comparison::NotEqual) {
        return Ok(equal(budget, left, right)? == (operator == Comparison::Equal));
    }
    weigh(budget, left)?;
    weigh(budget, right)?;
    let order = left.cmp(right);
    Ok(match operator {
        Comparison::Less => order.is_lt(),
        Comparison::LessOrEqual => order.is_le(),
        Comparison::Greater => order.is_gt(),
        Comparison::GreaterOrEqual => order.is_ge(),
        Comparison::Equal | Comparison::NotEqual => order.is_eq(),
    })
}
