//! What a pipeline is given (`action.yml`, `deploy/ci`, `.pre-commit-hooks.yaml`, `deploy/release`): its scripts are run as
//! the services run them, with this program in the place of a released one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::{Run, testdata};

fn root() -> PathBuf {
    testdata().join("../..").canonicalize().unwrap()
}

fn yaml(path: &str) -> Value {
    serde_yaml::from_str(&fs::read_to_string(root().join(path)).unwrap()).unwrap()
}

fn bash(directory: &Path, script: &str, variables: &[(&str, &str)]) -> Run {
    let mut command = Command::new("bash");
    command.args(["--noprofile", "--norc", "-eo", "pipefail", "-c", script]).current_dir(directory);
    for name in ["GITHUB_OUTPUT", "GITHUB_PATH", "GITHUB_STEP_SUMMARY", "GITHUB_SERVER_URL"] {
        command.env_remove(name);
    }
    command.envs(variables.iter().copied());
    Run::of(command.stdin(std::process::Stdio::null()).output().unwrap())
}

/// Every script of a workflow or an action.
fn scripts(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(fields) => {
            let own = fields.get("run").and_then(Value::as_str);
            own.into_iter().chain(fields.values().flat_map(scripts)).collect()
        }
        Value::Array(items) => items.iter().flat_map(scripts).collect(),
        _ => Vec::new(),
    }
}

/// An expression of GitHub's, by what is known of it: alternatives, of which the first that is not empty counts.
fn expression(text: &str, known: &dyn Fn(&str) -> Option<String>) -> String {
    let mut rest = text;
    let mut out = String::new();
    while let Some((before, behind)) = rest.split_once("${{") {
        let (inside, after) = behind.split_once("}}").unwrap();
        let value = |name: &str| known(name.trim()).ok_or(name).unwrap();
        out += before;
        out += &inside.split("||").map(value).find(|value| !value.is_empty()).unwrap_or_default();
        rest = after;
    }
    out + rest
}

/// Runs the action with some inputs in a repository; returns its last step, and what it says to later steps.
fn act(repository: &Path, inputs: &[(String, String)]) -> (Run, String, String) {
    let action = yaml("action.yml");
    let files = tempfile::tempdir().unwrap();
    let (summary, temp) = (files.path().join("summary"), files.path().join("temp"));
    let mut outputs: Vec<(String, String)> = Vec::new();
    let (mut last, mut all) = (None, String::new());
    for step in action["runs"]["steps"].as_array().unwrap() {
        let known = |name: &str| {
            let input = name.strip_prefix("inputs.").map(|input| {
                let declared = action["inputs"].get(input).ok_or(input).unwrap();
                let given = inputs.iter().find(|(name, _)| name == input).map(|(_, value)| value.clone());
                given.unwrap_or_else(|| declared["default"].as_str().unwrap().to_owned())
            });
            let own = match name {
                "github.action_path" => Some(root().to_str().unwrap().to_owned()),
                "github.action_repository" => Some("your/portcullis".to_owned()),
                "github.action_ref" => Some("v0.1.0".to_owned()),
                "runner.temp" => Some(temp.to_str().unwrap().to_owned()),
                _ => None,
            };
            let output = outputs.iter().find(|(output, _)| output == name).map(|(_, value)| value.clone());
            input.or(own).or(output)
        };
        let env = step["env"].as_object().unwrap();
        let values: Vec<(String, String)> = env
            .iter()
            .map(|(name, value)| (name.clone(), expression(value.as_str().unwrap(), &known)))
            .collect();
        let output = files.path().join("output");
        fs::write(&output, "").unwrap();
        let mut variables: Vec<(&str, &str)> =
            values.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        variables.push(("GITHUB_OUTPUT", output.to_str().unwrap()));
        variables.push(("GITHUB_STEP_SUMMARY", summary.to_str().unwrap()));
        let run = bash(repository, step["run"].as_str().unwrap(), &variables);
        let said = fs::read_to_string(&output).unwrap();
        let id = step["id"].as_str().unwrap();
        for line in said.lines() {
            let (name, value) = line.split_once('=').unwrap();
            outputs.push((format!("steps.{id}.outputs.{name}"), value.to_owned()));
        }
        all += &said;
        let failed = run.code != Some(0);
        last = Some(run);
        if failed {
            break;
        }
    }
    // Whatever the action says it has as outputs is there.
    let run = last.unwrap();
    if run.code != Some(2) {
        for (name, output) in action["outputs"].as_object().unwrap() {
            let known = |name: &str| {
                outputs.iter().find(|(output, _)| output == name).map(|(_, value)| value.clone())
            };
            assert!(!expression(output["value"].as_str().unwrap(), &known).is_empty(), "{name}");
        }
    }
    (run, all, fs::read_to_string(&summary).unwrap_or_default())
}

fn copied(folder: &str) -> tempfile::TempDir {
    let there = tempfile::tempdir().unwrap();
    let from = root().join("testdata/repos").join(folder);
    let done = bash(there.path(), "cp -R \"$FROM\"/. .", &[("FROM", from.to_str().unwrap())]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    there
}

/// The inputs that the workflow of a repository gives the action, with this program as the one to run.
fn inputs_of(repository: &Path) -> Vec<(String, String)> {
    let workflow = fs::read_to_string(repository.join(".github/workflows/policies.yaml")).unwrap();
    let workflow: Value = serde_yaml::from_str(&workflow).unwrap();
    let steps = workflow["jobs"]["policies"]["steps"].as_array().unwrap().clone();
    let is_ours =
        |step: &&Value| step["uses"].as_str().is_some_and(|uses| uses.starts_with("your/portcullis@"));
    let with = steps.iter().find(is_ours).unwrap()["with"].as_object().unwrap().clone();
    let given = with.into_iter().map(|(name, value)| (name, value.as_str().unwrap().to_owned()));
    given.chain([("binary".to_owned(), env!("CARGO_BIN_EXE_portcullis").to_owned())]).collect()
}

#[test]
fn the_action_annotates_and_writes_reports() {
    let repository = copied("sarif");
    let (run, said, summary) = act(repository.path(), &inputs_of(repository.path()));
    assert_eq!(run.code, Some(1), "{}", run.shown());
    let line = "::error file=manifests/shop.yaml,line=15,";
    assert!(run.stdout.lines().any(|it| it.starts_with(line)), "{}", run.shown());
    assert!(said.contains("exit-code=1\n"), "{said}");
    assert!(summary.contains("container shop is privileged"), "{summary}");
    let sarif = fs::read_to_string(repository.path().join("portcullis.sarif")).unwrap();
    let sarif: Value = serde_json::from_str(&sarif).unwrap();
    assert_eq!(sarif["runs"][0]["results"].as_array().unwrap().len(), 1);
}

#[test]
fn inputs_of_the_action_are_never_scripts() {
    let repository = copied("sarif");
    let mut inputs = inputs_of(repository.path());
    inputs.retain(|(name, _)| name != "manifests" && name != "policies");
    // Several lines, a name with spaces, something like a flag, and something like a script.
    fs::create_dir(repository.path().join("more of it")).unwrap();
    fs::copy(repository.path().join("policies/owned.yaml"), repository.path().join("more of it/owned.yaml"))
        .unwrap();
    let manifests = "manifests\n\n-x\n$(touch broken)\n`touch broken`; touch broken";
    inputs.push(("policies".to_owned(), "more of it\n".to_owned()));
    inputs.push(("manifests".to_owned(), manifests.to_owned()));
    let (run, ..) = act(repository.path(), &inputs);
    // Three of them are no files.
    assert_eq!(run.code, Some(2), "{}", run.shown());
    assert!(run.stdout.contains("container shop is privileged"), "{}", run.shown());
    assert!(!repository.path().join("broken").exists());
    for file in ["action.yml", ".github/workflows/release.yml"] {
        for script in scripts(&yaml(file)) {
            assert!(!script.contains("${{"), "{file}: {script}");
        }
    }
}

/// A release as `deploy/release/build.sh` lays it out, with this program.
fn release(at: &Path) -> String {
    let folder = at.join("your/portcullis/releases/download/v0.1.0");
    fs::create_dir_all(&folder).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_portcullis"));
    let script = "tar -C \"$FROM\" -czf portcullis-v0.1.0-$(uname -m)-unknown-linux-musl.tar.gz portcullis && sha256sum -- * > SHA256SUMS";
    let done = bash(&folder, script, &[("FROM", program.parent().unwrap().to_str().unwrap())]);
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    format!("file://{}", at.display())
}

#[test]
fn a_release_is_used_only_if_it_is_what_it_says() {
    let there = tempfile::tempdir().unwrap();
    let url = release(there.path());
    let install = |into: &str, url: &str, version: &str| {
        let into = there.path().join(into);
        let variables = [
            ("PORTCULLIS_INTO", into.to_str().unwrap()),
            ("PORTCULLIS_VERSION", version),
            ("PORTCULLIS_REPOSITORY", "your/portcullis"),
            ("GITHUB_SERVER_URL", url),
        ];
        (bash(&root(), "deploy/ci/install.sh", &variables), into.join("portcullis").exists())
    };
    let (run, is_there) = install("right", &url, "v0.1.0");
    assert_eq!(run.code, Some(0), "{}", run.shown());
    assert!(is_there && run.stdout.starts_with("portcullis 0."), "{}", run.shown());

    let (run, is_there) = install("absent", &url, "v9.9.9");
    assert_eq!((run.code, is_there), (Some(2), false), "{}", run.shown());
    let (run, _) = install("none", &url, "");
    assert!(run.code == Some(2) && run.stderr.contains("no release is known"), "{}", run.shown());

    let folder = there.path().join("your/portcullis/releases/download/v0.1.0");
    let sums = fs::read_to_string(folder.join("SHA256SUMS")).unwrap();
    for wrong in [sums.replace(['0', '1', '2'], "3"), sums.replace("portcullis-", "other-"), String::new()] {
        fs::write(folder.join("SHA256SUMS"), wrong).unwrap();
        let (run, is_there) = install("wrong", &url, "v0.1.0");
        assert_eq!((run.code, is_there), (Some(2), false), "{}", run.shown());
        assert!(run.stderr.contains("is not what SHA256SUMS of the release says"), "{}", run.shown());
    }
}

#[test]
fn the_template_of_gitlab_writes_what_it_says() {
    let repository = copied("sarif");
    let template = yaml("deploy/ci/gitlab.yml");
    let job = &template[".portcullis"];
    let script = job["script"][0].as_str().unwrap();
    let mut variables: Vec<(&str, &str)> = job["variables"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
        .collect();
    let programs = Path::new(env!("CARGO_BIN_EXE_portcullis")).parent().unwrap();
    let path = format!("{}:/usr/bin:/bin", programs.display());
    variables.push(("PATH", &path));
    variables.push(("PORTCULLIS_MANIFESTS", "manifests"));
    let run = bash(repository.path(), script, &variables);
    assert_eq!(run.code, Some(1), "{}", run.shown());
    assert!(run.stdout.contains("manifests/shop.yaml:15:11"), "{}", run.shown());
    for report in job["artifacts"]["reports"].as_object().unwrap().values() {
        let text = fs::read_to_string(repository.path().join(report.as_str().unwrap())).unwrap();
        assert!(text.contains("container shop is privileged"), "{text}");
    }
}

#[test]
fn hooks_judge_what_changes() {
    let repository = copied("sarif");
    let hooks = yaml(".pre-commit-hooks.yaml");
    let run_hook = |id: &str, arguments: &str| {
        let hook = hooks.as_array().unwrap().iter().find(|hook| hook["id"] == id).unwrap();
        assert_eq!(hook["language"], "script");
        let script = format!("{}/{} {arguments}", root().display(), hook["entry"].as_str().unwrap());
        bash(repository.path(), &script, &[("PORTCULLIS", env!("CARGO_BIN_EXE_portcullis"))])
    };
    let run = run_hook("portcullis-test", "--policies policies manifests/shop.yaml");
    assert_eq!(run.code, Some(1), "{}", run.shown());
    let run = run_hook("portcullis-lint", "policies");
    assert_eq!(run.code, Some(0), "{}", run.shown());
    let run = run_hook("portcullis-verify", "policies");
    assert_eq!(run.code, Some(2), "there is no suite: {}", run.shown());
    // It is given what changes, whatever that is.
    let run = run_hook("portcullis-fmt", "--check manifests/shop.yaml");
    assert_eq!(run.code, Some(0), "{}", run.shown());
    fs::write(repository.path().join("a.rego"), "package a\np=1").unwrap();
    let run = run_hook("portcullis-fmt", "--check manifests/shop.yaml a.rego");
    assert_eq!(run.code, Some(1), "{}", run.shown());
}

#[test]
fn a_release_is_built_of_the_version_that_it_has() {
    let run = bash(&root(), "deploy/release/build.sh v99.0.0", &[]);
    assert_eq!(run.code, Some(2), "{}", run.shown());
    assert!(run.stderr.contains("and v99.0.0 was asked for"), "{}", run.shown());
    // What the workflow puts together is what the installer looks for.
    let build = fs::read_to_string(root().join("deploy/release/build.sh")).unwrap();
    let install = fs::read_to_string(root().join("deploy/ci/install.sh")).unwrap();
    assert!(
        build.contains("portcullis-$version-$target.tar.gz")
            && install.contains("portcullis-$version-$target.tar.gz")
    );
    // The files of all targets come into one folder.
    assert!(build.contains("portcullis-$version-$target.cdx.json") && !build.contains("$version.cdx.json"));
    let workflow = yaml(".github/workflows/release.yml");
    let targets = workflow["jobs"]["files"]["strategy"]["matrix"]["include"].as_array().unwrap();
    for target in targets {
        assert!(install.contains(target["target"].as_str().unwrap()), "{target}");
    }
}

#[test]
fn package_managers_are_told_what_a_release_has() {
    let release = tempfile::tempdir().unwrap();
    let at = release.path().to_str().unwrap();
    let script = format!("deploy/release/manifests.sh v0.1.0 '{at}'");
    let variables = [("PORTCULLIS_REPOSITORY", "your/portcullis")];
    let (intel, arm) = ("a1".repeat(32), "b2".repeat(32));
    let line = |sum: &str, arch: &str, end: &str| {
        format!("{sum}  portcullis-v0.1.0-{arch}-unknown-linux-musl.{end}\n")
    };
    // What is in no list is not offered, and lists of others are none.
    fs::write(release.path().join("SHA256SUMS"), line(&arm, "x86_64", "cdx.json")).unwrap();
    let run = bash(&root(), &script, &variables);
    assert!(run.code == Some(2) && run.stderr.contains("names no archive of v0.1.0"), "{}", run.shown());

    for (version, repository) in
        [("v0.1.0\";`id`", "your/portcullis"), ("v0.1.0", "your/#{`id`}"), ("0.1.0", "your/portcullis")]
    {
        let variables = [("PORTCULLIS_REPOSITORY", repository), ("VERSION", version), ("AT", at)];
        let run = bash(&root(), "deploy/release/manifests.sh \"$VERSION\" \"$AT\"", &variables);
        assert!(run.code == Some(2) && run.stderr.contains("no version such as"), "{}", run.shown());
    }

    let sums = line(&intel, "x86_64", "tar.gz") + &line(&arm, "aarch64", "tar.gz");
    for (sums, arches) in
        [(line(&intel, "x86_64", "tar.gz"), &["amd64"][..]), (sums, &["amd64", "arm64"][..])]
    {
        fs::write(release.path().join("SHA256SUMS"), sums).unwrap();
        let run = bash(&root(), &script, &variables);
        assert_eq!(run.code, Some(0), "{}", run.shown());
        let plugin = fs::read_to_string(release.path().join("portcullis.krew.yaml")).unwrap();
        let plugin: Value = serde_yaml::from_str(&plugin).unwrap();
        assert_eq!(plugin["spec"]["version"], "v0.1.0");
        assert!(plugin["spec"]["shortDescription"].as_str().unwrap().len() <= 50);
        let platforms = plugin["spec"]["platforms"].as_array().unwrap();
        let found: Vec<_> =
            platforms.iter().map(|one| one["selector"]["matchLabels"]["arch"].as_str().unwrap()).collect();
        assert_eq!(found, arches);
        assert_eq!(platforms[0]["sha256"], *intel);
        let from = "https://github.com/your/portcullis/releases/download/v0.1.0/portcullis-v0.1.0-x86_64-unknown-linux-musl.tar.gz";
        assert_eq!(platforms[0]["uri"], from);
        let formula = fs::read_to_string(release.path().join("portcullis.rb")).unwrap();
        assert!(formula.contains(from) && formula.contains("version \"0.1.0\""), "{formula}");
        assert_eq!(formula.contains(&arm), arches.len() == 2, "{formula}");
        let count = |word: &str| formula.split_whitespace().filter(|found| *found == word).count();
        assert_eq!(count("do") + count("def") + count("class"), count("end"), "{formula}");
    }
}

#[test]
fn scripts_are_right_as_far_as_bash_can_tell() {
    for file in [
        "deploy/ci/install.sh",
        "deploy/ci/github.sh",
        "deploy/ci/pre-commit.sh",
        "deploy/release/build.sh",
        "deploy/release/manifests.sh",
    ] {
        let run = bash(&root(), &format!("bash -n {file} && test -x {file}"), &[]);
        assert_eq!(run.code, Some(0), "{file}: {}", run.shown());
    }
}
