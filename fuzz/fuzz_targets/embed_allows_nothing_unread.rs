//! Any bytes as what programs in other languages say: an object or a request, options, and changes of the inventory. No
//! panic, every answer is canonical JSON, and nothing is allowed, as a policy denies everything.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portcullis_embed::{Engine, NoHost};
use serde_json::{Value, json};

const POLICY: &str = r#"
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: never}
spec:
  crd: {spec: {names: {kind: Never}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package never
      violation[{"msg": msg}] { msg := sprintf("%v %v", [input.review.operation, input.review.uid]) }
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: Never
metadata: {name: never}
"#;

static REQUEST: LazyLock<String> = LazyLock::new(|| {
    json!({"version": 1, "documents": [{"name": "policy.yaml", "text": POLICY}]}).to_string()
});

/// The bytes in two parts, at the first zero.
fn parts(bytes: &[u8]) -> (&[u8], &[u8]) {
    match bytes.iter().position(|byte| *byte == 0) {
        Some(at) => (&bytes[..at], &bytes[at + 1..]),
        None => (bytes, &[]),
    }
}

fuzz_target!(|bytes: &[u8]| {
    let (text, options) = parts(bytes);
    let engine = Engine::compile(REQUEST.as_bytes()).engine.expect("the policy is right");
    let changed = engine.answer_inventory(text);
    let review = engine.answer_review(text, options, &NoHost);
    let admission = engine.answer_admission(text, options, &NoHost);
    assert!(!review.is_good && !admission.is_good);
    for answer in [changed.json, review.json, admission.json, Engine::compile(text).answer] {
        let value: Value = serde_json::from_str(&answer).expect("an answer is JSON");
        assert!(value.is_object(), "{answer}");
        assert!(!answer.contains(r#""code":"defect""#), "{answer}");
    }
});
