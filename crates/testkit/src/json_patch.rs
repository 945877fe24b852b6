//! JSON patches (RFC 6902), as those who get them apply them.

use serde_json::Value;

/// Applies a JSON patch as RFC 6902 has it; a patch that does not fit is a panic.
#[must_use]
#[expect(clippy::unwrap_used, reason = "a panic is how a test says that it fails")]
pub fn patched(value: &Value, patch: &Value) -> Value {
    let mut value = value.clone();
    for operation in patch.as_array().unwrap() {
        let pointer = operation["path"].as_str().unwrap();
        if pointer.is_empty() {
            value = operation["value"].clone();
            continue;
        }
        let (parent, last) = pointer.rsplit_once('/').unwrap();
        let last = last.replace("~1", "/").replace("~0", "~");
        let new = operation.get("value").cloned();
        match (value.pointer_mut(parent).unwrap(), operation["op"].as_str().unwrap()) {
            (Value::Object(fields), "remove") => assert!(fields.remove(&last).is_some()),
            (Value::Object(fields), op) => {
                assert_eq!(fields.insert(last, new.unwrap()).is_some(), op == "replace");
            }
            (Value::Array(items), "remove") => drop(items.remove(last.parse().unwrap())),
            (Value::Array(items), "add") => items.insert(last.parse().unwrap(), new.unwrap()),
            (Value::Array(items), _) => items[last.parse::<usize>().unwrap()] = new.unwrap(),
            (other, op) => panic!("{op} in {other}"),
        }
    }
    value
}
