//! Texts as words of CEL. What is no word is reported and left out, so that one run finds what else is wrong.

use crate::diagnostic::{Diagnostic, DiagnosticKind};

/// What a word is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Token {
    Ident,
    /// Between backticks.
    Escaped,
    Int,
    Uint,
    Double,
    String,
    Bytes,
    True,
    False,
    Null,
    In,
    /// An operator or a bracket.
    Sign(&'static str),
    End,
}

/// A word and where it is, in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Word {
    pub token: Token,
    pub start: usize,
    pub end: usize,
}

/// Two characters before one, so that the longer one is found.
const SIGNS: &[&str] = &[
    "==", "!=", "<=", ">=", "&&", "||", "<", ">", "[", "]", "{", "}", "(", ")", ".", ",", "-", "!", "?", ":",
    "+", "*", "/", "%",
];

/// The words of a text, the last of which is [`Token::End`], and what is none.
pub(crate) fn words(text: &str) -> (Vec<Word>, Vec<Diagnostic>) {
    let mut lexer = Lexer { text, at: 0 };
    let mut words = Vec::new();
    let mut wrong = Vec::new();
    while let Some(next) = lexer.next(&mut wrong) {
        words.push(next);
    }
    words.push(Word { token: Token::End, start: text.len(), end: text.len() });
    (words, wrong)
}

/// A name in a text, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Name {
    /// Its bytes in the text.
    pub range: std::ops::Range<usize>,
    /// Whether it is a field or a function of what stands before it: it follows a dot.
    pub is_member: bool,
    /// Whether it is called.
    pub is_called: bool,
}

/// The names in a text, in order, also where the text is no expression. What stands in strings is none.
#[must_use]
pub fn names(text: &str) -> Vec<Name> {
    let words = words(text).0;
    let sign = |at: Option<&Word>, sign| at.is_some_and(|word| word.token == Token::Sign(sign));
    let is_name = |(_, word): &(usize, &Word)| word.token == Token::Ident;
    let all = words.iter().enumerate().filter(is_name);
    all.map(|(number, word)| Name {
        range: word.start..word.end,
        is_member: sign(number.checked_sub(1).and_then(|before| words.get(before)), "."),
        is_called: sign(words.get(number + 1), "("),
    })
    .collect()
}

struct Lexer<'t> {
    text: &'t str,
    at: usize,
}

fn digits(text: &str, is_digit: fn(u8) -> bool) -> usize {
    text.bytes().take_while(|byte| is_digit(*byte)).count()
}

const fn is_digit(byte: u8) -> bool {
    byte.is_ascii_digit()
}

const fn is_hex(byte: u8) -> bool {
    byte.is_ascii_hexdigit()
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

impl<'t> Lexer<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn skip_blanks(&mut self) {
        loop {
            let rest = self.rest();
            let blank = digits(rest, |byte| matches!(byte, b'\t' | b' ' | b'\r' | b'\n' | 0x0c));
            self.at += blank;
            let rest = self.rest();
            if rest.starts_with("//") {
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else if blank == 0 {
                return;
            }
        }
    }

    fn next(&mut self, wrong: &mut Vec<Diagnostic>) -> Option<Word> {
        loop {
            self.skip_blanks();
            let start = self.at;
            let rest = self.rest();
            if rest.is_empty() {
                return None;
            }
            let found = number(rest).or_else(|| quoted(rest)).or_else(|| name(rest)).or_else(|| sign(rest));
            if let Some((token, length)) = found {
                self.at += length;
                return Some(Word { token, start, end: self.at });
            }
            let length = unknown(rest);
            self.at += length;
            let shown = rest.get(..length).unwrap_or_default();
            let at = u32::try_from(start).unwrap_or(u32::MAX);
            let message = format!("Syntax error: token recognition error at: '{shown}'");
            wrong.push(Diagnostic::new(DiagnosticKind::Syntax, at, message));
        }
    }
}

/// How much of a text is no word: a quotation that does not end, up to where it would have to, or one
/// character.
fn unknown(rest: &str) -> usize {
    let first = rest.chars().next().map_or(1, char::len_utf8);
    let unquoted = rest.trim_start_matches(['b', 'B', 'r', 'R']);
    let opening = rest.len() - unquoted.len();
    let Some(mark) = unquoted.chars().next().filter(|c| matches!(c, '"' | '\'')) else { return first };
    let body = unquoted.get(1..).unwrap_or_default();
    let end = body.find(['\n', '\r', mark]).map_or(body.len(), |end| end + 1);
    (opening + 1 + end).min(rest.len())
}

fn sign(rest: &str) -> Option<(Token, usize)> {
    SIGNS.iter().find(|sign| rest.starts_with(**sign)).map(|sign| (Token::Sign(sign), sign.len()))
}

fn number(rest: &str) -> Option<(Token, usize)> {
    let whole = digits(rest, is_digit);
    let tail = |at: usize| rest.get(at..).unwrap_or_default();
    if rest.starts_with("0x") {
        let hex = digits(tail(2), is_hex);
        if hex > 0 {
            let end = 2 + hex;
            let unsigned = tail(end).starts_with(['u', 'U']);
            return Some((if unsigned { Token::Uint } else { Token::Int }, end + usize::from(unsigned)));
        }
    }
    let fraction = tail(whole).strip_prefix('.').map_or(0, |fraction| digits(fraction, is_digit));
    if whole == 0 && fraction == 0 {
        return None;
    }
    let mut end = whole + if fraction > 0 { fraction + 1 } else { 0 };
    let mut is_double = fraction > 0;
    if let Some(exponent) = tail(end).strip_prefix(['e', 'E']) {
        let signed = usize::from(exponent.starts_with(['+', '-']));
        let power = digits(exponent.get(signed..).unwrap_or_default(), is_digit);
        if power > 0 {
            end += 1 + signed + power;
            is_double = true;
        }
    }
    if is_double {
        return Some((Token::Double, end));
    }
    let unsigned = tail(end).starts_with(['u', 'U']);
    Some((if unsigned { Token::Uint } else { Token::Int }, end + usize::from(unsigned)))
}

fn name(rest: &str) -> Option<(Token, usize)> {
    if let Some(escaped) = rest.strip_prefix('`') {
        let inside = digits(escaped, |byte| is_word(byte) || matches!(byte, b'.' | b'-' | b'/' | b' '));
        let closed = escaped.get(inside..).is_some_and(|after| after.starts_with('`'));
        return (inside > 0 && closed).then_some((Token::Escaped, inside + 2));
    }
    let first = rest.bytes().next()?;
    if !first.is_ascii_alphabetic() && first != b'_' {
        return None;
    }
    let end = digits(rest, is_word);
    let token = match rest.get(..end)? {
        "true" => Token::True,
        "false" => Token::False,
        "null" => Token::Null,
        "in" => Token::In,
        _ => Token::Ident,
    };
    Some((token, end))
}

/// A text or bytes. The prefix is `b`, `r`, or both in this order.
fn quoted(rest: &str) -> Option<(Token, usize)> {
    let after_b = rest.strip_prefix(['b', 'B']);
    let unbound = after_b.unwrap_or(rest);
    let after_r = unbound.strip_prefix(['r', 'R']);
    let body = after_r.unwrap_or(unbound);
    let prefix = rest.len() - body.len();
    let length = if after_r.is_some() { raw(body) } else { escaped(body) }?;
    Some((if after_b.is_some() { Token::Bytes } else { Token::String }, prefix + length))
}

fn mark(body: &str) -> Option<&str> {
    ["\"\"\"", "'''", "\"", "'"].into_iter().find(|mark| body.starts_with(mark))
}

fn raw(body: &str) -> Option<usize> {
    let mark = mark(body)?;
    let inside = body.get(mark.len()..)?;
    match inside.find(mark) {
        Some(end) if mark.len() == 3 || !inside.get(..end)?.contains(['\n', '\r']) => {
            Some(mark.len() * 2 + end)
        }
        // Three marks may also be an empty text, and one mark more.
        _ if mark.len() == 3 => Some(2),
        _ => None,
    }
}

fn escaped(body: &str) -> Option<usize> {
    let mark = mark(body)?;
    match escaped_with(body, mark) {
        None if mark.len() == 3 => Some(2),
        found => found,
    }
}

fn escaped_with(body: &str, mark: &str) -> Option<usize> {
    let mut at = mark.len();
    loop {
        let rest = body.get(at..)?;
        if rest.starts_with(mark) {
            return Some(at + mark.len());
        }
        let c = rest.chars().next()?;
        if c == '\\' {
            at += escape(rest)?;
        } else if mark.len() == 1 && matches!(c, '\n' | '\r') {
            return None;
        } else {
            at += c.len_utf8();
        }
    }
}

/// How long an escape is, the backslash included.
fn escape(rest: &str) -> Option<usize> {
    let after = rest.get(2..).unwrap_or_default();
    let has = |count: usize| (digits(after, is_hex) >= count).then_some(2 + count);
    match rest.as_bytes().get(1)? {
        b'a' | b'b' | b'f' | b'n' | b'r' | b't' | b'v' | b'"' | b'\'' | b'\\' | b'?' | b'`' => Some(2),
        b'x' | b'X' => has(2),
        b'u' => has(4),
        b'U' => has(8),
        b'0'..=b'3' => (digits(after, |byte| matches!(byte, b'0'..=b'7')) >= 2).then_some(4),
        _ => None,
    }
}
