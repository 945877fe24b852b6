//! The package for Python, built and tested where Python and maturin are found: `PORTCULLIS_PYTHON` is an interpreter that has maturin,
//! or else `python3`. What that has of pyarrow, pyspark and mypy is tested with; without them these tests say loudly what they skip.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test panics when it fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn python() -> String {
    std::env::var("PORTCULLIS_PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

/// Whether the interpreter can do something.
fn can(args: &[&str]) -> bool {
    let is_there = Command::new(python()).args(args).output().is_ok_and(|output| output.status.success());
    if !is_there {
        println!("skipped: `{} {}` does not work here", python(), args.join(" "));
    }
    is_there
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{said}");
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
    said
}

/// The program beside which results of the package are compared, if it was built.
fn audit() -> Option<PathBuf> {
    let built = std::env::current_exe().ok()?.parent()?.parent()?.join("portcullis-audit");
    built.is_file().then_some(built)
}

fn tests(command: &mut Command, names: &[&str]) -> String {
    let folder = root().join("bindings/python/tests");
    command.args(["-m", "unittest", "-v"]).args(names).current_dir(folder).env("PORTCULLIS_ROOT", root());
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    if let Some(audit) = audit() {
        command.env("PORTCULLIS_AUDIT", audit);
    }
    run(command)
}

#[test]
fn the_wheel_is_built_installed_and_passes_its_tests() {
    if !can(&["-m", "maturin", "--version"]) || !can(&["-m", "venv", "--help"]) {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let package = root().join("bindings/python");
    let mut build = Command::new(python());
    build.args(["-m", "maturin", "build", "--locked", "--profile", "dev", "--out"]).arg(folder.path());
    build.arg("--target-dir").arg(root().join("target/python")).current_dir(&package);
    run(&mut build);
    let mut wheels = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().path());
    let wheel = wheels.find(|path| path.extension().is_some_and(|end| end == "whl")).unwrap();
    let name = wheel.file_name().unwrap().to_str().unwrap();
    assert!(name.contains("-cp310-abi3-"), "{name}");

    // In an environment that has nothing else.
    let place = folder.path().join("venv");
    run(Command::new(python()).args(["-m", "venv"]).arg(&place));
    let own = place.join("bin/python");
    run(Command::new(&own).args(["-m", "pip", "install", "--no-index", "--no-deps", "--quiet"]).arg(&wheel));
    let said = tests(&mut Command::new(&own), &["test_conformance", "test_policies", "test_arrow"]);
    assert!(said.contains("test_all_answers") && said.contains("\nOK"), "{said}");

    // And beside what the interpreter has.
    let beside = folder.path().join("beside");
    let mut install = Command::new(&own);
    install.args(["-m", "pip", "install", "--no-index", "--no-deps", "--quiet", "--target"]).arg(&beside);
    run(install.arg(&wheel));
    let with = || {
        let mut command = Command::new(python());
        command.env("PYTHONPATH", &beside).env("PYSPARK_PYTHON", python());
        command
    };
    if can(&["-c", "import pyarrow"]) {
        let said = tests(&mut with(), &["test_arrow", "test_spark"]);
        assert!(said.contains("\nOK") && !said.contains("pyarrow is not here"), "{said}");
    }
    if can(&["-c", "import ray.data, pyarrow"]) {
        let said = tests(&mut with(), &["test_ray"]);
        assert!(said.contains("\nOK") && !said.contains("SKIPPED"), "{said}");
    }
    if can(&["-m", "mypy", "--version"]) {
        let uses = folder.path().join("uses.py");
        fs::write(&uses, USES).unwrap();
        let cache = folder.path().join("mypy");
        let mut mypy = with();
        mypy.args(["-m", "mypy", "--strict", "--cache-dir"]).arg(&cache).current_dir(folder.path());
        run(mypy.arg(&uses));
        let wrong = folder.path().join("wrong.py");
        fs::write(&wrong, format!("{USES}\npolicies.review(7)\npolicies.reviews('x')\n")).unwrap();
        let mut mypy = with();
        mypy.args(["-m", "mypy", "--strict", "--cache-dir"])
            .arg(&cache)
            .arg(&wrong)
            .current_dir(folder.path());
        let output = mypy.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains("Found 2 errors in 1 file"), "{said}");
        let mut own = with();
        own.args(["-m", "mypy", "--strict", "--ignore-missing-imports", "--cache-dir"]).arg(&cache);
        run(own.arg(package.join("python/portcullis")).current_dir(folder.path()));
    }
}

const USES: &str = r#"
import portcullis

policies = portcullis.Policies.from_text("...")
outcome: portcullis.Outcome = policies.review({"kind": "Pod"})
allowed: bool = outcome.allowed
for found in policies.review_many(["a", b"b", {"c": 1}], threads=2):
    lines: list[str] = found.denials
    for finding in found.findings:
        name: str = finding.constraint.name
"#;
