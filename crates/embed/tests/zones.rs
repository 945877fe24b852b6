//! Builds without the tables of time zones: what names a zone is then an error, and never a pass.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test panics when it fails"
)]

use portcullis_embed::{Engine, NoHost};
use serde_json::{Value, json};

const REGO: &str = r#"
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: nights}
spec:
  crd: {spec: {names: {kind: Nights}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package nights
      violation[{"msg": msg}] {
        [hour, _, _] := time.clock([1700000000000000000, input.review.object.data.zone])
        hour < 6
        msg := sprintf("it is %v there", [hour])
      }
---
{apiVersion: constraints.gatekeeper.sh/v1beta1, kind: Nights, metadata: {name: it}}
"#;

const CEL: &str = r#"
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: nights}
spec:
  crd: {spec: {names: {kind: Nights}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    code:
    - engine: K8sNativeValidation
      source:
        validations:
        - expression: timestamp("2023-11-14T22:13:20Z").getHours(object.data.zone) >= 6
          message: it is night there
---
{apiVersion: constraints.gatekeeper.sh/v1beta1, kind: Nights, metadata: {name: it}}
"#;

#[test]
fn zones_are_known_or_named_in_an_error() {
    // Without CEL it is no policy: see `cel.rs`.
    let policies: &[&str] = if cfg!(feature = "cel") { &[REGO, CEL] } else { &[REGO] };
    for policy in policies {
        let request = json!({"version": 1, "documents": [{"name": "policy.yaml", "text": policy}]});
        let compiled = Engine::compile(request.to_string().as_bytes());
        let engine = compiled.engine.unwrap_or_else(|| panic!("{}", compiled.answer));
        let review = |zone: &str| -> Value {
            let object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"zone": zone}});
            serde_json::from_str(&engine.review(object.to_string().as_bytes(), b"", &NoHost)).unwrap()
        };
        // It is 22:13 in Greenwich, so 7:13 the next morning in Tokyo, and 1:13 in Moscow.
        assert_eq!(review("UTC")["allowed"], true);
        let (tokyo, moscow) = (review("Asia/Tokyo"), review("Europe/Moscow"));
        assert_eq!(moscow["allowed"], false);
        if cfg!(feature = "time-zones") {
            assert_eq!((&tokyo["allowed"], &moscow["findings"][0]["error"]), (&json!(true), &json!(false)));
        } else {
            for answer in [tokyo, moscow] {
                let finding = &answer["findings"][0];
                assert_eq!(
                    (&answer["allowed"], &finding["error"]),
                    (&json!(false), &json!(true)),
                    "{answer}"
                );
                assert!(finding["message"].as_str().unwrap().contains("feature `time-zones`"), "{answer}");
            }
        }
    }
}
