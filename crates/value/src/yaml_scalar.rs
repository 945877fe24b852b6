//! What a plain YAML scalar means: the rules of `sigs.k8s.io/yaml` on go-yaml v2, because that is what turns
//! manifests into the JSON a cluster sees. YAML 1.1 words, Go's integer prefixes, no base 60, no dates.
//!
//! `text + style + tag -> Value`; mapping keys go through the same rules and become strings again.

use std::borrow::Cow;

use base64::engine::{GeneralPurpose, GeneralPurposeConfig};
use base64::{Engine as _, alphabet};
use portcullis_yaml::{Properties, Style};

use crate::{Number, Value};

/// Why a scalar has no value: a sentence without position.
#[derive(Debug, PartialEq, Eq)]
pub enum BadScalar {
    /// `.nan` and `.inf`, which JSON cannot say.
    NotFinite(String),
    /// A tag whose type the text does not have, such as `!!int x`.
    WrongTag(String),
}

impl BadScalar {
    /// The sentence.
    pub fn message(self) -> String {
        match self {
            Self::NotFinite(text) => format!("`{text}` has no JSON form"),
            Self::WrongTag(sentence) => sentence,
        }
    }
}

/// What a scalar can resolve to, before it becomes a value or a key.
#[derive(Clone, Debug, PartialEq)]
enum Resolved {
    Null,
    Bool(bool),
    Signed(i64),
    Unsigned(u64),
    Float(f64),
    Text,
}

/// The value of a scalar. Only plain scalars and those with a type tag resolve; all others are strings.
pub fn value(text: &str, style: Style, tag: Option<&str>) -> Result<Value, BadScalar> {
    match typed(text, style, tag)? {
        (Resolved::Text, text) => Ok(Value::from(text)),
        (Resolved::Null, _) => Ok(Value::NULL),
        (Resolved::Bool(value), _) => Ok(Value::from(value)),
        (Resolved::Signed(value), _) => Ok(Value::from(value)),
        (Resolved::Unsigned(value), _) => Ok(Value::from(value)),
        (Resolved::Float(value), text) => float(value).ok_or_else(|| BadScalar::NotFinite(text.into_owned())),
    }
}

/// A mapping key as the string that it becomes in JSON, and what it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key<'a> {
    /// The string.
    pub text: Cow<'a, str>,
    /// What was written.
    pub kind: KeyKind,
}

/// What a key was in YAML. Keys of two kinds may become one string (`1` and `"1"`), of which no order is
/// defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// A string.
    Text,
    /// A boolean.
    Bool,
    /// An integer.
    Integer,
    /// A fraction; two of them may become one string.
    Float,
}

/// A mapping key; `None` for a null key, which JSON cannot have.
pub fn key<'a>(text: &'a str, style: Style, tag: Option<&str>) -> Result<Option<Key<'a>>, BadScalar> {
    let is_text = tag.is_none() && (style != Style::Plain || hint(text) == Hint::Text);
    let (resolved, text) =
        if is_text { (Resolved::Text, Cow::Borrowed(text)) } else { typed(text, style, tag)? };
    let (text, kind) = match resolved {
        Resolved::Text => (text, KeyKind::Text),
        Resolved::Null => return Ok(None),
        Resolved::Bool(value) => (Cow::Borrowed(if value { "true" } else { "false" }), KeyKind::Bool),
        Resolved::Signed(value) => (Cow::Owned(value.to_string()), KeyKind::Integer),
        Resolved::Unsigned(_) => {
            let sentence = format!("the number `{}` is too large for a key", quote(&text));
            return Err(BadScalar::WrongTag(sentence));
        }
        Resolved::Float(value) => (Cow::Owned(float_key(value)), KeyKind::Float),
    };
    if kind == KeyKind::Text && tag == Some(BINARY) && text.contains(char::REPLACEMENT_CHARACTER) {
        return Err(BadScalar::WrongTag("a key that is no text has no JSON form".to_owned()));
    }
    Ok(Some(Key { text, kind }))
}

/// Whether a key is `<<`, whose value is merged into the mapping: without quotes and tag, or with the tag
/// `!!merge` or `!`.
pub fn is_merge(text: &str, style: Style, properties: &Properties<'_>) -> bool {
    text == "<<"
        && match properties.tag.as_deref() {
            None => style == Style::Plain,
            Some(tag) => matches!(tag, "!" | "tag:yaml.org,2002:merge"),
        }
}

/// A finite float as JSON prints it and Go reads it back: see [`Number`]. `None` for NaN and the infinities.
pub fn float(value: f64) -> Option<Value> {
    value.is_finite().then(|| Value::from(Number::from(value)))
}

const BINARY: &str = "tag:yaml.org,2002:binary";

/// Resolves by style and tag. The text comes back because `!!binary` changes it.
fn typed<'a>(text: &'a str, style: Style, tag: Option<&str>) -> Result<(Resolved, Cow<'a, str>), BadScalar> {
    let borrowed = Cow::Borrowed(text);
    let Some(tag) = tag else {
        let plain = style == Style::Plain;
        return Ok((if plain { resolve(text) } else { Resolved::Text }, borrowed));
    };
    if tag == BINARY {
        let bytes = base64(text)
            .ok_or_else(|| BadScalar::WrongTag("the value of `!!binary` is not base64".to_owned()))?;
        return Ok((Resolved::Text, Cow::Owned(lossy(&bytes))));
    }
    let name = tag.strip_prefix("tag:yaml.org,2002:").unwrap_or_default();
    let resolved = match (name, resolve(text)) {
        #[expect(clippy::cast_precision_loss, reason = "`!!float 3` asks for a float")]
        ("float", Resolved::Signed(value)) => Resolved::Float(value as f64),
        ("null", value @ Resolved::Null)
        | ("bool", value @ Resolved::Bool(_))
        | ("int", value @ (Resolved::Signed(_) | Resolved::Unsigned(_)))
        | ("float", value @ Resolved::Float(_)) => value,
        ("timestamp", Resolved::Text) if is_timestamp(text) => Resolved::Text,
        ("null" | "bool" | "int" | "float" | "timestamp", _) => {
            let text = quote(text);
            return Err(BadScalar::WrongTag(format!("`{text}` is not a value of the type `!!{name}`")));
        }
        _ => Resolved::Text,
    };
    Ok((resolved, borrowed))
}

/// Bytes as Go's JSON has them: each that is no part of a character is a U+FFFD of its own.
fn lossy(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        text.extend(chunk.invalid().iter().map(|_| char::REPLACEMENT_CHARACTER));
    }
    text
}

/// A day, perhaps with a time: what `!!timestamp` can stand before, and what is put into quotation marks where
/// it is written, so that it stays a text.
pub fn is_timestamp(text: &str) -> bool {
    let is_year = text.as_bytes().iter().take_while(|byte| byte.is_ascii_digit()).count() == 4;
    let Some((year, rest)) = text.split_at_checked(4).filter(|_| is_year) else { return false };
    is_time_of(year, rest).is_some()
}

/// What follows a year in a timestamp.
fn is_time_of(year: &str, text: &str) -> Option<()> {
    let (month, text) = clock_number(text.strip_prefix('-')?, 1..=12)?;
    let (day, text) = clock_number(text.strip_prefix('-')?, 1..=31)?;
    let year: u32 = year.parse().ok()?;
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        2 => 28 + u32::from(leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    };
    if day > days {
        return None;
    }
    if text.is_empty() {
        return Some(());
    }
    let has_zone = text.starts_with(['T', 't']);
    let (_, text) = clock_number(text.strip_prefix(['T', 't', ' '])?, 0..=23)?;
    let (_, text) = clock_number(text.strip_prefix(':')?, 0..=59)?;
    let (_, text) = clock_number(text.strip_prefix(':')?, 0..=59)?;
    let text = match text.strip_prefix(['.', ',']) {
        Some(fraction) if fraction.starts_with(|c: char| c.is_ascii_digit()) => {
            fraction.trim_start_matches(|c: char| c.is_ascii_digit())
        }
        _ => text,
    };
    let is_zone = |zone: &str| match zone.strip_prefix(['+', '-']) {
        // Clients read 24 hours and 60 minutes, too.
        Some(zone) => zone.split_once(':').is_some_and(|(hours, minutes)| {
            [(hours, 0..=24), (minutes, 0..=60)].into_iter().all(|(part, most)| {
                part.len() == 2 && clock_number(part, most).is_some_and(|(_, rest)| rest.is_empty())
            })
        }),
        None => zone == "Z",
    };
    let ends_well = if has_zone { is_zone(text) } else { text.is_empty() };
    ends_well.then_some(())
}

/// A number of one or two digits within a range, and what follows it.
fn clock_number(text: &str, range: std::ops::RangeInclusive<u32>) -> Option<(u32, &str)> {
    let digits = text.bytes().take(2).take_while(u8::is_ascii_digit).count();
    let (number, rest) = text.split_at_checked(digits)?;
    let number = number.parse().ok()?;
    range.contains(&number).then_some((number, rest))
}

/// What the first byte of a plain scalar says about it.
#[derive(PartialEq, Eq)]
enum Hint {
    /// Perhaps one of the words.
    Word,
    /// Perhaps a number.
    Number,
    /// Perhaps a fraction or one of `.nan`, `.inf`.
    Dot,
    /// A string, whatever follows.
    Text,
}

fn hint(text: &str) -> Hint {
    match text.as_bytes().first() {
        None | Some(b'y' | b'Y' | b'n' | b'N' | b't' | b'T' | b'f' | b'F' | b'o' | b'O' | b'~') => Hint::Word,
        Some(b'+' | b'-' | b'0'..=b'9') => Hint::Number,
        Some(b'.') => Hint::Dot,
        Some(_) => Hint::Text,
    }
}

/// A piece of the text for a message, which is one line: cut, and without line breaks and control characters.
fn quote(text: &str) -> String {
    const LONGEST: usize = 40;
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    let mut quoted: String = text.trim().chars().take(LONGEST).map(visible).collect();
    if text.trim().chars().nth(LONGEST).is_some() {
        quoted.push('…');
    }
    quoted
}

/// Whether a plain scalar is a text.
pub fn is_text(text: &str) -> bool {
    resolve(text) == Resolved::Text
}

fn resolve(text: &str) -> Resolved {
    let hint = hint(text);
    if hint == Hint::Text {
        return Resolved::Text;
    }
    if text.len() <= 5
        && let Some(word) = word(text)
    {
        return word;
    }
    match hint {
        Hint::Dot => without_separators(text)
            .filter(|text| {
                text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'))
            })
            .and_then(|text| finite(&text))
            .map_or(Resolved::Text, Resolved::Float),
        Hint::Number => number(text),
        Hint::Word | Hint::Text => Resolved::Text,
    }
}

/// A number without its underscores, which Go allows between digits only; `None` if there is one elsewhere.
fn without_separators(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains('_') {
        return Some(Cow::Borrowed(text));
    }
    let is_digit =
        |at: Option<usize>| at.and_then(|at| text.as_bytes().get(at)).is_some_and(u8::is_ascii_digit);
    let fits = text.match_indices('_').all(|(at, _)| is_digit(at.checked_sub(1)) && is_digit(Some(at + 1)));
    fits.then(|| Cow::Owned(text.replace('_', "")))
}

fn word(text: &str) -> Option<Resolved> {
    Some(match text {
        "" | "~" | "null" | "Null" | "NULL" => Resolved::Null,
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => {
            Resolved::Bool(true)
        }
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Resolved::Bool(false)
        }
        ".nan" | ".NaN" | ".NAN" => Resolved::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => Resolved::Float(f64::INFINITY),
        "-.inf" | "-.Inf" | "-.INF" => Resolved::Float(f64::NEG_INFINITY),
        _ => return None,
    })
}

fn number(text: &str) -> Resolved {
    let plain: Cow<'_, str> =
        if text.contains('_') { Cow::Owned(text.replace('_', "")) } else { Cow::Borrowed(text) };
    if let Some(value) = go_integer(&plain) {
        return i64::try_from(value)
            .map(Resolved::Signed)
            .or_else(|_| u64::try_from(value).map(Resolved::Unsigned))
            // Below the smallest i64 only a decimal can be said, as a float.
            .unwrap_or_else(|_| decimal(&plain));
    }
    if let Some(value) = signed_binary(&plain) {
        return Resolved::Signed(value);
    }
    decimal(&plain)
}

/// `0b-1` and `0b+1`, which go-yaml takes.
fn signed_binary(plain: &str) -> Option<i64> {
    let digits = plain.strip_prefix("0b").filter(|digits| digits.starts_with(['-', '+']))?;
    i64::from_str_radix(digits, 2).ok()
}

/// Decimals, with fraction and exponent; anything else is a string.
fn decimal(plain: &str) -> Resolved {
    if is_decimal(plain) { finite(plain).map_or(Resolved::Text, Resolved::Float) } else { Resolved::Text }
}

/// Go's `ParseInt(text, 0, 64)` or `ParseUint`: prefixes `0x`, `0b`, `0o`, and a leading zero means octal.
fn go_integer(text: &str) -> Option<i128> {
    let (negative, signed, digits) = match text.as_bytes().first()? {
        b'-' => (true, true, text.get(1..)?),
        b'+' => (false, true, text.get(1..)?),
        _ => (false, false, text),
    };
    let lower = |at: usize| digits.as_bytes().get(at).map(u8::to_ascii_lowercase);
    let (base, digits) = match (lower(0)?, lower(1)) {
        (b'0', Some(b'x')) if digits.len() > 2 => (16, digits.get(2..)?),
        (b'0', Some(b'b')) if digits.len() > 2 => (2, digits.get(2..)?),
        (b'0', Some(b'o')) if digits.len() > 2 => (8, digits.get(2..)?),
        (b'0', Some(_)) => (8, digits.get(1..)?),
        _ => (10, digits),
    };
    // The standard parser would take a second sign.
    if !digits.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return None;
    }
    let value = i128::from(u64::from_str_radix(digits, base).ok()?);
    let value = if negative { -value } else { value };
    // `+` and a value beyond i64 is refused by both of Go's parsers.
    (!signed || i64::try_from(value).is_ok()).then_some(value)
}

/// `^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$`
fn is_decimal(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let mantissa = match mantissa.split_once('.') {
        Some(("", fraction)) => digits(fraction),
        Some((whole, fraction)) => digits(whole) && (fraction.is_empty() || digits(fraction)),
        None => digits(mantissa),
    };
    mantissa && exponent.is_none_or(|exponent| digits(exponent.strip_prefix(['-', '+']).unwrap_or(exponent)))
}

/// Go's `ParseFloat` fails where the result would be infinite.
fn finite(text: &str) -> Option<f64> {
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

/// Go's `FormatFloat(value, 'g', -1, 32)`: float keys lose half their digits on the way, as they do in
/// kubectl.
fn float_key(value: f64) -> String {
    if value.is_nan() {
        return ".nan".to_owned();
    }
    #[expect(clippy::cast_possible_truncation, reason = "this is what is to be imitated")]
    let short = value as f32;
    if short.is_infinite() {
        return if short > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let (digits, exponent) = shortest(short.abs());
    let minus = if short.is_sign_negative() { "-" } else { "" };
    let split = |at: usize| (digits.get(..at).unwrap_or(&digits), digits.get(at..).unwrap_or_default());
    if (-4..6).contains(&exponent) {
        let Ok(before) = usize::try_from(exponent + 1) else {
            return format!("{minus}0.{:0>1$}", digits, digits.len() + exponent.unsigned_abs() as usize - 1);
        };
        return match split(before) {
            (whole, "") => format!("{minus}{whole:0<before$}"),
            ("", rest) => format!("{minus}0.{rest}"),
            (whole, rest) => format!("{minus}{whole}.{rest}"),
        };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    let (first, rest) = split(1);
    let point = if rest.is_empty() { "" } else { "." };
    format!("{minus}{first}{point}{rest}e{sign}{:02}", exponent.abs())
}

/// The fewest digits that mean this number and no other, and the power of ten of the first. Of two that are
/// as near, the even one counts for Go, the upper one for Rust.
fn shortest(value: f32) -> (String, i32) {
    let read = |text: &str| -> Option<(String, i32)> {
        let (mantissa, exponent) = text.split_once('e')?;
        Some((mantissa.replace('.', ""), exponent.parse().ok()?))
    };
    let (digits, exponent) = read(&format!("{value:e}")).unwrap_or_default();
    let lower = digits.strip_suffix(['1', '3', '5', '7', '9']).and_then(|head| {
        let last = digits.get(head.len()..)?.parse::<u8>().ok()?;
        Some(format!("{head}{}", last - 1))
    });
    let is_halfway = |lower: &str| {
        // No number of 32 bits has more digits.
        let exact = read(&format!("{value:.112e}"));
        let behind = exact
            .filter(|(_, power)| *power == exponent)
            .and_then(|(exact, _)| Some(exact.strip_prefix(lower)?.trim_end_matches('0') == "5"));
        let power = i64::from(exponent) - i64::try_from(lower.len()).unwrap_or(0) + 1;
        behind == Some(true) && format!("{lower}e{power}").parse() == Ok(value)
    };
    match lower.filter(|lower| is_halfway(lower)) {
        Some(lower) => (lower, exponent),
        None => (digits, exponent),
    }
}

/// Standard base64 with padding; line breaks are skipped, as Go does, and so is what the last symbol has too much.
fn base64(text: &str) -> Option<Vec<u8>> {
    const LAX: GeneralPurposeConfig = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
    const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LAX);
    let symbols: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    STANDARD.decode(symbols).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn plain(text: &str, json: &str) {
        let value = value(text, Style::Plain, None).unwrap();
        assert_eq!(value.to_json(), json, "{text}");
    }

    #[test]
    fn words_are_those_of_yaml_1_1() {
        for text in ["y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"] {
            plain(text, "true");
        }
        for text in ["n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"] {
            plain(text, "false");
        }
        for text in ["", "~", "null", "Null", "NULL"] {
            plain(text, "null");
        }
        for text in ["yEs", "oN", "nULL", "tRUE", "yess", "none"] {
            plain(text, &format!("{text:?}"));
        }
    }

    #[test]
    fn integers_follow_go() {
        for (text, json) in [
            ("0", "0"),
            ("-0", "0"),
            ("0644", "420"),
            ("-0644", "-420"),
            ("0o644", "420"),
            ("0b101", "5"),
            ("-0b101", "-5"),
            ("1_000", "1000"),
            ("0x1F", "31"),
            ("0x_1F", "31"),
            ("08", "8"),
            ("+5", "5"),
            ("18446744073709551615", "18446744073709551615"),
            ("18446744073709551616", "18446744073709552000"),
            ("-9223372036854775808", "-9223372036854775808"),
            ("-9223372036854775809", "-9223372036854776000"),
            ("0x", "\"0x\""),
            ("0b102", "\"0b102\""),
            ("0xffffffffffffffffff", "\"0xffffffffffffffffff\""),
            ("+-5", "\"+-5\""),
            ("-", "\"-\""),
            ("12:30", "\"12:30\""),
            ("2020-01-01", "\"2020-01-01\""),
        ] {
            plain(text, json);
        }
    }

    #[test]
    fn floats_follow_go() {
        for (text, json) in [
            ("1.0", "1"),
            ("-0.0", "0"),
            ("1_0.5", "10.5"),
            ("1e400", "\"1e400\""),
            ("1e3", "1000"),
            (".5", "0.5"),
            ("+.5", "0.5"),
            (".5.5", "\".5.5\""),
            (".5_0", "0.5"),
            (".5e1_0", "5000000000"),
            ("._5", "\"._5\""),
            (".5_", "\".5_\""),
            (".5__0", "\".5__0\""),
            ("0b-1", "-1"),
            ("12.", "12"),
            ("1.e1", "10"),
            ("1e", "\"1e\""),
            ("0.1", "0.1"),
            ("9007199254740993.0", "9007199254740992"),
        ] {
            plain(text, json);
        }
        let value = |text| super::value(text, Style::Plain, None);
        assert_eq!(value(".nan"), Err(BadScalar::NotFinite(".nan".to_owned())));
        assert_eq!(value("-.INF"), Err(BadScalar::NotFinite("-.INF".to_owned())));
    }

    #[test]
    fn keys_become_strings() {
        let key = |text| super::key(text, Style::Plain, None).unwrap().map(|key| key.text.into_owned());
        for (text, expected) in [
            ("y", "true"),
            ("off", "false"),
            ("0644", "420"),
            ("1.5", "1.5"),
            ("1e6", "1e+06"),
            ("100000.0", "100000"),
            ("0.00001", "1e-05"),
            ("1.00000000001", "1"),
            ("1991010.25", "1.9910102e+06"),
            ("1991010.75", "1.9910108e+06"),
            ("200000.125", "200000.12"),
            ("200000.375", "200000.38"),
            ("0.0001", "0.0001"),
            ("0.05", "0.05"),
            ("-0.0", "-0"),
            ("-12.5", "-12.5"),
            ("5.0e-324", "0"),
            ("1.0e-45", "1e-45"),
            ("name", "name"),
            (".inf", ".inf"),
        ] {
            assert_eq!(key(text).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(key("~"), None);
        let quoted = super::key("~", Style::Double, None).unwrap();
        assert_eq!(quoted.map(|key| key.text).as_deref(), Some("~"));
        assert!(super::key("18446744073709551615", Style::Plain, None).is_err());
    }

    #[test]
    fn tags_of_the_core_schema_force_a_type_and_others_are_ignored() {
        let tagged = |text: &str, suffix: &str| {
            let tag = format!("tag:yaml.org,2002:{suffix}");
            value(text, Style::Plain, Some(&tag)).map(|value| value.to_json())
        };
        assert_eq!(tagged("12", "str").unwrap(), "\"12\"");
        assert_eq!(tagged("aGVsbG8=", "binary").unwrap(), "\"hello\"");
        assert_eq!(tagged("3", "float").unwrap(), "3");
        assert_eq!(tagged("yes", "bool").unwrap(), "true");
        assert!(tagged("x", "int").is_err());
        assert!(tagged("a", "binary").is_err());
        assert!(tagged("18446744073709551615", "float").is_err());
        assert_eq!(tagged("4oCA", "binary").unwrap(), "\"\u{2000}\"");
        assert_eq!(tagged("4oA=", "binary").unwrap(), "\"\u{fffd}\u{fffd}\"");
        assert_eq!(tagged("2001-2-3", "timestamp").unwrap(), "\"2001-2-3\"");
        assert!(tagged("2001-2-30", "timestamp").is_err());
        assert!(tagged("2001-02-03T04:05:06", "timestamp").is_err());
        assert_eq!(value("12", Style::Plain, Some("!foo")), Ok(Value::from("12")));
        assert_eq!(value("12", Style::Plain, Some("!")), Ok(Value::from("12")));
    }

    #[test]
    fn timestamps_are_days_and_times() {
        let yes = [
            "2020-01-02",
            "2020-1-2",
            "2020-02-29",
            "2020-01-02T03:04:05Z",
            "2020-01-02t3:4:5.5Z",
            "2020-01-02T03:04:05,123456789123+24:60",
            "2020-01-02 03:04:05",
            "2020-1-2 3:4:5.1",
        ];
        let no = [
            "",
            "2020",
            "2020-01",
            "2019-02-29",
            "2020-13-02",
            "2020-01-32",
            "02020-01-02",
            "2020-01-02T03:04:05",
            "2020-01-02T03:04Z",
            "2020-01-02T24:04:05Z",
            "2020-01-02T03:04:05.Z",
            "2020-01-02T03:04:05+2:00",
            "2020-01-02T03:04:05+25:00",
            "2020-01-02 03:04:05Z",
            "2020-01-02  03:04:05",
            "2020-01-02x",
            "2020-é",
            "é020-01-02",
        ];
        assert!(yes.iter().all(|text| super::is_timestamp(text)));
        assert_eq!(no.iter().find(|text| super::is_timestamp(text)), None);
    }

    #[test]
    fn floats_print_as_rego_prints_them() {
        assert_eq!(float(1.5).unwrap().to_string(), "1.5");
        assert_eq!(float(0.1).unwrap().to_string(), "0.1");
        assert_eq!(float(3.0).unwrap(), Value::from(3_u64));
        assert_eq!(float(-2.0).unwrap(), Value::from(-2_i64));
    }
}
