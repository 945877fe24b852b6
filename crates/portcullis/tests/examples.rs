//! The examples do what they say.

#![allow(dead_code, clippy::expect_used, reason = "their `main` is not called; a test panics when it fails")]

#[path = "../examples/admission_controller.rs"]
mod admission_controller;
#[path = "../examples/link.rs"]
mod link;

use std::fs;
use std::path::Path;

use portcullis::{Inventory, PolicySet};
use serde_json::{Value, json};

const CONSTRAINT: &str = "
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: PrivilegedContainers
metadata: {name: none}
";

fn template() -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    fs::read_to_string(root.join("policies/pod-security/privileged-containers/template.yaml"))
        .expect("a template")
}

fn pod(privileged: bool) -> Value {
    let container = json!({"name": "a", "image": "a", "securityContext": {"privileged": privileged}});
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": {"containers": [container]}})
}

#[test]
fn linking_judges_a_manifest() {
    let template = template();
    let policies = [("template.yaml", template.as_str()), ("constraint.yaml", CONSTRAINT)];
    let judge = |privileged| link::judge(&pod(privileged).to_string(), &policies).expect("a verdict");
    assert!(judge(false).is_empty());
    assert_eq!(judge(true).len(), 1);
    // A part of the policies is not enough.
    let errors = link::judge(&pod(false).to_string(), &policies[1..]).expect_err("no template");
    assert!(errors.to_string().contains("no ConstraintTemplate defines the kind"), "{errors}");
    let errors = link::judge(&pod(false).to_string(), &policies[..1]).expect_err("no constraint");
    assert!(errors.to_string().contains("everything would pass"), "{errors}");
}

#[test]
fn the_admission_controller_answers_requests() {
    let template = template();
    let policies = PolicySet::load([("template.yaml", template.as_str()), ("constraint.yaml", CONSTRAINT)]);
    let gate =
        admission_controller::Gate { policies: policies.expect("policies"), inventory: Inventory::empty() };
    let answer = |privileged| {
        let request = json!({
            "uid": "17",
            "operation": "CREATE",
            "kind": {"group": "", "version": "v1", "kind": "Pod"},
            "object": pod(privileged),
        });
        let body =
            json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request});
        gate.admit(body.to_string().as_bytes())
    };
    assert_eq!((&answer(false)["allowed"], &answer(false)["uid"]), (&json!(true), &json!("17")));
    let denied = answer(true);
    assert_eq!((&denied["allowed"], &denied["status"]["code"]), (&json!(false), &json!(403)));
    for broken in [
        &b""[..],
        b"{}",
        b"\xff",
        b"[1]",
        br#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}}"#,
    ] {
        assert_eq!(gate.admit(broken)["allowed"], false, "{broken:?}");
    }
}
