//! Audits of a simulated API server: whatever it does, what comes out is complete, or says what is missing.

use std::sync::atomic::AtomicBool;
use std::time::Duration;

use portcullis_audit::kube::{Connection, Scope};
use portcullis_audit::memory::Ceiling;
use portcullis_audit::run::{Aside, Settings, audit};
use portcullis_cluster::{Access, Backoff, ConnectOptions};
use portcullis_providers::ProviderArgs;
use portcullis_report::policy_report::Api;
use portcullis_report::sink::Target;
use portcullis_report::{Form, StatusLimits};
use portcullis_testkit::apiserver::{ApiServer, Fault, Verb};
use portcullis_testkit::builders;
use portcullis_testkit::provider::{Asked, TestProvider};
use serde_json::{Value, json};

use crate::support::{POLICIES, ingress, pod};

/// Serves the test's policies.
pub async fn server() -> ApiServer {
    let server = ApiServer::start().await;
    for kind in ["NoHostPid", "UniqueHost", "TwoAnswers"] {
        server.register("constraints.gatekeeper.sh/v1beta1", kind, &kind.to_lowercase(), false);
    }
    let (documents, errors) = portcullis::Document::read_all("policies.yaml", POLICIES);
    assert!(errors.is_empty());
    for document in documents {
        server.put(document.to_json());
    }
    server
}

/// Audits it on a thread that is none of the server's.
pub async fn audited(server: &ApiServer, chunk_size: u32, scope: Scope, writes: bool) -> Value {
    audited_with(server, chunk_size, scope, writes, ProviderArgs::default(), None).await
}

/// As [`audited`], with explanations of so many violations of each constraint.
pub async fn explained(server: &ApiServer, number: u64) -> Value {
    audited_with(server, 500, Scope::All, false, ProviderArgs::default(), Some(number)).await
}

/// As [`audited`], with somebody who says what providers answer.
async fn audited_with(
    server: &ApiServer,
    chunk_size: u32,
    scope: Scope,
    writes: bool,
    providers: ProviderArgs,
    explain: Option<u64>,
) -> Value {
    let url = server.url().to_owned();
    let work = move || {
        let options = ConnectOptions {
            access: Access::Url(url),
            requests_per_second: 10_000,
            burst: 10_000,
            backoff: Backoff::default(),
            ..ConnectOptions::default()
        };
        let connection = Connection::open(&options).unwrap();
        let policies = connection
            .policies(None, portcullis::Unsupported::Refused, &portcullis::PolicySettings::default())
            .unwrap();
        let stop = AtomicBool::new(false);
        let mut subject = connection.subject(&policies, chunk_size, scope, &stop).unwrap();
        let settings = Settings {
            threads: 2,
            ceiling: Ceiling::new(512 << 20),
            limits: portcullis::EvaluationLimits::default(),
            timeout: Duration::from_secs(10),
            aside: Aside::Nothing,
            places: portcullis::Places::default(),
            status: StatusLimits { violations: 3, message: 256 },
            providers,
            now: None,
            explain,
        };
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("out.json");
        let mut sinks = vec![Form::Json.sink(Target::File(path.clone()))];
        if writes {
            sinks.push(Box::new(
                connection.writer(Some(std::time::Duration::from_mins(5)), &[Api::PolicyReport]),
            ));
        }
        audit(&policies, &mut subject, &settings, &mut sinks, &stop).unwrap();
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    };
    tokio::task::spawn_blocking(work).await.unwrap()
}

pub fn coverage<'a>(report: &'a Value, kind: &str) -> &'a Value {
    let kinds = report["coverage"]["kinds"].as_array().unwrap();
    kinds.iter().find(|found| found["kind"] == kind).unwrap_or(&Value::Null)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_thousand_objects_are_judged_once_each_whatever_the_server_does() {
    const PODS: usize = 50_000;
    let server = server().await;
    for index in 0..PODS {
        server.put(pod(&format!("ns-{}", index % 20), &format!("pod-{index:05}"), index % 100 == 0));
    }
    server.fault(Fault::on(Verb::List, "pods").after(10).too_many_requests(1));
    server.fault(Fault::on(Verb::List, "pods").after(20).times(2));
    server.fault(Fault::on(Verb::List, "pods").after(30).disconnect_after(0));
    server.fault(Fault::on(Verb::List, "pods").after(40).gone());
    let report = audited(&server, 500, Scope::All, false).await;
    assert_eq!(report["completion"], "complete", "{}", report["problems"]);
    assert_eq!((&report["standing"], &report["totals"]["unknown"]), (&json!("denied"), &json!(0)));
    assert_eq!(coverage(&report, "Pod")["judged"], PODS);
    assert_eq!(coverage(&report, "Pod")["duplicates"], 0);
    let findings = report["findings"].as_array().unwrap();
    let mut names: Vec<_> =
        findings.iter().map(|finding| finding["object"]["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    let expected: Vec<_> = (0..PODS).step_by(100).map(|index| format!("pod-{index:05}")).collect();
    assert_eq!(names, expected);
    assert_eq!((&findings[0]["place"], &findings[0]["field"]), (&Value::Null, &json!("spec.hostPID")));
    assert!(server.writes().is_empty(), "an audit that is not asked to writes nothing");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kind_that_fails_is_reported_and_the_rest_audited() {
    let server = server().await;
    server.put(pod("shop", "bad", true));
    server.put(ingress("shop", "a", "x.example.com"));
    server.put(ingress("blog", "b", "x.example.com"));
    server.fault(Fault::on(Verb::List, "services").always().forbidden());
    let report = audited(&server, 500, Scope::All, false).await;
    assert_eq!((&report["completion"], &report["standing"]), (&json!("partial"), &json!("incomplete")));
    assert!(coverage(&report, "Service")["failure"].is_string(), "{}", report["coverage"]);
    assert_eq!(report["findings"].as_array().unwrap().len(), 3);
}

/// A kind that fails in the first pass only: it is audited, but objects were compared with nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_objects_are_compared_with_must_be_seen_as_well() {
    let server = server().await;
    server.put(ingress("shop", "a", "x.example.com"));
    server.put(ingress("blog", "b", "x.example.com"));
    let whole = audited(&server, 500, Scope::Named, false).await;
    assert_eq!((&whole["standing"], &whole["totals"]["violations"]), (&json!("noted"), &json!(2)));
    server.fault(Fault::on(Verb::List, "ingresses").forbidden());
    let report = audited(&server, 500, Scope::Named, false).await;
    assert_eq!((&report["completion"], &report["standing"]), (&json!("partial"), &json!("incomplete")));
    assert_eq!(coverage(&report, "Ingress")["judged"], 2);
    let problems = report["problems"].as_array().unwrap();
    assert_eq!(problems.len(), 1, "{problems:?}");
    let message = problems[0]["message"].as_str().unwrap();
    assert!(
        message.contains("Ingress") && message.contains("could not be listed for the inventory"),
        "{message}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kinds_that_no_constraint_names_need_not_be_listed() {
    let server = server().await;
    server.put(pod("shop", "bad", true));
    server.put(
        json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "shop", "name": "a"}}),
    );
    assert_eq!(coverage(&audited(&server, 500, Scope::All, false).await, "ConfigMap")["unmatched"], 1);
    server.forget_requests();
    let report = audited(&server, 500, Scope::Named, false).await;
    assert_eq!(
        (coverage(&report, "Pod")["judged"].clone(), coverage(&report, "ConfigMap")),
        (json!(1), &Value::Null)
    );
    assert!(!server.requests().iter().any(|request| request.path.contains("configmaps")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statuses_and_reports_are_written_where_they_have_changed_and_nowhere_else() {
    let server = server().await;
    server.register("wgpolicyk8s.io/v1alpha2", "PolicyReport", "policyreports", true);
    server.register("wgpolicyk8s.io/v1alpha2", "ClusterPolicyReport", "clusterpolicyreports", false);
    for name in ["shop", "blog"] {
        server.put(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}));
    }
    for index in 0..5 {
        server.put(pod("shop", &format!("pod-{index}"), true));
    }
    server.put(pod("blog", "bad", true));
    audited(&server, 500, Scope::Named, true).await;
    let status = server.get("nohostpid", "", "no-host-pid").unwrap()["status"].clone();
    assert_eq!(status["totalViolations"], 6);
    let names: Vec<_> =
        status["violations"].as_array().unwrap().iter().map(|violation| &violation["name"]).collect();
    assert_eq!(names, ["pod-1", "pod-0", "bad"], "the smallest by namespace and name, in descending order");
    assert_eq!(
        status["violations"][2],
        json!({"group": "", "version": "v1", "kind": "Pod", "namespace": "blog", "name": "bad",
        "message": "pod bad shares the node's processes", "enforcementAction": "deny"})
    );
    assert!(status["auditTimestamp"].is_string());
    let clean = server.get("uniquehost", "", "unique-host").unwrap()["status"].clone();
    assert_eq!((&clean["totalViolations"], &clean["violations"]), (&json!(0), &Value::Null));
    let report = server.get("policyreports", "blog", "portcullis-audit-1").unwrap();
    assert_eq!(
        (&report["summary"]["fail"], &report["results"][0]["rule"]),
        (&json!(1), &json!("no-host-pid"))
    );

    // The same again: nothing is written.
    server.forget_requests();
    audited(&server, 500, Scope::Named, true).await;
    assert!(server.writes().is_empty(), "{:?}", server.writes());

    // A violation goes, and with it a namespace: its status and the reports of its namespace are written, and nothing else.
    server.delete("pods", "blog", "bad");
    server.delete("namespaces", "", "blog");
    audited(&server, 500, Scope::Named, true).await;
    let mut written: Vec<_> =
        server.writes().into_iter().map(|write| format!("{} {}", write.method, write.path)).collect();
    written.sort();
    assert_eq!(
        written,
        [
            "DELETE /apis/wgpolicyk8s.io/v1alpha2/namespaces/blog/policyreports/portcullis-audit-1",
            "PATCH /apis/constraints.gatekeeper.sh/v1beta1/nohostpid/no-host-pid/status",
        ]
    );
    assert_eq!(server.get("nohostpid", "", "no-host-pid").unwrap()["status"]["totalViolations"], 5);
}

fn exception(name: &str, more: &Value) -> Value {
    let mut spec = json!({"templates": ["NoHostPid"], "match": {"namespaces": ["shop"]}, "reason": "known"});
    for (key, value) in more.as_object().into_iter().flatten() {
        spec[key] = value.clone();
    }
    json!({"apiVersion": "policy.portcullis.dev/v1alpha1", "kind": "PolicyException",
        "metadata": {"name": name}, "spec": spec})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exceptions_of_the_cluster_are_honoured() {
    let server = server().await;
    crate::rights::register_exceptions(&server);
    server.put(pod("shop", "bad", true));
    server.put(pod("blog", "bad", true));
    // More than a page of them.
    for number in 0..150 {
        server.put(exception(&format!("other-{number}"), &json!({"match": {"namespaces": ["nowhere"]}})));
    }
    server.put(exception("shop", &json!({})));
    server.put(exception("blog", &json!({"match": {"namespaces": ["blog"]}, "expiresAt": "2020-01-01"})));
    let report = audited(&server, 500, Scope::Named, false).await;
    let findings = report["findings"].as_array().unwrap();
    assert_eq!((findings.len(), &findings[0]["object"]["namespace"]), (1, &json!("blog")), "{findings:#?}");
    assert_eq!((&report["totals"]["excepted"], &report["completion"]), (&json!(1), &json!("complete")));
    let told = report["problems"].to_string();
    assert!(told.contains("ended at 2020-01-01"), "{told}");
    // One that is broken lets nothing pass, and is an error.
    server.put(exception("shop", &json!({"expires": "2999-01-01"})));
    let report = audited(&server, 500, Scope::Named, false).await;
    assert_eq!(report["findings"].as_array().unwrap().len(), 2);
    assert_eq!(report["standing"], "incomplete");
    assert!(report["problems"].to_string().contains("PolicyException/shop"), "{}", report["problems"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn exceptions_that_cannot_be_listed_let_nothing_pass_and_that_is_an_error() {
    let server = server().await;
    crate::rights::register_exceptions(&server);
    server.put(pod("shop", "bad", true));
    server.put(exception("shop", &json!({})));
    for number in 0..150 {
        server.put(exception(&format!("other-{number}"), &json!({})));
    }
    let list = || Fault::on(Verb::List, "policyexceptions");
    // Not at all, and half of them.
    for fault in [list().always().forbidden(), list().after(1).always().forbidden()] {
        server.fault(fault);
        let report = audited(&server, 500, Scope::Named, false).await;
        assert_eq!(report["findings"].as_array().unwrap().len(), 1);
        assert_eq!(report["standing"], "incomplete");
        let told = report["problems"].to_string();
        assert!(told.contains("no exception is in force"), "{told}");
        server.heal();
    }
}

/// The Providers of the cluster are asked, once for all keys, where somebody wants that; who asks one that is not known is an error.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn providers_of_the_cluster_are_asked() {
    const ASKS: &str = "
violation[{\"msg\": msg}] {
  answer := external_data({\"provider\": \"words\", \"keys\": [input.review.object.spec.containers[_].image]})
  msg := sprintf(\"%v %v %v\", [answer.responses, answer.errors, answer.system_error])
}
";
    let server = ApiServer::start().await;
    server.register("constraints.gatekeeper.sh/v1beta1", "Asks", "asks", false);
    server.register("externaldata.gatekeeper.sh/v1beta1", "Provider", "providers", false);
    server.put(builders::template("Asks", ASKS));
    server.put(builders::constraint(
        "Asks",
        "asks",
        &json!({"match": {"kinds": [{"apiGroups": [""], "kinds": ["Pod"]}]}}),
    ));
    let provider = tokio::task::spawn_blocking(TestProvider::echo).await.unwrap();
    server.put(provider.manifest("words", 5));
    for number in 0..300 {
        server.put(builders::pod("shop", &format!("pod-{number}"), &format!("image-{}", number % 7)));
    }
    let live = || ProviderArgs { live_providers: true, ..ProviderArgs::default() };
    let report = audited_with(&server, 500, Scope::Named, false, live(), None).await;
    assert_eq!(report["completion"], "complete", "{}", report["problems"]);
    let findings = report["findings"].as_array().unwrap();
    assert_eq!(findings.len(), 300);
    let told = |number: usize| findings[number]["message"].as_str().unwrap();
    assert!(told(0).contains(r#"[["image-0", "v:image-0"]] [] "#), "{}", told(0));
    let asked = provider.take_asked();
    let keys: Vec<String> = asked.iter().flat_map(Asked::keys).collect();
    assert_eq!((asked.len(), keys.len()), (1, 7), "{keys:?}");

    // Nobody said that providers are to be asked.
    let report = audited(&server, 500, Scope::Named, false).await;
    assert_eq!((&report["standing"], &report["totals"]["unknown"]), (&json!("incomplete"), &json!(300)));
    assert!(provider.take_asked().is_empty());

    // It is not known which there are.
    server.fault(Fault::on(Verb::List, "providers").always().forbidden());
    let report = audited_with(&server, 500, Scope::Named, false, live(), None).await;
    let problems = report["problems"].to_string();
    assert!(problems.contains("no Provider of the cluster can be asked"), "{problems}");
    assert!(
        report["findings"]
            .as_array()
            .unwrap()
            .iter()
            .all(|finding| finding["message"].as_str().unwrap().contains("not found")),
        "{report}"
    );
    assert!(provider.take_asked().is_empty());
    // It has a runtime of its own.
    tokio::task::spawn_blocking(move || drop(provider)).await.unwrap();
}
