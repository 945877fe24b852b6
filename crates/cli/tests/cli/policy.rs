//! Policies of a catalog, put into a folder.

use std::fs;

use serde_json::Value;

use crate::run_in;

const TEMPLATE: &str = "apiVersion: templates.gatekeeper.sh/v1\nkind: ConstraintTemplate\nmetadata: {name: nolatest}\nspec:\n  crd: {spec: {names: {kind: NoLatest}}}\n  \
                        targets: [{target: admission.k8s.gatekeeper.sh, rego: \"package nolatest\\nviolation[{\\\"msg\\\": \\\"x\\\"}] { input.review.object.x }\\n\"}]\n";

const CONSTRAINT: &str = "# kept\napiVersion: constraints.gatekeeper.sh/v1beta1\nkind: NoLatest\nmetadata:\n  name: none\nspec:\n  match:\n    kinds: [{apiGroups: [''], kinds: [Pod]}]\n";

const CATALOG: &str = "apiVersion: gator.gatekeeper.sh/v1alpha1\nkind: PolicyCatalog\nmetadata: {name: library, version: v1.0.0}\nbundles:\n- {name: baseline, description: b, policies: [nolatest]}\n\
                       - {name: restricted, inherits: baseline, policies: [other]}\n- {name: circle, inherits: circle, policies: []}\npolicies:\n- {name: nolatest, version: v1.0.0, description: 'No latest images', \
                       category: general, templatePath: nolatest/template.yaml, bundleConstraints: {baseline: nolatest/constraint.yaml}}\n- {name: other, version: v2.0.0, description: another, category: pod-security, \
                       templatePath: 'https://example.com/t.yaml'}\n- {name: outside, version: v1, description: x, category: general, templatePath: ../catalog.yaml}\n";

fn library() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    fs::create_dir_all(path.join("library/nolatest")).unwrap();
    fs::write(path.join("library/catalog.yaml"), CATALOG).unwrap();
    fs::write(path.join("library/nolatest/template.yaml"), TEMPLATE).unwrap();
    fs::write(path.join("library/nolatest/constraint.yaml"), CONSTRAINT).unwrap();
    directory
}

#[test]
fn policies_of_a_catalog_are_put_into_a_folder_and_upgraded() {
    let library = library();
    let path = library.path();
    let policy =
        |args: &[&str]| run_in(path, &[&["policy", "--catalog", "library/catalog.yaml"], args].concat());
    insta::assert_snapshot!(policy(&["search", "a"]).exits_with(0).stdout);
    assert!(
        policy(&["search", "LATEST", "--category", "General", "--bundle", "restricted"])
            .exits_with(0)
            .stdout
            .contains("nolatest")
    );
    assert_eq!(policy(&["search", "nothing"]).exits_with(0).stdout, "No policies found.\n");
    let json: Value =
        serde_json::from_str(&policy(&["search", "latest", "-o", "json"]).exits_with(0).stdout).unwrap();
    assert_eq!(json["results"][0]["version"], "v1.0.0");
    // Nothing is written.
    policy(&["install", "--bundle", "baseline", "--dry-run"]).exits_with(0);
    assert!(!path.join("policies").exists());
    assert_eq!(policy(&["list"]).exits_with(0).stdout, "No policies installed.\n");
    policy(&["install", "--bundle", "baseline", "--enforcement-action", "warn"]).exits_with(0);
    let constraint = fs::read_to_string(path.join("policies/nolatest/constraint.yaml")).unwrap();
    assert!(
        constraint.contains("# kept\n")
            && constraint.contains("spec:\n  enforcementAction: warn\n  match:\n"),
        "{constraint}"
    );
    assert_eq!(
        policy(&["list"]).exits_with(0).stdout,
        "NAME      VERSION  BUNDLE\nnolatest  v1.0.0   baseline\n"
    );
    assert!(policy(&["install", "--bundle", "baseline"]).exits_with(0).stdout.contains("already there"));
    // What was put there can be used.
    fs::write(
        path.join("pod.yaml"),
        "{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: b}, x: 1}\n",
    )
    .unwrap();
    assert!(run_in(path, &["test", "-p", "policies", "pod.yaml"]).exits_with(0).stdout.contains("1 warning"));
    fs::write(
        path.join("library/catalog.yaml"),
        CATALOG.replace("name: nolatest, version: v1.0.0", "name: nolatest, version: v1.1.0"),
    )
    .unwrap();
    let run = policy(&["upgrade", "--all", "--dry-run"]).exits_with(0);
    assert!(run.stdout.contains("nolatest v1.0.0 -> v1.1.0"), "{}", run.shown());
    policy(&["upgrade", "--all"]).exits_with(0);
    assert!(policy(&["list"]).exits_with(0).stdout.contains("v1.1.0"));
    policy(&["upgrade", "missing"]).exits_with(2);
}

#[test]
fn what_somebody_changed_or_what_is_elsewhere_is_left_alone() {
    let library = library();
    let path = library.path();
    let policy =
        |args: &[&str]| run_in(path, &[&["policy", "--catalog", "library/catalog.yaml"], args].concat());
    policy(&["install", "nolatest"]).exits_with(0);
    let file = path.join("policies/nolatest/template.yaml");
    let changed = fs::read_to_string(&file).unwrap() + "# mine\n";
    fs::write(&file, &changed).unwrap();
    let run = policy(&["install", "--bundle", "baseline"]).exits_with(2);
    assert!(run.stderr.contains("was changed since"), "{}", run.shown());
    fs::write(&file, "mine: true\n").unwrap();
    let run = policy(&["install", "nolatest"]).exits_with(2);
    assert!(run.stderr.contains("did not come from a catalog"), "{}", run.shown());
    assert_eq!(fs::read_to_string(&file).unwrap(), "mine: true\n");
    for (name, part) in
        [("other", "nothing is fetched"), ("outside", "not below the folder"), ("missing", "no such policy")]
    {
        let run = policy(&["install", name]).exits_with(2);
        assert!(run.stderr.contains(part), "{}", run.shown());
    }
    assert!(policy(&["install", "--bundle", "circle"]).exits_with(2).stderr.contains("from itself"));
    assert!(policy(&["install", "--bundle", "none"]).exits_with(2).stderr.contains("no bundle `none`"));
    policy(&["install"]).exits_with(2);
    let catalog = path.join("library/catalog.yaml");
    for (text, part) in [
        (CATALOG.replace("name: nolatest, version", "name: ../x, version"), "a name of letters"),
        (CATALOG.replace("PolicyCatalog", "Catalog"), "PolicyCatalog"),
        (CATALOG.replace("v2.0.0", "\"v 2, bundle x\""), "a version without"),
        ("a: [".to_owned(), "catalog.yaml:1"),
        (String::new(), "expected one document"),
    ] {
        fs::write(&catalog, text).unwrap();
        let run = policy(&["search", "x"]).exits_with(2);
        assert!(run.stderr.contains(part), "{part}: {}", run.shown());
    }
    fs::write(&catalog, CATALOG).unwrap();
    fs::write(path.join("library/nolatest/template.yaml"), CONSTRAINT).unwrap();
    fs::remove_dir_all(path.join("policies")).unwrap();
    let run = policy(&["install", "nolatest"]).exits_with(2);
    assert!(run.stderr.contains("expected a ConstraintTemplate"), "{}", run.shown());
    assert!(!path.join("policies/nolatest/template.yaml").exists());
}
