//! Findings about policies, and what the policies are made of.

use std::io::{self, Write};

use serde::Serialize;

use super::{Start, write_indented};
use crate::explained::Template;
use crate::lint::LintReport;
use crate::{Place, Problem};

/// Writes the findings.
pub(super) fn write(report: &LintReport, out: &mut dyn Write) -> io::Result<()> {
    write_indented(&content(report), out)
}

#[derive(Serialize)]
pub(crate) struct Content<'a> {
    errors: usize,
    warnings: usize,
    findings: Vec<Item<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    templates: Option<Vec<Template<'a>>>,
}

#[derive(Serialize)]
struct Item<'a> {
    severity: String,
    rule: &'static str,
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<&'a str>,
    /// `Kind/name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    resource: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    location: Option<Marked<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Marked<'a> {
    file: &'a str,
    line: u32,
    column: u32,
    end_column: u32,
}

/// What the JSON and the YAML report have in them.
pub(crate) fn content(report: &LintReport) -> Content<'_> {
    let templates = || report.policies.templates().map(Template::of).collect();
    Content {
        errors: report.errors(),
        warnings: report.warnings(),
        findings: report.problems.iter().map(item).collect(),
        templates: report.verbose.then(templates),
    }
}

fn item(problem: &Problem) -> Item<'_> {
    Item {
        severity: problem.severity.to_string(),
        rule: problem.kind.code(),
        message: &problem.message,
        hint: problem.help.as_deref(),
        resource: problem.subject.as_deref(),
        field: problem.field.as_deref(),
        location: problem.place.as_ref().map(|place| {
            let Start { file, line, column } = Start::of(place);
            let end_column = match place {
                Place::File { end_column, .. } => *end_column,
                Place::Cluster => 0,
            };
            Marked { file, line, column, end_column: end_column.max(column) }
        }),
    }
}
