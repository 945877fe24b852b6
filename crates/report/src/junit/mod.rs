//! JUnit XML, for test reports. What warns or is only noted is a case that passed, with the message as its
//! output: JUnit has no warnings.

mod audit;
mod lint;
mod test;
mod verify;

use std::io::{self, Write};

use quick_junit::{NonSuccessKind, Report, TestCase, TestCaseStatus};

use crate::Problem;
use crate::form::{Spec, Writer};

const ABOUT: &str = "JUnit XML, for test reports";

pub(crate) const FORM: Spec = Spec {
    has_problems: true,
    test: Some(Writer { about: ABOUT, write: test::write }),
    verify: Some(Writer { about: ABOUT, write: verify::write }),
    lint: Some(Writer { about: ABOUT, write: lint::write }),
    audit: Some(Writer { about: ABOUT, write: audit::write }),
    ..Spec::new("junit")
};

/// Of a problem, by name: one that is bad is of that kind, another passed.
fn problem_case(name: String, problem: &Problem, bad: Option<NonSuccessKind>) -> TestCase {
    if let Some(bad) = bad {
        let mut status = TestCaseStatus::non_success(bad);
        status
            .set_type(problem.kind.code())
            .set_message(&problem.message)
            .set_description(problem.to_string());
        return TestCase::new(name, status);
    }
    let mut case = TestCase::new(name, TestCaseStatus::success());
    case.set_system_out(format!("{}: {problem}", problem.severity));
    case
}

/// Writes a report. XML 1.0 has no way to write most control characters and two others: in their place there
/// is U+FFFD.
fn serialize(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    let text = report.to_string().map_err(io::Error::other)?;
    if text.contains(is_forbidden) {
        let safe: String = text.chars().map(|c| if is_forbidden(c) { '\u{fffd}' } else { c }).collect();
        return out.write_all(safe.as_bytes());
    }
    out.write_all(text.as_bytes())
}

/// Whether XML 1.0 has no place for a character, not even as a reference.
pub(crate) const fn is_forbidden(c: char) -> bool {
    matches!(c, '\0'..='\x08' | '\x0b' | '\x0c' | '\x0e'..='\x1f' | '\u{fffe}' | '\u{ffff}')
}
