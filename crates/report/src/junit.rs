//! JUnit XML: a suite per file, a test case per object and constraint that applies to it. What warns or only records is a
//! case that passed, with the message as its output: JUnit has no warnings.

use std::collections::BTreeMap;
use std::io::{self, Write};

use portcullis::{ConstraintKey, EnforcementAction, Severity};
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use crate::audit::{self, AuditReport, Completion, Tally};
use crate::{Finding, Reviewed, TestReport, problem_line};

/// Writes what is wrong with the input and what came of every constraint.
pub fn write(report: &TestReport, out: &mut dyn Write) -> io::Result<()> {
    let mut suites: BTreeMap<String, TestSuite> = BTreeMap::new();
    let suite = |file: &str| TestSuite::new(file);
    for problem in &report.problems {
        let file = problem.location().map_or("input", |location| &**location.file());
        let name = format!("input: {}", problem.kind().code());
        let mut case = match problem.severity() {
            Severity::Error => {
                let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
                status
                    .set_type(problem.kind().code())
                    .set_message(problem.message())
                    .set_description(problem_line(problem));
                TestCase::new(name, status)
            }
            Severity::Warning => {
                let mut case = TestCase::new(name, TestCaseStatus::success());
                case.set_system_out(format!("warning: {}", problem_line(problem)));
                case
            }
        };
        case.set_classname(file);
        suites.entry(file.to_owned()).or_insert_with(|| suite(file)).add_test_case(case);
    }
    for reviewed in &report.reviewed {
        let location = reviewed.object.location();
        let file = location.as_ref().map_or("input", |location| &**location.file());
        let cases = cases(reviewed, file);
        if cases.is_empty() {
            continue;
        }
        suites.entry(file.to_owned()).or_insert_with(|| suite(file)).add_test_cases(cases);
    }
    let mut junit = Report::new("portcullis test");
    junit.add_test_suites(suites.into_values());
    serialize(&junit, out)
}

/// Writes a report. XML 1.0 has no way to write most control characters and two others: in their place there is U+FFFD.
pub(crate) fn serialize(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let text = report.to_string().map_err(io::Error::other)?;
    if text.contains(is_forbidden) {
        let safe: String = text.chars().map(|c| if is_forbidden(c) { '\u{fffd}' } else { c }).collect();
        return out.write_all(safe.as_bytes());
    }
    out.write_all(text.as_bytes())
}

/// Whether XML 1.0 has no place for a character, not even as a reference.
const fn is_forbidden(c: char) -> bool {
    matches!(c, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\u{fffe}' | '\u{ffff}')
}

/// Findings that a report of an audit lists; test reports are read as a whole, by people.
const MOST_CASES: usize = 10_000;

/// Writes an audit: a suite per constraint, a test case per finding; a constraint that nothing violates is a case that passed,
/// one that applies to nothing is skipped. What
/// could not be read is an error of the suite `input`, one per cause, and so is that nothing was judged. At most ten thousand findings are listed; if there are more, the last case says so.
pub fn write_audit(report: &AuditReport<'_>, out: &mut dyn Write) -> io::Result<()> {
    let mut input = TestSuite::new("input");
    let reason = match &report.completion {
        Completion::Unfinished { reason } => {
            Some(("unfinished", format!("the audit is unfinished: {reason}")))
        }
        Completion::Complete | Completion::Partial => {
            report.unjudged().map(|why| ("unjudged", format!("nothing was judged: {why}; {}", why.help())))
        }
    };
    let errors = report.problems.causes().filter(|cause| cause.is_error);
    let errors = errors.map(|cause| (cause.code, cause.to_string()));
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
            Tally { passes: 0, violations: 0, unknown: 0, .. } => {
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
        if listed > MOST_CASES {
            continue;
        }
        let Some(suite) = suites.get_mut(finding.policy) else { continue };
        suite.add_test_case(audit_case(&finding));
    }
    if listed > MOST_CASES {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status.set_message(format!("{} findings more are not listed here", listed - MOST_CASES));
        input.add_test_case(TestCase::new("further findings", status));
    }
    let mut junit = Report::new("portcullis audit");
    junit.add_test_suites([input].into_iter().chain(suites).filter(|suite| !suite.test_cases.is_empty()));
    serialize(&junit, out)
}

fn audit_case(finding: &audit::Finding) -> TestCase {
    let name = finding.object.to_string();
    let text = format!("{}: {}", finding.place, finding.message);
    let kind = match (finding.verdict, finding.action().0) {
        (audit::Verdict::Unknown, _) => NonSuccessKind::Error,
        (audit::Verdict::Violation, EnforcementAction::Deny) => NonSuccessKind::Failure,
        (audit::Verdict::Violation, action) => {
            let mut case = TestCase::new(name, TestCaseStatus::success());
            case.set_system_out(format!("{action}: {text}"));
            return case;
        }
    };
    let mut status = TestCaseStatus::non_success(kind);
    status.set_type(finding.action().as_str()).set_message(&finding.message).set_description(text);
    TestCase::new(name, status)
}

fn cases(reviewed: &Reviewed, file: &str) -> Vec<TestCase> {
    let mut found: BTreeMap<&ConstraintKey, Vec<&Finding>> = BTreeMap::new();
    for finding in &reviewed.findings {
        found.entry(finding.constraint.key()).or_default().push(finding);
    }
    for constraint in &reviewed.passed {
        found.entry(constraint.key()).or_default();
    }
    let cases = found.into_iter().map(|(constraint, findings)| {
        let name = format!("{}: {constraint}", reviewed.object);
        let mut case = case(name, &findings);
        case.set_classname(file);
        case
    });
    cases.collect()
}

fn case(name: String, findings: &[&Finding]) -> TestCase {
    let line = |finding: &&Finding| format!("{}: {}", finding.position.location, finding.text());
    let text: Vec<_> = findings.iter().map(line).collect();
    let text = text.join("\n");
    let Some(first) = findings.first() else { return TestCase::new(name, TestCaseStatus::success()) };
    if first.action != EnforcementAction::Deny {
        let mut case = TestCase::new(name, TestCaseStatus::success());
        case.set_system_out(format!("{}: {text}", first.action));
        return case;
    }
    let kind = if first.failure.is_some() { NonSuccessKind::Error } else { NonSuccessKind::Failure };
    let mut status = TestCaseStatus::non_success(kind);
    let message = match findings.len() {
        1 => first.text(),
        many => format!("{} (and {} more)", first.text(), many - 1),
    };
    status.set_type(first.action.as_str()).set_message(message).set_description(text);
    TestCase::new(name, status)
}
