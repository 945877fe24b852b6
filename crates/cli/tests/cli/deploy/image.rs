//! The one image: its recipe, and what the manifests say of it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::{objects, output, read, root, tool};

const PROGRAMS: [&str; 3] = ["portcullis", "portcullis-audit", "portcullis-webhook"];

/// The instructions of a recipe, a line each, without comments.
fn instructions(recipe: &str) -> Vec<(String, String)> {
    let lines = recipe.replace("\\\n", " ");
    let lines = lines.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .map(|line| {
            let (word, rest) = line.split_once(' ').unwrap();
            (word.to_owned(), rest.split_whitespace().collect::<Vec<_>>().join(" "))
        })
        .collect()
}

/// What is in the last stage.
fn last_stage(recipe: &str) -> Vec<(String, String)> {
    let all = instructions(recipe);
    let start = all.iter().rposition(|(word, _)| word == "FROM").unwrap();
    all[start..].to_vec()
}

#[test]
fn the_image_holds_the_programs_and_nothing_else_and_runs_as_nobody() {
    let recipe = read("Dockerfile");
    let expected = [
        ("FROM", "scratch"),
        ("COPY", "--from=build /programs/ /"),
        ("USER", "65532:65532"),
        ("EXPOSE", "8443 8080"),
        ("ENTRYPOINT", "[\"/portcullis\"]"),
    ];
    let expected = expected.map(|(word, rest)| (word.to_owned(), rest.to_owned()));
    assert_eq!(last_stage(&recipe), expected);
    let all = instructions(&recipe);
    let (_, build) = all.iter().find(|(word, rest)| word == "RUN" && rest.contains("cargo build")).unwrap();
    assert!(build.starts_with("cargo build --release --locked "), "{build}");
    for program in PROGRAMS {
        assert!(build.contains(&format!(" target/release/{program} ")), "{build}");
    }
    // Static files need a toolchain whose programs are static; it is the one that the project is built with.
    let (_, from) = &all[0];
    let version = read("Cargo.toml")
        .lines()
        .find_map(|line| Some(line.strip_prefix("rust-version = \"")?.trim_end_matches('"').to_owned()));
    assert_eq!(from, &format!("docker.io/library/rust:{}-alpine AS build", version.unwrap()));
    // What is built is what is checked out, without what was built before.
    let ignored = read(".dockerignore");
    for directory in ["target", ".git", "fuzz/target"] {
        assert!(ignored.lines().any(|line| line == directory), "{directory}");
    }
}

/// All containers of all manifests.
fn containers() -> Vec<Value> {
    let files = [
        "deploy/webhook/deployment.yaml",
        "deploy/audit/cronjob.yaml",
        "deploy/audit/deployment.yaml",
        "deploy/audit/indexed-job.yaml",
        "deploy/chart/rendered/kube.yaml",
        "deploy/chart/rendered/files.yaml",
    ];
    let pods = files.iter().flat_map(|file| objects(file)).filter_map(|object| {
        let spec = &object["spec"];
        [&spec["template"], &spec["jobTemplate"]["spec"]["template"]]
            .into_iter()
            .find(|pod| pod.is_object())
            .cloned()
    });
    pods.flat_map(|pod| pod["spec"]["containers"].as_array().unwrap().clone()).collect()
}

#[test]
fn manifests_run_the_programs_of_the_one_image() {
    let containers = containers();
    assert_eq!(containers.len(), 9);
    let images: BTreeSet<_> =
        containers.iter().map(|container| container["image"].as_str().unwrap()).collect();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(
        images,
        BTreeSet::from([format!("registry.example.com/portcullis/portcullis:{version}").as_str()])
    );
    for container in &containers {
        let program = format!("portcullis-{}", container["name"].as_str().unwrap());
        assert!(PROGRAMS.contains(&program.as_str()));
        assert_eq!(container["command"], json!([format!("/{program}")]));
        for port in container["ports"].as_array().into_iter().flatten() {
            assert!(read("Dockerfile").contains(&port["containerPort"].to_string()), "{port}");
        }
    }
    let chart: Value = serde_yaml::from_str(&read("deploy/chart/Chart.yaml")).unwrap();
    assert_eq!((&chart["version"], &chart["appVersion"]), (&json!(version), &json!(version)));
}

/// Every flag in a manifest is one that the program has: a misspelt one would end it at the start.
#[test]
fn manifests_use_flags_that_the_programs_have() {
    let webhook = <portcullis_webhook::args::Args as clap::CommandFactory>::command();
    for container in containers().iter().filter(|container| container["name"] == "webhook") {
        let args = container["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap());
        let line: Vec<&str> = std::iter::once("portcullis-webhook").chain(args).collect();
        let parsed = webhook.clone().try_get_matches_from(&line);
        assert!(parsed.is_ok(), "{line:?}: {}", parsed.unwrap_err());
    }
    let audit = clap::Command::new("portcullis-audit");
    let audit = <portcullis_audit::args::AuditArgs as clap::Args>::augment_args(audit);
    let audit = <portcullis_audit::kube::KubeArgs as clap::Args>::augment_args(audit);
    let audit = <portcullis_audit::args::AuditAction as clap::Subcommand>::augment_subcommands(audit);
    let audits = containers().into_iter().filter(|container| container["name"] == "audit");
    for (number, container) in audits.enumerate() {
        // What Kubernetes puts into the arguments of an Indexed Job.
        let args = container["args"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap());
        let args: Vec<String> = args.map(|arg| arg.replace("$(JOB_COMPLETION_INDEX)", "7")).collect();
        let args = args.iter().map(String::as_str);
        let line: Vec<&str> = std::iter::once("portcullis-audit").chain(args).collect();
        let parsed = audit.clone().try_get_matches_from(&line);
        assert!(parsed.is_ok(), "audit {number}: {line:?}: {}", parsed.unwrap_err());
    }
}

/// Each shard of the Indexed Job is one of as many as there are completions, and all of them are put together.
#[test]
fn the_shards_of_the_indexed_job_are_all_that_are_merged() {
    let jobs: Vec<Value> = objects("deploy/audit/indexed-job.yaml")
        .into_iter()
        .filter(|object| object["kind"] == "Job")
        .collect();
    let args = |job: &Value| -> Vec<String> {
        let args = &job["spec"]["template"]["spec"]["containers"][0]["args"];
        args.as_array().unwrap().iter().map(|arg| arg.as_str().unwrap().to_owned()).collect()
    };
    let [shards, merge] = <[Value; 2]>::try_from(jobs).unwrap();
    assert_eq!(
        (&shards["spec"]["completionMode"], &merge["spec"]["suspend"]),
        (&json!("Indexed"), &json!(true))
    );
    let of = shards["spec"]["completions"].as_u64().unwrap();
    assert!(args(&shards).contains(&format!("--shard=$(JOB_COMPLETION_INDEX)/{of}")));
    let parts: Vec<String> = (0..of).map(|index| format!("/parts/part-{index}.jsonl")).collect();
    assert!(args(&shards).contains(&"--part=/parts/part-$(JOB_COMPLETION_INDEX).jsonl".to_owned()));
    let merged: Vec<String> = args(&merge).into_iter().filter(|arg| arg.starts_with('/')).collect();
    assert_eq!(merged, parts);
}

/// With an engine, the last stage of the recipe is built as it is, from files that stand for the programs.
#[test]
fn the_recipe_builds() {
    let Some(buildah) = tool("PORTCULLIS_BUILDAH", Some("buildah")) else { return };
    let directory = tempfile::tempdir().unwrap();
    let programs = directory.path().join("build/programs");
    std::fs::create_dir_all(&programs).unwrap();
    for program in PROGRAMS {
        std::fs::write(programs.join(program), program).unwrap();
    }
    let run = |args: &[&str]| {
        let mut command = Command::new(&buildah);
        // Nothing is left behind, and nothing is asked of the kernel that a container of a test run has not.
        for (flag, at) in [("--root", "root"), ("--runroot", "run")] {
            command.arg(flag).arg(directory.path().join(at));
        }
        command.args(["--storage-driver", "vfs"]).args(args).env("BUILDAH_ISOLATION", "chroot");
        command.current_dir(root());
        output(&mut command)
    };
    let context = format!("build={}", directory.path().join("build").display());
    run(&["build", "--quiet", "--build-context", &context, "--tag", "portcullis:test", "."]);
    let inspected: Value =
        serde_json::from_str(&run(&["inspect", "--type", "image", "portcullis:test"])).unwrap();
    let config = &inspected["OCIv1"]["config"];
    assert_eq!((&config["User"], &config["Entrypoint"]), (&json!("65532:65532"), &json!(["/portcullis"])));
    let container = run(&["from", "portcullis:test"]);
    let mounted = run(&["mount", container.trim()]);
    let there = std::fs::read_dir(Path::new(mounted.trim())).unwrap();
    let there: BTreeSet<String> =
        there.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(there, BTreeSet::from(PROGRAMS.map(str::to_owned)));
    run(&["umount", container.trim()]);
}
