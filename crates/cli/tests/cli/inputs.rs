//! Inputs that break things: each is named in an error, and what can be judged still is.

use std::fs::{self, File};
use std::path::Path;

use super::{run_in, testdata};

const POD: &str =
    "apiVersion: v1\nkind: Pod\nmetadata: {name: good, namespace: prod}\nspec: {containers: []}\n";

/// A directory with policies and a Pod that one of them denies.
fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for name in ["templates.yaml", "constraints.yaml"] {
        fs::copy(testdata().join("policies").join(name), directory.path().join(name)).unwrap();
    }
    fs::write(directory.path().join("good.yaml"), POD).unwrap();
    directory
}

/// Judges all of a directory, and expects an error and the finding.
#[track_caller]
fn reports(directory: &Path, more: &[&str], expected: &[&str]) {
    let run = run_in(directory, &[&["test", "-f", "."], more].concat()).exits_with(2);
    for part in expected {
        assert!(run.stderr.contains(part), "{part} is missing in\n{}", run.stderr);
    }
    assert!(run.stdout.contains("object: Pod prod/good"), "{}", run.stdout);
}

#[test]
fn broken_yaml() {
    let directory = directory();
    fs::write(directory.path().join("broken.yaml"), "a: [1, 2\nb: }\n").unwrap();
    reports(directory.path(), &[], &["error[syntax]", "broken.yaml:"]);
}

#[test]
fn large_files() {
    let directory = directory();
    // Sparse: it takes no space, and must not be read.
    File::create(directory.path().join("large.yaml")).unwrap().set_len(100 << 20).unwrap();
    reports(directory.path(), &[], &["error[limit]", "large.yaml", "100 MiB", "64 MiB", "--max-size"]);
}

#[test]
fn deep_nesting() {
    let directory = directory();
    let flow = format!("a: {}{}\n", "[".repeat(1000), "]".repeat(1000));
    let block: Vec<_> = (0..1000).map(|depth| format!("{:depth$}a:\n", "")).collect();
    let json = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for (name, text) in [("flow.yaml", flow), ("block.yaml", block.concat()), ("deep.json", json)] {
        fs::write(directory.path().join(name), text).unwrap();
    }
    reports(directory.path(), &[], &["error[limit]", "flow.yaml", "block.yaml", "deep.json"]);
}

#[test]
fn binary_files() {
    let directory = directory();
    fs::write(directory.path().join("image.yaml"), b"\x89PNG\r\n\x1a\n\x00\x00").unwrap();
    fs::write(directory.path().join("latin.yml"), b"name: caf\xe9\n").unwrap();
    reports(directory.path(), &[], &["error[encoding]", "image.yaml", "latin.yml"]);
}

#[test]
fn missing_paths() {
    let directory = directory();
    reports(
        directory.path(),
        &["-f", "nowhere", "*.yml"],
        &["nowhere", "no such file", "patterns are not expanded"],
    );
}

#[cfg(unix)]
#[test]
fn directory_loops() {
    let directory = directory();
    let inner = directory.path().join("inner");
    fs::create_dir(&inner).unwrap();
    std::os::unix::fs::symlink("..", inner.join("back")).unwrap();
    std::os::unix::fs::symlink("../inner", inner.join("again")).unwrap();
    reports(directory.path(), &[], &["inner/back", "leads back to"]);
    let run = run_in(directory.path(), &["test", "-f", "."]);
    assert_eq!(run.stdout.matches("object: Pod prod/good").count(), 1, "{}", run.stdout);
}

#[cfg(unix)]
#[test]
fn unreadable_files() {
    use std::os::unix::fs::PermissionsExt as _;

    let directory = directory();
    let path = directory.path().join("secret.yaml");
    fs::write(&path, POD).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).unwrap();
    if File::open(&path).is_ok() {
        eprintln!("not tested: this user may read everything");
        return;
    }
    reports(directory.path(), &[], &["secret.yaml", "no permission"]);
}

#[cfg(unix)]
#[test]
fn links_that_lead_nowhere() {
    let directory = directory();
    std::os::unix::fs::symlink("gone.yaml", directory.path().join("link.yaml")).unwrap();
    reports(directory.path(), &[], &["link.yaml", "no such file"]);
}

/// As Kubernetes mounts a ConfigMap: the files are links into a hidden directory that is itself behind a
/// link.
#[cfg(unix)]
#[test]
fn mounted_config_maps_are_read_once() {
    use std::os::unix::fs::symlink;

    let directory = directory();
    let version = directory.path().join("..2026_11_21");
    fs::create_dir(&version).unwrap();
    fs::write(version.join("pod.yaml"), POD.replace("good", "mounted")).unwrap();
    symlink("..2026_11_21", directory.path().join("..data")).unwrap();
    symlink("..data/pod.yaml", directory.path().join("pod.yaml")).unwrap();
    let run = run_in(directory.path(), &["test", "-f", "."]).exits_with(1);
    assert_eq!(run.stdout.matches("object: Pod prod/mounted").count(), 1, "{}", run.stdout);
    assert!(run.stdout.contains("--> pod.yaml:"), "{}", run.stdout);
}

#[test]
fn named_files_are_read_whatever_their_name() {
    let directory = directory();
    fs::rename(directory.path().join("good.yaml"), directory.path().join("good.txt")).unwrap();
    run_in(directory.path(), &["test", "."]).exits_with(2);
    run_in(directory.path(), &["test", ".", "good.txt"]).exits_with(1);
}

#[test]
fn many_objects_that_come_twice_are_one_warning_for_people() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    for name in ["templates.yaml", "constraints.yaml"] {
        fs::copy(testdata().join("policies").join(name), path.join(name)).unwrap();
    }
    let pods = |count: usize| {
        let pod = |index: usize| {
            format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: p-{index:03}, namespace: prod}}\n---\n")
        };
        (0..count).map(pod).collect::<String>()
    };
    for name in ["a.yaml", "b.yaml"] {
        fs::write(path.join(name), pods(132)).unwrap();
    }
    let run = run_in(path, &["test", "-f", "."]);
    assert_eq!(run.stderr.matches("[duplicate-resource]").count(), 1, "{}", run.stderr);
    for part in [
        "warning[duplicate-resource]: 132 objects are defined a second time, in 1 file",
        "= object: Pod prod/p-000 at b.yaml:1:1: defined a second time; the first is at a.yaml:1:1",
        "= object: Pod prod/p-002 at b.yaml:9:1: ",
        "= note: and 129 more",
    ] {
        assert!(run.stderr.contains(part), "{part} is missing in\n{}", run.stderr);
    }
    assert!(!run.stderr.contains("p-003 at"), "{}", run.stderr);
    assert!(run.stdout.contains(" 133 warnings about the input"), "{}", run.stdout);
    // Machines get them one by one; SARIF as results and as notifications.
    let sarif = run_in(path, &["test", "-f", ".", "-o", "sarif"]).stdout;
    assert_eq!(sarif.matches("defined a second time; the first is at").count(), 2 * 132);
    // A few are shown with their lines.
    fs::write(path.join("b.yaml"), pods(3)).unwrap();
    let run = run_in(path, &["test", "-f", "."]);
    assert_eq!(
        run.stderr.matches("[duplicate-resource]: defined a second time").count(),
        3,
        "{}",
        run.stderr
    );
}

#[test]
fn what_only_follows_from_an_unreadable_input_is_not_said() {
    let directory = directory();
    let path = directory.path();
    let said = |args: &[&str]| {
        run_in(path, &[&["test", "-f", "."], args].concat()).stderr.contains("missing-inventory")
    };
    assert!(said(&[]));
    assert!(!said(&["--inventory", "missing.yaml"]));
    fs::write(path.join("broken.yaml"), "kind: Ingress\n  a: [\n").unwrap();
    assert!(!said(&[]));
    fs::write(path.join("broken.yaml"), "apiVersion: v1\nkind: Ingress\n").unwrap();
    assert!(!said(&["--inventory", "broken.yaml"]));
}

/// The same mistake in many documents is one message, with the first places and a number; other mistakes are not hidden by it.
#[test]
fn the_same_mistake_in_many_documents_is_told_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    for number in 0..40 {
        fs::write(
            path.join(format!("{number:02}.yaml")),
            "{apiVersion: v1, kind: Pod, metadata: {name: [a]}}\n",
        )
        .unwrap();
    }
    fs::write(path.join("a.yaml"), "{apiVersion: v1, kind: Pod, metadata: {name: {}}}\n").unwrap();
    let policies = testdata().join("policies");
    let args = ["test", "-p", policies.to_str().unwrap(), ".", "--color", "never"];
    let run = run_in(path, &args).exits_with(2);
    assert!(
        run.stderr.contains("40 times, in 40 files") && run.stderr.contains("and 37 more"),
        "{}",
        run.shown()
    );
    assert!(run.stderr.contains("a.yaml:1:"), "{}", run.shown());
    assert!(run.stderr.lines().count() < 60, "{}", run.shown());
    // Other forms have each.
    let junit = run_in(path, &[&args[..], &["-o", "junit"]].concat()).exits_with(2).stdout;
    assert!(junit.matches("name").count() > 40, "{junit}");
}
