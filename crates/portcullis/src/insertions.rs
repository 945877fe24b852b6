//! A text with some more text in it, for readers that are stricter than ours, and the way back to offsets of the text as it is.

use std::borrow::Cow;

/// What is put in, and where.
#[derive(Debug, Default)]
pub(crate) struct Insertions {
    /// Offset in the text as it is, and what comes before the byte there. Ordered by offset.
    added: Vec<(usize, String)>,
}

impl Insertions {
    pub(crate) fn len(&self) -> usize {
        self.added.len()
    }

    pub(crate) fn offsets(&self) -> impl Iterator<Item = usize> {
        self.added.iter().map(|(offset, _)| *offset)
    }

    pub(crate) fn add(&mut self, offset: usize, text: impl Into<String>) {
        let position = self.added.partition_point(|(other, _)| *other <= offset);
        self.added.insert(position, (offset, text.into()));
    }

    pub(crate) fn retain(&mut self, keep: impl Fn(usize) -> bool) {
        self.added.retain(|(offset, _)| keep(*offset));
    }

    /// The text with everything put in.
    pub(crate) fn apply<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if self.added.is_empty() {
            return Cow::Borrowed(text);
        }
        let more: usize = self.added.iter().map(|(_, added)| added.len()).sum();
        let mut out = String::with_capacity(text.len() + more);
        let mut from = 0;
        for (offset, added) in &self.added {
            out.push_str(text.get(from..*offset).unwrap_or_default());
            out.push_str(added);
            from = *offset;
        }
        out.push_str(text.get(from..).unwrap_or_default());
        Cow::Owned(out)
    }

    /// The offset in the text as it is; of what was put in, the offset where it was.
    pub(crate) fn original(&self, offset: usize) -> usize {
        let mut more = 0;
        for (at, added) in &self.added {
            if offset <= at + more {
                break;
            }
            more += added.len().min(offset - at - more);
        }
        offset - more
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_counted_back() {
        let text = "abcd";
        let mut insertions = Insertions::default();
        insertions.add(3, "--");
        insertions.add(1, "_");
        let longer = insertions.apply(text);
        assert_eq!(longer, "a_bc--d");
        for (at, c) in longer.char_indices().filter(|(_, c)| c.is_alphabetic()) {
            assert_eq!(text[insertions.original(at)..].chars().next(), Some(c));
        }
    }
}
