//! Values as OPA writes them in a text: `{1, "a", [true], {"k": null}, set()}`, and texts as Go quotes them.

use std::fmt::Write as _;
use std::sync::LazyLock;

use regex::Regex;

use crate::budget::{Budget, Exceeded};
use crate::output::{Output, TooLong};
use crate::weigh::{MAX_NESTING, weigh};
use crate::{Number, Value, View};

/// A value as a text, within the budget.
///
/// # Errors
///
/// If the text is longer than the memory that is left, or the value too deep.
pub fn text(budget: &mut Budget<'_>, value: &Value) -> Result<String, Exceeded> {
    // Each part is written by itself, which costs more than its bytes.
    weigh(budget, value)?;
    let mut out = Output::within(budget).in_room_of(String::with_capacity(64));
    let written = write(&mut out, value);
    out.finish(budget, written)
}

/// Writes a value. Keys and elements are sorted.
///
/// # Errors
///
/// If there is no room for it, or it is too deep.
pub fn write(out: &mut Output, value: &Value) -> Result<(), TooLong> {
    write_at(out, value, 0)
}

fn write_at(out: &mut Output, value: &Value, depth: usize) -> Result<(), TooLong> {
    if depth > MAX_NESTING {
        return Err(TooLong::Nesting);
    }
    let depth = depth + 1;
    match value.view() {
        View::Null => out.push_str("null"),
        View::Bool(value) => out.push_str(if value { "true" } else { "false" }),
        View::Number(number) => write_number(out, number),
        View::String(text) => {
            out.make_room(text.len())?;
            if text.bytes().all(|byte| matches!(byte, b' '..=b'~') && byte != b'"' && byte != b'\\') {
                out.push('"')?;
                out.push_str(text)?;
                return out.push('"');
            }
            out.push_str(&quote(text))
        }
        View::Array(items) => {
            out.push('[')?;
            write_list(out, items, depth)?;
            out.push(']')
        }
        View::Set(set) if set.is_empty() => out.push_str("set()"),
        View::Set(set) => {
            out.make_room(set.len())?;
            out.push('{')?;
            write_list(out, set.as_slice(), depth)?;
            out.push('}')
        }
        View::Object(object) => {
            out.make_room(object.len())?;
            out.push('{')?;
            for (position, (key, value)) in object.iter().enumerate() {
                if position > 0 {
                    out.push_str(", ")?;
                }
                write_at(out, key, depth)?;
                out.push_str(": ")?;
                write_at(out, value, depth)?;
            }
            out.push('}')
        }
        View::Undefined => out.push_str("<undefined>"),
    }
}

fn write_list(out: &mut Output, items: &[Value], depth: usize) -> Result<(), TooLong> {
    for (position, item) in items.iter().enumerate() {
        if position > 0 {
            out.push_str(", ")?;
        }
        write_at(out, item, depth)?;
    }
    Ok(())
}

/// Writes a number, unless it has so many digits that it would take long to know them.
///
/// # Errors
///
/// If there is no room for it.
pub fn write_number(out: &mut Output, number: &Number) -> Result<(), TooLong> {
    const MAX_BITS: u64 = 1 << 17;
    if number.large_bits() > MAX_BITS { Err(TooLong::Text) } else { out.push_str(&number.text()) }
}

/// A text as a Go string literal.
#[must_use]
pub fn quote(text: &str) -> String {
    quote_with(text, '"', Charset::Printable)
}

/// Which characters a literal has as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charset {
    /// All that can be seen.
    Printable,
    /// Those of ASCII that can be seen.
    Ascii,
}

/// A text as a Go literal between two marks.
#[must_use]
pub fn quote_with(text: &str, mark: char, charset: Charset) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push(mark);
    for c in text.chars() {
        let escape = match c {
            '\\' => "\\\\",
            '\x07' => "\\a",
            '\x08' => "\\b",
            '\x0c' => "\\f",
            '\n' => "\\n",
            '\r' => "\\r",
            '\t' => "\\t",
            '\x0b' => "\\v",
            _ => "",
        };
        let code = u32::from(c);
        if !escape.is_empty() {
            quoted.push_str(escape);
        } else if c == mark {
            quoted.push('\\');
            quoted.push(c);
        } else if is_printable(c) && (c.is_ascii() || charset == Charset::Printable) {
            quoted.push(c);
        } else {
            // Writing to a string does not fail.
            let _ = match code {
                0..=0x7f => write!(quoted, "\\x{code:02x}"),
                0x80..=0xffff => write!(quoted, "\\u{code:04x}"),
                _ => write!(quoted, "\\U{code:08x}"),
            };
        }
    }
    quoted.push(mark);
    quoted
}

/// Whether it is a letter, mark, number, punctuation, symbol or the ASCII space.
#[must_use]
pub fn is_printable(c: char) -> bool {
    static PRINTABLE: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"\A[\p{L}\p{M}\p{N}\p{P}\p{S}]\z").ok());
    if c.is_ascii() {
        return matches!(c, ' '..='~');
    }
    PRINTABLE.as_ref().is_none_or(|regex| regex.is_match(c.encode_utf8(&mut [0; 4])))
}
