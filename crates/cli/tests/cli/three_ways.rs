//! The same policies and objects through the command line, the webhook and the audit: the same verdicts and
//! messages.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use portcullis_webhook::admission::{Budget, Own, Serving, admit};
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
        homes: portcullis::ConfigHomes::default(),
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
