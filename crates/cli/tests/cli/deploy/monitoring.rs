//! Alerts and dashboard, against the metrics that the audit has.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use portcullis_testkit::metrics::announced;
use serde_json::Value;

use super::{output, read, root, tool};
use crate::run_in;

fn of_the_audit() -> BTreeSet<String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    let policies = "policies/pod-security";
    let args = [
        "audit",
        "--policies",
        policies,
        "testdata/demo",
        "--quiet",
        "--metrics",
        file.path().to_str().unwrap(),
    ];
    run_in(&root(), &args).exits_with(2);
    announced(&std::fs::read_to_string(file.path()).unwrap())
}

/// Whatever in a text looks like a metric of ours or of Gatekeeper's.
fn named(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let is_metric = |word: &&str| ["portcullis_", "gatekeeper_"].iter().any(|start| word.starts_with(start));
    words.filter(is_metric).map(str::to_owned).collect()
}

/// Those of the webhook are compared by a test of its own, `webhook/tests/webhook/monitoring.rs`.
fn is_of_the_audit(name: &str) -> bool {
    let starts = ["portcullis_audit_", "gatekeeper_audit_", "gatekeeper_violations"];
    starts.iter().any(|start| name.starts_with(start))
}

#[test]
fn every_metric_of_the_audit_that_is_asked_for_is_there() {
    // Parts of others that are looked at, or what others say in another way.
    const BESIDE: [&str; 6] = [
        "gatekeeper_audit_duration_seconds_bucket",
        "gatekeeper_audit_duration_seconds_count",
        "gatekeeper_audit_duration_seconds_sum",
        "gatekeeper_audit_last_run_time",
        "portcullis_audit_judgements",
        "portcullis_audit_standing",
    ];
    let files = ["deploy/monitoring/rules.yaml", "deploy/monitoring/dashboard.json"];
    let asked: BTreeSet<String> =
        files.iter().flat_map(|file| named(&read(file))).filter(|name| is_of_the_audit(name)).collect();
    let there = of_the_audit();
    assert!(asked.len() > 3, "{asked:?}");
    let missing: Vec<_> = asked.difference(&there).collect();
    assert!(missing.is_empty(), "{missing:?}");
    let unseen: Vec<_> =
        there.iter().filter(|name| !asked.contains(*name) && !BESIDE.contains(&name.as_str())).collect();
    assert!(unseen.is_empty(), "nobody looks at {unseen:?}");
}

#[test]
fn alerts_say_what_is_wrong_and_how_bad_it_is() {
    let rules: Value = serde_yaml::from_str(&read("deploy/monitoring/rules.yaml")).unwrap();
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for group in rules["groups"].as_array().unwrap() {
        for rule in group["rules"].as_array().unwrap() {
            let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
            let name = text(&rule["alert"]).unwrap();
            *seen.entry(name.clone()).or_default() += 1;
            let expression = text(&rule["expr"]).unwrap();
            for (open, close) in [('(', ')'), ('{', '}'), ('[', ']')] {
                assert_eq!(expression.matches(open).count(), expression.matches(close).count(), "{name}");
            }
            let severity = text(&rule["labels"]["severity"]).unwrap();
            assert!(["critical", "warning", "info"].contains(&severity.as_str()), "{name}: {severity}");
            for annotation in ["summary", "description"] {
                assert!(text(&rule["annotations"][annotation]).is_some(), "{name}: {annotation}");
            }
        }
    }
    assert!(seen.len() > 10 && seen.values().all(|count| *count == 1), "{seen:?}");
    let Some(promtool) = tool("PORTCULLIS_PROMTOOL", Some("promtool")) else { return };
    for (what, file) in [("check", "rules.yaml"), ("test", "rules_test.yaml")] {
        let file = root().join("deploy/monitoring").join(file);
        let said = output(Command::new(&promtool).args([what, "rules"]).arg(file));
        assert!(said.contains("SUCCESS"), "{said}");
    }
}

#[test]
fn panels_have_a_question_each_and_say_what_they_show() {
    let dashboard: Value = serde_json::from_str(&read("deploy/monitoring/dashboard.json")).unwrap();
    let mut ids = BTreeSet::new();
    for panel in dashboard["panels"].as_array().unwrap() {
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{panel}");
        assert!(panel["title"].is_string() && panel["description"].is_string(), "{panel}");
        for target in panel["targets"].as_array().unwrap() {
            assert!(target["expr"].as_str().is_some_and(|expression| !expression.is_empty()), "{panel}");
            assert_eq!(target["datasource"]["uid"], "${datasource}", "{panel}");
        }
    }
    assert!(ids.len() > 10);
    let variables =
        dashboard["templating"]["list"].as_array().unwrap().iter().map(|variable| variable["name"].clone());
    assert_eq!(variables.collect::<Vec<_>>(), ["datasource", "namespace"]);
}
