//! JSON texts, as strictly as Go reads them. Of the same key twice, the last counts.

use super::JsonError;
use crate::budget::{Budget, Exceeded};
use crate::weigh::{MAX_NESTING, too_deep};
use crate::{JsonNumber, Number, Object, Value};

type Outcome = Result<Value, JsonError>;

/// The value of a text.
///
/// # Errors
///
/// If the text is no JSON, or a limit is exceeded: of nesting too.
pub fn parse(budget: &mut Budget<'_>, text: &str) -> Result<Value, JsonError> {
    let mut reader = Reader { budget, text, at: 0, is_built: true };
    reader.whole()
}

/// Whether the text is JSON.
///
/// # Errors
///
/// Only if a limit is exceeded.
pub fn is_valid(budget: &mut Budget<'_>, text: &str) -> Result<bool, Exceeded> {
    let mut reader = Reader { budget, text, at: 0, is_built: false };
    match reader.whole() {
        Ok(_) => Ok(true),
        Err(JsonError::Invalid(_)) => Ok(false),
        Err(JsonError::Limit(limit)) => Err(limit),
    }
}

fn invalid(sentence: impl Into<String>) -> JsonError {
    JsonError::Invalid(sentence.into())
}

struct Reader<'r, 'w> {
    budget: &'r mut Budget<'w>,
    text: &'r str,
    at: usize,
    /// Whether numbers are looked at, or only their syntax.
    is_built: bool,
}

impl<'r> Reader<'r, '_> {
    fn whole(&mut self) -> Outcome {
        self.budget.step(self.text.len() as u64 / 16 + 1)?;
        let value = self.value(0)?;
        self.skip_space();
        match self.peek() {
            None => Ok(value),
            Some(_) => Err(self.error("after top-level value")),
        }
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn error(&self, place: &str) -> JsonError {
        match self.text.get(self.at..).and_then(|rest| rest.chars().next()) {
            None => invalid("unexpected end of JSON input"),
            Some(c) => invalid(format!("invalid character {c:?} {place}")),
        }
    }

    fn value(&mut self, depth: usize) -> Outcome {
        if depth > MAX_NESTING {
            return Err(too_deep().into());
        }
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => Ok(Value::from(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word("true", Value::TRUE),
            Some(b'f') => self.word("false", Value::FALSE),
            Some(b'n') => self.word("null", Value::NULL),
            _ => Err(self.error("looking for beginning of value")),
        }
    }

    fn word(&mut self, word: &str, value: Value) -> Outcome {
        for byte in word.bytes() {
            if self.peek() != Some(byte) {
                return Err(self.error(&format!("in literal {word}")));
            }
            self.at += 1;
        }
        Ok(value)
    }

    fn number(&mut self) -> Outcome {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let is_part = |c: char| matches!(c, '0'..='9' | '.' | 'e' | 'E' | '+' | '-');
        let end = rest.find(|c| !is_part(c)).unwrap_or(rest.len());
        let text = rest.get(..end).unwrap_or_default();
        let is_number = JsonNumber::of(text).is_some();
        let value = if is_number && self.is_built {
            Number::parse(self.budget, text)?.map(Value::from)
        } else {
            Some(Value::NULL)
        };
        self.at += end;
        value.filter(|_| is_number).ok_or_else(|| {
            let shown: String = text.chars().take(40).collect();
            invalid(format!("invalid number {shown:?}"))
        })
    }

    fn array(&mut self, depth: usize) -> Outcome {
        self.at += 1;
        let mut items = Vec::new();
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::from(items));
        }
        loop {
            self.budget.make_items(1)?;
            items.push(self.value(depth + 1)?);
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b']') => {
                    self.at += 1;
                    return Ok(Value::from(items));
                }
                _ => return Err(self.error("after array element")),
            }
        }
    }

    fn object(&mut self, depth: usize) -> Outcome {
        self.at += 1;
        let mut entries = Vec::new();
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::from(entries.into_iter().collect::<Object>()));
        }
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return Err(self.error("looking for beginning of object key string"));
            }
            self.budget.make_items(2)?;
            let key = Value::from(self.string()?);
            self.skip_space();
            if self.peek() != Some(b':') {
                return Err(self.error("after object key"));
            }
            self.at += 1;
            let value = self.value(depth + 1)?;
            entries.push((key, value));
            self.skip_space();
            match self.peek() {
                Some(b',') => self.at += 1,
                Some(b'}') => {
                    self.at += 1;
                    return Ok(Value::from(entries.into_iter().collect::<Object>()));
                }
                _ => return Err(self.error("after object key:value pair")),
            }
        }
    }

    /// A text, of which the quotation mark comes next.
    fn string(&mut self) -> Result<String, JsonError> {
        self.at += 1;
        let mut text = String::new();
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let end = rest.find(|c: char| matches!(c, '"' | '\\' | '\0'..='\x1f')).unwrap_or(rest.len());
            let plain: &'r str = rest.get(..end).unwrap_or_default();
            self.budget.take(end)?;
            text.push_str(plain);
            self.at += end;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(text);
                }
                Some(b'\\') => {
                    self.at += 1;
                    text.push(self.escape()?);
                }
                _ => return Err(self.error("in string literal")),
            }
        }
    }

    /// After a backslash.
    fn escape(&mut self) -> Result<char, JsonError> {
        let c = match self.peek() {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\x08',
            Some(b'f') => '\x0c',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                self.at += 1;
                return self.code();
            }
            _ => return Err(self.error("in string escape code")),
        };
        self.at += 1;
        Ok(c)
    }

    /// After `\u`. Half of a pair by itself is not a character.
    fn code(&mut self) -> Result<char, JsonError> {
        let high = self.unit()?;
        if let Some(c) = char::from_u32(high) {
            return Ok(c);
        }
        let after_high = self.at;
        if high < 0xdc00 && self.text.get(self.at..).is_some_and(|rest| rest.starts_with("\\u")) {
            self.at += 2;
            let low = self.unit()?;
            if (0xdc00..0xe000).contains(&low) {
                let code = 0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                return Ok(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            self.at = after_high;
        }
        Ok(char::REPLACEMENT_CHARACTER)
    }

    fn unit(&mut self) -> Result<u32, JsonError> {
        let mut code = 0;
        for _ in 0..4 {
            let digit = self.peek().and_then(|byte| char::from(byte).to_digit(16));
            code = code * 16 + digit.ok_or_else(|| self.error("in \\u hexadecimal character escape"))?;
            self.next();
        }
        Ok(code)
    }
}
