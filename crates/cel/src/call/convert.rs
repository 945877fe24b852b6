//! Conversions, and parts of moments.

use super::{Args, Context, Outcome};
use crate::error::Fault;
use crate::functions::Function;
use crate::time::Timestamp;
use crate::value::CelValue;

/// Spans of an hour, a minute, a second and a millisecond, in nanoseconds.
const HOUR: i64 = 3_600_000_000_000;
const MINUTE: i64 = 60_000_000_000;
const SECOND: i64 = 1_000_000_000;
const MILLISECOND: i64 = 1_000_000;

pub(super) fn run(context: &mut Context<'_, '_, '_>, function: Function, args: Args) -> Outcome {
    use CelValue as V;
    use Function as F;
    let Some(value) = args.into_iter().next() else { return Err(Fault::no_overload()) };
    if let V::String(text) = &value {
        context.budget.read_text(text.as_str().len())?;
    }
    Ok(match (function, value) {
        (F::Dyn, value) => value,
        (F::Type, value) => V::Type(value.type_name().into()),
        (F::Bool, V::Bool(value)) => V::Bool(value),
        (F::Bool, V::String(text)) => V::Bool(match text.as_str() {
            "1" | "t" | "T" | "TRUE" | "true" | "True" => true,
            "0" | "f" | "F" | "FALSE" | "false" | "False" => false,
            _ => return Err(refused("string", "bool")),
        }),
        (F::Bytes, V::Bytes(bytes)) => V::Bytes(bytes),
        (F::Bytes, V::String(text)) => {
            context.budget.make_text(text.as_str().len())?;
            V::Bytes(text.as_str().as_bytes().into())
        }
        (F::Double, V::Double(value)) => V::Double(value),
        #[expect(clippy::cast_precision_loss, reason = "the nearest is asked for")]
        (F::Double, V::Int(value)) => V::Double(value as f64),
        #[expect(clippy::cast_precision_loss, reason = "the nearest is asked for")]
        (F::Double, V::Uint(value)) => V::Double(value as f64),
        (F::Double, V::String(text)) => {
            V::Double(float(text.as_str()).ok_or_else(|| refused("string", "double"))?)
        }
        (F::Duration, V::Duration(span)) => V::Duration(span),
        (F::Duration, V::String(text)) => {
            let span = portcullis_value::go_duration(text.as_str());
            V::Duration(span.ok_or_else(|| refused("string", "google.protobuf.Duration"))?)
        }
        (F::Duration, V::Int(_)) => return Err(refused("int", "google.protobuf.Duration")),
        (F::Int, V::Int(value)) => V::Int(value),
        (F::Int, V::Duration(span)) => V::Int(span),
        (F::Int, V::Timestamp(moment)) => V::Int(moment.seconds()),
        (F::Int, V::Uint(value)) => V::Int(i64::try_from(value).map_err(|_| "integer overflow")?),
        (F::Int, V::Double(value)) => V::Int(int(value).ok_or("integer overflow")?),
        (F::Int, V::String(text)) => V::Int(text.as_str().parse().map_err(|_| refused("string", "int"))?),
        (F::Uint, V::Uint(value)) => V::Uint(value),
        (F::Uint, V::Int(value)) => V::Uint(u64::try_from(value).map_err(|_| "unsigned integer overflow")?),
        (F::Uint, V::Double(value)) => V::Uint(uint(value).ok_or("unsigned integer overflow")?),
        (F::Uint, V::String(text)) => {
            let value =
                Some(text.as_str()).filter(|text| !text.starts_with('+')).and_then(|text| text.parse().ok());
            V::Uint(value.ok_or_else(|| refused("string", "uint"))?)
        }
        (F::Timestamp, V::Timestamp(moment)) => V::Timestamp(moment),
        (F::Timestamp, V::Int(seconds)) => V::Timestamp(Timestamp::of_seconds(seconds)?),
        (F::Timestamp, V::String(text)) => {
            let moment = Timestamp::parse(text.as_str());
            V::Timestamp(moment.map_err(|known| match known {
                Some(message) => Fault::error(message),
                None => refused("string", "google.protobuf.Timestamp"),
            })?)
        }
        (F::String, V::String(text)) => V::String(text),
        (F::String, V::Bytes(bytes)) => {
            context.budget.make_text(bytes.len())?;
            let text = std::str::from_utf8(&bytes);
            V::from(text.map_err(|_| "invalid UTF-8 in bytes, cannot convert to string")?)
        }
        (
            F::String,
            value @ (V::Bool(_)
            | V::Int(_)
            | V::Uint(_)
            | V::Double(_)
            | V::Timestamp(_)
            | V::Duration(_)
            | V::Ip(_)
            | V::Cidr(_)),
        ) => {
            let text = value.to_string();
            context.budget.make_text(text.len())?;
            V::from(text)
        }
        _ => return Err(Fault::no_overload()),
    })
}

fn refused(from: &str, to: &str) -> Fault {
    Fault::error(format!("type conversion error from '{from}' to '{to}'"))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "what is beyond is looked at"
)]
fn int(value: f64) -> Option<i64> {
    (value > i64::MIN as f64 && value < i64::MAX as f64).then_some(value as i64)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "what is beyond is looked at"
)]
fn uint(value: f64) -> Option<u64> {
    (value >= 0.0 && value < u64::MAX as f64).then_some(value as u64)
}

/// A float as Go reads it: decimal, hexadecimal or by name, and never beyond what there is.
fn float(text: &str) -> Option<f64> {
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if let Some(hex) = unsigned.strip_prefix("0x").or_else(|| unsigned.strip_prefix("0X")) {
        let value = hexadecimal(hex)?;
        return Some(if text.starts_with('-') { -value } else { value });
    }
    let value: f64 =
        if text.contains('_') { without_underscores(text)?.parse().ok()? } else { text.parse().ok()? };
    let is_named = unsigned.starts_with(|c: char| c.is_ascii_alphabetic());
    if value.is_nan() && unsigned.len() < text.len() {
        return None;
    }
    (value.is_finite() || is_named).then_some(value)
}

/// The number without underscores, which may only be between digits.
fn without_underscores(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    let is_digit =
        |place: Option<usize>| place.and_then(|place| bytes.get(place)).is_some_and(u8::is_ascii_digit);
    let stray = bytes
        .iter()
        .enumerate()
        .any(|(place, byte)| *byte == b'_' && !(is_digit(place.checked_sub(1)) && is_digit(Some(place + 1))));
    (!stray).then(|| text.replace('_', ""))
}

/// `1.8p3`: hexadecimal digits times a power of two.
fn hexadecimal(text: &str) -> Option<f64> {
    /// Digits that a float has room for, and some more to be rounded by.
    const MAX_DIGITS: usize = 30;
    let (digits, power) = text.split_once(['p', 'P'])?;
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let digits: String = format!("{whole}{fraction}");
    let power: i32 = power.parse().ok()?;
    if digits.is_empty() || digits.len() > MAX_DIGITS {
        return None;
    }
    let mantissa = u128::from_str_radix(&digits, 16).ok()?;
    let power = power.checked_sub(i32::try_from(fraction.len()).ok()?.checked_mul(4)?)?;
    #[expect(clippy::cast_precision_loss, reason = "the nearest is asked for")]
    let value = mantissa as f64 * 2_f64.powi(power);
    value.is_finite().then_some(value)
}

/// A part of a moment, or a span in whole units.
pub(super) fn part(function: Function, args: &[CelValue]) -> Outcome {
    let value = match args {
        [CelValue::Timestamp(moment)] => moment.part(function, None)?,
        [CelValue::Timestamp(moment), zone] => {
            moment.part(function, Some(zone.as_str().ok_or("no such overload")?))?
        }
        [CelValue::Duration(span)] => {
            let unit = match function {
                Function::GetHours => HOUR,
                Function::GetMinutes => MINUTE,
                Function::GetSeconds => SECOND,
                _ => MILLISECOND,
            };
            span / unit
        }
        _ => return Err(Fault::no_overload()),
    };
    Ok(CelValue::Int(value))
}
