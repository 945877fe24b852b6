//! Checkstyle's XML, which many viewers of lint results read.

use std::io::{self, Write};

use crate::form::{Spec, Writer};
use crate::lint::LintReport;
use crate::rows::{Level, Row};
use crate::{TestReport, escape, in_checkout};

const ABOUT: &str = "Checkstyle XML, for viewers of lint results";

pub(crate) const FORM: Spec = Spec {
    has_problems: true,
    test: Some(Writer { about: ABOUT, write: write_test }),
    lint: Some(Writer { about: ABOUT, write: write_lint }),
    ..Spec::new("checkstyle")
};

fn write_test(report: &TestReport, out: &mut dyn Write) -> io::Result<()> {
    write_rows(Row::of_test(report), out)
}

fn write_lint(report: &LintReport, out: &mut dyn Write) -> io::Result<()> {
    write_rows(Row::of_lint(report), out)
}

fn write_rows(rows: Vec<Row<'_>>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<checkstyle version=\"10.0\">")?;
    for (file, rows) in Row::by_file(rows) {
        writeln!(out, "  <file name=\"{}\">", attribute(file.map_or("input", in_checkout)))?;
        for row in rows {
            // Lines begin with 1 there; what is about a file as a whole stands in its first.
            let (line, column) = row.line_column();
            let severity = match row.level {
                Level::Error => "error",
                Level::Warning => "warning",
                Level::Note => "info",
            };
            writeln!(
                out,
                "    <error line=\"{}\" column=\"{}\" severity=\"{severity}\" message=\"{}\" source=\"{}\"/>",
                line.max(1),
                column.max(1),
                attribute(&row.text()),
                attribute(&row.code),
            )?;
        }
        writeln!(out, "  </file>")?;
    }
    writeln!(out, "</checkstyle>")
}

/// A text in quotes. Characters that XML has no place for are U+FFFD.
fn attribute(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in escape::line(text).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            c if crate::junit::is_forbidden(c) => safe.push('\u{fffd}'),
            c => safe.push(c),
        }
    }
    safe
}
