//! The configuration, looked after for ever: what was seen of it goes through [`plan`], and what comes of that is written.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use portcullis_cluster::{
    ApiResource, Backoff, ClusterError, Found, Known, NamedWatch, apply_webhook_configuration,
    patch_webhook_configuration,
};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::pace::Pace;
use super::plan::{Goal, Plan, annotation, creation, plan};
use super::wanted::KEPT_BY;
use super::{Certificates, Keeping, Kept, Rules, Trust, rules};
use crate::log::Level;
use crate::state::State;

/// How long a replica is ready before it makes a configuration that is not there: until then its endpoint is known.
const READY: Duration = Duration::from_secs(3);
/// How long API servers may take to see what was written.
const SEEN: Duration = Duration::from_secs(1);
/// How often it is looked whether there is something to serve.
const LOOK: Duration = Duration::from_millis(250);
/// Longest wait after a write that failed.
const MOST: Duration = Duration::from_secs(10);

/// Begins to look after the configurations. Must be called on the runtime.
pub fn start(keeping: &Arc<Keeping>, state: &Arc<State>) {
    for kept in &keeping.kept {
        tokio::spawn(keep(Arc::clone(keeping), Arc::clone(kept), Arc::clone(state)));
        let own = &state.settings.own;
        let terms = rules::Terms { unsupported: own.unsupported, uses: own.uses };
        let served = keeping.sources.subscribe();
        tokio::spawn(rules::derive(keeping.cluster.clone(), Arc::clone(kept), terms, served));
    }
}

/// Looks after one of them.
async fn keep(keeping: Arc<Keeping>, kept: Arc<Kept>, state: Arc<State>) {
    let resource = kept.asks.resource();
    let watch = NamedWatch::start(&keeping.cluster, &resource, None, &kept.name);
    let mut keeper = Keeper {
        known: watch.follow(),
        trust: keeping.trust.subscribe(),
        rules: kept.rules.subscribe(),
        resource,
        keeping,
        kept,
        state,
        pace: Pace::default(),
        failures: 0,
        ready_since: None,
        written: None,
        owner: None,
        kept_by: (None, Instant::now()),
    };
    loop {
        let again = keeper.look().await.unwrap_or(Duration::from_hours(1));
        let ended = tokio::select! {
            changed = keeper.known.changed() => changed.is_err(),
            changed = keeper.trust.changed() => changed.is_err(),
            changed = keeper.rules.changed() => changed.is_err(),
            () = sleep(again) => false,
        };
        if ended {
            return;
        }
    }
}

/// Who owns the configuration.
enum Owner {
    /// There is no such Namespace: we run elsewhere.
    Nobody,
    Namespace(Value),
}

struct Keeper {
    keeping: Arc<Keeping>,
    kept: Arc<Kept>,
    resource: ApiResource,
    state: Arc<State>,
    known: watch::Receiver<Known>,
    trust: watch::Receiver<Trust>,
    rules: watch::Receiver<Rules>,
    pace: Pace,
    /// Writes that failed one after the other.
    failures: u32,
    ready_since: Option<Instant>,
    /// The last write of ours.
    written: Option<Instant>,
    /// The own Namespace, with which the configuration goes; `None` before that is known.
    owner: Option<Owner>,
    /// Who keeps it, and since when that is so.
    kept_by: (Option<String>, Instant),
}

impl Keeper {
    /// Does what is due. Returns when to look again if nothing changes.
    async fn look(&mut self) -> Option<Duration> {
        let Known { found, problem } = self.known.borrow_and_update().clone();
        let trust = self.trust.borrow_and_update().clone();
        let rules = self.rules.borrow_and_update().clone();
        let is_ready = self.state.following().is_some_and(|following| following.is_ready());
        self.ready_since = self.ready_since.or_else(|| is_ready.then(Instant::now));
        let later = (!is_ready && self.kept.wanted.is_some()).then_some(LOOK);
        if self.keeping.certificates == Certificates::SelfSigned && trust.is_none() {
            self.kept.report().problem = Some("there is no CA yet".to_owned());
            return None;
        }
        if is_ready && self.kept.wanted.is_some() && self.owner.is_none() {
            match self.own_namespace().await {
                Ok(owner) => self.owner = Some(owner),
                Err(problem) => {
                    self.kept.tell(Some(problem), Vec::new());
                    return Some(SEEN);
                }
            }
        }
        // What is sent follows from what is served.
        let wanted = self.kept.wanted.as_ref().filter(|_| is_ready).zip(rules);
        let owner = match &self.owner {
            Some(Owner::Namespace(owner)) => Some(owner),
            Some(Owner::Nobody) | None => None,
        };
        let wanted = wanted.map(|(wanted, rules)| wanted.object(&rules, owner));
        let live = match found {
            Found::Unknown => {
                self.kept.tell(problem, Vec::new());
                return later;
            }
            Found::Absent => {
                // Nobody comes through what there is not.
                self.keeping.confirm(&self.kept, trust.clone());
                return self.absent(trust, wanted).await.or(later);
            }
            Found::Present(live) => live,
        };
        let is_empty = live.get("webhooks").and_then(Value::as_array).is_none_or(Vec::is_empty);
        if let Some(left) = self.unready_for().filter(|_| is_empty && self.kept.wanted.is_some()) {
            // As if there were none: what is in it would fail until the endpoint is known.
            self.keeping.confirm(&self.kept, trust);
            return Some(left);
        }
        let missing = self.kept.look_at_rules(&live);
        let kept_by = annotation(&live, KEPT_BY).map(str::to_owned);
        if kept_by != self.kept_by.0 {
            self.kept_by = (kept_by, Instant::now());
        }
        let goal = Goal {
            authorities: trust.as_deref(),
            wanted: wanted.as_ref(),
            started: self.keeping.started,
            now: SystemTime::now(),
        };
        match plan(&live, &goal, self.kept_by.1.elapsed()) {
            Plan::Rest { notes } => self.rest(trust, problem, [notes, missing].concat()).or(later),
            Plan::Later(wait, notes) => {
                Some(self.rest(trust, problem, [notes, missing].concat()).unwrap_or(wait))
            }
            Plan::Bundles(bundles) => {
                let why = vec!["the CA was not in it".to_owned()];
                if let Some(wait) = self.wait(&why) {
                    return Some(wait);
                }
                let result =
                    patch_webhook_configuration(&self.keeping.cluster, &self.resource, &live, &bundles).await;
                self.wrote(result, &why)
            }
            Plan::Replace(clients, why) => {
                if let Some(wait) = self.wait(&why) {
                    return Some(wait);
                }
                let result =
                    patch_webhook_configuration(&self.keeping.cluster, &self.resource, &live, &clients).await;
                self.wrote(result, &why)
            }
            Plan::Apply(object, why) => {
                if let Some(wait) = self.wait(&why) {
                    return Some(wait);
                }
                let result =
                    apply_webhook_configuration(&self.keeping.cluster, &self.resource, &object).await;
                self.wrote(result, &why)
            }
        }
    }

    /// It is as it should be.
    fn rest(&mut self, trust: Trust, problem: Option<String>, notes: Vec<String>) -> Option<Duration> {
        self.failures = 0;
        // Changes are not seen: it may be otherwise by now.
        self.kept.tell(problem, notes);
        let left = self.written.map_or(Duration::ZERO, |written| SEEN.saturating_sub(written.elapsed()));
        if left.is_zero() {
            self.keeping.confirm(&self.kept, trust);
            return None;
        }
        Some(left)
    }

    /// How long the endpoint may not be known yet.
    fn unready_for(&self) -> Option<Duration> {
        let left = READY.saturating_sub(self.ready_since.map_or(Duration::ZERO, |since| since.elapsed()));
        // Not ready at all: look again soon.
        if self.ready_since.is_none() { Some(LOOK) } else { (!left.is_zero()).then_some(left) }
    }

    async fn absent(&mut self, trust: Trust, wanted: Option<Value>) -> Option<Duration> {
        let missing = format!("there is no such {}", self.resource.gvk.kind);
        let Some(wanted) = wanted else {
            let problem = match self.kept.wanted {
                Some(_) => format!("{missing}; it is made when there is something to serve"),
                None => missing,
            };
            self.kept.tell(Some(problem), Vec::new());
            return None;
        };
        if let Some(left) = self.unready_for() {
            return Some(left);
        }
        if self.state.is_stopping() {
            return None;
        }
        let why = vec![missing];
        if let Some(wait) = self.wait(&why) {
            return Some(wait);
        }
        let goal = Goal {
            authorities: trust.as_deref(),
            wanted: Some(&wanted),
            started: self.keeping.started,
            now: SystemTime::now(),
        };
        let object = creation(&wanted, &goal);
        let result = apply_webhook_configuration(&self.keeping.cluster, &self.resource, &object).await;
        self.wrote(result, &why)
    }

    /// The own Namespace as an owner: who deletes it deletes the configuration with it, so that nothing is asked that is not there any more.
    async fn own_namespace(&self) -> Result<Owner, String> {
        const PATIENCE: Duration = Duration::from_secs(5);
        let Some(name) = self.state.settings.own.namespace.clone() else { return Ok(Owner::Nobody) };
        let path = format!("/api/v1/namespaces/{name}");
        let problem = |why: String| format!("the own namespace `{name}` cannot be read: {why}");
        let found = match timeout(PATIENCE, self.keeping.cluster.get(&path)).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) if error.is_not_found() => return Ok(Owner::Nobody),
            Ok(Err(error)) => return Err(problem(error.to_string())),
            Err(_) => return Err(problem("it did not come in time".to_owned())),
        };
        let found: Value = serde_json::from_slice(&found).map_err(|error| problem(error.to_string()))?;
        let uid = found.pointer("/metadata/uid").and_then(Value::as_str);
        let uid = uid.ok_or_else(|| problem("it has no uid".to_owned()))?;
        Ok(Owner::Namespace(json!({"apiVersion": "v1", "kind": "Namespace", "name": name, "uid": uid})))
    }

    /// How long a write has to wait, if it has to.
    fn wait(&mut self, why: &[String]) -> Option<Duration> {
        let wait = self.pace.take(Instant::now()).err()?;
        let problem = format!(
            "somebody keeps changing it, so that it is put right only now and then: {}",
            why.join("; ")
        );
        self.kept.tell(Some(problem), Vec::new());
        Some(wait)
    }

    fn wrote(&mut self, result: Result<(), ClusterError>, why: &[String]) -> Option<Duration> {
        match result {
            Ok(()) => {
                self.failures = 0;
                self.written = Some(Instant::now());
                self.kept.writes.fetch_add(1, Ordering::Relaxed);
                let fields =
                    json!({"configuration": self.kept.name, "kind": *self.resource.gvk.kind, "because": why});
                self.keeping.log.write(Level::Info, "the webhook configuration was put right", &fields);
                // What was written is seen by the watch.
                None
            }
            // Somebody was faster, which is seen as well.
            Err(error) if error.is_conflict() => Some(LOOK),
            Err(error) => {
                self.kept.failures.fetch_add(1, Ordering::Relaxed);
                self.kept.tell(Some(error.to_string()), Vec::new());
                let backoff = Backoff { most: MOST, ..self.keeping.cluster.backoff() };
                let wait = backoff.wait(self.failures, error.retry_after());
                self.failures = self.failures.saturating_add(1);
                Some(wait)
            }
        }
    }
}
