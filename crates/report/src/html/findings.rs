//! The findings, policy by policy. They come in the order of the objects and there may be more of them than
//! memory, so one pass keeps the first of each policy, already as HTML, and counts all.

use std::io;

use super::tables::{NAME, by_urgency};
use super::texts::texts;
use super::{AuditReport, Hole, MAX_ROWS, MAX_ROWS_OF_ONE, Page, ROW_BYTES, WHY_BYTES, count, why};
use crate::{Finding, Place, PolicySeverity, Verdict};

/// How many characters of a message are shown.
const MESSAGE: usize = 1_000;
/// How many characters of the details are shown.
const DETAILS: usize = 600;
/// What the first findings of policies may take beyond [`ROW_BYTES`].
const RESERVE: usize = 400_000;
/// With no more findings than this, they are all open.
const OPEN: u64 = 30;

/// What is listed of the findings.
pub(super) struct Listing {
    /// By the index of the policy.
    policies: Vec<[Part; 2]>,
}

/// The findings of a policy that have the same verdict.
#[derive(Default)]
struct Part {
    rows: Page,
    listed: u64,
    found: u64,
    /// Bytes of its explanations, and how many there was no room for.
    why_bytes: usize,
    why_left_out: u64,
}

impl Listing {
    /// Reads all findings.
    pub(super) fn read(report: &AuditReport) -> io::Result<Self> {
        let counts = report.totals.by_policy.iter().flat_map(|tally| [tally.unknown, tally.violations]);
        let most = fair(&counts.collect::<Vec<_>>());
        let mut policies: Vec<[Part; 2]> = Vec::new();
        policies.resize_with(report.policies.len(), Default::default);
        let mut bytes = 0;
        let found_something = report.totals.by_policy.iter().filter(|tally| tally.violations > 0).count();
        let room_for_why = WHY_BYTES / found_something.max(1);
        for finding in report.findings.read()? {
            let finding = finding?;
            let [unknown, violations] = policies.get_mut(finding.policy).ok_or_else(|| {
                let message = format!("a finding is of policy {}, of which there is none", finding.policy);
                io::Error::new(io::ErrorKind::InvalidData, message)
            })?;
            let part = match finding.verdict {
                Verdict::Unknown => unknown,
                Verdict::Violation => violations,
            };
            part.found += 1;
            // Once something was left out, all that follows is: what is listed are the first ones, without
            // gaps.
            if part.listed + 1 < part.found || part.listed >= most {
                continue;
            }
            let mut told = Page::default();
            if let Some(explanation) = &finding.explanation {
                why::explanation(explanation, &mut told)?;
            }
            // Those that are shown are the first ones, as with findings.
            let is_told = part.why_left_out == 0 && part.why_bytes + told.len() <= room_for_why;
            let before = part.rows.len();
            row(&finding, is_told.then_some(&told), &mut part.rows)?;
            let of_why = if is_told { told.len() } else { 0 };
            let added = part.rows.len() - before - of_why;
            let room = if part.listed == 0 { ROW_BYTES + RESERVE } else { ROW_BYTES };
            if bytes + added > room {
                part.rows.truncate(before);
                continue;
            }
            bytes += added;
            part.why_bytes += of_why;
            part.why_left_out += u64::from(!is_told && finding.explanation.is_some());
            part.listed += 1;
        }
        // A list that is not what was counted would say less, or more, than was found.
        for (index, [unknown, violations]) in policies.iter().enumerate() {
            let tally = report.totals.by_policy.get(index).copied().unwrap_or_default();
            if (unknown.found, violations.found) != (tally.unknown, tally.violations) {
                let message = format!(
                    "policy {index} has {} violations and {} unknown, but {} and {} were counted",
                    violations.found, unknown.found, tally.violations, tally.unknown
                );
                return Err(io::Error::new(io::ErrorKind::InvalidData, message));
            }
        }
        Ok(Self { policies })
    }

    fn sum(&self, number: impl Fn(&Part) -> u64) -> u64 {
        self.policies.iter().flatten().map(number).sum()
    }

    /// Writes the section.
    pub(super) fn write(&self, report: &AuditReport, page: &mut Page) -> io::Result<()> {
        let (listed, found) = (self.sum(|part| part.listed), self.sum(|part| part.found));
        page.raw("<section aria-labelledby=\"findings\">\n<h2 id=\"findings\">Findings</h2>\n");
        if found == 0 {
            page.raw("<p class=\"none\">There are none.</p>\n");
        } else {
            let mut sentence =
                format!("{} by policy, the unknown ones first.", count(found, "finding", "findings"));
            if listed < found {
                sentence = format!(
                    "{} by policy, the unknown ones first. The first {} are listed; the NDJSON output has all.",
                    count(found, "finding", "findings"),
                    super::page::grouped(listed)
                );
            }
            page.put("<p>{}</p>\n", &[Hole::Text(&sentence)])?;
            if let Some(explanations) = &report.explanations {
                page.put("<p>Violations: {}.</p>\n", &[Hole::Text(&explanations.to_string())])?;
            }
        }
        page.raw("<p id=\"scriptless\" class=\"quiet\">Search and filters need scripts, which are not running here. Everything else works without.</p>\n");
        filters(found, page)?;
        let texts = texts(report);
        for index in by_urgency(report) {
            let (Some(parts), Some(policy)) = (self.policies.get(index), report.policies.get(index)) else {
                continue;
            };
            if parts.iter().all(|part| part.found == 0) {
                continue;
            }
            let actions: Vec<_> = policy.actions.iter().map(|action| action.as_str()).collect();
            let severity = policy.severity.map_or("", PolicySeverity::as_str);
            let key = policy.key.to_string();
            page.put(
                "<details class=\"policy\" data-action=\"{}\" data-severity=\"{}\"{}><summary><h3>{}</h3> ",
                &[
                    Hole::Text(&actions.join(" ")),
                    Hole::Html(severity),
                    Hole::Html(if found <= OPEN { " open" } else { "" }),
                    Hole::Short(policy.title.as_deref().unwrap_or(&key), NAME),
                ],
            )?;
            if policy.title.is_some() {
                page.put("<code>{}</code> ", &[Hole::Short(&key, NAME)])?;
            }
            page.raw("<span class=\"sums\">");
            let tally = report.totals.by_policy.get(index).copied().unwrap_or_default();
            let [unknown, violations] = parts;
            if unknown.found > 0 {
                page.put("<b class=\"unknown\">? {} unknown</b> ", &[Hole::Count(unknown.found)])?;
            }
            if violations.found > 0 {
                let violations = count(violations.found, "violation", "violations");
                page.put("<b class=\"violation\">✕ {}</b> ", &[Hole::Text(&violations)])?;
            }
            page.put("<b class=\"pass\">✓ {}</b> ", &[Hole::Text(&count(tally.passes, "pass", "passes"))])?;
            for action in &actions {
                page.put("<span class=\"tag\">{}</span> ", &[Hole::Html(action)])?;
            }
            if !severity.is_empty() {
                page.put("<span class=\"tag\">severity {}</span>", &[Hole::Html(severity)])?;
            }
            page.put("</span></summary>\n<div id=\"policy-{}\">\n", &[Hole::Number(index as u64)])?;
            if let Some(description) = &policy.description {
                page.put("<p>{}</p>\n", &[Hole::Short(description.trim(), 2_000)])?;
            }
            page.put(
                "<p class=\"quiet\">Constraint at <code>{}</code>, ",
                &[Hole::Short(&policy.place.to_string(), NAME)],
            )?;
            match texts.get(policy.template.name.as_str()) {
                Some(text) => {
                    page.put("<a href=\"#text-{}\">policy text</a>.</p>\n", &[Hole::Number(*text as u64)])?;
                }
                None => {
                    page.put("template <code>{}</code>.</p>\n", &[Hole::Short(&policy.template.name, NAME)])?;
                }
            }
            page.raw("<ul class=\"list\">\n");
            page.part(&unknown.rows);
            page.part(&violations.rows);
            page.raw("</ul>\n");
            for (part, one, many) in
                [(unknown, "unknown", "unknown"), (violations, "violation", "violations")]
            {
                let more = part.found.saturating_sub(part.listed);
                if more > 0 {
                    page.put(
                        "<p class=\"more\">{} more {} of this policy: see the NDJSON output, which has all.</p>\n",
                        &[Hole::Count(more), Hole::Html(if more == 1 { one } else { many })],
                    )?;
                }
            }
            let untold = violations.why_left_out;
            if untold > 0 {
                page.put(
                    "<p class=\"more\">{} left out here, to keep this file small: the JSON output has them.</p>\n",
                    &[Hole::Text(&count(untold, "explanation is", "explanations are"))],
                )?;
            }
            page.raw("</div>\n</details>\n");
        }
        page.raw("</section>\n");
        Ok(())
    }
}

/// How many rows each may have, so that all together have no more than there is room for; at least one.
fn fair(counts: &[u64]) -> u64 {
    let fits = |most: u64| counts.iter().map(|count| (*count).min(most)).sum::<u64>() <= MAX_ROWS;
    let (mut low, mut high) = (1, MAX_ROWS_OF_ONE);
    while low < high {
        let middle = (low + high).div_ceil(2);
        if fits(middle) { low = middle } else { high = middle - 1 }
    }
    low
}

fn row(finding: &Finding, why: Option<&Page>, page: &mut Page) -> io::Result<()> {
    let (letter, verdict) = match finding.verdict {
        Verdict::Unknown => ("unknown", "<b class=\"unknown\">? unknown</b>"),
        Verdict::Violation => ("violation", "<b class=\"violation\">✕ violation</b>"),
    };
    // As totals count it: a Namespace belongs to itself.
    let object = &finding.object;
    let is_namespace = object.group.is_empty() && &*object.kind == "Namespace";
    let home = if is_namespace { &object.name } else { &object.namespace };
    page.put(
        "<li data-v=\"{}\" data-n=\"{}\">{} <span>{}</span> <div><p>",
        &[
            Hole::Html(letter),
            Hole::Short(home, NAME),
            Hole::Html(verdict),
            Hole::Short(&object.to_string(), NAME),
        ],
    )?;
    if finding.verdict == Verdict::Unknown {
        page.raw("could not be evaluated: ");
    }
    page.put("{}</p>", &[Hole::Short(finding.message.trim(), MESSAGE)])?;
    if !finding.field.is_empty() {
        page.put("<small>field <code>{}</code></small>", &[Hole::Short(&finding.field, NAME)])?;
    }
    let details = finding.details.to_json();
    if !is_empty(&details) {
        let details = serde_json::to_string_pretty(&details).map_err(io::Error::other)?;
        page.put(
            "<details><summary>details</summary><pre>{}</pre></details>",
            &[Hole::Short(&details, DETAILS)],
        )?;
    }
    page.raw("</div> ");
    match &finding.place {
        Place::File { .. } => {
            page.put("<code>{}</code>", &[Hole::Short(&finding.place.to_string(), NAME)])?;
        }
        Place::Cluster => page.raw("<code>in the cluster</code>"),
    }
    if let Some(why) = why {
        page.part(why);
    }
    page.raw("</li>\n");
    Ok(())
}

fn is_empty(details: &serde_json::Value) -> bool {
    match details {
        serde_json::Value::Null => true,
        serde_json::Value::Object(fields) => fields.is_empty(),
        _ => false,
    }
}

/// The form that the script shows. Namespaces are filled in by the script from what is listed.
fn filters(found: u64, page: &mut Page) -> io::Result<()> {
    page.put(
        "<form id=\"filters\" role=\"search\" aria-label=\"Filter findings\" hidden>\n\
         <div class=\"wide\"><label for=\"find\">Search object, message, place, policy</label><input id=\"find\" name=\"find\" type=\"search\" autocomplete=\"off\" spellcheck=\"false\"></div>\n\
         <div><label for=\"by-verdict\">Result</label><select id=\"by-verdict\" name=\"verdict\"><option value=\"\">all</option><option>violation</option><option>unknown</option></select></div>\n\
         <div><label for=\"by-action\">Action</label><select id=\"by-action\" name=\"action\"><option value=\"\">all</option><option>deny</option><option>warn</option><option>dryrun</option></select></div>\n\
         <div><label for=\"by-severity\">Severity</label><select id=\"by-severity\" name=\"severity\"><option value=\"\">all</option><option>critical</option><option>high</option><option>medium</option><option>low</option><option>info</option></select></div>\n\
         <div><label for=\"by-namespace\">Namespace</label><select id=\"by-namespace\" name=\"namespace\"><option value=\"\">all</option></select></div>\n\
         <div><button type=\"reset\">Clear filters</button></div>\n<div><button type=\"button\" id=\"all\">Open all policies</button></div>\n\
         <output id=\"shown\" aria-live=\"polite\" data-total=\"{}\"></output>\n</form>\n",
        &[Hole::Number(found)],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_shared_evenly() {
        assert_eq!(fair(&[]), MAX_ROWS_OF_ONE);
        assert_eq!(fair(&[3, 100_000]), MAX_ROWS_OF_ONE);
        // 100 that want more than there is for each.
        assert_eq!(fair(&[1_000; 100]), MAX_ROWS / 100);
        // What small ones leave goes to the large ones.
        assert_eq!(fair(&[vec![10; 50], vec![1_000; 50]].concat()), (MAX_ROWS - 500) / 50);
        assert_eq!(fair(&vec![9; 10_000]), 1);
    }
}
