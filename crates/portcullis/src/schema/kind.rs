//! Which types values have.

use crate::value::{self, Value};

/// The types a value may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Kind {
    #[default]
    Any,
    IntOrString,
    One(Type),
}

/// The value of `type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Type {
    Array,
    Boolean,
    Integer,
    Number,
    Object,
    String,
}

impl Type {
    pub(super) const ALL: [Self; 6] =
        [Self::Array, Self::Boolean, Self::Integer, Self::Number, Self::Object, Self::String];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Array => "array",
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Number => "number",
            Self::Object => "object",
            Self::String => "string",
        }
    }

    /// Integers are numbers, and `1.0` is an integer. One of more than 64 bits is none: an API server reads it as a
    /// float, and takes no float of this size for an integer.
    pub(super) fn admits(self, value: &Value) -> bool {
        match (self, value::type_name(value)) {
            (Self::Integer, "integer") => value.as_number().is_some_and(|number| number.as_i64().is_some()),
            (Self::Number, "integer") => true,
            (_, found) => found == self.name(),
        }
    }
}
