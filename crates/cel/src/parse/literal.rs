//! Numbers, texts and bytes as they are written.

use crate::ast::Literal;
use crate::lex::Token;

/// What a word is worth, or why it is nothing.
pub(super) fn literal(token: Token, text: &str, negative: bool) -> Result<Literal, String> {
    match token {
        Token::True => Ok(Literal::Bool(true)),
        Token::False => Ok(Literal::Bool(false)),
        Token::Int => {
            let magnitude = unsigned(text).map(i128::from);
            let value = magnitude.map(|value| if negative { -value } else { value });
            let value = value.and_then(|value| i64::try_from(value).ok());
            value.map(Literal::Int).ok_or_else(|| "invalid int literal".to_owned())
        }
        Token::Uint => {
            let digits = text.get(..text.len().saturating_sub(1)).unwrap_or_default();
            unsigned(digits).map(Literal::Uint).ok_or_else(|| "invalid uint literal".to_owned())
        }
        Token::Double => {
            let value = text.parse::<f64>().ok().filter(|value| value.is_finite());
            let value = value.map(|value| if negative { -value } else { value });
            value.map(Literal::Double).ok_or_else(|| "invalid double literal".to_owned())
        }
        Token::String => {
            let bytes = unescape(text, false)?;
            let text = String::from_utf8(bytes).map_err(|_| "invalid unicode code point".to_owned())?;
            Ok(Literal::String(text.into()))
        }
        Token::Bytes => Ok(Literal::Bytes(unescape(text.get(1..).unwrap_or_default(), true)?.into())),
        _ => Ok(Literal::Null),
    }
}

fn unsigned(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// What is between the marks of a quotation, with what is escaped as it is meant. Ends of lines are `\n`.
fn unescape(text: &str, is_bytes: bool) -> Result<Vec<u8>, String> {
    let text = text.replace("\r\n", "\n").replace('\r', "\n");
    let raw = text.strip_prefix(['r', 'R']);
    let quoted = raw.unwrap_or(&text);
    let marks =
        if quoted.len() >= 6 && (quoted.starts_with("'''") || quoted.starts_with("\"\"\"")) { 3 } else { 1 };
    let inside = quoted.get(marks..quoted.len().saturating_sub(marks)).unwrap_or_default();
    if raw.is_some() {
        return Ok(inside.as_bytes().to_vec());
    }
    let mut out = Vec::with_capacity(inside.len());
    let mut rest = inside;
    while let Some(c) = rest.chars().next() {
        rest = rest.get(c.len_utf8()..).unwrap_or_default();
        if c == '\\' {
            rest = escape(rest, is_bytes, &mut out)?;
        } else {
            push(&mut out, c);
        }
    }
    Ok(out)
}

fn push(out: &mut Vec<u8>, c: char) {
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
}

/// Reads what follows a backslash, and says what is left.
fn escape<'t>(rest: &'t str, is_bytes: bool, out: &mut Vec<u8>) -> Result<&'t str, String> {
    const UNABLE: &str = "unable to unescape string";
    let kind = rest.bytes().next().ok_or(UNABLE)?;
    let after = |count: usize| rest.get(count..).ok_or_else(|| UNABLE.to_owned());
    let plain = match kind {
        b'a' => Some(7),
        b'b' => Some(8),
        b'f' => Some(12),
        b'n' => Some(b'\n'),
        b'r' => Some(b'\r'),
        b't' => Some(b'\t'),
        b'v' => Some(11),
        b'\\' | b'\'' | b'"' | b'`' | b'?' => Some(kind),
        _ => None,
    };
    if let Some(byte) = plain {
        out.push(byte);
        return after(1);
    }
    let (start, length, radix) = match kind {
        b'x' | b'X' => (1, 2, 16),
        b'u' if !is_bytes => (1, 4, 16),
        b'U' if !is_bytes => (1, 8, 16),
        b'0'..=b'3' => (0, 3, 8),
        _ => return Err(UNABLE.to_owned()),
    };
    let digits = rest.get(start..start + length).ok_or(UNABLE)?;
    let value = u32::from_str_radix(digits, radix).map_err(|_| UNABLE.to_owned())?;
    match u8::try_from(value) {
        Ok(byte) if is_bytes => out.push(byte),
        _ => push(out, char::from_u32(value).ok_or("invalid unicode code point")?),
    }
    after(start + length)
}
