//! Results of suites, and their reports.

mod human;
mod json;
mod junit;

use std::time::Duration;

use portcullis::{Error, Location};

pub use human::write as write_human;
pub use json::write as write_json;
pub use junit::write as write_junit;

/// How something came out. Ordered: what is made of parts is as bad as its worst part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Was told not to run.
    Skipped,
    /// Did what it should.
    Passed,
    /// Did something else.
    Failed,
    /// Could not be run as written.
    Broken,
}

impl Status {
    /// The word in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Broken => "broken",
        }
    }

    /// Whether it makes the run fail.
    pub fn is_bad(self) -> bool {
        self >= Self::Failed
    }
}

/// A suite file.
#[derive(Debug)]
pub struct SuiteResult {
    /// The path, as it was named.
    pub file: String,
    /// As bad as the worst of its parts.
    pub status: Status,
    /// How long it took.
    pub elapsed: Duration,
    /// What is wrong with the file itself.
    pub problems: Vec<Error>,
    /// In the order of the file.
    pub tests: Vec<TestResult>,
}

/// A test: a template with a constraint.
#[derive(Debug)]
pub struct TestResult {
    /// As the suite names it.
    pub name: String,
    /// Where the suite defines it.
    pub location: Location,
    /// As bad as the worst of its cases.
    pub status: Status,
    /// How long it took.
    pub elapsed: Duration,
    /// What is wrong with the test as a whole.
    pub failures: Vec<Failure>,
    /// What works, but probably not as meant.
    pub warnings: Vec<Error>,
    /// In the order of the file.
    pub cases: Vec<CaseResult>,
}

/// A case of a test.
#[derive(Debug)]
pub struct CaseResult {
    /// As the suite names it.
    pub name: String,
    /// Where the suite defines it.
    pub location: Location,
    /// How it came out.
    pub status: Status,
    /// How long it took.
    pub elapsed: Duration,
    /// Why it is bad; empty if it is not.
    pub failures: Vec<Failure>,
    /// What works, but probably not as meant.
    pub warnings: Vec<Error>,
    /// What the policy printed.
    pub prints: Vec<String>,
}

/// One reason why a test or a case is bad.
#[derive(Debug)]
pub struct Failure {
    /// The line of the suite that asks for it.
    pub location: Location,
    /// What was expected and what came.
    pub message: String,
    /// What came, in full: the messages of violations, or what is wrong with a file.
    pub details: Vec<String>,
    /// Failed, or broken.
    pub status: Status,
}

/// How many of each there are.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Suite files.
    pub suites: usize,
    /// Tests.
    pub tests: usize,
    /// Cases.
    pub cases: usize,
    /// Cases, tests without cases that could be blamed, and suites without tests, that are bad.
    pub bad: usize,
    /// Cases, and tests without cases, that were told not to run.
    pub skipped: usize,
}

impl Counts {
    /// Counts what there is.
    pub fn of(suites: &[SuiteResult]) -> Self {
        let mut counts = Self { suites: suites.len(), ..Self::default() };
        for suite in suites {
            counts.bad += usize::from(!suite.problems.is_empty() && suite.status.is_bad());
            counts.tests += suite.tests.len();
            for test in &suite.tests {
                counts.bad += usize::from(!test.failures.is_empty());
                counts.cases += test.cases.len();
                counts.bad += test.cases.iter().filter(|case| case.status.is_bad()).count();
                counts.skipped += test.cases.iter().filter(|case| case.status == Status::Skipped).count();
                counts.skipped += usize::from(test.cases.is_empty() && test.status == Status::Skipped);
            }
        }
        counts
    }
}
