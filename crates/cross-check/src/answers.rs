//! What an evaluation says, in a form in which two evaluators can be compared.

use std::fmt;

use portcullis::{ConstraintResult, Verdict};
use portcullis_value::{Value, View};
use serde_json::Value as Json;

/// What an evaluation says. Of errors it only counts that there is one: each evaluator has its own words.
pub(crate) enum Answer {
    /// Messages with details, in order, each once; none is a pass.
    Violations(Vec<(String, Json)>),
    Error(String),
}

impl Answer {
    /// Ours; the error says why it cannot be compared.
    pub(crate) fn of(result: &ConstraintResult) -> Result<Self, String> {
        match &result.verdict {
            Verdict::Pass => Ok(Self::Violations(Vec::new())),
            // Whether it counts is no question of the evaluator.
            Verdict::Violations(violations) | Verdict::Excepted { violations, .. } => {
                let found = violations.iter().map(|one| (one.message.clone(), one.details()));
                Ok(Self::violations(found.collect()))
            }
            Verdict::Error(error) if error.limit.is_some() => {
                Err(format!("it met a limit of ours: {}", error.message))
            }
            Verdict::Error(error) if result.steps == Some(0) => {
                Err(format!("it was not evaluated: {}", error.message))
            }
            Verdict::Error(error) => Ok(Self::Error(error.message.clone())),
        }
    }

    /// Theirs: the document `violation`. As for ours, an element without a text `msg` is an error.
    pub(crate) fn read(theirs: &regorus::Value) -> Self {
        let value = Value::from(theirs);
        let elements: Vec<&Value> = match value.view() {
            View::Set(set) => set.iter().collect(),
            View::Object(object) => object.iter().map(|(key, _)| key).collect(),
            View::Undefined | View::Null | View::Bool(false) | View::Array([]) => Vec::new(),
            _ => return Self::Error(format!("`violation` is {value}")),
        };
        let mut violations = Vec::new();
        for element in elements {
            let field = |name| element.as_object().and_then(|object| object.get_str(name));
            let Some(message) = field("msg").and_then(Value::as_str) else {
                return Self::Error(format!("a violation without a text `msg`: {element}"));
            };
            let details = field("details").map_or_else(|| Json::Object(serde_json::Map::new()), to_json);
            violations.push((message.to_owned(), details));
        }
        Self::violations(violations)
    }

    fn violations(mut found: Vec<(String, Json)>) -> Self {
        found.sort_by_cached_key(|(message, details)| (message.clone(), details.to_string()));
        found.dedup();
        Self::Violations(found)
    }

    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Violations(ours), Self::Violations(theirs)) => ours == theirs,
            (Self::Error(_), Self::Error(_)) => true,
            _ => false,
        }
    }
}

fn to_json(value: &Value) -> Json {
    serde_json::to_value(value).unwrap_or(Json::Null)
}

/// For people, bounded: an answer may be as large as an object.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MAX_SHOWN: usize = 5;
        match self {
            Self::Error(message) => write!(f, "an error: {}", cut(message)),
            Self::Violations(violations) if violations.is_empty() => f.write_str("no violation"),
            Self::Violations(violations) => {
                for (number, (message, details)) in violations.iter().take(MAX_SHOWN).enumerate() {
                    let separator = if number == 0 { "" } else { "; " };
                    write!(f, "{separator}`{}`", cut(message))?;
                    if details.as_object().is_none_or(|details| !details.is_empty()) {
                        write!(f, " with details {}", cut(&details.to_string()))?;
                    }
                }
                match violations.len().saturating_sub(MAX_SHOWN) {
                    0 => Ok(()),
                    more => write!(f, "; and {more} more"),
                }
            }
        }
    }
}

fn cut(text: &str) -> &str {
    const MAX_BYTES: usize = 200;
    text.get(..text.floor_char_boundary(MAX_BYTES)).unwrap_or_default()
}
