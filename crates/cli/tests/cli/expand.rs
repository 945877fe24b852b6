//! What objects imply: `expand`, and `test` and `verify` with expansion templates.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{Run, run, run_in};

const POLICY: &str = r#"apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: privileged}
spec:
  crd: {spec: {names: {kind: Privileged}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package privileged
      violation[{"msg": msg}] {
        container := input.review.object.spec.containers[_]
        container.securityContext.privileged
        msg := sprintf("container %v is privileged", [container.name])
      }
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: Privileged
metadata: {name: pods}
spec: {match: {kinds: [{apiGroups: [""], kinds: [Pod]}]}}
"#;

const WORKLOADS: &str = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
  namespace: shop
spec:
  template:
    spec:
      containers:
      - name: sidecar
        image: proxy:2
      - name: web
        image: web:1
        securityContext:
          privileged: true
---
apiVersion: batch/v1
kind: CronJob
metadata:
  name: nightly
  namespace: shop
spec:
  schedule: 0 2 * * *
  jobTemplate:
    spec:
      template:
        spec:
          containers:
          - name: job
            image: job:1
            securityContext: {privileged: true}
";

const EXPANSION: &str = "apiVersion: expansion.gatekeeper.sh/v1beta1
kind: ExpansionTemplate
metadata: {name: deployments}
spec:
  applyTo: [{groups: [apps], kinds: [Deployment], versions: [v1]}]
  templateSource: spec.template
  generatedGVK: {group: '', version: v1, kind: Pod}
";

const MUTATOR: &str = "apiVersion: mutations.gatekeeper.sh/v1
kind: Assign
metadata: {name: unprivileged}
spec:
  applyTo: [{groups: [''], kinds: [Pod], versions: [v1]}]
  match: {source: Generated}
  location: 'spec.containers[name: *].securityContext.privileged'
  parameters: {assign: {value: false}}
";

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn judge(folder: &Path, args: &[&str]) -> Run {
    run_in(folder, &[&["test", "-p", "policy.yaml", "-o", "json"], args].concat())
}

/// Message, line, column and field of each finding.
fn findings(run: &Run) -> Vec<(String, u64, u64, String)> {
    let items: Vec<Value> = serde_json::from_str(&run.stdout).unwrap();
    let shown = |item: &Value| {
        let place = &item["location"];
        let number = |key: &str| place[key].as_u64().unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (text(&item["msg"]), number("line"), number("column"), text(&place["path"]))
    };
    items.iter().map(shown).collect()
}

fn found(by: &str, container: &str, line: u64, column: u64, field: &str) -> (String, u64, u64, String) {
    (format!("[Implied by {by}] container {container} is privileged"), line, column, field.to_owned())
}

const IN_DEPLOYMENT: &str = "spec.template.spec.containers[1].securityContext.privileged";
const IN_CRON_JOB: &str = "spec.jobTemplate.spec.template.spec.containers[0].securityContext.privileged";

#[test]
fn workloads_are_judged_by_their_pods_where_the_container_is() {
    let folder = folder(&[("policy.yaml", POLICY), ("workloads.yaml", WORKLOADS)]);
    let run = judge(folder.path(), &["workloads.yaml"]).exits_with(0);
    assert_eq!(run.stdout, "[]\n", "nothing is expanded unless somebody says so");
    let run = judge(folder.path(), &["workloads.yaml", "--expand", "workloads"]).exits_with(1);
    let by = "--expand workloads";
    assert_eq!(
        findings(&run),
        [found(by, "web", 15, 11, IN_DEPLOYMENT), found(by, "job", 31, 31, IN_CRON_JOB)]
    );
}

#[test]
fn a_template_that_does_the_same_as_the_flag_makes_no_second_finding() {
    let files = [("policy.yaml", POLICY), ("workloads.yaml", WORKLOADS), ("expansion.yaml", EXPANSION)];
    let folder = folder(&files);
    let run = judge(folder.path(), &["workloads.yaml", "expansion.yaml"]).exits_with(1);
    assert_eq!(findings(&run), [found("deployments", "web", 15, 11, IN_DEPLOYMENT)]);
    // From where only policies are taken, they come as well.
    let run = judge(folder.path(), &["-p", "expansion.yaml", "workloads.yaml", "--expand", "workloads"])
        .exits_with(1);
    let expected = [
        found("deployments", "web", 15, 11, IN_DEPLOYMENT),
        found("--expand workloads", "job", 31, 31, IN_CRON_JOB),
    ];
    assert_eq!(findings(&run), expected);
}

#[test]
fn a_policy_that_knows_workloads_itself_says_it_once() {
    let policy = POLICY
        .replace(
            "container := input.review.object.spec.containers[_]",
            "paths := [[\"spec\", \"containers\"], [\"spec\", \"template\", \"spec\", \"containers\"]]\n        container := object.get(input.review.object, paths[_], [])[_]",
        )
        .replace("apiGroups: [\"\"], kinds: [Pod]", "apiGroups: [\"*\"], kinds: [Pod, Deployment]");
    let folder = folder(&[("policy.yaml", &policy), ("workloads.yaml", WORKLOADS)]);
    let run = judge(folder.path(), &["workloads.yaml", "--expand", "workloads"]).exits_with(1);
    let messages: Vec<String> = findings(&run).into_iter().map(|(message, ..)| message).collect();
    assert_eq!(
        messages,
        ["container web is privileged", "[Implied by --expand workloads] container job is privileged"]
    );
}

#[test]
fn mutators_change_what_is_implied_before_it_is_judged() {
    let files = [
        ("policy.yaml", POLICY),
        ("workloads.yaml", WORKLOADS),
        ("expansion.yaml", EXPANSION),
        ("mutator.yaml", MUTATOR),
    ];
    let folder = folder(&files);
    let run = judge(folder.path(), &["workloads.yaml", "expansion.yaml", "mutator.yaml"]).exits_with(0);
    assert_eq!(run.stdout, "[]\n");
    assert!(run.stderr.contains("these are judged as they are"), "{}", run.stderr);
    let run = run_in(folder.path(), &["expand", "-n", "."]).exits_with(0);
    assert!(run.stdout.contains("privileged: false"), "{}", run.stdout);
}

#[test]
fn what_is_found_in_a_mutated_list_is_where_it_was_written() {
    let mutator = "apiVersion: mutations.gatekeeper.sh/v1
kind: ModifySet
metadata: {name: fewer}
spec:
  applyTo: [{groups: [''], kinds: [Pod], versions: [v1]}]
  location: spec.containers
  parameters: {operation: prune, values: {fromList: [{name: sidecar, image: 'proxy:2'}]}}
";
    let files = [
        ("policy.yaml", POLICY),
        ("workloads.yaml", WORKLOADS),
        ("expansion.yaml", EXPANSION),
        ("mutator.yaml", mutator),
    ];
    let folder = folder(&files);
    for mutate in [&[][..], &["--mutate"]] {
        let args = [&["workloads.yaml", "expansion.yaml", "mutator.yaml"], mutate].concat();
        let run = judge(folder.path(), &args).exits_with(1);
        assert_eq!(findings(&run), [found("deployments", "web", 15, 11, IN_DEPLOYMENT)]);
    }
}

#[test]
fn an_object_that_cannot_be_expanded_does_not_pass() {
    let broken = "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: web, namespace: shop}\nspec:\n  template: none\n";
    let folder = folder(&[
        ("policy.yaml", POLICY),
        ("broken.yaml", broken),
        ("expansion.yaml", EXPANSION),
        ("workloads.yaml", WORKLOADS),
    ]);
    for args in [&["broken.yaml", "expansion.yaml"][..], &["broken.yaml", "--expand", "workloads"]] {
        let run = judge(folder.path(), args).exits_with(2);
        let said = "could not extract source field from unstructured: .spec.template accessor error: none is of the type string";
        assert!(run.stderr.contains(said) && run.stderr.contains("broken.yaml:5:13"), "{}", run.stderr);
    }
    // What can be judged is, all the same.
    let run = judge(folder.path(), &["broken.yaml", "workloads.yaml", "expansion.yaml"]).exits_with(2);
    assert_eq!(findings(&run).len(), 1);
    let run = run_in(folder.path(), &["expand", "-n", "expansion.yaml", "-n", "broken.yaml"]).exits_with(2);
    assert!(
        run.stderr.starts_with("error expanding resources: error expanding resource web: could not extract"),
        "{}",
        run.stderr
    );
    assert!(run.stderr.contains("broken.yaml:5:13"), "{}", run.stderr);
    assert_eq!(run.stdout, "");
}

#[test]
fn circles_are_errors_of_all_their_templates() {
    let back = EXPANSION
        .replace("name: deployments", "name: back")
        .replace("groups: [apps], kinds: [Deployment]", "groups: [''], kinds: [Pod]")
        .replace("group: '', version: v1, kind: Pod", "group: apps, version: v1, kind: Deployment");
    let circle = format!("{EXPANSION}---\n{back}");
    let folder = folder(&[("policy.yaml", POLICY), ("workloads.yaml", WORKLOADS), ("circle.yaml", &circle)]);
    for (args, code) in [
        (&["test", "-p", "policy.yaml", "workloads.yaml", "circle.yaml"][..], 2),
        (&["lint", "circle.yaml"], 1),
        (&["expand", "-n", "circle.yaml", "-n", "workloads.yaml"], 2),
    ] {
        let run = run_in(folder.path(), args).exits_with(code);
        let shown = run.shown();
        assert!(shown.contains("circle.yaml:7:") && shown.contains("circle.yaml:15:"), "{shown}");
        assert!(shown.contains("in a circle are `back`, `deployments`"), "{shown}");
    }
}

#[test]
fn expand_prints_what_is_generated_as_gator_does() {
    let folder = folder(&[("workloads.yaml", WORKLOADS), ("expansion.yaml", EXPANSION)]);
    let expected = "apiVersion: v1
kind: Pod
metadata:
  name: web-pod
  namespace: shop
  ownerReferences:
  - apiVersion: apps/v1
    kind: Deployment
    name: web
    uid: \"\"
spec:
  containers:
  - image: proxy:2
    name: sidecar
  - image: web:1
    name: web
    securityContext:
      privileged: true
";
    let printed = run_in(folder.path(), &["expand", "-n", "."]).exits_with(0);
    assert_eq!(printed.stdout, format!("{expected}\n"));
    assert_eq!(printed.stderr, "");
    let piped = run(folder.path(), &["expand", "-n", "expansion.yaml"], Some(WORKLOADS)).exits_with(0);
    assert_eq!(piped.stdout, printed.stdout);
    let written = run_in(folder.path(), &["expand", "-n", ".", "-o", "out.txt"]).exits_with(0);
    assert_eq!(written.stdout, "Writing output to file: out.txt\n");
    assert_eq!(fs::read_to_string(folder.path().join("out.txt")).unwrap(), expected);
    let json = run_in(folder.path(), &["expand", "-n", ".", "-f", "json"]).exits_with(0);
    assert_eq!(serde_json::from_str::<Value>(&json.stdout).unwrap()["metadata"]["name"], "web-pod");
    run_in(folder.path(), &["expand", "-n", ".", "-f", "toml"]).exits_with(2);
    assert_eq!(run_in(folder.path(), &["expand"]).exits_with(2).stderr, "no input data identified\n");
}

#[test]
fn suites_judge_what_their_objects_imply() {
    let suite = "apiVersion: test.gatekeeper.sh/v1alpha1
kind: Suite
tests:
- name: pods
  template: template.yaml
  constraint: constraint.yaml
  expansion: expansion.yaml
  cases:
  - name: implied
    object: deployment.yaml
    assertions: [{violations: 1, message: '^\\[Implied by deployments\\] container web is privileged$'}]
";
    let (template, constraint) = POLICY.split_once("---\n").unwrap();
    let deployment = WORKLOADS.split_once("---\n").unwrap().0;
    let files = [
        ("suite.yaml", suite),
        ("template.yaml", template),
        ("constraint.yaml", constraint),
        ("expansion.yaml", EXPANSION),
        ("deployment.yaml", deployment),
    ];
    let folder = folder(&files);
    run_in(folder.path(), &["verify", "."]).exits_with(0);
    for (file, text, said) in [
        (
            "expansion.yaml",
            "{apiVersion: v1, kind: Namespace, metadata: {name: a}}",
            "this is no ExpansionTemplate",
        ),
        ("expansion.yaml", &EXPANSION.replace("templateSource", "source"), "`templateSource` is missing"),
        (
            "deployment.yaml",
            "{apiVersion: apps/v1, kind: Deployment, metadata: {name: web}}",
            "could not find source field",
        ),
    ] {
        let (_, before) = files.iter().find(|(name, _)| *name == file).unwrap();
        fs::write(folder.path().join(file), text).unwrap();
        let run = run_in(folder.path(), &["verify", "."]).exits_with(2);
        assert!(run.shown().contains(said), "{}", run.shown());
        fs::write(folder.path().join(file), before).unwrap();
    }
}

#[test]
fn what_another_namespace_would_bring_is_told_of_what_is_implied() {
    let policy = POLICY.replace("match: {", "match: {namespaces: [prod-*], ");
    let workloads = WORKLOADS.replace("  namespace: shop\n", "");
    let folder = folder(&[("policy.yaml", &policy), ("workloads.yaml", &workloads)]);
    let run = judge(folder.path(), &["workloads.yaml", "--expand", "workloads"]).exits_with(0);
    let said = "`Privileged/pods` would deny this by its `namespaces: [prod-*]`: [Implied by --expand workloads] container web is privileged";
    assert!(run.stderr.contains(said), "{}", run.stderr);
}

/// Object, message, field and gravest action of each finding of `test`.
fn of_test(run: &Run) -> Vec<[String; 4]> {
    let items: Vec<Value> = serde_json::from_str(&run.stdout).unwrap();
    let shown = |item: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let location = &item["location"];
        let place = format!("{}:{}:{}", text(&location["file"]), location["line"], location["column"]);
        [text(&item["msg"]), place, text(&location["path"]), text(&item["enforcementAction"])]
    };
    items.iter().map(shown).collect()
}

/// The same of `audit`.
fn of_audit(run: &Run) -> Vec<[String; 4]> {
    let shown = |line: &str| {
        let item: Value = serde_json::from_str(line).unwrap();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let place = &item["place"];
        let at = format!("{}:{}:{}", text(&place["file"]), place["line"], place["column"]);
        [text(&item["message"]), at, text(&item["field"]), text(&item["enforcementAction"])]
    };
    run.stdout.lines().filter(|line| line.contains("violation_audited")).map(shown).collect()
}

#[test]
fn an_audit_finds_what_a_test_finds() {
    let cron_jobs = EXPANSION
        .replace("name: deployments", "name: cron-jobs")
        .replace("groups: [apps], kinds: [Deployment]", "groups: [batch], kinds: [CronJob]")
        .replace("templateSource: spec.template", "templateSource: spec.jobTemplate.spec.template")
        + "  enforcementAction: warn\n";
    let only_web = MUTATOR.replace("source: Generated", "source: Generated, name: 'web*'");
    let pod = "---\n{apiVersion: v1, kind: Pod, metadata: {name: own, namespace: shop}, spec: {containers: [{name: own, image: own:1, securityContext: {privileged: true}}]}}\n";
    let folder = folder(&[
        ("policy.yaml", POLICY),
        ("deployments.yaml", EXPANSION),
        ("cron-jobs.yaml", &cron_jobs),
        ("mutator.yaml", &only_web),
        ("workloads.yaml", &format!("{WORKLOADS}{pod}")),
    ]);
    let cases: [(&[&str], usize); 5] = [
        (&[], 1),
        (&["--expand", "workloads"], 3),
        (&["-p", "deployments.yaml"], 2),
        (&["-p", "deployments.yaml", "-p", "cron-jobs.yaml"], 3),
        (&["-p", "deployments.yaml", "-p", "cron-jobs.yaml", "-p", "mutator.yaml"], 2),
    ];
    for (args, number) in cases {
        let mut tested = of_test(&judge(folder.path(), &[args, &["workloads.yaml"]].concat()).exits_with(1));
        let audit = [&["audit", "-p", "policy.yaml", "-o", "ndjson"], args, &["workloads.yaml"]].concat();
        let mut audited = of_audit(&run_in(folder.path(), &audit).exits_with(1));
        tested.sort();
        audited.sort();
        assert_eq!(tested.len(), number, "{args:?}: {tested:#?}");
        assert_eq!(tested, audited, "{args:?}");
    }
}
