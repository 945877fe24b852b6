//! Strings: `%s %q %x %X`, and Go's quoting.

use std::fmt::Write as _;
use std::sync::LazyLock;

use regex::Regex;

use super::{Output, Spec, TooLong};

/// `%s`: the precision is a number of characters.
pub(super) fn string(out: &mut Output, text: &str, spec: &Spec) -> Result<(), TooLong> {
    spec.pad(out, truncated(text, spec))
}

/// `%q`; with `#` between backquotes where that is possible, with `+` in ASCII.
pub(super) fn quoted(out: &mut Output, text: &str, spec: &Spec) -> Result<(), TooLong> {
    let text = truncated(text, spec);
    if spec.sharp && can_be_backquoted(text) {
        return spec.pad(out, &format!("`{text}`"));
    }
    out.make_room(text.len())?;
    spec.pad(out, &quote_with(text, '"', spec.plus))
}

/// `%q` of an integer: a character.
pub(super) fn quoted_char(out: &mut Output, c: char, spec: &Spec) -> Result<(), TooLong> {
    spec.pad(out, &quote_with(c.encode_utf8(&mut [0; 4]), '\'', spec.plus))
}

/// `%x`: the precision is a number of bytes; with ` ` bytes are separated, with `#` marked as hexadecimal.
pub(super) fn hexadecimal(out: &mut Output, bytes: &[u8], upper: bool, spec: &Spec) -> Result<(), TooLong> {
    let bytes = bytes.get(..spec.precision.unwrap_or(usize::MAX)).unwrap_or(bytes);
    out.make_room(bytes.len().saturating_mul(2))?;
    let mark = match (spec.sharp && !bytes.is_empty(), upper) {
        (false, _) => "",
        (true, false) => "0x",
        (true, true) => "0X",
    };
    let mut text = String::from(mark);
    for (position, byte) in bytes.iter().enumerate() {
        if spec.space && position > 0 {
            text.push(' ');
            text.push_str(mark);
        }
        // Writing to a string does not fail.
        let _ = if upper { write!(text, "{byte:02X}") } else { write!(text, "{byte:02x}") };
    }
    spec.pad(out, &text)
}

/// A text as a Go string literal.
pub(crate) fn quote(text: &str) -> String {
    quote_with(text, '"', false)
}

fn quote_with(text: &str, mark: char, ascii: bool) -> String {
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
        } else if is_printable(c) && (c.is_ascii() || !ascii) {
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

/// Letters, marks, numbers, punctuation, symbols and the ASCII space.
pub(super) fn is_printable(c: char) -> bool {
    static PRINTABLE: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"\A[\p{L}\p{M}\p{N}\p{P}\p{S}]\z").ok());
    if c.is_ascii() {
        return matches!(c, ' '..='~');
    }
    PRINTABLE.as_ref().is_none_or(|regex| regex.is_match(c.encode_utf8(&mut [0; 4])))
}

fn can_be_backquoted(text: &str) -> bool {
    text.chars().all(|c| c == '\t' || !matches!(c, '\0'..='\x1f' | '\x7f' | '`' | '\u{feff}'))
}

fn truncated<'a>(text: &'a str, spec: &Spec) -> &'a str {
    let end = spec.precision.and_then(|precision| text.char_indices().nth(precision));
    end.and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}
