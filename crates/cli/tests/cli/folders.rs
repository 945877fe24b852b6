//! Folders that are no manifests: kustomizations, Helm charts, and files of other tools.

use std::fs;
use std::path::Path;

use super::{Run, testdata};

const POD: &str = "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\n  namespace: shop\nspec:\n  containers:\n  - name: web\n    securityContext:\n      privileged: true\n";

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

/// Judged by the policy on privileged containers, with nothing on the PATH but what is given.
fn test(folder: &Path, paths: &[&str], programs: &Path) -> Run {
    let policies = testdata().join("../../policies/pod-security/privileged-containers");
    let constraint = folder.join("constraint.yaml");
    fs::write(
        &constraint,
        "apiVersion: constraints.gatekeeper.sh/v1beta1\nkind: PrivilegedContainers\nmetadata: {name: none}\n",
    )
    .unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_portcullis"));
    command.current_dir(folder).env("PATH", format!("{}:/usr/bin:/bin", programs.display()));
    command
        .args(["test", "-o", "compact", "-p"])
        .arg(policies.join("template.yaml"))
        .arg("-p")
        .arg(constraint);
    command.args(paths).stdin(std::process::Stdio::null());
    Run::of(command.output().unwrap())
}

#[test]
fn a_folder_that_has_to_be_rendered_is_never_nothing_found() {
    let folder = folder(&[
        ("chart/Chart.yaml", "name: shop\n"),
        ("chart/values.yaml", "replicas: 3\n"),
        ("chart/templates/pod.yaml", "kind: {{ .Values.kind }}\n"),
        ("overlay/kustomization.yaml", "resources: [../base]\nnamePrefix: x-\n"),
        ("overlay/patch.yaml", "kind: Pod\n"),
        // Changes nothing: its files are what is applied.
        ("base/kustomization.yaml", "resources: [pod.yaml]\n"),
        ("base/pod.yaml", POD),
    ]);
    let nothing = folder.path().join("no-programs");
    let run = test(folder.path(), &["chart", "overlay", "base"], &nothing).exits_with(2);
    assert!(run.stdout.contains("this folder is a Helm chart: it is not judged"), "{}", run.shown());
    assert!(run.stdout.contains("this folder is a kustomization: it is not judged"), "{}", run.shown());
    assert!(run.stdout.contains("base/pod.yaml\n  10:7  error"), "{}", run.shown());
    assert!(
        !run.stdout.contains("templates/pod.yaml") && !run.stdout.contains("patch.yaml"),
        "{}",
        run.shown()
    );
    // Found below a directory, too; said once for each kind.
    for number in 0..9 {
        let chart = folder.path().join(format!("charts/c{number}"));
        fs::create_dir_all(&chart).unwrap();
        fs::write(chart.join("Chart.yaml"), "name: c\n").unwrap();
    }
    let run = test(folder.path(), &["charts"], &nothing).exits_with(2);
    assert!(
        run.stdout.contains("9 folders are Helm charts, and are not judged: `charts/c0`"),
        "{}",
        run.shown()
    );
    assert!(run.stdout.contains("and 4 more") && !run.stdout.contains("nothing found"), "{}", run.shown());
    for text in [
        "resources: [../base/pod.yaml]\n",
        "resources: [pod.yaml]\npatches: []\n",
        "resources: [https://example.com/x]\n",
        "[\n",
    ] {
        fs::write(folder.path().join("base/kustomization.yaml"), text).unwrap();
        let run = test(folder.path(), &["base"], &nothing).exits_with(2);
        assert!(run.stdout.contains("is a kustomization"), "{text}{}", run.shown());
    }
}

#[test]
fn files_of_other_tools_are_said_once_and_fail_nothing_unless_named() {
    let files = [
        ("apps/values.yaml", "replicas: 3\n"),
        ("apps/.ci.yaml", "stages: [a]\n"),
        ("apps/package.json", "{\"name\": \"x\"}"),
        ("apps/list.yaml", "- a\n"),
        ("apps/good.yaml", "{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: b}}\n"),
    ];
    let folder = folder(&files);
    let nothing = folder.path().join("no-programs");
    let run = test(folder.path(), &["apps"], &nothing).exits_with(0);
    assert!(
        run.stdout.contains("4 files are no manifests, and are not judged: `apps/.ci.yaml`"),
        "{}",
        run.shown()
    );
    assert!(run.stdout.contains("nothing found in 1 object"), "{}", run.shown());
    test(folder.path(), &["apps/values.yaml"], &nothing).exits_with(2);
    // One word that makes it a manifest makes it a broken one.
    fs::write(folder.path().join("apps/values.yaml"), "kind: Pod\nmetadata: {name: a}\n").unwrap();
    test(folder.path(), &["apps"], &nothing).exits_with(2);
    fs::write(folder.path().join("apps/values.yaml"), "a: 1\n---\napiVersion: v1\nmetadata: {name: a}\n")
        .unwrap();
    test(folder.path(), &["apps"], &nothing).exits_with(2);
}

#[cfg(unix)]
mod rendered {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn program(folder: &Path, name: &str, script: &str) {
        let path = folder.join("programs").join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Stands in for kustomize: adds a prefix, and says where the object is from as kustomize does.
    const KUSTOMIZE: &str = r#"test "$1" = build || exit 9
resource=$(sed 's/.*"resources":\["\([^"]*\)"\].*/\1/' "$2/kustomization.yaml")
cat <<END
apiVersion: v1
kind: Pod
metadata:
  annotations:
    config.kubernetes.io/origin: |
      path: $resource/../base/pod.yaml
  name: x-web
  namespace: shop
spec:
  hostPID: true
  containers:
  - name: web
    securityContext:
      privileged: true
END"#;

    #[test]
    fn findings_of_a_kustomization_are_placed_in_the_files_that_it_was_made_of() {
        let folder = folder(&[
            ("overlay/kustomization.yaml", "resources: [../base]\nnamePrefix: x-\n"),
            ("base/pod.yaml", POD),
        ]);
        program(folder.path(), "kustomize", KUSTOMIZE);
        let programs = folder.path().join("programs");
        let run = test(folder.path(), &["overlay", "--render"], &programs).exits_with(1);
        assert!(run.stdout.contains("base/pod.yaml\n  10:7  error"), "{}", run.shown());
        assert!(run.stdout.contains("Pod shop/x-web"), "{}", run.shown());
        // Its annotation is no part of the object.
        let run =
            test(folder.path(), &["overlay", "--render", "-o", "json=out.json"], &programs).exits_with(1);
        assert!(
            !fs::read_to_string(folder.path().join("out.json")).unwrap().contains("origin"),
            "{}",
            run.shown()
        );
    }

    #[test]
    fn findings_of_a_chart_name_the_template() {
        let folder = folder(&[("chart/Chart.yaml", "name: shop\n"), ("values.yaml", "a: 1\n")]);
        let script = format!(
            "test \"$*\" = 'template chart --values values.yaml' || exit 9\ncat <<'END'\n---\n# Source: shop/templates/a.yaml\n{POD}---\n# Source: shop/templates/b.yaml\napiVersion: v1\nkind: Pod\nEND"
        );
        program(folder.path(), "helm", &script);
        let programs = folder.path().join("programs");
        let run =
            test(folder.path(), &["chart", "--render", "--values", "values.yaml"], &programs).exits_with(1);
        assert!(run.stdout.contains("chart/templates/a.yaml (rendered)\n  12:7  error"), "{}", run.shown());
    }

    #[test]
    fn what_cannot_be_rendered_is_not_judged() {
        let folder = folder(&[("chart/Chart.yaml", "name: shop\n"), ("good.yaml", POD)]);
        let programs = folder.path().join("programs");
        let rendered = |script: Option<&str>| {
            if let Some(script) = script {
                program(folder.path(), "helm", script);
            }
            let run =
                test(folder.path(), &["chart", "good.yaml", "--render", "--max-size", "64KiB"], &programs);
            let run = run.exits_with(2);
            // The good beside it is judged.
            assert!(run.stdout.contains("good.yaml\n  10:7"), "{}", run.shown());
            run.stdout
        };
        assert!(rendered(None).contains("there is no `helm` on the PATH"));
        assert!(rendered(Some("echo 'no such value' >&2; exit 3")).contains("exit status: 3: no such value"));
        assert!(rendered(Some("yes")).contains("has more than the 64 KiB that are read"));
        assert!(rendered(Some("printf '\\377'")).contains("no UTF-8"));
        assert!(rendered(Some("echo 'a: ['")).contains("(rendered)"));
    }
}

/// Rules of Rego are asked about what is written in a chart; templates are not.
#[test]
fn files_of_rego_see_what_is_written_in_folders_that_have_to_be_rendered() {
    let folder = folder(&[
        ("chart/Chart.yaml", "name: shop\n"),
        ("chart/values.yaml", "privileged: true\n"),
        ("good.yaml", POD),
        (
            "policy/main.rego",
            "package main\n\ndeny contains msg if {\n\tinput.privileged\n\tmsg := \"no\"\n}\n",
        ),
    ]);
    let run = |args: &[&str]| super::run_in(folder.path(), &[&["test", "-o", "compact"], args].concat());
    // With rules alone it is a document like all others.
    let alone = run(&["-p", "policy", "chart", "good.yaml"]).exits_with(1);
    assert!(alone.stdout.contains("chart/values.yaml\n  1:1  error    main/deny"), "{}", alone.shown());
    assert!(!alone.stdout.contains("not-judged"), "{}", alone.shown());
    // With templates beside them, it is known that these did not judge the chart.
    let template = testdata().join("../../policies/pod-security/privileged-containers/template.yaml");
    let constraint =
        "apiVersion: constraints.gatekeeper.sh/v1beta1\nkind: PrivilegedContainers\nmetadata: {name: none}\n";
    fs::write(folder.path().join("constraint.yaml"), constraint).unwrap();
    let both = run(&[
        "-p",
        "policy",
        "-p",
        template.to_str().unwrap(),
        "-p",
        "constraint.yaml",
        "chart",
        "good.yaml",
    ]);
    let both = both.exits_with(2);
    for said in ["main/deny", "not-judged", "PrivilegedContainers/none"] {
        assert!(both.stdout.contains(said), "{said}: {}", both.shown());
    }
    // What is known of rules stays known.
    let known = ["-p", "policy", "chart", "--baseline", "known.yaml"];
    run(&[&known[..], &["--write-baseline"]].concat()).exits_with(0);
    assert!(run(&known).exits_with(0).stdout.contains("1 known from the baseline"));
}
