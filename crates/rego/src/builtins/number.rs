//! Numbers between regorus's values and arithmetic: exact integers of any size (within a limit), and floats.

use num_bigint::BigInt;
use regorus::Value;

use super::{Failure, too_large};
use crate::JsonNumber;
use crate::limits::{Budget, LimitKind};

/// Most bits of an integer.
pub(super) const MOST_BITS: u64 = 1 << 16;

/// A number as a value, or what is wrong with it.
pub(super) fn too_many_bits() -> Failure {
    too_large(LimitKind::Memory, format!("a number has more than {MOST_BITS} bits"))
}

/// An integer of 64 bits; none if the value is another number, or none at all.
pub(super) fn small(value: &Value) -> Option<i64> {
    let Value::Number(number) = value else { return None };
    number.as_i128().and_then(|number| i64::try_from(number).ok())
}

/// An integer of any size; none for a number with a fraction, and for what is no number.
pub(super) fn integer(value: &Value) -> Option<BigInt> {
    let Value::Number(number) = value else { return None };
    if !number.is_integer() {
        return None;
    }
    if let Some(integer) = number.as_big() {
        return Some((*integer).clone());
    }
    // A large float: the number that its digits say.
    number.format_decimal().parse().ok()
}

/// How many bytes a number takes that is no float and has more than 64 bits; else none.
pub(super) fn bytes(value: &Value) -> usize {
    let Value::Number(number) = value else { return 0 };
    if number.as_f64().is_some() || number.as_i128().is_some() {
        return 0;
    }
    number.as_big().map_or(0, |big| usize::try_from(big.bits() / 8).unwrap_or(usize::MAX))
}

/// Whether the value is a number that has a fraction.
pub(super) fn fraction(value: &Value) -> Option<f64> {
    let Value::Number(number) = value else { return None };
    if number.is_integer() { None } else { number.as_f64() }
}

/// The value of an integer.
pub(super) fn from_integer(budget: &mut Budget<'_>, integer: &BigInt) -> Result<Value, Failure> {
    if let Ok(small) = i128::try_from(integer) {
        return Ok(Value::from(small));
    }
    if integer.bits() > MOST_BITS {
        return Err(too_many_bits());
    }
    budget.make_text(usize::try_from(integer.bits() / 8).unwrap_or(usize::MAX))?;
    Ok(Value::Number(integer.clone().into()))
}

/// The value of a float, an integer where it is one.
pub(super) fn from_float(float: f64) -> Value {
    // Less than 2^63.
    const MOST: f64 = 9e18;
    #[expect(clippy::cast_possible_truncation, reason = "integral and within 64 bits")]
    if float.fract() == 0.0 && float.abs() <= MOST { Value::from(float as i64) } else { Value::from(float) }
}

/// The value of a number as JSON writes it; none if the text is no number. OPA keeps any number as it is written.
///
/// # Errors
///
/// If it is an integer of too many digits: a few characters can ask for a billion.
pub(super) fn parse(budget: &mut Budget<'_>, text: &str) -> Result<Option<Value>, Failure> {
    /// As many digits as [`MOST_BITS`] allow.
    const MOST_DIGITS: u64 = MOST_BITS * 3 / 10;
    if JsonNumber::of(text).is_none() {
        return Ok(None);
    }
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let is_negative = exponent.starts_with('-');
    let exponent = exponent.trim_start_matches(['+', '-']).trim_start_matches('0');
    let is_zero = mantissa.bytes().all(|byte| matches!(byte, b'0' | b'.' | b'-'));
    let exponent: u64 = if exponent.len() > 9 { u64::MAX } else { exponent.parse().unwrap_or(0) };
    if is_zero || (is_negative && exponent > mantissa.len() as u64 + 400) {
        return Ok(Some(Value::from(0)));
    }
    let size = (mantissa.len() as u64).saturating_add(if is_negative { 0 } else { exponent });
    if size > MOST_DIGITS {
        return Err(too_many_bits());
    }
    budget.step(size * size / 4096 + size / 64 + 1)?;
    budget.take(usize::try_from(size).unwrap_or(usize::MAX))?;
    let value = Value::from_numeric_string(text).ok();
    Ok(value.map(|value| fraction_or_integer(&value).unwrap_or(value)))
}

/// A float without a fraction as an integer.
fn fraction_or_integer(value: &Value) -> Option<Value> {
    let Value::Number(number) = value else { return None };
    if number.as_big().is_some() && number.as_f64().is_some() {
        number.as_i128().map(Value::from)
    } else {
        None
    }
}
