//! Where values lie: which part of the object an expression has in its hands, for who tells what it read.

use portcullis_cel::{CelValue, List, Map, ReadStep};

use super::ask::shown;
use super::names::Seen;
use crate::value::{self, Value, View};

/// Most parts of the object whose places are known.
const MOST_PLACES: usize = 10_000;

/// Lists and objects of what is reviewed, with the keys that lead to them from the input on. Values of an expression are never
/// copied, so that where one lies tells which it is.
pub(super) struct Places(Vec<(Value, Vec<Value>)>);

impl Places {
    pub(super) fn of(seen: &Seen) -> Self {
        let mut known = Vec::new();
        for (name, value) in [("object", &seen.object), ("oldObject", &seen.old_object)] {
            if let CelValue::Map(Map::Input(object)) = value {
                collect(object, vec![Value::from("review"), Value::from(name)], &mut known);
            }
        }
        Self(known)
    }

    /// Which part a value is, if it is one.
    pub(super) fn of_value(&self, value: &CelValue) -> Option<Vec<Value>> {
        let (CelValue::List(List::Input(wanted)) | CelValue::Map(Map::Input(wanted))) = value else {
            return None;
        };
        // All that are empty may lie at one place.
        if wanted.count() == Some(0) {
            return None;
        }
        self.0.iter().find(|(known, _)| known.is_same(wanted)).map(|(_, path)| path.clone())
    }
}

/// The lists and objects of an object, with where they are.
fn collect(object: &Value, path: Vec<Value>, found: &mut Vec<(Value, Vec<Value>)>) {
    let mut waiting = vec![(object.clone(), path)];
    while let Some((value, path)) = waiting.pop() {
        if found.len() >= MOST_PLACES {
            return;
        }
        let is_deep = |value: &Value| matches!(value.view(), View::Array(_) | View::Object(_));
        let below = |key: Value| -> Vec<Value> { path.iter().cloned().chain([key]).collect() };
        match value.view() {
            View::Array(items) => {
                let items = items.iter().enumerate().filter(|(_, item)| is_deep(item));
                waiting.extend(items.filter_map(|(position, item)| {
                    Some((item.clone(), below(Value::from(i64::try_from(position).ok()?))))
                }));
            }
            View::Object(_) => {
                let entries = value::entries(&value).filter(|(_, part)| is_deep(part));
                waiting.extend(entries.map(|(key, part)| (part.clone(), below(Value::from(key)))));
            }
            _ => {}
        }
        found.push((value, path));
    }
}

pub(super) fn key(step: &ReadStep) -> Value {
    match step {
        ReadStep::Field(name) => Value::from(name.as_str()),
        ReadStep::Index(index) => Value::from(*index),
    }
}

/// What is in a value, if it is there.
pub(super) fn at(value: &CelValue, path: &[ReadStep]) -> Option<CelValue> {
    path.iter().try_fold(value.clone(), |value, step| match (&value, step) {
        (CelValue::Map(map), ReadStep::Field(name)) => map.get(&CelValue::from(name.as_str())),
        (CelValue::List(list), ReadStep::Index(index)) => list.get(usize::try_from(*index).ok()?),
        (CelValue::Optional(Some(inner)), _) => at(inner, std::slice::from_ref(step)),
        _ => None,
    })
}

/// Whether two values are the same by where they lie.
pub(super) fn is_same(a: &CelValue, b: &CelValue) -> bool {
    match (a, b) {
        (CelValue::List(List::Input(a)), CelValue::List(List::Input(b)))
        | (CelValue::Map(Map::Input(a)), CelValue::Map(Map::Input(b))) => a.is_same(b),
        _ => false,
    }
}

/// A value as one of the engine: what it has none for as a text.
pub(super) fn plain(value: &CelValue) -> Value {
    match value {
        CelValue::List(List::Input(value)) | CelValue::Map(Map::Input(value)) => value.clone(),
        other => value::from_json(&shown(other, 0)),
    }
}
