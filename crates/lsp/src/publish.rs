//! Notes as diagnostics of the protocol.

use std::ops::Range;

use lsp_types::{Diagnostic, DiagnosticSeverity, DiagnosticTag, NumberOrString};

use crate::checks::{Level, Note};
use crate::position::{Encoding, Lines};

/// Who says it.
pub const SOURCE: &str = "portcullis";

/// Most diagnostics of a file.
const MOST: usize = 500;

/// Something that is said of bytes of a text, which may have moved since.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// The bytes.
    pub range: Range<usize>,
    /// How grave it is.
    pub level: Level,
    /// What it is about.
    pub code: String,
    /// The sentence.
    pub message: String,
    /// Whether it rests on more than the file.
    pub is_wide: bool,
}

impl Said {
    /// A note where it was made.
    pub fn of(note: &Note, is_wide: bool) -> Self {
        let range = note.location.range();
        Self {
            range: range.start as usize..range.end as usize,
            level: note.level,
            code: note.code.clone(),
            message: note.message.clone(),
            is_wide,
        }
    }

    /// As a diagnostic of a text.
    pub fn diagnostic(&self, text: &str, lines: &Lines, encoding: Encoding) -> Diagnostic {
        let severity = match self.level {
            Level::Error => DiagnosticSeverity::ERROR,
            Level::Warning => DiagnosticSeverity::WARNING,
            Level::Information => DiagnosticSeverity::INFORMATION,
            Level::Unneeded => DiagnosticSeverity::HINT,
        };
        Diagnostic {
            range: lines.span(text, &visible(text, lines, &self.range), encoding),
            severity: Some(severity),
            code: Some(NumberOrString::String(self.code.clone())),
            source: Some(SOURCE.to_owned()),
            message: self.message.clone(),
            tags: (self.level == Level::Unneeded).then(|| vec![DiagnosticTag::UNNECESSARY]),
            ..Diagnostic::default()
        }
    }
}

/// What is underlined: no more than the line that it begins in, and at least a word or a character.
fn visible(text: &str, lines: &Lines, range: &Range<usize>) -> Range<usize> {
    let start = text.floor_char_boundary(range.start.min(text.len()));
    let Some(line) = lines.range(text, lines.line_of(start)) else { return start..start };
    let end = text.floor_char_boundary(range.end.min(line.end).max(start));
    if end > start {
        return start..end;
    }
    let rest = text.get(start..line.end).unwrap_or_default();
    let word = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
    let first = rest.chars().next().map_or(0, char::len_utf8);
    start..start + word.max(first)
}

/// The diagnostics of a file, as many as are shown.
pub fn diagnostics(said: &[Said], text: &str, lines: &Lines, encoding: Encoding) -> Vec<Diagnostic> {
    let mut shown: Vec<Diagnostic> =
        said.iter().take(MOST).map(|one| one.diagnostic(text, lines, encoding)).collect();
    if said.len() > MOST {
        let more = Said {
            range: 0..0,
            level: Level::Information,
            code: "limit".to_owned(),
            message: format!("{} more are not shown: mend those that are", said.len() - MOST),
            is_wide: false,
        };
        shown.push(more.diagnostic(text, lines, encoding));
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_underlined_is_a_part_of_a_line_that_can_be_seen() {
        let text = "abc: d\n  ä\n\n";
        let lines = Lines::of(text);
        let of = |range: Range<usize>| visible(text, &lines, &range);
        assert_eq!(of(0..9), 0..6);
        assert_eq!(of(0..0), 0..3);
        assert_eq!(of(3..3), 3..4);
        assert_eq!(of(9..9), 9..11);
        assert_eq!(of(12..12), 12..12);
        assert_eq!(of(900..901), text.len()..text.len());
    }
}
