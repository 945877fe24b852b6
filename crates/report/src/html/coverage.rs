//! What the audit has seen and what it has not, and what is wrong with policies and input.

use std::io;

use portcullis::Severity;

use super::tables::NAME;
use super::{AuditReport, Hole, Page, count};
use crate::{Cause, Example, Objects, Problems};

/// How many causes of problems are listed.
const MAX_CAUSES: usize = 500;
/// How many kinds have a row.
const MAX_KINDS: usize = 2_000;

pub(super) fn write(report: &AuditReport, page: &mut Page) -> io::Result<()> {
    let coverage = &report.coverage;
    page.raw("<section aria-labelledby=\"coverage\">\n<h2 id=\"coverage\">Coverage</h2>\n");
    page.put(
        "<p>{} of {} seen; {} could not be read. An object is judged if at least one policy applies to it, excluded if a \
         Config keeps the audit away from its namespace.</p>\n",
        &[
            Hole::Text(&count(coverage.objects().seen, "object", "objects")),
            Hole::Text(&count(coverage.kinds.len() as u64, "kind", "kinds")),
            Hole::Text(&count(coverage.unread_objects, "object or document", "objects or documents")),
        ],
    )?;
    if coverage.kinds.is_empty() {
        page.raw("<p class=\"none\">No object was seen.</p>\n");
    } else {
        kinds(report, page)?;
    }
    page.raw("</section>\n<section aria-labelledby=\"problems\">\n<h2 id=\"problems\">Input problems</h2>\n");
    problems(&report.problems, page)?;
    page.raw("</section>\n");
    Ok(())
}

fn kinds(report: &AuditReport, page: &mut Page) -> io::Result<()> {
    let kinds = &report.coverage.kinds;
    page.raw(
        "<div class=\"scroll\" role=\"region\" aria-label=\"Coverage by kind\" tabindex=\"0\"><table>\n<thead><tr><th scope=\"col\">Kind</th>\
         <th scope=\"col\" class=\"n\">Seen</th><th scope=\"col\" class=\"n\">Judged</th><th scope=\"col\" class=\"n\">No policy</th>\
         <th scope=\"col\" class=\"n\">Excluded</th><th scope=\"col\" class=\"n\">Duplicates</th></tr></thead>\n<tbody>\n",
    );
    // Kinds that failed first: they are what the audit did not see.
    let (failed, seen): (Vec<_>, Vec<_>) = kinds.iter().partition(|kind| kind.failure.is_some());
    for kind in failed.into_iter().chain(seen).take(MAX_KINDS) {
        let version = match &*kind.group {
            "" => kind.version.to_string(),
            group => format!("{group}/{}", kind.version),
        };
        page.put(
            "<tr><th scope=\"row\">{} <small>{}</small>",
            &[Hole::Short(&kind.kind, NAME), Hole::Short(&version, NAME)],
        )?;
        if let Some(failure) = &kind.failure {
            page.put("<b class=\"unknown\">? not completely listed: {}</b>", &[Hole::Short(failure, 500)])?;
        }
        page.raw("</th>");
        numbers(kind.objects, page)?;
        page.raw("</tr>\n");
    }
    page.raw("</tbody>\n<tfoot><tr><th scope=\"row\">All kinds</th>");
    numbers(report.coverage.objects(), page)?;
    page.raw("</tr></tfoot>\n</table></div>\n");
    if kinds.len() > MAX_KINDS {
        page.put(
            "<p class=\"more\">{} more kinds are only in the sum.</p>\n",
            &[Hole::Count((kinds.len() - MAX_KINDS) as u64)],
        )?;
    }
    Ok(())
}

fn numbers(objects: Objects, page: &mut Page) -> io::Result<()> {
    let Objects { seen, judged, unmatched, excluded, duplicates } = objects;
    for number in [seen, judged, unmatched, excluded, duplicates] {
        let class = if number == 0 { "n zero" } else { "n" };
        page.put("<td class=\"{}\">{}</td>", &[Hole::Html(class), Hole::Count(number)])?;
    }
    Ok(())
}

fn problems(problems: &Problems, page: &mut Page) -> io::Result<()> {
    let mut left = problems.errors() + problems.warnings();
    if left == 0 {
        page.raw("<p class=\"none\">There are none.</p>\n");
        return Ok(());
    }
    page.raw("<ul class=\"list\">\n");
    for cause in problems.causes().take(MAX_CAUSES) {
        write_cause(cause, page)?;
        left = left.saturating_sub(cause.times);
    }
    page.raw("</ul>\n");
    if left > 0 {
        let more = count(left, "more problem", "more problems");
        page.put("<p class=\"more\">{}: see the JSON output.</p>\n", &[Hole::Text(&more)])?;
    }
    Ok(())
}

/// What is the same for many objects is said once.
fn write_cause(cause: &Cause, page: &mut Page) -> io::Result<()> {
    let gravity = if cause.severity == Severity::Error {
        "<b class=\"violation\">✕ error</b>"
    } else {
        "<b class=\"unknown\">! warning</b>"
    };
    let name = match cause.examples.first() {
        Some(Example { object: Some(object), .. }) if cause.times == 1 => format!("{object}: "),
        _ => String::new(),
    };
    page.put(
        "<li>{} <span>{}</span> <div><p>{}{}</p>",
        &[
            Hole::Html(gravity),
            Hole::Text(cause.kind.code()),
            Hole::Short(&name, NAME),
            Hole::Short(&cause.message, 1_000),
        ],
    )?;
    if let Some(help) = &cause.help {
        page.put("<small>help: {}</small>", &[Hole::Short(help, 500)])?;
    }
    if cause.times > 1 {
        page.put("<p>{}, the first:</p>", &[Hole::Text(&cause.extent())])?;
        for example in &cause.examples {
            page.put("<p><code>{}</code></p>", &[Hole::Short(&example.to_string(), NAME)])?;
        }
        if cause.more() > 0 {
            page.put("<small>and {} more</small>", &[Hole::Count(cause.more())])?;
        }
        page.raw("</div>");
    } else {
        page.raw("</div>");
        if let Some(Example { place: Some(place), .. }) = cause.examples.first() {
            page.put(" <code>{}</code>", &[Hole::Short(&place.to_string(), NAME)])?;
        }
    }
    page.raw("</li>\n");
    Ok(())
}
