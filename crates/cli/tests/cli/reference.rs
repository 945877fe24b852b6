//! `portcullis docs`: a reference of policies, as Markdown and as a page.

use std::fs;

use crate::{run_in, templates};

fn root() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

#[test]
fn our_policies_are_told_with_their_parameters_and_cases() {
    let run = run_in(&root(), &["docs", "policies"]).exits_with(0);
    assert_eq!(run.stdout.matches("\n## ").count(), templates().len(), "{}", run.stderr);
    for part in [
        "## PrivilegedContainers\n",
        "| `exemptImages` | list of strings | `[]` |",
        "kind: PrivilegedContainers\n",
        "| no-exemptions: allowed-set-to-false | allowed |  |",
        "| no-exemptions: violation-privileged | denied |",
        "severity critical",
    ] {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
    let again = run_in(&root(), &["docs", "policies"]).exits_with(0);
    assert_eq!(run.stdout, again.stdout);
}

#[test]
fn a_reference_that_is_old_is_found() {
    let folder = tempfile::tempdir().unwrap();
    run_in(folder.path(), &["init", "policy", "require-owner"]).exits_with(0);
    for form in ["markdown", "html"] {
        let args = ["docs", "require-owner", "-o", form, "--output", "reference"];
        run_in(folder.path(), &args).exits_with(0);
        run_in(folder.path(), &[&args[..], &["--check"]].concat()).exits_with(0);
        let text = fs::read_to_string(folder.path().join("reference")).unwrap();
        insta::assert_snapshot!(format!("reference_{form}"), text);
        fs::write(folder.path().join("reference"), text.replace("owner", "team")).unwrap();
        let run = run_in(folder.path(), &[&args[..], &["--check"]].concat()).exits_with(1);
        assert!(run.stdout.contains("is not what the policies say"), "{}", run.shown());
    }
}

#[test]
fn texts_of_policies_are_no_markup() {
    let folder = tempfile::tempdir().unwrap();
    run_in(folder.path(), &["init", "policy", "x"]).exits_with(0);
    let path = folder.path().join("x/template.yaml");
    let evil = r#"title: "<script>alert(1)</script> [a](javascript:b) | c \u202e""#;
    // A link is one in Markdown only.
    let text = fs::read_to_string(&path).unwrap();
    fs::write(
        &path,
        text.replace("title: \"X\"", evil).replace("Labels that objects", "\"`<b>|\\n# Labels\" #"),
    )
    .unwrap();
    for form in ["markdown", "html"] {
        let run = run_in(folder.path(), &["docs", "x", "-o", form]).exits_with(0);
        for part in ["<script>alert", "[a](", "<b>", "\u{202e}", "\n# Labels"] {
            let is_harmless = form == "html" && part == "[a](";
            assert!(is_harmless || !run.stdout.contains(part), "{form} {part}: {}", run.stdout);
        }
    }
}

#[test]
fn what_is_broken_is_told_and_nothing_written() {
    let folder = tempfile::tempdir().unwrap();
    run_in(folder.path(), &["init", "policy", "x"]).exits_with(0);
    run_in(folder.path(), &["docs", "nowhere", "--output", "r"]).exits_with(2);
    fs::write(
        folder.path().join("x/suite.yaml"),
        "apiVersion: test.gatekeeper.sh/v1alpha1\nkind: Suite\ntests: 1\n",
    )
    .unwrap();
    let run = run_in(folder.path(), &["docs", "x", "--output", "r"]).exits_with(2);
    assert!(run.stderr.contains("suite.yaml:3"), "{}", run.shown());
    assert!(!folder.path().join("r").exists());
    fs::create_dir(folder.path().join("empty")).unwrap();
    run_in(folder.path(), &["docs", "empty"]).exits_with(2);
}
