//! The same policies and objects through the command line, the webhook and the audit: the same verdicts and
//! messages.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use portcullis_testkit::json_patch::patched;
use portcullis_webhook::admission::{Budget, Envelope, Mutating, Own, Serving, admit, mutate};
use portcullis_webhook::head::BodyHead;
use portcullis_webhook::load::{Paths, load};
use serde_json::{Value, json};

use crate::run_in;

/// What is found in each object: lines `action [constraint] message`, sorted.
type Found = BTreeMap<String, Vec<String>>;

fn objects() -> Vec<Value> {
    let text = fs::read_to_string(repository("testdata/audit/shop.yaml")).unwrap();
    let (documents, errors) = portcullis::Document::read_all("shop.yaml", &text);
    assert!(errors.is_empty(), "{errors:?}");
    documents.iter().map(portcullis::Document::to_json).collect()
}

fn repository(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

fn name(object: &Value) -> String {
    let part = |key: &str| object["metadata"][key].as_str().unwrap_or_default();
    format!("{} {}/{}", object["kind"].as_str().unwrap(), part("namespace"), part("name"))
}

fn line(action: &str, constraint: &str, message: &str) -> String {
    format!("{action} [{constraint}] {message}")
}

fn sorted(mut found: Found) -> Found {
    for lines in found.values_mut() {
        lines.sort();
    }
    found
}

fn by_command_line(directory: &Path, policies: &str) -> Found {
    let run = run_in(directory, &["test", "--policies", policies, "dump.yaml", "-o", "json"]).exits_with(1);
    let items: Vec<Value> = serde_json::from_str(&run.stdout).unwrap();
    let mut found = Found::new();
    for item in items {
        let constraint = item["constraint"]["metadata"]["name"].as_str().unwrap();
        let text =
            line(item["enforcementAction"].as_str().unwrap(), constraint, item["msg"].as_str().unwrap());
        found.entry(name(&item["violatingObject"])).or_default().push(text);
    }
    sorted(found)
}

fn by_audit(directory: &Path, policies: &str) -> Found {
    let run = run_in(directory, &["audit", "-p", policies, "dump.yaml", "-o", "ndjson"]).exits_with(1);
    let mut found = Found::new();
    for item in run.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
        if item["eventType"] != "violation_audited" {
            continue;
        }
        let part = |key: &str| item[key].as_str().unwrap_or_default();
        let object =
            format!("{} {}/{}", part("resourceKind"), part("resourceNamespace"), part("resourceName"));
        found.entry(object).or_default().push(line(part("enforcementAction"), part("name"), part("message")));
    }
    sorted(found)
}

fn by_webhook(directory: &Path, policies: &Path) -> Found {
    let paths = Paths {
        policies: vec![policies.to_owned()],
        resources: vec![directory.join("dump.yaml")],
        limits: portcullis::Limits::default(),
        unsupported: portcullis::Unsupported::Refused,
        settings: portcullis::PolicySettings::default(),
        mutates: false,
    };
    let serving: Serving = load(&paths).unwrap().serving;
    let mut found = Found::new();
    for object in objects() {
        let (group, version) = object["apiVersion"]
            .as_str()
            .unwrap()
            .rsplit_once('/')
            .unwrap_or(("", object["apiVersion"].as_str().unwrap()));
        let request = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
            "uid": "1", "kind": {"group": group, "version": version, "kind": object["kind"]},
            "resource": {"group": group, "version": version, "resource": ""}, "operation": "CREATE",
            "name": object["metadata"]["name"], "namespace": object["metadata"]["namespace"],
            "userInfo": {"username": "somebody"}, "object": object}});
        let budget = Budget {
            limits: portcullis::EvaluationLimits::default(),
            deadline: Instant::now() + Duration::from_mins(1),
            now_ns: 1_700_000_000_000_000_000,
        };
        let (envelope, answer) =
            admit(request.to_string().as_bytes(), &serving, &Own::default(), Ok(None), &budget);
        let body: Value = serde_json::from_slice(&answer.to_body(&envelope)).unwrap();
        let response = &body["response"];
        let denials =
            response["status"]["message"].as_str().filter(|_| !answer.is_allowed()).unwrap_or_default();
        let denials = denials.lines().map(|line| format!("deny {line}"));
        let warnings = response["warnings"].as_array().into_iter().flatten();
        let warnings = warnings.map(|warning| format!("warn {}", warning.as_str().unwrap()));
        let lines: Vec<_> = denials.chain(warnings).collect();
        if !lines.is_empty() {
            found.insert(name(&object), lines);
        }
    }
    sorted(found)
}

#[test]
fn command_line_webhook_and_audit_say_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    fs::copy(repository("testdata/audit/shop.yaml"), path.join("dump.yaml")).unwrap();
    let policies = fs::canonicalize(repository("policies")).unwrap();
    let named = policies.display().to_string();
    let command_line = by_command_line(path, &named);
    assert!(command_line.values().map(Vec::len).sum::<usize>() > 10, "{command_line:#?}");
    assert_eq!(command_line, by_audit(path, &named));
    assert_eq!(command_line, by_webhook(path, &policies));
}

/// An exception that ended, one that did not yet, and one that never does: the same for all three.
#[test]
fn exceptions_hold_and_end_three_ways_alike() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    fs::copy(repository("testdata/audit/shop.yaml"), path.join("dump.yaml")).unwrap();
    let policies = path.join("policies");
    fs::create_dir(&policies).unwrap();
    let template = "{apiVersion: templates.gatekeeper.sh/v1, kind: ConstraintTemplate, metadata: {name: named}, spec: {crd: {spec: {names: {kind: Named}}}, \
         targets: [{target: admission.k8s.gatekeeper.sh, rego: \"package named\\nviolation[{\\\"msg\\\": input.review.object.metadata.name}] { true }\"}]}}\n\
         ---\n{apiVersion: constraints.gatekeeper.sh/v1beta1, kind: Named, metadata: {name: all}}\n";
    fs::write(policies.join("policy.yaml"), template).unwrap();
    let ways = || {
        let named = policies.display().to_string();
        let command_line = by_command_line(path, &named);
        assert_eq!(command_line, by_audit(path, &named));
        assert_eq!(command_line, by_webhook(path, &policies));
        command_line
    };
    let all = ways();
    let (first, second) = (&objects()[0], &objects()[1]);
    let exception = |object: &Value, ends: &str| {
        let name = object["metadata"]["name"].as_str().unwrap();
        let kind = object["kind"].as_str().unwrap();
        format!(
            "---\n{{apiVersion: policy.portcullis.dev/v1alpha1, kind: PolicyException, metadata: {{name: of-{name}}}, \
             spec: {{constraints: [Named/all], match: {{name: {name}, kinds: [{{kinds: [{kind}]}}]}}, reason: because{ends}}}}}\n"
        )
    };
    for (ends, is_in_force) in [
        ("", true),
        (", expiresAt: \"2999-01-31\"", true),
        (", expiresAt: \"2020-01-31T00:00:00+02:00\"", false),
    ] {
        fs::write(policies.join("exceptions.yaml"), exception(first, ends) + &exception(second, "")).unwrap();
        let left = ways();
        assert_eq!(left.contains_key(&name(first)), !is_in_force, "{ends}");
        assert!(!left.contains_key(&name(second)), "{ends}");
        assert_eq!(left.len(), all.len() - 1 - usize::from(is_in_force), "{ends}");
        for command in [
            &["test", "-p", "policies", "dump.yaml"][..],
            &["audit", "-p", "policies", "dump.yaml"],
            &["lint", "policies"],
        ] {
            let shown = run_in(path, command).shown();
            assert_eq!(
                shown.contains("ended at 2020-01-31T00:00:00+02:00"),
                !is_in_force,
                "{command:?}: {shown}"
            );
            let number = 1 + usize::from(is_in_force);
            assert!(
                command[0] == "lint" || shown.contains(&format!("{number} excepted")),
                "{command:?}: {shown}"
            );
        }
    }
    // A name that no constraint has is said.
    fs::write(policies.join("exceptions.yaml"), exception(first, "").replace("Named/all", "Named/nobody"))
        .unwrap();
    assert_eq!(ways(), all);
    let shown = run_in(path, &["test", "-p", "policies", "dump.yaml"]).shown();
    assert!(shown.contains("there is no constraint `Named/nobody`"), "{shown}");
}

/// The same mutators and objects through the command line and the webhook: the same objects.
#[test]
fn command_line_and_webhook_change_objects_alike() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name);
    let mutators = fs::read_to_string(repository("testdata/cli/mutation/mutators.yaml")).unwrap();
    let objects = fs::read_to_string(repository("testdata/cli/mutation/objects.yaml")).unwrap();
    // One that is excluded, one that cannot be mutated, one of no namespace.
    let more = "---\napiVersion: config.gatekeeper.sh/v1alpha1\nkind: Config\n\
        metadata: {name: config, namespace: gatekeeper-system}\n\
        spec: {match: [{excludedNamespaces: [kube-system], processes: [mutation-webhook]}]}\n";
    let further = "---\n{apiVersion: v1, kind: Namespace, metadata: {name: kube-system, labels: {team: shop}}}\n---\n\
        {apiVersion: v1, kind: Pod, metadata: {name: dns, namespace: kube-system}, spec: {containers: [{name: a, image: b}]}}\n\
        ---\n{apiVersion: v1, kind: Pod, metadata: {name: odd, namespace: shop}, spec: {containers: none}}\n---\n\
        {apiVersion: v1, kind: Pod, metadata: {name: lost, namespace: nowhere}, spec: {containers: []}}\n---\n\
        {apiVersion: v1, kind: Node, metadata: {name: n1}}\n---\n\
        {apiVersion: apps/v1, kind: Deployment, metadata: {generateName: x-, namespace: shop, labels: {}}, spec: {replicas: 2}}\n";
    fs::write(path("mutators.yaml"), format!("{mutators}{more}")).unwrap();
    fs::write(path("objects.yaml"), format!("{objects}{further}")).unwrap();
    let run = run_in(directory.path(), &["mutate", "-m", "mutators.yaml", "objects.yaml", "-o", "json"]);
    let run = run.exits_with(2);
    let by_command_line: Vec<Value> = serde_json::from_str::<Vec<Value>>(&run.stdout)
        .unwrap()
        .into_iter()
        .map(|item| item["object"].clone())
        .collect();

    fs::create_dir(path("policies")).unwrap();
    fs::copy(path("mutators.yaml"), path("policies/mutators.yaml")).unwrap();
    let paths = Paths {
        policies: vec![path("policies"), repository("policies")],
        resources: vec![path("objects.yaml")],
        limits: portcullis::Limits::default(),
        unsupported: portcullis::Unsupported::Refused,
        settings: portcullis::PolicySettings::default(),
        mutates: true,
    };
    let serving = load(&paths).unwrap().serving;
    let nothing = portcullis::Answers::new();
    let mutating = Mutating {
        answers: &nothing,
        limits: portcullis::MutationLimits::default(),
        deadline: Instant::now() + Duration::from_mins(1),
        max_patch: 3 << 20,
        id: "",
        annotates: false,
        tells: false,
    };
    let text = fs::read_to_string(path("objects.yaml")).unwrap();
    let (documents, errors) = portcullis::Document::read_all("objects.yaml", &text);
    assert!(errors.is_empty(), "{errors:?}");
    let (mut by_webhook, mut refused) = (Vec::new(), Vec::new());
    for object in documents.iter().map(portcullis::Document::to_json) {
        let api_version = object["apiVersion"].as_str().unwrap();
        let (group, version) = api_version.rsplit_once('/').unwrap_or(("", api_version));
        let is_placed = !["Namespace", "Node"].contains(&object["kind"].as_str().unwrap());
        let home = object["metadata"].get("namespace").cloned().unwrap_or("default".into());
        let request = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
            "uid": "1", "kind": {"group": group, "version": version, "kind": object["kind"]},
            "resource": {"group": group, "version": version, "resource": ""}, "operation": "CREATE",
            "name": object["metadata"]["name"], "namespace": if is_placed { home } else { "".into() },
            "userInfo": {"username": "somebody"}, "object": object}});
        let body = request.to_string();
        let (envelope, refusal) = Envelope::read(body.as_bytes(), &BodyHead::of(body.as_bytes()));
        assert!(refusal.is_none(), "{refusal:?}");
        let answer =
            mutate(body.as_bytes(), &envelope, &serving, &Own::default(), Ok(None), &mutating).answer;
        match (&answer.patch, answer.is_allowed()) {
            (Some(patch), true) => {
                by_webhook.push(patched(&object, &serde_json::from_slice(patch.json()).unwrap()));
            }
            (None, true) => by_webhook.push(object),
            (patch, false) => {
                assert!(patch.is_none() && answer.code() == 500, "{answer:?}");
                refused.push(object["metadata"]["name"].clone());
            }
        }
    }
    assert_eq!(by_webhook, by_command_line);
    assert_eq!(refused, ["odd", "lost"]);
    assert!(run.stderr.contains("Pod shop/odd") && run.stderr.contains("Pod nowhere/lost"), "{}", run.stderr);
}
