//! Suites as JUnit XML: a suite per file, a test case per case; a test that is bad as a whole is a case of its own.

use std::io::{self, Write};
use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{Failure, Status, SuiteResult, TestResult};
use crate::problem_line;

/// Writes all suites.
pub fn write(suites: &[SuiteResult], out: &mut dyn Write) -> io::Result<()> {
    let mut report = Report::new("portcullis verify");
    for suite in suites {
        let mut item = TestSuite::new(&suite.file);
        item.set_time(suite.elapsed);
        if !suite.problems.is_empty() {
            let text: Vec<_> = suite.problems.iter().map(problem_line).collect();
            let status = if suite.status.is_bad() {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
                status
                    .set_message(text.first().cloned().unwrap_or_default())
                    .set_description(text.join("\n"));
                status
            } else {
                TestCaseStatus::success()
            };
            item.add_test_case(test_case(&suite.file, "suite file", status, suite.elapsed));
        }
        for test in &suite.tests {
            add_test(&mut item, suite, test);
        }
        report.add_test_suite(item);
    }
    report.serialize(&mut *out).map_err(io::Error::other)?;
    Ok(())
}

fn add_test(item: &mut TestSuite, suite: &SuiteResult, test: &TestResult) {
    // A test without cases, such as one with `invalid: true`, or one that could not be compiled.
    if test.cases.is_empty() || !test.failures.is_empty() {
        let status = status(test.status, &test.failures);
        item.add_test_case(test_case(&suite.file, &test.name, status, test.elapsed));
    }
    for case in &test.cases {
        let name = format!("{}/{}", test.name, case.name);
        let mut junit = test_case(&suite.file, &name, status(case.status, &case.failures), case.elapsed);
        if !case.prints.is_empty() {
            junit.set_system_out(case.prints.join("\n"));
        }
        item.add_test_case(junit);
    }
}

fn test_case(class: &str, name: &str, status: TestCaseStatus, elapsed: Duration) -> TestCase {
    let mut case = TestCase::new(name, status);
    case.set_classname(class).set_time(elapsed);
    case
}

fn status(status: Status, failures: &[Failure]) -> TestCaseStatus {
    let kind = match status {
        Status::Passed => return TestCaseStatus::success(),
        Status::Skipped => return TestCaseStatus::skipped(),
        Status::Failed => NonSuccessKind::Failure,
        Status::Broken => NonSuccessKind::Error,
    };
    let mut junit = TestCaseStatus::non_success(kind);
    let text: Vec<_> = failures.iter().map(failure_text).collect();
    let message = failures.first().map(|failure| failure.message.clone()).unwrap_or_default();
    junit.set_message(message).set_description(text.join("\n"));
    junit
}

fn failure_text(failure: &Failure) -> String {
    let details = failure.details.iter().map(|detail| format!("\n    {detail}"));
    format!("{}: {}{}", failure.location, failure.message, details.collect::<String>())
}
