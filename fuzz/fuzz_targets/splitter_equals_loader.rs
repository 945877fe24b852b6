//! What an audit reads in a source, piece by piece, is what every other reader of files reads in the whole, or it says that something
//! is wrong. The first byte says how large a source has to be to be cut.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::{Document, Limits, Severity};
use portcullis_audit::source::read_pieces;

fuzz_target!(|data: &[u8]| {
    let Some((&size, data)) = data.split_first() else { return };
    let small = usize::from(size % 4) * 20;
    let (found, problems) = read_pieces("dump", data, 1 << 20, small);
    if problems.iter().any(|problem| problem.is_error) {
        return;
    }
    let (expected, errors) = Document::read_bytes("dump", data.to_vec(), &Limits::default());
    let text = String::from_utf8_lossy(data);
    let error = errors.iter().find(|error| error.severity() == Severity::Error);
    assert!(error.is_none(), "the whole has an error: {error:?}, in pieces of more than {small}:\n{text}");
    let show = |documents: &[Document]| -> Vec<String> {
        documents.iter().map(|document| format!("{:?} {}", document.location(), document.to_json())).collect()
    };
    assert_eq!(show(&found), show(&expected), "in pieces of more than {small}:\n{text}");
});
