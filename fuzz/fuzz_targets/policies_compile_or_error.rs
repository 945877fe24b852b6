//! Any stream of documents as policies: compiling ends with a set and problems, every problem has a sentence
//! of one line and a position in the text, and the set reviews an object without a panic, twice with the same
//! result.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::{Decision, Document, EnforcementPoint, Inventory, Object, PolicySet, Review, World};

const POD: &str = "{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop, labels: {app: web}}, spec: {containers: [{name: a, image: b}]}}";

fuzz_target!(|text: &str| {
    let (documents, _) = Document::read_all("policy.yaml", text);
    let (policies, problems) = PolicySet::compile(documents);
    for problem in &problems {
        assert!(!problem.message().contains('\n'), "{problem}");
        let location = problem.location().expect("a problem of a policy has a position");
        let range = location.range();
        assert!(location.source().text().get(range.start as usize..range.end as usize).is_some(), "{problem}");
    }
    let (documents, _) = Document::read_all("pod.yaml", POD);
    let object = Object::from_document(documents[0].clone()).expect("a constant pod");
    let inventory: Inventory = [object.clone()].into_iter().collect();
    let review = Review::from_object(object);
    let judge = || {
        let outcome = policies.review(&review, &World::new(&inventory), EnforcementPoint::Webhook);
        let decision = Decision::from(&outcome);
        (decision.allowed(), decision.denials(), decision.warnings())
    };
    assert_eq!(judge(), judge());
});
