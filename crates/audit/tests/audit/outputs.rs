//! Forms of output as those read them that they are for.

use std::fs;

use serde_json::{Value, json};

use crate::support::{directory, ingress, lines, pod, run, service};

fn audited(args: &[&str]) -> (tempfile::TempDir, String) {
    let directory = directory();
    let objects: Vec<_> = (0..30)
        .map(|index| pod("shop", &format!("pod-{index:02}"), true))
        .chain([
            ingress("shop", "a", "x.example.com"),
            ingress("blog", "b", "x.example.com"),
            service("two", &[80, 81]),
        ])
        .collect();
    fs::write(directory.path().join("dump.ndjson"), lines(&objects)).unwrap();
    let args: Vec<_> = ["dump.ndjson"].iter().chain(args).copied().collect();
    let found = run(directory.path(), &args, None).exits_with(2);
    (directory, found.stdout)
}

#[test]
fn lines_have_the_keys_of_gatekeepers_export() {
    let (_directory, text) = audited(&["-o", "ndjson"]);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 1 + 33 + 1);
    let id = lines[0]["id"].clone();
    assert_eq!(lines[0], json!({"id": id, "message": "audit is started"}));
    let place = json!({"file": "dump.ndjson", "line": 1, "column": 149, "endColumn": 153});
    let mut first = lines[1].clone();
    assert!(first["place"]["column"].is_u64());
    first["place"] = place.clone();
    assert_eq!(
        first,
        json!({
            "id": id, "eventType": "violation_audited", "details": {"path": ["spec", "hostPID"]},
            "group": "constraints.gatekeeper.sh", "version": "v1beta1", "kind": "NoHostPid", "name": "no-host-pid",
            "message": "pod pod-00 shares the node's processes", "enforcementAction": "deny",
            "constraintAnnotations": {"metadata.gatekeeper.sh/severity": "high"},
            "resourceAPIVersion": "v1", "resourceKind": "Pod", "resourceNamespace": "shop", "resourceName": "pod-00",
            "resourceLabels": {"app": "pod-00"}, "verdict": "violation", "field": "spec.hostPID", "place": place,
        })
    );
    let last = lines.last().unwrap();
    assert_eq!(
        (&last["message"], &last["violations"], &last["unknown"]),
        (&json!("audit is completed"), &json!(32), &json!(1))
    );
}

#[test]
fn statuses_hold_the_smallest_violations_in_descending_order() {
    let (_directory, text) = audited(&["-o", "status", "--message-limit", "20"]);
    let list: Value = serde_json::from_str(&text).unwrap();
    let status = |kind: &str| {
        let item = list["items"].as_array().unwrap().iter().find(|item| item["kind"] == kind).unwrap();
        item["status"].clone()
    };
    let pods = status("NoHostPid");
    assert_eq!(pods["totalViolations"], 30);
    let violations = pods["violations"].as_array().unwrap();
    assert_eq!(violations.len(), 20);
    assert_eq!(
        violations[0],
        json!({"group": "", "version": "v1", "kind": "Pod", "namespace": "shop", "name": "pod-19",
        "message": "pod pod-19 shares...", "enforcementAction": "deny"})
    );
    assert_eq!(violations[19]["name"], "pod-00");
    assert_eq!(status("TwoAnswers")["totalViolations"], 1);
    assert_eq!(status("UniqueHost")["violations"][0]["name"], "a");
}

#[test]
fn policy_reports_are_one_per_namespace_and_change_with_the_results_only() {
    for (form, version, kinds) in [
        ("policy-report", "wgpolicyk8s.io/v1alpha2", ["ClusterPolicyReport", "PolicyReport"]),
        ("openreports", "openreports.io/v1alpha1", ["ClusterReport", "Report"]),
    ] {
        let (directory, text) = audited(&["-o", form]);
        let list: Value = serde_json::from_str(&text).unwrap();
        let items = list["items"].as_array().unwrap();
        let names: Vec<_> = items
            .iter()
            .map(|item| (item["kind"].as_str().unwrap(), item["metadata"]["namespace"].as_str()))
            .collect();
        assert_eq!(names, [(kinds[0], None), (kinds[1], Some("blog")), (kinds[1], Some("shop"))]);
        assert!(items.iter().all(|item| item["apiVersion"] == version));
        assert_eq!(items[2]["summary"], json!({"pass": 0, "fail": 30, "warn": 1, "error": 1, "skip": 0}));
        let result = &items[2]["results"][0];
        assert_eq!(
            (&result["policy"], &result["rule"], &result["result"], &result["severity"]),
            (&json!("NoHostPid"), &json!("no-host-pid"), &json!("fail"), &json!("high"))
        );
        assert_eq!(
            result["resources"],
            json!([{"apiVersion": "v1", "kind": "Pod", "namespace": "shop", "name": "pod-00"}])
        );
        std::thread::sleep(std::time::Duration::from_millis(1100));
        let again = run(directory.path(), &["dump.ndjson", "-o", form], None);
        assert!(text == again.stdout, "a later audit with the same results writes the same");
    }
}

#[test]
fn sarif_and_junit_name_rules_places_and_what_was_not_seen() {
    let (_directory, text) = audited(&["-o", "sarif"]);
    let sarif: Value = serde_json::from_str(&text).unwrap();
    let run = &sarif["runs"][0];
    assert_eq!(run["results"].as_array().unwrap().len(), 33);
    assert_eq!(run["results"][0]["ruleId"], "NoHostPid");
    assert_eq!(run["results"][0]["locations"][0]["physicalLocation"]["region"]["startLine"], 1);
    assert_eq!(run["invocations"][0]["executionSuccessful"], true);
    let (_directory, text) = audited(&["-o", "junit"]);
    assert!(text.contains("tests=\"33\" skipped=\"0\" failures=\"30\" errors=\"1\""), "{text}");
}

#[test]
fn metrics_have_gatekeepers_names() {
    let (_directory, text) = audited(&["-o", "metrics"]);
    for line in [
        "gatekeeper_violations{enforcement_action=\"deny\"} 31",
        "gatekeeper_violations{enforcement_action=\"warn\"} 2",
        "gatekeeper_audit_duration_seconds_count 1",
        "portcullis_audit_judgements{verdict=\"unknown\"} 1",
        "portcullis_audit_complete 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing:\n{text}");
    }
    assert!(
        text.contains("gatekeeper_audit_last_run_time 1")
            && text.contains("gatekeeper_audit_last_run_end_time 1")
    );
}
