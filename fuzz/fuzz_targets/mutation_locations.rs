//! Any text as the location of a mutator: reading it ends without a panic, with a location that is written as
//! it is read again, or with problems that have a place in the text.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::{Document, Error, MutatorSet};

fn compile(location: &str) -> (Option<String>, Vec<Error>) {
    let mutator = serde_json::json!({
        "apiVersion": "mutations.gatekeeper.sh/v1",
        "kind": "ModifySet",
        "metadata": {"name": "m"},
        "spec": {
            "applyTo": [{"groups": [""], "versions": ["v1"], "kinds": ["Pod"]}],
            "location": location,
            "parameters": {"values": {"fromList": ["v"]}, "pathTests": [{"subPath": location, "condition": "MustExist"}]},
        },
    });
    let (documents, errors) = Document::read_all("mutator.json", &mutator.to_string());
    assert!(errors.is_empty(), "{errors:?}");
    let (set, errors) = MutatorSet::compile(documents);
    (set.mutators().next().map(|info| info.target()), errors)
}

fuzz_target!(|location: &str| {
    let (target, errors) = compile(location);
    for error in &errors {
        assert!(!error.message().contains('\n'), "{error}");
        let location = error.location().expect("a problem of a mutator has a position");
        let range = location.range();
        assert!(location.source().text().get(range.start as usize..range.end as usize).is_some(), "{error}");
    }
    if let Some(target) = target {
        assert_eq!(compile(&target).0.as_deref(), Some(target.as_str()), "{location}");
    }
});
