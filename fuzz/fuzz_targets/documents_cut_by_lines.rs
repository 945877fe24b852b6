//! Any text, read as a YAML stream: cutting it at its lines with the public rule and reading piece by piece
//! gives the same documents, and the same answer to whether anything is wrong. So a splitter that asks that
//! rule reads as the loader does.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis::yaml_lines::{Chunks, Line, Step};
use portcullis::{Document, Form, Limits, Severity, Source};
use serde_json::Value;

fuzz_target!(|text: &str| {
    // A byte order mark in front is the source's, not that of its first line.
    if text.contains('\0') || text.starts_with('\u{feff}') {
        return;
    }
    let (whole, is_bad) = read(text);
    let mut pieces = Vec::new();
    let mut any_bad = false;
    let mut chunks = Chunks::default();
    let mut piece = String::new();
    for line in text.split_inclusive('\n') {
        match chunks.line(Line::of(line.as_bytes())) {
            Step::Keep => piece.push_str(line),
            Step::Skip => {}
            step @ (Step::End | Step::Refuse) => {
                any_bad |= step == Step::Refuse;
                flush(&mut piece, &mut pieces, &mut any_bad);
            }
        }
    }
    flush(&mut piece, &mut pieces, &mut any_bad);
    assert_eq!(pieces, whole);
    assert_eq!(any_bad, is_bad);
});

fn flush(piece: &mut String, pieces: &mut Vec<Value>, any_bad: &mut bool) {
    let (mut documents, is_bad) = read(piece);
    pieces.append(&mut documents);
    *any_bad |= is_bad;
    piece.clear();
}

/// The documents of a text, and whether anything is wrong with it.
fn read(text: &str) -> (Vec<Value>, bool) {
    let (documents, problems) = Document::read_form(&Source::new("a.yaml", text), Form::Yaml, &Limits::default());
    let is_bad = problems.iter().any(|problem| problem.severity() == Severity::Error);
    (documents.iter().map(Document::to_json).collect(), is_bad)
}
