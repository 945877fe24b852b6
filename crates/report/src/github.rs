//! GitHub Actions workflow commands, which become annotations on the lines of a pull request.

use std::io::{self, Write};

use crate::form::{Spec, Writer};
use crate::lint::LintReport;
use crate::{Place, Problem, TestReport, escape, in_checkout};

pub(crate) const FORM: Spec = Spec {
    has_problems: true,
    test: Some(Writer { about: "GitHub Actions annotations", write: write_test }),
    lint: Some(Writer { about: "GitHub Actions annotations", write: write_lint }),
    ..Spec::new("github")
};

/// Writes what is wrong with the input and all findings, one line each.
fn write_test(report: &TestReport, out: &mut dyn Write) -> io::Result<()> {
    write_problems(&report.problems, out)?;
    for (reviewed, policy, finding) in report.each() {
        let text = format!("{}: {}", reviewed.subject, finding.says());
        let level = finding.action().level("notice");
        write_line(level, Some(&finding.place), &policy.key.to_string(), &text, out)?;
    }
    Ok(())
}

fn write_lint(report: &LintReport, out: &mut dyn Write) -> io::Result<()> {
    write_problems(&report.problems, out)
}

/// Writes what is wrong with documents, one line each.
fn write_problems(problems: &[Problem], out: &mut dyn Write) -> io::Result<()> {
    problems.iter().try_for_each(|problem| {
        let level = problem.severity.to_string();
        write_line(&level, problem.place.as_ref(), problem.kind.code(), &problem.text(), out)
    })
}

fn write_line(
    level: &str,
    place: Option<&Place>,
    title: &str,
    text: &str,
    out: &mut dyn Write,
) -> io::Result<()> {
    write!(out, "::{level} ")?;
    if let Some(Place::File { file, line, column, end_column }) = place {
        write!(out, "file={},", property(in_checkout(file)))?;
        if *line > 0 {
            // The end is that of the last character, not the one after it.
            let end_column = end_column.saturating_sub(1).max(*column);
            write!(out, "line={line},endLine={line},col={column},endColumn={end_column},")?;
        }
    }
    writeln!(out, "title={}::{}", property(title), data(text))
}

/// What stands after the second pair of colons. A line break has to be escaped, or the rest would be lost, or
/// taken for a command.
fn data(text: &str) -> String {
    let text = text.replace('\r', "\n").replace('%', "%25").replace('\n', "%0A");
    escape::line(&text).into_owned()
}

/// What stands after an equals sign.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_cannot_become_a_command() {
        assert_eq!(data("100%\n::error::x\u{1b}"), "100%25%0A::error::x\\u{1b}");
        assert_eq!(property("a:b,c%"), "a%3Ab%2Cc%25");
    }
}
