//! An audit: what was looked at, what came out by policy and namespace, what was not seen, and what it all
//! means.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use anstyle::Style;
use portcullis::Severity;

use super::{BAD, DIM, DOUBTFUL, GOOD, HEAD};
use crate::{AuditReport, Cause, Completion, Details, Finding, Standing, count, escape, why};

/// Namespaces that are listed, those with the most violations.
const NAMESPACES: usize = 10;
/// Findings shown of each policy.
const EXAMPLES: usize = 3;
/// Most bytes of a finding's message, for people.
const LONGEST: usize = 4096;
/// Causes of problems shown of each severity.
const CAUSES: usize = 20;

/// Writes the summary.
pub(super) fn write(report: &AuditReport, out: &mut dyn Write) -> io::Result<()> {
    write_policies(report, out)?;
    write_examples(report, out)?;
    write_namespaces(report, out)?;
    write_problems(report, out)?;
    write_verdict(report, out)
}

fn write_policies(report: &AuditReport, out: &mut dyn Write) -> io::Result<()> {
    let mut rows: Vec<[String; 6]> = Vec::new();
    for (policy, tally) in report.policies.iter().zip(&report.totals.by_policy) {
        if tally.violations + tally.unknown > 0 {
            let actions: Vec<_> = policy.actions.iter().map(|action| action.as_str()).collect();
            rows.push([
                policy.key.to_string(),
                actions.join(","),
                policy.severity.map(|severity| severity.as_str().to_owned()).unwrap_or_default(),
                tally.violations.to_string(),
                tally.unknown.to_string(),
                tally.passes.to_string(),
            ]);
        }
    }
    if rows.is_empty() {
        return Ok(());
    }
    let heads = ["policy", "action", "severity", "violations", "unknown", "passes"];
    table(&heads.map(str::to_owned), &rows, 3, out)
}

/// Some findings of each policy, the first ones: enough to know what it is about.
fn write_examples(report: &AuditReport, out: &mut dyn Write) -> io::Result<()> {
    let mut examples: BTreeMap<usize, Vec<Finding>> = BTreeMap::new();
    for finding in report.findings.read()? {
        let mut finding = finding?;
        let shown = examples.entry(finding.policy).or_default();
        if shown.len() < EXAMPLES {
            if finding.message.len() > LONGEST {
                finding.message.truncate(finding.message.floor_char_boundary(LONGEST));
                finding.message.push('…');
            }
            finding.labels = Arc::default();
            finding.details = Details::default();
            shown.push(finding);
        }
    }
    for (index, findings) in &examples {
        let (Some(policy), Some(tally)) = (report.policies.get(*index), report.totals.by_policy.get(*index))
        else {
            continue;
        };
        writeln!(out, "{HEAD}{}{HEAD:#}", escape::line(&policy.key.to_string()))?;
        for finding in findings {
            let place = finding.place.to_string();
            writeln!(
                out,
                "  {} {DIM}{}{DIM:#}\n    {}",
                escape::line(&finding.object.to_string()),
                escape::line(&place),
                escape::line(finding.says().trim_end()),
            )?;
            if let Some(explanation) = &finding.explanation {
                why::write_explanation(explanation, out)?;
            }
        }
        let all = tally.violations + tally.unknown;
        let more = all.saturating_sub(findings.len() as u64);
        if more > 0 {
            writeln!(out, "  {DIM}and {more} more{DIM:#}")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

fn write_namespaces(report: &AuditReport, out: &mut dyn Write) -> io::Result<()> {
    let bad = report.totals.by_namespace.iter().filter(|(_, tally)| tally.violations + tally.unknown > 0);
    let mut bad: Vec<_> = bad.collect();
    if bad.len() < 2 {
        return Ok(());
    }
    bad.sort_by_key(|(name, tally)| (std::cmp::Reverse(tally.violations + tally.unknown), (*name).clone()));
    let rows: Vec<[String; 4]> = bad
        .iter()
        .take(NAMESPACES)
        .map(|(name, tally)| {
            let name = if name.is_empty() { "(of the cluster)" } else { name };
            [
                name.to_owned(),
                tally.violations.to_string(),
                tally.unknown.to_string(),
                tally.passes.to_string(),
            ]
        })
        .collect();
    table(&["namespace", "violations", "unknown", "passes"].map(str::to_owned), &rows, 1, out)?;
    if bad.len() > NAMESPACES {
        writeln!(out, "{DIM}and {} more{DIM:#}\n", count(bad.len() - NAMESPACES, "namespace", "namespaces"))?;
    }
    Ok(())
}

/// A table whose columns from `numbers` on are numbers.
pub fn table<const N: usize>(
    heads: &[String; N],
    rows: &[[String; N]],
    numbers: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut widths = [0; N];
    for row in rows.iter().chain([heads]) {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(escape::line(cell).chars().count());
        }
    }
    let line = |row: &[String; N]| {
        let cells = row.iter().zip(widths).enumerate().map(|(column, (cell, width))| {
            let cell = escape::line(cell);
            if column < numbers { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        cells.collect::<Vec<_>>().join("  ")
    };
    writeln!(out, "{HEAD}{}{HEAD:#}", line(heads).trim_end())?;
    for row in rows {
        writeln!(out, "{}", line(row).trim_end())?;
    }
    writeln!(out)
}

/// Why the audit is incomplete or judged nothing, for readers who see no report: nothing if neither is so.
pub fn write_doubts(report: &AuditReport, out: &mut dyn Write) -> io::Result<()> {
    match report.standing() {
        Standing::Clean | Standing::Noted | Standing::Denied => return Ok(()),
        Standing::Unjudged => return writeln!(out, "{}", unjudged(report)),
        Standing::Incomplete => {}
    }
    write_listed(report, &[(Severity::Error, BAD)], out)?;
    match &report.completion {
        Completion::Unfinished { reason } => writeln!(out, "incomplete: {}", escape::line(reason)),
        Completion::Complete | Completion::Partial => {
            let (unknown, unread) = (report.totals.all.unknown, report.coverage.unread_objects);
            writeln!(out, "incomplete: {unknown} unknown, {unread} not read")
        }
    }
}

/// Writes what is wrong with policies and input, and kinds that could not be listed.
pub fn write_problems(report: &AuditReport, out: &mut dyn Write) -> io::Result<()> {
    write_listed(report, &[(Severity::Error, BAD), (Severity::Warning, DOUBTFUL)], out)?;
    for kind in &report.coverage.kinds {
        if let Some(failure) = &kind.failure {
            writeln!(out, "{BAD}not seen{BAD:#}: {} ({}): {}", kind.kind, kind.group, escape::line(failure))?;
        }
    }
    Ok(())
}

fn write_verdict(report: &AuditReport, out: &mut dyn Write) -> io::Result<()> {
    let objects = report.coverage.objects();
    let mut parts = vec![format!("{} judged", counted(objects.judged, "object", "objects"))];
    for (number, word) in [
        (objects.unmatched, "that no policy is about"),
        (objects.excluded, "excluded by a Config"),
        (report.coverage.unread_objects, "not read"),
        (objects.duplicates, "defined twice"),
    ] {
        if number > 0 {
            parts.push(format!("{number} {word}"));
        }
    }
    let kinds = report.coverage.kinds.len();
    writeln!(out, "{DIM}{}; {}{DIM:#}", parts.join(", "), count(kinds, "kind", "kinds"))?;
    if let Some(explanations) = &report.explanations {
        writeln!(out, "{DIM}violations: {explanations}; `-o json` has all explanations{DIM:#}")?;
    }
    let totals = report.totals.all;
    let (style, text) = match report.standing() {
        Standing::Clean => (GOOD, "clean: nothing was found, and everything was seen".to_owned()),
        Standing::Noted => (DOUBTFUL, "nothing is denied, and everything was seen".to_owned()),
        Standing::Denied => (BAD, "violations were found; everything was seen".to_owned()),
        Standing::Unjudged => (BAD, unjudged(report)),
        Standing::Incomplete => (BAD, "incomplete: not everything could be seen or judged".to_owned()),
    };
    let reason = match &report.completion {
        Completion::Unfinished { reason } => format!(" (unfinished: {})", escape::line(reason)),
        Completion::Complete | Completion::Partial => String::new(),
    };
    let excepted = match totals.excepted {
        0 => String::new(),
        excepted => format!(", {excepted} excepted"),
    };
    writeln!(
        out,
        "{}, {} unknown, {} pass{excepted}\n{style}{text}{style:#}{reason}",
        counted(totals.violations, "violation", "violations"),
        totals.unknown,
        totals.passes,
    )
}

/// That nothing was judged, why, and what to do about it.
fn unjudged(report: &AuditReport) -> String {
    let why = report.unjudged().map(|why| format!(": {why}; {}", why.help()));
    format!("nothing was judged{}", why.unwrap_or_default())
}

fn counted(number: u64, one: &str, many: &str) -> String {
    count(usize::try_from(number).unwrap_or(usize::MAX), one, many)
}

fn write_listed(
    report: &AuditReport,
    severities: &[(Severity, Style)],
    out: &mut dyn Write,
) -> io::Result<()> {
    let (errors, warnings) = (report.problems.errors(), report.problems.warnings());
    for (severity, style) in severities {
        let mut left = if *severity == Severity::Error { errors } else { warnings };
        if left == 0 {
            continue;
        }
        for cause in report.problems.causes().filter(|cause| cause.severity == *severity).take(CAUSES) {
            write_cause(cause, *style, out)?;
            left = left.saturating_sub(cause.times);
        }
        if left > 0 {
            writeln!(out, "{style}{severity}{style:#}: and {left} more; `-o json` has more of them")?;
        }
        writeln!(out)?;
    }
    Ok(())
}

/// What is the same for many objects is said once.
fn write_cause(cause: &Cause, style: Style, out: &mut dyn Write) -> io::Result<()> {
    write!(out, "{style}{}{style:#}[{}]: ", cause.severity, cause.kind.code())?;
    if cause.times <= 1 {
        return writeln!(out, "{}", escape::line(&cause.to_string()));
    }
    let help = cause.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
    writeln!(out, "{}", escape::line(&format!("{}{help}", cause.message)))?;
    writeln!(out, "  {}, the first:", cause.extent())?;
    for example in &cause.examples {
        writeln!(out, "    {}", escape::line(&example.to_string()))?;
    }
    if cause.more() > 0 {
        writeln!(out, "    {DIM}and {} more{DIM:#}", cause.more())?;
    }
    Ok(())
}
