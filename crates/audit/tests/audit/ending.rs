//! Audits that are ended: what is there then is whole, or says that it is not. And audits at intervals.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{command, directory, lines, pod};

/// Enough objects that an audit does not end by itself in the time of a test.
fn long_dump(path: &Path) {
    let mut file = fs::File::create(path).unwrap();
    for part in 0..60 {
        let objects: Vec<_> =
            (0..1000).map(|index| pod("shop", &format!("pod-{part}-{index}"), true)).collect();
        file.write_all(lines(&objects).as_bytes()).unwrap();
    }
}

/// Waits until the audit has found something.
fn until_it_writes(path: &Path, child: &mut Child) {
    let end = Instant::now() + Duration::from_mins(2);
    while fs::metadata(path).map_or(0, |file| file.len()) < 100_000 {
        assert!(Instant::now() < end, "nothing is found");
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn kill(child: &Child, signal: &str) {
    let killed = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
}

#[test]
fn sigterm_ends_the_audit_and_outputs_say_so() {
    let directory = directory();
    let path = directory.path();
    long_dump(&path.join("dump.ndjson"));
    let args = [
        "dump.ndjson",
        "-q",
        "-j",
        "1",
        "--ndjson",
        "out.ndjson",
        "--json",
        "out.json",
        "--policy-report",
        "out.report",
    ];
    let mut child = command(path, &args).spawn().unwrap();
    until_it_writes(&path.join("out.ndjson.unfinished"), &mut child);
    let told = Instant::now();
    kill(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(2));
    assert!(told.elapsed() < Duration::from_secs(30));
    let text = fs::read_to_string(path.join("out.ndjson")).unwrap();
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    assert_eq!(last["message"], "audit is unfinished: it was asked to end");
    let report: Value = serde_json::from_slice(&fs::read(path.join("out.json")).unwrap()).unwrap();
    assert_eq!((&report["completion"], &report["standing"]), (&"unfinished".into(), &"incomplete".into()));
    // What was judged is all there, in order, and counted.
    let findings = report["findings"].as_array().unwrap().len();
    assert_eq!(report["totals"]["violations"], findings);
    assert_eq!(text.lines().count(), findings + 2);
    assert!(findings > 100 && findings < 60_000);
    let report: Value = serde_json::from_slice(&fs::read(path.join("out.report")).unwrap()).unwrap();
    assert_eq!(report["items"][0]["results"][0]["result"], "error");
    assert!(!path.join("out.json.unfinished").exists());
}

#[test]
fn kill_9_leaves_the_last_whole_outputs_and_files_that_are_named_unfinished() {
    let directory = directory();
    let path = directory.path();
    long_dump(&path.join("dump.ndjson"));
    fs::write(path.join("out.ndjson"), "of the last audit\n").unwrap();
    let args = ["dump.ndjson", "-q", "-j", "1", "--ndjson", "out.ndjson", "--json", "out.json"];
    let mut child = command(path, &args).spawn().unwrap();
    until_it_writes(&path.join("out.ndjson.unfinished"), &mut child);
    kill(&child, "-KILL");
    child.wait().unwrap();
    assert_eq!(fs::read_to_string(path.join("out.ndjson")).unwrap(), "of the last audit\n");
    assert!(!path.join("out.json").exists());
    assert!(path.join("out.ndjson.unfinished").exists());
}

#[test]
fn audits_are_repeated_until_it_is_told_to_end() {
    let directory = directory();
    let path = directory.path();
    fs::write(path.join("dump.ndjson"), lines(&[pod("shop", "a", false)])).unwrap();
    let args = ["dump.ndjson", "-q", "--interval", "1", "--ndjson", "out.ndjson"];
    let mut child = command(path, &args).spawn().unwrap();
    let mut ids = std::collections::BTreeSet::new();
    let end = Instant::now() + Duration::from_mins(1);
    while ids.len() < 3 {
        assert!(Instant::now() < end, "{ids:?}");
        let text = fs::read_to_string(path.join("out.ndjson")).unwrap_or_default();
        ids.extend(text.lines().next().map(str::to_owned));
        std::thread::sleep(Duration::from_millis(50));
    }
    kill(&child, "-TERM");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
