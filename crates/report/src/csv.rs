//! CSV (as in RFC 4180, with plain line feeds), for spreadsheets.

use std::borrow::Cow;
use std::io::{self, Write};

use crate::form::{Spec, Writer};
use crate::lint::LintReport;
use crate::rows::Row;
use crate::{Finding, Suppression, TestReport, Verdict, escape, in_checkout};

const ABOUT: &str = "CSV, for spreadsheets";

pub(crate) const FORM: Spec = Spec {
    has_problems: true,
    test: Some(Writer { about: ABOUT, write: write_test }),
    lint: Some(Writer { about: ABOUT, write: write_lint }),
    ..Spec::new("csv")
};

const COLUMNS: [&str; 12] = [
    "level", "verdict", "action", "code", "severity", "file", "line", "column", "object", "field", "message",
    "help",
];

fn write_test(report: &TestReport, out: &mut dyn Write) -> io::Result<()> {
    write_rows(&Row::of_test(report).into_iter().chain(Row::suppressed(report)).collect::<Vec<_>>(), out)
}

fn write_lint(report: &LintReport, out: &mut dyn Write) -> io::Result<()> {
    write_rows(&Row::of_lint(report), out)
}

fn write_rows(rows: &[Row<'_>], out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", COLUMNS.join(","))?;
    for row in rows {
        let number = |number: u32| if number == 0 { String::new() } else { number.to_string() };
        let (line, column) = row.line_column();
        let (verdict, action, severity) = match row.finding {
            Some((policy, finding)) => {
                let verdict = match row.suppressed {
                    Some(
                        Suppression::Exception { .. } | Suppression::Rule { .. } | Suppression::Inline { .. },
                    ) => "excepted",
                    Some(Suppression::Baseline) => "known",
                    None => finding.verdict.as_str(),
                };
                let severity = policy.severity.map_or("", |severity| severity.as_str());
                (verdict, actions(finding), severity)
            }
            // A document that cannot be used is not judged.
            None if row.level == crate::rows::Level::Error => (Verdict::Unknown.as_str(), String::new(), ""),
            None => ("", String::new(), ""),
        };
        let cells: [Cow<'_, str>; 12] = [
            row.level.as_str().into(),
            verdict.into(),
            action.into(),
            row.code.as_str().into(),
            severity.into(),
            row.file().map(in_checkout).unwrap_or_default().into(),
            number(line).into(),
            number(column).into(),
            row.object.as_deref().unwrap_or_default().into(),
            row.field.into(),
            row.message.clone(),
            row.help.unwrap_or_default().into(),
        ];
        let cells: Vec<_> = cells.iter().map(|text| cell(text)).collect();
        writeln!(out, "{}", cells.join(","))?;
    }
    Ok(())
}

fn actions(finding: &Finding) -> String {
    let actions: Vec<_> = finding.actions.iter().map(|action| action.as_str()).collect();
    actions.join(" ")
}

/// A cell. Spreadsheets take what begins with one of a few characters for a formula, which a manifest may not
/// bring into one: an apostrophe keeps it a text.
fn cell(text: &str) -> String {
    let text = &*escape::lines(text);
    let is_formula = text.starts_with(['=', '+', '-', '@']);
    let needs_quotes = text.contains([',', '"', '\n']) || text.trim() != text;
    if !is_formula && !needs_quotes {
        return text.to_owned();
    }
    let text = text.replace('"', "\"\"");
    format!("\"{}{text}\"", if is_formula { "'" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_is_neither_two_nor_a_formula() {
        assert_eq!(cell("a,b"), "\"a,b\"");
        assert_eq!(cell("say \"x\"\n"), "\"say \"\"x\"\"\n\"");
        assert_eq!(cell("=HYPERLINK(\"x\")"), "\"'=HYPERLINK(\"\"x\"\")\"");
        assert_eq!(cell("plain"), "plain");
    }
}
