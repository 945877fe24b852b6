//! Field cases about documents: inputs that were read otherwise than clients read them. They are no part of the project; where
//! they are looked for is said in [`shared`].

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test panics when it fails"
)]

use std::fs;
use std::path::{Path, PathBuf};

use portcullis::{
    Decision, Document, EnforcementPoint, ErrorKind, Inventory, Object, PolicySet, Review, Severity, World,
};
use portcullis_testkit::shared;

fn case(name: &str) -> Option<PathBuf> {
    shared(&format!("field-cases/{name}"))
}

fn read(path: &Path) -> (Vec<Document>, Vec<portcullis::Error>) {
    let name = path.file_name().unwrap().to_string_lossy();
    let (documents, mut problems) = Document::read_all(&name, &fs::read_to_string(path).unwrap());
    problems.retain(|problem| problem.severity() == Severity::Error);
    (documents, problems)
}

/// Names of the objects in a file, and whether each is denied by the policy beside it.
fn judged(folder: &Path, file: &str) -> Vec<(String, bool)> {
    let mut policies = read(&folder.join("template.yaml")).0;
    policies.extend(read(&folder.join("constraint.yaml")).0);
    let (policies, errors) = PolicySet::compile(policies);
    assert_eq!(errors, []);
    let inventory = Inventory::empty();
    let judge = |document: Document| {
        let name = document.to_json()["metadata"]["name"].as_str().unwrap().to_owned();
        let review = Review::from_object(Object::from_document(document).unwrap());
        let outcome = policies.review(&review, &World::new(&inventory), EnforcementPoint::Webhook);
        (name, !Decision::from(&outcome).allowed())
    };
    read(&folder.join(file)).0.into_iter().map(judge).collect()
}

#[track_caller]
fn all_read(folder: &Path, file: &str, expected: &[(&str, bool)]) {
    assert_eq!(read(&folder.join(file)).1, []);
    assert_eq!(
        judged(folder, file),
        expected.iter().map(|(name, denied)| ((*name).to_owned(), *denied)).collect::<Vec<_>>()
    );
}

#[test]
fn a_comment_ends_at_every_line_break_of_yaml() {
    let Some(folder) = case("unicode-line-breaks") else { return };
    all_read(&folder, "pods.yaml", &[("web-ls", true), ("web-ps", true), ("web-nel", true)]);
}

#[test]
fn a_merge_key_with_its_tag_merges() {
    let Some(folder) = case("merge-tag") else { return };
    all_read(&folder, "pod.yaml", &[("web", true)]);
}

#[test]
fn a_comment_may_be_glued_to_a_separator() {
    let Some(folder) = case("glued-separator-comment") else { return };
    all_read(&folder, "pods.yaml", &[("bad", true), ("good", false)]);
}

#[test]
fn a_key_may_not_be_glued_to_a_separator() {
    let Some(folder) = case("glued-separator-key") else { return };
    let (_, errors) = read(&folder.join("pods.yaml"));
    let shown: Vec<_> = errors.iter().map(|error| (error.kind(), error.location().unwrap().line())).collect();
    assert_eq!(shown, [(ErrorKind::Syntax, 7)]);
    assert_eq!(judged(&folder, "pods.yaml"), [("bad".to_owned(), true)]);
}

#[test]
fn a_question_mark_in_brackets_begins_a_key() {
    let Some(folder) = case("flow-question-mark-key") else { return };
    all_read(&folder, "pod.yaml", &[("web", true)]);
}

#[test]
fn double_braces_in_a_text_that_can_be_read_are_data() {
    let Some(folder) = case("alert-templates") else { return };
    let (documents, errors) = read(&folder.join("rule.yaml"));
    assert_eq!(errors, []);
    let rule = &documents[0].to_json()["spec"]["groups"][0]["rules"][0];
    assert!(rule["annotations"]["message"].as_str().unwrap().contains("{{ $labels.pod }}"), "{rule}");
}
