//! Recorded answers of gator, run by these commands.

use std::path::Path;

use portcullis_testkit::oracle::{self, Recording};
use portcullis_testkit::shared;

#[test]
fn expansions_are_those_of_gatekeeper() {
    let Some(file) = shared("oracle/expansions.jsonl") else { return };
    let program = Path::new(env!("CARGO_BIN_EXE_portcullis"));
    let report = oracle::run(Recording::Expansions, &file, program).unwrap();
    assert!(report.is_as_expected(), "{report}");
    eprintln!("{report}");
}
