//! JSON text, cut into its parts without being read: the objects of a page, the object of an event, the fields of an object.
//!
//! Objects go to the core as the bytes that came. Reading them into another dynamic value first would change numbers, and would give
//! some keys a meaning of their own. What is no JSON has no parts.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::value::RawValue;

/// The fields of an object in their order, each value as it is written.
pub(crate) fn fields(text: &str) -> Vec<(Cow<'_, str>, &RawValue)> {
    let mut reader = serde_json::Deserializer::from_str(text);
    reader.deserialize_map(Fields).unwrap_or_default()
}

/// The text of one field.
pub(crate) fn field<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    fields(text).into_iter().find(|(name, _)| name == key).map(|(_, value)| value.get())
}

/// A field that is a string.
pub(crate) fn string(text: &str, key: &str) -> Option<String> {
    serde_json::from_str(field(text, key)?).ok()
}

/// An object of some fields.
pub(crate) fn object<'a>(fields: impl IntoIterator<Item = (Cow<'a, str>, &'a RawValue)>) -> String {
    let mut text = Vec::new();
    let mut writer = serde_json::Serializer::new(&mut text);
    // Writing into memory cannot fail, and what comes from a text is one.
    let _ = serde::Serializer::collect_map(&mut writer, fields);
    String::from_utf8(text).unwrap_or_default()
}

struct Fields;

impl<'de> Visitor<'de> for Fields {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry::<Key<'de>, &'de RawValue>()? {
            fields.push((field.0.0, field.1));
        }
        Ok(fields)
    }
}

/// A key, borrowed unless it has escapes.
#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_what_was_written() {
        let text = r#"{ "a" : "x" , "b\"":"\u0041", "c": 1.50 ,"d":{"e":[1e400, {}]}}"#;
        assert_eq!(string(text, "a").as_deref(), Some("x"));
        assert_eq!(string(text, "b\"").as_deref(), Some("A"));
        assert_eq!((string(text, "c"), field(text, "c")), (None, Some("1.50")));
        assert_eq!(field(text, "d").and_then(|d| field(d, "e")), Some("[1e400, {}]"));
        let kept = fields(text).into_iter().filter(|(key, _)| key != "a");
        assert_eq!(object(kept), r#"{"b\"":"\u0041","c":1.50,"d":{"e":[1e400, {}]}}"#);
        assert!(fields("[]").is_empty() && fields(r#"{"a":1"#).is_empty());
    }
}
