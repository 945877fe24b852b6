//! The example that introduces Gatekeeper in a textbook: as corrected in `testdata/book/` it denies the
//! textbook's Pod with the textbook's message, and as printed every mistake in it is found, with its place.

#![expect(clippy::expect_used, clippy::panic, reason = "a panic is how a test says that it fails")]

use std::fs;

use portcullis::{Document, Error, PolicySet};
use portcullis_testkit::case::{Case, Expect, File, Problem};
use portcullis_testkit::{harness, shared, testdata};

const MESSAGE: &str =
    r#"container <opa> has an invalid image repo <quay.io/opa:0.9.2>, allowed repos are ["openpolicyagent"]"#;

/// What the corrected template still has of the printed one: it works, but not in v1.
fn deprecation() -> Problem {
    Problem {
        kind: "deprecated-builtin".to_owned(),
        at: Some("29:15".to_owned()),
        message: "`any` is deprecated, and was removed in v1".to_owned(),
        hint: None,
        warning: true,
    }
}

fn corrected(name: &str) -> String {
    fs::read_to_string(testdata().join("book").join(name)).expect("a file of the corrected example")
}

fn run(pod: &str, mut expect: Expect) {
    expect.errors.push(deprecation());
    let policies = ["template.yaml", "constraint.yaml", "config.yaml"].map(corrected).join("\n---\n");
    let case = Case {
        name: "the textbook's example".to_owned(),
        policies,
        r#match: None,
        expansion: String::new(),
        inventory: String::new(),
        namespace: None,
        review: Some(pod.into()),
        point: portcullis_testkit::case::Point::default(),
        source: portcullis_testkit::case::ObjectSource::default(),
        ordered: false,
        expect,
    };
    let file = File { about: String::new(), shared: String::new(), cases: Vec::new() };
    harness::run(&file, &case).unwrap_or_else(|difference| panic!("{difference}"));
}

#[test]
fn the_pod_of_the_textbook_is_denied_with_its_message() {
    let denials = vec![format!("[prod-repo-is-openpolicyagent] {MESSAGE}")];
    run(&corrected("pod.yaml"), Expect { denials, allowed: Some(false), ..Expect::default() });
}

#[test]
fn a_pod_with_an_allowed_image_passes() {
    let pod = corrected("pod.yaml").replace("quay.io/opa", "openpolicyagent/opa");
    let passes = Some(vec!["K8sAllowedRepos/prod-repo-is-openpolicyagent".to_owned()]);
    run(&pod, Expect { passes, allowed: Some(true), ..Expect::default() });
}

#[test]
fn a_pod_in_another_namespace_is_no_concern_of_the_constraint() {
    let pod = corrected("pod.yaml").replace("production", "staging");
    run(&pod, Expect { passes: Some(Vec::new()), allowed: Some(true), ..Expect::default() });
}

#[test]
fn every_mistake_of_the_printed_example_is_reported_with_its_place() {
    let Some(folder) = shared("reference/book-example") else { return };
    let mut documents = Vec::new();
    let mut errors = Vec::new();
    for name in ["config.yaml", "constraint.yaml", "template.yaml"] {
        let text = fs::read_to_string(folder.join(name)).expect("a file of the printed example");
        let (read, problems) = Document::read_all(name, &text);
        documents.extend(read);
        errors.extend(problems);
    }
    let (policies, problems) = PolicySet::compile(documents);
    errors.extend(problems);
    assert_eq!(policies.constraints().count(), 0);
    let shown: Vec<_> = errors.iter().map(shown).collect();
    assert_eq!(
        shown,
        [
            "syntax config.yaml:4:3: a mapping is not allowed here: `name` already has the value `config`; \
             indent `namespace` like `name`, or put both under `metadata:`, which is missing here",
            "missing-template constraint.yaml:2:7: the constraint is not enforced: its template `K8sAllowedRepos` was \
             rejected; fix the template first",
            "unknown-kind template.yaml:2:7: group `templates.gatekeeper.sh` has no kind `ContraintTemplate`; \
             did you mean `ConstraintTemplate`?",
            "invalid-schema template.yaml:16:11: unknown keyword `porperties`; did you mean `properties`?",
            "template-rule template.yaml:26:9: a template needs a rule `violation`; `deny` is never asked; \
             rename `deny` to `violation`",
            "unknown-input template.yaml:28:39: `input.constraint` does not exist, so this is never true; \
             the constraint's parameters are `input.parameters`",
            "deprecated-builtin template.yaml:29:15: `any` is deprecated, and was removed in v1; write `xs[_] == true`",
            "rego template.yaml:30:131: rego_unsafe_var_error: var imput is unsafe; did you mean `input`?",
        ]
    );
}

/// Kind, place, sentence and hint.
fn shown(error: &Error) -> String {
    let place =
        error.location().map(|at| format!("{}:{}:{}", at.file(), at.line(), at.column())).unwrap_or_default();
    let hint = error.help().map(|hint| format!("; {hint}")).unwrap_or_default();
    format!("{} {place}: {}{hint}", error.kind().code(), error.message())
}
