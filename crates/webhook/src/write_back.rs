//! What is written into the cluster that is followed: CRDs of constraint kinds, and what became of each policy.
//!
//! Neither waits for the other, nor for policies that cannot be in force: a CRD is made for every template that is sound.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis::{Resource, TemplateName};
use portcullis_cluster::{
    ApiResource, Cluster, Definition, PolicyState, Report, Standing, StatusWriter, apply_constraint_crd,
};
use serde_json::json;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::kube::following::Following;
use crate::log::Level;
use crate::state::State;

/// Writes that go on at once.
const AT_ONCE: usize = 8;
/// How long changes are gathered before statuses are written, and before CRDs are.
const GATHER: Duration = Duration::from_millis(300);
const GATHER_CRDS: Duration = Duration::from_millis(20);
/// How long a write that failed waits, at first and at most.
const FIRST_AGAIN: Duration = Duration::from_secs(1);
const MAX_AGAIN: Duration = Duration::from_secs(30);
/// How long it is believed that a CRD which was applied is going to be seen.
const SEEN_WITHIN: Duration = Duration::from_secs(2);
/// How often it is looked for entries of pods that are gone.
const SWEEP: Duration = Duration::from_secs(30);

/// How long the status of a template waits for its CRD, so that it is written once and not twice.
const ON_ITS_WAY: Duration = Duration::from_secs(5);

/// Templates whose CRD is going to be served, and since when they are seen to be.
type OnTheirWay = BTreeMap<(String, u64), Instant>;

/// Failures that were reported, and how long to wait after the next.
struct Failures {
    told: BTreeSet<String>,
    wait: Duration,
}

impl Failures {
    const fn new() -> Self {
        Self { told: BTreeSet::new(), wait: FIRST_AGAIN }
    }

    /// Tells what is new. Returns how long to wait before trying again; `None` if nothing failed.
    fn tell(&mut self, state: &State, failures: Vec<String>) -> Option<Duration> {
        let failures: BTreeSet<String> = failures.into_iter().collect();
        for failure in failures.difference(&self.told) {
            state.log.write(Level::Warn, failure, &json!({"process": "cluster"}));
        }
        self.told = failures;
        if self.told.is_empty() {
            self.wait = FIRST_AGAIN;
            return None;
        }
        let wait = self.wait;
        self.wait = (wait * 2).min(MAX_AGAIN);
        Some(wait)
    }
}

/// Runs some writes, a few at once, and returns what came of them and why some failed.
async fn all_of<T: Send + 'static>(
    writes: Vec<impl Future<Output = Result<T, String>> + Send + 'static>,
) -> (Vec<T>, Vec<String>) {
    let (mut done, mut failures) = (Vec::new(), Vec::new());
    let mut waiting = writes.into_iter();
    let mut running = JoinSet::new();
    loop {
        while running.len() < AT_ONCE
            && let Some(write) = waiting.next()
        {
            running.spawn(write);
        }
        match running.join_next().await {
            Some(Ok(Ok(written))) => done.push(written),
            Some(Ok(Err(failure))) => failures.push(failure),
            Some(Err(error)) => failures.push(format!("a write broke off: {error}")),
            None => break,
        }
    }
    failures.sort();
    (done, failures)
}

/// Which version of a template a CRD was applied for, and when.
type Applied = BTreeMap<String, (String, u64, Instant)>;

/// A template of which there should be a CRD.
struct Wanted {
    template: PolicyState,
    crd: serde_json::Value,
}

/// Keeps the CRDs of all sound templates there and up to date.
pub async fn keep_crds(cluster: Cluster, state: Arc<State>, mut reports: watch::Receiver<Arc<Report>>) {
    let mut failures = Failures::new();
    let mut applied = Applied::new();
    loop {
        sleep(GATHER_CRDS).await;
        let report = reports.borrow_and_update().clone();
        let (wanted, look_again) = crds(&report, &mut applied);
        let writes = wanted.into_iter().map(|wanted| apply(cluster.clone(), wanted)).collect();
        let (done, failed) = all_of(writes).await;
        let now = Instant::now();
        applied.extend(
            done.into_iter()
                .map(|template: PolicyState| (template.name, (template.uid, template.generation, now))),
        );
        let wait = [failures.tell(&state, failed), look_again].into_iter().flatten().min();
        if wait_for_change(&mut reports, wait).await.is_err() {
            return;
        }
    }
}

/// The CRDs that have to be applied, and how soon to look again if nothing happens.
fn crds(report: &Report, applied: &mut Applied) -> (Vec<Wanted>, Option<Duration>) {
    let (mut wanted, mut look_again) = (Vec::new(), None);
    let templates = || report.policies.iter().filter(|policy| policy.resource == ApiResource::templates());
    let names: BTreeSet<&str> = templates().map(|template| &*template.name).collect();
    applied.retain(|name, _| names.contains(&**name));
    for policy in templates() {
        let name = TemplateName::of_kind(&policy.name);
        let Some(Resource::Template(template)) = report.templates.0.get(&name) else { continue };
        let is_applied = applied.get(&policy.name);
        let is_same = is_applied
            .is_some_and(|(uid, generation, _)| (uid, *generation) == (&policy.uid, policy.generation));
        let due = match policy.definition {
            // It could not be distinguished from the one that goes.
            Definition::Going => false,
            Definition::Missing if is_same => {
                let since = is_applied.map(|(_, _, at)| at.elapsed()).unwrap_or_default();
                if since < SEEN_WITHIN {
                    look_again = Some(SEEN_WITHIN);
                }
                since >= SEEN_WITHIN
            }
            _ => !is_same,
        };
        if due {
            wanted.push(Wanted { template: policy.clone(), crd: template.crd() });
        }
    }
    (wanted, look_again)
}

async fn apply(cluster: Cluster, wanted: Wanted) -> Result<PolicyState, String> {
    let Wanted { template, crd } = wanted;
    match apply_constraint_crd(&cluster, &template, &crd).await {
        Ok(_) => Ok(template),
        Err(error) => Err(format!("the CRD of {} was not applied: {error}", template.name)),
    }
}

/// Keeps our entry in the status of every policy up to date, and takes away those of pods that are gone.
pub async fn keep_statuses(
    following: Arc<Following>,
    writer: StatusWriter,
    state: Arc<State>,
    mut reports: watch::Receiver<Arc<Report>>,
) {
    let mut failures = Failures::new();
    let mut swept = Instant::now();
    let mut on_their_way = OnTheirWay::new();
    loop {
        sleep(GATHER).await;
        let report = reports.borrow_and_update().clone();
        let mut failed = Vec::new();
        // Before that, what is in force is not known.
        if report.ready {
            let sweep = swept.elapsed() >= SWEEP;
            if sweep {
                swept = Instant::now();
            }
            failed = write_statuses(&writer, &report, sweep, &mut on_their_way).await;
        }
        following.count_failed_statuses(failed.len());
        let usual = if on_their_way.is_empty() { SWEEP } else { ON_ITS_WAY };
        let wait = failures.tell(&state, failed).unwrap_or(usual);
        if wait_for_change(&mut reports, Some(wait)).await.is_err() {
            return;
        }
    }
}

/// Whether the CRD of a template is going to be served in a moment, after which its status says something else.
fn is_on_its_way(policy: &PolicyState, all: &OnTheirWay) -> bool {
    let since = all.get(&(policy.name.clone(), policy.generation));
    since.is_some_and(|since| since.elapsed() < ON_ITS_WAY)
}

/// Looks which templates are on their way now.
fn look_after(all: &mut OnTheirWay, report: &Report) {
    let is_coming = |policy: &&PolicyState| {
        policy.resource == ApiResource::templates()
            && matches!(policy.definition, Definition::Missing | Definition::There)
            && policy.standing == Standing::Served
            && !policy.created
    };
    let coming = report.policies.iter().filter(is_coming);
    let coming: BTreeSet<(String, u64)> =
        coming.map(|policy| (policy.name.clone(), policy.generation)).collect();
    all.retain(|key, _| coming.contains(key));
    for key in coming {
        all.entry(key).or_insert_with(Instant::now);
    }
}

async fn write_statuses(
    writer: &StatusWriter,
    report: &Report,
    sweep: bool,
    on_their_way: &mut OnTheirWay,
) -> Vec<String> {
    look_after(on_their_way, report);
    let on_their_way = &*on_their_way;
    let is_due = |policy: &&PolicyState| writer.is_due(policy) && !is_on_its_way(policy, on_their_way);
    let sweep = sweep && report.policies.iter().any(|policy| writer.has_others(policy));
    if !sweep && !report.policies.iter().any(|policy| is_due(&policy)) {
        return Vec::new();
    }
    let living = Arc::new(writer.living_pods().await);
    let is_left_over = |policy: &PolicyState| match &*living {
        Some(living) => sweep && writer.has_left_over(policy, living),
        None => false,
    };
    let due = report.policies.iter().filter(|policy| is_due(policy) || is_left_over(policy));
    let writes = due.map(|policy| write(writer.clone(), policy.clone(), Arc::clone(&living))).collect();
    all_of(writes).await.1
}

async fn write(
    writer: StatusWriter,
    policy: PolicyState,
    living: Arc<Option<BTreeSet<String>>>,
) -> Result<(), String> {
    let written = writer.write(&policy, living.as_ref().as_ref()).await;
    let (kind, name) = (&policy.resource.gvk.kind, &policy.name);
    written.map(|_| ()).map_err(|error| format!("the status of {kind}/{name} was not written: {error}"))
}

/// Waits for a new report, at most so long.
async fn wait_for_change(
    reports: &mut watch::Receiver<Arc<Report>>,
    most: Option<Duration>,
) -> Result<(), watch::error::RecvError> {
    match most {
        Some(most) => timeout(most, reports.changed()).await.unwrap_or(Ok(())),
        None => reports.changed().await,
    }
}
