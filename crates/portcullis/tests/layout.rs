//! Rego laid out where it stands: what of a file changes, and what does not, to the byte.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test panics when it fails")]

use std::fs;
use std::path::Path;

use portcullis::{Document, Limits, RegoLayout, RegoUpgrade, RegoVersion, Severity, Source};

fn manifests(text: &str) -> RegoLayout {
    RegoLayout::of_manifests(&Source::new("t.yaml", text), &Limits::default())
}

/// What is said, one a line.
fn problems(layout: &RegoLayout) -> Vec<String> {
    let said = |error: &portcullis::Error| {
        let severity = if error.severity() == Severity::Error { "error" } else { "warning" };
        format!("{severity} {error}")
    };
    layout.problems().iter().map(said).collect()
}

/// A template with something below its target.
fn template(target: &str) -> String {
    format!(
        "apiVersion: templates.gatekeeper.sh/v1\nkind: ConstraintTemplate\nmetadata: {{name: a}}\nspec:\n  crd: {{spec: {{names: {{kind: A}}}}}}\n  targets:\n  - target: admission.k8s.gatekeeper.sh\n{target}"
    )
}

#[track_caller]
fn becomes(text: &str, wanted: &str) {
    let layout = manifests(text);
    assert_eq!(problems(&layout), Vec::<String>::new());
    assert_eq!(layout.text(), Some(wanted));
    assert_eq!(manifests(wanted).text(), None, "there is nothing left to do");
}

#[track_caller]
fn stays(text: &str, said: &[&str]) {
    let layout = manifests(text);
    assert_eq!(layout.text(), None);
    let problems = problems(&layout);
    assert_eq!(problems.len(), said.len(), "{problems:#?}");
    for (problem, said) in problems.iter().zip(said) {
        assert!(problem.contains(said), "{problem}");
    }
}

#[test]
fn every_place_of_rego_is_laid_out_with_its_indentation() {
    becomes(
        &template(
            "    rego: |\n      package a\n      violation[{\"msg\": \"x\"}] { true;  input.x }\n    libs:\n    - |\n       package lib.b\n       x  = 1\n    - |-\n     package lib.c\n     x  = 1\n    code:\n    - engine: Rego\n      source:\n        version: v1\n        rego: |\n          package a\n          violation contains  x if x := input\n        libs: [] # none\n    - engine: K8sNativeValidation\n      source:\n        validations:\n        - expression: |\n            1  ==  1\n",
        ),
        &template(
            "    rego: |\n      package a\n\n      violation[{\"msg\": \"x\"}] {\n      \ttrue\n      \tinput.x\n      }\n    libs:\n    - |\n       package lib.b\n\n       x = 1\n    - |-\n     package lib.c\n\n     x = 1\n    code:\n    - engine: Rego\n      source:\n        version: v1\n        rego: |\n          package a\n\n          violation contains x if x := input\n        libs: [] # none\n    - engine: K8sNativeValidation\n      source:\n        validations:\n        - expression: |\n            1  ==  1\n",
        ),
    );
}

#[test]
fn what_is_around_stays_as_it_is() {
    let before = "# first\n---\n# a comment\napiVersion:   v1\nkind: ConfigMap\nmetadata: {name: \"x\"}\ndata:\n  a: |\n    package  x\n---\n";
    let after = "\n\n    # behind\n---\nkind: Pod   \n...\n";
    let text = |rego: &str| format!("{before}{}{after}", template(rego));
    becomes(
        &text("    rego: |\t# why\n          package a\n          p  = 1   "),
        &text("    rego: |\t# why\n          package a\n\n          p = 1"),
    );
}

#[test]
fn line_ends_marks_and_headers_stay() {
    let crlf = |text: &str| template(text).replace('\n', "\r\n");
    becomes(
        &crlf("    rego: |\n      package a\n      p  = 1\n"),
        &crlf("    rego: |\n      package a\n\n      p = 1\n"),
    );
    let marked = |text: &str| format!("\u{feff}{}", template(text));
    becomes(
        &marked("    rego: |\n      package a\n      p  = 1"),
        &marked("    rego: |\n      package a\n\n      p = 1"),
    );
    for header in ["|2", "|+2", "|2-", "|-2 # c", "&a |", "!!str |", "|+"] {
        let block = |rego: &str| template(&format!("    rego: {header}\n      {rego}\n\n    libs: []\n"));
        becomes(
            &block("package a\n      p  = `x\n\n         y`"),
            &block("package a\n\n      p = `x\n\n         y`"),
        );
    }
    // Two more spaces are a part of the text, and go.
    becomes(&template("    rego: |2\n        package a\n"), &template("    rego: |2\n      package a\n"));
}

#[test]
fn lists_and_nested_templates_are_found() {
    let list = |rego: &str| {
        let indented = template(&format!("    rego: |\n      {rego}\n")).replace('\n', "\n  ");
        format!("apiVersion: v1\nkind: List\nitems:\n- {}\n", indented.trim_end())
    };
    becomes(&list("package  a"), &list("package a"));
}

#[test]
fn an_alias_is_laid_out_with_its_anchor() {
    let text = |rego: &str| {
        template(&format!(
            "    libs:\n    - &lib |\n      {rego}\n    - *lib\n    rego: |\n      package a\n"
        ))
    };
    becomes(&text("package  lib.a"), &text("package lib.a"));
    stays(
        &format!(
            "{}---\nx: 1\n",
            template("    rego: *a\n").replace("kind: A}", "kind: A}, x: &a \"package  a\"")
        ),
        &["t.yaml:8:11: Rego that is not written as a block literal is left as it is"],
    );
    // Elsewhere it is no Rego: then nothing is done.
    let elsewhere = template("    rego: &a |\n      package  a\n") + "metadata2: *a\n";
    stays(&elsewhere, &["error t.yaml:1:1: Rego in this file is left as it is"]);
}

#[test]
fn rego_that_is_no_block_is_told_of_unless_it_is_laid_out() {
    stays(
        &template("    rego: \"package  a\"\n"),
        &["warning t.yaml:8:11: Rego that is not written as a block"],
    );
    stays(&template("    rego: 'package  a'\n"), &["warning t.yaml:8:11"]);
    stays(&template("    rego: package   a\n"), &["warning t.yaml:8:11"]);
    stays(&template("    rego: >\n      package  a\n"), &["warning t.yaml:8:11"]);
    stays(&template("    rego: \"package a\\n\"\n"), &[]);
    stays(&template("    rego: package a\n"), &[]);
    let json = serde_yaml::from_str::<serde_json::Value>(&template("    rego: package  a\n")).unwrap();
    stays(&json.to_string(), &["warning t.yaml:1:"]);
}

#[test]
fn broken_modules_keep_no_other_from_being_laid_out() {
    let text = |rego: &str| {
        template(&format!(
            "    rego: |\n      {rego}\n    libs:\n    - |\n      package lib.a\n      x = = 1\n      y == \n"
        ))
    };
    let layout = manifests(&text("package  a"));
    assert_eq!(layout.text(), Some(&*text("package a")));
    assert_eq!((layout.modules(), layout.changed()), (2, 1));
    assert_eq!(
        problems(&layout),
        [
            "error t.yaml:13:11: rego_parse_error: unexpected eq token (and 1 more in this module) (at `spec.targets[0].libs[0]`)"
        ]
    );
    let unknown =
        template("    code:\n    - engine: Rego\n      source: {version: v2, rego: \"package  a\"}\n");
    stays(&unknown, &["error t.yaml:10:25: expected `v0` or `v1`: Rego of another version is not laid out"]);
}

#[test]
fn files_that_are_not_read_are_not_edited() {
    let rendered =
        template("    rego: |\n      package  a\n").replace("{name: a}", "{name: {{ .Values.name }}}");
    stays(&rendered, &["warning t.yaml:3:18: this is a template (`{{ … }}`) that another tool renders"]);
    stays(&format!("{}---\na: [\n", template("    rego: |\n      package  a\n")), &["error t.yaml:"]);
    // Without a template it is none of ours.
    stays("a: [\n", &[]);
    stays("a: {{ b }}\n", &[]);
    assert!(!RegoLayout::may_be_in(b"kind: Pod") && RegoLayout::may_be_in(b"kind: ConstraintTemplate"));
}

#[test]
fn files_of_rego_have_the_dialect_that_they_can_be_read_in() {
    let of = |text: &str, version| RegoLayout::of_file(&Source::new("a.rego", text), version);
    // Not all names are known here: those of other files of the package.
    assert_eq!(
        of("package a\ntest_x{ violation[_] with input as 1 }", None).text(),
        Some("package a\n\ntest_x {\n\tviolation[_] with input as 1\n}\n")
    );
    assert_eq!(of("package a\np=1", None).text(), Some("package a\n\np := 1\n"));
    assert_eq!(of("package a\np=1", Some(RegoVersion::V0)).text(), Some("package a\n\np = 1\n"));
    assert_eq!(problems(&of("package a\np{x}", Some(RegoVersion::V1))).len(), 1);
    assert_eq!(of("package a\r\np=`\r\n`\r\n", None).text(), Some("package a\r\n\r\np := `\r\n`\r\n"));
    assert_eq!(of("package a\r\np=`\n`\r\n", None).text(), Some("package a\n\np := `\n`\n"));
    let broken = of("package a\n\np := \n", None);
    assert_eq!((broken.text(), broken.modules()), (None, 1));
    assert!(problems(&broken)[0].starts_with("error a.rego:4:1: rego_parse_error: unexpected eof token"));
}

/// All policies of this project are laid out: `portcullis fmt policies`.
#[test]
fn our_policies_are_laid_out() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies")];
    let mut modules = 0;
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let end = path.extension().and_then(|end| end.to_str());
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let read = || Source::new(path.display().to_string(), fs::read_to_string(&path).unwrap());
            let layout = match end {
                Some("rego") => RegoLayout::of_file(&read(), None),
                Some("yaml") => RegoLayout::of_manifests(&read(), &Limits::default()),
                _ => continue,
            };
            modules += layout.modules();
            assert_eq!(layout.text(), None, "{}: run `portcullis fmt policies`", path.display());
            assert_eq!(problems(&layout), Vec::<String>::new());
        }
    }
    assert!(modules > 30, "{modules}");
}

/// A file that is edited is read as the one that it was, but for its Rego.
#[test]
fn what_is_read_of_an_edited_file_is_what_was_meant() {
    let text = template("    rego: |\n      package  a\n      p  { `a\n\n        b` }\n") + "  # end\n";
    let layout = manifests(&text);
    let rego = |text: &str| {
        let (documents, errors) = Document::read_all("t.yaml", text);
        assert!(errors.is_empty());
        documents[0].to_json()["spec"]["targets"][0]["rego"].as_str().unwrap().to_owned()
    };
    assert_eq!(rego(layout.text().unwrap()), "package a\n\np {\n\t`a\n\n  b`\n}\n");
}

fn upgrade(text: &str) -> RegoUpgrade {
    RegoUpgrade::of_manifests(&Source::new("t.yaml", text), &Limits::default())
}

#[track_caller]
fn is_upgraded(text: &str, wanted: &str) {
    let upgraded = upgrade(text);
    assert_eq!(upgraded.problems(), []);
    assert_eq!(upgraded.text(), Some(wanted));
    assert_eq!(upgrade(wanted).text(), None, "there is nothing left to do");
}

#[test]
fn templates_of_v0_are_rewritten_in_v1() {
    let old = "    rego: |-  # why\n        package a\n        import data.lib.b\n        violation[{\"msg\": b.m}] { true }\n    # kept\n    libs:\n    - |\n      package lib.b\n      m = `x\n        y`\n    -   |+2\n      package lib.c\n      import future.keywords.in\n    operations: [CREATE] # kept, too\n---\nkind: Pod\n";
    let new = "    code:\n    - engine: Rego\n      source:\n        version: v1\n        rego: |-  # why\n          package a\n\n          import data.lib.b\n\n          violation contains {\"msg\": b.m}\n        libs:\n        - |\n          package lib.b\n\n          m := `x\n            y`\n        - |+\n          package lib.c\n    # kept\n    operations: [CREATE] # kept, too\n---\nkind: Pod\n";
    is_upgraded(&template(old), &template(new));
    let crlf = |text: &str| template(text).replace('\n', "\r\n");
    is_upgraded(&crlf(old), &crlf(new));
    is_upgraded(
        &template("    libs: []\n    rego: |\n      package a\n"),
        &template(
            "    code:\n    - engine: Rego\n      source:\n        version: v1\n        rego: |\n          package a\n",
        ),
    );
}

#[test]
fn programs_below_code_get_a_version() {
    let code = |source: &str| {
        template(&format!(
            "    code:\n    - engine: K8sNativeValidation\n      source: {{validations: []}}\n    - engine: Rego\n      source:\n{source}"
        ))
    };
    is_upgraded(
        &code(
            "        rego: |\n          package a\n          p { input.x }\n        libs:\n        - |\n          package lib.b\n",
        ),
        &code(
            "        version: v1\n        rego: |\n          package a\n\n          p if input.x\n        libs:\n        - |\n          package lib.b\n",
        ),
    );
    is_upgraded(
        &code("        libs: []\n        version: \"v0\" # old\n        rego: |\n          package a\n"),
        &code("        libs: []\n        version: v1 # old\n        rego: |\n          package a\n"),
    );
    assert_eq!(upgrade(&code("        version: v1\n        rego: |\n          package  a\n")).text(), None);
}

#[test]
fn what_cannot_be_rewritten_is_left_with_its_place() {
    let left = |target: &str, said: &str| {
        let text = template(target);
        let upgraded = upgrade(&text);
        assert_eq!(upgraded.text(), None, "{target}");
        let problems: Vec<String> = upgraded.problems().iter().map(ToString::to_string).collect();
        assert!(problems.iter().any(|problem| problem.contains(said)), "{said}: {problems:#?}");
    };
    left(
        "    rego: |\n      package a\n      p { any([input.x]) }\n",
        "t.yaml:10:11: this Rego is not rewritten in v1: `any` is not in v1",
    );
    left(
        "    rego: |\n      package a\n      p { = }\n",
        "t.yaml:10:11: this Rego is not rewritten in v1: unexpected eq token",
    );
    left(
        "    rego: \"package a\"\n",
        "t.yaml:8:11: Rego that is not written as a block literal is not rewritten",
    );
    left(
        "    rego: |\n      package a\n    code: [{engine: Rego, source: {}}]\n",
        "with `rego` and with `code`",
    );
    left(
        "    rego: |\n      package a\n    libs:\n    # mine\n    - |\n      package lib.b\n",
        "between the libraries that would be lost",
    );
    // One that cannot be keeps no other from being rewritten.
    let both =
        format!("{}---\n{}", template("    rego: 'package a'\n"), template("    rego: |\n      package b\n"));
    let upgraded = upgrade(&both);
    assert_eq!((upgraded.templates().len(), upgraded.problems().len()), (1, 1));
    assert!(upgraded.text().is_some_and(|text| text.contains("'package a'") && text.contains("version: v1")));
}
