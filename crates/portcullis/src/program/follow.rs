//! What came of an evaluation that was followed: rules and conditions with their places and texts, of whatever language.

use portcullis_rego::{ConditionStep, Fact, RuleStep};

use super::EvaluationError;
use crate::source::Location;
use crate::value::Value;

/// Why a program says what it says.
#[derive(Default)]
pub(crate) struct Followed {
    /// A message, and the rule that made it.
    pub(crate) found: Vec<(String, FollowedRule)>,
    /// What would have denied, or what kept it from being asked.
    pub(crate) missed: Vec<FollowedRule>,
    /// What is asked for and holds, in languages that say that.
    pub(crate) held: Vec<FollowedRule>,
    pub(crate) error: Option<EvaluationError>,
    pub(crate) is_cut: bool,
}

/// What a rule is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RuleKind {
    /// A rule in Rego: it holds if its conditions do.
    Rule,
    /// A match condition in CEL: if it is false nothing is asked.
    MatchCondition,
    /// A validation in CEL: if it is false the object is denied.
    Validation,
    /// A variable in CEL, by its expression.
    Variable,
}

/// A body of a rule, or an expression by what decides what it is worth.
pub(crate) struct FollowedRule {
    pub(crate) kind: RuleKind,
    pub(crate) name: String,
    pub(crate) location: Option<Location>,
    pub(crate) holds: bool,
    pub(crate) is_inside: bool,
    pub(crate) conditions: Vec<FollowedCondition>,
    /// What its head looked at.
    pub(crate) head: Vec<FollowedFact>,
}

/// A statement of it.
pub(crate) struct FollowedCondition {
    pub(crate) location: Option<Location>,
    pub(crate) text: String,
    pub(crate) holds: bool,
    pub(crate) facts: Vec<FollowedFact>,
    pub(crate) rules: Vec<FollowedRule>,
}

/// What a condition looked at.
pub(crate) enum FollowedFact {
    /// A part of the input, by its path, and what is there.
    Read { path: Vec<Value>, value: Option<Value> },
    /// A comparison.
    Compared { operator: &'static str, left: Value, right: Value, holds: bool },
    /// A builtin, its arguments, and its answer; none if it is not defined for them.
    Called { name: &'static str, args: Vec<Value>, answer: Option<Value> },
    /// Something that is no part of the input, by its name.
    Known { name: String, value: Option<Value> },
}

impl From<Fact> for FollowedFact {
    fn from(fact: Fact) -> Self {
        match fact {
            Fact::Read { path, value } => Self::Read { path, value },
            Fact::Compared { operator, left, right, holds } => {
                Self::Compared { operator, left, right, holds }
            }
            Fact::Called { name, args, answer } => Self::Called { name, args, answer },
        }
    }
}

/// Most facts of one condition.
const MOST_FACTS: usize = 50;

/// Puts steps into the terms of a template: `locate` knows where its texts are, and `text` what stands there.
pub(super) fn rule(
    step: RuleStep,
    package: &[Value],
    locate: &dyn Fn(usize, portcullis_rego_syntax::Span) -> Option<Location>,
    text: &dyn Fn(usize, portcullis_rego_syntax::Span) -> String,
) -> FollowedRule {
    let RuleStep { path, module, span, holds, is_inside, conditions, mut head, .. } = step;
    head.truncate(MOST_FACTS);
    let own = path.strip_prefix(package).unwrap_or(&path);
    let name: Vec<String> = own
        .iter()
        .map(|key| crate::value::as_str(key).map_or_else(|| key.to_string(), str::to_owned))
        .collect();
    let conditions = conditions.into_iter().map(|condition| {
        let ConditionStep { span, holds, mut facts, rules, .. } = condition;
        facts.truncate(MOST_FACTS);
        FollowedCondition {
            location: locate(module, span),
            text: text(module, span),
            holds,
            facts: facts.into_iter().filter(is_telling).map(FollowedFact::from).collect(),
            rules: rules.into_iter().map(|step| rule(step, package, locate, text)).collect(),
        }
    });
    FollowedRule {
        kind: RuleKind::Rule,
        name: name.join("."),
        location: locate(module, span),
        holds,
        is_inside,
        conditions: conditions.collect(),
        head: head.into_iter().filter(is_telling).map(FollowedFact::from).collect(),
    }
}

/// Whether somebody wants to know it: not that everything is read.
fn is_telling(fact: &Fact) -> bool {
    match fact {
        Fact::Read { path, .. } => path.len() > 1,
        Fact::Compared { .. } | Fact::Called { .. } => true,
    }
}
