//! The splitter and the core read the same: what comes out of the pieces of a text, cut as finely as possible, is what the core reads
//! in the whole.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test panics when it fails")]

use portcullis::{Document, Limits};
use proptest::prelude::*;

use super::*;

/// Documents, and what is wrong.
type Reading = (Vec<(String, serde_json::Value)>, Vec<String>);

fn shown(documents: &[Document], problems: Vec<String>) -> Reading {
    let show = |document: &Document| (format!("{:?}", document.location()), document.to_json());
    (documents.iter().map(show).collect(), problems)
}

fn by_pieces(name: &str, bytes: &[u8], small: usize) -> Reading {
    let (documents, problems) = read_pieces(name, bytes, 1 << 20, small);
    let errors = problems.iter().filter(|problem| problem.is_error());
    shown(&documents, errors.map(ToString::to_string).collect())
}

/// What the core reads. What `found` does not have of a kind is left out: items come before a kind that stands behind them, and are no
/// objects then, which is reported.
fn whole(name: &str, bytes: &[u8], found: &Reading) -> Reading {
    let (documents, errors) = Document::read_bytes(name, bytes.to_vec(), &Limits::default());
    let errors = errors.iter().filter(|error| error.severity() == portcullis::Severity::Error);
    let mut whole = shown(&documents, errors.map(ToString::to_string).collect());
    for ((_, value), (_, found)) in whole.0.iter_mut().zip(&found.0) {
        for key in ["apiVersion", "kind"] {
            if let Some(object) = value.as_object_mut()
                && found.get(key).is_none()
            {
                object.remove(key);
            }
        }
    }
    whole
}

/// What is taken without a word is the same; the splitter may refuse more.
#[track_caller]
fn agree(text: &str) {
    agree_on(text.as_bytes());
}

#[track_caller]
fn agree_on(bytes: &[u8]) {
    for name in ["dump", "dump.json"] {
        for small in [0, 16, SMALL] {
            let found = by_pieces(name, bytes, small);
            if found.1.is_empty() {
                let expected = whole(name, bytes, &found);
                let text = String::from_utf8_lossy(bytes);
                assert_eq!(found, expected, "{name} in pieces of more than {small}:\n{text}");
            }
        }
    }
}

/// They agree, and the splitter takes it.
#[track_caller]
fn taken(text: &str) {
    agree(text);
    for small in [0, SMALL] {
        let errors = by_pieces("dump", text.as_bytes(), small).1;
        assert!(errors.is_empty(), "small: {small}, {errors:?}, in:\n{text}");
    }
}

/// They agree, and the splitter says that something is wrong, however little it cuts.
#[track_caller]
fn refused(text: &str) {
    agree(text);
    for small in [0, SMALL] {
        assert!(!by_pieces("dump", text.as_bytes(), small).1.is_empty(), "small: {small}, in:\n{text}");
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
        "{\"a\": 1}\n---\nb: 2\n---\n{\"c\": 3}\n".to_owned(),
        "{\"a\": 1} {\"b\": 1}\n--- # Source: é\n{\"c\": 3}\n--- # é\n---\n# é\n".to_owned(),
        "\u{feff}a: 1\n---\n# b\n".to_owned(),
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
        "a: 1\n---\n#\u{feff}\n",
        "a: 1\n---\n# \u{1}\n",
        "a: 1\n---\n# b\r\r\n",
        "\u{feff}\u{feff}a: 1\n",
        "\u{feff}\u{feff}{\"a\":1}\n",
        "\u{feff}{\"a\":1}\n{\"b\":1}\n",
        "\u{feff}{\"a\":1e400}\n",
        "{\"a\":1}\n---\n{\"a\":\"\\ud800\"}\n",
        "{\"a\":1}\n---\n{\"<<\":{\"b\":1}}\n",
        "{\"a\":1}\n--- \nb: 1\n{\"a\":1}\n",
        "{\"a\":1}\n---a: b\n",
        "{\"a\":1}\n-\n",
        "---# a\n",
        "---# a\n---# b\n---\n---# é\n---# é\nb: 1\n",
        "b: 1\n---# é\u{85}a\n",
        "a: 1\n---#\rkind: List\n---",
        "\t# a\n",
        "a: 1\n---\n\t\n",
    ] {
        agree(text);
    }
    for bytes in [&b"a: 1\n---# \xff\nb: 1\n"[..], b"a: 1\n--- # \0\n---\n", b"# \xff\n", b"{}\n# \xff\n"] {
        agree_on(bytes);
    }
}

#[test]
fn what_begins_far_to_the_right_is_read() {
    for space in [280, 300, 5000, 70_000] {
        let space = " ".repeat(space);
        for text in [
            format!("{space}a: 1\n"),
            format!("# c\n{space}a: 1\n---\n{space}b: 1\n"),
            format!("a: 1\n---{space}# c\nb: 2\n{space}# d\n---{space}\nc: 3\n"),
            format!("{space}{{\"a\":1}}\n"),
            format!("---{space}# c\na: 1\n"),
        ] {
            // More white space behind dashes is refused.
            if space.len() < 64 << 10 || !text.contains("---") {
                taken(&text);
            } else {
                agree(&text);
            }
        }
        for text in
            [format!("---{space}a: 1\n"), format!("b: 1\n---{space}a: 1\n"), format!("# {space}\u{feff}\n")]
        {
            refused(&text);
        }
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
        let problem = problems.iter().find(|problem| problem.is_error()).unwrap();
        assert!(problem.to_string().starts_with("dump:2:1: the key `items`"), "{problem}");
    }
}
