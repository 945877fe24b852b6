//! `portcullis init policy`: what it makes passes all that policies are judged by, as it is.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::run_in;

/// All files below a folder, with their texts.
fn files(folder: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(one) = folders.pop() {
        for entry in fs::read_dir(one).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                found.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    found
}

#[test]
fn a_new_policy_passes_its_suite_and_lint_and_no_change_of_it_goes_unnoticed() {
    let kinds = "Pod,apps/Deployment,StatefulSet,Job,CronJob,Service,ConfigMap,Namespace,ClusterRole,networking.k8s.io/Ingress,example.com/v1/Widget";
    for (language, kinds) in [("rego", "Pod"), ("cel", "Pod"), ("rego", kinds), ("cel", kinds)] {
        let folder = tempfile::tempdir().unwrap();
        let args = ["init", "policy", "require-owner", "--language", language, "--kinds", kinds];
        let run = run_in(folder.path(), &args).exits_with(0);
        assert!(run.stdout.contains("require-owner/template.yaml\n"), "{}", run.shown());
        run_in(folder.path(), &["lint", "require-owner", "--deny-warnings"]).exits_with(0);
        let run = run_in(folder.path(), &["verify", "require-owner"]).exits_with(0);
        let cases = 2 * kinds.split(',').count() + 2;
        assert!(
            run.stdout.contains(&format!("{cases} passed")) || run.stdout.contains(&format!("{cases} cases")),
            "{}",
            run.shown()
        );
        if language == "rego" {
            let more = ["verify", "require-owner", "--mutate", "--coverage-min", "100"];
            run_in(folder.path(), &more).exits_with(0);
        }
        // By itself it denies what it says.
        let args = [
            "test",
            "--policies",
            "require-owner/template.yaml",
            "--policies",
            "require-owner/samples/constraint.yaml",
            "require-owner/samples/denied-pod.yaml",
        ];
        run_in(folder.path(), &args).exits_with(1);
    }
}

#[test]
fn what_is_made() {
    for language in ["rego", "cel"] {
        let folder = tempfile::tempdir().unwrap();
        let args =
            ["init", "policy", "RequireOwner", "--kinds", "Deployment", "--language", language, "--quiet"];
        let run = run_in(folder.path(), &args).exits_with(0);
        assert_eq!((&*run.stdout, &*run.stderr), ("", ""));
        let all: String = files(&folder.path().join("require-owner"))
            .iter()
            .fold(String::new(), |all, (name, text)| all + "=== " + name + "\n" + text);
        insta::assert_snapshot!(format!("new_policy_{language}"), all);
    }
}

#[test]
fn what_cannot_be_made_is_told_all_at_once_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let run =
        run_in(folder.path(), &["init", "policy", "9-lives", "--kinds", "Widget,Event,Pod"]).exits_with(2);
    assert_eq!(run.stderr.matches("error: ").count(), 3, "{}", run.shown());
    assert!(run.stderr.contains("`core/Event` or `events.k8s.io/Event`"), "{}", run.shown());
    assert!(files(folder.path()).is_empty());
    // What is there stays.
    fs::create_dir(folder.path().join("x")).unwrap();
    fs::write(folder.path().join("x/notes.txt"), "mine").unwrap();
    let run = run_in(folder.path(), &["init", "policy", "x"]).exits_with(2);
    assert!(run.stderr.contains("there is something in `x` already"), "{}", run.shown());
    assert_eq!(files(folder.path()).len(), 1);
}
