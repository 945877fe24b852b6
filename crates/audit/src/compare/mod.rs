//! What this audit finds, beside what another one wrote into the status of the constraints: how somebody who comes from Gatekeeper, or
//! goes back, sees whether the two say the same.
//!
//! ```text
//! constraints ── theirs ──> what their status lists ──┐
//! findings ───────────────────────────────────────────┴── sides ──> a verdict for each constraint ── write ──> a table, JSON
//! ```
//!
//! A status has at most some twenty violations of each constraint, their messages are cut, and it is as old as the audit that wrote it.
//! So what it does not show is said to be not comparable, and is never "equal".

mod sides;
mod theirs;
mod write;

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use portcullis_report::sink::{Sink, Start, Target};
use portcullis_report::{AuditReport, Completion, ExitStatus, Finding, Form, Standing};

use crate::policies::Policies;
pub use sides::{Comparison, Entry, Verdict};
pub use theirs::Theirs;

/// The forms that a comparison can be written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CompareForm {
    /// A table, and what differs.
    Human,
    /// One JSON document.
    Json,
}

impl CompareForm {
    /// The form of an audit that a comparison has as well.
    pub const fn of(form: Form) -> Option<Self> {
        match form {
            Form::Human => Some(Self::Human),
            Form::Json => Some(Self::Json),
            _ => None,
        }
    }
}

/// What came of a comparison, for callers that ask when the audit has ended.
#[derive(Clone, Debug, Default)]
pub struct Outcome(Arc<AtomicU8>);

/// Nothing was compared yet; all is equal, something differs, something could not be compared.
const UNKNOWN: u8 = 0;
const EQUAL: u8 = 1;
const DIFFERS: u8 = 2;
const DOUBTFUL: u8 = 3;

impl Outcome {
    /// The exit status: 0 if both say the same of every constraint, 1 if they differ in one, 2 if not all could be compared.
    pub fn status(&self, standing: Standing) -> ExitStatus {
        match (standing, self.0.load(Ordering::Relaxed)) {
            // Nothing to judge is nothing that could differ, if the other says so too.
            (Standing::Incomplete, _) => ExitStatus::Error,
            (_, EQUAL) => ExitStatus::Success,
            (_, DIFFERS) => ExitStatus::Violations,
            _ => ExitStatus::Error,
        }
    }
}

/// Compares when the audit has ended.
pub struct Compare {
    theirs: Vec<Theirs>,
    message_limit: usize,
    output: Option<(CompareForm, Target)>,
    outcome: Outcome,
}

impl Compare {
    /// With the statuses that constraints have as they were read. Without an output there is only the outcome.
    pub fn new(policies: &Policies, message_limit: usize, output: Option<(CompareForm, Target)>) -> Self {
        let constraints: BTreeMap<_, _> =
            policies.set.constraints().map(|constraint| (constraint.key(), constraint)).collect();
        let theirs = policies.described.iter().map(|policy| {
            let constraint = constraints.get(&policy.key);
            constraint.map_or(Theirs::Absent, |constraint| {
                Theirs::of(&constraint.object().to_json(), policy.declared)
            })
        });
        Self { theirs: theirs.collect(), message_limit, output, outcome: Outcome::default() }
    }

    /// What will have come of it.
    pub fn outcome(&self) -> Outcome {
        self.outcome.clone()
    }
}

impl Sink for Compare {
    fn begin(&mut self, _: &Start<'_>) -> io::Result<()> {
        self.outcome.0.store(UNKNOWN, Ordering::Relaxed);
        Ok(())
    }

    fn finding(&mut self, _: &Start<'_>, _: &Finding) -> io::Result<()> {
        Ok(())
    }

    fn end(&mut self, report: &AuditReport) -> io::Result<()> {
        let comparisons = sides::compare(report, &self.theirs, self.message_limit)?;
        let has = |verdict: fn(&Verdict) -> bool| comparisons.iter().any(|found| verdict(&found.verdict));
        let outcome = if matches!(report.completion, Completion::Unfinished { .. }) {
            DOUBTFUL
        } else if has(|verdict| *verdict == Verdict::Differs) {
            DIFFERS
        } else if comparisons.is_empty() || has(|verdict| matches!(verdict, Verdict::NotComparable(_))) {
            DOUBTFUL
        } else {
            EQUAL
        };
        self.outcome.0.store(outcome, Ordering::Relaxed);
        let Some((form, target)) = &self.output else { return Ok(()) };
        let mut out = target.open(*form == CompareForm::Human)?;
        match form {
            CompareForm::Human => write::human(report, &comparisons, &mut out)?,
            CompareForm::Json => write::json(report, &comparisons, &mut out)?,
        }
        out.finish()
    }
}
