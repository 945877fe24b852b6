//! What is counted of providers.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts since the beginning.
#[derive(Debug, Default)]
pub struct Metrics {
    pub(crate) requests: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) keys: AtomicU64,
    pub(crate) cached: AtomicU64,
    pub(crate) joined: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) opened: AtomicU64,
    pub(crate) nanoseconds: AtomicU64,
}

pub(crate) fn add(counter: &AtomicU64, number: usize) {
    counter.fetch_add(number as u64, Ordering::Relaxed);
}

impl Metrics {
    /// Requests that were sent.
    #[must_use]
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Requests that failed: no answer in time, or none that can be read.
    #[must_use]
    pub fn failures(&self) -> u64 {
        self.failures.load(Ordering::Relaxed)
    }

    /// Keys that were sent.
    #[must_use]
    pub fn keys(&self) -> u64 {
        self.keys.load(Ordering::Relaxed)
    }

    /// Keys that were answered from what is kept.
    #[must_use]
    pub fn cached(&self) -> u64 {
        self.cached.load(Ordering::Relaxed)
    }

    /// The counts, as Prometheus reads them.
    #[must_use]
    pub fn text(&self, cache_bytes: usize) -> String {
        let mut text = String::new();
        let counters = [
            ("requests_total", "Requests sent to providers of external data.", &self.requests),
            ("request_failures_total", "Requests to providers without a usable answer.", &self.failures),
            ("keys_total", "Keys sent to providers.", &self.keys),
            ("cached_keys_total", "Keys answered from the response cache.", &self.cached),
            ("joined_keys_total", "Keys that waited for a request of somebody else.", &self.joined),
            (
                "refused_requests_total",
                "Requests not sent: the provider failed too often, or too many wait.",
                &self.refused,
            ),
            ("breaker_opened_total", "How often a provider was left alone for failing.", &self.opened),
        ];
        for (name, help, counter) in counters {
            let value = counter.load(Ordering::Relaxed);
            // Writing to a string cannot fail.
            let _ = write!(
                text,
                "# HELP portcullis_provider_{name} {help}\n# TYPE portcullis_provider_{name} counter\nportcullis_provider_{name} {value}\n"
            );
        }
        #[expect(clippy::cast_precision_loss, reason = "a time for people")]
        let seconds = self.nanoseconds.load(Ordering::Relaxed) as f64 / 1e9;
        let _ = write!(
            text,
            "# HELP portcullis_provider_request_seconds_total Time that requests to providers took.\n# TYPE portcullis_provider_request_seconds_total counter\nportcullis_provider_request_seconds_total {seconds}\n\
             # HELP portcullis_provider_cache_bytes Bytes of the response cache.\n# TYPE portcullis_provider_cache_bytes gauge\nportcullis_provider_cache_bytes {cache_bytes}\n"
        );
        text
    }
}
