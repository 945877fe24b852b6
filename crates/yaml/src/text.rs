//! The characters of a chunk: where the reader stands, what ends a line, and what no text may have.

use crate::problem::{Problem, Rule};

/// Where something stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Bytes from the start of the text.
    pub(crate) offset: usize,
    /// Line breaks before it.
    pub(crate) line: usize,
    /// Characters before it in its line.
    pub(crate) column: usize,
}

/// A text and a place in it.
pub(crate) struct Text<'a> {
    whole: &'a str,
    bytes: &'a [u8],
    at: usize,
    line: usize,
    line_start: usize,
    /// Bytes of this line, up to here, that are no first byte of a character.
    trailing: usize,
}

const MARK: &str = "\u{feff}";

impl<'a> Text<'a> {
    /// At the start of a text; a byte order mark there means nothing.
    pub(crate) fn new(text: &'a str) -> Self {
        let at = if text.starts_with(MARK) { MARK.len() } else { 0 };
        Self { whole: text, bytes: text.as_bytes(), at, line: 0, line_start: at, trailing: 0 }
    }

    pub(crate) fn slice(&self, start: usize, end: usize) -> &'a str {
        self.whole.get(start..end).unwrap_or_default()
    }

    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn column(&self) -> usize {
        self.at - self.line_start - self.trailing
    }

    pub(crate) fn mark(&self) -> Mark {
        Mark { offset: self.at, line: self.line, column: self.column() }
    }

    /// The end of the text counts as the start of a line.
    pub(crate) fn end_line(&mut self) {
        if self.column() != 0 {
            self.line += 1;
            self.line_start = self.at;
            self.trailing = 0;
        }
    }

    /// The byte here; 0 at the end, which no text has otherwise.
    pub(crate) fn byte(&self) -> u8 {
        self.byte_at(self.at)
    }

    /// The byte so many further.
    pub(crate) fn peek(&self, ahead: usize) -> u8 {
        self.byte_at(self.at + ahead)
    }

    fn byte_at(&self, at: usize) -> u8 {
        self.bytes.get(at).copied().unwrap_or(0)
    }

    pub(crate) fn is_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    pub(crate) fn is_blank(&self) -> bool {
        matches!(self.byte(), b' ' | b'\t')
    }

    /// How many bytes the line break here has: LF, CR, CRLF, NEL, LS or PS; 0 if there is none.
    pub(crate) fn break_width(&self) -> usize {
        self.break_width_at(self.at)
    }

    fn break_width_at(&self, at: usize) -> usize {
        match self.byte_at(at) {
            b'\n' => 1,
            b'\r' => 1 + usize::from(self.byte_at(at + 1) == b'\n'),
            0xc2 => 2 * usize::from(self.byte_at(at + 1) == 0x85),
            0xe2 => {
                3 * usize::from(self.byte_at(at + 1) == 0x80 && matches!(self.byte_at(at + 2), 0xa8 | 0xa9))
            }
            _ => 0,
        }
    }

    /// Whether white space, a line break or the end is so many bytes further.
    pub(crate) fn is_blank_or_end(&self, ahead: usize) -> bool {
        let at = self.at + ahead;
        matches!(self.byte_at(at), b' ' | b'\t' | 0) || self.break_width_at(at) > 0
    }

    /// `---` or `...` at the start of a line, as a word.
    pub(crate) fn is_indicator(&self, byte: u8) -> bool {
        self.byte() == byte
            && self.peek(1) == byte
            && self.peek(2) == byte
            && self.column() == 0
            && self.is_blank_or_end(3)
    }

    pub(crate) fn is_document_indicator(&self) -> bool {
        self.is_indicator(b'-') || self.is_indicator(b'.')
    }

    /// Passes so many bytes, all of them characters of one byte.
    pub(crate) fn skip(&mut self, bytes: usize) {
        self.at += bytes;
    }

    /// Passes spaces and tabs.
    pub(crate) fn skip_blanks(&mut self) {
        while self.is_blank() {
            self.at += 1;
        }
    }

    /// Passes characters up to one of the stops; the class of a line break's first byte has to be one.
    pub(crate) fn skip_until(&mut self, mut stops: impl FnMut(&Self, u8) -> bool) {
        while let Some(&byte) = self.bytes.get(self.at) {
            let class = class(byte);
            if class != Class::Other {
                if class == Class::Break && self.break_width() > 0 {
                    return;
                }
                if stops(self, byte) {
                    return;
                }
            }
            self.trailing += usize::from(byte & 0xc0 == 0x80);
            self.at += 1;
        }
    }

    /// Passes the rest of the line.
    pub(crate) fn skip_line_text(&mut self) {
        self.skip_ascii_line();
        self.skip_until(|_, _| false);
    }

    /// Passes what is ASCII up to a control character, in whole pieces: most lines are nothing else, and long
    /// blocks have many.
    fn skip_ascii_line(&mut self) {
        let is_end = |byte: u8| !(b' '..0x7f).contains(&byte);
        self.at += plain_pieces(self.bytes.get(self.at..).unwrap_or_default(), is_end);
    }

    /// Passes a line break, if there is one, and returns what it is in a text.
    pub(crate) fn read_break(&mut self) -> Option<&'static str> {
        let width = self.break_width();
        if width == 0 {
            return None;
        }
        let meaning = match (width, self.peek(2)) {
            (3, 0xa8) => "\u{2028}",
            (3, _) => "\u{2029}",
            _ => "\n",
        };
        self.at += width;
        self.line += 1;
        self.line_start = self.at;
        self.trailing = 0;
        Some(meaning)
    }
}

/// What a byte may be for a search for an end.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    /// Nothing; not looked at any further.
    Other,
    /// Perhaps the first byte of a line break.
    Break,
    /// White space, a quote, a backslash or an indicator.
    Stop,
}

#[inline]
fn class(byte: u8) -> Class {
    match byte {
        b'\n' | b'\r' | 0xc2 | 0xe2 => Class::Break,
        b' ' | b'\t' | b'"' | b'\'' | b'\\' | b':' | b',' | b'?' | b'[' | b']' | b'{' | b'}' => Class::Stop,
        _ => Class::Other,
    }
}

/// Looks for characters that no text may have, and for byte order marks that are not at its start. go-yaml's
/// reading of a mark inside of a text depends on the size of its buffers, so that nobody can say what it
/// means.
pub(crate) fn check(text: &str) -> Result<(), Problem> {
    let bytes = text.as_bytes();
    let next = |at: usize| bytes.get(at).copied().unwrap_or(0);
    let mut from = if text.starts_with(MARK) { MARK.len() } else { 0 };
    loop {
        from += plain_pieces(bytes.get(from..).unwrap_or_default(), is_suspect);
        let rest = bytes.get(from..).unwrap_or_default();
        let Some(found) = rest.iter().position(|byte| is_suspect(*byte)) else { return Ok(()) };
        let at = from + found;
        let rule = match next(at) {
            0xc2 if (0x80..0xa0).contains(&next(at + 1)) && next(at + 1) != 0x85 => Rule::Control,
            0xef if next(at + 1) == 0xbb && next(at + 2) == 0xbf => Rule::ByteOrderMark,
            0xef if next(at + 1) == 0xbf && next(at + 2) >= 0xbe => Rule::Control,
            0xc2 | 0xef => {
                from = at + 1;
                continue;
            }
            _ => Rule::Control,
        };
        return Err(Problem { rule, at, start: at });
    }
}

/// Whether it may be the first byte of a character that no text may have.
#[expect(clippy::needless_bitwise_bool, reason = "without branches many bytes are looked at together")]
fn is_suspect(byte: u8) -> bool {
    let is_white = (byte == b'\t') | (byte == b'\n') | (byte == b'\r');
    (byte < b' ') & !is_white | (byte == 0x7f) | (byte == 0xc2) | (byte == 0xef)
}

/// The length of what comes before the first piece that has one of these bytes, or is not whole. What is left
/// before such a byte is shorter than a piece.
fn plain_pieces(bytes: &[u8], is_one: impl Fn(u8) -> bool) -> usize {
    const PIECE: usize = 32;
    let has_none =
        |piece: &[u8; PIECE]| piece.iter().fold(0, |found, byte| found | u8::from(is_one(*byte))) == 0;
    let (pieces, _) = bytes.as_chunks::<PIECE>();
    pieces.iter().take_while(|piece| has_none(piece)).count() * PIECE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_text_may_have_is_found_wherever_it_stands() {
        for before in 0..100 {
            let text = |found: &str| format!("{}{found}é\u{85}\tb", "x".repeat(before));
            for (found, rule) in [
                ("\u{1}", Rule::Control),
                ("\u{7f}", Rule::Control),
                ("\u{80}", Rule::Control),
                ("\u{fffe}", Rule::Control),
                ("a\u{feff}", Rule::ByteOrderMark),
            ] {
                let at = before + usize::from(found.starts_with('a'));
                assert_eq!(check(&text(found)), Err(Problem { rule, at, start: at }), "{before} {found:?}");
            }
            assert_eq!(check(&text("\u{fffd}\u{a0}\r\n\u{ef00}")), Ok(()), "{before}");
        }
    }

    #[test]
    fn lines_end_at_the_first_break_wherever_it_stands() {
        for before in 0..100 {
            for line_break in ["\n", "\r", "\u{85}", "\u{2028}", "\u{2029}"] {
                for inside in ["", "\t", "é", "\u{7f}"] {
                    let line = format!("{}{inside}", "x".repeat(before));
                    let whole = format!("{line}{line_break}y\n");
                    let mut text = Text::new(&whole);
                    text.skip_line_text();
                    assert_eq!((text.at(), text.column()), (line.len(), line.chars().count()), "{whole:?}");
                }
            }
        }
    }
}
