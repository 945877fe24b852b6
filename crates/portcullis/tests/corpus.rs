//! One test per case under `testdata/`, run every way the testkit knows.

#![expect(clippy::indexing_slicing, reason = "a panic is how a test says that it fails")]

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use portcullis_testkit::{case, harness, testdata};

const TOPICS: &[&str] = &[
    "matcher",
    "review",
    "enforcement",
    "inventory",
    "templates",
    "constraints",
    "decision",
    "expansion",
    "positions",
    "regression",
    "admission",
];

fn main() -> ExitCode {
    let mut trials = Vec::new();
    for topic in TOPICS {
        for path in case::files(&testdata().join(topic)) {
            let file = Arc::new(case::read(&path));
            let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            for index in 0..file.cases.len() {
                let file = file.clone();
                let name = format!("{topic}/{stem}: {}", file.cases[index].name);
                trials.push(Trial::test(name, move || {
                    harness::run(&file, &file.cases[index]).map_err(Failed::from)
                }));
            }
        }
    }
    let mut names: Vec<_> = trials.iter().map(|trial| trial.name().to_owned()).collect();
    names.sort();
    names.windows(2).for_each(|pair| assert_ne!(pair[0], pair[1], "two cases have the same name"));
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}
