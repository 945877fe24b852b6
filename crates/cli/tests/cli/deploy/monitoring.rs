//! Alerts and dashboard, against the metrics that the programs have.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use portcullis::PolicySet;
use portcullis_webhook::kube::Numbers;
use portcullis_webhook::metrics::{Gauges, Metrics};
use serde_json::Value;

use super::{output, read, root, tool};
use crate::run_in;

/// The names of samples that a text of metrics announces.
fn announced(text: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for line in text.lines() {
        let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' ')) else {
            continue;
        };
        let parts: &[&str] = match kind {
            "histogram" => &["_bucket", "_sum", "_count"],
            "summary" => &["_sum", "_count"],
            _ => &[""],
        };
        names.extend(parts.iter().map(|part| format!("{name}{part}")));
    }
    names
}

/// Of a webhook that does all that it can.
fn of_the_webhook() -> BTreeSet<String> {
    let cluster = Numbers {
        not_served: BTreeMap::from([("waiting", 0)]),
        failing_watches: 0,
        unreadable_kinds: 0,
        failed_statuses: 0,
    };
    let gauges = Gauges {
        certificate_ends: Some(0),
        lost_records: Some(0),
        unsupported: Some(0),
        lost_events: Some(0),
        lost_spans: Some(0),
        cluster: Some(cluster),
        ..Gauges::default()
    };
    announced(&Metrics::default().render(&PolicySet::empty(), &gauges))
}

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

#[test]
fn every_metric_that_is_asked_for_is_there() {
    let there: BTreeSet<String> = of_the_webhook().union(&of_the_audit()).cloned().collect();
    for file in ["deploy/monitoring/rules.yaml", "deploy/monitoring/dashboard.json"] {
        let named = named(&read(file));
        assert!(named.len() > 10, "{named:?}");
        let missing: Vec<_> = named.difference(&there).collect();
        assert!(missing.is_empty(), "{file}: {missing:?}");
    }
    assert!(
        !there.contains("portcullis_policies_stales")
            && named("a(portcullis_x_total[5m])").contains("portcullis_x_total")
    );
}

/// A metric that nobody looks at is of no use: it is on the dashboard or in an alert, or here.
#[test]
fn every_metric_is_looked_at() {
    // Parts of others that are looked at.
    const BESIDE: [&str; 11] = [
        "gatekeeper_audit_duration_seconds_bucket",
        "gatekeeper_audit_duration_seconds_count",
        "gatekeeper_audit_duration_seconds_sum",
        "gatekeeper_audit_last_run_time",
        "gatekeeper_constraint_template_ingestion_duration_seconds_bucket",
        "gatekeeper_constraint_template_ingestion_duration_seconds_count",
        "gatekeeper_constraint_template_ingestion_duration_seconds_sum",
        "gatekeeper_validation_request_duration_seconds_count",
        "gatekeeper_validation_request_duration_seconds_sum",
        "portcullis_audit_judgements",
        "portcullis_audit_standing",
    ];
    let mut looked_at = named(&read("deploy/monitoring/rules.yaml"));
    looked_at.extend(named(&read("deploy/monitoring/dashboard.json")));
    looked_at.extend(BESIDE.map(str::to_owned));
    let there: BTreeSet<String> = of_the_webhook().union(&of_the_audit()).cloned().collect();
    let unseen: Vec<_> = there.difference(&looked_at).collect();
    assert!(unseen.is_empty(), "{unseen:?}");
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
    let checked = output(
        Command::new(promtool).args(["check", "rules"]).arg(root().join("deploy/monitoring/rules.yaml")),
    );
    assert!(checked.contains("SUCCESS"), "{checked}");
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
