//! Reports by somebody's own template, traces, and what templates cost.

use std::fs;

use serde_json::Value;

use crate::{run_in, testdata};

const POLICY: &str = r#"apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: nolatest}
spec:
  crd: {spec: {names: {kind: NoLatest}, validation: {openAPIV3Schema: {type: object, properties: {strict: {type: boolean}}}}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package nolatest
      violation[{"msg": msg, "details": {"tag": "latest"}}] {
        print("looked at", input.review.object.metadata.name)
        endswith(input.review.object.spec.containers[_].image, ":latest")
        msg := "<b>latest</b>"
      }
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: NoLatest
metadata: {name: none}
spec: {parameters: {strict: true}}
"#;

const PODS: &str = "{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: shop}, spec: {containers: [{name: c, image: 'x:latest'}]}}\n---\n\
                    {apiVersion: v1, kind: Pod, metadata: {name: b, namespace: shop}, spec: {containers: [{name: c, image: 'x:1'}]}}\n";

fn repository() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("policy.yaml"), POLICY).unwrap();
    fs::write(directory.path().join("pods.yaml"), PODS).unwrap();
    directory
}

#[test]
fn a_template_is_rendered_with_what_json_has() {
    let repository = repository();
    let path = repository.path();
    let template = "{{ command }}: {{ counts.denied }} denied\n{% for one in report %}{{ one.location.file }}:{{ one.location.line }} {{ one.msg }}\n{% endfor %}";
    for (name, message) in [("out.md.j2", "<b>latest</b>"), ("out.html.j2", "&lt;b&gt;latest&lt;/b&gt;")] {
        fs::write(path.join(name), template).unwrap();
        let args = ["test", "-p", "policy.yaml", "pods.yaml", "-o", "template", "--template", name];
        let run = run_in(path, &args).exits_with(1);
        assert_eq!(run.stdout.replace("&#x2f;", "/"), format!("test: 1 denied\npods.yaml:1 {message}\n"));
        let both = [&args[..4], &["-o", "human", "-o", "template=out.txt", "--template", name]].concat();
        run_in(path, &both).exits_with(1);
        assert!(fs::read_to_string(path.join("out.txt")).unwrap().starts_with("test: 1 denied"));
    }
    // Mistakes are known before anything is judged, or say where they are.
    for (text, part) in [
        ("a\n{% for %}", "t.txt:2:"),
        ("a\n{{ counts.dened }}", "t.txt:2:"),
        ("{% include 'x' %}", "t.txt:1:"),
    ] {
        fs::write(path.join("t.txt"), text).unwrap();
        let run = run_in(
            path,
            &["test", "-p", "policy.yaml", "pods.yaml", "-o", "template", "--template", "t.txt"],
        )
        .exits_with(2);
        assert!(run.stderr.contains(part), "{text}: {}", run.shown());
    }
    let needs = |args: &[&str]| run_in(path, args).exits_with(2).stderr;
    assert!(needs(&["test", "-p", "policy.yaml", "pods.yaml", "-o", "template"]).contains("--template FILE"));
    assert!(needs(&["lint", "policy.yaml", "-o", "template", "--template", "no.txt"]).contains("no.txt"));
}

/// A snapshot that is called as those of all forms are.
fn shown(command: &str, text: &str) {
    insta::with_settings!({prepend_module_to_snapshot => false}, {
        insta::assert_snapshot!(format!("cli__{command}__template_report"), text);
    });
}

#[test]
fn template_report() {
    let template = "{{ command }} {{ counts.denied }} {{ counts.objects }}\n{% for one in report %}{{ one.constraint.kind }}/{{ one.constraint.metadata.name }}: {{ one.msg }}\n{% endfor %}";
    let repository = repository();
    let path = repository.path();
    fs::write(path.join("t.txt"), template).unwrap();
    let run =
        run_in(path, &["test", "-p", "policy.yaml", "pods.yaml", "-o", "template", "--template", "t.txt"])
            .exits_with(1);
    shown("test", &run.stdout);
    let lint = "{{ command }} {{ counts.errors }} {{ counts.warnings }}{% for one in report.findings %} {{ one.rule }}{% endfor %}\n";
    fs::write(path.join("t.txt"), lint).unwrap();
    let run = run_in(path, &["lint", "policy.yaml", "-o", "template", "--template", "t.txt"]);
    shown("lint", &run.stdout);
    let verify = "{{ command }} {{ report.passed }} {{ counts.tests }}{% for suite in report.suites %} {{ suite.status }}{% endfor %}\n";
    fs::write(path.join("t.txt"), verify).unwrap();
    fs::write(path.join("suite.yaml"), "apiVersion: test.gatekeeper.sh/v1alpha1\nkind: Suite\ntests:\n- {name: a, template: template.yaml, constraint: constraint.yaml}\n").unwrap();
    let (template, constraint) = POLICY.split_once("---\n").unwrap();
    fs::write(path.join("template.yaml"), template).unwrap();
    fs::write(path.join("constraint.yaml"), constraint).unwrap();
    let run = run_in(path, &["verify", "suite.yaml", "-o", "template", "--template", "t.txt"]);
    shown("verify", &run.stdout);
}

#[test]
fn a_trace_says_how_a_policy_came_to_its_verdict() {
    let repository = repository();
    let path = repository.path();
    let run =
        run_in(path, &["test", "-p", "policy.yaml", "pods.yaml", "-t", "--color", "never"]).exits_with(1);
    let steps = regex::Regex::new(r"\d+ steps").unwrap();
    insta::assert_snapshot!(steps.replace_all(&run.stdout, "N steps"));
    let run =
        run_in(path, &["test", "-p", "policy.yaml", "pods.yaml", "--trace=true", "-o", "json"]).exits_with(1);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    let trace = report[0]["trace"].as_str().unwrap();
    assert!(trace.contains("parameters: {\"strict\":true}\nprinted: looked at a\n"), "{trace}");
    let run = run_in(path, &["test", "-p", "policy.yaml", "pods.yaml", "-o", "json"]).exits_with(1);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report[0]["trace"], Value::Null);
    // Long traces are cut, and the number of threads does not matter.
    let loud = POLICY.replace(
        "print(\"looked at\", input.review.object.metadata.name)",
        "print(concat(\"\", [x | x := numbers.range(1, 5000)[_] > 0; x]))",
    );
    let loud =
        if loud == POLICY { POLICY.to_owned() } else { POLICY.replace("looked at", &"x".repeat(3000)) };
    fs::write(path.join("policy.yaml"), loud).unwrap();
    let of = |jobs: &str| {
        run_in(path, &["test", "-p", "policy.yaml", "pods.yaml", "-t", "-o", "json", "-j", jobs])
            .exits_with(1)
            .stdout
    };
    assert_eq!(of("1"), of("4"));
    let report: Value = serde_json::from_str(&of("2")).unwrap();
    assert!(report[0]["trace"].as_str().unwrap().len() < 8 << 10);
    run_in(path, &["test", "-p", "policy.yaml", "pods.yaml", "-t", "-o", "csv"]).exits_with(2);
    run_in(path, &["exceptions", "-p", "policy.yaml", "pods.yaml", "-t"]).exits_with(2);
}

#[test]
fn stats_are_those_of_gator() {
    let repository = repository();
    let path = repository.path();
    let run =
        run_in(path, &["test", "-p", "policy.yaml", "pods.yaml", "--stats", "-o", "json"]).exits_with(1);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(report["results"].as_array().unwrap().len(), 1);
    let entry = &report["stats"][0];
    assert_eq!((&entry["scope"], &entry["statsFor"]), (&Value::from("template"), &Value::from("NoLatest")));
    let names: Vec<&str> =
        entry["stats"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["templateRunTimeNS", "constraintCount", "steps"]);
    let value = |index: usize| entry["stats"][index]["value"].as_u64().unwrap();
    assert!(value(0) > 0 && value(1) == 1 && value(2) > 0, "{entry}");
    let yaml = run_in(path, &["test", "-p", "policy.yaml", "pods.yaml", "--stats", "-o", "yaml"])
        .exits_with(1)
        .stdout;
    assert!(yaml.starts_with("results:\n") && yaml.contains("statsFor: NoLatest"), "{yaml}");
    let run = run_in(path, &["test", "-p", "policy.yaml", "pods.yaml", "--stats"]).exits_with(2);
    assert!(run.stderr.contains("`-o json`"), "{}", run.shown());
}

/// Every flag of gator's commands is taken, or says what to use. Images are fetched by flags of their own.
#[test]
fn every_flag_of_gator_is_taken_or_says_what_to_use() {
    let repository = repository();
    let path = repository.path();
    let test = ["test", "-f", "policy.yaml", "-f", "pods.yaml"];
    let verify = ["verify", "."];
    let expand = ["expand", "-n", "pods.yaml"];
    let bench = ["bench", "-f", "policy.yaml", "-f", "pods.yaml", "-n", "1", "--warmup", "0"];
    let sync = ["sync", "test", "-n", "policy.yaml"];
    let taken: [(&[&str], &[&str]); 45] = [
        (&test, &["--filename=pods.yaml"]),
        (&test, &["--output=json"]),
        (&test, &["-o", "yaml"]),
        (&test, &["--trace"]),
        (&test, &["-t=true"]),
        (&test, &["--stats", "-o=json"]),
        (&test, &["--enable-k8s-native-validation=true"]),
        (&test, &["--default-k8s-native-validation-failure-policy=Fail"]),
        (&test, &["--deny-only"]),
        (&test, &["--deny-only=false"]),
        (&test, &["--verbose"]),
        (&test, &["-v"]),
        (&verify, &["--run=a"]),
        (&verify, &["-r", "a"]),
        (&verify, &["--verbose=true"]),
        (&verify, &["-v"]),
        (&verify, &["--enable-k8s-native-validation"]),
        (&verify, &["--default-k8s-native-validation-failure-policy", "Fail"]),
        (&expand, &["--filename", "pods.yaml"]),
        (&expand, &["--format=yaml"]),
        (&expand, &["-f", "json"]),
        (&expand, &["--outputfile=out.yaml"]),
        (&expand, &["-o", "out.yaml"]),
        (&bench, &["--filename=pods.yaml"]),
        (&bench, &["--engine=rego"]),
        (&bench, &["-e", "rego"]),
        (&bench[..5], &["--iterations=1"]),
        (&bench[..7], &["--warmup=0"]),
        (&bench, &["--concurrency=1"]),
        (&bench, &["-c", "1"]),
        (&bench, &["--output=json"]),
        (&bench, &["-o", "yaml"]),
        (&bench, &["--stats"]),
        (&bench, &["--save=saved.json"]),
        (&bench, &["--compare=saved.json"]),
        (&bench, &["--threshold=1000"]),
        (&bench, &["--min-threshold=1s"]),
        (&sync, &["--filename=policy.yaml"]),
        (&sync, &["--force-omit-gvk-manifest"]),
        (&sync, &["--force-omit-gvk-manifest=true"]),
        (&sync, &["--omit-gvk-manifest"]),
        (&sync, &["-f"]),
        (&["version"], &[]),
        (&["policy", "list"], &["--output=json"]),
        (&["--version"], &[]),
    ];
    for (command, flags) in taken {
        let run = run_in(path, &[command, flags].concat());
        assert!(
            !run.stderr.contains("error: unexpected")
                && !run.stderr.contains("error: invalid")
                && !run.stderr.contains("For more information"),
            "{command:?} {flags:?}: {}",
            run.shown()
        );
    }
    let refused: [(&[&str], &[&str], &str); 15] = [
        (&test, &["--default-k8s-native-validation-failure-policy=Ignore"], "failurePolicy: Ignore"),
        (&verify, &["-t"], "portcullis test --trace"),
        (&verify, &["--trace=true"], "portcullis test --trace"),
        (&bench, &["--memory"], "count-allocations"),
        (&bench, &["--engine=cel"], "rego"),
        (&sync, &["-i", "registry/x"], "name their folder"),
        (&sync, &["--image=registry/x"], "name their folder"),
        (&sync, &["--plain-http"], "name their folder"),
        (&sync, &["--tempdir=x"], "name their folder"),
        (&["policy"], &["search", "x", "--category=y", "--bundle=z", "-o", "json"], "catalog.yaml"),
        (
            &["policy"],
            &["install", "--bundle", "x", "--dry-run", "--enforcement-action=warn", "--output=table"],
            "catalog.yaml",
        ),
        (
            &["policy"],
            &["upgrade", "x", "--all", "--bundle", "x", "--dry-run", "--enforcement-action=warn", "-o=json"],
            "catalog.yaml",
        ),
        (&["policy"], &["uninstall", "x", "--dry-run", "-o", "json"], "remove the policy's folder"),
        (&["policy"], &["update", "--insecure"], "`--catalog`"),
        (
            &["policy"],
            &["generate-catalog", "--library-path=x", "--name=y", "--base-url=z"],
            "gator policy generate-catalog",
        ),
    ];
    for (command, flags, sentence) in refused {
        let run = run_in(path, &[command, flags].concat()).exits_with(2);
        assert!(run.stderr.contains(sentence), "{command:?} {flags:?}: {}", run.shown());
    }
}

const SYNC: &str = r#"apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata:
  name: uniqueingress
  annotations:
    metadata.gatekeeper.sh/requires-sync-data: |
      "[[{"groups": ["extensions", "networking.k8s.io"], "versions": ["v1beta1", "v1"], "kinds": ["Ingress"]}], [{"groups": [""], "versions": ["v1"], "kinds": ["Service"]}]]"
spec:
  crd: {spec: {names: {kind: UniqueIngress}}}
  targets: [{target: admission.k8s.gatekeeper.sh, rego: "package uniqueingress\nviolation[{\"msg\": \"x\"}] { data.inventory.namespace[_][_].Ingress[_] }\n"}]
---
apiVersion: config.gatekeeper.sh/v1alpha1
kind: Config
metadata: {name: config, namespace: gatekeeper-system}
spec: {sync: {syncOnly: [{group: "", version: v1, kind: Service}]}}
"#;

#[test]
fn what_templates_need_is_compared_with_what_is_synced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    fs::write(path.join("policy.yaml"), SYNC).unwrap();
    let syncs = "apiVersion: syncset.gatekeeper.sh/v1alpha1\nkind: SyncSet\nmetadata: {name: a}\nspec: {gvks: [{group: networking.k8s.io, version: v1, kind: Ingress}]}\n";
    fs::write(path.join("syncset.yaml"), syncs).unwrap();
    // The forms of gator's manual, and of its type.
    let list = "apiVersion: gvkmanifest.gatekeeper.sh/v1alpha1\nkind: GVKManifest\nmetadata: {name: all}\nspec: {groups: [{name: '', versions: [{name: v1, kinds: [Service]}]}]}\n";
    let map = list.replace(
        "[{name: '', versions: [{name: v1, kinds: [Service]}]}]",
        "{'': {v1: [Service]}, networking.k8s.io: {v1: [Ingress]}}",
    );
    fs::write(path.join("list.yaml"), list).unwrap();
    fs::write(path.join("map.yaml"), map).unwrap();
    let run = run_in(path, &["sync", "test", "-n", "policy.yaml", "-f", "--color", "never"]).exits_with(1);
    insta::assert_snapshot!(run.shown());
    run_in(path, &["sync", "test", "-n", "policy.yaml", "-n", "syncset.yaml", "-f"]).exits_with(0);
    run_in(path, &["sync", "test", "-n", "policy.yaml", "-n", "syncset.yaml", "-n", "map.yaml"])
        .exits_with(0);
    // The cluster does not know what is synced.
    let run = run_in(path, &["sync", "test", "-n", "policy.yaml", "-n", "syncset.yaml", "-n", "list.yaml"])
        .exits_with(1);
    assert!(
        run.stderr.contains("networking.k8s.io/v1:Ingress") && !run.stderr.contains("/v1:Service"),
        "{}",
        run.shown()
    );
    let broken = |text: &str, args: &[&str]| {
        fs::write(path.join("other.yaml"), text).unwrap();
        run_in(path, &[&["sync", "test", "-n", "other.yaml"], args].concat()).exits_with(2).stderr
    };
    assert!(broken(SYNC, &[]).contains("GVKManifest"));
    assert!(broken(SYNC, &["-n", "policy.yaml", "-f"]).contains("second Config"));
    assert!(broken(syncs, &["-f"]).contains("no templates were given"));
    assert!(
        broken(&SYNC.replace("\"groups\": [\"\"]", "\"group\": [\"\"]"), &["-f"]).contains("other.yaml:6:")
    );
    assert!(broken(&SYNC.replace("[[{", "[{"), &["-f"]).contains("expected"));
    assert!(broken(list, &["-n", "map.yaml", "-n", "policy.yaml"]).contains("second GVKManifest"));
    run_in(&testdata(), &["sync", "test", "-f"]).exits_with(2);
}
