//! The package for JavaScript, with the module of WebAssembly that it is about: its own tests in Node and in a browser,
//! and the code of the manual. Without Node, or the target `wasm32-unknown-unknown`, this says loudly that it was
//! skipped.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test panics when it fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{said}");
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
    said
}

/// The module, built for tests; `None` if it cannot be built or used here.
fn module() -> Option<PathBuf> {
    let target = "wasm32-unknown-unknown";
    let says = |program: &str, arguments: &[&str]| {
        let output =
            Command::new(program).args(arguments).output().ok().filter(|output| output.status.success());
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let Some(libraries) = says("rustc", &["--print", "target-libdir", "--target", target]) else {
        println!("skipped: rustc is not here");
        return None;
    };
    if !Path::new(&libraries).is_dir() {
        println!("skipped: the target {target} is not installed");
        return None;
    }
    if says("node", &["--version"]).is_none() || says("npm", &["--version"]).is_none() {
        println!("skipped: node is not here");
        return None;
    }
    // This test is in `target/debug/deps`.
    let built = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root()).env("CARGO_TARGET_DIR", &built);
    cargo.args(["build", "--locked", "--quiet", "-p", "portcullis-embed-c", "--lib", "--target", target]);
    run(&mut cargo);
    Some(built.join(target).join("debug/portcullis_c.wasm"))
}

#[test]
fn the_package_works_in_node_and_in_a_browser() {
    let Some(module) = module() else { return };
    let package = root().join("bindings/js");
    let mut tests = Command::new("node");
    tests.current_dir(&package).env("PORTCULLIS_WASM", &module);
    tests.args(["--test", "--test-reporter=spec", "test/engine.test.mjs", "test/browser.test.mjs"]);
    let said = run(&mut tests);
    assert!(said.contains("a violation denies, with its place"), "{said}");

    // As a user has it: packed, installed, and the code of the manual.
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("package");
    let mut build = Command::new("node");
    build.current_dir(&package).args(["build.mjs", "--wasm"]).arg(&module).arg("--out").arg(&copy);
    run(&mut build);
    fs::create_dir(copy.join("src")).unwrap();
    for file in ["package.json", "README.md", "src/index.js", "src/index.d.ts"] {
        fs::copy(package.join(file), copy.join(file)).unwrap();
    }
    let app = folder.path().join("app");
    fs::create_dir(&app).unwrap();
    let tarball = run(Command::new("npm").current_dir(&app).args(["pack", "--silent"]).arg(&copy));
    run(Command::new("npm").current_dir(&app).args(["init", "-y", "--silent"]));
    let mut install = Command::new("npm");
    install.current_dir(&app).args(["install", "--offline", "--no-audit", "--no-fund"]);
    run(install.arg(format!("./{}", tarball.trim())));
    let manual = fs::read_to_string(root().join("docs/embedding.md")).unwrap();
    let block = manual.split("<!-- run: js -->\n```js\n").nth(1).unwrap();
    fs::write(app.join("judge.mjs"), block.split("\n```\n").next().unwrap()).unwrap();
    let samples = root().join("policies/pod-security/privileged-containers");
    let read = |name: &str| fs::read_to_string(samples.join(name)).unwrap();
    let policy = format!("{}\n---\n{}", read("template.yaml"), read("samples/no-exemptions/constraint.yaml"));
    fs::write(app.join("policy.yaml"), policy).unwrap();
    fs::write(app.join("pod.yaml"), read("samples/no-exemptions/violation-privileged.yaml")).unwrap();
    let said = run(Command::new("node").current_dir(&app).arg("judge.mjs"));
    assert!(said.starts_with("false") && said.contains("privileged"), "{said}");
}
