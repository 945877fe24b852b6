//! The engine's JSON values, and the only place that converts to and from them.
//!
//! [`Value`] is the value type of the Rego engine, so that an object that was parsed once is evaluated as it is,
//! shared by reference count. It stays inside the crate: public types hold it privately and speak serde.
//!
//! Numbers are exact: integers of any size stay integers, floats are the shortest form that reads back.

pub(crate) use regorus::Value;

/// The value of a key, if `value` is an object that has it. No allocation; objects of manifests are small.
pub(crate) fn get<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
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
