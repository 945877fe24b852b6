//! What all requests share: the set that is served, and how the webhook is.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwap;
use portcullis::{Error, EvaluationLimits};
use portcullis_cluster::AccessReviews;
use portcullis_providers::{ProviderOptions, Providers};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::admission::{Exempt, Own};
use crate::configuration::Keeping;
use crate::decisions::Recorder;
use crate::kube::following::Following;
use crate::load::Loaded;
use crate::log::{Level, Log};
use crate::memory::{Memory, Share};
use crate::metrics::{Gauges, Metrics};
use crate::pool::Pool;
use crate::redact::Pattern;
use crate::serving::{MutatorNumbers, Serving};
use crate::tls::{Standing, Validity};

/// Requests whose body may be on its way at once. Each takes some ten KiB with its head.
const ARRIVING: usize = 2048;
/// Threads that read what is not judged, for the records.
const ASIDE: usize = 2;
/// Long answers that may wait for their readers.
const ANSWER_BYTES: usize = 16 << 20;

/// The clock.
pub type Clock = fn() -> SystemTime;

/// What the command line says about requests.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Steps and memory of each constraint.
    pub limits: EvaluationLimits,
    /// Most time of a review, also if the API server would wait longer.
    pub timeout: Duration,
    /// Largest body.
    pub max_body: usize,
    /// Whether findings are logged.
    pub log_denies: bool,
    /// How objects are mutated, if they are.
    pub mutation: Option<MutationSettings>,
    /// Namespaces that may have the ignore label.
    pub exempt: Exempt,
    /// The webhook's own namespace, identity and kinds.
    pub own: Own,
    /// Fields that are secret besides the data of Secrets.
    pub redact: Vec<Pattern>,
    /// The time of day.
    pub clock: Clock,
}

/// What the command line says about mutation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MutationSettings {
    /// Whether mutated objects get annotations that name their mutators.
    pub annotates: bool,
    /// Whether mutations are logged.
    pub logs: bool,
}

/// How the certificate is.
#[derive(Debug, Default)]
struct CertificateState {
    /// Why the files as they are now are not used.
    stale: Option<String>,
    /// Of the one in use.
    validity: Option<Validity>,
    /// What the log said about the validity, and when.
    told: Option<(Standing, SystemTime)>,
}

/// Shared by all requests.
#[derive(Debug)]
pub struct State {
    serving: ArcSwap<Serving>,
    /// Why the files as they are now are not served; empty if they are.
    stale: Mutex<Vec<String>>,
    certificate: Mutex<CertificateState>,
    stopping: AtomicBool,
    /// The cluster that is followed, if one is.
    following: OnceLock<Arc<Following>>,
    /// The webhook configuration that is looked after, if one is.
    keeping: OnceLock<Arc<Keeping>>,
    /// What the command line says.
    pub settings: Settings,
    /// Where reviews run.
    pub pool: Pool,
    /// The memory of bodies.
    pub memory: Memory,
    /// Places for reading what is not judged, for the records.
    pub aside: Arc<Semaphore>,
    /// The memory of long answers that are not sent yet.
    pub answers: Share,
    /// Who is asked for external data.
    pub providers: Providers,
    /// Who is asked about rights, if there is a cluster to ask.
    pub rights: Option<AccessReviews>,
    /// Counts.
    pub metrics: Metrics,
    /// The record of decisions, if there is to be one.
    pub decisions: Option<Recorder>,
    /// Where spans go, if they are to.
    #[cfg(feature = "otel")]
    pub tracer: Option<crate::traces::Tracer>,
    /// The log.
    pub log: Log,
}

impl State {
    /// A state that serves what was loaded.
    #[must_use]
    pub fn new(
        loaded: Loaded,
        settings: Settings,
        pool: Pool,
        body_memory: usize,
        decisions: Option<Recorder>,
        log: Log,
    ) -> Self {
        let state = Self {
            serving: ArcSwap::from_pointee(loaded.serving),
            stale: Mutex::default(),
            certificate: Mutex::default(),
            stopping: AtomicBool::new(false),
            following: OnceLock::new(),
            keeping: OnceLock::new(),
            // The largest body finds room at least alone.
            memory: Memory::new(body_memory.max(settings.max_body), ARRIVING),
            aside: Arc::new(Semaphore::new(ASIDE)),
            answers: Share::new(ANSWER_BYTES),
            settings,
            pool,
            providers: Providers::new(ProviderOptions::default()),
            rights: None,
            metrics: Metrics::default(),
            decisions,
            #[cfg(feature = "otel")]
            tracer: None,
            log,
        };
        state.metrics.ingested(&loaded.ingested, &state.serving().policies);
        state.metrics.ingested_mutators(&loaded.ingested_mutators);
        state.log_served("serving policies", &loaded.warnings);
        state.know_providers();
        state
    }

    /// With other ways to ask providers of external data.
    #[must_use]
    pub fn with_providers(self, options: ProviderOptions) -> Self {
        let state = Self { providers: Providers::new(options), ..self };
        state.know_providers();
        state
    }

    /// With a cluster that is asked about rights.
    #[must_use]
    pub fn with_rights(self, rights: Option<AccessReviews>) -> Self {
        Self { rights, ..self }
    }

    /// Asks from now on the providers that the policies have beside them. What one said that is no longer the same is forgotten.
    fn know_providers(&self) {
        for error in self.providers.set(self.serving().policies.providers()) {
            let msg = "a provider of external data cannot be asked; what it was before stays";
            self.log.write(Level::Error, msg, &json!({"error": error.to_string()}));
        }
    }

    /// With spans, or without.
    #[cfg(feature = "otel")]
    #[must_use]
    pub fn with_tracer(self, tracer: Option<crate::traces::Tracer>) -> Self {
        Self { tracer, ..self }
    }

    /// The time that policies see, in nanoseconds since 1970.
    #[must_use]
    pub fn now_ns(&self) -> i64 {
        let now = (self.settings.clock)().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        i64::try_from(now.as_nanos()).unwrap_or(i64::MAX)
    }

    /// What is served now. A request takes it once, so that a swap never falls into a review.
    #[must_use]
    pub fn serving(&self) -> Arc<Serving> {
        self.serving.load_full()
    }

    /// Takes what was read from changed files, or remembers why it cannot be served; then the last good set stays.
    pub fn replace(&self, loaded: Result<Loaded, Vec<Error>>) {
        let set_stale = |stale| *self.stale.lock().unwrap_or_else(PoisonError::into_inner) = stale;
        match loaded {
            Ok(loaded) => {
                self.metrics.ingested(&loaded.ingested, &loaded.serving.policies);
                self.metrics.ingested_mutators(&loaded.ingested_mutators);
                self.serving.store(Arc::new(loaded.serving));
                self.know_providers();
                set_stale(Vec::new());
                self.metrics.reloaded("success");
                self.log_served("serving changed policies", &loaded.warnings);
            }
            Err(errors) => {
                let errors: Vec<String> = errors.iter().map(Error::to_string).collect();
                set_stale(errors.clone());
                self.metrics.reloaded("error");
                let msg = "the changed policies are broken; the last good ones stay in force";
                self.log.write(Level::Error, msg, &json!({"errors": errors}));
            }
        }
    }

    /// Takes what is served to another state of its objects; the policies are the same.
    pub fn move_on(&self, serving: Serving) {
        self.serving.store(Arc::new(serving));
    }

    /// From now on what is served comes from a cluster. Done once, at the start.
    pub fn follow(&self, following: Arc<Following>) {
        // A second one would change nothing.
        let _ = self.following.set(following);
    }

    /// The cluster that is followed.
    #[must_use]
    pub fn following(&self) -> Option<&Arc<Following>> {
        self.following.get()
    }

    /// From now on the webhook configuration is looked after. Done once, at the start.
    pub fn keep(&self, keeping: Arc<Keeping>) {
        // A second one would change nothing.
        let _ = self.keeping.set(keeping);
    }

    /// The webhook configuration that is looked after.
    #[must_use]
    pub fn keeping(&self) -> Option<&Arc<Keeping>> {
        self.keeping.get()
    }

    fn certificate(&self) -> std::sync::MutexGuard<'_, CertificateState> {
        self.certificate.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers what connections are served with from now on.
    pub fn certificate_served(&self, validity: Validity) {
        let mut certificate = self.certificate();
        let is_first = certificate.validity.is_none();
        *certificate = CertificateState { validity: Some(validity), ..CertificateState::default() };
        drop(certificate);
        // First what can be asked for, then what is reported: a reader of the log may ask at once.
        if !is_first {
            let fields = json!({"validity": validity.describe((self.settings.clock)())});
            self.log.write(Level::Info, "using the changed certificate", &fields);
        }
        self.check_certificate();
    }

    /// Remembers why changed certificate files are not used.
    pub fn certificate_failed(&self, error: &str) {
        let last = self.certificate().stale.replace(error.to_owned());
        // What is tried again every second is said once.
        if last.as_deref() == Some(error) {
            return;
        }
        let msg = "the changed certificate is broken; the last good one stays in use";
        self.log.write(Level::Error, msg, &json!({"error": error}));
    }

    /// Says in the log that the certificate ends soon or has ended: when that begins, and every day.
    pub fn check_certificate(&self) {
        const AGAIN: Duration = Duration::from_hours(24);
        let now = (self.settings.clock)();
        let mut certificate = self.certificate();
        let Some(validity) = certificate.validity else { return };
        let standing = validity.standing(now);
        let is_told = certificate.told.is_some_and(|(told, at)| {
            told == standing && now.duration_since(at).is_ok_and(|since| since < AGAIN)
        });
        if is_told || standing == Standing::Valid {
            return;
        }
        certificate.told = Some((standing, now));
        drop(certificate);
        let (level, msg) = match standing {
            Standing::Valid | Standing::EndsSoon => (Level::Warn, "the certificate ends soon; renew it"),
            Standing::Ended => (Level::Error, "the certificate has expired; renew it"),
            Standing::NotYet => {
                (Level::Error, "the certificate is not valid yet; look at it and at the clock")
            }
        };
        self.log.write(level, msg, &json!({"validity": validity.describe(now)}));
    }

    fn log_served(&self, msg: &str, warnings: &[Error]) {
        let serving = self.serving();
        let mut fields = json!({
            "templates": serving.policies.templates().count(),
            "constraints": serving.policies.constraints().count(),
            "objects": serving.inventory.len(),
        });
        if let (Some(_), Some(fields)) = (self.settings.mutation, fields.as_object_mut()) {
            let number = serving.mutators.as_ref().map_or(0, |mutators| mutators.mutators().count());
            fields.insert("mutators".to_owned(), number.into());
        }
        self.log.write(Level::Info, msg, &fields);
        for warning in warnings {
            self.log.write(Level::Warn, &warning.to_string(), &json!({}));
        }
    }

    /// From now on the webhook is not ready, and answers what comes all the same.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
    }

    /// Whether requests should come here. Stale policies are still policies: being taken out of service would leave the decision to
    /// `failurePolicy`. A certificate that API servers do not know yet would be a failed call.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.is_stopping()
            && self.following().is_none_or(|following| following.is_ready())
            && self.keeping().is_none_or(|keeping| keeping.is_trusted())
    }

    /// Whether it has been asked to end.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// How it is, line by line.
    #[must_use]
    pub fn describe(&self) -> String {
        let serving = self.serving();
        let stale = self.stale.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let templates = serving.policies.templates().count();
        let constraints = serving.policies.constraints().count();
        let mut text = String::new();
        // Writing to a string cannot fail.
        let _ = if stale.is_empty() {
            writeln!(text, "[+]policies ok: {templates} templates, {constraints} constraints")
        } else {
            writeln!(
                text,
                "[!]policies stale: {templates} templates, {constraints} constraints of before the change"
            )
        };
        for error in &stale {
            let _ = writeln!(text, "    {error}");
        }
        if self.settings.mutation.is_some() {
            let number = serving.mutators.as_ref().map(|mutators| mutators.mutators().count());
            let _ = match number {
                Ok(number) if stale.is_empty() => writeln!(text, "[+]mutators ok: {number}"),
                Ok(number) => writeln!(text, "[!]mutators stale: {number} of before the change"),
                Err(why) => writeln!(text, "[!]mutators: nothing can be mutated: {why}"),
            };
        }
        let now = (self.settings.clock)();
        let certificate = self.certificate();
        let _ = match certificate.validity {
            Some(validity) if validity.standing(now) != Standing::Valid => {
                writeln!(text, "[!]certificate {}", validity.describe(now))
            }
            Some(validity) => writeln!(text, "[+]certificate ok: {}", validity.describe(now)),
            None => writeln!(text, "[+]certificate ok"),
        };
        if let Some(error) = &certificate.stale {
            let _ = writeln!(text, "[!]certificate stale: {error}");
        }
        if let Some(following) = self.following() {
            text.push_str(&following.describe());
        }
        if let Some(keeping) = self.keeping() {
            text.push_str(&keeping.describe());
        }
        let _ = match (self.is_ready(), self.is_stopping()) {
            (true, _) => writeln!(text, "[+]serving ok\nreadyz check passed"),
            (false, true) => writeln!(text, "[-]serving failed: stopping\nreadyz check failed"),
            (false, false) => writeln!(text, "[-]serving failed: starting\nreadyz check failed"),
        };
        text
    }

    /// The metrics as text.
    #[must_use]
    pub fn metrics(&self) -> String {
        let cluster = self.following().map(|following| following.numbers());
        let waits = cluster
            .iter()
            .filter_map(|cluster| cluster.not_served.get("waiting"))
            .any(|&waiting| waiting > 0);
        let is_stale = waits || !self.stale.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
        let ends = self.certificate().validity.map(|validity| validity.ends_seconds());
        #[cfg(feature = "otel")]
        let lost_spans = self.tracer.as_ref().map(crate::traces::Tracer::lost);
        #[cfg(not(feature = "otel"))]
        let lost_spans = None;
        let gauges = Gauges {
            is_stale,
            certificate_ends: ends,
            lost_records: self.decisions.as_ref().map(Recorder::lost),
            lost_lines: self.log.lost(),
            lost_events: self.following().and_then(|following| following.lost_events()),
            lost_spans,
            cluster,
            unsupported: self.following().map(|following| following.unsupported()),
        };
        let serving = self.serving();
        let mut text = self.metrics.render(&serving.policies, &gauges);
        if self.settings.mutation.is_some() {
            let number = match self.following() {
                Some(following) => following.mutators(),
                None => MutatorNumbers::of(&serving.mutators),
            };
            text.push_str(&self.metrics.render_mutation(number));
        }
        if let Some(keeping) = self.keeping() {
            text.push_str(&keeping.metrics());
        }
        if !self.providers.names().is_empty() {
            text.push_str(&self.providers.metrics_text());
        }
        text
    }
}
