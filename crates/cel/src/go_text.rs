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
    /// Of the digits that there have to be at least, only so many bits are kept.
    const KEPT: usize = 0xff;
    /// No float has more digits after the point.
    const DIGITS: usize = 1074;
    if let Some(text) = english_special(value) {
        return text;
    }
    let text = format!("{:.1$}", value.abs(), precision.min(DIGITS));
    let sign = if value < 0.0 { "-" } else { "" };
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let needed = fraction.trim_end_matches('0').len().max(precision & KEPT);
    let fraction = fraction.get(..needed).unwrap_or(fraction);
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

/// A float as `golang.org/x/text` prints `%e` in English: six digits and a power of ten, right in so many columns.
pub(crate) fn english_scientific(value: f64, width: usize) -> String {
    const DIGITS: usize = 6;
    let text = english_special(value).unwrap_or_else(|| {
        let text = format!("{:.DIGITS$e}", value.abs());
        let (mantissa, power) = text.split_once('e').unwrap_or((&text, "0"));
        let power: i32 = power.parse().unwrap_or(0);
        let sign = if value < 0.0 { "-" } else { "" };
        let mut out = format!("{sign}{mantissa}\u{d7}10");
        if power < 0 {
            out.push('\u{207b}');
        }
        out.extend(format!("{:02}", power.unsigned_abs()).chars().map(superscript));
        out
    });
    // Not by the width of a format, which has at most 16 bits.
    let missing = width.saturating_sub(text.chars().count());
    format!("{}{text}", " ".repeat(missing))
}

const fn superscript(digit: char) -> char {
    match digit {
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
    }
}

/// What is no number.
fn english_special(value: f64) -> Option<String> {
    let text = if value.is_nan() {
        "NaN"
    } else if value == f64::INFINITY {
        "\u{221e}"
    } else if value == f64::NEG_INFINITY {
        "-\u{221e}"
    } else {
        return None;
    };
    Some(text.to_owned())
}
