//! Objects by their keys.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_value::{Budget, MAX_NESTING, Value, View, too_deep};

use super::operand::{array, value, wrong_element, wrong_type};
use super::{Context, Failure, Outcome, collect};

table![
    "object.filter" => filter,
    "object.get" => get,
    "object.keys" => keys,
    "object.remove" => remove,
    "object.union" => union,
    "object.union_n" => union_n,
];

/// An array of keys is a path, and an empty one is the object itself.
fn get(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let (object, key, default) = (object_operand(args, 1)?, value(args, 2)?, value(args, 3)?);
    let path = match key.view() {
        View::Array(path) => path,
        _ => std::slice::from_ref(key),
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
        portcullis_value::weigh(budget, key)?;
        let Some(child) = child(value, key) else { return Ok(None) };
        value = child;
    }
    Ok(Some(value))
}

/// The value at a key, as `value[key]` has it; the key has been weighed.
pub(super) fn child<'v>(value: &'v Value, key: &Value) -> Option<&'v Value> {
    match value.view() {
        View::Object(object) => object.get(key),
        View::Set(set) => set.get(key),
        View::Array(items) => {
            let index = super::number::small(key).and_then(|index| usize::try_from(index).ok())?;
            items.get(index)
        }
        _ => None,
    }
}

fn keys(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let View::Object(object) = object_operand(args, 1)?.view() else { return Ok(Value::UNDEFINED) };
    collect::set(context.budget, object.keys())
}

fn filter(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    chosen(context, args, true)
}

fn remove(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    chosen(context, args, false)
}

/// The entries with one of the keys, or those with none of them.
fn chosen(context: &mut Context<'_, '_>, args: &[&Value], is_kept: bool) -> Outcome {
    let View::Object(object) = object_operand(args, 1)?.view() else { return Ok(Value::UNDEFINED) };
    let budget = &mut *context.budget;
    let keys: Vec<&Value> = match value(args, 2)?.view() {
        View::Array(items) => items.iter().collect(),
        View::Set(items) => items.iter().collect(),
        View::Object(object) => object.keys().collect(),
        other => return Err(wrong_type(2, other, &["object", "set", "array"])),
    };
    let mut chosen = BTreeSet::new();
    for key in keys {
        budget.step(1)?;
        portcullis_value::weigh(budget, key)?;
        chosen.insert(key);
    }
    let mut result = Vec::new();
    for (key, value) in object.iter() {
        budget.step(1)?;
        portcullis_value::weigh(budget, key)?;
        if chosen.contains(key) == is_kept {
            budget.make_items(2)?;
            result.push((key.clone(), value.clone()));
        }
    }
    // Made at once, which is fast for what is in order already.
    Ok(Value::from(result.into_iter().collect::<BTreeMap<_, _>>()))
}

fn union(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let mut result = Merged::Value(object_operand(args, 1)?.clone());
    result.put_over(context.budget, object_operand(args, 2)?, 0)?;
    Ok(result.into_value())
}

fn union_n(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let mut result = Merged::Value(Value::new_object());
    let objects = array(args, 1)?;
    if let Some(other) = objects.iter().find(|object| object.as_object().is_none()) {
        return Err(wrong_element(1, value(args, 1)?, other, "object"));
    }
    for object in objects {
        result.put_over(context.budget, object, 0)?;
    }
    Ok(result.into_value())
}

/// What objects are merged into.
enum Merged {
    /// As it was.
    Value(Value),
    /// An object that something was put over.
    Object(BTreeMap<Value, Merged>),
}

impl Merged {
    /// Puts a value over this one: objects are merged, everything else is replaced.
    fn put_over(&mut self, budget: &mut Budget<'_>, over: &Value, depth: usize) -> Result<(), Failure> {
        if depth > MAX_NESTING {
            return Err(too_deep().into());
        }
        budget.step(1)?;
        let Some(over_object) = over.as_object().filter(|_| self.is_object()) else {
            *self = Self::Value(over.clone());
            return Ok(());
        };
        if over_object.is_empty() {
            return Ok(());
        }
        let entries = self.entries(budget)?;
        for (key, over) in over_object.iter() {
            budget.make_items(2)?;
            portcullis_value::weigh(budget, key)?;
            match entries.get_mut(key) {
                Some(value) => value.put_over(budget, over, depth + 1)?,
                None => {
                    entries.insert(key.clone(), Self::Value(over.clone()));
                }
            }
        }
        Ok(())
    }

    fn is_object(&self) -> bool {
        match self {
            Self::Value(value) => value.as_object().is_some(),
            Self::Object(_) => true,
        }
    }

    /// Its entries to change: copied, one level, the first time.
    fn entries(&mut self, budget: &mut Budget<'_>) -> Result<&mut BTreeMap<Value, Self>, Failure> {
        if let Self::Value(value) = self {
            let object = value.as_object().cloned().unwrap_or_default();
            budget.make_items(object.len().saturating_mul(2))?;
            let entries = object.iter().map(|(key, value)| (key.clone(), Self::Value(value.clone())));
            *self = Self::Object(entries.collect());
        }
        match self {
            Self::Object(entries) => Ok(entries),
            Self::Value(_) => Err(super::undefined("no object")),
        }
    }

    fn into_value(self) -> Value {
        match self {
            Self::Value(value) => value,
            Self::Object(entries) => {
                Value::object(entries.into_iter().map(|(key, value)| (key, value.into_value())))
            }
        }
    }
}

/// The argument, which must be an object.
pub(super) fn object_operand<'v>(args: &[&'v Value], position: usize) -> Result<&'v Value, Failure> {
    let value = value(args, position)?;
    if matches!(value.view(), View::Object(_)) {
        Ok(value)
    } else {
        Err(wrong_type(position, value, &["object"]))
    }
}
