//! What the audit has seen and what it has not, and what is wrong with policies and input.

use std::io;

use super::tables::NAME;
use super::{AuditReport, Hole, Page, count};
use crate::audit::{Objects, Problem};

/// How many problems are listed.
const MOST_PROBLEMS: usize = 500;
/// How many kinds have a row.
const MOST_KINDS: usize = 2_000;

pub(super) fn write(report: &AuditReport<'_>, page: &mut Page) -> io::Result<()> {
    let coverage = &report.coverage;
    page.raw("<section aria-labelledby=\"coverage\">\n<h2 id=\"coverage\">Coverage</h2>\n");
    page.put(
        "<p>{} of {} seen; {} could not be read. An object is judged if at least one policy applies to it, skipped if its kind is not \
         to be audited, excluded if a Config keeps the audit away from its namespace.</p>\n",
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

fn kinds(report: &AuditReport<'_>, page: &mut Page) -> io::Result<()> {
    let kinds = &report.coverage.kinds;
    page.raw(
        "<div class=\"scroll\" role=\"region\" aria-label=\"Coverage by kind\" tabindex=\"0\"><table>\n<thead><tr><th scope=\"col\">Kind</th>\
         <th scope=\"col\" class=\"n\">Seen</th><th scope=\"col\" class=\"n\">Judged</th><th scope=\"col\" class=\"n\">No policy</th>\
         <th scope=\"col\" class=\"n\">Skipped</th><th scope=\"col\" class=\"n\">Excluded</th><th scope=\"col\" class=\"n\">Duplicates</th></tr></thead>\n<tbody>\n",
    );
    // Kinds that failed first: they are what the audit did not see.
    let (failed, seen): (Vec<_>, Vec<_>) = kinds.iter().partition(|kind| kind.failure.is_some());
    for kind in failed.into_iter().chain(seen).take(MOST_KINDS) {
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
    if kinds.len() > MOST_KINDS {
        page.put(
            "<p class=\"more\">{} more kinds are only in the sum.</p>\n",
            &[Hole::Count((kinds.len() - MOST_KINDS) as u64)],
        )?;
    }
    Ok(())
}

fn numbers(objects: Objects, page: &mut Page) -> io::Result<()> {
    let Objects { seen, judged, unmatched, skipped, excluded, duplicates } = objects;
    for number in [seen, judged, unmatched, skipped, excluded, duplicates] {
        let class = if number == 0 { "n zero" } else { "n" };
        page.put("<td class=\"{}\">{}</td>", &[Hole::Html(class), Hole::Count(number)])?;
    }
    Ok(())
}

fn problems(problems: &[Problem], page: &mut Page) -> io::Result<()> {
    if problems.is_empty() {
        page.raw("<p class=\"none\">There are none.</p>\n");
        return Ok(());
    }
    page.raw("<ul class=\"list\">\n");
    for problem in problems.iter().take(MOST_PROBLEMS) {
        let gravity = if problem.is_error {
            "<b class=\"violation\">✕ error</b>"
        } else {
            "<b class=\"unknown\">! warning</b>"
        };
        page.put(
            "<li>{} <span>{}</span> <div><p>{}</p>",
            &[Hole::Html(gravity), Hole::Text(problem.code), Hole::Short(&problem.message, 1_000)],
        )?;
        if let Some(help) = &problem.help {
            page.put("<small>help: {}</small>", &[Hole::Short(help, 500)])?;
        }
        page.raw("</div>");
        if let Some(place) = &problem.place {
            page.put(" <code>{}</code>", &[Hole::Short(&place.to_string(), NAME)])?;
        }
        page.raw("</li>\n");
    }
    page.raw("</ul>\n");
    if problems.len() > MOST_PROBLEMS {
        let more = count((problems.len() - MOST_PROBLEMS) as u64, "more problem", "more problems");
        page.put("<p class=\"more\">{}: see the NDJSON output.</p>\n", &[Hole::Text(&more)])?;
    }
    Ok(())
}
