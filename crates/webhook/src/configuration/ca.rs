//! The CA that several replicas share through a Secret: the first replica makes it, and the first that sees that it is time replaces it.
//!
//! ```text
//! Secret ──read──> good ──────> trusted by clients? ──> signed with
//!                  missing ──> made, unless another was faster
//!                  broken ───> what we have, or a new one; never what is broken
//!                  of another type: it is somebody else's, and stays as it is
//! ```
//!
//! Every write holds only for the version that was seen, so that of two who write at once one reads what the other wrote. A CA that is in
//! use stays in the bundle until another is, and is, as long as it is valid, after that.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use portcullis_cluster::{
    Backoff, ClusterError, Found, Known, NamedWatch, Secret, create_secret, replace_secret, secrets,
};
use rustls::pki_types::CertificateDer;
use serde_json::json;
use tokio::sync::watch;
use tokio::time::sleep;

use super::pace::Pace;
use super::{Keeping, Trust, bundle};
use crate::log::Level;
use crate::tls::{Authorities, Shared, Terms};

/// The type of the Secret. It never changes, so that a Secret of another type was never ours.
const TYPE: &str = "portcullis.example.com/ca";
/// How often it is looked whether a CA is due.
const DUE: Duration = Duration::from_mins(10);
/// Longest wait after a write that failed.
const MOST: Duration = Duration::from_secs(10);

/// Where the CA is.
#[derive(Clone, Debug)]
pub(super) struct SecretAt {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) terms: Terms,
}

impl fmt::Display for SecretAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What a Secret is.
#[derive(Debug, PartialEq)]
pub(super) enum Content {
    Good(Authorities),
    /// Ours, and why it is not usable.
    Broken(String),
    /// Somebody else's, and why.
    Foreign(String),
}

/// Reads a Secret.
pub(super) fn read(secret: &Secret, now: SystemTime) -> Content {
    if secret.type_name() != TYPE {
        let found = secret.type_name();
        return Content::Foreign(format!(
            "it is of type `{found}`, not `{TYPE}`, and so none of ours; name another one with `--ca-secret`, or delete it"
        ));
    }
    match Authorities::from_texts(|key| secret.text(key), now) {
        Ok(authorities) => Content::Good(authorities),
        Err(why) => Content::Broken(why),
    }
}

/// Shares the CA for ever.
pub(super) async fn share(keeping: Arc<Keeping>, place: SecretAt, shared: Shared) {
    let watch = NamedWatch::start(&keeping.cluster, &secrets(), Some(&place.namespace), &place.name);
    let mut sharer = Sharer {
        known: watch.follow(),
        confirmed: keeping.confirmed.subscribe(),
        keeping,
        place,
        shared,
        known_good: None,
        pace: Pace::default(),
        failures: 0,
    };
    loop {
        let again = sharer.look().await.unwrap_or(DUE);
        let ended = tokio::select! {
            changed = sharer.known.changed() => changed.is_err(),
            changed = sharer.confirmed.changed() => changed.is_err(),
            () = sleep(again) => false,
        };
        if ended {
            return;
        }
    }
}

struct Sharer {
    keeping: Arc<Keeping>,
    place: SecretAt,
    /// What is signed with, once clients trust it.
    shared: Shared,
    known: watch::Receiver<Known>,
    confirmed: watch::Receiver<Trust>,
    /// The last that was good, in the Secret or written to it.
    known_good: Option<Authorities>,
    pace: Pace,
    failures: u32,
}

impl Sharer {
    /// Does what is due. Returns when to look again if nothing changes.
    async fn look(&mut self) -> Option<Duration> {
        let now = SystemTime::now();
        let Known { found, problem } = self.known.borrow_and_update().clone();
        let (seen, wrong) = match found {
            Found::Unknown => {
                match problem {
                    Some(problem) => self.keeping.tell_ca(Some(problem)),
                    // No news for the log.
                    None => self.keeping.report().ca = Some("it was not read yet".to_owned()),
                }
                return None;
            }
            Found::Absent => (None, None),
            Found::Present(object) => {
                let secret = Secret::of(&object);
                match read(&secret, now) {
                    Content::Good(authorities) => {
                        self.known_good = Some(authorities);
                        (Some(secret), None)
                    }
                    Content::Broken(why) => (Some(secret), Some(why)),
                    Content::Foreign(why) => {
                        self.keeping.tell_ca(Some(why));
                        return None;
                    }
                }
            }
        };
        let base = self.known_good.clone().unwrap_or_default();
        let due = match base.advanced(now, &self.place.terms) {
            Ok(due) => due,
            Err(error) => {
                self.keeping.tell_ca(Some(error.to_string()));
                return Some(MOST);
            }
        };
        let is_there = seen.is_some() && wrong.is_none() && due == base;
        if !is_there {
            return self.write(seen, wrong, due).await;
        }
        self.failures = 0;
        self.keeping.tell_ca(problem);
        self.adopt(&due);
        None
    }

    async fn write(
        &mut self,
        seen: Option<Secret>,
        wrong: Option<String>,
        due: Authorities,
    ) -> Option<Duration> {
        let because = match (&seen, &wrong) {
            (None, _) => "there was none".to_owned(),
            (_, Some(why)) => format!("what was in it is broken: {why}"),
            _ => "it was time for the next CA".to_owned(),
        };
        if let Err(wait) = self.pace.take(Instant::now()) {
            let problem =
                format!("somebody keeps changing it, so that it is put right only now and then: {because}");
            self.keeping.tell_ca(Some(problem));
            return Some(wait);
        }
        let texts: BTreeMap<&str, String> = due.to_texts();
        let cluster = &self.keeping.cluster;
        let result = if let Some(secret) = &seen {
            replace_secret(cluster, secret, &texts).await
        } else {
            let labels =
                json!({"app.kubernetes.io/name": "portcullis", "app.kubernetes.io/component": "webhook"});
            let place = (&*self.place.namespace, &*self.place.name);
            create_secret(cluster, place, TYPE, &labels, &texts).await
        };
        match result {
            Ok(()) => {
                self.failures = 0;
                self.known_good = Some(due);
                let level = if wrong.is_some() { Level::Error } else { Level::Info };
                let fields = json!({"secret": self.place.to_string(), "because": because});
                self.keeping.log.write(level, "the Secret with the CA was written", &fields);
                // The watch brings it, and then it is used.
                None
            }
            Err(error) => Some(self.failed(&error)),
        }
    }

    fn failed(&mut self, error: &ClusterError) -> Duration {
        let backoff = Backoff { most: MOST, ..self.keeping.cluster.backoff() };
        let wait = backoff.wait(self.failures, error.retry_after());
        self.failures = self.failures.saturating_add(1);
        // Another replica was faster: what it wrote is seen.
        if !error.is_conflict() {
            self.keeping.tell_ca(Some(error.to_string()));
        }
        wait
    }

    /// Has clients trust what there is, and signs with it when they do.
    fn adopt(&mut self, authorities: &Authorities) {
        let mut all: Vec<CertificateDer<'static>> = bundle::certificates(&authorities.bundle());
        let used = self.shared.load_full();
        if used.as_deref() == Some(authorities) {
            self.trust(all);
            return;
        }
        let in_use = used.as_ref().and_then(|used| bundle::certificates(&used.bundle()).into_iter().next());
        let new = all.first().cloned();
        let is_confirmed = self
            .confirmed
            .borrow_and_update()
            .as_ref()
            .is_some_and(|confirmed| new.as_ref().is_some_and(|new| confirmed.contains(new)));
        // The first one is used at once: a replica is not ready before it is trusted.
        if used.is_none() || in_use == new || is_confirmed {
            self.keeping.report().ca_ends = authorities.current().map(|current| current.ends);
            self.shared.store(Some(Arc::new(authorities.clone())));
        }
        // Until the new one is used, the old one is.
        all.extend(in_use.into_iter().filter(|old| !all.contains(old)).collect::<Vec<_>>());
        self.trust(all);
    }

    fn trust(&self, all: Vec<CertificateDer<'static>>) {
        self.keeping.set_trust(Some(all.into()));
    }
}
