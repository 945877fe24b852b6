//! `object.subset`.

use portcullis_value::{Budget, MAX_NESTING, Value, View, too_deep};

use super::aggregates::is_equal;
use super::operand::value;
use super::{Context, Failure, Outcome, undefined};

table!["object.subset" => subset];

/// Both must have the same type, or be an array and a set of what it must contain.
fn subset(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let (whole, part) = (value(args, 1)?, value(args, 2)?);
    if let (View::Array(items), View::Set(wanted)) = (whole.view(), part.view()) {
        let budget = &mut *context.budget;
        let mut missing = wanted.len();
        for item in items {
            budget.step(1)?;
            portcullis_value::weigh(budget, item)?;
            // OPA counts one that comes twice as two.
            missing = missing.saturating_sub(usize::from(wanted.contains(item)));
            if missing == 0 {
                return Ok(Value::TRUE);
            }
        }
        return Ok(Value::FALSE);
    }
    match is_part(context.budget, whole, part, 0)? {
        Some(is_part) => Ok(Value::from(is_part)),
        None => Err(undefined("both arguments object.subset must be of the same type or array and set")),
    }
}

/// Whether a collection is part of another of its type; none for other values.
fn is_part(
    budget: &mut Budget<'_>,
    whole: &Value,
    part: &Value,
    depth: usize,
) -> Result<Option<bool>, Failure> {
    if depth > MAX_NESTING {
        return Err(too_deep().into());
    }
    match (whole.view(), part.view()) {
        (View::Object(whole), View::Object(part)) => {
            for (key, wanted) in part.iter() {
                budget.step(1)?;
                portcullis_value::weigh(budget, key)?;
                let Some(found) = whole.get(key) else { return Ok(Some(false)) };
                let is_here = match is_part(budget, found, wanted, depth + 1)? {
                    Some(is_here) => is_here,
                    None => is_equal(budget, found, wanted)?,
                };
                if !is_here {
                    return Ok(Some(false));
                }
            }
            Ok(Some(true))
        }
        (View::Set(whole), View::Set(part)) => {
            for item in part {
                budget.step(1)?;
                portcullis_value::weigh(budget, item)?;
                if !whole.contains(item) {
                    return Ok(Some(false));
                }
            }
            Ok(Some(true))
        }
        (View::Array(whole), View::Array(part)) => is_run(budget, whole, part).map(Some),
        _ => Ok(None),
    }
}

/// Whether the part stands in the whole, in one piece.
fn is_run(budget: &mut Budget<'_>, whole: &[Value], part: &[Value]) -> Result<bool, Failure> {
    if part.is_empty() {
        return Ok(true);
    }
    for run in whole.windows(part.len()) {
        let mut is_here = true;
        for (found, wanted) in run.iter().zip(part) {
            budget.step(1)?;
            is_here = is_equal(budget, found, wanted)?;
            if !is_here {
                break;
            }
        }
        if is_here {
            return Ok(true);
        }
    }
    Ok(false)
}
