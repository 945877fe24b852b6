//! What was met in the field: files that were passed over, outputs that nobody could read, suites as gator
//! takes them.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use portcullis_sources::{Choice, list};

use super::run_in;

const TEMPLATE: &str = r#"apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: says}
spec:
  crd: {spec: {names: {kind: Says}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package says
      violation[{"msg": msg}] { msg := input.review.object.data.says }
      violation[{"msg": msg}] { input.review.kind.kind == "Odd"; msg := sprintf("odd %q", [input.review.kind.version]) }
"#;
const CONSTRAINT: &str =
    "apiVersion: constraints.gatekeeper.sh/v1beta1\nkind: Says\nmetadata: {name: says}\n";

fn config_map(name: &str, says: &str) -> String {
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}, namespace: shop}}\ndata: {{says: {says}}}\n"
    )
}

/// A directory with a policy.
fn directory(files: &[(&str, &str)]) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("template.yaml"), TEMPLATE).unwrap();
    fs::write(directory.path().join("constraint.yaml"), CONSTRAINT).unwrap();
    for (name, text) in files {
        let path = directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    directory
}

#[test]
fn names_that_begin_with_dots_are_read() {
    let names = ["..evil.yaml", ".hidden.yaml", "..folder/a.yaml", ".github/b.yaml", "..2026_11_27/c.yaml"];
    let texts: Vec<_> = names.iter().map(|name| config_map("m", &format!("'{name}'"))).collect();
    let files: Vec<_> = names.iter().zip(&texts).map(|(name, text)| (*name, text.as_str())).collect();
    let directory = directory(&files);
    for args in [&["test", "-f", ".", "-o", "json"][..], &["audit", "--policies", ".", ".", "-o", "json"]] {
        let run = run_in(directory.path(), args).exits_with(1);
        for name in names {
            assert!(run.stdout.contains(&format!("\"{name}\"")), "{name}: {}", run.shown());
        }
    }
}

#[test]
fn manifests_in_a_repositorys_own_files_are_counted() {
    let directory = directory(&[
        ("good.yaml", &config_map("m", "hello")),
        (".git/hooks/a.yaml", "a: b"),
        (".git/b.yml", "c"),
    ]);
    let run = run_in(directory.path(), &["test", "-f", "."]).exits_with(1);
    assert!(run.stderr.contains("`.git`") && run.stderr.contains("2 of them"), "{}", run.shown());
}

#[test]
fn a_directory_without_manifests_is_named() {
    let directory = directory(&[("good.yaml", &config_map("m", "hello")), ("empty/a.yaml.tmpl", "a")]);
    let run =
        run_in(directory.path(), &["test", "-f", "template.yaml", "constraint.yaml", "good.yaml", "empty"]);
    let run = run.exits_with(1);
    assert!(run.stderr.contains("empty: ") || run.stderr.contains("--> empty"), "{}", run.shown());
    assert!(run.stderr.contains("named like a manifest"), "{}", run.shown());
}

#[cfg(unix)]
#[test]
fn pipes_and_sockets_are_named_and_not_waited_for() {
    let directory = directory(&[("good.yaml", &config_map("m", "hello"))]);
    let made = Command::new("mkfifo").arg(directory.path().join("pipe.yaml")).status();
    assert!(made.unwrap().success());
    let _socket = std::os::unix::net::UnixListener::bind(directory.path().join("socket.json")).unwrap();
    for args in [&["test", "-f", "."][..], &["lint", "."], &["audit", "--policies", ".", "."]] {
        let run = run_in(directory.path(), args).exits_with(2);
        let shown = run.shown();
        assert!(shown.contains("found a pipe") && shown.contains("found a socket"), "{shown}");
        assert!(shown.contains("pipe.yaml") && shown.contains("socket.json"), "{shown}");
    }
    fs::write(directory.path().join("suite.yaml"), "apiVersion: test.gatekeeper.sh/v1alpha1\nkind: Suite\n")
        .unwrap();
    let run = run_in(directory.path(), &["verify", "."]).exits_with(2);
    assert!(run.stderr.contains("pipe.yaml"), "{}", run.shown());
}

/// As `portcullis test -f <(helm template …)` gives one.
#[cfg(unix)]
#[test]
fn a_pipe_that_is_named_is_read() {
    let directory = directory(&[]);
    let pipe = directory.path().join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for args in [
        &["test", "-f", "template.yaml", "constraint.yaml", "pipe"][..],
        &["audit", "--policies", ".", "pipe"],
    ] {
        // Both ends wait for each other.
        let text = config_map("m", "hello");
        let writer = pipe.clone();
        let writer = std::thread::spawn(move || fs::write(writer, text));
        let run = run_in(directory.path(), args).exits_with(1);
        writer.join().unwrap().unwrap();
        assert!(run.stdout.contains("hello") || run.stdout.contains("1 denied"), "{}", run.shown());
    }
}

#[cfg(unix)]
#[test]
fn a_mounted_volume_is_read_through_its_links_only_where_it_is_watched() {
    use std::os::unix::fs::symlink;

    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    for version in ["..2026_11_27_04_00_00.1", "..2026_11_27_05_00_00.2"] {
        fs::create_dir(path.join(version)).unwrap();
        fs::write(path.join(version).join("a.yaml"), CONSTRAINT).unwrap();
    }
    symlink("..2026_11_27_05_00_00.2", path.join("..data")).unwrap();
    symlink("..data/a.yaml", path.join("a.yaml")).unwrap();
    fs::write(path.join("..b.yaml"), CONSTRAINT).unwrap();
    let names = |choice| {
        let (files, problems) = list(&[path.to_owned()], choice);
        assert!(problems.is_empty(), "{problems:?}");
        let below = |file: &portcullis_sources::InputFile| {
            file.path.strip_prefix(path).unwrap().display().to_string()
        };
        files.iter().map(below).collect::<Vec<_>>()
    };
    assert_eq!(names(Choice::Watched { policies: true }), ["a.yaml", "..b.yaml"]);
    assert_eq!(names(Choice::Watched { policies: false }), ["a.yaml", "..b.yaml"]);
    assert_eq!(names(Choice::Policies), ["a.yaml", "..2026_11_27_04_00_00.1/a.yaml", "..b.yaml"]);
    assert!(Command::new("mkfifo").arg(path.join("pipe")).status().unwrap().success());
    let (files, problems) = list(&[path.join("pipe")], Choice::Watched { policies: true });
    assert!(files.is_empty() && problems.len() == 1, "{problems:?}");
}

/// Runs the program by a shell, which sets its standard output.
#[cfg(unix)]
fn shell(directory: &Path, args: &str, output: &str) -> (Option<i32>, String) {
    let script = format!("'{}' {args} {output}", env!("CARGO_BIN_EXE_portcullis"));
    let mut command = Command::new("bash");
    command.current_dir(directory).args(["-c", &script]);
    let done = command.stdin(Stdio::null()).stdout(Stdio::null()).output().unwrap();
    (done.status.code(), String::from_utf8_lossy(&done.stderr).into_owned())
}

#[cfg(target_os = "linux")]
#[test]
fn a_report_that_nobody_can_read_is_an_error() {
    let suite = "apiVersion: test.gatekeeper.sh/v1alpha1\nkind: Suite\n";
    let directory = directory(&[("good.yaml", &config_map("m", "hello")), ("suite.yaml", suite)]);
    let policies = "template.yaml constraint.yaml";
    let commands = [
        format!("test -f {policies} good.yaml"),
        format!("test -f {policies} good.yaml -o json"),
        format!("test -f {policies} good.yaml -o sarif"),
        format!("test -f {policies} good.yaml -o junit"),
        format!("test -f {policies} good.yaml -o github"),
        "verify .".to_owned(),
        "lint template.yaml".to_owned(),
        "audit --policies . good.yaml".to_owned(),
        "audit --policies . good.yaml -o ndjson".to_owned(),
        "--help".to_owned(),
        "test --help".to_owned(),
        "--version".to_owned(),
        "man".to_owned(),
        "completions bash".to_owned(),
    ];
    for command in &commands {
        for output in [">/dev/full", ">&-"] {
            let (code, said) = shell(directory.path(), command, output);
            assert_eq!(code, Some(2), "{command} {output}: {said}");
            assert!(said.contains("error: ") && !said.contains("panicked"), "{command} {output}: {said}");
        }
        // On purpose, it is none.
        let (code, said) = shell(directory.path(), command, ">/dev/null");
        assert!(matches!(code, Some(0 | 1)), "{command}: {said}");
    }
}

/// A reader that is gone before anything is written.
#[cfg(unix)]
#[test]
fn a_reader_that_hangs_up_is_an_error() {
    let directory = directory(&[("good.yaml", &config_map("m", "hello"))]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.current_dir(directory.path()).args(["test", "-f", "template.yaml", "constraint.yaml", "-f", "-"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), config_map("m", "hello").as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).to_lowercase().contains("broken pipe"));
}

#[cfg(target_os = "linux")]
#[test]
fn an_output_file_that_cannot_grow_is_an_error() {
    let directory = directory(&[("good.yaml", &config_map("m", "hello"))]);
    let mut command = Command::new("sh");
    // No file may have a byte, and a report says so.
    command.args(["-c", "trap '' XFSZ; ulimit -f 0; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_portcullis")]);
    command.args(["audit", "--policies", ".", "good.yaml", "--json", "report.json"]);
    let output = command.current_dir(directory.path()).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("error: "), "{stderr}");
    assert!(!directory.path().join("report.json").exists());
}

#[cfg(target_os = "linux")]
#[test]
fn an_output_file_is_not_written_through_a_link_beside_it() {
    let directory = directory(&[("good.yaml", &config_map("m", "hello"))]);
    let path = |name: &str| directory.path().join(name);
    fs::write(path("precious"), "kept").unwrap();
    std::os::unix::fs::symlink("precious", path("report.json.unfinished")).unwrap();
    run_in(directory.path(), &["audit", "--policies", ".", "good.yaml", "--json", "report.json"])
        .exits_with(1);
    assert_eq!(fs::read_to_string(path("precious")).unwrap(), "kept");
    assert!(fs::read_to_string(path("report.json")).unwrap().contains("hello"));
}

/// Whether a text is made of characters that XML 1.0 has.
fn is_xml_text(text: &str) -> bool {
    text.chars().all(|c| {
        matches!(c, '\t' | '\n' | '\r' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}')
    })
}

#[test]
fn junit_has_no_character_that_xml_has_not() {
    let odd: Vec<char> = (0..0x20)
        .chain([0x7f, 0x80, 0x9f, 0xfeff, 0xfffd, 0xfffe, 0xffff, 0x1_fffe, 0x10_ffff])
        .filter_map(char::from_u32)
        .collect();
    let directory = directory(&[("all.json", "")]);
    let objects: Vec<serde_json::Value> = odd
        .iter()
        .map(|c| {
            serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": format!("m-{:x}", u32::from(*c)), "namespace": "shop"}, "data": {"says": format!("x{c}y ]]> & <z")}})
        })
        .collect();
    let lines: Vec<_> = objects.iter().map(ToString::to_string).collect();
    fs::write(directory.path().join("all.json"), lines.join("\n")).unwrap();
    for args in [&["test", "-f", ".", "-o", "junit"][..], &["audit", "--policies", ".", ".", "-o", "junit"]] {
        let run = run_in(directory.path(), args).exits_with(1);
        assert!(is_xml_text(&run.stdout), "{}", run.stdout.escape_debug());
        assert!(run.stdout.matches("<failure").count() >= odd.len(), "{}", run.shown());
        assert!(run.stdout.contains("x\u{fffd}y ]]&gt; &amp; &lt;z"), "{}", run.stdout);
    }
}

#[test]
fn suites_take_the_first_document_of_a_file_and_say_what_they_leave() {
    let other = TEMPLATE.replace("says", "other").replace("Says", "Other");
    let suite = "apiVersion: test.gatekeeper.sh/v1alpha1\nkind: Suite\ntests:\n- name: t\n  template: both.yaml\n  constraint: two.yaml\n  cases:\n  - name: c\n    object: object.yaml\n    assertions: [{violations: 1, message: hello}]\n";
    let directory = directory(&[
        ("suite.yaml", suite),
        ("both.yaml", &format!("{TEMPLATE}---\n{other}")),
        ("two.yaml", &format!("# first\n{CONSTRAINT}---\n{}", CONSTRAINT.replace("name: says", "name: b"))),
        ("object.yaml", &config_map("m", "hello")),
    ]);
    let run = run_in(directory.path(), &["verify", ".", "-v"]).exits_with(0);
    let shown = run.shown();
    for place in ["both.yaml:13:1", "two.yaml:6:1"] {
        assert!(shown.contains(place), "{place}: {shown}");
    }
    assert!(shown.contains("this document is not used"), "{shown}");
    // Of what is tested there is one.
    let two = format!("{}---\n{}", config_map("m", "hello"), config_map("n", "no"));
    fs::write(directory.path().join("object.yaml"), two).unwrap();
    run_in(directory.path(), &["verify", "."]).exits_with(2);
}

#[test]
fn suites_take_objects_without_api_version_and_name() {
    let suite = "apiVersion: test.gatekeeper.sh/v1alpha1\nkind: Suite\ntests:\n- name: t\n  template: template.yaml\n  constraint: constraint.yaml\n  cases:\n  - name: c\n    object: object.yaml\n    assertions: [{violations: 1, message: 'odd \"\"'}]\n";
    let directory =
        directory(&[("suite.yaml", suite), ("object.yaml", "kind: Odd\nmetadata: {labels: {a: b}}\n")]);
    run_in(directory.path(), &["verify", "."]).exits_with(0);
    // Its kind it has to have, and elsewhere its version.
    let run = run_in(directory.path(), &["test", "-f", "."]).exits_with(2);
    assert!(run.stderr.contains("no `apiVersion`"), "{}", run.shown());
    fs::write(directory.path().join("object.yaml"), "metadata: {name: a}\n").unwrap();
    run_in(directory.path(), &["verify", "."]).exits_with(2);
}
