//! `portcullis eval`: queries of templates and files, expressions of CEL, a prompt.

use std::fs;

use crate::{run, run_in};

const TEMPLATE: &str = r#"apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: owned}
spec:
  crd:
    spec:
      names: {kind: Owned}
      validation:
        openAPIV3Schema:
          type: object
          properties:
            label: {type: string, default: owner}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package owned

      violation[{"msg": msg}] {
        label := input.parameters.label
        not has(label)
        msg := sprintf("%v is missing", [label])
      }

      has(label) {
        input.review.object.metadata.labels[label]
      }

      images[c.image] {
        c := input.review.object.spec.containers[_]
        print("container", c.name)
      }
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: Owned
metadata: {name: all}
spec: {parameters: {}, match: {kinds: [{apiGroups: [""], kinds: [Pod]}]}}
"#;

const POD: &str = "{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop, labels: {app: web}}, spec: {containers: [{name: a, image: x:1}, {name: b, image: y:2}]}}";

fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("policy.yaml"), TEMPLATE).unwrap();
    fs::write(folder.path().join("pod.yaml"), POD).unwrap();
    folder
}

/// What a query says of the Pod.
fn asked(query: &str, more: &[&str]) -> crate::Run {
    let folder = folder();
    let args = ["eval", query, "-p", "policy.yaml", "-i", "pod.yaml"];
    run_in(folder.path(), &[&args[..], more].concat())
}

#[test]
fn a_rule_of_a_template_has_a_value_by_the_parameters_of_its_constraint() {
    let run = asked("violation", &["-o", "json"]).exits_with(0);
    let line: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(line["result"], serde_json::json!([{"bindings": {}, "value": [{"msg": "owner is missing"}]}]));
    assert_eq!(asked("has(\"app\")", &[]).exits_with(0).stdout, "true\n");
    assert_eq!(asked("has(\"x\")", &[]).exits_with(0).stdout, "undefined\n");
    asked("has(\"x\")", &["--fail"]).exits_with(1);
    assert_eq!(asked("input.parameters.label", &[]).exits_with(0).stdout, "\"owner\"\n");
    // A set is a list, in its order; what is printed is beside it.
    let run = asked("images", &[]).exits_with(0);
    assert_eq!(run.stdout, "[\n  \"x:1\",\n  \"y:2\"\n]\n");
    assert!(run.stderr.contains("container a"), "{}", run.shown());
}

#[test]
fn solutions_are_told_one_by_one() {
    let run =
        asked("c := input.review.object.spec.containers[i]; c.name != \"z\"", &["-o", "json"]).exits_with(0);
    let line: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    let result = line["result"].as_array().unwrap();
    assert_eq!(result.len(), 2);
    assert_eq!(
        (&result[1]["bindings"]["i"], &result[1]["bindings"]["c"]["image"]),
        (&1.into(), &"y:2".into())
    );
    assert_eq!(asked("x := 1", &[]).exits_with(0).stdout, "x = 1\n");
    // False is a value, not an absence.
    assert_eq!(asked("1 == 2", &[]).exits_with(0).stdout, "false\n");
    assert_eq!(asked("some x in [1, 2]; x > 1 # the second", &[]).exits_with(0).stdout, "x = 2\n");
}

#[test]
fn mistakes_have_their_place_in_the_query_or_in_the_policy() {
    for (query, at) in [
        ("violation[", "query:1:11"),
        ("x := nowhere(1)", "query:1:6"),
        ("x == 1", "query:1:1"),
        ("a := 1; b := c", "query:1:14"),
        ("true }\nother if { true", "query:"),
        ("false } else := 1 if { true", "query:"),
        ("", "query"),
        ("1 +", "query:1:4"),
    ] {
        let run = asked(query, &[]).exits_with(2);
        assert!(run.stderr.contains(at), "{query}: {}", run.shown());
    }
    let folder = folder();
    fs::write(folder.path().join("policy.yaml"), TEMPLATE.replace("not has(label)", "not hass(label)"))
        .unwrap();
    let run =
        run_in(folder.path(), &["eval", "violation", "-p", "policy.yaml", "-i", "pod.yaml"]).exits_with(2);
    assert!(run.stderr.contains("policy.yaml:20:13"), "{}", run.shown());
}

#[test]
fn what_is_asked_about_has_to_be_one_document() {
    let folder = folder();
    for (text, why) in
        [("", "has 0"), ("a: 1\n---\nb: 2\n", "has 2"), ("a: [", "in.yaml:1:"), ("a: \u{0}", "in.yaml")]
    {
        fs::write(folder.path().join("in.yaml"), text).unwrap();
        let run = run_in(folder.path(), &["eval", "1", "-i", "in.yaml"]).exits_with(2);
        assert!(run.stderr.contains(why), "{text}: {}", run.shown());
    }
    let run = run_in(folder.path(), &["eval", "1", "-i", "nowhere.yaml"]).exits_with(2);
    assert!(run.stderr.contains("nowhere.yaml") && !run.stderr.contains("has 0"), "{}", run.shown());
}

#[test]
fn limits_hold() {
    let run = asked("count([x | x := numbers.range(1, 100000000)[_]])", &[]).exits_with(2);
    assert!(run.stderr.contains("limit `"), "{}", run.shown());
    let long = format!("x := \"{}\"", "a".repeat(70_000));
    assert!(asked(&long, &[]).exits_with(2).stderr.contains("at most"));
    let deep = format!("x := {}1{}", "[".repeat(5000), "]".repeat(5000));
    asked(&deep, &[]).exits_with(2);
}

#[test]
fn a_trace_tells_what_was_reached() {
    let run = asked("violation", &["--trace"]).exits_with(0);
    assert!(run.stdout.contains("policy.yaml:20:9"), "{}", run.shown());
    assert!(run.stdout.contains("held"), "{}", run.shown());
    insta::assert_snapshot!("eval_trace", run.stdout);
}

#[test]
fn files_of_rego_are_asked_in_their_package() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(
        folder.path().join("a.rego"),
        "package main\ndeny contains x if { x := input.name; x in data.bad }\n",
    )
    .unwrap();
    fs::write(folder.path().join("b.rego"), "package lib\nanswer := 42\n").unwrap();
    fs::write(folder.path().join("data.yaml"), "bad: [web]\n").unwrap();
    fs::write(folder.path().join("in.yaml"), "name: web\n").unwrap();
    let ask = |query: &str, more: &[&str]| {
        let args = ["eval", query, "-p", "a.rego", "-p", "b.rego", "-d", "data.yaml", "-i", "in.yaml"];
        run_in(folder.path(), &[&args[..], more].concat())
    };
    assert_eq!(ask("data.main.deny", &[]).exits_with(0).stdout, "[\n  \"web\"\n]\n");
    assert_eq!(ask("deny", &["--package", "main"]).exits_with(0).stdout, "[\n  \"web\"\n]\n");
    assert_eq!(ask("data.lib.answer", &[]).exits_with(0).stdout, "42\n");
    let run = ask("deny", &["--package", "nothing"]).exits_with(2);
    assert!(run.stderr.contains("`lib`, `main`"), "{}", run.shown());
    // By itself.
    assert_eq!(run_in(folder.path(), &["eval", "1 + 1"]).exits_with(0).stdout, "2\n");
}

#[test]
fn expressions_of_cel_see_objects_and_variables() {
    let cel = |expression: &str| asked(expression, &["--cel"]);
    assert_eq!(
        cel("object.spec.containers.map(c, c.image)").exits_with(0).stdout,
        "[\n  \"x:1\",\n  \"y:2\"\n]\n"
    );
    assert_eq!(cel("variables.anyObject.metadata.name").exits_with(0).stdout, "\"web\"\n");
    assert_eq!(cel("quantity('1Gi')").exits_with(0).stdout, "\"1Gi\"\n");
    assert!(cel("object.missing").exits_with(2).stderr.contains("no such key: missing"));
    assert!(cel("object.x +").exits_with(2).stderr.contains("query:1:"));
}

#[test]
fn lines_are_asked_one_after_the_other() {
    let folder = folder();
    let args = ["eval", "-p", "policy.yaml", "-i", "pod.yaml"];
    let lines =
        run(folder.path(), &args, Some("1 + 1\n\nviolation[\ncount(images)\n:quit\n3\n")).exits_with(2);
    assert_eq!(lines.stdout, "2\n2\n", "{}", lines.shown());
    assert!(lines.stderr.contains("query:1:11"), "{}", lines.shown());
    run(folder.path(), &["eval", "-i", "-"], Some("1")).exits_with(2);
}
