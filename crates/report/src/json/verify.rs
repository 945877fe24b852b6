//! Suites, tests and cases as JSON.

use std::io::{self, Write};

use serde::Serialize;

use super::{Start, write_indented};
use crate::Problem;
use crate::verify::{CaseResult, CoveredFile, MutationResult, Ran, SuiteResult, TestResult, VerifyReport};

#[derive(Serialize)]
pub(crate) struct Document<'a> {
    passed: bool,
    suites: Vec<Suite<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    coverage: Option<Coverage<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mutation: Option<Mutation<'a>>,
}

#[derive(Serialize)]
struct Mutation<'a> {
    percent: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    least: Option<f64>,
    mutants: usize,
    killed: usize,
    survived: usize,
    accepted: usize,
    said: usize,
    refused: usize,
    survivors: Vec<SurvivorItem<'a>>,
}

#[derive(Serialize)]
struct SurvivorItem<'a> {
    kind: &'static str,
    change: &'a str,
    rule: &'a str,
    copies: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    nearly: Option<&'a str>,
    location: Start<'a>,
}

#[derive(Serialize)]
struct Coverage<'a> {
    percent: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    least: Option<f64>,
    files: Vec<FileItem<'a>>,
}

#[derive(Serialize)]
struct FileItem<'a> {
    file: &'a str,
    percent: f64,
    covered: usize,
    uncovered: &'a [u32],
    conditions: Vec<ConditionItem<'a>>,
}

#[derive(Serialize)]
struct ConditionItem<'a> {
    location: Start<'a>,
    reached: bool,
    held: bool,
    failed: bool,
}

#[derive(Serialize)]
struct Suite<'a> {
    file: &'a str,
    status: &'static str,
    seconds: f64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<ProblemItem<'a>>,
    tests: Vec<Item<'a>>,
}

/// A test, or a case of one.
#[derive(Serialize)]
struct Item<'a> {
    name: &'a str,
    status: &'static str,
    seconds: f64,
    location: Start<'a>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    failures: Vec<FailureItem<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<ProblemItem<'a>>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    prints: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    cases: Option<Vec<Item<'a>>>,
}

#[derive(Serialize)]
struct FailureItem<'a> {
    message: &'a str,
    details: &'a [String],
    location: Start<'a>,
}

#[derive(Serialize)]
struct ProblemItem<'a> {
    severity: String,
    code: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    location: Option<Start<'a>>,
}

/// Writes all suites.
pub(super) fn write(report: &VerifyReport, out: &mut dyn Write) -> io::Result<()> {
    write_indented(&content(report), out)
}

/// What the JSON report has in it.
pub(crate) fn content(report: &VerifyReport) -> Document<'_> {
    let suites = report.suites.iter().map(suite_item).collect();
    let coverage = report.coverage.as_ref().map(|coverage| Coverage {
        percent: coverage.percent(),
        least: coverage.least,
        files: coverage.files.iter().map(covered).collect(),
    });
    let mutation = report.mutation.as_ref().map(mutation);
    Document { passed: report.passed, suites, coverage, mutation }
}

fn mutation(result: &MutationResult) -> Mutation<'_> {
    let survivors = result.survivors.iter().map(|survivor| SurvivorItem {
        kind: survivor.kind,
        change: &survivor.what,
        rule: &survivor.rule,
        copies: survivor.copies,
        nearly: survivor.nearly.as_deref(),
        location: Start::at(&survivor.location),
    });
    Mutation {
        percent: result.percent(),
        least: result.least,
        mutants: result.mutants(),
        killed: result.killed,
        survived: result.survivors.len(),
        accepted: result.accepted,
        said: result.said,
        refused: result.refused,
        survivors: survivors.collect(),
    }
}

fn covered(file: &CoveredFile) -> FileItem<'_> {
    let conditions = file.conditions.iter().map(|condition| ConditionItem {
        location: Start::at(&condition.location),
        reached: condition.is_reached,
        held: condition.has_held,
        failed: condition.has_failed,
    });
    FileItem {
        file: &file.file,
        percent: file.percent(),
        covered: file.covered.len(),
        uncovered: &file.uncovered,
        conditions: conditions.collect(),
    }
}

fn suite_item(suite: &SuiteResult) -> Suite<'_> {
    Suite {
        file: &suite.name,
        status: suite.status.as_str(),
        seconds: suite.elapsed.as_secs_f64(),
        problems: problems(&suite.problems),
        tests: suite.parts.iter().map(test_item).collect(),
    }
}

fn test_item(test: &TestResult) -> Item<'_> {
    Item { cases: Some(test.parts.iter().map(case_item).collect()), ..item(test) }
}

fn case_item(case: &CaseResult) -> Item<'_> {
    Item { prints: &case.parts, ..item(case) }
}

fn item<Parts>(ran: &Ran<Parts>) -> Item<'_> {
    let failures = ran.failures.iter().map(|failure| FailureItem {
        message: &failure.message,
        details: &failure.details,
        location: Start::at(&failure.location),
    });
    Item {
        name: &ran.name,
        status: ran.status.as_str(),
        seconds: ran.elapsed.as_secs_f64(),
        location: Start::at(&ran.location),
        failures: failures.collect(),
        warnings: problems(&ran.problems),
        prints: &[],
        cases: None,
    }
}

fn problems(problems: &[Problem]) -> Vec<ProblemItem<'_>> {
    problems
        .iter()
        .map(|problem| ProblemItem {
            severity: problem.severity.to_string(),
            code: problem.kind.code(),
            message: &problem.message,
            hint: problem.help.as_deref(),
            location: problem.place.as_ref().map(Start::of),
        })
        .collect()
}
