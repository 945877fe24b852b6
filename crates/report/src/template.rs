//! A form of somebody's own: a template, rendered with what the JSON report has in it.

use std::io::{self, Write};

use serde::Serialize;

use crate::form::{Spec, Writer};
use crate::lint::LintReport;
use crate::verify::VerifyReport;
use crate::{ReportTemplate, TestReport, json};

pub(crate) const FORM: Spec = Spec {
    test: Some(Writer { about: "what `--template FILE` makes of the JSON", write: write_test }),
    verify: Some(Writer { about: "what `--template FILE` makes of the JSON", write: write_verify }),
    lint: Some(Writer { about: "what `--template FILE` makes of the JSON", write: write_lint }),
    ..Spec::new("template")
};

/// What a template is rendered with.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Context<C, R> {
    /// Which command it is a report of.
    command: &'static str,
    /// How many of each there are.
    counts: C,
    /// What `-o json` writes.
    report: R,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TestCounts {
    denied: usize,
    warned: usize,
    noted: usize,
    failures: usize,
    objects: usize,
    bad_objects: usize,
    excepted: usize,
    known: usize,
    untouched: usize,
    errors: usize,
    warnings: usize,
}

#[derive(Serialize)]
struct ProblemCounts {
    errors: usize,
    warnings: usize,
}

#[derive(Serialize)]
struct SuiteCounts {
    suites: usize,
    tests: usize,
    cases: usize,
}

fn write_test(report: &TestReport, out: &mut dyn Write) -> io::Result<()> {
    let counts = report.counts();
    let counts = TestCounts {
        denied: counts.denied,
        warned: counts.warned,
        noted: counts.noted,
        failures: counts.failures,
        objects: counts.objects,
        bad_objects: counts.bad_objects,
        excepted: counts.excepted,
        known: counts.known,
        untouched: counts.untouched,
        errors: counts.errors,
        warnings: counts.warnings,
    };
    let context = Context { command: "test", counts, report: json::test_items(report) };
    given(report.template.as_ref())?.render(&context, out)
}

fn write_verify(report: &VerifyReport, out: &mut dyn Write) -> io::Result<()> {
    let tests = || report.suites.iter().flat_map(|suite| &suite.parts);
    let counts = SuiteCounts {
        suites: report.suites.len(),
        tests: tests().count(),
        cases: tests().map(|test| test.parts.len()).sum(),
    };
    let context = Context { command: "verify", counts, report: json::verify_content(report) };
    given(report.template.as_ref())?.render(&context, out)
}

fn write_lint(report: &LintReport, out: &mut dyn Write) -> io::Result<()> {
    let counts = ProblemCounts { errors: report.errors(), warnings: report.warnings() };
    let context = Context { command: "lint", counts, report: json::lint_content(report) };
    given(report.template.as_ref())?.render(&context, out)
}

fn given(template: Option<&ReportTemplate>) -> io::Result<&ReportTemplate> {
    template
        .ok_or_else(|| io::Error::other("`-o template` needs a template: name one with `--template FILE`"))
}
