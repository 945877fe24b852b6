//! `--kube`: what is served comes from a cluster and follows it, and what is known of it is written back.
//!
//! ```text
//! cluster ── Feed ──snapshots──> State::replace, State::move_on
//!                 ──reports────> the log, /readyz, statuses, CRDs
//! request ──> its Namespace: known, or asked for, or the request is refused
//! ```
//!
//! Until the first snapshot is served the webhook is not ready, and refuses what comes all the same.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use clap::{ArgAction, ValueEnum, ValueHint};
use portcullis::{
    ConfigHomes, Document, EnforcementAction, Error, ErrorKind, Inventory, Object, PolicySet, Unsupported,
};
use portcullis_cluster::{
    Access, ApiResource, Cluster, ClusterError, ConnectOptions, Event, EventRecorder, Feed, FeedOptions,
    PolicyState, Regarding, Report, Snapshot, Standing, StatusWriter, Unreadable,
};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::timeout_at;

use crate::admission::{Envelope, Record, Serving};
use crate::digest;
use crate::load::Loaded;
use crate::log::Level;
use crate::state::State;
use crate::write_back::{keep_crds, keep_statuses};

/// Policies without effect that are named; the others are counted.
const MOST_TOLD: usize = 50;

/// The part of the command line about clusters. That its flags conflict with `--policies` is said of each: clap does not ask for what a
/// flag requires if that conflicts with another one.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Cluster")]
#[expect(clippy::struct_excessive_bools, reason = "a command line is a list of switches")]
pub struct KubeArgs {
    /// Take policies, objects and Namespaces from a cluster and follow its changes, instead of reading files.
    #[arg(long, conflicts_with_all = ["policies", "resources"])]
    pub kube: bool,
    /// The kubeconfig; without it, the service account of the pod, or the usual kubeconfig outside of one.
    #[arg(long, value_name = "FILE", requires = "kube", conflicts_with = "policies", value_hint = ValueHint::FilePath)]
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig; without it, the current one.
    #[arg(long, value_name = "NAME", requires = "kube", conflicts_with = "policies")]
    pub context: Option<String>,
    /// The address of an API server that asks for no credentials, such as that of `kubectl proxy`.
    #[arg(long, value_name = "URL", requires = "kube", conflicts_with_all = ["kubeconfig", "context", "policies"])]
    pub kube_server: Option<String>,
    /// The name of the pod, under which it writes statuses; without it, `POD_NAME` or `HOSTNAME` of the environment.
    #[arg(long, value_name = "NAME", requires = "kube", conflicts_with = "policies")]
    pub pod_name: Option<String>,
    /// Write what became of templates and constraints into their `status.byPod`. Off where Gatekeeper runs beside it.
    #[arg(long, value_name = "BOOL", default_value = "true", action = ArgAction::Set, conflicts_with = "policies")]
    pub write_status: bool,
    /// Apply the CRDs of constraint kinds, which Gatekeeper does where it runs.
    #[arg(long, requires = "kube", conflicts_with = "policies")]
    pub apply_crds: bool,
    /// Write an Event for everything that a constraint finds.
    #[arg(long, requires = "kube", conflicts_with = "policies")]
    pub emit_admission_events: bool,
    /// Write them in the namespace of the object instead of the webhook's own.
    #[arg(long, requires = "emit_admission_events", conflicts_with = "policies")]
    pub admission_events_involved_namespace: bool,
    /// What becomes of constraints whose policy reads a kind that may not be listed, or cannot be.
    #[arg(long, value_name = "WHAT", default_value = "error", conflicts_with = "policies")]
    pub unreadable_inventory: UnreadableInventory,
    /// Requests to the API server a second, in the long run.
    #[arg(long, value_name = "N", default_value_t = 300, conflicts_with = "policies", value_parser = clap::value_parser!(u32).range(1..))]
    pub kube_qps: u32,
    /// Requests to the API server that may go out at once after a pause.
    #[arg(long, value_name = "N", default_value_t = 600, conflicts_with = "policies", value_parser = clap::value_parser!(u32).range(1..))]
    pub kube_burst: u32,
}

/// What becomes of constraints that cannot be judged by, because it is not known what objects there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum UnreadableInventory {
    /// Each is an error with its own action: what it would deny is refused.
    Error,
    /// They are not in force, which their status, the log and the metrics say.
    Ignore,
}

/// Connects. Nothing is asked yet.
///
/// # Errors
///
/// If it is not known where the API server is or how to speak to it.
pub async fn connect(args: &KubeArgs) -> Result<Cluster, ClusterError> {
    let access = match (&args.kube_server, &args.kubeconfig, &args.context) {
        (Some(url), ..) => Access::Url(url.clone()),
        (None, None, None) => Access::Inferred,
        (None, file, context) => Access::Kubeconfig { file: file.clone(), context: context.clone() },
    };
    let user_agent = concat!("portcullis-webhook/", env!("CARGO_PKG_VERSION")).to_owned();
    let options = ConnectOptions {
        access,
        user_agent,
        requests_per_second: args.kube_qps,
        burst: args.kube_burst,
        ..ConnectOptions::default()
    };
    Cluster::connect(&options).await
}

/// The webhook's own namespace, if the command line does not say: that of the pod.
#[must_use]
pub fn own_namespace(cluster: &Cluster, said: Option<&str>) -> String {
    /// Where the manifests put it.
    const USUAL: &str = "portcullis-system";
    match (said, cluster.namespace()) {
        (Some(said), _) => said.to_owned(),
        // What it is if nobody says: no place for a webhook.
        (None, "default") => USUAL.to_owned(),
        (None, namespace) => namespace.to_owned(),
    }
}

/// What is served before there is anything to serve. Requests are refused meanwhile.
#[must_use]
pub fn nothing() -> Loaded {
    let serving = Serving {
        policies: PolicySet::empty(),
        inventory: Inventory::empty(),
        templates: std::collections::BTreeMap::new(),
        policies_digest: "none".into(),
        inventory_digest: "none".into(),
    };
    Loaded { serving, warnings: Vec::new(), ingested: Vec::new() }
}

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
    events: Option<EventRecorder>,
    /// Where events are written, if not beside the object.
    event_namespace: Option<String>,
    own_namespace: String,
    /// Statuses that could not be written.
    failed_statuses: AtomicU64,
    /// What the log has said.
    told: Mutex<BTreeSet<String>>,
}

/// Begins to follow a cluster. Must be called on the runtime.
///
/// # Errors
///
/// If there is no thread for it.
pub fn follow(
    args: &KubeArgs,
    cluster: Cluster,
    own_namespace: &str,
    homes: ConfigHomes,
    state: &Arc<State>,
) -> std::io::Result<Arc<Following>> {
    let unreadable = match args.unreadable_inventory {
        UnreadableInventory::Error => Unreadable::Error,
        UnreadableInventory::Ignore => Unreadable::Ignore,
    };
    let options = FeedOptions { homes, unreadable, ..FeedOptions::default() };
    let feed = Feed::start(&cluster, options)?;
    let (snapshots, reports) = feed.follow();
    let of_environment = || ["POD_NAME", "HOSTNAME"].iter().find_map(|name| std::env::var(name).ok());
    let pod =
        args.pod_name.clone().or_else(of_environment).unwrap_or_else(|| "portcullis-webhook".to_owned());
    let recorder = || EventRecorder::start(&cluster, "portcullis-webhook", &pod);
    let beside = args.admission_events_involved_namespace;
    let following = Arc::new(Following {
        cluster: cluster.clone(),
        feed,
        failed_statuses: AtomicU64::new(0),
        snapshots: snapshots.clone(),
        reports: reports.clone(),
        unsupported: state.settings.own.unsupported,
        served: AtomicBool::new(false),
        events: args.emit_admission_events.then(recorder),
        event_namespace: (!beside).then(|| own_namespace.to_owned()),
        own_namespace: own_namespace.to_owned(),
        told: Mutex::default(),
    });
    tokio::spawn(serve_snapshots(Arc::clone(&following), Arc::clone(state), snapshots));
    tokio::spawn(tell(Arc::clone(&following), Arc::clone(state), reports.clone()));
    let writer = args.write_status.then(|| StatusWriter::new(&cluster, &pod, own_namespace, &["webhook"]));
    if args.apply_crds {
        tokio::spawn(keep_crds(cluster.clone(), Arc::clone(state), reports.clone()));
    }
    if let Some(writer) = writer {
        tokio::spawn(keep_statuses(Arc::clone(&following), writer, Arc::clone(state), reports));
    }
    Ok(following)
}

impl Following {
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
        lines.extend(not_in_force(&report).take(MOST_TOLD).map(|line| format!("    {line}")));
        lines.extend(broken(&report).map(|line| format!("    {line}")));
        if !report.unsupported.is_empty() {
            let mark = if self.unsupported == Unsupported::Allowed { "[+]" } else { "[!]" };
            lines.push(format!(
                "{mark}supported: {} policies of Gatekeeper's are not",
                report.unsupported.len()
            ));
            let told = report.unsupported.iter().take(MOST_TOLD).map(|line| format!("    {line}"));
            lines.extend(told);
        }
        lines.join("\n") + "\n"
    }

    /// How many policies there are that nothing is done for.
    #[must_use]
    pub fn unsupported(&self) -> usize {
        self.reports.borrow().unsupported.len()
    }

    /// How it stands with the cluster, in numbers.
    #[must_use]
    pub fn numbers(&self) -> Numbers {
        let report = self.reports.borrow().clone();
        Numbers {
            not_served: report.not_served(),
            failing_watches: report.failing_watches,
            unreadable_kinds: report.unreadable.len(),
            failed_statuses: self.failed_statuses.load(Ordering::Relaxed),
        }
    }

    /// Counts statuses that could not be written.
    pub fn count_failed_statuses(&self, number: usize) {
        self.failed_statuses.fetch_add(number as u64, Ordering::Relaxed);
    }

    /// The Namespace that a request is in: `None` if it is in none. Known ones cost a look; others are asked for, until a deadline.
    ///
    /// # Errors
    ///
    /// Why the Namespace cannot be told. Without it, selectors of namespaces would be guesses.
    pub async fn namespace(&self, envelope: &Envelope, until: Instant) -> Result<Option<Object>, String> {
        let name = envelope.namespace();
        if name.is_empty() || envelope.kind() == ["", "v1", "Namespace"] {
            return Ok(None);
        }
        let known = self.snapshots.borrow().as_ref().and_then(|all| all.namespaces.get(name).cloned());
        if known.is_some() {
            return Ok(known);
        }
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
        if self.events.is_none() || envelope.is_dry_run() {
            return Vec::new();
        }
        let mut all = Vec::new();
        for record in records {
            for action in record.actions.iter() {
                let (reason, what) = match action {
                    EnforcementAction::Deny => ("FailedAdmission", "denied request"),
                    EnforcementAction::Warn => ("WarningAdmission", "raised a warning for request"),
                    EnforcementAction::Dryrun => ("DryrunViolation", "would have denied request"),
                };
                let message = format!(
                    "Admission webhook \"validation.gatekeeper.sh\" {what}, Resource Namespace: {}, Constraint: {}, Message: {}",
                    record.resource_namespace, record.constraint_name, record.message,
                );
                let annotations = [
                    ("process", record.process),
                    ("event_type", record.event_type),
                    ("constraint_group", record.constraint_group),
                    ("constraint_api_version", record.constraint_api_version),
                    ("constraint_kind", record.constraint_kind),
                    ("constraint_name", record.constraint_name),
                    ("constraint_action", record.constraint_action),
                    ("resource_group", &*record.resource_group),
                    ("resource_api_version", &*record.resource_api_version),
                    ("resource_kind", &*record.resource_kind),
                    ("resource_namespace", &*record.resource_namespace),
                    ("resource_name", &*record.resource_name),
                    ("request_username", &*record.request_username),
                ];
                let namespace = match (&self.event_namespace, &*record.resource_namespace) {
                    (None, namespace) if !namespace.is_empty() => namespace.to_owned(),
                    _ => self.own_namespace.clone(),
                };
                let (group, version) = (&record.resource_group, &record.resource_api_version);
                let api_version =
                    if group.is_empty() { version.to_string() } else { format!("{group}/{version}") };
                all.push(Event {
                    reason: reason.to_owned(),
                    message,
                    regarding: Regarding {
                        api_version,
                        kind: record.resource_kind.to_string(),
                        // API servers take only Events that are where their object is.
                        namespace: namespace.clone(),
                        name: record.resource_name.to_string(),
                        uid: String::new(),
                    },
                    namespace,
                    annotations: annotations
                        .iter()
                        .map(|&(key, text)| (key.to_owned(), text.to_owned()))
                        .collect(),
                });
            }
        }
        all
    }

    /// Writes Events, when there is time for it.
    pub fn record(&self, events: Vec<Event>) {
        if let Some(recorder) = &self.events {
            for event in events {
                recorder.record(event);
            }
        }
    }

    /// Events that were not written, if they are to be.
    #[must_use]
    pub fn lost_events(&self) -> Option<u64> {
        self.events.as_ref().map(EventRecorder::dropped)
    }

    /// Writes a line to the log unless it was the last time as well.
    fn tell(&self, state: &State, lines: BTreeSet<String>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        for line in lines.difference(&told) {
            state.log.write(Level::Warn, line, &json!({"process": "cluster"}));
        }
        *told = lines;
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
    /// Statuses that could not be written so far.
    pub failed_statuses: u64,
}

/// Policies that wait or cannot be judged by, one line each. What is wrong with the others is told as their errors.
fn not_in_force(report: &Report) -> impl Iterator<Item = String> + '_ {
    let is_told = |policy: &&PolicyState| {
        matches!(policy.standing, Standing::Waiting { .. } | Standing::Unjudgeable { .. })
    };
    let line = |policy: &PolicyState| {
        let standing = policy.standing.to_string();
        // Why a kind cannot be read is told once, as a problem.
        let short =
            standing.find(" cannot be read: ").and_then(|at| standing.get(..at + " cannot be read".len()));
        format!("{}/{}: {}", policy.resource.gvk.kind, policy.name, short.unwrap_or(&standing))
    };
    report.policies.iter().filter(is_told).map(line)
}

fn is_blind(policy: &PolicyState) -> bool {
    matches!(policy.standing, Standing::Unjudgeable { .. })
}

/// What is wrong with policies, one line each.
fn broken(report: &Report) -> impl Iterator<Item = String> + '_ {
    report.policies.iter().flat_map(|policy| {
        let kind = policy.resource.gvk.kind.clone();
        policy.errors.iter().map(move |error| format!("{kind}/{}: {error}", policy.name))
    })
}

async fn serve_snapshots(
    following: Arc<Following>,
    state: Arc<State>,
    mut snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
) {
    let mut policies: Option<u64> = None;
    loop {
        let snapshot = snapshots.borrow_and_update().clone();
        if let Some(snapshot) = snapshot {
            let revision = snapshot.policies_revision;
            let digest = (policies == Some(revision)).then(|| Arc::clone(&state.serving().policies_digest));
            let is_same = digest.is_some();
            let made = tokio::task::spawn_blocking(move || serving(&snapshot, digest)).await;
            if let Ok(serving) = made {
                if is_same {
                    state.move_on(serving);
                } else {
                    let warnings = serving.policies.missing_inventory(&serving.inventory);
                    if let Some(keeping) = state.keeping() {
                        keeping.serves_policies(&serving.policies);
                    }
                    state.replace(Ok(Loaded { serving, warnings, ingested: Vec::new() }));
                }
                policies = Some(revision);
                following.served.store(true, Ordering::SeqCst);
            }
        }
        if snapshots.changed().await.is_err() {
            let error = Error::new(ErrorKind::Unreadable, "following the cluster broke off");
            let hint = "this is a defect of the webhook; changes are not seen until it is restarted";
            return state.replace(Err(vec![error.hint(hint)]));
        }
    }
}

fn serving(snapshot: &Snapshot, digest: Option<Arc<str>>) -> Serving {
    // Here, so that no request waits for it.
    snapshot.inventory.prepare(&snapshot.policies);
    let digest = digest.unwrap_or_else(|| {
        let templates = snapshot.policies.templates().map(|template| template.document().clone());
        let constraints =
            snapshot.policies.constraints().filter_map(|constraint| constraint.object().document().cloned());
        let documents: Vec<Document> = templates.chain(constraints).collect();
        digest::of_documents(&documents).into()
    });
    Serving {
        policies: snapshot.policies.clone(),
        inventory: snapshot.inventory.clone(),
        templates: (*snapshot.templates).clone(),
        policies_digest: digest,
        inventory_digest: format!("revision {}", snapshot.objects_revision).into(),
    }
}

/// Says in the log what is new of what goes wrong.
async fn tell(following: Arc<Following>, state: Arc<State>, mut reports: watch::Receiver<Arc<Report>>) {
    loop {
        let report = reports.borrow_and_update().clone();
        // What takes its time is no news.
        let waiting = report.waiting.iter().filter(|awaited| !awaited.is_on_its_way());
        let waiting = waiting.map(|awaited| format!("waiting for {awaited}"));
        let problems = report.problems.iter().map(ToString::to_string);
        let unsupported = report.unsupported.iter().take(MOST_TOLD).cloned();
        let judged = report.policies.iter().filter(|policy| report.ready && is_blind(policy));
        let blind =
            judged.map(|policy| format!("{}/{}: {}", policy.resource.gvk.kind, policy.name, policy.standing));
        let lines = waiting.chain(problems).chain(broken(&report)).chain(blind).chain(unsupported);
        following.tell(&state, lines.collect());
        for ingestion in following.feed.take_ingested() {
            state.metrics.compiled(ingestion.took, ingestion.is_sound);
        }
        if reports.changed().await.is_err() {
            return;
        }
    }
}
