//! Numbers: integers of either size, and floats, whose digits Rust computes exactly as Go does.

use portcullis_value::{Output, TooLong, is_printable};

use super::text::quoted_char;
use super::{Big, Spec};

/// More digits than any `f64` has after the point; Go goes on with zeros, Rust would refuse.
const MAX_DIGITS: usize = 1100;

/// `%d` and its like of an `int`.
pub(super) fn int(out: &mut Output, number: i64, verb: char, spec: &Spec) -> Result<(), TooLong> {
    let magnitude = number.unsigned_abs();
    let c = || u32::try_from(number).ok().and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER);
    let digits = match verb {
        'c' => return spec.pad(out, c().encode_utf8(&mut [0; 4])),
        'q' => return quoted_char(out, c(), spec),
        'U' => return unicode(out, number, spec),
        'b' => format!("{magnitude:b}"),
        'o' | 'O' => format!("{magnitude:o}"),
        'x' => format!("{magnitude:x}"),
        'X' => format!("{magnitude:X}"),
        _ => magnitude.to_string(),
    };
    if spec.precision == Some(0) && number == 0 {
        return spec.pad_with_spaces(out, "");
    }
    let sign = sign(number < 0, spec);
    let length = match (spec.precision, spec.width) {
        (Some(precision), _) => precision,
        (None, Some(width)) if spec.pads_zeros() => width.saturating_sub(sign.len()),
        (None, _) => 0,
    };
    out.make_room(length)?;
    let zeros = "0".repeat(length.saturating_sub(digits.len()));
    let prefix = match verb {
        'O' => "0o",
        _ if !spec.sharp => "",
        'b' => "0b",
        'o' if zeros.is_empty() && !digits.starts_with('0') => "0",
        'x' => "0x",
        'X' => "0X",
        _ => "",
    };
    // Both prefixes are written: `%#O` is rare, but so it is.
    let inner = if verb == 'O' && spec.sharp && zeros.is_empty() && number != 0 { "0" } else { "" };
    spec.pad_with_spaces(out, &format!("{sign}{prefix}{inner}{zeros}{digits}"))
}

/// `%U`: `U+0041`, with `#` followed by the character.
fn unicode(out: &mut Output, number: i64, spec: &Spec) -> Result<(), TooLong> {
    // A negative number is taken as unsigned.
    let code = u64::from_ne_bytes(number.to_ne_bytes());
    let digits = format!("{code:04X}");
    let length = spec.precision.unwrap_or(0);
    out.make_room(length)?;
    let zeros = "0".repeat(length.saturating_sub(digits.len()));
    let shown = u32::try_from(code).ok().and_then(char::from_u32).filter(|c| spec.sharp && is_printable(*c));
    let shown = shown.map(|c| format!(" '{c}'")).unwrap_or_default();
    spec.pad_with_spaces(out, &format!("U+{zeros}{digits}{shown}"))
}

/// `%d` and its like of a `*big.Int`, which pads in its own way.
pub(super) fn big(out: &mut Output, number: &Big, verb: char, spec: &Spec) -> Result<(), TooLong> {
    let spec = Spec { plus: spec.plus || spec.plus_v, sharp: spec.sharp || spec.sharp_v, ..*spec };
    let upper;
    let digits = match verb {
        'b' => &number.binary,
        'o' | 'O' => &number.octal,
        'x' => &number.hexadecimal,
        'X' => {
            upper = number.hexadecimal.to_ascii_uppercase();
            &upper
        }
        _ => &number.decimal,
    };
    let sign = sign(number.negative, &spec);
    let prefix = match verb {
        'O' => "0o",
        _ if !spec.sharp => "",
        'b' => "0b",
        'o' => "0",
        'x' => "0x",
        'X' => "0X",
        _ => "",
    };
    let length = match (spec.precision, spec.width) {
        (Some(precision), _) => precision,
        (None, Some(width)) if spec.pads_zeros() => width.saturating_sub(sign.len() + prefix.len()),
        (None, _) => 0,
    };
    out.make_room(length)?;
    let zeros = "0".repeat(length.saturating_sub(digits.len()));
    spec.pad_with_spaces(out, &format!("{sign}{prefix}{zeros}{digits}"))
}

fn sign(negative: bool, spec: &Spec) -> &'static str {
    match (negative, spec.plus, spec.space) {
        (true, _, _) => "-",
        (_, true, _) => "+",
        (_, _, true) => " ",
        _ => "",
    }
}

/// `%v` and its like of a `float64`.
pub(super) fn float(out: &mut Output, number: f64, verb: char, spec: &Spec) -> Result<(), TooLong> {
    let sign = sign(number.is_sign_negative() && !number.is_nan(), spec);
    if number.is_nan() {
        return spec.pad_with_spaces(out, &format!("{sign}NaN"));
    }
    if number.is_infinite() {
        // An infinity always has its sign.
        return spec.pad_with_spaces(out, &format!("{}Inf", if sign.is_empty() { "+" } else { sign }));
    }
    out.make_room(spec.precision.unwrap_or(0))?;
    let magnitude = number.abs();
    let mut text = match verb {
        'b' => binary(magnitude),
        'e' | 'E' => exponential(magnitude, spec.precision.unwrap_or(6)),
        'f' | 'F' => fixed(magnitude, spec.precision.unwrap_or(6)),
        'x' | 'X' => hexadecimal(magnitude, spec.precision),
        _ => general(magnitude, spec.precision),
    };
    if spec.sharp && verb != 'b' {
        text = with_point(&text, verb, spec.precision);
    }
    if matches!(verb, 'E' | 'G' | 'X') {
        text.make_ascii_uppercase();
    }
    let missing = spec.width.unwrap_or(0).saturating_sub(sign.len() + text.len());
    if spec.pads_zeros() && missing > 0 {
        out.push_str(sign)?;
        out.repeat('0', missing)?;
        return out.push_str(&text);
    }
    spec.pad(out, &format!("{sign}{text}"))
}

/// `1.500000`.
fn fixed(number: f64, precision: usize) -> String {
    let more = precision.saturating_sub(MAX_DIGITS);
    format!("{number:.*}", precision.min(MAX_DIGITS)) + &"0".repeat(more)
}

/// `1.500000e+00`.
fn exponential(number: f64, precision: usize) -> String {
    let more = precision.saturating_sub(MAX_DIGITS);
    let text = format!("{number:.*e}", precision.min(MAX_DIGITS));
    let (mantissa, exponent) = parts(&text);
    format!("{mantissa}{}e{}", "0".repeat(more), signed_exponent(exponent))
}

/// `%g`: whichever is shorter, without trailing zeros; without a precision as many digits as are needed.
fn general(number: f64, precision: Option<usize>) -> String {
    let text = match precision {
        Some(precision) => format!("{number:.*e}", precision.clamp(1, MAX_DIGITS) - 1),
        None => format!("{number:e}"),
    };
    let (mantissa, exponent) = parts(&text);
    let digits: String = mantissa.chars().filter(char::is_ascii_digit).collect();
    let digits = digits.trim_end_matches('0');
    let count = i32::try_from(digits.len()).unwrap_or(i32::MAX);
    let most = match precision {
        None => 6,
        Some(precision) => {
            let precision = i32::try_from(precision.max(1)).unwrap_or(i32::MAX);
            if precision > count && count > exponent { count.max(1) } else { precision }
        }
    };
    if number != 0.0 && (exponent < -4 || exponent >= most) {
        let (first, rest) = digits.split_at_checked(1).unwrap_or((digits, ""));
        let point = if rest.is_empty() { "" } else { "." };
        return format!("{first}{point}{rest}e{}", signed_exponent(exponent));
    }
    // Rounded already: the digits that are left are all there are.
    let after_point = usize::try_from(count - 1 - exponent).unwrap_or(0);
    let rounded: f64 = text.parse().unwrap_or(number);
    if number == 0.0 { "0".to_owned() } else { format!("{rounded:.after_point$}") }
}

/// Mantissa and exponent of Rust's exponential form.
fn parts(text: &str) -> (&str, i32) {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    (mantissa, exponent.parse().unwrap_or(0))
}

/// A sign and at least two digits.
fn signed_exponent(exponent: i32) -> String {
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{sign}{:02}", exponent.unsigned_abs())
}

/// The bits of a float: number = mantissa * 2^exponent.
fn mantissa_and_exponent(number: f64) -> (u64, i32) {
    let bits = number.to_bits();
    let mantissa = bits & ((1 << 52) - 1);
    let exponent = i32::try_from((bits >> 52) & 0x7ff).unwrap_or(0);
    if exponent == 0 { (mantissa, -1074) } else { (mantissa | (1 << 52), exponent - 1075) }
}

/// `4503599627370496p-52`.
fn binary(number: f64) -> String {
    let (mantissa, exponent) = mantissa_and_exponent(number);
    format!("{mantissa}p{exponent:+}")
}

/// `0x1.8p+00`.
fn hexadecimal(number: f64, precision: Option<usize>) -> String {
    let (mantissa, mut exponent) = mantissa_and_exponent(number);
    if mantissa == 0 {
        exponent = 0;
    } else {
        exponent += 52;
    }
    // The first digit is bit 60, and is 1 unless the number is 0.
    let mut mantissa = mantissa << 8;
    while mantissa != 0 && mantissa >> 60 == 0 {
        mantissa <<= 1;
        exponent -= 1;
    }
    if let Some(precision) = precision.filter(|precision| *precision < 15) {
        let dropped = 60 - 4 * precision;
        let unit = 1_u64 << dropped;
        let rest = mantissa & (unit - 1);
        mantissa -= rest;
        let is_odd = mantissa & unit != 0;
        if rest > unit / 2 || (rest == unit / 2 && is_odd) {
            mantissa += unit;
        }
        if mantissa >> 61 != 0 {
            mantissa >>= 1;
            exponent += 1;
        }
    }
    let fraction = format!("{:015x}", mantissa & ((1 << 60) - 1));
    let fraction = match precision {
        None => fraction.trim_end_matches('0').to_owned(),
        Some(precision) => {
            let kept: String = fraction.chars().take(precision).collect();
            let more = precision.saturating_sub(kept.len());
            kept + &"0".repeat(more)
        }
    };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("0x{}{point}{fraction}p{}", mantissa >> 60, signed_exponent(exponent))
}

/// `#`: always with a point, and for `%g` with all digits of the precision.
fn with_point(text: &str, verb: char, precision: Option<usize>) -> String {
    let is_hexadecimal = matches!(verb, 'x' | 'X');
    let tail_at = text.find(if is_hexadecimal { 'p' } else { 'e' }).unwrap_or(text.len());
    let (number, tail) = text.split_at_checked(tail_at).unwrap_or((text, ""));
    let mut digits = if matches!(verb, 'v' | 'g' | 'G' | 'x') { precision.unwrap_or(6) } else { 0 };
    let significant = number.chars().filter(|c| *c != '.').skip_while(|c| *c == '0').count();
    digits = digits.saturating_sub(significant);
    let point = if number.contains('.') { "" } else { "." };
    if number == "0" {
        digits = digits.saturating_sub(1);
    }
    format!("{number}{point}{}{tail}", "0".repeat(digits))
}
