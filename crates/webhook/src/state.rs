//! What all requests share: the set that is served, and how the webhook is.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use portcullis::{Error, EvaluationLimits};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::admission::{Exempt, Serving};
use crate::load::Loaded;
use crate::log::{Level, Log};
use crate::metrics::Metrics;
use crate::pool::Pool;

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
    /// Namespaces that may have the ignore label.
    pub exempt: Exempt,
}

/// Shared by all requests.
#[derive(Debug)]
pub struct State {
    serving: ArcSwap<Serving>,
    /// Why the files as they are now are not served; empty if they are.
    stale: Mutex<Vec<String>>,
    /// The same for the certificate.
    stale_certificate: Mutex<Option<String>>,
    stopping: AtomicBool,
    /// What the command line says.
    pub settings: Settings,
    /// Where reviews run.
    pub pool: Pool,
    /// Kibibytes of bodies that may be in memory at once.
    pub body_memory: Semaphore,
    /// Counts.
    pub metrics: Metrics,
    /// The log.
    pub log: Log,
}

impl State {
    /// A state that serves what was loaded.
    #[must_use]
    pub fn new(loaded: Loaded, settings: Settings, pool: Pool, body_memory: usize, log: Log) -> Self {
        let state = Self {
            serving: ArcSwap::from_pointee(loaded.serving),
            stale: Mutex::default(),
            stale_certificate: Mutex::default(),
            stopping: AtomicBool::new(false),
            body_memory: Semaphore::new((body_memory / 1024).max(settings.max_body.div_ceil(1024))),
            settings,
            pool,
            metrics: Metrics::default(),
            log,
        };
        state.log_served("serving policies", &loaded.warnings);
        state
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
                self.serving.store(Arc::new(loaded.serving));
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

    /// Remembers whether the certificate files could be read.
    pub fn certificate_read(&self, problem: Option<String>) {
        // First what can be asked for, then what is told: who reads the log may ask at once.
        self.stale_certificate.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&problem);
        match &problem {
            Some(error) => {
                let msg = "the changed certificate is broken; the last good one stays in use";
                self.log.write(Level::Error, msg, &json!({"error": error}));
            }
            None => self.log.write(Level::Info, "using the changed certificate", &json!({})),
        }
    }

    fn log_served(&self, msg: &str, warnings: &[Error]) {
        let serving = self.serving();
        let fields = json!({
            "templates": serving.policies.templates().count(),
            "constraints": serving.policies.constraints().count(),
            "objects": serving.inventory.len(),
        });
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
    /// `failurePolicy`.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.stopping.load(Ordering::SeqCst)
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
        for error in stale {
            let _ = writeln!(text, "    {error}");
        }
        let _ = match &*self.stale_certificate.lock().unwrap_or_else(PoisonError::into_inner) {
            None => writeln!(text, "[+]certificate ok"),
            Some(error) => writeln!(text, "[!]certificate stale: {error}"),
        };
        let _ = if self.is_ready() {
            writeln!(text, "[+]serving ok\nreadyz check passed")
        } else {
            writeln!(text, "[-]serving failed: stopping\nreadyz check failed")
        };
        text
    }

    /// The metrics as text.
    #[must_use]
    pub fn metrics(&self) -> String {
        let is_stale = !self.stale.lock().unwrap_or_else(PoisonError::into_inner).is_empty();
        self.metrics.render(&self.serving().policies, is_stale)
    }
}
