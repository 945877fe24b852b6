//! Fixes in reports, and put into files.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use super::{Run, run_in};

const POLICY: &str = r#"
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {name: nodes}
spec:
  crd: {spec: {names: {kind: Nodes}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package nodes

      violation[{"msg": msg}] {
        input.review.object.spec.hostPID == true
        msg := "the pod shares the processes of the node (hostPID)"
      }

      violation[{"msg": msg}] {
        c := input.review.object.spec.containers[_]
        not c.securityContext.readOnlyRootFilesystem
        msg := sprintf("container %v can write to its root filesystem", [c.name])
      }

      violation[{"msg": msg}] {
        c := input.review.object.spec.containers[_]
        port := c.ports[_].hostPort
        msg := sprintf("container %v opens hostPort %v", [c.name, port])
      }

      violation[{"msg": msg}] {
        not input.review.object.metadata.labels.owner
        msg := "there is no label `owner`"
      }
---
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: Nodes
metadata: {name: nodes}
"#;

/// A folder with the policy and some files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("m")).unwrap();
    for (name, text) in [("policy.yaml", POLICY)].iter().chain(files) {
        fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn test(folder: &Path, args: &[&str]) -> Run {
    run_in(folder, &[&["test", "--policies", "policy.yaml", "m"], args].concat())
}

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap()
}

#[track_caller]
fn becomes(name: &str, text: &str, wanted: &str) {
    let folder = folder(&[(name, text)]);
    test(folder.path(), &["--fix"]).exits_with(0);
    assert_eq!(read(folder.path(), name), wanted);
    // There is nothing left to do.
    test(folder.path(), &["--fix"]).exits_with(0);
    assert_eq!(read(folder.path(), name), wanted);
}

#[test]
fn fixes_keep_all_that_they_are_not_about() {
    becomes(
        "m/all.yaml",
        "# The first.\napiVersion: v1\nkind: Pod\nmetadata:\n  name: web # its name\n  labels: {owner: web}\nspec:\n  hostPID: true # why?\n  containers:\n  - name: web\n    image: 'web:1'\n    # ports\n    ports:\n    - hostPort: 80\n      containerPort: 8080\n    - containerPort: 9090\n      hostPort: 90\n  - name: side\n    image: side:1\n    securityContext:\n      # for a reason\n      privileged: false\n---\n# A map.\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {owner: web}}\ndata:\n  a: |\n    hostPID: true\n---\n# The last.\nkind: Pod\napiVersion: v1\nmetadata: {name: last, labels: {owner: web}}\nspec: {hostPID: true, containers: []}\n",
        "# The first.\napiVersion: v1\nkind: Pod\nmetadata:\n  name: web # its name\n  labels: {owner: web}\nspec:\n  hostPID: false # why?\n  containers:\n  - name: web\n    image: 'web:1'\n    # ports\n    ports:\n    - containerPort: 8080\n    - containerPort: 9090\n    securityContext:\n      readOnlyRootFilesystem: true\n  - name: side\n    image: side:1\n    securityContext:\n      # for a reason\n      privileged: false\n      readOnlyRootFilesystem: true\n---\n# A map.\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {owner: web}}\ndata:\n  a: |\n    hostPID: true\n---\n# The last.\nkind: Pod\napiVersion: v1\nmetadata: {name: last, labels: {owner: web}}\nspec: {hostPID: false, containers: []}\n",
    );
}

#[test]
fn lines_end_as_they_did() {
    becomes(
        "m/crlf.yaml",
        "\u{feff}apiVersion: v1\r\nkind: Pod\r\nmetadata: {name: web, labels: {owner: web}}\r\nspec:\r\n  hostPID: true\r\n  containers:\r\n  - name: web\r\n    image: web:1",
        "\u{feff}apiVersion: v1\r\nkind: Pod\r\nmetadata: {name: web, labels: {owner: web}}\r\nspec:\r\n  hostPID: false\r\n  containers:\r\n  - name: web\r\n    image: web:1\r\n    securityContext:\r\n      readOnlyRootFilesystem: true",
    );
}

#[test]
fn json_stays_json_and_lists_stay_lists() {
    becomes(
        "m/list.json",
        "{\n  \"apiVersion\": \"v1\",\n  \"kind\": \"List\",\n  \"items\": [\n    {\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"a\", \"labels\": {\"owner\": \"a\"}}, \"spec\": {\"hostPID\": true, \"containers\": []}},\n    {\n      \"apiVersion\": \"v1\",\n      \"kind\": \"Pod\",\n      \"metadata\": {\"name\": \"b\", \"labels\": {\"owner\": \"b\"}},\n      \"spec\": {\n        \"containers\": [\n          {\n            \"name\": \"web\",\n            \"image\": \"web:1\",\n            \"ports\": [{\"containerPort\": 8080, \"hostPort\": 80}]\n          }\n        ],\n        \"hostPID\": true\n      }\n    }\n  ]\n}\n",
        "{\n  \"apiVersion\": \"v1\",\n  \"kind\": \"List\",\n  \"items\": [\n    {\"apiVersion\": \"v1\", \"kind\": \"Pod\", \"metadata\": {\"name\": \"a\", \"labels\": {\"owner\": \"a\"}}, \"spec\": {\"hostPID\": false, \"containers\": []}},\n    {\n      \"apiVersion\": \"v1\",\n      \"kind\": \"Pod\",\n      \"metadata\": {\"name\": \"b\", \"labels\": {\"owner\": \"b\"}},\n      \"spec\": {\n        \"containers\": [\n          {\n            \"name\": \"web\",\n            \"image\": \"web:1\",\n            \"ports\": [{\"containerPort\": 8080}],\n            \"securityContext\": {\"readOnlyRootFilesystem\": true}\n          }\n        ],\n        \"hostPID\": false\n      }\n    }\n  ]\n}\n",
    );
}

const POD: &str =
    "apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\nspec:\n  hostPID: true\n  containers: []\n";

#[test]
fn what_is_shared_is_said_and_left() {
    let text = "apiVersion: v1\nkind: Pod\nmetadata: {name: web, labels: {owner: a}}\nspec:\n  containers:\n  - &web {name: web, image: web:1}\n  - *web\n";
    let folder = folder(&[("m/shared.yaml", text)]);
    let Run { stderr, .. } = test(folder.path(), &["--fix"]).exits_with(1);
    assert!(stderr.contains("is not fixed in its file: what would have to be edited is shared"), "{stderr}");
    assert_eq!(read(folder.path(), "m/shared.yaml"), text);
}

/// An anchor that is used elsewhere keeps its value there, or nothing is edited.
#[test]
fn anchors_beside_an_edit_stay() {
    becomes(
        "m/anchor.yaml",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: web, labels: &all {owner: web}, annotations: *all}\nspec:\n  hostPID: true\n  containers: []\n",
        "apiVersion: v1\nkind: Pod\nmetadata: {name: web, labels: &all {owner: web}, annotations: *all}\nspec:\n  hostPID: false\n  containers: []\n",
    );
}

#[test]
fn a_dry_run_writes_a_diff_and_nothing_else() {
    let folder = folder(&[("m/pod.yaml", POD)]);
    let Run { stdout, stderr, .. } = test(folder.path(), &["--fix-dry-run"]).exits_with(1);
    let wanted = "# Pod default/web: set spec.hostPID to false (it is true)\n--- a/m/pod.yaml\n+++ b/m/pod.yaml\n@@ -3,5 +3,5 @@\n metadata:\n   name: web\n spec:\n-  hostPID: true\n+  hostPID: false\n   containers: []\n";
    assert_eq!(stdout.replace("default/", ""), wanted.replace("default/", ""));
    assert!(stderr.contains("1 fix is yours to decide, and not put in"), "{stderr}");
    assert_eq!(read(folder.path(), "m/pod.yaml"), POD);
}

/// What is named from the root has one slash before it, as `git diff --no-index` writes it; names with spaces are whole.
#[test]
fn diffs_of_files_named_from_the_root_can_be_applied() {
    for name in ["m/pod.yaml", "m/a pod.yaml"] {
        let folder = folder(&[(name, POD)]);
        let path = folder.path().canonicalize().unwrap().join(name);
        let path = path.to_str().unwrap();
        let args = ["test", "--policies", "policy.yaml", path, "--fix-dry-run"];
        let Run { stdout, .. } = run_in(folder.path(), &args).exits_with(1);
        let tab = if name.contains(' ') { "\t" } else { "" };
        assert!(stdout.contains(&format!("--- a{path}{tab}\n+++ b{path}{tab}\n")), "{stdout}");
        fs::write(folder.path().join("fix.diff"), &stdout).unwrap();
        let mut git = std::process::Command::new("git");
        let done =
            git.args(["apply", "-p1"]).arg(folder.path().join("fix.diff")).current_dir("/").output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        assert_eq!(read(folder.path(), name), POD.replace("hostPID: true", "hostPID: false"));
    }
}

/// A label whose value nobody can know is told, and not made up.
#[test]
fn what_the_author_decides_is_not_put_in() {
    let folder = folder(&[("m/pod.yaml", POD)]);
    let Run { stdout, .. } = test(folder.path(), &["--fix"]).exits_with(1);
    assert!(stdout.contains("1 denied") && stdout.contains("there is no label"), "{stdout}");
    assert_eq!(read(folder.path(), "m/pod.yaml"), POD.replace("hostPID: true", "hostPID: false"));
}

#[test]
fn reports_carry_fixes() {
    let folder = folder(&[("m/pod.yaml", POD)]);
    let Run { stdout, .. } = test(folder.path(), &["--fixes"]).exits_with(1);
    assert!(stdout.contains("fix: set spec.hostPID to false (it is true)"), "{stdout}");
    assert!(
        stdout.contains("fix: add metadata.labels.owner: \"CHANGE-ME\" - the value is yours to decide"),
        "{stdout}"
    );
    let Run { stdout, .. } = test(folder.path(), &["--fixes", "-o", "json"]).exits_with(1);
    let found: Value = serde_json::from_str(&stdout).unwrap();
    let of = |message: &str| {
        let mut all = found.as_array().unwrap().iter();
        all.find(|one| one["msg"].as_str().unwrap().contains(message)).unwrap()["fixes"].clone()
    };
    let edit = json!({"op": "replace", "path": "spec.hostPID", "old": true, "new": false});
    assert_eq!(of("hostPID"), json!([{"isDecided": true, "edits": [edit]}]));
    assert_eq!(of("owner")[0]["isDecided"], false);
    let Run { stdout, .. } = test(folder.path(), &["--fixes", "-o", "sarif"]).exits_with(1);
    let found: Value = serde_json::from_str(&stdout).unwrap();
    let results = found["runs"][0]["results"].as_array().unwrap();
    let with: Vec<&Value> = results.iter().filter(|one| one.get("fixes").is_some()).collect();
    let change = &with[0]["fixes"][0]["artifactChanges"][0];
    assert_eq!((with.len(), &change["artifactLocation"]["uri"]), (1, &json!("m/pod.yaml")));
    let replacement = &change["replacements"][0];
    assert_eq!(replacement["insertedContent"]["text"], "fals");
    assert_eq!(
        replacement["deletedRegion"],
        json!({"startLine": 6, "startColumn": 12, "endLine": 6, "endColumn": 15})
    );
    // Without the flag nothing is looked for.
    let Run { stdout, .. } = test(folder.path(), &["-o", "json"]).exits_with(1);
    assert!(!stdout.contains("\"fixes\""), "{stdout}");
}

#[cfg(unix)]
#[test]
fn links_are_not_followed_and_permissions_stay() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let folder = folder(&[("m/pod.yaml", POD), ("outside.yaml", POD)]);
    let path = folder.path().join("m/pod.yaml");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
    symlink("../outside.yaml", folder.path().join("m/link.yaml")).unwrap();
    let Run { stderr, .. } = test(folder.path(), &["--fix"]).exits_with(1);
    assert!(stderr.contains("link"), "{stderr}");
    assert_eq!(read(folder.path(), "outside.yaml"), POD);
    assert!(fs::symlink_metadata(folder.path().join("m/link.yaml")).unwrap().is_symlink());
    assert!(read(folder.path(), "m/pod.yaml").contains("hostPID: false"));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
    let names: Vec<_> =
        fs::read_dir(folder.path().join("m")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn what_is_no_file_is_not_edited() {
    let folder = folder(&[("m/pod.yaml", POD)]);
    let Run { stderr, .. } =
        run_in(folder.path(), &["test", "--policies", "policy.yaml", "-", "--fix"]).exits_with(2);
    assert!(stderr.contains("`--fix` edits files"), "{stderr}");
    for command in ["explain", "exceptions"] {
        let args = [command, "--policies", "policy.yaml", "m", "--fix"];
        let Run { stderr, .. } = run_in(folder.path(), &args).exits_with(2);
        assert!(stderr.contains("are of `test`"), "{stderr}");
    }
    fs::write(folder.path().join("portcullis.yaml"), "version: 1\ntest: {fix: true}\n").unwrap();
    let Run { stderr, .. } = test(folder.path(), &[]).exits_with(2);
    assert!(stderr.contains("on the command line only"), "{stderr}");
    fs::remove_file(folder.path().join("portcullis.yaml")).unwrap();
    assert_eq!(read(folder.path(), "m/pod.yaml"), POD);
    let comment = format!("# portcullis-ignore: nodes it has to\n{POD}");
    fs::write(folder.path().join("m/pod.yaml"), &comment).unwrap();
    test(folder.path(), &["--fix", "--allow-inline-ignores"]);
    assert_eq!(read(folder.path(), "m/pod.yaml"), comment);
}
