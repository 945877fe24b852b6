//! One audit by several programs: their parts together say what one program says, byte for byte, or that something is missing.

#![allow(clippy::panic, clippy::string_slice, reason = "a test panics when it fails")]

use std::fs;
use std::path::Path;
use std::time::Duration;

use portcullis_report::{AuditReport, Form};
use portcullis_testkit::program::Run;
use serde_json::{Value, json};

use crate::support::{command, directory, ingress, lines, pod, run, service};

const NOW: &str = "2026-11-21T13:50:00Z";
/// Objects of all sorts, among them what no object is: in files of several forms.
fn dump(folder: &Path) -> Vec<&'static str> {
    let many: Vec<Value> = (0..300)
        .map(|index| match index % 5 {
            0 | 1 => pod(["shop", "blog", "a-b"][index % 3], &format!("pod-{index}"), index % 2 == 0),
            2 => ingress("shop", &format!("web-{index}"), &format!("host-{}.example.com", index % 40)),
            3 => service(&format!("service-{index}"), if index % 7 == 0 { &[80, 81] } else { &[8080] }),
            _ => json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": format!("homeless-{index}")}, "spec": {}}),
        })
        .collect();
    fs::write(folder.join("dump.ndjson"), lines(&many)).unwrap();
    let again: Vec<Value> = many.iter().step_by(17).cloned().collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "items": again});
    fs::write(folder.join("list.json"), serde_json::to_string_pretty(&list).unwrap()).unwrap();
    let yaml = "apiVersion: v1\nkind: Pod\nmetadata: {name: of-yaml, namespace: shop}\nspec: {hostPID: true}\n---\n{broken\n---\n\
                apiVersion: v1\nkind: PodList\nitems:\n- metadata: {name: listed}\n  spec: {hostPID: true, hostPID: true}\n\
                - metadata: {name: listed}\n---\nkind: Nothing\n---\napiVersion: v1\nkind: ClusterRole\n\
                metadata: {name: x, namespace: shop}\n";
    fs::write(folder.join("mixed.yaml"), yaml.repeat(3)).unwrap();
    fs::write(
        folder.join("broken.json"),
        "{\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"cut",
    )
    .unwrap();
    vec!["dump.ndjson", "list.json", "mixed.yaml", "broken.json"]
}

fn shard(folder: &Path, args: &[&str], index: usize, of: usize) -> Run {
    let (shard, part) = (format!("{index}/{of}"), format!("part-{index}"));
    let own = ["--now", NOW, "--shard", &shard, "--part", &part];
    run(folder, &[args, &own].concat(), None)
}

/// `audit merge`, which names no policies.
fn merge(folder: &Path, args: &[&str]) -> Run {
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_portcullis-audit"));
    command.current_dir(folder).arg("merge").args(args);
    Run::of(command, None)
}

fn parts(of: usize) -> Vec<String> {
    // In any order.
    (0..of).rev().map(|index| format!("part-{index}")).collect()
}

/// Without the times when it began and ended, which are those of no other run.
fn without_own_times(text: &str) -> String {
    let lines =
        text.lines().filter(|line| !line.contains("duration_seconds") && !line.contains("last_run_time"));
    let text = lines.collect::<Vec<_>>().join("\n");
    let time = regex::Regex::new(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(Z| UTC)?|\d{10}(?:\.\d+)?").unwrap();
    let time = time.replace_all(&text, "TIME");
    let took = regex::Regex::new(r#"time="[\d.]+"|took [\d.]+ ?m?s|\(after [^)]*\)"#).unwrap();
    took.replace_all(&time, "TOOK").into_owned()
}

fn equal(folder: &Path, args: &[&str], of: usize) {
    equal_in(folder, args, of, Form::of::<AuditReport>());
}

fn equal_in(folder: &Path, args: &[&str], of: usize, forms: impl Iterator<Item = Form>) {
    for index in 0..of {
        let found = shard(folder, args, index, of).exits_with(0);
        assert_eq!((found.stdout.as_str(), found.stderr.as_str()), ("", ""));
    }
    let parts = parts(of);
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    for form in forms.map(Form::name) {
        let one = run(folder, &[args, &["--now", NOW, "-o", form]].concat(), None);
        let merged = merge(folder, &[&parts[..], &["-o", form]].concat());
        assert_eq!(one.code, merged.code, "{form}: {}", merged.stderr);
        let [one, merged] = [&one, &merged].map(|run| without_own_times(&run.stdout));
        assert!(!one.is_empty(), "{form}");
        if one != merged {
            let differs = one.lines().zip(merged.lines()).find(|(a, b)| a != b);
            panic!("{form} of {of} shards: {differs:?}, {} and {} bytes", one.len(), merged.len());
        }
    }
}

#[test]
fn eight_shards_say_what_one_audit_says_in_every_form() {
    let folder = directory();
    let paths = dump(folder.path());
    equal(folder.path(), &paths, 8);
}

/// With explanations of the first ones of each constraint, of which each shard has others.
#[test]
fn eight_shards_explain_what_one_audit_explains() {
    const SOME: [Form; 3] = [Form::Human, Form::Json, Form::Html];
    let folder = directory();
    let paths = dump(folder.path());
    for explain in ["--explain=2", "--explain"] {
        equal_in(folder.path(), &[&paths[..], &[explain]].concat(), 8, SOME.into_iter());
    }
    let text = fs::read_to_string(folder.path().join("part-0")).unwrap();
    assert!(text.contains("\"explanation\":{\"told\""));
}

#[test]
fn one_shard_and_more_shards_than_objects_say_the_same() {
    let folder = directory();
    let pods: Vec<Value> = (0..3).map(|index| pod("shop", &format!("pod-{index}"), index == 1)).collect();
    fs::write(folder.path().join("few.ndjson"), lines(&pods)).unwrap();
    equal(folder.path(), &["few.ndjson"], 1);
    equal(folder.path(), &["few.ndjson"], 7);
    // Nothing is wrong with them, and something is denied.
    let parts = parts(7);
    let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
    merge(folder.path(), &parts).exits_with(1);
}

/// What a shard has beside what others have is about a part of the objects.
#[test]
fn the_work_is_divided() {
    let folder = directory();
    let paths = dump(folder.path());
    let judged: Vec<u64> = (0..4)
        .map(|index| {
            shard(folder.path(), &paths, index, 4).exits_with(0);
            let text = fs::read_to_string(folder.path().join(format!("part-{index}"))).unwrap();
            let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
            last["end"]["judged"].as_u64().unwrap()
        })
        .collect();
    let all: u64 = judged.iter().sum();
    assert!(judged.iter().all(|some| (all / 8..all / 2).contains(some)), "{judged:?}");
}

#[track_caller]
fn incomplete(folder: &Path, parts: &[&str], says: &[&str]) {
    let found = merge(folder, &[parts, &["-o", "json"]].concat()).exits_with(2);
    let report: Value = serde_json::from_str(&found.stdout).unwrap();
    assert_eq!(report["standing"], "incomplete");
    for text in says {
        assert!(found.stdout.contains(text), "{text}: {:#}", report["problems"]);
    }
    let found = merge(folder, &[parts, &["--quiet"]].concat()).exits_with(2);
    assert!(says.iter().all(|text| found.stderr.contains(text)), "{says:?}: {}", found.stderr);
}

fn good_parts() -> (tempfile::TempDir, Vec<&'static str>) {
    let folder = directory();
    let pods: Vec<Value> = (0..40).map(|index| pod("shop", &format!("pod-{index}"), index == 1)).collect();
    fs::write(folder.path().join("dump.ndjson"), lines(&pods)).unwrap();
    for index in 0..4 {
        shard(folder.path(), &["dump.ndjson"], index, 4).exits_with(0);
    }
    (folder, vec!["part-0", "part-1", "part-2", "part-3"])
}

#[test]
fn a_shard_that_is_missing_is_named() {
    let (folder, parts) = good_parts();
    merge(folder.path(), &parts).exits_with(1);
    incomplete(folder.path(), &[parts[0], parts[1], parts[3]], &["shard 2/4 is missing"]);
    incomplete(
        folder.path(),
        &parts[3..],
        &["shard 0/4 is missing", "shard 1/4 is missing", "shard 2/4 is missing"],
    );
    incomplete(folder.path(), &["part-0", "part-1", "gone", "part-3"], &["shard 2/4 is missing", "gone"]);
    incomplete(
        folder.path(),
        &["part-0", "part-1", "part-1", "part-2", "part-3"],
        &["part-1", "it is shard 1/4 once more"],
    );
}

#[test]
fn a_part_that_is_not_as_it_was_written_does_not_count() {
    let (folder, parts) = good_parts();
    let text = fs::read_to_string(folder.path().join("part-1")).unwrap();
    let all: Vec<&str> = text.lines().collect();
    let cut = "it is cut off";
    let edited = "it is not as it was written";
    let joined = text.replacen("}\n{", "}{", 2);
    let without_one = [&all[..5], &all[6..]].concat().join("\n") + "\n";
    let count = regex::Regex::new(r#""lines":\d+"#).unwrap();
    let twice = [&all[..all.len() - 1], &all[all.len() - 2..]].concat().join("\n") + "\n";
    let cases: Vec<(String, &str)> = vec![
        (text[..text.len() / 2].to_owned(), cut),
        (text.trim_end().to_owned(), cut),
        (all[..all.len() - 1].join("\n") + "\n", cut),
        (text.replace("pod-1 ", "pod-2 "), edited),
        (text.replace("\"passes\":", "\"passes\":1"), edited),
        (count.replace(&text, "\"lines\":1").into_owned(), edited),
        (joined, "it is no part"),
        (without_one, edited),
        (twice, edited),
        (text.repeat(2), "it goes on behind its end"),
        (format!("{text}\n"), "it goes on behind its end"),
        (format!("\n{text}"), "it is no part"),
        (String::new(), "it is empty"),
        ("\n".to_owned(), "it is no part"),
        ("{}\n".to_owned(), "it is no part"),
        ("[".repeat(100_000), cut),
        (text.replacen("\"version\":1", "\"version\":2", 1), "a part of version 2"),
        (text.replacen("\"shard\":1", "\"shard\":9", 1), "there is no shard 9/4"),
        (text.replacen("\"shard\":1", "\"shard\":2", 1), edited),
        (text.replacen("\"policies\":3", "\"policies\":300000000", 1), "is no policy"),
    ];
    for (case, says) in cases {
        fs::write(folder.path().join("part-1"), &case).unwrap();
        let shown: String = case.chars().take(80).collect();
        println!("{shown}: {says}");
        incomplete(folder.path(), &parts, &[says, "part-1", "shard 1/4 is missing"]);
    }
    for magic in [&[0x1f, 0x8b, 8, 0][..], &[0x28, 0xb5, 0x2f, 0xfd, 0]] {
        fs::write(folder.path().join("part-1"), magic).unwrap();
        incomplete(folder.path(), &parts, &["it is packed: unpack it first", "shard 1/4 is missing"]);
    }
    fs::write(folder.path().join("part-1"), [b'{', 0xff, b'\n']).unwrap();
    incomplete(folder.path(), &parts, &["is no text", "shard 1/4 is missing"]);
    fs::remove_file(folder.path().join("part-1")).unwrap();
    fs::create_dir(folder.path().join("part-1")).unwrap();
    incomplete(folder.path(), &parts, &["it is no file", "shard 1/4 is missing"]);
    let found = merge(folder.path(), &["part-1", "dump.ndjson"]).exits_with(2);
    assert!(found.stderr.contains("no file is the part of an audit"), "{}", found.stderr);
}

#[test]
fn parts_of_other_audits_are_named() {
    let (folder, parts) = good_parts();
    let of = |args: &[&str], says: &str| {
        let all = [&["--now", NOW, "--shard", "2/4", "--part", "part-2"], args].concat();
        run(folder.path(), &all, None).exits_with(0);
        incomplete(folder.path(), &parts, &[says, "part-2", "shard 2/4 is missing"]);
    };
    of(&["dump.ndjson", "--max-steps", "77"], "`--max-steps` is 77");
    of(&["dump.ndjson", "--namespace", "x"], "`--namespace` is");
    of(&["dump.ndjson", "--run", "yesterday"], "`--run` is");
    of(&["dump.ndjson", "--explain"], "`--explain` is 20");
    // What providers were recorded to answer, and whether they are asked.
    let answers = |file: &str, said: &str| {
        let text = format!("providers:\n  words:\n    a: {{value: {said}}}\n    b: {{value: y}}\n");
        fs::write(folder.path().join(file), text).unwrap();
    };
    answers("answers.yaml", "x");
    of(&["dump.ndjson", "--provider-answers", "answers.yaml"], "`--provider-answers` is");
    of(&["dump.ndjson", "--username", "ada"], "`--username` is");
    of(&["dump.ndjson", "--live-providers"], "`--live-providers` is true, and not false");
    answers("others.yaml", "z");
    let with = |shards: &[(usize, &str)]| {
        for (index, file) in shards {
            shard(folder.path(), &["dump.ndjson", "--provider-answers", file], *index, 4).exits_with(0);
        }
    };
    with(&[(0, "answers.yaml"), (1, "answers.yaml"), (2, "others.yaml"), (3, "answers.yaml")]);
    incomplete(folder.path(), &parts, &["`--provider-answers` is", "part-2", "shard 2/4 is missing"]);
    // The same answers by another name, and in another order.
    let same = "providers:\n  words:\n    b: {value: y}\n    a: {value: x}\n";
    fs::write(folder.path().join("others.yaml"), same).unwrap();
    with(&[(2, "others.yaml")]);
    let found = merge(folder.path(), &parts);
    assert!(!(found.stdout.clone() + &found.stderr).contains("another audit"), "{}", found.stderr);
    for index in 0..4 {
        shard(folder.path(), &["dump.ndjson"], index, 4).exits_with(0);
    }
    let dump = fs::read_to_string(folder.path().join("dump.ndjson")).unwrap();
    fs::write(folder.path().join("dump.ndjson"), dump.replace("pod-39", "pod-93")).unwrap();
    of(&["dump.ndjson"], "the SHA-256 of what it read");
    fs::write(folder.path().join("dump.ndjson"), &dump).unwrap();
    fs::write(folder.path().join("more.ndjson"), lines(&[pod("shop", "more", false)])).unwrap();
    of(&["dump.ndjson", "--inventory", "more.ndjson"], "the SHA-256 of what it read");
    let policies = fs::read_to_string(folder.path().join("policies.yaml")).unwrap();
    fs::write(folder.path().join("policies.yaml"), policies.replace("1024", "1025")).unwrap();
    of(&["dump.ndjson"], "the digest of the policies is");
    fs::write(folder.path().join("policies.yaml"), format!("\n{policies}")).unwrap();
    of(&["dump.ndjson"], "where policies stand");
    fs::write(folder.path().join("policies.yaml"), &policies).unwrap();
    let args = ["dump.ndjson", "--now", NOW, "--shard", "2/5", "--part", "part-2"];
    run(folder.path(), &args, None).exits_with(0);
    incomplete(folder.path(), &parts, &["the number of shards is 5, and not 4"]);
}

#[test]
fn a_shard_that_is_killed_leaves_no_part_and_one_that_is_stopped_says_so() {
    let (folder, parts) = good_parts();
    let many: Vec<Value> = (0..40_000).map(|index| pod("shop", &format!("pod-{index}"), true)).collect();
    fs::write(folder.path().join("dump.ndjson"), lines(&many)).unwrap();
    for index in [0, 1, 3] {
        shard(folder.path(), &["dump.ndjson"], index, 4).exits_with(0);
    }
    let begin = || {
        for name in ["part-2", "part-2.unfinished"] {
            fs::remove_file(folder.path().join(name)).unwrap_or_default();
        }
        let args = ["dump.ndjson", "--now", NOW, "--shard", "2/4", "--part", "part-2", "--jobs", "1"];
        let child = command(folder.path(), &args).spawn().unwrap();
        let unfinished = folder.path().join("part-2.unfinished");
        while fs::metadata(&unfinished).map_or(0, |metadata| metadata.len()) < 100_000 {
            std::thread::sleep(Duration::from_millis(2));
        }
        child
    };
    let mut child = begin();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!folder.path().join("part-2").exists());
    incomplete(folder.path(), &parts, &["part-2", "shard 2/4 is missing"]);
    let half = ["part-0", "part-1", "part-2.unfinished", "part-3"];
    incomplete(folder.path(), &half, &["it is cut off", "shard 2/4 is missing"]);

    let child = begin();
    let id = child.id().to_string();
    assert!(std::process::Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("shard 2/4 was ended before its end"));
    incomplete(folder.path(), &parts, &["shard 2/4 was ended before its end: it was asked to end"]);
}

#[test]
fn flags_that_would_do_nothing_are_refused() {
    let (folder, _) = good_parts();
    let shard = ["dump.ndjson", "--shard", "0/2", "--part", "p"];
    for args in [
        &["-o", "json"][..],
        &["--quiet"],
        &["--html", "a.html"],
        &["--interval", "5"],
        &["--compare-status"],
        &["--kube", "--update-status"],
        &["--kube", "--lease", "a/b"],
    ] {
        let found = run(folder.path(), &[&shard[..], args].concat(), None).exits_with(2);
        assert!(!found.stderr.is_empty(), "{args:?}");
        assert!(!folder.path().join("p").exists());
    }
    for args in [&["--shard", "0/2"][..], &["--part", "p"], &["--shard", "2/2", "--part", "p"]] {
        run(folder.path(), &[&["dump.ndjson"], args].concat(), None).exits_with(2);
    }
    merge(folder.path(), &[]).exits_with(2);
}
