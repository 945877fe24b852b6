//! Takes what is secret out of a request, as bytes: no tree is made of it, so that a request takes what its text takes.

use std::borrow::Cow;
use std::collections::BTreeSet;

use portcullis::{FieldPath, Segment};
use serde::de::IgnoredAny;

use super::{Pattern, REDACTED, path};

/// `kubectl apply` writes the whole object into it, and others do so elsewhere.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Texts that are searched for. Of larger objects only that they have secrets is known.
const MAX_TEXT: usize = 32 << 10;
/// Deeper than this fields are not distinguished: all that is there is taken out.
const MAX_DEPTH: usize = 100;
/// A field of parts that is larger is taken out as one.
const MAX_PARTS: usize = 64 << 10;

/// What was found in a request.
#[derive(Debug, Default)]
pub(super) struct Hidden {
    /// Fields of its objects that have something secret.
    pub(super) fields: BTreeSet<FieldPath>,
    pub(super) texts: Texts,
    /// The request without them, in one line.
    pub(super) request: Option<Vec<u8>>,
}

/// What is secret, as it is written.
#[derive(Debug, Default)]
pub(super) struct Texts {
    pub(super) list: BTreeSet<String>,
    bytes: usize,
}

impl Texts {
    /// What is beyond the bound is left out.
    fn add(&mut self, text: &str) {
        if self.bytes.saturating_add(text.len()) <= MAX_TEXT && self.list.insert(text.to_owned()) {
            self.bytes += text.len();
        }
    }
}

/// What is secret in every Secret, for those who ask what policies read.
pub(super) fn secret_fields() -> Vec<FieldPath> {
    let fields: [&[&str]; 3] = [&["data", "*"], &["stringData", "*"], &["metadata", "annotations", "*"]];
    fields.into_iter().map(path).collect()
}

/// A field that is looked for.
#[derive(Clone, Debug)]
struct Wanted {
    /// What is left of its path.
    rest: Vec<Segment>,
    /// Where in the object of the request it is.
    field: FieldPath,
    only: Only,
}

/// What an object is, as far as it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Other,
    /// A TokenReview or a TokenRequest, of whatever group.
    Token,
    Secret,
}

/// Which values of a field are secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Only {
    All,
    /// Texts that hold JSON, such as a whole object.
    Json,
    /// A text that holds an object with something secret, or cannot be read.
    Applied,
}

impl Hidden {
    /// `None` if the body is no JSON.
    pub(super) fn of(body: &[u8], patterns: &[Pattern], keeps_request: bool) -> Option<Self> {
        serde_json::from_slice::<IgnoredAny>(body).ok()?;
        let mut hider = Hider { patterns, hidden: Self::default(), out: Vec::new(), is_kept: keeps_request };
        for (key, value) in entries(body) {
            if text_of(key) == "request" {
                hider.out.clear();
                hider.request(value);
            }
        }
        let Hider { mut hidden, out, .. } = hider;
        hidden.request = Some(out).filter(|out| keeps_request && !out.is_empty());
        Some(hidden)
    }
}

struct Hider<'p> {
    patterns: &'p [Pattern],
    hidden: Hidden,
    out: Vec<u8>,
    /// Whether anybody wants what is written.
    is_kept: bool,
}

impl Hider<'_> {
    fn request(&mut self, request: &[u8]) {
        if !is_object(request) {
            return;
        }
        let kinds = entries(request)
            .filter(|(key, _)| matches!(&*text_of(key), "kind" | "requestKind"))
            .map(|(_, kind)| What::of(kind, field_is(kind, "group", "")));
        let what = kinds.max().unwrap_or(What::Other);
        self.each_entry(request, |hider, key, value| match key {
            "object" | "oldObject" => hider.object(value, what, Vec::new(), &FieldPath::root(), 0),
            _ => hider.copy(value),
        });
    }

    /// An object, or a list of some. `outer` is looked for in it besides what its kind says.
    fn object(&mut self, object: &[u8], what: What, outer: Vec<Wanted>, place: &FieldPath, depth: usize) {
        if !is_object(object) {
            return self.write(object, &outer, depth);
        }
        if depth > MAX_DEPTH {
            self.hidden.fields.insert(place.clone());
            return self.take(object);
        }
        let mut wanted = outer;
        let is_list =
            entries(object).any(|(key, kind)| text_of(key) == "kind" && text_of(kind).ends_with("List"));
        let own = What::of(object, has_core_version(object));
        self.add_wanted(&mut wanted, what.max(own), place);
        self.each_entry(object, |hider, key, value| {
            let inner = below(&wanted, key, false);
            if key != "items" || !is_array(value) || !(is_list || what.max(own) == What::Secret) {
                return hider.write(value, &inner, depth + 1);
            }
            let place = place.child("items").child("*");
            let of_secrets =
                entries(object).any(|(key, kind)| text_of(key) == "kind" && text_of(kind) == "SecretList");
            hider.each_item(value, |hider, position, item| {
                let inner = below(&inner, &position.to_string(), true);
                let what = if of_secrets { What::Secret } else { What::Other };
                hider.object(item, what, inner, &place, depth + 2);
            });
        });
    }

    fn add_wanted(&self, wanted: &mut Vec<Wanted>, what: What, place: &FieldPath) {
        let mut add = |path: &[Segment], field: &[Segment], only| {
            let field = field.iter().fold(place.clone(), |place, step| place.child(step.clone()));
            wanted.push(Wanted { rest: path.to_vec(), field, only });
        };
        if what == What::Token {
            for field in [path(&["spec", "token"]), path(&["status", "token"])] {
                add(field.segments(), field.segments(), Only::All);
            }
        }
        if what == What::Secret {
            for name in ["data", "stringData"] {
                add(path(&[name]).segments(), path(&[name, "*"]).segments(), Only::All);
            }
            let annotations = path(&["metadata", "annotations", "*"]);
            add(annotations.segments(), annotations.segments(), Only::Json);
        }
        for pattern in self.patterns {
            add(pattern.segments(), pattern.segments(), Only::All);
        }
        if !self.patterns.is_empty() {
            let applied = path(&["metadata", "annotations", LAST_APPLIED]);
            add(applied.segments(), applied.segments(), Only::Applied);
        }
    }

    fn is_meant(&self, only: Only, value: &[u8]) -> bool {
        match only {
            Only::All => true,
            Only::Json => text_of(value).trim_start().starts_with(['{', '[']),
            Only::Applied => self.inner(&text_of(value)).is_none_or(|inner| !inner.fields.is_empty()),
        }
    }

    /// What is found in an object that is written in a text; `None` if it is none.
    fn inner(&self, text: &str) -> Option<Hidden> {
        serde_json::from_str::<IgnoredAny>(text).ok().filter(|_| is_object(text.as_bytes()))?;
        let (hidden, out) = (Hidden::default(), Vec::new());
        let mut inner = Hider { patterns: self.patterns, hidden, out, is_kept: false };
        inner.object(text.as_bytes(), What::Other, Vec::new(), &FieldPath::root(), MAX_DEPTH / 2);
        Some(inner.hidden)
    }

    /// A value in which some fields are looked for.
    fn write(&mut self, value: &[u8], wanted: &[Wanted], depth: usize) {
        let here: Vec<&Wanted> = wanted
            .iter()
            .filter(|wanted| wanted.rest.is_empty() || depth > MAX_DEPTH)
            .filter(|wanted| self.is_meant(wanted.only, value))
            .collect();
        if !here.is_empty() {
            if has_scalar(value) {
                self.hidden.fields.extend(here.iter().map(|wanted| wanted.field.clone()));
            }
            return self.take(value);
        }
        if wanted.is_empty() {
            return self.copy(value);
        }
        if is_object(value) {
            self.each_entry(value, |hider, key, value| {
                hider.write(value, &below(wanted, key, false), depth + 1);
            });
        } else if is_array(value) {
            self.each_item(value, |hider, position, item| {
                hider.write(item, &below(wanted, &position.to_string(), true), depth + 1);
            });
        } else {
            self.copy(value);
        }
    }

    /// Takes a value out, with all that is in it. Keys stay.
    fn take(&mut self, value: &[u8]) {
        let start = self.out.len();
        let mut scan = Scan { bytes: value, at: 0 };
        while let Some(token) = scan.token() {
            match token {
                Token::Mark(mark) => self.put(&[mark]),
                Token::Scalar(text) => {
                    if scan.is_key() || text == b"null" {
                        self.put(text);
                    } else {
                        self.learn(text);
                        self.put_redacted();
                    }
                }
            }
            if self.out.len() - start > MAX_PARTS {
                self.out.truncate(start);
                // All of it is still to be learned.
                while let Some(token) = scan.token() {
                    if let Token::Scalar(text) = token
                        && !scan.is_key()
                    {
                        self.learn(text);
                    }
                }
                return self.put_redacted();
            }
        }
    }

    /// Remembers what is secret, to search for it.
    fn learn(&mut self, scalar: &[u8]) {
        let text = text_of(scalar);
        let text = if scalar.starts_with(b"\"") { text } else { String::from_utf8_lossy(scalar) };
        // An object as it was, of which only some fields are secret.
        if let Some(inner) = self.inner(&text) {
            for text in inner.texts.list {
                self.hidden.texts.add(&text);
            }
        } else if text != REDACTED {
            self.hidden.texts.add(&text);
        }
    }

    fn each_entry(&mut self, object: &[u8], mut write: impl FnMut(&mut Self, &str, &[u8])) {
        self.put(b"{");
        for (number, (key, value)) in entries(object).enumerate() {
            if number > 0 {
                self.put(b",");
            }
            self.put(key);
            self.put(b":");
            write(self, &text_of(key), value);
        }
        self.put(b"}");
    }

    fn each_item(&mut self, array: &[u8], mut write: impl FnMut(&mut Self, usize, &[u8])) {
        self.put(b"[");
        let mut scan = Scan { bytes: array, at: 1 };
        for number in 0.. {
            let Some(item) = scan.value() else { break };
            if number > 0 {
                self.put(b",");
            }
            write(self, number, item);
        }
        self.put(b"]");
    }

    /// A value as it is, in one line.
    fn copy(&mut self, value: &[u8]) {
        if !self.is_kept {
            return;
        }
        let mut scan = Scan { bytes: value, at: 0 };
        while let Some(token) = scan.token() {
            match token {
                Token::Mark(mark) => self.put(&[mark]),
                Token::Scalar(text) => self.put(text),
            }
        }
    }

    fn put(&mut self, bytes: &[u8]) {
        if self.is_kept {
            self.out.extend_from_slice(bytes);
        }
    }

    fn put_redacted(&mut self) {
        self.put(b"\"");
        self.put(REDACTED.as_bytes());
        self.put(b"\"");
    }
}

/// What is still looked for below a key or position.
fn below(wanted: &[Wanted], key: &str, is_position: bool) -> Vec<Wanted> {
    let mut inner = Vec::new();
    for wanted in wanted {
        let Some((first, rest)) = wanted.rest.split_first() else { continue };
        let fits = match first {
            Segment::Key(step) => &**step == "*" || (!is_position && &**step == key),
            Segment::Index(index) => index.to_string() == key,
        };
        if fits {
            inner.push(Wanted { rest: rest.to_vec(), ..wanted.clone() });
        } else if is_position && matches!(first, Segment::Key(_)) {
            // Also where `[*]` was forgotten.
            inner.push(wanted.clone());
        }
    }
    inner
}

impl What {
    /// Of an object, or of what names its kind.
    fn of(named: &[u8], is_core: bool) -> Self {
        if is_core && field_is(named, "kind", "Secret") {
            Self::Secret
        } else if field_is(named, "kind", "TokenReview") || field_is(named, "kind", "TokenRequest") {
            Self::Token
        } else {
            Self::Other
        }
    }
}

/// What has no version is of the core group, or may be.
fn has_core_version(object: &[u8]) -> bool {
    let mut versions = entries(object).filter(|(key, _)| text_of(key) == "apiVersion");
    versions.all(|(_, version)| !text_of(version).contains('/'))
}

/// Whether an object has a field with this text. A group that is not there is the empty one.
fn field_is(object: &[u8], name: &str, text: &str) -> bool {
    let mut fields = entries(object).filter(|(key, _)| text_of(key) == name).peekable();
    (fields.peek().is_none() && text.is_empty()) || fields.any(|(_, value)| text_of(value) == text)
}

fn is_object(value: &[u8]) -> bool {
    value.trim_ascii_start().starts_with(b"{")
}

fn is_array(value: &[u8]) -> bool {
    value.trim_ascii_start().starts_with(b"[")
}

fn has_scalar(value: &[u8]) -> bool {
    let mut scan = Scan { bytes: value, at: 0 };
    while let Some(token) = scan.token() {
        if let Token::Scalar(text) = token
            && !scan.is_key()
            && text != b"null"
        {
            return true;
        }
    }
    false
}

/// The text of a string; empty if it is none.
fn text_of(value: &[u8]) -> Cow<'_, str> {
    let value = value.trim_ascii();
    let plain = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
    match plain.map(std::str::from_utf8) {
        Some(Ok(text)) if !text.contains('\\') => Cow::Borrowed(text),
        Some(_) => serde_json::from_slice(value).map(Cow::Owned).unwrap_or_default(),
        None => Cow::Borrowed(""),
    }
}

/// Keys, quoted, and values of an object. None if it is not an object.
fn entries(object: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let object = object.trim_ascii_start();
    let mut scan = Scan { bytes: if object.starts_with(b"{") { object } else { b"" }, at: 1 };
    std::iter::from_fn(move || Some((scan.value()?, scan.value()?)))
}

/// Goes through JSON that is valid.
struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
}

enum Token<'a> {
    /// One of `{}[],:`.
    Mark(u8),
    /// A string, number or word, as it is written.
    Scalar(&'a [u8]),
}

impl<'a> Scan<'a> {
    fn peek(&mut self) -> Option<u8> {
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.bytes.get(self.at).copied()
    }

    fn token(&mut self) -> Option<Token<'a>> {
        let first = self.peek()?;
        let start = self.at;
        self.at += 1;
        match first {
            b'{' | b'}' | b'[' | b']' | b',' | b':' => return Some(Token::Mark(first)),
            b'"' => {
                while let Some(&byte) = self.bytes.get(self.at) {
                    self.at += if byte == b'\\' { 2 } else { 1 };
                    if byte == b'"' {
                        break;
                    }
                }
            }
            _ => {
                let ends = |byte: &u8| byte.is_ascii_whitespace() || b",]}:".contains(byte);
                while self.bytes.get(self.at).is_some_and(|byte| !ends(byte)) {
                    self.at += 1;
                }
            }
        }
        self.bytes.get(start..self.at.min(self.bytes.len())).map(Token::Scalar)
    }

    /// Whether what was just read is a key.
    fn is_key(&mut self) -> bool {
        self.peek() == Some(b':')
    }

    /// The next value of an object or array, keys being values; `None` at its end.
    fn value(&mut self) -> Option<&'a [u8]> {
        while matches!(self.peek()?, b',' | b':') {
            self.at += 1;
        }
        let start = self.at;
        let mut depth = 0_usize;
        loop {
            match self.token()? {
                Token::Mark(b'{' | b'[') => depth += 1,
                // The end of what the value would be in.
                Token::Mark(b'}' | b']') if depth == 0 => return None,
                Token::Mark(b'}' | b']') => depth -= 1,
                Token::Mark(_) | Token::Scalar(_) => {}
            }
            if depth == 0 {
                return self.bytes.get(start..self.at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn hide(request: &Value, paths: &[&str]) -> (Value, Hidden) {
        let patterns: Vec<Pattern> = paths.iter().map(|path| path.parse().unwrap()).collect();
        let body =
            serde_json::to_string_pretty(&json!({"kind": "AdmissionReview", "request": request})).unwrap();
        let hidden = Hidden::of(body.as_bytes(), &patterns, true).unwrap();
        let text = String::from_utf8(hidden.request.clone().unwrap()).unwrap();
        assert!(!text.contains('\n'), "{text}");
        (serde_json::from_str(&text).unwrap(), hidden)
    }

    fn fields(hidden: &Hidden) -> Vec<String> {
        hidden.fields.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn secrets_are_taken_out_of_objects_old_objects_lists_and_annotations() {
        let applied = r#"{"apiVersion":"v1","kind":"Secret","data":{"old":"b2xkLXNlY3JldA=="}}"#;
        let secret = json!({
            "data": {"password": "aHVudGVyMi1pcy1sb25n", "pin": "NDI=", "none": null},
            "stringData": {"key": "two\nlines \"quoted\" \u{1f511}", "n": 7, "deep": [{"a": true}]},
            "kind": "Secret", "apiVersion": "v1",
            "metadata": {"name": "db", "annotations": {LAST_APPLIED: applied, "note": "seen", "other": " [\"x-secret\"]"}},
        });
        let list = json!({"apiVersion": "v1", "kind": "List", "items": [secret, {"kind": "ConfigMap", "data": {"a": "plain"}}]});
        let secrets =
            json!({"apiVersion": "v1", "kind": "SecretList", "items": [{"data": {"a": "c2VjcmV0"}}]});
        for object in [&secret, &list, &secrets] {
            for request in [json!({"object": object, "oldObject": null}), json!({"oldObject": object})] {
                let (clean, hidden) = hide(&request, &[]);
                let text = clean.to_string();
                for leak in
                    ["aHVudGVy", "two", "quoted", "b2xkLXN", "NDI=", "x-secret", "c2VjcmV0", ":7", "true"]
                {
                    assert!(!text.contains(leak), "{leak} in {text}");
                }
                assert!(!hidden.fields.is_empty());
            }
        }
        let (clean, hidden) = hide(&json!({"object": secret}), &[]);
        assert_eq!(clean["object"]["data"], json!({"password": REDACTED, "pin": REDACTED, "none": null}));
        assert_eq!(clean["object"]["metadata"]["annotations"]["note"], "seen");
        assert_eq!(clean["object"]["metadata"]["name"], "db");
        let expected =
            ["data.*", "metadata.annotations.*", "stringData.*"].map(|field| field.replace(".*", "[\"*\"]"));
        assert_eq!(fields(&hidden), expected);
        for text in ["aHVudGVyMi1pcy1sb25n", "b2xkLXNlY3JldA==", "7", "two\nlines \"quoted\" \u{1f511}"] {
            assert!(hidden.texts.list.contains(text), "{text} in {:?}", hidden.texts);
        }
        let (clean, _) = hide(&json!({"object": list}), &[]);
        assert_eq!(clean["object"]["items"][1]["data"]["a"], "plain");
    }

    #[test]
    fn what_is_a_secret_is_told_by_the_request_as_well() {
        let data = json!({"a": "c2VjcmV0"});
        for (request, is_secret) in [
            (
                json!({"kind": {"group": "", "version": "v1", "kind": "Secret"}, "object": {"data": data}}),
                true,
            ),
            (json!({"kind": {"kind": "Secret"}, "object": {"kind": "Other", "data": data}}), true),
            (json!({"object": {"kind": "Secret", "data": data}}), true),
            (json!({"object": {"apiVersion": "acme.io/v1", "kind": "Secret", "data": data}}), false),
            (json!({"kind": {"group": "acme.io", "kind": "Secret"}, "object": {"data": data}}), false),
        ] {
            let (clean, hidden) = hide(&request, &[]);
            assert_eq!(!clean.to_string().contains("c2VjcmV0"), is_secret, "{request}");
            assert_eq!(fields(&hidden).len(), usize::from(is_secret), "{request}");
        }
        // Keys that are written otherwise, or twice.
        let body = br#"{"request":{"object":{"k\u0069nd":"Secr\u0065t","dat\u0061":{"a":"one1"},"data":{"a":"two2"}}}}"#;
        let hidden = Hidden::of(body, &[], true).unwrap();
        let text = String::from_utf8(hidden.request.unwrap()).unwrap();
        assert!(!text.contains("one1") && !text.contains("two2"), "{text}");
    }

    #[test]
    fn tokens_that_are_reviewed_or_requested_are_secret() {
        let review = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "spec": {"token": "t0ken", "audiences": ["a"]}});
        let request = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": ["a"]}, "status": {"token": "t0ken"}});
        for object in [review, request] {
            let (clean, hidden) = hide(&json!({"object": object}), &[]);
            assert!(!clean.to_string().contains("t0ken"), "{clean}");
            assert_eq!(clean["object"]["spec"]["audiences"], json!(["a"]));
            assert_eq!(fields(&hidden).len(), 1);
        }
        let kind = json!({"group": "authentication.k8s.io", "version": "v1", "kind": "TokenReview"});
        let (clean, _) = hide(&json!({"kind": kind, "object": {"spec": {"token": "t0ken"}}}), &[]);
        assert!(!clean.to_string().contains("t0ken"), "{clean}");
    }

    #[test]
    fn fields_are_secret_by_path() {
        let pod = json!({"kind": "Pod", "spec": {"containers": [
            {"name": "a", "env": [{"name": "TOKEN", "value": "t0psecret"}]},
            {"name": "b", "env": [{"name": "OTHER", "value": "s3cond"}], "ports": [8080]},
        ]}});
        for path in ["spec.containers[*].env[*].value", "spec.containers.env.value", "spec.*.*.env[0].value"]
        {
            let (clean, hidden) = hide(&json!({"object": pod, "oldObject": pod}), &[path]);
            let text = clean.to_string();
            assert!(
                !text.contains("t0psecret") && !text.contains("s3cond") && text.contains("TOKEN"),
                "{text}"
            );
            assert_eq!(hidden.fields.len(), 1);
        }
        let (clean, _) = hide(&json!({"object": pod}), &["spec.containers[1].ports", "spec.none[*].x"]);
        assert_eq!(clean["object"]["spec"]["containers"][1]["ports"], json!([REDACTED]));
        // The object as it was applied is secret if it has such a field.
        for (path, is_hidden) in [("spec.containers.env.value", true), ("spec.other", false)] {
            let applied = pod.to_string();
            let object = json!({"kind": "Pod", "metadata": {"annotations": {LAST_APPLIED: applied}}});
            let (clean, hidden) = hide(&json!({"object": object}), &[path]);
            assert_eq!(!clean.to_string().contains("t0psecret"), is_hidden);
            assert_eq!(hidden.fields.len(), usize::from(is_hidden));
        }
        for wrong in ["", "$", "a[", "[*"] {
            assert!(wrong.parse::<Pattern>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_is_deep_or_wide_takes_no_more_than_its_text() {
        let deep = format!(
            r#"{{"request":{{"object":{{"kind":"Secret","data":{}"leak"{}}}}}}}"#,
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        let wide = format!(
            r#"{{"request":{{"object":{{"kind":"Secret","data":[{}"leak"]}}}}}}"#,
            "1,".repeat(500_000)
        );
        let along = format!(
            r#"{{"request":{{"object":{{"spec":{}"leak"{}}}}}}}"#,
            "[".repeat(100_000),
            "]".repeat(100_000)
        );
        for body in [deep, wide, along] {
            let hidden = Hidden::of(body.as_bytes(), &["spec.token".parse().unwrap()], true).unwrap();
            let text = hidden.request.unwrap();
            assert!(
                text.len() <= body.len() + (64 << 10) && !String::from_utf8(text).unwrap().contains("leak")
            );
            assert_eq!(hidden.fields.len(), 1);
        }
        assert!(Hidden::of(b"{\"request\":", &[], true).is_none());
    }
}
