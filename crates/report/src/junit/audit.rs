//! An audit: a suite per constraint, a test case per finding. A constraint that nothing violates is a case
//! that passed, one that applies to nothing is skipped.

use std::io::{self, Write};

use portcullis::{EnforcementAction, Severity};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::serialize;
use crate::{AuditReport, Completion, Finding, Tally, Verdict};

/// Findings that a report of an audit lists; test reports are read as a whole, by people.
const MAX_CASES: usize = 10_000;

/// Writes it. What could not be read is an error of the suite `input`, one per cause, and so is that nothing
/// was judged. At most ten thousand findings are listed; if there are more, the last case says so.
pub(super) fn write(report: &AuditReport, out: &mut dyn Write) -> io::Result<()> {
    let mut input = TestSuite::new("input");
    let reason = match &report.completion {
        Completion::Unfinished { reason } => {
            Some(("unfinished", format!("the audit is unfinished: {reason}")))
        }
        Completion::Complete | Completion::Partial => {
            report.unjudged().map(|why| ("unjudged", format!("nothing was judged: {why}; {}", why.help())))
        }
    };
    let errors = report.problems.causes().filter(|cause| cause.severity == Severity::Error);
    let errors = errors.map(|cause| (cause.kind.code(), cause.to_string()));
    let more = report.problems.without_cause().0;
    let more = (more > 0).then(|| ("more", format!("{more} more errors are not listed here")));
    for (code, text) in reason.into_iter().chain(errors).chain(more) {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
        status.set_type(code).set_message(text);
        input.add_test_case(TestCase::new(format!("input: {code}"), status));
    }
    let mut suites: Vec<TestSuite> = Vec::new();
    for (policy, tally) in report.policies.iter().zip(&report.totals.by_policy) {
        let mut suite = TestSuite::new(policy.key.to_string());
        match *tally {
            Tally { passes: 0, violations: 0, unknown: 0, excepted: 0, .. } => {
                suite.add_test_case(TestCase::new("applies to no object", TestCaseStatus::skipped()));
            }
            Tally { passes, violations: 0, unknown: 0, .. } => {
                let name = format!("{passes} objects pass");
                suite.add_test_case(TestCase::new(name, TestCaseStatus::success()));
            }
            _ => {}
        }
        suites.push(suite);
    }
    let mut listed = 0;
    for finding in report.findings.read()? {
        let finding = finding?;
        listed += 1;
        if listed > MAX_CASES {
            continue;
        }
        let Some(suite) = suites.get_mut(finding.policy) else { continue };
        suite.add_test_case(audit_case(&finding));
    }
    if listed > MAX_CASES {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status.set_message(format!("{} findings more are not listed here", listed - MAX_CASES));
        input.add_test_case(TestCase::new("further findings", status));
    }
    let mut junit = Report::new("portcullis audit");
    junit.add_test_suites([input].into_iter().chain(suites).filter(|suite| !suite.test_cases.is_empty()));
    serialize(&junit, out)
}

fn audit_case(finding: &Finding) -> TestCase {
    let name = finding.object.to_string();
    let text = format!("{}: {}", finding.place, finding.message);
    let kind = match (finding.verdict, finding.action().0) {
        (Verdict::Unknown, _) => NonSuccessKind::Error,
        (Verdict::Violation, EnforcementAction::Deny) => NonSuccessKind::Failure,
        (Verdict::Violation, action) => {
            let mut case = TestCase::new(name, TestCaseStatus::success());
            case.set_system_out(format!("{action}: {text}"));
            return case;
        }
    };
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(finding.action().as_str()).set_message(&finding.message).set_description(text);
    TestCase::new(name, status)
}
