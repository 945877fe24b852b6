//! The program with `--kube`, against a simulated API server: requests over TLS, and what is seen in the cluster.

use std::process::Command;
use std::time::{Duration, Instant};

use portcullis_testkit::apiserver::{ApiServer, Fault, Verb};
use portcullis_testkit::provider::TestProvider;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::program::{Program, refusal};
use crate::support::review;

pub struct Cluster {
    // Dropped last: it serves.
    pub server: ApiServer,
    pub runtime: Runtime,
}

pub fn cluster() -> Cluster {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let server = runtime.block_on(ApiServer::start());
    Cluster { server, runtime }
}

fn start(server: &ApiServer, more: &[&str]) -> Program {
    start_in(server, "gatekeeper-system", more)
}

pub fn start_in(server: &ApiServer, namespace: &str, more: &[&str]) -> Program {
    let directory = tempfile::tempdir().unwrap();
    let ca = directory.path().join("ca.pem");
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis-webhook"));
    command.args([
        "--kube",
        "--kube-server",
        server.url(),
        "--listen",
        "127.0.0.1:0",
        "--self-signed",
        "--ca-file",
    ]);
    command.arg(&ca).args(["--pod-name", "pod-a", "--namespace", namespace]).args(more);
    Program::run(command, &ca, directory)
}

pub fn template(kind: &str, rego: &str) -> Value {
    json!({"apiVersion": "templates.gatekeeper.sh/v1", "kind": "ConstraintTemplate",
        "metadata": {"name": kind.to_lowercase()},
        "spec": {"crd": {"spec": {"names": {"kind": kind}}},
            "targets": [{"target": "admission.k8s.gatekeeper.sh", "rego": rego}]}})
}

/// Refuses Services with a label that another one has.
const UNIQUE: &str = "package p
violation[{\"msg\": msg}] {
  other := data.inventory.namespace[ns][_][\"Service\"][name]
  other.metadata.labels.app == input.review.object.metadata.labels.app
  msg := sprintf(\"%v/%v has it\", [ns, name])
}
";

pub fn constraint(kind: &str, spec: &Value) -> Value {
    json!({"apiVersion": "constraints.gatekeeper.sh/v1beta1", "kind": kind,
        "metadata": {"name": kind.to_lowercase()}, "spec": spec})
}

pub fn namespace(name: &str, env: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {"env": env}}})
}

pub fn service(namespace: &str, app: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Service", "metadata": {"namespace": namespace, "name": "new", "labels": {"app": app}}})
}

pub fn ask(program: &mut Program, object: &Value) -> (u64, String) {
    ask_as(program, object, "alice")
}

pub fn ask_as(program: &mut Program, object: &Value, user: &str) -> (u64, String) {
    let mut review = review(object, "CREATE");
    review["request"]["userInfo"] = json!({"username": user});
    if object["kind"] == "Service" {
        review["request"]["resource"]["resource"] = json!("services");
    }
    review["request"]["namespace"] = object["metadata"]["namespace"].clone();
    let (http, body) = program.post("/v1/admit", review.to_string().as_bytes());
    assert_eq!(http, 200);
    let answer: Value = serde_json::from_slice(&body).unwrap();
    let status = &answer["response"]["status"];
    assert_eq!(answer["response"]["allowed"] == true, matches!(status["code"].as_u64(), Some(200 | 299)));
    (status["code"].as_u64().unwrap(), status["message"].as_str().unwrap_or_default().to_owned())
}

pub fn until<T: std::fmt::Debug + PartialEq>(expected: T, get: impl FnMut() -> T) {
    until_within(30, expected, get);
}

fn until_within<T: std::fmt::Debug + PartialEq>(seconds: u64, expected: T, mut get: impl FnMut() -> T) {
    let end = Instant::now() + Duration::from_secs(seconds);
    loop {
        let found = get();
        if found == expected {
            return;
        }
        assert!(Instant::now() < end, "expected {expected:?}, found {found:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Waits until nothing has been written for a second: statuses and Events follow what they are about.
pub fn until_quiet(server: &ApiServer) {
    let end = Instant::now() + Duration::from_secs(30);
    let (mut written, mut since) = (server.writes().len(), Instant::now());
    while since.elapsed() < Duration::from_secs(1) {
        assert!(Instant::now() < end, "it goes on writing: {:?}", server.writes().last());
        std::thread::sleep(Duration::from_millis(50));
        let now = server.writes().len();
        if now != written {
            (written, since) = (now, Instant::now());
        }
    }
}

#[test]
fn verdicts_rest_on_what_is_watched_and_what_breaks_stays_as_it_was() {
    let cluster = cluster();
    let server = &cluster.server;
    for kind in ["UniqueApp", "ProdOnly"] {
        server.register("constraints.gatekeeper.sh/v1beta1", kind, &kind.to_lowercase(), false);
    }
    server.put(template("UniqueApp", UNIQUE));
    server.put(constraint("UniqueApp", &json!({})));
    server.put(template("ProdOnly", "package p\nviolation[{\"msg\": \"first\"}] { true }"));
    let selector = json!({"match": {"namespaceSelector": {"matchLabels": {"env": "prod"}}}});
    server.put(constraint("ProdOnly", &selector));
    server.put(namespace("shop", "prod"));
    server.put(namespace("lab", "dev"));
    let mut old = service("lab", "a");
    old["metadata"]["name"] = json!("old");
    server.put(old);
    server.put(
        json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "portcullis"}, "webhooks": [{"name": "a", "clientConfig": {}}]}),
    );
    server.put(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "gatekeeper-system", "name": "pod-a"}}));
    server.fault(Fault::on(Verb::List, "services").always().slow(Duration::from_secs(2)));
    let mut program = start(server, &["--emit-admission-events"]);

    // Not ready, says why, and lets nothing in.
    until(true, || program.get("/readyz?verbose").1.contains("waiting for services.v1: being listed"));
    assert_eq!(program.get("/readyz"), (503, "starting".to_owned()));
    assert_eq!(
        ask(&mut program, &service("lab", "b")),
        (500, "the policies of the cluster are not read yet".to_owned())
    );
    server.heal();
    until(200, || program.get("/readyz").0);

    // Policies, inventory and Namespaces of the cluster.
    assert_eq!(ask(&mut program, &service("lab", "b")), (200, String::new()));
    assert_eq!(ask(&mut program, &service("lab", "a")), (403, "[uniqueapp] lab/old has it".to_owned()));
    assert_eq!(
        ask(&mut program, &service("shop", "a")),
        (403, "[prodonly] first\n[uniqueapp] lab/old has it".to_owned())
    );
    // One that is newer than what is known is asked for; one that there is not is no guess.
    server.fault(Fault::on(Verb::Watch, "namespaces").always().status(500, "InternalError"));
    server.end_watches();
    server.put(namespace("fresh", "prod"));
    assert_eq!(ask(&mut program, &service("fresh", "b")), (403, "[prodonly] first".to_owned()));
    let (code, message) = ask(&mut program, &service("ghost", "b"));
    assert_eq!(code, 500, "{message}");
    assert!(message.starts_with("[prodonly] unable to match constraints"), "{message}");
    assert!(message.ends_with("there is no namespace `ghost`"), "{message}");
    server.heal();
    // Nobody locks the webhook out.
    let own = "system:serviceaccount:gatekeeper-system:portcullis-webhook";
    assert_eq!(ask_as(&mut program, &service("shop", "a"), own).0, 200);

    // What changes is seen.
    server.delete("services", "lab", "old");
    until((200, String::new()), || ask(&mut program, &service("lab", "a")));
    server.put(template("ProdOnly", "package p\nviolation[{\"msg\": \"second\"}] { true }"));
    until((403, "[prodonly] second".to_owned()), || ask(&mut program, &service("shop", "b")));

    // What breaks stays as it was, and is said everywhere.
    server.put(template("ProdOnly", "package p\nviolation[{"));
    until(true, || program.get("/readyz?verbose").1.contains("ConstraintTemplate/prodonly: "));
    assert_eq!(program.get("/readyz").0, 200);
    assert_eq!(ask(&mut program, &service("shop", "b")), (403, "[prodonly] second".to_owned()));
    until(json!("ingest_error"), || {
        let template = server.get("constrainttemplates", "", "prodonly").unwrap();
        template["status"]["byPod"][0]["errors"][0]["code"].clone()
    });
    until(json!({"id": "pod-a", "enforced": true}), || {
        let entry = server.get("uniqueapp", "", "uniqueapp").unwrap()["status"]["byPod"][0].clone();
        json!({"id": entry["id"], "enforced": entry["enforced"]})
    });
    until(true, || {
        let configuration = server.get("validatingwebhookconfigurations", "", "portcullis").unwrap();
        configuration["webhooks"][0]["clientConfig"]["caBundle"].is_string()
    });
    until(true, || server.count("events") >= 3);
    let events: Vec<Value> = server
        .writes()
        .into_iter()
        .filter(|write| write.path.ends_with("/events"))
        .map(|write| write.body)
        .collect();
    assert!(
        events.iter().all(|event| event["reason"] == "FailedAdmission"
            && event["metadata"]["namespace"] == "gatekeeper-system")
    );
    // Nothing is written that is so already.
    until_quiet(server);
    server.forget_requests();
    server.end_watches();
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(server.writes().len(), 0, "{:?}", server.writes());
    program.stop();
}

#[test]
fn a_policy_that_reads_what_may_not_be_listed_holds_up_nothing() {
    let cluster = cluster();
    let server = &cluster.server;
    server.register("constraints.gatekeeper.sh/v1beta1", "Never", "never", false);
    server.put(template("Never", "package p\nviolation[{\"msg\": \"never\"}] { true }"));
    server.put(constraint("Never", &json!({})));
    server.deny("services");
    let mut program = start(server, &["--apply-crds"]);
    until(200, || program.get("/readyz").0);
    // It is applied to a webhook that serves others, its CRD is made, and it is in force: as an error.
    server.put(template("UniqueApp", UNIQUE));
    until(true, || {
        server.get("customresourcedefinitions", "", "uniqueapp.constraints.gatekeeper.sh").is_some()
    });
    let services = json!({"match": {"kinds": [{"apiGroups": [""], "kinds": ["Service"]}]}});
    server.put(constraint("UniqueApp", &services));
    let said = |program: &mut Program, object: &Value| ask(program, object);
    until(true, || {
        let (code, message) = said(&mut program, &service("default", "a"));
        code == 403 && message.starts_with("[never] never\n[uniqueapp] the policy reads `Service` objects")
    });
    // Every other policy goes on, and so does what is of other kinds.
    server.put(template("Never", "package p\nviolation[{\"msg\": \"second\"}] { true }"));
    let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "default", "name": "p"}});
    until((403, "[never] second".to_owned()), || said(&mut program, &pod));
    // It is said wherever people look.
    for line in [
        "[!]cluster: 2 policies are unjudgeable; all others are in force\n",
        "UniqueApp/uniqueapp: cannot be judged by: the policy reads `Service` objects of the inventory, and `v1/Service` cannot be read\n",
    ] {
        until(true, || program.get("/readyz?verbose").1.contains(line));
    }
    for sample in [
        "portcullis_policies_not_served{state=\"unjudgeable\"} 2",
        "portcullis_policies_not_served{state=\"waiting\"} 0",
        "portcullis_kinds_unreadable 1",
        "portcullis_watches_failing 1",
        "portcullis_status_write_failures_total 0",
        "gatekeeper_constraint_template_ingestion_count_total{status=\"active\"} 3",
    ] {
        until(Ok(()), || {
            let metrics = program.get("/metrics").1;
            if metrics.contains(&format!("\n{sample}\n")) {
                Ok(())
            } else {
                Err(format!("{sample} in {metrics}"))
            }
        });
    }
    for (plural, name) in [("constrainttemplates", "uniqueapp"), ("uniqueapp", "uniqueapp")] {
        until(json!("unreadable_inventory"), || {
            server.get(plural, "", name).unwrap()["status"]["byPod"][0]["errors"][0]["code"].clone()
        });
    }
    // A write of its own, once the kind of the constraints is served.
    until(json!(true), || {
        server.get("constrainttemplates", "", "uniqueapp").unwrap()["status"]["created"].clone()
    });
    program.stop();

    // After a restart it is the same.
    let mut program = start(server, &[]);
    until(200, || program.get("/readyz").0);
    assert_eq!(said(&mut program, &pod), (403, "[never] second".to_owned()));
    assert_eq!(said(&mut program, &service("default", "a")).0, 403);
    server.grant("services");
    until((403, "[never] second".to_owned()), || said(&mut program, &service("default", "a")));
    until(Value::Null, || {
        server.get("uniqueapp", "", "uniqueapp").unwrap()["status"]["byPod"][0]["errors"].clone()
    });
    program.stop();

    // Left out, if one says so.
    server.deny("services");
    let mut program = start(server, &["--unreadable-inventory", "ignore"]);
    until(200, || program.get("/readyz").0);
    assert_eq!(said(&mut program, &service("default", "a")), (403, "[never] second".to_owned()));
    until(json!(false), || {
        server.get("uniqueapp", "", "uniqueapp").unwrap()["status"]["byPod"][0]["enforced"].clone()
    });
    program.stop();
}

#[test]
fn a_kind_is_asked_for_again_and_again_once_its_crd_is_there_whatever_came_before() {
    let cluster = cluster();
    let server = &cluster.server;
    let _runtime = cluster.runtime.enter();
    server.establish_late(Duration::from_millis(800), Duration::from_millis(500));
    // The template is there for long, and nobody makes its CRD: the webhook has waited longer and longer.
    server.put(template("Never", "package p\nviolation[{\"msg\": \"never\"}] { true }"));
    let mut program = start(server, &[]);
    until(200, || program.get("/readyz").0);
    std::thread::sleep(Duration::from_secs(4));
    server.forget_requests();
    server.put(json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "never.constraints.gatekeeper.sh"},
        "spec": {"group": "constraints.gatekeeper.sh", "scope": "Cluster", "names": {"kind": "Never", "plural": "never"},
            "versions": [{"name": "v1beta1", "storage": true, "served": true}]}}));
    server.put(constraint("Never", &json!({})));
    // Its kind answers after 1.3 s.
    until((403, "[never] never".to_owned()), || ask(&mut program, &service("default", "a")));
    // Who goes on waiting longer and longer comes when it answers already.
    let requests = server.requests();
    let asked = requests
        .iter()
        .filter(|request| request.path.ends_with("/never") && request.query.starts_with("limit"));
    assert!(asked.count() >= 2, "{requests:#?}");
    until(json!(true), || {
        server.get("constrainttemplates", "", "never").unwrap()["status"]["created"].clone()
    });
    program.stop();
}

#[test]
fn entries_of_pods_that_are_gone_are_cleared_and_crds_that_are_deleted_are_made_again() {
    let cluster = cluster();
    let server = &cluster.server;
    server.put(json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"namespace": "gatekeeper-system", "name": "pod-a"}}));
    server.put(template("Never", "package p\nviolation[{\"msg\": \"never\"}] { true }"));
    let mut program = start(server, &["--apply-crds"]);
    let crd = "never.constraints.gatekeeper.sh";
    until(true, || server.get("customresourcedefinitions", "", crd).is_some());
    server.put(constraint("Never", &json!({})));
    until((403, "[never] never".to_owned()), || ask(&mut program, &service("default", "a")));
    until(json!("pod-a"), || server.get("never", "", "never").unwrap()["status"]["byPod"][0]["id"].clone());
    // Nothing else changes: it is swept.
    let mut old = server.get("never", "", "never").unwrap();
    old["status"]["byPod"] = json!([{"id": "gone"}, old["status"]["byPod"][0]]);
    server.put(old);
    until_within(45, 1, || {
        server.get("never", "", "never").unwrap()["status"]["byPod"].as_array().unwrap().len()
    });
    // A CRD that is being deleted is left alone until it is gone.
    server.terminate("customresourcedefinitions", "", crd);
    std::thread::sleep(Duration::from_millis(500));
    assert!(
        server.get("customresourcedefinitions", "", crd).unwrap()["metadata"]["deletionTimestamp"]
            .is_string()
    );
    server.delete("customresourcedefinitions", "", crd);
    until(true, || {
        server
            .get("customresourcedefinitions", "", crd)
            .is_some_and(|crd| crd["metadata"]["deletionTimestamp"].is_null())
    });
    program.stop();
}

#[test]
fn what_is_not_supported_is_said_and_holds_nothing_up() {
    let cluster = cluster();
    let server = &cluster.server;
    server.register("constraints.gatekeeper.sh/v1beta1", "Never", "never", false);
    server.register("gvkmanifest.gatekeeper.sh/v1alpha1", "GVKManifest", "gvkmanifests", false);
    server.put(template("Never", "package p\nviolation[{\"msg\": \"never\"}] { true }"));
    server.put(constraint("Never", &json!({})));
    server.put(json!({"apiVersion": "gvkmanifest.gatekeeper.sh/v1alpha1", "kind": "GVKManifest",
        "metadata": {"name": "images"}, "spec": {}}));
    let mut program = start(server, &[]);
    until(200, || program.get("/readyz").0);
    assert_eq!(ask(&mut program, &service("default", "b")).0, 403);
    until(true, || {
        let text = program.get("/readyz?verbose").1;
        text.contains("[!]supported: 1 policies of Gatekeeper's are not")
            && text.contains("    GVKManifest `images` of Gatekeeper is not supported")
    });
    until(true, || program.get("/metrics").1.contains("\nportcullis_unsupported_policies 1\n"));
    server.delete("gvkmanifests", "", "images");
    until(true, || program.get("/metrics").1.contains("\nportcullis_unsupported_policies 0\n"));
    program.stop();
}

/// Providers come, change and go while the webhook runs; who asks one that is not there gets no answer.
#[test]
fn providers_of_the_cluster_are_asked() {
    const ASKS: &str = "package p
violation[{\"msg\": msg}] {
  answer := external_data({\"provider\": \"words\", \"keys\": [input.review.object.metadata.labels.app]})
  msg := sprintf(\"%v %v %v\", [answer.responses, answer.errors, answer.system_error])
}
";
    let cluster = cluster();
    let server = &cluster.server;
    server.register("constraints.gatekeeper.sh/v1beta1", "Asks", "asks", false);
    server.register("externaldata.gatekeeper.sh/v1beta1", "Provider", "providers", false);
    server.put(template("Asks", ASKS));
    server.put(constraint("Asks", &json!({})));
    let provider = TestProvider::echo();
    let mut program = start(server, &[]);
    until(200, || program.get("/readyz").0);
    let missing = "[asks] null null key is not found in provider cache".to_owned();
    until((403, missing.clone()), || ask(&mut program, &service("default", "b")));
    server.put(provider.manifest("words", 5));
    let there = r#"[asks] [["b", "v:b"]] [] "#.to_owned();
    until((403, there), || ask(&mut program, &service("default", "b")));
    assert!(program.get("/metrics").1.contains("\nportcullis_unsupported_policies 0\n"));
    server.delete("providers", "", "words");
    until((403, missing), || ask(&mut program, &service("default", "b")));
    program.stop();
}

#[test]
fn crds_are_applied_where_nobody_else_does() {
    let cluster = cluster();
    let server = &cluster.server;
    server.put(template("Never", "package p\nviolation[{\"msg\": \"never\"}] { true }"));
    let mut program = start(server, &["--apply-crds", "--write-status=false"]);
    until(1, || server.count("customresourcedefinitions"));
    server.put(constraint("Never", &json!({})));
    until((403, "[never] never".to_owned()), || ask(&mut program, &service("default", "b")));
    assert!(server.get("never", "", "never").unwrap().get("status").is_none());
    program.stop();
}

#[test]
fn a_cluster_that_cannot_be_is_an_error_at_the_start() {
    let text = refusal(&["--kube", "--kube-server", "nonsense", "--self-signed"]);
    assert!(text.contains("expected a URL that begins with http:// or https://, found `nonsense`"), "{text}");
    let text = refusal(&["--kube", "--kubeconfig", "/nonexistent/config", "--self-signed"]);
    assert!(text.contains("the kubeconfig /nonexistent/config cannot be used"), "{text}");
    refusal(&["--kube", "--policies", "p", "--self-signed"]);
    refusal(&["--self-signed"]);
}
