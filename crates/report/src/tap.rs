//! The Test Anything Protocol, version 14. A test point for each object and constraint that applies to it;
//! what warns or is only noted is a point that passed, with what it said.

use std::collections::BTreeMap;
use std::io::{self, Write};

use portcullis::EnforcementAction;

use crate::form::{Spec, Writer};
use crate::verify::{Status, VerifyReport};
use crate::{Finding, TestReport, escape};

pub(crate) const FORM: Spec = Spec {
    has_problems: true,
    test: Some(Writer { about: "the Test Anything Protocol, version 14", write: write_test }),
    verify: Some(Writer { about: "the Test Anything Protocol, version 14", write: write_verify }),
    ..Spec::new("tap")
};

/// One point.
struct Point {
    is_ok: bool,
    name: String,
    is_skipped: bool,
    /// Keys and values of what is said about it.
    says: Vec<(&'static str, String)>,
}

impl Point {
    fn new(is_ok: bool, name: String) -> Self {
        Self { is_ok, name, is_skipped: false, says: Vec::new() }
    }
}

fn write_test(report: &TestReport, out: &mut dyn Write) -> io::Result<()> {
    let mut points = Vec::new();
    for problem in &report.problems {
        let mut point = Point::new(!problem.is_error(), format!("input: {}", problem.kind.code()));
        point.says.push(("message", problem.text()));
        point.says.extend(problem.place.as_ref().map(|place| ("at", place.to_string())));
        points.push(point);
    }
    for (reviewed, findings) in report.by_object() {
        let mut found: BTreeMap<usize, Vec<&Finding>> = BTreeMap::new();
        for finding in findings {
            found.entry(finding.policy).or_default().push(finding);
        }
        for policy in &reviewed.passed {
            found.entry(*policy).or_default();
        }
        for (policy, findings) in found {
            let Some(policy) = report.policies.get(policy) else { continue };
            let denied = findings.iter().any(|finding| finding.action().0 == EnforcementAction::Deny);
            let mut point = Point::new(!denied, format!("{}: {}", reviewed.subject, policy.key));
            for finding in findings {
                point.says.push(("message", finding.says().into_owned()));
                point.says.push(("at", finding.place.to_string()));
                point.says.push(("action", finding.action().as_str().to_owned()));
            }
            points.push(point);
        }
    }
    write_points(&points, out)
}

fn write_verify(report: &VerifyReport, out: &mut dyn Write) -> io::Result<()> {
    let mut points = Vec::new();
    let point = |name: String, status: Status| Point {
        is_skipped: status == Status::Skipped,
        ..Point::new(!status.is_bad(), name)
    };
    for suite in &report.suites {
        if suite.parts.is_empty() || (suite.status.is_bad() && !suite.problems.is_empty()) {
            let mut whole = point(suite.name.clone(), suite.status);
            whole.says.extend(suite.problems.iter().map(|problem| ("message", problem.to_string())));
            points.push(whole);
        }
        for test in &suite.parts {
            let name = format!("{}: {}", suite.name, test.name);
            if test.parts.is_empty() || !test.failures.is_empty() {
                let mut whole = point(name.clone(), test.status);
                whole.says.extend(test.failures.iter().flat_map(said));
                points.push(whole);
            }
            for case in &test.parts {
                let mut one = point(format!("{name}: {}", case.name), case.status);
                one.says.extend(case.failures.iter().flat_map(said));
                points.push(one);
            }
        }
    }
    write_points(&points, out)
}

fn said(failure: &crate::verify::Failure) -> impl Iterator<Item = (&'static str, String)> {
    let place = ("at", failure.location.to_string());
    let details = failure.details.iter().map(|detail| ("detail", detail.clone()));
    [("message", failure.message.clone()), place].into_iter().chain(details)
}

fn write_points(points: &[Point], out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "TAP version 14\n1..{}", points.len())?;
    for (point, number) in points.iter().zip(1..) {
        let ok = if point.is_ok { "ok" } else { "not ok" };
        let skip = if point.is_skipped { " # SKIP" } else { "" };
        writeln!(out, "{ok} {number} - {}{skip}", name(&point.name))?;
        if point.says.is_empty() {
            continue;
        }
        // A list, since one point may have several messages; JSON strings are YAML.
        writeln!(out, "  ---")?;
        for (key, value) in &point.says {
            writeln!(out, "  - {key}: {}", serde_json::Value::from(&*escape::line(value)))?;
        }
        writeln!(out, "  ...")?;
    }
    Ok(())
}

/// The description of a point: a `#` would begin a directive, such as one that makes a failure count as none.
fn name(text: &str) -> String {
    escape::line(text).replace('\\', "\\\\").replace('#', "\\#")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_become_a_directive() {
        assert_eq!(name("Pod a # TODO later\nok 1"), "Pod a \\# TODO later\\\\nok 1");
    }
}
