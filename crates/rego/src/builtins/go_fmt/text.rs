//! Strings: `%s %q %x %X`, and Go's quoting.

use std::fmt::Write as _;

use portcullis_value::{Charset, Output, TooLong, quote_with};

use super::Spec;

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
    spec.pad(out, &quote_with(text, '"', charset(spec)))
}

/// `%q` of an integer: a character.
pub(super) fn quoted_char(out: &mut Output, c: char, spec: &Spec) -> Result<(), TooLong> {
    spec.pad(out, &quote_with(c.encode_utf8(&mut [0; 4]), '\'', charset(spec)))
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

fn can_be_backquoted(text: &str) -> bool {
    text.chars().all(|c| c == '\t' || !matches!(c, '\0'..='\x1f' | '\x7f' | '`' | '\u{feff}'))
}

fn truncated<'a>(text: &'a str, spec: &Spec) -> &'a str {
    let end = spec.precision.and_then(|precision| text.char_indices().nth(precision));
    end.and_then(|(end, _)| text.get(..end)).unwrap_or(text)
}

fn charset(spec: &Spec) -> Charset {
    if spec.plus { Charset::Ascii } else { Charset::Printable }
}
