//! OPA's compliance suite passes, but for what the lists in `testdata/opa-compliance` say.
//!
//! The suite is looked for in `PORTCULLIS_SHARED`, or `../shared` beside the project. It is not part of the
//! project; where it is not there the test is skipped, and says so.

use std::path::PathBuf;

use portcullis_testkit::compliance::{self, Evaluator, Failure, Lists};
use portcullis_testkit::testdata;

/// Cases that may be out of scope.
const MAX_OUT_OF_SCOPE: usize = 340;

#[test]
fn the_suite_passes_but_for_what_the_lists_say() {
    let shared =
        std::env::var_os("PORTCULLIS_SHARED").map_or_else(|| testdata().join("../../shared"), PathBuf::from);
    let path = shared.join("opa-compliance/cases.jsonl");
    if !path.is_file() {
        eprintln!(
            "SKIPPED: set PORTCULLIS_SHARED to the folder with opa-compliance/cases.jsonl to run OPA's suite"
        );
        return;
    }
    let lists = Lists::read().unwrap();
    let cases = compliance::read(&path).unwrap();
    let all = cases.len();
    let report = compliance::run(cases, &lists, Evaluator::Portcullis, "").unwrap();
    println!("{report}");
    assert!(report.is_as_expected(), "not as the lists say:\n{report}");
    assert_eq!(report.passed + report.failures.len() + report.skipped.len(), all);
    assert!(report.skipped.len() <= MAX_OUT_OF_SCOPE, "{} cases are out of scope", report.skipped.len());
    for class in [Failure::Silent, Failure::Panic, Failure::Time] {
        assert_eq!(report.count(class), 0, "{class} is no way to fail, known or not:\n{}", report.known());
    }
    let tried = all - report.skipped.len();
    assert!(report.passed * 100 >= tried * 98, "{} of {tried} pass, which is less than 98 %", report.passed);
}
