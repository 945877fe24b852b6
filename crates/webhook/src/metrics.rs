//! What Prometheus sees: Gatekeeper's names where there are any. The number of series is bounded by the number of constraints, and that by
//! [`MAX_SERIES`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use portcullis::{ConstraintKey, ConstraintResult, PolicySet, Verdict};
use portcullis_sources::MetricsText;

use crate::admission::{Answer, Passes, Status};
use crate::kube::following::Numbers;
use crate::serving::MutatorNumbers;

/// Upper bounds of the histogram in seconds, as Gatekeeper has them.
const BUCKETS: [f64; 13] = [0.001, 0.002, 0.003, 0.004, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 10.0];
/// Upper bounds of numbers of passes, as Gatekeeper has them.
const PASSES: [f64; 15] =
    [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0];
/// Constraints come and go while the process lives; what is beyond this is counted together.
pub const MAX_SERIES: usize = 1000;

/// Counts since the start.
#[derive(Debug, Default)]
pub struct Metrics(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    requests: BTreeMap<(Status, bool), u64>,
    durations: BTreeMap<Status, Histogram>,
    /// Of requests to be mutated.
    mutations: BTreeMap<&'static str, Histogram>,
    /// How often mutators were gone through, by whether they came to an end.
    passes: BTreeMap<bool, Histogram<15>>,
    /// Of sound mutators, and of broken ones.
    mutator_ingestions: [Histogram; 2],
    constraints: BTreeMap<ConstraintKey, Row>,
    /// Of sound templates, and of broken ones.
    ingestions: [Histogram; 2],
    reloads: BTreeMap<&'static str, u64>,
    shed: u64,
    refused_connections: u64,
}

/// What a constraint did.
#[derive(Debug, Default)]
struct Row {
    /// By [`OUTCOMES`].
    outcomes: [u64; 4],
    took: Duration,
    steps: u64,
}

const OUTCOMES: [&str; 4] = ["pass", "violation", "error", "excepted"];

/// What is measured when somebody asks.
#[derive(Clone, Debug, Default)]
pub struct Gauges {
    /// Whether the files are broken.
    pub is_stale: bool,
    /// The end of the certificate, in seconds since 1970.
    pub certificate_ends: Option<u64>,
    /// Decisions that could not be recorded, if they are to be.
    pub lost_records: Option<u64>,
    /// How many policies of the cluster nothing is done for, if a cluster is followed.
    pub unsupported: Option<usize>,
    /// How it stands with the cluster, if one is followed.
    pub cluster: Option<Numbers>,
    /// Lines of the log that found no place.
    pub lost_lines: u64,
    /// Events that were not written, if they are to be.
    pub lost_events: Option<u64>,
    /// Spans that were not sent, if they are to be.
    pub lost_spans: Option<u64>,
}

#[derive(Debug)]
struct Histogram<const N: usize = { BUCKETS.len() }> {
    buckets: [u64; N],
    count: u64,
    sum: f64,
}

impl<const N: usize> Default for Histogram<N> {
    fn default() -> Self {
        Self { buckets: [0; N], count: 0, sum: 0.0 }
    }
}

impl<const N: usize> Histogram<N> {
    fn add_to(&mut self, bounds: &[f64; N], value: f64) {
        self.count += 1;
        self.sum += value;
        for (bucket, bound) in self.buckets.iter_mut().zip(bounds) {
            *bucket += u64::from(value <= *bound);
        }
    }
}

impl Histogram {
    fn add(&mut self, took: Duration) {
        self.add_to(&BUCKETS, took.as_secs_f64());
    }
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
            counts.durations.entry(answer.status).or_default().add(took);
            for result in answer.outcome.iter().flat_map(|outcome| &outcome.results) {
                counts.evaluated(result);
            }
        });
    }

    /// Counts an answer of `/v1/mutate`. Gatekeeper counts errors as successes; here they have a word of their own.
    pub fn mutated(&self, answer: &Answer, took: Duration) {
        let status = match answer.status {
            Status::Allow => "success",
            Status::Unjudged => "skip",
            Status::Deny | Status::Error => "error",
        };
        self.change(|counts| {
            counts.mutations.entry(status).or_default().add(took);
            if let Some(Passes { number, is_done }) = answer.passes {
                // More than are in a bucket are in none.
                let number = f64::from(number);
                counts.passes.entry(is_done).or_default().add_to(&PASSES, number);
            }
        });
    }

    /// The text format of what is about mutation.
    #[must_use]
    pub fn render_mutation(&self, mutators: MutatorNumbers) -> String {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = MetricsText::default();
        text.head(
            "gatekeeper_mutators",
            "gauge",
            "Mutators that are served, and those with something wrong.",
        );
        text.sample("gatekeeper_mutators", &[("status", "active")], mutators.active);
        text.sample("gatekeeper_mutators", &[("status", "error")], mutators.broken);
        let name = "gatekeeper_mutator_conflicting_count";
        text.head(name, "gauge", "Mutators that contradict each other, and are not applied.");
        text.sample(name, &[], mutators.conflicting);
        let name = "gatekeeper_mutator_ingestion_count_total";
        text.head(name, "counter", "Mutators that were compiled to be served.");
        let ingestions = || ["active", "error"].into_iter().zip(&counts.mutator_ingestions);
        for (status, histogram) in ingestions() {
            text.sample(name, &[("status", status)], histogram.count);
        }
        let name = "gatekeeper_mutator_ingestion_duration_seconds";
        text.head(name, "histogram", "How long it took to compile a mutator.");
        for (status, histogram) in ingestions() {
            write_histogram(&mut text, name, ("status", status), histogram);
        }
        let name = "gatekeeper_mutation_system_iterations";
        text.head(name, "histogram", "How often all mutators were gone through for an object.");
        for (is_done, histogram) in &counts.passes {
            let label = ("success", if *is_done { "true" } else { "false" });
            let buckets = PASSES.into_iter().zip(histogram.buckets);
            text.histogram(name, &[label], buckets, (histogram.sum, histogram.count));
        }
        let name = "gatekeeper_mutation_request_count_total";
        text.head(name, "counter", "Requests that were asked to be mutated: looked at, left alone, refused.");
        for (status, histogram) in &counts.mutations {
            text.sample(name, &[("mutation_status", status)], histogram.count);
        }
        let name = "gatekeeper_mutation_request_duration_seconds";
        text.head(name, "histogram", "From the head of a request to be mutated to its answer.");
        for (status, histogram) in &counts.mutations {
            write_histogram(&mut text, name, ("mutation_status", status), histogram);
        }
        text.into_string()
    }

    /// Counts templates that were compiled, and forgets constraints that are no longer served.
    pub fn ingested(&self, durations: &[Duration], policies: &PolicySet) {
        let keys: BTreeSet<&ConstraintKey> =
            policies.constraints().map(|constraint| constraint.key()).collect();
        for took in durations {
            self.compiled(*took, true);
        }
        self.change(|counts| counts.constraints.retain(|key, _| keys.contains(key)));
    }

    /// Counts a template that was compiled, and turned out to be sound or not.
    pub fn compiled(&self, took: Duration, is_sound: bool) {
        self.change(|counts| {
            let [sound, broken] = &mut counts.ingestions;
            if is_sound { sound } else { broken }.add(took);
        });
    }

    /// Counts mutators that were compiled.
    pub fn ingested_mutators(&self, durations: &[Duration]) {
        for took in durations {
            self.compiled_mutator(*took, true);
        }
    }

    /// Counts a mutator that was compiled, and turned out to be sound or not.
    pub fn compiled_mutator(&self, took: Duration, is_sound: bool) {
        self.change(|counts| {
            let [sound, broken] = &mut counts.mutator_ingestions;
            if is_sound { sound } else { broken }.add(took);
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

    /// The text format.
    #[must_use]
    pub fn render(&self, policies: &PolicySet, gauges: &Gauges) -> String {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = MetricsText::default();
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
            write_histogram(&mut text, name, ("admission_status", status.as_str()), histogram);
        }
        let name = "gatekeeper_constraint_template_ingestion_count_total";
        text.head(name, "counter", "Templates that were compiled to be served.");
        let [sound, broken] = &counts.ingestions;
        for (status, histogram) in [("active", sound), ("error", broken)] {
            text.sample(name, &[("status", status)], histogram.count);
        }
        let name = "gatekeeper_constraint_template_ingestion_duration_seconds";
        text.head(name, "histogram", "How long it took to compile a template.");
        for (status, histogram) in [("active", sound), ("error", broken)] {
            write_histogram(&mut text, name, ("status", status), histogram);
        }
        let rows = || counts.constraints.iter().map(|(key, row)| (labels_of(key), row));
        let name = "portcullis_constraint_evaluations_total";
        text.head(name, "counter", "Requests that a constraint applied to, by what it said.");
        for ([kind, constraint], row) in rows() {
            for (outcome, number) in OUTCOMES.iter().zip(row.outcomes).filter(|(_, number)| *number > 0) {
                text.sample(name, &[kind, constraint, ("outcome", outcome)], number);
            }
        }
        let name = "portcullis_constraint_evaluation_duration_seconds";
        text.head(name, "summary", "How long a constraint took.");
        for (labels, row) in rows() {
            text.sample(&format!("{name}_sum"), &labels, row.took.as_secs_f64());
            text.sample(&format!("{name}_count"), &labels, row.outcomes.iter().sum::<u64>());
        }
        let name = "portcullis_constraint_evaluation_steps_total";
        text.head(name, "counter", "Steps that a constraint took; the same on every machine.");
        for (labels, row) in rows() {
            text.sample(name, &labels, row.steps);
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
        text.head(name, "gauge", "1 if the last good policies are served instead of what there is now.");
        text.sample(name, &[], u8::from(gauges.is_stale));
        let name = "portcullis_connections_refused_total";
        text.head(
            name,
            "counter",
            "Connections that were closed before a request: no place, or no handshake.",
        );
        text.sample(name, &[], counts.refused_connections);
        if let Some(ends) = gauges.certificate_ends {
            let name = "portcullis_certificate_expiry_timestamp_seconds";
            text.head(name, "gauge", "When the certificate chain that is served ends, since 1970.");
            text.sample(name, &[], ends);
        }
        if let Some(unsupported) = gauges.unsupported {
            let name = "portcullis_unsupported_policies";
            text.head(
                name,
                "gauge",
                "Objects of Gatekeeper's kinds in the cluster that nothing is done for.",
            );
            text.sample(name, &[], unsupported);
        }
        if let Some(numbers) = &gauges.cluster {
            write_numbers(&mut text, numbers);
        }
        for (name, help, lost) in [
            (
                "portcullis_decision_records_lost_total",
                "Decisions that could not be recorded.",
                gauges.lost_records,
            ),
            (
                "portcullis_log_lines_lost_total",
                "Lines of the log that nobody read in time.",
                Some(gauges.lost_lines),
            ),
            ("portcullis_events_lost_total", "Events that were not written.", gauges.lost_events),
            ("portcullis_spans_lost_total", "Spans that were not sent.", gauges.lost_spans),
        ] {
            if let Some(lost) = lost {
                text.head(name, "counter", help);
                text.sample(name, &[], lost);
            }
        }
        text.into_string()
    }
}

fn labels_of(key: &ConstraintKey) -> [(&'static str, &str); 2] {
    [("constraint_kind", &key.kind), ("constraint_name", &key.name)]
}

impl Counts {
    fn evaluated(&mut self, result: &ConstraintResult) {
        let outcome = match result.verdict {
            Verdict::Pass => 0,
            Verdict::Violations(_) => 1,
            Verdict::Error(_) => 2,
            Verdict::Excepted { .. } => 3,
        };
        let row = self.row(result.key());
        if let Some(number) = row.outcomes.get_mut(outcome) {
            *number += 1;
        }
        row.took += Duration::from_nanos(result.took_ns.unwrap_or_default());
        row.steps = row.steps.saturating_add(result.steps.unwrap_or(0));
    }

    /// Found without a copy of the key, but for the first time.
    fn row(&mut self, key: &ConstraintKey) -> &mut Row {
        if self.constraints.contains_key(key) || self.constraints.len() < MAX_SERIES {
            return self.constraints.entry(key.clone()).or_default();
        }
        self.constraints.entry(ConstraintKey { kind: "".into(), name: "(others)".into() }).or_default()
    }
}

fn write_histogram(text: &mut MetricsText, name: &str, label: (&str, &str), histogram: &Histogram) {
    let buckets = BUCKETS.into_iter().zip(histogram.buckets);
    text.histogram(name, &[label], buckets, (histogram.sum, histogram.count));
}

fn write_numbers(text: &mut MetricsText, numbers: &Numbers) {
    let name = "portcullis_policies_not_served";
    text.head(name, "gauge", "Policies of the cluster that are not in force as they are, by why.");
    for (state, number) in &numbers.not_served {
        text.sample(name, &[("state", state)], number);
    }
    for (name, kind, help, number) in [
        (
            "portcullis_watches_failing",
            "gauge",
            "Watches of the cluster that fail at the moment.",
            numbers.failing_watches as u64,
        ),
        (
            "portcullis_kinds_unreadable",
            "gauge",
            "Kinds that policies read and of which it is not known what objects there are.",
            numbers.unreadable_kinds as u64,
        ),
        (
            "portcullis_exceptions_unknown",
            "gauge",
            "Whether it is not known which PolicyExceptions the cluster has, so that none is in force.",
            u64::from(numbers.has_unknown_exceptions),
        ),
        (
            "portcullis_status_write_failures_total",
            "counter",
            "Statuses of policies that could not be written.",
            numbers.failed_statuses,
        ),
    ] {
        text.head(name, kind, help);
        text.sample(name, &[], number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_bounded_and_labels_escaped() {
        let mut counts = Counts::default();
        for number in 0..MAX_SERIES + 50 {
            let key = ConstraintKey { kind: "K".into(), name: format!("c\"{number}").into() };
            counts.row(&key).outcomes[1] += 1;
        }
        assert_eq!(counts.constraints.len(), MAX_SERIES + 1);
        let gauges = Gauges { is_stale: true, lost_records: Some(3), ..Gauges::default() };
        let metrics = Metrics(Mutex::new(counts));
        let text = metrics.render(&PolicySet::empty(), &gauges);
        for sample in [
            "{constraint_kind=\"K\",constraint_name=\"c\\\"0\",outcome=\"violation\"} 1\n",
            "constraint_name=\"(others)\",outcome=\"violation\"} 50\n",
            "\nportcullis_policies_stale 1\n",
            "\nportcullis_decision_records_lost_total 3\n",
        ] {
            assert!(text.contains(sample), "{sample} in {text}");
        }
        // What is not served any more has no series.
        metrics.ingested(&[Duration::from_millis(3)], &PolicySet::empty());
        let text = metrics.render(&PolicySet::empty(), &gauges);
        assert!(
            !text.contains("constraint_kind=")
                && text.contains("ingestion_count_total{status=\"active\"} 1\n")
        );
    }
}
