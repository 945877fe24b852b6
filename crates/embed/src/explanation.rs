//! Why policies say what they say of an object, as it is written. The fields are those of `portcullis explain -o json`,
//! in the order of their names; places have ends as well.

use portcullis::{Applicability, Fix, FixDecision, FixEdit, Why, WhyCondition, WhyFact, WhyRule};
use serde::Serialize;
use serde_json::Value;

use crate::parts::{Key, Place};

/// Why a constraint says what it says.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Explanation {
    Applies(Followed),
    DoesNot(Apart),
}

/// What a constraint found, and what it did not.
#[derive(Debug, Serialize)]
pub(crate) struct Followed {
    applies: bool,
    constraint: Key,
    /// Whether there was more than is told.
    cut: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    found: Vec<Violation>,
    held: Vec<Rule>,
    missed: Vec<Rule>,
}

/// What keeps a constraint from an object.
#[derive(Debug, Serialize)]
pub(crate) struct Apart {
    applies: bool,
    because: String,
    constraint: Key,
}

#[derive(Debug, Serialize)]
struct Violation {
    message: String,
    /// The rule that made it, once for each way in which it did.
    ways: Vec<Rule>,
}

#[derive(Debug, Serialize)]
struct Rule {
    conditions: Vec<Condition>,
    holds: bool,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<Place>,
    #[serde(rename = "rule")]
    name: String,
}

#[derive(Debug, Serialize)]
struct Condition {
    #[serde(rename = "condition")]
    text: String,
    facts: Vec<Fact>,
    holds: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<Place>,
    rules: Vec<Rule>,
}

/// What a condition looked at. A value that is too long to be told is a text that says what it is.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Fact {
    Field {
        exists: bool,
        field: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        location: Option<Place>,
        value: Option<Value>,
    },
    Parameter {
        exists: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        location: Option<Place>,
        parameter: String,
        value: Option<Value>,
    },
    Input {
        exists: bool,
        input: String,
        value: Option<Value>,
    },
    Compared {
        holds: bool,
        left: Value,
        operator: &'static str,
        right: Value,
    },
    Called {
        answer: Option<Value>,
        args: Vec<Value>,
        builtin: &'static str,
    },
    Known {
        exists: bool,
        name: String,
        value: Option<Value>,
    },
}

impl Explanation {
    pub(crate) fn of(why: Why) -> Self {
        let constraint = Key::of(&why.constraint);
        if why.applicability != Applicability::Applies {
            let because = why.applicability.to_string();
            return Self::DoesNot(Apart { applies: false, because, constraint });
        }
        let found = why.found.into_iter().map(|found| Violation {
            message: found.message,
            ways: found.ways.into_iter().map(Rule::of).collect(),
        });
        Self::Applies(Followed {
            applies: true,
            constraint,
            cut: why.is_cut,
            error: why.error.map(|error| error.message),
            found: found.collect(),
            held: why.held.into_iter().map(Rule::of).collect(),
            missed: why.missed.into_iter().map(Rule::of).collect(),
        })
    }
}

impl Rule {
    fn of(rule: WhyRule) -> Self {
        Self {
            conditions: rule.conditions.into_iter().map(Condition::of).collect(),
            holds: rule.holds,
            kind: rule.kind.as_str(),
            location: rule.location.as_ref().map(Place::of),
            name: rule.name,
        }
    }
}

impl Condition {
    fn of(condition: WhyCondition) -> Self {
        Self {
            text: condition.text,
            facts: condition.facts.into_iter().map(Fact::of).collect(),
            holds: condition.holds,
            location: condition.location.as_ref().map(Place::of),
            rules: condition.rules.into_iter().map(Rule::of).collect(),
        }
    }
}

impl Fact {
    fn of(fact: WhyFact) -> Self {
        match fact {
            WhyFact::Field { path, value, location } => Self::Field {
                exists: value.is_some(),
                field: path.to_string(),
                location: location.as_ref().map(Place::of),
                value: value.map(told),
            },
            WhyFact::Parameter { path, value, location } => Self::Parameter {
                exists: value.is_some(),
                location: location.as_ref().map(Place::of),
                parameter: path.to_string(),
                value: value.map(told),
            },
            WhyFact::Input { path, value } => {
                Self::Input { exists: value.is_some(), input: path.to_string(), value: value.map(told) }
            }
            WhyFact::Compared { operator, left, right, holds } => {
                Self::Compared { holds, left: told(left), operator, right: told(right) }
            }
            WhyFact::Called { name, args, answer } => Self::Called {
                answer: answer.map(told),
                args: args.into_iter().map(told).collect(),
                builtin: name,
            },
            WhyFact::Known { name, value } => {
                Self::Known { exists: value.is_some(), name, value: value.map(told) }
            }
        }
    }
}

/// A value, or the text that says what it is.
fn told(text: String) -> Value {
    serde_json::from_str(&text).unwrap_or(Value::String(text))
}

/// Edits that make a finding go, and no other come. Each was tried.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Repair {
    edits: Vec<Edit>,
    /// Whether the policy lets pass these values only; if not, whoever wrote the object decides them.
    is_decided: bool,
}

#[derive(Debug, Serialize)]
struct Edit {
    #[serde(skip_serializing_if = "Option::is_none")]
    new: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    old: Option<Value>,
    op: &'static str,
    path: String,
}

impl Repair {
    pub(crate) fn of(fix: &Fix) -> Self {
        let edits = fix.edits.iter().map(Edit::of).collect();
        Self { edits, is_decided: fix.decision == FixDecision::Policy }
    }
}

impl Edit {
    fn of(edit: &FixEdit) -> Self {
        let (old, new) = (edit.before(), edit.after());
        let op = match (&old, &new) {
            (_, None) => "remove",
            (None, Some(_)) => "add",
            (Some(_), Some(_)) => "replace",
        };
        Self { new, old, op, path: edit.path().to_string() }
    }
}
