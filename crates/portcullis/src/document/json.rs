//! JSON values in, documents out: one value, several in a row, one per line, or separated by `---`.
//!
//! A scanner of our own, because positions are needed and because `serde_json` into a dynamic value gives
//! some keys a meaning of its own. Numbers and duplicate keys are treated as Go's decoder treats them.

use std::borrow::Cow;
use std::sync::Arc;

use portcullis_value::JsonNumber;
use portcullis_value::yaml_scalar as scalar;

use super::build::{Builder, Shape};
use super::problems::quote;
use super::{Output, Taken};
use crate::error::ErrorKind;
use crate::limits::Limits;
use crate::source::{Source, clamp};
use crate::value::Value;

/// What came out, and whether the text is JSON at all.
pub(super) struct Reading {
    pub(super) output: Output,
    /// Where the values end, if anything else follows them: a separator, or what is no JSON.
    pub(super) end: Option<End>,
    /// Several values follow each other without `---`: whatever this is, it is not YAML.
    pub(super) is_stream: bool,
}

/// The end of the values.
#[derive(Clone, Copy)]
pub(super) struct End {
    /// Where something else follows.
    pub(super) offset: usize,
    /// How many documents came before.
    pub(super) documents: usize,
}

/// Reads a source as a stream of JSON values. `base` is where its text starts, after a byte order mark.
pub(super) fn read(source: &Arc<Source>, base: usize, limits: &Limits, taken: Taken) -> Reading {
    read_into(source, base, limits, Output { taken, ..Output::default() })
}

/// Reads a source as JSON values, of which lists stay what they are.
pub(super) fn read_objects(source: &Arc<Source>, limits: &Limits) -> Output {
    read_into(source, 0, limits, Output { taken: Taken::Objects, ..Output::default() }).output
}

fn read_into(source: &Arc<Source>, base: usize, limits: &Limits, mut output: Output) -> Reading {
    let mut scanner = Scanner {
        text: source.text(),
        at: base,
        document: base,
        builder: Builder::new(source, limits),
        expects: Expects::Value,
    };
    let (mut end, mut values, mut separated) = (None, 0_usize, false);
    loop {
        let before = scanner.at;
        let Some(separators) = scanner.next_document() else { break };
        separated |= separators > 0;
        let here = End { offset: before, documents: output.documents_seen };
        if separators > 0 {
            end.get_or_insert(here);
        }
        match scanner.document() {
            Ok(()) => {
                values += 1;
                match scanner.builder.finish() {
                    Some((value, marks)) => output.emit(&mut scanner.builder.problems, value, marks),
                    None => output.documents_seen += 1,
                }
            }
            Err(Stop { syntax, at, is_json }) => {
                if let Some((message, hint)) = syntax {
                    if !is_json {
                        end.get_or_insert(here);
                    }
                    let width =
                        scanner.text.get(at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
                    let location = scanner.builder.problems.location(clamp(at)..clamp(at + width));
                    let error =
                        crate::error::Error::new(ErrorKind::Syntax, message).at(location).maybe_hint(hint);
                    scanner.builder.report(error);
                }
                scanner.builder.abandon();
                output.documents_seen += 1;
                scanner.skip_to_next();
            }
        }
    }
    output.problems = scanner.builder.problems.into_list();
    Reading { output, end, is_stream: values > 0 && !separated }
}

/// Why a document ends early. Without a message the problem has been reported.
struct Stop {
    syntax: Option<(String, Option<String>)>,
    at: usize,
    /// JSON it is, but not what we can take.
    is_json: bool,
}

/// What may come next inside of a document.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expects {
    Value,
    /// The first item, or the end of the list.
    FirstItem,
    /// The first key, or the end of the object.
    FirstKey,
    Key,
    /// A comma or a closing bracket.
    Next,
    End,
}

struct Scanner<'a> {
    text: &'a str,
    at: usize,
    /// Where the document starts.
    document: usize,
    builder: Builder<'a>,
    expects: Expects,
}

impl<'a> Scanner<'a> {
    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_whitespace(&mut self) {
        while matches!(self.byte(), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
    }

    /// Goes to the next document and returns how many separators were passed; `None` at the end.
    fn next_document(&mut self) -> Option<usize> {
        let mut separators = 0;
        loop {
            self.skip_whitespace();
            self.byte()?;
            let rest = self.text.get(self.at..)?;
            let at_line_start = self.at == 0 || self.text.as_bytes().get(self.at - 1) == Some(&b'\n');
            let after = rest
                .strip_prefix("---")
                .filter(|after| after.is_empty() || after.starts_with(char::is_whitespace));
            if !at_line_start || after.is_none() {
                return Some(separators);
            }
            separators += 1;
            self.at += 3;
        }
    }

    /// After an error: to the next line that starts with a brace or a separator.
    fn skip_to_next(&mut self) {
        let mut rest = self.text.get(self.at..).unwrap_or_default();
        if self.starts_document(rest) {
            return;
        }
        loop {
            rest = rest.split_once('\n').map_or("", |(_, lines)| lines);
            if rest.is_empty() || rest.starts_with('{') || rest.starts_with("---") {
                break;
            }
        }
        self.at = self.text.len() - rest.len();
    }

    /// Whether what follows is a brace at the start of a line, which is never inside of an indented object.
    fn starts_document(&self, rest: &str) -> bool {
        let line_start =
            self.at.checked_sub(1).and_then(|before| self.text.as_bytes().get(before)) == Some(&b'\n');
        line_start && rest.starts_with('{') && self.at > self.document
    }

    fn stop<T>(&self, message: impl Into<String>) -> Result<T, Stop> {
        Err(Stop { syntax: Some((message.into(), None)), at: self.at, is_json: false })
    }

    fn document(&mut self) -> Result<(), Stop> {
        self.expects = Expects::Value;
        self.document = self.at;
        loop {
            if self.expects == Expects::End {
                return Ok(());
            }
            self.skip_whitespace();
            let Some(byte) = self.byte() else { return self.end_of_text() };
            match (self.expects, byte) {
                (Expects::FirstItem, b']') | (Expects::FirstKey, b'}') => self.close(),
                (Expects::Value | Expects::FirstItem, _) => self.value(byte)?,
                (Expects::FirstKey | Expects::Key, b'"') => self.key()?,
                (Expects::Key, b'}') => return self.stop("JSON does not allow a comma after the last entry"),
                (Expects::FirstKey | Expects::Key, _) => {
                    return self.stop(format!("expected a key in double quotes, found {}", self.found()));
                }
                (Expects::Next | Expects::End, _) => self.next(byte)?,
            }
        }
    }

    fn end_of_text(&self) -> Result<(), Stop> {
        match self.builder.open() {
            Some((shape, open)) => {
                let bracket = if shape == Shape::List { '[' } else { '{' };
                let message = format!("this `{bracket}` is not closed");
                Err(Stop { syntax: Some((message, None)), at: open as usize, is_json: false })
            }
            None => self.stop("expected a JSON value"),
        }
    }

    fn next(&mut self, byte: u8) -> Result<(), Stop> {
        if self.starts_document(self.text.get(self.at..).unwrap_or_default()) {
            return self.end_of_text();
        }
        let shape = self.builder.open().map(|(shape, _)| shape);
        match (shape, byte) {
            (Some(Shape::List), b',') => self.expects = Expects::Value,
            (Some(Shape::Object), b',') => self.expects = Expects::Key,
            (Some(Shape::List), b']') | (Some(Shape::Object), b'}') => {
                self.close();
                return Ok(());
            }
            (Some(Shape::List), _) => {
                return self.stop(format!("expected `,` or `]`, found {}", self.found()));
            }
            _ => return self.stop(format!("expected `,` or `}}`, found {}", self.found())),
        }
        self.at += 1;
        Ok(())
    }

    fn close(&mut self) {
        self.at += 1;
        self.builder.end(Some(clamp(self.at)));
        self.value_ended();
    }

    fn value_ended(&mut self) {
        self.expects = if self.builder.open().is_some() { Expects::Next } else { Expects::End };
    }

    fn key(&mut self) -> Result<(), Stop> {
        let start = self.at;
        let text = self.string()?;
        self.builder.key(&text, scalar::KeyKind::Text, clamp(start)..clamp(self.at));
        self.skip_whitespace();
        if self.byte() != Some(b':') {
            return self.stop(format!("expected a colon after the key, found {}", self.found()));
        }
        self.at += 1;
        self.expects = Expects::Value;
        Ok(())
    }

    fn value(&mut self, byte: u8) -> Result<(), Stop> {
        let start = self.at;
        let value = match byte {
            b'{' | b'[' => {
                let shape = if byte == b'{' { Shape::Object } else { Shape::List };
                let span = clamp(start)..clamp(start + 1);
                if self.builder.begin(shape, span, 0).is_err() {
                    return Err(Stop { syntax: None, at: start, is_json: true });
                }
                self.at += 1;
                self.expects = if byte == b'{' { Expects::FirstKey } else { Expects::FirstItem };
                return Ok(());
            }
            b'"' => Value::from(self.string()?),
            b'-' | b'0'..=b'9' => self.number()?,
            b']' if self.builder.open().is_some_and(|(shape, _)| shape == Shape::List) => {
                return self.stop("JSON does not allow a comma after the last item");
            }
            _ => self.word()?,
        };
        if self.builder.scalar(value, clamp(start)..clamp(self.at), 0).is_err() {
            return Err(Stop { syntax: None, at: start, is_json: true });
        }
        self.value_ended();
        Ok(())
    }

    fn word(&mut self) -> Result<Value, Stop> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let end = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
        let value = match rest.get(..end).unwrap_or_default() {
            "true" => Value::TRUE,
            "false" => Value::FALSE,
            "null" => Value::NULL,
            _ => return self.stop(format!("expected a JSON value, found {}", self.found())),
        };
        self.at += end;
        Ok(value)
    }

    fn number(&mut self) -> Result<Value, Stop> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let end =
            rest.find(|c: char| !matches!(c, '0'..='9' | '+' | '-' | '.' | 'e' | 'E')).unwrap_or(rest.len());
        let text = rest.get(..end).unwrap_or_default();
        let Some(shape) = JsonNumber::of(text) else {
            return self.stop(format!("`{}` is not a JSON number", quote(text)));
        };
        let value = if shape == JsonNumber::Integer {
            text.parse::<u64>().map(Value::from).or_else(|_| text.parse::<i64>().map(Value::from)).ok()
        } else {
            None
        };
        // What is written as a float is one: CEL tells `2.0` from `2`, as the API server reads them.
        let float = || text.parse().ok().filter(|float: &f64| float.is_finite());
        let float = || float().map(|float| Value::from(portcullis_value::Number::kept_as_float(float)));
        let Some(value) = value.or_else(float) else {
            let message = format!("the number `{}` is too large", quote(text));
            return Err(Stop { syntax: Some((message, None)), at: self.at, is_json: true });
        };
        self.at += end;
        Ok(value)
    }

    /// A string with its quotes; the value is borrowed if it has no escapes.
    fn string(&mut self) -> Result<Cow<'a, str>, Stop> {
        let open = self.at;
        let start = open + 1;
        let mut escaped = false;
        let mut at = start;
        loop {
            let rest = self.text.as_bytes().get(at..).unwrap_or_default();
            at += rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20)).unwrap_or(rest.len());
            match self.text.as_bytes().get(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    at += 2;
                }
                Some(b'\n') | None => {
                    return Err(Stop {
                        syntax: Some(("this quote is not closed".to_owned(), None)),
                        at: open,
                        is_json: false,
                    });
                }
                Some(0..0x20) => {
                    self.at = at;
                    return self.stop("a control character in a string has to be escaped");
                }
                Some(_) => at += 1,
            }
        }
        let raw = self.text.get(start..at).unwrap_or_default();
        if !escaped {
            self.at = at + 1;
            return Ok(Cow::Borrowed(raw));
        }
        match unescape(raw) {
            Ok(text) => {
                self.at = at + 1;
                Ok(Cow::Owned(text))
            }
            Err(bad) => {
                self.at = start + bad;
                self.stop("this is not an escape that JSON knows")
            }
        }
    }

    /// What stands at the position, for messages.
    fn found(&self) -> String {
        match self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            None => "the end of the text".to_owned(),
            Some(character) if character.is_control() => "a control character".to_owned(),
            Some(character) if character.is_alphanumeric() => {
                let rest = self.text.get(self.at..).unwrap_or_default();
                format!("`{}`", rest.chars().take(20).take_while(|c| c.is_alphanumeric()).collect::<String>())
            }
            Some(character) => format!("`{character}`"),
        }
    }
}

/// The text of a string without its escapes; half a surrogate pair becomes U+FFFD, as in Go. The error is the
/// offset of what is not an escape.
fn unescape(raw: &str) -> Result<String, usize> {
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some((before, escape)) = rest.split_once('\\') {
        text.push_str(before);
        let bad = raw.len() - escape.len() - 1;
        let kind = escape.chars().next().ok_or(bad)?;
        rest = escape.get(kind.len_utf8()..).ok_or(bad)?;
        text.push(match kind {
            '"' | '\\' | '/' => kind,
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let first = unit(rest).ok_or(bad)?;
                rest = rest.get(4..).ok_or(bad)?;
                let second =
                    rest.strip_prefix("\\u").and_then(unit).filter(|_| (0xd800..0xdc00).contains(&first));
                let pair = second.and_then(|second| char::decode_utf16([first, second]).next()?.ok());
                if pair.is_some() {
                    rest = rest.get(6..).ok_or(bad)?;
                }
                pair.or_else(|| char::from_u32(u32::from(first))).unwrap_or(char::REPLACEMENT_CHARACTER)
            }
            _ => return Err(bad),
        });
    }
    text.push_str(rest);
    Ok(text)
}

/// Four hexadecimal digits.
fn unit(text: &str) -> Option<u16> {
    let digits = text.get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
    u16::from_str_radix(digits, 16).ok()
}
