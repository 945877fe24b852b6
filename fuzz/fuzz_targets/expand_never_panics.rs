//! Any stream of documents: its expansion templates, mutators and mutating admission policies compile, and every object of it is expanded or
//! it is said why not, within the bounds, twice with the same result; what is generated is reviewed without a
//! panic, and every finding has its place in the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::{
    AdmissionMutators, Decision, Document, EnforcementPoint, Expansion, ExpansionSet, Inventory, MutatorSet,
    Object, Parent, PolicySet, Resource, Review, Uses, World,
};

const POLICY: &str = r#"
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: always}
spec:
  crd: {spec: {names: {kind: Always}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package always
      violation[{"msg": msg}] { msg := sprintf("%v", [input.review.object.metadata]) }
---
{apiVersion: constraints.gatekeeper.sh/v1beta1, kind: Always, metadata: {name: it}}
"#;

fuzz_target!(|text: &str| {
    let (documents, _) = Document::read_all("input.yaml", text);
    let (expansions, problems) = ExpansionSet::compile(documents.clone());
    for problem in &problems {
        assert!(!problem.message().contains('\n'), "{problem}");
        assert!(problem.location().is_some(), "{problem}");
    }
    let (mutators, _) = MutatorSet::compile(documents.clone());
    let uses = Uses::POLICIES.with_mutators(true);
    let resources = documents.iter().filter_map(|document| Resource::read_for(document, uses).0);
    let (admission, _) = AdmissionMutators::from_resources(resources);
    let inventory: Inventory =
        documents.iter().filter_map(|document| Object::from_document(document.clone()).ok()).collect();
    let (policies, _) = PolicySet::compile(Document::read_all("policy.yaml", POLICY).0);
    for set in [expansions.clone(), expansions.with_workloads()] {
        let expansion = Expansion::new(&set).with_mutators(&mutators).of_parents(Parent::AsWritten);
        let expansion = expansion.with_policies(&admission, &inventory);
        for object in documents.iter().filter_map(|document| Object::from_document(document.clone()).ok()) {
            let expand = || {
                let resultants = expansion.expand(&object, None, None);
                resultants.map(|all| all.iter().map(|one| one.to_json().to_string()).collect::<Vec<_>>())
            };
            let expanded = expand();
            assert_eq!(expanded, expand());
            let world = World::default();
            let review = Review::from_object(object);
            let Ok(implied) = review.implied(&expansion, &world) else { continue };
            assert!(implied.len() <= 1_000);
            let outcome = policies.review_with(&review, &implied, &world, EnforcementPoint::CommandLine);
            for finding in Decision::from(&outcome).findings {
                if let Some(position) = finding.position() {
                    let range = position.location.range();
                    let text = position.location.source().text();
                    assert!(text.get(range.start as usize..range.end as usize).is_some());
                }
            }
        }
    }
});
