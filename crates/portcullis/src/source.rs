//! Source texts and positions in them. Every document, resource and error points into a [`Source`]
//! by byte range; lines and columns are computed from it when somebody looks.

use std::cmp::Ordering;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// A named text that documents were read from: a file, standard input, one object of a watch.
///
/// Cheap to share (`Arc`); the text is kept because code frames quote it.
pub struct Source {
    name: Arc<str>,
    text: Arc<str>,
    /// Byte offset of the first byte of each line. Never empty; strictly increasing.
    line_starts: Box<[u32]>,
    /// Lines and characters that stand before the text, if it is a part of something larger.
    before: (u32, u32),
    /// For long lines: how many characters begin before each [`BLOCK`] of the text. Made when somebody first
    /// looks.
    characters: OnceLock<Box<[u32]>>,
}

/// Bytes that are counted one by one for a column, twice at most: a text of one line has columns, too, and
/// findings in it are many.
const BLOCK: usize = 1024;

/// Equal texts under equal names.
impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name && self.text == other.text && self.before == other.before
    }
}

impl Eq for Source {}

impl Source {
    /// Wraps a text. `name` is what messages print, usually the path as the user gave it.
    /// Cost: one scan of the text for line breaks.
    #[must_use]
    pub fn new(name: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> Arc<Self> {
        Self::part(name, text, 1, 1)
    }

    /// Wraps a part of a text that is read in parts, such as one object of a dump. Its first character stands
    /// at a line and a column of the whole, both from 1, and all positions are those of the whole.
    #[must_use]
    pub fn part(name: impl Into<Arc<str>>, text: impl Into<Arc<str>>, line: u32, column: u32) -> Arc<Self> {
        let text: Arc<str> = text.into();
        let line_starts =
            std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| clamp(at + 1))).collect();
        let before = (line.saturating_sub(1), column.saturating_sub(1));
        Arc::new(Self { name: name.into(), text, line_starts, before, characters: OnceLock::new() })
    }

    /// The name that messages print.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The whole text.
    #[must_use]
    pub fn text(&self) -> &Arc<str> {
        &self.text
    }

    /// Line and column of a byte offset, both from 1; the column counts characters, not bytes.
    /// Offsets past the end give the position just after the last character.
    #[must_use]
    pub fn line_column(&self, offset: u32) -> (u32, u32) {
        let line = self.line(offset);
        let start = self.line_start(line).unwrap_or(0) as usize;
        let end = (offset as usize).min(self.text.len());
        let before = if end.saturating_sub(start) <= 2 * BLOCK {
            self.count(start, end)
        } else {
            self.characters_before(end).saturating_sub(self.characters_before(start))
        };
        let first = if line == self.before.0 + 1 { self.before.1 } else { 0 };
        (line, clamp(before + 1).saturating_add(first))
    }

    /// Characters that begin between two offsets.
    fn count(&self, start: usize, end: usize) -> usize {
        let bytes = self.text.as_bytes().get(start..end).unwrap_or_default();
        // All other bytes of a character look like this.
        bytes.iter().filter(|byte| **byte & 0b1100_0000 != 0b1000_0000).count()
    }

    /// Characters that begin before an offset. Cost: one scan of the text for the first, then of a block of
    /// it.
    fn characters_before(&self, offset: usize) -> usize {
        let sums = self.characters.get_or_init(|| {
            let blocks = (0..self.text.len())
                .step_by(BLOCK)
                .map(|start| self.count(start, start.saturating_add(BLOCK).min(self.text.len())));
            let sums = blocks.scan(0, |sum, count| Some(clamp(std::mem::replace(sum, *sum + count))));
            sums.collect()
        });
        let last = sums.len().saturating_sub(1).min(offset / BLOCK);
        let sum = sums.get(last).map_or(0, |sum| *sum as usize);
        sum + self.count(last * BLOCK, offset)
    }

    /// Line of a byte offset, from 1; cheaper than [`Source::line_column`] in long lines.
    #[must_use]
    pub(crate) fn line(&self, offset: u32) -> u32 {
        let line = clamp(self.line_starts.partition_point(|start| *start <= offset).max(1));
        line.saturating_add(self.before.0)
    }

    /// Byte offset at which a 1-based line starts; `None` outside of the text.
    #[must_use]
    pub fn line_start(&self, line: u32) -> Option<u32> {
        self.line_starts.get(line.checked_sub(self.before.0.checked_add(1)?)? as usize).copied()
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({}, {} bytes)", self.name, self.text.len())
    }
}

/// A byte range in a source, shown as `file:line:column`.
///
/// Ordered by source name, then by position: the order in which reports list findings.
#[derive(Clone, PartialEq, Eq)]
pub struct Location {
    source: Arc<Source>,
    start: u32,
    end: u32,
}

impl Location {
    /// A range of `source`, in bytes.
    #[must_use]
    pub fn new(source: Arc<Source>, range: Range<u32>) -> Self {
        Self { source, start: range.start, end: range.end.max(range.start) }
    }

    /// The text this points into.
    #[must_use]
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// Name of the source, as messages print it.
    #[must_use]
    pub fn file(&self) -> &Arc<str> {
        self.source.name()
    }

    /// Line of the first byte, from 1.
    #[must_use]
    pub fn line(&self) -> u32 {
        self.source.line(self.start)
    }

    /// Column of the first byte, from 1, in characters.
    #[must_use]
    pub fn column(&self) -> u32 {
        self.source.line_column(self.start).1
    }

    /// Line and column just after the last byte, from 1.
    #[must_use]
    pub fn end(&self) -> (u32, u32) {
        self.source.line_column(self.end)
    }

    /// Line of the place just after the last byte, from 1.
    pub(crate) fn end_line(&self) -> u32 {
        self.source.line(self.end)
    }

    /// The byte range in the source's text.
    #[must_use]
    pub fn range(&self) -> Range<u32> {
        self.start..self.end
    }
}

/// `FILE:LINE:COLUMN`. A source without a text has only its name: there is no line of a file that is not
/// there.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.source.text.is_empty() {
            return f.write_str(&self.source.name);
        }
        let (line, column) = self.source.line_column(self.start);
        write!(f, "{}:{line}:{column}", self.source.name)
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl PartialOrd for Location {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Location {
    fn cmp(&self, other: &Self) -> Ordering {
        let key = |location: &Self| (location.start, location.end);
        self.source.name.cmp(&other.source.name).then_with(|| key(self).cmp(&key(other)))
    }
}

/// Sources are limited to less than 4 GiB (`Limits::source_bytes` is far below), so this never clamps
/// in practice; where it would, positions degrade and nothing else does.
pub(crate) fn clamp(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// By counting from the beginning of the line.
    fn model(text: &str, offset: usize) -> (u32, u32) {
        let before = text.get(..offset.min(text.len())).expect("between characters");
        let line = before.rsplit('\n').next().expect("a line");
        (clamp(before.matches('\n').count() + 1), clamp(line.chars().count() + 1))
    }

    proptest! {
        #[test]
        fn columns_in_long_lines_are_those_of_counting(
            parts in proptest::collection::vec(("[aé€😀\n]", 1..2000_usize), 1..6),
            cuts in proptest::collection::vec(any::<prop::sample::Index>(), 1..8),
        ) {
            let text: String = parts.iter().map(|(part, times)| part.repeat(*times)).collect();
            let source = Source::new("a", text.as_str());
            for cut in cuts {
                let offset = text.floor_char_boundary(cut.index(text.len() + 1));
                prop_assert_eq!(source.line_column(clamp(offset)), model(&text, offset));
            }
            prop_assert_eq!(source.line_column(u32::MAX), model(&text, text.len()));
        }
    }
}
