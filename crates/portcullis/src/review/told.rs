//! Explanations as JSON, in one schema for all languages and all adapters.

use serde_json::{Value as Json, json};

use super::explain::{WhyCondition, WhyFact, WhyFound, WhyRule};
use crate::program::RuleKind;
use crate::source::Location;

impl RuleKind {
    /// What it is called: `rule`, `match condition`, `validation`, `variable`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rule => "rule",
            Self::MatchCondition => "match condition",
            Self::Validation => "validation",
            Self::Variable => "variable",
        }
    }
}

impl WhyFound {
    /// The ways in which it came about, a list.
    #[must_use]
    pub fn ways_to_json(&self) -> Json {
        self.ways.iter().map(WhyRule::to_json).collect()
    }
}

impl WhyRule {
    /// `{rule, kind, location, holds, conditions}`; of each condition its text, place, whether it holds, what it looked
    /// at, and the rules that it asked.
    #[must_use]
    pub fn to_json(&self) -> Json {
        json!({
            "rule": self.name,
            "kind": self.kind.as_str(),
            "location": place(self.location.as_ref()),
            "holds": self.holds,
            "conditions": self.conditions.iter().map(condition).collect::<Vec<_>>(),
        })
    }
}

fn place(location: Option<&Location>) -> Json {
    location
        .map_or(Json::Null, |at| json!({ "file": &**at.file(), "line": at.line(), "column": at.column() }))
}

fn condition(of: &WhyCondition) -> Json {
    json!({
        "condition": of.text,
        "location": place(of.location.as_ref()),
        "holds": of.holds,
        "facts": of.facts.iter().map(fact).collect::<Vec<_>>(),
        "rules": of.rules.iter().map(WhyRule::to_json).collect::<Vec<_>>(),
    })
}

fn fact(of: &WhyFact) -> Json {
    // What is too long to be told is a text that says what it is.
    let value = |text: &String| serde_json::from_str(text).unwrap_or_else(|_| Json::from(text.as_str()));
    let some = |text: &Option<String>| text.as_ref().map(value);
    match of {
        WhyFact::Field { path, value, location } => json!({
            "field": path.to_string(), "value": some(value), "exists": value.is_some(), "location": place(location.as_ref()),
        }),
        WhyFact::Parameter { path, value, location } => json!({
            "parameter": path.to_string(), "value": some(value), "exists": value.is_some(), "location": place(location.as_ref()),
        }),
        WhyFact::Input { path, value } => json!({
            "input": path.to_string(), "value": some(value), "exists": value.is_some(),
        }),
        WhyFact::Compared { operator, left, right, holds } => json!({
            "operator": operator, "left": value(left), "right": value(right), "holds": holds,
        }),
        WhyFact::Called { name, args, answer } => json!({
            "builtin": name, "args": args.iter().map(value).collect::<Vec<_>>(), "answer": some(answer),
        }),
        WhyFact::Known { name, value } => json!({
            "name": name, "value": some(value), "exists": value.is_some(),
        }),
    }
}
