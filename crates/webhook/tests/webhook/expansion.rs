//! What is said of objects by what controllers will make of them.

use portcullis_webhook::state::MutationSettings;
use serde_json::{Value, json};

use crate::support::{POLICIES, Webhook, pod, review};

/// Deployments become Pods, CronJobs Jobs, and Jobs Pods, of which nobody is denied.
const TEMPLATES: &str = r#"
---
apiVersion: expansion.gatekeeper.sh/v1beta1
kind: ExpansionTemplate
metadata: {name: pods}
spec:
  applyTo: [{groups: [apps], versions: [v1], kinds: [Deployment]}]
  templateSource: spec.template
  generatedGVK: {group: "", version: v1, kind: Pod}
---
apiVersion: expansion.gatekeeper.sh/v1beta1
kind: ExpansionTemplate
metadata: {name: jobs}
spec:
  applyTo: [{groups: [batch], versions: [v1], kinds: [CronJob]}]
  templateSource: spec.jobTemplate
  generatedGVK: {group: batch, version: v1, kind: Job}
---
apiVersion: expansion.gatekeeper.sh/v1beta1
kind: ExpansionTemplate
metadata: {name: pods-of-jobs}
spec:
  applyTo: [{groups: [batch], versions: [v1], kinds: [Job]}]
  templateSource: spec.template
  generatedGVK: {group: "", version: v1, kind: Pod}
  enforcementAction: warn
"#;

/// Takes away what is denied, of what is generated only.
const MUTATOR: &str = r#"
---
apiVersion: mutations.gatekeeper.sh/v1
kind: Assign
metadata: {name: no-host-pid}
spec:
  applyTo: [{groups: [""], versions: [v1], kinds: [Pod]}]
  match: {source: Generated}
  location: spec.hostPID
  parameters: {assign: {value: false}}
"#;

fn webhook() -> Webhook {
    Webhook::new(&format!("{POLICIES}{TEMPLATES}"))
}

fn deployment(pod: &Value) -> Value {
    json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"},
        "spec": {"template": {"metadata": {"labels": {"app": "web"}}, "spec": pod}}})
}

fn said(webhook: &Webhook, object: &Value, operation: &str) -> (bool, String) {
    let mut review = review(object, operation);
    if operation == "UPDATE" {
        review["request"]["oldObject"] = object.clone();
    }
    let response = webhook.post("/v1/admit", review.to_string()).response();
    let message = response["status"]["message"].as_str().unwrap_or_default().to_owned();
    let warnings = response["warnings"].as_array().into_iter().flatten().filter_map(Value::as_str);
    (response["allowed"] == true, warnings.fold(message, |all, warning| all + "|" + warning))
}

#[test]
fn a_workload_is_judged_by_its_pods() {
    let webhook = webhook();
    let bad = deployment(&json!({"hostPID": true, "nodeName": "n"}));
    for operation in ["CREATE", "UPDATE"] {
        let (allowed, message) = said(&webhook, &bad, operation);
        assert!(!allowed, "{message}");
        assert!(message.contains("[no-host-pid] [Implied by pods] hostPID is not allowed"), "{message}");
        assert!(message.contains("|[no-node] [Implied by pods] nodeName is not allowed"), "{message}");
    }
    assert_eq!(said(&webhook, &deployment(&json!({"containers": []})), "CREATE"), (true, String::new()));
    // What goes away implies nothing, and a Pod implies itself only.
    assert_eq!(said(&webhook, &bad, "DELETE"), (true, String::new()));
    let (_, message) = said(&webhook, &pod(&json!({"hostPID": true})), "CREATE");
    assert!(message.contains("[no-host-pid] hostPID") && !message.contains("Implied"), "{message}");
}

#[test]
fn templates_follow_each_other_and_may_only_warn() {
    let spec = json!({"hostPID": true});
    let job = json!({"template": {"metadata": {}, "spec": spec}});
    let cron = json!({"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "night", "namespace": "shop"},
        "spec": {"jobTemplate": {"metadata": {}, "spec": job}}});
    let (allowed, message) = said(&webhook(), &cron, "CREATE");
    assert!(allowed, "{message}");
    assert!(message.contains("[no-host-pid] [Implied by pods-of-jobs] hostPID is not allowed"), "{message}");
}

#[test]
fn what_cannot_be_expanded_does_not_pass() {
    let webhook = webhook();
    for spec in [json!({}), json!({"template": null}), json!({"template": "a text"}), json!([])] {
        let mut broken = deployment(&json!({}));
        broken["spec"] = spec;
        let response = webhook.post("/v1/admit", review(&broken, "CREATE").to_string()).response();
        assert_eq!((&response["allowed"], &response["status"]["code"]), (&json!(false), &json!(500)));
        let message = response["status"]["message"].as_str().unwrap();
        assert!(message.contains("spec"), "{message}");
    }
    // Its namespace is left alone.
    let mut excluded = deployment(&json!({}));
    excluded["metadata"]["namespace"] = "kube-system".into();
    excluded["spec"] = json!({});
    assert!(said(&webhook, &excluded, "CREATE").0);
}

#[test]
fn mutators_change_what_is_generated_before_it_is_judged() {
    let policies = format!("{POLICIES}{TEMPLATES}{MUTATOR}");
    let webhook = Webhook::mutating(&policies, "", MutationSettings::default());
    // The policy asks for a field that is true.
    let (allowed, message) = said(&webhook, &deployment(&json!({"hostPID": true})), "CREATE");
    assert!(allowed, "{message}");
    let (allowed, message) = said(&webhook, &pod(&json!({"hostPID": true})), "CREATE");
    assert!(!allowed, "{message}");
}

/// An admission policy that always fails with what is generated, which does not count.
const FAILING: &str = r#"
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicy
metadata: {name: broken}
spec:
  failurePolicy: Ignore
  reinvocationPolicy: Never
  matchConstraints:
    resourceRules: [{apiGroups: [""], apiVersions: [v1], operations: ["*"], resources: [pods]}]
  mutations:
  - patchType: JSONPatch
    jsonPatch: {expression: "[JSONPatch{op: 'add', path: '/metadata/labels/a', value: object.spec.secret.text}]"}
---
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingAdmissionPolicyBinding
metadata: {name: broken}
spec: {policyName: broken}
"#;

#[test]
fn what_did_not_work_with_what_is_generated_is_told_where_it_does_not_count() {
    let policies = format!("{POLICIES}{TEMPLATES}{FAILING}");
    let webhook = Webhook::mutating(&policies, "", MutationSettings::default());
    assert!(said(&webhook, &deployment(&json!({"containers": []})), "CREATE").0);
    let log = webhook.log.text();
    let line = log.lines().find(|line| line.contains("left out of what the object implies"));
    let line: Value = serde_json::from_str(line.unwrap_or_else(|| panic!("{log}"))).unwrap();
    assert_eq!((&line["process"], &line["resource_name"]), (&json!("admission"), &json!("web")));
    let ignored = line["ignored"].as_array().unwrap();
    assert!(ignored.len() == 1 && ignored[0].as_str().unwrap().contains("broken"), "{line}");
    assert!(!log.contains("secret"), "{log}");
}
