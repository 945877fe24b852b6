//! The engine's JSON values, and the only place that converts to and from them.
//!
//! [`Value`] is the value type of the Rego engine, so that an object that was parsed once is evaluated as it is,
//! shared by reference count. It stays inside the crate: public types hold it privately and speak serde.
//!
//! Numbers are exact: integers of any size stay integers, floats are the shortest form that reads back.

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

pub(crate) use portcullis_rego::Value;

/// The value of a key, if `value` is an object that has it. No allocation for small objects, as those of manifests are; a look-up in
/// large ones.
pub(crate) fn get<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    const SMALL: usize = 32;
    if let Value::Object(object) = value
        && object.len() > SMALL
    {
        return object.get(&Value::String(key.into()));
    }
    entries(value).find(|(name, _)| *name == key).map(|(_, value)| value)
}

/// The value below several keys.
pub(crate) fn get_path<'a>(value: &'a Value, keys: &[&str]) -> Option<&'a Value> {
    keys.iter().try_fold(value, |value, key| get(value, key))
}

/// The string below several keys.
pub(crate) fn str_at<'a>(value: &'a Value, keys: &[&str]) -> Option<&'a str> {
    get_path(value, keys).and_then(as_str)
}

/// The text, if `value` is a string.
pub(crate) fn as_str(value: &Value) -> Option<&str> {
    match value {
        Value::String(text) => Some(text),
        _ => None,
    }
}

/// Keys and values in key order; nothing if `value` is not an object. Keys that are not strings cannot come
/// from JSON and are left out.
pub(crate) fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    let object = match value {
        Value::Object(object) => Some(object),
        _ => None,
    };
    object
        .into_iter()
        .flat_map(|object| object.iter_sorted())
        .filter_map(|(key, value)| as_str(key).map(|key| (key, value)))
}

/// The elements; nothing if `value` is not an array.
pub(crate) fn items(value: &Value) -> impl Iterator<Item = &Value> {
    let array = match value {
        Value::Array(array) => Some(array),
        _ => None,
    };
    array.into_iter().flat_map(|array| array.iter())
}

/// An object from its entries; a later entry replaces an earlier one of the same key.
pub(crate) fn object<K: Into<std::sync::Arc<str>>>(entries: impl IntoIterator<Item = (K, Value)>) -> Value {
    let map: std::collections::BTreeMap<Value, Value> =
        entries.into_iter().map(|(key, value)| (Value::String(key.into()), value)).collect();
    Value::from(map)
}

/// The parts of a value at some paths, each with all below it. A step is a key, or `None` for any. Lists keep their length.
pub(crate) fn only(value: &Value, paths: &[&[Option<std::sync::Arc<str>>]]) -> Value {
    if paths.iter().any(|path| path.is_empty()) {
        return value.clone();
    }
    match value {
        Value::Object(_) => object(entries(value).filter_map(|(key, child)| {
            let below: Vec<_> = paths
                .iter()
                .filter_map(|path| path.split_first())
                .filter(|(step, _)| step.as_deref().is_none_or(|step| step == key))
                .map(|(_, rest)| rest)
                .collect();
            (!below.is_empty()).then(|| (key, only(child, &below)))
        })),
        // A key can be an index too, so that all of the list is meant.
        Value::Array(_) if paths.iter().any(|path| matches!(path.first(), Some(Some(_)))) => value.clone(),
        Value::Array(_) => {
            let below: Vec<_> = paths.iter().filter_map(|path| path.get(1..)).collect();
            Value::from(items(value).map(|item| only(item, &below)).collect::<Vec<_>>())
        }
        scalar => scalar.clone(),
    }
}

/// About how many bytes of memory a value takes that shares nothing.
pub(crate) fn weight(value: &Value) -> usize {
    // A value in its list or map with the headers of what it points at, as measured.
    const NODE: usize = 48;
    let below = match value {
        Value::String(text) => text.len() + 16,
        Value::Array(_) | Value::Set(_) => items(value).map(weight).sum::<usize>() + 32,
        Value::Object(_) => {
            entries(value).map(|(key, child)| key.len() + 40 + weight(child)).sum::<usize>() + 32
        }
        _ => 0,
    };
    NODE + below
}

/// What kind of value this is, in the words of an OpenAPI schema.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_integer() => "integer",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) | Value::Set(_) => "array",
        Value::Object(_) => "object",
        Value::Undefined => "undefined",
    }
}

/// A value as an error message shows it: its type and a shortened form.
pub(crate) fn describe(value: &Value) -> String {
    const SHOWN: usize = 40;
    match value {
        Value::Null => "nothing (null)".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::Array(_) | Value::Set(_) => "a list".to_owned(),
        scalar => {
            let text = match scalar {
                Value::String(text) => text.to_string(),
                other => other.to_string(),
            };
            let mut short: String = text.chars().take(SHOWN).collect();
            if short.len() < text.len() {
                short.push('…');
            }
            format!("{} `{}`", type_name(scalar), short.escape_debug())
        }
    }
}

/// From `serde_json`, exactly: integers beyond 64 bits are the only ones that become floats, and they already
/// are in `serde_json`.
pub(crate) fn from_json(json: &serde_json::Value) -> Value {
    match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::Bool(*value),
        serde_json::Value::Number(number) => number
            .as_i64()
            .map(Value::from)
            .or_else(|| number.as_u64().map(Value::from))
            .or_else(|| number.as_f64().map(from_f64))
            .unwrap_or(Value::Null),
        serde_json::Value::String(text) => Value::String(text.as_str().into()),
        serde_json::Value::Array(items) => Value::from(items.iter().map(from_json).collect::<Vec<_>>()),
        serde_json::Value::Object(fields) => {
            object(fields.iter().map(|(key, value)| (key.as_str(), from_json(value))))
        }
    }
}

/// A float; one without a fraction becomes the integer that JSON prints for it (`1.0` is `1`).
pub(crate) fn from_f64(number: f64) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "integral and within 2^53, checked above")]
        return Value::from(number as i64);
    }
    Value::from(number)
}

/// To `serde_json`. Sets become arrays in their order; undefined cannot occur in documents and becomes null.
pub(crate) fn to_json(value: &Value) -> serde_json::Value {
    serde_json::to_value(Json(value)).unwrap_or_default()
}

/// A value as a text of JSON, if that has no more than so many bytes.
pub(crate) fn to_json_text(value: &Value, most: usize) -> Option<String> {
    let mut room = most;
    takes_at_most(value, 1, &mut room)?;
    serde_json::to_string(&Json(value)).ok().filter(|text| text.len() <= most)
}

/// Takes the bytes of all texts of a value and some for each part of it; `None` if there are not as many. It ends there. With one for
/// each part this is what the value's text of JSON has at least, and a sixth of what it has or more.
pub(crate) fn takes_at_most(value: &Value, each: usize, room: &mut usize) -> Option<()> {
    let own = match value {
        Value::String(text) => text.len().saturating_add(each),
        _ => each,
    };
    *room = room.checked_sub(own)?;
    match value {
        Value::Array(_) => items(value).try_for_each(|item| takes_at_most(item, each, room)),
        Value::Set(set) => set.iter_sorted().try_for_each(|item| takes_at_most(item, each, room)),
        Value::Object(_) => entries(value).try_for_each(|(key, child)| {
            *room = room.checked_sub(key.len().saturating_add(each))?;
            takes_at_most(child, each, room)
        }),
        _ => Some(()),
    }
}

/// A value as other JSON tools take it. The engine's own serialisation reads the digits of a float back on the way, which may change
/// the last one; this keeps them.
pub(crate) struct Json<'a>(pub(crate) &'a Value);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null | Value::Undefined => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::String(text) => serializer.serialize_str(text),
            Value::Number(number) => {
                // Integers beyond 2^53 have no `as_f64`; floats always have one.
                const EXACT: f64 = 9_007_199_254_740_992.0;
                match number.as_f64() {
                    Some(float) if float.fract() != 0.0 || float.abs() > EXACT => {
                        serializer.serialize_f64(float)
                    }
                    _ => match (number.as_u64(), number.as_i64()) {
                        (Some(unsigned), _) => serializer.serialize_u64(unsigned),
                        (_, Some(signed)) => serializer.serialize_i64(signed),
                        // No reader makes these.
                        _ => number.serialize(serializer),
                    },
                }
            }
            Value::Array(_) | Value::Set(_) => {
                let mut list = serializer.serialize_seq(None)?;
                match self.0 {
                    Value::Set(set) => {
                        set.iter_sorted().try_for_each(|item| list.serialize_element(&Json(item)))?;
                    }
                    array => items(array).try_for_each(|item| list.serialize_element(&Json(item)))?,
                }
                list.end()
            }
            Value::Object(_) => {
                let mut object = serializer.serialize_map(None)?;
                for (key, value) in entries(self.0) {
                    object.serialize_entry(key, &Json(value))?;
                }
                object.end()
            }
        }
    }
}
