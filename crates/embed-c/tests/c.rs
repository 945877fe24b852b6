//! The library as C sees it: the header, the conformance cases through it, the example, and what valgrind says.
//!
//! Without a C compiler these tests say loudly that they were skipped.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test panics when it fails"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    name: String,
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    answer: String,
    call: String,
    options: String,
    request: String,
}

fn here() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn root() -> PathBuf {
    here().join("../..")
}

#[test]
fn the_header_is_that_of_the_code() {
    let config = cbindgen::Config::from_file(here().join("cbindgen.toml")).unwrap();
    let mut made = Vec::new();
    let builder = cbindgen::Builder::new().with_config(config).with_src(here().join("src/lib.rs"));
    builder.generate().unwrap().write(&mut made);
    let made = String::from_utf8(made).unwrap();
    for path in [here().join("include/portcullis.h"), root().join("bindings/go/portcullis.h")] {
        if std::env::var_os("UPDATE_EMBED").is_some() {
            fs::write(&path, &made).unwrap();
        }
        let known = fs::read_to_string(&path).unwrap_or_default();
        assert!(known == made, "{} is not what the code says; UPDATE_EMBED=1 writes it", path.display());
    }
    assert!(made.matches("portcullis_").count() > 10, "{made}");
}

/// The static library, which was built beside this test.
fn library() -> PathBuf {
    let deps = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let path = deps.join("libportcullis_c.a");
    assert!(path.exists(), "{} was not built", path.display());
    path
}

fn has(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    if !found {
        println!("skipped: {program} is not here");
    }
    found
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    print!("{said}");
    // 1 is for what is denied.
    assert!(output.status.code().is_some_and(|code| code < 2), "{command:?}: {}\n{said}", output.status);
    output
}

/// Compiles a program against the static library.
fn compile(source: &Path, into: &Path) -> PathBuf {
    let program = into.join(source.file_stem().unwrap());
    let mut command = Command::new("cc");
    command
        .args(["-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-g", "-I"])
        .arg(here().join("include"));
    command.arg(source).arg(library()).args(["-lpthread", "-ldl", "-lm", "-o"]).arg(&program);
    assert_eq!(run(&mut command).status.code(), Some(0), "{} is not compiled", source.display());
    program
}

fn cases() -> Vec<Case> {
    let text = fs::read_to_string(root().join("testdata/embed/conformance.json")).unwrap();
    let cases: Vec<Case> = serde_json::from_str(&text).unwrap();
    assert!(cases.len() > 5);
    cases
}

/// The cases as `conformance.c` reads them.
fn calls(cases: &[Case]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let put = |text: &str, bytes: &mut Vec<u8>| {
        bytes.extend(u32::try_from(text.len()).unwrap().to_le_bytes());
        bytes.extend(text.as_bytes());
    };
    for case in cases {
        bytes.push(b'n');
        for step in &case.steps {
            bytes.push(step.call.as_bytes()[0]);
            put(&step.request, &mut bytes);
            put(&step.options, &mut bytes);
        }
    }
    bytes
}

/// Whether what the program wrote is what the cases say.
fn compare(cases: &[Case], mut output: &[u8]) {
    for case in cases {
        for (index, step) in case.steps.iter().enumerate() {
            let place = format!("{}, step {index}", case.name);
            let (head, rest) = output.split_at_checked(5).unwrap_or_else(|| panic!("{place}: no answer"));
            let len = u32::from_le_bytes([head[1], head[2], head[3], head[4]]) as usize;
            let (answer, rest) = rest.split_at(len);
            assert_eq!(std::str::from_utf8(answer).unwrap(), step.answer, "{place}");
            let answer: serde_json::Value = serde_json::from_slice(answer).unwrap();
            let field = match step.call.as_str() {
                "review" => "/allowed",
                "admit" => "/response/allowed",
                _ => "/ok",
            };
            assert_eq!(answer.pointer(field).unwrap().as_bool(), Some(head[0] == 1), "{place}");
            output = rest;
        }
    }
    assert!(output.is_empty());
}

#[test]
fn c_is_answered_as_everybody_and_leaks_nothing() {
    if !has("cc") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = compile(&here().join("tests/c/conformance.c"), folder.path());
    let cases = cases();
    let file = folder.path().join("calls");
    fs::write(&file, calls(&cases)).unwrap();
    compare(&cases, &run(Command::new(&program).arg(&file)).stdout);
    if has("valgrind") {
        let lost = |cases: &[Case]| {
            fs::write(&file, calls(cases)).unwrap();
            let output = run(valgrind(&program).arg(&file));
            compare(cases, &output.stdout);
            possibly_lost(&String::from_utf8_lossy(&output.stderr))
        };
        // Tables that never change are held by pointers into their middle, which valgrind is not sure about. There are
        // no more of them when all is done twice.
        let once = lost(&cases);
        let twice: Vec<Case> = cases.into_iter().chain(self::cases()).collect();
        assert_eq!(once, lost(&twice));
    }
}

/// What ends with 9 if memory is used wrongly, or lost.
fn valgrind(program: &Path) -> Command {
    let mut command = Command::new("valgrind");
    command.args(["--error-exitcode=9", "--leak-check=full", "--show-leak-kinds=definite,indirect"]);
    command.arg("--errors-for-leak-kinds=definite,indirect").arg(program);
    command
}

/// The bytes of which valgrind is not sure, as its summary has them.
fn possibly_lost(said: &str) -> String {
    let line = said.lines().find(|line| line.contains("possibly lost:"));
    line.unwrap_or_else(|| panic!("no summary: {said}")).split("==").last().unwrap().to_owned()
}

#[test]
fn the_example_judges_in_threads() {
    if !has("cc") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let program = compile(&here().join("examples/review.c"), folder.path());
    let policy = folder.path().join("policy.yaml");
    let samples = root().join("policies/pod-security/privileged-containers");
    let template = fs::read_to_string(samples.join("template.yaml")).unwrap();
    let constraint = fs::read_to_string(samples.join("samples/no-exemptions/constraint.yaml")).unwrap();
    fs::write(&policy, format!("{template}\n---\n{constraint}")).unwrap();
    let bad = samples.join("samples/no-exemptions/violation-privileged.yaml");
    let good = folder.path().join("good.yaml");
    fs::write(&good, "{apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {containers: []}}").unwrap();

    let output = run(Command::new(&program).arg(&policy).args([&good, &bad, &good]));
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let verdicts: Vec<bool> =
        said.lines().map(|line| line.contains(": may pass {\"allowed\":true")).collect();
    assert_eq!(verdicts, [true, false, true], "{said}");
    assert_eq!(run(Command::new(&program).arg(&policy).arg(&good)).status.code(), Some(0));

    fs::write(&policy, "kind: [").unwrap();
    let output = Command::new(&program).arg(&policy).arg(&good).output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("\"code\":\"syntax\""));
    if has("valgrind") {
        let constraints = format!("{template}\n---\n{constraint}");
        fs::write(&policy, constraints).unwrap();
        let mut command = valgrind(&program);
        assert_eq!(run(command.arg(&policy).args([&good, &bad])).status.code(), Some(1));
    }
}
