//! A cluster that is followed: what requests ask of it, and how it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use portcullis::{ErrorKind, Object, Severity, Unsupported};
use portcullis_cluster::{
    ApiResource, Cluster, Event, Feed, Ingestion, PolicyError, PolicyState, Report, Snapshot, Standing,
};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::timeout_at;

use super::events::Events;
use crate::admission::{Envelope, Record};
use crate::log::{Level, Log};
use crate::serving::MutatorNumbers;

/// Policies without effect that are named; the others are counted.
pub(super) const MAX_NAMED: usize = 50;

/// A cluster that is followed.
#[derive(Debug)]
pub struct Following {
    cluster: Cluster,
    /// Ends when this is dropped.
    feed: Feed,
    snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
    reports: watch::Receiver<Arc<Report>>,
    /// Whether somebody said that policies may go without effect.
    unsupported: Unsupported,
    /// Whether a snapshot is served.
    served: AtomicBool,
    events: Option<Events>,
    /// Statuses that could not be written.
    failed_statuses: AtomicU64,
    /// What the log has said.
    logged: Mutex<BTreeSet<String>>,
}

impl Following {
    pub(super) fn new(
        cluster: &Cluster,
        feed: Feed,
        unsupported: Unsupported,
        events: Option<Events>,
    ) -> Self {
        let (snapshots, reports) = feed.follow();
        Self {
            cluster: cluster.clone(),
            feed,
            snapshots,
            reports,
            unsupported,
            served: AtomicBool::new(false),
            events,
            failed_statuses: AtomicU64::new(0),
            logged: Mutex::default(),
        }
    }

    /// From now on what is served comes from the cluster.
    pub(super) fn serves(&self) {
        self.served.store(true, Ordering::SeqCst);
    }

    /// Templates and mutators that were compiled since this was asked last.
    pub(super) fn take_ingested(&self) -> Vec<Ingestion> {
        self.feed.take_ingested()
    }

    /// Whether what is served comes from the cluster.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.served.load(Ordering::SeqCst)
    }

    /// How it is, line by line, for `/readyz?verbose`.
    #[must_use]
    pub fn describe(&self) -> String {
        let report = self.reports.borrow().clone();
        let counts = report.not_served();
        let counts: Vec<String> = counts
            .iter()
            .filter(|(_, count)| **count > 0)
            .map(|(word, count)| format!("{count} policies are {word}"))
            .collect();
        let mut lines = vec![match (self.is_ready(), counts.is_empty()) {
            (true, true) => "[+]cluster ok".to_owned(),
            (true, false) => format!("[!]cluster: {}; all others are in force", counts.join(", ")),
            (false, _) => "[-]cluster: not everything was read yet".to_owned(),
        }];
        lines.extend(report.waiting.iter().map(|line| format!("    waiting for {line}")));
        lines.extend(report.problems.iter().map(|problem| format!("    {problem}")));
        lines.extend(not_in_force(&report).take(MAX_NAMED).map(|line| format!("    {line}")));
        lines.extend(broken(&report).map(|line| format!("    {line}")));
        if !report.unsupported.is_empty() {
            let mark = if self.unsupported == Unsupported::Allowed { "[+]" } else { "[!]" };
            lines.push(format!(
                "{mark}supported: {} policies of Gatekeeper's are not",
                report.unsupported.len()
            ));
            let told = report.unsupported.iter().take(MAX_NAMED).map(|line| format!("    {line}"));
            lines.extend(told);
        }
        lines.join("\n") + "\n"
    }

    /// How many policies there are that nothing is done for.
    #[must_use]
    pub fn unsupported(&self) -> usize {
        self.reports.borrow().unsupported.len()
    }

    /// How many mutators there are: in force, and with something wrong.
    #[must_use]
    pub fn mutators(&self) -> MutatorNumbers {
        let report = self.reports.borrow().clone();
        let mut number = MutatorNumbers::default();
        for policy in report.policies.iter().filter(|policy| policy.is_mutator()) {
            let has = |is_such: fn(&PolicyError) -> bool| policy.errors.iter().any(is_such);
            if has(|error| error.error.severity() == Severity::Error) {
                number.broken += 1;
            } else {
                number.active += 1;
            }
            number.conflicting += usize::from(has(|error| error.error.kind() == ErrorKind::MutatorConflict));
        }
        number
    }

    /// How it stands with the cluster, in numbers.
    #[must_use]
    pub fn numbers(&self) -> Numbers {
        let report = self.reports.borrow().clone();
        Numbers {
            not_served: report.not_served(),
            failing_watches: report.failing_watches,
            unreadable_kinds: report.unreadable.len(),
            has_unknown_exceptions: report.unknown_exceptions.is_some(),
            failed_statuses: self.failed_statuses.load(Ordering::Relaxed),
        }
    }

    /// Counts statuses that could not be written.
    pub fn count_failed_statuses(&self, number: usize) {
        self.failed_statuses.fetch_add(number as u64, Ordering::Relaxed);
    }

    /// The Namespace that a request is in, if that costs no more than a look: `Some(None)` if it is in none, `None` if it has to be asked
    /// for.
    #[must_use]
    pub fn known_namespace(&self, envelope: &Envelope) -> Option<Option<Object>> {
        let name = envelope.namespace();
        if name.is_empty() || envelope.kind() == ["", "v1", "Namespace"] {
            return Some(None);
        }
        let snapshot = self.snapshots.borrow();
        snapshot.as_ref().and_then(|all| all.namespaces.get(name).cloned()).map(Some)
    }

    /// Asks for a Namespace, until a deadline.
    ///
    /// # Errors
    ///
    /// Why it is not known. Without it, selectors of namespaces would be guesses.
    pub async fn ask_for_namespace(&self, name: &str, until: Instant) -> Result<Option<Object>, String> {
        let namespaces = ApiResource::namespaces();
        let asked = timeout_at(until.into(), self.cluster.object(&namespaces, None, name)).await;
        match asked {
            Ok(Ok(namespace)) => Ok(Some(namespace)),
            Ok(Err(error)) if error.is_not_found() => Err(format!("there is no namespace `{name}`")),
            Ok(Err(error)) => Err(format!("the namespace `{name}` cannot be read: {error}")),
            Err(_) => Err(format!("the namespace `{name}` did not come in time")),
        }
    }

    /// Events about what was found, if they are to be written.
    #[must_use]
    pub fn events(&self, envelope: &Envelope, records: &[Record<'_>]) -> Vec<Event> {
        // A request that is only tried leaves no trace.
        let events = self.events.as_ref().filter(|_| !envelope.is_dry_run());
        events.map(|events| events.of(records)).unwrap_or_default()
    }

    /// Writes Events, when there is time for it.
    pub fn record(&self, all: Vec<Event>) {
        if let Some(events) = &self.events {
            events.record(all);
        }
    }

    /// Events that were not written, if they are to be.
    #[must_use]
    pub fn lost_events(&self) -> Option<u64> {
        self.events.as_ref().map(Events::dropped)
    }

    /// Writes lines to the log, but for those that were among the last ones as well.
    pub(super) fn log(&self, log: &Log, lines: BTreeSet<String>) {
        let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
        for line in lines.difference(&logged) {
            log.write(Level::Warn, line, &json!({"process": "cluster"}));
        }
        *logged = lines;
    }
}

/// How it stands with the cluster, in numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Numbers {
    /// Policies that are not in force as they are in the cluster, by why.
    pub not_served: BTreeMap<&'static str, usize>,
    /// Watches that fail at the moment.
    pub failing_watches: usize,
    /// Kinds that policies read and that cannot be read.
    pub unreadable_kinds: usize,
    /// Whether it is not known which exceptions there are, so that none is in force.
    pub has_unknown_exceptions: bool,
    /// Statuses that could not be written so far.
    pub failed_statuses: u64,
}

/// Policies that wait or cannot be judged by, one line each. What is wrong with the others is reported as their errors.
fn not_in_force(report: &Report) -> impl Iterator<Item = String> + '_ {
    let is_told = |policy: &&PolicyState| {
        matches!(policy.standing, Standing::Waiting { .. } | Standing::Unjudgeable(_))
    };
    let line = |policy: &PolicyState| {
        format!("{}/{}: {}", policy.resource.gvk.kind, policy.name, policy.standing.brief())
    };
    report.policies.iter().filter(is_told).map(line)
}

pub(super) fn is_blind(policy: &PolicyState) -> bool {
    matches!(policy.standing, Standing::Unjudgeable(_))
}

/// What is wrong with policies, one line each.
pub(super) fn broken(report: &Report) -> impl Iterator<Item = String> + '_ {
    report.policies.iter().flat_map(|policy| {
        let kind = policy.resource.gvk.kind.clone();
        policy.errors.iter().map(move |error| format!("{kind}/{}: {error}", policy.name))
    })
}
