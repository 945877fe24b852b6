//! Quoted texts that go on in a line indented no deeper than their mapping. YAML 1.2 forbids them and the parser refuses them; the
//! readers of Kubernetes take them, and people write them. White space at the start of such a line means nothing, so the parser is
//! given the text with more of it, and offsets are counted back.

use std::borrow::Cow;

/// Lines that get more white space, in the order of the text.
#[derive(Default)]
pub(super) struct Padding {
    /// Offsets of the lines in the text as it is.
    lines: Vec<usize>,
    /// Lines whose padding did not help: what looks like a long text is one that is not closed.
    given_up: Vec<usize>,
    width: usize,
}

/// Every line costs one more reading of the source.
const MOST_LINES: usize = 64;

impl Padding {
    /// Pads the line that holds an offset. False if it is padded already, or there are too many: then the error stands.
    pub(super) fn add(&mut self, text: &str, offset: usize) -> bool {
        let start = text.get(..offset).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
        if self.lines.len() + self.given_up.len() >= MOST_LINES
            || self.lines.contains(&start)
            || self.given_up.contains(&start)
        {
            return false;
        }
        if self.lines.is_empty() {
            let indentation = |line: &str| line.len() - line.trim_start_matches(' ').len();
            self.width = text.lines().map(indentation).max().unwrap_or(0) + 1;
        }
        self.lines.push(start);
        self.lines.sort_unstable();
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
        self.given_up.extend(self.lines.iter().filter(|line| !separated(**line)));
        self.lines.retain(|line| separated(*line));
        self.lines.len() < before
    }

    /// The text as the parser gets it.
    pub(super) fn apply<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.lines.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut padded = String::with_capacity(text.len() + self.lines.len() * self.width);
        let mut from = 0;
        for &line in &self.lines {
            padded.push_str(text.get(from..line).unwrap_or_default());
            padded.extend(std::iter::repeat_n(' ', self.width));
            from = line;
        }
        padded.push_str(text.get(from..).unwrap_or_default());
        Cow::Owned(padded)
    }

    /// The offset in the text as it is.
    pub(super) fn original(&self, padded: usize) -> usize {
        let mut added = 0;
        for &line in &self.lines {
            if padded <= line + added {
                break;
            }
            added += self.width.min(padded - line - added);
        }
        padded - added
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_counted_back() {
        let text = "a: \"b\nc\nd\"\n";
        let mut padding = Padding::default();
        assert!(padding.add(text, 8) && padding.add(text, 6) && !padding.add(text, 7));
        let padded = padding.apply(text);
        assert_eq!(padded, "a: \"b\n c\n d\"\n");
        for (at, c) in padded.char_indices().filter(|(_, c)| !c.is_whitespace()) {
            assert_eq!(text[padding.original(at)..].chars().next(), Some(c));
        }
    }
}
