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

use portcullis::{AdmissionRules, Document, MissingRule, PolicySet, WebhookConfiguration};
use portcullis_cluster::Cluster;
use portcullis_sources::MetricsText;
use rustls::pki_types::CertificateDer;
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::log::{Level, Log};
use crate::tls::{Origin, Shared, Terms};
use args::ConfigurationArgs;
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

/// What is kept, and how that goes.
#[derive(Debug)]
pub struct Keeping {
    cluster: Cluster,
    log: Log,
    certificates: Certificates,
    /// The name of the configuration, if there is one to look after.
    configuration: Option<String>,
    wanted: Option<Wanted>,
    /// Where the CAs of several replicas are, and the place that they are put into.
    shared: Option<(ca::SecretAt, Shared)>,
    trust: watch::Sender<Trust>,
    /// What is in every bundle, as it was seen.
    confirmed: watch::Sender<Trust>,
    policies: watch::Sender<Option<PolicySet>>,
    rules: watch::Sender<Rules>,
    /// What these rules are made of.
    needed: Mutex<Option<Arc<AdmissionRules>>>,
    /// The CA of the certificate that is served.
    served: Mutex<Option<CertificateDer<'static>>>,
    /// Whether it was trusted once. After that it stays so: being taken out of service would leave the decision to `failurePolicy`.
    was_trusted: AtomicBool,
    report: Mutex<Report>,
    writes: AtomicU64,
    failures: AtomicU64,
    /// Milliseconds since 1970.
    started: u64,
}

/// How it is, for people.
#[derive(Clone, Debug, Default)]
struct Report {
    /// Why the configuration is not as it should be.
    configuration: Option<String>,
    /// What else should be known of it.
    notes: Vec<String>,
    /// How many requests are needed and not sent, if that is known.
    missing: Option<usize>,
    /// Why the CA is not shared.
    ca: Option<String>,
    /// When the CA that signs ends.
    ca_ends: Option<SystemTime>,
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

impl Keeping {
    /// What the command line asks for; `None` if that is nothing.
    #[must_use]
    pub fn new(
        cluster: &Cluster,
        args: &ConfigurationArgs,
        certificates: Certificates,
        own_namespace: &str,
        log: &Log,
    ) -> Option<Arc<Self>> {
        let is_self_signed = certificates == Certificates::SelfSigned;
        if !is_self_signed && !args.manage_webhook_configuration {
            return None;
        }
        let named = |name: &str| (!name.is_empty()).then(|| name.to_owned());
        let configuration = named(&args.webhook_configuration);
        let wanted = args.manage_webhook_configuration && configuration.is_some();
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
            configuration,
            wanted: wanted.then(|| Wanted::of(args, own_namespace)),
            shared: place.map(|place| (place, Shared::default())),
            trust: watch::Sender::new(None),
            confirmed: watch::Sender::new(None),
            policies: watch::Sender::new(None),
            rules: watch::Sender::new(None),
            needed: Mutex::default(),
            served: Mutex::default(),
            was_trusted: AtomicBool::new(false),
            report: Mutex::default(),
            writes: AtomicU64::new(0),
            failures: AtomicU64::new(0),
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

    /// These policies are served from now on: with `--manage-webhook-configuration` the rules follow them, and else what is missing is reported.
    pub fn serves_policies(&self, policies: &PolicySet) {
        self.policies.send_replace(Some(policies.clone()));
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
        let read = documents.first().and_then(|document| WebhookConfiguration::read(document).0);
        // One that cannot be read sends nothing that is known of.
        let missing = needed.missing(&read.unwrap_or_default());
        self.report().missing = Some(missing.len());
        let mut notes: Vec<String> = missing.iter().take(MOST).map(describe_missing).collect();
        if let Some(more) = missing.len().checked_sub(MOST).filter(|more| *more > 0) {
            notes.push(format!("{more} more requests that policies are about are not sent"));
        }
        notes
    }

    fn set_trust(&self, trust: Trust) {
        if self.configuration.is_none() {
            self.confirm(trust.clone());
        }
        self.trust.send_if_modified(|known| {
            let is_new = *known != trust;
            *known = trust;
            is_new
        });
    }

    /// These are in every bundle.
    fn confirm(&self, trust: Trust) {
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

    /// Remembers how the configuration is, and says in the log what is new.
    fn tell_configuration(&self, problem: Option<String>, notes: Vec<String>) {
        let mut report = self.report();
        let is_new = problem != report.configuration;
        let fresh: Vec<String> = notes.iter().filter(|note| !report.notes.contains(note)).cloned().collect();
        (report.configuration, report.notes) = (problem.clone(), notes);
        drop(report);
        let name = self.configuration.as_deref().unwrap_or_default();
        if let Some(problem) = problem.filter(|_| is_new) {
            let msg = "the webhook configuration is not as it should be";
            self.log.write(Level::Error, msg, &json!({"configuration": name, "error": problem}));
        }
        for note in fresh {
            let msg = "about the webhook configuration";
            self.log.write(Level::Warn, msg, &json!({"configuration": name, "note": note}));
        }
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

    fn wrote(&self) {
        self.writes.fetch_add(1, Ordering::Relaxed);
    }

    fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
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
        if let Some(name) = &self.configuration {
            lines.push(match (&report.configuration, self.is_trusted()) {
                (Some(problem), _) => format!("{bad}webhook configuration `{name}`: {problem}"),
                (None, true) => format!("[+]webhook configuration `{name}` ok"),
                (None, false) => {
                    format!("[-]webhook configuration `{name}`: the CA is not known to be in it yet")
                }
            });
        }
        lines.extend(report.notes.iter().map(|note| format!("    {note}")));
        // The last line ends as well, if there is one.
        lines.push(String::new());
        lines.join("\n")
    }

    /// The same as metrics.
    #[must_use]
    pub fn metrics(&self) -> String {
        let report = self.report().clone();
        let mut text = MetricsText::default();
        if self.configuration.is_some() {
            let name = "portcullis_webhook_configuration_current";
            text.head(name, "gauge", "1 if the webhook configuration is as it should be.");
            text.sample(name, &[], u8::from(report.configuration.is_none()));
            let name = "portcullis_webhook_configuration_writes_total";
            text.head(name, "counter", "Writes that put the webhook configuration right.");
            text.sample(name, &[], self.writes.load(Ordering::Relaxed));
            let name = "portcullis_webhook_configuration_write_failures_total";
            text.head(name, "counter", "Writes of the webhook configuration that failed.");
            text.sample(name, &[], self.failures.load(Ordering::Relaxed));
        }
        if let Some(missing) = report.missing {
            let name = "portcullis_webhook_rules_missing";
            let help = "Requests, by resource and operation, that policies are about and that the webhook configuration does not send.";
            text.head(name, "gauge", help);
            text.sample(name, &[], missing);
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
