//! What a plain YAML scalar means: the rules of `sigs.k8s.io/yaml` on go-yaml v2, because that is what turns
//! manifests into the JSON a cluster sees. YAML 1.1 words, Go's integer prefixes, no base 60, no dates.
//!
//! `text + style + tag -> Value`; mapping keys go through the same rules and become strings again.

use std::borrow::Cow;

use granit_parser::{ScalarStyle, Tag};
use regorus::Value;

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
pub fn value(text: &str, style: ScalarStyle, tag: Option<&Tag>) -> Result<Value, BadScalar> {
    match typed(text, style, tag)? {
        (Resolved::Text, text) => Ok(Value::String(text.as_ref().into())),
        (Resolved::Null, _) => Ok(Value::Null),
        (Resolved::Bool(value), _) => Ok(Value::Bool(value)),
        (Resolved::Signed(value), _) => Ok(integer(value)),
        (Resolved::Unsigned(value), _) => Ok(Value::from(value)),
        (Resolved::Float(value), text) => float(value).ok_or_else(|| BadScalar::NotFinite(text.into_owned())),
    }
}

/// A mapping key as the string it becomes in JSON; `None` for a null key, which cannot become one.
pub fn key<'a>(
    text: &'a str,
    style: ScalarStyle,
    tag: Option<&Tag>,
) -> Result<Option<Cow<'a, str>>, BadScalar> {
    if tag.is_none() && (style != ScalarStyle::Plain || hint(text) == Hint::Text) {
        return Ok(Some(Cow::Borrowed(text)));
    }
    Ok(match typed(text, style, tag)? {
        (Resolved::Text, text) => Some(text),
        (Resolved::Null, _) => None,
        (Resolved::Bool(value), _) => Some(Cow::Borrowed(if value { "true" } else { "false" })),
        (Resolved::Signed(value), _) => Some(Cow::Owned(value.to_string())),
        (Resolved::Unsigned(value), _) => Some(Cow::Owned(value.to_string())),
        (Resolved::Float(value), _) => Some(Cow::Owned(float_key(value))),
    })
}

/// The key that a value stands for, when an alias is used as a key; `None` for null, lists and objects.
pub fn key_of_value(value: &Value) -> Option<Cow<'_, str>> {
    match value {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Bool(value) => Some(Cow::Borrowed(if *value { "true" } else { "false" })),
        Value::Number(number) => Some(Cow::Owned(number.format_decimal())),
        _ => None,
    }
}

/// A finite float as JSON prints it and Go reads it back: integral values are integers up to 2^53, where every
/// one of them is exact. `None` for NaN and the infinities.
pub fn float(value: f64) -> Option<Value> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if !value.is_finite() {
        return None;
    }
    if value.fract() == 0.0 && value.abs() <= EXACT {
        #[expect(clippy::cast_possible_truncation, reason = "integral and within ±2^53")]
        return Some(integer(value as i64));
    }
    Some(Value::from(value))
}

/// An integer in the form the engine itself gives it: non-negative ones are unsigned.
pub fn integer(value: i64) -> Value {
    u64::try_from(value).map_or_else(|_| Value::from(value), Value::from)
}

/// Resolves by style and tag. The text comes back because `!!binary` changes it.
fn typed<'a>(
    text: &'a str,
    style: ScalarStyle,
    tag: Option<&Tag>,
) -> Result<(Resolved, Cow<'a, str>), BadScalar> {
    let borrowed = Cow::Borrowed(text);
    let Some(tag) = tag else {
        let plain = style == ScalarStyle::Plain;
        return Ok((if plain { resolve(text) } else { Resolved::Text }, borrowed));
    };
    let Some(name) = tag.suffix_in_namespace("tag:yaml.org,2002:") else {
        return Ok((Resolved::Text, borrowed));
    };
    let resolved = resolve(text);
    let resolved = match (name.as_ref(), resolved) {
        ("binary", _) => {
            let bytes = base64(text)
                .ok_or_else(|| BadScalar::WrongTag("the value of `!!binary` is not base64".to_owned()))?;
            let text = String::from_utf8_lossy(&bytes).into_owned();
            return Ok((Resolved::Text, Cow::Owned(text)));
        }
        #[expect(clippy::cast_precision_loss, reason = "`!!float 3` asks for a float")]
        ("float", Resolved::Signed(value)) => Resolved::Float(value as f64),
        #[expect(clippy::cast_precision_loss, reason = "`!!float 3` asks for a float")]
        ("float", Resolved::Unsigned(value)) => Resolved::Float(value as f64),
        ("null", value @ Resolved::Null)
        | ("bool", value @ Resolved::Bool(_))
        | ("int", value @ (Resolved::Signed(_) | Resolved::Unsigned(_)))
        | ("float", value @ Resolved::Float(_)) => value,
        ("null" | "bool" | "int" | "float", _) => {
            let text = quote(text);
            return Err(BadScalar::WrongTag(format!("`{text}` is not a value of the type `!!{name}`")));
        }
        _ => Resolved::Text,
    };
    Ok((resolved, borrowed))
}

/// What the first byte of a plain scalar tells about it.
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
        Hint::Dot => text
            .bytes()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'))
            .then(|| finite(text))
            .flatten()
            .map_or(Resolved::Text, Resolved::Float),
        Hint::Number => number(text),
        Hint::Word | Hint::Text => Resolved::Text,
    }
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
    decimal(&plain)
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

/// Go's `FormatFloat(value, 'g', -1, 32)`: float keys lose half their digits on the way, as they do in kubectl.
fn float_key(value: f64) -> String {
    if value.is_nan() {
        return ".nan".to_owned();
    }
    #[expect(clippy::cast_possible_truncation, reason = "this is what is to be imitated")]
    let short = value as f32;
    if short.is_infinite() {
        return if short > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let scientific = format!("{short:e}");
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return format!("{short}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

/// Standard base64 with padding; line breaks are skipped, as Go does.
fn base64(text: &str) -> Option<Vec<u8>> {
    let symbols: Vec<u8> = text.bytes().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect();
    if !symbols.len().is_multiple_of(4) {
        return None;
    }
    let data = symbols.iter().rposition(|byte| *byte != b'=').map_or(0, |last| last + 1);
    if symbols.len() - data > 2 {
        return None;
    }
    let mut bytes = Vec::with_capacity(data);
    let mut bits = 0_u32;
    let mut held = 0_u32;
    for symbol in symbols.into_iter().take(data) {
        let six = match symbol {
            b'A'..=b'Z' => symbol - b'A',
            b'a'..=b'z' => symbol - b'a' + 26,
            b'0'..=b'9' => symbol - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(six);
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push(u8::try_from((bits >> held) & 0xff).ok()?);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn plain(text: &str, json: &str) {
        let value = value(text, ScalarStyle::Plain, None).unwrap();
        assert_eq!(value.to_json_str().unwrap(), json, "{text}");
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
            ("18446744073709551616", "1.8446744073709552e+19"),
            ("-9223372036854775808", "-9223372036854775808"),
            ("-9223372036854775809", "-9.223372036854776e+18"),
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
            (".5_0", "\".5_0\""),
            ("12.", "12"),
            ("1.e1", "10"),
            ("1e", "\"1e\""),
            ("0.1", "0.1"),
            ("9007199254740993.0", "9007199254740992"),
        ] {
            plain(text, json);
        }
        let value = |text| super::value(text, ScalarStyle::Plain, None);
        assert_eq!(value(".nan"), Err(BadScalar::NotFinite(".nan".to_owned())));
        assert_eq!(value("-.INF"), Err(BadScalar::NotFinite("-.INF".to_owned())));
    }

    #[test]
    fn keys_become_strings() {
        let key = |text| super::key(text, ScalarStyle::Plain, None).unwrap().map(Cow::into_owned);
        for (text, expected) in [
            ("y", "true"),
            ("off", "false"),
            ("0644", "420"),
            ("1.5", "1.5"),
            ("1e6", "1e+06"),
            ("100000.0", "100000"),
            ("0.00001", "1e-05"),
            ("1.00000000001", "1"),
            ("name", "name"),
            (".inf", ".inf"),
        ] {
            assert_eq!(key(text).as_deref(), Some(expected), "{text}");
        }
        assert_eq!(key("~"), None);
        let quoted = super::key("~", ScalarStyle::DoubleQuoted, None).unwrap();
        assert_eq!(quoted.as_deref(), Some("~"));
    }

    #[test]
    fn tags_of_the_core_schema_force_a_type_and_others_are_ignored() {
        let tagged = |text: &str, suffix: &str| {
            let tag = Tag::new("tag:yaml.org,2002:".to_owned(), suffix.to_owned());
            value(text, ScalarStyle::Plain, Some(&tag)).map(|value| value.to_json_str().unwrap())
        };
        assert_eq!(tagged("12", "str").unwrap(), "\"12\"");
        assert_eq!(tagged("aGVsbG8=", "binary").unwrap(), "\"hello\"");
        assert_eq!(tagged("3", "float").unwrap(), "3");
        assert_eq!(tagged("yes", "bool").unwrap(), "true");
        assert!(tagged("x", "int").is_err());
        assert!(tagged("a", "binary").is_err());
        let tag = Tag::new("!".to_owned(), "foo".to_owned());
        assert_eq!(value("12", ScalarStyle::Plain, Some(&tag)), Ok(Value::from("12")));
    }

    #[test]
    fn floats_print_as_rego_prints_them() {
        assert_eq!(float(1.5).unwrap().to_string(), "1.5");
        assert_eq!(float(0.1).unwrap().to_string(), "0.1");
        assert_eq!(float(3.0).unwrap(), Value::from(3_u64));
        assert_eq!(float(-2.0).unwrap(), Value::from(-2_i64));
    }
}
