//! `--compare-status`: what is found beside the statuses that another audit wrote.

use std::process::Command;

use portcullis_testkit::apiserver::{ApiServer, Fault, Verb};
use portcullis_testkit::program::Run;
use serde_json::{Value, json};

use crate::kube::server;
use crate::support::{POLICIES, ingress, pod};

async fn audit(server: &ApiServer, args: &[&str]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis-audit"));
    command.args(["--kube", "--kube-server", server.url(), "--match-kind-only"]).args(args);
    tokio::task::spawn_blocking(move || Run::of(command, None)).await.unwrap()
}

async fn compared(server: &ApiServer, code: i32) -> Value {
    let run = audit(server, &["--compare-status", "-o", "json"]).await.exits_with(code);
    serde_json::from_str(&run.stdout).unwrap()
}

fn of<'a>(report: &'a Value, kind: &str) -> &'a Value {
    report["constraints"].as_array().unwrap().iter().find(|found| found["kind"] == kind).unwrap()
}

/// Writes a status as if another audit had.
fn change(server: &ApiServer, plural: &str, name: &str, change: impl FnOnce(&mut Value)) {
    let mut constraint = server.get(plural, "", name).unwrap();
    change(&mut constraint["status"]);
    server.put(constraint);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_two_audits_say_is_compared_by_constraint() {
    let server = server().await;
    for index in 0..25 {
        server.put(pod("shop", &format!("pod-{index:02}"), true));
    }
    server.put(ingress("shop", "a", "x.example.com"));
    server.put(ingress("blog", "b", "x.example.com"));
    let none = compared(&server, 2).await;
    assert_eq!(none["summary"], json!({"equal": 0, "differ": 0, "notComparable": 3}));
    audit(&server, &["--update-status"]).await.exits_with(1);

    // The same, though only twenty of 25 are listed, whatever their order; and nothing is written.
    change(&server, "nohostpid", "no-host-pid", |status| {
        status["violations"].as_array_mut().unwrap().reverse();
    });
    server.forget_requests();
    let same = compared(&server, 0).await;
    assert_eq!(same["summary"], json!({"equal": 3, "differ": 0, "notComparable": 0}), "{same:#}");
    assert_eq!(of(&same, "NoHostPid")["theirs"], json!({"total": 25, "listed": 20}));
    assert!(server.writes().is_empty());
    let shown = audit(&server, &["--compare-status"]).await;
    assert!(shown.exits_with(0).stdout.contains("3 constraints: 3 equal, 0 differ, 0 not comparable"));

    // A text, an object that is gone, one that they did not see, a number.
    change(&server, "nohostpid", "no-host-pid", |status| {
        status["violations"][0]["name"] = "gone".into();
    });
    change(&server, "uniquehost", "unique-host", |status| {
        status["violations"][0]["message"] = "host X".into();
    });
    let report = compared(&server, 1).await;
    let pods = of(&report, "NoHostPid");
    assert_eq!((&pods["verdict"], &pods["onlyTheirs"][0]["name"]), (&json!("differs"), &json!("gone")));
    assert_eq!(pods["onlyOurs"]["total"], 0, "the list is cut: what is not in it may have been found");
    let hosts = of(&report, "UniqueHost");
    assert_eq!(hosts["otherTexts"][0]["theirs"]["message"], "host X");
    let shown = audit(&server, &["--compare-status"]).await.exits_with(1).stdout;
    for part in ["only theirs: Pod shop/gone", "other text: Ingress", "1 equal, 2 differ, 0 not comparable"] {
        assert!(shown.contains(part), "{part} is missing in\n{shown}");
    }
    server.delete("pods", "shop", "pod-24");
    server.put(pod("shop", "pod-98", true));
    server.put(pod("shop", "pod-99", true));
    let report = compared(&server, 1).await;
    assert_eq!(
        (&of(&report, "NoHostPid")["theirs"]["total"], &of(&report, "NoHostPid")["ours"]["total"]),
        (&json!(25), &json!(26))
    );

    // What is of another action than the constraint has now is of an older one.
    let mut hosts = server.get("uniquehost", "", "unique-host").unwrap();
    hosts["spec"]["enforcementAction"] = "dryrun".into();
    server.put(hosts);
    let report = compared(&server, 1).await;
    assert_eq!(of(&report, "UniqueHost")["verdict"], "notComparable");
    assert!(of(&report, "UniqueHost")["reason"].as_str().unwrap().contains("`warn`"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_audit_that_sees_less_compares_nothing() {
    let server = server().await;
    server.put(pod("shop", "bad", true));
    audit(&server, &["--update-status"]).await.exits_with(1);
    compared(&server, 0).await;
    server.fault(Fault::on(Verb::List, "pods").always().forbidden());
    let report = compared(&server, 2).await;
    assert_eq!(report["standing"], "incomplete");
}

#[test]
fn statuses_may_be_in_files_and_other_forms_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (policies, dump) = (directory.path().join("policies.yaml"), directory.path().join("dump.json"));
    let status = "status: {auditTimestamp: '2026-01-02T03:04:05Z', totalViolations: 0}";
    let text = POLICIES.replace("kind: NoHostPid\nmetadata", &format!("kind: NoHostPid\n{status}\nmetadata"));
    std::fs::write(&policies, text).unwrap();
    std::fs::write(&dump, pod("shop", "bad", true).to_string()).unwrap();
    let run = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis-audit"));
        command.arg("-p").arg(&policies).arg(&dump).arg("--compare-status").args(more);
        Run::of(command, None)
    };
    let shown = run(&[]).exits_with(1).stdout;
    assert!(shown.contains("only ours: Pod shop/bad"), "{shown}");
    assert!(run(&["-o", "sarif"]).exits_with(2).stderr.contains("printed as `human` or `json`"));
    assert_eq!(run(&["--quiet"]).exits_with(1).stdout, "");
    run(&["--interval", "5"]).exits_with(2);
}
