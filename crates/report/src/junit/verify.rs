//! Suites as JUnit XML: a suite per file, a test case per case; a test that is bad as a whole is a case of
//! its own.

use std::io::{self, Write};
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::serialize;
use crate::verify::{Failure, Ran, Status, Survivor, TestResult, VerifyReport};

/// Writes all suites.
pub(super) fn write(verified: &VerifyReport, out: &mut dyn Write) -> io::Result<()> {
    let mut report = Report::new("portcullis verify");
    for suite in &verified.suites {
        let mut item = TestSuite::new(&suite.name);
        item.set_time(suite.elapsed);
        if !suite.problems.is_empty() {
            let text: Vec<_> = suite.problems.iter().map(ToString::to_string).collect();
            let status = if suite.status.is_bad() {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
                status
                    .set_message(text.first().cloned().unwrap_or_default())
                    .set_description(text.join("\n"));
                status
            } else {
                TestCaseStatus::success()
            };
            item.add_test_case(test_case(&suite.name, "suite file", status, suite.elapsed));
        }
        for test in &suite.parts {
            add_test(&mut item, &suite.name, test);
        }
        report.add_test_suite(item);
    }
    if let Some(coverage) = &verified.coverage {
        let status = if coverage.is_too_little() {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(coverage.line());
            status
        } else {
            TestCaseStatus::success()
        };
        let mut item = TestSuite::new("coverage");
        let mut case = test_case("coverage", "lines that were reached", status, Duration::ZERO);
        case.set_system_out(coverage.line());
        item.add_test_case(case);
        report.add_test_suite(item);
    }
    if let Some(mutation) = &verified.mutation {
        let status = if mutation.is_too_little() {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(mutation.line());
            status
        } else {
            TestCaseStatus::success()
        };
        let mut item = TestSuite::new("mutants");
        let mut case = test_case("mutants", "changes that cases notice", status, Duration::ZERO);
        let survivor = |one: &Survivor| format!("{}: {} in `{}`\n", one.location, one.what, one.rule);
        let survivors = mutation.survivors.iter().map(survivor);
        case.set_system_out(survivors.chain([mutation.line()]).collect::<String>());
        item.add_test_case(case);
        report.add_test_suite(item);
    }
    serialize(&report, out)
}

fn add_test(item: &mut TestSuite, file: &str, test: &TestResult) {
    // A test without cases, such as one with `invalid: true`, or one that could not be compiled.
    if test.parts.is_empty() || !test.failures.is_empty() {
        item.add_test_case(test_case(file, &test.name, status(test), test.elapsed));
    }
    for case in &test.parts {
        let name = format!("{}/{}", test.name, case.name);
        let mut junit = test_case(file, &name, status(case), case.elapsed);
        if !case.parts.is_empty() {
            junit.set_system_out(case.parts.join("\n"));
        }
        item.add_test_case(junit);
    }
}

fn test_case(class: &str, name: &str, status: TestCaseStatus, elapsed: Duration) -> TestCase {
    let mut case = TestCase::new(name, status);
    case.set_classname(class).set_time(elapsed);
    case
}

fn status<Parts>(ran: &Ran<Parts>) -> TestCaseStatus {
    let kind = match ran.status {
        Status::Passed => return TestCaseStatus::success(),
        Status::Skipped => return TestCaseStatus::skipped(),
        Status::Failed => NonSuccessKind::Failure,
        Status::Broken => NonSuccessKind::Error,
    };
    let mut junit = TestCaseStatus::non_success(kind);
    let text: Vec<_> = ran.failures.iter().map(failure_text).collect();
    let message = ran.failures.first().map(|failure| failure.message.clone()).unwrap_or_default();
    junit.set_message(message).set_description(text.join("\n"));
    junit
}

fn failure_text(failure: &Failure) -> String {
    let details = failure.details.iter().map(|detail| format!("\n    {detail}"));
    format!("{}: {}{}", failure.location, failure.message, details.collect::<String>())
}
