//! Objects by their keys.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use regorus::Value;

use super::operand::{array, value, wrong_element, wrong_type};
use super::{Context, Failure, Outcome, collect};
use crate::limits::Budget;
use crate::term::{self, MOST_NESTING, too_deep};

table![
    "object.filter" / 2 => filter,
    "object.get" / 3 => get,
    "object.keys" / 1 => keys,
    "object.remove" / 2 => remove,
    "object.union" / 2 => union,
    "object.union_n" / 1 => union_n,
];

/// An array of keys is a path, and an empty one is the object itself.
fn get(context: &mut Context<'_, '_>, args: &[Value]) -> Outcome {
    let (object, key, default) = (object_operand(args, 1)?, value(args, 2)?, value(args, 3)?);
    let path = match key {
        Value::Array(path) => path.as_slice(),
        key => std::slice::from_ref(key),
    };
    Ok(find(context.budget, object, path)?.unwrap_or(default).clone())
}

/// What a path comes to.
fn find<'v>(
    budget: &mut Budget<'_>,
    mut value: &'v Value,
    path: &[Value],
) -> Result<Option<&'v Value>, Failure> {
    for key in path {
        budget.step(1)?;
        term::weigh(budget, key)?;
        let Some(child) = child(value, key) else { return Ok(None) };
        value = child;
    }
    Ok(Some(value))
}

/// The value at a key, as `value[key]` has it; the key has been weighed.
pub(super) fn child<'v>(value: &'v Value, key: &Value) -> Option<&'v Value> {
    match value {
        Value::Object(object) => object.get(key),
        Value::Set(set) => set.get(key),
        Value::Array(items) => {
            let index = super::number::small(key).and_then(|index| usize::try_from(index).ok())?;
            items.get(index)
        }
        _ => None,
    }
}

fn keys(context: &mut Context<'_, '_>, args: &[Value]) -> Outcome {
    let Value::Object(object) = object_operand(args, 1)? else { return Ok(Value::Undefined) };
    collect::set(context.budget, object.keys())
}

fn filter(context: &mut Context<'_, '_>, args: &[Value]) -> Outcome {
    chosen(context, args, true)
}

fn remove(context: &mut Context<'_, '_>, args: &[Value]) -> Outcome {
    chosen(context, args, false)
}

/// The entries with one of the keys, or those with none of them.
fn chosen(context: &mut Context<'_, '_>, args: &[Value], is_kept: bool) -> Outcome {
    let Value::Object(object) = object_operand(args, 1)? else { return Ok(Value::Undefined) };
    let budget = &mut *context.budget;
    let keys: Vec<&Value> = match value(args, 2)? {
        Value::Array(items) => items.iter().collect(),
        Value::Set(items) => items.iter().collect(),
        Value::Object(object) => object.keys().collect(),
        other => return Err(wrong_type(2, other, &["object", "set", "array"])),
    };
    let mut chosen = BTreeSet::new();
    for key in keys {
        budget.step(1)?;
        term::weigh(budget, key)?;
        chosen.insert(key);
    }
    let mut result = Vec::new();
    for (key, value) in object.iter() {
        budget.step(1)?;
        term::weigh(budget, key)?;
        if chosen.contains(key) == is_kept {
            budget.make_items(2)?;
            result.push((key.clone(), value.clone()));
        }
    }
    // Made at once, which is fast for what is in order already.
    Ok(Value::from(result.into_iter().collect::<BTreeMap<_, _>>()))
}

fn union(context: &mut Context<'_, '_>, args: &[Value]) -> Outcome {
    let mut result = object_operand(args, 1)?.clone();
    merge(context.budget, &mut result, object_operand(args, 2)?, 0)?;
    Ok(result)
}

fn union_n(context: &mut Context<'_, '_>, args: &[Value]) -> Outcome {
    let mut result = Value::new_object();
    let objects = array(args, 1)?;
    if let Some(other) = objects.iter().find(|object| !matches!(object, Value::Object(_))) {
        return Err(wrong_element(1, value(args, 1)?, other, "object"));
    }
    for object in objects {
        merge(context.budget, &mut result, object, 0)?;
    }
    Ok(result)
}

/// Puts the second value over the first: objects are merged, everything else is replaced.
fn merge(budget: &mut Budget<'_>, value: &mut Value, over: &Value, depth: usize) -> Result<(), Failure> {
    if depth > MOST_NESTING {
        return Err(too_deep().into());
    }
    budget.step(1)?;
    let (Value::Object(object), Value::Object(over_object)) = (&mut *value, over) else {
        *value = over.clone();
        return Ok(());
    };
    if over_object.is_empty() {
        return Ok(());
    }
    if Arc::get_mut(object).is_none() {
        // Shared, as the arguments always are: it is copied, one level.
        budget.make_items(object.len().saturating_mul(2))?;
    }
    let object = Arc::make_mut(object);
    for (key, over) in over_object.iter() {
        budget.make_items(2)?;
        term::weigh(budget, key)?;
        match object.get_mut(key) {
            Some(value) => merge(budget, value, over, depth + 1)?,
            None => {
                object.insert(key.clone(), over.clone());
            }
        }
    }
    Ok(())
}

/// The argument, which must be an object.
pub(super) fn object_operand(args: &[Value], position: usize) -> Result<&Value, Failure> {
    let value = value(args, position)?;
    if matches!(value, Value::Object(_)) { Ok(value) } else { Err(wrong_type(position, value, &["object"])) }
}
