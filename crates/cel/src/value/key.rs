//! Keys of maps.

use smallvec::{SmallVec, smallvec};

use super::{CelValue, Text};

/// A key by which entries are found and ordered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// `false` is first.
    Bool(bool),
    /// By value.
    Int(i64),
    /// By value.
    Uint(u64),
    /// By the order of its bits: no text makes one, but a value may be one.
    Double(u64),
    /// By its bytes.
    Text(Text),
    /// All others, by kind and text.
    Other(&'static str, String),
    /// Those that are equal to nothing, by the order in which they came.
    Unique(usize),
}

/// A value as a key.
#[derive(Clone, Debug)]
pub(crate) enum AsKey {
    Is(Key),
    /// In the API server such a key is known by where it lies, so that it is never found again.
    Unique,
    /// In the API server such a key ends the evaluation.
    None,
}

impl Key {
    /// The key that a value is.
    pub(crate) fn of(value: &CelValue) -> AsKey {
        AsKey::Is(match value {
            CelValue::Bool(value) => Self::Bool(*value),
            CelValue::Int(value) => Self::Int(*value),
            CelValue::Uint(value) => Self::Uint(*value),
            CelValue::Double(value) if value.is_nan() => return AsKey::Unique,
            CelValue::Double(value) => Self::Double((value + 0.0).to_bits()),
            CelValue::String(text) => Self::Text(text.clone()),
            CelValue::Bytes(_) | CelValue::Semver(_) | CelValue::Format(_) => return AsKey::None,
            CelValue::List(_)
            | CelValue::Map(_)
            | CelValue::Optional(_)
            | CelValue::Typed(_)
            | CelValue::Rights(_)
            | CelValue::Url(_)
            | CelValue::Quantity(_) => return AsKey::Unique,
            other => Self::Other(other.go_type(), other.to_string()),
        })
    }

    /// The key and those of other types of number that are worth the same, in the order in which they are looked
    /// for.
    pub(crate) fn with_equals(self) -> SmallVec<[Self; 3]> {
        let mut keys: SmallVec<[Self; 3]> = smallvec![self];
        match keys.first() {
            Some(Self::Double(bits)) => {
                let value = f64::from_bits(*bits);
                keys.extend(int_of(value).map(Self::Int));
                keys.extend(uint_of(value).map(Self::Uint));
            }
            Some(Self::Int(value)) => keys.extend(u64::try_from(*value).ok().map(Self::Uint)),
            Some(Self::Uint(value)) => keys.extend(i64::try_from(*value).ok().map(Self::Int)),
            _ => {}
        }
        keys
    }
}

/// The integer that a float is exactly.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::float_cmp,
    reason = "what is lost is looked at"
)]
pub(crate) fn int_of(value: f64) -> Option<i64> {
    let within = value > i64::MIN as f64 && value < i64::MAX as f64;
    let integer = value as i64;
    (within && integer as f64 == value).then_some(integer)
}

/// The integer without a sign that a float is exactly.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::float_cmp,
    reason = "what is lost is looked at"
)]
pub(crate) fn uint_of(value: f64) -> Option<u64> {
    let within = value >= 0.0 && value < u64::MAX as f64;
    let integer = value as u64;
    (within && integer as f64 == value).then_some(integer)
}
