//! What a review found: one result per constraint that applies, in the order of constraint keys.

use std::fmt;
use std::sync::Arc;

use portcullis_value::Questions;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};

use super::implied::ImpliedBy;
use super::locate::Places;
use crate::enforcement::{Actions, EnforcementPoint};
use crate::names::ConstraintKey;
use crate::path::FieldPath;
use crate::policy::{ConstraintInfo, ExceptionInfo};
use crate::program::{EvaluationError, RawViolation};
use crate::source::Location;
use crate::value::{self, Value};

/// The result of reviewing one object at one enforcement point.
///
/// Holds every constraint that applies, also those that passed: "nothing applied" and "everything passed" are
/// different things. Ordered by constraint key; equal inputs give equal outcomes. What the object implies is
/// part of it: a constraint then has a result for the object and one for each implied object that it applies
/// to, in the order in which these are generated.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome {
    /// Where it was reviewed.
    pub point: EnforcementPoint,
    /// One entry per constraint that applies, and object that it applies to.
    pub results: Vec<ConstraintResult>,
    /// Whether there was no room for something that was found.
    pub(super) is_cut: bool,
}

impl Outcome {
    /// What has to be answered before all constraints can be judged, of all of them at once. Constraints that ask are
    /// errors until then; [`crate::PolicySet::resume`] goes on with the answers. If there is no room for all questions,
    /// the rest is asked then.
    #[must_use]
    pub fn questions(&self) -> Questions {
        let mut questions = Questions::default();
        let all = self.results.iter().flat_map(|result| result.questions.iter());
        let room = all.map(|question| questions.ask(question.clone())).find(Result::is_err);
        debug_assert!(room.is_none() || !questions.is_empty());
        questions
    }
}

/// What one constraint said.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ConstraintResult {
    /// The constraint, with its template's title and description.
    pub constraint: Arc<ConstraintInfo>,
    /// What it is about, if that is not the object but something that the object implies.
    pub implied_by: Option<ImpliedBy>,
    /// What its violations and errors lead to at this point; never empty.
    pub actions: Actions,
    /// The verdict.
    pub verdict: Verdict,
    /// What the policy printed with `print`.
    pub prints: Vec<String>,
    /// Steps that the evaluation took, of a policy in CEL what it cost; the same on every machine. None where nobody counted:
    /// [`crate::World::with_counting`].
    pub steps: Option<u64>,
    /// Nanoseconds that it took; `None` if the world has no stopwatch.
    pub took_ns: Option<u64>,
    /// What it asks of the world outside and [`crate::World::with_answers`] does not know. If there is anything, the
    /// verdict is an error: it is not known yet.
    pub questions: Questions,
    /// Which review it is of: 0 for that of the object, then those of what it implies.
    pub(super) review: usize,
}

impl ConstraintResult {
    /// Kind and name of the constraint.
    #[must_use]
    pub fn key(&self) -> &ConstraintKey {
        self.constraint.key()
    }

    /// The word for what its violations lead to: the constraint's, or that of the template which implies what
    /// it is about.
    #[must_use]
    pub fn declared(&self) -> &'static str {
        let implied = self.implied_by.as_ref().and_then(ImpliedBy::enforcement_action);
        implied.map_or_else(|| self.constraint.enforcement().declared(), |action| action.as_str())
    }
}

/// Pass, violations, or unknown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The object satisfies the constraint.
    Pass,
    /// It does not; at least one violation, ordered by message, then details.
    Violations(Vec<Violation>),
    /// It does not, and an exception says that this does not count. What could not be determined is never
    /// excepted.
    Excepted {
        /// As of [`Verdict::Violations`].
        violations: Vec<Violation>,
        /// Which exception says so.
        by: Arc<ExceptionInfo>,
    },
    /// It could not be determined. Treated as one violation: unknown is never a pass.
    Error(EvaluationError),
}

impl Verdict {
    /// With something before each message.
    pub(super) fn after(self, prefix: &str) -> Self {
        match self {
            Self::Pass => Self::Pass,
            Self::Violations(violations) => {
                Self::Violations(violations.into_iter().map(|violation| violation.after(prefix)).collect())
            }
            Self::Excepted { violations, by } => {
                let violations = violations.into_iter().map(|violation| violation.after(prefix)).collect();
                Self::Excepted { violations, by }
            }
            Self::Error(error) => {
                Self::Error(EvaluationError { message: format!("{prefix}{}", error.message), ..error })
            }
        }
    }
}

/// One reason why a constraint does not hold.
///
/// Details and position are worked out when they are asked for: a webhook shows neither.
#[derive(Clone)]
#[non_exhaustive]
pub struct Violation {
    /// The policy's message.
    pub message: String,
    pub(super) details: Value,
    /// What it is a violation of, and what the policy reads of that.
    pub(super) places: Option<Arc<Places>>,
    /// How much of the message is not the policy's, from its beginning.
    prefix: usize,
    /// Whether it stands for something that could not be evaluated, beside what could: no exception covers it.
    pub(super) is_undetermined: bool,
}

impl Violation {
    pub(crate) fn new(raw: RawViolation, places: Option<Arc<Places>>) -> Self {
        Self {
            message: raw.message,
            details: raw.details,
            places,
            prefix: 0,
            is_undetermined: raw.is_undetermined,
        }
    }

    /// With something before the policy's message.
    pub(super) fn after(mut self, prefix: &str) -> Self {
        self.message.insert_str(0, prefix);
        self.prefix += prefix.len();
        self
    }

    /// What stands for so many that were too much.
    pub(super) fn left_out(number: usize) -> Self {
        let message = format!("… and {number} more violations");
        Self { message, details: value::object::<&str>([]), places: None, prefix: 0, is_undetermined: false }
    }

    /// The policy's `details`, `{}` if it gave none. Sets are arrays, keys are sorted.
    #[must_use]
    pub fn details(&self) -> serde_json::Value {
        value::to_json(&self.details)
    }

    /// The same as a text of JSON, if that has no more than so many bytes. Costs no more than these, however
    /// large the details are.
    #[must_use]
    pub fn details_json(&self, most: usize) -> Option<String> {
        value::to_json_text(&self.details, most)
    }

    /// Where in the object's document it is, if the object has one.
    ///
    /// Cost: for the first violation of an object a walk over it, for each linear in message and details.
    /// Both end early at bounds of their own: the place is then what the policy reads, or the object.
    #[must_use]
    pub fn position(&self) -> Option<Position> {
        let said = self.message.get(self.prefix..).unwrap_or_default();
        self.places.as_ref()?.position(said, &self.details)
    }
}

impl fmt::Debug for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Violation");
        shown.field("message", &self.message).field("details", &self.details).finish_non_exhaustive()
    }
}

impl PartialEq for Violation {
    fn eq(&self, other: &Self) -> bool {
        self.message == other.message && self.details == other.details
    }
}

impl Eq for Violation {}

impl Serialize for Violation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("message", &self.message)?;
        map.serialize_entry("details", &self.details())?;
        map.end()
    }
}

/// A place in the object's document that a violation is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The place.
    pub location: Location,
    /// The field there.
    pub path: FieldPath,
    /// How it was found.
    pub precision: Precision,
}

/// How the position of a violation was found, the most telling first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Precision {
    /// The policy named the field in `details`.
    Details,
    /// The message quotes a value that stands at one place only, or names a list item.
    Message,
    /// The rule reads this part of the object and no other.
    Rule,
    /// Only the object is known.
    Object,
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Details => "details",
            Self::Message => "message",
            Self::Rule => "rule",
            Self::Object => "object",
        })
    }
}
