//! OPA's compliance suite passes, but for what the lists in `testdata/opa-compliance` say.
//!
//! The suite is no part of the project; it is looked for as [`shared`] says.

use portcullis_testkit::compliance::{self, Evaluator, Failure, Lists};
use portcullis_testkit::shared;

/// Cases that may be out of scope.
const MAX_OUT_OF_SCOPE: usize = 340;

#[test]
fn the_suite_passes_but_for_what_the_lists_say() {
    let Some(path) = shared("opa-compliance/cases.jsonl") else { return };
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
