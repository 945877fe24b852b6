//! What users of kubectl read.

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::support::{POLICIES, Webhook, pod};

const IMAGES: &str = r#"
---
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: pinnedimages}
spec:
  crd: {spec: {names: {kind: PinnedImages}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package pinnedimages
      violation[{"msg": msg}] {
        container := input.review.object.spec.containers[_]
        endswith(container.image, ":latest")
        msg := sprintf("container %q uses %v; name a version", [container.name, container.image])
      }
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: PinnedImages
metadata: {name: pinned-images}
"#;

/// As kubectl prints an answer.
fn kubectl(response: &Value) -> String {
    let mut text = String::new();
    for warning in response["warnings"].as_array().into_iter().flatten() {
        writeln!(text, "Warning: {}", warning.as_str().unwrap()).unwrap();
    }
    if response["allowed"] == true {
        writeln!(text, "created").unwrap();
    } else {
        let reason = response["status"]["reason"].as_str().unwrap();
        let message = response["status"]["message"].as_str().unwrap();
        let webhook = "admission webhook \"validation.gatekeeper.sh\" denied the request";
        writeln!(text, "Error from server ({reason}): error when creating \"STDIN\": {webhook}: {message}")
            .unwrap();
    }
    text
}

fn create(object: &Value) -> String {
    kubectl(&Webhook::new(&format!("{POLICIES}{IMAGES}")).create(object))
}

#[test]
fn three_violations_of_two_constraints() {
    let containers = json!([{"name": "web", "image": "web:latest"}, {"name": "log", "image": "log:latest"}]);
    insta::assert_snapshot!(create(&pod(&json!({"hostPID": true, "containers": containers}))), @r#"
    Error from server (Forbidden): error when creating "STDIN": admission webhook "validation.gatekeeper.sh" denied the request: [pinned-images] container "log" uses log:latest; name a version
    [pinned-images] container "web" uses web:latest; name a version
    [no-host-pid] hostPID is not allowed
    "#);
}

#[test]
fn a_warning() {
    insta::assert_snapshot!(create(&pod(&json!({"nodeName": "n1"}))), @r#"
    Warning: [no-node] nodeName is not allowed
    created
    "#);
}

#[test]
fn an_invalid_template() {
    let rego = "package bad\n\nviolation[{\"msg\": msg}] {\n\tinput.request.object.spec.hostPID\n\tmsg := sprintff(\"no %v\", [1])\n}\n";
    let template = json!({
        "apiVersion": "templates.gatekeeper.sh/v1", "kind": "ConstraintTemplate", "metadata": {"name": "bad"},
        "spec": {
            "crd": {"spec": {"names": {"kind": "Bad"}, "validation": {"openAPIV3Schema": {"type": "objekt"}}}},
            "targets": [{"target": "admission.k8s.gatekeeper.sh", "rego": rego}],
        },
    });
    insta::assert_snapshot!(create(&template), @r#"
    Error from server (Invalid): error when creating "STDIN": admission webhook "validation.gatekeeper.sh" denied the request: spec.crd.spec.validation.openAPIV3Schema.type: expected one of `array`, `boolean`, `integer`, `number`, `object`, `string`, found `objekt` (did you mean `object`?)
    line 4, column 2: `input.request` does not exist, so this is never true, in `input.request.object.spec.hostPID` (the request is `input.review`: write `input.review`)
    line 5, column 9: rego_type_error: undefined function sprintff, in `msg := sprintff("no %v", [1])` (did you mean `sprintf`?)
    "#);
}

#[test]
fn an_invalid_constraint() {
    let constraint = json!({
        "apiVersion": "constraints.gatekeeper.sh/v1beta1", "kind": "NoSpec", "metadata": {"name": "c"},
        "spec": {
            "enforcementAction": "refuse",
            "match": {"kinds": [{"apiGroup": [""], "kinds": ["Pod"]}]},
            "parameters": {"field": 3},
        },
    });
    insta::assert_snapshot!(create(&constraint), @r#"
    Error from server (Invalid): error when creating "STDIN": admission webhook "validation.gatekeeper.sh" denied the request: spec.enforcementAction: expected one of `deny`, `warn`, `dryrun`, `scoped`, found string `refuse`
    spec.match.kinds[0].apiGroup: unknown field `apiGroup` (did you mean `apiGroups`?)
    spec.parameters.field: expected string, found integer `3` (quote it: `"3"`)
    "#);
}
