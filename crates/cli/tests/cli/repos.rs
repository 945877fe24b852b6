//! Shapes of repositories that lint manifests in CI (`testdata/repos`): what takes the place of what their CI had,
//! and what comes of it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::{Run, run_in};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Repo {
    folder: String,
    was: String,
    is: Vec<String>,
    exit: i32,
    expect: Vec<String>,
    /// Programs of which one has to be there; without any, it is skipped.
    #[serde(default)]
    needs: Vec<String>,
}

fn is_on_path(program: &String) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|one| one.join(program).is_file()))
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/repos")
}

fn repos() -> Vec<Repo> {
    serde_yaml::from_str(&fs::read_to_string(root().join("repos.yaml")).unwrap()).unwrap()
}

#[test]
fn each_is_judged_as_expected() {
    let mut wrong = Vec::new();
    for repo in repos() {
        if !repo.needs.is_empty() && !repo.needs.iter().any(is_on_path) {
            println!("SKIPPED: {} {:?}: none of {:?} is there", repo.folder, repo.is, repo.needs);
            continue;
        }
        let args: Vec<&str> = repo.is.iter().map(String::as_str).collect();
        let Run { stdout, stderr, code } = run_in(&root().join(&repo.folder), &args);
        let all = format!("{stderr}{stdout}");
        let mut rest = all.as_str();
        let is_missing = |text: &&String| match rest.split_once(text.as_str()) {
            Some((_, behind)) => {
                rest = behind;
                false
            }
            None => true,
        };
        let missing: Vec<&String> = repo.expect.iter().filter(is_missing).collect();
        if code != Some(repo.exit) || !missing.is_empty() {
            let Repo { folder, was, .. } = &repo;
            wrong
                .push(format!("{folder}: {was}: exit {code:?}, not there in this order: {missing:?}\n{all}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn every_folder_is_run() {
    let folders: BTreeSet<String> = repos().into_iter().map(|repo| repo.folder).collect();
    let folders: Vec<String> = folders.into_iter().collect();
    let entries = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap());
    let mut there: Vec<String> = entries
        .filter(|entry| entry.file_type().unwrap().is_dir())
        .map(|entry| entry.file_name().into_string().unwrap())
        .collect();
    there.sort();
    assert_eq!(folders, there);
}

/// A copy of a folder that may be changed.
fn copied(folder: &str) -> tempfile::TempDir {
    fn copy(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let target = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                copy(&entry.path(), &target);
            } else {
                fs::copy(entry.path(), target).unwrap();
            }
        }
    }
    let there = tempfile::tempdir().unwrap();
    copy(&root().join(folder), there.path());
    there
}

#[test]
fn a_template_that_differs_from_its_source_is_found() {
    let repo = copied("konstraint");
    let run = |args: &[&str]| run_in(repo.path(), args);
    // How it is written, and comments, do not count.
    let template = repo.path().join("policies/pod-deny-host-pid/template.yaml");
    let text = fs::read_to_string(&template).unwrap();
    fs::write(&template, text.replace("violation contains", "# a comment\n\n          violation contains"))
        .unwrap();
    assert_eq!(run(&["build", "policies", "--check"]).code, Some(0));
    fs::write(&template, text.replace("core.resource.spec.hostPID", "core.resource.spec.hostIPC")).unwrap();
    let changed = run(&["build", "policies", "--check"]);
    assert_eq!(changed.code, Some(1));
    let expected = "policies/pod-deny-host-pid/template.yaml: `spec.targets[0].code[0].source.rego` differs from the source";
    assert!(changed.stdout.contains(expected), "{}", changed.stdout);
    fs::remove_file(repo.path().join("policies/required-labels/template.yaml")).unwrap();
    let gone = run(&["build", "policies", "--check"]);
    assert!(gone.stdout.contains("policies/required-labels/template.yaml: is not there"), "{}", gone.stdout);
    assert_eq!(run(&["build", "policies"]).code, Some(0));
    assert_eq!(run(&["build", "policies", "--check"]).code, Some(0));
    // A library counts as well.
    let lib = repo.path().join("policies/lib/core.rego");
    fs::write(&lib, fs::read_to_string(&lib).unwrap().replace("metadata.name", "metadata.namespace"))
        .unwrap();
    assert_eq!(run(&["build", "policies", "--check"]).code, Some(1));
}

#[test]
fn broken_sources_do_not_keep_others_from_being_built() {
    let repo = copied("konstraint");
    let policies = repo.path().join("policies");
    fs::create_dir(policies.join("broken")).unwrap();
    fs::write(policies.join("broken/src.rego"), "package broken\nviolation contains {\n").unwrap();
    fs::create_dir(policies.join("nolib")).unwrap();
    fs::write(
        policies.join("nolib/src.rego"),
        "package nolib\nimport data.lib.none\nviolation contains {\"msg\": none.m} if true\n",
    )
    .unwrap();
    fs::create_dir(policies.join("header")).unwrap();
    fs::write(
        policies.join("header/src.rego"),
        "# METADATA\n# title: [\npackage header\nviolation contains {\"msg\": \"x\"} if true\n",
    )
    .unwrap();
    fs::remove_file(policies.join("required-labels/template.yaml")).unwrap();
    let Run { stderr, code, .. } = run_in(repo.path(), &["build", "policies"]);
    assert_eq!(code, Some(2));
    for expected in [
        "policies/broken/src.rego:2",
        "there is no library `lib.none`",
        "the METADATA is no YAML",
        "policies/header/src.rego:2",
    ] {
        assert!(stderr.contains(expected), "{expected}: {stderr}");
    }
    assert!(policies.join("required-labels/template.yaml").exists());
}

/// What conftest's policies find in files, templates made of them find in the same.
#[test]
fn policies_of_conftest_are_turned_into_templates() {
    let repo = copied("conftest");
    let run = |args: &[&str]| run_in(repo.path(), args);
    let turned = run(&["build", "policy", "--from-conftest", "-o", "gatekeeper"]);
    assert_eq!(turned.code, Some(0), "{}", turned.stderr);
    let suite = run(&["verify", "gatekeeper"]);
    assert_eq!(suite.code, Some(0), "{}{}", suite.stdout, suite.stderr);
    let messages = |run: Run| {
        let found: Vec<serde_json::Value> = serde_json::from_str(&run.stdout).unwrap();
        let mut found: Vec<(String, String)> = found
            .iter()
            .map(|one| {
                (
                    one["msg"].as_str().unwrap().to_owned(),
                    one["enforcementAction"].as_str().unwrap().to_owned(),
                )
            })
            .collect();
        found.sort();
        found
    };
    let by_rules = messages(run(&["test", "-p", "policy", "deploy/shop.yaml", "-o", "json"]));
    let by_templates = messages(run(&["test", "-p", "gatekeeper", "deploy/shop.yaml", "-o", "json"]));
    assert_eq!(by_rules, by_templates);
    assert_eq!(by_rules.len(), 2);
}

#[test]
fn what_cannot_be_turned_is_listed() {
    let combined = copied("conftest-combine");
    let Run { stderr, code, .. } =
        run_in(combined.path(), &["build", "policy", "--from-conftest", "-o", "gatekeeper"]);
    assert!(stderr.contains("this is about all documents at once (`--combine`)"), "{stderr}");
    assert!(stderr.contains("`deny` is not turned"), "{stderr}");
    assert_ne!(code, Some(0));
    let tests = copied("opa-test");
    let Run { stderr, .. } =
        run_in(tests.path(), &["build", "policy", "--from-conftest", "-n", "replicas", "-o", "gatekeeper"]);
    assert!(stderr.contains("this reads `data.limits`"), "{stderr}");
    assert!(stderr.contains("unit tests stay as they are"), "{stderr}");
}

/// A snapshot of each form, of a repository with findings, warnings and exceptions in YAML and TOML.
fn form(name: &str) -> String {
    let Run { stdout, code, .. } =
        run_in(&root().join("conftest"), &["test", "-p", "policy", "deploy", "-o", name]);
    assert_eq!(code, Some(1));
    stdout
}

#[test]
fn rules_in_json() {
    insta::assert_snapshot!(form("json"));
}

#[test]
fn rules_in_yaml() {
    insta::assert_snapshot!(form("yaml"));
}

#[test]
fn rules_in_junit() {
    insta::assert_snapshot!(form("junit"));
}

#[test]
fn rules_in_sarif() {
    insta::assert_snapshot!(form("sarif"));
}

#[test]
fn rules_in_github() {
    insta::assert_snapshot!(form("github"));
}

#[test]
fn unit_tests_in_junit() {
    let Run { stdout, code, .. } =
        run_in(&root().join("opa-test"), &["verify", "policy", "--coverage-min", "80", "-o", "junit"]);
    assert_eq!(code, Some(1));
    let timeless =
        regex::Regex::new("time=\"[0-9.]*\"").unwrap().replace_all(&stdout, "time=\"0\"").into_owned();
    insta::assert_snapshot!(timeless);
}

#[test]
fn unit_tests_in_json() {
    let Run { stdout, .. } =
        run_in(&root().join("opa-test"), &["verify", "policy", "--coverage", "-o", "json"]);
    let mut found: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(found["passed"], true);
    let suite = found["suites"][0].take();
    let statuses: Vec<&str> =
        suite["tests"].as_array().unwrap().iter().map(|test| test["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["passed", "passed", "passed", "skipped"]);
    assert_eq!(found["coverage"]["percent"], 50.0);
    assert_eq!(found["coverage"]["files"][0]["uncovered"], serde_json::json!([10, 14, 16, 17]));
}
