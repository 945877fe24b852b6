//! Recordings of what other programs answered agree with this one, but for what the lists in `testdata/oracle`
//! say.
//!
//! The recordings are no part of the project; they are looked for as [`shared`] says.

use portcullis_testkit::oracle::{self, Recording};
use portcullis_testkit::{named, shared};

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

#[test]
fn expressions_are_worth_and_cost_what_they_do_in_an_api_server() {
    /// Cases that may differ, of a thousand.
    const MAX_DIFFERENT: usize = 2;
    let Some(file) = shared("oracle/cel-expressions.jsonl") else { return };
    let report = oracle::run(Recording::CelExpressions, &file, std::path::Path::new("")).unwrap();
    println!("{report}");
    assert!(report.is_as_expected(), "not as the list says:\n{report}");
    let all = report.passed + report.skipped.len();
    assert!(report.skipped.len() * 1000 <= all * MAX_DIFFERENT, "{} of {all} differ", report.skipped.len());
}

#[test]
fn the_examples_of_cel_are_taken_as_an_api_server_takes_them() {
    /// Cases that may differ, of a thousand.
    const MAX_DIFFERENT: usize = 5;
    let Some(file) = shared("oracle/cel-spec.jsonl") else { return };
    let report = oracle::run(Recording::CelSpec, &file, std::path::Path::new("")).unwrap();
    println!("{report}");
    assert!(report.is_as_expected(), "not as the list says:\n{report}");
    let all = report.passed + report.skipped.len();
    assert!(report.skipped.len() * 1000 <= all * MAX_DIFFERENT, "{} of {all} differ", report.skipped.len());
}

#[test]
fn templates_in_cel_say_what_they_say_in_gatekeeper() {
    /// Cases that may differ, of a hundred.
    const MAX_DIFFERENT: usize = 12;
    let Some(file) = shared("oracle/cel-gatekeeper.jsonl") else { return };
    let report = oracle::run(Recording::CelGatekeeper, &file, std::path::Path::new("")).unwrap();
    println!("{report}");
    assert!(report.is_as_expected(), "not as the list says:\n{report}");
    let all = report.passed + report.skipped.len();
    assert!(report.skipped.len() * 100 <= all * MAX_DIFFERENT, "{} of {all} differ", report.skipped.len());
}

#[test]
fn providers_are_asked_and_answer_as_in_gatekeeper() {
    /// Cases that may differ, of a hundred.
    const MAX_DIFFERENT: usize = 70;
    let Some(file) = shared("oracle/external-data.jsonl") else { return };
    let report = oracle::run(Recording::ExternalData, &file, std::path::Path::new("")).unwrap();
    println!("{report}");
    assert!(report.is_as_expected(), "not as the list says:\n{report}");
    let all = report.passed + report.skipped.len();
    assert!(report.skipped.len() * 100 <= all * MAX_DIFFERENT, "{} of {all} differ", report.skipped.len());
}

#[test]
fn modules_are_formatted_as_opa_formats_them() {
    /// Modules that may differ, of a thousand.
    const MAX_DIFFERENT: usize = 20;
    let what = "recordings of what `opa fmt` makes of modules, as `oracle -- fmt` takes them";
    let Some(file) = named("PORTCULLIS_FMT_RECORDING", what) else { return };
    let report = oracle::run(Recording::Formats, &file, std::path::Path::new("")).unwrap();
    println!("{report}");
    assert!(report.is_as_expected(), "not as the list says:\n{report}");
    let all = report.passed + report.skipped.len();
    assert!(report.skipped.len() * 1000 <= all * MAX_DIFFERENT, "{} of {all} differ", report.skipped.len());
}
