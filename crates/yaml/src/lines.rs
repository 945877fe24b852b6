//! Where the documents of a YAML stream end. The clients of Kubernetes cut a stream by its lines before
//! anything is read as YAML, so that nothing inside of a document matters here: neither quotes nor blocks nor
//! comments.
//!
//! ```text
//! line ── Line::of ──> Content | Separator | Glued ── Chunks::line ──> Step: what to do with the line
//! ```
//!
//! Lines end at `\n` and nowhere else: what else ends a line of YAML (CR, NEL, LS, PS) ends none here. A byte
//! order mark hides a separator that follows it (the line does not begin with the dashes); in front of a
//! chunk it means nothing to the reader of the chunk.

/// What a line of a stream is for the cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// Part of a document.
    Content,
    /// `---`, with nothing after it but white space and perhaps a comment. The `#` needs no space before it.
    Separator,
    /// `---` with text glued to it, or after it in the same line (`---a: b`, `--- {}`, `----`): the clients
    /// refuse the stream ("invalid Yaml document separator").
    Glued,
}

impl Line {
    /// What a line is, given without its `\n` or with it. Who has only the beginning of a long line may hand
    /// in that, if it has one byte after the dashes that is no white space, or does not begin with dashes.
    /// Cost: the dashes and the white space after them.
    #[must_use]
    pub fn of(line: &[u8]) -> Self {
        let Some(rest) = line.strip_prefix(b"---") else { return Self::Content };
        match after_white_space(rest).first() {
            None | Some(b'#') => Self::Separator,
            Some(_) => Self::Glued,
        }
    }
}

/// What to do with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It belongs to the chunk that is open; the first one opens it.
    Keep,
    /// It ends the chunk, and belongs to none.
    End,
    /// It ends the chunk that is open, if any, and is an error: what follows, up to the next separator, is
    /// read by nobody.
    Refuse,
    /// It follows a line that was refused: no document, and no news.
    Skip,
}

/// Cuts a stream into chunks, line by line.
///
/// A separator in front of a chunk's content belongs to that chunk, as its first line: for `---# a: b` that
/// makes a difference. So a stream that begins with a separator does not begin with an empty chunk, and `---`
/// twice is one chunk of one line.
#[derive(Clone, Copy, Debug, Default)]
pub struct Chunks {
    state: State,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Empty,
    Open,
    Skipping,
}

impl Chunks {
    /// Takes the next line of the stream.
    pub fn line(&mut self, line: Line) -> Step {
        let (state, step) = match (self.state, line) {
            (State::Skipping, Line::Content) => (State::Skipping, Step::Skip),
            (_, Line::Glued) => (State::Skipping, Step::Refuse),
            (State::Open | State::Skipping, Line::Separator) => (State::Empty, Step::End),
            (State::Empty, Line::Separator) | (State::Empty | State::Open, Line::Content) => {
                (State::Open, Step::Keep)
            }
        };
        self.state = state;
        step
    }
}

fn after_white_space(bytes: &[u8]) -> &[u8] {
    let mut rest = bytes;
    loop {
        // A character of white space has three bytes at most.
        let head = rest.get(..rest.len().min(4)).unwrap_or_default();
        let character = head.utf8_chunks().next().and_then(|chunk| chunk.valid().chars().next());
        match character.filter(|character| character.is_whitespace()) {
            Some(character) => rest = rest.get(character.len_utf8()..).unwrap_or_default(),
            None => return rest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dashes_at_the_start_of_a_line_separate_or_are_refused() {
        for line in [
            "---",
            "---\n",
            "---\r\n",
            "--- ",
            "---\t\u{a0}\u{85}\u{2028}",
            "---# a: b",
            "--- # c\n",
            "---\r# c",
        ] {
            assert_eq!(Line::of(line.as_bytes()), Line::Separator, "{line:?}");
        }
        for line in
            ["---a: b", "--- a", "----", "--- {}", "---\ra", "---\u{feff}", "--- \u{200b}#", "---\"#\""]
        {
            assert_eq!(Line::of(line.as_bytes()), Line::Glued, "{line:?}");
        }
        for line in ["", "\n", "--", "-- -", " ---", "a: ---", "\u{feff}---", "...", "# ---"] {
            assert_eq!(Line::of(line.as_bytes()), Line::Content, "{line:?}");
        }
        assert_eq!(Line::of(b"---\xff"), Line::Glued);
        assert_eq!(Line::of(b"--- \xe2\x80"), Line::Glued);
    }

    #[test]
    fn separators_belong_to_a_chunk_that_has_nothing_yet() {
        use Step::{End, Keep, Refuse, Skip};
        let steps = |lines: &[&str]| -> Vec<Step> {
            let mut chunks = Chunks::default();
            lines.iter().map(|line| chunks.line(Line::of(line.as_bytes()))).collect()
        };
        assert_eq!(steps(&["a", "---", "b"]), [Keep, End, Keep]);
        assert_eq!(steps(&["---", "a", "---", "---# b: c", "d"]), [Keep, Keep, End, Keep, Keep]);
        assert_eq!(steps(&["---", "---", "---", "a"]), [Keep, End, Keep, Keep]);
        assert_eq!(steps(&["a", "---b", "c", "---", "d"]), [Keep, Refuse, Skip, End, Keep]);
        assert_eq!(steps(&["--- a", "--- b", "---", "---", "d"]), [Refuse, Refuse, End, Keep, Keep]);
    }
}
