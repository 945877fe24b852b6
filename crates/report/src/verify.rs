//! What `portcullis verify` found: results of suites.

use std::time::Duration;

use portcullis::Location;

pub use crate::covered::{CoveredCondition, CoveredFile, TestCoverage};
pub use crate::mutants::{MutationResult, Survivor};
use crate::{Problem, ReportTemplate};

/// What `portcullis verify` found.
#[derive(Debug)]
pub struct VerifyReport {
    /// In the order of the files.
    pub suites: Vec<SuiteResult>,
    /// Whether the run as a whole passed.
    pub passed: bool,
    /// Whether people want to see what passed as well, and what policies print.
    pub verbose: bool,
    /// What the tests reached of policies, if that was asked for.
    pub coverage: Option<TestCoverage>,
    /// What suites notice of changes of their templates, if that was asked for.
    pub mutation: Option<MutationResult>,
    /// What `-o template` renders.
    pub template: Option<ReportTemplate>,
}

/// How something came out. Ordered: what is made of parts is as bad as its worst part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Was not to be run.
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

/// What was run and how it came out: a suite file of tests, a test of cases, a case with what its policy
/// printed.
#[derive(Debug)]
pub struct Ran<Parts> {
    /// The path of a file as it was named; of tests and cases, what the suite calls them.
    pub name: String,
    /// Where the suite defines it; the file as a whole for a suite.
    pub location: Location,
    /// As bad as the worst of its failures and parts.
    pub status: Status,
    /// How long it took.
    pub elapsed: Duration,
    /// Why it is bad, apart from its parts; none for a suite.
    pub failures: Vec<Failure>,
    /// What works, but probably not as meant; of a suite, also the errors of its file.
    pub problems: Vec<Problem>,
    /// In the order of the file.
    pub parts: Parts,
}

/// A suite file.
pub type SuiteResult = Ran<Vec<TestResult>>;

/// A test: a template with a constraint.
pub type TestResult = Ran<Vec<CaseResult>>;

/// A case of a test; its parts are the lines that the policy printed.
pub type CaseResult = Ran<Vec<String>>;

impl<Parts: Default> Ran<Parts> {
    /// One that was not to be run.
    pub fn skipped(name: &str, location: Location) -> Self {
        Self {
            name: name.to_owned(),
            location,
            status: Status::Skipped,
            elapsed: Duration::ZERO,
            failures: Vec::new(),
            problems: Vec::new(),
            parts: Parts::default(),
        }
    }
}

impl<Parts> Ran<Parts> {
    /// The worst of its failures, if it has one.
    pub fn worst_failure(&self) -> Option<Status> {
        self.failures.iter().map(|failure| failure.status).max()
    }
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
    /// Cases, and tests without cases, that were not to be run.
    pub skipped: usize,
}

impl Counts {
    /// Counts what there is.
    pub fn of(suites: &[SuiteResult]) -> Self {
        let mut counts = Self { suites: suites.len(), ..Self::default() };
        for suite in suites {
            counts.bad += usize::from(!suite.problems.is_empty() && suite.status.is_bad());
            counts.tests += suite.parts.len();
            for test in &suite.parts {
                counts.bad += usize::from(!test.failures.is_empty());
                counts.cases += test.parts.len();
                counts.bad += test.parts.iter().filter(|case| case.status.is_bad()).count();
                counts.skipped += test.parts.iter().filter(|case| case.status == Status::Skipped).count();
                counts.skipped += usize::from(test.parts.is_empty() && test.status == Status::Skipped);
            }
        }
        counts
    }
}
