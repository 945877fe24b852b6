//! What `policies/README.md` asks of a policy is so for each in `policies/`. That they do what their own suites
//! say, `portcullis verify` asks.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test panics when it fails"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use portcullis::{
    Decision, EnforcementPoint, Finding, Inventory, Object, Outcome, PolicySet, Precision, Review, World,
};
use portcullis_testkit::builders::{document, object};
use serde_json::{Value, json};

/// A constraint of a suite, and what it judges.
struct Test {
    /// Of the policy's folder and of the test.
    name: String,
    template: Rc<Value>,
    constraint: Value,
    cases: Vec<Case>,
}

struct Case {
    file: String,
    object: Value,
    inventory: Inventory,
    has_violations: bool,
}

fn documents(file: &Path) -> Vec<Value> {
    use serde::Deserialize as _;
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let documents = serde_yaml::Deserializer::from_str(&text).map(|part| Value::deserialize(part).unwrap());
    documents.filter(|document| !document.is_null()).collect()
}

fn one(file: &Path) -> Value {
    let mut all = documents(file);
    assert_eq!(all.len(), 1, "{}", file.display());
    all.remove(0)
}

/// The area and the policy.
fn short(folder: &Path) -> String {
    folder.strip_prefix(root()).unwrap().display().to_string()
}

fn items(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies")
}

fn folders() -> Vec<PathBuf> {
    let below = |folder: &Path| {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.is_dir()).collect::<Vec<_>>()
    };
    let mut folders: Vec<PathBuf> = below(&root()).iter().flat_map(|area| below(area)).collect();
    folders.retain(|folder| !folder.ends_with("bundles"));
    folders.sort();
    assert!(folders.len() > 20, "{folders:?}");
    folders
}

/// The tests of a policy's suite.
fn suite(folder: &Path) -> Vec<Test> {
    let path = |value: &Value| folder.join(value.as_str().unwrap());
    let template = Rc::new(one(&folder.join("template.yaml")));
    let read_case = |case: &Value| Case {
        file: case["object"].as_str().unwrap().to_owned(),
        object: one(&path(&case["object"])),
        inventory: items(&case["inventory"])
            .iter()
            .flat_map(|file| documents(&path(file)))
            .map(|value| object(&value))
            .collect(),
        has_violations: items(&case["assertions"]).iter().any(|found| found["violations"] != "no"),
    };
    let read_test = |test: &Value| Test {
        name: format!("{}: {}", short(folder), test["name"].as_str().unwrap()),
        template: Rc::clone(&template),
        constraint: one(&path(&test["constraint"])),
        cases: items(&test["cases"]).iter().map(read_case).collect(),
    };
    items(&one(&folder.join("suite.yaml"))["tests"]).iter().map(read_test).collect()
}

/// All tests whose constraint is not refused, as suites want of some.
fn tests() -> Vec<(Test, PolicySet)> {
    let tests = folders().into_iter().flat_map(|folder| suite(&folder));
    tests.filter_map(|test| with(&test, &test.constraint).map(|set| (test, set))).collect()
}

/// The policy with a constraint; none if that is refused.
fn with(test: &Test, constraint: &Value) -> Option<PolicySet> {
    let (set, errors) = PolicySet::compile([document(&test.template), document(constraint)]);
    errors.is_empty().then_some(set)
}

fn review_of(value: &Value) -> Review {
    match &value["kind"] {
        kind if *kind == "AdmissionReview" => Review::from_json(&value.to_string()).unwrap(),
        _ => Review::from_object(Object::from_yaml(&value.to_string()).unwrap()),
    }
}

fn judge(set: &PolicySet, value: &Value, inventory: &Inventory) -> Outcome {
    let review = review_of(value);
    set.review(&review, &World::new(inventory), EnforcementPoint::CommandLine)
}

fn messages(outcome: &Outcome) -> Vec<String> {
    Decision::from(outcome).findings.iter().map(|finding| finding.message.to_owned()).collect()
}

#[test]
fn every_policy_has_all_its_parts() {
    let mut missing = Vec::new();
    for folder in folders() {
        let mut lacks = |what: String| missing.push(format!("{}: {what}", short(&folder)));
        for file in ["template.yaml", "README.md", "suite.yaml"] {
            if !folder.join(file).is_file() {
                lacks(format!("no {file}"));
            }
        }
        let text = |file: &str| fs::read_to_string(folder.join(file)).unwrap_or_default();
        let (manual, suite) = (text("README.md"), text("suite.yaml"));
        for section in ["What it refuses", "Why", "Parameters", "Example", "How to fix a violation", "Limits"]
        {
            if !manual.contains(&format!("\n## {section}\n")) {
                lacks(format!("no section `{section}` in README.md"));
            }
        }
        let template = one(&folder.join("template.yaml"));
        let annotation = |name: &str| template["metadata"]["annotations"][name].as_str().unwrap_or_default();
        for (name, is_good) in [
            (
                "metadata.gatekeeper.sh/severity",
                (|text| ["critical", "high", "medium", "low", "info"].contains(&text)) as fn(&str) -> bool,
            ),
            ("policy.portcullis.dev/category", |text| !text.is_empty()),
            ("policy.portcullis.dev/link", |text| text.starts_with("https://")),
        ] {
            if !is_good(annotation(name)) {
                lacks(format!("no annotation `{name}`"));
            }
        }
        let parameters = &template["spec"]["crd"]["spec"]["validation"]["openAPIV3Schema"]["properties"];
        for (name, schema) in parameters.as_object().into_iter().flatten() {
            if !manual.contains(&format!("\n| `{name}` |")) {
                lacks(format!("no row for the parameter `{name}` in README.md"));
            }
            if schema["description"].as_str().is_none_or(str::is_empty) {
                lacks(format!("no description of the parameter `{name}`"));
            }
        }
        for case in fs::read_dir(folder.join("samples")).into_iter().flatten() {
            for sample in fs::read_dir(case.unwrap().path()).unwrap() {
                let sample = sample.unwrap().path();
                let name = sample.strip_prefix(&folder).unwrap().display().to_string();
                if !suite.contains(&name) {
                    lacks(format!("{name} is not in suite.yaml"));
                }
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_suite_has_a_case_that_passes_and_one_that_does_not() {
    for folder in folders() {
        let cases: Vec<Case> = suite(&folder).into_iter().flat_map(|test| test.cases).collect();
        for wanted in [true, false] {
            let has_one = cases.iter().any(|case| case.has_violations == wanted);
            assert!(has_one, "{}: no case with violations: {wanted}", short(&folder));
        }
        for case in cases {
            let begin = if case.has_violations { "violation-" } else { "allowed-" };
            let name = case.file.rsplit('/').next().unwrap();
            assert!(name.starts_with(begin), "{}: {}", short(&folder), case.file);
        }
    }
}

/// Whether a path leads to something in an object, to its end.
fn is_there(object: &Value, path: &Value) -> bool {
    let end = items(path).iter().try_fold(object, |at, key| match key {
        Value::String(key) => at.get(key),
        key => at.get(usize::try_from(key.as_u64()?).ok()?),
    });
    path.is_array() && end.is_some()
}

/// By a path that ends in the object: what reports show is the line of the last field of it that there is.
#[test]
fn every_violation_names_its_field() {
    let (mut failures, mut count) = (Vec::new(), 0);
    for (test, set) in tests() {
        for case in &test.cases {
            let outcome = judge(&set, &case.object, &case.inventory);
            // With the namespace that it is in, also where it does not say so.
            let object = review_of(&case.object).object().map(Object::to_json).unwrap_or_default();
            for finding in Decision::from(&outcome).findings {
                count += 1;
                let is_named = finding.position().is_some_and(|at| at.precision == Precision::Details);
                let path = &finding.details()["path"];
                // What is missing at the top of an object is nowhere in it.
                let is_whole = (is_named || *path == json!([])) && is_there(&object, path);
                if !finding.is_error() && !is_whole {
                    failures.push(format!("{}, {}: {path}: {}", test.name, case.file, finding.message));
                }
            }
        }
    }
    assert!(count > 300, "only {count} violations were found");
    assert!(failures.is_empty(), "{failures:#?}");
}

/// An object that violates a policy does not get past it by a `spec` that is none.
#[test]
fn what_is_malformed_is_no_pass() {
    let (mut failures, mut count) = (Vec::new(), 0);
    for (test, set) in tests() {
        // A kind of somebody else's may have any `spec`.
        let is_known =
            |case: &&Case| !case.object["apiVersion"].as_str().unwrap().starts_with("example.com/");
        let has_spec = |case: &&Case| case.object["spec"].is_object() && case.has_violations;
        for case in test.cases.iter().filter(is_known).filter(has_spec) {
            for spec in [json!("text"), json!(7), json!([])] {
                let mut object = case.object.clone();
                object["spec"] = spec;
                count += 1;
                if messages(&judge(&set, &object, &case.inventory)).is_empty() {
                    failures.push(format!("{}, {}: spec: {}", test.name, case.file, object["spec"]));
                }
            }
        }
    }
    assert!(count > 300, "only {count} objects were tried");
    assert!(failures.is_empty(), "{failures:#?}");
}

/// The request to delete an object.
fn deletion(object: &Value) -> Value {
    let (group, version) = match object["apiVersion"].as_str().unwrap().split_once('/') {
        Some(parts) => parts,
        None => ("", object["apiVersion"].as_str().unwrap()),
    };
    let kind = object["kind"].as_str().unwrap();
    let resource = format!("{}s", kind.to_lowercase());
    json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": "1", "operation": "DELETE",
        "kind": {"group": group, "version": version, "kind": kind},
        "resource": {"group": group, "version": version, "resource": resource},
        "namespace": object["metadata"]["namespace"], "name": object["metadata"]["name"], "oldObject": object}})
}

/// What violates a policy may always go.
#[test]
fn nothing_is_kept_from_going_away() {
    let (mut failures, mut count) = (Vec::new(), 0);
    for (test, set) in tests() {
        for case in test.cases.iter().filter(|case| case.has_violations && case.object["request"].is_null()) {
            count += 1;
            let outcome = judge(&set, &deletion(&case.object), &case.inventory);
            if !Decision::from(&outcome).findings.iter().all(Finding::is_error) {
                failures.push(format!("{}, {}: {:?}", test.name, case.file, messages(&outcome)));
            }
        }
    }
    assert!(count > 300, "only {count} deletions were tried");
    assert!(failures.is_empty(), "{failures:#?}");
}

/// Defaults are filled into parameters, but not where a constraint has none.
#[test]
fn without_parameters_the_defaults_hold_as_well() {
    let (mut failures, mut count) = (Vec::new(), 0);
    for (test, _) in tests() {
        let (mut bare, mut empty) = (test.constraint.clone(), test.constraint.clone());
        bare["spec"].as_object_mut().unwrap().remove("parameters");
        empty["spec"]["parameters"] = json!({});
        // Some parameters have no default.
        let (Some(bare), Some(empty)) = (with(&test, &bare), with(&test, &empty)) else { continue };
        for case in &test.cases {
            count += 1;
            let of = |set| messages(&judge(set, &case.object, &case.inventory));
            let (bare, empty) = (of(&bare), of(&empty));
            if bare != empty {
                failures.push(format!("{}, {}: {bare:?}, not {empty:?}", test.name, case.file));
            }
        }
    }
    assert!(count > 100, "only {count} cases were found");
    assert!(failures.is_empty(), "{failures:#?}");
}
