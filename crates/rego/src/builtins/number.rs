//! Numbers between values and arithmetic.

use num_bigint::BigInt;
use portcullis_value::{Budget, LimitKind, MAX_BITS, Number, Value};

use super::{Failure, too_large};

/// What is wrong with an integer of too many bits.
pub(super) fn too_many_bits() -> Failure {
    too_large(LimitKind::Memory, format!("a number has more than {MAX_BITS} bits"))
}

/// An integer of 64 bits; none if the value is another number, or none at all.
pub(super) fn small(value: &Value) -> Option<i64> {
    value.as_number().and_then(Number::as_i64)
}

/// An integer of any size; none for a number with a fraction, and for what is not a number.
pub(super) fn integer(value: &Value) -> Option<BigInt> {
    value.as_number().and_then(Number::to_integer)
}

/// How many bytes a number takes that has more than 128 bits; else none.
pub(super) fn bytes(number: &Number) -> usize {
    let bits = if number.as_i128().is_some() { 0 } else { number.large_bits() };
    usize::try_from(bits / 8).unwrap_or(usize::MAX)
}

/// The number, if the value is one that has a fraction.
pub(super) fn fraction(value: &Value) -> Option<f64> {
    value.as_number().and_then(Number::fraction)
}

/// The value of an integer.
pub(super) fn from_integer(budget: &mut Budget<'_>, integer: BigInt) -> Result<Value, Failure> {
    if integer.bits() > MAX_BITS {
        return Err(too_many_bits());
    }
    if integer.bits() > 127 {
        budget.make_text(usize::try_from(integer.bits() / 8).unwrap_or(usize::MAX))?;
    }
    Ok(Value::from(integer))
}
