//! Messages of protobuf as the values that they stand for.

use std::sync::Arc;

use crate::environment::Message;
use crate::error::Fault;
use crate::time::Timestamp;
use crate::value::{CelValue, Entries, List, Map};

/// The value of a message with these fields.
pub(crate) fn make(message: Message, fields: Vec<(Arc<str>, CelValue)>) -> Result<CelValue, Fault> {
    use CelValue as V;
    let field = |name: &str| fields.iter().rev().find(|(known, _)| &**known == name).map(|(_, value)| value);
    let value = field("value");
    Ok(match message {
        Message::Bool => value.cloned().unwrap_or(V::Bool(false)),
        Message::Bytes => value.cloned().unwrap_or_else(|| V::Bytes(Arc::from([].as_slice()))),
        Message::String => value.cloned().unwrap_or_else(|| V::from("")),
        Message::Double => value.cloned().unwrap_or(V::Double(0.0)),
        #[expect(clippy::cast_possible_truncation, reason = "a float of 32 bits is what it is")]
        Message::Float => match value {
            Some(V::Double(value)) => V::Double((*value as f32).into()),
            _ => V::Double(0.0),
        },
        Message::Int64 => value.cloned().unwrap_or(V::Int(0)),
        Message::Uint64 => value.cloned().unwrap_or(V::Uint(0)),
        Message::Int32 => match value {
            Some(V::Int(value)) => {
                V::Int(i32::try_from(*value).map_err(|_| Fault::error("integer overflow"))?.into())
            }
            _ => V::Int(0),
        },
        Message::Uint32 => match value {
            Some(V::Uint(value)) => {
                V::Uint(u32::try_from(*value).map_err(|_| Fault::error("unsigned integer overflow"))?.into())
            }
            _ => V::Uint(0),
        },
        Message::Duration => {
            let (seconds, nanos) = time(field("seconds"), field("nanos"));
            let span = seconds.checked_mul(1_000_000_000).and_then(|span| span.checked_add(nanos));
            V::Duration(span.ok_or_else(|| Fault::error("integer overflow"))?)
        }
        Message::Timestamp => {
            let (seconds, nanos) = time(field("seconds"), field("nanos"));
            let moment = Timestamp::of_seconds(seconds).and_then(|moment| moment.plus(nanos));
            V::Timestamp(moment.map_err(Fault::error)?)
        }
        Message::Struct => {
            plain(field("fields").cloned().unwrap_or_else(|| V::Map(Map::from(Entries::default()))))?
        }
        Message::List => plain(field("values").cloned().unwrap_or_else(|| V::List(List::from(Vec::new()))))?,
        Message::Value => match fields.into_iter().next_back() {
            Some((_, value)) => plain(value)?,
            None => V::Null,
        },
    })
}

fn time(seconds: Option<&CelValue>, nanos: Option<&CelValue>) -> (i64, i64) {
    let number = |value: Option<&CelValue>| if let Some(CelValue::Int(value)) = value { *value } else { 0 };
    (number(seconds), number(nanos))
}

/// A value as JSON has it: numbers are floats.
#[expect(clippy::cast_precision_loss, reason = "JSON's numbers are floats")]
fn plain(value: CelValue) -> Result<CelValue, Fault> {
    use CelValue as V;
    /// Integers that a float has without loss; larger ones are texts in JSON.
    const MAX_EXACT: u64 = 1 << 53;
    Ok(match value {
        V::Int(value) if value.unsigned_abs() < MAX_EXACT => V::Double(value as f64),
        V::Uint(value) if value < MAX_EXACT => V::Double(value as f64),
        V::Int(value) => V::from(value.to_string()),
        V::Uint(value) => V::from(value.to_string()),
        V::List(list) => V::list(list.iter().map(plain).collect::<Result<_, _>>()?),
        V::Map(map) => {
            let mut made = Entries::default();
            for (key, value) in map.entries() {
                if !matches!(key, V::String(_)) {
                    return Err(Fault::error("unsupported type conversion"));
                }
                made.insert(key, plain(value)?);
            }
            V::Map(Map::from(made))
        }
        V::Timestamp(_) | V::Duration(_) => V::from(value.to_string()),
        other => other,
    })
}
