//! What the expressions of mutations make: values of CEL as objects and as operations.

use portcullis_cel::{CelValue, Typed};

use super::super::admission::JsonOperation;
use crate::value::{self, Value};

/// Deepest nesting of what an expression makes.
const DEEPEST: usize = 100;

/// What the expression of a mutation came to.
pub(crate) struct Patch(CelValue);

impl Patch {
    pub(super) fn new(made: CelValue) -> Self {
        Self(made)
    }

    /// As the object that it says, of which all fields are merged into the one that is changed.
    pub(crate) fn object(&self) -> Result<Value, String> {
        let mut wrong = Vec::new();
        names(&self.0, "Object", &mut wrong);
        if !wrong.is_empty() {
            return Err(format!("type mismatch: {}", wrong.join("\n")));
        }
        json(&self.0, Numbers::Kept, 0)
    }

    /// As the operations of a JSON patch.
    pub(crate) fn operations(&self) -> Result<Vec<JsonOperation>, String> {
        operations(&self.0)
    }
}

/// Whether the names of types are those of the fields in which their values are.
fn names(value: &CelValue, path: &str, wrong: &mut Vec<String>) {
    match value {
        CelValue::Typed(typed) => {
            if &*typed.name != path {
                wrong.push(format!(
                    "unexpected type name {:?}, expected {path:?}, which matches field name path from root Object type",
                    typed.name
                ));
            }
            for (field, value) in &typed.fields {
                names(value, &format!("{path}.{field}"), wrong);
            }
        }
        CelValue::List(list) => list.iter().for_each(|item| names(&item, path, wrong)),
        CelValue::Map(map) => map.entries().iter().for_each(|(_, value)| names(value, path, wrong)),
        _ => {}
    }
}

/// What becomes of integers.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Numbers {
    Kept,
    /// Those that a float does not have become texts, as in JSON of protobuf.
    OfProtobuf,
}

/// A value of CEL as JSON.
fn json(value: &CelValue, numbers: Numbers, depth: usize) -> Result<Value, String> {
    const EXACT: u64 = 1 << 53;
    if depth > DEEPEST {
        return Err(format!("a value is nested more than {DEEPEST} deep"));
    }
    let is_large = |magnitude: u64| numbers == Numbers::OfProtobuf && magnitude >= EXACT;
    Ok(match value {
        CelValue::Null => Value::NULL,
        CelValue::Bool(value) => Value::from(*value),
        CelValue::Int(value) if is_large(value.unsigned_abs()) => Value::from(value.to_string()),
        CelValue::Int(value) => Value::from(*value),
        CelValue::Uint(value) if is_large(*value) => Value::from(value.to_string()),
        CelValue::Uint(value) => match i64::try_from(*value) {
            Ok(value) => Value::from(value),
            Err(_) => return Err(format!("{value} has more than 63 bits")),
        },
        CelValue::Double(value) if value.is_finite() => Value::from(portcullis_value::Number::from(*value)),
        CelValue::String(text) => Value::from(text.as_str()),
        CelValue::List(list) => {
            let items: Result<Vec<Value>, String> =
                list.iter().map(|item| json(&item, numbers, depth + 1)).collect();
            items?.into_iter().collect()
        }
        CelValue::Map(map) => {
            let mut entries = Vec::new();
            for (key, value) in map.entries() {
                let Some(key) = key.as_str() else {
                    return Err(format!("map key \"{key}\" is of type {}, not string", key.type_name()));
                };
                entries.push((key.to_owned(), json(&value, numbers, depth + 1)?));
            }
            value::object(entries)
        }
        CelValue::Typed(typed) => {
            let mut entries = Vec::new();
            for (key, value) in &typed.fields {
                entries.push((key.clone(), json(value, numbers, depth + 1)?));
            }
            value::object(entries)
        }
        CelValue::Duration(_) | CelValue::Timestamp(_) if numbers == Numbers::OfProtobuf => {
            Value::from(value.to_string())
        }
        other => return Err(format!("a value of type {} cannot be in an object", other.type_name())),
    })
}

/// The operations of a list of `JSONPatch`.
fn operations(made: &CelValue) -> Result<Vec<JsonOperation>, String> {
    let CelValue::List(list) = made else {
        return Err("type mismatch: JSONPatchType.expression should evaluate to array".to_owned());
    };
    let one = |item: CelValue| {
        let CelValue::Typed(typed) = &item else {
            return Err(
                "type mismatch: JSONPatchType.expression should evaluate to array of JSONPatch".to_owned()
            );
        };
        let text =
            |name: &str| typed.fields.get(name).and_then(CelValue::as_str).unwrap_or_default().to_owned();
        let value = typed.fields.get("value");
        if let Some(CelValue::Typed(inner)) = value {
            let mut wrong = Vec::new();
            check(inner, value, &mut wrong);
            if !wrong.is_empty() {
                return Err(format!("type mismatch: {}", wrong.join("\n")));
            }
        }
        let value = value.map(|value| json(value, Numbers::OfProtobuf, 0)).transpose()?;
        Ok(JsonOperation { op: text("op"), path: text("path"), from: text("from"), value })
    };
    list.iter().map(one).collect()
}

/// Whether the names of types fit below one that may be any.
fn check(typed: &Typed, value: Option<&CelValue>, wrong: &mut Vec<String>) {
    if let Some(value) = value {
        names(value, &typed.name, wrong);
    }
}
