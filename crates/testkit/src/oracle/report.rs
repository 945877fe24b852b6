//! What came of the cases of a recording.

use std::collections::BTreeMap;
use std::fmt;

use super::Judgement;

/// Counts, and a line for every difference.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Cases that agree.
    pub passed: usize,
    /// Those that differ, and those that are known to differ but agree.
    pub failures: Vec<String>,
    /// Those that are known to differ, and do.
    pub skipped: Vec<String>,
    /// How often what does not count agrees, and how often it was asked.
    notes: BTreeMap<&'static str, (usize, usize)>,
}

impl Report {
    pub(super) fn add(&mut self, place: &str, judgement: Judgement, reason: Option<&str>) {
        for (name, agrees) in judgement.notes {
            let (agreed, asked) = self.notes.entry(name).or_default();
            *agreed += usize::from(agrees);
            *asked += 1;
        }
        match (judgement.difference, reason) {
            (None, None) => self.passed += 1,
            (None, Some(reason)) => {
                self.failures.push(format!("{place}: agrees, though it is known to differ: {reason}"));
            }
            (Some(difference), None) => self.failures.push(format!("{place}: {difference}")),
            (Some(_), Some(reason)) => self.skipped.push(format!("{place}: {reason}")),
        }
    }

    /// Whether there was no case.
    pub fn is_empty(&self) -> bool {
        self.passed == 0 && self.failures.is_empty() && self.skipped.is_empty()
    }

    /// Whether all is as the list says.
    pub fn is_as_expected(&self) -> bool {
        self.failures.is_empty()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for failure in &self.failures {
            writeln!(f, "{failure}")?;
        }
        for (name, (agreed, asked)) in &self.notes {
            writeln!(f, "{name}: {agreed} of {asked} agree")?;
        }
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failures.len(), self.skipped.len())
    }
}
