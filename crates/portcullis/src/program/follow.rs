//! What came of an evaluation that was followed: rules and conditions with their places and texts.

use portcullis_rego::{ConditionStep, Fact, RuleStep};

use super::EvaluationError;
use crate::source::Location;
use crate::value::Value;

/// Why a program says what it says.
pub(crate) struct Followed {
    /// A message, and the rule that made it.
    pub(crate) found: Vec<(String, FollowedRule)>,
    pub(crate) missed: Vec<FollowedRule>,
    pub(crate) error: Option<EvaluationError>,
    pub(crate) is_cut: bool,
}

/// A body of a rule.
pub(crate) struct FollowedRule {
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

pub(crate) use portcullis_rego::Fact as FollowedFact;

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
            facts: facts.into_iter().filter(is_telling).collect(),
            rules: rules.into_iter().map(|step| rule(step, package, locate, text)).collect(),
        }
    });
    FollowedRule {
        name: name.join("."),
        location: locate(module, span),
        holds,
        is_inside,
        conditions: conditions.collect(),
        head: head.into_iter().filter(is_telling).collect(),
    }
}

/// Whether somebody wants to know it: not that everything is read.
fn is_telling(fact: &Fact) -> bool {
    match fact {
        Fact::Read { path, .. } => path.len() > 1,
        Fact::Compared { .. } | Fact::Called { .. } => true,
    }
}
