//! Markdown for a comment on a pull request: totals, then a part that unfolds for each constraint. It is never
//! longer than it may be; what does not fit is counted.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};

use crate::form::{Spec, Writer};
use crate::human;
use crate::lint::LintReport;
use crate::rows::{Level, Row};
use crate::{TestReport, clip, count, escape, in_checkout};

pub(crate) const FORM: Spec = Spec {
    has_problems: true,
    test: Some(Writer { about: "Markdown, for comments on pull requests", write: write_test }),
    lint: Some(Writer { about: "Markdown, for comments on pull requests", write: write_lint }),
    ..Spec::new("markdown")
};

/// Bytes of a message that are shown.
const MAX_MESSAGE: usize = 400;

/// Bytes that are kept for the last line, which says how much is missing.
const REST: usize = 200;

fn write_test(report: &TestReport, out: &mut dyn Write) -> io::Result<()> {
    let title = human::test_summary(report);
    write_rows(&title, Row::of_test(report), report.wanted.max_bytes, out)
}

fn write_lint(report: &LintReport, out: &mut dyn Write) -> io::Result<()> {
    write_rows(&human::lint_summary(report), Row::of_lint(report), report.max_bytes, out)
}

fn write_rows(title: &str, rows: Vec<Row<'_>>, most: usize, out: &mut dyn Write) -> io::Result<()> {
    let mut text = format!("### Portcullis: {}\n", plain(&clip::text(title, MAX_MESSAGE)));
    let mut parts: BTreeMap<(Level, String), Vec<Row<'_>>> = BTreeMap::new();
    for row in rows {
        parts.entry((row.level, row.code.clone())).or_default().push(row);
    }
    let room = most.saturating_sub(REST);
    let mut hidden = 0;
    for ((level, code), mut rows) in parts {
        rows.sort_by(|a, b| {
            (a.file(), a.line_column())
                .cmp(&(b.file(), b.line_column()))
                .then_with(|| a.message.cmp(&b.message))
        });
        let all = rows.len();
        let head = format!(
            "\n<details><summary>{} <b>{}</b>: {}</summary>\n\n| where | what | message |\n|---|---|---|\n",
            level.as_str(),
            plain(&clip::text(&code, MAX_MESSAGE)),
            count(all, "finding", "findings"),
        );
        const TAIL: &str = "\n</details>\n";
        // A part is whole lines, and begun only if one fits.
        let mut part = head;
        let mut shown = 0;
        for row in &rows {
            let line = line(row);
            if text.len() + part.len() + line.len() + TAIL.len() + REST > room {
                break;
            }
            part.push_str(&line);
            shown += 1;
        }
        if shown == 0 {
            hidden += all;
            continue;
        }
        if shown < all {
            // Formatting into a text does not fail.
            let _ = writeln!(part, "| | | {} more |", all - shown);
        }
        part.push_str(TAIL);
        text.push_str(&part);
    }
    if hidden > 0 {
        let _ = writeln!(
            text,
            "\n{} more did not fit here: see the other reports of this run.",
            count(hidden, "finding", "findings")
        );
    }
    if text.len() > most {
        // Only if there is room for hardly anything at all.
        text.truncate(text.floor_char_boundary(most));
    }
    out.write_all(text.as_bytes())
}

fn line(row: &Row<'_>) -> String {
    let place = match (row.file(), row.line_column()) {
        (None, _) => String::new(),
        (Some(file), (0, _)) => in_checkout(file).to_owned(),
        (Some(file), (line, _)) => format!("{}:{line}", in_checkout(file)),
    };
    let cell = |text: &str| plain(&clip::text(text, MAX_MESSAGE));
    let message = match row.help {
        Some(help) => format!("{}; {help}", row.message),
        None => row.message.clone().into_owned(),
    };
    format!(
        "| {} | {} | {} |\n",
        cell(&place),
        cell(row.object.as_deref().unwrap_or_default()),
        cell(&message)
    )
}

/// A text that is nothing but text: what a manifest or a policy says makes no link, no image, no mention of
/// anybody and no row of a table.
pub(crate) fn plain(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in escape::line(text).chars() {
        match c {
            '&' | '<' | '>' | '|' | '`' | '*' | '_' | '[' | ']' | '(' | ')' | '@' | '#' | '~' | '\\'
            | '!' | '$' => {
                let _ = write!(safe, "&#{};", u32::from(c));
            }
            c => safe.push(c),
        }
    }
    // Addresses become links by themselves.
    safe.replace("://", ":&#47;&#47;").replace("www.", "www&#46;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_make_nothing() {
        let text = plain("@team see [x](https://e.org) | `a` <img src=x> #1 a_b");
        assert!(!text.contains(['@', '[', '(', '|', '`', '<', '_']), "{text}");
        assert!(!text.contains("://"), "{text}");
    }
}
