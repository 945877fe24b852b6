//! What came of a run.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use super::{Evaluator, Failure, KnownFailure, Verdict};

/// A failure of a case.
#[derive(Clone, Debug)]
pub struct Failed {
    /// How.
    pub class: Failure,
    /// What differs.
    pub why: String,
    /// The reason from the list, if it is known and fails as it is known to.
    pub known: Option<String>,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    evaluator: Evaluator,
    /// How many cases passed.
    pub passed: usize,
    /// What failed, by name.
    pub failures: BTreeMap<String, Failed>,
    /// What was skipped, by name, with the reason.
    pub skipped: BTreeMap<String, String>,
    /// Cases that pass but are known to fail.
    pub unexpected_passes: Vec<String>,
    /// Entries of the lists that fit nothing.
    pub stale: Vec<String>,
}

impl Report {
    pub(super) const fn new(evaluator: Evaluator) -> Self {
        Self {
            evaluator,
            passed: 0,
            failures: BTreeMap::new(),
            skipped: BTreeMap::new(),
            unexpected_passes: Vec::new(),
            stale: Vec::new(),
        }
    }

    pub(super) fn skip(&mut self, name: &str, reason: &str) {
        self.skipped.insert(name.to_owned(), reason.to_owned());
    }

    pub(super) fn add(&mut self, name: &str, verdict: Verdict, known: Option<&KnownFailure>) {
        match verdict {
            Verdict::NotTried => self.skip(name, "this evaluator cannot be asked this"),
            Verdict::Passed => {
                self.passed += 1;
                if known.is_some() {
                    self.unexpected_passes.push(name.to_owned());
                }
            }
            Verdict::Failed(class, why) => {
                let known = known.filter(|known| known.class == class).map(|known| known.reason.clone());
                self.failures.insert(name.to_owned(), Failed { class, why, known });
            }
        }
    }

    /// How many failures are of a class.
    pub fn count(&self, class: Failure) -> usize {
        self.failures.values().filter(|failed| failed.class == class).count()
    }

    /// Failures that are not on the list, or not of the class that the list says.
    pub fn unexpected_failures(&self) -> impl Iterator<Item = (&str, &Failed)> {
        self.failures
            .iter()
            .filter(|(_, failed)| failed.known.is_none())
            .map(|(name, failed)| (name.as_str(), failed))
    }

    /// Whether everything is as the lists say. They speak of no evaluator but ours.
    pub fn is_as_expected(&self) -> bool {
        self.evaluator != Evaluator::Portcullis
            || (self.unexpected_failures().next().is_none()
                && self.unexpected_passes.is_empty()
                && self.stale.is_empty())
    }

    /// The failures that are known, one per line.
    pub fn known(&self) -> String {
        let mut text = String::new();
        for (name, failed) in &self.failures {
            if let Some(reason) = &failed.known {
                let _ = writeln!(text, "known failure ({}): {name}: {} [{reason}]", failed.class, failed.why);
            }
        }
        text
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Load => "at load",
            Self::Evaluation => "in evaluation",
            Self::Silent => "SILENT",
            Self::Panic => "PANIC",
            Self::Time => "NO END",
        })
    }
}

/// What is not as expected, the failures by class, and in the last line the numbers.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, failed) in self.unexpected_failures() {
            writeln!(f, "unexpected failure ({}): {name}: {}", failed.class, failed.why)?;
        }
        for name in &self.unexpected_passes {
            writeln!(f, "unexpected pass: {name}: take it off the list of known failures")?;
        }
        for line in &self.stale {
            writeln!(f, "stale entry: {line}")?;
        }
        write!(f, "failures by class:")?;
        for class in [Failure::Load, Failure::Evaluation, Failure::Silent, Failure::Panic, Failure::Time] {
            write!(f, " {} {class};", self.count(class))?;
        }
        writeln!(
            f,
            " {} of all are known",
            self.failures.values().filter(|failed| failed.known.is_some()).count()
        )?;
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failures.len(), self.skipped.len())
    }
}
