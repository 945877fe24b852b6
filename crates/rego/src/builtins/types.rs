//! Types of values, and `trace`, which is true.

use portcullis_value::{Value, View};

use super::operand::value;
use super::{Context, Outcome, operand};

table![
    "is_array" => is_array,
    "is_boolean" => is_boolean,
    "is_null" => is_null,
    "is_number" => is_number,
    "is_object" => is_object,
    "is_set" => is_set,
    "is_string" => is_string,
    "trace" => trace,
    "type_name" => type_name,
];

fn type_name(_: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    Ok(Value::from(value(args, 1)?.ty().name()))
}

/// Nobody reads the note.
fn trace(_: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    operand::text(args, 1)?;
    Ok(Value::TRUE)
}

fn is_array(_: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    Ok(Value::from(matches!(value(args, 1)?.view(), View::Array(_))))
}

fn is_boolean(_: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    Ok(Value::from(matches!(value(args, 1)?.view(), View::Bool(_))))
}

fn is_null(_: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    Ok(Value::from(matches!(value(args, 1)?.view(), View::Null)))
}

fn is_number(_: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    Ok(Value::from(matches!(value(args, 1)?.view(), View::Number(_))))
}

fn is_object(_: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    Ok(Value::from(matches!(value(args, 1)?.view(), View::Object(_))))
}

fn is_set(_: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    Ok(Value::from(matches!(value(args, 1)?.view(), View::Set(_))))
}

fn is_string(_: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    Ok(Value::from(matches!(value(args, 1)?.view(), View::String(_))))
}
