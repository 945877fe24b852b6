//! `portcullis lint`: what is wrong with policies, and how it is reported.

use std::fs;

use portcullis_report::Form;
use portcullis_report::lint::LintReport;
use serde_json::Value;

use super::{Run, run, run_in, testdata};

fn lint(args: &[&str]) -> Run {
    run_in(&testdata().join("lint"), &[&["lint"], args].concat())
}

fn rules(run: &Run) -> Vec<String> {
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    let rule = |finding: &Value| finding["rule"].as_str().unwrap().to_owned();
    report["findings"].as_array().unwrap().iter().map(rule).collect()
}

#[test]
fn human_report() {
    insta::assert_snapshot!(lint(&["."]).exits_with(1).shown());
}

#[test]
fn verbose_human_report() {
    insta::assert_snapshot!(lint(&["good.yaml", "-v"]).exits_with(0).shown());
}

#[test]
fn json_report() {
    insta::assert_snapshot!(lint(&[".", "-v", "-o", "json"]).exits_with(1).shown());
}

#[test]
fn yaml_report() {
    insta::assert_snapshot!(lint(&["wrong.yaml", "-o", "yaml"]).exits_with(1).shown());
}

#[test]
fn junit_report() {
    insta::assert_snapshot!(lint(&[".", "-o", "junit"]).exits_with(1).shown());
}

#[test]
fn sarif_report() {
    insta::assert_snapshot!(lint(&[".", "-o", "sarif"]).exits_with(1).shown());
}

#[test]
fn compact_report() {
    insta::assert_snapshot!(lint(&[".", "-o", "compact"]).exits_with(1).shown());
}

#[test]
fn markdown_report() {
    insta::assert_snapshot!(lint(&[".", "-o", "markdown"]).exits_with(1).stdout);
}

#[test]
fn gitlab_report() {
    insta::assert_snapshot!(lint(&["wrong.yaml", "-o", "gitlab"]).exits_with(1).stdout);
}

#[test]
fn csv_report() {
    insta::assert_snapshot!(lint(&[".", "-o", "csv"]).exits_with(1).stdout);
}

#[test]
fn checkstyle_report() {
    insta::assert_snapshot!(lint(&[".", "-o", "checkstyle"]).exits_with(1).stdout);
}

#[test]
fn azuredevops_report() {
    insta::assert_snapshot!(lint(&["wrong.yaml", "-o", "azuredevops"]).exits_with(1).stdout);
}

#[test]
fn github_report() {
    insta::assert_snapshot!(lint(&[".", "-o", "github"]).exits_with(1).shown());
}

#[test]
fn exit_codes_tell_mistakes_from_what_could_not_be_read() {
    lint(&["good.yaml"]).exits_with(0);
    lint(&["style.yaml"]).exits_with(0);
    lint(&["style.yaml", "--deny-warnings"]).exits_with(1);
    lint(&["good.yaml", "--deny-warnings"]).exits_with(0);
    lint(&["wrong.yaml"]).exits_with(1);
    lint(&["wrong.yaml", "nowhere.yaml"]).exits_with(2);
    lint(&["good.yaml", "--max-size", "10"]).exits_with(2);
    // Text that is not YAML is a mistake in a policy, as far as is known.
    run(&testdata(), &["lint", "-"], Some("kind: 'x")).exits_with(1);
    let nothing = lint(&["../manifests"]).exits_with(2);
    assert!(nothing.stdout.contains("no policies were found"), "{}", nothing.shown());
}

#[test]
fn templates_that_suites_name_are_read_once() {
    assert_eq!(rules(&lint(&["suites", "-o", "json"]).exits_with(0)), ["unused-local", "deprecated-builtin"]);
    let both = lint(&["suites", "style.yaml", "-o", "json"]).exits_with(0);
    assert_eq!(rules(&both), ["unused-local", "deprecated-builtin"]);
}

#[test]
fn a_template_that_a_suite_names_and_that_is_not_there_is_reported_at_the_suite() {
    let directory = tempfile::tempdir().unwrap();
    fs::copy(testdata().join("lint/suites/suite.yaml"), directory.path().join("suite.yaml")).unwrap();
    let run = run_in(directory.path(), &["lint", ".", "--color", "never"]).exits_with(2);
    assert!(run.stdout.contains("there is no file `../style.yaml`"), "{}", run.shown());
    assert!(run.stdout.contains("--> suite.yaml:4:5"), "{}", run.shown());
}

#[test]
fn test_leaves_out_what_is_only_about_style() {
    let test = |args: &[&str]| {
        let args = [&["test", "-f", "lint/style.yaml", "-f", "policies", "-f", "manifests"], args].concat();
        run_in(&testdata(), &args).stderr
    };
    assert!(!test(&[]).contains("deprecated-builtin"));
    assert!(test(&["-v"]).contains("deprecated-builtin"));
}

#[test]
fn reports_do_not_depend_on_the_number_of_threads() {
    for form in Form::of::<LintReport>() {
        let with = |jobs| lint(&[".", "-v", "-o", form.name(), "--jobs", jobs]).shown();
        assert_eq!(with("1"), with("4"), "{form:?}");
    }
}

/// As the textbook prints it; `tests/book.rs` of the core says what is found.
#[test]
fn the_example_of_the_textbook_is_reported_in_one_run() {
    let Some(folder) = portcullis_testkit::shared("reference/book-example") else { return };
    let run = run_in(&folder, &["lint", ".", "-o", "json"]).exits_with(1);
    assert_eq!(
        rules(&run),
        [
            "syntax",
            "missing-template",
            "unknown-kind",
            "invalid-schema",
            "template-rule",
            "unknown-input",
            "deprecated-builtin",
            "rego",
        ]
    );
}

/// `n` is a boolean in YAML, and so no name: no object can be made of the document, but it was meant for a policy.
#[test]
fn no_command_leaves_a_policy_out_unseen() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let constraint = file(
        "constraint.yaml",
        "apiVersion: constraints.gatekeeper.sh/v1beta1\nkind: NoHostPid\nmetadata: {name: n}\n",
    );
    let mutator = file(
        "mutator.yaml",
        "apiVersion: mutations.gatekeeper.sh/v1\nkind: AssignMetadata\nmetadata: {name: n}\nspec:\n  location: metadata.labels.a\n  parameters: {assign: {value: b}}\n",
    );
    let pod = file("pod.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\n");
    for args in [
        &["lint", &*constraint][..],
        &["lint", &mutator],
        &["test", "-p", &constraint, &pod],
        &["test", "-f", &constraint, "-f", &pod],
        &["audit", "-p", &constraint, &pod],
        &["generate", "manifests", "-p", &constraint],
        &["mutate", "-m", &mutator, &pod],
        &["mutate", "-f", &mutator, "-f", &pod],
    ] {
        let run = run_in(folder.path(), args);
        let said = format!("{}{}", run.stdout, run.stderr);
        assert!(said.contains("expected a string, found boolean `false`"), "{args:?}: {said}");
        assert_ne!(run.code, Some(0), "{args:?}: {said}");
    }
}

#[test]
fn mutators_are_tried_together_with_each_other_and_with_constraints() {
    let run = run_in(&testdata(), &["lint", "mutation-fights/mutators.yaml", "mutation-fights/policy.yaml"]);
    insta::assert_snapshot!(run.exits_with(1).shown());
    // Without the policy there is nobody to fight with, without its mutator nobody who does.
    let alone = run_in(&testdata(), &["lint", "mutation-fights/mutators.yaml", "-o", "json"]).exits_with(1);
    assert_eq!(rules(&alone), ["never-converges"; 3]);
    let other = run_in(&testdata(), &["lint", "mutation-fights/policy.yaml", "mutation/mutators.yaml"]);
    other.exits_with(0);
}

/// Each of these applies to nothing, and would pass everything unseen.
#[test]
fn kinds_and_groups_that_there_are_not_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let policy = fs::read_to_string(testdata().join("mutation-fights/policy.yaml")).unwrap();
    let (template, _) = policy.split_once("\n---\n").unwrap();
    let lint = |kinds: &str, more: &str| {
        let constraint = format!(
            "apiVersion: constraints.gatekeeper.sh/v1beta1\nkind: PullAlways\nmetadata: {{name: a}}\nspec:\n  match:\n    kinds: {kinds}\n"
        );
        fs::write(folder.path().join("policy.yaml"), format!("{template}\n---\n{constraint}{more}")).unwrap();
        run_in(folder.path(), &["lint", "policy.yaml", "-o", "compact"])
    };
    for (kinds, place, said) in [
        (
            "[{apiGroups: [''], kinds: [Pods]}]",
            "21:39",
            "group \"\" has no kind `Pods`, so that this applies to nothing; did you mean `Pod`?",
        ),
        (
            "[{apiGroups: [v1], kinds: [Pod]}]",
            "21:26",
            "there is no API group `v1`, so that this applies to nothing; that is a version",
        ),
        ("[{apiGroups: [apps/v1], kinds: [Deployment]}]", "21:26", "write `apps`"),
        ("[{apiGroups: [''], kinds: [Pod, Deployment]}]", "21:44", "it is in group `apps`"),
        (
            "[{kinds: [Pod]}, {apiGroups: [extensions, batch], kinds: [CronJobs]}]",
            "21:",
            "did you mean `CronJob`?",
        ),
    ] {
        let run = lint(kinds, "").exits_with(1);
        assert!(
            run.stdout.contains(said) && run.stdout.contains(place) && run.stdout.contains("no-such-kind"),
            "{kinds}: {}",
            run.shown()
        );
        let test = run_in(folder.path(), &["test", "policy.yaml", "-o", "compact"]).exits_with(2);
        assert!(test.stdout.contains("warning  no-such-kind"), "{}", test.shown());
    }
    for kinds in [
        "[{apiGroups: ['*'], kinds: [deployments]}]",
        "[{kinds: [pod]}]",
        "[{apiGroups: [batch], kinds: [Reservation]}]",
    ] {
        assert!(lint(kinds, "").exits_with(0).stdout.contains("warning  no-such-kind"), "{kinds}");
    }
    let crd = "---\napiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\nmetadata: {name: x}\nspec: {group: example.org, scope: Namespaced, names: {kind: Ingresses, plural: i}}\n";
    for (kinds, more) in [
        ("[{apiGroups: ['', apps], kinds: [Pod, Deployment, StatefulSet]}]", ""),
        ("[{apiGroups: [example.org], kinds: [Anything]}]", ""),
        ("[{apiGroups: ['*'], kinds: ['*']}]", ""),
        ("[{apiGroups: ['', example.org], kinds: [Pods]}]", ""),
        ("[{kinds: [Ingresses]}]", crd),
        ("[]", ""),
    ] {
        let run = lint(kinds, more).exits_with(0);
        assert!(!run.stdout.contains("no-such-kind"), "{kinds}: {}", run.shown());
    }
}

/// Fields that no kind of Kubernetes has, and comparisons with values that a field never has; only where that is certain.
#[test]
fn fields_that_no_kind_has_are_told_with_what_was_meant() {
    const TEMPLATE: &str = r#"apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: fields}
spec:
  crd: {spec: {names: {kind: Fields}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package fields

      violation[{"msg": "a"}] {
        c := input.review.object.spec.contianers[_]
        c.image
      }

      violation[{"msg": "b"}] {
        pod := input.review.object
        container := pod.spec.containers[_]
        container.securityContext.priviledged == true
      }

      violation[{"msg": "c"}] {
        input.review.object.spec.hostNetwork == "true"
      }

      violation[{"msg": "d"}] {
        input.review.object.spec.replicas == 3
        input.review.object.spec.template.spec.containers[_].image == "x"
        input.review.object.metadata.labels["a.b/c"] == "1"
        field := input.parameters.field
        input.review.object.spec[field].whatever
        input.review.oldObject.spec.resources.limits.cpu == 1
      }
---
"#;
    let constraint = |kinds: &str| {
        format!(
            "apiVersion: constraints.gatekeeper.sh/v1beta1\nkind: Fields\nmetadata: {{name: fields}}\nspec: {{match: {{kinds: [{kinds}]}}}}\n"
        )
    };
    let told = |constraint: &str| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("policy.yaml"), TEMPLATE.to_owned() + constraint).unwrap();
        run_in(folder.path(), &["lint", "policy.yaml"]).exits_with(0).stdout
    };
    let pods = "{apiGroups: [\"\"], kinds: [Pod]}";
    insta::assert_snapshot!("unknown_object_fields", told(&constraint(pods)));
    // Objects of kinds that are not known may have any field.
    for kinds in [
        "{apiGroups: [\"*\"], kinds: [Pod]}",
        "{apiGroups: [\"\", example.com], kinds: [Pod]}",
        "{apiGroups: [\"\"], kinds: [\"*\"]}",
    ] {
        assert!(!told(&constraint(kinds)).contains("no kind of Kubernetes 1.36 has a field"), "{kinds}");
    }
    assert!(
        !told(&constraint(&format!("{pods}, {{apiGroups: [example.com], kinds: [Widget]}}")))
            .contains("has a field")
    );
    assert!(!told("").contains("no kind of Kubernetes 1.36 has a field"));
}

/// Kinds of definitions that are given are known as well, by the schemas of all versions that are served.
#[test]
fn fields_that_no_version_of_a_custom_kind_has_are_told() {
    const POLICY: &str = r#"apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: widgets}
spec:
  crd: {spec: {names: {kind: Widgets}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package widgets
      violation[{"msg": "x"}] { input.review.object.spec.sise > 3 }
      violation[{"msg": "x"}] { input.review.object.spec.old }
      violation[{"msg": "x"}] { input.review.object.spec.size == "large" }
      violation[{"msg": "x"}] { input.review.object.spec.template.metadata.labels.a }
      violation[{"msg": "x"}] { input.review.object.spec.open.any.thing }
      violation[{"msg": "x"}] { input.review.object.metadata.labels.a == "b" }
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: Widgets
metadata: {name: widgets}
spec: {match: {kinds: [{apiGroups: [example.com], kinds: [Widget]}]}}
"#;
    const DEFINITION: &str = r"apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: widgets.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {kind: Widget, plural: widgets}
  versions:
  - name: v1
    served: true
    storage: true
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              size: {type: integer}
              template: {type: object, x-kubernetes-embedded-resource: true}
              open: {type: object, x-kubernetes-preserve-unknown-fields: true}
  - name: v1beta1
    served: true
    storage: false
    schema: {openAPIV3Schema: {type: object, properties: {spec: {type: object, properties: {old: {type: boolean}}}}}}
";
    let told = |definition: &str| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("policy.yaml"), POLICY).unwrap();
        std::fs::write(folder.path().join("crd.yaml"), definition).unwrap();
        run_in(folder.path(), &["lint", "."]).exits_with(0).stdout
    };
    insta::assert_snapshot!("unknown_fields_of_custom_kinds", told(DEFINITION));
    // A version without a schema may have any field, and so may a kind that is not given.
    let (start, rest) = DEFINITION.split_once("    schema: {").unwrap();
    let open = format!("{start}{}", rest.split_once('\n').unwrap().1);
    assert!(!told(&open).contains("has a field"));
    assert!(!told("").contains("has a field"));
}
