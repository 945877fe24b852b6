//! `portcullis fmt`: files written, listed, compared, and what is told.

use std::fs;
use std::path::Path;

use super::{Run, run, run_in};

const LOOSE: &str = "package a\nallow if{input.x==1}\n";
const TIGHT: &str = "package a\n\nallow if input.x == 1\n";

const TEMPLATE: &str = "apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate # what it is
metadata: {name: a}
spec:
  crd: {spec: {names: {kind: A}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package a
      violation[{\"msg\": \"no\"}] { input.review.object.spec.x }
";

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn fmt(folder: &Path, args: &[&str]) -> Run {
    run_in(folder, &[&["fmt"], args].concat())
}

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap()
}

#[test]
fn files_are_written_in_place_and_named() {
    let folder = folder(&[
        ("p/a.rego", LOOSE),
        ("p/b.rego", TIGHT),
        ("p/t.yaml", TEMPLATE),
        ("p/pod.yaml", "kind: Pod\n"),
        ("p/helm.yaml", "a: {{ b }}\n"),
    ]);
    let run = fmt(folder.path(), &["p"]).exits_with(0);
    assert_eq!(run.stdout, "p/a.rego\np/t.yaml\n");
    assert_eq!(run.stderr, "3 modules of Rego: 2 formatted, in 2 files\n");
    assert_eq!(read(folder.path(), "p/a.rego"), TIGHT);
    let rego = "      package a\n\n      violation[{\"msg\": \"no\"}] {\n      \tinput.review.object.spec.x\n      }\n";
    let (around, _) = TEMPLATE.split_once("      package").unwrap();
    assert_eq!(read(folder.path(), "p/t.yaml"), format!("{around}{rego}"));
    let run = fmt(folder.path(), &["p"]).exits_with(0);
    assert_eq!((&*run.stdout, &*run.stderr), ("", "3 modules of Rego: nothing to format\n"));
}

#[test]
fn check_and_diff_write_nothing() {
    let folder = folder(&[("a.rego", LOOSE), ("b.rego", TIGHT)]);
    let run = fmt(folder.path(), &[".", "--check"]).exits_with(1);
    assert_eq!(run.stdout, "a.rego\n");
    assert_eq!(run.stderr, "2 modules of Rego: 1 not formatted, in 1 file; `portcullis fmt` does it\n");
    let run = fmt(folder.path(), &[".", "--diff"]).exits_with(0);
    assert_eq!(
        run.stdout,
        "--- a/a.rego\n+++ b/a.rego\n@@ -1,2 +1,3 @@\n package a\n-allow if{input.x==1}\n+\n+allow if input.x == 1\n"
    );
    fmt(folder.path(), &[".", "--diff", "--check", "--quiet"]).exits_with(1);
    fmt(folder.path(), &["b.rego", "--check"]).exits_with(0);
    assert_eq!(read(folder.path(), "a.rego"), LOOSE);
}

/// Who has `opa fmt` in a script has the same flags.
#[test]
fn flags_of_opa_fmt_are_taken() {
    let folder = folder(&[("a.rego", LOOSE), ("v0.rego", "package a\nallow{input.x==1}\n")]);
    assert_eq!(fmt(folder.path(), &["-l", "."]).exits_with(0).stdout, "a.rego\nv0.rego\n");
    fmt(folder.path(), &["--list", "--fail", "."]).exits_with(1);
    fmt(folder.path(), &["--v1-compatible", "v0.rego"]).exits_with(2);
    fmt(folder.path(), &["--v0-compatible", "-w", "v0.rego"]).exits_with(0);
    assert_eq!(read(folder.path(), "v0.rego"), "package a\n\nallow {\n\tinput.x == 1\n}\n");
}

#[test]
fn broken_modules_are_told_of_and_all_others_formatted() {
    let folder =
        folder(&[("a.rego", LOOSE), ("b.rego", "package b\n\np if {\n  x ==\n}\n"), ("c.rego", "x")]);
    let run = fmt(folder.path(), &["."]).exits_with(2);
    assert_eq!(read(folder.path(), "a.rego"), TIGHT);
    for told in ["--> b.rego:5:1", "unexpected } token", "--> c.rego:1:1", "package expected"] {
        assert!(run.stderr.contains(told), "{told}: {}", run.stderr);
    }
}

#[test]
fn standard_input_goes_to_standard_output() {
    let folder = folder(&[]);
    let of = |args: &[&str], input: &str| run(folder.path(), &[&["fmt", "-"], args].concat(), Some(input));
    let run = of(&[], LOOSE).exits_with(0);
    assert_eq!((&*run.stdout, &*run.stderr), (TIGHT, ""));
    assert_eq!(of(&[], TIGHT).exits_with(0).stdout, TIGHT);
    assert_eq!(of(&[], "# c\npackage  a").exits_with(0).stdout, "# c\npackage a\n");
    assert!(of(&[], TEMPLATE).exits_with(0).stdout.contains("{\n      \tinput.review"));
    assert_eq!(of(&[], "kind: Pod\n").exits_with(0).stdout, "kind: Pod\n");
    // Nothing of what is broken: who pipes it into a file would lose that.
    let run = of(&["--stdin-filename", "x/a.rego"], "allow").exits_with(2);
    assert!(run.stdout.is_empty() && run.stderr.contains("x/a.rego:1:1"), "{}", run.stderr);
    assert_eq!(of(&["--check"], LOOSE).exits_with(1).stdout, "<stdin>\n");
    assert!(of(&["--diff"], LOOSE).exits_with(0).stdout.starts_with("--- a/<stdin>\n"));
    of(&["a.rego"], LOOSE).exits_with(2);
}

#[test]
fn a_folder_without_rego_is_not_the_one_that_was_meant() {
    let folder = folder(&[("m/pod.yaml", "kind: Pod\n"), ("a.rego", LOOSE)]);
    let run = fmt(folder.path(), &["m"]).exits_with(2);
    assert!(run.stderr.contains("no Rego was found"), "{}", run.stderr);
    // Who names files, as hooks do, names such as have none.
    fmt(folder.path(), &["m/pod.yaml"]).exits_with(0);
    fmt(folder.path(), &["nowhere"]).exits_with(2);
    let run = fmt(folder.path(), &[".", "--ignore-files", "*.rego"]).exits_with(2);
    assert!(run.stderr.contains("1 file is ignored"), "{}", run.stderr);
    fmt(folder.path(), &[".", "--ignore-files", ""]).exits_with(2);
}

#[cfg(unix)]
#[test]
fn links_lead_to_what_was_named_only_and_permissions_stay() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    let folder = folder(&[("p/a.rego", LOOSE), ("other/b.rego", LOOSE)]);
    symlink(folder.path().join("other/b.rego"), folder.path().join("p/b.rego")).unwrap();
    let own = folder.path().join("p/a.rego");
    fs::set_permissions(&own, fs::Permissions::from_mode(0o640)).unwrap();
    // Found first, and by that name only.
    symlink(folder.path().join("p/z.rego"), folder.path().join("p/c.rego")).unwrap();
    fs::write(folder.path().join("p/z.rego"), LOOSE).unwrap();
    let run = fmt(folder.path(), &["p"]).exits_with(2);
    assert!(run.stderr.contains("a link leads to it, out of the folders that were named"), "{}", run.stderr);
    assert_eq!(read(folder.path(), "p/z.rego"), TIGHT);
    assert!(fs::symlink_metadata(folder.path().join("p/c.rego")).unwrap().is_symlink());
    assert_eq!(read(folder.path(), "other/b.rego"), LOOSE);
    assert_eq!(read(folder.path(), "p/a.rego"), TIGHT);
    assert_eq!(fs::metadata(own).unwrap().permissions().mode() & 0o777, 0o640);
    assert_eq!(fs::read_dir(folder.path().join("p")).unwrap().count(), 4);
}
