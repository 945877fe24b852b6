//! GitHub Actions workflow commands, which become annotations on the lines of a pull request.

use std::io::{self, Write};

use portcullis::{EnforcementAction, Error, Location, Severity};

use crate::{Region, TestReport, escape, in_checkout};

/// Writes what is wrong with the input and all findings, one line each.
pub fn write(report: &TestReport, out: &mut dyn Write) -> io::Result<()> {
    write_problems(&report.problems, out)?;
    for (reviewed, finding) in report.findings() {
        let level = match finding.action {
            EnforcementAction::Deny => "error",
            EnforcementAction::Warn => "warning",
            EnforcementAction::Dryrun => "notice",
        };
        let title = finding.constraint.key().to_string();
        let text = format!("{}: {}", reviewed.object, finding.text());
        write_line(level, Some(&finding.position.location), &title, &text, out)?;
    }
    Ok(())
}

/// Writes what is wrong with documents, one line each.
pub fn write_problems(problems: &[Error], out: &mut dyn Write) -> io::Result<()> {
    for problem in problems {
        let level = match problem.severity() {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write_line(level, problem.location(), problem.kind().code(), &problem_text(problem), out)?;
    }
    Ok(())
}

/// Without the position, which the annotation has itself.
fn problem_text(problem: &Error) -> String {
    let mut text = problem.subject().map(|subject| format!("{subject}: ")).unwrap_or_default();
    text.push_str(problem.message());
    if let Some(help) = problem.help() {
        text.push_str("; ");
        text.push_str(help);
    }
    text
}

fn write_line(
    level: &str,
    location: Option<&Location>,
    title: &str,
    text: &str,
    out: &mut dyn Write,
) -> io::Result<()> {
    write!(out, "::{level} ")?;
    if let Some(location) = location {
        write!(out, "file={},", property(in_checkout(location.file())))?;
        if !location.source().text().is_empty() {
            let Region { line, column, end_column } = Region::of(location);
            // The end is that of the last character, not the one behind it.
            let end_column = end_column.saturating_sub(1).max(column);
            write!(out, "line={line},endLine={line},col={column},endColumn={end_column},")?;
        }
    }
    writeln!(out, "title={}::{}", property(title), data(text))
}

/// What stands behind the second pair of colons. A line break has to be escaped, or the rest would be lost, or taken for a
/// command.
fn data(text: &str) -> String {
    let text = text.replace('\r', "\n").replace('%', "%25").replace('\n', "%0A");
    escape::line(&text).into_owned()
}

/// What stands behind an equals sign.
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
