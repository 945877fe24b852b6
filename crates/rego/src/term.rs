//! Values in OPA's order, and as OPA writes them in a text: `{1, "a", [true], {"k": null}, set()}`.
//!
//! A value may be shared by reference many times over, and so be far larger than the memory it takes: what
//! compares or writes whole values asks [`weigh`] first, or is bounded by the text it writes.

use std::cmp::Ordering;
use std::sync::Arc;

use regorus::Value;

use crate::builtins::go_fmt::{Output, TooLong, quote};
use crate::limits::{Budget, Exceeded, LimitKind};

/// Deepest nesting of values that a builtin takes or makes: all work on values is recursive.
pub(crate) const MOST_NESTING: usize = 500;

/// The type of a value, by its name in OPA.
pub(crate) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
        Value::Set(_) => "set",
        Value::Undefined => "undefined",
    }
}

/// A value as a text, within the budget.
///
/// # Errors
///
/// If the text is longer than the memory that is left, or the value too deep.
pub(crate) fn text(budget: &mut Budget<'_>, value: &Value) -> Result<String, Exceeded> {
    // Each part is written by itself, which costs more than its bytes.
    weigh(budget, value)?;
    let mut out = Output::within(budget);
    let written = write(&mut out, value);
    out.finish(budget, written)
}

/// Writes a value. Keys and elements are sorted.
pub(crate) fn write(out: &mut Output, value: &Value) -> Result<(), TooLong> {
    write_at(out, value, 0)
}

fn write_at(out: &mut Output, value: &Value, depth: usize) -> Result<(), TooLong> {
    if depth > MOST_NESTING {
        return Err(TooLong::Nesting);
    }
    let depth = depth + 1;
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(_) => write_number(out, value),
        Value::String(text) => {
            out.make_room(text.len())?;
            out.push_str(&quote(text))
        }
        Value::Array(items) => {
            out.push('[')?;
            write_list(out, items.iter(), depth)?;
            out.push(']')
        }
        Value::Set(set) if set.is_empty() => out.push_str("set()"),
        Value::Set(set) => {
            out.make_room(set.len())?;
            out.push('{')?;
            write_list(out, sorted(set.iter_sorted()).into_iter(), depth)?;
            out.push('}')
        }
        Value::Object(object) => {
            out.make_room(object.len())?;
            out.push('{')?;
            for (position, (key, value)) in sorted_entries(object.iter_sorted()).into_iter().enumerate() {
                if position > 0 {
                    out.push_str(", ")?;
                }
                write_at(out, key, depth)?;
                out.push_str(": ")?;
                write_at(out, value, depth)?;
            }
            out.push('}')
        }
        Value::Undefined => out.push_str("<undefined>"),
    }
}

fn write_list<'v>(
    out: &mut Output,
    items: impl Iterator<Item = &'v Value>,
    depth: usize,
) -> Result<(), TooLong> {
    for (position, item) in items.enumerate() {
        if position > 0 {
            out.push_str(", ")?;
        }
        write_at(out, item, depth)?;
    }
    Ok(())
}

/// Writes a number, unless it has so many digits that it would take long to know them.
pub(crate) fn write_number(out: &mut Output, value: &Value) -> Result<(), TooLong> {
    const MOST_BITS: u64 = 1 << 17;
    if bits(value) > MOST_BITS { Err(TooLong::Text) } else { out.push_str(&number_text(value)) }
}

/// Bits of an integer that is no float; none of other numbers.
fn bits(value: &Value) -> u64 {
    match value {
        Value::Number(number) if number.as_f64().is_none() => number.as_big().map_or(0, |big| big.bits()),
        _ => 0,
    }
}

/// A number as OPA and JSON have it; nothing for other values.
pub(crate) fn number_text(value: &Value) -> String {
    let Value::Number(number) = value else { return String::new() };
    match number.as_f64() {
        Some(float) if number.as_big().is_none() => json_float(float),
        _ => number.format_decimal(),
    }
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

/// Asks the budget for what it takes to compare a value with another, or to copy it: a step for each value in
/// it, as often as it is there. Whoever compares must have asked, as [`compare`] itself cannot.
///
/// # Errors
///
/// If a limit is exceeded, of steps or of nesting.
pub(crate) fn weigh(budget: &mut Budget<'_>, value: &Value) -> Result<(), Exceeded> {
    weigh_at(budget, value, 0)
}

/// As [`weigh`], for a value that will be so many levels below another.
pub(crate) fn weigh_at(budget: &mut Budget<'_>, value: &Value, depth: usize) -> Result<(), Exceeded> {
    weigh_times(budget, value, depth, 1)
}

/// As [`weigh_at`], for what is looked at so many times.
fn weigh_times(budget: &mut Budget<'_>, value: &Value, depth: usize, times: u64) -> Result<(), Exceeded> {
    if depth > MOST_NESTING {
        return Err(too_deep());
    }
    let depth = depth + 1;
    match value {
        Value::String(text) => budget.step((text.len() as u64 / 64 + 1).saturating_mul(times)),
        Value::Array(items) => {
            budget.step(times)?;
            items.iter().try_for_each(|item| weigh_times(budget, item, depth, times))
        }
        Value::Set(items) => {
            budget.step(times)?;
            let times = times.saturating_mul(ordering(items.len(), items.iter()));
            items.iter().try_for_each(|item| weigh_times(budget, item, depth, times))
        }
        Value::Object(object) => {
            budget.step(times)?;
            let key_times = times.saturating_mul(ordering(object.len(), object.keys()));
            object.iter().try_for_each(|(key, value)| {
                weigh_times(budget, key, depth, key_times)?;
                weigh_times(budget, value, depth, times)
            })
        }
        Value::Number(_) => {
            // Its decimal digits take time with the square of its size.
            let words = bits(value) / 64;
            budget.step((words.saturating_mul(words) / 32 + words + 1).saturating_mul(times))
        }
        Value::Null | Value::Bool(_) | Value::Undefined => budget.step(times),
    }
}

/// How often an element or a key is looked at to bring them all in order: those that are nested are each time.
fn ordering<'v>(count: usize, mut values: impl Iterator<Item = &'v Value>) -> u64 {
    if values.any(is_nested) { u64::from(count.checked_ilog2().unwrap_or(0)) + 3 } else { 1 }
}

/// Asks the budget for what it takes to bring elements or keys in order: scalars are in order already.
pub(crate) fn weigh_order<'v>(
    budget: &mut Budget<'_>,
    count: usize,
    values: impl Iterator<Item = &'v Value>,
) -> Result<(), Exceeded> {
    // Looking for those that are nested takes a step for each, of which the caller knows.
    let mut nested = values.filter(|value| is_nested(value));
    let times = u64::from(count.checked_ilog2().unwrap_or(0)) + 1;
    nested.try_for_each(|value| weigh_times(budget, value, 0, times))
}

/// The error for values nested deeper than [`MOST_NESTING`].
pub(crate) fn too_deep() -> Exceeded {
    let limit = LimitKind::Depth;
    Exceeded { limit, message: format!("a value is nested more than {MOST_NESTING} deep (limit `{limit}`)") }
}

/// The elements of an array or a set, the latter in OPA's order.
pub(crate) fn elements<'v>(
    budget: &mut Budget<'_>,
    value: &'v Value,
) -> Result<Option<Vec<&'v Value>>, Exceeded> {
    match value {
        Value::Array(items) => {
            budget.step(items.len() as u64)?;
            Ok(Some(items.iter().collect()))
        }
        Value::Set(items) => {
            budget.step(items.len() as u64)?;
            weigh_order(budget, items.len(), items.iter())?;
            Ok(Some(sorted(items.iter_sorted())))
        }
        _ => Ok(None),
    }
}

fn is_nested(value: &Value) -> bool {
    matches!(value, Value::Array(_) | Value::Object(_) | Value::Set(_))
}

/// The engine orders sets before objects, OPA after; otherwise they agree.
fn sorted<'v>(items: impl Iterator<Item = &'v Value>) -> Vec<&'v Value> {
    let mut items: Vec<_> = items.collect();
    if items.iter().any(|item| is_nested(item)) {
        items.sort_by(|a, b| compare(a, b));
    }
    items
}

/// The entries of an object in OPA's order of their keys.
pub(crate) fn sorted_entries<'v>(
    entries: impl Iterator<Item = (&'v Value, &'v Value)>,
) -> Vec<(&'v Value, &'v Value)> {
    let mut entries: Vec<_> = entries.collect();
    if entries.iter().any(|(key, _)| is_nested(key)) {
        entries.sort_by(|a, b| compare(a.0, b.0));
    }
    entries
}

/// OPA's order: null, booleans, numbers, strings, arrays, objects, sets. See [`weigh`].
pub(crate) fn compare(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a.cmp(b),
        (Value::Number(a), Value::Number(b)) => a.cmp(b),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (Value::Array(a), Value::Array(b)) => compare_lists(a.iter(), b.iter()),
        (Value::Object(a), Value::Object(b)) if Arc::ptr_eq(a, b) => Ordering::Equal,
        (Value::Object(a), Value::Object(b)) if !a.keys().chain(b.keys()).any(is_nested) => {
            // Nearly all are, and need no list.
            compare_lists(
                a.iter_sorted().flat_map(|(key, value)| [key, value]),
                b.iter_sorted().flat_map(|(key, value)| [key, value]),
            )
        }
        (Value::Object(a), Value::Object(b)) => {
            let a = sorted_entries(a.iter_sorted());
            let b = sorted_entries(b.iter_sorted());
            let flat = |entries: Vec<(_, _)>| entries.into_iter().flat_map(|(key, value)| [key, value]);
            compare_lists(flat(a), flat(b))
        }
        (Value::Set(a), Value::Set(b)) => {
            compare_lists(sorted(a.iter_sorted()).into_iter(), sorted(b.iter_sorted()).into_iter())
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
