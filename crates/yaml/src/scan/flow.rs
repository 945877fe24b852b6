//! Texts in quotes, and how lines become one.

use std::borrow::Cow;

use super::Scanner;
use crate::problem::{Problem, Rule};
use crate::token::{Kind, Style};

/// A text of several lines that become one: as long as it is a piece of the source, nothing is copied.
pub(super) struct Folded {
    /// What was copied so far.
    copied: Option<String>,
    /// Start of what was not.
    from: usize,
    /// The first line break since the last character.
    first: Option<&'static str>,
    /// The line breaks after it.
    more: String,
}

impl Folded {
    pub(super) fn new(from: usize) -> Self {
        Self { copied: None, from, first: None, more: String::new() }
    }

    /// Where what was not copied yet starts.
    pub(super) fn from(&self) -> usize {
        self.from
    }

    pub(super) fn has_break(&self) -> bool {
        self.first.is_some()
    }

    pub(super) fn line_break(&mut self, meaning: &'static str) {
        if self.first.is_none() {
            self.first = Some(meaning);
        } else {
            self.more.push_str(meaning);
        }
    }

    /// Copies a text and what the line breaks since then mean; goes on at an offset.
    pub(super) fn fold(&mut self, before: &str, next: usize) {
        let copied = self.copied.get_or_insert_default();
        copied.push_str(before);
        match self.first.take() {
            Some("\n") if self.more.is_empty() => copied.push(' '),
            Some("\n") | None => {}
            Some(other) => copied.push_str(other),
        }
        copied.push_str(&self.more);
        self.more.clear();
        self.from = next;
    }

    /// Copies a text, and a character that stands for what was written in its place.
    fn replace(&mut self, before: &str, character: Option<char>, next: usize) {
        let copied = self.copied.get_or_insert_default();
        copied.push_str(before);
        copied.extend(character);
        self.from = next;
    }

    /// The text with its last piece; `None` if that is all of it, and a piece of the source.
    pub(super) fn finish(&mut self, last: &str) -> Option<String> {
        let mut copied = self.copied.take()?;
        copied.push_str(last);
        Some(copied)
    }
}

impl Scanner<'_> {
    pub(super) fn quoted(&mut self, style: Style) -> Result<(), Problem> {
        self.save_simple_key()?;
        self.simple_key_allowed = false;
        let start = self.text.at();
        self.text.skip(1);
        let mut folded = Folded::new(self.text.at());
        loop {
            if self.text.is_document_indicator() {
                return self.problem(Rule::QuoteIndicator, start);
            }
            if self.text.is_end() {
                return self.problem(Rule::QuoteUnclosed, start);
            }
            let escaped_break = self.quoted_word(style, &mut folded, start)?;
            if !escaped_break && self.text.byte() == if style == Style::Single { b'\'' } else { b'"' } {
                break;
            }
            self.quoted_space(&mut folded, escaped_break);
        }
        let last = self.text.slice(folded.from(), self.text.at());
        let text = folded.finish(last).map_or(Cow::Borrowed(last), Cow::Owned);
        self.text.skip(1);
        self.push(Kind::Scalar(text, style), start);
        Ok(())
    }

    /// Passes characters up to white space or the closing quote; true if a line break was escaped, which is
    /// passed, too.
    fn quoted_word(&mut self, style: Style, folded: &mut Folded, start: usize) -> Result<bool, Problem> {
        loop {
            let single = style == Style::Single;
            self.text.skip_until(|_, byte| match byte {
                b' ' | b'\t' => true,
                b'\'' => single,
                b'"' | b'\\' => !single,
                _ => false,
            });
            let before = self.text.slice(folded.from(), self.text.at());
            match self.text.byte() {
                b'\'' if single && self.text.peek(1) == b'\'' => {
                    folded.replace(before, Some('\''), self.text.at() + 2);
                    self.text.skip(2);
                }
                b'\\' if !single => {
                    self.text.skip(1);
                    if self.text.read_break().is_some() {
                        folded.replace(before, None, self.text.at());
                        return Ok(true);
                    }
                    let character = self.escape(start)?;
                    folded.replace(before, Some(character), self.text.at());
                }
                _ => return Ok(false),
            }
        }
    }

    /// Passes white space and line breaks between words.
    fn quoted_space(&mut self, folded: &mut Folded, escaped_break: bool) {
        let end = self.text.at();
        let mut breaks = String::new();
        let mut leading = escaped_break;
        loop {
            self.text.skip_blanks();
            let Some(meaning) = self.text.read_break() else { break };
            if escaped_break {
                breaks.push_str(meaning);
            } else {
                folded.line_break(meaning);
            }
            leading = true;
        }
        if leading {
            let before = if escaped_break { breaks.as_str() } else { self.text.slice(folded.from(), end) };
            folded.fold(before, self.text.at());
        }
    }

    /// The character that an escape means, after its backslash.
    fn escape(&mut self, start: usize) -> Result<char, Problem> {
        let digits = match self.text.byte() {
            b'x' => 2,
            b'u' => 4,
            b'U' => 8,
            byte => {
                let character = match byte {
                    b'0' => '\0',
                    b'a' => '\u{7}',
                    b'b' => '\u{8}',
                    b't' | b'\t' => '\t',
                    b'n' => '\n',
                    b'v' => '\u{b}',
                    b'f' => '\u{c}',
                    b'r' => '\r',
                    b'e' => '\u{1b}',
                    b' ' => ' ',
                    b'"' => '"',
                    b'\'' => '\'',
                    b'\\' => '\\',
                    b'N' => '\u{85}',
                    b'_' => '\u{a0}',
                    b'L' => '\u{2028}',
                    b'P' => '\u{2029}',
                    _ => return self.problem(Rule::Escape, start),
                };
                self.text.skip(1);
                return Ok(character);
            }
        };
        let mut value = 0_u32;
        for ahead in 1..=digits {
            let Some(digit) = char::from(self.text.peek(ahead)).to_digit(16) else {
                return self.problem(Rule::EscapeDigits, start);
            };
            // Eight digits fit.
            value = value << 4 | digit;
        }
        let Some(character) = char::from_u32(value) else {
            return self.problem(Rule::EscapeCharacter, start);
        };
        self.text.skip(digits + 1);
        Ok(character)
    }
}
