//! `test --kube`: manifests judged by the policies that a cluster has, and one program for all adapters.

use std::fs;
use std::path::Path;

use portcullis_testkit::apiserver::ApiServer;
use serde_json::{Value, json};

use crate::{Run, run_in};

/// A template that says what it is told, and what of the cluster it sees.
fn template() -> Value {
    json!({
        "apiVersion": "templates.gatekeeper.sh/v1", "kind": "ConstraintTemplate", "metadata": {"name": "owned"},
        "spec": {
            "crd": {"spec": {"names": {"kind": "Owned"}, "validation": {"openAPIV3Schema": {
                "type": "object", "properties": {"label": {"type": "string"}},
            }}}},
            "targets": [{"target": "admission.k8s.gatekeeper.sh", "rego": concat!(
                "package owned\n",
                "violation[{\"msg\": msg}] {\n  not input.review.object.metadata.labels[input.parameters.label]\n",
                "  msg := sprintf(\"no label %v\", [input.parameters.label])\n}\n",
                "violation[{\"msg\": msg}] {\n  other := data.inventory.namespace[_][_].Pod[name]\n",
                "  name != input.review.object.metadata.name\n",
                "  msg := sprintf(\"there is the Pod %v\", [name])\n}\n",
            )}],
        },
    })
}

fn constraint(name: &str, label: &str) -> Value {
    json!({
        "apiVersion": "constraints.gatekeeper.sh/v1beta1", "kind": "Owned", "metadata": {"name": name},
        "spec": {
            "match": {
                "kinds": [{"apiGroups": [""], "kinds": ["Pod"]}],
                "namespaceSelector": {"matchLabels": {"judged": "yes"}},
            },
            "parameters": {"label": label},
        },
    })
}

fn namespace(name: &str, labels: Value) -> Value {
    json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
}

/// A cluster with a policy, and a folder with manifests.
struct Cluster {
    runtime: tokio::runtime::Runtime,
    server: ApiServer,
    directory: tempfile::TempDir,
}

impl Cluster {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
        let runtime = runtime.unwrap();
        let server = runtime.block_on(ApiServer::start());
        server.register("constraints.gatekeeper.sh/v1beta1", "Owned", "owned", false);
        server.put(template());
        server.put(constraint("owned", "owner"));
        server.put(namespace("shop", json!({"judged": "yes"})));
        server.put(namespace("play", json!({"judged": "no"})));
        let directory = tempfile::tempdir().unwrap();
        fs::write(
            directory.path().join("pods.yaml"),
            "apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: shop}\n---\n\
             apiVersion: v1\nkind: Pod\nmetadata: {name: toy, namespace: play}\n",
        )
        .unwrap();
        Self { runtime, server, directory }
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn test(&self, more: &[&str]) -> Run {
        let url = self.server.url().to_owned();
        let args = [&["test", "--kube", "--kube-server", &url, "pods.yaml"], more].concat();
        run_in(self.path(), &args)
    }

    fn end(self) {
        self.runtime.shutdown_background();
    }
}

fn messages(run: &Run) -> Vec<String> {
    let items: Vec<Value> = serde_json::from_str(&run.stdout).unwrap();
    items.iter().map(|item| item["msg"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn manifests_are_judged_by_what_a_cluster_has() {
    let cluster = Cluster::start();
    let run = cluster.test(&["-o", "json"]).exits_with(1);
    // The namespace's labels are those of the cluster. The other manifest is compared with as well.
    assert_eq!(messages(&run), ["no label owner", "there is the Pod toy"]);

    cluster.server.put(json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "old", "namespace": "play"},
        "spec": {"containers": []},
    }));
    let run = cluster.test(&["-o", "json"]).exits_with(1);
    assert_eq!(messages(&run), ["no label owner", "there is the Pod old", "there is the Pod toy"]);
    // Nothing was written, and nothing of the cluster is judged.
    assert!(cluster.server.writes().is_empty());
    cluster.end();
}

#[test]
fn what_files_say_counts_more_than_what_the_cluster_has() {
    let cluster = Cluster::start();
    fs::write(cluster.path().join("policy.yaml"), constraint("owned", "team").to_string()).unwrap();
    let run = cluster.test(&["-p", "policy.yaml", "-o", "json"]).exits_with(1);
    assert_eq!(messages(&run), ["no label team", "there is the Pod toy"]);
    assert!(run.stderr.contains("as in the files, not as in the cluster: Owned/owned"), "{}", run.stderr);

    fs::write(cluster.path().join("policy.yaml"), namespace("shop", json!({"judged": "no"})).to_string())
        .unwrap();
    let run = cluster.test(&["--inventory", "policy.yaml", "-o", "json"]).exits_with(0);
    assert!(messages(&run).is_empty());
    cluster.end();
}

#[test]
fn what_cannot_be_listed_is_not_let_pass() {
    let cluster = Cluster::start();
    // Policies compare with them.
    cluster.server.deny("pods");
    let run = cluster.test(&[]).exits_with(2);
    assert!(run.shown().contains("policies compare objects with pods"), "{}", run.shown());
    cluster.server.grant("pods");
    cluster.server.deny("namespaces");
    let run = cluster.test(&[]).exits_with(2);
    assert!(run.shown().contains("policies compare objects with namespaces"), "{}", run.shown());
    cluster.server.grant("namespaces");
    cluster.server.deny("owned");
    let run = cluster.test(&[]).exits_with(2);
    assert!(run.stderr.contains("owned"), "{}", run.stderr);
    cluster.server.grant("owned");
    cluster.server.deny("constrainttemplates");
    cluster.test(&[]).exits_with(2);
    let nowhere = ["test", "--kube", "--kube-server", "http://127.0.0.1:9", "pods.yaml"];
    run_in(cluster.path(), &nowhere).exits_with(2);
    cluster.end();
}

#[test]
fn a_template_of_a_cluster_that_is_wrong_is_an_error() {
    let cluster = Cluster::start();
    let mut wrong = template();
    wrong["spec"]["targets"][0]["rego"] = json!("package owned\nviolation[{\"msg\": msg}] { nothing }");
    cluster.server.put(wrong);
    let run = cluster.test(&[]).exits_with(2);
    assert!(run.shown().contains("nothing"), "{}", run.shown());
    cluster.end();
}

#[test]
fn mutators_of_a_cluster_are_applied_if_asked_for() {
    let cluster = Cluster::start();
    cluster.server.register("mutations.gatekeeper.sh/v1", "AssignMetadata", "assignmetadata", false);
    cluster.server.put(json!({
        "apiVersion": "mutations.gatekeeper.sh/v1", "kind": "AssignMetadata", "metadata": {"name": "owner"},
        "spec": {
            "match": {"namespaceSelector": {"matchLabels": {"judged": "yes"}}},
            "location": "metadata.labels.owner", "parameters": {"assign": {"value": "us"}},
        },
    }));
    let run = cluster.test(&["--mutate", "-o", "json"]).exits_with(1);
    assert_eq!(messages(&run), ["there is the Pod toy"]);
    cluster.server.put(json!({
        "apiVersion": "mutations.gatekeeper.sh/v1", "kind": "AssignMetadata", "metadata": {"name": "broken"},
        "spec": {"location": "spec.replicas", "parameters": {"assign": {"value": "us"}}},
    }));
    cluster.test(&["--mutate"]).exits_with(2);
    cluster.end();
}

#[test]
fn one_program_audits_clusters_and_serves_webhooks() {
    let cluster = Cluster::start();
    cluster.server.put(json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "old", "namespace": "shop"},
        "spec": {"containers": []},
    }));
    let url = cluster.server.url().to_owned();
    let run = run_in(cluster.path(), &["audit", "--kube", "--kube-server", &url, "-o", "ndjson"]);
    assert!(run.stdout.contains("no label owner"), "{}", run.shown());
    let run = run_in(cluster.path(), &["webhook", "--help"]).exits_with(0);
    assert!(run.stdout.contains("portcullis webhook --policies"), "{}", run.stdout);
    let run = run_in(cluster.path(), &["webhook", "--self-signed", "-p", "absent.yaml"]).exits_with(2);
    assert!(run.stderr.contains("absent.yaml"), "{}", run.stderr);
    cluster.end();
}
