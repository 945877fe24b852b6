//! The configuration file, environment variables and flags: which wins, what is wrong with them, and what they hide.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::{Run, run_in, testdata};

const POLICY: &str = r#"apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: nolatest}
spec:
  crd: {spec: {names: {kind: NoLatest}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package nolatest
      violation[{"msg": "latest"}] { endswith(input.review.object.spec.containers[_].image, ":latest") }
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: NoLatest
metadata: {name: none}
"#;

/// A repository with a policy, three manifests that violate it, and a folder to run in.
fn repository(config: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    for folder in [".git", "sub", "policies", "manifests/vendor"] {
        fs::create_dir_all(path.join(folder)).unwrap();
    }
    fs::write(path.join("policies/policy.yaml"), POLICY).unwrap();
    for (file, name) in [("a.yaml", "a"), ("c.yaml", "c"), ("vendor/b.yaml", "b")] {
        let pod = format!(
            "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: shop}}, spec: {{containers: [{{name: c, image: 'x:latest'}}]}}}}\n"
        );
        fs::write(path.join("manifests").join(file), pod).unwrap();
    }
    fs::write(path.join("portcullis.yaml"), config).unwrap();
    directory
}

/// Runs the program with environment variables.
fn run_with(directory: &Path, args: &[&str], variables: &[(&str, &str)]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.current_dir(directory).args(args).envs(variables.iter().copied()).stdin(Stdio::null());
    Run::of(command.output().unwrap())
}

const ALL: &str = "common: {policies: policies/}\ntest:\n  paths: [manifests/]\n  output: compact\n";

#[test]
fn it_is_found_above_and_its_paths_are_relative_to_it() {
    let config = "common: {policies: policies/}\ntest:\n  paths: [manifests/]\n  ignore: [vendor/]\n  output: [human, csv=out.csv]\n  exclusions:\n  \
                  - {constraint: NoLatest/none, files: [a.yaml], reason: it is old, owner: shop}\n";
    let repository = repository(config);
    let sub = repository.path().join("sub");
    insta::assert_snapshot!(run_in(&sub, &["test"]).exits_with(1).shown());
    assert!(repository.path().join("out.csv").is_file());
    insta::assert_snapshot!(run_in(&sub, &["exceptions"]).exits_with(0).shown());
    insta::assert_snapshot!(run_in(&sub, &["config", "show"]).exits_with(0).shown());
    // The same for all commands that have policies.
    assert!(run_in(&sub, &["lint"]).exits_with(0).stdout.contains("1 usable template"));
    let audited = run_in(&sub, &["audit", "../manifests"]).exits_with(1);
    assert!(audited.shown().contains("3 violations"), "{}", audited.shown());
    // Nothing above the root of a repository is looked at.
    fs::create_dir(sub.join(".git")).unwrap();
    let run = run_in(&sub, &["test"]).exits_with(2);
    assert!(run.stderr.contains("there is nothing to read"), "{}", run.shown());
}

#[test]
fn flags_win_over_the_environment_and_that_over_the_file() {
    let repository = repository(&format!("{ALL}  fail-on: none\n  verbose: true\n"));
    let path = repository.path();
    run_in(path, &["test"]).exits_with(0);
    run_with(path, &["test"], &[("PORTCULLIS_FAIL_ON", "deny")]).exits_with(1);
    run_with(path, &["test", "--fail-on", "none"], &[("PORTCULLIS_FAIL_ON", "deny")]).exits_with(0);
    run_in(path, &["test", "--fail-on=deny"]).exits_with(1);
    // A section of a command wins over that of all.
    let text = fs::read_to_string(path.join("portcullis.yaml")).unwrap();
    fs::write(
        path.join("portcullis.yaml"),
        text.replace("common: {", "common: {allow-unsupported: true, ") + "  allow-unsupported: false\n",
    )
    .unwrap();
    let shown = run_in(path, &["config", "show"]).exits_with(0).stdout;
    assert!(shown.contains("allow-unsupported: \"false\""), "{shown}");
    // A list of the command line takes the place of that of the file; so do paths and `-f`.
    let one = run_in(path, &["test", "-f", "manifests/a.yaml", "--fail-on=deny"]).exits_with(1);
    assert!(one.stdout.contains("1 denied in 1 of 1 object;"), "{}", one.shown());
    let variable = [("PORTCULLIS_PATHS", "manifests/a.yaml\nmanifests/c.yaml")];
    let two = run_with(path, &["test", "--fail-on=deny"], &variable).exits_with(1);
    assert!(two.stdout.contains("2 denied in 2 of 2 objects"), "{}", two.shown());
    // A switch is taken back.
    let without = run_in(path, &["test", "--verbose=false", "--fail-on=deny"]).exits_with(1);
    assert!(!without.stderr.contains("verbose"), "{}", without.shown());
    // Of a switch and what does not go together with it, the command line's counts.
    fs::write(path.join("portcullis.yaml"), "audit: {policies: policies, interval: 5, output: json}\n")
        .unwrap();
    run_in(path, &["audit", "manifests", "--once", "-q"]).exits_with(1);
}

#[test]
fn the_file_is_named_or_left_out() {
    let repository = repository("test: {paths: nowhere}\n");
    let path = repository.path();
    fs::create_dir(path.join("ci")).unwrap();
    fs::write(path.join("ci/strict.yaml"), "test: {policies: ../policies, paths: ../manifests/a.yaml}\n")
        .unwrap();
    let named = run_in(path, &["test", "--config", "ci/strict.yaml"]).exits_with(1);
    assert!(named.stderr.contains("configuration file ci/strict.yaml: paths, policies"), "{}", named.shown());
    run_with(path, &["test"], &[("PORTCULLIS_CONFIG", "ci/strict.yaml")]).exits_with(1);
    let none = ["test", "--no-config", "-p", "policies", "manifests"];
    let run = run_in(path, &none).exits_with(1);
    // It is a file of the folder then, as any other.
    assert!(!run.stderr.contains("configuration file"), "{}", run.shown());
    run_with(path, &none[..1], &[("PORTCULLIS_NO_CONFIG", "true")]).exits_with(2);
    run_with(path, &["test"], &[("PORTCULLIS_NO_CONFIG", "perhaps")]).exits_with(2);
    run_in(path, &["test", "--config", "ci/missing.yaml"]).exits_with(2);
    run_in(path, &["test", "--config", "ci", "-p", "policies", "manifests"]).exits_with(2);
    // The file itself is no manifest that is missing something; another one in the folder is.
    fs::write(path.join("portcullis.yaml"), "test: {policies: policies, paths: .}\n").unwrap();
    let run = run_in(path, &["test"]).exits_with(1);
    assert!(
        run.stderr.contains("ci/strict.yaml") && !run.stderr.contains("portcullis.yaml:1"),
        "{}",
        run.shown()
    );
}

#[test]
fn all_mistakes_are_told_at_once_with_their_places() {
    let config = "comon: {}\ncommon:\n  polices: x\n  output: junit\n  timeout: [1]\ntest:\n  fail-on: hihg\n  render: perhaps\n  max-size: 99 apples\n  \
                  ignore: [\"[z-a]\", ok]\n  jobs: 0\n  write-baseline: true\n  namespace: a,b\n  webhook-configuration: x\n  exclusions:\n  - constraint: X\n    file: x\n  \
                  - {constraint: X, files: [ok, \"# x\"], reason: ''}\nverify: 7\naudit: {exclusions: []}\n";
    let repository = repository(config);
    let run = run_in(repository.path(), &["test", "--color", "never"]).exits_with(2);
    insta::assert_snapshot!(run.shown());
    for text in [
        "a: 1\n---\nb: 2\n",
        "test: {paths: *x}\n",
        "test: {paths: a, paths: b}\n",
        "[]\n",
        "test: {output: [human, nonsense=x]}\n",
    ] {
        fs::write(repository.path().join("portcullis.yaml"), text).unwrap();
        let run = run_in(repository.path(), &["test"]).exits_with(2);
        assert!(run.stderr.contains("portcullis.yaml:"), "{text}: {}", run.shown());
    }
    fs::write(repository.path().join("portcullis.yaml"), "# nothing\n").unwrap();
    run_in(repository.path(), &["test", "-p", "policies", "manifests"]).exits_with(1);
    let variables =
        [("PORTCULLIS_FAIL_ON", "hihg"), ("PORTCULLIS_RENDER", "1"), ("PORTCULLIS_RENDR", "true")];
    let run = run_with(repository.path(), &["test", "--color", "never"], &variables).exits_with(2);
    insta::assert_snapshot!(run.shown());
}

#[test]
fn a_hostile_file_is_refused() {
    let repository = repository("");
    let file = repository.path().join("portcullis.yaml");
    let bomb = (1..12).fold("a0: &a0 [x, x]\n".to_owned(), |text, number| {
        let last = number - 1;
        let list = vec![format!("*a{last}"); 9].join(", ");
        format!("{text}a{number}: &a{number} [{list}]\n")
    });
    let long = "#".repeat((1 << 20) + 1);
    let deep = format!("test: {}", "[".repeat(10_000));
    for (text, part) in [(bomb, "aliases"), (long, "at most 1 MiB"), (deep, "128 levels")] {
        fs::write(&file, text).unwrap();
        let run = run_in(repository.path(), &["test"]).exits_with(2);
        assert!(run.stderr.contains(part), "{}", run.shown());
        assert!(run.stderr.len() < 1 << 16, "{} bytes", run.stderr.len());
    }
}

/// Help is there whatever is wrong, and lists of exceptions are no other report.
#[test]
fn a_file_is_no_obstacle_to_help_and_to_lists() {
    let repository = repository("tesst: {}\n");
    let path = repository.path();
    assert!(run_in(path, &["test", "--help"]).exits_with(0).stdout.contains("--no-config"));
    assert!(!run_in(path, &["test", "-h"]).exits_with(0).stdout.contains("BOOL"));
    run_in(path, &["version"]).exits_with(0);
    fs::write(path.join("t.txt"), "{{ counts.denied }}\n").unwrap();
    let text = format!("{ALL}  template: t.txt\n  stats: true\n")
        .replace("output: compact", "output: [json, template=out.txt]");
    fs::write(path.join("portcullis.yaml"), text).unwrap();
    run_in(path, &["test"]).exits_with(1);
    assert_eq!(fs::read_to_string(path.join("out.txt")).unwrap(), "3\n");
    run_in(path, &["exceptions"]).exits_with(0);
    // Another form takes the place of both, and the template waits.
    run_in(path, &["test", "-o", "json"]).exits_with(1);
    // Very many values are read at once.
    let many: Vec<String> = (0..50_000).map(|number| format!("\"x{number}\"")).collect();
    let text = format!("test: {{policies: policies, paths: manifests, why: [{}]}}\n", many.join(", "));
    fs::write(path.join("portcullis.yaml"), text).unwrap();
    let begun = std::time::Instant::now();
    let run = run_in(path, &["config", "show"]).exits_with(0);
    assert!(run.stdout.len() > 100_000 && begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
}

/// What nobody named is not waited for.
#[cfg(unix)]
#[test]
fn a_pipe_or_a_folder_that_is_found_is_refused_at_once() {
    let repository = repository(ALL);
    let sub = repository.path().join("sub");
    let there = sub.join("portcullis.yaml");
    assert!(Command::new("mkfifo").arg(&there).status().unwrap().success());
    assert!(run_in(&sub, &["test"]).exits_with(2).stderr.contains("expected a file"));
    fs::remove_file(&there).unwrap();
    fs::create_dir(&there).unwrap();
    assert!(run_in(&sub, &["test"]).exits_with(2).stderr.contains("expected a file"));
    fs::remove_dir(&there).unwrap();
    std::os::unix::fs::symlink("nowhere", &there).unwrap();
    assert!(run_in(&sub, &["test"]).exits_with(2).stderr.contains("no such file"));
}

/// What a file leaves out is counted, and nothing is judged by saying so.
#[test]
fn what_is_left_out_is_told() {
    let repository = repository(&format!("{ALL}  quiet: true\n  ignore: [vendor/, c.yaml]\n"));
    let path = repository.path();
    let run = run_in(path, &["test"]).exits_with(1);
    assert!(run.stderr.contains("1 file and 1 folder are ignored"), "{}", run.shown());
    assert!(run.stderr.contains("configuration file portcullis.yaml"), "{}", run.shown());
    // Not by a flag, either, and who says `-q` asks for no more than that.
    let run = run_in(path, &["test", "-q", "--ignore-files", "a.*"]).exits_with(1);
    assert_eq!(run.stderr.lines().count(), 1, "{}", run.shown());
    assert!(run.stderr.contains("1 file is ignored"), "{}", run.shown());
    // A file that is named is read.
    let run = run_in(path, &["test", "manifests/c.yaml", "--verbose"]).exits_with(1);
    assert!(
        run.stdout.contains("1 denied in 1 of 1 object;") || run.stdout.contains("c.yaml"),
        "{}",
        run.shown()
    );
    for globs in ["['**']", "['*.yaml']", "[manifests/]", "[/manifests/**]"] {
        fs::write(path.join("portcullis.yaml"), format!("test: {{paths: ., policies: policies/policy.yaml, ignore: {globs}}}\naudit: {{ignore: {globs}}}\n")).unwrap();
        let run = run_in(path, &["test"]).exits_with(2);
        assert!(
            run.stderr.contains("no objects were given to judge") && run.stderr.contains("ignored"),
            "{globs}: {}",
            run.shown()
        );
        let run = run_in(path, &["audit", "-p", "policies/policy.yaml", "manifests"]);
        let is_told = run.code == Some(2) || globs.contains("manifests");
        assert!(is_told, "{globs}: {}", run.shown());
    }
    // Rules of Rego, too.
    fs::create_dir(path.join("policy")).unwrap();
    fs::write(
        path.join("policy/deny.rego"),
        "package main\nimport rego.v1\ndeny contains \"no\" if input.kind\n",
    )
    .unwrap();
    fs::write(
        path.join("portcullis.yaml"),
        "test: {paths: manifests, policies: policy, ignore: ['*.yaml']}\n",
    )
    .unwrap();
    let run = run_in(path, &["test"]).exits_with(2);
    assert!(run.stderr.contains("nothing to judge") && run.stderr.contains("ignored"), "{}", run.shown());
}

/// An exclusion is an exception: counted, listed, and no excuse for what could not be evaluated.
#[test]
fn what_is_excluded_is_excepted() {
    let exclusion = |constraint: &str, files: &str| {
        format!("{ALL}  exclusions: [{{constraint: {constraint}, files: [{files}], reason: it is old}}]\n")
    };
    let repository = repository(&exclusion("NoLatest", "'*.yaml'"));
    let path = repository.path();
    let run = run_in(path, &["test"]).exits_with(0);
    assert!(run.stdout.contains("3 excepted"), "{}", run.shown());
    for silent in [&["test", "-q"][..], &["test", "-o", "json"], &["test", "-q", "-o", "csv"]] {
        let run = run_in(path, silent).exits_with(0);
        assert!(run.stderr.contains("3 findings are excepted by exclusions"), "{silent:?}: {}", run.shown());
    }
    let report: Value =
        serde_json::from_str(&run_in(path, &["test", "-o", "sarif"]).exits_with(0).stdout).unwrap();
    let results = report["runs"][0]["results"].as_array().unwrap();
    assert!(results.iter().all(|result| result["suppressions"][0]["kind"] == "external"), "{results:?}");
    fs::write(path.join("portcullis.yaml"), exclusion("NoLatst", "'*.yaml'")).unwrap();
    let run = run_in(path, &["test"]).exits_with(1);
    assert!(
        run.stderr.contains("there is no constraint `NoLatst`")
            || run.stdout.contains("there is no constraint `NoLatst`"),
        "{}",
        run.shown()
    );
    let broken = POLICY.replace("endswith(", "x := 1 / 0; endswith(");
    let broken = broken.replace("1 / 0", "to_number(input.review.object.metadata.name)");
    fs::write(path.join("policies/policy.yaml"), broken).unwrap();
    fs::write(path.join("portcullis.yaml"), format!("{}  max-steps: 3\n", exclusion("none", "'**'")))
        .unwrap();
    let run = run_in(path, &["test"]).exits_with(1);
    assert!(run.stdout.contains("could not be evaluated"), "{}", run.shown());
}

/// The schema that is published is the one of this program, and takes what the program takes.
#[test]
fn the_schema_is_published_and_agrees_with_the_parser() {
    let text = run_in(&testdata(), &["config", "schema"]).exits_with(0).stdout;
    let file = testdata().join("../../docs/portcullis.schema.json");
    if std::env::var("INSTA_UPDATE").is_ok_and(|value| value == "always") {
        fs::write(&file, &text).unwrap();
    }
    assert_eq!(
        fs::read_to_string(&file).unwrap(),
        text,
        "write it anew: `portcullis config schema > docs/portcullis.schema.json`"
    );
    let schema: Value = serde_json::from_str(&text).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let repository = repository("");
    let cases = [
        (true, json!(null)),
        (true, json!({"common": {"policies": ["policies"], "ignore": "*.x", "timeout": 5}, "test": null})),
        (
            true,
            json!({"test": {"paths": ["manifests"], "output": ["human", "sarif=x"], "fail-on": "high", "max-size": "1MiB", "quiet": null}}),
        ),
        (
            true,
            json!({"test": {"exclusions": [{"constraint": "x", "files": ["a"], "reason": "y", "owner": "z"}]}}),
        ),
        (
            true,
            json!({"audit": {"html": "a.html", "max-memory": 123_456_789}, "lint": {"deny-warnings": true}, "verify": {"run": "x"}}),
        ),
        (false, json!([])),
        (false, json!({"tests": {}})),
        (false, json!({"test": {"fail-on": "hihg"}})),
        (false, json!({"test": {"fail-on": ["high"]}})),
        (false, json!({"test": {"quiet": "true"}})),
        (false, json!({"test": {"paths": [["x"]]}})),
        (false, json!({"test": {"paths": ""}})),
        (false, json!({"test": {"output": "nonsense"}})),
        (false, json!({"test": {"write-baseline": true}})),
        (false, json!({"common": {"output": "human"}})),
        (false, json!({"lint": {"exclusions": []}})),
        (false, json!({"test": {"exclusions": [{"constraint": "x", "files": ["a"]}]}})),
        (false, json!({"test": {"exclusions": [{"constraint": "x", "files": [], "reason": "y"}]}})),
        (false, json!({"test": {"exclusions": [{"constraint": "x", "files": "a", "reason": "y"}]}})),
        (false, json!({"test": {"exclusions": [{"constraint": "x", "files": ["a"], "reason": 7}]}})),
    ];
    for (is_right, config) in cases {
        fs::write(repository.path().join("portcullis.yaml"), config.to_string()).unwrap();
        let run = run_in(repository.path(), &["config", "show"]);
        assert_eq!(run.code == Some(0), is_right, "{config}: {}", run.shown());
        assert_eq!(validator.is_valid(&config), is_right, "{config}");
    }
}

#[test]
fn a_key_at_the_top_is_told_where_it_belongs() {
    let repository = repository("paths: [manifests]\nexclusions: []\n");
    let run = run_in(repository.path(), &["test"]).exits_with(2);
    assert!(run.stderr.contains("it is a key of `test`"), "{}", run.shown());
    assert!(run.stderr.contains("exclusions are for `test`"), "{}", run.shown());
}
