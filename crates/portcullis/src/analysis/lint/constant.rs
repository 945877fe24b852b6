//! Values that are written out in the text, and what comparing them gives.

use std::cmp::Ordering;
use std::fmt;

use portcullis_rego_syntax::ast::{BinaryOp, ExprKind};

/// A literal without parts.
#[derive(Clone, Debug)]
pub(super) enum Constant {
    Null,
    Bool(bool),
    /// As written: numbers have any size.
    Number(String),
    String(String),
}

impl Constant {
    pub(super) fn of(kind: &ExprKind) -> Option<Self> {
        match kind {
            ExprKind::Null => Some(Self::Null),
            ExprKind::Bool(value) => Some(Self::Bool(*value)),
            ExprKind::Number(digits) => Some(Self::Number(digits.clone())),
            ExprKind::String(text) => Some(Self::String(text.clone())),
            _ => None,
        }
    }

    /// Rego's order; `None` where it would take more than machine numbers to tell.
    pub(super) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Bool(a), Self::Bool(b)) => Some(a.cmp(b)),
            (Self::String(a), Self::String(b)) => Some(a.cmp(b)),
            (Self::Number(a), Self::Number(b)) => compare_numbers(a, b),
            _ => Some(self.rank().cmp(&other.rank())),
        }
    }

    pub(super) fn is(&self, other: &Self) -> bool {
        self.compare(other) == Some(Ordering::Equal)
    }

    pub(super) fn differs(&self, other: &Self) -> bool {
        self.compare(other).is_some_and(Ordering::is_ne)
    }

    const fn rank(&self) -> u8 {
        match self {
            Self::Null => 0,
            Self::Bool(_) => 1,
            Self::Number(_) => 2,
            Self::String(_) => 3,
        }
    }
}

impl fmt::Display for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => value.fmt(f),
            Self::Number(digits) => f.write_str(digits),
            Self::String(text) => write!(f, "{text:?}"),
        }
    }
}

/// Rounding to a machine number keeps the order, but may make different numbers equal.
fn compare_numbers(a: &str, b: &str) -> Option<Ordering> {
    if a == b {
        return Some(Ordering::Equal);
    }
    if let (Ok(a), Ok(b)) = (a.parse::<i128>(), b.parse::<i128>()) {
        return Some(a.cmp(&b));
    }
    let (a, b): (f64, f64) = (a.parse().ok()?, b.parse().ok()?);
    a.partial_cmp(&b).filter(|order| order.is_ne())
}

/// Whether a comparison holds; `None` if it is not a comparison, or its text does not show it.
pub(super) fn holds(op: BinaryOp, lhs: &Constant, rhs: &Constant) -> Option<bool> {
    let order = lhs.compare(rhs)?;
    match op {
        BinaryOp::Eq | BinaryOp::Unify => Some(order.is_eq()),
        BinaryOp::Ne => Some(order.is_ne()),
        BinaryOp::Lt => Some(order.is_lt()),
        BinaryOp::Le => Some(order.is_le()),
        BinaryOp::Gt => Some(order.is_gt()),
        BinaryOp::Ge => Some(order.is_ge()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_only_as_far_as_they_can_be() {
        let compare =
            |a: &str, b: &str| Constant::Number(a.to_owned()).compare(&Constant::Number(b.to_owned()));
        assert_eq!(compare("1", "2"), Some(Ordering::Less));
        assert_eq!(compare("1.5", "-2"), Some(Ordering::Greater));
        assert_eq!(compare("1e3", "1e3"), Some(Ordering::Equal));
        assert_eq!(compare("1.0", "1"), None);
        assert_eq!(compare("0.1", "0.10000000000000000001"), None);
    }

    #[test]
    fn types_have_an_order() {
        assert!(Constant::Null.differs(&Constant::Bool(false)));
        let (number, text) = (Constant::Number("3".to_owned()), Constant::String("3".to_owned()));
        assert_eq!(holds(BinaryOp::Lt, &number, &text), Some(true));
        assert_eq!(holds(BinaryOp::Eq, &number, &text), Some(false));
        assert_eq!(holds(BinaryOp::Add, &number, &text), None);
    }
}
