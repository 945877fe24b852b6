//! Any stream of documents as mutators, and as objects that they are applied to: mutating ends without a panic,
//! twice with the same result, and an object that was mutated is mutated again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::{Document, Mutable, MutationLimits, MutatorSet, Object, Operation};

fuzz_target!(|text: &str| {
    let (documents, _) = Document::read_all("mutators.yaml", text);
    let (set, problems) = MutatorSet::compile(documents.clone());
    for problem in &problems {
        assert!(!problem.message().contains('\n'), "{problem}");
        let location = problem.location().expect("a problem of a mutator has a position");
        let range = location.range();
        assert!(location.source().text().get(range.start as usize..range.end as usize).is_some(), "{problem}");
    }
    for document in documents {
        let Ok(object) = Object::from_document(document) else { continue };
        let mutable = Mutable::new(object).with_operation(Operation::Create).annotated("id");
        let mutate = |mutable: &Mutable| set.mutate(mutable, MutationLimits::default(), None);
        match (mutate(&mutable), mutate(&mutable)) {
            (Ok(one), Ok(other)) => {
                assert_eq!(one.object().to_json(), other.object().to_json());
                assert_eq!(one.json_patch(), other.json_patch());
                assert_eq!(one.json_patch().is_empty(), !one.is_changed());
                for change in one.changes() {
                    assert!(change.location().is_some(), "{change}");
                }
                // What it comes to is not asked: it may be something that other mutators are about.
                let _ = mutate(&Mutable::new(one.object().clone()));
            }
            (Err(one), Err(other)) => assert_eq!(one, other),
            (one, other) => panic!("{one:?}, {other:?}"),
        }
    }
});
