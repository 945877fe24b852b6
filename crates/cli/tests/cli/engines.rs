//! Templates in CEL and Rego: which of them is run, by every command, where they differ, and what API servers are
//! given of them.

use std::fs;
use std::path::Path;

use crate::run_in;

fn write(directory: &Path, name: &str, text: &str) {
    let path = directory.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// A template with CEL, and Rego that says something of objects in a namespace.
fn both(rego: &str, cel: &str) -> String {
    let rego = match rego {
        "" => String::new(),
        condition => format!(
            "    - engine: Rego\n      source:\n        rego: |\n          package both\n          violation[{{\"msg\": \"from rego\"}}] {{ {condition} }}\n"
        ),
    };
    format!(
        "apiVersion: templates.gatekeeper.sh/v1\nkind: ConstraintTemplate\nmetadata: {{name: both}}\nspec:\n  crd: {{spec: {{names: {{kind: Both}}}}}}\n  targets:\n  - target: admission.k8s.gatekeeper.sh\n    code:\n    - engine: K8sNativeValidation\n      source: {{generateVAP: true, validations: [{{expression: \"{cel}\", message: from cel}}]}}\n{rego}"
    )
}

const CONSTRAINT: &str = "{apiVersion: constraints.gatekeeper.sh/v1beta1, kind: Both, metadata: {name: it}, spec: {match: {scope: Namespaced}}}\n";
const POD: &str = "{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop}}\n";
const SUITE: &str = "apiVersion: test.gatekeeper.sh/v1alpha1\nkind: Suite\ntests:\n- name: both\n  template: t.yaml\n  constraint: c.yaml\n  cases:\n  - {name: pod, object: o.yaml, assertions: [{violations: 1}]}\n";

#[test]
fn cel_is_run_unless_it_is_switched_off_by_every_command() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    write(path, "p/t.yaml", &both("true", "false"));
    write(path, "p/c.yaml", CONSTRAINT);
    write(path, "o.yaml", POD);
    let commands: [&[&str]; 2] = [&["test", "-p", "p", "o.yaml"], &["audit", "-p", "p", "o.yaml"]];
    for command in commands {
        for (flags, said) in [
            (&[][..], "from cel"),
            (&["--enable-k8s-native-validation"], "from cel"),
            (&["--enable-k8s-native-validation=true"], "from cel"),
            (&["--enable-k8s-native-validation=false"], "from rego"),
        ] {
            let run = run_in(path, &[command, flags].concat()).exits_with(1);
            assert!(run.stdout.contains(said), "{}", run.shown());
        }
    }
    write(path, "p/t.yaml", &both("", "false"));
    let off = "--enable-k8s-native-validation=false";
    for (command, code) in
        [(&["test", "-p", "p", "o.yaml"][..], 2), (&["audit", "-p", "p", "o.yaml"], 2), (&["lint", "p"], 1)]
    {
        let run = run_in(path, &[command, &[off]].concat()).exits_with(code);
        assert!(run.shown().contains("no engine is there for this template"), "{}", run.shown());
    }
}

#[test]
fn a_cross_check_says_where_the_languages_of_a_template_differ() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    write(path, "c.yaml", CONSTRAINT);
    write(path, "o.yaml", POD);
    write(path, "suite.yaml", SUITE);
    write(path, "t.yaml", &both("true", "false"));
    let run = run_in(path, &["verify", ".", "--cross-check"]).exits_with(0);
    assert!(
        run.stderr.contains("1 of 1 cases agree in both (1 in other words), 0 differ"),
        "{}",
        run.shown()
    );
    let run = run_in(path, &["lint", "."]).exits_with(0);
    assert!(!run.shown().contains("the template's"), "{}", run.shown());
    write(path, "t.yaml", &both("input.review.object.spec.nope", "false"));
    run_in(path, &["verify", "."]).exits_with(0);
    let run = run_in(path, &["verify", ".", "--cross-check"]).exits_with(1);
    assert!(run.stdout.contains("in the template's Rego: expected exactly 1 violation"), "{}", run.shown());
    // `lint` says so, too, by the suite beside the template, and it is no reason to fail.
    let run = run_in(path, &["lint", "."]).exits_with(0);
    let said = "in the template's Rego: expected exactly 1 violation, got 0";
    assert!(run.stdout.contains(said) && run.stdout.contains("suite.yaml:"), "{}", run.shown());
    run_in(path, &["lint", ".", "--deny-warnings"]).exits_with(1);
    let off = "--enable-k8s-native-validation=false";
    run_in(path, &["verify", ".", off]).exits_with(1);
    // What no assertion asks about is found as well.
    write(path, "suite.yaml", &SUITE.replace("violations: 1", "violations: yes, message: from"));
    write(path, "t.yaml", &both("input.review.object.spec.nope", "object.kind != 'Pod'"));
    run_in(path, &["verify", ".", "--cross-check"]).exits_with(1);
}

#[test]
fn admission_policies_are_generated_and_say_what_they_lack() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    write(path, "p/t.yaml", &both("true", "object.metadata.name != 'x'"));
    write(path, "p/c.yaml", CONSTRAINT);
    let run = run_in(path, &["generate", "vap", "-p", "p"]).exits_with(0);
    assert!(run.stdout.starts_with("# Made by `portcullis generate vap`.\n"), "{}", run.stdout);
    for part in ["name: gatekeeper-both\n", "name: gatekeeper-both-it\n", "gatekeeper_internal_match_kinds"] {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
    assert!(run.stderr.contains("`match.scope` is not a part of the policy"), "{}", run.stderr);
    run_in(path, &["generate", "vap", "-p", "p", "-o", "out"]).exits_with(0);
    assert_eq!(fs::read_to_string(path.join("out/both.yaml")).unwrap(), run.stdout);
    write(path, "p/t.yaml", &both("true", "true").replace("generateVAP: true, ", ""));
    let run = run_in(path, &["generate", "vap", "-p", "p"]).exits_with(2);
    assert!(run.stderr.contains("there is no template that is to become a policy"), "{}", run.stderr);
    run_in(path, &["generate", "vap", "-p", "p", "--all"]).exits_with(0);
}

#[test]
fn rules_in_cel_of_schemas_are_checked() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let template = |rule: &str| {
        both("", "true").replace(
            "names: {kind: Both}",
            &format!("names: {{kind: Both}}, validation: {{openAPIV3Schema: {{type: object, x-kubernetes-validations: [{{rule: {rule}, message: too many}}], properties: {{num: {{type: integer}}}}}}}}"),
        )
    };
    write(path, "p/t.yaml", &template("self.num < 3"));
    write(path, "p/c.yaml", &CONSTRAINT.replace("spec: {", "spec: {parameters: {num: 4}, "));
    let run = run_in(path, &["lint", "p"]).exits_with(1);
    assert!(run.stdout.contains("too many"), "{}", run.shown());
    write(path, "p/c.yaml", &CONSTRAINT.replace("spec: {", "spec: {parameters: {num: 2}, "));
    run_in(path, &["lint", "p"]).exits_with(0);
    write(
        path,
        "p/crd.yaml",
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: shops.example.com}\nspec:\n  group: example.com\n  scope: Namespaced\n  names: {kind: Shop, plural: shops}\n  versions:\n  - name: v1\n    served: true\n    storage: true\n    schema: {openAPIV3Schema: {type: object, x-kubernetes-validations: [{rule: self.metadata.name != self.sepc.n}], properties: {spec: {type: object, properties: {n: {type: string}}}}}}\n",
    );
    let run = run_in(path, &["lint", "p"]).exits_with(1);
    assert!(run.stdout.contains("undefined field 'sepc'"), "{}", run.shown());
}
