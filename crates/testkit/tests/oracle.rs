//! Recordings of what other programs answered agree with this one, but for what the lists in `testdata/oracle`
//! say.
//!
//! The recordings are no part of the project; they are looked for as [`shared`] says.

use portcullis_testkit::oracle::{self, Recording};
use portcullis_testkit::shared;

#[test]
fn mutators_do_what_those_of_gatekeeper_do() {
    /// Cases that may differ, of a hundred.
    const MAX_DIFFERENT: usize = 4;
    let Some(file) = shared("oracle/mutations.jsonl") else { return };
    let report = oracle::run(Recording::Mutations, &file, std::path::Path::new("")).unwrap();
    println!("{report}");
    assert!(report.is_as_expected(), "not as the list says:\n{report}");
    let all = report.passed + report.skipped.len();
    assert!(report.skipped.len() * 100 <= all * MAX_DIFFERENT, "{} of {all} differ", report.skipped.len());
}
