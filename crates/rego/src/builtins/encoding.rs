//! Base 64, hexadecimal digits, and queries of URLs. Texts are UTF-8: a byte that is none becomes U+FFFD,
//! which is what a text with it becomes in OPA's output.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use base64::{DecodeError, Engine as _, alphabet};
use portcullis_value::{Budget, Value, View};

use super::objects::object_operand;
use super::operand::{text, value};
use super::{Context, Failure, Outcome, json, undefined};

table![
    "base64.decode" => base64_decode,
    "base64.encode" => base64_encode,
    "base64.is_valid" => base64_is_valid,
    "base64url.decode" => base64url_decode,
    "base64url.encode" => base64url_encode,
    "base64url.encode_no_pad" => base64url_encode_no_pad,
    "hex.decode" => hex_decode,
    "hex.encode" => hex_encode,
    "urlquery.decode" => url_decode,
    "urlquery.decode_object" => url_decode_object,
    "urlquery.encode" => url_encode,
    "urlquery.encode_object" => url_encode_object,
];

/// As Go reads base 64: what the last symbol has too much is skipped.
const LAX: GeneralPurposeConfig = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LAX);
const URL: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LAX);
const URL_NO_PAD: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LAX.with_encode_padding(false));

/// With padding; line breaks are skipped, as Go does. Else the position of what is wrong: a symbol, or the group that is not whole.
fn decode(text: &str, engine: &GeneralPurpose) -> Result<Vec<u8>, Failure> {
    let is_symbol = |byte: &u8| !matches!(byte, b'\r' | b'\n');
    let symbols: Vec<u8> = text.bytes().filter(is_symbol).collect();
    engine.decode(&symbols).map_err(|error| {
        let wrong = match error {
            DecodeError::InvalidByte(wrong, byte) if byte != b'=' => wrong,
            DecodeError::InvalidByte(wrong, _) => wrong / 4 * 4,
            _ => symbols.len().saturating_sub(1) / 4 * 4,
        };
        let places = text.bytes().enumerate().filter(|(_, byte)| is_symbol(byte));
        let at = places.map(|(at, _)| at).nth(wrong).unwrap_or(0);
        undefined(format!("illegal base64 data at input byte {at}"))
    })
}

/// A text of bytes; each that is no UTF-8 becomes one character.
fn utf8(budget: &mut Budget<'_>, bytes: &[u8]) -> Result<String, Failure> {
    budget.make_text(bytes.len().saturating_mul(3))?;
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    Ok(text)
}

fn encoded(context: &mut Context<'_, '_>, args: &[&Value], engine: &GeneralPurpose) -> Outcome {
    let text = text(args, 1)?;
    context.budget.make_text(text.len().saturating_mul(4) / 3 + 4)?;
    Ok(Value::from(engine.encode(text)))
}

fn base64_encode(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    encoded(context, args, &STANDARD)
}

fn base64url_encode(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    encoded(context, args, &URL)
}

fn base64url_encode_no_pad(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    encoded(context, args, &URL_NO_PAD)
}

fn base64_decode(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let text = text(args, 1)?;
    context.budget.make_items(text.len())?;
    let bytes = decode(text, &STANDARD)?;
    Ok(Value::from(utf8(context.budget, &bytes)?))
}

fn base64_is_valid(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let View::String(text) = value(args, 1)?.view() else { return Ok(Value::FALSE) };
    context.budget.make_items(text.len())?;
    Ok(Value::from(decode(text, &STANDARD).is_ok()))
}

fn base64url_decode(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let bytes = url_bytes(context.budget, text(args, 1)?)?;
    Ok(Value::from(utf8(context.budget, &bytes)?))
}

/// The bytes of a text in base 64 for URLs, with or without padding.
pub(super) fn url_bytes(budget: &mut Budget<'_>, text: &str) -> Result<Vec<u8>, Failure> {
    budget.make_items(text.len())?;
    let padding = match text.len() % 4 {
        _ if text.ends_with('=') => "",
        0 => "",
        2 => "==",
        3 => "=",
        _ => {
            let shown: String = text.chars().take(60).collect();
            return Err(undefined(format!("illegal base64url string: {shown}")));
        }
    };
    decode(&format!("{text}{padding}"), &URL)
}

/// As [`url_bytes`], a text.
pub(super) fn url_text(budget: &mut Budget<'_>, text: &str) -> Result<String, Failure> {
    let bytes = url_bytes(budget, text)?;
    utf8(budget, &bytes)
}

/// Two digits for each byte.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut out, byte| {
        out.extend([byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16).unwrap_or('0')));
        out
    })
}

fn hex_encode(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let text = text(args, 1)?;
    context.budget.make_text(text.len().saturating_mul(2))?;
    Ok(Value::from(hexadecimal(text.as_bytes())))
}

fn hex_decode(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let text = text(args, 1)?;
    context.budget.make_text(text.len())?;
    let mut bytes = Vec::with_capacity(text.len() / 2);
    let mut digits = text.chars();
    let digit = |c: char| {
        let digit = c.to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        digit.ok_or_else(|| undefined(format!("encoding/hex: invalid byte: U+{:04X} {c:?}", u32::from(c))))
    };
    while let Some(high) = digits.next() {
        let high = digit(high)?;
        let low = digits.next().ok_or_else(|| undefined("encoding/hex: odd length hex string"))?;
        bytes.push(high << 4 | digit(low)?);
    }
    Ok(Value::from(utf8(context.budget, &bytes)?))
}

/// A part of a query: a space is a plus.
fn escape(out: &mut String, text: &str) {
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => out.push(char::from(byte)),
            b' ' => out.push('+'),
            // Writing to a string does not fail.
            _ => drop(write!(out, "%{byte:02X}")),
        }
    }
}

fn unescape(budget: &mut Budget<'_>, text: &str) -> Result<String, Failure> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'+', _) => bytes.push(b' '),
            (b'%', [high, low, after @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                let digit =
                    |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                bytes.push(digit(*high).unwrap_or(0) << 4 | digit(*low).unwrap_or(0));
                rest = after;
            }
            (b'%', _) => {
                let shown: Vec<u8> = std::iter::once(b'%').chain(after.iter().copied().take(2)).collect();
                return Err(undefined(format!("invalid URL escape {:?}", String::from_utf8_lossy(&shown))));
            }
            (byte, _) => bytes.push(*byte),
        }
    }
    utf8(budget, &bytes)
}

fn url_encode(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let text = text(args, 1)?;
    context.budget.make_text(text.len().saturating_mul(3))?;
    let mut out = String::new();
    escape(&mut out, text);
    Ok(Value::from(out))
}

fn url_decode(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let text = text(args, 1)?;
    context.budget.make_text(text.len())?;
    Ok(Value::from(unescape(context.budget, text)?))
}

/// In the order of the keys; a key stands once for each of its values.
fn url_encode_object(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let wrong = || undefined("operand 1 values must be string, array[string], or set[string]");
    let View::Object(object) = object_operand(args, 1)?.view() else { return Ok(Value::UNDEFINED) };
    let budget = &mut *context.budget;
    let mut out = String::new();
    let mut sorted = BTreeMap::new();
    for (key, values) in object.iter() {
        budget.step(1)?;
        sorted.insert(json::key(budget, key)?, values);
    }
    for (key, values) in sorted {
        let values = match values.view() {
            View::String(_) => std::slice::from_ref(values),
            _ => portcullis_value::elements(budget, values)?.ok_or_else(wrong)?,
        };
        for value in values {
            let View::String(value) = value.view() else { return Err(wrong()) };
            budget.make_text((key.len() + value.len()).saturating_mul(3) + 2)?;
            if !out.is_empty() {
                out.push('&');
            }
            escape(&mut out, &key);
            out.push('=');
            escape(&mut out, value);
        }
    }
    Ok(Value::from(out))
}

fn url_decode_object(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let query = text(args, 1)?;
    context.budget.step(query.len() as u64 / 8)?;
    let mut found: BTreeMap<Value, Vec<Value>> = BTreeMap::new();
    for part in query.split('&').filter(|part| !part.is_empty()) {
        if part.contains(';') {
            return Err(undefined("invalid semicolon separator in query"));
        }
        let (key, value) = part.split_once('=').unwrap_or((part, ""));
        context.budget.make_items(2)?;
        context.budget.make_text(part.len())?;
        let key = unescape(context.budget, key)?;
        let value = unescape(context.budget, value)?;
        found.entry(Value::from(key)).or_default().push(Value::from(value));
    }
    Ok(Value::from(
        found.into_iter().map(|(key, values)| (key, Value::from(values))).collect::<BTreeMap<_, _>>(),
    ))
}
