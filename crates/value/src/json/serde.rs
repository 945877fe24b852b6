//! Values for serde's formats.

use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap as _, SerializeSeq as _};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Object, Value, View};

/// As other tools take it: sets are arrays in their order, keys that are not texts are left out (they cannot
/// come from JSON), and undefined is null. Integers stay integers as far as 64 bits go, floats keep their
/// digits: one without a fraction is written as an integer, as Go writes it.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.view() {
            View::Null | View::Undefined => serializer.serialize_unit(),
            View::Bool(value) => serializer.serialize_bool(value),
            View::String(text) => serializer.serialize_str(text),
            View::Number(number) => match (number.as_float(), number.as_i64(), number.as_u64()) {
                (Some(float), ..) => match crate::Number::from(float).as_i64() {
                    Some(whole) if float.to_bits() != (-0.0_f64).to_bits() => serializer.serialize_i64(whole),
                    _ => serializer.serialize_f64(float),
                },
                (None, Some(signed), _) => serializer.serialize_i64(signed),
                (None, None, Some(unsigned)) => serializer.serialize_u64(unsigned),
                (None, None, None) => serializer.serialize_f64(number.to_f64()),
            },
            View::Array(items) => list(serializer, items),
            View::Set(set) => list(serializer, set.as_slice()),
            View::Object(entries) => {
                let mut object = serializer.serialize_map(None)?;
                for (key, value) in entries.iter() {
                    if let Some(key) = key.as_str() {
                        object.serialize_entry(key, value)?;
                    }
                }
                object.end()
            }
        }
    }
}

fn list<S: Serializer>(serializer: S, items: &[Value]) -> Result<S::Ok, S::Error> {
    let mut list = serializer.serialize_seq(Some(items.len()))?;
    items.iter().try_for_each(|item| list.serialize_element(item))?;
    list.end()
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

/// A key: a text, whatever form the format keeps it in.
struct Key(Value);

impl<'de> Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(Reader).map(Self)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a value of JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::NULL)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::NULL)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::from(value))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::from(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = list.next_element()? {
            items.push(item);
        }
        Ok(Value::from(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, value)) = map.next_entry::<Key, Value>()? {
            entries.push((key.0, value));
        }
        Ok(Value::from(entries.into_iter().collect::<Object>()))
    }
}
