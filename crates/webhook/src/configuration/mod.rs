//! The webhook configuration through which API servers reach us, and the CA by which they know us: both are kept as they should be, whoever
//! changes them.
//!
//! ```text
//! Secret ── ca ──> CAs ── trust ──> keep ── plan ──> caBundle, or the whole configuration
//!            ^                       |  ^
//!            └──── confirmed ────────┘  └── watch of the configuration, rules, flags
//! ```
//!
//! A certificate is served only when its CA is in every bundle of the configuration, or there is no configuration; until then a replica
//! that starts is not ready.

pub mod args;
pub mod asks;
pub mod bundle;
mod ca;
pub mod keep;
mod pace;
pub mod plan;
mod rules;
pub mod selector;
#[cfg(test)]
mod tests;
pub mod wanted;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use portcullis::{
    AdmissionRules, Document, ExpansionSet, MissingRule, MutatorSet, PolicySet, WebhookConfiguration,
};
use portcullis_cluster::Cluster;
use portcullis_sources::MetricsText;
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::log::{Level, Log};
use crate::serving::Serving;
use crate::tls::{Origin, Shared, Terms};
use args::ConfigurationArgs;
use asks::Asks;
use wanted::Wanted;

/// CAs, the one in use first; `None` before any is known, or if they are somebody else's.
type Trust = Option<Arc<[CertificateDer<'static>]>>;

/// Which requests have to be sent, as `rules` of a webhook; `None` before that is known.
type Rules = Option<Arc<[Value]>>;

/// Whose certificate API servers get to see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Certificates {
    /// We sign it, so that it is on us to have it trusted.
    SelfSigned,
    /// It comes from files. Its CA may be known.
    Files,
}

/// What is served, as far as it says which requests have to be sent.
#[derive(Clone, Debug)]
struct Served {
    policies: PolicySet,
    expansions: ExpansionSet,
    /// None if it is not known which there are.
    mutators: Option<MutatorSet>,
}

/// What is kept, and how that goes.
#[derive(Debug)]
pub struct Keeping {
    cluster: Cluster,
    log: Log,
    certificates: Certificates,
    /// The configurations to look after.
    kept: Vec<Arc<Kept>>,
    /// Where the CAs of several replicas are, and the place that they are put into.
    shared: Option<(ca::SecretAt, Shared)>,
    trust: watch::Sender<Trust>,
    /// What is in every bundle of each configuration, as it was seen.
    confirmed_by: Mutex<Vec<Trust>>,
    /// What is in every bundle of all of them.
    confirmed: watch::Sender<Trust>,
    sources: watch::Sender<Option<Served>>,
    /// The CA of the certificate that is served.
    served: Mutex<Option<CertificateDer<'static>>>,
    /// Whether it was trusted once. After that it stays so: being taken out of service would leave the decision to `failurePolicy`.
    was_trusted: AtomicBool,
    report: Mutex<Report>,
    /// Milliseconds since 1970.
    started: u64,
}

/// A configuration that is looked after.
#[derive(Debug)]
struct Kept {
    asks: Asks,
    name: String,
    /// Its place among all.
    place: usize,
    wanted: Option<Wanted>,
    rules: watch::Sender<Rules>,
    /// What these rules are made of.
    needed: Mutex<Option<Arc<AdmissionRules>>>,
    report: Mutex<KeptReport>,
    writes: AtomicU64,
    failures: AtomicU64,
    log: Log,
}

/// How the CA is, for people.
#[derive(Clone, Debug, Default)]
struct Report {
    /// Why the CA is not shared.
    ca: Option<String>,
    /// When the CA that signs ends.
    ca_ends: Option<SystemTime>,
}

/// How a configuration is, for people.
#[derive(Clone, Debug, Default)]
struct KeptReport {
    /// Why it is not as it should be.
    problem: Option<String>,
    /// What else should be known of it.
    notes: Vec<String>,
    /// How many requests are needed and not sent, if that is known.
    missing: Option<usize>,
}

/// What is in every bundle of all configurations; none if that is not known of one.
fn common(seen: &[Trust]) -> Trust {
    let (first, others) = seen.split_first()?;
    let in_all = |ca: &&CertificateDer<'static>| {
        others.iter().all(|other| other.as_ref().is_some_and(|other| other.contains(*ca)))
    };
    let all: Vec<_> = first.as_ref()?.iter().filter(in_all).cloned().collect();
    others.iter().all(Option::is_some).then(|| all.into())
}

/// A request that is not sent, and for whom it is needed.
fn describe_missing(missing: &MissingRule) -> String {
    let first = missing.by.iter().next().map(ToString::to_string).unwrap_or_default();
    let others = match missing.by.len().saturating_sub(1) {
        0 => String::new(),
        others => format!(" and {others} more"),
    };
    format!("not sent is {missing}, needed by {first}{others}")
}

impl Kept {
    fn report(&self) -> MutexGuard<'_, KeptReport> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its name, for messages.
    fn title(&self) -> String {
        match self.asks {
            Asks::Verdicts => format!("webhook configuration `{}`", self.name),
            Asks::Patches => format!("mutating webhook configuration `{}`", self.name),
        }
    }

    /// Which requests have to be sent.
    fn need(&self, needed: &Arc<AdmissionRules>) {
        let Value::Array(rules) = needed.to_json() else { return };
        *self.needed.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(needed));
        let rules: Rules = Some(rules.into());
        self.rules.send_if_modified(|known| {
            let is_new = *known != rules;
            if is_new {
                *known = rules;
            }
            is_new
        });
    }

    /// What is needed and not sent by a configuration as it is, once it is known what is needed.
    fn look_at_rules(&self, live: &Value) -> Vec<String> {
        /// Requests that are named; the others are counted.
        const MOST: usize = 20;
        let needed = self.needed.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(needed) = needed else { return Vec::new() };
        let documents = Document::read_all("the webhook configuration", &live.to_string()).0;
        let read = documents.first().and_then(|document| match self.asks {
            Asks::Verdicts => WebhookConfiguration::read(document).0,
            Asks::Patches => WebhookConfiguration::read_mutating(document).0,
        });
        // One that cannot be read sends nothing that is known of.
        let missing = needed.missing(&read.unwrap_or_default());
        self.report().missing = Some(missing.len());
        let mut notes: Vec<String> = missing.iter().take(MOST).map(describe_missing).collect();
        if let Some(more) = missing.len().checked_sub(MOST).filter(|more| *more > 0) {
            notes.push(format!("{more} more requests that are needed are not sent"));
        }
        notes
    }

    /// Remembers how it is, and says in the log what is new.
    fn tell(&self, problem: Option<String>, notes: Vec<String>) {
        let mut report = self.report();
        let is_new = problem != report.problem;
        let fresh: Vec<String> = notes.iter().filter(|note| !report.notes.contains(note)).cloned().collect();
        (report.problem, report.notes) = (problem.clone(), notes);
        drop(report);
        let kind = self.asks.resource().gvk.kind;
        if let Some(problem) = problem.filter(|_| is_new) {
            let msg = "the webhook configuration is not as it should be";
            let fields = json!({"configuration": self.name, "kind": *kind, "error": problem});
            self.log.write(Level::Error, msg, &fields);
        }
        for note in fresh {
            let msg = "about the webhook configuration";
            let fields = json!({"configuration": self.name, "kind": *kind, "note": note});
            self.log.write(Level::Warn, msg, &fields);
        }
    }
}

impl Keeping {
    /// What the command line asks for; `None` if that is nothing.
    #[must_use]
    pub fn new(
        cluster: &Cluster,
        args: &ConfigurationArgs,
        certificates: Certificates,
        own_namespace: &str,
        mutates: bool,
        log: &Log,
    ) -> Option<Arc<Self>> {
        let is_self_signed = certificates == Certificates::SelfSigned;
        if !is_self_signed && !args.manage_webhook_configuration {
            return None;
        }
        let named = |name: &str| (!name.is_empty()).then(|| name.to_owned());
        let asked = [Some(Asks::Verdicts), mutates.then_some(Asks::Patches)].into_iter().flatten();
        let asked = asked.filter_map(|asks| Some((asks, named(args.name(asks))?)));
        let kept = |(place, (asks, name)): (usize, (Asks, String))| {
            let wanted = args.manage_webhook_configuration.then(|| Wanted::of(asks, args, own_namespace));
            Arc::new(Kept {
                asks,
                name,
                place,
                wanted,
                rules: watch::Sender::new(None),
                needed: Mutex::default(),
                report: Mutex::default(),
                writes: AtomicU64::new(0),
                failures: AtomicU64::new(0),
                log: log.clone(),
            })
        };
        let kept: Vec<_> = asked.enumerate().map(kept).collect();
        let place = named(&args.ca_secret).filter(|_| is_self_signed).map(|name| ca::SecretAt {
            namespace: own_namespace.to_owned(),
            name,
            terms: Terms::default(),
        });
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        Some(Arc::new(Self {
            cluster: cluster.clone(),
            log: log.clone(),
            certificates,
            confirmed_by: Mutex::new(vec![None; kept.len()]),
            kept,
            shared: place.map(|place| (place, Shared::default())),
            trust: watch::Sender::new(None),
            confirmed: watch::Sender::new(None),
            sources: watch::Sender::new(None),
            served: Mutex::default(),
            was_trusted: AtomicBool::new(false),
            report: Mutex::default(),
            started: u64::try_from(started).unwrap_or(u64::MAX),
        }))
    }

    /// Begins to share the CA, and waits a while for it, so that a replica that can have it at once starts with it. Must be called on the
    /// runtime.
    pub async fn share(self: &Arc<Self>) {
        /// Longer than a healthy API server takes, and shorter than who starts a process waits for a sign of life.
        const PATIENCE: Duration = Duration::from_secs(5);
        let Some((place, shared)) = self.shared.clone() else { return };
        let had = self.trust.subscribe();
        tokio::spawn(ca::share(Arc::clone(self), place, shared));
        let mut had = had;
        // Without it, something stands in, and the replica is not ready.
        let _ = timeout(PATIENCE, had.wait_for(Option::is_some)).await;
    }

    /// Whose CA signs what is made here.
    #[must_use]
    pub fn origin(&self) -> Origin {
        self.shared.as_ref().map_or(Origin::Own, |(_, shared)| Origin::Shared(Arc::clone(shared)))
    }

    /// A certificate is served whose CAs are these, in PEM form, the one that signed it first; empty if nobody should trust it.
    pub fn serves(&self, bundle: &str) {
        let all = bundle::certificates(bundle);
        *self.served.lock().unwrap_or_else(PoisonError::into_inner) = all.first().cloned();
        // What is shared is said by who shares it.
        if self.shared.is_none() {
            self.set_trust((!all.is_empty()).then(|| all.into()));
        }
        self.look_at_trust();
    }

    /// This is served from now on: with `--manage-webhook-configuration` the rules follow it, and else what is missing is reported.
    pub fn serves_policies(&self, serving: &Serving) {
        let served = Served {
            policies: serving.policies.clone(),
            expansions: serving.expansions.clone(),
            mutators: serving.mutators.as_ref().ok().cloned(),
        };
        self.sources.send_replace(Some(served));
    }

    fn set_trust(&self, trust: Trust) {
        if self.kept.is_empty() {
            self.set_confirmed(trust.clone());
        }
        self.trust.send_if_modified(|known| {
            let is_new = *known != trust;
            *known = trust;
            is_new
        });
    }

    /// These are in every bundle of a configuration.
    fn confirm(&self, kept: &Kept, trust: Trust) {
        // Held until it is known to all: what was seen last is what counts.
        let mut by = self.confirmed_by.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = by.get_mut(kept.place) {
            *seen = trust;
        }
        self.set_confirmed(common(&by));
        drop(by);
    }

    fn set_confirmed(&self, trust: Trust) {
        self.confirmed.send_if_modified(|known| {
            let is_new = *known != trust;
            *known = trust;
            is_new
        });
        self.look_at_trust();
    }

    fn look_at_trust(&self) {
        let served = self.served.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let is_confirmed = |served: CertificateDer<'static>| {
            self.confirmed.borrow().as_ref().is_some_and(|all| all.contains(&served))
        };
        if served.is_some_and(is_confirmed) {
            self.was_trusted.store(true, Ordering::SeqCst);
        }
    }

    /// Whether API servers know the certificate that is served. What comes from files is not ours to judge.
    #[must_use]
    pub fn is_trusted(&self) -> bool {
        self.certificates == Certificates::Files || self.was_trusted.load(Ordering::SeqCst)
    }

    fn report(&self) -> MutexGuard<'_, Report> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers how the CA is, and says in the log what is new.
    fn tell_ca(&self, problem: Option<String>) {
        let mut report = self.report();
        let is_new = problem != report.ca;
        report.ca.clone_from(&problem);
        drop(report);
        if let Some(problem) = problem.filter(|_| is_new) {
            let secret = self.shared.as_ref().map(|(place, _)| place.to_string());
            let msg = "the CA is not shared as it should be";
            self.log.write(Level::Error, msg, &json!({"secret": secret, "error": problem}));
        }
    }

    /// How it is, line by line, for `/readyz?verbose`.
    #[must_use]
    pub fn describe(&self) -> String {
        let report = self.report().clone();
        let bad = if self.is_trusted() { "[!]" } else { "[-]" };
        let mut lines = Vec::new();
        if let Some((place, _)) = &self.shared {
            lines.push(match &report.ca {
                None => format!("[+]ca ok: shared through the Secret `{place}`"),
                Some(problem) => format!("{bad}ca: Secret `{place}`: {problem}"),
            });
        }
        for kept in &self.kept {
            let (title, report) = (kept.title(), kept.report().clone());
            lines.push(match (&report.problem, self.is_trusted()) {
                (Some(problem), _) => format!("{bad}{title}: {problem}"),
                (None, true) => format!("[+]{title} ok"),
                (None, false) => format!("[-]{title}: the CA is not known to be in it yet"),
            });
            lines.extend(report.notes.iter().map(|note| format!("    {note}")));
        }
        // The last line ends as well, if there is one.
        lines.push(String::new());
        lines.join("\n")
    }

    /// The same as metrics.
    #[must_use]
    pub fn metrics(&self) -> String {
        let report = self.report().clone();
        let mut text = MetricsText::default();
        let reports: Vec<KeptReport> = self.kept.iter().map(|kept| kept.report().clone()).collect();
        if !self.kept.is_empty() {
            let sum = |of: fn(&Kept) -> &AtomicU64| {
                self.kept.iter().map(|kept| of(kept).load(Ordering::Relaxed)).sum::<u64>()
            };
            let name = "portcullis_webhook_configuration_current";
            text.head(name, "gauge", "1 if the webhook configurations are as they should be.");
            text.sample(name, &[], u8::from(reports.iter().all(|report| report.problem.is_none())));
            let name = "portcullis_webhook_configuration_writes_total";
            text.head(name, "counter", "Writes that put a webhook configuration right.");
            text.sample(name, &[], sum(|kept| &kept.writes));
            let name = "portcullis_webhook_configuration_write_failures_total";
            text.head(name, "counter", "Writes of a webhook configuration that failed.");
            text.sample(name, &[], sum(|kept| &kept.failures));
        }
        let missing: Vec<usize> = reports.iter().filter_map(|report| report.missing).collect();
        if !missing.is_empty() {
            let name = "portcullis_webhook_rules_missing";
            let help = "Requests, by resource and operation, that policies or mutators are about and that the webhook configurations do not send.";
            text.head(name, "gauge", help);
            text.sample(name, &[], missing.iter().sum::<usize>());
        }
        if self.shared.is_some() {
            let name = "portcullis_ca_secret_current";
            text.head(name, "gauge", "1 if the CA is the one that all replicas share.");
            text.sample(name, &[], u8::from(report.ca.is_none()));
        }
        if let Some(ends) = report.ca_ends {
            let name = "portcullis_ca_expiry_timestamp_seconds";
            text.head(name, "gauge", "When the CA that signs ends, since 1970; it is replaced before.");
            text.sample(name, &[], ends.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs());
        }
        text.into_string()
    }
}
