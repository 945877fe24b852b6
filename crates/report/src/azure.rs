//! Azure Pipelines' logging commands, which become issues of a run.

use std::io::{self, Write};

use crate::form::{Spec, Writer};
use crate::lint::LintReport;
use crate::{Place, Problem, TestReport, escape, in_checkout};

pub(crate) const FORM: Spec = Spec {
    has_problems: true,
    test: Some(Writer { about: "issues of a run of Azure Pipelines", write: write_test }),
    lint: Some(Writer { about: "issues of a run of Azure Pipelines", write: write_lint }),
    ..Spec::new("azuredevops")
};

/// Writes what is wrong with the input and all findings, one line each.
fn write_test(report: &TestReport, out: &mut dyn Write) -> io::Result<()> {
    write_problems(&report.problems, out)?;
    for (reviewed, policy, finding) in report.each() {
        let text = format!("{}: {}", reviewed.subject, finding.says());
        let level = finding.action().level("debug");
        write_line(level, Some(&finding.place), &policy.key.to_string(), &text, out)?;
    }
    Ok(())
}

fn write_lint(report: &LintReport, out: &mut dyn Write) -> io::Result<()> {
    write_problems(&report.problems, out)
}

fn write_problems(problems: &[Problem], out: &mut dyn Write) -> io::Result<()> {
    problems.iter().try_for_each(|problem| {
        let level = problem.severity.to_string();
        write_line(&level, problem.place.as_ref(), problem.kind.code(), &problem.text(), out)
    })
}

/// There are errors and warnings; what is only noted is there for who reads the log with its details.
fn write_line(
    level: &str,
    place: Option<&Place>,
    code: &str,
    text: &str,
    out: &mut dyn Write,
) -> io::Result<()> {
    if level == "debug" {
        let place = place.map(|place| format!("{place}: ")).unwrap_or_default();
        return writeln!(out, "##vso[task.debug]{}", data(&format!("{place}{code}: {text}")));
    }
    write!(out, "##vso[task.logissue type={level};")?;
    if let Some(Place::File { file, line, column, .. }) = place {
        write!(out, "sourcepath={};", property(in_checkout(file)))?;
        if *line > 0 {
            write!(out, "linenumber={line};columnnumber={column};")?;
        }
    }
    writeln!(out, "code={}]{}", property(code), data(text))
}

/// What stands behind the bracket. A line break has to be escaped, or the rest would be taken for a command.
fn data(text: &str) -> String {
    let text = text.replace('%', "%AZP25").replace('\r', "%0D").replace('\n', "%0A");
    escape::line(&text).into_owned()
}

/// What stands behind an equals sign.
fn property(text: &str) -> String {
    data(text).replace(';', "%3B").replace(']', "%5D")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_cannot_become_a_command() {
        assert_eq!(data("100%\n##vso[task.complete]\u{1b}"), "100%AZP25%0A##vso[task.complete]\\u{1b}");
        assert_eq!(property("a;b]c%"), "a%3Bb%5Dc%AZP25");
    }
}
