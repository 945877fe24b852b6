//! An audit as one HTML file for people: nothing is loaded from anywhere, and nothing needs a script but
//! search and filters.
//!
//! ```text
//! AuditReport ─┬─ overview    what came of it, in one sentence and in charts: all, by action, by severity
//!              ├─ tables      every policy and every namespace with its totals
//!              ├─ findings    policy by policy: object, message, place; the first of many, and how many more there are
//!              ├─ coverage    what was seen and what was not, and what is wrong with the input
//!              └─ texts       the Rego of the policies
//! ```
//!
//! **Texts of policies and objects are hostile.** They get into the page through `page` only, and never into
//! a script: the script reads what the page shows. Should something break out, the page's own content
//! security policy lets nothing run but the one script, by its digest.
//!
//! **Large audits.** Findings are listed up to `MAX_ROWS` and `ROW_BYTES`, shared evenly between policies,
//! and texts up to `TEXT_BYTES`, so that the file stays below 5 MB and browsers can scroll it. Explanations, if they are asked for, take up to
//! `WHY_BYTES` more. Totals are
//! never cut for policies, and whatever is left out is counted where it would stand.
//!
//! Written by hand instead of through a template engine: the page is written as it is read, in pieces, an
//! engine's automatic escaping leaves characters that reorder text as they are, and here the type of a text
//! decides whether it can be markup.

mod coverage;
mod findings;
mod overview;
mod page;
pub(crate) mod reference;
mod tables;
pub(crate) mod test;
mod texts;
mod verify;
mod why;

use std::io::{self, Write};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use sha2::{Digest, Sha256};

use crate::form::{Spec, Writer};
use crate::{AuditReport, Completion, Standing};
use findings::Listing;
use page::{Hole, Page};

pub(crate) const FORM: Spec = Spec {
    test: Some(Writer {
        about: "one self-contained page for people: object by object, with fixes and explanations if asked for",
        write: test::write,
    }),
    audit: Some(Writer {
        about: "one self-contained page for people, with charts and filters, and with explanations if asked for",
        write,
    }),
    verify: Some(Writer {
        about: "coverage as one page: each line of the policies, and how its conditions came out",
        write: verify::write,
    }),
    ..Spec::new("html")
};

/// How many findings are listed at most; of each policy and verdict, one is in any case.
const MAX_ROWS: u64 = 3_000;
/// How many findings of one policy and verdict are listed at most.
const MAX_ROWS_OF_ONE: u64 = 250;
/// How many bytes the listed findings have at most, give or take the first of each policy.
const ROW_BYTES: usize = 2_250_000;
/// How many bytes the explanations of the listed findings have at most, in equal parts for the policies that found something.
const WHY_BYTES: usize = 1_000_000;
/// How many bytes the texts of policies have at most.
const TEXT_BYTES: usize = 1_000_000;

const STYLE: &str = include_str!("report.css");
const SCRIPT: &str = include_str!("report.js");

/// What the file says to those who read its source.
const COMMENT: &str = "\
<!--
  An audit report. This file is complete in itself and loads nothing.
  Where scripts are blocked, as viewers of CI artifacts do, all of it can be read: totals, charts, findings, policy texts; details open and
  close, links inside of the page work, and so does the browser's own search. Only the filters and the search field are missing.
  Where styles are blocked too, it is plain text in reading order, with the charts.
-->
";

/// Writes the page. Reads the findings once, from the first to the last; holds no more than what is listed of
/// them.
///
/// # Errors
///
/// If findings cannot be read, are others than the totals count, or the page cannot be written. Nothing is
/// written in the first two cases.
pub fn write(report: &AuditReport, out: &mut dyn Write) -> io::Result<()> {
    let listing = Listing::read(report)?;
    let mut page = Page::default();
    head(report, &mut page)?;
    overview::write(report, &mut page)?;
    tables::policies(report, &mut page)?;
    tables::namespaces(report, &mut page)?;
    page.flush(out)?;
    listing.write(report, &mut page)?;
    page.flush(out)?;
    coverage::write(report, &mut page)?;
    texts::write(report, &mut page)?;
    page.put(
        "</main>\n<footer><p>Written by Portcullis {}. A judgement is one object and one policy that applies to it.</p></footer>\n<script>",
        &[Hole::Text(env!("CARGO_PKG_VERSION"))],
    )?;
    page.raw(SCRIPT);
    page.raw("</script>\n</body>\n</html>\n");
    page.flush(out)
}

fn head(report: &AuditReport, page: &mut Page) -> io::Result<()> {
    let (style, script) = (digest(STYLE), digest(SCRIPT));
    page.raw("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    page.raw(COMMENT);
    page.put(
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; script-src 'sha256-{}'; style-src 'sha256-{}'; \
         base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"referrer\" content=\"no-referrer\">\n\
         <title>{}: audit of {}</title>\n<style>",
        &[
            Hole::Text(&script),
            Hole::Text(&style),
            Hole::Html(overview::Look::of(report).word()),
            Hole::Text(&report.id()),
        ],
    )?;
    page.raw(STYLE);
    page.raw("</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#main\">Skip to the report</a>\n");
    Ok(())
}

/// SHA-256 in base64, as content security policies name a script or a style.
fn digest(text: &str) -> String {
    BASE64_STANDARD.encode(Sha256::digest(text.as_bytes()))
}

/// `1 object`, `2,000 objects`: the number grouped.
fn count(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", page::grouped(number), if number == 1 { one } else { many })
}
