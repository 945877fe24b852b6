//! The cases of `testdata/documents`: a text, what it reads as, and every problem with its position.
//!
//! A case file is a stream of documents with `name`, `input`, optionally `file` (the name of the source),
//! `documents` (what must come out, in order) and `problems` (lines as [`line`] prints them).

use std::fs;
use std::path::Path;

use portcullis::{Document, Error, Severity};
use serde_json::Value;

#[test]
fn cases_read_as_expected() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/documents");
    let mut files: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    let mut failures = Vec::new();
    let mut cases = 0;
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        let name = file.file_name().unwrap().to_string_lossy();
        let (documents, problems) = Document::read_all(&name, &text);
        assert_eq!(problems, [], "the cases themselves");
        for case in documents {
            cases += 1;
            if let Err(failure) = run(&case.to_json()) {
                failures.push(format!("{}: {failure}", case.location()));
            }
        }
    }
    assert!(cases > 0);
    assert!(failures.is_empty(), "{} of {cases} cases fail\n\n{}", failures.len(), failures.join("\n"));
}

fn run(case: &Value) -> Result<(), String> {
    let field = |name: &str| case.get(name).cloned();
    let text = |name: &str| field(name).and_then(|value| value.as_str().map(str::to_owned));
    let name = text("name").ok_or("a case without a name")?;
    let input = text("input").ok_or("a case without an input")?;
    let file = text("file").unwrap_or_else(|| "in.yaml".to_owned());

    let (documents, problems) = Document::read_all(&file, &input);
    let documents: Vec<Value> = documents.iter().map(Document::to_json).collect();
    let problems: Vec<Value> = problems.iter().map(|problem| Value::from(line(problem))).collect();
    let expected = |name: &str| field(name).unwrap_or_else(|| Value::Array(Vec::new()));
    if Value::from(documents.clone()) == expected("documents")
        && Value::from(problems.clone()) == expected("problems")
    {
        return Ok(());
    }
    let lines: Vec<String> = problems.iter().map(|problem| format!("\n  - {problem}")).collect();
    Err(format!("{name}\ndocuments: {}\nproblems:{}\n", Value::from(documents), lines.concat()))
}

/// `line:column-line:column kind: message; hint`, warnings marked as such.
fn line(problem: &Error) -> String {
    let place = problem.location().map_or_else(String::new, |location| {
        let (end_line, end_column) = location.end();
        format!("{}:{}-{end_line}:{end_column} ", location.line(), location.column())
    });
    let warning = if problem.severity() == Severity::Warning { "warning " } else { "" };
    let hint = problem.help().map_or_else(String::new, |hint| format!("; {hint}"));
    format!("{place}{warning}{}: {}{hint}", problem.kind().code(), problem.message())
}

mod properties {
    use super::*;
    use portcullis::{FieldPath, Segment};
    use proptest::prelude::*;
    use serde_json::{Map, Number};

    /// Numbers as they come back: integral floats up to 2^53 are integers.
    fn number() -> impl Strategy<Value = Number> {
        prop_oneof![
            any::<i64>().prop_map(Number::from),
            any::<u64>().prop_map(Number::from),
            any::<f64>().prop_filter_map("a number of JSON with a fraction", |float| {
                (float.fract() != 0.0 && float.is_finite()).then(|| Number::from_f64(float)).flatten()
            }),
        ]
    }

    fn text() -> impl Strategy<Value = String> {
        prop_oneof!["[a-z]{0,8}", "(yes|no|null|~|0x1f|1e3|<<|- a|a: b|\\{\\{|---|# x)", any::<String>()]
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            number().prop_map(Value::Number),
            text().prop_map(Value::from),
        ];
        leaf.prop_recursive(6, 64, 8, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::vec((text(), inner), 0..6)
                    .prop_map(|entries| Value::Object(Map::from_iter(entries))),
            ]
        })
    }

    fn object() -> impl Strategy<Value = Value> {
        prop::collection::vec((text(), json()), 0..6)
            .prop_map(|entries| Value::Object(Map::from_iter(entries)))
    }

    /// Texts that look like manifests with mistakes, rather than noise.
    fn almost_yaml() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            "(a|kind|items|apiVersion|metadata|name|List|é)",
            "( |  |\n|\n  |\n    |\t|\r\n)",
            "(:|: |- |\\? |, |\\[|\\]|\\{|\\}|\"|'|#| #|&a |\\*a|!!int |!x |\\||>|\\|2-|%|@|`|<<: )",
            "(---\n|\n---\n|\n...\n|\\{\\{ .x \\}\\})",
            "(1|0x1f|~|yes|.nan|1e400|\\\\d|\\\\u12|\u{feff}|\u{85})",
        ];
        prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
    }

    /// Every path of a value.
    fn paths(value: &Value, at: &FieldPath, found: &mut Vec<FieldPath>) {
        found.push(at.clone());
        match value {
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    paths(item, &at.child(index), found);
                }
            }
            Value::Object(entries) => {
                for (key, entry) in entries {
                    paths(entry, &at.child(Segment::from(key.as_str())), found);
                }
            }
            _ => {}
        }
    }

    fn check_positions(name: &str, input: &str) {
        let (documents, problems) = Document::read_all(name, input);
        let in_text = |location: &portcullis::Location| {
            let range = location.range();
            let text = location.source().text();
            assert!(
                text.get(range.start as usize..range.end as usize).is_some(),
                "{location:?} in {input:?}"
            );
        };
        for problem in &problems {
            assert!(problem.location().is_some(), "{problem}");
            problem.location().into_iter().for_each(in_text);
            assert!(!problem.message().contains('\n'), "{problem}");
        }
        for document in &documents {
            let mut found = Vec::new();
            paths(&document.to_json(), &FieldPath::root(), &mut found);
            for path in found {
                in_text(&document.locate_nearest(&path).0);
                if let Some(key) = document.locate_key(&path) {
                    in_text(&key);
                }
            }
        }
    }

    /// Characters that end lines or may not stand in YAML, as escapes.
    fn escaped(json: &str) -> String {
        let escape = |c: char| match c {
            '\u{7f}'..='\u{a0}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' => {
                format!("\\u{:04x}", u32::from(c))
            }
            c => c.to_string(),
        };
        json.chars().map(escape).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn json_reads_as_json_and_as_yaml(value in object(), pretty: bool) {
            let written = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
            let written = written.unwrap();
            // Text that starts with a bracket is JSON; after dashes it is YAML.
            for (name, text) in [("a.json", written.clone()), ("a.yaml", format!("---\n{}\n", escaped(&written)))] {
                let (documents, problems) = Document::read_all(name, &text);
                prop_assert_eq!(&problems, &[], "{}", text);
                prop_assert_eq!(documents.len(), 1);
                prop_assert_eq!(&documents[0].to_json(), &value, "{}", text);
            }
        }

        #[test]
        fn every_node_of_json_has_a_position(value in object()) {
            let written = serde_json::to_string_pretty(&value).unwrap();
            let (documents, _) = Document::read_all("a.json", &written);
            let mut found = Vec::new();
            paths(&value, &FieldPath::root(), &mut found);
            for path in found {
                let range = documents[0].locate(&path).unwrap().range();
                let node = written.get(range.start as usize..range.end as usize).unwrap();
                let expected = path.segments().iter().fold(&value, |value, segment| match segment {
                    Segment::Key(key) => &value[&**key],
                    Segment::Index(index) => &value[*index],
                });
                // Compared as texts without blanks, because floats that are read back may differ.
                let without_blanks = |text: &str| text.split_whitespace().collect::<String>();
                prop_assert_eq!(without_blanks(node), without_blanks(&expected.to_string()));
            }
        }

        #[test]
        fn no_text_panics_or_has_a_position_outside(text in any::<String>()) {
            check_positions("a.yaml", &text);
            check_positions("a.json", &text);
        }

        #[test]
        fn no_broken_manifest_panics_or_has_a_position_outside(text in almost_yaml()) {
            check_positions("a.yaml", &text);
            check_positions("a.json", &text);
        }
    }
}
