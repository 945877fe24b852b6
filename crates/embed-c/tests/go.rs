//! The Go module, tested by `go` where it is found: its own tests, also with the race detector, and the code of the
//! manual. Without it these tests say loudly that they were skipped.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test panics when it fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::UNIX_EPOCH;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// `go` in a folder, with the library that was built beside this test; `None` if it is not here, or cannot use C.
fn go(folder: &Path) -> Option<Command> {
    let says = |program: &str, argument: &str| {
        Command::new(program).arg(argument).output().is_ok_and(|output| output.status.success())
    };
    for (program, argument) in [("go", "version"), ("cc", "--version")] {
        if !says(program, argument) {
            println!("skipped: {program} is not here");
            return None;
        }
    }
    let deps = std::env::current_exe().unwrap().parent().unwrap().to_owned();
    let built = fs::metadata(deps.join("libportcullis_c.a")).unwrap().modified().unwrap();
    let mut command = Command::new("go");
    command.current_dir(folder).env("CGO_ENABLED", "1").env("GOFLAGS", "-mod=mod").env("GOPROXY", "off");
    command.env("CGO_LDFLAGS", format!("-L{}", deps.display()));
    // Go does not look whether libraries have changed: with another flag it links anew.
    let built = built.duration_since(UNIX_EPOCH).unwrap().as_millis();
    command.env("CGO_CFLAGS", format!("-g -O2 -DLIBRARY_BUILT={built}"));
    Some(command)
}

fn run(mut command: Command) -> String {
    let output = command.output().unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{said}");
    assert!(output.status.success(), "{command:?}: {}\n{said}", output.status);
    said
}

#[test]
fn the_module_passes_its_tests() {
    let folder = root().join("bindings/go");
    let Some(mut command) = go(&folder) else { return };
    command.args(["test", "-count=1", "-v", "./..."]);
    let said = run(command);
    assert!(said.contains("--- PASS: TestConformance/a_violation_denies,_with_its_place"), "{said}");
}

#[test]
fn the_race_detector_finds_nothing() {
    let folder = root().join("bindings/go");
    let Some(mut command) = go(&folder) else { return };
    command.args([
        "test",
        "-count=1",
        "-race",
        "-v",
        "-run",
        "TestAllAtOnce|TestTheContext|TestHandler|TestClosed",
    ]);
    assert!(run(command).contains("--- PASS: TestAllAtOnce"));
}

/// What standard output of a program says, if it ends well.
fn says(command: &mut Command) -> Option<String> {
    let output = command.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The binding for programs without cgo: the pipe as a module of WASI, in wazero. `PORTCULLIS_WAZERO` is a folder with its source, for
/// where `go` cannot have it otherwise. Without it, or the target `wasm32-wasip1`, this says loudly that it was skipped.
#[test]
fn the_module_without_cgo_passes_its_tests() {
    let target = "wasm32-wasip1";
    let libraries = says(Command::new("rustc").args(["--print", "target-libdir", "--target", target]));
    if !libraries.is_some_and(|folder| Path::new(&folder).is_dir()) {
        println!("skipped: the target {target} is not installed");
        return;
    }
    let source = root().join("bindings/go/wasi");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("go.mod");
    let module = fs::read_to_string(source.join("go.mod")).unwrap();
    let mut module = module.replace("=> ../", &format!("=> {}", root().join("bindings/go").display()));
    if let Some(wazero) = std::env::var_os("PORTCULLIS_WAZERO") {
        let replace =
            format!("\nreplace github.com/tetratelabs/wazero => {}\n", Path::new(&wazero).display());
        module.push_str(&replace);
    }
    fs::write(&file, module).unwrap();
    fs::copy(source.join("go.sum"), folder.path().join("go.sum")).unwrap();
    let go = |arguments: &[&str]| {
        let mut command = Command::new("go");
        command.current_dir(&source).env("CGO_ENABLED", "0").args(arguments);
        command.arg(format!("-modfile={}", file.display()));
        command
    };
    if says(go(&["list"]).args(["-deps", "-test", "."])).is_none() {
        println!(
            "skipped: go is not here, or cannot have wazero; PORTCULLIS_WAZERO says where its source is"
        );
        return;
    }
    let built = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
    let mut cargo = Command::new("cargo");
    cargo.current_dir(root()).env("CARGO_TARGET_DIR", &built);
    cargo.args(["build", "--locked", "--quiet", "-p", "portcullis-embed", "--bin", "portcullis-pipe"]);
    run({
        cargo.args(["--target", target]);
        cargo
    });
    let mut tests = go(&["test", "-count=1", "-v"]);
    tests.env("PORTCULLIS_PIPE_WASM", built.join(target).join("debug/portcullis-pipe.wasm"));
    let said = run(tests);
    assert!(said.contains("--- PASS: TestConformance/a_violation_denies,_with_its_place"), "{said}");
}

/// A block of the manual, by the comment before it.
fn block(language: &str) -> String {
    let text = fs::read_to_string(root().join("docs/embedding.md")).unwrap();
    let start = format!("<!-- run: {language} -->\n```{language}\n");
    let block = text.split(&start).nth(1).unwrap_or_else(|| panic!("no `{start}`"));
    block.split("\n```\n").next().unwrap().to_owned() + "\n"
}

/// A policy and a pod that it denies, as Go and C write texts.
fn texts() -> (String, String) {
    let samples = root().join("policies/pod-security/privileged-containers");
    let read = |name: &str| fs::read_to_string(samples.join(name)).unwrap();
    let policy = format!("{}\n---\n{}", read("template.yaml"), read("samples/no-exemptions/constraint.yaml"));
    (policy, read("samples/no-exemptions/violation-privileged.yaml"))
}

#[test]
fn the_go_code_of_the_manual_works() {
    let folder = tempfile::tempdir().unwrap();
    let Some(mut command) = go(folder.path()) else { return };
    let module = root().join("bindings/go");
    let file = format!(
        "module example.com/judge\n\ngo 1.24\n\nrequire portcullis.dev/go v0.0.0\n\nreplace portcullis.dev/go => {}\n",
        module.display()
    );
    fs::write(folder.path().join("go.mod"), file).unwrap();
    fs::write(folder.path().join("judge.go"), block("go")).unwrap();
    let (policy, pod) = texts();
    fs::write(folder.path().join("policy.yaml"), policy).unwrap();
    fs::write(folder.path().join("pod.yaml"), pod).unwrap();
    let main = "package main\n\nimport \"os\"\n\nfunc main() {\n\
        \tpolicy, _ := os.ReadFile(\"policy.yaml\")\n\tpod, _ := os.ReadFile(\"pod.yaml\")\n\
        \tif err := judge(string(policy), string(pod)); err != nil {\n\t\tpanic(err)\n\t}\n}\n";
    fs::write(folder.path().join("main.go"), main).unwrap();
    command.args(["run", "."]);
    let said = run(command);
    assert!(said.starts_with("false [[") && said.contains("privileged"), "{said}");
}

#[test]
fn the_c_code_of_the_manual_works() {
    if !Command::new("cc").arg("--version").output().is_ok_and(|output| output.status.success()) {
        println!("skipped: cc is not here");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (policy, pod) = texts();
    let main = format!(
        "\nint main(void) {{ return judge({}, {}); }}\n",
        serde_json::to_string(&policy).unwrap(),
        serde_json::to_string(&pod).unwrap()
    );
    let source = folder.path().join("judge.c");
    fs::write(&source, block("c") + &main).unwrap();
    let library = std::env::current_exe().unwrap().parent().unwrap().join("libportcullis_c.a");
    let program = folder.path().join("judge");
    let mut command = Command::new("cc");
    command
        .args(["-Wall", "-Wextra", "-Werror", "-Wno-overlength-strings", "-I"])
        .arg(root().join("crates/embed-c/include"));
    command.arg(source).arg(library).args(["-lpthread", "-ldl", "-lm", "-o"]).arg(&program);
    run(command);
    let said = run(Command::new(program));
    assert!(said.starts_with("is denied: {\"allowed\":false"), "{said}");
}
