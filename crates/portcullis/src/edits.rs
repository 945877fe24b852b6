//! A text with some of it replaced, for readers that are stricter than ours, and the way back to offsets of the text as it is.

use std::borrow::Cow;

/// What is replaced by what.
#[derive(Debug, Default)]
pub(crate) struct Edits {
    /// Ordered by offset; none overlaps the next.
    edits: Vec<Edit>,
}

#[derive(Debug)]
struct Edit {
    /// In the text as it is.
    offset: usize,
    /// How many bytes go; none for an insertion.
    removed: usize,
    added: String,
}

impl Edits {
    pub(crate) fn len(&self) -> usize {
        self.edits.len()
    }

    pub(crate) fn offsets(&self) -> impl Iterator<Item = usize> {
        self.edits.iter().map(|edit| edit.offset)
    }

    pub(crate) fn insert(&mut self, offset: usize, text: impl Into<String>) {
        self.replace(offset, 0, text);
    }

    /// Replaces `removed` bytes. What overlaps an earlier replacement is left alone.
    pub(crate) fn replace(&mut self, offset: usize, removed: usize, text: impl Into<String>) {
        let position = self.edits.partition_point(|other| other.offset <= offset);
        let before = position.checked_sub(1).and_then(|before| self.edits.get(before));
        let after = self.edits.get(position);
        let overlaps = before.is_some_and(|before| before.offset + before.removed > offset)
            || after.is_some_and(|after| offset + removed > after.offset);
        if !overlaps {
            self.edits.insert(position, Edit { offset, removed, added: text.into() });
        }
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(usize) -> bool) {
        self.edits.retain(|edit| keep(edit.offset));
    }

    /// The text with everything replaced.
    pub(crate) fn apply<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.edits.is_empty() {
            return Cow::Borrowed(text);
        }
        let more: usize = self.edits.iter().map(|edit| edit.added.len()).sum();
        let mut out = String::with_capacity(text.len() + more);
        let mut from = 0;
        for edit in &self.edits {
            out.push_str(text.get(from..edit.offset).unwrap_or_default());
            out.push_str(&edit.added);
            from = edit.offset + edit.removed;
        }
        out.push_str(text.get(from..).unwrap_or_default());
        Cow::Owned(out)
    }

    /// The offset in the text as it is; of what was put in, the offset where it was.
    pub(crate) fn original(&self, offset: usize) -> usize {
        let (mut new, mut old) = (0, 0);
        for edit in &self.edits {
            let kept = edit.offset - old;
            if offset < new + kept {
                break;
            }
            new += kept;
            old = edit.offset;
            if offset < new + edit.added.len() {
                return old;
            }
            new += edit.added.len();
            old += edit.removed;
        }
        old + (offset - new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_counted_back() {
        let text = "abXYcd";
        let mut edits = Edits::default();
        edits.insert(5, "--");
        edits.replace(2, 2, "_");
        edits.insert(1, "++");
        edits.replace(3, 1, "overlaps");
        let edited = edits.apply(text);
        assert_eq!(edited, "a++b_c--d");
        for (at, c) in edited.char_indices().filter(|(_, c)| c.is_alphabetic()) {
            let original = text.get(edits.original(at)..).and_then(|rest| rest.chars().next());
            assert_eq!(original, Some(c));
        }
        assert_eq!(edits.original(edited.find('_').unwrap()), 2);
    }
}
