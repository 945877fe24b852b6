//! Findings about policies: a suite per file, a test case per finding, and one that passed for a file without
//! any. A warning is a case that passed, unless warnings are denied.

use std::collections::BTreeMap;
use std::io::{self, Write};

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus, TestSuite};

use super::{problem_case, serialize};
use crate::lint::LintReport;
use crate::{Place, Problem};

/// Writes the findings.
pub(super) fn write(report: &LintReport, out: &mut dyn Write) -> io::Result<()> {
    let mut suites: BTreeMap<&str, Vec<TestCase>> =
        report.files.iter().map(|file| (file.as_str(), Vec::new())).collect();
    for problem in &report.problems {
        let file = problem.place.as_ref().map_or("input", Place::file);
        suites.entry(file).or_default().push(test_case(report, problem));
    }
    let mut junit = Report::new("portcullis lint");
    for (file, mut cases) in suites {
        if cases.is_empty() {
            cases.push(TestCase::new("nothing found", TestCaseStatus::success()));
        }
        let mut suite = TestSuite::new(file);
        suite.add_test_cases(cases.into_iter().map(|mut case| {
            case.set_classname(file);
            case
        }));
        junit.add_test_suite(suite);
    }
    serialize(&junit, out)
}

fn test_case(report: &LintReport, problem: &Problem) -> TestCase {
    let code = problem.kind.code();
    let name = match &problem.place {
        Some(Place::File { line, column, .. }) if *line > 0 => format!("{code} at {line}:{column}"),
        _ => code.to_owned(),
    };
    problem_case(name, problem, report.is_bad(problem).then_some(NonSuccessKind::Failure))
}
