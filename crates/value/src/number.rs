//! Numbers: exact integers of any size within a limit, and floats.
//!
//! OPA computes with decimal texts of any size; an API server with 64-bit integers and floats. A policy must
//! not see `9007199254740993` become `9007199254740992`, so an integer is never kept as a float that is not
//! equal to it. There are three forms, but one number has one meaning: `1.0` is `1`, and equal numbers are
//! equal whatever their form. Comparing a float with an integer is done without rounding either of them.

use std::cmp::Ordering;
use std::sync::Arc;

use num_bigint::BigInt;
use num_traits::{FromPrimitive as _, ToPrimitive as _};

use crate::JsonNumber;
use crate::budget::{Budget, Exceeded, LimitKind};

/// Most bits of an integer.
pub const MAX_BITS: u64 = 1 << 16;
/// Up to here a float without a fraction is an integer, as each integer has a float of its own: 2^53.
const EXACT: f64 = 9_007_199_254_740_992.0;

/// A number. Equal and ordered by what it is worth, whatever its form: `1.0` is `1`.
#[derive(Clone, Debug)]
pub struct Number(Form);

#[derive(Clone, Debug)]
enum Form {
    Int(i64),
    /// Of more than 64 bits with the sign.
    Big(Arc<BigInt>),
    /// With a fraction, or beyond [`EXACT`], or asked for by [`Number::kept_as_float`].
    Float(f64),
}

impl Number {
    /// The integer, if it is one of 64 bits.
    #[inline]
    #[must_use]
    pub fn as_i64(&self) -> Option<i64> {
        match &self.0 {
            Form::Int(number) => Some(*number),
            _ => self.as_i128().and_then(|number| i64::try_from(number).ok()),
        }
    }

    /// The integer, if it is one of 64 bits without a sign.
    #[must_use]
    pub fn as_u64(&self) -> Option<u64> {
        match &self.0 {
            Form::Int(number) => u64::try_from(*number).ok(),
            _ => self.as_i128().and_then(|number| u64::try_from(number).ok()),
        }
    }

    /// The integer, if it is one of 128 bits.
    #[must_use]
    pub fn as_i128(&self) -> Option<i128> {
        match &self.0 {
            Form::Int(number) => Some((*number).into()),
            Form::Big(number) => number.to_i128(),
            Form::Float(number) if number.fract() == 0.0 => number.to_i128(),
            Form::Float(_) => None,
        }
    }

    /// The nearest float.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "the nearest is asked for")]
    pub fn to_f64(&self) -> f64 {
        match &self.0 {
            Form::Int(number) => *number as f64,
            Form::Big(number) => number.to_f64().unwrap_or(f64::INFINITY),
            Form::Float(number) => *number,
        }
    }

    /// Whether it has no fraction.
    #[must_use]
    pub fn is_integer(&self) -> bool {
        match &self.0 {
            Form::Int(_) | Form::Big(_) => true,
            Form::Float(number) => number.fract() == 0.0,
        }
    }

    /// The integer of any size; none for a number with a fraction. A large float is the integer that its
    /// digits say.
    #[must_use]
    pub fn to_integer(&self) -> Option<BigInt> {
        match &self.0 {
            Form::Int(number) => Some((*number).into()),
            Form::Big(number) => Some((**number).clone()),
            Form::Float(number) if number.fract() == 0.0 => number.to_string().parse().ok(),
            Form::Float(_) => None,
        }
    }

    /// The number, if it has a fraction.
    #[must_use]
    pub fn fraction(&self) -> Option<f64> {
        match &self.0 {
            Form::Float(number) if number.fract() != 0.0 => Some(*number),
            _ => None,
        }
    }

    /// The float, if it is kept as one: it has a fraction, is beyond 2^53 and was written as a float, or was
    /// made by [`Self::kept_as_float`].
    #[must_use]
    pub fn as_float(&self) -> Option<f64> {
        if let Form::Float(number) = &self.0 { Some(*number) } else { None }
    }

    /// Whether it is less than nothing.
    #[must_use]
    pub fn is_negative(&self) -> bool {
        match &self.0 {
            Form::Int(number) => *number < 0,
            Form::Big(number) => number.sign() == num_bigint::Sign::Minus,
            Form::Float(number) => *number < 0.0,
        }
    }

    /// The same without its sign.
    #[must_use]
    pub fn abs(&self) -> Self {
        match &self.0 {
            Form::Int(number) => Self::from(number.unsigned_abs()),
            Form::Big(number) => Self::from(BigInt::from(number.magnitude().clone())),
            Form::Float(number) => Self::from(number.abs()),
        }
    }

    /// Bits of an integer beyond 64 bits; none of all others. What its digits cost grows with their square.
    #[inline]
    #[must_use]
    pub fn large_bits(&self) -> u64 {
        if let Form::Big(number) = &self.0 { number.bits() } else { 0 }
    }

    /// Whether it is an integer many times another, by their decimal digits: 0.3 is three times 0.1. Nothing
    /// is many times zero.
    #[must_use]
    pub fn is_multiple_of(&self, factor: &Self) -> bool {
        let (value, factor) = (self.text(), factor.text());
        let scale = decimals(&value).max(decimals(&factor));
        let (Some(value), Some(factor)) = (scaled(&value, scale), scaled(&factor, scale)) else {
            return false;
        };
        factor.sign() != num_bigint::Sign::NoSign && (value % factor).sign() == num_bigint::Sign::NoSign
    }

    /// As OPA and JSON have it. Cost: for a large integer the square of its size, of which the caller knows
    /// by [`Self::large_bits`].
    #[must_use]
    pub fn text(&self) -> String {
        match &self.0 {
            Form::Int(number) => number.to_string(),
            Form::Big(number) => number.to_string(),
            Form::Float(number) => json_float(*number),
        }
    }

    /// The number that a text of JSON says; none if the text is not a number. OPA keeps any number as it is
    /// written.
    ///
    /// # Errors
    ///
    /// If it is an integer of more than [`MAX_BITS`]: a few characters can ask for a billion digits.
    pub fn parse(budget: &mut Budget<'_>, text: &str) -> Result<Option<Self>, Exceeded> {
        /// As many digits as [`MAX_BITS`] allow.
        const MAX_DIGITS: u64 = MAX_BITS * 3 / 10;
        let Some(form) = JsonNumber::of(text) else { return Ok(None) };
        if form == JsonNumber::Integer
            && let Ok(small) = text.parse::<i64>()
        {
            budget.step(1)?;
            budget.take(text.len())?;
            return Ok(Some(Self(Form::Int(small))));
        }
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let is_small = exponent.starts_with('-');
        let exponent = exponent.trim_start_matches(['+', '-']).trim_start_matches('0');
        let is_zero = mantissa.bytes().all(|byte| matches!(byte, b'0' | b'.' | b'-'));
        let exponent: u64 = if exponent.len() > 9 { u64::MAX } else { exponent.parse().unwrap_or(0) };
        if is_zero || (is_small && exponent > mantissa.len() as u64 + 400) {
            return Ok(Some(Self(Form::Int(0))));
        }
        let size = (mantissa.len() as u64).saturating_add(if is_small { 0 } else { exponent });
        if size > MAX_DIGITS {
            return Err(too_many_bits());
        }
        budget.step(size * size / 4096 + size / 64 + 1)?;
        budget.take(usize::try_from(size).unwrap_or(usize::MAX))?;
        let places =
            mantissa.split_once('.').map_or("", |(_, fraction)| fraction).trim_end_matches('0').len() as u64;
        if form == JsonNumber::Integer || (text.contains(['e', 'E']) && !is_small && exponent >= places) {
            return Ok(integer(mantissa, exponent - places));
        }
        let float = text.parse::<f64>().ok().filter(|float| float.is_finite());
        Ok(float.map(Self::from))
    }
}

/// Mantissa and power of ten of a JSON number.
fn exponent(number: &str) -> (&str, i64) {
    match number.split_once(['e', 'E']) {
        Some((mantissa, power)) => (mantissa, power.parse().unwrap_or(0)),
        None => (number, 0),
    }
}

/// How many places the point must move right to leave an integer.
fn decimals(number: &str) -> i64 {
    let (mantissa, power) = exponent(number);
    let places = mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    (i64::try_from(places).unwrap_or(i64::MAX).saturating_sub(power)).max(0)
}

/// The number times ten to the power of `places`, which must be enough to make it an integer.
fn scaled(number: &str, places: i64) -> Option<BigInt> {
    let (mantissa, power) = exponent(number);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let zeros = places.checked_add(power)?.checked_sub(i64::try_from(fraction.len()).ok()?)?;
    // A float has at most a few hundred places.
    let zeros = usize::try_from(zeros).ok().filter(|zeros| *zeros < 4096)?;
    format!("{whole}{fraction}{}", "0".repeat(zeros)).parse().ok()
}

/// Digits with or without a point, times a power of ten that is at least as large as there are digits after
/// the point.
fn integer(mantissa: &str, zeros: u64) -> Option<Number> {
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{}", fraction.trim_end_matches('0'));
    let integer: BigInt = digits.parse().ok()?;
    let power = BigInt::from(10).pow(u32::try_from(zeros).ok()?);
    Some(Number::from(integer * power))
}

/// The error for an integer of more than [`MAX_BITS`].
pub(crate) fn too_many_bits() -> Exceeded {
    let limit = LimitKind::Memory;
    Exceeded { limit, message: format!("a number has more than {MAX_BITS} bits (limit `{limit}`)") }
}

/// A float as JSON writers of Go have it: with an exponent where it is very large or very small.
fn json_float(number: f64) -> String {
    if number != 0.0 && !(1e-6..1e21).contains(&number.abs()) {
        let text = format!("{number:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let sign = if exponent.starts_with('-') { "" } else { "+" };
        return format!("{mantissa}e{sign}{exponent}");
    }
    number.to_string()
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Number {}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Form::Int(a), Form::Int(b)) => a.cmp(b),
            (Form::Big(a), Form::Big(b)) => a.cmp(b),
            (Form::Float(a), Form::Float(b)) => compare_floats(*a, *b),
            (Form::Float(a), _) => compare_with_integer(*a, other),
            (_, Form::Float(b)) => compare_with_integer(*b, self).reverse(),
            // A large integer is beyond all small ones.
            (Form::Big(_), Form::Int(_)) => {
                if self.is_negative() {
                    Ordering::Less
                } else {
                    Ordering::Greater
                }
            }
            (Form::Int(_), Form::Big(_)) => {
                if other.is_negative() {
                    Ordering::Greater
                } else {
                    Ordering::Less
                }
            }
        }
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// No reader makes what is not a number; it is after all others, so that the order is total.
fn compare_floats(a: f64, b: f64) -> Ordering {
    a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan()))
}

/// Exact: neither is rounded to the form of the other.
fn compare_with_integer(float: f64, integer: &Number) -> Ordering {
    /// 2^63: no integer of 64 bits is as large, and the least is as small.
    const BEYOND: f64 = 9_223_372_036_854_775_808.0;
    let whole = match &integer.0 {
        Form::Float(number) => return compare_floats(float, *number),
        Form::Int(_) if float.is_nan() || float >= BEYOND => return Ordering::Greater,
        Form::Int(_) if float < -BEYOND => return Ordering::Less,
        #[expect(
            clippy::cast_possible_truncation,
            reason = "within 64 bits, and what is cut is looked at below"
        )]
        Form::Int(number) => (float as i64).cmp(number),
        Form::Big(number) => match BigInt::from_f64(float.trunc()) {
            Some(whole) => whole.cmp(number),
            None if float < 0.0 => return Ordering::Less,
            None => return Ordering::Greater,
        },
    };
    whole.then_with(|| compare_floats(float.fract(), 0.0))
}

impl From<i64> for Number {
    fn from(number: i64) -> Self {
        Self(Form::Int(number))
    }
}

impl From<i32> for Number {
    fn from(number: i32) -> Self {
        Self(Form::Int(number.into()))
    }
}

impl From<u32> for Number {
    fn from(number: u32) -> Self {
        Self(Form::Int(number.into()))
    }
}

impl From<i128> for Number {
    fn from(number: i128) -> Self {
        match i64::try_from(number) {
            Ok(small) => Self(Form::Int(small)),
            Err(_) => Self(Form::Big(Arc::new(number.into()))),
        }
    }
}

impl From<u64> for Number {
    fn from(number: u64) -> Self {
        Self::from(i128::from(number))
    }
}

impl From<usize> for Number {
    fn from(number: usize) -> Self {
        Self::from(number as u64)
    }
}

impl From<BigInt> for Number {
    fn from(number: BigInt) -> Self {
        match i64::try_from(&number) {
            Ok(small) => Self(Form::Int(small)),
            Err(_) => Self(Form::Big(Arc::new(number))),
        }
    }
}

impl Number {
    /// The number, kept as a float even if it has no fraction: worth the same, and told apart by
    /// [`Self::as_float`]. For programs that have to know how a number was written, as CEL: the reader of
    /// JSON makes them, and that of YAML does not, since an API server is given its floats as JSON that Go
    /// wrote.
    #[must_use]
    pub fn kept_as_float(number: f64) -> Self {
        Self(Form::Float(number))
    }
}

impl From<f64> for Number {
    fn from(number: f64) -> Self {
        if number.fract() == 0.0 && number.abs() <= EXACT {
            #[expect(clippy::cast_possible_truncation, reason = "integral and within 2^53, checked above")]
            return Self(Form::Int(number as i64));
        }
        Self(Form::Float(number))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Number {
        Number::parse(&mut Budget::new(crate::Limits::default(), None), text)
            .ok()
            .flatten()
            .expect("a number")
    }

    #[test]
    fn numbers_are_compared_by_what_they_are_worth() {
        let ascending = [
            "-1e400",
            "-1e19",
            "-9223372036854775809",
            "-9223372036854775808",
            "-9007199254740993",
            "-2.5",
            "-2",
            "-1e-9",
            "0",
            "1e-9",
            "1",
            "1.5",
            "9007199254740992",
            "9007199254740993",
            "9223372036854775807",
            "9.3e18",
            "18446744073709551615",
            "18446744073709551616",
            "1e300",
            "1e400",
        ];
        let numbers = ascending.map(read);
        for (at, one) in numbers.iter().enumerate() {
            for (other, number) in numbers.iter().enumerate() {
                assert_eq!(one.cmp(number), at.cmp(&other), "{} and {}", ascending[at], ascending[other]);
            }
        }
        // A float and the integers around it, where floats have gaps.
        let float = Number::from(9_223_372_036_854_775_808.0);
        assert!(float > read("9223372036854775807") && float == read("9223372036854775808"));
        assert!(Number::from(f64::NAN) > read("1e400") && Number::from(f64::NAN) == Number::from(f64::NAN));
    }

    #[test]
    fn forms_of_one_number_are_equal_and_written_alike() {
        for (text, written) in [
            ("1.0", "1"),
            ("-0.0", "0"),
            ("1e3", "1000"),
            ("1.50e1", "15"),
            ("0.1e1", "1"),
            ("1e21", "1000000000000000000000"),
            ("1.5e300", "15"),
            ("-2.50", "-2.5"),
            ("1e-7", "1e-7"),
            ("1e-400", "0"),
        ] {
            let number = read(text);
            assert_eq!(read(&number.text()), number, "{text}");
            assert!(number.text().starts_with(written), "{text}: {}", number.text());
        }
        assert!(Number::parse(&mut Budget::new(crate::Limits::default(), None), "1e999999999").is_err());
        assert_eq!(Number::parse(&mut Budget::new(crate::Limits::default(), None), "01"), Ok(None));
    }

    #[test]
    fn multiples_are_found_by_decimal_digits() {
        let is = |value: &str, factor: &str| read(value).is_multiple_of(&read(factor));
        assert!(is("0.3", "0.1") && is("1e30", "8e-3") && is("-9", "3") && is("0", "5"));
        assert!(!is("0.35", "0.1") && !is("1", "0") && !is("1", "3"));
    }

    proptest! {
        /// As integers of any size tell, which all small numbers can be made into by a common factor.
        #[test]
        fn order_is_that_of_fractions(a in any::<i64>(), b in any::<i64>(), quarters in 0..4_i64) {
            #[expect(clippy::cast_precision_loss, reason = "of less than 53 bits with the quarters")]
            let float = (b >> 14) as f64 + quarters as f64 / 4.0;
            let exact = i128::from(b >> 14) * 4 + i128::from(quarters);
            let number = Number::from(float);
            prop_assert_eq!(number.cmp(&Number::from(a)), exact.cmp(&(i128::from(a) * 4)));
            prop_assert_eq!(Number::from(a).cmp(&number), (i128::from(a) * 4).cmp(&exact));
        }
    }
}
