//! `json.patch`. Values are never changed: each operation makes the objects and arrays along its path anew.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_value::{Budget, Exceeded, Value, View};

use super::super::aggregates::is_equal;
use super::super::objects::child;
use super::super::operand::{array, value};
use super::super::{Context, Failure, Outcome, collect, number};
use super::paths::parse_path;

/// Why a patch does not apply.
enum Stop {
    /// The builtin is undefined, which OPA does not call an error.
    NoPatch,
    Limit(Exceeded),
}

impl From<Exceeded> for Stop {
    fn from(exceeded: Exceeded) -> Self {
        Self::Limit(exceeded)
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Undefined(_) | Failure::Unavailable(_) | Failure::Wrong(_) | Failure::Unanswered => {
                Self::NoPatch
            }
            Failure::Limit(exceeded) => Self::Limit(exceeded),
        }
    }
}

pub(in crate::builtins) fn patch(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let (target, operations) = (value(args, 1)?, array(args, 2)?);
    match apply(context.budget, target, operations) {
        Ok(patched) => Ok(patched.unwrap_or(Value::UNDEFINED)),
        Err(Stop::NoPatch) => Ok(Value::UNDEFINED),
        Err(Stop::Limit(exceeded)) => Err(Failure::Limit(exceeded)),
    }
}

fn apply(budget: &mut Budget<'_>, target: &Value, operations: &[Value]) -> Result<Option<Value>, Stop> {
    let mut root = Some(target.clone());
    for operation in operations {
        budget.step(1)?;
        let View::Object(fields) = operation.view() else { return Err(Stop::NoPatch) };
        let field = |name: &str| fields.get_str(name).ok_or(Stop::NoPatch);
        let View::String(name) = field("op")?.view() else { return Err(Stop::NoPatch) };
        let path_field = field("path")?;
        let source = match name {
            "add" | "replace" | "test" => Some(field("value")?),
            "move" | "copy" => Some(field("from")?),
            "remove" => None,
            _ => return Err(Stop::NoPatch),
        };
        let path = parse_path(budget, path_field)?;
        let now = root.as_ref();
        root = match (name, source) {
            ("add", Some(new)) => Some(insert(budget, now, &path, new)?),
            ("replace", Some(new)) => {
                let removed = delete(budget, now, &path)?;
                Some(insert(budget, removed.as_ref(), &path, new)?)
            }
            ("test", Some(wanted)) => {
                let found = find(budget, now, &path)?;
                if !is_equal(budget, &found, wanted)? {
                    return Err(Stop::NoPatch);
                }
                root
            }
            ("copy", Some(from)) => {
                let from = parse_path(budget, from)?;
                let found = find(budget, now, &from)?;
                Some(insert(budget, now, &path, &found)?)
            }
            ("move", Some(from)) => {
                let from = parse_path(budget, from)?;
                let found = find(budget, now, &from)?;
                let removed = delete(budget, now, &from)?;
                Some(insert(budget, removed.as_ref(), &path, &found)?)
            }
            _ => delete(budget, now, &path)?,
        };
    }
    Ok(root)
}

fn find(budget: &mut Budget<'_>, root: Option<&Value>, path: &[Value]) -> Result<Value, Stop> {
    let mut value = root.ok_or(Stop::NoPatch)?;
    for key in path {
        budget.step(1)?;
        value = step(budget, value, key)?;
    }
    Ok(value.clone())
}

/// The value at one key.
fn step<'v>(budget: &mut Budget<'_>, value: &'v Value, key: &Value) -> Result<&'v Value, Stop> {
    portcullis_value::weigh(budget, key)?;
    let found = match value.view() {
        View::Array(items) => items.get(index(key, items.len())?),
        _ => child(value, key),
    };
    found.ok_or(Stop::NoPatch)
}

/// The value with another at the path.
fn insert(budget: &mut Budget<'_>, root: Option<&Value>, path: &[Value], new: &Value) -> Result<Value, Stop> {
    // So that patching again and again makes nothing deeper than can be worked on.
    portcullis_value::weigh_at(budget, new, path.len())?;
    let Some((last, above)) = path.split_last() else { return Ok(new.clone()) };
    edit(budget, root.ok_or(Stop::NoPatch)?, above, &mut |budget, parent| {
        portcullis_value::weigh(budget, last)?;
        match parent.view() {
            View::Object(object) => {
                budget.make_items(object.len().saturating_mul(2))?;
                let mut copy = object.to_map();
                copy.insert(last.clone(), new.clone());
                Ok(Value::from(copy))
            }
            View::Set(set) => {
                if !is_equal(budget, last, new)? {
                    return Err(Stop::NoPatch);
                }
                budget.make_items(set.len())?;
                let mut copy: BTreeSet<Value> = set.iter().cloned().collect();
                copy.insert(new.clone());
                Ok(Value::from(copy))
            }
            View::Array(items) => {
                let index = index(last, items.len())?;
                budget.make_items(items.len())?;
                let mut copy: Vec<Value> = items.to_vec();
                if index > copy.len() {
                    return Err(Stop::NoPatch);
                }
                copy.insert(index, new.clone());
                Ok(Value::from(copy))
            }
            _ => Err(Stop::NoPatch),
        }
    })
}

/// The value without what is at the path; none, if that is all of it.
fn delete(budget: &mut Budget<'_>, root: Option<&Value>, path: &[Value]) -> Result<Option<Value>, Stop> {
    let root = root.ok_or(Stop::NoPatch)?;
    let Some((last, above)) = path.split_last() else { return Ok(None) };
    edit(budget, root, above, &mut |budget, parent| {
        step(budget, parent, last)?;
        match parent.view() {
            View::Object(object) => {
                let mut copy = BTreeMap::new();
                for (key, value) in object.iter().filter(|(key, _)| *key != last) {
                    collect::put(budget, &mut copy, key.clone(), value.clone())?;
                }
                Ok(Value::from(copy))
            }
            View::Set(set) => Ok(collect::set(budget, set.iter().filter(|item| *item != last))?),
            View::Array(items) => {
                let index = index(last, items.len())?;
                let left = items.iter().enumerate().filter(|(position, _)| *position != index);
                Ok(collect::array(budget, left.map(|(_, item)| item))?)
            }
            _ => Err(Stop::NoPatch),
        }
    })
    .map(Some)
}

type Edit<'e> = &'e mut dyn FnMut(&mut Budget<'_>, &Value) -> Result<Value, Stop>;

/// The value with an edit of what is at the path.
fn edit(budget: &mut Budget<'_>, value: &Value, path: &[Value], change: Edit<'_>) -> Result<Value, Stop> {
    let Some((key, below)) = path.split_first() else { return change(budget, value) };
    let old = step(budget, value, key)?;
    let new = edit(budget, old, below, change)?;
    match value.view() {
        View::Object(object) => {
            budget.make_items(object.len().saturating_mul(2))?;
            let mut copy = object.to_map();
            copy.insert(key.clone(), new);
            Ok(Value::from(copy))
        }
        View::Set(set) => {
            let mut copy = BTreeSet::new();
            for item in set.iter().filter(|item| *item != key) {
                collect::insert(budget, &mut copy, item.clone())?;
            }
            collect::insert(budget, &mut copy, new)?;
            Ok(Value::from(copy))
        }
        View::Array(items) => {
            let index = index(key, items.len())?;
            budget.make_items(items.len())?;
            let mut copy: Vec<Value> = items.to_vec();
            if let Some(item) = copy.get_mut(index) {
                *item = new;
            }
            Ok(Value::from(copy))
        }
        _ => Err(Stop::NoPatch),
    }
}

/// An index, as a number or its digits; `-` is the one after the last.
fn index(key: &Value, length: usize) -> Result<usize, Stop> {
    let index = match key.view() {
        View::Number(_) => number::small(key),
        View::String("-") => return Ok(length),
        View::String(text) if text != "0" && text.starts_with('0') => None,
        View::String(text) => text.parse().ok(),
        _ => None,
    };
    index.and_then(|index| usize::try_from(index).ok()).ok_or(Stop::NoPatch)
}
