//! Any text as Rego of both versions: formatting ends without a panic and soon. What parses is formatted, and
//! that is formatted already; no comment is lost.
#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use portcullis_rego_syntax::format::{FormatError, format};
use portcullis_rego_syntax::{Version, parse};

fn comments(text: &str, version: Version) -> Vec<String> {
    let module = parse(text, version).module;
    let mut comments: Vec<String> =
        module.comments.iter().map(|comment| comment.span.text(text).trim_end().to_owned()).collect();
    comments.sort();
    comments
}

fuzz_target!(|text: &str| {
    for version in [Version::V0, Version::V1] {
        let started = Instant::now();
        let formatted = match format(text, version) {
            Ok(formatted) => formatted,
            Err(FormatError::Syntax(diagnostics)) => {
                assert!(!diagnostics.is_empty());
                continue;
            }
            Err(error) => panic!("{error}"),
        };
        assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
        assert_eq!(format(&formatted, version).as_ref(), Ok(&formatted));
        assert_eq!(comments(text, version), comments(&formatted, version));
    }
});
