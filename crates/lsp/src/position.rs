//! Places as editors count them, lines and characters from 0, and bytes: in either direction, and in both encodings.
//!
//! Whatever an editor sends has a place: what is behind the end of a line or of the text is that end, as the protocol
//! has it, and what is in the middle of a character is its beginning.

use std::ops::Range;

use lsp_types::{Position, PositionEncodingKind};

/// In what characters of a line are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Bytes.
    Utf8,
    /// Units of UTF-16: what is meant if nobody says anything.
    #[default]
    Utf16,
}

impl Encoding {
    /// What an editor offers and we take.
    pub fn chosen(offered: &[PositionEncodingKind]) -> Self {
        if offered.contains(&PositionEncodingKind::UTF8) { Self::Utf8 } else { Self::Utf16 }
    }

    /// Its name in the protocol.
    pub fn kind(self) -> PositionEncodingKind {
        match self {
            Self::Utf8 => PositionEncodingKind::UTF8,
            Self::Utf16 => PositionEncodingKind::UTF16,
        }
    }

    fn units(self, c: char) -> usize {
        match self {
            Self::Utf8 => c.len_utf8(),
            Self::Utf16 => c.len_utf16(),
        }
    }
}

/// Where the lines of a text begin. A line ends with `\n`, `\r\n` or `\r`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lines {
    /// Never empty; strictly increasing.
    starts: Vec<usize>,
}

impl Lines {
    /// Cost: one scan of the text.
    pub fn of(text: &str) -> Self {
        let mut starts = vec![0];
        let bytes = text.as_bytes();
        for (at, byte) in bytes.iter().enumerate() {
            let is_end = match byte {
                b'\n' => true,
                b'\r' => bytes.get(at + 1) != Some(&b'\n'),
                _ => false,
            };
            if is_end {
                starts.push(at + 1);
            }
        }
        Self { starts }
    }

    /// The bytes of a line, without its end; none behind the last one.
    pub fn range(&self, text: &str, line: usize) -> Option<Range<usize>> {
        let start = *self.starts.get(line)?;
        let end = self.starts.get(line + 1).copied().unwrap_or(text.len());
        let line = text.get(start..end)?;
        Some(start..start + line.trim_end_matches(['\n', '\r']).len())
    }

    /// The line of a byte.
    pub fn line_of(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset).saturating_sub(1)
    }

    /// The byte of a place.
    pub fn offset(&self, text: &str, position: Position, encoding: Encoding) -> usize {
        let Some(range) = self.range(text, position.line as usize) else { return text.len() };
        let line = text.get(range.clone()).unwrap_or_default();
        let (mut units, wanted) = (0, position.character as usize);
        for (at, c) in line.char_indices() {
            units += encoding.units(c);
            if units > wanted {
                return range.start + at;
            }
        }
        range.end
    }

    /// The place of a byte.
    pub fn position(&self, text: &str, offset: usize, encoding: Encoding) -> Position {
        let offset = text.floor_char_boundary(offset.min(text.len()));
        let line = self.line_of(offset);
        let start = self.starts.get(line).copied().unwrap_or_default();
        let before = text.get(start..offset).unwrap_or_default();
        let units: usize = match encoding {
            Encoding::Utf8 => before.len(),
            Encoding::Utf16 => before.chars().map(char::len_utf16).sum(),
        };
        Position { line: clamp(line), character: clamp(units) }
    }

    /// The places of some bytes.
    pub fn span(&self, text: &str, range: &Range<usize>, encoding: Encoding) -> lsp_types::Range {
        lsp_types::Range {
            start: self.position(text, range.start, encoding),
            end: self.position(text, range.end, encoding),
        }
    }
}

fn clamp(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::string_slice, reason = "a test panics when it fails")]

    use super::*;
    use proptest::prelude::*;

    const TEXT: &str = "a😀b\r\nc\rä\n";

    fn at(line: u32, character: u32) -> Position {
        Position { line, character }
    }

    #[test]
    fn places_are_counted_in_the_encoding_that_was_agreed_on() {
        let lines = Lines::of(TEXT);
        assert_eq!(lines.starts.len(), 4);
        for (encoding, b, behind) in [(Encoding::Utf16, 3, 4), (Encoding::Utf8, 5, 6)] {
            assert_eq!(lines.offset(TEXT, at(0, b), encoding), 5, "{encoding:?}");
            assert_eq!(lines.position(TEXT, 5, encoding), at(0, b));
            assert_eq!(lines.offset(TEXT, at(0, behind), encoding), 6);
        }
        assert_eq!(lines.position(TEXT, 10, Encoding::Utf16), at(2, 0));
    }

    #[test]
    fn what_is_no_place_is_the_nearest_one_before() {
        let lines = Lines::of(TEXT);
        // In the middle of a pair of surrogates.
        assert_eq!(lines.offset(TEXT, at(0, 2), Encoding::Utf16), 1);
        assert_eq!(lines.offset(TEXT, at(0, 3), Encoding::Utf8), 1);
        // Behind the end of a line, and of the text.
        assert_eq!(lines.offset(TEXT, at(0, 4_000_000_000), Encoding::Utf16), 6);
        assert_eq!(lines.offset(TEXT, at(4_000_000_000, 1), Encoding::Utf16), TEXT.len());
    }

    proptest! {
        #[test]
        fn every_byte_leads_to_a_place_and_back(text in "[a😀ä\r\n ]{0,40}", utf8 in any::<bool>()) {
            let encoding = if utf8 { Encoding::Utf8 } else { Encoding::Utf16 };
            let lines = Lines::of(&text);
            for (offset, _) in text.char_indices() {
                let back = lines.offset(&text, lines.position(&text, offset, encoding), encoding);
                // What ends a line has no place of its own: it is the end of the line.
                let is_end = text[..offset].ends_with('\r') && text[offset..].starts_with('\n');
                prop_assert_eq!(back, if is_end { offset - 1 } else { offset });
            }
        }

        #[test]
        fn no_place_leads_out_of_the_text(text in "[a😀\r\n]{0,20}", line in 0_u32..9, character in 0_u32..30) {
            let lines = Lines::of(&text);
            for encoding in [Encoding::Utf8, Encoding::Utf16] {
                let offset = lines.offset(&text, Position { line, character }, encoding);
                prop_assert!(text.is_char_boundary(offset));
            }
        }
    }
}
