//! Texts without quotes.

use std::borrow::Cow;

use super::Scanner;
use super::flow::Folded;
use crate::problem::{Problem, Rule};
use crate::token::{Kind, Style, Token};

impl Scanner<'_> {
    pub(super) fn plain(&mut self) -> Result<(), Problem> {
        self.save_simple_key()?;
        self.simple_key_allowed = false;
        let start = self.text.at();
        let mut folded = Folded::new(start);
        let mut end = start;
        loop {
            if self.text.is_document_indicator() || self.text.byte() == b'#' {
                break;
            }
            let from = self.text.at();
            self.plain_word();
            if self.text.at() > from {
                if folded.has_break() {
                    let before = self.text.slice(folded.from(), end);
                    folded.fold(before, from);
                }
                end = self.text.at();
            }
            if !self.plain_space(&mut folded, start)? {
                break;
            }
            if !self.in_brackets() && self.column() <= self.indent {
                break;
            }
        }
        if folded.has_break() {
            self.simple_key_allowed = true;
        }
        let text = folded.finish(self.text.slice(folded.from(), end));
        let text = text.map_or_else(|| Cow::Borrowed(self.text.slice(start, end)), Cow::Owned);
        self.queue.push_back(Token { kind: Kind::Scalar(text, Style::Plain), range: start..end });
        Ok(())
    }

    /// Passes characters that belong to the text, up to white space or an indicator.
    fn plain_word(&mut self) {
        let flow = self.in_brackets();
        self.text.skip_until(|text, byte| match byte {
            b' ' | b'\t' => true,
            b':' => text.is_blank_or_end(1),
            b',' | b'?' | b'[' | b']' | b'{' | b'}' => flow,
            _ => false,
        });
    }

    /// Passes white space and line breaks; false if there are none.
    fn plain_space(&mut self, folded: &mut Folded, start: usize) -> Result<bool, Problem> {
        let from = self.text.at();
        loop {
            match self.text.byte() {
                b'\t' if folded.has_break() && self.column() <= self.indent => {
                    return self.problem(Rule::PlainTab, start);
                }
                b' ' | b'\t' => self.text.skip(1),
                _ => match self.text.read_break() {
                    Some(meaning) => folded.line_break(meaning),
                    None => return Ok(self.text.at() > from),
                },
            }
        }
    }
}
