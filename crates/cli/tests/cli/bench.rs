//! `portcullis bench`. Times are another each time: what is tested is all else.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{Run, run_in, testdata};

fn bench(args: &[&str]) -> Run {
    let rounds: &[&str] = if args.contains(&"-n") { &[] } else { &["-n", "3"] };
    let input = ["bench", "-p", "policies", "manifests", "--warmup", "0"];
    run_in(&testdata(), &[&input, rounds, args].concat())
}

/// The one run of a report.
fn result(run: &Run) -> Value {
    let runs: Vec<Value> = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(runs.len(), 1);
    runs[0].clone()
}

#[test]
fn people_get_tables() {
    let run = bench(&[]).exits_with(0);
    for part in [
        "=== Benchmark Results: REGO Engine ===\n",
        "  Iterations:              3\n",
        "Latency (per review):\n",
        "  P99: ",
        "Constraints (one iteration, the dearest first):\n",
    ] {
        assert!(run.stdout.contains(part), "{part} is missing in\n{}", run.stdout);
    }
    assert_eq!(run.stderr, "");
    assert_eq!(bench(&["-o", "human"]).exits_with(0).stdout.lines().next(), run.stdout.lines().next());
}

#[test]
fn steps_and_violations_are_the_same_each_time() {
    let measured = ["steps", "violationCount", "objectCount", "templateCount", "constraintCount"];
    let of = |args: &[&str]| {
        let run = result(&bench(&[args, &["-o", "json"]].concat()).exits_with(0));
        let costs = run["constraints"].as_array().unwrap().iter();
        let costs = costs
            .map(|one| ["kind", "name", "reviews", "violations", "steps"].map(|field| one[field].clone()));
        (measured.map(|field| run[field].clone()), costs.collect::<Vec<_>>())
    };
    let once = of(&[]);
    assert!(once.0.iter().all(|number| number.as_u64().unwrap() > 0), "{once:?}");
    assert_eq!(once, of(&["-c", "3"]));
    assert_eq!(once, of(&["--parse"]));
    // The violations of all iterations, as gator counts them.
    let more = result(&bench(&["-n", "6", "-o", "json"]));
    assert_eq!(more["violationCount"].as_u64(), once.0[1].as_u64().map(|violations| violations * 2));
    assert_eq!(more["steps"], once.0[0]);
}

#[test]
fn json_has_gators_fields() {
    let run = result(&bench(&["-o", "json", "--stats"]).exits_with(0));
    for field in [
        "engine",
        "templateCount",
        "constraintCount",
        "referentialDataSupported",
        "objectCount",
        "iterations",
        "concurrency",
        "setupDuration",
        "setupBreakdown",
        "totalDuration",
        "latencies",
        "violationCount",
        "reviewsPerSecond",
        "statsEntries",
    ] {
        assert!(!run[field].is_null(), "{field} in {run}");
    }
    assert_eq!((&run["engine"], &run["concurrency"]), (&"rego".into(), &1.into()));
    for field in ["min", "max", "mean", "p50", "p95", "p99"] {
        assert!(run["latencies"][field].as_str().is_some_and(|text| text.ends_with('s')), "{run}");
    }
    assert_eq!(run["statsEntries"][0]["stats"][0]["name"], "templateRunTimeNS");
    let yaml = bench(&["-o", "yaml"]).exits_with(0).stdout;
    let yaml: Value = serde_yaml::from_str(&yaml).unwrap();
    assert_eq!(yaml[0]["steps"], run["steps"]);
}

/// A folder with a saved run that was changed.
fn baseline(name: &str, change: impl FnOnce(&mut Value)) -> (tempfile::TempDir, String) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(name).to_str().unwrap().to_owned();
    bench(&["--save", &path]).exits_with(0);
    let text = fs::read_to_string(&path).unwrap();
    let mut runs: Value = if name.ends_with("json") {
        serde_json::from_str(&text).unwrap()
    } else {
        serde_yaml::from_str(&text).unwrap()
    };
    assert!(runs[0]["latencies"]["p50"].is_u64(), "saved as gator does: {text}");
    change(&mut runs[0]);
    // JSON is YAML as well.
    fs::write(&path, runs.to_string()).unwrap();
    (directory, path)
}

#[test]
fn more_steps_than_before_fail() {
    let compare =
        |path: &str, more: &[&str]| bench(&[&["--compare", path, "--gate", "steps"], more].concat());
    for name in ["main.json", "main.yaml"] {
        let (_directory, path) = baseline(name, |_| ());
        let run = compare(&path, &[]).exits_with(0);
        assert!(run.stdout.contains("no regression (threshold: 10%)"), "{}", run.shown());
        assert!(!run.stdout.contains("P50 Latency"), "{}", run.stdout);
    }
    let (_directory, path) = baseline("main.json", |run| {
        let steps = &mut run["constraints"][0]["steps"];
        *steps = (steps.as_u64().unwrap() / 2).into();
    });
    let run = compare(&path, &[]).exits_with(1);
    assert!(run.stdout.contains("REGRESSION") && run.stdout.contains("  Steps "), "{}", run.stdout);
    // What is machine-readable stays so.
    let run = compare(&path, &["-o", "json"]).exits_with(1);
    result(&run);
    assert!(run.stderr.contains("REGRESSION"), "{}", run.stderr);
    compare(&path, &["--threshold", "200"]).exits_with(0);
}

#[test]
fn times_are_compared_with_runs_of_gator() {
    // As fast as nothing can be, in gator's form of its reports: durations as texts, nothing of steps.
    let change = |run: &mut Value| {
        let object = run.as_object_mut().unwrap();
        object.remove("steps");
        object.remove("constraints");
        object.insert("totalDuration".to_owned(), "1ns".into());
        for field in ["min", "max", "mean", "p50", "p95", "p99"] {
            object["latencies"][field] = "1ns".into();
        }
    };
    let (_directory, path) = baseline("gator.json", change);
    let run = bench(&["--compare", &path]).exits_with(1);
    assert!(run.stdout.contains("P50 Latency"), "{}", run.stdout);
    bench(&["--compare", &path, "--min-threshold", "1h", "--threshold", "100"]).exits_with(0);
    let run = bench(&["--compare", &path, "--gate", "steps"]).exits_with(2);
    assert!(run.stderr.contains("no measure in common"), "{}", run.stderr);
}

#[test]
fn what_cannot_be_measured_is_said() {
    let says = |args: &[&str], text: &str| {
        let run = run_in(&testdata(), &[&["bench"], args].concat()).exits_with(2);
        assert!(run.stderr.contains(text), "{}", run.shown());
    };
    says(&["-p", "policies"], "expected at least one template, one constraint and one object");
    says(&[], "there is nothing to read");
    says(&["-p", "policies", "manifests", "-e", "cel"], "invalid value 'cel'");
    says(&["-p", "policies", "manifests", "--memory"], "build it with `--features count-allocations`");
    says(
        &["-p", "policies", "manifests", "--compare", "nowhere.json"],
        "the baseline nowhere.json cannot be read",
    );
    says(&["-p", "policies", "manifests", "--compare", "policies"], "cannot be read");
    says(&["-p", "policies", "manifests", "--threshold", "many"], "expected a percentage");
    says(&["-p", "policies", "manifests", "--min-threshold", "10"], "expected a duration");
    says(&["-p", "policies", "manifests", "-n", "0"], "0 is not in");
}

#[test]
fn what_is_broken_is_left_out_and_named() {
    let directory = tempfile::tempdir().unwrap();
    let copy = |from: &Path| {
        for entry in fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() {
                fs::copy(&path, directory.path().join(path.file_name().unwrap())).unwrap();
            }
        }
    };
    copy(&testdata().join("policies"));
    copy(&testdata().join("manifests"));
    let broken = "apiVersion: templates.gatekeeper.sh/v1\nkind: ConstraintTemplate\nmetadata: {name: broken}\nspec:\n  crd: {spec: {names: {kind: Broken}}}\n  targets:\n  - target: admission.k8s.gatekeeper.sh\n    rego: |\n      package broken\n      violation[{\n";
    fs::write(directory.path().join("broken.yaml"), broken).unwrap();
    let run = run_in(directory.path(), &["bench", "-f", ".", "-n", "1", "-o", "json"]).exits_with(2);
    assert_eq!(result(&run)["skippedTemplates"], serde_json::json!(["broken"]));
    assert!(run.stderr.contains("broken.yaml:10"), "{}", run.stderr);
}
