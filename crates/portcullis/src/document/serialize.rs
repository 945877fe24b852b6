//! A document as JSON again. The engine's own serialisation reads the digits of a float back on the way, which may
//! change the last one; this keeps them.

use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Serialize, Serializer};

use crate::value::{self, Value};

/// A value as other JSON tools take it.
pub(super) struct Json<'a>(pub(super) &'a Value);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null | Value::Undefined => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::String(text) => serializer.serialize_str(text),
            Value::Number(number) => {
                // Integers beyond 2^53 have no `as_f64`; floats always have one.
                const EXACT: f64 = 9_007_199_254_740_992.0;
                match number.as_f64() {
                    Some(float) if float.fract() != 0.0 || float.abs() > EXACT => {
                        serializer.serialize_f64(float)
                    }
                    _ => match (number.as_u64(), number.as_i64()) {
                        (Some(unsigned), _) => serializer.serialize_u64(unsigned),
                        (_, Some(signed)) => serializer.serialize_i64(signed),
                        // No reader makes these.
                        _ => number.serialize(serializer),
                    },
                }
            }
            Value::Array(_) | Value::Set(_) => {
                let mut list = serializer.serialize_seq(None)?;
                match self.0 {
                    Value::Set(set) => set.iter().try_for_each(|item| list.serialize_element(&Json(item)))?,
                    array => value::items(array).try_for_each(|item| list.serialize_element(&Json(item)))?,
                }
                list.end()
            }
            Value::Object(_) => {
                let mut object = serializer.serialize_map(None)?;
                for (key, value) in value::entries(self.0) {
                    object.serialize_entry(key, &Json(value))?;
                }
                object.end()
            }
        }
    }
}
