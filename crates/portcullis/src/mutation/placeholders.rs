//! What stands in an object for what a provider will say, until all mutators are done: then each provider is asked once,
//! about what is left of it.
//!
//! A placeholder is a value that no document has: an object whose key is no text.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use portcullis_value::{
    Answers, Budget, Exceeded, ITEM_BYTES, ProviderAnswer, ProviderItem, Question, Questions, Value, View,
};

use crate::api::mutator::{ExternalData, KeySource, OnFailure};
use crate::path::{FieldPath, Segment};

/// All placeholders of a run. Empty, and nothing on the heap, if nobody asks.
#[derive(Debug, Default)]
pub(super) struct Placeholders {
    all: Vec<Placeholder>,
    known: HashMap<(usize, Arc<str>), usize>,
}

/// What stands for one answer.
#[derive(Debug)]
pub(super) struct Placeholder {
    /// The place of the mutator that asks.
    pub(super) mutator: usize,
    pub(super) external: Arc<ExternalData>,
    /// What was there; an empty text if nothing was.
    pub(super) before: Arc<str>,
}

/// Why placeholders cannot be resolved.
#[derive(Debug)]
pub(super) enum Unresolved {
    /// Something is not answered yet; who asks first.
    Open {
        mutator: usize,
        path: FieldPath,
        questions: Questions,
    },
    /// A provider does not answer as it should, and its mutator says that this is an error.
    Failed {
        mutator: usize,
        path: FieldPath,
        message: String,
    },
    /// A provider is to be asked about the user, who is not known.
    NoUser {
        mutator: usize,
        path: FieldPath,
    },
    /// What it is asked about is larger than anything that is asked.
    TooLarge {
        mutator: usize,
        path: FieldPath,
        bytes: usize,
    },
    Limit(Exceeded),
}

impl From<Exceeded> for Unresolved {
    fn from(limit: Exceeded) -> Self {
        Self::Limit(limit)
    }
}

/// What comes in the place of placeholders.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    values: Vec<Value>,
    /// Answers that are none, and do not count: the mutator, and a sentence.
    pub(super) ignored: Vec<(usize, String)>,
}

impl Resolved {
    /// What comes in the place of a value, if it is a placeholder.
    pub(super) fn get(&self, value: &Value) -> Option<&Value> {
        if self.values.is_empty() {
            return None;
        }
        self.values.get(number_of(value)?)
    }
}

/// Which placeholder a value is.
fn number_of(value: &Value) -> Option<usize> {
    let fields = value.as_object().filter(|fields| fields.len() == 1)?;
    let number = fields.get(&Value::NULL)?.as_number()?.as_i64()?;
    usize::try_from(number).ok()
}

impl Placeholders {
    /// The placeholder that a value is.
    pub(super) fn of(&self, value: &Value) -> Option<&Placeholder> {
        if self.all.is_empty() {
            return None;
        }
        self.all.get(number_of(value)?)
    }

    /// What stands for the answer to what a mutator asks where `before` was.
    pub(super) fn for_answer(
        &mut self,
        budget: &mut Budget<'_>,
        mutator: usize,
        external: &Arc<ExternalData>,
        before: &str,
    ) -> Result<Value, Exceeded> {
        budget.read_text(before.len())?;
        let before: Arc<str> = before.into();
        let next = self.all.len();
        let number = *self.known.entry((mutator, before.clone())).or_insert(next);
        if number == next {
            budget.take(before.len() + 8 * ITEM_BYTES)?;
            self.all.push(Placeholder { mutator, external: external.clone(), before });
        }
        budget.make_items(2)?;
        // No more than steps that were taken.
        Ok(Value::object([(Value::NULL, Value::from(i64::try_from(number).unwrap_or(i64::MAX)))]))
    }

    /// Asks for all that are left in a value, and says what comes in their place.
    pub(super) fn resolve(
        &self,
        budget: &mut Budget<'_>,
        value: &Value,
        username: Option<&str>,
        answers: &Answers,
    ) -> Result<Resolved, Unresolved> {
        if self.all.is_empty() {
            return Ok(Resolved::default());
        }
        let mut left = BTreeMap::new();
        left_in(budget, value, &mut Vec::new(), &mut left)?;
        // What was written over is told as it was.
        let values = self.all.iter().map(|placeholder| Value::from(placeholder.before.clone()));
        let mut resolved = Resolved { values: values.collect(), ignored: Vec::new() };
        let (mut open, mut failed): (Option<Unresolved>, Option<Unresolved>) = (None, None);
        let mut failures = 0_usize;
        for (number, path) in left {
            let Some(placeholder) = self.all.get(number) else { continue };
            let Placeholder { mutator, external, before } = placeholder;
            let mutator = *mutator;
            let key: Arc<str> = match (external.key, username) {
                (KeySource::ValueAtLocation, _) => before.clone(),
                (KeySource::Username, Some(username)) => username.into(),
                (KeySource::Username, None) => return Err(Unresolved::NoUser { mutator, path }),
            };
            budget.read_text(key.len())?;
            let Some(answer) = answers.external_data(&external.provider, &key) else {
                let question = Question::ExternalData { provider: external.provider.clone(), key };
                if question.bytes() > Questions::MOST_BYTES {
                    return Err(Unresolved::TooLarge { mutator, path, bytes: question.bytes() });
                }
                budget.take(question.bytes())?;
                let new = || Unresolved::Open { mutator, path, questions: Questions::default() };
                if let Unresolved::Open { questions, .. } = open.get_or_insert_with(new) {
                    // Those that there is no room for are asked next time.
                    let _ = questions.ask(question);
                }
                continue;
            };
            let new = match said(answer) {
                Ok(text) => Value::from(text),
                Err(why) => {
                    let why = short(&why);
                    let message = format!(
                        "provider {} does not answer {} as it should: {why}",
                        portcullis_value::quote(&external.provider),
                        portcullis_value::quote(&short(&key)),
                    );
                    budget.take(message.len())?;
                    let new = match &external.on_failure {
                        OnFailure::Fail => {
                            failures += 1;
                            failed.get_or_insert(Unresolved::Failed { mutator, path, message });
                            continue;
                        }
                        OnFailure::Ignore => Value::from(key),
                        OnFailure::UseDefault(text) => Value::from(text.clone()),
                    };
                    resolved.ignored.push((mutator, message));
                    new
                }
            };
            if let Some(slot) = resolved.values.get_mut(number) {
                *slot = new;
            }
        }
        // All that is asked is asked first: what fails is the same then, in whatever rounds answers come.
        if let Some(open) = open {
            return Err(open);
        }
        match failed {
            Some(Unresolved::Failed { mutator, path, mut message }) => {
                if failures > 1 {
                    message = format!("{message}; and {} more", failures - 1);
                }
                Err(Unresolved::Failed { mutator, path, message })
            }
            _ => Ok(resolved),
        }
    }
}

/// The placeholders in a value, each with the first place where it is.
fn left_in(
    budget: &mut Budget<'_>,
    value: &Value,
    path: &mut Vec<Segment>,
    left: &mut BTreeMap<usize, FieldPath>,
) -> Result<(), Exceeded> {
    budget.step(1)?;
    match value.view() {
        View::Array(items) => {
            for (position, item) in items.iter().enumerate().filter(|(_, item)| item.is_collection()) {
                path.push(Segment::Index(position));
                left_in(budget, item, path, left)?;
                path.pop();
            }
            budget.step(items.len() as u64)
        }
        View::Object(fields) => {
            if let Some(number) = number_of(value) {
                left.entry(number).or_insert_with(|| path.iter().cloned().collect());
                return Ok(());
            }
            for (key, item) in fields.iter().filter(|(_, item)| item.is_collection()) {
                path.push(Segment::Key(key.as_str().unwrap_or_default().into()));
                left_in(budget, item, path, left)?;
                path.pop();
            }
            budget.step(fields.len() as u64)
        }
        _ => Ok(()),
    }
}

/// Most bytes of what a provider says is wrong.
const SAID: usize = 1024;

/// The beginning of a text that may be long.
fn short(text: &str) -> Cow<'_, str> {
    if text.len() <= SAID {
        return text.into();
    }
    let end = (0..=SAID).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
    format!("{}…", text.get(..end).unwrap_or_default()).into()
}

/// The text that a provider says of a key; or why it is none. The status of HTTP does not count, as in Gatekeeper.
fn said(answer: &ProviderAnswer) -> Result<&str, String> {
    match answer {
        ProviderAnswer::Failure { system_error, .. } => Err(system_error.to_string()),
        ProviderAnswer::Reply { system_error, .. } if !system_error.trim().is_empty() => {
            Err(system_error.to_string())
        }
        ProviderAnswer::Reply { is_idempotent: false, .. } => {
            Err("the reply does not say that it is `idempotent`".to_owned())
        }
        // Of several the last counts.
        ProviderAnswer::Reply { items, .. } => match items.last() {
            Some(ProviderItem::Value(value)) => value
                .as_str()
                .ok_or_else(|| format!("expected a string, found {}", crate::value::describe(value))),
            Some(ProviderItem::Error(why)) => Err(why.to_string()),
            Some(ProviderItem::Silent) | None => Err(ProviderItem::SILENT.to_owned()),
        },
    }
}
