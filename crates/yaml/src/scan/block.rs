//! Texts as blocks, after `|` and `>`.

use std::borrow::Cow;

use super::Scanner;
use crate::problem::{Problem, Rule};
use crate::token::{Kind, Style, Token};

/// Which line breaks at the end belong to the text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Chomping {
    Strip,
    Clip,
    Keep,
}

impl Scanner<'_> {
    pub(super) fn block_scalar(&mut self, style: Style) -> Result<(), Problem> {
        self.remove_simple_key()?;
        self.simple_key_allowed = true;
        let start = self.text.at();
        let (chomping, increment) = self.block_header(start)?;
        let mut end = self.text.at();
        self.text.read_break();
        // The columns of the text; unknown until its first line.
        let mut indent = increment.map(|increment| self.indent.max(0) + increment);
        let mut text = String::new();
        let mut first = "";
        let mut more = String::new();
        let mut after_blank = false;
        self.block_breaks(&mut indent, &mut more, start)?;
        while Some(self.column()) == indent && !self.text.is_end() {
            let blank = self.text.is_blank();
            if style == Style::Folded && first == "\n" && !after_blank && !blank {
                if more.is_empty() {
                    text.push(' ');
                }
            } else {
                text.push_str(first);
            }
            text.push_str(&more);
            more.clear();
            after_blank = blank;
            let from = self.text.at();
            self.text.skip_line_text();
            end = self.text.at();
            text.push_str(self.text.slice(from, end));
            first = self.text.read_break().unwrap_or_default();
            self.block_breaks(&mut indent, &mut more, start)?;
        }
        if chomping != Chomping::Strip {
            text.push_str(first);
        }
        if chomping == Chomping::Keep {
            text.push_str(&more);
        }
        self.queue.push_back(Token { kind: Kind::Scalar(Cow::Owned(text), style), range: start..end });
        Ok(())
    }

    /// From the `|` to the end of its line.
    fn block_header(&mut self, start: usize) -> Result<(Chomping, Option<isize>), Problem> {
        self.text.skip(1);
        let mut chomping = self.chomping();
        let mut increment = None;
        if self.text.byte().is_ascii_digit() {
            if self.text.byte() == b'0' {
                return self.problem(Rule::BlockIndentationZero, start);
            }
            increment = Some(isize::from(self.text.byte() - b'0'));
            self.text.skip(1);
            chomping = chomping.or_else(|| self.chomping());
        }
        self.text.skip_blanks();
        if self.text.byte() == b'#' {
            self.text.skip_line_text();
        }
        if !self.text.is_end() && self.text.break_width() == 0 {
            return self.problem(Rule::BlockHeader, start);
        }
        Ok((chomping.unwrap_or(Chomping::Clip), increment))
    }

    fn chomping(&mut self) -> Option<Chomping> {
        let chomping = match self.text.byte() {
            b'+' => Chomping::Keep,
            b'-' => Chomping::Strip,
            _ => return None,
        };
        self.text.skip(1);
        Some(chomping)
    }

    /// Passes the indentation of the next line with text, and the lines without any before it.
    fn block_breaks(
        &mut self,
        indent: &mut Option<isize>,
        breaks: &mut String,
        start: usize,
    ) -> Result<(), Problem> {
        let mut widest = 0;
        loop {
            let is_indentation = |scanner: &Self| indent.is_none_or(|indent| scanner.column() < indent);
            while is_indentation(self) && self.text.byte() == b' ' {
                self.text.skip(1);
            }
            widest = widest.max(self.column());
            if is_indentation(self) && self.text.byte() == b'\t' {
                return self.problem(Rule::BlockTab, start);
            }
            match self.text.read_break() {
                Some(meaning) => breaks.push_str(meaning),
                None => break,
            }
        }
        indent.get_or_insert(widest.max(self.indent + 1).max(1));
        Ok(())
    }
}
