//! Suites, tests and cases as JSON.

use std::io::{self, Write};

use portcullis::{Error, Location};
use serde::Serialize;

use super::{CaseResult, Failure, Status, SuiteResult, TestResult};
use crate::json::{Position, write_indented};

#[derive(Serialize)]
struct Report<'a> {
    passed: bool,
    suites: Vec<Suite<'a>>,
}

#[derive(Serialize)]
struct Suite<'a> {
    file: &'a str,
    status: &'static str,
    seconds: f64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<Problem<'a>>,
    tests: Vec<Item<'a>>,
}

/// A test, or a case of one.
#[derive(Serialize)]
struct Item<'a> {
    name: &'a str,
    status: &'static str,
    seconds: f64,
    location: Position<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failures: Vec<FailureItem<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<Problem<'a>>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    prints: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    cases: Option<Vec<Item<'a>>>,
}

#[derive(Serialize)]
struct FailureItem<'a> {
    message: &'a str,
    details: &'a [String],
    location: Position<'a>,
}

#[derive(Serialize)]
struct Problem<'a> {
    severity: String,
    code: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    location: Option<Position<'a>>,
}

/// Writes all suites. `passed` is about the run as a whole.
pub fn write(suites: &[SuiteResult], passed: bool, out: &mut dyn Write) -> io::Result<()> {
    let report = Report { passed, suites: suites.iter().map(suite_item).collect() };
    write_indented(&report, out)
}

fn suite_item(suite: &SuiteResult) -> Suite<'_> {
    Suite {
        file: &suite.file,
        status: suite.status.as_str(),
        seconds: suite.elapsed.as_secs_f64(),
        problems: problems(&suite.problems),
        tests: suite.tests.iter().map(test_item).collect(),
    }
}

fn test_item(test: &TestResult) -> Item<'_> {
    let cases = test.cases.iter().map(case_item).collect();
    let common = item(&test.name, test.status, &test.location, &test.failures, &test.warnings);
    Item { seconds: test.elapsed.as_secs_f64(), cases: Some(cases), ..common }
}

fn case_item(case: &CaseResult) -> Item<'_> {
    let common = item(&case.name, case.status, &case.location, &case.failures, &case.warnings);
    Item { seconds: case.elapsed.as_secs_f64(), prints: &case.prints, ..common }
}

fn item<'a>(
    name: &'a str,
    status: Status,
    location: &'a Location,
    failures: &'a [Failure],
    warnings: &'a [Error],
) -> Item<'a> {
    let failures = failures.iter().map(|failure| FailureItem {
        message: &failure.message,
        details: &failure.details,
        location: Position::of(&failure.location),
    });
    Item {
        name,
        status: status.as_str(),
        seconds: 0.0,
        location: Position::of(location),
        failures: failures.collect(),
        warnings: problems(warnings),
        prints: &[],
        cases: None,
    }
}

fn problems(problems: &[Error]) -> Vec<Problem<'_>> {
    problems
        .iter()
        .map(|problem| Problem {
            severity: problem.severity().to_string(),
            code: problem.kind().code(),
            message: problem.message(),
            hint: problem.help(),
            location: problem.location().map(Position::of),
        })
        .collect()
}
