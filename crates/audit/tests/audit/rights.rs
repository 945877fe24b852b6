//! The roles in `deploy/audit` against the program: what it does with `--kube` they allow, and what they allow it does.

use std::path::Path;
use std::process::Command;

use portcullis_report::policy_report::MANAGED_BY;
use portcullis_testkit::apiserver::{ApiServer, Rights};
use portcullis_testkit::program::Run;
use serde_json::json;

use crate::kube::server;
use crate::support::pod;

pub const NAMESPACE: &str = "portcullis-system";

/// Audits the whole cluster and writes all that it can.
pub async fn audit(server: &ApiServer) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis-audit"));
    command.args([
        "--kube",
        "--kube-server",
        server.url(),
        "--match-kind-only",
        "--update-status",
        "--reports",
        "policy-report",
    ]);
    command.args(["--reports", "openreports", "--lease", "portcullis-system/portcullis-audit"]);
    tokio::task::spawn_blocking(move || Run::of(command, None)).await.unwrap()
}

pub fn register_exceptions(server: &ApiServer) {
    server.register("policy.portcullis.dev/v1alpha1", "PolicyException", "policyexceptions", false);
}

pub fn register_reports(server: &ApiServer) {
    for (api_version, kind, plural, namespaced) in [
        ("wgpolicyk8s.io/v1alpha2", "PolicyReport", "policyreports", true),
        ("wgpolicyk8s.io/v1alpha2", "ClusterPolicyReport", "clusterpolicyreports", false),
        ("openreports.io/v1alpha1", "Report", "reports", true),
        ("openreports.io/v1alpha1", "ClusterReport", "clusterreports", false),
    ] {
        server.register(api_version, kind, plural, namespaced);
    }
}

fn rights_of(file: &str, account: &str) -> Rights {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/audit").join(file);
    Rights::of(&[std::fs::read_to_string(file).unwrap()], NAMESPACE, account)
}

fn rights() -> Rights {
    rights_of("rbac.yaml", "portcullis-audit")
}

/// Audits, with a violation and then without it.
pub async fn exercise(server: &ApiServer, codes: [i32; 2]) {
    audit(server).await.exits_with(codes[0]);
    assert_eq!(server.get("nohostpid", "", "no-host-pid").unwrap()["status"]["totalViolations"], 1);
    let reports = || {
        ["policyreports", "reports"].map(|plural| server.get(plural, "shop", "portcullis-audit-1").is_some())
    };
    assert_eq!(reports(), [true; 2]);
    // What is left over is deleted, also what an older audit wrote that had more to say.
    for (api_version, kind) in
        [("wgpolicyk8s.io/v1alpha2", "ClusterPolicyReport"), ("openreports.io/v1alpha1", "ClusterReport")]
    {
        server
            .put(json!({"apiVersion": api_version, "kind": kind, "metadata": {"name": "portcullis-audit-9",
            "labels": {MANAGED_BY.0: MANAGED_BY.1}}}));
    }
    server.delete("pods", "shop", "bad");
    server.delete("namespaces", "", "shop");
    audit(server).await.exits_with(codes[1]);
    assert_eq!(reports(), [false; 2]);
}

/// A policy about all kinds that the roles name, and what it denies.
fn everything(server: &ApiServer) {
    let kinds =
        ["Namespace", "ConfigMap", "ServiceAccount", "PersistentVolumeClaim", "PersistentVolume", "Node"];
    let groups = [
        ("", &kinds[..]),
        ("apps", &["Deployment", "DaemonSet", "StatefulSet", "ReplicaSet"]),
        ("batch", &["Job", "CronJob"]),
        ("networking.k8s.io", &["NetworkPolicy"]),
        ("rbac.authorization.k8s.io", &["Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"]),
    ];
    let kinds = groups.map(|(group, kinds)| json!({"apiGroups": [group], "kinds": kinds}));
    server.put(json!({"apiVersion": "constraints.gatekeeper.sh/v1beta1", "kind": "NoHostPid",
        "metadata": {"name": "everything"}, "spec": {"match": {"kinds": kinds}}}));
    server.put(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}));
    server.put(pod("shop", "bad", true));
}

/// The shards of `indexed-job.yaml` read, and do nothing else. Together they say what one audit says.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shards_of_a_cluster_read_and_say_together_what_one_audit_says() {
    let server = server().await;
    server.register_kubernetes();
    register_exceptions(&server);
    everything(&server);
    for index in 0..60 {
        // In the order in which an API server lists them, whatever stands between the parts of its keys.
        server.put(pod(["shop", "docs", "blog"][index % 3], &format!("pod-{index}"), index % 4 == 0));
    }
    server.authorize(rights_of("indexed-job.yaml", "portcullis-audit-shard"));
    let folder = tempfile::tempdir().unwrap();
    let (path, url) = (folder.path().to_owned(), server.url().to_owned());
    let program = move |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis-audit"));
        command.current_dir(&path).args(args);
        Run::of(command, None)
    };
    let runs = tokio::task::spawn_blocking(move || {
        let kube = ["--kube", "--kube-server", &url, "--match-kind-only", "--chunk-size", "7"];
        let now = ["--now", "2026-11-21T13:50:00Z"];
        let of = |args: &[&str]| program(&[&kube[..], &now, args].concat());
        for index in 0..8 {
            let (shard, part) = (format!("{index}/8"), format!("part-{index}"));
            of(&["--shard", &shard, "--part", &part]).exits_with(0);
        }
        let parts: Vec<String> = (0..8).map(|index| format!("part-{index}")).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        let merged = |form| program(&[&["merge", "-o", form], &parts[..]].concat());
        ["json", "ndjson", "human"].map(|form| (of(&["-o", form]), merged(form)))
    });
    for (one, merged) in runs.await.unwrap() {
        assert_eq!((one.code, merged.code), (Some(1), Some(1)), "{}", merged.stderr);
        assert_eq!(crate::support::without_times(&one.stdout), crate::support::without_times(&merged.stdout));
    }
    assert!(server.refused().is_empty(), "{:#?}", server.refused());
    assert!(server.unused_rights().is_empty(), "never used: {:#?}", server.unused_rights());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_roles_allow_what_the_audit_does_and_nothing_else() {
    let server = server().await;
    server.register_kubernetes();
    register_exceptions(&server);
    register_reports(&server);
    everything(&server);
    server.authorize(rights());
    exercise(&server, [1, 0]).await;
    assert!(server.refused().is_empty(), "{:#?}", server.refused());
    assert!(server.unused_rights().is_empty(), "never used: {:#?}", server.unused_rights());
}
