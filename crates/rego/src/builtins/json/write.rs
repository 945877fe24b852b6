//! Values as JSON, in the way of Go: keys sorted, `<`, `>` and `&` escaped. Sets are arrays.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use regorus::Value;

use crate::builtins::go_fmt::{Output, TooLong};
use crate::term::{self, MOST_NESTING};

/// How lines begin, if there are lines.
#[derive(Clone, Copy)]
pub(super) struct Layout<'t> {
    pub(super) prefix: &'t str,
    /// As often as the nesting says.
    pub(super) indent: &'t str,
}

pub(super) fn write(out: &mut Output, value: &Value, layout: Option<Layout<'_>>) -> Result<(), TooLong> {
    write_at(out, value, layout, 0)
}

fn write_at(
    out: &mut Output,
    value: &Value,
    layout: Option<Layout<'_>>,
    depth: usize,
) -> Result<(), TooLong> {
    if depth > MOST_NESTING {
        return Err(TooLong::Nesting);
    }
    match value {
        Value::Null | Value::Undefined => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(_) => term::write_number(out, value),
        Value::String(text) => write_text(out, text),
        Value::Array(items) => write_list(out, items.iter(), layout, depth + 1),
        Value::Set(items) => {
            out.make_room(items.len())?;
            let mut sorted: Vec<&Value> = items.iter_sorted().collect();
            sorted.sort_by(|a, b| term::compare(a, b));
            write_list(out, sorted.into_iter(), layout, depth + 1)
        }
        Value::Object(object) => {
            out.make_room(object.len())?;
            let mut entries = BTreeMap::new();
            for (key, value) in object.iter_sorted() {
                entries.insert(key_text(out, key)?, value);
            }
            out.push('{')?;
            let is_empty = entries.is_empty();
            for (position, (key, value)) in entries.into_iter().enumerate() {
                if position > 0 {
                    out.push(',')?;
                }
                begin_line(out, layout, depth + 1)?;
                write_text(out, &key)?;
                out.push_str(if layout.is_some() { ": " } else { ":" })?;
                write_at(out, value, layout, depth + 1)?;
            }
            if !is_empty {
                begin_line(out, layout, depth)?;
            }
            out.push('}')
        }
    }
}

/// A key that is no text is written as one.
fn key_text(out: &Output, key: &Value) -> Result<String, TooLong> {
    match key {
        Value::String(text) => {
            out.make_room(text.len())?;
            Ok((**text).to_owned())
        }
        other => {
            let mut inner = out.rest();
            write(&mut inner, other, None)?;
            Ok(inner.into_text())
        }
    }
}

fn write_list<'v>(
    out: &mut Output,
    items: impl ExactSizeIterator<Item = &'v Value>,
    layout: Option<Layout<'_>>,
    depth: usize,
) -> Result<(), TooLong> {
    out.push('[')?;
    let is_empty = items.len() == 0;
    for (position, item) in items.enumerate() {
        if position > 0 {
            out.push(',')?;
        }
        begin_line(out, layout, depth)?;
        write_at(out, item, layout, depth)?;
    }
    if !is_empty {
        begin_line(out, layout, depth - 1)?;
    }
    out.push(']')
}

fn begin_line(out: &mut Output, layout: Option<Layout<'_>>, depth: usize) -> Result<(), TooLong> {
    let Some(layout) = layout else { return Ok(()) };
    out.push('\n')?;
    out.push_str(layout.prefix)?;
    (0..depth).try_for_each(|_| out.push_str(layout.indent))
}

fn write_text(out: &mut Output, text: &str) -> Result<(), TooLong> {
    out.push('"')?;
    let mut code = String::new();
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\"")?,
            '\\' => out.push_str("\\\\")?,
            '\n' => out.push_str("\\n")?,
            '\r' => out.push_str("\\r")?,
            '\t' => out.push_str("\\t")?,
            '\x08' => out.push_str("\\b")?,
            '\x0c' => out.push_str("\\f")?,
            '\0'..='\x1f' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                code.clear();
                // Writing to a string does not fail.
                let _ = write!(code, "\\u{:04x}", u32::from(c));
                out.push_str(&code)?;
            }
            c => out.push(c)?,
        }
    }
    out.push('"')
}
