//! Values while an expression is evaluated: where they lie, so that nothing is copied or counted for looking at it.

use std::fmt;

use portcullis_value::{Budget, Exceeded, Value, View};

use super::{CelValue, Equality, List, Map, Text, equals};
use crate::error::Fault;
use crate::types::Type;

/// A value that lies somewhere else, if it is not small: in the input, in the expression, or among what its evaluation
/// made.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Held<'e> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    /// A text, a list or an object, and nothing else.
    Input(&'e Value),
    /// All others.
    Made(&'e CelValue),
}

impl<'e> Held<'e> {
    /// A value where it is.
    pub(crate) fn of(value: &'e CelValue) -> Self {
        match value {
            CelValue::Null => Self::Null,
            CelValue::Bool(value) => Self::Bool(*value),
            CelValue::Int(value) => Self::Int(*value),
            CelValue::Uint(value) => Self::Uint(*value),
            CelValue::Double(value) => Self::Double(*value),
            CelValue::String(Text(text)) => Self::Input(text),
            CelValue::List(List::Input(list)) if list.as_array().is_some() => Self::Input(list),
            CelValue::Map(Map::Input(map)) if map.as_object().is_some() => Self::Input(map),
            other => Self::Made(other),
        }
    }

    /// A value of an input; none of a set, which is made into a list.
    pub(crate) fn of_input(value: &'e Value) -> Option<Self> {
        Some(match value.view() {
            View::Undefined | View::Null => Self::Null,
            View::Bool(value) => Self::Bool(value),
            View::Number(_) => match CelValue::from(value.clone()) {
                CelValue::Int(integer) => Self::Int(integer),
                CelValue::Double(float) => Self::Double(float),
                _ => return None,
            },
            View::String(_) | View::Array(_) | View::Object(_) => Self::Input(value),
            View::Set(_) => return None,
        })
    }

    /// The value by itself. What it is made of is shared.
    pub(crate) fn to_value(self) -> CelValue {
        match self {
            Self::Null => CelValue::Null,
            Self::Bool(value) => CelValue::Bool(value),
            Self::Int(value) => CelValue::Int(value),
            Self::Uint(value) => CelValue::Uint(value),
            Self::Double(value) => CelValue::Double(value),
            Self::Input(value) => CelValue::from(value.clone()),
            Self::Made(value) => value.clone(),
        }
    }

    /// The text, if it is one.
    pub(crate) fn as_str(self) -> Option<&'e str> {
        if let Self::Input(value) = self { value.as_str() } else { None }
    }

    /// The value, if it can be read.
    pub(crate) fn opened(self) -> Result<Self, Fault> {
        match self {
            Self::Made(CelValue::Unreadable(message)) => Err(Fault::error(&**message)),
            other => Ok(other),
        }
    }

    /// Whether it may be what is selected.
    pub(crate) fn is_key(self) -> bool {
        match self {
            Self::Bool(_) | Self::Int(_) | Self::Uint(_) | Self::Double(_) => true,
            Self::Input(value) => value.as_str().is_some(),
            Self::Null | Self::Made(_) => false,
        }
    }

    /// As [`CelValue::is_of`].
    pub(crate) fn is_of(self, ty: &Type) -> bool {
        match (ty, self) {
            (Type::Dyn | Type::Param(_), _) | (Type::Bool, Self::Bool(_)) | (Type::Int, Self::Int(_)) => true,
            (Type::String, Self::Input(value)) => value.as_str().is_some(),
            (Type::List(of), Self::Input(value)) => {
                value.as_array().is_some_and(|items| items.first().is_none_or(|item| is_of(item, of)))
            }
            (Type::Map(of), Self::Input(value)) => value.as_object().is_some_and(|object| {
                object.iter().next().is_none_or(|(key, value)| is_of(key, &of.0) && is_of(value, &of.1))
            }),
            (_, Self::Made(value)) => value.is_of(ty),
            (_, other) => other.to_value().is_of(ty),
        }
    }

    /// As [`CelValue::cost_size`].
    pub(crate) fn cost_size(self) -> u64 {
        match self {
            Self::Null | Self::Bool(_) | Self::Int(_) | Self::Uint(_) | Self::Double(_) => 1,
            Self::Input(value) => match value.view() {
                View::String(text) => text.chars().count() as u64,
                _ => value.count().unwrap_or(0) as u64,
            },
            Self::Made(value) => value.cost_size(),
        }
    }

    /// As [`CelValue::plain_size`].
    pub(crate) fn plain_size(self) -> u64 {
        if let Self::Made(value) = self { value.plain_size() } else { self.cost_size() }
    }

    /// Whether two values are equal, as `==` says it.
    pub(crate) fn equal(self, budget: &mut Budget<'_>, other: Held<'_>) -> Result<Equality, Exceeded> {
        match (self, other) {
            (Self::Null, Held::Null) => Ok(Equality::Same),
            (Self::Null, _) | (_, Held::Null) => Ok(Equality::Different),
            (a, b) => a.equals(budget, b),
        }
    }

    /// Whether the first value says that the second is its equal.
    pub(crate) fn equals(self, budget: &mut Budget<'_>, other: Held<'_>) -> Result<Equality, Exceeded> {
        if let (Some(a), Some(b)) = (self.as_str(), other.as_str()) {
            budget.step(1)?;
            budget.read_text(a.len().min(b.len()))?;
            return Ok((a == b).into());
        }
        let is = match (self, other) {
            (Self::Bool(a), Held::Bool(b)) => a == b,
            (Self::Int(a), Held::Int(b)) => a == b,
            (Self::Made(a), Held::Made(b)) => return equals(budget, a, b),
            (a, b) => return equals(budget, &a.to_value(), &b.to_value()),
        };
        budget.step(1)?;
        Ok(is.into())
    }
}

/// Whether a value of an input may be of a type.
fn is_of(value: &Value, ty: &Type) -> bool {
    match Held::of_input(value) {
        Some(held) => held.is_of(ty),
        None => CelValue::from(value.clone()).is_of(ty),
    }
}

impl fmt::Display for Held<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_value().fmt(f)
    }
}
