//! A test: a suite per file, a test case per object and constraint that applies to it.

use std::collections::BTreeMap;
use std::io::{self, Write};

use portcullis::EnforcementAction;
use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{problem_case, serialize};
use crate::{Finding, Place, Reviewed, TestReport, Verdict};

/// Writes what is wrong with the input and what came of every constraint.
pub(super) fn write(report: &TestReport, out: &mut dyn Write) -> io::Result<()> {
    let mut suites: BTreeMap<String, TestSuite> = BTreeMap::new();
    let suite = |file: &str| TestSuite::new(file);
    for problem in &report.problems {
        let file = problem.place.as_ref().map_or("input", Place::file);
        let name = format!("input: {}", problem.kind.code());
        let mut case = problem_case(name, problem, problem.is_error().then_some(NonSuccessKind::Error));
        case.set_classname(file);
        suites.entry(file.to_owned()).or_insert_with(|| suite(file)).add_test_case(case);
    }
    for (reviewed, findings) in report.by_object() {
        let location = reviewed.subject.location();
        let file = location.as_ref().map_or("input", |location| &**location.file());
        let cases = cases(report, reviewed, findings, file);
        if cases.is_empty() {
            continue;
        }
        suites.entry(file.to_owned()).or_insert_with(|| suite(file)).add_test_cases(cases);
    }
    for one in &report.suppressed {
        let Some(policy) = report.policies.get(one.finding.policy) else { continue };
        let file = one.finding.place.file();
        let name = format!("{}: {} (suppressed)", one.finding.object, policy.key);
        let mut case = TestCase::new(name, TestCaseStatus::success());
        case.set_classname(file);
        case.set_system_out(format!("{}: {}: {}", one.finding.place, one.finding.message, one.why.says()));
        suites.entry(file.to_owned()).or_insert_with(|| suite(file)).add_test_case(case);
    }
    let mut junit = Report::new("portcullis test");
    junit.add_test_suites(suites.into_values());
    serialize(&junit, out)
}

fn cases(report: &TestReport, reviewed: &Reviewed, findings: &[Finding], file: &str) -> Vec<TestCase> {
    // Policies are in the order of their keys.
    let mut found: BTreeMap<usize, Vec<&Finding>> = BTreeMap::new();
    for finding in findings {
        found.entry(finding.policy).or_default().push(finding);
    }
    for policy in &reviewed.passed {
        found.entry(*policy).or_default();
    }
    let cases = found.into_iter().filter_map(|(policy, findings)| {
        let name = format!("{}: {}", reviewed.subject, report.policies.get(policy)?.key);
        let mut case = case(name, &findings);
        case.set_classname(file);
        Some(case)
    });
    cases.collect()
}

fn case(name: String, findings: &[&Finding]) -> TestCase {
    let line = |finding: &&Finding| format!("{}: {}", finding.place, finding.says());
    let text: Vec<_> = findings.iter().map(line).collect();
    let text = text.join("\n");
    let Some(first) = findings.first() else { return TestCase::new(name, TestCaseStatus::success()) };
    if first.action().0 != EnforcementAction::Deny {
        let mut case = TestCase::new(name, TestCaseStatus::success());
        case.set_system_out(format!("{}: {text}", first.action().as_str()));
        return case;
    }
    let kind =
        if first.verdict == Verdict::Unknown { NonSuccessKind::Error } else { NonSuccessKind::Failure };
    let mut status = TestCaseStatus::non_success(kind);
    let message = match findings.len() {
        1 => first.says().into_owned(),
        many => format!("{} (and {} more)", first.says(), many - 1),
    };
    status.set_type(first.action().as_str()).set_message(message).set_description(text);
    TestCase::new(name, status)
}
