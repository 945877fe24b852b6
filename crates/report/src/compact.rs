//! One line for each finding, by file: what fits on a screen, and into a comment.

use std::io::{self, Write};

use anstyle::Style;

use crate::form::{Spec, Writer};
use crate::human;
use crate::lint::LintReport;
use crate::rows::{Level, Row};
use crate::{TestReport, clip, escape};

pub(crate) const FORM: Spec = Spec {
    is_for_people: true,
    has_problems: true,
    test: Some(Writer { about: "for people, a line for each finding", write: write_test }),
    lint: Some(Writer { about: "for people, a line for each finding", write: write_lint }),
    ..Spec::new("compact")
};

/// Bytes of a message that are shown.
const MAX_SHOWN: usize = 1 << 10;

fn write_test(report: &TestReport, out: &mut dyn Write) -> io::Result<()> {
    write_rows(Row::of_test(report), out)?;
    human::write_why(report, out)?;
    if report.wanted.quiet { Ok(()) } else { human::write_test_summary(report, out) }
}

fn write_lint(report: &LintReport, out: &mut dyn Write) -> io::Result<()> {
    write_rows(Row::of_lint(report), out)?;
    human::write_lint_summary(report, out)
}

fn write_rows(rows: Vec<Row<'_>>, out: &mut dyn Write) -> io::Result<()> {
    for (file, rows) in Row::by_file(rows) {
        let bold = Style::new().bold();
        writeln!(out, "{bold}{}{bold:#}", escape::line(file.unwrap_or("input")))?;
        let places: Vec<String> = rows.iter().map(place).collect();
        let width = places.iter().map(String::len).max().unwrap_or_default();
        for (row, place) in rows.iter().zip(&places) {
            let style = match row.level {
                Level::Error => human::BAD,
                Level::Warning => human::DOUBTFUL,
                Level::Note => human::DIM,
            };
            let text = clip::text(&row.text(), MAX_SHOWN).into_owned();
            let level = row.level.as_str();
            let code = escape::line(&row.code);
            writeln!(out, "  {place:>width$}  {style}{level:<7}{style:#}  {code}  {}", escape::line(&text))?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// `line:column`; nothing for a file as a whole.
fn place(row: &Row<'_>) -> String {
    match row.line_column() {
        (0, _) => String::new(),
        (line, column) => format!("{line}:{column}"),
    }
}
