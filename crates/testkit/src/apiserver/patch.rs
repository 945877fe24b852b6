//! Patches, as far as Portcullis sends them.

use serde_json::{Map, Value};

/// RFC 7386. Apply patches are merged the same way.
pub(super) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let Some(target) = target.as_object_mut() else { return };
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            merge(target.entry(key).or_insert(Value::Null), value);
        }
    }
}

/// RFC 6902: `test`, `add`, `replace` and `remove`. The error says which operation did not fit.
pub(super) fn json_patch(target: &mut Value, patch: &Value) -> Result<(), String> {
    for operation in patch.as_array().ok_or("expected a list of operations")? {
        let path = operation["path"].as_str().ok_or("an operation without a path")?;
        let failed = || format!("the operation {operation} does not fit");
        match operation["op"].as_str() {
            Some("test") => {
                if target.pointer(path) != Some(&operation["value"]) {
                    return Err(failed());
                }
            }
            Some("add" | "replace") => {
                let (parent, key) = path.rsplit_once('/').ok_or_else(failed)?;
                let key = key.replace("~1", "/").replace("~0", "~");
                match target.pointer_mut(parent).ok_or_else(failed)? {
                    Value::Object(fields) => {
                        fields.insert(key, operation["value"].clone());
                    }
                    Value::Array(items) if key == "-" => items.push(operation["value"].clone()),
                    Value::Array(items) => {
                        let index: usize = key.parse().map_err(|_| failed())?;
                        *items.get_mut(index).ok_or_else(failed)? = operation["value"].clone();
                    }
                    _ => return Err(failed()),
                }
            }
            Some("remove") => {
                let (parent, key) = path.rsplit_once('/').ok_or_else(failed)?;
                let parent = target.pointer_mut(parent).and_then(Value::as_object_mut).ok_or_else(failed)?;
                parent.remove(&key.replace("~1", "/").replace("~0", "~")).ok_or_else(failed)?;
            }
            _ => return Err(failed()),
        }
    }
    Ok(())
}
