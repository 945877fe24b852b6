//! Patches that would be too large, and merges that a table decides.

use super::json_patch::{Failed, apply};
use super::types::Types;
use super::{json_patch, merge};
use crate::names::Gvk;
use crate::program::JsonOperation;
use crate::value::{self, Value};

fn value(text: &str) -> Value {
    value::from_json(&serde_json::from_str(text).unwrap())
}

fn operation(op: &str, path: &str, from: &str, value: Option<Value>) -> JsonOperation {
    JsonOperation { op: op.to_owned(), path: path.to_owned(), from: from.to_owned(), value }
}

#[test]
fn copies_of_copies_end() {
    let mut operations = vec![operation("add", "/a", "", Some(value(r#"["x"]"#)))];
    for _ in 0..60 {
        operations.push(operation("add", "/b", "", Some(value("{}"))));
        operations.push(operation("copy", "/b/one", "/a", None));
        operations.push(operation("copy", "/b/two", "/a", None));
        operations.push(operation("move", "/a", "/b", None));
    }
    let failed = apply(&value("{}"), &operations).unwrap_err();
    let Failed::Error(message) = failed else { panic!("{failed:?}") };
    assert_eq!(message, "the patched object is larger than 16777216 bytes");
}

#[test]
fn operations_say_what_is_wrong() {
    let object = value(r#"{"data": {"k": "v"}, "list": [1, 2]}"#);
    for (operation, expected) in [
        (
            operation("add", "/nope/x", "", None),
            "add operation does not apply: doc is missing path: \"/nope/x\": missing value",
        ),
        (
            operation("remove", "/data/x", "", None),
            "error in remove for path: '/data/x': Unable to remove nonexistent key: x: missing value",
        ),
        (
            operation("add", "/list/3", "", None),
            "error in add for path: '/list/3': Unable to access invalid index: 3: invalid index referenced",
        ),
        (operation("frob", "/data", "", None), "Unexpected kind: frob"),
    ] {
        match json_patch::apply(&object, &[operation]) {
            Err(Failed::Error(message)) => assert_eq!(message, expected),
            other => panic!("{other:?}"),
        }
    }
    let fits = [operation("add", "/list/-", "", Some(value("3"))), operation("remove", "/list/0", "", None)];
    let changed = json_patch::apply(&object, &fits).unwrap();
    assert_eq!(changed, value(r#"{"data": {"k": "v"}, "list": [2, 3]}"#));
    let test = operation("test", "/data/k", "", Some(value("\"other\"")));
    assert!(matches!(json_patch::apply(&object, &[test]), Err(Failed::Test)));
}

#[test]
fn lists_are_merged_by_their_keys() {
    let types = Types::new();
    let pod = types.of_kind(&Gvk::new("v1", "Pod")).unwrap();
    let live = value(
        r#"{"spec": {"containers": [{"name": "a", "image": "a:1", "ports": [{"containerPort": 80}]}, {"name": "b"}]}}"#,
    );
    let patch = value(
        r#"{"spec": {"containers": [{"name": "c"}, {"name": "a", "ports": [{"containerPort": 80, "name": "web"}, {"containerPort": 80, "protocol": "UDP"}]}]}}"#,
    );
    let merged = merge::apply(&types, pod, &live, &patch).unwrap();
    let expected = value(
        r#"{"spec": {"containers": [
            {"name": "a", "image": "a:1", "ports": [{"containerPort": 80, "name": "web"}, {"containerPort": 80, "protocol": "UDP"}]},
            {"name": "b"}, {"name": "c"}]}}"#,
    );
    assert_eq!(merged, expected);
    for (patch, expected) in [
        (
            r#"{"spec": {"nodeSelector": {"a": "b"}}}"#,
            "invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: .spec.nodeSelector",
        ),
        (
            r#"{"spec": {"containers": [{"image": "x"}]}}"#,
            "failed to convert patch object to typed object: .spec.containers: element 0: associative list with keys has an element that omits key field \"name\" (and doesn't have default value)",
        ),
        (
            r#"{"spec": {"priority": "high"}}"#,
            "failed to convert patch object to typed object: .spec.priority: expected numeric (int or float), got &value.valueUnstructured{Value:\"high\"}",
        ),
    ] {
        assert_eq!(merge::apply(&types, pod, &live, &value(patch)).unwrap_err(), expected);
    }
}

#[test]
fn the_table_names_types_that_it_has() {
    let types = Types::new();
    assert_eq!(types.unknown_names(), Vec::<String>::new());
}
