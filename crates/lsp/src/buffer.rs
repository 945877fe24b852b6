//! Texts that an editor has open, and its changes of them.

use std::ops::Range;
use std::sync::Arc;

use lsp_types::TextDocumentContentChangeEvent;

use crate::position::{Encoding, Lines};

/// Most bytes that are moved for one message: to put a change into a text moves all that is behind it.
const MOST_MOVED: usize = 4 << 30;

/// A text that is open.
#[derive(Clone, Debug)]
pub struct Buffer {
    /// As the editor counts.
    pub version: i32,
    /// The text.
    pub text: Arc<str>,
    /// Where its lines begin.
    pub lines: Lines,
}

/// A change that was made: these bytes were replaced by so many others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The bytes before.
    pub range: Range<usize>,
    /// How many there are now.
    pub length: usize,
}

/// Why a text is no longer that of the editor.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum OutOfStep {
    /// The end of a change lies before its beginning.
    #[error("a change ends before it begins: expected a range, found {0:?}")]
    Backwards(lsp_types::Range),
    /// A text grew beyond what is kept.
    #[error("the text has more than {0} bytes, which is the most that is kept")]
    TooLarge(usize),
    /// So many changes of so long a text.
    #[error("{0} changes of a text of {1} bytes in one message are more than is done")]
    TooMany(usize, usize),
}

impl Buffer {
    /// A text that was opened.
    pub fn new(version: i32, text: &str) -> Self {
        Self { version, lines: Lines::of(text), text: text.into() }
    }

    /// Makes changes, one after the other, as the protocol has it, and says what was changed. Those that replace all
    /// of the text are none of them.
    ///
    /// # Errors
    ///
    /// If a change makes no sense: then the text is not what the editor has. It stays as it was before.
    pub fn change(
        &mut self,
        version: i32,
        changes: Vec<TextDocumentContentChangeEvent>,
        encoding: Encoding,
        most: usize,
    ) -> Result<Vec<Edit>, OutOfStep> {
        if changes.len().saturating_mul(self.text.len()) > MOST_MOVED {
            return Err(OutOfStep::TooMany(changes.len(), self.text.len()));
        }
        let mut text = self.text.to_string();
        let mut lines = None;
        let mut edits = Vec::new();
        for change in changes {
            let lines_now = lines.get_or_insert_with(|| self.lines.clone());
            if let Some(range) = change.range {
                if (range.end.line, range.end.character) < (range.start.line, range.start.character) {
                    return Err(OutOfStep::Backwards(range));
                }
                let start = lines_now.offset(&text, range.start, encoding);
                let end = lines_now.offset(&text, range.end, encoding).max(start);
                text.replace_range(start..end, &change.text);
                edits.push(Edit { range: start..end, length: change.text.len() });
            } else {
                text = change.text;
                edits.clear();
            }
            if text.len() > most {
                return Err(OutOfStep::TooLarge(most));
            }
            lines = Some(Lines::of(&text));
        }
        self.lines = lines.unwrap_or_else(|| Lines::of(&text));
        self.text = text.into();
        self.version = version;
        Ok(edits)
    }
}

/// Where bytes are after some changes: what was in a place that is gone is where that was.
pub fn moved(range: &Range<usize>, edits: &[Edit]) -> Range<usize> {
    let by = |at: usize, edit: &Edit| {
        if at >= edit.range.end {
            at - edit.range.len() + edit.length
        } else {
            at.min(edit.range.start + edit.length)
        }
    };
    let step = |range: Range<usize>, edit: &Edit| {
        by(range.start, edit)..by(range.end, edit).max(by(range.start, edit))
    };
    edits.iter().fold(range.clone(), step)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::string_slice, reason = "a test panics when it fails")]

    use super::*;
    use lsp_types::{Position, Range};
    use proptest::prelude::*;

    fn change(range: Option<[u32; 4]>, text: &str) -> TextDocumentContentChangeEvent {
        let at = |line, character| Position { line, character };
        TextDocumentContentChangeEvent {
            range: range.map(|[a, b, c, d]| Range { start: at(a, b), end: at(c, d) }),
            range_length: None,
            text: text.to_owned(),
        }
    }

    #[test]
    fn changes_are_made_one_after_the_other() {
        let mut buffer = Buffer::new(1, "a: 😀x\nb: 2\n");
        let changes = vec![change(Some([0, 5, 0, 6]), "yy"), change(Some([1, 0, 2, 0]), "c: 3")];
        let edits = buffer.change(2, changes, Encoding::Utf16, 100).unwrap();
        assert_eq!((&*buffer.text, buffer.version), ("a: 😀yy\nc: 3", 2));
        assert_eq!(edits.len(), 2);
        buffer.change(3, vec![change(None, "all")], Encoding::Utf16, 100).unwrap();
        assert_eq!(&*buffer.text, "all");
    }

    #[test]
    fn what_makes_no_sense_changes_nothing() {
        let mut buffer = Buffer::new(1, "a: 1\n");
        let backwards = buffer.change(2, vec![change(Some([1, 0, 0, 0]), "x")], Encoding::Utf16, 100);
        assert!(matches!(backwards, Err(OutOfStep::Backwards(_))));
        let large = buffer.change(2, vec![change(None, "123456")], Encoding::Utf16, 5);
        assert_eq!(large, Err(OutOfStep::TooLarge(5)));
        assert_eq!((&*buffer.text, buffer.version), ("a: 1\n", 1));
    }

    #[test]
    fn places_move_with_the_text_around_them() {
        let edits = [Edit { range: 2..4, length: 5 }];
        assert_eq!(moved(&(0..1), &edits), 0..1);
        assert_eq!(moved(&(4..6), &edits), 7..9);
        assert_eq!(moved(&(3..4), &edits), 3..7);
    }

    proptest! {
        /// Against the obvious way: lines that are cut and put together again.
        #[test]
        fn any_change_leaves_a_text_with_its_lines(
            text in "[a😀\r\n]{0,20}", new in "[b\n]{0,4}", places in any::<[u8; 4]>(),
        ) {
            let mut buffer = Buffer::new(1, &text);
            let [a, b, c, d] = places.map(|place| u32::from(place % 8));
            let before = buffer.clone();
            if buffer.change(2, vec![change(Some([a, b, c, d]), &new)], Encoding::Utf16, 1000).is_ok() {
                let at = |line, character| before.lines.offset(&text, Position { line, character }, Encoding::Utf16);
                let (start, end) = (at(a, b), at(c, d).max(at(a, b)));
                prop_assert_eq!(&*buffer.text, format!("{}{new}{}", &text[..start], &text[end..]));
                prop_assert_eq!(&buffer.lines, &Lines::of(&buffer.text));
            } else {
                prop_assert_eq!(&buffer.text, &before.text);
            }
        }
    }
}
