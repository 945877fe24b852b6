//! What tests reached of policies: lines and conditions of each file.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::sync::Arc;

use portcullis::{CoveredKind, CoveredPlace, Location, Source};

use crate::form::{Spec, Writer};
use crate::verify::VerifyReport;
use crate::{count, escape};

/// What tests reached of policies.
#[derive(Debug)]
pub struct TestCoverage {
    /// In the order of their names.
    pub files: Vec<CoveredFile>,
    /// Percent of the lines that have to be reached, if somebody said so.
    pub least: Option<f64>,
}

/// What tests reached of a file.
#[derive(Debug)]
pub struct CoveredFile {
    /// The file.
    pub file: String,
    /// The lines with a statement, or the head of a rule, that were reached, in order.
    pub covered: Vec<u32>,
    /// The others, in order.
    pub uncovered: Vec<u32>,
    /// What may hold or not, in the order of the text.
    pub conditions: Vec<CoveredCondition>,
    /// Its text.
    pub source: Arc<Source>,
}

/// How a condition came out.
#[derive(Debug)]
pub struct CoveredCondition {
    /// Where it stands.
    pub location: Location,
    /// Whether it was reached.
    pub is_reached: bool,
    /// Whether it held in some case.
    pub has_held: bool,
    /// Whether it did not in some case.
    pub has_failed: bool,
}

impl CoveredCondition {
    /// How many of its two outcomes were seen.
    pub fn outcomes(&self) -> usize {
        usize::from(self.has_held) + usize::from(self.has_failed)
    }
}

impl CoveredFile {
    /// Places by file.
    pub fn all(places: Vec<CoveredPlace>) -> Vec<Self> {
        let mut files: BTreeMap<String, Vec<CoveredPlace>> = BTreeMap::new();
        for place in places {
            files.entry(place.location.file().to_string()).or_default().push(place);
        }
        files.into_iter().filter_map(|(file, places)| Self::of(file, places)).collect()
    }

    fn of(file: String, places: Vec<CoveredPlace>) -> Option<Self> {
        let source = places.first()?.location.source().clone();
        let (mut all, mut reached) = (BTreeSet::new(), BTreeSet::new());
        let mut conditions = Vec::new();
        for place in places {
            let line = place.location.line();
            all.insert(line);
            if place.is_reached {
                reached.insert(line);
            }
            if place.kind == CoveredKind::Condition {
                conditions.push(CoveredCondition {
                    location: place.location,
                    is_reached: place.is_reached,
                    has_held: place.has_held,
                    has_failed: place.has_failed,
                });
            }
        }
        conditions.sort_by(|a, b| a.location.cmp(&b.location));
        let uncovered = all.difference(&reached).copied().collect();
        Some(Self { file, covered: reached.into_iter().collect(), uncovered, conditions, source })
    }

    /// Percent of its lines.
    pub fn percent(&self) -> f64 {
        percent(self.covered.len(), self.lines())
    }

    /// Lines with a statement or the head of a rule.
    pub fn lines(&self) -> usize {
        self.covered.len() + self.uncovered.len()
    }

    /// Outcomes of conditions that were seen.
    pub fn outcomes(&self) -> usize {
        self.conditions.iter().map(CoveredCondition::outcomes).sum()
    }

    /// Conditions that were reached and always came out the same.
    pub fn one_sided(&self) -> impl Iterator<Item = &CoveredCondition> {
        self.conditions.iter().filter(|condition| condition.is_reached && condition.outcomes() == 1)
    }
}

impl TestCoverage {
    /// Percent of all lines; 100 if there are none.
    pub fn percent(&self) -> f64 {
        percent(self.files.iter().map(|file| file.covered.len()).sum(), self.lines())
    }

    fn lines(&self) -> usize {
        self.files.iter().map(CoveredFile::lines).sum()
    }

    /// Whether less was reached than has to be.
    pub fn is_too_little(&self) -> bool {
        self.least.is_some_and(|least| self.percent() < least)
    }

    /// `coverage 82.5 % of 40 lines, 30 of 36 outcomes of conditions`, and what it has to be if it is less.
    pub fn line(&self) -> String {
        let less = match self.least.filter(|_| self.is_too_little()) {
            Some(least) => format!(", less than the {least} % that have to be"),
            None => String::new(),
        };
        let conditions: usize = self.files.iter().map(|file| file.conditions.len()).sum();
        let outcomes: usize = self.files.iter().map(CoveredFile::outcomes).sum();
        let outcomes = match conditions {
            0 => String::new(),
            _ => format!(", {outcomes} of {} outcomes of conditions", conditions.saturating_mul(2)),
        };
        format!(
            "coverage {:.1} % of {}{less}{outcomes}",
            self.percent(),
            count(self.lines(), "line", "lines")
        )
    }
}

pub(crate) fn percent(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        return 100.0;
    }
    // Lines of files are far fewer than what a float counts exactly.
    let float = |number: usize| f64::from(u32::try_from(number).unwrap_or(u32::MAX));
    float(part) * 100.0 / float(whole)
}

pub(crate) const FORM: Spec = Spec {
    verify: Some(Writer {
        about: "coverage as a tracefile of lcov: lines, and conditions as branches",
        write,
    }),
    ..Spec::new("lcov")
};

/// One record for each file. Each condition is a block with two branches: it holds, it does not.
fn write(report: &VerifyReport, out: &mut dyn Write) -> io::Result<()> {
    let files = report.coverage.iter().flat_map(|coverage| &coverage.files);
    for file in files {
        writeln!(out, "TN:\nSF:{}", escape::line(&file.file))?;
        let mut block = 0_usize;
        for condition in &file.conditions {
            let line = condition.location.line();
            for (branch, came) in [condition.has_held, condition.has_failed].into_iter().enumerate() {
                let taken = match (condition.is_reached, came) {
                    (false, _) => "-",
                    (true, false) => "0",
                    (true, true) => "1",
                };
                writeln!(out, "BRDA:{line},{block},{branch},{taken}")?;
            }
            block += 1;
        }
        writeln!(out, "BRF:{}\nBRH:{}", block.saturating_mul(2), file.outcomes())?;
        let covered = file.covered.iter().map(|line| (*line, 1));
        let mut lines: Vec<(u32, u8)> = covered.chain(file.uncovered.iter().map(|line| (*line, 0))).collect();
        lines.sort_unstable();
        for (line, hits) in lines {
            writeln!(out, "DA:{line},{hits}")?;
        }
        writeln!(out, "LF:{}\nLH:{}\nend_of_record", file.lines(), file.covered.len())?;
    }
    Ok(())
}
