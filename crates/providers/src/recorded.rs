//! Answers in a file that people read and write, by provider and key:
//!
//! ```yaml
//! providers:
//!   cosign:
//!     registry.example/app:1: {value: signed}
//!     registry.example/app:2: {error: not signed}
//!   directory:
//!     team-a: {status: 500, systemError: the directory is down}
//! access:
//!   - {user: alice, verb: create, resource: secrets, namespace: shop, allowed: true}
//! ```

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use portcullis::{Answers, ProviderAnswer, ProviderItem, Questions};
use portcullis_value::{Value, View};
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::access_rules::AccessRule;

/// Largest file.
const MOST_BYTES: usize = 64 << 20;
/// So many mistakes of a file are told, the others are counted.
const MOST_MISTAKES: usize = 20;

/// Answers that were recorded, or written by somebody.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recorded {
    answers: Answers,
    /// What is said of rights: the first rule that fits counts.
    access: Vec<AccessRule>,
}

/// Why a file has no answers: one sentence.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RecordedError(String);

impl Recorded {
    /// Answers that come from somewhere else.
    #[must_use]
    pub fn new(answers: Answers) -> Self {
        let access = answers.all_access().map(|(question, answer)| AccessRule::of(question, answer));
        Self { access: access.collect(), answers }
    }

    /// What providers say.
    #[must_use]
    pub const fn answers(&self) -> &Answers {
        &self.answers
    }

    /// Takes over what others know. Of keys of providers that both know, what the others say; their rules about rights come
    /// behind.
    pub fn extend(&mut self, others: Self) {
        self.answers.extend(others.answers);
        self.access.extend(others.access);
    }

    /// What is known of some questions.
    #[must_use]
    pub fn answer(&self, questions: &Questions) -> Answers {
        let mut answers = Answers::new();
        for (provider, keys) in questions.external_data() {
            for key in keys {
                if let Some(answer) = self.answers.external_data(provider, key) {
                    answers.set_external_data(provider.clone(), key.clone(), answer.clone());
                }
            }
        }
        for question in questions.access() {
            if let Some(rule) = self.access.iter().find(|rule| rule.fits(question)) {
                answers.set_access(question.clone(), rule.answer());
            }
        }
        answers
    }

    /// Reads a file.
    ///
    /// # Errors
    ///
    /// If it is no YAML, or says anything else than answers.
    pub fn read(text: &str) -> Result<Self, RecordedError> {
        let wrong = |message: String| RecordedError(message);
        if text.len() > MOST_BYTES {
            return Err(wrong(format!("it has more than {MOST_BYTES} bytes")));
        }
        let (documents, errors) = portcullis::Document::read_all("answers", text);
        let mut mistakes: Vec<String> = errors.iter().map(ToString::to_string).collect();
        let mut read = Self::default();
        for document in &documents {
            let json = portcullis::Node::root(document).to_json();
            let value = Value::from_json(&json.to_string()).map_err(|error| wrong(error.to_string()))?;
            if let Err(mistake) = take_all(&value, &mut read.answers, &mut mistakes) {
                mistakes.push(mistake);
            }
            read.take_access(json, &mut mistakes);
        }
        if !mistakes.is_empty() {
            let more = mistakes.len().saturating_sub(MOST_MISTAKES);
            mistakes.truncate(MOST_MISTAKES);
            if more > 0 {
                mistakes.push(format!("and {more} more mistakes"));
            }
            return Err(wrong(mistakes.join("; ")));
        }
        Ok(read)
    }

    /// Takes the rules about rights of a document.
    fn take_access(&mut self, mut document: serde_json::Value, mistakes: &mut Vec<String>) {
        let Some(rules) = document.get_mut("access").map(serde_json::Value::take) else { return };
        let serde_json::Value::Array(rules) = rules else {
            mistakes.push("`access` must be a list of rules".to_owned());
            return;
        };
        for (number, rule) in rules.into_iter().enumerate() {
            match AccessRule::read(rule) {
                Ok(rule) => self.access.push(rule),
                Err(mistake) => mistakes.push(format!("`access[{number}]`: {mistake}")),
            }
        }
    }

    /// Reads a file of the disk, no more of it than a file of answers may have.
    ///
    /// # Errors
    ///
    /// As [`Self::read`], and if it cannot be read.
    pub fn read_file(path: &Path) -> Result<Self, RecordedError> {
        let mut text = String::new();
        let file = File::open(path).map_err(|error| RecordedError(error.to_string()))?;
        let read = file.take(MOST_BYTES as u64 + 1).read_to_string(&mut text);
        read.map_err(|error| RecordedError(error.to_string()))?;
        Self::read(&text)
    }

    /// Writes a file: the same answers, the same text.
    #[must_use]
    pub fn write(&self) -> String {
        let mut providers: BTreeMap<&str, BTreeMap<&str, Written<'_>>> = BTreeMap::new();
        for (provider, key, answer) in self.answers.all_external_data() {
            providers.entry(provider).or_default().insert(key, Written(answer));
        }
        let all = BTreeMap::from([("providers", providers)]);
        let head = "# What providers of external data said.\n";
        let body = serde_yaml::to_string(&all).unwrap_or_default();
        if self.access.is_empty() {
            return format!("{head}{body}");
        }
        let access = serde_yaml::to_string(&BTreeMap::from([("access", &self.access)])).unwrap_or_default();
        format!("{head}{body}# What a cluster said of rights.\n{access}")
    }
}

/// Takes the answers of a document; what is wrong with one of them does not keep the others from being looked at.
fn take_all(document: &Value, answers: &mut Answers, mistakes: &mut Vec<String>) -> Result<(), String> {
    for (field, providers) in entries(document, "a file of answers")? {
        match field {
            "providers" => {}
            "access" => continue,
            _ => {
                mistakes.push(format!("unknown field `{field}`: there are `providers` and `access`"));
                continue;
            }
        }
        for (provider, keys) in entries(providers, "`providers`")? {
            let what = format!("`providers.{provider}`");
            let keys = match entries(keys, &what) {
                Ok(keys) => keys,
                Err(mistake) => {
                    mistakes.push(mistake);
                    continue;
                }
            };
            for (key, said) in keys {
                match answer(said) {
                    Ok(answer) => answers.set_external_data(provider, key, answer),
                    Err(mistake) => mistakes.push(format!("{what}, key `{key}`: {mistake}")),
                }
            }
        }
    }
    let is_there = |field| document.as_object().is_some_and(|root| root.get_str(field).is_some());
    if is_there("providers") || is_there("access") { Ok(()) } else { Err("it has no `providers`".to_owned()) }
}

fn entries<'v>(value: &'v Value, what: &str) -> Result<Vec<(&'v str, &'v Value)>, String> {
    match value.view() {
        View::Object(object) => {
            Ok(object.iter().filter_map(|(key, value)| Some((key.as_str()?, value))).collect())
        }
        View::Null => Ok(Vec::new()),
        _ => Err(format!("{what} must be a mapping, and is {}", value.ty().name())),
    }
}

fn answer(said: &Value) -> Result<ProviderAnswer, String> {
    let (mut items, mut status, mut system_error) = (Vec::new(), 200, "");
    let (mut is_failure, mut is_idempotent) = (false, true);
    for (name, value) in entries(said, "an answer")? {
        match name {
            "value" => items.push(ProviderItem::Value(value.clone())),
            "error" => items.push(ProviderItem::Error(text(name, value)?.into())),
            "items" => {
                let list = value.as_array().ok_or("`items` must be a list")?;
                for item in list {
                    items.push(one(item)?);
                }
            }
            "status" => {
                status = value
                    .as_number()
                    .and_then(portcullis_value::Number::as_i64)
                    .and_then(|status| u16::try_from(status).ok())
                    .ok_or("`status` must be a status of HTTP")?;
            }
            "systemError" => system_error = text(name, value)?,
            "silent" if truth(name, value)? => items.push(ProviderItem::Silent),
            "silent" => {}
            "noReply" => is_failure = truth(name, value)?,
            "idempotent" => is_idempotent = truth(name, value)?,
            other => {
                return Err(format!(
                    "unknown field `{other}`: an answer has `value` or `error`, `status`, `systemError`, `items`, `silent`, `noReply`, `idempotent`"
                ));
            }
        }
    }
    let has_no_item = items.is_empty();
    if is_failure {
        if !has_no_item {
            return Err("what has `noReply` has no `value`, `error` or `items`".to_owned());
        }
        return Ok(ProviderAnswer::Failure { status_code: status, system_error: system_error.into() });
    }
    if has_no_item && system_error.is_empty() {
        return Err("it says nothing: give `value`, `error` or `systemError`".to_owned());
    }
    Ok(ProviderAnswer::Reply {
        items: items.into(),
        status_code: status,
        system_error: system_error.into(),
        is_idempotent,
    })
}

fn one(item: &Value) -> Result<ProviderItem, String> {
    match entries(item, "an item")?.as_slice() {
        [("value", value)] => Ok(ProviderItem::Value((*value).clone())),
        [("silent", value)] if matches!(value.view(), View::Bool(true)) => Ok(ProviderItem::Silent),
        [("error", value)] => Ok(ProviderItem::Error(text("error", value)?.into())),
        _ => Err("an item has `value` or `error`".to_owned()),
    }
}

fn text<'v>(name: &str, value: &'v Value) -> Result<&'v str, String> {
    match value.as_str() {
        Some(text) if !text.is_empty() => Ok(text),
        _ => Err(format!("`{name}` must be a text that is not empty")),
    }
}

fn truth(name: &str, value: &Value) -> Result<bool, String> {
    match value.view() {
        View::Bool(truth) => Ok(truth),
        _ => Err(format!("`{name}` must be true or false")),
    }
}

/// An answer, as it is written.
struct Written<'a>(&'a ProviderAnswer);

impl Serialize for Written<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        match self.0 {
            ProviderAnswer::Failure { status_code, system_error } => {
                map.serialize_entry("noReply", &true)?;
                map.serialize_entry("status", status_code)?;
                if !system_error.is_empty() {
                    map.serialize_entry("systemError", &**system_error)?;
                }
            }
            ProviderAnswer::Reply { items, status_code, system_error, is_idempotent } => {
                match &**items {
                    [ProviderItem::Value(value)] => map.serialize_entry("value", value)?,
                    [ProviderItem::Error(why)] => map.serialize_entry("error", &**why)?,
                    [ProviderItem::Silent] => map.serialize_entry("silent", &true)?,
                    [] => {}
                    items => {
                        let items: Vec<BTreeMap<&str, serde_json::Value>> = items.iter().map(item).collect();
                        map.serialize_entry("items", &items)?;
                    }
                }
                if !is_idempotent {
                    map.serialize_entry("idempotent", &false)?;
                }
                if *status_code != 200 {
                    map.serialize_entry("status", status_code)?;
                }
                if !system_error.is_empty() {
                    map.serialize_entry("systemError", &**system_error)?;
                }
            }
        }
        map.end()
    }
}

fn item(item: &ProviderItem) -> BTreeMap<&'static str, serde_json::Value> {
    match item {
        ProviderItem::Value(value) => {
            BTreeMap::from([("value", serde_json::to_value(value).unwrap_or_default())])
        }
        ProviderItem::Error(why) => BTreeMap::from([("error", (**why).into())]),
        ProviderItem::Silent => BTreeMap::from([("silent", true.into())]),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use portcullis::{AccessAnswer, AccessQuestion, AccessResource, AccessTo, AccessUser, Question};

    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let text = "providers:\n  cosign:\n    app:1: {value: signed}\n    'app:2': {error: not signed}\n    app:3: {value: {by: [a, 1]}}\n    app:4: {items: [{value: 1}, {error: e}], status: 201}\n    app:5: {silent: true}\n  directory:\n    team-a: {systemError: is down, status: 503}\n    team-b: {noReply: true, status: 500, systemError: gone}\n";
        let recorded = Recorded::read(text).unwrap();
        assert_eq!(recorded.answers().all_external_data().count(), 7);
        let again = Recorded::read(&recorded.write()).unwrap();
        assert_eq!((&again, again.write()), (&recorded, recorded.write()));
    }

    #[test]
    fn the_first_rule_about_rights_that_fits_counts() {
        let text = "access:\n- {user: alice, verb: get, resource: pods, namespace: shop, allowed: true, reason: r}\n- {verb: get, resource: pods, namespace: shop, allowed: false}\n- {verb: get, path: /healthz, failure: gone}\n";
        let recorded = Recorded::read(text).unwrap();
        let again = Recorded::read(&recorded.write()).unwrap();
        assert_eq!(again, recorded);
        let resource =
            AccessResource { resource: "pods".into(), namespace: "shop".into(), ..AccessResource::default() };
        let ask = |name: &str, to: AccessTo| {
            let user = Arc::new(AccessUser { name: name.into(), ..AccessUser::default() });
            let question = Arc::new(AccessQuestion { user, to, verb: "get".into() });
            let mut questions = Questions::default();
            questions.ask(Question::Access(question.clone())).unwrap();
            recorded.answer(&questions).access(&question).cloned()
        };
        let pods = || AccessTo::Resource(resource.clone());
        let decided = |allowed, reason: &str| {
            Some(AccessAnswer::Decided { allowed, reason: reason.into(), error: "".into() })
        };
        assert_eq!(ask("alice", pods()), decided(true, "r"));
        assert_eq!(ask("bob", pods()), decided(false, ""));
        assert_eq!(ask("bob", AccessTo::Path("/healthz".into())), Some(AccessAnswer::Failure("gone".into())));
        assert_eq!(ask("bob", AccessTo::Path("/metrics".into())), None);
        let mut answers = Answers::new();
        let user = Arc::new(AccessUser::service_account("shop", "robot"));
        let question = AccessQuestion { user, to: pods(), verb: "list".into() };
        answers.set_access(
            question,
            AccessAnswer::Decided { allowed: true, reason: "".into(), error: "e".into() },
        );
        let written = Recorded::new(answers.clone()).write();
        let read = Recorded::read(&written).unwrap();
        let mut questions = Questions::default();
        for (question, _) in answers.all_access() {
            questions.ask(Question::Access(question.clone())).unwrap();
        }
        assert_eq!(read.answer(&questions), answers, "{written}");
    }

    #[test]
    fn every_mistake_of_a_file_is_told() {
        let text = "providers:\n  a: [1, 2]\n  b: {k: {frobnicated: 1}, l: {value: 1}, m: 3}\nx: 1\n";
        let message = Recorded::read(text).unwrap_err().to_string();
        for part in ["`providers.a`", "key `k`", "key `m`", "unknown field `x`"] {
            assert!(message.contains(part), "{part}: {message}");
        }
        assert!(!message.contains("key `l`"), "{message}");
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for (text, message) in [
            ("providers: {p: {k: {valeu: 1}}}", "unknown field `valeu`"),
            ("providers: {p: {k: {}}}", "it says nothing"),
            ("providers: {p: {k: 1}}", "an answer must be a mapping, and is number"),
            ("providers: {p: [1]}", "`providers.p` must be a mapping, and is array"),
            ("provider: {}", "provider"),
            ("access: {}", "`access` must be a list"),
            ("access: [{verb: get, allowed: true}]", "either `resource` or `path`"),
            ("access: [{verb: get, resource: pods}]", "either `allowed` or `failure`"),
            ("access: [{verb: get, path: /x, name: web, allowed: true}]", "nothing that is about resources"),
            ("access: [{verb: get, resource: pods, allowed: yes it is}]", "invalid type"),
            ("access: [{verb: get, resource: pods, allow: true}]", "unknown field `allow`"),
            ("{}", "it has no `providers`"),
            ("providers: {p: {k: {error: \"\"}}}", "must be a text that is not empty"),
            ("providers: {p: {k: {value: 1, status: ok}}}", "`status` must be"),
            ("providers: [", "line"),
        ] {
            let error = Recorded::read(text).map(|_| ()).unwrap_err().to_string();
            assert!(error.contains(message) || message == "line", "{text}: {error}");
        }
    }
}
