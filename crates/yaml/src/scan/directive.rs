//! Directives and tags.

use std::borrow::Cow;

use super::Scanner;
use crate::problem::{Problem, Rule};
use crate::token::Kind;

impl<'a> Scanner<'a> {
    pub(super) fn directive(&mut self) -> Result<(), Problem> {
        self.unroll_indent(-1);
        self.remove_simple_key()?;
        self.simple_key_allowed = false;
        let start = self.text.at();
        self.text.skip(1);
        let name = self.word();
        if name.is_empty() || !self.text.is_blank_or_end(0) {
            return self.problem(Rule::DirectiveName, start);
        }
        let kind = match name {
            "YAML" => self.version(start)?,
            "TAG" => self.tag_directive(start)?,
            _ => return self.problem(Rule::DirectiveName, start),
        };
        self.push(kind, start);
        self.text.skip_blanks();
        if self.text.byte() == b'#' {
            self.text.skip_line_text();
        }
        if !self.text.is_end() && self.text.read_break().is_none() {
            return self.problem(Rule::DirectiveEnd, start);
        }
        Ok(())
    }

    fn version(&mut self, start: usize) -> Result<Kind<'a>, Problem> {
        self.text.skip_blanks();
        let major = self.version_number(start)?;
        if self.text.byte() != b'.' {
            return self.problem(Rule::DirectiveValue, start);
        }
        self.text.skip(1);
        Ok(Kind::Version(major, self.version_number(start)?))
    }

    fn version_number(&mut self, start: usize) -> Result<u8, Problem> {
        let from = self.text.at();
        while self.text.byte().is_ascii_digit() {
            self.text.skip(1);
        }
        let digits = self.text.slice(from, self.text.at());
        match digits.parse() {
            Ok(number) if digits.len() <= 2 => Ok(number),
            _ => self.problem(Rule::DirectiveValue, start),
        }
    }

    fn tag_directive(&mut self, start: usize) -> Result<Kind<'a>, Problem> {
        self.text.skip_blanks();
        let handle = self.tag_handle(start)?;
        if handle != "!" && !handle.ends_with('!') || !self.text.is_blank() {
            return self.problem(Rule::DirectiveValue, start);
        }
        self.text.skip_blanks();
        let prefix = self.tag_uri(None, start)?;
        if !self.text.is_blank_or_end(0) {
            return self.problem(Rule::DirectiveValue, start);
        }
        Ok(Kind::TagDirective { handle, prefix })
    }

    pub(super) fn tag(&mut self) -> Result<(), Problem> {
        self.save_simple_key()?;
        self.simple_key_allowed = false;
        let start = self.text.at();
        let (handle, suffix) = if self.text.peek(1) == b'<' {
            self.text.skip(2);
            let suffix = self.tag_uri(None, start)?;
            if self.text.byte() != b'>' {
                return self.problem(Rule::Tag, start);
            }
            self.text.skip(1);
            ("", suffix)
        } else {
            let handle = self.tag_handle(start)?;
            if handle.len() > 1 && handle.ends_with('!') {
                (handle, self.tag_uri(None, start)?)
            } else {
                match self.tag_uri(Some(handle), start)? {
                    // `!` alone.
                    suffix if suffix.is_empty() => ("", Cow::Borrowed("!")),
                    suffix => ("!", suffix),
                }
            }
        };
        if !self.text.is_blank_or_end(0) {
            return self.problem(Rule::TagEnd, start);
        }
        self.push(Kind::Tag { handle, suffix }, start);
        Ok(())
    }

    /// `!`, `!!` or `!name!`; or `!name`, which is the beginning of a tag.
    fn tag_handle(&mut self, start: usize) -> Result<&'a str, Problem> {
        let from = self.text.at();
        if self.text.byte() != b'!' {
            return self.problem(Rule::Tag, start);
        }
        self.text.skip(1);
        self.word();
        if self.text.byte() == b'!' {
            self.text.skip(1);
        }
        Ok(self.text.slice(from, self.text.at()))
    }

    /// What follows a handle. A `head` is a handle that turned out to be the beginning of this.
    fn tag_uri(&mut self, head: Option<&'a str>, start: usize) -> Result<Cow<'a, str>, Problem> {
        let from = self.text.at() - head.map_or(0, |head| head.len() - 1);
        let mut escaped: Option<Vec<u8>> = None;
        loop {
            match self.text.byte() {
                b'%' => {
                    let before = self.text.slice(from, self.text.at()).as_bytes();
                    let mut bytes = escaped.take().unwrap_or_else(|| before.to_vec());
                    self.uri_escape(&mut bytes, start)?;
                    escaped = Some(bytes);
                }
                byte @ (b'0'..=b'9'
                | b'A'..=b'Z'
                | b'a'..=b'z'
                | b'_'
                | b'-'
                | b';'
                | b'/'
                | b'?'
                | b':'
                | b'@'
                | b'&'
                | b'='
                | b'+'
                | b'$'
                | b','
                | b'.'
                | b'!'
                | b'~'
                | b'*'
                | b'\''
                | b'('
                | b')'
                | b'['
                | b']') => {
                    if let Some(bytes) = &mut escaped {
                        bytes.push(byte);
                    }
                    self.text.skip(1);
                }
                _ => break,
            }
        }
        if head.is_none() && self.text.at() == from {
            return self.problem(Rule::Tag, start);
        }
        match escaped.map(String::from_utf8) {
            None => Ok(Cow::Borrowed(self.text.slice(from, self.text.at()))),
            Some(Ok(uri)) => Ok(Cow::Owned(uri)),
            Some(Err(_)) => self.problem(Rule::Tag, start),
        }
    }

    /// The octets of one character, each as `%` and two hexadecimal digits.
    fn uri_escape(&mut self, bytes: &mut Vec<u8>, start: usize) -> Result<(), Problem> {
        let mut left = None;
        while left != Some(0) {
            let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
            let octet = digit(self.text.peek(1)).zip(digit(self.text.peek(2)));
            let Some((high, low)) = octet.filter(|_| self.text.byte() == b'%') else {
                return self.problem(Rule::Tag, start);
            };
            let octet = high << 4 | low;
            let more = match (left, octet) {
                (None, 0..=0x7f) => 0,
                (None, 0xc0..=0xdf) => 1,
                (None, 0xe0..=0xef) => 2,
                (None, 0xf0..=0xf7) => 3,
                (Some(left), 0x80..=0xbf) => left - 1,
                _ => return self.problem(Rule::Tag, start),
            };
            bytes.push(octet);
            left = Some(more);
            self.text.skip(3);
        }
        Ok(())
    }
}
