//! Prometheus text. Gatekeeper's metrics of an audit under Gatekeeper's names, and what it has no metric for
//! under ours.

use std::fmt::Write as _;
use std::io::{self, Write};

use portcullis::EnforcementAction;

use crate::form::{Spec, Writer};
use crate::{Action, AuditReport, Completion, Standing, Tally};

/// Upper bounds of Gatekeeper's histogram of durations, in seconds.
const BOUNDS: &[u64] = &[60, 180, 300, 600, 900, 1200, 2400, 4800, 9600, 19_200];

pub(crate) const FORM: Spec = Spec {
    audit: Some(Writer { about: "Prometheus metrics, with Gatekeeper's names", write }),
    ..Spec::new("metrics")
};

/// Writes the metrics of one audit.
fn write(report: &AuditReport, out: &mut dyn Write) -> io::Result<()> {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = all(report, &mut text);
    out.write_all(text.as_bytes())
}

fn all(report: &AuditReport, text: &mut String) -> std::fmt::Result {
    head(
        text,
        "gatekeeper_violations",
        "gauge",
        "Violations found in the last audit, by enforcement action.",
    )?;
    for word in ["deny", "dryrun", "scoped", "unrecognized", "warn"] {
        let tallies = report.policies.iter().zip(&report.totals.by_policy);
        let of_word = tallies.filter(|(policy, _)| policy.declared == word);
        // As in Gatekeeper, what could not be evaluated counts as a violation.
        let total: u64 = of_word.map(|(_, tally)| tally.violations + tally.unknown).sum();
        writeln!(text, "gatekeeper_violations{{enforcement_action=\"{word}\"}} {total}")?;
    }
    head(text, "gatekeeper_audit_duration_seconds", "histogram", "How long audits took.")?;
    let seconds = report.ended.seconds().saturating_sub(report.started.seconds());
    for bound in BOUNDS {
        let below = u8::from(seconds <= *bound);
        writeln!(text, "gatekeeper_audit_duration_seconds_bucket{{le=\"{bound}\"}} {below}")?;
    }
    writeln!(text, "gatekeeper_audit_duration_seconds_bucket{{le=\"+Inf\"}} 1")?;
    writeln!(text, "gatekeeper_audit_duration_seconds_sum {seconds}")?;
    writeln!(text, "gatekeeper_audit_duration_seconds_count 1")?;
    head(
        text,
        "gatekeeper_audit_last_run_time",
        "gauge",
        "When the last audit began, in seconds since 1970.",
    )?;
    writeln!(text, "gatekeeper_audit_last_run_time {}", report.started.seconds())?;
    head(
        text,
        "gatekeeper_audit_last_run_end_time",
        "gauge",
        "When the last audit ended, in seconds since 1970.",
    )?;
    writeln!(text, "gatekeeper_audit_last_run_end_time {}", report.ended.seconds())?;

    head(
        text,
        "portcullis_audit_judgements",
        "gauge",
        "Objects and constraints that apply to them, by what came out.",
    )?;
    let Tally { passes, violating, unknown, .. } = report.totals.all;
    for (word, count) in [("pass", passes), ("violation", violating), ("unknown", unknown)] {
        writeln!(text, "portcullis_audit_judgements{{verdict=\"{word}\"}} {count}")?;
    }
    let denied = report.totals.by_action.get(&Action(EnforcementAction::Deny));
    head(text, "portcullis_audit_denied", "gauge", "Violations of constraints that deny.")?;
    writeln!(text, "portcullis_audit_denied {}", denied.map_or(0, |tally| tally.violations))?;
    let objects = report.coverage.objects();
    head(text, "portcullis_audit_objects", "gauge", "Objects of the last audit, by what became of them.")?;
    for (word, count) in [
        ("judged", objects.judged),
        ("unmatched", objects.unmatched),
        ("excluded", objects.excluded),
        ("unread", report.coverage.unread_objects),
    ] {
        writeln!(text, "portcullis_audit_objects{{outcome=\"{word}\"}} {count}")?;
    }
    head(text, "portcullis_audit_complete", "gauge", "1 if the last audit saw everything.")?;
    writeln!(text, "portcullis_audit_complete {}", u8::from(report.completion == Completion::Complete))?;
    head(text, "portcullis_audit_standing", "gauge", "1 for what the last audit says as a whole.")?;
    for standing in Standing::ALL {
        let is = u8::from(report.standing() == standing);
        writeln!(text, "portcullis_audit_standing{{standing=\"{}\"}} {is}", standing.as_str())?;
    }
    Ok(())
}

fn head(text: &mut String, name: &str, kind: &str, help: &str) -> std::fmt::Result {
    writeln!(text, "# HELP {name} {help}\n# TYPE {name} {kind}")
}
