//! What the stages ask of values of JSON, and the only place that converts to and from other types of them.
//!
//! [`Value`] is that of the evaluator, so that an object that was parsed once is evaluated as it is, shared
//! by reference count. It stays inside the crate: public types hold it privately and speak serde.

use std::sync::Arc;

pub(crate) use portcullis_value::{Object as ObjectValue, Sharing, Value, View};

/// The value of a key, if `value` is an object that has it.
pub(crate) fn get<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    value.as_object()?.get_str(key)
}

/// The value below several keys.
pub(crate) fn get_path<'a>(value: &'a Value, keys: &[&str]) -> Option<&'a Value> {
    keys.iter().try_fold(value, |value, key| get(value, key))
}

/// The string below several keys.
pub(crate) fn str_at<'a>(value: &'a Value, keys: &[&str]) -> Option<&'a str> {
    get_path(value, keys).and_then(Value::as_str)
}

/// The text, if `value` is a string.
pub(crate) fn as_str(value: &Value) -> Option<&str> {
    value.as_str()
}

/// Keys and values in key order; nothing if `value` is not an object. Keys that are not strings cannot come
/// from JSON and are left out.
pub(crate) fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let entries = value.as_object().into_iter().flat_map(portcullis_value::Object::iter);
    entries.filter_map(|(key, value)| key.as_str().map(|key| (key, value)))
}

/// The elements; nothing if `value` is not an array.
pub(crate) fn items(value: &Value) -> std::slice::Iter<'_, Value> {
    value.as_array().unwrap_or_default().iter()
}

/// An object from its entries; a later entry replaces an earlier one of the same key.
pub(crate) fn object<K: Into<Value>>(entries: impl IntoIterator<Item = (K, Value)>) -> Value {
    Value::object(entries)
}

/// The parts of a value at some paths, each with all below it. A step is a key, or `None` for any. Lists keep
/// their length.
pub(crate) fn only(value: &Value, paths: &[&[Option<Arc<str>>]]) -> Value {
    if paths.iter().any(|path| path.is_empty()) {
        return value.clone();
    }
    match value.view() {
        View::Object(_) => object(entries(value).filter_map(|(key, child)| {
            let below: Vec<_> = paths
                .iter()
                .filter_map(|path| path.split_first())
                .filter(|(step, _)| step.as_deref().is_none_or(|step| step == key))
                .map(|(_, rest)| rest)
                .collect();
            (!below.is_empty()).then(|| (key, only(child, &below)))
        })),
        // A key can be an index too, so that all of the list is meant.
        View::Array(_) if paths.iter().any(|path| matches!(path.first(), Some(Some(_)))) => value.clone(),
        View::Array(items) => {
            let below: Vec<_> = paths.iter().filter_map(|path| path.get(1..)).collect();
            items.iter().map(|item| only(item, &below)).collect()
        }
        _ => value.clone(),
    }
}

/// About how many bytes of memory a value takes that shares nothing.
pub(crate) fn weight(value: &Value) -> usize {
    // A value in its list, and the header of what it points at.
    const NODE: usize = size_of::<Value>();
    const SHARED: usize = 32;
    let text = |text: &str| if text.len() <= 23 { 0 } else { text.len() + SHARED };
    let below = match value.view() {
        View::String(string) => text(string),
        View::Array(items) => items.iter().map(weight).sum::<usize>() + SHARED,
        View::Set(set) => set.iter().map(weight).sum::<usize>() + SHARED,
        View::Object(entries) => {
            entries.iter().map(|(key, child)| weight(key) + weight(child)).sum::<usize>() + SHARED
        }
        _ => 0,
    };
    NODE + below
}

/// What kind of value this is, in the words of an OpenAPI schema.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value.view() {
        View::Number(number) if number.is_integer() => "integer",
        View::Set(_) => "array",
        other => other.ty().name(),
    }
}

/// A value as an error message shows it: its type and a shortened form.
pub(crate) fn describe(value: &Value) -> String {
    const SHOWN: usize = 40;
    match value.view() {
        View::Null => "nothing (null)".to_owned(),
        View::Object(_) => "an object".to_owned(),
        View::Array(_) | View::Set(_) => "a list".to_owned(),
        _ => {
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let mut short: String = text.chars().take(SHOWN).collect();
            if short.len() < text.len() {
                short.push('…');
            }
            format!("{} `{}`", type_name(value), short.escape_debug())
        }
    }
}

/// From `serde_json`, exactly, with floats as floats: integers beyond 64 bits are the only ones that become floats, and they already
/// are in `serde_json`.
pub(crate) fn from_json(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::NULL,
        serde_json::Value::Bool(value) => Value::from(*value),
        serde_json::Value::Number(number) => number
            .as_i64()
            .map(Value::from)
            .or_else(|| number.as_u64().map(Value::from))
            .or_else(|| {
                number.as_f64().map(|float| Value::from(portcullis_value::Number::kept_as_float(float)))
            })
            .unwrap_or(Value::NULL),
        serde_json::Value::String(text) => Value::from(text),
        serde_json::Value::Array(items) => items.iter().map(from_json).collect(),
        serde_json::Value::Object(fields) => {
            object(fields.iter().map(|(key, value)| (key.as_str(), from_json(value))))
        }
    }
}

/// To `serde_json`. Sets become arrays in their order; undefined cannot occur in documents and becomes null.
pub(crate) fn to_json(value: &Value) -> serde_json::Value {
    serde_json::to_value(value).unwrap_or_default()
}

/// A value as a text of JSON, if that has no more than so many bytes.
pub(crate) fn to_json_text(value: &Value, most: usize) -> Option<String> {
    let mut room = most;
    takes_at_most(value, 1, &mut room)?;
    serde_json::to_string(&value).ok().filter(|text| text.len() <= most)
}

/// Takes the bytes of all texts of a value and some for each part of it; `None` if there are not as many. It
/// ends there. With one for each part this is what the value's text of JSON has at least, and a sixth of what
/// it has or more.
pub(crate) fn takes_at_most(value: &Value, each: usize, room: &mut usize) -> Option<()> {
    let own = value.as_str().map_or(0, str::len).saturating_add(each);
    *room = room.checked_sub(own)?;
    match value.view() {
        View::Array(items) => items.iter().try_for_each(|item| takes_at_most(item, each, room)),
        View::Set(set) => set.iter().try_for_each(|item| takes_at_most(item, each, room)),
        View::Object(_) => entries(value).try_for_each(|(key, child)| {
            *room = room.checked_sub(key.len().saturating_add(each))?;
            takes_at_most(child, each, room)
        }),
        _ => Some(()),
    }
}
