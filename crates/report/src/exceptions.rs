//! What does not count, and why: exceptions with what each hides, comments, and the baseline.

use std::io::{self, Write};

use serde_json::{Value, json};

use crate::json::write_indented;
use crate::{Exception, Suppressed, Suppression, TestReport, clip, count, escape};

/// Bytes of a line that are shown.
const MAX_SHOWN: usize = 1 << 10;

/// For people: each exception with what it hides, then comments and the baseline, then totals.
///
/// # Errors
///
/// If it cannot be written.
pub fn write_human(report: &TestReport, out: &mut dyn Write) -> io::Result<()> {
    for exception in &report.exceptions {
        let hidden: Vec<&Suppressed> = report.suppressed.iter().filter(|one| is_by(one, exception)).collect();
        let owner = exception.owner.iter().map(|owner| format!("owner {owner}"));
        let until = exception.expires_at.iter().map(|until| format!("until {until}"));
        let facts: Vec<String> =
            [standing(exception, hidden.len())].into_iter().chain(owner).chain(until).collect();
        let line = format!("{} ({}): {}", exception.name, facts.join(", "), exception.reason);
        writeln!(out, "{}", line_of(&line))?;
        writeln!(out, "  at {}", line_of(&exception.place.to_string()))?;
        write_hidden(report, &hidden, out)?;
    }
    for (title, is_one) in [
        ("comments in manifests", is_inline as fn(&Suppressed) -> bool),
        ("the baseline", is_baseline as fn(&Suppressed) -> bool),
    ] {
        let hidden: Vec<&Suppressed> = report.suppressed.iter().filter(|one| is_one(one)).collect();
        if !hidden.is_empty() {
            writeln!(out, "{title}: {}", count(hidden.len(), "finding", "findings"))?;
            write_hidden(report, &hidden, out)?;
        }
    }
    let used = |exception: &&Exception| report.suppressed.iter().any(|one| is_by(one, exception));
    let expired = report.exceptions.iter().filter(|exception| exception.is_expired).count();
    let in_use = report.exceptions.iter().filter(used).count();
    writeln!(
        out,
        "{}: {in_use} used, {} unused, {expired} expired; {} hidden",
        count(report.exceptions.len(), "exception", "exceptions"),
        report.exceptions.len() - in_use - expired,
        count(report.suppressed.len(), "finding", "findings"),
    )
}

/// The same as JSON.
///
/// # Errors
///
/// If it cannot be written.
pub fn write_json(report: &TestReport, out: &mut dyn Write) -> io::Result<()> {
    let exceptions: Vec<Value> = report
        .exceptions
        .iter()
        .map(|exception| {
            let hidden: Vec<&Suppressed> =
                report.suppressed.iter().filter(|one| is_by(one, exception)).collect();
            json!({
                "name": exception.name,
                "reason": exception.reason,
                "owner": exception.owner,
                "expiresAt": exception.expires_at,
                "state": state(exception, hidden.len()),
                "place": exception.place.to_string(),
                "hides": hidden.iter().map(|one| item(report, one)).collect::<Vec<_>>(),
            })
        })
        .collect();
    let of = |is_one: fn(&Suppressed) -> bool| {
        report.suppressed.iter().filter(|one| is_one(one)).map(|one| item(report, one)).collect::<Vec<_>>()
    };
    let all = json!({"exceptions": exceptions, "comments": of(is_inline), "baseline": of(is_baseline)});
    write_indented(&all, out)
}

fn item(report: &TestReport, one: &Suppressed) -> Value {
    let key = report.policies.get(one.finding.policy).map(|policy| policy.key.to_string());
    json!({
        "constraint": key,
        "object": one.finding.object.to_string(),
        "place": one.finding.place.to_string(),
        "message": one.finding.message,
        "why": one.why.says(),
    })
}

fn write_hidden(report: &TestReport, hidden: &[&Suppressed], out: &mut dyn Write) -> io::Result<()> {
    for one in hidden {
        let Some(policy) = report.policies.get(one.finding.policy) else { continue };
        let (place, object) = (&one.finding.place, &one.finding.object);
        writeln!(
            out,
            "  {}",
            line_of(&format!("{place}  {}  {object}: {}", policy.key, one.finding.message))
        )?;
    }
    Ok(())
}

fn line_of(text: &str) -> String {
    escape::line(&clip::text(text, MAX_SHOWN)).into_owned()
}

fn is_by(one: &Suppressed, exception: &Exception) -> bool {
    matches!(&one.why, Suppression::Exception { name, .. } if *name == exception.name)
}

fn is_inline(one: &Suppressed) -> bool {
    matches!(one.why, Suppression::Inline { .. })
}

fn is_baseline(one: &Suppressed) -> bool {
    one.why == Suppression::Baseline
}

fn state(exception: &Exception, hidden: usize) -> &'static str {
    match hidden {
        _ if exception.is_expired => "expired",
        0 => "unused",
        _ => "used",
    }
}

fn standing(exception: &Exception, hidden: usize) -> String {
    match state(exception, hidden) {
        "used" => format!("hides {}", count(hidden, "finding", "findings")),
        word => word.to_owned(),
    }
}
