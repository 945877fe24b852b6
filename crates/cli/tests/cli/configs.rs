//! Which Config counts, asked of everything that reads one: the same namespaces are left alone by the command
//! line, the webhook and the audit, of files and of a cluster.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use portcullis::{EvaluationLimits, Limits, PolicySettings, Unsupported};
use portcullis_audit::kube::{Connection, Scope};
use portcullis_audit::memory::Ceiling;
use portcullis_audit::run::{Aside, Settings, audit};
use portcullis_cluster::{Access, Cluster, ConnectOptions, Feed, FeedOptions};
use portcullis_report::sink::Target;
use portcullis_report::{Form, StatusLimits};
use portcullis_testkit::apiserver::ApiServer;
use portcullis_webhook::admission::{Budget, Own, Serving, admit};
use portcullis_webhook::load::{Paths, load};
use serde_json::{Value, json};

use crate::run_in;

/// Namespace and name of Configs; the first that counts is that of our own namespace.
const CONFIGS: [(&str, &str); 4] = [
    ("portcullis-system", "config"),
    ("gatekeeper-system", "config"),
    ("gatekeeper-system", "other"),
    ("team", "config"),
];

fn policies() -> Vec<Value> {
    vec![
        json!({"apiVersion": "templates.gatekeeper.sh/v1", "kind": "ConstraintTemplate", "metadata": {"name": "never"},
            "spec": {"crd": {"spec": {"names": {"kind": "Never"}}}, "targets": [{
                "target": "admission.k8s.gatekeeper.sh",
                "rego": "package never\nviolation[{\"msg\": \"never\"}] { true }"}]}}),
        json!({"apiVersion": "constraints.gatekeeper.sh/v1beta1", "kind": "Never", "metadata": {"name": "never"},
            "spec": {"match": {"kinds": [{"apiGroups": [""], "kinds": ["Pod"]}]}}}),
    ]
}

/// Each leaves a namespace of its own alone.
fn config(index: usize) -> Value {
    let (namespace, name) = CONFIGS[index];
    json!({"apiVersion": "config.gatekeeper.sh/v1alpha1", "kind": "Config",
        "metadata": {"namespace": namespace, "name": name},
        "spec": {"match": [{"excludedNamespaces": [format!("ns-{index}")], "processes": ["*"]}]}})
}

fn pod(index: usize) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": format!("ns-{index}"), "name": "p"}})
}

fn namespace(name: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
}

/// The namespaces whose pod is denied, by what serves a webhook.
fn by_admission(serving: &Serving) -> BTreeSet<usize> {
    let denied = |index: &usize| {
        let pod = pod(*index);
        let request = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
            "uid": "1", "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "resource": {"group": "", "version": "v1", "resource": "pods"}, "operation": "CREATE",
            "name": "p", "namespace": pod["metadata"]["namespace"], "userInfo": {"username": "somebody"}, "object": pod}});
        let budget = Budget {
            limits: EvaluationLimits::default(),
            deadline: Instant::now() + Duration::from_mins(1),
            now_ns: 0,
        };
        !admit(request.to_string().as_bytes(), serving, &Own::default(), Ok(None), &budget).1.is_allowed()
    };
    (0..CONFIGS.len()).filter(denied).collect()
}

fn by_webhook_of_files(directory: &Path) -> (BTreeSet<usize>, usize) {
    let paths = Paths {
        policies: vec![directory.join("policies.yaml")],
        resources: Vec::new(),
        limits: Limits::default(),
        unsupported: Unsupported::Refused,
        settings: PolicySettings::default(),
        mutates: false,
    };
    let loaded = load(&paths).unwrap();
    let ignored =
        loaded.warnings.iter().filter(|warning| warning.message().contains("this Config is ignored"));
    (by_admission(&loaded.serving), ignored.count())
}

async fn by_webhook_of_cluster(server: &ApiServer, objects: usize) -> (BTreeSet<usize>, usize) {
    let options =
        ConnectOptions { access: Access::Url(server.url().to_owned()), ..ConnectOptions::default() };
    let cluster = Cluster::connect(&options).await.unwrap();
    let feed = Feed::start(&cluster, FeedOptions::default()).unwrap();
    let end = Instant::now() + Duration::from_mins(1);
    while feed.snapshot().is_none() || feed.report().policies.len() < objects {
        assert!(Instant::now() < end, "{:#?}", feed.report());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let snapshot = feed.snapshot().unwrap();
    let serving = Serving {
        admission: None,
        expansions: portcullis::ExpansionSet::empty(),
        mutators: Ok(portcullis::MutatorSet::empty()),
        policies: snapshot.policies.clone(),
        inventory: snapshot.inventory.clone(),
        templates: (*snapshot.templates).clone(),
        policies_digest: "".into(),
        inventory_digest: "".into(),
    };
    let report = feed.report();
    let errors = report.policies.iter().flat_map(|policy| &policy.errors);
    let ignored = errors.filter(|error| error.error.message().contains("this Config is ignored"));
    (by_admission(&serving), ignored.count())
}

/// An audit of a cluster: the namespaces, and how many Configs it says are ignored.
fn by_audit_of_cluster(server: &ApiServer, directory: &Path) -> (BTreeSet<usize>, usize) {
    let options =
        ConnectOptions { access: Access::Url(server.url().to_owned()), ..ConnectOptions::default() };
    let connection = Connection::open(&options).unwrap();
    let policies = connection.policies(None, Unsupported::Refused, &PolicySettings::default()).unwrap();
    let problems = policies.problems.iter();
    let ignored = problems.filter(|problem| problem.message().contains("this Config is ignored")).count();
    let stop = AtomicBool::new(false);
    let mut subject = connection.subject(&policies, 500, Scope::All, &stop).unwrap();
    let settings = Settings {
        threads: 1,
        ceiling: Ceiling::new(512 << 20),
        limits: EvaluationLimits::default(),
        timeout: Duration::from_secs(10),
        aside: Aside::Nothing,
        places: portcullis::Places::default(),
        status: StatusLimits { violations: 3, message: 256 },
        providers: portcullis_providers::ProviderArgs::default(),
        explain: None,
        now: None,
    };
    let path = directory.join("audit.ndjson");
    let mut sinks = vec![Form::Ndjson.sink(Target::File(path.clone()))];
    audit(&policies, &mut subject, &settings, &mut sinks, &stop).unwrap();
    (by_program(&fs::read_to_string(path).unwrap(), "").0, ignored)
}

/// The namespaces that a program names in lines of JSON, and how many Configs it says are ignored.
fn by_program(output: &str, errors: &str) -> (BTreeSet<usize>, usize) {
    let denied = (0..CONFIGS.len()).filter(|index| output.contains(&format!("\"ns-{index}\""))).collect();
    (denied, errors.matches("this Config is ignored").count())
}

#[test]
fn the_same_config_counts_for_webhook_audit_and_files() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    for chosen in 0..1_usize << CONFIGS.len() {
        let there: Vec<usize> = (0..CONFIGS.len()).filter(|index| chosen >> index & 1 == 1).collect();
        let counts = there.iter().find(|&&index| index < 2);
        let expected: BTreeSet<usize> = (0..CONFIGS.len()).filter(|index| Some(index) != counts).collect();
        let ignored = there.len() - usize::from(counts.is_some());
        let expected = (expected, ignored);

        let policies: Vec<Value> =
            policies().into_iter().chain(there.iter().map(|&index| config(index))).collect();
        let pods: Vec<Value> = (0..CONFIGS.len()).map(pod).collect();
        let directory = tempfile::tempdir().unwrap();
        let stream = |objects: &[Value]| {
            let documents: Vec<String> = objects.iter().map(ToString::to_string).collect();
            documents.join(
                "
---
",
            )
        };
        fs::write(directory.path().join("policies.yaml"), stream(&policies)).unwrap();
        fs::write(directory.path().join("pods.yaml"), stream(&pods)).unwrap();
        let server = runtime.block_on(ApiServer::start());
        server.register("constraints.gatekeeper.sh/v1beta1", "Never", "never", false);
        for object in policies.iter().chain(&pods) {
            server.put(object.clone());
        }
        for name in ["portcullis-system", "team", "ns-0", "ns-1", "ns-2", "ns-3"] {
            server.put(namespace(name));
        }

        let run = run_in(directory.path(), &["test", "-p", "policies.yaml", "pods.yaml", "-o", "json"]);
        assert_eq!(by_program(&run.stdout, &run.stderr), expected, "test: {there:?}\n{}", run.stderr);
        let run = run_in(directory.path(), &["audit", "-p", "policies.yaml", "pods.yaml", "-o", "ndjson"]);
        let (denied, _) = by_program(&run.stdout, "");
        assert_eq!(denied, expected.0, "audit of files: {there:?}\n{}", run.stderr);
        let found = by_audit_of_cluster(&server, directory.path());
        assert_eq!(found, expected, "audit of a cluster: {there:?}");
        assert_eq!(by_webhook_of_files(directory.path()), expected, "webhook of files: {there:?}");
        let found = runtime.block_on(by_webhook_of_cluster(&server, policies.len()));
        assert_eq!(found, expected, "webhook of a cluster: {there:?}");
    }
}
