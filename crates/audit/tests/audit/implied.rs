//! What objects imply is judged as well: Pods of Deployments, by expansion templates.

use std::fs;
use std::path::Path;

use portcullis_audit::kube::Scope;
use portcullis_testkit::program::Run;
use serde_json::{Value, json};

use crate::kube::{audited, coverage, server};
use crate::support::{directory, lines, pod, run, service, without_times};

const EXPANSION: &str = "
apiVersion: expansion.gatekeeper.sh/v1beta1
kind: ExpansionTemplate
metadata: {name: deployments}
spec:
  applyTo: [{groups: [apps], kinds: [Deployment], versions: [v1]}]
  templateSource: spec.template
  generatedGVK: {group: '', version: v1, kind: Pod}
";

/// Of the Pods of Deployments called `safe`, the processes are their own.
const MUTATOR: &str = "
apiVersion: mutations.gatekeeper.sh/v1
kind: Assign
metadata: {name: own-processes}
spec:
  applyTo: [{groups: [''], kinds: [Pod], versions: [v1]}]
  match: {source: Generated, name: 'safe*'}
  location: spec.hostPID
  parameters: {assign: {value: false}}
";

fn deployment(name: &str, host_pid: bool) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"namespace": "shop", "name": name},
           "spec": {"template": {"spec": {"hostPID": host_pid, "containers": [{"name": "c", "image": "web:1"}]}}}})
}

fn put(path: &Path, expansion: &str, objects: &[Value]) {
    fs::create_dir_all(path.join("expansion")).unwrap();
    fs::write(path.join("expansion/expansion.yaml"), expansion).unwrap();
    fs::write(path.join("dump.ndjson"), lines(objects)).unwrap();
}

fn judge(path: &Path, args: &[&str]) -> Run {
    judge_as(path, "json", args)
}

fn judge_as(path: &Path, form: &str, args: &[&str]) -> Run {
    run(path, &[&["dump.ndjson", "-p", "expansion", "-o", form], args].concat(), None)
}

/// What is wrong, beside that there are no Ingresses to compare with.
fn errors(report: &Value) -> Vec<Value> {
    let problems = report["problems"].as_array().unwrap().iter();
    problems.filter(|problem| problem["isError"] == true).cloned().collect()
}

/// Object, message, field, column and action of each finding.
fn findings(report: &Value) -> Vec<(String, String, String, bool, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let findings = report["findings"].as_array().unwrap().iter();
    let shown = |finding: &Value| {
        let object = format!("{}/{}", text(&finding["object"]["kind"]), text(&finding["object"]["name"]));
        let is_placed = finding["place"]["column"].as_u64().is_some_and(|column| column > 100);
        let (message, field) = (text(&finding["message"]), text(&finding["field"]));
        (object, message, field, is_placed, text(&finding["actions"][0]))
    };
    findings.map(shown).collect()
}

fn found(by: &str, name: &str, action: &str) -> (String, String, String, bool, String) {
    let message = format!("[Implied by {by}] pod {name}-pod shares the node's processes");
    let field = "spec.template.spec.hostPID".to_owned();
    (format!("Deployment/{name}"), message, field, true, action.to_owned())
}

#[test]
fn pods_of_deployments_are_found_in_the_deployment() {
    let directory = directory();
    let path = directory.path();
    let objects = [
        deployment("good", false),
        deployment("bad", true),
        deployment("safe", true),
        // One of the Pods of the second.
        pod("shop", "bad-1", true),
    ];
    put(path, &format!("{EXPANSION}---{MUTATOR}"), &objects);
    let report = judge(path, &[]).exits_with(1).json();
    let own = findings(&report)[1].clone();
    assert_eq!((&*own.0, &*own.1), ("Pod/bad-1", "pod bad-1 shares the node's processes"));
    assert_eq!(findings(&report), [found("deployments", "bad", "deny"), own]);
    assert_eq!((&report["completion"], errors(&report).len()), (&json!("complete"), 0));
    assert_eq!(coverage(&report, "Deployment")["judged"], 3);
    let totals = &report["totals"];
    assert_eq!(
        (&totals["passes"], &totals["violating"], &totals["violations"]),
        (&json!(2), &json!(2), &json!(2))
    );

    // Without it, the Deployment is nobody's business.
    let report = run(path, &["dump.ndjson", "-o", "json"], None).exits_with(1).json();
    assert_eq!(coverage(&report, "Deployment")["unmatched"], 3);
}

/// The same as [`MUTATOR`], by a policy of the API server's with a parameter.
const POLICY: &str = r#"
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: own-processes}
spec:
  paramKind: {apiVersion: v1, kind: ConfigMap}
  matchConstraints:
    resourceRules:
    - {apiGroups: [""], apiVersions: [v1], operations: [CREATE], resources: [pods]}
  mutations:
  - patchType: ApplyConfiguration
    applyConfiguration:
      expression: "Object{spec: Object.spec{hostPID: object.metadata.name != params.data.name && object.spec.hostPID}}"
  reinvocationPolicy: Never
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: own-processes}
spec:
  policyName: own-processes
  paramRef: {name: safe, namespace: shop, parameterNotFoundAction: Deny}
"#;

#[test]
fn admission_policies_change_what_is_implied() {
    let directory = directory();
    let path = directory.path();
    let param = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "shop", "name": "safe"},
                       "data": {"name": "safe-pod"}});
    let objects = [deployment("bad", true), deployment("safe", true), param];
    put(path, &format!("{EXPANSION}---{POLICY}"), &objects);
    let report = judge(path, &[]).exits_with(1).json();
    assert_eq!(findings(&report), [found("deployments", "bad", "deny")]);
    let without = POLICY.replace("name: safe,", "name: other,");
    put(path, &format!("{EXPANSION}---{without}"), &objects);
    let denied = judge(path, &[]).exits_with(2).json();
    assert!(denied["problems"].to_string().contains("failed to mutate resultant resource"), "{denied}");
    assert_ne!(report["policyDigest"], denied["policyDigest"]);
    // Without a template they have no effect, which is said.
    put(path, POLICY, &objects);
    let report = judge(path, &[]).exits_with(2).json();
    let problems = report["problems"].to_string();
    assert!(problems.contains("`MutatingAdmissionPolicy` is not supported here"), "{problems}");
}

/// However many objects it is so with: once, with their number.
#[test]
fn what_admission_policies_leave_undone_is_told() {
    let directory = directory();
    let path = directory.path();
    let policy = POLICY
        .replace("  reinvocationPolicy", "  failurePolicy: Ignore\n  reinvocationPolicy")
        .replace("params.data.name &&", "params.data.missing &&");
    assert!(policy.contains("missing &&") && policy.contains("failurePolicy"));
    let param = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "shop", "name": "safe"}, "data": {}});
    let objects: Vec<Value> =
        (0..150).map(|number| deployment(&format!("bad-{number}"), true)).chain([param]).collect();
    put(path, &format!("{EXPANSION}---{policy}"), &objects);
    let report = judge(path, &[]).exits_with(1).json();
    assert_eq!(report["totals"]["violations"], 150, "what is not changed is judged as it is");
    let causes = report["causes"].as_array().unwrap().iter();
    let told: Vec<_> =
        causes.filter(|cause| cause["message"].to_string().contains("`failurePolicy`")).collect();
    assert_eq!((told.len(), &told[0]["times"]), (1, &json!(150)), "{told:#?}");
    let message = told[0]["message"].as_str().unwrap();
    assert!(message.contains("MutatingAdmissionPolicy/own-processes/own-processes: "), "{message}");
    let text = judge_as(path, "human", &[]).exits_with(1).stdout;
    assert_eq!(text.matches("MutatingAdmissionPolicy/own-processes").count(), 1, "{text}");
}

#[test]
fn workloads_need_no_template() {
    let directory = directory();
    let path = directory.path();
    put(path, "", &[deployment("bad", true)]);
    let report = judge(path, &["--expand", "workloads"]).exits_with(1).json();
    assert_eq!(findings(&report), [found("--expand workloads", "bad", "deny")]);
    put(path, EXPANSION, &[deployment("bad", true)]);
    let with = judge(path, &["--expand", "workloads"]).exits_with(1).json();
    assert_eq!(findings(&with), [found("deployments", "bad", "deny")], "its template says so already");
    assert_ne!(report["policyDigest"], with["policyDigest"]);
}

#[test]
fn what_is_found_in_the_workload_itself_is_not_found_again() {
    let directory = directory();
    let path = directory.path();
    let policies = crate::support::POLICIES
        .replacen("input.review.object.spec.hostPID\n", "spec := [input.review.object.spec, input.review.object.spec.template.spec][_]\n        spec.hostPID\n", 1)
        .replacen("pod %v shares the node's processes\", [input.review.object.metadata.name]", "shared: %v\", [spec.hostPID]", 1)
        .replacen(", \"details\": {\"path\": [\"spec\", \"hostPID\"]}", "", 1)
        .replacen("apiGroups: [\"\"], kinds: [Pod]", "apiGroups: [\"*\"], kinds: [Pod, Deployment]", 1);
    fs::write(path.join("policies.yaml"), policies).unwrap();
    put(path, "", &[deployment("bad", true)]);
    let report = judge(path, &["--expand", "workloads"]).exits_with(1).json();
    let messages: Vec<_> = findings(&report).into_iter().map(|found| found.1).collect();
    assert_eq!(messages, ["shared: true"]);
    let status = judge_as(path, "status", &["--expand", "workloads"]).exits_with(1).json();
    let item = status["items"].as_array().unwrap().iter().find(|item| item["kind"] == "NoHostPid").unwrap();
    assert_eq!(item["status"]["totalViolations"], 1);
}

#[test]
fn the_templates_action_counts_instead_of_the_constraints() {
    let directory = directory();
    let path = directory.path();
    put(path, &format!("{EXPANSION}  enforcementAction: warn\n"), &[deployment("bad", true)]);
    let report = judge(path, &[]).exits_with(0).json();
    assert_eq!(findings(&report), [found("deployments", "bad", "warn")]);
    assert_eq!(report["standing"], "noted");
    let list = judge_as(path, "status", &[]).exits_with(0).json();
    let item = list["items"].as_array().unwrap().iter().find(|item| item["kind"] == "NoHostPid").unwrap();
    assert_eq!(item["status"]["totalViolations"], 1);
    assert_eq!(
        item["status"]["violations"],
        json!([{"group": "apps", "version": "v1", "kind": "Deployment", "namespace": "shop", "name": "bad",
        "message": "[Implied by deployments] pod bad-pod shares the node's processes", "enforcementAction": "warn"}])
    );
    let metrics = judge_as(path, "metrics", &[]).exits_with(0).stdout;
    for line in [
        "gatekeeper_violations{enforcement_action=\"deny\"} 0\n",
        "gatekeeper_violations{enforcement_action=\"warn\"} 1\n",
        "portcullis_audit_denied 0\n",
    ] {
        assert!(metrics.contains(line), "{line}: {metrics}");
    }
}

#[test]
fn every_form_says_by_which_template_and_threads_change_nothing() {
    let directory = directory();
    let path = directory.path();
    let two = EXPANSION.replace("deployments", "others").replace("spec.template", "spec");
    let objects: Vec<_> = (0..400)
        .map(|index| match index % 3 {
            0 => deployment(&format!("web-{index}"), index % 2 == 0),
            1 => pod("shop", &format!("pod-{index}"), index % 2 == 0),
            _ => service(&format!("svc-{index}"), &[80]),
        })
        .collect();
    put(path, &format!("{EXPANSION}---{two}"), &objects);
    let forms = [
        "json",
        "ndjson",
        "yaml",
        "sarif",
        "junit",
        "human",
        "html",
        "policy-report",
        "openreports",
        "status",
    ];
    let took = regex::Regex::new(r"\(after \d+ seconds?\)").unwrap();
    for form in forms {
        let all = ["--constraint-violations-limit", "1000"];
        let one = judge_as(path, form, &[&all[..], &["-j", "1"]].concat()).exits_with(1);
        assert!(
            one.stdout.contains("[Implied by deployments] pod web-0-pod shares the node"),
            "{form}: {}",
            one.stdout
        );
        let other = judge_as(path, form, &[&all[..], &["-j", "2"]].concat()).exits_with(1);
        let shown = |run: &Run| took.replace_all(&without_times(&run.stdout), "").into_owned();
        assert!(shown(&one) == shown(&other), "{form}");
    }
}

#[test]
fn an_object_that_cannot_be_expanded_makes_the_audit_incomplete() {
    let directory = directory();
    let path = directory.path();
    let broken = json!({"apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": {"namespace": "shop", "name": "broken"}, "spec": {"template": "none"}});
    put(path, EXPANSION, &[broken, deployment("bad", true), pod("shop", "bad", true)]);
    for args in [&["-j", "1"][..], &["-j", "2"], &["--expand", "workloads"]] {
        let report = judge(path, args).exits_with(2).json();
        assert_eq!(report["findings"].as_array().unwrap().len(), 2);
        let problem = &errors(&report)[0];
        let message = problem["message"].as_str().unwrap();
        let expected =
            "it cannot be expanded by ExpansionTemplate `deployments`: could not extract source field";
        assert!(message.starts_with(expected), "{message}");
        assert_eq!((&problem["object"]["name"], &problem["place"]["line"]), (&json!("broken"), &json!(1)));
        assert_eq!(
            (&report["standing"], &report["coverage"]["unreadObjects"]),
            (&json!("incomplete"), &json!(1))
        );
    }
}

#[test]
fn templates_in_a_circle_and_mutators_without_templates_are_errors() {
    let directory = directory();
    let path = directory.path();
    let back = EXPANSION
        .replace("name: deployments", "name: back")
        .replace("groups: [apps], kinds: [Deployment]", "groups: [''], kinds: [Pod]")
        .replace("group: '', version: v1, kind: Pod", "group: apps, version: v1, kind: Deployment");
    put(path, &format!("{EXPANSION}---{back}"), &[deployment("bad", true), pod("shop", "good", false)]);
    let report = judge(path, &[]).exits_with(2).json();
    let problems = errors(&report);
    assert_eq!(
        (problems.len(), &problems[0]["code"], &report["findings"]),
        (2, &json!("expansion-cycle"), &json!([]))
    );

    put(path, MUTATOR, &[pod("shop", "good", false)]);
    let report = judge(path, &[]).exits_with(2).json();
    assert_eq!(errors(&report)[0]["code"], "unsupported");
    judge(path, &["--allow-unsupported"]).exits_with(0);
}

#[test]
fn more_than_there_is_room_for_is_an_error_of_the_object() {
    let directory = directory();
    let path = directory.path();
    // 11 of each: 1,331 at the third level.
    let level = |from: usize, number: usize| {
        let kind = |level: usize| if level == 0 { "Deployment".to_owned() } else { format!("Level{level}") };
        let group = |level: usize| if level == 0 { "apps" } else { "x" };
        format!(
            "{{apiVersion: expansion.gatekeeper.sh/v1beta1, kind: ExpansionTemplate, metadata: {{name: l{from}-{number}}}, spec: {{applyTo: [{{groups: [{}], versions: [v1], kinds: [{}]}}], templateSource: spec, generatedGVK: {{group: x, version: v1, kind: {}}}}}}}\n",
            group(from),
            kind(from),
            kind(from + 1),
        )
    };
    let all: Vec<_> = (0..3).flat_map(|from| (0..11).map(move |number| level(from, number))).collect();
    let deep = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"namespace": "shop", "name": "deep"},
                      "spec": {"spec": {"spec": {}}}});
    put(path, &all.join("---\n"), &[deep, pod("shop", "bad", true)]);
    let report = judge(path, &[]).exits_with(2).json();
    let problem = &errors(&report)[0];
    assert_eq!((&problem["code"], &problem["object"]["name"]), (&json!("limit"), &json!("deep")));
    assert!(problem["message"].as_str().unwrap().contains("more than 1000 resources are generated of one"));
    assert_eq!(report["findings"].as_array().unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn templates_of_a_cluster_say_what_is_listed_and_statuses_count_the_deployment() {
    let server = server().await;
    crate::rights::register_reports(&server);
    server.register("apps/v1", "Deployment", "deployments", true);
    server.register("apps/v1", "StatefulSet", "statefulsets", true);
    server.register("expansion.gatekeeper.sh/v1beta1", "ExpansionTemplate", "expansiontemplate", false);
    server.register("mutations.gatekeeper.sh/v1", "Assign", "assign", false);
    for text in [EXPANSION, MUTATOR] {
        for document in portcullis::Document::read_all("policies.yaml", text).0 {
            server.put(document.to_json());
        }
    }
    server.put(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}));
    server.put(deployment("bad", true));
    server.put(deployment("safe", true));
    server.put(pod("shop", "bad", true));
    let report = audited(&server, 500, Scope::Named, true).await;
    assert_eq!(errors(&report).len(), 0);
    // Constraints name Pods only, and what Pods come of is listed: nothing else is.
    assert_eq!(coverage(&report, "Deployment")["judged"], 2);
    assert_eq!(coverage(&report, "StatefulSet"), &Value::Null);
    let all = report["findings"].as_array().unwrap();
    let of_deployment = all.iter().find(|finding| finding["object"]["kind"] == "Deployment").unwrap();
    assert_eq!((all.len(), &of_deployment["object"]["name"]), (2, &json!("bad")));
    assert_eq!(
        (&of_deployment["place"], &of_deployment["field"]),
        (&Value::Null, &json!("spec.template.spec.hostPID"))
    );
    let status = server.get("nohostpid", "", "no-host-pid").unwrap()["status"].clone();
    assert_eq!(status["totalViolations"], 2);
    assert_eq!(
        status["violations"][0]["message"],
        "[Implied by deployments] pod bad-pod shares the node's processes"
    );

    // If they cannot be listed, nobody knows what there is.
    let fault = portcullis_testkit::apiserver::Fault::on(
        portcullis_testkit::apiserver::Verb::List,
        "expansiontemplate",
    );
    server.fault(fault.always().forbidden());
    let report = audited(&server, 500, Scope::Named, false).await;
    assert_eq!(report["standing"], "incomplete");
    let problems: Vec<_> = report["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| problem["message"].as_str().unwrap())
        .collect();
    assert!(
        problems.iter().any(|message| message.starts_with("it is not known what objects imply")),
        "{problems:#?}"
    );
}

/// As the webhook of the cluster has it: what contradicts each other is not applied, and all others are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mutators_of_a_cluster_in_conflict_are_not_applied_and_nothing_is_unknown() {
    let server = server().await;
    server.register("apps/v1", "Deployment", "deployments", true);
    server.register("expansion.gatekeeper.sh/v1beta1", "ExpansionTemplate", "expansiontemplate", false);
    server.register("mutations.gatekeeper.sh/v1", "Assign", "assign", false);
    for text in [EXPANSION, MUTATOR] {
        for document in portcullis::Document::read_all("policies.yaml", text).0 {
            server.put(document.to_json());
        }
    }
    for (name, location) in [("list", "spec.hostPID[name: y].z"), ("object", "spec.hostPID.z")] {
        server.put(
            json!({"apiVersion": "mutations.gatekeeper.sh/v1", "kind": "Assign", "metadata": {"name": name},
            "spec": {"applyTo": [{"groups": [""], "versions": ["v1"], "kinds": ["Pod"]}],
                "location": location, "parameters": {"assign": {"value": "x"}}}}),
        );
    }
    server.put(deployment("bad", true));
    server.put(deployment("safe", true));
    let report = audited(&server, 500, Scope::Named, false).await;
    assert_eq!(errors(&report), Vec::<Value>::new());
    assert_eq!(report["standing"], "denied");
    let conflicts = report["problems"].as_array().unwrap().iter();
    let conflicts = conflicts.filter(|problem| problem["code"] == "mutator-conflict").count();
    assert_eq!(conflicts, 2, "{}", report["problems"]);
    // The mutator that is not among them has its effect.
    let findings = report["findings"].as_array().unwrap();
    assert_eq!((findings.len(), &findings[0]["object"]["name"]), (1, &json!("bad")));
}

/// Whether there are templates is not known, and that is not that there are none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_group_of_gatekeepers_that_does_not_answer_makes_the_audit_incomplete() {
    let server = server().await;
    server.register("apps/v1", "Deployment", "deployments", true);
    server.register("expansion.gatekeeper.sh/v1beta1", "ExpansionTemplate", "expansiontemplate", false);
    server.without_aggregated_discovery();
    server.break_group("expansion.gatekeeper.sh/v1beta1");
    server.put(deployment("bad", true));
    let report = audited(&server, 500, Scope::Named, false).await;
    assert_eq!(report["standing"], "incomplete");
    let told = report["problems"].to_string();
    assert!(told.contains("expansion.gatekeeper.sh"), "{told}");
}
