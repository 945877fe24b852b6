//! The splitter and the core read the same: what comes out of the pieces of a text, cut as finely as possible, is what the core reads
//! in the whole.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test panics when it fails")]

use portcullis::{Document, Limits, Object};
use proptest::prelude::*;

use super::*;

/// Documents as `line:column value`, and whether something is wrong with a text or an object.
type Reading = (Vec<String>, bool);

fn shown(documents: Vec<Document>, is_bad: bool) -> Reading {
    let show = |document: &Document| format!("{:?} {}", document.location(), document.to_json());
    let texts = documents.iter().map(show).collect();
    (texts, is_bad)
}

fn by_pieces(bytes: &[u8], small: usize) -> Reading {
    let (documents, problems) = read_pieces("dump", bytes, 1 << 20, small);
    let are_objects = documents.iter().all(|document| Object::from_document(document.clone()).is_ok());
    let is_bad = problems.iter().any(|problem| problem.is_error);
    // A document that is no object is reported for that.
    shown(documents, is_bad || !(are_objects || small == SMALL))
}

fn whole(bytes: &[u8]) -> Reading {
    let (documents, errors) = Document::read_bytes("dump", bytes.to_vec(), &Limits::default());
    shown(documents, errors.iter().any(|error| error.severity() == portcullis::Severity::Error))
}

/// What is taken without a word is the same; the splitter may refuse more.
#[track_caller]
fn agree(text: &str) {
    let expected = whole(text.as_bytes());
    for small in [0, 16, SMALL] {
        let found = by_pieces(text.as_bytes(), small);
        if !found.1 {
            assert_eq!(found, expected, "small: {small}, in:\n{text}");
        }
    }
}

/// They agree, and the splitter takes it.
#[track_caller]
fn taken(text: &str) {
    agree(text);
    for small in [0, SMALL] {
        assert!(!by_pieces(text.as_bytes(), small).1, "small: {small}, in:\n{text}");
    }
}

/// They agree, and the splitter says that something is wrong, however little it cuts.
#[track_caller]
fn refused(text: &str) {
    agree(text);
    for small in [0, SMALL] {
        assert!(by_pieces(text.as_bytes(), small).1, "small: {small}, in:\n{text}");
    }
}

const POD: &str = r#"{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"}}"#;

#[test]
fn lists_that_are_lists_are_taken() {
    for list in [
        format!(r#"{{"apiVersion":"v1","kind":"List","items":[{POD},{POD}]}}"#),
        format!("{{\"items\": [\r\n{POD},\r\n{POD}\r\n],\r\n\"kind\":\"List\",\"apiVersion\":\"v1\"}}\r\n"),
        r#"{"apiVersion":"v1","kind":"List","items":[]}"#.to_owned(),
        r#"{"apiVersion":"v1","kind":"List","items":null}"#.to_owned(),
        r#"{"apiVersion":"v1","kind":"PodList","items":[{"metadata":{"name":"a"}}, {}]}"#.to_owned(),
        r#"{"apiVersion":"v1","kind":"List","metadata":{"items":[1]},"items":[{"items":[2]}]}"#.to_owned(),
        format!(
            r#"{{"apiVersion":"v1","kind":"List","items":[{{"apiVersion":"v1","kind":"List","items":[{POD}]}}]}}"#
        ),
        r#"{"apiVersion":"v1","kind":"List","items":[{"apiVersion":"v1","kind":"List","items":[]}]}"#
            .to_owned(),
        format!("{POD}\n{POD}{POD}\n---\n{POD}\n"),
        "apiVersion: v1\nkind: List\nitems:\n- a: 1\n  b: |\n    - x\n    items:\n- {c: 2}\nmetadata: {}\n"
            .to_owned(),
        "kind: PodList\napiVersion: v1\nitems:\n  # first\n  - a: 1\n  -\n    c: 2\n\n# last\nmetadata: {}\n"
            .to_owned(),
        "apiVersion: v1\nkind: List\nitems: [{a: 1}, {b: 2}]\n".to_owned(),
        "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: List\n  items: []\n".to_owned(),
        "a: 1\n---\nb: 2\n--- # c\n# nothing\n---\nd: 3\n".to_owned(),
    ] {
        taken(&list);
    }
}

#[test]
fn lists_that_others_read_otherwise_are_refused() {
    for list in [
        format!(r#"{{"apiVersion":"v1","kind":"List","items":[{POD}],"items":[{POD}]}}"#),
        format!(r#"{{"apiVersion":"v1","kind":"List","items":[{POD}],"\u0069tems":[{POD}]}}"#),
        format!(r#"{{"apiVersion":"v1","kind":"List","\u0069tems":[{POD}],"items":[{POD}]}}"#),
        format!(r#"{{"apiVersion":"v1","kind":"List","items":[{POD}],"items":null}}"#),
        format!(r#"{{"apiVersion":"v1","kind":"List","items":[{POD}] junk {POD} ]}}"#),
        format!(r#"{{"apiVersion":"v1","kind":"List","items":[{POD}]}} {POD} ]}}"#),
        format!(r#"{{"apiVersion":"v1","kind":"List","items":[{POD} {POD}]}}"#),
        format!(r#"{{"apiVersion":"v1","kind":"List","items":[{POD},null]}}"#),
        format!(r#"{{"apiVersion":"v1","kind":"List","items":[{POD},3,"x",[{POD}]]}}"#),
        format!(r#"{{"apiVersion":"v1","kind":"List","items":[{POD}"#),
        format!(r#"{{"apiVersion":"v1","kind":"List","items":[{POD}],"metadata":{{"#),
        "apiVersion: v1\nkind: List\nitems:\n- a: 1\nitems:\n- b: 2\n".to_owned(),
        "apiVersion: v1\nkind: List\nitems:\n- a: 1\n\"items\":\n- b: 2\n".to_owned(),
        "apiVersion: v1\nkind: List\nitems:\n- a: 1\n? items\n: - b: 2\n".to_owned(),
        "apiVersion: v1\nkind: List\nitems:\n  - a: 1\n- b: 2\n".to_owned(),
        "apiVersion: v1\nkind: List\nitems:\n- a: 1\nmetadata: {{{ no\n".to_owned(),
        "apiVersion: v1\nkind: List\nitems:\n- a: 1\n-\n- ~\n".to_owned(),
        "apiVersion: v1\nkind: List\nitems:\n- a: *x\n".to_owned(),
    ] {
        refused(&list);
    }
}

#[test]
fn what_is_cut_is_what_the_core_sees_or_is_refused() {
    for text in [
        "apiVersion: v1\nkind: List\nmetadata: \"\nitems:\n- {a: 1}\n\"\nitems: [{b: 2}]\n",
        "apiVersion: v1\nkind: List\nmetadata: {\nitems:\n- {a: 1}\n}\n",
        "apiVersion: v1\nkind: List\nx: &a {z: 1}\nitems:\n- b: *a\n- c: &a 3\n- d: *a\n",
        "k: &k List\napiVersion: v1\nitems:\n- a: &k Menu\nkind: *k\n",
        "apiVersion: v1\nkind: List\nitems:\n- a: \"x\n- b: y\"\n",
        "apiVersion: v1\nkind: List\nitems:\n- a: x\u{85}- b: y\n",
        "apiVersion: v1\nkind: List\nitems:\n-\u{85}d: 3\n",
        "apiVersion: v1\nkind: List\nitems:\n-\rd: 3\n",
        "apiVersion: v1\nkind: List\nitems:\n-\ta: 3\n-\t- b\n",
        "apiVersion: v1\nkind: List\nitems:\n- a: 3\n\tb: 4\n",
        "apiVersion: v1\nkind: List\nitems:\n- |\n  a\n- >2\n   b\n",
        "apiVersion: v1\nkind: List\nitems:\n- a: |2\n    b\n\n\n- c: |+\n    d\n\n\nx: y\n",
        "apiVersion: v1\nkind: List\nitems:\n- a: 1\n...\n- b: 2\n",
        "apiVersion: v1\nkind: List\nitems:\n- a: 1\n<<: {items: [{b: 2}]}\n",
        "apiVersion: v1\nkind: List\n<<: {items: [{b: 2}]}\nitems:\n- a: 1\n",
        "kind: \"Lis\\u0074\"\napiVersion: v1\nitems:\n- a: 1\n",
        "kind: PodList\napiVersion: v1\nkind: SecretList\nitems:\n- a: 1\n",
        "kind: !!str PodList\napiVersion: v1\nitems:\n- a: 1\n",
        "kind: PodList # x\napiVersion: 'v1'\nitems:\n- a: 1\n",
        "kind: \"\\u0050odList\"\napiVersion: v1\nitems:\n- a: 1\n",
        "{\"kind\":\"\\u0050odList\",\"apiVersion\":\"v1\",\"items\":[{\"a\":1}]}",
        "{\"kind\":\"Menu\",\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[{\"a\":1}]}",
        "{\"items\":[{\"a\":1}]}",
        "{\"kind\":\"List\",\"items\":[{\"a\":1}]}",
        "{a: 1}\n",
        "{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[{\"a\":1},]}",
        "{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[null {\"a\":1}]}",
        "{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[\n--- {\"a\":1}]}",
        "apiVersion: v1\nitems:\n  # first\n  - a: 1\n  -\n    c: 2\n\n# last\nkind: PodList\n",
        "{\"a\": 1}\n---\nb: 2\n",
        "[{\"a\":1}]",
        "{\"a\":\n{\"b\":1}}\n",
        "\u{feff}{\"a\":1}\n\u{feff}{\"b\":1}",
        "\u{feff}a: 1\n\u{feff}---\nb: 1\n",
        "---\n---\n---# x\n{\"a\": \"\\ud83d\\ude00\"}\n",
        "# c\rkind: Pod\n---\na: 1\n",
    ] {
        agree(text);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn splitter_equals_loader_json(text in r#"\{?("(kind|apiVersion|items|\\u0069tems|a)":|"List"|"PodList"|"v1"|\{|\}|\[|\]|,|null|1| |\n|\{\}|\{"a":1\}|---\n|\{"apiVersion":"v1","kind":"List","items":\[){0,24}"#) {
        agree(&text);
    }

    #[test]
    fn splitter_equals_loader_yaml(text in "(apiVersion: v1\nkind: List\nitems:\n)?((- |  |\n|items:|kind: List\n|a: |b|1|\"|\\{|\\}|\\[|\\]|---|\n---\n|#|\\||&x |\\*x|<<: |\\? |: |\t|\r|\u{85}|\u{feff}|\\.\\.\\.\n|\n- |\n  - |\n  )){0,20}") {
        agree(&text);
    }
}

#[test]
fn a_second_items_is_named_where_it_is() {
    let text =
        format!("{{\"apiVersion\":\"v1\",\"kind\":\"List\",\"items\":[{POD}],\n\"\\u0069tems\":[{POD}]}}");
    for small in [0, SMALL] {
        let problems = read_pieces("dump", text.as_bytes(), 1 << 20, small).1;
        let problem = problems.iter().find(|problem| problem.is_error).unwrap();
        assert!(problem.to_string().starts_with("dump:2:1: the key `items`"), "{problem}");
    }
}
