//! JSON patches (RFC 6902), with the words of the library that the API server uses.

use std::sync::Arc;

use crate::program::JsonOperation;
use crate::value::{self, Value, View};

/// Why a patch is not applied.
#[derive(Debug)]
pub(super) enum Failed {
    /// A test does not hold: the object stays as it was, and that is no error.
    Test,
    Error(String),
}

fn failed<T>(message: impl Into<String>) -> Result<T, Failed> {
    Err(Failed::Error(message.into()))
}

/// Most bytes of what comes of a patch: copies of copies are soon very large.
const LARGEST: usize = 16 << 20;
/// What a value is reckoned with besides its texts.
const EACH: usize = 16;

/// The object with all operations applied.
pub(super) fn apply(object: &Value, operations: &[JsonOperation]) -> Result<Value, Failed> {
    let mut object = object.clone();
    for operation in operations {
        object = one(&object, operation)?;
        if value::takes_at_most(&object, EACH, &mut { LARGEST }).is_none() {
            return failed(format!("the patched object is larger than {LARGEST} bytes"));
        }
    }
    Ok(object)
}

fn one(object: &Value, operation: &JsonOperation) -> Result<Value, Failed> {
    let JsonOperation { op, path, from, value } = operation;
    let given = || value.clone().unwrap_or(Value::NULL);
    match op.as_str() {
        "add" => {
            if !has_parent(object, path) {
                return failed(format!(
                    "add operation does not apply: doc is missing path: \"{path}\": missing value"
                ));
            }
            at(object, path, &Change::Add(given())).map_err(|why| inside("add", path, &why))
        }
        "remove" => {
            if !has_parent(object, path) {
                return failed(format!(
                    "remove operation does not apply: doc is missing path: \"{path}\": missing value"
                ));
            }
            at(object, path, &Change::Remove).map_err(|why| inside("remove", path, &why))
        }
        "replace" => {
            if path.is_empty() {
                return Ok(given());
            }
            if !has_parent(object, path) {
                return failed(format!(
                    "replace operation does not apply: doc is missing path: {path}: missing value"
                ));
            }
            // Of a map, what is not there is put there.
            if found(object, path).is_none() && !is_in_map(object, path) {
                return failed(format!(
                    "replace operation does not apply: doc is missing key: {path}: missing value"
                ));
            }
            at(object, path, &Change::Replace(given())).map_err(|why| inside("replace", path, &why))
        }
        "move" | "copy" => {
            let taken = found(object, from).cloned();
            // Of a map, a copy of what is not there is null.
            let of_map = (op == "copy" && is_in_map(object, from)).then_some(Value::NULL);
            let Some(taken) = taken.or(of_map) else {
                return failed(format!(
                    "{op} operation does not apply: doc is missing from path: {from}: missing value"
                ));
            };
            let object = match op.as_str() {
                "move" => at(object, from, &Change::Remove).map_err(|why| inside("move", from, &why))?,
                _ => object.clone(),
            };
            if !has_parent(&object, path) {
                return failed(format!(
                    "{op} operation does not apply: doc is missing destination path: {path}: missing value"
                ));
            }
            at(&object, path, &Change::Add(taken)).map_err(|why| inside(op, path, &why))
        }
        "test" => {
            if !path.is_empty() && !has_parent(object, path) {
                return failed(format!(
                    "test operation does not apply: is missing path: {path}: missing value"
                ));
            }
            let is = match (found(object, path), value) {
                (Some(known), Some(value)) => known == value,
                (None, None) => true,
                (Some(known), None) => known.is_null(),
                (None, Some(value)) => value.is_null(),
            };
            if is { Ok(object.clone()) } else { Err(Failed::Test) }
        }
        other => failed(format!("Unexpected kind: {other}")),
    }
}

fn inside(op: &str, path: &str, why: &str) -> Failed {
    Failed::Error(format!("error in {op} for path: '{path}': {why}"))
}

enum Change {
    Add(Value),
    Replace(Value),
    Remove,
}

/// The steps of a path; none of one that is no path.
fn steps(path: &str) -> Option<Vec<String>> {
    let mut parts = path.split('/');
    (parts.next() == Some("")).then_some(())?;
    let steps: Vec<String> = parts.map(|part| part.replace("~1", "/").replace("~0", "~")).collect();
    (!steps.is_empty()).then_some(steps)
}

fn child<'v>(value: &'v Value, step: &str) -> Option<&'v Value> {
    match value.view() {
        View::Object(_) => value::get(value, step),
        View::Array(items) => items.get(index(step, items.len()).ok()?),
        _ => None,
    }
}

fn found<'v>(object: &'v Value, path: &str) -> Option<&'v Value> {
    if path.is_empty() {
        return Some(object);
    }
    steps(path)?.iter().try_fold(object, |value, step| child(value, step))
}

/// Whether there is something that may have a member of this path.
fn has_parent(object: &Value, path: &str) -> bool {
    let Some(steps) = steps(path) else { return false };
    let Some((_, above)) = steps.split_last() else { return false };
    let parent = above.iter().try_fold(object, |value, step| child(value, step));
    parent.is_some_and(|parent| matches!(parent.view(), View::Object(_) | View::Array(_)))
}

/// Whether what a path leads to would be in a map.
fn is_in_map(object: &Value, path: &str) -> bool {
    let steps = steps(path).unwrap_or_default();
    let Some((_, above)) = steps.split_last() else { return false };
    let parent = above.iter().try_fold(object, |value, step| child(value, step));
    parent.is_some_and(|parent| matches!(parent.view(), View::Object(_)))
}

/// The place of an element; from the end, if it is negative.
fn index(step: &str, length: usize) -> Result<usize, String> {
    let number: i64 = step.parse().map_err(|_| {
        format!(
            "value was not a proper array index: '{step}': strconv.Atoi: parsing \"{step}\": invalid syntax"
        )
    })?;
    let length = i64::try_from(length).unwrap_or(i64::MAX);
    let place = if number < 0 { number.saturating_add(length) } else { number };
    usize::try_from(place).map_err(|_| invalid(number))
}

fn invalid(number: impl std::fmt::Display) -> String {
    format!("Unable to access invalid index: {number}: invalid index referenced")
}

fn at(object: &Value, path: &str, change: &Change) -> Result<Value, String> {
    changed(object, &steps(path).unwrap_or_default(), change)
}

/// A copy of what is on the way to the change.
fn changed(value: &Value, steps: &[String], change: &Change) -> Result<Value, String> {
    let missing = |step: &str| format!("Unable to remove nonexistent key: {step}: missing value");
    let Some((step, below)) = steps.split_first() else { return Ok(value.clone()) };
    match value.view() {
        View::Object(_) => {
            let owned = |(key, part): (&str, &Value)| (Arc::<str>::from(key), part.clone());
            let new = match (below.is_empty(), change) {
                (false, _) => {
                    let inner = value::get(value, step).ok_or_else(|| missing(step))?;
                    Some(changed(inner, below, change)?)
                }
                (true, Change::Add(new) | Change::Replace(new)) => Some(new.clone()),
                (true, Change::Remove) if value::get(value, step).is_none() => return Err(missing(step)),
                (true, Change::Remove) => None,
            };
            let others = value::entries(value).filter(|(key, _)| *key != step.as_str()).map(owned);
            Ok(value::object(others.chain(new.map(|new| (Arc::from(step.as_str()), new)))))
        }
        View::Array(items) => {
            let mut all: Vec<Value> = items.to_vec();
            if below.is_empty()
                && let Change::Add(new) = change
            {
                if step == "-" {
                    all.push(new.clone());
                    return Ok(all.into_iter().collect());
                }
                // One behind the last is a place for a new element.
                let place = index(step, all.len() + usize::from(step.starts_with('-')))?;
                if place > all.len() {
                    return Err(invalid(step));
                }
                all.insert(place, new.clone());
                return Ok(all.into_iter().collect());
            }
            let place = index(step, all.len())?;
            let slot = all.get_mut(place).ok_or_else(|| invalid(step))?;
            match (below.is_empty(), change) {
                (true, Change::Remove) => drop(all.remove(place)),
                (true, Change::Add(new) | Change::Replace(new)) => *slot = new.clone(),
                (false, _) => *slot = changed(slot, below, change)?,
            }
            Ok(all.into_iter().collect())
        }
        _ => Err(missing(step)),
    }
}
