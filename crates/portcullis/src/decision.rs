//! Decisions: what an outcome means. The only place that interprets enforcement actions.

use crate::enforcement::{Actions, EnforcementAction};
use crate::policy::ExceptionInfo;
use crate::review::{ConstraintResult, Outcome, Position, Verdict, Violation};

/// Whether a request may pass: logical AND over all constraints that apply, no OR.
///
/// It passes only if no constraint denies it. A constraint denies if it has the action `deny` here and found
/// a violation, or could not be evaluated. Findings are totally ordered: by declared action as text, then
/// message, then constraint, as Gatekeeper orders them, with its ties settled.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Decision<'a> {
    /// Everything that is not a pass and counts, in order.
    pub findings: Vec<Finding<'a>>,
    /// Violations that do not count because of an exception, in the same order. They deny and warn nobody.
    pub excepted: Vec<Finding<'a>>,
}

/// One violation, or one constraint that could not be evaluated.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Finding<'a> {
    /// The constraint's whole result.
    pub result: &'a ConstraintResult,
    /// The violation; `None` if the constraint could not be evaluated.
    pub violation: Option<&'a Violation>,
    /// The message to show.
    pub message: &'a str,
}

impl<'a> Finding<'a> {
    /// What one constraint found and counts, in order; nothing if the object passes.
    #[must_use]
    pub fn of(result: &'a ConstraintResult) -> Vec<Self> {
        match &result.verdict {
            Verdict::Pass | Verdict::Excepted { .. } => Vec::new(),
            Verdict::Violations(violations) => violations
                .iter()
                .map(|violation| Finding { result, violation: Some(violation), message: &violation.message })
                .collect(),
            Verdict::Error(error) => vec![Finding { result, violation: None, message: &error.message }],
        }
    }

    /// What one constraint found and an exception lets pass, in order.
    #[must_use]
    pub fn excepted(result: &'a ConstraintResult) -> Vec<Self> {
        match &result.verdict {
            Verdict::Excepted { violations, .. } => violations
                .iter()
                .map(|violation| Finding { result, violation: Some(violation), message: &violation.message })
                .collect(),
            Verdict::Pass | Verdict::Violations(_) | Verdict::Error(_) => Vec::new(),
        }
    }

    /// Where in the object's document it is. Worked out here: see [`Violation::position`].
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        self.violation?.position()
    }

    /// The policy's `details`; `{}` if it gave none, or the constraint could not be evaluated.
    #[must_use]
    pub fn details(&self) -> serde_json::Value {
        self.violation.map_or_else(|| serde_json::Value::Object(serde_json::Map::new()), Violation::details)
    }

    /// The same as a text of JSON: see [`Violation::details_json`].
    #[must_use]
    pub fn details_json(&self, most: usize) -> Option<String> {
        self.violation.map_or_else(|| Some("{}".to_owned()), |violation| violation.details_json(most))
    }

    /// The exception that lets it pass, if one does.
    #[must_use]
    pub fn exception(&self) -> Option<&'a ExceptionInfo> {
        match &self.result.verdict {
            Verdict::Excepted { by, .. } => Some(by),
            Verdict::Pass | Verdict::Violations(_) | Verdict::Error(_) => None,
        }
    }

    /// What it leads to here.
    #[must_use]
    pub fn actions(&self) -> Actions {
        self.result.actions
    }

    /// The gravest of its actions.
    #[must_use]
    pub fn action(&self) -> EnforcementAction {
        // Results without any action are never produced; deny is the safe reading of one.
        self.result.actions.gravest().unwrap_or(EnforcementAction::Deny)
    }

    /// True if it could not be determined whether the constraint holds.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.violation.is_none()
    }

    /// The line that a user of the cluster sees: `[constraint] message`.
    #[must_use]
    pub fn line(&self) -> String {
        format!("[{}] {}", self.result.key().name, self.message)
    }
}

impl<'a> From<&'a Outcome> for Decision<'a> {
    fn from(outcome: &'a Outcome) -> Self {
        let mut findings: Vec<Finding<'a>> = outcome.results.iter().flat_map(Finding::of).collect();
        let mut excepted: Vec<Finding<'a>> = outcome.results.iter().flat_map(Finding::excepted).collect();
        for findings in [&mut findings, &mut excepted] {
            // Stable, and the results come ordered by constraint key, so this settles every tie.
            findings.sort_by(|a, b| {
                let key = |finding: &Finding<'a>| (finding.result.declared(), finding.message);
                key(a).cmp(&key(b))
            });
        }
        Self { findings, excepted }
    }
}

impl Decision<'_> {
    /// Whether the request may pass.
    #[must_use]
    pub fn allowed(&self) -> bool {
        !self.findings.iter().any(|finding| finding.actions().contains(EnforcementAction::Deny))
    }

    /// The lines of what denies it, in order. Empty if it may pass.
    #[must_use]
    pub fn denials(&self) -> Vec<String> {
        self.lines(EnforcementAction::Deny)
    }

    /// The lines of what it is warned about, in order; also present if it is denied.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.lines(EnforcementAction::Warn)
    }

    fn lines(&self, action: EnforcementAction) -> Vec<String> {
        let with_action = |finding: &&Finding<'_>| finding.actions().contains(action);
        self.findings.iter().filter(with_action).map(Finding::line).collect()
    }
}
