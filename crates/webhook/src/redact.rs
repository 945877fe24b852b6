//! What must not be recorded: the data of Secrets, the fields that the command line names, and texts that repeat one of them.
//!
//! ```text
//! request ──hide──> request without secrets, Secrets ──mask──> messages and details without them
//! ```

use std::collections::BTreeSet;
use std::str::FromStr;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use portcullis::{FieldPath, Segment};
use serde_json::Value;

/// What stands where something secret was.
pub const REDACTED: &str = "<redacted>";
/// `kubectl apply` writes the whole object into it.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Shorter values stand in texts by chance, so they are secret there only as words of their own.
const SHORT: usize = 4;
/// A line of a longer value that says something by itself.
const LINE: usize = 8;

/// Fields of objects: `spec.containers[*].env[*].value`. `*` is any key or position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(FieldPath);

impl FromStr for Pattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let path = FieldPath::parse(&text.replace("[*]", ".*"));
        path.filter(|path| !path.is_root()).map(Self).ok_or_else(|| {
            "expected the path of a field, such as `spec.containers[*].env[*].value`".to_owned()
        })
    }
}

/// Texts that are secret in one request.
#[derive(Clone, Debug, Default)]
pub struct Secrets(BTreeSet<String>);

impl Secrets {
    /// Takes what is secret out of a request, `object` and `oldObject`.
    #[must_use]
    pub fn hide(request: &mut Value, patterns: &[Pattern]) -> Self {
        let mut secrets = Self::default();
        for object in ["object", "oldObject"] {
            if let Some(object) = request.get_mut(object) {
                secrets.hide_in_object(object, patterns);
            }
        }
        secrets
    }

    /// True if nothing was found.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn hide_in_object(&mut self, object: &mut Value, patterns: &[Pattern]) {
        let is_secret = object["kind"] == "Secret" && object["apiVersion"] == "v1";
        if is_secret {
            for field in ["data", "stringData"] {
                if let Some(field) = object.get_mut(field) {
                    self.take(field);
                }
            }
        }
        for Pattern(path) in patterns {
            self.hide_at(object, path.segments());
        }
        // It holds the object again, as it was.
        let applied = object.pointer_mut("/metadata/annotations").and_then(|all| all.get_mut(LAST_APPLIED));
        if let Some(applied) = applied.filter(|_| is_secret || !patterns.is_empty()) {
            if let Some(Ok(mut object)) = applied.as_str().map(serde_json::from_str::<Value>) {
                self.hide_in_object(&mut object, patterns);
            }
            *applied = REDACTED.into();
        }
    }

    fn hide_at(&mut self, value: &mut Value, path: &[Segment]) {
        let Some((first, rest)) = path.split_first() else { return self.take(value) };
        match (value, first) {
            (Value::Object(fields), Segment::Key(key)) if &**key == "*" => {
                fields.values_mut().for_each(|field| self.hide_at(field, rest));
            }
            (Value::Object(fields), segment) => {
                let key = match segment {
                    Segment::Key(key) => key.to_string(),
                    Segment::Index(index) => index.to_string(),
                };
                if let Some(field) = fields.get_mut(&key) {
                    self.hide_at(field, rest);
                }
            }
            (Value::Array(items), Segment::Index(index)) => {
                if let Some(item) = items.get_mut(*index) {
                    self.hide_at(item, rest);
                }
            }
            // Also where `[*]` was forgotten.
            (Value::Array(items), Segment::Key(key)) => {
                let rest = if &**key == "*" { rest } else { path };
                for item in items {
                    self.hide_at(item, rest);
                }
            }
            _ => {}
        }
    }

    /// Takes a value out, with all that is in it.
    fn take(&mut self, value: &mut Value) {
        match value {
            Value::Object(fields) => fields.values_mut().for_each(|field| self.take(field)),
            Value::Array(items) => items.iter_mut().for_each(|item| self.take(item)),
            Value::String(text) if text == REDACTED => {}
            Value::Null => {}
            Value::String(text) => {
                self.add(text);
                *value = REDACTED.into();
            }
            Value::Bool(_) | Value::Number(_) => {
                self.add(&value.to_string());
                *value = REDACTED.into();
            }
        }
    }

    fn add(&mut self, text: &str) {
        self.add_text(text);
        // The data of Secrets, which policies may decode.
        if let Some(decoded) =
            BASE64_STANDARD.decode(text).ok().and_then(|bytes| String::from_utf8(bytes).ok())
        {
            self.add_text(&decoded);
        }
    }

    fn add_text(&mut self, text: &str) {
        if text.trim().is_empty() {
            return;
        }
        self.0.insert(text.to_owned());
        // As part of a value that is printed.
        let printed = Value::from(text).to_string();
        self.0.extend(printed.get(1..printed.len() - 1).map(str::to_owned));
        self.0.extend(text.lines().map(str::trim).filter(|line| line.len() >= LINE).map(str::to_owned));
    }

    /// A text without what is secret.
    #[must_use]
    pub fn mask(&self, text: &str) -> String {
        let mut text = text.to_owned();
        let mut secrets: Vec<&String> = self.0.iter().collect();
        // A secret may be part of another.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        for secret in secrets {
            if text.contains(secret.as_str()) {
                text = mask_one(&text, secret);
            }
        }
        text
    }

    /// A value without what is secret, in keys and values.
    #[must_use]
    pub fn mask_value(&self, value: &Value) -> Value {
        match value {
            Value::Object(fields) => {
                fields.iter().map(|(key, field)| (self.mask(key), self.mask_value(field))).collect()
            }
            Value::Array(items) => items.iter().map(|item| self.mask_value(item)).collect(),
            Value::String(text) => self.mask(text).into(),
            Value::Bool(_) | Value::Number(_) if self.0.contains(&value.to_string()) => REDACTED.into(),
            other => other.clone(),
        }
    }
}

fn mask_one(text: &str, secret: &str) -> String {
    let is_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(secret) {
        masked.push_str(before);
        let inside = is_word(masked.chars().next_back()) || is_word(after.chars().next());
        masked.push_str(if secret.len() < SHORT && inside { secret } else { REDACTED });
        rest = after;
    }
    masked + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn patterns(paths: &[&str]) -> Vec<Pattern> {
        paths.iter().map(|path| path.parse().unwrap()).collect()
    }

    #[test]
    fn secrets_are_nowhere() {
        let applied = r#"{"apiVersion":"v1","kind":"Secret","data":{"old":"b2xkLXNlY3JldA=="}}"#;
        let secret = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "db", "annotations": {LAST_APPLIED: applied, "note": "seen"}},
            "data": {"password": "aHVudGVyMi1pcy1sb25n", "pin": "NDI="},
            "stringData": {"key": "-----BEGIN-----\nline-of-a-key\n", "n": "7"},
        });
        let mut request = json!({"uid": "u", "object": secret, "oldObject": null});
        let secrets = Secrets::hide(&mut request, &[]);
        let text = request.to_string();
        for leak in ["aHVudGVy", "line-of", "b2xkLXN", "NDI=", "\"7\""] {
            assert!(!text.contains(leak), "{leak} in {text}");
        }
        assert!(text.contains("\"password\":\"<redacted>\"") && text.contains("seen"), "{text}");
        for (said, masked) in [
            ("password hunter2-is-long is weak", "password <redacted> is weak"),
            ("aHVudGVyMi1pcy1sb25n", "<redacted>"),
            ("was old-secret", "was <redacted>"),
            (r#"{"key": "-----BEGIN-----\nline-of-a-key\n"}"#, r#"{"key": "<redacted>"}"#),
            ("the line-of-a-key leaks", "the <redacted> leaks"),
            ("pin 42, not 1428 of 7 or v7", "pin <redacted>, not 1428 of <redacted> or v7"),
        ] {
            assert_eq!(secrets.mask(said), masked);
        }
        let details = json!({"hunter2-is-long": ["old-secret", 42, 43, true]});
        assert_eq!(secrets.mask_value(&details), json!({"<redacted>": [REDACTED, REDACTED, 43, true]}));
    }

    #[test]
    fn fields_are_secret_by_path() {
        let pod = json!({"kind": "Pod", "spec": {"containers": [
            {"name": "a", "env": [{"name": "TOKEN", "value": "t0psecret"}]},
            {"name": "b", "env": [{"name": "OTHER", "value": "s3cond"}], "ports": [8080]},
        ]}});
        for paths in [["spec.containers[*].env[*].value"], ["spec.containers.env.value"]] {
            let mut request = json!({"object": pod, "oldObject": pod});
            let secrets = Secrets::hide(&mut request, &patterns(&paths));
            assert!(!request.to_string().contains("t0psecret") && !request.to_string().contains("s3cond"));
            assert!(request.to_string().contains("TOKEN"));
            assert_eq!(secrets.mask("t0psecret, s3cond"), "<redacted>, <redacted>");
        }
        let mut request = json!({"object": pod});
        let secrets = Secrets::hide(&mut request, &patterns(&["spec.containers[1].ports", "spec.none[*].x"]));
        assert_eq!(request["object"]["spec"]["containers"][1]["ports"], json!([REDACTED]));
        assert_eq!(secrets.mask("port 8080"), "port <redacted>");
        for wrong in ["", "$", "a[", "[*"] {
            assert!(wrong.parse::<Pattern>().is_err(), "{wrong}");
        }
    }
}
