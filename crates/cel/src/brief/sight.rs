//! Values where they lie, and lists of such.

use portcullis_value::{Budget, Exceeded, Value};

use crate::types::Type;
use crate::value::{CelValue, Held};

/// A value that lies somewhere else, or a list of such. All that is in one takes eight bytes, so that it is handed on in
/// registers.
#[derive(Clone, Copy, Debug)]
pub(crate) enum View<'e> {
    Null,
    Bool(Truth),
    Int(i64),
    Uint(u64),
    /// By its bits.
    Double(u64),
    /// A text, a list or an object, and nothing else.
    Input(&'e Value),
    /// All others.
    Made(&'e CelValue),
    Items(&'e Vec<View<'e>>),
}

/// A truth value of eight bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Truth {
    No,
    Yes,
}

/// What a brief evaluation came to: a value that lies in what was given, or on the [`Desk`](crate::Desk).
#[derive(Clone, Copy, Debug)]
pub struct Sight<'e>(pub(super) View<'e>);

impl<'e> Sight<'e> {
    /// A value where it is.
    #[must_use]
    pub fn of(value: &'e CelValue) -> Self {
        Self(View::of(value))
    }

    /// The truth value, if it is one.
    #[must_use]
    pub fn as_bool(self) -> Option<bool> {
        self.0.as_bool()
    }

    /// The text, if it is one.
    #[must_use]
    pub fn as_str(self) -> Option<&'e str> {
        self.0.as_str()
    }

    /// The value by itself. What it is made of is shared.
    #[must_use]
    pub fn to_value(self) -> CelValue {
        self.0.to_value()
    }
}

impl<'e> View<'e> {
    pub(super) fn of(value: &'e CelValue) -> Self {
        Held::of(value).into()
    }

    #[inline]
    pub(super) const fn bool(value: bool) -> Self {
        Self::Bool(if value { Truth::Yes } else { Truth::No })
    }

    #[inline]
    pub(super) fn as_bool(self) -> Option<bool> {
        if let Self::Bool(value) = self { Some(value == Truth::Yes) } else { None }
    }

    #[inline]
    pub(super) fn as_str(self) -> Option<&'e str> {
        if let Self::Input(value) = self { value.as_str() } else { None }
    }

    /// The value, if it is no list of such.
    pub(super) fn held(self) -> Result<Held<'e>, &'e Vec<Self>> {
        Ok(match self {
            Self::Null => Held::Null,
            Self::Bool(value) => Held::Bool(value == Truth::Yes),
            Self::Int(value) => Held::Int(value),
            Self::Uint(value) => Held::Uint(value),
            Self::Double(bits) => Held::Double(f64::from_bits(bits)),
            Self::Input(value) => Held::Input(value),
            Self::Made(value) => Held::Made(value),
            Self::Items(items) => return Err(items),
        })
    }

    pub(super) fn to_value(self) -> CelValue {
        match self.held() {
            Ok(held) => held.to_value(),
            Err(items) => CelValue::list(items.iter().map(|item| item.to_value()).collect()),
        }
    }

    /// As [`CelValue::cost_size`], or more.
    pub(super) fn size(self) -> u64 {
        match (self.as_str(), self.held()) {
            (Some(text), _) => text.len() as u64,
            (None, Ok(held)) => held.cost_size(),
            (None, Err(items)) => items.len() as u64,
        }
    }

    /// As [`CelValue::is_of`].
    pub(super) fn is_of(self, ty: &Type) -> bool {
        match (self.held(), ty) {
            (_, Type::Dyn | Type::Param(_)) => true,
            (Ok(held), ty) => held.is_of(ty),
            (Err(items), Type::List(of)) => items.first().is_none_or(|first| first.is_of(of)),
            (Err(_), ty) => ty.runtime_name() == "list",
        }
    }

    /// As [`CelValue::is_within`].
    pub(super) fn is_within(self, budget: &mut Budget<'_>, depth: u32) -> Result<bool, Exceeded> {
        match self {
            Self::Made(value) => value.is_within(budget, depth),
            Self::Items(items) => {
                budget.step(items.len() as u64 + 1)?;
                let Some(below) = depth.checked_sub(1) else { return Ok(false) };
                for item in items {
                    let has_parts = matches!(item, Self::Made(_) | Self::Items(_));
                    if below == 0 || has_parts && !item.is_within(budget, below)? {
                        return Ok(false);
                    }
                }
                Ok(true)
            }
            _ => Ok(true),
        }
    }
}

impl<'e> From<Held<'e>> for View<'e> {
    #[inline]
    fn from(held: Held<'e>) -> Self {
        match held {
            Held::Null => Self::Null,
            Held::Bool(value) => Self::bool(value),
            Held::Int(value) => Self::Int(value),
            Held::Uint(value) => Self::Uint(value),
            Held::Double(value) => Self::Double(value.to_bits()),
            Held::Input(value) => Self::Input(value),
            Held::Made(value) => Self::Made(value),
        }
    }
}
