//! What was found in files as one page: object by object, with the lines of the file, how to make it go, and why
//! policies say it, as far as that was asked for. It loads nothing and runs no script.

use std::io::{self, Write};

use portcullis::{Applicability, Location, Why};

use super::page::{Hole, Page};
use super::why::rules;
use super::{count, digest};
use crate::test::{Explained, Reviewed};
use crate::why::passes;
use crate::{Finding, Policy, TestReport, Verdict, fixes};

/// How many characters of a text are shown, and of a name.
const TEXT: usize = 1_000;
const NAME: usize = 300;
/// How many bytes the objects have together, give or take the last one.
const BYTES: usize = 4_000_000;
/// How many problems of the input are listed.
const MOST_PROBLEMS: usize = 200;
/// How many lines of a file stand around what is wrong.
const AROUND: u32 = 2;

const STYLE: &str = "\
:root{color-scheme:light dark;--bad:#b3261e;--good:#1a7f37;--half:#7a4d00;--line:#8884;--soft:#8881}\
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:72rem;padding:0 1rem}\
h1{font-size:1.5rem}h2{font-size:1.1rem;margin:2.2rem 0 .4rem;overflow-wrap:anywhere;border-top:1px solid var(--line);padding-top:1rem}\
code,pre{font:13px/1.5 ui-monospace,\"DejaVu Sans Mono\",monospace}small,.quiet{opacity:.75}\
.one{border:1px solid var(--line);border-left-width:4px;border-radius:4px;padding:.5rem .9rem;margin:.7rem 0;overflow-wrap:anywhere}\
.deny,.unknown{border-left-color:var(--bad)}.warn{border-left-color:var(--half)}.pass{border-left-color:var(--good)}\
.one p{margin:.25rem 0}.verdict{font-weight:600}.deny .verdict,.unknown .verdict,.no>.mark{color:var(--bad)}.pass .verdict{color:var(--good)}\
pre{margin:.5rem 0;padding:.4rem .6rem;border:1px solid var(--line);border-radius:4px;overflow-x:auto;background:var(--soft)}\
.here{font-weight:700;color:var(--bad)}.fix{margin:.3rem 0;padding-left:1.2rem}\
summary{cursor:pointer}.rule{margin:.5rem 0 .5rem .2rem;border-left:2px solid var(--line);padding-left:.7rem}\
.rule>p{margin:.1rem 0}.rule ol{list-style:none;margin:.2rem 0;padding:0}.rule li{margin:.25rem 0}\
.facts{margin:.1rem 0 .1rem 1.4rem;padding:0;list-style:none}.facts li{margin:0}.mark{font-weight:600}@media (forced-colors:active){.one{border-left-width:8px}}";

/// Writes the page.
///
/// # Errors
///
/// If it cannot be written.
pub fn write(report: &TestReport, out: &mut dyn Write) -> io::Result<()> {
    let mut page = Page::default();
    page.raw("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    page.put(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{}'; base-uri 'none'; \
         form-action 'none'\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>What policies say of objects</title>\n<style>",
        &[Hole::Text(&digest(STYLE))],
    )?;
    page.raw(STYLE);
    page.raw("</style>\n</head>\n<body>\n<main>\n<h1>What policies say of objects</h1>\n");
    let counts = report.counts();
    let number = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    let sentence = format!(
        "{} in {} of {}, by {}.",
        count(number(report.findings.len()), "finding", "findings"),
        counts.bad_objects,
        count(number(counts.objects), "object", "objects"),
        count(number(report.policies.len()), "constraint", "constraints"),
    );
    page.put("<p>{}</p>\n", &[Hole::Text(&sentence)])?;
    problems(report, &mut page)?;
    page.flush(out)?;
    let (mut bytes, mut left_out) = (0, 0_usize);
    for ((reviewed, findings), ordinal) in report.by_object().zip(0_u64..) {
        let explained: Vec<&Explained> =
            report.explanations.iter().filter(|one| one.ordinal == ordinal).collect();
        if findings.is_empty() && explained.is_empty() {
            continue;
        }
        if bytes > BYTES {
            left_out += 1;
            continue;
        }
        object(report, reviewed, findings, &explained, &mut page)?;
        bytes += page.len();
        page.flush(out)?;
    }
    if left_out > 0 {
        let more = count(number(left_out), "object is", "objects are");
        page.put(
            "<p class=\"quiet\">{} left out, to keep this file small: <code>-o json</code> has all.</p>\n",
            &[Hole::Text(&more)],
        )?;
    }
    if !report.suppressed.is_empty() {
        let hidden = count(number(report.suppressed.len()), "finding does", "findings do");
        page.put(
            "<p class=\"quiet\">{} not count, by exceptions, comments or the baseline.</p>\n",
            &[Hole::Text(&hidden)],
        )?;
    }
    page.raw("</main>\n</body>\n</html>\n");
    page.flush(out)
}

fn problems(report: &TestReport, page: &mut Page) -> io::Result<()> {
    if report.problems.is_empty() {
        return Ok(());
    }
    page.raw("<h2>What is wrong with the input</h2>\n<ul>\n");
    for problem in report.problems.iter().take(MOST_PROBLEMS) {
        let place = problem.place.as_ref().map(ToString::to_string).unwrap_or_default();
        page.put(
            "<li><b>{}</b> {} <code>{}</code></li>\n",
            &[
                Hole::Html(if problem.is_error() { "error" } else { "warning" }),
                Hole::Short(&problem.message, TEXT),
                Hole::Short(&place, NAME),
            ],
        )?;
    }
    let more = report.problems.len().saturating_sub(MOST_PROBLEMS);
    if more > 0 {
        page.put("<li>and {} more</li>\n", &[Hole::Count(more as u64)])?;
    }
    page.raw("</ul>\n");
    Ok(())
}

fn object(
    report: &TestReport,
    reviewed: &Reviewed,
    findings: &[Finding],
    explained: &[&Explained],
    page: &mut Page,
) -> io::Result<()> {
    page.put("<section>\n<h2>{}</h2>\n", &[Hole::Short(&reviewed.subject.to_string(), NAME)])?;
    for finding in findings {
        let Some(policy) = report.policies.get(finding.policy) else { continue };
        let why = explained.iter().find(|one| one.policy == finding.policy).map(|one| &one.why);
        write_finding(report, policy, finding, why, page)?;
    }
    for one in explained {
        let is_found = findings.iter().any(|finding| finding.policy == one.policy);
        if !is_found {
            unfound(&one.why, page)?;
        }
    }
    page.raw("</section>\n");
    Ok(())
}

fn write_finding(
    report: &TestReport,
    policy: &Policy,
    finding: &Finding,
    why: Option<&Why>,
    page: &mut Page,
) -> io::Result<()> {
    let (class, verdict) = match (finding.verdict, finding.action().as_str()) {
        (Verdict::Unknown, _) => ("unknown", "could not be evaluated"),
        (Verdict::Violation, "deny") => ("deny", "denied"),
        (Verdict::Violation, _) => ("warn", "warned"),
    };
    page.put(
        "<div class=\"one {}\">\n<p><span class=\"verdict\">{}</span> by <code>{}</code></p>\n<p>{}</p>\n",
        &[
            Hole::Html(class),
            Hole::Html(verdict),
            Hole::Short(&policy.key.to_string(), NAME),
            Hole::Short(finding.message.trim(), TEXT),
        ],
    )?;
    let place = finding.place.to_string();
    page.put("<p><small><code>{}</code>", &[Hole::Short(&place, NAME)])?;
    if !finding.field.is_empty() {
        page.put(", field <code>{}</code>", &[Hole::Short(&finding.field, NAME)])?;
    }
    page.raw("</small></p>\n");
    if let Some(text) = &finding.text {
        lines(&text.location, page)?;
    }
    if let Some((_, fix)) = report.fix_of(finding) {
        page.raw("<p>To make it go:</p>\n<ul class=\"fix\">\n");
        for line in fixes::lines(fix) {
            page.put("<li><code>{}</code></li>\n", &[Hole::Short(&line, TEXT)])?;
        }
        page.raw("</ul>\n");
    }
    let found = why.and_then(|why| why.found.iter().find(|found| found.message == finding.message));
    if let Some(found) = found {
        page.raw("<details open><summary>Why</summary>\n");
        rules(&found.ways, page)?;
        page.raw("</details>\n");
    }
    page.raw("</div>\n");
    Ok(())
}

/// What is told of a constraint that found nothing.
fn unfound(why: &Why, page: &mut Page) -> io::Result<()> {
    let key = why.constraint.to_string();
    if why.applicability != Applicability::Applies {
        let says = why.applicability.to_string();
        return page.put(
            "<div class=\"one\"><p><code>{}</code> {}</p></div>\n",
            &[Hole::Short(&key, NAME), Hole::Short(&says, TEXT)],
        );
    }
    if let Some(error) = &why.error {
        page.put(
            "<div class=\"one unknown\">\n<p><span class=\"verdict\">could not be evaluated</span> by <code>{}</code></p>\n<p>{}</p>\n",
            &[Hole::Short(&key, NAME), Hole::Short(&error.message, TEXT)],
        )?;
        rules(&why.missed, page)?;
        page.raw("</div>\n");
        return Ok(());
    }
    page.put(
        "<div class=\"one pass\">\n<p><span class=\"verdict\">passes</span> <code>{}</code>{}</p>\n<details><summary>Why</summary>\n",
        &[Hole::Short(&key, NAME), Hole::Html(passes(why))],
    )?;
    rules(&why.missed, page)?;
    rules(&why.held, page)?;
    page.raw("</details>\n</div>\n");
    Ok(())
}

/// The lines of a file around a place.
fn lines(location: &Location, page: &mut Page) -> io::Result<()> {
    let line = location.line();
    let first = line.saturating_sub(AROUND).max(1);
    let text = location.source().text();
    page.raw("<pre>");
    let wanted = (1_u32..).zip(text.lines()).skip_while(|(number, _)| *number < first);
    for (number, text) in wanted.take_while(|(number, _)| *number <= line.saturating_add(AROUND)) {
        let class = if number == line { "<span class=\"here\">" } else { "<span>" };
        let number = format!("{number:>5} | ");
        page.put("{}{}{}</span>\n", &[Hole::Html(class), Hole::Text(&number), Hole::Short(text, NAME)])?;
    }
    page.raw("</pre>\n");
    Ok(())
}
