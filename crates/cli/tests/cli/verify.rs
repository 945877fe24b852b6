//! `portcullis verify`: suites, and how they are reported.

use super::{Run, run_in, testdata, without_times};

fn verify(args: &[&str]) -> Run {
    run_in(&testdata().join("suites"), &[&["verify"], args].concat())
}

#[test]
fn everything_in_the_human_report() {
    insta::assert_snapshot!(without_times(&verify(&["./..."]).exits_with(2).shown()));
}

#[test]
fn verbose_human_report() {
    insta::assert_snapshot!(without_times(&verify(&["good", "-v"]).exits_with(0).shown()));
}

#[test]
fn json_report() {
    insta::assert_snapshot!(without_times(&verify(&["good", "failing", "-o", "json"]).exits_with(1).stdout));
}

#[test]
fn junit_report() {
    insta::assert_snapshot!(without_times(&verify(&["./...", "-o", "junit"]).exits_with(2).stdout));
}

/// What suites reach of a template.
fn coverage(form: &str) -> String {
    run_in(&testdata().join("../authoring"), &["verify", "policy", "-o", form]).exits_with(0).stdout
}

/// As genhtml reads it.
#[test]
fn lcov_report() {
    insta::assert_snapshot!(coverage("lcov"));
}

#[test]
fn html_report() {
    insta::assert_snapshot!(coverage("html"));
}

#[test]
fn tap_report() {
    insta::assert_snapshot!(without_times(&verify(&["./...", "-o", "tap"]).exits_with(2).stdout));
}

#[test]
fn exit_codes_tell_failures_from_broken_suites() {
    verify(&["good"]).exits_with(0);
    verify(&["good/suite.yaml"]).exits_with(0);
    verify(&["failing"]).exits_with(1);
    verify(&["broken"]).exits_with(2);
    verify(&["failing", "broken"]).exits_with(2);
}

#[test]
fn reports_do_not_depend_on_the_number_of_threads() {
    for format in ["human", "json", "junit"] {
        let with = |jobs| without_times(&verify(&["./...", "-o", format, "--jobs", jobs]).shown());
        assert_eq!(with("1"), with("4"), "{format}");
    }
}

#[test]
fn directories_are_searched_below_only_when_asked_to() {
    verify(&["."]).exits_with(2);
    let run = verify(&["good/...", "failing/..."]).exits_with(1);
    assert!(run.stdout.contains("\tgood/suite.yaml\t") && run.stdout.contains("\tfailing/suite.yaml\t"));
}

#[test]
fn what_is_no_suite_is_an_error_only_when_named() {
    assert!(verify(&["none/config.yaml"]).exits_with(2).stderr.contains("there is no suite in this file"));
    assert!(verify(&["none"]).exits_with(2).stderr.contains("no suite was found"));
    assert!(verify(&["nowhere"]).exits_with(2).stderr.contains("no such file"));
}

#[test]
fn a_selection_runs_tests_or_cases() {
    let ran = |selection| {
        let run = verify(&["good", "-v", "--run", selection]).exits_with(0);
        let passed = run.stdout.lines().filter_map(|line| line.split("--- PASS: ").nth(1));
        passed.map(|name| name.split('\t').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(ran("compares"), ["alone", "taken", "compares"]);
    assert_eq!(ran("^taken$"), ["taken", "compares"]);
    assert_eq!(ran("compares//alone"), ["alone", "compares"]);
    assert_eq!(ran("labels|unfit"), ["without-the-label", "request-to-create", "labels", "unfit-parameters"]);
    assert!(verify(&["good", "--run", "a//b//c"]).exits_with(2).stderr.contains("TEST//CASE"));
    // Nothing selected is nothing tested.
    assert!(verify(&["good", "--run", "nothing"]).exits_with(2).stderr.contains("selects no test"));
    assert!(verify(&["good", "--run", "compares//nothing"]).exits_with(2).stderr.contains("selects no test"));
}

#[test]
fn suites_of_mutators_assert_what_comes_of_objects() {
    verify(&["mutating"]).exits_with(0);
    insta::assert_snapshot!(without_times(
        &verify(&["mutating-wrong", "mutating-broken"]).exits_with(2).shown()
    ));
    // What a mutator does is seen: without it, all four cases that it makes pass fail.
    let directory = tempfile::tempdir().unwrap();
    let suite = std::fs::read_to_string(testdata().join("suites/mutating/suite.yaml")).unwrap();
    let files = testdata().join("suites/mutating/files");
    let suite =
        suite.replace("mutators: [files/assign.yaml, files/registry.yaml]", "mutators: files/none.yaml");
    let suite = suite.replace("mutators: files/assign.yaml", "mutators: files/none.yaml");
    let none = "{apiVersion: mutations.gatekeeper.sh/v1, kind: AssignMetadata, metadata: {name: never}, spec: \
                {match: {name: never}, location: metadata.labels.never, parameters: {assign: {value: x}}}}";
    std::fs::create_dir(directory.path().join("files")).unwrap();
    for file in std::fs::read_dir(files).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), directory.path().join("files").join(file.file_name())).unwrap();
    }
    std::fs::write(directory.path().join("files/none.yaml"), none).unwrap();
    std::fs::write(directory.path().join("suite.yaml"), suite).unwrap();
    let run = run_in(directory.path(), &["verify", "."]).exits_with(1);
    let failed = |name: &str| run.stdout.contains(&format!("--- FAIL: {name}"));
    for name in ["is-changed", "by-its-namespace", "root-is-taken-away", "its-pods-are-mutated"] {
        assert!(failed(name), "{name}\n{}", run.stdout);
    }
    assert!(!failed("stays") && !failed("said-otherwise"), "{}", run.stdout);
}
