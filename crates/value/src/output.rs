//! A text of bounded length.

use crate::budget::{Budget, Exceeded, LimitKind};
use crate::weigh::too_deep;

/// Longest text that is made at once, in bytes, whatever the memory.
const LONGEST: usize = 64 << 20;

/// The output would be longer than the limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TooLong {
    /// It has too many bytes.
    Text,
    /// What is to be written is too deep.
    Nesting,
}

/// A text that grows up to a limit. What is refused is not begun.
#[derive(Debug)]
pub struct Output {
    text: String,
    limit: usize,
    /// Which limit the text has met when it becomes too long.
    kind: LimitKind,
}

impl Output {
    /// A text of at most so many bytes.
    #[must_use]
    pub const fn new(limit: usize) -> Self {
        Self { text: String::new(), limit, kind: LimitKind::Memory }
    }

    /// A text of at most the memory and the steps that are left.
    #[must_use]
    pub fn within(budget: &Budget<'_>) -> Self {
        let memory = budget.limits().memory.saturating_sub(budget.memory());
        let steps = budget.limits().steps.saturating_sub(budget.steps()).saturating_mul(16);
        let limit = usize::try_from(memory.min(steps)).unwrap_or(usize::MAX).min(LONGEST);
        let kind = if steps < memory { LimitKind::Steps } else { LimitKind::Memory };
        Self { text: String::new(), limit, kind }
    }

    /// Written where another text was, which is forgotten.
    #[must_use]
    pub fn in_room_of(mut self, mut text: String) -> Self {
        text.clear();
        self.text = text;
        self
    }

    /// The text, after writing it has ended so; it is counted.
    ///
    /// # Errors
    ///
    /// The limit that writing it has met.
    pub fn finish(self, budget: &mut Budget<'_>, written: Result<(), TooLong>) -> Result<String, Exceeded> {
        match written {
            Ok(()) => {}
            Err(TooLong::Text) => return Err(budget.exceeded(self.kind)),
            Err(TooLong::Nesting) => return Err(too_deep()),
        }
        budget.make_text(self.text.len())?;
        Ok(self.text)
    }

    /// Appends a text.
    ///
    /// # Errors
    ///
    /// [`TooLong`], as for all that appends.
    pub fn push_str(&mut self, text: &str) -> Result<(), TooLong> {
        self.make_room(text.len())?;
        self.text.push_str(text);
        Ok(())
    }

    /// Appends a character.
    pub fn push(&mut self, c: char) -> Result<(), TooLong> {
        self.make_room(c.len_utf8())?;
        self.text.push(c);
        Ok(())
    }

    /// Appends `c`, an ASCII character, `count` times.
    pub fn repeat(&mut self, c: char, count: usize) -> Result<(), TooLong> {
        self.make_room(count)?;
        self.text.extend(std::iter::repeat_n(c, count));
        Ok(())
    }

    /// A text of at most what is left of this one, which is to become part of it.
    #[must_use]
    pub fn rest(&self) -> Self {
        Self::new(self.limit.saturating_sub(self.text.len()))
    }

    /// Characters in the last line.
    #[must_use]
    pub fn column(&self) -> usize {
        self.text.rsplit('\n').next().unwrap_or_default().chars().count()
    }

    /// The text so far.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The text.
    #[must_use]
    pub fn into_text(self) -> String {
        self.text
    }

    /// Whether there is room for so many bytes more.
    pub fn make_room(&self, more: usize) -> Result<(), TooLong> {
        if more > self.limit.saturating_sub(self.text.len()) { Err(TooLong::Text) } else { Ok(()) }
    }
}
