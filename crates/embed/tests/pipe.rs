//! `portcullis-pipe`: the cases of all bindings, line by line; as a program of this machine, and as one of WASI in Node where
//! the target `wasm32-wasip1` and Node are there.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test panics when it fails")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What a program answers to lines.
fn answers(mut program: Command, lines: &str) -> Vec<String> {
    let mut child =
        program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut input = child.stdin.take().unwrap();
    let lines = lines.to_owned();
    let writing = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = child.wait_with_output().unwrap();
    // One that ends early does not read all.
    let _ = writing.join().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

fn pipe() -> Command {
    Command::new(env!("CARGO_BIN_EXE_portcullis-pipe"))
}

/// The calls of all cases, and their answers.
fn conformance() -> (String, Vec<String>) {
    let cases = fs::read_to_string(root().join("testdata/embed/conformance.json")).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&cases).unwrap();
    let (mut lines, mut expected) = (String::new(), Vec::new());
    for case in &cases {
        for step in case["steps"].as_array().unwrap() {
            let line = json!({"call": step["call"], "request": step["request"], "options": step["options"]});
            lines.push_str(&line.to_string());
            lines.push('\n');
            expected.push(step["answer"].as_str().unwrap().to_owned());
        }
    }
    (lines, expected)
}

#[test]
fn conformance_line_by_line() {
    let (lines, expected) = conformance();
    assert!(expected.len() > 50);
    assert_eq!(answers(pipe(), &lines), expected);
}

#[test]
fn conformance_in_a_host_of_wasi() {
    let target = "wasm32-wasip1";
    let says = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let there = says("rustc", &["--print", "target-libdir", "--target", target])
        .is_some_and(|folder| Path::new(&folder).is_dir());
    if !there || says("node", &["--version"]).is_none() {
        println!("skipped: the target {target}, or node, is not here");
        return;
    }
    let built = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root()).env("CARGO_TARGET_DIR", &built);
    cargo.args([
        "build",
        "--locked",
        "--quiet",
        "-p",
        "portcullis-embed",
        "--bin",
        "portcullis-pipe",
        "--target",
        target,
    ]);
    assert!(cargo.status().unwrap().success());
    let module = built.join(target).join("debug/portcullis-pipe.wasm");
    let script = r#"
        const { WASI } = require("node:wasi");
        const { readFileSync } = require("node:fs");
        const wasi = new WASI({ version: "preview1" });
        WebAssembly.compile(readFileSync(process.argv[1]))
          .then((module) => WebAssembly.instantiate(module, wasi.getImportObject()))
          .then((instance) => process.exit(wasi.start(instance)));"#;
    let mut node = Command::new("node");
    node.args(["--no-warnings", "-e", script]).arg(&module);
    let (lines, expected) = conformance();
    assert_eq!(answers(node, &lines), expected);
}

#[test]
fn what_is_no_call_is_refused_and_the_next_line_is_read() {
    let (lines, expected) = conformance();
    let compile = lines.lines().next().unwrap();
    let odd = [
        "no json",
        "{}",
        r#"{"call": "exec"}"#,
        r#"{"call": "review", "request": "{}"}"#,
        r#"{"call": "review", "more": 1}"#,
        r#"{"call": "review", "request": "\ud800"}"#,
        "\u{0}",
        "[1]",
    ];
    let text = format!(
        "{}\n\n   \n{compile}\n{{\"call\": \"review\", \"request\": {{\"kind\": 1}}}}",
        odd.join("\n")
    );
    let found = answers(pipe(), &text);
    assert_eq!(found.len(), odd.len() + 2, "{found:#?}");
    for line in &found[..odd.len()] {
        let answer: Value = serde_json::from_str(line).unwrap();
        assert_eq!((&answer["allowed"], &answer["ok"]), (&json!(false), &json!(false)), "{line}");
    }
    assert_eq!(found[odd.len()], expected[0]);
    // A value is taken as it is written, and the last line needs no end.
    let last: Value = serde_json::from_str(found.last().unwrap()).unwrap();
    assert_eq!(last["allowed"], false, "{last}");
}
