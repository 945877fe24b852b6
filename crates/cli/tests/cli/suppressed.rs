//! Findings that do not count: baselines, comments, exceptions in reports.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{Run, run_in};

const POLICY: &str = "apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: nolatest}
spec:
  crd: {spec: {names: {kind: NoLatest}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package nolatest
      violation[{\"msg\": msg}] {
        container := input.review.object.spec.containers[_]
        endswith(container.image, \":latest\")
        msg := sprintf(\"container %v runs %v\", [container.name, container.image])
      }
---
{apiVersion: constraints.gatekeeper.sh/v1beta1, kind: NoLatest, metadata: {name: none}}
";

const POD: &str = "apiVersion: v1
kind: Pod
metadata: {name: web, namespace: shop}
spec:
  containers:
  - name: web
    image: web:latest
  - name: log
    image: log:latest
";

fn folder(pod: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("policy.yaml"), POLICY).unwrap();
    fs::write(folder.path().join("pod.yaml"), pod).unwrap();
    folder
}

fn test(folder: &Path, args: &[&str]) -> Run {
    run_in(folder, &[&["test", "-p", "policy.yaml", "pod.yaml", "-o", "compact"], args].concat())
}

#[test]
fn a_baseline_survives_moved_and_reformatted_lines() {
    let folder = folder(POD);
    let (path, baseline) = (folder.path(), ["--baseline", "known.yaml"]);
    test(path, &baseline).exits_with(2);
    let run = test(path, &["--baseline", "known.yaml", "--write-baseline"]).exits_with(0);
    assert!(run.stdout.contains("2 known from the baseline"), "{}", run.shown());
    insta::assert_snapshot!(fs::read_to_string(path.join("known.yaml")).unwrap());
    test(path, &baseline).exits_with(0);
    // Moved, reordered, written as JSON.
    let moved = format!(
        "# one\n\n\n{}",
        POD.replace("  - name: web\n    image: web:latest\n", "") + "  - {image: 'web:latest', name: web}\n"
    );
    fs::write(path.join("pod.yaml"), moved).unwrap();
    test(path, &baseline).exits_with(0);
    let json = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"namespace":"shop","name":"web"},"spec":{"containers":[{"name":"log","image":"log:latest"},{"name":"web","image":"web:latest"}]}}"#;
    fs::write(path.join("pod.yaml"), json).unwrap();
    test(path, &baseline).exits_with(0);
    // One more, and one of another object.
    fs::write(path.join("pod.yaml"), format!("{POD}  - {{name: new, image: 'x:latest'}}\n")).unwrap();
    let run = test(path, &baseline).exits_with(1);
    assert!(run.stdout.contains("1 denied") && run.stdout.contains("2 known"), "{}", run.shown());
    fs::write(path.join("pod.yaml"), POD.replace("name: web, namespace", "name: other, namespace")).unwrap();
    test(path, &baseline).exits_with(1);
    // What is gone is said, and may be written anew.
    fs::write(path.join("pod.yaml"), POD.replace("log:latest", "log:1")).unwrap();
    let run = test(path, &baseline).exits_with(0);
    assert!(
        run.stdout
            .contains("1 finding of the baseline is gone: NoLatest/none in v1 Pod shop/web: container log"),
        "{}",
        run.shown()
    );
    test(path, &["--baseline", "known.yaml", "--write-baseline"]).exits_with(0);
    let run = test(path, &baseline).exits_with(0);
    assert!(!run.stdout.contains("gone"), "{}", run.shown());
}

#[test]
fn a_baseline_that_is_broken_knows_nothing() {
    let folder = folder(POD);
    let path = folder.path();
    for (text, said) in [
        ("", "expected one document"),
        ("version: 2\nfindings: []\n", "expected the version 1"),
        ("findings: []\n", "`version` is missing"),
        ("version: 1\nfindings: [{constraint: a, object: b}]\n", "`message` is missing"),
        (
            "version: 1\nfindings: [{constraint: a, object: b, message: c, count: 0}]\n",
            "expected a number from 1",
        ),
        ("version: [\n", "known.yaml"),
    ] {
        fs::write(path.join("known.yaml"), text).unwrap();
        let run = test(path, &["--baseline", "known.yaml"]).exits_with(2);
        assert!(run.stdout.contains(said) && run.stdout.contains("2 denied"), "{text}: {}", run.shown());
    }
    // What could not be judged is not written, and what was known stays.
    fs::write(path.join("known.yaml"), "version: 1\nfindings: []\n").unwrap();
    fs::write(path.join("pod.yaml"), format!("{POD}---\nkind: Pod\n")).unwrap();
    let run = test(path, &["--baseline", "known.yaml", "--write-baseline"]).exits_with(2);
    assert!(run.stdout.contains("the baseline was not written"), "{}", run.shown());
    assert_eq!(fs::read_to_string(path.join("known.yaml")).unwrap(), "version: 1\nfindings: []\n");
}

#[test]
fn what_cannot_be_evaluated_is_never_known() {
    let folder = folder(POD);
    let path = folder.path();
    let broken =
        POLICY.replace("endswith(container.image, \":latest\")", "count(numbers.range(1, 100000000)) > 0");
    fs::write(path.join("policy.yaml"), broken).unwrap();
    let run = test(path, &["--baseline", "known.yaml", "--write-baseline"]).exits_with(1);
    assert!(run.stdout.contains("could not be evaluated"), "{}", run.shown());
    assert!(fs::read_to_string(path.join("known.yaml")).unwrap().contains("findings: []"));
    let commented = format!("# portcullis-ignore: none because\n{POD}");
    fs::write(path.join("pod.yaml"), commented).unwrap();
    test(path, &["--allow-inline-ignores"]).exits_with(1);
}

#[test]
fn comments_ignore_only_if_somebody_lets_them() {
    let with = |line: &str, comment: &str| POD.replace(line, comment);
    let web = "    image: web:latest\n";
    for (pod, code, left) in [
        (with(web, "    image: web:latest # portcullis-ignore: none it is a test\n"), 1, 1),
        (with(web, "    # portcullis-ignore: NoLatest it is a test\n    image: web:latest\n"), 1, 1),
        (with(web, "    # portcullis-ignore: NoLatest/none it is a test\n    image: web:latest\n"), 1, 1),
        (format!("# portcullis-ignore: NoLatest/none all of it\n# more\n{POD}"), 0, 0),
        (format!("---\n# portcullis-ignore: NoLatest/none all of it\n\n{POD}"), 0, 0),
        // Of another object, of another constraint, without a reason, in a text, too far away.
        (format!("# portcullis-ignore: none all of it\n---\n{POD}"), 1, 2),
        (with(web, "    image: web:latest # portcullis-ignore: others it is a test\n"), 1, 2),
        (with(web, "    image: web:latest # portcullis-ignore: none\n"), 1, 2),
        (with("  - name: web\n", "  # portcullis-ignore: none it is a test\n\n  - name: web\n"), 1, 2),
        (
            with(
                web,
                "    args:\n    - |\n      # portcullis-ignore: none it is a text\n    image: web:latest\n",
            ),
            1,
            2,
        ),
        (
            with(
                web,
                "    args:\n    - 'x\n      # portcullis-ignore: none it is a text'\n    image: web:latest\n",
            ),
            1,
            2,
        ),
        (
            with(
                "{name: web, namespace: shop}",
                "{name: web, namespace: shop, annotations: {a: 'b#portcullis-ignore: none x'}}",
            ),
            1,
            2,
        ),
    ] {
        let folder = folder(&pod);
        let run = test(folder.path(), &["--allow-inline-ignores"]).exits_with(code);
        assert_eq!(run.stdout.matches("NoLatest/none").count(), left, "{pod}\n{}", run.shown());
        assert_eq!(
            run.stdout.contains("this comment ignores nothing"),
            pod.contains("ignore: none\n"),
            "{pod}\n{}",
            run.shown()
        );
        let run = test(folder.path(), &[]).exits_with(1);
        assert_eq!(run.stdout.matches("NoLatest/none").count(), 2, "{pod}\n{}", run.shown());
    }
}

#[test]
fn what_does_not_count_is_in_the_reports() {
    let folder =
        folder(&POD.replace("image: web:latest", "image: web:latest # portcullis-ignore: none it is a test"));
    let path = folder.path();
    let exception = "---\napiVersion: policy.portcullis.dev/v1alpha1\nkind: PolicyException\nmetadata: {name: shop}\nspec: {constraints: [NoLatest/none], match: {name: db}, \
                     reason: it goes, owner: shop, expiresAt: '2999-01-01'}\n";
    fs::write(path.join("policy.yaml"), format!("{POLICY}{exception}")).unwrap();
    let db = "---\n{apiVersion: v1, kind: Pod, metadata: {name: db, namespace: shop}, spec: {containers: [{name: db, image: 'db:latest'}]}}\n";
    let pod = fs::read_to_string(path.join("pod.yaml")).unwrap();
    fs::write(path.join("pod.yaml"), pod + db).unwrap();
    let report = |form: &str| {
        let args = ["test", "-p", "policy.yaml", "pod.yaml", "--allow-inline-ignores", "-v", "-o", form];
        run_in(path, &args).exits_with(1)
    };
    insta::assert_snapshot!(report("human").shown());
    insta::assert_snapshot!(report("csv").stdout);
    let sarif: Value = serde_json::from_str(&report("sarif").stdout).unwrap();
    let results = sarif["runs"][0]["results"].as_array().unwrap();
    let kinds: Vec<_> = results.iter().map(|one| one["suppressions"][0]["kind"].as_str()).collect();
    assert_eq!(kinds, [None, Some("inSource"), Some("external")]);
    assert_eq!(
        results[2]["suppressions"][0]["justification"],
        "excepted by shop (owner shop, until 2999-01-01): it goes"
    );
    assert_eq!(report("json").stdout.matches("\"msg\"").count(), 1);
    assert_eq!(report("junit").stdout.matches("(suppressed)").count(), 2);
    assert!(report("markdown").stdout.contains("2 excepted"));
    let old = "---\napiVersion: policy.portcullis.dev/v1alpha1\nkind: PolicyException\nmetadata: {name: old}\nspec: {templates: [NoLatest], match: {}, reason: gone, \
               expiresAt: '2020-01-01'}\n---\napiVersion: policy.portcullis.dev/v1alpha1\nkind: PolicyException\nmetadata: {name: unused}\nspec: {templates: [NoLatest], match: {name: x}, \
               reason: nobody knows}\n";
    fs::write(path.join("policy.yaml"), format!("{POLICY}{exception}{old}")).unwrap();
    let list = |form: &str| {
        let args = ["exceptions", "-p", "policy.yaml", "pod.yaml", "--allow-inline-ignores", "-o", form];
        run_in(path, &args)
    };
    insta::assert_snapshot!(list("human").exits_with(0).shown());
    let json: Value = serde_json::from_str(&list("json").exits_with(0).stdout).unwrap();
    let states: Vec<_> =
        json["exceptions"].as_array().unwrap().iter().map(|one| one["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["expired", "used", "unused"]);
    assert_eq!(
        (
            json["exceptions"][1]["hides"].as_array().unwrap().len(),
            json["comments"].as_array().unwrap().len()
        ),
        (1, 1)
    );
    assert!(list("sarif").exits_with(2).stderr.contains("`exceptions` writes one list"));
}

/// Whoever reads only the last line must not think that somebody looked.
#[test]
fn a_run_without_a_policy_that_can_be_used_does_not_say_that_nothing_was_found() {
    let folder = folder(POD);
    fs::write(folder.path().join("policy.yaml"), POLICY.replace("container.image", "cntainer.image"))
        .unwrap();
    let run = test(folder.path(), &[]).exits_with(2);
    assert!(
        run.stdout.contains("nothing was judged, since no constraint can be used: 1 object"),
        "{}",
        run.shown()
    );
}
