//! `portcullis mutate`, and `test --mutate`: what becomes of manifests, in which form, and where it is told.

use std::fs;
use std::path::Path;

use insta::assert_snapshot;
use serde_json::Value;

use crate::{Run, run_in, testdata};

fn mutate(args: &[&str]) -> Run {
    let args = [&["mutate", "-m", "mutation/mutators.yaml", "mutation/objects.yaml"], args].concat();
    run_in(&testdata(), &args)
}

fn write(directory: &Path, name: &str, text: &str) {
    fs::write(directory.join(name), text).unwrap();
}

const LABEL: &str = "apiVersion: mutations.gatekeeper.sh/v1\nkind: AssignMetadata\nmetadata: {name: owner}\nspec:\n  location: metadata.labels.owner\n  parameters: {assign: {value: shop}}\n";

#[test]
fn comments_and_order_stay_around_what_is_changed() {
    let run = mutate(&[]).exits_with(0);
    assert_eq!(run.stderr, "");
    assert_snapshot!("mutate_yaml", run.stdout);
}

#[test]
fn a_diff_names_the_mutators() {
    let run = mutate(&["--diff"]).exits_with(0);
    assert_snapshot!("mutate_diff", run.stdout);
    assert_eq!(mutate(&["-o", "diff"]).exits_with(0).stdout, run.stdout);
}

#[test]
fn programs_get_objects_changes_and_patches() {
    assert_snapshot!("mutate_json", mutate(&["-o", "json"]).exits_with(0).stdout);
    let patches: Value = serde_json::from_str(&mutate(&["-o", "patch"]).exits_with(0).stdout).unwrap();
    assert_eq!(
        patches[2],
        serde_json::json!({
            "apiVersion": "v1", "kind": "Pod", "namespace": "", "name": "batch",
            "location": "mutation/objects.yaml:25:1",
            "patch": [{"op": "add", "path": "/spec/securityContext/runAsNonRoot", "value": true}],
        })
    );
}

/// In all forms of a list, a mapping and a text, what is written is read as what it should be.
#[test]
fn what_cannot_be_edited_is_written_anew() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "mutators.yaml", LABEL);
    let written = |text: &str| {
        write(directory.path(), "object.yaml", text);
        let run = run_in(directory.path(), &["mutate", "-m", "mutators.yaml", "object.yaml"]).exits_with(0);
        assert_eq!(run.stderr, "");
        run.stdout
    };
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n";
    assert_eq!(written(pod), pod.replace("{name: a}", "{name: a, labels: {owner: shop}}"));
    // No labels at all, and none in braces.
    let head = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n";
    assert_eq!(
        written(&format!("{head}spec: {{}}\n")),
        format!("{head}  labels:\n    owner: shop\nspec: {{}}\n")
    );
    assert_eq!(
        written(&format!("{head}  labels: {{}} # none\n")),
        format!("{head}  labels: {{owner: shop}} # none\n")
    );
    // Nothing behind the colon is nothing for an API server, too.
    let nothing = format!("{head}  annotations: # none\n  labels:\nspec: {{}}\n");
    let labelled = format!("{head}  annotations: # none\n  labels: {{owner: shop}}\nspec: {{}}\n");
    assert_eq!(written(&nothing), labelled);
    // Without an end of the last line.
    assert_eq!(written(head.trim_end()), format!("{head}  labels:\n    owner: shop\n"));
    // The anchor would change in two places.
    let shared = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: a # gone\n  labels: &all {app: a}\n  annotations: *all\n";
    assert_eq!(
        written(shared),
        "apiVersion: v1\nkind: Pod\nmetadata:\n  annotations:\n    app: a\n  labels:\n    app: a\n    owner: shop\n  name: a\n"
    );
    // Items of a list are no documents.
    let list = format!("apiVersion: v1\nkind: List\nitems:\n- {}", pod.trim_end().replace('\n', "\n  "));
    assert_eq!(
        written(&list),
        "apiVersion: v1\nkind: Pod\nmetadata:\n  labels:\n    owner: shop\n  name: a\n"
    );
    // JSON stays JSON.
    let json = r#"{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}"#;
    let labelled = r#""metadata": {"name": "a", "labels": {"owner": "shop"}}}"#;
    assert_eq!(written(json), format!("{}\n", json.replace(r#""metadata": {"name": "a"}}"#, labelled)));
    // What no mutator changes is written as it was.
    let labelled = "# Ours.\napiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {owner: 'me'}} # mine\n";
    assert_eq!(written(labelled), labelled);
}

#[test]
fn what_cannot_be_mutated_is_an_error_and_all_else_is_written() {
    let directory = tempfile::tempdir().unwrap();
    let mutator = LABEL
        .replace("AssignMetadata", "Assign")
        .replace("metadata.labels.owner", "spec.a.b")
        .replace("spec:\n", "spec:\n  applyTo: [{groups: [\"\"], versions: [v1], kinds: [Pod]}]\n");
    write(directory.path(), "mutators.yaml", &mutator);
    let pod = |name: &str, spec: &str| {
        format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec: {spec}\n")
    };
    write(directory.path(), "pods.yaml", &format!("{}---\n{}", pod("bad", "{a: text}"), pod("good", "{}")));
    let run = run_in(directory.path(), &["mutate", "."]).exits_with(2);
    assert_eq!(run.stdout, pod("good", "{a: {b: shop}}"));
    for part in
        ["error[mutation]", "by Assign/owner: expected an object, found string `text`", "pods.yaml:4:11"]
    {
        assert!(run.stderr.contains(part), "{}", run.stderr);
    }
}

#[test]
fn mutators_that_contradict_each_other_are_errors() {
    let directory = tempfile::tempdir().unwrap();
    let assign = |name: &str, location: &str| {
        format!(
            "apiVersion: mutations.gatekeeper.sh/v1\nkind: Assign\nmetadata: {{name: {name}}}\nspec:\n  applyTo: [{{groups: [\"\"], versions: [v1], kinds: [Pod]}}]\n  location: \"{location}\"\n  parameters: {{assign: {{value: 1}}}}\n---\n"
        )
    };
    let mutators = format!(
        "{}{}{}",
        assign("one", "spec.x.y"),
        assign("other", "spec.x[k: v].y"),
        assign("third", "spec.z")
    );
    write(directory.path(), "mutators.yaml", &mutators);
    write(directory.path(), "pod.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {}\n");
    let run = run_in(directory.path(), &["mutate", "."]).exits_with(2);
    assert_eq!(run.stdout, "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {z: 1}\n");
    assert!(run.stderr.contains("error[mutator-conflict]"), "{}", run.stderr);
    assert!(run.stderr.contains("its location contradicts that of `Assign/other`"), "{}", run.stderr);
}

#[test]
fn without_mutators_or_objects_there_is_nothing_to_do() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "m.yaml", LABEL);
    write(directory.path(), "p.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n");
    let said = |args: &[&str]| run_in(directory.path(), args).exits_with(2).stderr;
    assert!(said(&["mutate", "p.yaml"]).contains("no mutators were given"));
    assert!(said(&["mutate", "m.yaml"]).contains("no objects were given to mutate"));
    assert!(said(&["mutate", "nowhere.yaml"]).contains("nowhere.yaml"));
    let policies = testdata().join("mutation/policies");
    let run = run_in(directory.path(), &["test", "--mutate", "-p", policies.to_str().unwrap(), "p.yaml"]);
    assert!(run.exits_with(0).stderr.contains("no mutators were given"));
}

#[test]
fn operations_namespaces_and_exclusions_are_asked_about() {
    let directory = tempfile::tempdir().unwrap();
    let mutator = "apiVersion: mutations.gatekeeper.sh/v1\nkind: Assign\nmetadata: {name: a}\nspec:\n  applyTo: [{groups: [\"\"], versions: [v1], kinds: [Pod], operations: [UPDATE]}]\n  match: {namespaces: [shop]}\n  location: spec.x\n  parameters: {assign: {value: 1}}\n";
    write(directory.path(), "m.yaml", mutator);
    write(directory.path(), "p.yaml", "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {}\n");
    let is_mutated = |args: &[&str]| {
        let args = [&["mutate", "m.yaml", "p.yaml"], args].concat();
        run_in(directory.path(), &args).exits_with(0).stdout.contains("x: 1")
    };
    assert!(!is_mutated(&[]));
    assert!(!is_mutated(&["--operation", "update"]));
    assert!(!is_mutated(&["-n", "shop"]));
    assert!(is_mutated(&["-n", "shop", "--operation", "update"]));
    let config = "apiVersion: config.gatekeeper.sh/v1alpha1\nkind: Config\nmetadata: {name: config, namespace: gatekeeper-system}\nspec: {match: [{excludedNamespaces: [shop], processes: [mutation-webhook]}]}\n";
    write(directory.path(), "c.yaml", config);
    assert!(!is_mutated(&["c.yaml", "-n", "shop", "--operation", "update"]));
}

#[test]
fn objects_are_judged_as_mutators_leave_them_and_findings_are_where_they_were_written() {
    let test = |args: &[&str]| {
        let args = [&["test", "-o", "json"], args].concat();
        let run = run_in(&testdata(), &args);
        let findings: Vec<Value> = serde_json::from_str(&run.stdout).unwrap();
        let lines = findings.iter().map(|finding| {
            format!("{} {}", finding["location"]["line"], finding["msg"].as_str().unwrap_or_default())
        });
        let mut lines: Vec<String> = lines.collect();
        lines.sort();
        (lines, run.code, run.stderr)
    };
    let files = ["-f", "mutation"];
    let (plain, code, said) = test(&files);
    assert_eq!(code, Some(2));
    assert_eq!(said.matches("of Gatekeeper is not supported: objects are not mutated").count(), 4, "{said}");
    let expected = ["17 image web:1 is not ours", "22 image proxy:2 is not ours"];
    assert_eq!(plain, expected);
    let (mutated, code, said) = test(&[&files[..], &["--mutate"]].concat());
    assert_eq!((mutated, code), (Vec::new(), Some(0)), "{said}");
    // What only a mutator brings about is found where it would stand.
    let directory = tempfile::tempdir().unwrap();
    let pod = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\nspec:\n  containers:\n  - name: a\n    image: a\n  - name: b\n    image: b\n    securityContext:\n      privileged: true\n";
    write(directory.path(), "pod.yaml", pod);
    let pod = directory.path().join("pod.yaml");
    let (mutated, code, said) =
        test(&["--mutate", "-p", "mutation/policies", "-p", "mutation/mutators.yaml", pod.to_str().unwrap()]);
    assert_eq!((mutated, code), (vec!["12 b is privileged".to_owned()], Some(1)), "{said}");
}

/// A position in a list counts what a mutator left; the text has what it took away.
#[test]
fn findings_in_a_list_that_became_shorter_are_at_their_elements() {
    let directory = tempfile::tempdir().unwrap();
    write(
        directory.path(),
        "policies.yaml",
        r#"
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: args}
spec:
  crd: {spec: {names: {kind: Args}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package args
      violation[{"msg": "no ports", "details": {"path": sprintf("spec.containers[0].args[%d]", [i])}}] {
        startswith(input.review.object.spec.containers[0].args[i], "--port")
      }
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: Args
metadata: {name: it}
---
apiVersion: mutations.gatekeeper.sh/v1
kind: ModifySet
metadata: {name: no-debug}
spec:
  applyTo: [{groups: [""], versions: [v1], kinds: [Pod]}]
  location: "spec.containers[name: *].args"
  parameters: {operation: prune, values: {fromList: [--debug]}}
"#,
    );
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec:\n  containers:\n  - name: a\n    args:\n    - --debug\n    - --port\n";
    write(directory.path(), "pod.yaml", pod);
    let run = run_in(directory.path(), &["test", "--mutate", "-f", ".", "-o", "json"]).exits_with(1);
    let findings: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(findings[0]["location"]["line"], 9, "{findings}");
}

#[test]
fn what_cannot_be_mutated_is_not_judged() {
    let directory = tempfile::tempdir().unwrap();
    let mutator = "apiVersion: mutations.gatekeeper.sh/v1\nkind: Assign\nmetadata: {name: a}\nspec:\n  applyTo: [{groups: [\"\"], versions: [v1], kinds: [Pod]}]\n  location: spec.containers.x\n  parameters: {assign: {value: 1}}\n";
    write(directory.path(), "m.yaml", mutator);
    write(
        directory.path(),
        "p.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a, image: b}]}\n",
    );
    let policies = testdata().join("mutation/policies");
    let run = run_in(directory.path(), &["test", "--mutate", "-f", ".", "-p", policies.to_str().unwrap()])
        .exits_with(2);
    assert!(!run.stdout.contains("is not ours"), "{}", run.stdout);
    assert!(
        run.stdout.contains("error[mutation]") || run.stderr.contains("error[mutation]"),
        "{}{}",
        run.stdout,
        run.stderr
    );
}

#[test]
fn lint_finds_mistakes_conflicts_and_mutators_that_never_apply() {
    let directory = tempfile::tempdir().unwrap();
    let mutator = |kind: &str, name: &str, spec: &str| {
        format!(
            "apiVersion: mutations.gatekeeper.sh/v1\nkind: {kind}\nmetadata: {{name: {name}}}\nspec:\n  applyTo: [{{groups: [\"\"], versions: [v1], kinds: [Pod]}}]\n{spec}---\n"
        )
    };
    let value = "  parameters: {assign: {value: v}}\n";
    let all = [
        mutator("Assign", "bad", &format!("  location: spec..x\n{value}")),
        mutator("Assign", "list", &format!("  location: \"spec.l[name: a].x\"\n{value}")),
        mutator("ModifySet", "object", "  location: spec.l.x\n  parameters: {values: {fromList: [v]}}\n"),
        mutator(
            "Assign",
            "other-kind",
            &format!("  match: {{kinds: [{{kinds: [Deployment]}}]}}\n  location: spec.x\n{value}"),
        ),
        mutator(
            "Assign",
            "untrue",
            "  location: spec.a.b\n  parameters:\n    assign: {value: v}\n    pathTests: [{subPath: spec.a.b, condition: MustExist}, {subPath: spec.a, condition: MustNotExist}]\n",
        ),
    ];
    write(directory.path(), "mutators.yaml", &all.concat());
    let run = run_in(directory.path(), &["lint", ".", "-o", "json"]).exits_with(1);
    let report: Value = serde_json::from_str(&run.stdout).unwrap();
    let told = report["findings"].as_array().unwrap().iter().map(|finding| {
        let text = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
        format!("{} {} {}: {}", finding["location"]["line"], text("rule"), text("resource"), text("message"))
    });
    let told: Vec<String> = told.collect();
    assert_eq!(
        told,
        [
            "6 invalid-location Assign/bad: `spec..x` is no location: expected a field name, found `.`",
            "14 mutator-conflict Assign/list: the mutator is not applied: its location contradicts that of `ModifySet/object`",
            "22 mutator-conflict ModifySet/object: the mutator is not applied: its location contradicts that of `Assign/list`",
            "30 never-applies Assign/other-kind: `match.kinds` has none of the kinds in `applyTo`: the mutator changes nothing",
            "42 never-applies Assign/untrue: no object fulfils these tests, so that the mutator changes nothing",
        ]
    );
}

#[test]
fn constraints_that_deny_what_mutators_make_are_said() {
    let files =
        ["policy.yaml", "mutators.yaml", "objects.yaml"].map(|file| format!("mutation-fights/{file}"));
    let args = files.iter().flat_map(|file| ["-f", file]);
    let args: Vec<_> = ["test", "--mutate"].into_iter().chain(args).collect();
    insta::assert_snapshot!(run_in(&testdata(), &args).exits_with(1).shown());
}
