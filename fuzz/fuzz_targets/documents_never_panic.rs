//! Any bytes, read as YAML and as JSON: no panic, no position outside of the text, no problem without a
//! position.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::{Document, FieldPath, Limits, Location, Segment};
use serde_json::Value;

fuzz_target!(|bytes: &[u8]| {
    for name in ["a.yaml", "a.json"] {
        let (documents, problems) = Document::read_bytes(name, bytes.to_vec(), &Limits::default());
        for problem in &problems {
            check(problem.location().expect("a problem has a position"));
            assert!(!problem.message().contains('\n'), "{problem}");
        }
        for document in &documents {
            walk(document, &document.to_json(), &FieldPath::root(), &mut 1_000);
        }
    }
});

/// Looks every node up; the fuel is for documents that aliases have made large.
fn walk(document: &Document, value: &Value, path: &FieldPath, fuel: &mut u32) {
    let Some(rest) = fuel.checked_sub(1) else { return };
    *fuel = rest;
    check(&document.locate_nearest(path).0);
    if let Some(key) = document.locate_key(path) {
        check(&key);
    }
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(document, item, &path.child(index), fuel);
            }
        }
        Value::Object(entries) => {
            for (key, entry) in entries {
                walk(document, entry, &path.child(Segment::from(key.as_str())), fuel);
            }
        }
        _ => {}
    }
}

fn check(location: &Location) {
    let range = location.range();
    let text = location.source().text();
    assert!(text.get(range.start as usize..range.end as usize).is_some(), "{location:?}");
}
