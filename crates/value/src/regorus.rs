//! Values of the regorus crate, for people who hold them and for comparing its answers with ours. Feature
//! `regorus`.

use std::collections::{BTreeMap, BTreeSet};

use regorus::Value as Theirs;

use crate::{Number, Value, View};

/// The same value. Cost: a copy.
impl From<&Theirs> for Value {
    fn from(theirs: &Theirs) -> Self {
        match theirs {
            Theirs::Undefined => Self::UNDEFINED,
            Theirs::Null => Self::NULL,
            Theirs::Bool(value) => Self::from(*value),
            Theirs::Number(number) => {
                let integer = number.as_i128().map(Number::from);
                let large =
                    || number.as_big().and_then(|big| big.to_string().parse::<num_bigint::BigInt>().ok());
                let float = || Number::from(number.as_f64().unwrap_or(f64::INFINITY));
                Self::from(integer.or_else(|| large().map(Number::from)).unwrap_or_else(float))
            }
            Theirs::String(text) => Self::from(&**text),
            Theirs::Array(items) => items.iter().map(Self::from).collect(),
            Theirs::Set(items) => Self::from(items.iter().map(Self::from).collect::<crate::Set>()),
            Theirs::Object(object) => {
                Self::object(object.iter().map(|(key, value)| (Self::from(key), Self::from(value))))
            }
        }
    }
}

/// The same value; what regorus cannot hold is undefined. Cost: a copy.
impl From<&Value> for Theirs {
    fn from(ours: &Value) -> Self {
        match ours.view() {
            View::Undefined => Self::Undefined,
            View::Null => Self::Null,
            View::Bool(value) => Self::Bool(value),
            View::Number(number) => Self::from_numeric_string(&number.text()).unwrap_or(Self::Undefined),
            View::String(text) => Self::String(text.into()),
            View::Array(items) => Self::from(items.iter().map(Self::from).collect::<Vec<_>>()),
            View::Set(items) => Self::from(items.iter().map(Self::from).collect::<BTreeSet<_>>()),
            View::Object(object) => {
                let entries = object.iter().map(|(key, value)| (Self::from(key), Self::from(value)));
                Self::from(entries.collect::<BTreeMap<_, _>>())
            }
        }
    }
}
