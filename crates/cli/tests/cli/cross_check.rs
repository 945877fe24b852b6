//! `--cross-check`: what a second evaluator says, and what becomes of it.

use std::fs;

use super::run_in;

const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: shop}\nspec: {replicas: 3}\n";
const SUITE: &str = "apiVersion: test.gatekeeper.sh/v1alpha1
kind: Suite
tests:
- name: t
  template: template.yaml
  constraint: constraint.yaml
  cases:
  - name: c
    object: pod.yaml
    assertions: [{violations: 1}]
";
const CONSTRAINT: &str = "apiVersion: constraints.gatekeeper.sh/v1beta1
kind: Spread
metadata: {name: spread}
spec:
  parameters: {least: 1}
";

/// A folder with a policy of this body, its suite and a Pod.
fn folder(body: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let template = format!(
        "apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {{name: spread}}
spec:
  crd:
    spec:
      names: {{kind: Spread}}
      validation: {{openAPIV3Schema: {{type: object, properties: {{least: {{type: integer}}}}}}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package spread
      violation[{{\"msg\": \"spread\", \"details\": {{\"replicas\": input.review.object.spec.replicas}}}}] {{
{body}
      }}
"
    );
    let files = [
        ("template.yaml", &*template),
        ("constraint.yaml", CONSTRAINT),
        ("pod.yaml", POD),
        ("suite.yaml", SUITE),
    ];
    for (name, text) in files {
        fs::write(directory.path().join(name), text).unwrap();
    }
    directory
}

#[test]
fn evaluators_that_agree_change_nothing() {
    let directory = folder("        input.review.object.spec.replicas > input.parameters.least");
    let plain = run_in(directory.path(), &["test", "-f", "."]).exits_with(1);
    let checked = run_in(directory.path(), &["test", "-f", ".", "--cross-check"]).exits_with(1);
    assert_eq!(plain.stdout, checked.stdout);
    // The policy applies to all objects, its own documents among them.
    assert_eq!(
        checked.stderr,
        "cross-check by regorus: 3 of 3 evaluations agree, 0 differ, 0 not compared\n"
    );
    let run = run_in(directory.path(), &["verify", ".", "--cross-check"]).exits_with(0);
    assert_eq!(run.stderr, "cross-check by regorus: 1 of 1 evaluations agree, 0 differ, 0 not compared\n");
    let quiet = run_in(directory.path(), &["test", "-f", ".", "--cross-check", "-q"]).exits_with(1);
    assert_eq!(quiet.stderr, "");
}

/// regorus takes a parenthesis on the next line for the arguments of a call, which OPA does not.
#[test]
fn what_a_second_evaluator_says_otherwise_is_an_error() {
    let directory = folder("        input.parameters.least\n        (input.review.object.spec.replicas) > 2");
    let run = run_in(directory.path(), &["test", "-f", "."]).exits_with(1);
    assert!(!run.shown().contains("regorus"), "{}", run.shown());
    let run = run_in(directory.path(), &["test", "-f", ".", "--cross-check"]).exits_with(2);
    let shown = run.shown();
    assert!(shown.contains("error[cross-check]: regorus says an error: "), "{shown}");
    assert!(shown.contains(", where Portcullis says `spread` with details {\"replicas\":3}"), "{shown}");
    assert!(shown.contains("pod.yaml:3:18"), "{shown}");
    assert!(run.stderr.contains("cross-check by regorus: 0 of 3 evaluations agree, 3 differ"), "{shown}");
    // A suite that passes by our evaluator alone is broken then.
    run_in(directory.path(), &["verify", "."]).exits_with(0);
    let run = run_in(directory.path(), &["verify", ".", "--cross-check"]).exits_with(2);
    assert!(run.stdout.contains("where Portcullis says `spread`"), "{}", run.shown());
}

#[test]
fn what_cannot_be_compared_is_said_and_changes_nothing_else() {
    let directory =
        folder("        time.now_ns() > input.parameters.least\n        input.review.object.spec.replicas");
    let run = run_in(directory.path(), &["test", "-f", ".", "--cross-check"]).exits_with(1);
    let wanted = "not compared with regorus: it may call `time.now_ns`, whose answer is another each time";
    // Once, not for every object.
    assert_eq!(run.shown().matches(wanted).count(), 1, "{}", run.shown());
    assert!(run.stderr.contains("0 of 3 evaluations agree, 0 differ, 3 not compared"), "{}", run.shown());
    let run = run_in(directory.path(), &["verify", ".", "--cross-check", "-v"]).exits_with(0);
    assert!(run.shown().contains(wanted), "{}", run.shown());
}

#[test]
fn a_builtin_that_the_second_evaluator_does_not_have_is_no_difference() {
    let directory = folder("        strings.split_n(\"a.b\", \".\", 1) == [\"a\"]");
    let run = run_in(directory.path(), &["verify", ".", "--cross-check", "-v"]).exits_with(0);
    let wanted = "not compared with regorus: regorus has no builtin `strings.split_n`";
    assert!(run.shown().contains(wanted), "{}", run.shown());
}

#[test]
fn what_met_a_limit_is_not_compared() {
    let directory = folder("        input.review.object.spec.replicas > input.parameters.least");
    let args = ["test", "-f", ".", "--cross-check", "--max-steps", "1"];
    let run = run_in(directory.path(), &args).exits_with(1);
    assert!(run.shown().contains("not compared with regorus: it met a limit of ours: "), "{}", run.shown());
    assert!(run.stderr.contains("0 differ, 3 not compared"), "{}", run.shown());
}
