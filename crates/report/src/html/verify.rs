//! What tests reached of policies, as one page: the text of each file, line by line. It loads nothing and runs no
//! script.

use std::collections::BTreeMap;
use std::io::{self, Write};

use super::page::{Hole, Page};
use super::{count, digest};
use crate::covered::{CoveredCondition, CoveredFile};
use crate::verify::VerifyReport;

/// How much of a line is shown.
const LINE: usize = 2_000;

const STYLE: &str = "\
:root{color-scheme:light dark;--good:#1a7f37;--bad:#c62828;--half:#9a6700;--line:#8884}\
body{font:15px/1.45 system-ui,sans-serif;margin:2rem auto;max-width:75rem;padding:0 1rem}\
h1{font-size:1.4rem}h2{font-size:1.05rem;margin:2rem 0 .4rem;overflow-wrap:anywhere}\
table{border-collapse:collapse;width:100%}.sum td,.sum th{text-align:left;padding:.2rem .6rem .2rem 0;border-bottom:1px solid var(--line)}\
.sum .n{text-align:right;font-variant-numeric:tabular-nums}\
.text{font:13px/1.5 ui-monospace,monospace;border:1px solid var(--line);overflow-x:auto}\
.text td{padding:0 .5rem;white-space:pre;vertical-align:top}.text .n{text-align:right;opacity:.6;user-select:none}\
.yes .m{color:var(--good)}.no{background:#c6282822}.no .m{color:var(--bad)}.half{background:#9a670022}.half .m,.why{color:var(--half)}\
.why{white-space:normal}";

pub(super) fn write(report: &VerifyReport, out: &mut dyn Write) -> io::Result<()> {
    let mut page = Page::default();
    page.raw("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    page.put(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; \
         form-action 'none'\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>Coverage of policies</title>\n<style>",
        &[Hole::Text(&digest(STYLE))],
    )?;
    page.raw(STYLE);
    page.raw("</style>\n</head>\n<body>\n<main>\n<h1>Coverage of policies</h1>\n");
    let Some(coverage) = &report.coverage else {
        page.raw("<p>Nothing is known of it: no test was run.</p>\n</main>\n</body>\n</html>\n");
        return page.flush(out);
    };
    page.put("<p>{}.</p>\n", &[Hole::Text(&coverage.line())])?;
    page.raw(
        "<p>A line is reached (✓) or not (✕). A condition (±) that came out one way only is one that no case would miss \
         if it were wrong.</p>\n<table class=\"sum\">\n<thead><tr><th scope=\"col\">File</th><th scope=\"col\" class=\"n\">\
         Lines reached</th><th scope=\"col\" class=\"n\">of</th><th scope=\"col\" class=\"n\">Outcomes seen</th>\
         <th scope=\"col\" class=\"n\">of</th></tr></thead>\n<tbody>\n",
    );
    for (number, file) in coverage.files.iter().enumerate() {
        page.put(
            "<tr><td><a href=\"#f{}\">{}</a></td><td class=\"n\">{}</td><td class=\"n\">{}</td><td class=\"n\">{}</td>\
             <td class=\"n\">{}</td></tr>\n",
            &[
                Hole::Number(number as u64),
                Hole::Short(&file.file, LINE),
                Hole::Count(file.covered.len() as u64),
                Hole::Count(file.lines() as u64),
                Hole::Count(file.outcomes() as u64),
                Hole::Count((file.conditions.len() as u64).saturating_mul(2)),
            ],
        )?;
    }
    page.raw("</tbody>\n</table>\n");
    page.flush(out)?;
    for (number, file) in coverage.files.iter().enumerate() {
        write_file(number, file, &mut page)?;
        page.flush(out)?;
    }
    page.raw("</main>\n</body>\n</html>\n");
    page.flush(out)
}

fn write_file(number: usize, file: &CoveredFile, page: &mut Page) -> io::Result<()> {
    let mut conditions: BTreeMap<u32, Vec<&CoveredCondition>> = BTreeMap::new();
    for condition in &file.conditions {
        conditions.entry(condition.location.line()).or_default().push(condition);
    }
    page.put(
        "<h2 id=\"f{}\">{}: {} of {} reached</h2>\n<div class=\"text\"><table>\n",
        &[
            Hole::Number(number as u64),
            Hole::Short(&file.file, LINE),
            Hole::Count(file.covered.len() as u64),
            Hole::Text(&count(file.lines() as u64, "line", "lines")),
        ],
    )?;
    for (line, text) in (1_u32..).zip(file.source.text().lines()) {
        let here = conditions.get(&line).map(Vec::as_slice).unwrap_or_default();
        let one_sided: Vec<&str> = here.iter().filter_map(|condition| never(condition)).collect();
        let is_reached = file.covered.binary_search(&line).is_ok();
        let (class, sign) = match (is_reached, file.uncovered.binary_search(&line).is_ok()) {
            _ if !one_sided.is_empty() => ("half", "±"),
            (true, _) => ("yes", "✓"),
            (false, true) => ("no", "✕"),
            (false, false) => ("", ""),
        };
        page.put(
            "<tr class=\"{}\"><td class=\"n\">{}</td><td class=\"m\">{}</td><td>{}</td><td class=\"why\">{}</td></tr>\n",
            &[
                Hole::Html(class),
                Hole::Number(u64::from(line)),
                Hole::Html(sign),
                Hole::Short(text, LINE),
                Hole::Text(&one_sided.join(", ")),
            ],
        )?;
    }
    page.raw("</table></div>\n");
    Ok(())
}

/// How a condition that was reached never came out.
fn never(condition: &CoveredCondition) -> Option<&'static str> {
    match (condition.is_reached, condition.has_held, condition.has_failed) {
        (true, true, false) => Some("never false"),
        (true, false, true) => Some("never true"),
        _ => None,
    }
}
