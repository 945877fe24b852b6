//! Writes: only what changed, also where others write at the same time.

use std::collections::BTreeSet;
use std::time::Duration;

use portcullis::{ConstraintKey, Document, Resource};
use portcullis_cluster::{
    ApiResource, AuditStatus, AuditViolation, Definition, Event, EventRecorder, Feed, FeedOptions,
    Leadership, LeaseOptions, PolicyState, Regarding, StatusWriter, Written, apply_constraint_crd,
    write_audit_status,
};
use portcullis_testkit::apiserver::{ApiServer, Fault, Verb};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::connect;
use crate::feed::{constraint, install, refuse, template};

/// How old the time of an audit may become.
const REFRESH: Duration = Duration::from_mins(5);

fn key(kind: &str, name: &str) -> ConstraintKey {
    ConstraintKey { kind: kind.into(), name: name.into() }
}

async fn states(feed: &Feed, count: usize) -> Vec<PolicyState> {
    let wait = async {
        while feed.report().policies.len() < count || !feed.report().ready {
            sleep(Duration::from_millis(3)).await;
        }
        feed.report().policies.clone()
    };
    timeout(Duration::from_mins(1), wait).await.expect("policies")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_pod_has_its_entry_and_writes_it_once() {
    let server = ApiServer::start().await;
    install(&server, refuse("No", "no"));
    install(&server, template("Broken", "package p\nviolation[{"));
    server.put(constraint("No", "no"));
    for pod in ["pod-a", "pod-b"] {
        server.put(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "gatekeeper-system", "name": pod}}));
    }
    let mut old = server.get("no", "", "no").expect("the constraint");
    old["status"] = json!({"byPod": [{"id": "pod-of-last-week"}], "totalViolations": 7});
    server.put(old);
    let cluster = connect(&server).await;
    let options = FeedOptions { debounce: Duration::from_millis(5), ..FeedOptions::default() };
    let feed = Feed::start(&cluster, options).expect("a thread");
    let policies = states(&feed, 3).await;
    let writers =
        ["pod-a", "pod-b"].map(|pod| StatusWriter::new(&cluster, pod, "gatekeeper-system", &["webhook"]));
    for writer in &writers {
        let living = writer.living_pods().await.expect("pods");
        assert_eq!(living, BTreeSet::from(["pod-a".to_owned(), "pod-b".to_owned()]));
        for state in &policies {
            assert!(writer.is_due(state));
            assert_eq!(writer.write(state, Some(&living)).await.expect("a write"), Written::Changed);
        }
    }
    let written = server.get("no", "", "no").expect("the constraint");
    let uid = &written["metadata"]["uid"];
    assert_eq!(written["status"]["totalViolations"], 7);
    assert_eq!(
        written["status"]["byPod"],
        json!([
            {"id": "pod-a", "constraintUID": uid, "enforced": true, "observedGeneration": 1, "operations": ["webhook"]},
            {"id": "pod-b", "constraintUID": uid, "enforced": true, "observedGeneration": 1, "operations": ["webhook"]},
        ])
    );
    let good = server.get("constrainttemplates", "", "no").expect("the template");
    assert_eq!(good["status"]["created"], true);
    let broken = server.get("constrainttemplates", "", "broken").expect("the template");
    assert_eq!(broken["status"].get("created"), None);
    let error = &broken["status"]["byPod"][0]["errors"][0];
    assert_eq!(error["code"], "ingest_error");
    assert!(error["location"].as_str().expect("a field").contains("line 2, column"), "{error}");
    // What is so already is not written, asked of the feed or of the API server.
    server.forget_requests();
    for writer in &writers {
        for state in &policies {
            assert_eq!(writer.write(state, None).await.expect("no write"), Written::Unchanged);
        }
    }
    assert_eq!(server.writes().len(), 0);
    let seen = async {
        while feed.report().policies.iter().any(|state| writers.iter().any(|writer| writer.is_due(state))) {
            sleep(Duration::from_millis(3)).await;
        }
    };
    timeout(Duration::from_mins(1), seen).await.expect("the feed sees what was written");
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_that_write_at_the_same_time_lose_nothing() {
    let server = ApiServer::start().await;
    install(&server, refuse("No", "no"));
    server.put(constraint("No", "no"));
    let cluster = connect(&server).await;
    let feed = Feed::start(&cluster, FeedOptions::default()).expect("a thread");
    let policies = states(&feed, 2).await;
    let state =
        policies.iter().find(|state| state.resource == ApiResource::constraints("No")).expect("one").clone();
    let writes: Vec<_> = (0..4)
        .map(|index| {
            let writer =
                StatusWriter::new(&cluster, &format!("pod-{index}"), "gatekeeper-system", &["webhook"]);
            let state = state.clone();
            tokio::spawn(async move { writer.write(&state, None).await })
        })
        .collect();
    for write in writes {
        assert_eq!(write.await.expect("a task").expect("a write"), Written::Changed);
    }
    let written = server.get("no", "", "no").expect("the constraint");
    assert_eq!(written["status"]["byPod"].as_array().map(Vec::len), Some(4));
    // An object that was made anew is not what the state is about.
    server.delete("no", "", "no");
    server.put(constraint("No", "no"));
    let writer = StatusWriter::new(&cluster, "pod-0", "gatekeeper-system", &["webhook"]);
    assert_eq!(writer.write(&state, None).await.expect("no write"), Written::Unchanged);
    server.delete("no", "", "no");
    assert_eq!(writer.write(&state, None).await.expect("no write"), Written::Missing);
}

#[tokio::test]
async fn what_an_audit_found_is_written_where_it_changed() {
    let server = ApiServer::start().await;
    install(&server, refuse("No", "no"));
    server.put(constraint("No", "no"));
    let cluster = connect(&server).await;
    let violation = AuditViolation {
        version: "v1".to_owned(),
        kind: "Pod".to_owned(),
        name: "web".to_owned(),
        namespace: "shop".to_owned(),
        message: "no".to_owned(),
        enforcement_action: "deny".to_owned(),
        ..AuditViolation::default()
    };
    let at = |timestamp: &str, violations: &[AuditViolation]| AuditStatus {
        timestamp: timestamp.to_owned(),
        total: 21 * violations.len() as u64,
        violations: violations.to_vec(),
    };
    let key = key("No", "no");
    // Somebody else is faster, twice.
    server.fault(Fault::on(Verb::Write, "no").times(2).status(409, "Conflict"));
    let found = at("2026-01-01T00:00:00Z", std::slice::from_ref(&violation));
    assert_eq!(write_audit_status(&cluster, &key, &found, REFRESH).await.expect("a write"), Written::Changed);
    let status = server.get("no", "", "no").expect("the constraint")["status"].clone();
    assert_eq!(
        status,
        json!({"auditTimestamp": "2026-01-01T00:00:00Z", "totalViolations": 21, "violations": [
            {"group": "", "version": "v1", "kind": "Pod", "name": "web", "namespace": "shop", "message": "no", "enforcementAction": "deny"},
        ]})
    );
    server.forget_requests();
    let again = at("2026-01-01T00:01:00Z", std::slice::from_ref(&violation));
    assert_eq!(
        write_audit_status(&cluster, &key, &again, REFRESH).await.expect("no write"),
        Written::Unchanged
    );
    assert_eq!(server.writes().len(), 0);
    let none = at("2026-01-01T00:02:00Z", &[]);
    assert_eq!(write_audit_status(&cluster, &key, &none, REFRESH).await.expect("a write"), Written::Changed);
    let write = server.writes().remove(0);
    assert_eq!(
        (&*write.method, &*write.path),
        ("PATCH", "/apis/constraints.gatekeeper.sh/v1beta1/no/no/status")
    );
    assert_eq!(server.get("no", "", "no").expect("the constraint")["status"].get("violations"), None);
    let missing = self::key("No", "other");
    assert_eq!(
        write_audit_status(&cluster, &missing, &none, REFRESH).await.expect("no write"),
        Written::Missing
    );
    server.fault(Fault::on(Verb::Write, "no").always().status(409, "Conflict"));
    assert!(write_audit_status(&cluster, &key, &found, REFRESH).await.expect_err("an error").is_conflict());
}

fn lease(identity: &str) -> LeaseOptions {
    LeaseOptions {
        duration: Duration::from_secs(1),
        renew: Duration::from_millis(50),
        ..LeaseOptions::new("gatekeeper-system", "audit", identity)
    }
}

fn holder(server: &ApiServer) -> Value {
    server.get("leases", "gatekeeper-system", "audit").expect("the lease")["spec"]["holderIdentity"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_several_leads_and_the_next_one_follows() {
    let server = ApiServer::start().await;
    let cluster = connect(&server).await;
    let mut first = Leadership::acquire(&cluster, lease("a")).await.expect("the lease");
    assert!(first.is_held());
    assert_eq!(holder(&server), "a");
    let second = {
        let cluster = cluster.clone();
        tokio::spawn(async move { Leadership::acquire(&cluster, lease("b")).await })
    };
    // Longer than it holds without being renewed.
    assert!(timeout(Duration::from_millis(1500), first.lost()).await.is_err());
    assert!(!second.is_finished() && first.is_held());
    first.release().await.expect("a release");
    let second =
        timeout(Duration::from_mins(1), second).await.expect("soon").expect("a task").expect("the lease");
    assert_eq!(holder(&server), "b");
    let spec = &server.get("leases", "gatekeeper-system", "audit").expect("the lease")["spec"];
    assert!(
        spec["leaseTransitions"].as_u64() >= Some(1)
            && spec["renewTime"].as_str().is_some_and(|time| time.ends_with('Z'))
    );
    // One that is gone without a word is waited for.
    drop(second);
    let start = std::time::Instant::now();
    let third = timeout(Duration::from_mins(1), Leadership::acquire(&cluster, lease("c"))).await;
    let mut third = third.expect("in time").expect("the lease");
    assert!(start.elapsed() >= Duration::from_millis(900));
    // One that cannot renew stops before another may start.
    server.fault(Fault::on(Verb::Any, "leases").always().status(503, "ServiceUnavailable"));
    timeout(Duration::from_mins(1), third.lost()).await.expect("lost");
    assert!(!third.is_held());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_loses_the_lease_to_another_knows_it() {
    let server = ApiServer::start().await;
    let cluster = connect(&server).await;
    let mut first = Leadership::acquire(&cluster, lease("a")).await.expect("the lease");
    let mut stolen = server.get("leases", "gatekeeper-system", "audit").expect("the lease");
    stolen["spec"]["holderIdentity"] = json!("thief");
    server.put(stolen);
    timeout(Duration::from_mins(1), first.lost()).await.expect("lost");
    first.release().await.expect("nothing to release");
    assert_eq!(holder(&server), "thief");
    server.fault(Fault::on(Verb::Any, "leases").forbidden());
    assert!(Leadership::acquire(&cluster, lease("b")).await.expect_err("an error").is_forbidden());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_event_is_counted_and_too_many_are_dropped() {
    let server = ApiServer::start().await;
    let cluster = connect(&server).await;
    let recorder = EventRecorder::start(&cluster, "portcullis-webhook", "pod-a");
    let event = |name: &str| Event {
        reason: "FailedAdmission".to_owned(),
        message: "x".repeat(2000),
        namespace: "gatekeeper-system".to_owned(),
        regarding: Regarding {
            api_version: "v1".to_owned(),
            kind: "Pod".to_owned(),
            name: name.to_owned(),
            ..Regarding::default()
        },
        annotations: [("constraint_name".to_owned(), "no".to_owned())].into(),
    };
    for _ in 0..3 {
        recorder.record(event("web"));
    }
    recorder.record(event("Web:2"));
    let counted = async {
        while server.writes().len() < 4 {
            sleep(Duration::from_millis(3)).await;
        }
    };
    timeout(Duration::from_mins(1), counted).await.expect("four writes");
    assert_eq!(server.count("events"), 2);
    let writes = server.writes();
    let first = &writes[0].body;
    assert_eq!((&first["reason"], &first["type"]), (&json!("FailedAdmission"), &json!("Warning")));
    assert_eq!(first["message"].as_str().map(str::len), Some(1024));
    assert_eq!(writes[2].body["count"], 3);
    for index in 0..500 {
        recorder.record(event(&format!("web-{index}")));
    }
    let dropped = async {
        while recorder.dropped() < 300 {
            sleep(Duration::from_millis(3)).await;
        }
    };
    timeout(Duration::from_mins(1), dropped).await.expect("most of them are too many");
    assert!(server.count("events") < 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_crd_of_a_template_is_applied_once() {
    let server = ApiServer::start().await;
    let cluster = connect(&server).await;
    server.put(refuse("No", "no"));
    let feed = Feed::start(&cluster, FeedOptions::default()).expect("a thread");
    let state = states(&feed, 1).await.remove(0);
    let (documents, _) = Document::read_all("t.json", &refuse("No", "no").to_string());
    let (Some(Resource::Template(template)), _) = Resource::read(&documents[0]) else {
        panic!("expected a template")
    };
    let crd = template.crd();
    assert_eq!(apply_constraint_crd(&cluster, &state, &crd).await.expect("a write"), Written::Changed);
    let there = PolicyState { definition: Definition::There, ..state.clone() };
    assert_eq!(apply_constraint_crd(&cluster, &there, &crd).await.expect("no write"), Written::Unchanged);
    let live = server.get("customresourcedefinitions", "", "no.constraints.gatekeeper.sh").expect("the CRD");
    assert_eq!(live["metadata"]["ownerReferences"][0]["uid"], json!(state.uid));
    // The kind is there now: a constraint of it is seen.
    server.put(constraint("No", "no"));
    let seen = async {
        while feed.snapshot().is_none_or(|snapshot| snapshot.policies.constraints().count() == 0) {
            sleep(Duration::from_millis(3)).await;
        }
    };
    timeout(Duration::from_mins(1), seen).await.expect("the constraint");
}
