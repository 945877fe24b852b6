//! What `portcullis bench` measured, as gator writes it, with what every policy cost.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use portcullis::Engine;
use serde::{Deserialize, Serialize};

/// A run of one engine. Fields that gator has have its names and meaning; its files are read, with what they do not have left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct BenchReport {
    /// The language that was evaluated: `rego`.
    pub engine: String,
    /// Templates.
    pub template_count: usize,
    /// Those that were given and cannot be used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped_templates: Vec<String>,
    /// Constraints.
    pub constraint_count: usize,
    /// Those that were given and cannot be used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped_constraints: Vec<String>,
    /// Objects and requests that were reviewed, again and again.
    pub object_count: usize,
    /// How often all of them were reviewed.
    pub iterations: u64,
    /// Threads.
    pub concurrency: usize,
    /// Whether policies could compare objects: always.
    pub referential_data_supported: bool,
    /// What it took to get ready: its parts together.
    pub setup_duration: Span,
    /// The parts.
    pub setup_breakdown: Setup,
    /// From the first review to the last.
    pub total_duration: Span,
    /// Of single reviews.
    pub latencies: Latencies,
    /// Violations of all iterations, and evaluations that failed, each of which counts as one.
    pub violation_count: u64,
    /// Reviews by the time that all took.
    pub reviews_per_second: f64,
    /// Steps of one iteration; the same on every machine. Files of gator have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steps: Option<u64>,
    /// What was allocated, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_stats: Option<MemoryStats>,
    /// What each template cost, as gator has it, if that was asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub stats_entries: Vec<StatsEntry>,
    /// What each constraint cost, in the order of their keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub constraints: Vec<ConstraintCost>,
}

/// Nanoseconds: a number, or a duration as Go writes them, such as `1.5ms`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Span(pub u64);

impl Span {
    /// Of a duration; the longest that there is, if it is longer.
    pub fn of(duration: Duration) -> Self {
        Self(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
    }
}

impl Span {
    /// As Go writes it, to the nanosecond: `1m1.5s`.
    pub fn to_go(self) -> String {
        let Self(ns) = self;
        let (unit, size) = match ns {
            0 => return "0s".to_owned(),
            1..1_000 => ("ns", 1),
            1_000..1_000_000 => ("µs", 1_000),
            1_000_000..1_000_000_000 => ("ms", 1_000_000),
            _ => ("s", 1_000_000_000),
        };
        let (minutes, rest) = (ns / 60_000_000_000, ns % 60_000_000_000);
        let (hours, minutes) = (minutes / 60, minutes % 60);
        let fraction = format!("{:0width$}", rest % size, width = size.to_string().len() - 1);
        let fraction = fraction.trim_end_matches('0');
        let point = if fraction.is_empty() || size == 1 { "" } else { "." };
        let last = format!("{}{point}{}{unit}", rest / size, if size == 1 { "" } else { fraction });
        match (hours, minutes) {
            (0, 0) => last,
            (0, minutes) => format!("{minutes}m{last}"),
            (hours, minutes) => format!("{hours}h{minutes}m{last}"),
        }
    }
}

/// As gator shows them.
impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(ns) = *self;
        match ns {
            0..1_000 => write!(f, "{ns}ns"),
            1_000..1_000_000 => write!(f, "{:.2}µs", float(ns) / 1e3),
            1_000_000..1_000_000_000 => write!(f, "{:.2}ms", float(ns) / 1e6),
            _ => write!(f, "{:.3}s", float(ns) / 1e9),
        }
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Number(u64),
            Text(String),
        }
        match Written::deserialize(deserializer)? {
            Written::Number(ns) => Ok(Self(ns)),
            Written::Text(text) => portcullis_value::go_duration(&text)
                .and_then(|ns| u64::try_from(ns).ok())
                .map(Self)
                .ok_or_else(|| {
                    serde::de::Error::custom(format!("expected a duration such as `1.5ms`, found `{text}`"))
                }),
        }
    }
}

/// What it took to get ready.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Setup {
    /// Nothing: there is no client to make.
    pub client_creation: Span,
    /// The templates alone.
    pub template_compilation: Span,
    /// What constraints add to that.
    pub constraint_loading: Span,
    /// The inventory, with the indexes that policies look things up in.
    pub data_loading: Span,
}

/// Of single reviews. Percentiles are at most 0.8 % too high; the others are exact.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Latencies {
    /// The shortest.
    pub min: Span,
    /// The longest.
    pub max: Span,
    /// The average.
    pub mean: Span,
    /// The median.
    pub p50: Span,
    /// 95 of 100 are not longer.
    pub p95: Span,
    /// 99 of 100 are not longer.
    pub p99: Span,
}

/// What was allocated in the iterations that were measured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemoryStats {
    /// Allocations for a review.
    pub allocs_per_review: u64,
    /// Bytes for a review, together: not at a time.
    pub bytes_per_review: u64,
    /// Allocations of all reviews.
    pub total_allocs: u64,
    /// Bytes of all reviews.
    pub total_bytes: u64,
}

impl MemoryStats {
    /// Of so many allocations and bytes for so many reviews.
    pub fn of(total_allocs: u64, total_bytes: u64, reviews: u64) -> Self {
        let each = |total: u64| total.checked_div(reviews).unwrap_or_default();
        Self {
            allocs_per_review: each(total_allocs),
            bytes_per_review: each(total_bytes),
            total_allocs,
            total_bytes,
        }
    }
}

/// What one constraint cost, in iterations of their own beside those whose latencies are measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConstraintCost {
    /// Its kind: its template's.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Objects that it applies to.
    pub reviews: u64,
    /// Its violations of one iteration.
    pub violations: u64,
    /// Its steps of one iteration.
    pub steps: u64,
    /// The time of its evaluations in one iteration, on average.
    pub duration: Span,
    /// Its allocations in one iteration, if they were counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allocs: Option<u64>,
    /// Its allocated bytes in one iteration, if they were counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

impl ConstraintCost {
    /// Of a constraint that has not been asked yet.
    pub fn none(kind: &str, name: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            name: name.to_owned(),
            reviews: 0,
            violations: 0,
            steps: 0,
            duration: Span(0),
            allocs: None,
            bytes: None,
        }
    }
}

/// What is known of one template.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct StatsEntry {
    /// `template`.
    pub scope: String,
    /// The template's kind.
    pub stats_for: String,
    /// Its numbers.
    pub stats: Vec<Stat>,
}

/// A number of a template.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stat {
    /// What it is.
    pub name: String,
    /// The number.
    pub value: u64,
    /// Who measured it.
    pub source: StatSource,
    /// In words.
    pub description: String,
}

/// Who measured something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StatSource {
    /// `engine`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `Rego`, or `K8sNativeValidation`.
    pub value: String,
}

/// What each template cost in one iteration, of what its constraints did, and by which engine it is evaluated.
pub fn stats(constraints: &[ConstraintCost], engine_of: impl Fn(&str) -> Engine) -> Vec<StatsEntry> {
    let mut templates: BTreeMap<&str, (u64, u64, u64)> = BTreeMap::new();
    for one in constraints {
        let (time, steps, count) = templates.entry(&one.kind).or_default();
        *time += one.duration.0;
        *steps += one.steps;
        *count += 1;
    }
    let entry = |(kind, (time, steps, count)): (&str, (u64, u64, u64))| {
        let engine = engine_of(kind);
        let stat = |name: &str, value, description: &str| Stat {
            name: name.to_owned(),
            value,
            source: StatSource { kind: "engine".to_owned(), value: engine.as_str().to_owned() },
            description: description.to_owned(),
        };
        StatsEntry {
            scope: "template".to_owned(),
            stats_for: kind.to_owned(),
            stats: vec![
                stat(
                    "templateRunTimeNS",
                    time,
                    "nanoseconds of all evaluations of the template's constraints, in one iteration",
                ),
                stat("constraintCount", count, "constraints of the template"),
                stat(
                    "steps",
                    steps,
                    "steps of all evaluations of the template's constraints, in one iteration",
                ),
            ],
        }
    };
    templates.into_iter().map(entry).collect()
}

/// What is looked at. A measure that one of the runs does not have is not compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Latencies, throughput, memory and steps.
    All,
    /// Steps alone: equal on every machine, so that a check of them cannot fail by chance.
    Steps,
}

/// When something counts as worse.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    /// What is looked at.
    pub gate: Gate,
    /// Worse by more than so many percent.
    pub percent: f64,
    /// And, of times, by at least so much; zero for any.
    pub least: Duration,
}

/// One measure of two runs.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Compared {
    /// Such as `P50 Latency`, or the key of a constraint for its steps.
    pub name: String,
    /// Before.
    pub baseline: f64,
    /// Now.
    pub current: f64,
    /// Percent; more is worse, except for throughput.
    pub delta: f64,
    /// Whether it is within the thresholds.
    pub passed: bool,
    /// How the two are shown.
    #[serde(skip)]
    unit: Unit,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Unit {
    Time,
    PerSecond,
    Number,
}

impl Compared {
    /// The values, as people read them.
    pub fn shown(&self) -> (String, String) {
        let show = |value: f64| match self.unit {
            Unit::Time => Span(whole(value)).to_string(),
            Unit::PerSecond => format!("{value:.2}/sec"),
            Unit::Number => whole(value).to_string(),
        };
        (show(self.baseline), show(self.current))
    }
}

/// Compares with an earlier run of the same engine: gator's measures, then steps, in all and of each constraint that both have.
pub fn compare(baseline: &BenchReport, current: &BenchReport, thresholds: Thresholds) -> Vec<Compared> {
    let mut found = Vec::new();
    let least = float(Span::of(thresholds.least).0);
    if thresholds.gate == Gate::All {
        let (old, new) = (&baseline.latencies, &current.latencies);
        for (name, old, new) in [
            ("P50 Latency", old.p50, new.p50),
            ("P95 Latency", old.p95, new.p95),
            ("P99 Latency", old.p99, new.p99),
            ("Mean Latency", old.mean, new.mean),
        ] {
            let (old, new) = (float(old.0), float(new.0));
            let delta = percent(old, new);
            let passed = delta <= thresholds.percent || new - old < least;
            let unit = Unit::Time;
            found.push(Compared { name: name.to_owned(), baseline: old, current: new, delta, passed, unit });
        }
        let (old, new) = (baseline.reviews_per_second, current.reviews_per_second);
        let delta = percent(old, new);
        // The same in reviews a second: the latency that is let pass, as a part of the mean.
        let room = old * least / float(baseline.latencies.mean.0.max(1));
        let passed = -delta <= thresholds.percent || old - new < room;
        let (name, unit) = ("Throughput".to_owned(), Unit::PerSecond);
        found.push(Compared { name, baseline: old, current: new, delta, passed, unit });
        if let Some((old, new)) = baseline.memory_stats.zip(current.memory_stats) {
            found.push(number("Allocs/Review", old.allocs_per_review, new.allocs_per_review, thresholds));
            found.push(number("Bytes/Review", old.bytes_per_review, new.bytes_per_review, thresholds));
        }
    }
    if let Some((old, new)) = baseline.steps.zip(current.steps) {
        found.push(number("Steps", old, new, thresholds));
    }
    for new in &current.constraints {
        let is_it = |old: &&ConstraintCost| (&old.kind, &old.name) == (&new.kind, &new.name);
        if let Some(old) = baseline.constraints.iter().find(is_it) {
            let compared =
                number(&format!("Steps {}/{}", new.kind, new.name), old.steps, new.steps, thresholds);
            // What stayed as it was would be most of the table.
            if compared.baseline.total_cmp(&compared.current).is_ne() {
                found.push(compared);
            }
        }
    }
    found
}

fn number(name: &str, old: u64, new: u64, thresholds: Thresholds) -> Compared {
    let (baseline, current) = (float(old), float(new));
    let delta = percent(baseline, current);
    let passed = delta <= thresholds.percent;
    Compared { name: name.to_owned(), baseline, current, delta, passed, unit: Unit::Number }
}

/// How much more, in percent; of nothing, anything is all.
fn percent(old: f64, new: f64) -> f64 {
    if old == 0.0 {
        return if new == 0.0 { 0.0 } else { 100.0 };
    }
    (new - old) / old * 100.0
}

#[expect(clippy::cast_precision_loss, reason = "nobody reads sixteen digits of a measurement")]
const fn float(number: u64) -> f64 {
    number as f64
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it was made of a number of this kind"
)]
fn whole(number: f64) -> u64 {
    number.max(0.0).round() as u64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

    use super::*;

    #[test]
    fn durations_are_written_as_go_writes_them_and_read_again() {
        for (ns, text) in [
            (0, "0s"),
            (7, "7ns"),
            (1_500, "1.5µs"),
            (297_100, "297.1µs"),
            (28_670_001, "28.670001ms"),
            (1_000_000_000, "1s"),
            (61_500_000_000, "1m1.5s"),
            (3_600_000_000_000, "1h0m0s"),
        ] {
            assert_eq!(Span(ns).to_go(), text);
            let read: Span = serde_json::from_value(text.into()).unwrap();
            assert_eq!(read, Span(ns), "{text}");
        }
        assert!(serde_json::from_value::<Span>("soon".into()).is_err());
        assert!(serde_json::from_value::<Span>("-1s".into()).is_err());
    }

    fn run(p50: u64, throughput: f64, steps: u64) -> BenchReport {
        let latencies =
            serde_json::json!({"min": 1, "max": 9, "mean": p50, "p50": p50, "p95": p50, "p99": p50});
        let setup = serde_json::json!({"clientCreation": 0, "templateCompilation": 1, "constraintLoading": 1, "dataLoading": 1});
        let run = serde_json::json!({"engine": "rego", "templateCount": 1, "constraintCount": 1, "objectCount": 1,
            "iterations": 1, "concurrency": 1, "referentialDataSupported": true, "setupDuration": 3,
            "setupBreakdown": setup, "totalDuration": 9, "latencies": latencies, "violationCount": 0,
            "reviewsPerSecond": throughput, "steps": steps,
            "constraints": [{"kind": "K", "name": "c", "reviews": 1, "violations": 0, "steps": steps, "duration": 5}]});
        serde_json::from_value(run).unwrap()
    }

    fn bad(old: &BenchReport, new: &BenchReport, gate: Gate, least: u64) -> Vec<String> {
        let thresholds = Thresholds { gate, percent: 10.0, least: Duration::from_nanos(least) };
        let compared = compare(old, new, thresholds);
        compared.into_iter().filter(|one| !one.passed).map(|one| one.name).collect()
    }

    #[test]
    fn what_is_slower_by_both_thresholds_has_regressed() {
        let old = run(1_000, 1_000_000.0, 100);
        assert!(bad(&old, &run(1_100, 909_091.0, 110), Gate::All, 0).is_empty());
        let slow = run(1_200, 833_333.0, 100);
        let all = ["P50 Latency", "P95 Latency", "P99 Latency", "Mean Latency", "Throughput"];
        assert_eq!(bad(&old, &slow, Gate::All, 0), all);
        // Reviews that take 200 ns longer each: 166,667 fewer a second.
        assert_eq!(bad(&old, &slow, Gate::All, 166), all);
        // The throughput's room is the share that the least difference is of the old mean: 20% of
        // 1,000,000 a second is more than what it lost.
        assert_eq!(bad(&old, &slow, Gate::All, 200), all.split_last().unwrap().1);
        // A difference that is less than the least one is none.
        assert!(bad(&old, &slow, Gate::All, 201).is_empty());
        assert!(bad(&old, &run(500, 2_000_000.0, 50), Gate::All, 0).is_empty());
    }

    #[test]
    fn steps_are_a_gate_of_their_own() {
        let (old, new) = (run(1_000, 1_000_000.0, 100), run(9_000, 100_000.0, 111));
        assert_eq!(bad(&old, &new, Gate::Steps, 0), ["Steps", "Steps K/c"]);
        // Without them there is nothing to compare: the caller has to say so.
        let gators = BenchReport { steps: None, constraints: Vec::new(), ..old };
        assert_eq!(
            compare(&gators, &new, Thresholds { gate: Gate::Steps, percent: 10.0, least: Duration::ZERO }),
            []
        );
    }
}
