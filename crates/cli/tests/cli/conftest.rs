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

/// What is hostile ends soon, as an error with its place, and keeps nothing else from being judged.
#[test]
fn hostile_policies_and_documents_end_soon() {
    let rules = |count: usize, rule: &dyn Fn(usize) -> String| (0..count).map(rule).collect::<String>();
    let nested =
        format!("package main\ndeny contains \"x\" if x := {}{}\n", "[".repeat(5_000), "]".repeat(5_000));
    let endless = "package main\ndeny_a contains \"x\" if {\n\tsome a, b in numbers.range(1, 100000)\n\tsome c in numbers.range(1, 100000)\n\ta + b + c == -1\n}\ndeny_b contains \"found\" if input.a\n";
    let large = "package main\ndeny contains concat(\"\", [y | some i in numbers.range(1, 900000); y := \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"]) if true\n";
    let many = rules(5_000, &|i| format!("deny contains \"m{i}\" if input.a == {i}\n"));
    let many_rules = rules(1_000, &|i| format!("deny_{i} contains \"m{i}\" if input.a == {i}\n"));
    let cases: Vec<(String, i32, &str)> = vec![
        (nested, 2, "max parsing recursion depth exceeded"),
        (endless.to_owned(), 2, "(limit `steps`)"),
        (large.to_owned(), 2, "(limit `"),
        (format!("package main\n{many}"), 1, "m7"),
        (format!("package main\n{many_rules}"), 1, "m7"),
        ("package main\nf(x) := f(x)\ndeny contains \"x\" if f(1)\n".to_owned(), 2, "is recursive"),
        (String::new(), 2, "empty module"),
        ("package main\n\u{0}".to_owned(), 2, "binary file"),
    ];
    for (policy, exit, says) in cases {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("p.rego"), &policy).unwrap();
        fs::write(folder.path().join("a.json"), r#"{"a": 7}"#).unwrap();
        let Run { stdout, stderr, code } = run(folder.path(), &["test", "-p", "p.rego", "a.json"], None);
        assert_eq!(code, Some(exit), "{says}: {stderr}");
        let all = format!("{stdout}{stderr}");
        assert!(all.contains(says), "{says}: {all}");
        if says == "(limit `steps`)" {
            assert!(all.contains("error[main/deny_b]: found"), "{all}");
        }
    }
    let policy = "package main\ndeny contains \"good\" if input.good\n";
    let documents = [
        ("a.json", "[".repeat(3_000)),
        ("b.toml", format!("{} = 1\n", vec!["a"; 3_000].join("."))),
        ("c.toml", format!("x = {}{}\n", "[".repeat(50_000), "]".repeat(50_000))),
        ("d.toml", "a = 1\na = 2\nb = nan\n".to_owned()),
        ("e.yaml", format!("{}\n", "- ".repeat(2_000))),
        ("f.yaml", "good: 1\n".to_owned()),
    ];
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("p.rego"), policy).unwrap();
    fs::create_dir(folder.path().join("in")).unwrap();
    for (name, text) in &documents {
        fs::write(folder.path().join("in").join(name), text).unwrap();
    }
    let Run { stdout, stderr, code } = run(folder.path(), &["test", "-p", "p.rego", "in"], None);
    assert_eq!(code, Some(2));
    assert!(stdout.contains("error[main/deny]: good"), "{stdout}");
    for name in ["in/a.json", "in/b.toml", "in/c.toml", "in/d.toml:2", "in/d.toml:3", "in/e.yaml"] {
        assert!(stderr.contains(name), "{name}: {stderr}");
    }
}

/// Ten thousand documents at once are one evaluation, within its limits, and a finding is placed in the one that it
/// is about.
#[test]
fn many_documents_are_judged_together() {
    let folder = tempfile::tempdir().unwrap();
    let item = |i: usize| {
        format!("apiVersion: v1\nkind: Service\nmetadata:\n  name: s{i}\nspec:\n  host: h{i}\n---\n")
    };
    fs::write(folder.path().join("in.yaml"), (0..10_000).map(item).collect::<String>()).unwrap();
    let write = |policy: &str| fs::write(folder.path().join("p.rego"), policy).unwrap();
    let judge = || run(folder.path(), &["test", "-p", "p.rego", "--combine", "in.yaml", "-o", "json"], None);
    write(
        "package main\ndeny contains msg if {\n\tsome one in input\n\tone.contents.spec.host == \"h7777\"\n\tmsg := sprintf(\"%s has the host %s\", [one.contents.metadata.name, one.contents.spec.host])\n}\n",
    );
    let found = judge();
    assert_eq!(found.code, Some(1), "{}", found.stderr);
    let json: Value = serde_json::from_str(&found.stdout).unwrap();
    assert_eq!(json[0]["location"]["line"], 7777 * 7 + 6);
    assert_eq!(json[0]["location"]["path"], "spec.host");
    write(
        "package main\ndeny contains \"twice\" if {\n\tsome i, j\n\ti != j\n\tinput[i].contents.spec.host == input[j].contents.spec.host\n}\n",
    );
    let found = judge();
    assert_eq!(found.code, Some(2));
    assert!(found.stdout.contains("(limit `steps`)"), "{}", found.stdout);
}
