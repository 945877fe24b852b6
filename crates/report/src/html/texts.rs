//! The Rego of the policies, once per template.

use std::collections::BTreeMap;
use std::io;

use super::tables::{NAME, by_urgency};
use super::{AuditReport, Hole, Page, TEXT_BYTES, count};

/// How many characters of one text are shown.
const MAX: usize = 60_000;

/// The templates whose text is in the page, by name, each with the index of one of its policies. Policies
/// with findings come first, as far as there is room.
pub(super) fn texts(report: &AuditReport) -> BTreeMap<&str, usize> {
    let mut texts = BTreeMap::new();
    let mut bytes = 0;
    for index in by_urgency(report) {
        let Some(policy) = report.policies.get(index) else { continue };
        let template = &policy.template;
        if template.rego.is_empty() || texts.contains_key(template.name.as_str()) {
            continue;
        }
        // Escaped, and with what stands around it.
        let size = template
            .rego
            .bytes()
            .map(|byte| if matches!(byte, b'<' | b'>' | b'&' | b'"' | b'\'') { 6 } else { 1 });
        let size = size.sum::<usize>().min(6 * MAX) + 400;
        if bytes + size > TEXT_BYTES {
            continue;
        }
        bytes += size;
        texts.insert(template.name.as_str(), index);
    }
    texts
}

pub(super) fn write(report: &AuditReport, page: &mut Page) -> io::Result<()> {
    let texts = texts(report);
    page.raw("<section aria-labelledby=\"texts\">\n<h2 id=\"texts\">Policy texts</h2>\n");
    if texts.is_empty() {
        page.raw("<p class=\"none\">There are none.</p>\n");
    }
    for (name, index) in &texts {
        let Some(policy) = report.policies.get(*index) else { continue };
        let template = &policy.template;
        page.put(
            "<details><summary>{} <code>{}</code></summary>\n\
             <div id=\"text-{}\"><p class=\"quiet\">The text starts at <code>{}</code>; libraries are left out.</p>\n<pre tabindex=\"0\">{}</pre></div></details>\n",
            &[
                Hole::Short(policy.title.as_deref().unwrap_or(&policy.key.kind), NAME),
                Hole::Short(name, NAME),
                Hole::Number(*index as u64),
                Hole::Short(&template.place.to_string(), NAME),
                Hole::Short(&template.rego, MAX),
            ],
        )?;
    }
    let mut left_out: Vec<_> = report.policies.iter().map(|policy| policy.template.name.as_str()).collect();
    left_out.retain(|name| !texts.contains_key(name));
    left_out.sort_unstable();
    left_out.dedup();
    if !left_out.is_empty() {
        let more = count(left_out.len() as u64, "template is", "templates are");
        page.put(
            "<p class=\"more\">{} left out, to keep this file small, or without Rego.</p>\n",
            &[Hole::Text(&more)],
        )?;
    }
    page.raw("</section>\n");
    Ok(())
}
