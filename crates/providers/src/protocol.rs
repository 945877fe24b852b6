//! What is sent to providers and what comes back: bytes to values, no I/O.

use std::collections::HashMap;
use std::sync::Arc;

use portcullis::{ProviderAnswer, ProviderItem};
use portcullis_value::json::{JsonError, parse};
use portcullis_value::{Budget, Limits, Value, View};

/// A request, as Go writes it: `<`, `>` and `&` are escaped.
pub(crate) fn request(keys: &[Arc<str>]) -> Vec<u8> {
    let keys: Vec<Value> = keys.iter().map(|key| Value::from(&**key)).collect();
    let keys = Value::from(keys).to_json();
    format!(
        r#"{{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderRequest","request":{{"keys":{keys}}}}}"#
    )
    .into_bytes()
}

/// What a provider replied.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Reply {
    pub(crate) idempotent: bool,
    pub(crate) items: Vec<(Arc<str>, ProviderItem)>,
    pub(crate) system_error: Arc<str>,
}

impl Reply {
    /// Reads a body, in the way of Go: fields in any case, the last of two counts, unknown ones are left out.
    ///
    /// # Errors
    ///
    /// If it is no JSON or not of this form: one sentence.
    pub(crate) fn read(body: &[u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(body).map_err(|error| format!("it is no UTF-8: {error}"))?;
        // The body is bounded; so is what it is read into.
        let memory = (body.len() as u64).saturating_mul(16).saturating_add(1 << 16);
        let limits = Limits { steps: u64::MAX, memory, ..Limits::default() };
        let value = parse(&mut Budget::new(limits, None), text).map_err(|error| match error {
            JsonError::Invalid(sentence) => sentence,
            JsonError::Limit(exceeded) => exceeded.message,
        })?;
        let mut reply = Self::default();
        let root = fields(&value, "the reply")?;
        for (name, value) in root {
            if name.eq_ignore_ascii_case("response") {
                for (name, value) in fields(value, "`response`")? {
                    reply.field(name, value)?;
                }
            } else if name.eq_ignore_ascii_case("kind") || name.eq_ignore_ascii_case("apiVersion") {
                text_of(value, name)?;
            }
        }
        Ok(reply)
    }

    fn field(&mut self, name: &str, value: &Value) -> Result<(), String> {
        if name.eq_ignore_ascii_case("idempotent") {
            match value.view() {
                View::Bool(idempotent) => self.idempotent = idempotent,
                View::Null => {}
                _ => return Err(format!("`idempotent` must be a boolean, and is {}", value.ty().name())),
            }
        } else if name.eq_ignore_ascii_case("systemError") {
            self.system_error = text_of(value, name)?.into();
        } else if name.eq_ignore_ascii_case("items") && !value.is_null() {
            let Some(items) = value.as_array() else {
                return Err(format!("`items` must be a list, and is {}", value.ty().name()));
            };
            self.items = items.iter().map(item).collect::<Result<_, _>>()?;
        }
        Ok(())
    }

    /// What it says of each key that was asked. Of what was not asked nothing is taken; a key of which nothing is said
    /// is an error of that key, unless the reply as a whole is one.
    pub(crate) fn of_keys(self, keys: &[Arc<str>], status_code: u16) -> Vec<(Arc<str>, ProviderAnswer)> {
        let mut by_key: HashMap<&str, Vec<ProviderItem>> =
            keys.iter().map(|key| (&**key, Vec::new())).collect();
        for (key, item) in self.items {
            if let Some(items) = by_key.get_mut(&*key) {
                items.push(item);
            }
        }
        let answer = |key: &Arc<str>| {
            let mut items = by_key.remove(&**key).unwrap_or_default();
            if items.is_empty() && self.system_error.is_empty() {
                items.push(ProviderItem::Silent);
            }
            let (system_error, is_idempotent) = (self.system_error.clone(), self.idempotent);
            (
                key.clone(),
                ProviderAnswer::Reply { items: items.into(), status_code, system_error, is_idempotent },
            )
        };
        keys.iter().map(answer).collect()
    }
}

fn fields<'v>(value: &'v Value, what: &str) -> Result<Vec<(&'v str, &'v Value)>, String> {
    match value.view() {
        View::Null => Ok(Vec::new()),
        View::Object(object) => {
            Ok(object.iter().filter_map(|(name, value)| Some((name.as_str()?, value))).collect())
        }
        _ => Err(format!("{what} must be an object, and is {}", value.ty().name())),
    }
}

fn text_of<'v>(value: &'v Value, name: &str) -> Result<&'v str, String> {
    match value.view() {
        View::Null => Ok(""),
        View::String(text) => Ok(text),
        _ => Err(format!("`{name}` must be a string, and is {}", value.ty().name())),
    }
}

fn item(value: &Value) -> Result<(Arc<str>, ProviderItem), String> {
    let (mut key, mut said, mut error) = ("", Value::NULL, "");
    for (name, value) in fields(value, "an item")? {
        if name.eq_ignore_ascii_case("key") {
            key = text_of(value, name)?;
        } else if name.eq_ignore_ascii_case("value") {
            said = value.clone();
        } else if name.eq_ignore_ascii_case("error") {
            error = text_of(value, name)?;
        }
    }
    let item = if error.is_empty() { ProviderItem::Value(said) } else { ProviderItem::Error(error.into()) };
    Ok((key.into(), item))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_written_as_go_writes_them() {
        let keys = ["é😀".into(), "<&>".into(), "\"q\"".into()];
        assert_eq!(
            String::from_utf8(request(&keys)).unwrap(),
            r#"{"apiVersion":"externaldata.gatekeeper.sh/v1beta1","kind":"ProviderRequest","request":{"keys":["é😀","\u003c\u0026\u003e","\"q\""]}}"#
        );
    }

    #[test]
    fn what_was_not_asked_is_not_taken_and_silence_is_an_error() {
        let body = br#"{"Response": {"ITEMS": [{"key": "x", "value": 1}, {"Key": "a", "VALUE": {"b": [1]}}, {"value": 2}]}}"#;
        let reply = Reply::read(body).unwrap();
        let answers = reply.of_keys(&["a".into(), "b".into()], 200);
        let item = |answer: &ProviderAnswer| match answer {
            ProviderAnswer::Reply { items, .. } => format!("{items:?}"),
            ProviderAnswer::Failure { .. } => panic!("{answer:?}"),
        };
        let [(_, a), (_, b)] = &*answers else { panic!("{answers:?}") };
        assert_eq!(item(a), r#"[Value({"b":[1]})]"#);
        assert_eq!(item(b), "[Silent]");
    }

    #[test]
    fn other_forms_are_refused() {
        for body in [
            "",
            "hello",
            "[]",
            "\"x\"",
            r#"{"response": 1}"#,
            r#"{"response": {"items": {}}}"#,
            "\u{feff}{}",
            "{} x",
            r#"{"response": {"items": [{"key": 1}]}}"#,
            r#"{"response": {"items": [{"key": "a", "error": 5}]}}"#,
            r#"{"response": {"idempotent": "yes"}}"#,
            r#"{"response": {"systemError": 1}}"#,
            r#"{"response": {"items": [1]}}"#,
        ] {
            assert!(Reply::read(body.as_bytes()).is_err(), "{body}");
        }
        assert!(Reply::read(b"\xff").is_err());
        let deep = "[".repeat(100_000);
        assert!(Reply::read(deep.as_bytes()).is_err());
        assert_eq!(Reply::read(b"null"), Ok(Reply::default()));
    }
}
