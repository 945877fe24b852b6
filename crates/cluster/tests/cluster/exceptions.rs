//! Exceptions of a cluster. They loosen: what is not known of them lets nothing pass.

use std::time::Duration;

use portcullis::{Decision, EnforcementPoint, Object, Review, World};
use portcullis_cluster::{Feed, PolicyState, Report, Snapshot, Standing};
use portcullis_testkit::apiserver::{ApiServer, Fault, Verb};
use serde_json::{Value, json};

use crate::connect;
use crate::feed::{constraint, install, options, refuse, service, until};

const PLURAL: &str = "policyexceptions";
/// 2026-01-01.
const NOW_NS: i64 = 1_767_225_600_000_000_000;

fn register(server: &ApiServer) {
    server.register("policy.portcullis.dev/v1alpha1", "PolicyException", PLURAL, false);
}

fn exception(more: &Value) -> Value {
    let mut spec =
        json!({"constraints": ["Refuse/refuse"], "match": {"namespaces": ["shop"]}, "reason": "known"});
    for (key, value) in more.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    json!({"apiVersion": "policy.portcullis.dev/v1alpha1", "kind": "PolicyException",
        "metadata": {"name": "shop"}, "spec": spec})
}

/// A cluster with a policy that refuses everything.
async fn server() -> ApiServer {
    let server = ApiServer::start().await;
    install(&server, refuse("Refuse", "no"));
    server.put(constraint("Refuse", "refuse"));
    server
}

async fn start(server: &ApiServer) -> Feed {
    let mut feed = Feed::start(&connect(server).await, options()).expect("a thread");
    feed.ready().await.expect("a feed");
    feed
}

/// Whether a Service in a namespace is denied.
fn denies(snapshot: &Snapshot, namespace: &str) -> bool {
    let object = Object::from_json(&service(namespace, "a", "a")).expect("an object");
    let world = World::new(&snapshot.inventory).with_now(NOW_NS);
    let outcome = snapshot.policies.review(&Review::from_object(object), &world, EnforcementPoint::Webhook);
    !Decision::from(&outcome).denials().is_empty()
}

async fn until_denied(feed: &Feed, denied: bool) {
    until(&format!("denied: {denied}"), feed, |snapshot, _| {
        assert!(denies(snapshot?, "blog"), "what is not excepted is always denied");
        (denies(snapshot?, "shop") == denied).then_some(())
    })
    .await;
}

fn state(report: &Report) -> Option<&PolicyState> {
    report.policies.iter().find(|policy| policy.name == "shop")
}

/// What is said of the kind.
fn problem(report: &Report) -> Option<&str> {
    let problem = report.problems.iter().find(|problem| problem.subject.starts_with(PLURAL));
    problem.map(|problem| &*problem.message)
}

#[tokio::test(flavor = "multi_thread")]
async fn exceptions_come_end_and_go() {
    let server = server().await;
    register(&server);
    server.put(exception(&json!({})));
    let feed = start(&server).await;
    let first = feed.snapshot().expect("a snapshot");
    assert!(!denies(&first, "shop") && denies(&first, "blog"), "from the first snapshot on");
    server.put(exception(&json!({"expiresAt": "2025-12-31"})));
    until_denied(&feed, true).await;
    server.put(exception(&json!({"expiresAt": "2026-12-31"})));
    until_denied(&feed, false).await;
    until("it is in force", &feed, |_, report| {
        let state = state(report)?;
        (state.enforced && state.standing == Standing::Served).then_some(())
    })
    .await;
    // What others write beside it is no change.
    let before = feed.snapshot().expect("a snapshot").policies_revision;
    let mut live = server.get(PLURAL, "", "shop").expect("an exception");
    live["status"] = json!({"byPod": [{"id": "x"}]});
    server.put(live);
    until("the status is seen", &feed, |_, report| (!state(report)?.by_pod.is_empty()).then_some(())).await;
    assert_eq!(feed.snapshot().expect("a snapshot").policies_revision, before);
    server.delete(PLURAL, "", "shop");
    until_denied(&feed, true).await;
    assert_eq!(feed.report().unknown_exceptions, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exception_whose_update_is_broken_lets_nothing_pass() {
    let server = server().await;
    register(&server);
    server.put(exception(&json!({})));
    let feed = start(&server).await;
    let broken = [
        json!({"reason": " "}),
        json!({"expiresAt": "some day"}),
        json!({"expires": "2027-01-01"}),
        json!({"match": {"namespace": ["shop"]}}),
        json!({"constraints": ["refuse"]}),
    ];
    for broken in broken {
        until_denied(&feed, false).await;
        server.put(exception(&broken));
        until_denied(&feed, true).await;
        until(&format!("{broken} is said"), &feed, |_, report| {
            let state = state(report)?;
            let is_rejected = matches!(state.standing, Standing::Rejected { .. });
            (is_rejected && !state.enforced && !state.errors.is_empty()).then_some(())
        })
        .await;
        // A list that comes later changes nothing of that.
        server.end_watches();
        // What is repaired is in force again.
        server.put(exception(&json!({})));
    }
    until_denied(&feed, false).await;
    // Another exception beside a broken one is in force.
    let mut other = exception(&json!({}));
    other["metadata"]["name"] = json!("other");
    server.put(other);
    server.put(exception(&json!({"reason": ""})));
    until("it is rejected", &feed, |_, report| (!state(report)?.enforced).then_some(())).await;
    until_denied(&feed, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn exceptions_that_may_not_be_listed_are_not_in_force_and_that_is_said() {
    let server = server().await;
    register(&server);
    server.put(exception(&json!({})));
    server.deny(PLURAL);
    // It is ready all the same: nothing passes by it.
    let feed = start(&server).await;
    until("it is said", &feed, |snapshot, report| {
        assert!(denies(snapshot?, "shop"));
        let is_said =
            problem(report)?.contains("no exception is in force") && problem(report)?.contains("forbidden");
        (is_said && report.unknown_exceptions.is_some()).then_some(())
    })
    .await;
    server.grant(PLURAL);
    until_denied(&feed, false).await;
    until("it is known", &feed, |_, report| report.unknown_exceptions.is_none().then_some(())).await;
    // Whether it was taken away cannot be seen from now on.
    server.deny(PLURAL);
    server.end_watches();
    until_denied(&feed, true).await;
    until("it waits", &feed, |_, report| {
        let state = state(report)?;
        let waits = matches!(state.standing, Standing::Waiting { .. }) && !state.enforced;
        (waits && problem(report)?.contains("no exception is in force")).then_some(())
    })
    .await;
    server.grant(PLURAL);
    until_denied(&feed, false).await;
    until("all is well", &feed, |_, report| {
        (problem(report).is_none() && state(report)?.standing == Standing::Served).then_some(())
    })
    .await;
}

/// A watch that was given up and goes on where it was is believed again.
#[tokio::test(flavor = "multi_thread")]
async fn a_watch_that_fails_for_long_ends_exceptions_until_it_works_again() {
    let server = server().await;
    register(&server);
    server.put(exception(&json!({})));
    let feed = start(&server).await;
    until_denied(&feed, false).await;
    server.fault(Fault::on(Verb::Watch, PLURAL).always().status(500, "InternalError"));
    server.end_watches();
    until("it fails", &feed, |_, report| problem(report).map(|_| ())).await;
    assert!(!denies(&feed.snapshot().expect("a snapshot"), "shop"), "a failure is borne for some time");
    until_denied(&feed, true).await;
    server.heal();
    until_denied(&feed, false).await;
    until("all is well", &feed, |_, report| {
        (problem(report).is_none() && report.unknown_exceptions.is_none()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_that_breaks_off_is_no_list() {
    let server = server().await;
    register(&server);
    for number in 0..5 {
        let mut more = exception(&json!({}));
        more["metadata"]["name"] = json!(format!("e{number}"));
        server.put(more);
    }
    server.fault(Fault::on(Verb::List, PLURAL).after(1).always().disconnect_after(0));
    let feed = start(&server).await;
    until("it is said", &feed, |snapshot, report| {
        assert!(denies(snapshot?, "shop"));
        problem(report)?.contains("no exception is in force").then_some(())
    })
    .await;
    server.heal();
    until_denied(&feed, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_that_is_not_installed_has_none_until_it_is() {
    let server = server().await;
    let feed = start(&server).await;
    let report = feed.report();
    assert!(problem(&report).is_none() && report.unknown_exceptions.is_none(), "{report:#?}");
    assert!(denies(&feed.snapshot().expect("a snapshot"), "shop"));
    server.establish_late(Duration::from_millis(200), Duration::ZERO);
    server.put(json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "policyexceptions.policy.portcullis.dev"},
        "spec": {"group": "policy.portcullis.dev", "scope": "Cluster",
            "names": {"kind": "PolicyException", "plural": PLURAL},
            "versions": [{"name": "v1alpha1", "served": true, "storage": true}]}}));
    tokio::time::sleep(Duration::from_millis(500)).await;
    server.put(exception(&json!({})));
    until_denied(&feed, false).await;
    // They go with their kind.
    server.delete("customresourcedefinitions", "", "policyexceptions.policy.portcullis.dev");
    server.unregister(PLURAL);
    until_denied(&feed, true).await;
    until("none is known", &feed, |_, report| state(report).is_none().then_some(())).await;
}
