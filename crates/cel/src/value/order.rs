//! Which values are equal, and which is less.

use std::cmp::Ordering;

use portcullis_value::{Budget, Exceeded};

use super::{CelValue, List, Map};

/// What comes of comparing two values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Equality {
    Same,
    Different,
    /// Values of this type are compared with their like only.
    NoOverload,
}

impl From<bool> for Equality {
    fn from(is: bool) -> Self {
        if is { Self::Same } else { Self::Different }
    }
}

/// Whether two values are equal, as `==` says it.
pub(crate) fn equal(budget: &mut Budget<'_>, a: &CelValue, b: &CelValue) -> Result<Equality, Exceeded> {
    match (a, b) {
        (CelValue::Null, CelValue::Null) => Ok(Equality::Same),
        (CelValue::Null, _) | (_, CelValue::Null) => Ok(Equality::Different),
        _ => equals(budget, a, b),
    }
}

/// Whether the first value says that the second is its equal.
pub(crate) fn equals(budget: &mut Budget<'_>, a: &CelValue, b: &CelValue) -> Result<Equality, Exceeded> {
    use CelValue as V;
    budget.step(1)?;
    if let (V::String(a), V::String(b)) = (a, b) {
        budget.read_text(a.as_str().len().min(b.as_str().len()))?;
        return Ok((a == b).into());
    }
    let is = match (a, b) {
        (V::Null, V::Null) => true,
        (V::Bool(a), V::Bool(b)) => a == b,
        (V::Bytes(a), V::Bytes(b)) => {
            budget.read_text(a.len().min(b.len()))?;
            a == b
        }
        (V::Timestamp(a), V::Timestamp(b)) => a == b,
        (V::Duration(a), V::Duration(b)) => a == b,
        (V::Type(a), V::Type(b)) | (V::Object(a), V::Object(b)) => a == b,
        (V::List(a), V::List(b)) => return lists(budget, a, b),
        (V::Map(a), V::Map(b)) => return maps(budget, a, b),
        (V::Optional(a), V::Optional(b)) => match (a, b) {
            (Some(a), Some(b)) => return equals(budget, a, b),
            (a, b) => a.is_none() && b.is_none(),
        },
        (V::Typed(a), V::Typed(b)) => {
            if a.name != b.name || a.fields.len() != b.fields.len() {
                return Ok(Equality::Different);
            }
            for ((key, value), (other_key, other)) in a.fields.iter().zip(&b.fields) {
                if key != other_key || equal(budget, value, other)? != Equality::Same {
                    return Ok(Equality::Different);
                }
            }
            true
        }
        (V::Rights(a), V::Rights(b)) => a == b,
        (V::Ip(a), V::Ip(b)) => a == b,
        (V::Cidr(a), V::Cidr(b)) => a == b,
        (V::Url(a), V::Url(b)) => a.to_string() == b.to_string(),
        // The API server makes two kinds of quantities, and compares others with those that were read only.
        (V::Quantity(_), V::Quantity(b)) if b.is_computed() => return Ok(Equality::NoOverload),
        (V::Quantity(a), V::Quantity(b)) => a.compare(b).is_eq(),
        (V::Semver(a), V::Semver(b)) => a.compare(b).is_eq(),
        (V::Format(a), V::Format(b)) => a == b,
        (V::Ip(_) | V::Cidr(_) | V::Url(_) | V::Quantity(_) | V::Semver(_) | V::Format(_), _) => {
            return Ok(Equality::NoOverload);
        }
        _ => numbers(a, b).is_some_and(Ordering::is_eq),
    };
    Ok(is.into())
}

fn lists(budget: &mut Budget<'_>, a: &List, b: &List) -> Result<Equality, Exceeded> {
    if let List::Associative(a) = a {
        return a.equals(budget, b);
    }
    if a.len() != b.len() {
        return Ok(Equality::Different);
    }
    for (a, b) in a.iter().zip(b.iter()) {
        // What cannot be compared counts as equal here, as in the API server.
        if equal(budget, &a, &b)? == Equality::Different {
            return Ok(Equality::Different);
        }
    }
    Ok(Equality::Same)
}

fn maps(budget: &mut Budget<'_>, a: &Map, b: &Map) -> Result<Equality, Exceeded> {
    if a.len() != b.len() {
        return Ok(Equality::Different);
    }
    budget.make_items(a.len())?;
    for (key, value) in a.entries() {
        let Some(other) = b.get(&key) else { return Ok(Equality::Different) };
        if equal(budget, &value, &other)? == Equality::Different {
            return Ok(Equality::Different);
        }
    }
    Ok(Equality::Same)
}

/// The order of two numbers, whatever their types; none if one is no number, or not a number.
#[expect(clippy::cast_precision_loss, reason = "as the API server compares")]
fn numbers(a: &CelValue, b: &CelValue) -> Option<Ordering> {
    use CelValue as V;
    match (a, b) {
        (V::Int(a), V::Int(b)) => Some(a.cmp(b)),
        (V::Uint(a), V::Uint(b)) => Some(a.cmp(b)),
        (V::Int(a), V::Uint(b)) => Some(i128::from(*a).cmp(&i128::from(*b))),
        (V::Uint(a), V::Int(b)) => Some(i128::from(*a).cmp(&i128::from(*b))),
        (V::Double(a), V::Double(b)) => a.partial_cmp(b),
        (V::Double(a), V::Int(b)) if *a >= i64::MIN as f64 && *a <= i64::MAX as f64 => {
            a.partial_cmp(&(*b as f64))
        }
        (V::Double(a), V::Uint(b)) if *a >= 0.0 && *a <= u64::MAX as f64 => a.partial_cmp(&(*b as f64)),
        (V::Double(a), V::Int(_) | V::Uint(_)) => a.partial_cmp(&0.0),
        (V::Int(_) | V::Uint(_), V::Double(_)) => numbers(b, a).map(Ordering::reverse),
        _ => None,
    }
}

/// The order of two values.
///
/// # Errors
///
/// The message, if there is none.
pub(crate) fn compare(a: &CelValue, b: &CelValue) -> Result<Ordering, String> {
    use CelValue as V;
    match (a, b) {
        (V::Double(value), _) | (V::Int(_) | V::Uint(_), V::Double(value)) if value.is_nan() => {
            Err("NaN values cannot be ordered".to_owned())
        }
        (V::Double(_), V::Double(value)) if value.is_nan() => Err("NaN values cannot be ordered".to_owned()),
        (V::Bool(a), V::Bool(b)) => Ok(a.cmp(b)),
        (V::String(a), V::String(b)) => Ok(a.cmp(b)),
        (V::Bytes(a), V::Bytes(b)) => Ok(a.cmp(b)),
        (V::Timestamp(a), V::Timestamp(b)) => Ok(a.cmp(b)),
        (V::Duration(a), V::Duration(b)) => Ok(a.cmp(b)),
        _ => numbers(a, b).ok_or_else(|| "no such overload".to_owned()),
    }
}
