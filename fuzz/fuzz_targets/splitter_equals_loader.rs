//! What an audit reads in a source, piece by piece, is what every other reader of files reads in the whole,
//! or it says that something is wrong. The first byte says how large a source has to be to be cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::{Document, Limits, Severity};
use portcullis_audit::source::read_pieces;

fuzz_target!(|data: &[u8]| {
    let Some((&size, data)) = data.split_first() else { return };
    let small = usize::from(size % 4) * 20;
    let (found, problems) = read_pieces("dump", data, 1 << 20, small);
    if problems.iter().any(|problem| problem.is_error()) {
        return;
    }
    let (expected, errors) = Document::read_bytes("dump", data.to_vec(), &Limits::default());
    let text = String::from_utf8_lossy(data);
    let error = errors.iter().find(|error| error.severity() == Severity::Error);
    assert!(error.is_none(), "the whole has an error: {error:?}, in pieces of more than {small}:\n{text}");
    let show = |documents: &[Document]| -> Vec<_> {
        documents.iter().map(|document| (format!("{:?}", document.location()), document.to_json())).collect()
    };
    let (found, mut expected) = (show(&found), show(&expected));
    // Items come before a kind that stands after them, and are no objects then, which is reported.
    for ((_, expected), (_, found)) in expected.iter_mut().zip(&found) {
        for key in ["apiVersion", "kind"] {
            if let Some(object) = expected.as_object_mut().filter(|_| found.get(key).is_none()) {
                object.remove(key);
            }
        }
    }
    assert_eq!(found, expected, "in pieces of more than {small}:\n{text}");
});
