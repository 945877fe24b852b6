//! The tasks of a cluster that is followed: snapshots are served, problems are logged.

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis::{
    Document, Error, ErrorKind, ExpansionSet, Inventory, MutatorSet, PolicySet, PolicySettings,
};
use portcullis_cluster::{
    Cluster, EventRecorder, Feed, FeedOptions, Ingested, Report, Snapshot, StatusWriter, Unreadable,
};
use tokio::sync::watch;

use super::args::{KubeArgs, UnreadableInventory};
use super::events::Events;
use super::following::{Following, MAX_NAMED, broken, is_blind};
use crate::digest;
use crate::load::Loaded;
use crate::serving::Serving;
use crate::state::State;
use crate::write_back::{keep_crds, keep_statuses};

/// What is served before there is anything to serve. Requests are refused meanwhile.
#[must_use]
pub fn nothing() -> Loaded {
    let serving = Serving {
        policies: PolicySet::empty(),
        expansions: ExpansionSet::empty(),
        mutators: Ok(MutatorSet::empty()),
        admission: None,
        inventory: Inventory::empty(),
        templates: BTreeMap::new(),
        policies_digest: "none".into(),
        inventory_digest: "none".into(),
    };
    Loaded { serving, warnings: Vec::new(), ingested: Vec::new(), ingested_mutators: Vec::new() }
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
    settings: PolicySettings,
    state: &Arc<State>,
) -> std::io::Result<Arc<Following>> {
    let unreadable = match args.unreadable_inventory {
        UnreadableInventory::Error => Unreadable::Error,
        UnreadableInventory::Ignore => Unreadable::Ignore,
    };
    let uses = state.settings.own.uses;
    let options = FeedOptions { settings, unreadable, uses, ..FeedOptions::default() };
    let feed = Feed::start(&cluster, options)?;
    let (snapshots, reports) = feed.follow();
    let of_environment = || ["POD_NAME", "HOSTNAME"].iter().find_map(|name| std::env::var(name).ok());
    let pod =
        args.pod_name.clone().or_else(of_environment).unwrap_or_else(|| "portcullis-webhook".to_owned());
    let events = args.emit_admission_events.then(|| {
        let recorder = EventRecorder::start(&cluster, "portcullis-webhook", &pod);
        Events::new(recorder, args.admission_events_involved_namespace, own_namespace)
    });
    let following = Arc::new(Following::new(&cluster, feed, state.settings.own.unsupported, events));
    tokio::spawn(serve_snapshots(Arc::clone(&following), Arc::clone(state), snapshots));
    tokio::spawn(log_problems(Arc::clone(&following), Arc::clone(state), reports.clone()));
    let operations: &[&str] = if uses.mutators { &["mutation-webhook", "webhook"] } else { &["webhook"] };
    let writer = args.write_status.then(|| StatusWriter::new(&cluster, &pod, own_namespace, operations));
    if args.apply_crds {
        tokio::spawn(keep_crds(cluster.clone(), Arc::clone(state), reports.clone()));
    }
    if let Some(writer) = writer {
        tokio::spawn(keep_statuses(Arc::clone(&following), writer, Arc::clone(state), reports));
    }
    Ok(following)
}

async fn serve_snapshots(
    following: Arc<Following>,
    state: Arc<State>,
    mut snapshots: watch::Receiver<Option<Arc<Snapshot>>>,
) {
    let mut policies: Option<(u64, u64)> = None;
    loop {
        let snapshot = snapshots.borrow_and_update().clone();
        if let Some(snapshot) = snapshot {
            let revision = (snapshot.policies_revision, snapshot.mutation_revision);
            let digest = (policies == Some(revision)).then(|| Arc::clone(&state.serving().policies_digest));
            let is_same = digest.is_some();
            let made = tokio::task::spawn_blocking(move || serving(&snapshot, digest)).await;
            if let Ok(serving) = made {
                if is_same {
                    state.move_on(serving);
                } else {
                    let mut warnings = serving.policies.missing_inventory(&serving.inventory);
                    warnings.extend(serving.policies.idle_exceptions(Some(state.now_ns())));
                    if let Some(keeping) = state.keeping() {
                        keeping.serves_policies(&serving);
                    }
                    let (ingested, ingested_mutators) = (Vec::new(), Vec::new());
                    state.replace(Ok(Loaded { serving, warnings, ingested, ingested_mutators }));
                }
                policies = Some(revision);
                following.serves();
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
        let expansions = snapshot.expansions.objects().filter_map(|template| template.document().cloned());
        let mutators = snapshot.mutators.iter().flat_map(MutatorSet::mutators);
        let mutators = mutators.filter_map(|mutator| mutator.object().document().cloned());
        let exceptions = snapshot.policies.exception_documents().cloned();
        let documents: Vec<Document> =
            templates.chain(constraints).chain(exceptions).chain(expansions).chain(mutators).collect();
        digest::of_documents(&documents).into()
    });
    Serving {
        policies: snapshot.policies.clone(),
        expansions: snapshot.expansions.clone(),
        mutators: snapshot.mutators.clone(),
        admission: None,
        inventory: snapshot.inventory.clone(),
        templates: (*snapshot.templates).clone(),
        policies_digest: digest,
        inventory_digest: format!("revision {}", snapshot.objects_revision).into(),
    }
}

/// Logs what is new of what goes wrong.
async fn log_problems(
    following: Arc<Following>,
    state: Arc<State>,
    mut reports: watch::Receiver<Arc<Report>>,
) {
    loop {
        let report = reports.borrow_and_update().clone();
        // What takes its time is no news.
        let waiting = report.waiting.iter().filter(|awaited| !awaited.is_on_its_way());
        let waiting = waiting.map(|awaited| format!("waiting for {awaited}"));
        let problems = report.problems.iter().map(ToString::to_string);
        let unsupported = report.unsupported.iter().take(MAX_NAMED).cloned();
        let judged = report.policies.iter().filter(|policy| report.ready && is_blind(policy));
        let blind =
            judged.map(|policy| format!("{}/{}: {}", policy.resource.gvk.kind, policy.name, policy.standing));
        let lines = waiting.chain(problems).chain(broken(&report)).chain(blind).chain(unsupported);
        following.log(&state.log, lines.collect());
        for ingestion in following.take_ingested() {
            match ingestion.of {
                Ingested::Template => state.metrics.compiled(ingestion.took, ingestion.is_sound),
                Ingested::Mutator => state.metrics.compiled_mutator(ingestion.took, ingestion.is_sound),
            }
        }
        if reports.changed().await.is_err() {
            return;
        }
    }
}
