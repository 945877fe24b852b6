//! Text in, tokens out: indentation becomes tokens that begin and end blocks, and what turns out to be a key
//! gets a token before it.
//!
//! A key without `?` is known by its colon only. So tokens wait in a queue as long as the first of them may
//! still be such a key, which ends with its line, or after 1,024 characters.

mod block;
mod directive;
mod flow;
mod plain;

use std::collections::VecDeque;

use crate::problem::{Problem, Rule};
use crate::text::{Mark, Text};
use crate::token::{Kind, Style, Token};

/// So many lists and mappings in brackets, and as many in blocks, may be open.
const MAX_NESTING: usize = 10_000;
/// So many characters after the start of a key without `?` its colon has to come.
const LONGEST_KEY: usize = 1024;

/// Where a key without `?` may have started; one for each bracket that is open, and one outside of all.
struct SimpleKey {
    possible: bool,
    /// The line has to be a key.
    required: bool,
    /// The queue waits for it.
    awaited: bool,
    token: usize,
    mark: Mark,
}

pub(crate) struct Scanner<'a> {
    text: Text<'a>,
    queue: VecDeque<Token<'a>>,
    /// Tokens that have been taken from the queue.
    taken: usize,
    /// Column of the block that is open; -1 outside of all.
    indent: isize,
    indents: Vec<isize>,
    simple_key_allowed: bool,
    simple_keys: Vec<SimpleKey>,
    /// The first token of the queue is known to be no key.
    ready: bool,
}

impl<'a> Scanner<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self {
            text: Text::new(text),
            queue: VecDeque::new(),
            taken: 0,
            indent: -1,
            indents: Vec::new(),
            simple_key_allowed: true,
            simple_keys: vec![SimpleKey {
                possible: false,
                required: false,
                awaited: false,
                token: 0,
                mark: Mark::default(),
            }],
            ready: false,
        }
    }

    /// The next token. Must not be asked for after the end of the stream was taken.
    pub(crate) fn peek(&mut self) -> Result<&Token<'a>, Problem> {
        while !self.ready {
            if self.queue.is_empty() || self.waits()? {
                self.fetch()?;
            } else {
                self.ready = true;
            }
        }
        let end = self.text.at();
        // The queue is not empty here.
        let none = || Problem { rule: Rule::NodeExpected, at: end, start: end };
        self.queue.front().ok_or_else(none)
    }

    /// How far the text has been read.
    pub(crate) fn end(&self) -> usize {
        self.text.at()
    }

    /// Takes the next token, which has been looked at.
    pub(crate) fn take(&mut self) -> Option<Token<'a>> {
        self.taken += 1;
        let token = self.queue.pop_front();
        self.ready = false;
        token
    }

    /// Whether the first token of the queue may be a key still.
    fn waits(&mut self) -> Result<bool, Problem> {
        // The numbers never fall from one bracket to the next inside of it.
        let first = self.simple_keys.partition_point(|key| key.token < self.taken);
        let level = (first..self.simple_keys.len())
            .take_while(|level| self.simple_keys.get(*level).is_some_and(|key| key.token == self.taken))
            .find(|level| self.simple_keys.get(*level).is_some_and(|key| key.awaited));
        level.map_or(Ok(false), |level| self.is_valid(level))
    }

    /// Whether the key of a level may still be one: its colon may be only so far from it.
    fn is_valid(&mut self, level: usize) -> Result<bool, Problem> {
        let now = self.text.mark();
        let Some(key) = self.simple_keys.get_mut(level).filter(|key| key.possible) else { return Ok(false) };
        if key.mark.line == now.line && now.column - key.mark.column <= LONGEST_KEY {
            return Ok(true);
        }
        if key.required {
            return Err(Problem { rule: Rule::KeyWithoutColon, at: now.offset, start: key.mark.offset });
        }
        key.possible = false;
        Ok(false)
    }

    fn next_number(&self) -> usize {
        self.taken + self.queue.len()
    }

    fn top(&self) -> usize {
        self.simple_keys.len() - 1
    }

    fn in_brackets(&self) -> bool {
        self.simple_keys.len() > 1
    }

    fn column(&self) -> isize {
        isize::try_from(self.text.column()).unwrap_or(isize::MAX)
    }

    /// A key may start here.
    fn save_simple_key(&mut self) -> Result<(), Problem> {
        if !self.simple_key_allowed {
            return Ok(());
        }
        let required = !self.in_brackets() && self.indent == self.column();
        self.remove_simple_key()?;
        let (token, mark) = (self.next_number(), self.text.mark());
        if let Some(key) = self.simple_keys.last_mut() {
            *key = SimpleKey { possible: true, required, awaited: true, token, mark };
        }
        Ok(())
    }

    /// What may have been a key is not one.
    fn remove_simple_key(&mut self) -> Result<(), Problem> {
        let at = self.text.at();
        let Some(key) = self.simple_keys.last_mut().filter(|key| key.possible) else { return Ok(()) };
        if key.required {
            return Err(Problem { rule: Rule::KeyWithoutColon, at, start: key.mark.offset });
        }
        key.possible = false;
        key.awaited = false;
        Ok(())
    }

    fn open_bracket(&mut self) -> Result<(), Problem> {
        let (token, mark) = (self.next_number(), self.text.mark());
        self.simple_keys.push(SimpleKey { possible: false, required: false, awaited: false, token, mark });
        if self.simple_keys.len() > MAX_NESTING + 1 {
            return self.problem(Rule::TooDeep, mark.offset);
        }
        Ok(())
    }

    fn close_bracket(&mut self) {
        if !self.in_brackets() {
            return;
        }
        let Some(closed) = self.simple_keys.pop() else { return };
        // Brackets without anything in them are not waited for, as go-yaml has it: they end what could have
        // been a key.
        if let Some(key) = self.simple_keys.last_mut().filter(|key| key.token == closed.token) {
            key.awaited = false;
        }
    }

    /// Begins a block if the column is deeper than that of the block that is open. `before` is the number of
    /// the token that it comes before.
    fn roll_indent(
        &mut self,
        column: isize,
        before: Option<usize>,
        kind: Kind<'a>,
        offset: usize,
    ) -> Result<(), Problem> {
        if self.in_brackets() || self.indent >= column {
            return Ok(());
        }
        self.indents.push(self.indent);
        self.indent = column;
        if self.indents.len() > MAX_NESTING {
            return self.problem(Rule::TooDeep, offset);
        }
        self.insert(before, kind, offset);
        Ok(())
    }

    /// Puts a token without width before another one, or at the end, also if that other one has been taken.
    fn insert(&mut self, before: Option<usize>, kind: Kind<'a>, offset: usize) {
        let place = before.and_then(|number| number.checked_sub(self.taken)).unwrap_or(self.queue.len());
        self.queue.insert(place.min(self.queue.len()), Token { kind, range: offset..offset });
    }

    /// Ends the blocks that are deeper than a column.
    fn unroll_indent(&mut self, column: isize) {
        if self.in_brackets() {
            return;
        }
        let at = self.text.at();
        while self.indent > column {
            self.insert(None, Kind::BlockEnd, at);
            self.indent = self.indents.pop().unwrap_or(-1);
        }
    }

    fn push(&mut self, kind: Kind<'a>, start: usize) {
        let range = start..self.text.at();
        self.queue.push_back(Token { kind, range });
    }

    fn problem<T>(&self, rule: Rule, start: usize) -> Result<T, Problem> {
        Err(Problem { rule, at: self.text.at(), start })
    }

    /// Reads one token, and what it brings with it.
    fn fetch(&mut self) -> Result<(), Problem> {
        self.skip_to_token();
        self.unroll_indent(self.column());
        if self.text.is_end() {
            return self.stream_end();
        }
        let byte = self.text.byte();
        let starts_line = self.text.column() == 0;
        if starts_line && byte == b'%' {
            return self.directive();
        }
        if starts_line && self.text.is_indicator(b'-') {
            return self.document_indicator(Kind::DocumentStart);
        }
        if starts_line && self.text.is_indicator(b'.') {
            return self.document_indicator(Kind::DocumentEnd);
        }
        let flow = self.in_brackets();
        let blank_follows = self.text.is_blank_or_end(1);
        match byte {
            b'[' => self.bracket_opens(Kind::FlowSequenceStart),
            b'{' => self.bracket_opens(Kind::FlowMappingStart),
            b']' => self.bracket_closes(Kind::FlowSequenceEnd),
            b'}' => self.bracket_closes(Kind::FlowMappingEnd),
            b',' => self.flow_entry(),
            b'-' if blank_follows => self.block_entry(),
            b'?' if flow || blank_follows => self.key(),
            b':' if flow || blank_follows => self.value(),
            b'*' => self.anchor(Kind::Alias),
            b'&' => self.anchor(Kind::Anchor),
            b'!' => self.tag(),
            b'|' if !flow => self.block_scalar(Style::Literal),
            b'>' if !flow => self.block_scalar(Style::Folded),
            b'\'' => self.quoted(Style::Single),
            b'"' => self.quoted(Style::Double),
            b'\t' | b'#' | b'|' | b'>' | b'%' | b'@' | b'`' => self.problem(Rule::Character, self.text.at()),
            _ => self.plain(),
        }
    }

    /// Passes white space, comments and line breaks. A tab is white space only where no key may start.
    fn skip_to_token(&mut self) {
        loop {
            let tabs = self.in_brackets() || !self.simple_key_allowed;
            while self.text.byte() == b' ' || tabs && self.text.byte() == b'\t' {
                self.text.skip(1);
            }
            if self.text.byte() == b'#' {
                self.text.skip_line_text();
            }
            if self.text.read_break().is_none() {
                return;
            }
            if !self.in_brackets() {
                self.simple_key_allowed = true;
            }
        }
    }

    fn stream_end(&mut self) -> Result<(), Problem> {
        self.text.end_line();
        self.unroll_indent(-1);
        self.remove_simple_key()?;
        self.simple_key_allowed = false;
        self.push(Kind::StreamEnd, self.text.at());
        Ok(())
    }

    fn document_indicator(&mut self, kind: Kind<'a>) -> Result<(), Problem> {
        self.unroll_indent(-1);
        self.remove_simple_key()?;
        self.simple_key_allowed = false;
        let start = self.text.at();
        self.text.skip(3);
        self.push(kind, start);
        Ok(())
    }

    /// A token of one byte.
    fn indicator(&mut self, kind: Kind<'a>) {
        let start = self.text.at();
        self.text.skip(1);
        self.push(kind, start);
    }

    fn bracket_opens(&mut self, kind: Kind<'a>) -> Result<(), Problem> {
        self.save_simple_key()?;
        self.open_bracket()?;
        self.simple_key_allowed = true;
        self.indicator(kind);
        Ok(())
    }

    fn bracket_closes(&mut self, kind: Kind<'a>) -> Result<(), Problem> {
        self.remove_simple_key()?;
        self.close_bracket();
        self.simple_key_allowed = false;
        self.indicator(kind);
        Ok(())
    }

    fn flow_entry(&mut self) -> Result<(), Problem> {
        self.remove_simple_key()?;
        self.simple_key_allowed = true;
        self.indicator(Kind::FlowEntry);
        Ok(())
    }

    fn block_entry(&mut self) -> Result<(), Problem> {
        if !self.in_brackets() {
            if !self.simple_key_allowed {
                return self.problem(Rule::EntryNotAllowed, self.text.at());
            }
            self.roll_indent(self.column(), None, Kind::BlockSequenceStart, self.text.at())?;
        }
        self.remove_simple_key()?;
        self.simple_key_allowed = true;
        self.indicator(Kind::BlockEntry);
        Ok(())
    }

    fn key(&mut self) -> Result<(), Problem> {
        if !self.in_brackets() {
            if !self.simple_key_allowed {
                return self.problem(Rule::KeyNotAllowed, self.text.at());
            }
            self.roll_indent(self.column(), None, Kind::BlockMappingStart, self.text.at())?;
        }
        self.remove_simple_key()?;
        self.simple_key_allowed = !self.in_brackets();
        self.indicator(Kind::Key);
        Ok(())
    }

    fn value(&mut self) -> Result<(), Problem> {
        let top = self.top();
        if self.is_valid(top)?
            && let Some(key) = self.simple_keys.last_mut()
        {
            let (number, mark) = (key.token, key.mark);
            key.possible = false;
            key.awaited = false;
            self.insert(Some(number), Kind::Key, mark.offset);
            let column = isize::try_from(mark.column).unwrap_or(isize::MAX);
            self.roll_indent(column, Some(number), Kind::BlockMappingStart, mark.offset)?;
            self.simple_key_allowed = false;
        } else {
            if !self.in_brackets() {
                if !self.simple_key_allowed {
                    return self.problem(Rule::ValueNotAllowed, self.text.at());
                }
                self.roll_indent(self.column(), None, Kind::BlockMappingStart, self.text.at())?;
            }
            self.simple_key_allowed = !self.in_brackets();
        }
        self.indicator(Kind::Value);
        Ok(())
    }

    fn anchor(&mut self, kind: impl FnOnce(&'a str) -> Kind<'a>) -> Result<(), Problem> {
        self.save_simple_key()?;
        self.simple_key_allowed = false;
        let start = self.text.at();
        self.text.skip(1);
        let name = self.word();
        let follows = matches!(self.text.byte(), b'?' | b':' | b',' | b']' | b'}' | b'%' | b'@' | b'`');
        if name.is_empty() || !(follows || self.text.is_blank_or_end(0)) {
            return self.problem(Rule::AnchorName, start);
        }
        self.push(kind(name), start);
        Ok(())
    }

    /// Letters, digits, `-` and `_`.
    fn word(&mut self) -> &'a str {
        let start = self.text.at();
        while matches!(self.text.byte(), b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'-') {
            self.text.skip(1);
        }
        self.text.slice(start, self.text.at())
    }
}
