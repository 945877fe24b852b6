//! Quantities of resources, as the API machinery reads, computes and writes them: `1Gi`, `500m`, `2e3`.

use std::cmp::Ordering;
use std::fmt;

use num_bigint::{BigInt, Sign};
use num_traits::{Signed as _, ToPrimitive as _, Zero as _};
use portcullis_value::{Budget, Exceeded, LimitKind};

/// The least that a quantity counts in: a billionth.
const NANO: i64 = -9;
/// Most digits that two quantities may be apart to be added: a few characters can ask for a billion.
const MAX_APART: i64 = 10_000;

/// Most bits of a sum. What is written as one number may have more, and is paid by its size.
const MAX_BITS: u64 = 70_000;

/// How a quantity is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// `1e3`.
    Exponent,
    /// `1k`.
    Decimal,
    /// `1Ki`.
    Binary,
}

/// What a quantity is worth: a number times a power of ten. Which of the two it is decides what may be asked of
/// it.
#[derive(Clone, Debug)]
enum Amount {
    Small { value: i64, scale: i64 },
    Big { value: BigInt, scale: i64 },
}

/// A quantity.
#[derive(Clone, Debug)]
pub struct Quantity {
    amount: Amount,
    form: Form,
    /// How it was written, if that is how it is to be written.
    text: Option<String>,
    is_computed: bool,
}

/// Why a text is no quantity.
pub(crate) enum NotOne {
    Wrong(&'static str),
    Limit(Exceeded),
}

impl From<Exceeded> for NotOne {
    fn from(limit: Exceeded) -> Self {
        Self::Limit(limit)
    }
}

const FORMAT: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const NUMERIC: &str = "unable to parse numeric part of quantity";
const SUFFIX: &str = "unable to parse quantity's suffix";

/// A text in its parts.
struct Written<'t> {
    positive: bool,
    /// Sign, digits and point.
    value: &'t str,
    whole: &'t str,
    fraction: &'t str,
    suffix: &'t str,
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

fn written(text: &str) -> Option<Written<'_>> {
    let positive = !text.starts_with('-');
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let significant = unsigned.trim_start_matches('0');
    if significant.is_empty() {
        return Some(Written { positive, value: "0", whole: "0", fraction: "", suffix: "" });
    }
    let (whole, mut rest) = significant.split_at_checked(digits(significant))?;
    let whole = if whole.is_empty() { "0" } else { whole };
    let mut fraction = "";
    if let Some(after) = rest.strip_prefix('.') {
        (fraction, rest) = after.split_at_checked(digits(after))?;
    }
    let value = text.get(..text.len() - rest.len())?;
    let letters = rest.bytes().take_while(|byte| b"eEinumkKMGTP".contains(byte)).count();
    let power = rest.get(letters..)?;
    let power = power.strip_prefix(['-', '+']).unwrap_or(power);
    (digits(power) == power.len()).then_some(Written { positive, value, whole, fraction, suffix: rest })
}

/// Base, exponent and form of a suffix.
fn suffix(text: &str) -> Option<(u32, i64, Form)> {
    let decimal = [
        ("n", -9),
        ("u", -6),
        ("m", -3),
        ("", 0),
        ("k", 3),
        ("M", 6),
        ("G", 9),
        ("T", 12),
        ("P", 15),
        ("E", 18),
    ];
    if let Some((_, exponent)) = decimal.into_iter().find(|(name, _)| *name == text) {
        return Some((10, exponent, Form::Decimal));
    }
    let binary = [("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40), ("Pi", 50), ("Ei", 60)];
    if let Some((_, exponent)) = binary.into_iter().find(|(name, _)| *name == text) {
        return Some((2, exponent, Form::Binary));
    }
    let power: i64 = text.strip_prefix(['e', 'E'])?.parse().ok()?;
    // Of larger powers the API machinery keeps the lower half.
    #[expect(clippy::cast_possible_truncation, reason = "as the API machinery does")]
    Some((10, (power as i32).into(), Form::Exponent))
}

impl Quantity {
    pub(crate) fn parse(budget: &mut Budget<'_>, text: &str) -> Result<Self, NotOne> {
        let size = text.len() as u64;
        // Digits beyond 64 bits take time with the square of their number.
        budget.step(size * size / 1024 + 1)?;
        budget.take(text.len())?;
        if text.is_empty() {
            return Err(NotOne::Wrong(FORMAT));
        }
        let small = |value, scale, form, text: Option<String>| Self {
            amount: Amount::Small { value, scale },
            form,
            text,
            is_computed: false,
        };
        if text == "0" {
            return Ok(small(0, 0, Form::Decimal, Some(text.to_owned())));
        }
        let written = written(text).ok_or(NotOne::Wrong(FORMAT))?;
        let (base, exponent, form) = suffix(written.suffix).ok_or(NotOne::Wrong(SUFFIX))?;
        let count = |text: &str| i64::try_from(text.len()).unwrap_or(i64::MAX);
        let (mut scale, factor, precision) = match form {
            Form::Exponent | Form::Decimal => {
                (exponent, 1, 18 - count(written.whole) - count(written.fraction))
            }
            Form::Binary if written.fraction.is_empty() => {
                (0, 1_i64 << exponent, 15 - count(written.whole) - exponent * 3 / 10 - 1)
            }
            Form::Binary => (0, 1, -1),
        };
        scale -= count(written.fraction);
        if precision >= 0 && scale >= NANO {
            let shifted = format!("{}{}", written.whole, written.fraction);
            let value: i64 = shifted.parse().map_err(|_| NotOne::Wrong(NUMERIC))?;
            if let Some(result) = value.checked_mul(factor).filter(|result| *result != i64::MIN) {
                let result = if written.positive { result } else { -result };
                let is_kept = match form {
                    Form::Binary => exponent % 10 == 0 && value & 7 != 0,
                    _ => scale % 3 == 0 && !shifted.ends_with("000") && !shifted.starts_with('0'),
                };
                return Ok(small(result, scale, form, is_kept.then(|| text.to_owned())));
            }
        }
        let scale = exponent * i64::from(base == 10) - count(written.fraction);
        let number = written.value.replace('.', "");
        if !number.bytes().any(|byte| byte.is_ascii_digit()) {
            return Err(NotOne::Wrong(NUMERIC));
        }
        let mut value: BigInt = number.parse().map_err(|_| NotOne::Wrong(NUMERIC))?;
        if base == 2 {
            value <<= u64::try_from(exponent).unwrap_or(0);
        }
        let (mut value, mut scale) = rounded(&value, scale, NANO);
        let (mut form, mut is_capped) = (form, false);
        if form == Form::Binary {
            let one = compare_parts(&value.abs(), scale, &BigInt::from(1), 0);
            if compare_parts(&value.abs(), scale, &BigInt::from(i64::MAX), 0).is_gt() {
                (value, scale) = (value.signum() * BigInt::from(i64::MAX), 0);
                is_capped = true;
            } else if one.is_lt() && !value.is_zero() {
                form = Form::Decimal;
            }
        }
        if (1..=MAX_APART).contains(&(scale - NANO)) && !is_capped {
            // As the API machinery keeps it, which shows where it becomes a float.
            budget.step((scale - NANO).unsigned_abs() / 8)?;
            value = raised(&value, scale - NANO);
            scale = NANO;
        }
        Ok(Self { amount: Amount::Big { value, scale }, form, text: None, is_computed: false })
    }

    /// Steps that work with it takes.
    pub(crate) fn weight(&self) -> u64 {
        match &self.amount {
            Amount::Small { .. } => 1,
            Amount::Big { value, scale } => value.bits() / 64 + scale.unsigned_abs().min(100_000) / 16,
        }
    }

    fn parts(&self) -> (BigInt, i64) {
        match &self.amount {
            Amount::Small { value, scale } => (BigInt::from(*value), *scale),
            Amount::Big { value, scale } => (value.clone(), *scale),
        }
    }

    fn is_zero(&self) -> bool {
        match &self.amount {
            Amount::Small { value, .. } => *value == 0,
            Amount::Big { value, .. } => value.is_zero(),
        }
    }

    pub(crate) const fn is_computed(&self) -> bool {
        self.is_computed
    }

    /// -1, 0 or 1.
    pub(crate) fn sign(&self) -> i64 {
        match self.parts().0.sign() {
            Sign::Minus => -1,
            Sign::NoSign => 0,
            Sign::Plus => 1,
        }
    }

    pub(crate) fn compare(&self, other: &Self) -> Ordering {
        let ((a, a_scale), (b, b_scale)) = (self.parts(), other.parts());
        compare_parts(&a, a_scale, &b, b_scale)
    }

    /// The integer, if it is one of 64 bits.
    pub(crate) fn as_i64(&self) -> Option<i64> {
        match &self.amount {
            Amount::Small { value, scale: 0 } => Some(*value),
            Amount::Small { value: 0, scale } => (*scale > 0).then_some(0),
            Amount::Small { value, scale } if *scale > 0 => scaled(*value, *scale),
            _ => None,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "it is approximate")]
    pub(crate) fn as_f64(&self) -> f64 {
        let (base, exponent) = match &self.amount {
            Amount::Small { value, scale } => (*value as f64, *scale),
            Amount::Big { value, scale } => (value.to_f64().unwrap_or(f64::INFINITY), *scale),
        };
        if exponent == 0 { base } else { base * power_of_ten(exponent) }
    }

    /// The sum, with what is added negated if it is to be taken away.
    pub(crate) fn plus(&self, other: &Self, negate: bool) -> Result<Self, Exceeded> {
        let mut form = self.form;
        if self.is_zero() {
            form = other.form;
        }
        if let (Amount::Small { value: a, scale: a_scale }, Amount::Small { value: b, scale: b_scale }) =
            (&self.amount, &other.amount)
        {
            let b = if negate { b.wrapping_neg() } else { *b };
            if let Some((value, scale)) = small_sum((*a, *a_scale), (b, *b_scale)) {
                let amount = Amount::Small { value, scale };
                return Ok(Self { amount, form, text: None, is_computed: true });
            }
        }
        let ((a, a_scale), (b, b_scale)) = (self.parts(), other.parts());
        let b = if negate { -b } else { b };
        let scale = a_scale.min(b_scale);
        if (a_scale - b_scale).abs() > MAX_APART {
            return Err(too_long());
        }
        let value = raised(&a, a_scale - scale) + raised(&b, b_scale - scale);
        if value.bits() > MAX_BITS {
            return Err(too_long());
        }
        Ok(Self { amount: Amount::Big { value, scale }, form, text: None, is_computed: true })
    }

    /// The quantity of an integer, as `add` and `sub` take it.
    pub(crate) const fn of_int(value: i64) -> Self {
        Self {
            amount: Amount::Small { value, scale: 0 },
            form: Form::Exponent,
            text: None,
            is_computed: true,
        }
    }

    fn decimal(&self, form: Form) -> String {
        let (mut value, mut exponent) = self.parts();
        let ten = BigInt::from(10);
        while !value.is_zero() && (&value % &ten).is_zero() {
            value /= &ten;
            exponent += 1;
        }
        while exponent % 3 != 0 {
            value *= &ten;
            exponent -= 1;
        }
        let suffix = match form {
            _ if exponent == 0 => String::new(),
            Form::Exponent => format!("e{exponent}"),
            _ => match exponent {
                -9 => "n",
                -6 => "u",
                -3 => "m",
                3 => "k",
                6 => "M",
                9 => "G",
                12 => "T",
                15 => "P",
                18 => "E",
                _ => "",
            }
            .to_owned(),
        };
        format!("{value}{suffix}")
    }

    /// The text of an integer in powers of 1024, if it is one.
    fn binary(&self) -> Option<String> {
        let (value, scale) = self.parts();
        let thousand = BigInt::from(1024);
        if compare_parts(&value.abs(), scale, &thousand, 0).is_lt() {
            return None;
        }
        let (mut value, rest) = rounded(&value, scale, 0);
        if compare_parts(&value, rest, &self.parts().0, scale).is_ne() || rest > 64 {
            return None;
        }
        value = raised(&value, rest);
        let mut times = 0;
        while !value.is_zero() && (&value % &thousand).is_zero() {
            value /= &thousand;
            times += 1;
        }
        let suffix = ["", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"].get(times).copied().unwrap_or_default();
        Some(format!("{value}{suffix}"))
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(text) = &self.text {
            return f.write_str(text);
        }
        if self.is_zero() {
            return f.write_str("0");
        }
        match self.form {
            Form::Exponent | Form::Decimal => f.write_str(&self.decimal(self.form)),
            Form::Binary => f.write_str(&self.binary().unwrap_or_else(|| self.decimal(Form::Decimal))),
        }
    }
}

/// `value` times ten to the power of `scale`, if there is room for it.
fn scaled(value: i64, scale: i64) -> Option<i64> {
    if value == 0 {
        return Some(0);
    }
    let factor = u32::try_from(scale).ok().and_then(|scale| 10_i64.checked_pow(scale))?;
    value.checked_mul(factor)
}

fn too_long() -> Exceeded {
    let limit = LimitKind::Memory;
    Exceeded { limit, message: format!("a quantity has more than {MAX_APART} digits (limit `{limit}`)") }
}

fn small_sum((a, a_scale): (i64, i64), (b, b_scale): (i64, i64)) -> Option<(i64, i64)> {
    if b == 0 {
        return Some((a, a_scale));
    }
    if a == 0 {
        return Some((b, b_scale));
    }
    let scale = a_scale.min(b_scale);
    let sum = scaled(a, a_scale - scale)?.checked_add(scaled(b, b_scale - scale)?)?;
    Some((sum, scale))
}

fn raised(value: &BigInt, by: i64) -> BigInt {
    let by = u32::try_from(by).unwrap_or(0);
    value * BigInt::from(10).pow(by)
}

/// The value with nothing below a power of ten: what is below makes it one more, away from nothing.
fn rounded(value: &BigInt, scale: i64, least: i64) -> (BigInt, i64) {
    if scale >= least {
        return (value.clone(), scale);
    }
    let digits = i64::try_from(value.bits()).unwrap_or(i64::MAX) / 3 + 1;
    if least - scale > digits {
        return (value.signum(), least);
    }
    let factor = raised(&BigInt::from(1), least - scale);
    let whole = value / &factor;
    let rest = value % &factor;
    (whole + rest.signum(), least)
}

/// Between which powers of ten a number is that is not 0.
fn sizes(value: &BigInt, scale: i64) -> (i64, i64) {
    let bits = i64::try_from(value.bits()).unwrap_or(i64::MAX / 4);
    // One bit is a little more than 0.30102 digits and less than 0.30103.
    let least = (bits - 1).saturating_mul(30_102) / 100_000;
    let most = bits.saturating_mul(30_103) / 100_000 + 1;
    (least.saturating_add(scale), most.saturating_add(scale))
}

/// The order of two values, without writing out what one power of ten is more than the other where their sizes
/// decide.
fn compare_parts(a: &BigInt, a_scale: i64, b: &BigInt, b_scale: i64) -> Ordering {
    if a.sign() != b.sign() || a.is_zero() {
        return a.sign().cmp(&b.sign());
    }
    let positive = a.is_positive();
    let (a_least, a_most) = sizes(a, a_scale);
    let (b_least, b_most) = sizes(b, b_scale);
    if a_least > b_most {
        return if positive { Ordering::Greater } else { Ordering::Less };
    }
    if b_least > a_most {
        return if positive { Ordering::Less } else { Ordering::Greater };
    }
    let scale = a_scale.min(b_scale);
    raised(a, a_scale - scale).cmp(&raised(b, b_scale - scale))
}

/// A power of ten as Go computes it: of two that it knows.
fn power_of_ten(exponent: i64) -> f64 {
    let known = |power: i64| format!("1e{power}").parse::<f64>().unwrap_or(0.0);
    match exponent {
        0..=308 => known(exponent / 32 * 32) * known(exponent % 32),
        -323..=-1 => known(exponent / 32 * 32) / known(-exponent % 32),
        309.. => f64::INFINITY,
        _ => 0.0,
    }
}
