//! Positions, limits and bytes: what the case files cannot say.

use std::fmt::Write;

use super::*;

#[track_caller]
fn one(text: &str) -> Document {
    let (documents, problems) = Document::read_all("a.yaml", text);
    assert_eq!(problems, []);
    documents.into_iter().next().unwrap()
}

fn path(text: &str) -> FieldPath {
    FieldPath::parse(text).unwrap()
}

fn quoted(location: &Location) -> &str {
    let range = location.range();
    location.source().text().get(range.start as usize..range.end as usize).unwrap()
}

const POD: &str = "\
# a pod
kind: Pod
metadata: {name: web, labels: {a.b/c: x}}
spec:
  containers:
  - name: one
    image: \"nginx\"   # comment
  -   name: two
      args:
      - a

  empty:
  text: |

    first
      second

last: 1
";

#[test]
fn every_kind_of_node_is_located() {
    let document = one(POD);
    for (at, line_column, text) in [
        ("kind", "2:7", "Pod"),
        ("metadata", "3:11", "{name: web, labels: {a.b/c: x}}"),
        ("metadata.labels", "3:31", "{a.b/c: x}"),
        ("metadata.labels[\"a.b/c\"]", "3:39", "x"),
        ("spec.containers[0]", "6:5", "name: one\n    image: \"nginx\""),
        ("spec.containers[0].image", "7:12", "\"nginx\""),
        ("spec.containers[1].args", "10:7", "- a"),
        ("/spec/containers/1/args/0", "10:9", "a"),
        ("spec.text", "13:9", "|\n\n    first\n      second"),
        ("last", "18:7", "1"),
    ] {
        let location = document.locate(&path(at)).unwrap();
        assert_eq!(location.to_string(), format!("a.yaml:{line_column}"), "{at}");
        assert_eq!(quoted(&location), text, "{at}");
    }
    assert_eq!(document.locate(&path("spec.empty")).unwrap().to_string(), "a.yaml:12:9");
    assert_eq!(document.location().to_string(), "a.yaml:2:1");
    assert_eq!(document.location().end(), (18, 8));
}

#[test]
fn keys_are_located() {
    let document = one(POD);
    let key = |at: &str| document.locate_key(&path(at)).map(|location| quoted(&location).to_owned());
    assert_eq!(key("spec.containers").as_deref(), Some("containers"));
    assert_eq!(key("metadata.labels[\"a.b/c\"]").as_deref(), Some("a.b/c"));
    assert_eq!(key("spec.containers[1].args[0]").as_deref(), Some("a"));
    assert_eq!(key("spec.nothing"), None);
    assert_eq!(document.locate_key(&FieldPath::root()), None);
}

#[test]
fn a_path_that_does_not_exist_leads_to_its_nearest_part() {
    let document = one(POD);
    let (location, nearest) = document.locate_nearest(&path("spec.containers[1].resources.limits"));
    assert_eq!((location.line(), nearest.to_string().as_str()), (8, "spec.containers[1]"));
    let (location, nearest) = document.locate_nearest(&path("metadata.labels.x"));
    assert_eq!((quoted(&location), nearest.to_string().as_str()), ("labels", "metadata.labels"));
    let (location, nearest) = document.locate_nearest(&path("kind"));
    assert_eq!((quoted(&location), nearest.to_string().as_str()), ("Pod", "kind"));
    let (_, nearest) = document.locate_nearest(&path("nothing"));
    assert!(nearest.is_root());
}

#[test]
fn aliases_are_located_where_they_stand_and_what_is_in_them_at_the_anchor() {
    let document = one("a: &x\n  b: 1\nc: *x\nd:\n  <<: *x\n  e: 2\nf:\n  <<: [{b: 3}, *x]\n");
    let at = |text: &str| document.locate(&path(text)).unwrap().to_string();
    assert_eq!(at("c"), "a.yaml:3:4");
    assert_eq!(at("c.b"), "a.yaml:2:6");
    assert_eq!(at("d.b"), "a.yaml:2:6");
    assert_eq!(at("d.e"), "a.yaml:6:6");
    assert_eq!(at("f.b"), "a.yaml:8:12");
}

#[test]
fn of_duplicate_keys_the_last_is_located() {
    let (documents, _) = Document::read_all("a.yaml", "a: 1\na: 2\n");
    assert_eq!(documents[0].locate(&path("a")).unwrap().to_string(), "a.yaml:2:4");
}

#[test]
fn items_of_a_list_keep_their_positions_and_numbers() {
    let text =
        "a: 1\n---\napiVersion: v1\nkind: PodList\nitems:\n- metadata: {name: x}\n- metadata: {name: y}\n";
    let (documents, problems) = Document::read_all("a.yaml", text);
    assert_eq!(problems, []);
    let numbers: Vec<_> = documents.iter().map(|document| (document.index(), document.item())).collect();
    assert_eq!(numbers, [(0, None), (1, Some(0)), (1, Some(1))]);
    assert_eq!(documents[2].locate(&path("metadata.name")).unwrap().to_string(), "a.yaml:7:20");
    assert_eq!(documents[2].location().to_string(), "a.yaml:7:3");
    assert_eq!(documents[2].locate(&path("kind")), None);
    assert_eq!(value::str_at(documents[2].value(), &["kind"]), Some("Pod"));
}

#[test]
fn json_is_located() {
    let (documents, _) = Document::read_all("a.json", "\n{\"a\": {\"b\": [1, \"é\", {}]}}\n");
    let at = |text: &str| documents[0].locate(&path(text)).unwrap();
    assert_eq!(at("a.b[1]").to_string(), "a.json:2:17");
    assert_eq!(quoted(&at("a.b[1]")), "\"é\"");
    assert_eq!(quoted(&at("a.b")), "[1, \"é\", {}]");
    assert_eq!(at("a.b[2]").to_string(), "a.json:2:22");
}

#[track_caller]
fn in_text(text: &str, needle: &str, line_column: &str) {
    let document = one(text);
    let value = value::str_at(document.value(), &["a", "rego"]).unwrap();
    let offset = value.find(needle).unwrap();
    let location = document.locate_in_text(&path("a.rego"), offset).unwrap();
    assert_eq!(location.to_string(), format!("a.yaml:{line_column}"), "{text}");
}

#[test]
fn characters_of_block_literals_are_located() {
    in_text("a:\n  rego: |\n    package x\n    deny {\n      z\n    }\n", "z", "5:7");
    in_text("a:\n  rego: |-\n    package x\n", "x", "3:13");
    in_text("a:\n  rego: | # comment |\n    package x\n", "package", "3:5");
    in_text("a:\n  rego: |+\n\n\n    x\n  \n    y\n\n", "y", "7:5");
    in_text("a:\n  rego: |2\n      x\n    y\n", "y", "4:5");
    in_text("a:\r\n  rego: |\r\n    é\r\n\r\n    ü y\r\n", "y", "5:7");
    in_text("a:\n  rego: !!str &anchor |\n    x\n", "x", "3:5");
    // The line break belongs to the end of its line.
    in_text("a:\n  rego: |\n    x\n    y\n", "\n", "3:6");
}

#[test]
fn characters_of_other_texts_are_located_where_it_is_simple() {
    in_text("a: {rego: package x}\n", "x", "1:19");
    in_text("a: {rego: \"package x\"}\n", "x", "1:20");
    in_text("a: {rego: 'package x'}\n", "x", "1:20");
    in_text("a: {rego: \"pack\\u0061ge x\"}\n", "x", "1:25");
    in_text("a: {rego: \"pack\\x61ge x\"}\n", "x", "1:11");
    in_text("a:\n  rego: >\n    b\n    x\n", "x", "2:9");
}

#[test]
fn offsets_beyond_the_text_do_not_leave_the_source() {
    let document = one("a:\n  rego: |\n    x\n");
    let location = document.locate_in_text(&path("a.rego"), 1_000).unwrap();
    assert!(location.range().end as usize <= document.source().text().len());
    assert_eq!(document.locate_in_text(&path("a"), 0), None);
}

#[track_caller]
fn only_error(name: &str, text: &str, kind: ErrorKind) -> Location {
    let (documents, problems) = Document::read_all(name, text);
    assert_eq!(documents.len(), 0);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert_eq!(problems[0].kind(), kind, "{problems:?}");
    problems[0].location().unwrap().clone()
}

#[test]
fn deep_nesting_is_an_error_in_every_notation() {
    let block: Vec<String> = (0..1000).map(|level| " ".repeat(level) + "a:\n").collect();
    let block = block.concat();
    assert_eq!(only_error("a.yaml", &block, ErrorKind::Limit).to_string(), "a.yaml:129:129");
    let dashes = format!("a:\n{}x\n", "- ".repeat(1000));
    assert_eq!(only_error("a.yaml", &dashes, ErrorKind::Limit).to_string(), "a.yaml:2:255");
    let flow = format!("a: {}{}\n", "[".repeat(1000), "]".repeat(1000));
    assert_eq!(only_error("a.yaml", &flow, ErrorKind::Limit).to_string(), "a.yaml:1:131");
    let json = format!("{}1{}", "{\"a\":".repeat(1000), "}".repeat(1000));
    assert_eq!(only_error("a.json", &json, ErrorKind::Limit).to_string(), "a.json:1:641");
    assert_eq!(only_error("a.yaml", &json, ErrorKind::Limit).line(), 1);
}

#[test]
fn what_is_just_deep_enough_reads() {
    for text in [
        format!("a: {}1{}\n", "[".repeat(127), "]".repeat(127)),
        format!("{{\"a\": {}1{}}}", "[".repeat(127), "]".repeat(127)),
        format!("a:\n{}x\n", "- ".repeat(127)),
    ] {
        one(&text);
    }
}

#[test]
fn aliases_cannot_blow_a_document_up() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let before = format!("*a{}, ", level - 1).repeat(9);
        writeln!(text, "a{level}: &a{level} [{before}]").unwrap();
    }
    let location = only_error("a.yaml", &text, ErrorKind::Limit);
    assert_eq!(location.line(), 6);

    // Nesting through aliases is nesting.
    let mut text = "a0: &a0 [x]\n".to_owned();
    for level in 1..200 {
        writeln!(text, "a{level}: &a{level} [*a{}]", level - 1).unwrap();
    }
    let location = only_error("a.yaml", &text, ErrorKind::Limit);
    assert_eq!(location.line(), 128);
}

#[test]
fn merge_keys_cannot_make_a_lookup_endless() {
    let mut text = "a0: &a0 {x: 1}\n".to_owned();
    for level in 1..100 {
        writeln!(text, "a{level}: &a{level} {{<<: [*a{}, *a{}]}}", level - 1, level - 1).unwrap();
    }
    let (documents, _) = Document::read_all("a.yaml", &text);
    for document in documents {
        assert_eq!(document.locate(&path("a99.y")), None);
    }
}

#[test]
fn bytes_have_to_be_text_of_a_bearable_size() {
    let read = |bytes: &[u8]| {
        let (documents, problems) = Document::read_bytes("a", bytes.to_vec(), &Limits::default());
        (documents.len(), problems.first().map(Error::kind))
    };
    assert_eq!(read(b"\xef\xbb\xbfa: 1\n"), (1, None));
    assert_eq!(read(b"\xff\xfea\0:\0"), (0, Some(ErrorKind::Encoding)));
    assert_eq!(read(b"a: \0\n"), (0, Some(ErrorKind::Encoding)));
    assert_eq!(read(b"a: \xff\n"), (0, Some(ErrorKind::Encoding)));
    let limits = Limits { source_bytes: 4, ..Limits::default() };
    let (_, problems) = Document::read_bytes("a", b"a: 12\n".to_vec(), &limits);
    assert_eq!(problems[0].kind(), ErrorKind::Limit);
    let (_, problems) = Document::read_source(&Source::new("a", "a: 12\n"), &limits);
    assert_eq!(problems[0].kind(), ErrorKind::Limit);
}

#[test]
fn a_document_has_no_more_nodes_than_allowed() {
    let limits = Limits { nodes: 4, ..Limits::default() };
    let read = |text: &str| {
        let (documents, problems) = Document::read_source(&Source::new("a", text), &limits);
        let problems: Vec<String> = problems.iter().map(Error::to_string).collect();
        (documents.len(), problems)
    };
    for good in [r#"{"a": [1, 2]}"#, "a:\n- 1\n- 2\n", "a: {b: {c: 1}}", "a: 1\n---\na: [1, 2]\n"] {
        assert!(read(good).1.is_empty(), "{good}");
    }
    let message = "the document has more than 4 nodes";
    assert_eq!(read(r#"{"a": [1, 2, 3]}"#), (0, vec![format!("a:1:14: {message}")]));
    assert_eq!(read(r#"{"a": [[], [], []]}"#), (0, vec![format!("a:1:16: {message}")]));
    // The documents beside it are read.
    assert_eq!(read("a:\n- 1\n- 2\n- 3\n---\na: 1\n"), (1, vec![format!("a:4:3: {message}")]));
}

#[test]
fn a_byte_order_mark_in_a_text_is_passed_over() {
    for text in ["\u{feff}a: 1\n", "\u{feff}{\"a\": 1}"] {
        let document = one(text);
        assert_eq!(quoted(&document.locate(&path("a")).unwrap()), "1");
    }
}

#[test]
fn problems_are_not_listed_without_end() {
    let text = "---\n@\n".repeat(5_000);
    let (_, problems) = Document::read_all("a.yaml", &text);
    assert_eq!(problems.len(), 1_001);
    assert_eq!(problems[1_000].severity(), Severity::Error);
    let text = format!("{{{}}}", "a: 1, ".repeat(5_000));
    let (documents, problems) = Document::read_all("a.yaml", &text);
    assert_eq!((documents.len(), problems.len()), (1, 1_001));
    assert_eq!(problems[1_000].severity(), Severity::Warning);
    let text = "{\n".repeat(5_000);
    let (_, problems) = Document::read_all("a.json", &text);
    assert_eq!(problems.len(), 1_001);
}

#[test]
fn documents_are_shared_between_threads() {
    fn shared<T: Send + Sync + Clone>() {}
    shared::<Document>();
}

#[test]
fn an_object_that_is_a_list_is_one_object_if_one_was_asked_for() {
    let text =
        r#"{"apiVersion":"example.com/v1","kind":"AccessList","items":[{"apiVersion":"v1","kind":"Pod"}]}"#;
    let source = Source::new("accesslists/a", text);
    assert_eq!(Document::read_source(&source, &Limits::default()).0[0].to_json()["kind"], "Pod");
    let document = Document::read_object(&source, &Limits::default()).expect("one object");
    assert_eq!(document.to_json()["kind"], "AccessList");
    for wrong in ["", "[]", "1", "{}{}", "{", "kind: Pod", "{\"a\":}", "null"] {
        assert!(Document::read_object(&Source::new("x", wrong), &Limits::default()).is_err(), "{wrong}");
    }
}

/// A mapping of so many keys, and a list of so many items, in one document.
fn wide(count: usize) -> String {
    let keys: String = (0..count).map(|key| format!("  k{key}: {key}\n")).collect::<Vec<_>>().concat();
    let items: String = (0..count).map(|item| format!("- {item}\n")).collect::<Vec<_>>().concat();
    format!("base: &base\n  k1: merged\n  only: merged\nmap:\n  <<: *base\n{keys}  <<: *base\nlist:\n{items}")
}

#[test]
fn children_of_large_nodes_are_found_as_those_of_small_ones() {
    for count in [3, 31, 32, 33, 34, 500] {
        let document = one(&wide(count));
        let at = |text: &str| document.locate(&path(text)).map(|location| quoted(&location).to_owned());
        for number in (0..count).filter(|number| *number != 1) {
            assert_eq!(at(&format!("map.k{number}")), Some(number.to_string()), "{number} of {count}");
            assert_eq!(at(&format!("list[{number}]")), Some(number.to_string()), "{number} of {count}");
        }
        // What is merged last counts.
        assert_eq!(at("map.k1").as_deref(), Some("merged"), "{count}");
        assert_eq!(at("map.only").as_deref(), Some("merged"), "{count}");
        for missing in [format!("map.k{count}"), format!("list[{count}]"), "map.k".to_owned()] {
            assert_eq!(at(&missing), None, "{missing} of {count}");
        }
    }
    // Of keys that are set twice the last counts.
    let twice: String = (0..90).map(|key| format!("k{}: {key}\n", key % 45)).collect::<Vec<_>>().concat();
    let (documents, _) = Document::read_all("a.yaml", &twice);
    assert_eq!(
        documents[0].locate(&path("k7")).map(|location| quoted(&location).to_owned()).as_deref(),
        Some("52")
    );
}

/// What kustomize makes of a base and two patches: each part is where its value was written, whatever was put before it.
#[test]
fn parts_of_what_was_made_are_where_they_were_written() {
    let one = |name: &str, text: &str| {
        let (documents, errors) = Document::read_all(name, text);
        assert!(errors.is_empty(), "{errors:?}");
        documents.into_iter().next().unwrap()
    };
    let base = one(
        "base",
        "kind: D\nspec:\n  replicas: 1\n  paused: true\n  containers:\n  - name: web\n    image: web:1\n    args: [a, b]\n",
    );
    let first =
        one("first", "kind: D\nspec:\n  replicas: 2\n  containers:\n  - name: side\n    image: side:1\n");
    let second = one(
        "second",
        "kind: D\nspec:\n  replicas: 3\n  containers:\n  - name: web\n    securityContext:\n      privileged: true\n",
    );
    let made = one(
        "made",
        "kind: D\nspec:\n  replicas: 3\n  paused: true\n  containers:\n  - name: side\n    image: side:1\n  - name: web\n    image: web:1\n    args: [a, b]\n    securityContext: {privileged: true}\n    added: x\n",
    );
    let placed = base.with_value_of(&made, vec![first, second]);
    assert_eq!(placed.to_json(), made.to_json());
    for (path, expected) in [
        ("spec.replicas", "second:3:13"),
        ("spec.paused", "base:4:11"),
        ("spec.containers[0]", "first:5:5"),
        ("spec.containers[0].image", "first:6:12"),
        ("spec.containers[1].image", "base:7:12"),
        ("spec.containers[1].args[1]", "base:8:15"),
        ("spec.containers[1].securityContext.privileged", "second:7:19"),
    ] {
        let location = placed.locate(&FieldPath::parse(path).unwrap()).map(|at| at.to_string());
        assert_eq!(location.as_deref(), Some(expected), "{path}");
    }
    let nowhere = FieldPath::parse("spec.containers[1].added").unwrap();
    assert_eq!(placed.locate(&nowhere), None);
    let (location, nearest) = placed.locate_nearest(&nowhere);
    assert_eq!((location.file().as_ref(), nearest.to_string().as_str()), ("base", "spec.containers[1]"));
}
