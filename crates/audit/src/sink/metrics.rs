//! Prometheus text. Gatekeeper's metrics of an audit under Gatekeeper's names, and what it has no metric for under ours.

use std::fmt::Write as _;
use std::io::{self, Write};

use portcullis::EnforcementAction;
use portcullis_report::audit::{Action, AuditReport, Completion, Standing, Tally};

/// Upper bounds of Gatekeeper's histogram of durations, in seconds.
const BOUNDS: &[u64] = &[60, 180, 300, 600, 900, 1200, 2400, 4800, 9600, 19_200];

/// How long the audits of this process took.
#[derive(Clone, Debug, Default)]
pub struct Durations(Vec<f64>);

impl Durations {
    /// One more.
    pub fn add(&mut self, seconds: f64) {
        self.0.push(seconds);
    }
}

/// Writes the metrics of one audit.
pub(super) fn write(report: &AuditReport<'_>, out: &mut dyn Write) -> io::Result<()> {
    #[expect(clippy::cast_precision_loss, reason = "no audit takes 2^52 seconds")]
    let seconds = report.ended.seconds().saturating_sub(report.started.seconds()) as f64;
    out.write_all(text(report, &Durations(vec![seconds])).as_bytes())
}

/// The metrics after an audit, with the durations of those before.
pub fn text(report: &AuditReport<'_>, durations: &Durations) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = all(report, durations, &mut text);
    text
}

fn all(report: &AuditReport<'_>, durations: &Durations, text: &mut String) -> std::fmt::Result {
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
    for bound in BOUNDS {
        #[expect(clippy::cast_precision_loss, reason = "the bounds are small")]
        let below = durations.0.iter().filter(|seconds| **seconds <= *bound as f64).count();
        writeln!(text, "gatekeeper_audit_duration_seconds_bucket{{le=\"{bound}\"}} {below}")?;
    }
    let count = durations.0.len();
    writeln!(text, "gatekeeper_audit_duration_seconds_bucket{{le=\"+Inf\"}} {count}")?;
    writeln!(text, "gatekeeper_audit_duration_seconds_sum {}", durations.0.iter().sum::<f64>())?;
    writeln!(text, "gatekeeper_audit_duration_seconds_count {count}")?;
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
        ("skipped", objects.skipped),
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
