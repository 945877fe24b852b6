//! What Prometheus sees: Gatekeeper's names where there are any, and the text format written by hand, since the crates for it rename
//! counters. The number of series is bounded by the number of constraints, and that by [`MOST_SERIES`].

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use portcullis::{ConstraintKey, PolicySet};

use crate::admission::{Answer, Status};

/// Upper bounds of the histogram in seconds, as Gatekeeper has them.
const BUCKETS: [f64; 13] = [0.001, 0.002, 0.003, 0.004, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 10.0];
/// Constraints come and go while the process lives; what is beyond this is counted together.
pub const MOST_SERIES: usize = 1000;

/// Counts since the start.
#[derive(Debug, Default)]
pub struct Metrics(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    requests: BTreeMap<(Status, bool), u64>,
    durations: BTreeMap<Status, Histogram>,
    findings: BTreeMap<(String, String, &'static str), u64>,
    reloads: BTreeMap<&'static str, u64>,
    shed: u64,
    refused_connections: u64,
}

#[derive(Debug, Default)]
struct Histogram {
    buckets: [u64; BUCKETS.len()],
    count: u64,
    seconds: f64,
}

impl Metrics {
    fn change(&self, change: impl FnOnce(&mut Counts)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Counts an answer of `/v1/admit`.
    pub fn answered(&self, answer: &Answer, dry_run: bool, took: Duration) {
        if answer.status == Status::Unjudged {
            return;
        }
        self.change(|counts| {
            *counts.requests.entry((answer.status, dry_run)).or_default() += 1;
            let histogram = counts.durations.entry(answer.status).or_default();
            let seconds = took.as_secs_f64();
            histogram.count += 1;
            histogram.seconds += seconds;
            for (bucket, bound) in histogram.buckets.iter_mut().zip(BUCKETS) {
                *bucket += u64::from(seconds <= bound);
            }
            for (key, outcome) in &answer.findings {
                counts.found(key, outcome);
            }
        });
    }

    /// Counts a request that was refused because there were too many.
    pub fn shed(&self) {
        self.change(|counts| counts.shed += 1);
    }

    /// Counts a connection that was closed before its first request.
    pub fn refused_connection(&self) {
        self.change(|counts| counts.refused_connections += 1);
    }

    /// Counts a change of the files that was taken (`success`) or not (`error`).
    pub fn reloaded(&self, result: &'static str) {
        self.change(|counts| *counts.reloads.entry(result).or_default() += 1);
    }

    /// The text format. `certificate_ends` is in seconds since 1970.
    #[must_use]
    pub fn render(&self, policies: &PolicySet, is_stale: bool, certificate_ends: Option<u64>) -> String {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = Text(String::new());
        text.head("gatekeeper_constraints", "gauge", "Constraints that are served.");
        let mut actions: BTreeMap<&str, u64> = BTreeMap::new();
        for constraint in policies.constraints() {
            *actions.entry(constraint.enforcement().declared()).or_default() += 1;
        }
        for (action, number) in actions {
            let labels = [("enforcement_action", action), ("status", "active")];
            text.sample("gatekeeper_constraints", &labels, number);
        }
        text.head("gatekeeper_constraint_templates", "gauge", "Templates that are served.");
        let templates = policies.templates().count();
        text.sample("gatekeeper_constraint_templates", &[("status", "active")], templates);
        let name = "gatekeeper_validation_request_count_total";
        text.head(name, "counter", "Requests that were judged or could not be.");
        for ((status, dry_run), number) in &counts.requests {
            let dry_run = if *dry_run { "true" } else { "false" };
            let labels = [("admission_dryrun", dry_run), ("admission_status", status.as_str())];
            text.sample(name, &labels, number);
        }
        let name = "gatekeeper_validation_request_duration_seconds";
        text.head(name, "histogram", "From the head of a request to its answer.");
        for (status, histogram) in &counts.durations {
            let status = status.as_str();
            for (number, bound) in histogram.buckets.iter().zip(BUCKETS) {
                let labels = [("admission_status", status), ("le", &bound.to_string())];
                text.sample(&format!("{name}_bucket"), &labels, number);
            }
            let labels = [("admission_status", status), ("le", "+Inf")];
            text.sample(&format!("{name}_bucket"), &labels, histogram.count);
            text.sample(&format!("{name}_sum"), &[("admission_status", status)], histogram.seconds);
            text.sample(&format!("{name}_count"), &[("admission_status", status)], histogram.count);
        }
        let name = "portcullis_constraint_findings_total";
        text.head(name, "counter", "Requests in which a constraint found a violation or broke, per finding.");
        for ((kind, constraint, outcome), number) in &counts.findings {
            let labels =
                [("constraint_kind", kind.as_str()), ("constraint_name", constraint), ("outcome", outcome)];
            text.sample(name, &labels, number);
        }
        let name = "portcullis_requests_shed_total";
        text.head(name, "counter", "Requests that were refused because there were too many.");
        text.sample(name, &[], counts.shed);
        let name = "portcullis_reloads_total";
        text.head(name, "counter", "Changes of the files that were taken, or not.");
        for (result, number) in &counts.reloads {
            text.sample(name, &[("result", result)], number);
        }
        let name = "portcullis_policies_stale";
        text.head(name, "gauge", "1 if the files are broken and the last good policies are served.");
        text.sample(name, &[], u8::from(is_stale));
        let name = "portcullis_connections_refused_total";
        text.head(
            name,
            "counter",
            "Connections that were closed before a request: no place, or no handshake.",
        );
        text.sample(name, &[], counts.refused_connections);
        if let Some(ends) = certificate_ends {
            let name = "portcullis_certificate_expiry_timestamp_seconds";
            text.head(name, "gauge", "When the certificate chain that is served ends, since 1970.");
            text.sample(name, &[], ends);
        }
        text.0
    }
}

impl Counts {
    fn found(&mut self, key: &ConstraintKey, outcome: &'static str) {
        let name = (key.kind.to_string(), key.name.to_string(), outcome);
        let is_new = !self.findings.contains_key(&name);
        let name = if is_new && self.findings.len() >= MOST_SERIES {
            (String::new(), "(others)".to_owned(), outcome)
        } else {
            name
        };
        *self.findings.entry(name).or_default() += 1;
    }
}

struct Text(String);

impl Text {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // Writing to a string cannot fail.
        let _ = write!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}\n");
    }

    fn sample(&mut self, name: &str, labels: &[(&str, &str)], value: impl std::fmt::Display) {
        self.0.push_str(name);
        for (position, (label, text)) in labels.iter().enumerate() {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            let before = if position == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{before}{label}=\"{text}\"");
        }
        let after = if labels.is_empty() { "" } else { "}" };
        let _ = writeln!(self.0, "{after} {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_bounded_and_labels_escaped() {
        let mut counts = Counts::default();
        for number in 0..MOST_SERIES + 50 {
            let key = ConstraintKey { kind: "K".into(), name: format!("c\"{number}").into() };
            counts.found(&key, "violation");
        }
        assert_eq!(counts.findings.len(), MOST_SERIES + 1);
        let text = Metrics(Mutex::new(counts)).render(&PolicySet::empty(), true, None);
        assert!(
            text.contains("{constraint_kind=\"K\",constraint_name=\"c\\\"0\",outcome=\"violation\"} 1\n")
        );
        assert!(text.contains("constraint_name=\"(others)\",outcome=\"violation\"} 50\n"), "{text}");
        assert!(text.contains("\nportcullis_policies_stale 1\n"));
    }
}
