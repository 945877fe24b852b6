//! The program as its users run it: a directory, arguments, what comes out and with which exit code.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a test panics when it fails"
)]

mod admission;
mod authoring;
mod bench;
mod cluster;
mod config_file;
mod configs;
mod conftest;
mod cross_check;
mod deploy;
mod embedded;
mod engines;
mod eval;
mod expand;
mod external_data;
mod field;
mod field_cases;
mod fixing;
mod fmt;
mod folders;
mod generate;
mod guides;
mod init;
mod inputs;
mod lint;
mod lint_fix;
mod lsp;
mod mutate;
mod oracle;
mod pipelines;
mod policy;
mod reference;
mod remote;
mod repos;
mod sarif;
mod scope;
mod suppressed;
mod templates;
mod test;
mod three_ways;
mod verify;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a run of the program gave.
struct Run {
    stdout: String,
    stderr: String,
    code: Option<i32>,
}

/// `testdata/cli` of the repository.
fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/cli")
}

/// Runs the program in a directory, with nothing to read on standard input.
fn run_in(directory: &Path, args: &[&str]) -> Run {
    run(directory, args, None)
}

/// Runs the program in a directory; `None` is a standard input that is not a stream.
fn run(directory: &Path, args: &[&str], stdin: Option<&str>) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.current_dir(directory).args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env_remove("CLICOLOR_FORCE").stdin(if stdin.is_some() { Stdio::piped() } else { Stdio::null() });
    let mut child = command.spawn().unwrap();
    if let Some(text) = stdin {
        child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    }
    let output = child.wait_with_output().unwrap();
    Run::of(output)
}

impl Run {
    fn of(output: std::process::Output) -> Self {
        Self {
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            code: output.status.code(),
        }
    }

    #[track_caller]
    fn exits_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Everything a person sees.
    fn shown(&self) -> String {
        format!("{}----- stderr\n{}", self.stdout, self.stderr)
    }
}

/// Puts a fixed time wherever a report says how long something took.
fn without_times(text: &str) -> String {
    let human = regex::Regex::new(r"\d+\.\d{3}s").unwrap();
    let json = regex::Regex::new(r#"("seconds": )[^,\n]+"#).unwrap();
    let junit = regex::Regex::new(r#"time="[^"]+""#).unwrap();
    let text = human.replace_all(text, "0.000s");
    let text = json.replace_all(&text, "${1}0.0");
    junit.replace_all(&text, "time=\"0.000\"").into_owned()
}

#[test]
fn help_names_the_commands_and_shows_examples() {
    let run = run_in(&testdata(), &["test", "--help"]).exits_with(0);
    for part in ["--filename", "--policies", "--output", "Examples:", "kustomize build", "Exit codes"] {
        assert!(run.stdout.contains(part), "{part} is missing in\n{}", run.stdout);
    }
    assert!(run_in(&testdata(), &["--help"]).exits_with(0).stdout.contains("verify"));
    let lint = run_in(&testdata(), &["lint", "--help"]).exits_with(0).stdout;
    assert!(lint.contains("--deny-warnings") && lint.contains("Exit codes"), "{lint}");
}

#[test]
fn versions_completions_and_the_manual_are_printed() {
    let version = format!("portcullis {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(run_in(&testdata(), &["version"]).exits_with(0).stdout, version);
    assert_eq!(run_in(&testdata(), &["--version"]).exits_with(0).stdout, version);
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let script = run_in(&testdata(), &["completions", shell]).exits_with(0).stdout;
        assert!(script.contains("portcullis"), "{shell}");
    }
    let manual = run_in(&testdata(), &["man"]).exits_with(0).stdout;
    assert!(manual.contains("PORTCULLIS TEST") && manual.contains("\\-\\-deny\\-only"), "{manual}");
    assert!(manual.contains("PORTCULLIS LINT"), "{manual}");
}

#[test]
fn unknown_arguments_are_input_errors() {
    let run = run_in(&testdata(), &["test", "--frobnicate"]).exits_with(2);
    assert!(run.stderr.contains("--frobnicate"), "{}", run.stderr);
}

/// `test`, `lint` and `verify` show each form that they have in a snapshot.
#[test]
fn every_form_of_report_has_a_snapshot() {
    use portcullis_report::{Form, TestReport, lint::LintReport, verify::VerifyReport};
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/snapshots");
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let snapshots: Vec<String> = files.map(|name| name.into_string().unwrap()).collect();
    let of =
        |command: &'static str, forms: Vec<Form>| forms.into_iter().map(move |form| (command, form.name()));
    let all = of("test", Form::of::<TestReport>().collect())
        .chain(of("lint", Form::of::<LintReport>().collect()))
        .chain(of("verify", Form::of::<VerifyReport>().collect()));
    for (command, form) in all {
        let (begin, end) = (format!("cli__{command}__"), format!("{form}_report.snap"));
        let is_shown = snapshots.iter().any(|name| name.starts_with(&begin) && name.ends_with(&end));
        assert!(is_shown, "no snapshot of the form `{form}` of `{command}`");
    }
}

/// The templates of the policy library.
fn templates() -> Vec<PathBuf> {
    let below = |folder: PathBuf| std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let areas = below(testdata().join("../../policies")).filter(|path| path.is_dir());
    let templates = areas.flat_map(below).map(|policy| policy.join("template.yaml"));
    let templates: Vec<PathBuf> = templates.filter(|path| path.is_file()).collect();
    assert!(templates.len() >= 25, "only {} templates were found", templates.len());
    templates
}

/// What the README's first command shows: the project's own policies, without the samples of their suites, on
/// a broken manifest.
#[test]
fn the_demo_is_judged_by_the_policies_of_this_project() {
    let root = testdata().join("../..");
    let args = ["test", "--policies", "policies", "testdata/demo", "-o", "human", "--color", "never"];
    let run = run_in(&root, &args).exits_with(2);
    let policies = format!("17 denied, 4 warnings in 3 of 4 objects; {} policies, ", templates().len());
    for line in ["--> testdata/demo/shop.yaml:32:11", &policies] {
        assert!(run.stdout.contains(line), "{line} is missing in\n{}", run.shown());
    }
    assert!(run.shown().contains("--> testdata/demo/shop.yaml:77:4"), "{}", run.shown());
}

/// Templates cannot share a library, so each carries a copy; the copies must not drift apart.
#[test]
fn copies_of_the_policy_libraries_are_equal() {
    use std::collections::BTreeMap;
    let policies = testdata().join("../../policies");
    let mut libraries: BTreeMap<String, BTreeMap<String, Vec<String>>> = BTreeMap::new();
    for path in templates() {
        let text = std::fs::read_to_string(&path).unwrap();
        let (documents, errors) = portcullis::Document::read_all(&path.display().to_string(), &text);
        assert!(errors.is_empty(), "{errors:?}");
        let template = documents[0].to_json();
        let libs = template["spec"]["targets"][0]["code"][0]["source"]["libs"].as_array().cloned();
        for lib in libs.unwrap_or_default() {
            let lib = lib.as_str().unwrap().trim_end().to_owned();
            let package = lib.lines().find(|line| line.starts_with("package ")).unwrap().to_owned();
            let copies = libraries.entry(package).or_default().entry(lib).or_default();
            copies.push(path.display().to_string());
        }
    }
    for (package, copies) in &libraries {
        assert_eq!(
            copies.len(),
            1,
            "copies of `{package}` differ: {:?}",
            copies.values().collect::<Vec<_>>()
        );
    }
    for (package, file) in [
        ("package lib.workload", "lib-workload.rego"),
        ("package lib.podsec", "pod-security/lib-podsec.rego"),
    ] {
        let text = std::fs::read_to_string(policies.join(file)).unwrap();
        assert_eq!(libraries[package].keys().next().unwrap(), text.trim_end(), "{file}");
    }
}
