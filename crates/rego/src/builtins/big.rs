//! Floats with a mantissa of 64 bits, as OPA computes with numbers that have a fraction: 0.1 + 0.2 is 0.3. A
//! result is written with as few digits as tell it from its neighbours, and read again as an `f64`.

use num_bigint::{BigInt, BigUint, Sign};
use portcullis_value::{Budget, MAX_BITS, Value};

use super::number::{self, too_many_bits};
use super::{Failure, undefined};

/// ± `mantissa` · 2^`exponent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BigFloat {
    is_negative: bool,
    /// With its highest bit set, unless the number is zero.
    mantissa: u64,
    exponent: i64,
}

/// Most digits that 64 bits need.
const MAX_DIGITS: u32 = 21;

impl BigFloat {
    const ZERO: Self = Self { is_negative: false, mantissa: 0, exponent: 0 };

    /// A number; none for a value of another type.
    pub(super) fn of(value: &Value) -> Option<Self> {
        if let Some(integer) = number::integer(value) {
            let is_negative = integer.sign() == Sign::Minus;
            return Some(Self::from_magnitude(is_negative, integer.magnitude(), 0, false));
        }
        number::fraction(value).map(Self::from_float)
    }

    /// The number that the digits of a float say, which its bits may miss by a little.
    pub(super) fn from_float(float: f64) -> Self {
        let text = format!("{:e}", float.abs());
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let places = mantissa.split_once('.').map_or(0, |(_, fraction)| fraction.len());
        let digits: u64 = mantissa.replace('.', "").parse().unwrap_or(0);
        let exponent: i32 = exponent.parse().unwrap_or(0);
        let exponent = exponent.saturating_sub(i32::try_from(places).unwrap_or(0));
        Self::from_decimal(float.is_sign_negative(), &BigUint::from(digits), exponent)
    }

    /// ± `digits` · 10^`exponent`.
    fn from_decimal(is_negative: bool, digits: &BigUint, exponent: i32) -> Self {
        let power = BigUint::from(10_u8).pow(exponent.unsigned_abs());
        if exponent >= 0 {
            return Self::from_magnitude(is_negative, &(digits * power), 0, false);
        }
        // More bits than are kept, so that the rest only has to be known to be there.
        let shift = 130 + power.bits();
        let shifted = digits << shift;
        let quotient = &shifted / &power;
        let is_more = &quotient * &power != shifted;
        Self::from_magnitude(is_negative, &quotient, -i64::try_from(shift).unwrap_or(i64::MAX), is_more)
    }

    /// `is_more`: the magnitude is a little more than this.
    fn from_magnitude(is_negative: bool, magnitude: &BigUint, exponent: i64, is_more: bool) -> Self {
        let excess = magnitude.bits().saturating_sub(128);
        let is_more = is_more || magnitude.trailing_zeros().is_some_and(|zeros| zeros < excess);
        let top = u128::try_from(magnitude >> excess).unwrap_or(0);
        Self::rounded(is_negative, top, exponent.saturating_add(i64::try_from(excess).unwrap_or(0)), is_more)
    }

    /// Rounds to 64 bits, halves to even. If there `is_more`, the mantissa must have more than 65 bits.
    fn rounded(is_negative: bool, mantissa: u128, exponent: i64, is_more: bool) -> Self {
        if mantissa == 0 {
            return Self::ZERO;
        }
        let bits = 128 - mantissa.leading_zeros();
        let Some(excess) = bits.checked_sub(64).filter(|excess| *excess > 0) else {
            let shift = 64 - bits;
            let mantissa = u64::try_from(mantissa << shift).unwrap_or(u64::MAX);
            return Self { is_negative, mantissa, exponent: exponent - i64::from(shift) };
        };
        let mut kept = mantissa >> excess;
        let rest = mantissa & ((1 << excess) - 1);
        let half = 1_u128 << (excess - 1);
        if rest > half || (rest == half && (is_more || kept % 2 == 1)) {
            kept += 1;
        }
        let mut exponent = exponent + i64::from(excess);
        if kept >> 64 != 0 {
            kept >>= 1;
            exponent += 1;
        }
        Self { is_negative, mantissa: u64::try_from(kept).unwrap_or(u64::MAX), exponent }
    }

    pub(super) const fn is_zero(self) -> bool {
        self.mantissa == 0
    }

    pub(super) const fn negated(self) -> Self {
        Self { is_negative: !self.is_negative, ..self }
    }

    pub(super) fn add(self, other: Self) -> Self {
        if self.is_zero() {
            return other;
        }
        if other.is_zero() {
            return self;
        }
        let (large, small) = if (self.exponent, self.mantissa) >= (other.exponent, other.mantissa) {
            (self, other)
        } else {
            (other, self)
        };
        let distance = u32::try_from(large.exponent.saturating_sub(small.exponent)).unwrap_or(u32::MAX);
        let left = u128::from(large.mantissa) << 63;
        let whole = u128::from(small.mantissa) << 63;
        let right = whole.checked_shr(distance).unwrap_or(0);
        let is_more = right.checked_shl(distance).unwrap_or(0) != whole;
        let exponent = large.exponent - 63;
        if large.is_negative == small.is_negative {
            Self::rounded(large.is_negative, left + right, exponent, is_more)
        } else {
            // A little less is one less and a little more.
            Self::rounded(large.is_negative, left - right - u128::from(is_more), exponent, is_more)
        }
    }

    pub(super) fn multiply(self, other: Self) -> Self {
        let product = u128::from(self.mantissa) * u128::from(other.mantissa);
        let is_negative = self.is_negative != other.is_negative;
        Self::rounded(is_negative, product, self.exponent.saturating_add(other.exponent), false)
    }

    /// The divisor is not zero.
    pub(super) fn divide(self, divisor: Self) -> Self {
        let by = u128::from(divisor.mantissa);
        let dividend = u128::from(self.mantissa) << 64;
        let (Some(quotient), Some(rest)) = (dividend.checked_div(by), dividend.checked_rem(by)) else {
            return Self::ZERO;
        };
        let (bit, rest) = if rest * 2 >= by { (1, rest * 2 - by) } else { (0, rest * 2) };
        let (next, rest) = if rest * 2 >= by { (1, rest * 2 - by) } else { (0, rest * 2) };
        let is_negative = self.is_negative != divisor.is_negative;
        let exponent = self.exponent.saturating_sub(divisor.exponent) - 66;
        Self::rounded(is_negative, quotient << 2 | bit << 1 | next, exponent, rest != 0)
    }

    /// The whole part, towards zero.
    pub(super) fn truncated(self) -> Result<BigInt, Failure> {
        let shift = self.exponent.unsigned_abs();
        let magnitude = BigUint::from(self.mantissa);
        let magnitude = if self.exponent >= 0 {
            if shift > MAX_BITS {
                return Err(too_many_bits());
            }
            magnitude << shift
        } else {
            magnitude >> shift.min(64)
        };
        let sign = if self.is_negative { Sign::Minus } else { Sign::Plus };
        Ok(BigInt::from_biguint(sign, magnitude))
    }

    fn is_integer(self) -> bool {
        self.exponent >= 0 || u64::from(self.mantissa.trailing_zeros()) >= self.exponent.unsigned_abs()
    }

    pub(super) fn value(self, budget: &mut Budget<'_>) -> Result<Value, Failure> {
        if self.is_zero() {
            return Ok(Value::from(0));
        }
        if self.exponent.unsigned_abs() > MAX_BITS {
            return if self.exponent > 0 { Err(too_many_bits()) } else { Ok(Value::from(0)) };
        }
        // The fewest digits are found by trying.
        let words = self.exponent.unsigned_abs() / 64;
        budget.step(words * words + words * 8 + 16)?;
        if self.is_integer() && self.exponent <= 0 {
            return number::from_integer(budget, self.truncated()?);
        }
        let (digits, exponent) = self.shortest();
        let sign = if self.is_negative { "-" } else { "" };
        if self.is_integer() {
            let integer = BigInt::from(digits) * BigInt::from(10_u8).pow(exponent.max(0).unsigned_abs());
            let integer = if exponent < 0 {
                self.truncated()?
            } else if self.is_negative {
                -integer
            } else {
                integer
            };
            return number::from_integer(budget, integer);
        }
        let float =
            format!("{sign}{digits}e{exponent}").parse::<f64>().ok().filter(|float| float.is_finite());
        float.map(Value::from).ok_or_else(|| undefined("the result is too large for a number"))
    }

    /// The decimal number of fewest digits that is read as this one.
    fn shortest(self) -> (BigUint, i32) {
        let (mut low, mut high) = (1, MAX_DIGITS);
        while low < high {
            let middle = low.midpoint(high);
            let (digits, exponent) = self.digits(middle);
            if Self::from_decimal(self.is_negative, &digits, exponent) == self {
                high = middle;
            } else {
                low = middle + 1;
            }
        }
        self.digits(low)
    }

    /// About so many digits, and the power of ten they stand for.
    fn digits(self, count: u32) -> (BigUint, i32) {
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "an estimate")]
        let magnitude = ((self.mantissa as f64).log10() + self.exponent as f64 * std::f64::consts::LOG10_2)
            .floor() as i32;
        let exponent = magnitude.saturating_add(1).saturating_sub_unsigned(count);
        let ten = BigUint::from(10_u8).pow(exponent.unsigned_abs());
        let shift = self.exponent.unsigned_abs();
        let mut numerator = BigUint::from(self.mantissa);
        let mut denominator = BigUint::from(1_u8);
        if self.exponent >= 0 {
            numerator <<= shift;
        } else {
            denominator <<= shift;
        }
        if exponent >= 0 {
            denominator *= ten;
        } else {
            numerator *= ten;
        }
        let doubled: BigUint = (numerator << 1_u8) + &denominator;
        (doubled / (denominator << 1_u8), exponent)
    }
}
