//! Values of one type as values of another. The `cast_…` are of v0.

use portcullis_value::{Number, Value, View};

use super::operand::{value, wrong_type};
use super::{Context, Outcome, collect, operand, undefined};

table![
    "cast_array" => cast_array,
    "cast_boolean" => cast_boolean,
    "cast_null" => cast_null,
    "cast_object" => cast_object,
    "cast_set" => cast_set,
    "cast_string" => cast_string,
    "to_number" => to_number,
];

fn to_number(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let value = value(args, 1)?;
    match value.view() {
        View::Null => Ok(Value::from(0)),
        View::Bool(value) => Ok(Value::from(i64::from(value))),
        View::Number(_) => Ok(value.clone()),
        View::String(written) => {
            context.budget.make_text(written.len())?;
            let word = written.trim_start_matches(['+', '-']).to_ascii_lowercase();
            if matches!(word.as_str(), "inf" | "infinity" | "nan") {
                return Err(wrong_type(1, value, &["valid number string"]));
            }
            let syntax = || {
                let shown: String = written.chars().take(60).collect();
                undefined(format!(
                    "strconv.ParseFloat: parsing {}: invalid syntax",
                    portcullis_value::quote(&shown)
                ))
            };
            let plain = go_float(written).ok_or_else(syntax)?;
            // Beyond a float it is none in OPA, and may be far too long.
            if !plain.parse::<f64>().is_ok_and(f64::is_finite) {
                return Err(undefined("strconv.ParseFloat: value out of range"));
            }
            Number::parse(context.budget, &plain)?.map(Value::from).ok_or_else(syntax)
        }
        other => Err(wrong_type(1, other, &["null", "boolean", "number", "string"])),
    }
}

/// A decimal number as Go reads it, written as JSON has it.
fn go_float(text: &str) -> Option<String> {
    let (sign, unsigned) = match text.strip_prefix('-') {
        Some(unsigned) => ("-", unsigned),
        None => ("", text.strip_prefix('+').unwrap_or(text)),
    };
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, format!("e{exponent}")),
        None => (unsigned, String::new()),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_digits(whole) || !is_digits(fraction) || whole.len() + fraction.len() == 0 {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    let point = if fraction.is_empty() { "" } else { "." };
    Some(format!("{sign}{whole}{point}{fraction}{exponent}"))
}

fn cast_array(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let value = value(args, 1)?;
    match value.view() {
        View::Array(_) => Ok(value.clone()),
        View::Set(_) => {
            let elements = operand::elements(context.budget, args, 1)?;
            collect::array(context.budget, elements.iter())
        }
        other => Err(wrong_type(1, other, &["array", "set"])),
    }
}

fn cast_set(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let value = value(args, 1)?;
    match value.view() {
        View::Set(_) => Ok(value.clone()),
        View::Array(items) => collect::set(context.budget, items.iter()),
        other => Err(wrong_type(1, other, &["array", "set"])),
    }
}

fn cast_boolean(_: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    keep(args, "boolean")
}

fn cast_null(_: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    keep(args, "null")
}

fn cast_object(_: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    keep(args, "object")
}

fn cast_string(_: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    keep(args, "string")
}

fn keep(args: &[&Value], wanted: &str) -> Outcome {
    let value = value(args, 1)?;
    if value.ty().name() == wanted { Ok(value.clone()) } else { Err(wrong_type(1, value, &[wanted])) }
}
