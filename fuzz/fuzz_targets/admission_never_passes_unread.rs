//! Any bytes as an `AdmissionReview`: no panic, and a request that could be read is denied by a policy that
//! denies everything.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use portcullis::{
    Decision, Document, EnforcementPoint, Inventory, Limits, PolicySet, Resource, Review, World,
};

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

static POLICIES: LazyLock<PolicySet> = LazyLock::new(|| {
    let (policies, errors) = PolicySet::compile(Document::read_all("policy.yaml", POLICY).0);
    assert!(errors.is_empty(), "{errors:?}");
    policies
});

fuzz_target!(|bytes: &[u8]| {
    let (documents, _) = Document::read_bytes("request.json", bytes.to_vec(), &Limits::default());
    for document in &documents {
        let (Some(Resource::AdmissionReview(request)), _) = Resource::read(document) else { continue };
        let Ok(review) = Review::from_admission(&request) else { continue };
        let outcome = POLICIES.review(&review, &World::new(&Inventory::empty()), EnforcementPoint::Webhook);
        assert!(!Decision::from(&outcome).allowed());
    }
});
