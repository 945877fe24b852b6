//! Prometheus text. Gatekeeper's metrics of an audit under Gatekeeper's names, and what it has no metric for
//! under ours.

use std::io::{self, Write};

use portcullis::EnforcementAction;
use portcullis_sources::MetricsText;

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
    out.write_all(text(report).as_bytes())
}

fn text(report: &AuditReport) -> String {
    let mut text = MetricsText::default();
    let name = "gatekeeper_violations";
    text.head(name, "gauge", "Violations found in the last audit, by enforcement action.");
    for word in ["deny", "dryrun", "scoped", "unrecognized", "warn"] {
        let tallies = report.policies.iter().zip(&report.totals.by_policy);
        let of_word = tallies.filter(|(policy, _)| policy.declared == word);
        // As in Gatekeeper, what could not be evaluated counts as a violation.
        let declared: u64 = of_word.map(|(_, tally)| tally.violations + tally.unknown).sum();
        // What has the action of an expansion template counts under that.
        let (mut from_others, mut to_others) = (0, 0);
        for ((policy, action), count) in &report.totals.overridden {
            from_others += if action.as_str() == word { *count } else { 0 };
            let is_declared = report.policies.get(*policy).is_some_and(|policy| policy.declared == word);
            to_others += if is_declared { *count } else { 0 };
        }
        let total = (declared + from_others).saturating_sub(to_others);
        text.sample(name, &[("enforcement_action", word)], total);
    }
    let name = "gatekeeper_audit_duration_seconds";
    text.head(name, "histogram", "How long audits took.");
    let seconds = report.ended.seconds().saturating_sub(report.started.seconds());
    let buckets = BOUNDS.iter().map(|bound| (bound, u64::from(seconds <= *bound)));
    text.histogram(name, &[], buckets, (seconds, 1));
    let name = "gatekeeper_audit_last_run_time";
    text.head(name, "gauge", "When the last audit began, in seconds since 1970.");
    text.sample(name, &[], report.started.seconds());
    let name = "gatekeeper_audit_last_run_end_time";
    text.head(name, "gauge", "When the last audit ended, in seconds since 1970.");
    text.sample(name, &[], report.ended.seconds());

    let name = "portcullis_audit_judgements";
    text.head(name, "gauge", "Objects and constraints that apply to them, by what came out.");
    let Tally { passes, violating, unknown, excepted, .. } = report.totals.all;
    for (word, count) in
        [("pass", passes), ("violation", violating), ("unknown", unknown), ("excepted", excepted)]
    {
        text.sample(name, &[("verdict", word)], count);
    }
    let denied = report.totals.by_action.get(&Action(EnforcementAction::Deny));
    let name = "portcullis_audit_denied";
    text.head(name, "gauge", "Violations of constraints that deny.");
    text.sample(name, &[], denied.map_or(0, |tally| tally.violations));
    let objects = report.coverage.objects();
    let name = "portcullis_audit_objects";
    text.head(name, "gauge", "Objects of the last audit, by what became of them.");
    for (word, count) in [
        ("judged", objects.judged),
        ("unmatched", objects.unmatched),
        ("excluded", objects.excluded),
        ("unread", report.coverage.unread_objects),
    ] {
        text.sample(name, &[("outcome", word)], count);
    }
    let name = "portcullis_audit_complete";
    text.head(name, "gauge", "1 if the last audit saw everything.");
    text.sample(name, &[], u8::from(report.completion == Completion::Complete));
    let name = "portcullis_audit_standing";
    text.head(name, "gauge", "1 for what the last audit says as a whole.");
    for standing in Standing::ALL {
        text.sample(name, &[("standing", standing.as_str())], u8::from(report.standing() == standing));
    }
    text.into_string()
}
