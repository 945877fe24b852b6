//! Values as OPA writes them in a text, and in its order: `{1, "a", [true], {"k": null}, set()}`.

use std::cmp::Ordering;

use super::go_fmt::{Output, TooLong, quote};
use crate::value::Value;

/// Writes a value. Keys and elements are sorted.
pub(super) fn write(out: &mut Output, value: &Value) -> Result<(), TooLong> {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.as_big().is_none() => out.push_str(&json_float(float)),
            _ => out.push_str(&number.format_decimal()),
        },
        Value::String(text) => out.push_str(&quote(text)),
        Value::Array(items) => {
            out.push('[')?;
            write_list(out, items.iter())?;
            out.push(']')
        }
        Value::Set(set) if set.is_empty() => out.push_str("set()"),
        Value::Set(set) => {
            let mut items: Vec<_> = set.iter_sorted().collect();
            items.sort_by(|a, b| compare(a, b));
            out.push('{')?;
            write_list(out, items.into_iter())?;
            out.push('}')
        }
        Value::Object(object) => {
            let mut entries: Vec<_> = object.iter_sorted().collect();
            entries.sort_by(|a, b| compare(a.0, b.0));
            out.push('{')?;
            for (position, (key, value)) in entries.into_iter().enumerate() {
                if position > 0 {
                    out.push_str(", ")?;
                }
                write(out, key)?;
                out.push_str(": ")?;
                write(out, value)?;
            }
            out.push('}')
        }
        Value::Undefined => out.push_str("<undefined>"),
    }
}

fn write_list<'v>(out: &mut Output, items: impl Iterator<Item = &'v Value>) -> Result<(), TooLong> {
    for (position, item) in items.enumerate() {
        if position > 0 {
            out.push_str(", ")?;
        }
        write(out, item)?;
    }
    Ok(())
}

/// A float as JSON writers of Go have it: with an exponent where it is very large or very small.
fn json_float(number: f64) -> String {
    if number != 0.0 && !(1e-6..1e21).contains(&number.abs()) {
        let text = format!("{number:e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        let sign = if exponent.starts_with('-') { "" } else { "+" };
        return format!("{mantissa}e{sign}{exponent}");
    }
    number.to_string()
}

/// OPA's order: null, booleans, numbers, strings, arrays, objects, sets.
pub(super) fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Number(a), Value::Number(b)) => a.cmp(b),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Array(a), Value::Array(b)) => compare_lists(a.iter(), b.iter()),
        (Value::Object(a), Value::Object(b)) => {
            let mut a: Vec<_> = a.iter_sorted().collect();
            let mut b: Vec<_> = b.iter_sorted().collect();
            a.sort_by(|a, b| compare(a.0, b.0));
            b.sort_by(|a, b| compare(a.0, b.0));
            let flat = |entries: Vec<(_, _)>| entries.into_iter().flat_map(|(key, value)| [key, value]);
            compare_lists(flat(a), flat(b))
        }
        (Value::Set(a), Value::Set(b)) => {
            let mut a: Vec<_> = a.iter_sorted().collect();
            let mut b: Vec<_> = b.iter_sorted().collect();
            a.sort_by(|a, b| compare(a, b));
            b.sort_by(|a, b| compare(a, b));
            compare_lists(a.into_iter(), b.into_iter())
        }
        _ => rank(a).cmp(&rank(b)),
    }
}

fn compare_lists<'v>(a: impl Iterator<Item = &'v Value>, mut b: impl Iterator<Item = &'v Value>) -> Ordering {
    for a in a {
        let Some(b) = b.next() else { return Ordering::Greater };
        match compare(a, b) {
            Ordering::Equal => {}
            order => return order,
        }
    }
    if b.next().is_some() { Ordering::Less } else { Ordering::Equal }
}

fn rank(value: &Value) -> u8 {
    match value {
        Value::Null => 0,
        Value::Bool(_) => 1,
        Value::Number(_) => 2,
        Value::String(_) => 3,
        Value::Array(_) => 4,
        Value::Object(_) => 5,
        Value::Set(_) => 6,
        Value::Undefined => 7,
    }
}
