//! The top of the page: what came of the audit in one sentence, the reasons to doubt it, and the totals.

use std::io;

use super::tables::{self, Row};
use super::{AuditReport, Completion, Hole, Page, Standing, count};
use crate::{PolicySeverity, Tally};

/// What the page looks like at first sight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// Something was not seen or could not be judged.
    Incomplete,
    /// No policy applied to any object: there is nothing to be content with.
    Nothing,
    /// Something is denied.
    Denied,
    /// What was found warns or is only noted.
    Noted,
    /// The only one that is green.
    Clean,
}

impl Look {
    pub(super) fn of(report: &AuditReport) -> Self {
        match report.standing() {
            Standing::Incomplete => Self::Incomplete,
            Standing::Denied => Self::Denied,
            Standing::Noted => Self::Noted,
            Standing::Unjudged => Self::Nothing,
            Standing::Clean => Self::Clean,
        }
    }

    /// The word in the title of the window.
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Incomplete => "Incomplete",
            Self::Nothing => "Nothing judged",
            Self::Denied => "Denied",
            Self::Noted => "Noted",
            Self::Clean => "Clean",
        }
    }

    /// The class of the banner.
    const fn class(self) -> &'static str {
        match self {
            Self::Incomplete | Self::Nothing => "incomplete",
            Self::Denied => "denied",
            Self::Noted => "noted",
            Self::Clean => "clean",
        }
    }
}

pub(super) fn write(report: &AuditReport, page: &mut Page) -> io::Result<()> {
    header(report, page)?;
    let look = Look::of(report);
    // Passes are green only where everything is.
    page.put(
        "<main id=\"main\"{}>\n",
        &[Hole::Html(if look == Look::Clean { " class=\"clean\"" } else { "" })],
    )?;
    banner(report, page)?;
    tiles(report, page)?;
    // What unknowns look like in all bars.
    page.raw(
        "<svg width=\"0\" height=\"0\" aria-hidden=\"true\" focusable=\"false\"><defs><pattern id=\"stripes\" width=\"9\" height=\"12\" \
         patternUnits=\"userSpaceOnUse\"><path d=\"M2 0V12\" stroke=\"#ffffff\" stroke-width=\"3\" class=\"stripe\"/></pattern></defs></svg>\n",
    );
    whole(report.totals.all, look, page)?;
    page.raw("<div class=\"pair\">\n");
    actions(report, page)?;
    severities(report, page)?;
    page.raw("</div>\n</section>\n");
    Ok(())
}

fn header(report: &AuditReport, page: &mut Page) -> io::Result<()> {
    let seconds = report.ended.seconds().saturating_sub(report.started.seconds());
    let digest = report.policy_digest.get(..12).unwrap_or(&report.policy_digest);
    page.put(
        "<header>\n<h1>Audit report</h1>\n<dl class=\"facts\">\
         <div><dt>Started</dt><dd>{}</dd></div>\
         <div><dt>Ended</dt><dd>{} (after {})</dd></div>\
         <div><dt>Policies</dt><dd>{}, digest <code title=\"{}\">{}</code></dd></div></dl>\n",
        &[
            Hole::Text(&report.started.to_string()),
            Hole::Text(&report.ended.to_string()),
            Hole::Text(&count(seconds, "second", "seconds")),
            Hole::Count(report.policies.len() as u64),
            Hole::Text(&report.policy_digest),
            Hole::Text(digest),
        ],
    )?;
    page.raw(
        "<nav aria-label=\"Sections\"><ul><li><a href=\"#totals\">Totals</a></li><li><a href=\"#policies\">Policies</a></li>\
         <li><a href=\"#namespaces\">Namespaces</a></li><li><a href=\"#findings\">Findings</a></li>\
         <li><a href=\"#coverage\">Coverage</a></li><li><a href=\"#problems\">Input problems</a></li>\
         <li><a href=\"#texts\">Policy texts</a></li></ul></nav>\n</header>\n",
    );
    Ok(())
}

fn banner(report: &AuditReport, page: &mut Page) -> io::Result<()> {
    let look = Look::of(report);
    let all = report.totals.all;
    let objects = report.coverage.objects();
    page.put("<section class=\"banner {}\" aria-labelledby=\"verdict\">\n", &[Hole::Html(look.class())])?;
    let violations = count(all.violations, "violation", "violations");
    let denying = report.totals.by_action.iter().filter(|(action, _)| action.as_str() == "deny");
    let denied: u64 = denying.map(|(_, tally)| tally.violations).sum();
    let title = match (look, &report.completion) {
        (Look::Incomplete, Completion::Unfinished { .. }) => {
            "? Unfinished: the audit ended before it had seen everything"
        }
        (Look::Incomplete, Completion::Partial) => "? Incomplete: the audit could not see everything",
        (Look::Incomplete, Completion::Complete) if all.unknown > 0 => {
            "? Incomplete: not everything could be judged"
        }
        (Look::Incomplete, Completion::Complete) => {
            "? Incomplete: not all policies or documents could be used"
        }
        (Look::Nothing, _) => "– Nothing was judged: no policy applied to any object",
        (Look::Denied, _) => "✕ Violations of policies that deny",
        (Look::Noted, _) => "! Violations, none of which denies",
        (Look::Clean, _) => "✓ No violations, and everything was seen",
    };
    page.put("<h2 id=\"verdict\">{}</h2>\n", &[Hole::Html(title)])?;
    if look == Look::Incomplete {
        page.raw("<ul>\n");
        reasons(report, page)?;
        page.raw("</ul>\n");
    }
    let sentence = match (look, all.violations) {
        (Look::Incomplete, 0) => {
            "No violation was found in what could be seen. That says nothing about the rest.".to_owned()
        }
        (Look::Incomplete, _) => format!(
            "Found in what could be seen: {violations}, of which {} by policies that deny.",
            super::page::grouped(denied)
        ),
        (Look::Nothing, _) => {
            let policies = count(report.policies.len() as u64, "policy", "policies");
            let help = report.unjudged().map(|why| format!(" To do: {}.", why.help())).unwrap_or_default();
            format!("There are {policies} and {}.{help}", count(objects.seen, "object", "objects"))
        }
        (Look::Denied, _) => {
            format!(
                "{violations}, of which {} by policies that deny; everything was seen.",
                super::page::grouped(denied)
            )
        }
        (Look::Noted, _) => format!("{violations} of policies that warn or only note; everything was seen."),
        (Look::Clean, _) => {
            let passes = count(all.passes, "judgement passed", "judgements passed");
            let judged = count(objects.judged, "object", "objects");
            format!(
                "{passes}, over {judged} and {}.",
                count(report.policies.len() as u64, "policy", "policies")
            )
        }
    };
    page.put("<p>{}</p>\n</section>\n", &[Hole::Text(&sentence)])
}

/// Why the audit is not to be relied on, one item each.
fn reasons(report: &AuditReport, page: &mut Page) -> io::Result<()> {
    match &report.completion {
        Completion::Complete => {}
        Completion::Partial => page
            .raw("<li>Some of the input could not be read: see <a href=\"#coverage\">coverage</a>.</li>\n"),
        Completion::Unfinished { reason } => page.put("<li>{}</li>\n", &[Hole::Short(reason, 2_000)])?,
    }
    if report.totals.all.unknown > 0 {
        page.put(
            "<li>{} could not be made: see <a href=\"#findings\">findings</a>, where the unknown ones come first.</li>\n",
            &[Hole::Text(&count(report.totals.all.unknown, "judgement", "judgements"))],
        )?;
    }
    if report.coverage.unread_objects > 0 {
        page.put(
            "<li>{} could not be read: see <a href=\"#problems\">problems</a>.</li>\n",
            &[Hole::Text(&count(
                report.coverage.unread_objects,
                "object or document",
                "objects or documents",
            ))],
        )?;
    }
    let failed = report.coverage.kinds.iter().filter(|kind| kind.failure.is_some()).count() as u64;
    if failed > 0 {
        page.put(
            "<li>{} could not be listed: see <a href=\"#coverage\">coverage</a>.</li>\n",
            &[Hole::Text(&count(failed, "kind", "kinds"))],
        )?;
    }
    let errors = report.problems.errors();
    if errors > 0 {
        page.put(
            "<li>{} in policies or input: see <a href=\"#problems\">problems</a>.</li>\n",
            &[Hole::Text(&count(errors, "error", "errors"))],
        )?;
    }
    Ok(())
}

fn tiles(report: &AuditReport, page: &mut Page) -> io::Result<()> {
    let (all, objects) = (report.totals.all, report.coverage.objects());
    let violated = report.totals.by_policy.iter().filter(|tally| tally.violations > 0).count() as u64;
    page.put(
        "<section aria-labelledby=\"totals\">\n<h2 id=\"totals\">Totals</h2>\n<dl class=\"tiles\">\
         <div><dt>✕ Violations</dt><dd class=\"figure\">{}</dd><dd>by {} of {} policies</dd></div>\
         <div><dt>? Unknown</dt><dd class=\"figure\">{}</dd><dd>judgements that could not be made</dd></div>\
         <div><dt>✓ Passes</dt><dd class=\"figure\">{}</dd><dd>judgements without a violation</dd></div>\
         <div><dt>Objects seen</dt><dd class=\"figure\">{}</dd><dd>{} judged, {} matched by no policy, {} excluded</dd></div>\
         <div><dt>Not read</dt><dd class=\"figure\">{}</dd><dd>objects or documents</dd></div></dl>\n",
        &[
            Hole::Count(all.violations),
            Hole::Count(violated),
            Hole::Count(report.policies.len() as u64),
            Hole::Count(all.unknown),
            Hole::Count(all.passes),
            Hole::Count(objects.seen),
            Hole::Count(objects.judged),
            Hole::Count(objects.unmatched),
            Hole::Count(objects.excluded),
            Hole::Count(report.coverage.unread_objects),
        ],
    )
}

/// All judgements as one bar, with its key in words.
fn whole(all: Tally, look: Look, page: &mut Page) -> io::Result<()> {
    let sum = [all.passes, all.violating, all.unknown, all.excepted].into_iter().fold(0, u64::saturating_add);
    if sum == 0 {
        return Ok(());
    }
    let (violating, unknown) = (tables::share(all.violating, sum), tables::share(all.unknown, sum));
    let colour = if look == Look::Clean { "#1a7f37" } else { "#868f9c" };
    let passes = 1_000_u64.saturating_sub(violating + unknown);
    page.put(
        "<svg class=\"whole\" viewBox=\"0 0 1000 12\" width=\"1000\" height=\"22\" preserveAspectRatio=\"none\" aria-hidden=\"true\" focusable=\"false\">\
         <rect width=\"{}\" height=\"12\" class=\"v\" fill=\"#b3261e\"/>\
         <rect x=\"{}\" width=\"{}\" height=\"12\" class=\"u\" fill=\"#b5740b\"/><rect x=\"{}\" width=\"{}\" height=\"12\" fill=\"url(#stripes)\"/>\
         <rect x=\"{}\" width=\"{}\" height=\"12\" class=\"p\" fill=\"{}\"/></svg>\n",
        &[
            Hole::Number(violating),
            Hole::Number(violating),
            Hole::Number(unknown),
            Hole::Number(violating),
            Hole::Number(unknown),
            Hole::Number(violating + unknown),
            Hole::Number(passes),
            Hole::Html(colour),
        ],
    )?;
    const KEYS: [(&str, &str); 3] = [
        ("<rect width=\"16\" height=\"16\" class=\"v\" fill=\"#b3261e\"/>", "with violations"),
        (
            "<rect width=\"16\" height=\"16\" class=\"u\" fill=\"#b5740b\"/><rect width=\"16\" height=\"16\" fill=\"url(#stripes)\"/>",
            "unknown",
        ),
        ("<rect width=\"16\" height=\"16\" class=\"p\" fill=\"#868f9c\"/>", "passed"),
    ];
    page.put("<p class=\"quiet\">Of {}: ", &[Hole::Text(&count(sum, "judgement", "judgements"))])?;
    for (position, ((shape, name), number)) in
        KEYS.into_iter().zip([all.violating, all.unknown, all.passes]).enumerate()
    {
        page.raw(if position > 0 { ", " } else { "" });
        page.put(
            "<svg class=\"key\" viewBox=\"0 0 16 16\" width=\"16\" height=\"16\" aria-hidden=\"true\" focusable=\"false\">{}</svg>{} {}",
            &[Hole::Html(shape), Hole::Count(number), Hole::Html(name)],
        )?;
    }
    if all.excepted > 0 {
        page.put(", {} excepted", &[Hole::Count(all.excepted)])?;
    }
    page.raw(".</p>\n");
    Ok(())
}

fn actions(report: &AuditReport, page: &mut Page) -> io::Result<()> {
    const MEANINGS: [(&str, &str); 3] =
        [("deny", "refused at admission"), ("warn", "admitted with a warning"), ("dryrun", "only noted")];
    let rows = report.totals.by_action.iter().map(|(action, tally)| {
        let meaning = MEANINGS.iter().find(|(word, _)| *word == action.as_str()).map(|(_, meaning)| *meaning);
        Row { name: action.as_str(), note: meaning, ..Row::of(*tally) }
    });
    let rows: Vec<_> = rows.collect();
    page.raw("<section aria-labelledby=\"actions\"><h3 id=\"actions\">By enforcement action</h3>\n");
    tables::table("Action", &rows, page)?;
    page.raw("</section>\n");
    Ok(())
}

/// Severities are what policies say of themselves; many say nothing.
fn severities(report: &AuditReport, page: &mut Page) -> io::Result<()> {
    let sum_of = |severity: Option<PolicySeverity>| {
        let mut sum = None;
        for (policy, tally) in report.policies.iter().zip(&report.totals.by_policy) {
            if policy.severity == severity {
                sum.get_or_insert(Tally::default()).add(*tally);
            }
        }
        sum
    };
    let mut rows: Vec<_> = PolicySeverity::ALL
        .into_iter()
        .filter_map(|severity| Some(Row { name: severity.as_str(), ..Row::of(sum_of(Some(severity))?) }))
        .collect();
    let stated = !rows.is_empty();
    if let Some(rest) = sum_of(None) {
        rows.push(Row { name: "not stated", ..Row::of(rest) });
    }
    page.raw("<section aria-labelledby=\"severities\"><h3 id=\"severities\">By severity</h3>\n");
    if stated {
        tables::table("Severity", &rows, page)?;
    } else {
        page.raw("<p class=\"none\">No policy states a severity (annotation <code>metadata.gatekeeper.sh/severity</code>).</p>\n");
    }
    page.raw("</section>\n");
    Ok(())
}
