//! `units.parse` and `units.parse_bytes`, in exact decimals of bounded length: a quantity comes from an
//! object, and ten characters of it can ask for a number of a billion digits.
//!
//! ```text
//! "1.5Ki" --split--> "1.5", "Ki" --digits--> 15 / 10¹ --unit--> 15360 / 10¹ --> 1536
//! ```

use portcullis_value::{Budget, LimitKind, Limits, Number, Value};

use super::operand::text;
use super::{Context, Failure, Outcome, too_large, undefined};

table![
    "units.parse" => parse,
    "units.parse_bytes" => parse_bytes,
];

/// Most digits of an amount, without zeros at its ends, and of its whole part in units of one. With any unit
/// it is then less than the largest `f64`.
const MAX_DIGITS: usize = 100;
/// Most digits of an exponent, as in OPA.
const MAX_EXPONENT_DIGITS: usize = 6;
/// Amounts with more zeros than this after the point are zero, whatever their unit.
const MAX_ZEROS: isize = 40;
/// Decimal places of a result of `units.parse`, as in OPA.
const PLACES: usize = 10;

/// A quantity; a lone `m` is a thousandth. Only in the first letter of a unit does case matter.
fn parse(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let text = text(args, 1)?;
    context.budget.make_text(text.len())?;
    let mut decimal = Decimal::parse("", text, |unit| match unit {
        "m" => Some(Unit { factor: 1, exponent: -3 }),
        unit => Unit::parse(unit, &["", "i"]),
    })?;
    decimal.round(PLACES);
    decimal.value()
}

/// A count of bytes, without its fraction; `m` is a million. OPA has 64 bits for it, and so may give one byte
/// less for an amount with a fraction: none for `0.001k`.
fn parse_bytes(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let text = text(args, 1)?;
    context.budget.make_text(text.len())?;
    let mut decimal = Decimal::parse("byte ", text, |unit| Unit::parse(unit, &["b", "ib", "", "i"]))?;
    decimal.truncate(0);
    decimal.value()
}

/// What an amount is multiplied by: `factor` · 10^`exponent`.
struct Unit {
    factor: u64,
    exponent: isize,
}

impl Unit {
    /// A letter and one of `endings`; those with an `i` make it a power of 1024.
    fn parse(text: &str, endings: &[&str]) -> Option<Self> {
        let lower = text.to_ascii_lowercase();
        let Some(letter) = lower.chars().next() else { return Some(Self { factor: 1, exponent: 0 }) };
        let power = 1 + "kmgtpe".find(letter)?;
        let ending = lower.strip_prefix(letter).filter(|ending| endings.contains(ending))?;
        Some(if ending.starts_with('i') {
            Self { factor: 1 << (10 * power), exponent: 0 }
        } else {
            Self { factor: 1, exponent: 3 * power.cast_signed() }
        })
    }
}

/// The amount and the unit. An `e` is part of the amount if a digit or a sign follows it.
fn split(text: &str) -> (&str, &str) {
    let bytes = text.as_bytes();
    let mut end = 0;
    while let Some(byte) = bytes.get(end) {
        end += match byte {
            b'0'..=b'9' | b'.' | b'+' | b'-' => 1,
            b'e' | b'E' if matches!(bytes.get(end + 1), Some(b'0'..=b'9' | b'+' | b'-')) => 2,
            _ => break,
        };
    }
    text.split_at(end)
}

/// An exact number: `digits` / 10^`scale`.
#[derive(Debug)]
struct Decimal {
    is_negative: bool,
    /// From 0 to 9, the most significant first.
    digits: Vec<u8>,
    scale: usize,
}

impl Decimal {
    fn parse(kind: &str, text: &str, unit: impl Fn(&str) -> Option<Unit>) -> Result<Self, Failure> {
        let text = text.replace('"', "");
        if text.contains(' ') {
            return Err(undefined("spaces not allowed in resource strings"));
        }
        let (amount, rest) = split(&text);
        if amount.is_empty() {
            return Err(undefined(format!("no {kind}amount provided")));
        }
        let unit = unit(rest).ok_or_else(|| {
            let shown: String = rest.chars().take(40).collect();
            undefined(format!("{kind}unit {shown} not recognized"))
        })?;

        let (is_negative, amount) = sign(amount);
        let (mantissa, exponent) = amount.split_once(['e', 'E']).unwrap_or((amount, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let (is_small, exponent) = sign(exponent);
        let is_number =
            [whole, fraction, exponent].iter().all(|part| part.bytes().all(|byte| byte.is_ascii_digit()));
        if !is_number || whole.len() + fraction.len() == 0 || exponent.is_empty() {
            return Err(undefined(format!("could not parse {kind}amount to a number")));
        }

        let limit = || too_large(LimitKind::Memory, format!("an amount has more than {MAX_DIGITS} digits"));
        if exponent.len() > MAX_EXPONENT_DIGITS {
            return Err(limit());
        }
        let exponent: isize = exponent.parse().map_err(|_| limit())?;
        let exponent = if is_small { -exponent } else { exponent };
        let fraction = fraction.trim_end_matches('0');
        let mut exponent = exponent - fraction.len().cast_signed() + unit.exponent;
        let digits = whole.bytes().chain(fraction.bytes()).map(|byte| byte - b'0');
        let mut digits: Vec<u8> = digits.skip_while(|digit| *digit == 0).collect();
        while digits.pop_if(|digit| *digit == 0).is_some() {
            exponent += 1;
        }
        let whole = digits.len().cast_signed() + exponent;
        if digits.is_empty() || whole < -MAX_ZEROS {
            return Ok(Self { is_negative: false, digits: Vec::new(), scale: 0 });
        }
        if digits.len() > MAX_DIGITS || whole > MAX_DIGITS.cast_signed() {
            return Err(limit());
        }
        digits.resize(digits.len() + usize::try_from(exponent).unwrap_or(0), 0);
        let scale = usize::try_from(-exponent).unwrap_or(0);
        let mut decimal = Self { is_negative, digits, scale };
        decimal.multiply(unit.factor);
        Ok(decimal)
    }

    fn multiply(&mut self, factor: u64) {
        let mut carry = 0;
        for digit in self.digits.iter_mut().rev() {
            carry += u128::from(*digit) * u128::from(factor);
            *digit = last_digit(carry);
            carry /= 10;
        }
        while carry > 0 {
            self.digits.insert(0, last_digit(carry));
            carry /= 10;
        }
    }

    /// Forgets all but so many decimal places; the first digit that is forgotten.
    fn truncate(&mut self, places: usize) -> u8 {
        let Some(excess) = self.scale.checked_sub(places).filter(|excess| *excess > 0) else { return 0 };
        self.scale = places;
        let kept = self.digits.len().checked_sub(excess);
        let first = kept.and_then(|kept| self.digits.get(kept)).copied();
        self.digits.truncate(kept.unwrap_or(0));
        first.unwrap_or(0)
    }

    /// Rounds to so many decimal places, halves away from zero.
    fn round(&mut self, places: usize) {
        if self.truncate(places) < 5 {
            return;
        }
        for digit in self.digits.iter_mut().rev() {
            if *digit < 9 {
                *digit += 1;
                return;
            }
            *digit = 0;
        }
        self.digits.insert(0, 1);
    }

    /// An integer if it is one.
    fn value(&self) -> Outcome {
        let zeros = (self.scale + 1).saturating_sub(self.digits.len());
        let mut text = if self.is_negative { "-".to_owned() } else { String::new() };
        text.extend(std::iter::repeat_n('0', zeros));
        text.extend(self.digits.iter().map(|digit| char::from(b'0' + digit)));
        if self.scale > 0 {
            text.insert(text.len() - self.scale, '.');
            let length = text.trim_end_matches('0').trim_end_matches('.').len();
            text.truncate(length);
        }
        let number = Number::parse(&mut Budget::new(Limits::default(), None), &text)?;
        number.map(Value::from).ok_or_else(|| undefined("could not parse amount to a number"))
    }
}

fn sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

fn last_digit(number: u128) -> u8 {
    u8::try_from(number % 10).unwrap_or(0)
}
