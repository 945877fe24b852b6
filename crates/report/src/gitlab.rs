//! GitLab's code quality report: findings in the widget and the changes of a merge request.

use std::io::{self, Write};

use serde::Serialize;

use crate::fingerprint::Fingerprints;
use crate::form::{Spec, Writer};
use crate::json::write_indented;
use crate::lint::LintReport;
use crate::rows::{Level, Row};
use crate::{PolicySeverity, TestReport, in_checkout};

const ABOUT: &str = "GitLab's code quality report";

pub(crate) const FORM: Spec = Spec {
    has_problems: true,
    test: Some(Writer { about: ABOUT, write: write_test }),
    lint: Some(Writer { about: ABOUT, write: write_lint }),
    ..Spec::new("gitlab")
};

#[derive(Serialize)]
struct Issue<'a> {
    description: String,
    check_name: &'a str,
    fingerprint: String,
    severity: &'static str,
    location: At<'a>,
}

#[derive(Serialize)]
struct At<'a> {
    path: &'a str,
    lines: Lines,
}

#[derive(Serialize)]
struct Lines {
    begin: u32,
}

fn write_test(report: &TestReport, out: &mut dyn Write) -> io::Result<()> {
    write_rows(&Row::of_test(report), out)
}

fn write_lint(report: &LintReport, out: &mut dyn Write) -> io::Result<()> {
    write_rows(&Row::of_lint(report), out)
}

fn write_rows(rows: &[Row<'_>], out: &mut dyn Write) -> io::Result<()> {
    let mut fingerprints = Fingerprints::default();
    let issue = |row: &Row<'_>| {
        // GitLab shows nothing that has no path and no line.
        let path = row.file().map_or("input", in_checkout).to_owned();
        (path, row.line_column().0.max(1), row.fingerprint(&mut fingerprints))
    };
    let places: Vec<_> = rows.iter().map(issue).collect();
    let issues: Vec<_> = rows
        .iter()
        .zip(&places)
        .map(|(row, (path, line, fingerprint))| Issue {
            description: row.text(),
            check_name: &row.code,
            fingerprint: fingerprint.clone(),
            severity: severity(row),
            location: At { path, lines: Lines { begin: *line } },
        })
        .collect();
    write_indented(&issues, out)
}

/// In GitLab's words. What denies is at least major, whatever its authors say of it.
fn severity(row: &Row<'_>) -> &'static str {
    let policy = row.finding.and_then(|(policy, _)| policy.severity);
    match (row.level, policy) {
        (Level::Error, Some(PolicySeverity::Critical)) => "blocker",
        (Level::Error, Some(PolicySeverity::High)) => "critical",
        (Level::Error, None) if row.is_unknown() => "blocker",
        (Level::Error, _) => "major",
        (Level::Warning, _) => "minor",
        (Level::Note, _) => "info",
    }
}
