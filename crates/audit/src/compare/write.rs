//! A comparison for people, and for programs.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use portcullis_report::{AuditReport, Standing, count, escape, human};
use serde_json::{Value, json};

use super::{Comparison, Entry, Verdict};

const BAD: Style = AnsiColor::Red.on_default().bold();
const DOUBTFUL: Style = AnsiColor::Yellow.on_default().bold();
const GOOD: Style = AnsiColor::Green.on_default().bold();

/// Most entries shown of each sort.
const SHOWN: usize = 5;
/// Most characters of a message.
const LONGEST: usize = 300;

struct Counts {
    equal: usize,
    differ: usize,
    not_comparable: usize,
}

impl Counts {
    fn of(comparisons: &[Comparison]) -> Self {
        let count = |is: fn(&Verdict) -> bool| comparisons.iter().filter(|found| is(&found.verdict)).count();
        Self {
            equal: count(|verdict| *verdict == Verdict::Equal),
            differ: count(|verdict| *verdict == Verdict::Differs),
            not_comparable: count(|verdict| matches!(verdict, Verdict::NotComparable(_))),
        }
    }
}

fn word(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Equal => "equal",
        Verdict::Differs => "differs",
        Verdict::NotComparable(_) => "not comparable",
    }
}

/// The first and the last of the times that statuses are of.
fn span(comparisons: &[Comparison]) -> Option<(&str, &str)> {
    let times = || comparisons.iter().filter_map(|found| found.timestamp.as_deref());
    times().min().zip(times().max())
}

pub(super) fn human(report: &AuditReport, comparisons: &[Comparison], out: &mut dyn Write) -> io::Result<()> {
    let mut rows: Vec<[String; 4]> = Vec::new();
    for found in comparisons {
        let theirs = found.theirs.map(|(total, _)| total.to_string()).unwrap_or_default();
        rows.push([found.key.to_string(), word(&found.verdict).to_owned(), theirs, found.ours.to_string()]);
    }
    if !rows.is_empty() {
        human::table(&["constraint", "verdict", "theirs", "ours"].map(str::to_owned), &rows, 2, out)?;
    }
    for found in comparisons.iter().filter(|found| found.verdict != Verdict::Equal) {
        differences(found, out)?;
    }
    human::write_audit_problems(report, out)?;
    let by_us = comparisons.iter().filter(|found| is_ours(found)).count();
    if by_us > 0 {
        let constraints = count(by_us, "status was", "statuses were");
        writeln!(out, "{constraints} written by Portcullis: that is a comparison with itself")?;
    }
    if let Some((first, last)) = span(comparisons) {
        let audits = if first == last {
            format!("the audit of {first}")
        } else {
            format!("audits of {first} to {last}")
        };
        writeln!(
            out,
            "statuses are of {audits}, this audit of {}: objects may have changed in between",
            report.started
        )?;
    }
    let Counts { equal, differ, not_comparable } = Counts::of(comparisons);
    let style = match (differ, not_comparable) {
        _ if comparisons.is_empty() || report.standing() == Standing::Incomplete => BAD,
        (0, 0) => GOOD,
        (0, _) => DOUBTFUL,
        _ => BAD,
    };
    let differ = if differ == 1 { "1 differs".to_owned() } else { format!("{differ} differ") };
    writeln!(
        out,
        "{style}{}: {equal} equal, {differ}, {not_comparable} not comparable{style:#}",
        count(comparisons.len(), "constraint", "constraints")
    )?;
    if report.standing() == Standing::Incomplete {
        writeln!(
            out,
            "{BAD}this audit is incomplete: what it did not see or judge is not among ours{BAD:#}"
        )?;
    }
    Ok(())
}

fn is_ours(found: &Comparison) -> bool {
    found.written_by.as_deref().is_some_and(|manager| manager.starts_with("portcullis"))
}

fn differences(found: &Comparison, out: &mut dyn Write) -> io::Result<()> {
    let line = |text: &str| -> String {
        let text: String = text.chars().take(LONGEST).collect();
        escape::line(&text).into_owned()
    };
    match (&found.verdict, found.theirs) {
        (Verdict::NotComparable(why), _) => writeln!(out, "{}: {}", line(&found.key.to_string()), line(why))?,
        (_, Some((total, listed))) if listed < total => writeln!(
            out,
            "{}: theirs counts {total} and lists {listed} of them, ours counts {}",
            line(&found.key.to_string()),
            found.ours
        )?,
        _ => writeln!(out, "{}", line(&found.key.to_string()))?,
    }
    let show = |entry: &Entry| {
        let place = if entry.namespace.is_empty() { String::new() } else { format!("{}/", entry.namespace) };
        line(&format!("{} {place}{}: {}", entry.kind, entry.name, entry.message))
    };
    let mut some = |what: &str, entries: Vec<String>, total: u64| -> io::Result<()> {
        for entry in entries.iter().take(SHOWN) {
            writeln!(out, "  {what}: {entry}")?;
        }
        match total.saturating_sub(entries.len().min(SHOWN) as u64) {
            0 => Ok(()),
            more => writeln!(out, "  {what}: and {more} more"),
        }
    };
    some("only theirs", found.only_theirs.iter().map(show).collect(), found.only_theirs.len() as u64)?;
    some("only ours", found.only_ours.iter().map(show).collect(), found.only_ours_total)?;
    let texts =
        found.other_texts.iter().map(|(theirs, ours)| format!("{}; ours: {}", show(theirs), line(ours)));
    some("other text", texts.collect(), found.other_texts.len() as u64)?;
    writeln!(out)
}

pub(super) fn json(report: &AuditReport, comparisons: &[Comparison], out: &mut dyn Write) -> io::Result<()> {
    let constraints: Vec<Value> = comparisons.iter().map(constraint).collect();
    let Counts { equal, differ, not_comparable } = Counts::of(comparisons);
    let document = json!({
        "started": report.started,
        "standing": report.standing().as_str(),
        "summary": {"equal": equal, "differ": differ, "notComparable": not_comparable},
        "constraints": constraints,
    });
    serde_json::to_writer_pretty(&mut *out, &document)?;
    out.write_all(b"\n")
}

fn constraint(found: &Comparison) -> Value {
    let reason = match &found.verdict {
        Verdict::NotComparable(why) => Some(why.as_str()),
        Verdict::Equal | Verdict::Differs => None,
    };
    let texts: Vec<Value> =
        found.other_texts.iter().map(|(theirs, ours)| json!({"theirs": theirs, "ours": ours})).collect();
    json!({
        "kind": &*found.key.kind,
        "name": &*found.key.name,
        "verdict": match found.verdict {
            Verdict::Equal => "equal",
            Verdict::Differs => "differs",
            Verdict::NotComparable(_) => "notComparable",
        },
        "reason": reason,
        "auditTimestamp": found.timestamp,
        "writtenBy": found.written_by,
        "theirs": found.theirs.map(|(total, listed)| json!({"total": total, "listed": listed})),
        "ours": {"total": found.ours},
        "onlyTheirs": found.only_theirs,
        "onlyOurs": {"total": found.only_ours_total, "listed": found.only_ours},
        "otherTexts": texts,
    })
}
