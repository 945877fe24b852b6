//! Numbers and texts as Go prints them.

pub(crate) use portcullis_value::quote;

/// A float as Go's `%g` prints it: as short as it may be.
pub(crate) fn shortest(value: f64) -> String {
    /// From this power of ten on it is written with an exponent.
    const MOST: i32 = 6;
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let text = format!("{value:e}");
    let (mantissa, power) = text.split_once('e').unwrap_or((&text, "0"));
    let power: i32 = power.parse().unwrap_or(0);
    if value != 0.0 && !(-4..MOST).contains(&power) {
        return with_exponent(mantissa, power);
    }
    value.to_string()
}

/// Mantissa and exponent of at least two digits.
pub(crate) fn with_exponent(mantissa: &str, power: i32) -> String {
    let sign = if power < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", power.unsigned_abs())
}

/// A float as `golang.org/x/text` prints `%f` in English: with groups of three digits.
pub(crate) fn english_fixed(value: f64, precision: usize) -> String {
    if let Some(text) = english_special(value, 0) {
        return text;
    }
    let text = format!("{value:.precision$}");
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(unsigned) => ("-", unsigned),
        None => ("", text.as_str()),
    };
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let mut out = String::with_capacity(text.len() + whole.len() / 3 + 1);
    out.push_str(sign);
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    if !fraction.is_empty() {
        out.push('.');
        out.push_str(fraction);
    }
    out
}

/// A float as `golang.org/x/text` prints `%e` in English: with a power of ten.
pub(crate) fn english_scientific(value: f64, precision: usize) -> String {
    if let Some(text) = english_special(value, 6) {
        return text;
    }
    let text = format!("{value:.precision$e}");
    let (mantissa, power) = text.split_once('e').unwrap_or((&text, "0"));
    let power: i32 = power.parse().unwrap_or(0);
    let mut out = format!("{mantissa}\u{d7}10");
    if power < 0 {
        out.push('\u{207b}');
    }
    for digit in format!("{:02}", power.unsigned_abs()).chars() {
        out.push(match digit {
            '1' => '\u{b9}',
            '2' => '\u{b2}',
            '3' => '\u{b3}',
            '4' => '\u{2074}',
            '5' => '\u{2075}',
            '6' => '\u{2076}',
            '7' => '\u{2077}',
            '8' => '\u{2078}',
            '9' => '\u{2079}',
            _ => '\u{2070}',
        });
    }
    out
}

/// What is no number, right in so many columns.
fn english_special(value: f64, width: usize) -> Option<String> {
    let text = if value.is_nan() {
        "NaN"
    } else if value == f64::INFINITY {
        "\u{221e}"
    } else if value == f64::NEG_INFINITY {
        "-\u{221e}"
    } else {
        return None;
    };
    Some(format!("{text:>width$}"))
}
