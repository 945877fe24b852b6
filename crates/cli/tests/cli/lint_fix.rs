//! `portcullis lint --fix`: what is certain to be done, put into the files.

use std::fs;

use super::{Run, run_in};

const BEFORE: &str = r#"apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: a} # what it is about
spec:
  crd: {spec: {names: {kind: A}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package a

      import data.lib.x

      import future.keywords.in
      import data.lib.y # for later

      violation[{"msg": msg}] {
        some k, v in input.review.object.spec # each
        some [a, b] in input.review.object.pairs
        some [c, c] in input.review.object.pairs
        re_match("^a", v)
        any([x | x := b])
        unused := v
        msg := "no"
      }
"#;

fn lint(folder: &tempfile::TempDir, args: &[&str]) -> Run {
    run_in(folder.path(), &[&["lint", "."], args].concat())
}

fn folder(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("t.yaml"), text).unwrap();
    folder
}

fn read(folder: &tempfile::TempDir) -> String {
    fs::read_to_string(folder.path().join("t.yaml")).unwrap()
}

#[test]
fn what_changes_no_verdict_is_put_in_and_nothing_else() {
    let wanted = BEFORE
        .replace("      import data.lib.x\n\n", "")
        .replace("some k, v", "some _, v")
        .replace("some [a, b]", "some [_, b]")
        .replace("re_match", "regex.match");
    for text in
        [(BEFORE.to_owned(), wanted.clone()), (BEFORE.replace('\n', "\r\n"), wanted.replace('\n', "\r\n"))]
    {
        let (before, after) = text;
        let folder = folder(&before);
        let run = lint(&folder, &["--fix"]).exits_with(0);
        assert_eq!(read(&folder), after);
        assert!(run.stderr.contains("fix: t.yaml: 4 findings fixed"), "{}", run.stderr);
        assert!(
            run.stderr.contains("fix: t.yaml:14:7: not fixed: there is more on its line"),
            "{}",
            run.stderr
        );
        // What is left is reported: what has more than one remedy, and what could not be edited.
        for left in ["`unused` is never used", "`any` is deprecated", "the import `data.lib.y`"] {
            assert!(run.stdout.contains(left), "{left}: {}", run.stdout);
        }
        assert!(!run.stdout.contains("`c` is never used"), "{}", run.stdout);
        lint(&folder, &["--fix"]).exits_with(0);
        assert_eq!(read(&folder), after);
    }
}

#[test]
fn a_dry_run_shows_and_writes_nothing() {
    let folder = folder(BEFORE);
    let run = lint(&folder, &["--fix-dry-run"]).exits_with(0);
    assert_eq!(read(&folder), BEFORE);
    assert!(run.stdout.starts_with("--- a/t.yaml\n+++ b/t.yaml\n@@ -8,16 +8,14 @@\n"), "{}", run.stdout);
    assert!(
        run.stdout.contains("-        re_match(\"^a\", v)\n+        regex.match(\"^a\", v)\n"),
        "{}",
        run.stdout
    );
    lint(&folder, &["--fix-dry-run", "--deny-warnings"]).exits_with(1);
    run_in(folder.path(), &["lint", "-", "--fix"]).exits_with(2);
}

/// Rego in quotes is edited where a name becomes another, and left where a line would go.
#[test]
fn only_what_is_where_it_seems_to_be_is_edited() {
    let text = |rego: &str| {
        let (around, _) = BEFORE.split_once("    rego: |").unwrap();
        format!("{around}    rego: {rego}\n")
    };
    let folder = folder(&text(
        r#""package a\nimport data.lib.x\nviolation[{\"msg\": \"m\"}] { re_match(\"a\", input.review.name) }""#,
    ));
    let run = lint(&folder, &["--fix"]).exits_with(0);
    assert_eq!(
        read(&folder),
        text(
            r#""package a\nimport data.lib.x\nviolation[{\"msg\": \"m\"}] { regex.match(\"a\", input.review.name) }""#
        )
    );
    assert!(run.stderr.contains("t.yaml:8:23: not fixed"), "{}", run.stderr);
}

#[cfg(unix)]
#[test]
fn links_are_left() {
    let folder = folder(BEFORE);
    fs::rename(folder.path().join("t.yaml"), folder.path().join("t.txt")).unwrap();
    std::os::unix::fs::symlink("t.txt", folder.path().join("t.yaml")).unwrap();
    let run = lint(&folder, &["--fix"]).exits_with(0);
    assert!(run.stdout.contains("the file is not fixed: it is a link"), "{}", run.stdout);
    assert_eq!(read(&folder), BEFORE);
}

const SUITE: &str = "apiVersion: test.gatekeeper.sh/v1alpha1
kind: Suite
metadata: {name: s}
tests:
- name: t
  template: t.yaml
  constraint: c.yaml
  cases:
  - {name: denied, object: o.yaml, assertions: [{violations: yes}]}
";

const V0: &str = "# Ours.
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: a}
spec:
  crd: {spec: {names: {kind: A}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package a
      violation[{\"msg\": msg}] { re_match(\"^a\", input.review.object.metadata.name); msg := \"no\" } # why
";

#[test]
fn templates_are_upgraded_and_tried() {
    let folder = folder(V0);
    let path = folder.path();
    fs::write(path.join("suite.yaml"), SUITE).unwrap();
    fs::write(
        path.join("c.yaml"),
        "apiVersion: constraints.gatekeeper.sh/v1beta1\nkind: A\nmetadata: {name: a}\n",
    )
    .unwrap();
    fs::write(path.join("o.yaml"), "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n").unwrap();
    let run = lint(&folder, &["--upgrade", "v1", "--fix-dry-run"]).exits_with(0);
    assert_eq!(read(&folder), V0);
    assert!(
        run.stdout.contains("+          violation contains {\"msg\": msg} if { # why\n"),
        "{}",
        run.stdout
    );
    assert!(
        run.stderr.contains(
            "upgrade: t.yaml: 1 template can be in v1; says the same of 1 object of suites and of "
        ),
        "{}",
        run.stderr
    );
    let run = lint(&folder, &["--upgrade", "v1"]).exits_with(0);
    assert!(
        run.stderr
            .contains("upgrade: t.yaml: 1 template in v1 now; says the same of 1 object of suites and of "),
        "{}",
        run.stderr
    );
    let (around, _) = V0.split_once("    rego: |").unwrap();
    let code = "    code:\n    - engine: Rego\n      source:\n        version: v1\n        rego: |\n          package a\n\n          violation contains {\"msg\": msg} if { # why\n          \tregex.match(\"^a\", input.review.object.metadata.name)\n          \tmsg := \"no\"\n          }\n";
    assert_eq!(read(&folder), format!("{around}{code}"));
    assert!(run.stdout.contains("nothing found"), "{}", run.stdout);
    run_in(path, &["verify", "."]).exits_with(0);
    run_in(path, &["fmt", ".", "--check"]).exits_with(0);
    // There is nothing left to do.
    let run = lint(&folder, &["--upgrade", "v1"]).exits_with(0);
    assert!(!run.stderr.contains("upgrade:"), "{}", run.stderr);
}

#[test]
fn what_cannot_be_upgraded_is_told_of() {
    let folder = folder(&V0.replace("re_match(\"^a\", ", "any([").replace(".name); msg", ".name]); msg"));
    let before = read(&folder);
    let run = lint(&folder, &["--upgrade", "v1"]).exits_with(0);
    assert_eq!(read(&folder), before);
    assert!(run.stdout.contains("this Rego is not rewritten in v1: `any` is not in v1"), "{}", run.stdout);
    lint(&folder, &["--upgrade", "v2"]).exits_with(2);
    lint(&folder, &["--upgrade", "v1", "--fix"]).exits_with(2);
    run_in(folder.path(), &["lint", "-", "--upgrade", "v1"]).exits_with(2);
}
