//! Tables of totals with bars: a name, how many violations, unknowns and passes, and how that compares with
//! the other rows.

use std::cmp::Reverse;
use std::io;

use super::{AuditReport, Hole, Page, count};
use crate::{PolicySeverity, Tally};

/// How many rows stand in a table before the others are folded away.
const OPEN_ROWS: usize = 40;
/// How many rows there are for namespaces. Policies are people's work and have no limit.
const MAX_NAMESPACES: usize = 5_000;
/// Longer names are cut. Kind, namespace and name that an API server takes are shorter.
pub(super) const NAME: usize = 400;

/// A row. `Row::of` has the totals, and no name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row<'a> {
    pub(super) name: &'a str,
    /// A further name, in small letters.
    pub(super) note: Option<&'a str>,
    pub(super) tally: Tally,
    pub(super) about: About<'a>,
}

/// What a row is of.
#[derive(Clone, Copy, Debug)]
pub(super) enum About<'a> {
    /// A sum.
    Sum,
    /// A policy with findings, by index.
    Policy(usize),
    /// A namespace, empty for none.
    Namespace(&'a str),
}

impl Row<'_> {
    pub(super) fn of(tally: Tally) -> Self {
        Self { name: "", note: None, tally, about: About::Sum }
    }

    fn findings(&self) -> u64 {
        findings(self.tally)
    }
}

/// Violations and unknowns.
pub(super) fn findings(tally: Tally) -> u64 {
    tally.violations.saturating_add(tally.unknown)
}

/// The policies with the most urgent first: what could not be evaluated, then what was found most, then by
/// key.
pub(super) fn by_urgency(report: &AuditReport) -> Vec<usize> {
    let mut order: Vec<_> = (0..report.policies.len()).collect();
    order.sort_by_key(|index| {
        let tally = report.totals.by_policy.get(*index).copied().unwrap_or_default();
        Reverse((tally.unknown > 0, findings(tally)))
    });
    order
}

/// Every policy.
pub(super) fn policies(report: &AuditReport, page: &mut Page) -> io::Result<()> {
    let names = report.policies.iter().map(|policy| {
        let key = policy.key.to_string();
        let actions = policy.actions.iter().map(|action| action.as_str());
        let words: Vec<_> = actions.chain(policy.severity.map(PolicySeverity::as_str)).collect();
        let words = words.join(", ");
        match &policy.title {
            Some(title) => (title.clone(), format!("{key} · {words}")),
            None => (key, words),
        }
    });
    let names: Vec<_> = names.collect();
    let row = |index: usize| {
        let (name, note) = names.get(index)?;
        let tally = report.totals.by_policy.get(index).copied().unwrap_or_default();
        let about = if findings(tally) > 0 { About::Policy(index) } else { About::Sum };
        Some(Row { name, note: Some(note), tally, about })
    };
    let rows: Vec<_> = by_urgency(report).into_iter().filter_map(row).collect();
    page.raw("<section aria-labelledby=\"policies\">\n<h2 id=\"policies\">Policies</h2>\n");
    if rows.is_empty() {
        page.raw("<p class=\"none\">There are no policies that are audited.</p>\n");
    }
    grouped(&rows, "Policy", ["policy", "policies"], page)?;
    page.raw("</section>\n");
    Ok(())
}

/// Every namespace.
pub(super) fn namespaces(report: &AuditReport, page: &mut Page) -> io::Result<()> {
    let row = |(namespace, tally): (&'static str, Tally)| Row { name: namespace, ..Row::of(tally) };
    let named = report.totals.by_namespace.iter().map(|(namespace, tally)| {
        let name = if namespace.is_empty() { "(no namespace)" } else { &**namespace };
        Row { name, about: About::Namespace(namespace), ..Row::of(*tally) }
    });
    let mut rows: Vec<_> = named.collect();
    rows.sort_by_key(|row| Reverse((row.tally.unknown > 0, row.findings())));
    let more = rows.split_off(rows.len().min(MAX_NAMESPACES));
    page.raw("<section aria-labelledby=\"namespaces\">\n<h2 id=\"namespaces\">Namespaces</h2>\n");
    if rows.is_empty() {
        page.raw("<p class=\"none\">No object was judged.</p>\n");
    }
    grouped(&rows, "Namespace", ["namespace", "namespaces"], page)?;
    if !more.is_empty() {
        let mut sum = Tally::default();
        for row in &more {
            sum.add(row.tally);
        }
        page.put(
            "<p class=\"more\">{} with fewer findings, in sum:</p>\n",
            &[Hole::Text(&count(more.len() as u64, "more namespace", "more namespaces"))],
        )?;
        table("Namespace", &[row(("all others", sum))], page)?;
    }
    page.raw("</section>\n");
    Ok(())
}

/// Rows with findings, the first of them open to view; below, folded, those that passed and those where
/// nothing was judged.
fn grouped(rows: &[Row<'_>], heading: &'static str, names: [&str; 2], page: &mut Page) -> io::Result<()> {
    let [one, many] = names;
    let (found, rest): (Vec<_>, Vec<_>) = rows.iter().copied().partition(|row| row.findings() > 0);
    let (passed, unused): (Vec<_>, Vec<_>) = rest.into_iter().partition(|row| row.tally.passes > 0);
    let (open, folded) = found.split_at(found.len().min(OPEN_ROWS));
    let most = found.iter().map(Row::findings).max().unwrap_or(0);
    if !open.is_empty() {
        rows_table(heading, open, most, page)?;
    }
    let folds = [
        (
            folded,
            format!(
                "{} with findings",
                count(folded.len() as u64, &format!("more {one}"), &format!("more {many}"))
            ),
        ),
        (&passed[..], format!("{} without findings", count(passed.len() as u64, one, many))),
        (&unused[..], format!("{} that applied to nothing", count(unused.len() as u64, one, many))),
    ];
    for (rows, title) in folds {
        if rows.is_empty() {
            continue;
        }
        // Nothing is gained by folding few, or all.
        let few = if open.is_empty() { OPEN_ROWS } else { 5 };
        let open = if rows.len() <= few { " open" } else { "" };
        page.put(
            "<details class=\"rest\"{}><summary>{}</summary>\n",
            &[Hole::Html(open), Hole::Text(&title)],
        )?;
        rows_table(heading, rows, most, page)?;
        page.raw("</details>\n");
    }
    Ok(())
}

/// All rows as they are.
pub(super) fn table(heading: &'static str, rows: &[Row<'_>], page: &mut Page) -> io::Result<()> {
    if rows.is_empty() {
        page.raw("<p class=\"none\">Nothing was judged.</p>\n");
        return Ok(());
    }
    rows_table(heading, rows, rows.iter().map(Row::findings).max().unwrap_or(0), page)
}

fn rows_table(heading: &'static str, rows: &[Row<'_>], most: u64, page: &mut Page) -> io::Result<()> {
    page.put(
        "<table class=\"totals\">\n<thead><tr><th scope=\"col\">{}</th><th scope=\"col\" class=\"n\">✕ Violations</th><th scope=\"col\" class=\"n\">? Unknown</th>\
         <th scope=\"col\" class=\"n\">✓ Passes</th><td class=\"bar\"></td></tr></thead>\n<tbody>\n",
        &[Hole::Html(heading)],
    )?;
    for row in rows {
        match row.about {
            About::Policy(index) => page.put(
                "<tr><th scope=\"row\"><a href=\"#policy-{}\">{}</a>",
                &[Hole::Number(index as u64), Hole::Short(row.name, NAME)],
            )?,
            About::Namespace(namespace) if row.findings() > 0 => page.put(
                "<tr><th scope=\"row\" data-n=\"{}\">{}",
                &[Hole::Short(namespace, NAME), Hole::Short(row.name, NAME)],
            )?,
            About::Sum | About::Namespace(_) => {
                page.put("<tr><th scope=\"row\">{}", &[Hole::Short(row.name, NAME)])?;
            }
        }
        if let Some(note) = row.note {
            page.put(" <small>{}</small>", &[Hole::Short(note, NAME)])?;
        }
        page.raw("</th>");
        for number in [row.tally.violations, row.tally.unknown, row.tally.passes] {
            let class = if number == 0 { "n zero" } else { "n" };
            page.put("<td class=\"{}\">{}</td>", &[Hole::Html(class), Hole::Count(number)])?;
        }
        page.raw("<td class=\"bar\">");
        bar(row.tally, most, page)?;
        page.raw("</td></tr>\n");
    }
    page.raw("</tbody>\n</table>\n");
    Ok(())
}

/// What was found, beside the most that a row has. The numbers stand in the row, so it is for the eye only.
fn bar(tally: Tally, most: u64, page: &mut Page) -> io::Result<()> {
    if findings(tally) == 0 {
        return Ok(());
    }
    let (violations, unknown) = (share(tally.violations, most), share(tally.unknown, most));
    page.raw(
        "<svg viewBox=\"0 0 1000 12\" width=\"250\" height=\"12\" preserveAspectRatio=\"none\" aria-hidden=\"true\" focusable=\"false\">",
    );
    if violations > 0 {
        page.put(
            "<rect width=\"{}\" height=\"12\" class=\"v\" fill=\"#b3261e\"/>",
            &[Hole::Number(violations)],
        )?;
    }
    if unknown > 0 {
        let holes = [violations, unknown, violations, unknown].map(Hole::Number);
        page.put(
            "<rect x=\"{}\" width=\"{}\" height=\"12\" class=\"u\" fill=\"#b5740b\"/><rect x=\"{}\" width=\"{}\" height=\"12\" fill=\"url(#stripes)\"/>",
            &holes,
        )?;
    }
    page.raw("</svg>");
    Ok(())
}

/// Thousandths of the whole; what is there is never too small to be seen.
pub(super) fn share(part: u64, whole: u64) -> u64 {
    const LEAST: u128 = 6;
    if part == 0 || whole == 0 {
        return 0;
    }
    let thousandths = (u128::from(part) * 1_000 / u128::from(whole)).clamp(LEAST, 1_000);
    u64::try_from(thousandths).unwrap_or(1_000)
}
