//! What conftest documents, by the cases of `testdata/conftest/cases.yaml`: one for each row of the table in
//! `docs/conftest.md`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::{Run, run};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    row: String,
    #[serde(default)]
    files: std::collections::BTreeMap<String, String>,
    stdin: Option<String>,
    args: Vec<String>,
    findings: Option<Vec<String>>,
    details: Option<Vec<Value>>,
    places: Option<Vec<String>>,
    #[serde(default)]
    shown: bool,
    exit: i32,
    says: Option<String>,
    lacks: Option<String>,
}

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn cases() -> Vec<Case> {
    serde_yaml::from_str(&fs::read_to_string(root().join("testdata/conftest/cases.yaml")).unwrap()).unwrap()
}

fn ran(case: &Case) -> Run {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in &case.files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let mut args: Vec<&str> = case.args.iter().map(String::as_str).collect();
    if !case.shown && case.args.first().is_some_and(|command| command == "test") {
        args.extend(["-o", "json"]);
    }
    run(folder.path(), &args, case.stdin.as_deref())
}

fn wrong(case: &Case) -> Vec<String> {
    let Run { stdout, stderr, code } = ran(case);
    let mut wrong = Vec::new();
    let mut expect = |what: &str, expected: String, found: String| {
        if expected != found {
            wrong.push(format!("{}: {what}: expected {expected}, found {found}\n{stdout}{stderr}", case.row));
        }
    };
    expect("exit", case.exit.to_string(), code.unwrap().to_string());
    let found: Vec<Value> = serde_json::from_str(&stdout).unwrap_or_default();
    if let Some(expected) = &case.findings {
        let messages: Vec<&str> = found.iter().map(|finding| finding["msg"].as_str().unwrap()).collect();
        expect("findings", format!("{expected:?}"), format!("{messages:?}"));
    }
    if let Some(expected) = &case.details {
        let details: Vec<&Value> = found.iter().map(|finding| &finding["metadata"]["details"]).collect();
        expect("details", format!("{expected:?}"), format!("{details:?}"));
    }
    if let Some(expected) = &case.places {
        let places = found.iter().map(|finding| {
            let place = &finding["location"];
            format!("{}:{}:{}", place["file"].as_str().unwrap(), place["line"], place["column"])
        });
        expect("places", format!("{expected:?}"), format!("{:?}", places.collect::<Vec<_>>()));
    }
    let said = if case.shown { &stdout } else { &stderr };
    if let Some(says) = &case.says {
        expect("says", format!("{says} [true]"), format!("{says} [{}]", said.contains(says.as_str())));
    }
    if let Some(lacks) = &case.lacks {
        expect("lacks", format!("{lacks} [true]"), format!("{lacks} [{}]", !said.contains(lacks.as_str())));
    }
    wrong
}

#[test]
fn every_row_is_as_the_table_says() {
    let wrong: Vec<String> = cases().iter().flat_map(wrong).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_table_has_a_row_for_each_case_and_no_other() {
    let text = fs::read_to_string(root().join("docs/conftest.md")).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let rows: Vec<&str> = rows.filter(|row| !matches!(*row, "what" | "---")).collect();
    let cases = cases();
    let named: Vec<&str> = cases.iter().map(|case| case.row.as_str()).collect();
    assert_eq!(rows.iter().collect::<BTreeSet<_>>().len(), rows.len(), "a row stands twice");
    assert_eq!(rows, named);
}
