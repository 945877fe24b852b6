//! Values as JSON, in the way of Go: keys sorted, `<`, `>` and `&` escaped. Sets are arrays.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::output::{Output, TooLong};
use crate::text::write_number;
use crate::weigh::MAX_NESTING;
use crate::{Value, View};

/// Which characters are written by their codes beside those that JSON asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Escapes {
    /// `<`, `>`, `&` and two that end lines in scripts, as Go does.
    Go,
    /// None.
    Few,
}

/// How lines begin, if there are lines.
#[derive(Clone, Copy, Debug)]
pub struct Layout<'t> {
    /// Before each line.
    pub prefix: &'t str,
    /// Behind it, as often as the nesting says.
    pub indent: &'t str,
}

/// Writes a value.
///
/// # Errors
///
/// If there is no room for it, or it is too deep.
pub fn write(out: &mut Output, value: &Value, layout: Option<Layout<'_>>) -> Result<(), TooLong> {
    Writer { out, layout, escapes: Escapes::Go }.write(value, 0)
}

/// Writes a value without lines, for people.
pub(crate) fn write_plain(out: &mut Output, value: &Value) -> Result<(), TooLong> {
    Writer { out, layout: None, escapes: Escapes::Few }.write(value, 0)
}

struct Writer<'o, 't> {
    out: &'o mut Output,
    layout: Option<Layout<'t>>,
    escapes: Escapes,
}

impl Writer<'_, '_> {
    fn write(&mut self, value: &Value, depth: usize) -> Result<(), TooLong> {
        if depth > MAX_NESTING {
            return Err(TooLong::Nesting);
        }
        match value.view() {
            View::Null | View::Undefined => self.out.push_str("null"),
            View::Bool(value) => self.out.push_str(if value { "true" } else { "false" }),
            View::Number(number) => write_number(self.out, number),
            View::String(text) => self.text(text),
            View::Array(items) => self.list(items, depth + 1),
            View::Set(items) => self.list(items.as_slice(), depth + 1),
            View::Object(object) => {
                self.out.make_room(object.len())?;
                // Keys that are not texts are written as such, and so need not be in order.
                let mut entries = BTreeMap::new();
                for (key, value) in object.iter() {
                    entries.insert(self.key(key)?, value);
                }
                self.out.push('{')?;
                let is_empty = entries.is_empty();
                for (position, (key, value)) in entries.into_iter().enumerate() {
                    if position > 0 {
                        self.out.push(',')?;
                    }
                    self.begin_line(depth + 1)?;
                    self.text(&key)?;
                    self.out.push_str(if self.layout.is_some() { ": " } else { ":" })?;
                    self.write(value, depth + 1)?;
                }
                if !is_empty {
                    self.begin_line(depth)?;
                }
                self.out.push('}')
            }
        }
    }

    fn key<'v>(&self, key: &'v Value) -> Result<Cow<'v, str>, TooLong> {
        if let Some(text) = key.as_str() {
            self.out.make_room(text.len())?;
            return Ok(text.into());
        }
        let mut inner = self.out.rest();
        Writer { out: &mut inner, layout: None, escapes: self.escapes }.write(key, 0)?;
        Ok(inner.into_text().into())
    }

    fn list(&mut self, items: &[Value], depth: usize) -> Result<(), TooLong> {
        self.out.push('[')?;
        for (position, item) in items.iter().enumerate() {
            if position > 0 {
                self.out.push(',')?;
            }
            self.begin_line(depth)?;
            self.write(item, depth)?;
        }
        if !items.is_empty() {
            self.begin_line(depth - 1)?;
        }
        self.out.push(']')
    }

    fn begin_line(&mut self, depth: usize) -> Result<(), TooLong> {
        let Some(layout) = self.layout else { return Ok(()) };
        self.out.push('\n')?;
        self.out.push_str(layout.prefix)?;
        (0..depth).try_for_each(|_| self.out.push_str(layout.indent))
    }

    fn text(&mut self, text: &str) -> Result<(), TooLong> {
        self.out.push('"')?;
        let mut code = String::new();
        for c in text.chars() {
            match c {
                '"' => self.out.push_str("\\\"")?,
                '\\' => self.out.push_str("\\\\")?,
                '\n' => self.out.push_str("\\n")?,
                '\r' => self.out.push_str("\\r")?,
                '\t' => self.out.push_str("\\t")?,
                '\x08' => self.out.push_str("\\b")?,
                '\x0c' => self.out.push_str("\\f")?,
                '\0'..='\x1f' => self.code(&mut code, c)?,
                '<' | '>' | '&' | '\u{2028}' | '\u{2029}' if self.escapes == Escapes::Go => {
                    self.code(&mut code, c)?;
                }
                c => self.out.push(c)?,
            }
        }
        self.out.push('"')
    }

    fn code(&mut self, code: &mut String, c: char) -> Result<(), TooLong> {
        code.clear();
        // Writing to a string does not fail.
        let _ = write!(code, "\\u{:04x}", u32::from(c));
        self.out.push_str(code)
    }
}
