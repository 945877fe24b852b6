//! `testdata/field-cases.yaml`: inputs that went wrong in trials, and what is right.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use portcullis::Unsupported;
use portcullis_webhook::admission::{Budget, Own, admit};
use portcullis_webhook::load::{Paths, load};
use serde::Deserialize;
use serde_json::Value;

use crate::run_in;

#[derive(Deserialize)]
struct Entry {
    case: String,
    #[serde(flatten)]
    check: Check,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Check {
    Run {
        run: Vec<String>,
        exit: i32,
        #[serde(default)]
        says: Vec<String>,
        #[serde(default)]
        silent: Vec<String>,
        replace: Option<[String; 2]>,
    },
    Request {
        policies: PathBuf,
        resources: PathBuf,
        request: PathBuf,
        allowed: bool,
    },
    Elsewhere {
        shown_by: Vec<String>,
    },
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn cases() -> Option<PathBuf> {
    portcullis_testkit::shared("field-cases")
}

fn entries() -> Vec<Entry> {
    let text = fs::read_to_string(root().join("testdata/field-cases.yaml")).unwrap();
    serde_yaml::from_str(&text).unwrap()
}

/// The texts of a folder and of those below it, with something in them changed.
fn copy(from: &Path, to: &Path, [before, after]: &[String; 2]) {
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            fs::create_dir(&to).unwrap();
            copy(&from, &to, &[before.clone(), after.clone()]);
        } else {
            fs::write(to, fs::read_to_string(from).unwrap().replace(before, after)).unwrap();
        }
    }
}

fn is_allowed(folder: &Path, policies: &Path, resources: &Path, request: &Path) -> bool {
    let paths = Paths {
        policies: vec![folder.join(policies)],
        resources: vec![folder.join(resources)],
        limits: portcullis::Limits::default(),
        unsupported: Unsupported::Refused,
        settings: portcullis::PolicySettings::default(),
        mutates: false,
    };
    let serving = load(&paths).unwrap().serving;
    let budget = Budget {
        limits: portcullis::EvaluationLimits::default(),
        deadline: Instant::now() + Duration::from_mins(1),
        now_ns: 1_700_000_000_000_000_000,
    };
    let body = fs::read(folder.join(request)).unwrap();
    let (envelope, answer) = admit(&body, &serving, &Own::default(), Ok(None), &budget);
    let review: Value = serde_json::from_slice(&answer.to_body(&envelope)).unwrap();
    review["response"]["allowed"].as_bool().unwrap()
}

#[test]
fn every_field_case_has_its_right_value() {
    let Some(cases) = cases() else { return };
    let mut wrong = Vec::new();
    for Entry { case, check } in entries() {
        let folder = cases.join(&case);
        match check {
            Check::Run { run, exit, says, silent, replace } => {
                let changed = tempfile::tempdir().unwrap();
                let folder = replace.as_ref().map_or(folder.as_path(), |replace| {
                    copy(&folder, changed.path(), replace);
                    changed.path()
                });
                let run: Vec<&str> = run.iter().map(String::as_str).collect();
                let ended = run_in(folder, &run);
                let shown = ended.shown();
                let missing: Vec<_> = says.iter().filter(|text| !shown.contains(*text)).collect();
                let extra: Vec<_> = silent.iter().filter(|text| shown.contains(*text)).collect();
                if ended.code != Some(exit) || !missing.is_empty() || !extra.is_empty() {
                    wrong.push(format!(
                        "{case} {run:?}: ended with {:?}, not {exit}; without {missing:?}, with {extra:?}\n{shown}",
                        ended.code
                    ));
                }
            }
            Check::Request { policies, resources, request, allowed } => {
                if is_allowed(&folder, &policies, &resources, &request) != allowed {
                    wrong.push(format!("{case} {}: allowed is not {allowed}", request.display()));
                }
            }
            Check::Elsewhere { .. } => {}
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

/// Each folder is there, and one that has no entry is named.
#[test]
fn every_field_case_is_looked_at() {
    let Some(cases) = cases() else { return };
    let listed: BTreeSet<String> = entries().into_iter().map(|entry| entry.case).collect();
    for case in &listed {
        assert!(cases.join(case).is_dir(), "there is no case {case}");
    }
    for entry in fs::read_dir(cases).unwrap().map(Result::unwrap).filter(|entry| entry.path().is_dir()) {
        let name = entry.file_name().into_string().unwrap();
        if !listed.contains(&name) {
            eprintln!("NOT LOOKED AT: the case {name}");
        }
    }
}

fn code(folder: &Path, text: &mut String) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() {
            code(&path, text);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            text.push_str(&fs::read_to_string(path).unwrap());
        }
    }
}

#[test]
fn the_tests_that_are_named_are_there() {
    let mut text = String::new();
    code(&root().join("crates"), &mut text);
    for Entry { case, check } in entries() {
        let Check::Elsewhere { shown_by } = check else { continue };
        for test in shown_by {
            assert!(text.contains(&format!("fn {test}(")), "{case}: there is no test {test}");
        }
    }
}
