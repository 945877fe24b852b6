//! The roles in `deploy/audit` against the program: what it does with `--kube` they allow, and what they allow it does.

use std::path::Path;
use std::process::Command;

use portcullis_audit::sink::policy_report::MANAGED_BY;
use portcullis_testkit::apiserver::{ApiServer, Rights};
use portcullis_testkit::program::Run;
use serde_json::json;

use crate::kube::server;
use crate::support::pod;

const NAMESPACE: &str = "portcullis-system";

/// Audits the whole cluster and writes all that it can.
async fn audit(server: &ApiServer) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis-audit"));
    command.args([
        "--kube",
        "--server",
        server.url(),
        "--match-kind-only",
        "--update-status",
        "--reports",
        "policy-report",
    ]);
    command.args(["--reports", "openreports", "--lease", "portcullis-system/portcullis-audit"]);
    tokio::task::spawn_blocking(move || Run::of(command, None)).await.unwrap()
}

fn rights() -> Rights {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/audit/rbac.yaml");
    Rights::of(&[std::fs::read_to_string(file).unwrap()], NAMESPACE, "portcullis-audit")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_roles_allow_what_the_audit_does_and_nothing_else() {
    let server = server().await;
    for (api_version, kind, plural, namespaced) in [
        ("v1", "ServiceAccount", "serviceaccounts", true),
        ("v1", "PersistentVolumeClaim", "persistentvolumeclaims", true),
        ("v1", "PersistentVolume", "persistentvolumes", false),
        ("v1", "Node", "nodes", false),
        ("apps/v1", "DaemonSet", "daemonsets", true),
        ("apps/v1", "StatefulSet", "statefulsets", true),
        ("apps/v1", "ReplicaSet", "replicasets", true),
        ("batch/v1", "Job", "jobs", true),
        ("batch/v1", "CronJob", "cronjobs", true),
        ("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies", true),
        ("rbac.authorization.k8s.io/v1", "Role", "roles", true),
        ("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings", true),
        ("rbac.authorization.k8s.io/v1", "ClusterRole", "clusterroles", false),
        ("rbac.authorization.k8s.io/v1", "ClusterRoleBinding", "clusterrolebindings", false),
        ("wgpolicyk8s.io/v1alpha2", "PolicyReport", "policyreports", true),
        ("wgpolicyk8s.io/v1alpha2", "ClusterPolicyReport", "clusterpolicyreports", false),
        ("openreports.io/v1alpha1", "Report", "reports", true),
        ("openreports.io/v1alpha1", "ClusterReport", "clusterreports", false),
        ("mutations.gatekeeper.sh/v1", "Assign", "assign", false),
        ("mutations.gatekeeper.sh/v1", "AssignMetadata", "assignmetadata", false),
        ("mutations.gatekeeper.sh/v1", "ModifySet", "modifyset", false),
        ("mutations.gatekeeper.sh/v1alpha1", "AssignImage", "assignimage", false),
        ("expansion.gatekeeper.sh/v1beta1", "ExpansionTemplate", "expansiontemplate", false),
        ("externaldata.gatekeeper.sh/v1beta1", "Provider", "providers", false),
        ("connection.gatekeeper.sh/v1alpha1", "Connection", "connections", true),
    ] {
        server.register(api_version, kind, plural, namespaced);
    }
    // A policy about all kinds that the role names; the others are not listed.
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
    server.authorize(rights());
    audit(&server).await.exits_with(1);
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
    audit(&server).await.exits_with(0);
    assert_eq!(reports(), [false; 2]);
    assert!(server.refused().is_empty(), "{:#?}", server.refused());
    assert!(server.unused_rights().is_empty(), "never used: {:#?}", server.unused_rights());
}
