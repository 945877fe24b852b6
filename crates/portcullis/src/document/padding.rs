//! Quoted texts that go on in a line indented no deeper than their mapping. YAML 1.2 forbids them and the parser refuses them; the
//! readers of Kubernetes take them, and people write them. White space at the start of such a line means nothing, so the parser is
//! given the text with more of it.

use std::borrow::Cow;

use crate::edits::Edits;

/// Lines that get more white space.
#[derive(Default)]
pub(super) struct Padding {
    lines: Edits,
    /// Lines whose padding did not help: what looks like a long text is one that is not closed.
    given_up: Vec<usize>,
}

/// Every line costs one more reading of the source.
const MOST_LINES: usize = 64;

impl Padding {
    /// Pads the line that holds an offset. False if it is padded already, or there are too many: then the error stands.
    pub(super) fn add(&mut self, text: &str, offset: usize) -> bool {
        let start = text.get(..offset).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
        let known = self.lines.offsets().any(|line| line == start) || self.given_up.contains(&start);
        if known || self.lines.len() + self.given_up.len() >= MOST_LINES {
            return false;
        }
        let indentation = |line: &str| line.len() - line.trim_start_matches(' ').len();
        let width = text.lines().map(indentation).max().unwrap_or(0) + 1;
        self.lines.insert(start, " ".repeat(width));
        true
    }

    /// Takes the padding out of a document that is broken all the same, so that its error is about the text as it is. False if
    /// there is none in it.
    pub(super) fn give_up(&mut self, text: &str, broken_at: usize) -> bool {
        let separated = |line: usize| {
            let range = line.min(broken_at)..line.max(broken_at);
            text.get(range).is_some_and(|between| between.contains("\n---"))
        };
        let before = self.lines.len();
        self.given_up.extend(self.lines.offsets().filter(|line| !separated(*line)));
        self.lines.retain(separated);
        self.lines.len() < before
    }

    /// The text as the parser gets it.
    pub(super) fn apply<'a>(&self, text: &'a str) -> Cow<'a, str> {
        self.lines.apply(text)
    }

    /// The offset in the text as it is.
    pub(super) fn original(&self, padded: usize) -> usize {
        self.lines.original(padded)
    }
}
