//! `portcullis test`: what is judged, how it is reported.

use std::fs;

use portcullis_report::{Form, TestReport};
use serde_json::Value;

use super::{Run, run, run_in, testdata};

const POD: &str =
    "apiVersion: v1\nkind: Pod\nmetadata: {name: piped, namespace: prod}\nspec: {containers: []}\n";

fn report(format: &str) -> Run {
    run_in(&testdata(), &["test", "-f", "policies", "-f", "manifests", "-o", format])
}

fn broken(format: &str) -> Run {
    let args = ["test", "-f", "policies", "-f", "manifests/pods.yaml", "broken", "-o", format];
    run_in(&testdata(), &[&args, template(format)].concat())
}

/// The flags that a form needs.
fn template(format: &str) -> &'static [&'static str] {
    if format == "template" { &["--template", "report.txt.j2"] } else { &[] }
}

fn findings(run: &Run) -> Vec<Value> {
    serde_json::from_str(&run.stdout).unwrap()
}

fn names(run: &Run) -> Vec<String> {
    let name = |finding: &Value| finding["violatingObject"]["metadata"]["name"].as_str().unwrap().to_owned();
    findings(run).iter().map(name).collect()
}

#[test]
fn human_report() {
    insta::assert_snapshot!(report("human").exits_with(1).shown());
}

#[test]
fn json_report() {
    insta::assert_snapshot!(report("json").exits_with(1).stdout);
}

#[test]
fn yaml_report() {
    insta::assert_snapshot!(report("yaml").exits_with(1).stdout);
}

#[test]
fn junit_report() {
    insta::assert_snapshot!(report("junit").exits_with(1).stdout);
}

#[test]
fn sarif_report() {
    insta::assert_snapshot!(report("sarif").exits_with(1).stdout);
}

#[test]
fn github_report() {
    insta::assert_snapshot!(report("github").exits_with(1).stdout);
}

#[test]
fn azuredevops_report() {
    insta::assert_snapshot!(report("azuredevops").exits_with(1).stdout);
}

#[test]
fn compact_report() {
    insta::assert_snapshot!(report("compact").exits_with(1).shown());
}

#[test]
fn markdown_report() {
    insta::assert_snapshot!(report("markdown").exits_with(1).stdout);
}

#[test]
fn gitlab_report() {
    insta::assert_snapshot!(report("gitlab").exits_with(1).stdout);
}

#[test]
fn tap_report() {
    insta::assert_snapshot!(report("tap").exits_with(1).stdout);
}

#[test]
fn csv_report() {
    insta::assert_snapshot!(report("csv").exits_with(1).stdout);
}

#[test]
fn checkstyle_report() {
    insta::assert_snapshot!(report("checkstyle").exits_with(1).stdout);
}

/// With all that the page may have: the lines of files, fixes, and why.
#[test]
fn html_report() {
    let args =
        ["test", "--policies", "template.yaml", "--policies", "constraint.yaml", "samples/unowned.yaml"];
    let asked = ["--explain", "--fixes", "-o", "html"];
    let run = run_in(&testdata().join("../explain"), &[&args[..], &asked].concat());
    insta::assert_snapshot!(run.exits_with(1).stdout);
}

/// Nothing of an object or a policy becomes markup, and the page runs nothing.
#[test]
fn what_is_hostile_is_text_in_html() {
    let folder = tempfile::tempdir().unwrap();
    let hostile = "<script>alert(1)</script><img src=x onerror=y>";
    let object = format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web, namespace: shop, labels: {{owner: \"{hostile}\"}}}}\nspec:\n  replicas: 1\n  template:\n    spec:\n      containers: [{{name: \"{hostile}\", image: \"{hostile}\"}}]\n"
    );
    std::fs::write(folder.path().join("web.yaml"), object).unwrap();
    let explain = testdata().join("../explain");
    let path = folder.path().join("web.yaml");
    for command in ["test", "explain"] {
        let args = [command, "--policies", "template.yaml", "--policies", "constraint.yaml", "-o", "html"];
        let more: &[&str] = if command == "test" { &["--explain"] } else { &[] };
        let run = run_in(&explain, &[&args[..], &[path.to_str().unwrap()], more].concat());
        assert!(run.stdout.contains("&lt;script&gt;alert(1)"), "{}", run.shown());
        assert!(!run.stdout.contains("<script") && !run.stdout.contains("<img"), "{}", run.stdout);
        assert!(run.stdout.contains("default-src 'none'"), "{}", run.stdout);
    }
}

/// Each form as if it were alone, in one run.
#[test]
fn several_reports_of_one_run_go_to_several_places() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let outputs = ["sarif", "compact", "markdown"].map(|form| format!("{form}={}", file(form).display()));
    let args = ["test", "-f", "policies", "-f", "manifests", "-o", "json"];
    let args: Vec<&str> = args.into_iter().chain(outputs.iter().flat_map(|one| ["-o", one])).collect();
    let run = run_in(&testdata(), &args).exits_with(1);
    assert_eq!(run.stdout, report("json").stdout);
    for form in ["sarif", "compact", "markdown"] {
        assert_eq!(fs::read_to_string(file(form)).unwrap(), report(form).stdout, "{form}");
    }
    // A file has no colours, a terminal would.
    let coloured = format!("human={}", file("human").display());
    let args = ["test", "-f", "policies", "-f", "manifests", "--color", "always", "-o", &coloured];
    let run = run_in(&testdata(), &args).exits_with(1);
    assert_eq!(run.stdout, "");
    assert!(!fs::read_to_string(file("human")).unwrap().contains('\u{1b}'));
    let twice = ["test", "-f", "policies", "-o", "json", "-o", "human"];
    assert!(run_in(&testdata(), &twice).exits_with(2).stderr.contains("both go to standard output"));
    let (one, other) = (format!("json={}", file("x").display()), format!("csv={}", file("x").display()));
    let twice = ["test", "-f", "policies", "-o", &one, "-o", &other];
    assert!(run_in(&testdata(), &twice).exits_with(2).stderr.contains("both go to the file"));
    let nowhere = format!("json={}", file("nowhere/x").display());
    let run =
        run_in(&testdata(), &["test", "-f", "policies", "-f", "manifests", "-o", &nowhere, "-o", "compact"]);
    let run = run.exits_with(2);
    assert!(
        run.stderr.contains("cannot be written") && run.stdout.contains("must-have-owner"),
        "{}",
        run.shown()
    );
}

#[test]
fn what_fails_is_what_somebody_asks_for() {
    let policies = |severity: &str, action: &str| {
        format!(
            "{{apiVersion: templates.gatekeeper.sh/v1, kind: ConstraintTemplate, metadata: {{name: never}}, spec: {{crd: {{spec: \
             {{names: {{kind: Never}}}}}}, targets: [{{target: admission.k8s.gatekeeper.sh, rego: \"package never\\nviolation[{{\\\"msg\\\": \\\"no\\\"}}] {{ true }}\"}}]}}}}\n\
             ---\n{{apiVersion: constraints.gatekeeper.sh/v1beta1, kind: Never, metadata: {{name: ever{severity}}}, spec: {{enforcementAction: {action}, match: {{kinds: [{{kinds: [Pod]}}]}}}}}}\n---\n{POD}"
        )
    };
    let severity = |word: &str| format!(", annotations: {{metadata.gatekeeper.sh/severity: {word}}}");
    for (word, action, fail_on, code) in [
        ("", "deny", "deny", 1),
        ("", "warn", "deny", 0),
        ("", "warn", "warn", 1),
        ("", "dryrun", "warn", 0),
        ("", "deny", "none", 0),
        // Nobody said that it is not grave.
        ("", "deny", "critical", 1),
        ("high", "deny", "critical", 0),
        ("high", "deny", "high", 1),
        ("high", "deny", "medium", 1),
        ("critical", "warn", "low", 0),
    ] {
        let severity = if word.is_empty() { String::new() } else { severity(word) };
        let args = ["test", "-", "--fail-on", fail_on];
        run(&testdata(), &args, Some(&policies(&severity, action))).exits_with(code);
    }
    // What could not be evaluated did not pass.
    let broken = policies("", "deny").replace("{ true }", "{ 1 / 0 == 1 }").replace("true", "1");
    let broken = broken.replace("1 / 0 == 1", "count(numbers.range(1, 100000000)) > 0");
    run(&testdata(), &["test", "-", "--fail-on", "none"], Some(&broken)).exits_with(1);
}

/// As many findings as made people ask for it: a comment takes 64 KiB, and nobody reads 1,400 lines.
#[test]
fn many_findings_fit_into_a_comment_and_onto_few_lines() {
    let policies = fs::read_to_string(testdata().join("policies/templates.yaml")).unwrap()
        + "\n---\n"
        + &fs::read_to_string(testdata().join("policies/constraints.yaml")).unwrap();
    let pods: String = (0..124)
        .flat_map(|number| ["\n---\n".to_owned(), POD.replace("piped", &format!("p{number}"))])
        .collect();
    let text = policies + &pods;
    let run = |form: &[&str]| {
        let args: Vec<&str> = ["test", "-", "--deny-only", "-o"].iter().chain(form).copied().collect();
        super::run(&testdata(), &args, Some(&text)).exits_with(1).stdout
    };
    let compact = run(&["compact"]);
    assert_eq!(compact.lines().filter(|line| line.contains("must-have-owner")).count(), 124);
    assert!(compact.lines().count() <= 124 + 6, "{}", compact.lines().count());
    let markdown = run(&["markdown"]);
    assert!(markdown.len() < 64 << 10 && markdown.matches("the label").count() == 124, "{}", markdown.len());
    for most in [0, 100, 1000, 5000, 10_000] {
        let short = run(&["markdown", "--max-bytes", &most.to_string()]);
        assert!(short.len() <= most, "{} of {most}", short.len());
        assert_eq!(short.matches("<details>").count(), short.matches("</details>").count());
        assert!(!(1000..10_000).contains(&most) || short.contains(" more"), "{short}");
    }
}

#[test]
fn broken_input_does_not_hide_findings() {
    insta::assert_snapshot!(broken("human").exits_with(2).shown());
}

#[test]
fn broken_input_is_in_every_report() {
    let junit = broken("junit").exits_with(2);
    assert!(
        junit.stdout.contains("input: syntax") && junit.stdout.contains("type=\"deny\""),
        "{}",
        junit.stdout
    );
    let github = broken("github").exits_with(2);
    assert!(github.stdout.contains("::error file=broken/syntax.yaml,line=4"), "{}", github.stdout);
    let sarif: Value = serde_json::from_str(&broken("sarif").exits_with(2).stdout).unwrap();
    let invocation = &sarif["runs"][0]["invocations"][0];
    assert_eq!(invocation["executionSuccessful"], false);
    assert!(!invocation["toolExecutionNotifications"].as_array().unwrap().is_empty());
    for form in Form::of::<TestReport>() {
        let run = broken(form.name()).exits_with(2);
        // Those that have no place for it say it to people.
        assert_eq!(run.stderr.contains("error[syntax]"), !form.has_problems(), "{form:?}: {}", run.stderr);
        assert!(!form.has_problems() || run.stdout.contains("syntax"), "{form:?}: {}", run.stdout);
        assert!(run.stdout.contains("fixed-images"), "{form:?}: {}", run.stdout);
    }
}

#[test]
fn nothing_found_is_an_empty_list_and_success() {
    let args = ["test", "-f", "policies", "-", "--quiet", "-o"];
    let good = "{apiVersion: v1, kind: Pod, metadata: {name: a, labels: {owner: b}}}";
    for (format, nothing) in [("json", "[]\n"), ("yaml", "[]\n"), ("github", ""), ("human", "")] {
        let run = run(&testdata(), &[&args[..], &[format]].concat(), Some(good)).exits_with(0);
        assert_eq!((run.stdout.as_str(), run.stderr.as_str()), (nothing, ""), "{format}");
    }
    let human = run(&testdata(), &args[..4], Some(good)).exits_with(0).stdout;
    assert_eq!(
        human,
        "nothing found in 1 object; 4 policies, 5 constraints; \
         1 object names no namespace: taken to be in `default`; 1 warning about the input\n"
    );
}

#[test]
fn reports_do_not_depend_on_the_number_of_threads() {
    for form in Form::of::<TestReport>() {
        let args = |jobs| ["test", "-f", ".", "-o", form.name(), "--jobs", jobs];
        let with = |jobs| run_in(&testdata(), &[&args(jobs), template(form.name())].concat());
        let (one, four) = (with("1"), with("4"));
        assert_eq!(one.shown(), four.shown(), "{form:?}");
        assert_eq!(one.code, four.code);
    }
}

#[test]
fn standard_input_is_read_without_being_asked_for() {
    let run = run(&testdata(), &["test", "-f", "policies", "-o", "json"], Some(POD)).exits_with(1);
    assert_eq!(names(&run), ["piped"]);
    assert_eq!(findings(&run)[0]["location"]["file"], "<stdin>");
}

#[test]
fn an_empty_standard_input_is_no_error_beside_files() {
    let args = ["test", "-f", "policies", "-f", "manifests", "-o", "json"];
    assert_eq!(run(&testdata(), &args, Some("")).exits_with(1).stderr, "");
}

#[test]
fn too_little_input_is_an_error_that_helps() {
    for (args, expected) in [
        (&["test"][..], "there is nothing to read"),
        (&["test", "manifests"], "no policies were given"),
        (&["test", "policies"], "no objects were given to judge"),
        (&["test", "policies/templates.yaml", "manifests"], "no constraint that uses one"),
    ] {
        let run = run_in(&testdata(), args).exits_with(2);
        assert!(run.stderr.contains(expected) && run.stderr.contains("help:"), "{expected}:\n{}", run.stderr);
    }
    run(&testdata(), &["test"], Some("")).exits_with(2);
}

#[test]
fn deny_only_leaves_warnings_out() {
    let run = run_in(
        &testdata(),
        &["test", "-f", ".", "-f", "policies", "-f", "manifests", "--deny-only", "-o", "json"],
    );
    let denies = |finding: &Value| {
        let scoped =
            finding["scopedActions"].as_array().is_some_and(|actions| actions.contains(&"deny".into()));
        finding["enforcementAction"] == "deny" || scoped
    };
    assert!(!findings(&run).is_empty() && findings(&run).iter().all(denies));
}

#[test]
fn policies_are_taken_from_a_directory_without_its_samples() {
    let directory = tempfile::tempdir().unwrap();
    let policies = directory.path().join("policies");
    fs::create_dir(&policies).unwrap();
    for name in ["templates.yaml", "constraints.yaml"] {
        fs::copy(testdata().join("policies").join(name), policies.join(name)).unwrap();
    }
    fs::write(policies.join("sample.yaml"), POD.replace("piped", "sample")).unwrap();
    fs::write(directory.path().join("pod.yaml"), POD).unwrap();
    let run =
        run_in(directory.path(), &["test", "--policies", "policies", "pod.yaml", "-o", "json"]).exits_with(1);
    assert_eq!(names(&run), ["piped"]);
}

#[test]
fn inventory_is_compared_with_but_not_judged() {
    let args =
        ["test", "-f", "policies", "-f", "manifests/ingress.json", "--inventory", "manifests", "-o", "json"];
    let run = run_in(&testdata(), &args).exits_with(0);
    assert_eq!(names(&run), ["shop"]);
}

#[test]
fn objects_of_the_same_name_are_judged_and_reported() {
    let directory = tempfile::tempdir().unwrap();
    for name in ["a.yaml", "b.yaml"] {
        fs::write(directory.path().join(name), POD).unwrap();
    }
    let policies = testdata().join("policies");
    let args = ["test", "-p", policies.to_str().unwrap(), ".", "-o", "json"];
    let run = run_in(directory.path(), &args).exits_with(1);
    assert_eq!(names(&run), ["piped", "piped"]);
    assert!(run.stderr.contains("defined a second time; the first is at a.yaml:1:1"), "{}", run.stderr);
    // The same file given twice is read once.
    let run = run_in(directory.path(), &[&args[..], &["-f", "a.yaml", "-f", "./a.yaml"]].concat());
    assert_eq!(names(&run), ["piped", "piped"]);
}

#[test]
fn admission_reviews_are_judged_as_requests() {
    let create = r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"1","operation":"CREATE","namespace":"prod","object":{"apiVersion":"v1","kind":"Pod","metadata":{"name":"created"}}}}"#;
    let delete = r#"{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"2","operation":"DELETE","namespace":"prod","oldObject":{"apiVersion":"v1","kind":"Pod","metadata":{"name":"deleted"}}}}"#;
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("requests.jsonl"), format!("{create}\n{delete}\n{create}\n")).unwrap();
    let policies = testdata().join("policies");
    let run = run_in(directory.path(), &["test", "-f", policies.to_str().unwrap(), "-f", ".", "-o", "json"]);
    let run = run.exits_with(1);
    assert_eq!(names(&run), ["created", "deleted", "created"]);
    assert_eq!(findings(&run)[1]["location"]["line"], 2);
    assert!(!run.stderr.contains("second time"), "{}", run.stderr);
}

#[test]
fn the_namespace_default_need_not_be_given() {
    // `team-quota` selects it by its label.
    let args = ["test", "-f", "policies", "-f", "manifests/deployment.yaml", "-o", "json"];
    let run = run_in(&testdata(), &args).exits_with(1);
    assert_eq!(findings(&run)[0]["constraint"]["metadata"]["name"], "team-quota");
}

#[test]
fn manifests_cannot_speak_to_the_terminal() {
    let pod = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a\u001b[31m\u202e"},"spec":{"containers":[{"name":"\u001b]0;title\u0007","image":"x:latest"}]}}"#;
    let run = run(&testdata(), &["test", "-f", "policies", "-v"], Some(pod)).exits_with(1);
    assert!(!run.shown().contains(['\u{1b}', '\u{7}', '\u{202e}']), "{:?}", run.shown());
    assert!(run.stdout.contains("\\u{1b}]0;title"), "{}", run.stdout);
    // For machines, too: who writes a form writes nothing that a terminal obeys. Characters that reorder text are what they are there.
    for form in Form::of::<TestReport>() {
        let args = ["test", "-f", "policies", "-q", "-", "-o", form.name()];
        let args = [&args, template(form.name())].concat();
        let shown = super::run(&testdata(), &args, Some(pod)).shown();
        let is_obeyed = |c: char| c.is_control() && c != '\n' && c != '\t';
        assert!(shown.contains("title") && !shown.contains(is_obeyed), "{form:?}: {shown:?}");
    }
}

#[test]
fn colours_are_used_when_asked_for() {
    let colours = |when| run_in(&testdata(), &["test", ".", "--color", when]).stdout.contains("\u{1b}[");
    assert!(colours("always"));
    assert!(!colours("auto"));
    assert!(!colours("never"));
}

#[test]
fn scripts_for_gator_pass_their_flags() {
    let args = ["test", "--filename=policies", "--filename=manifests", "--output=json", "--deny-only"];
    let flags = [&args[..], &["--enable-k8s-native-validation=true"]].concat();
    assert_eq!(run_in(&testdata(), &flags).exits_with(1).stdout, run_in(&testdata(), &args).stdout);
}

#[test]
fn platforms_get_paths_inside_of_the_checkout() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path().canonicalize().unwrap();
    fs::write(directory.join("a pod.yaml"), POD).unwrap();
    let (policies, pod) = (testdata().join("policies"), directory.join("a pod.yaml"));
    let report = |format| {
        let args = ["test", "-p", policies.to_str().unwrap(), pod.to_str().unwrap(), "-o", format];
        run_in(&directory, &args).exits_with(1).stdout
    };
    assert!(report("github").contains("::error file=a pod.yaml,line=3,"));
    assert!(report("sarif").contains(r#""uri": "a%20pod.yaml""#));
}

#[cfg(unix)]
#[test]
fn pipes_are_files_too() {
    let script =
        format!("{} test -p policies <(cat manifests/pods.yaml) -o json", env!("CARGO_BIN_EXE_portcullis"));
    let mut bash = std::process::Command::new("bash");
    let Ok(output) = bash.args(["-c", &script]).current_dir(testdata()).output() else {
        eprintln!("not tested: there is no bash");
        return;
    };
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).contains("/dev/fd/"));
}

#[cfg(unix)]
#[test]
fn a_reader_that_hangs_up_is_no_error() {
    // As much as is written at once.
    let script =
        format!("{} test policies manifests -o json | head -1; wait", env!("CARGO_BIN_EXE_portcullis"));
    let mut bash = std::process::Command::new("bash");
    let Ok(output) = bash.args(["-c", &script]).current_dir(testdata()).output() else {
        eprintln!("not tested: there is no bash");
        return;
    };
    assert!(!String::from_utf8_lossy(&output.stderr).contains("ipe"), "{:?}", output.stderr);
}

#[test]
fn suites_are_left_to_verify() {
    let run = run_in(&testdata(), &["test", "policies", "manifests", "suites/broken/unreadable-suite.yaml"]);
    assert_eq!(run.exits_with(1).stderr, "");
}
