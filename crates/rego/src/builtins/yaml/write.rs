//! YAML in the way of go-yaml v2: blocks, keys in natural order, lists not indented below their key,
//! quotation marks where a text would not be read as one. Values are folded at the first space after 80
//! columns.

use std::cmp::Ordering;
use std::fmt::Write as _;

use portcullis_value::yaml_scalar as scalar;
use portcullis_value::{MAX_NESTING, Number, Output, TooLong, Value, View};

pub(super) fn write(out: &mut Output, value: &Value) -> Result<(), TooLong> {
    node(out, value, 0, Parent::Root)?;
    if is_block(value) { Ok(()) } else { out.push('\n') }
}

/// Where a value stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Parent {
    /// At the beginning of the text.
    Root,
    /// After a key and a colon.
    Entry,
    /// After a dash.
    Item,
}

fn is_block(value: &Value) -> bool {
    match value.view() {
        View::Array(items) => !items.is_empty(),
        View::Set(items) => !items.is_empty(),
        View::Object(object) => !object.is_empty(),
        _ => false,
    }
}

/// Writes a value; blocks begin where they stand after a dash, else in the next line.
fn node(out: &mut Output, value: &Value, indent: usize, place: Parent) -> Result<(), TooLong> {
    if indent > MAX_NESTING * 2 {
        return Err(TooLong::Nesting);
    }
    if !is_block(value) {
        if place != Parent::Root {
            out.push(' ')?;
        }
        return scalar_or_empty(out, value, indent);
    }
    match value.view() {
        View::Array(items) => list(out, items.iter(), indent, place),
        View::Set(items) => {
            out.make_room(items.len())?;
            list(out, items.iter(), indent, place)
        }
        View::Object(object) => {
            out.make_room(object.len())?;
            let mut entries = Vec::new();
            for (key, value) in object.iter() {
                let key = if let View::String(text) = key.view() {
                    text.to_owned()
                } else {
                    let mut inner = out.rest();
                    portcullis_value::json::write(&mut inner, key, None)?;
                    inner.into_text()
                };
                entries.push((key, value));
            }
            entries.sort_by(|a, b| natural(&a.0, &b.0));
            let indent = if place == Parent::Root { indent } else { indent + 2 };
            for (position, (key, value)) in entries.into_iter().enumerate() {
                match (position, place) {
                    (0, Parent::Root) => {}
                    (0, Parent::Item) => out.push(' ')?,
                    (0, Parent::Entry) => begin_line(out, indent)?,
                    _ => spaces(out, indent)?,
                }
                text(out, &key, indent, true)?;
                out.push(':')?;
                node(out, value, indent, Parent::Entry)?;
                if !is_block(value) {
                    out.push('\n')?;
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn list<'v>(
    out: &mut Output,
    items: impl Iterator<Item = &'v Value>,
    indent: usize,
    place: Parent,
) -> Result<(), TooLong> {
    let indent = if place == Parent::Item { indent + 2 } else { indent };
    for (position, item) in items.enumerate() {
        match (position, place) {
            (0, Parent::Root) => {}
            (0, Parent::Item) => out.push(' ')?,
            (0, Parent::Entry) => begin_line(out, indent)?,
            _ => spaces(out, indent)?,
        }
        out.push('-')?;
        node(out, item, indent, Parent::Item)?;
        if !is_block(item) {
            out.push('\n')?;
        }
    }
    Ok(())
}

fn begin_line(out: &mut Output, indent: usize) -> Result<(), TooLong> {
    out.push('\n')?;
    spaces(out, indent)
}

fn spaces(out: &mut Output, count: usize) -> Result<(), TooLong> {
    (0..count).try_for_each(|_| out.push(' '))
}

fn scalar_or_empty(out: &mut Output, value: &Value, indent: usize) -> Result<(), TooLong> {
    match value.view() {
        View::Null | View::Undefined => out.push_str("null"),
        View::Bool(value) => out.push_str(if value { "true" } else { "false" }),
        View::Number(value) => {
            // Asked for the same number in JSON first, as it has a limit.
            portcullis_value::write_number(&mut out.rest(), value)?;
            out.push_str(&number(value))
        }
        View::String(value) => text(out, value, indent, false),
        View::Array(_) | View::Set(_) => out.push_str("[]"),
        View::Object(_) => out.push_str("{}"),
    }
}

/// Integers that 64 bits have room for, and floats.
fn number(value: &Number) -> String {
    let text = value.text();
    if text.parse::<i64>().is_ok() || text.parse::<u64>().is_ok() {
        return text;
    }
    let Ok(float) = text.parse::<f64>() else { return text };
    let scientific = format!("{float:e}");
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..21).contains(&exponent) {
        return float.to_string();
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{mantissa}e{sign}{:02}", exponent.abs())
}

/// A text in the style that keeps it: plain, in quotation marks, or as lines.
fn text(out: &mut Output, text: &str, indent: usize, is_key: bool) -> Result<(), TooLong> {
    out.make_room(text.len())?;
    let form = Form::of(text);
    if text.contains('\n') && !is_key && form.can_be_lines {
        return lines(out, text, indent);
    }
    let fold = (!is_key).then_some(indent + 2);
    let is_read_as_text = scalar::is_text(text) && !scalar::is_timestamp(text) && !is_base_60(text);
    if is_read_as_text && !text.contains('\n') {
        if form.can_be_plain {
            return folded(out, text, fold, false);
        }
        if form.can_be_single_quoted {
            out.push('\'')?;
            folded(out, text, fold, true)?;
            return out.push('\'');
        }
    }
    double_quoted(out, text, fold)
}

/// Lines are at least as long as this before they are folded.
const WIDTH: usize = 80;

/// A text in one line, or in several of the given indentation.
fn folded(out: &mut Output, text: &str, fold: Option<usize>, is_quoted: bool) -> Result<(), TooLong> {
    let mut column = out.column();
    let mut after_space = false;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        let is_inside = !is_quoted || (at > 0 && chars.peek().is_some());
        let space_follows = chars.peek().is_some_and(|(_, next)| *next == ' ');
        match fold {
            Some(indent) if c == ' ' && column > WIDTH && !after_space && !space_follows && is_inside => {
                begin_line(out, indent)?;
                column = indent;
            }
            _ => {
                if c == '\'' && is_quoted {
                    out.push(c)?;
                    column += 1;
                }
                out.push(c)?;
                column += 1;
            }
        }
        after_space = c == ' ';
    }
    Ok(())
}

/// A literal block.
fn lines(out: &mut Output, text: &str, indent: usize) -> Result<(), TooLong> {
    out.push('|')?;
    if text.starts_with([' ', '\n']) {
        out.push('2')?;
    }
    let body = match text.strip_suffix('\n') {
        None => {
            out.push('-')?;
            text
        }
        Some(body) => {
            if body.is_empty() || body.ends_with('\n') {
                out.push('+')?;
            }
            body
        }
    };
    for line in body.split('\n') {
        out.push('\n')?;
        if !line.is_empty() {
            spaces(out, indent + 2)?;
            out.push_str(line)?;
        }
    }
    Ok(())
}

fn double_quoted(out: &mut Output, text: &str, fold: Option<usize>) -> Result<(), TooLong> {
    out.push('"')?;
    let mut code = String::new();
    let mut column = out.column();
    let mut after_space = false;
    let mut chars = text.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        if let Some(indent) = fold.filter(|_| c == ' ' && column > WIDTH && !after_space && at > 0)
            && let Some((_, next)) = chars.peek()
        {
            begin_line(out, indent)?;
            column = indent;
            if *next == ' ' {
                out.push('\\')?;
                column += 1;
            }
            after_space = true;
            continue;
        }
        after_space = c == ' ';
        let escape = match c {
            '"' => "\\\"",
            '\\' => "\\\\",
            '\0' => "\\0",
            '\x07' => "\\a",
            '\x08' => "\\b",
            '\t' => "\\t",
            '\n' => "\\n",
            '\x0b' => "\\v",
            '\x0c' => "\\f",
            '\r' => "\\r",
            '\x1b' => "\\e",
            '\u{85}' => "\\N",
            '\u{a0}' => "\\_",
            '\u{2028}' => "\\L",
            '\u{2029}' => "\\P",
            c if is_printable(c) => {
                out.push(c)?;
                column += 1;
                continue;
            }
            c => {
                let number = u32::from(c);
                code.clear();
                // Writing to a string does not fail.
                let _ = match number {
                    0..=0xff => write!(code, "\\x{number:02X}"),
                    0x100..=0xffff => write!(code, "\\u{number:04X}"),
                    _ => write!(code, "\\U{number:08X}"),
                };
                &code
            }
        };
        out.push_str(escape)?;
        column += escape.len();
    }
    out.push('"')
}

fn is_printable(c: char) -> bool {
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fefe}' | '\u{ff00}'..='\u{fffd}')
}

/// In which styles a text can be written.
struct Form {
    can_be_plain: bool,
    can_be_single_quoted: bool,
    can_be_lines: bool,
}

impl Form {
    fn of(text: &str) -> Self {
        if text.is_empty() {
            return Self { can_be_plain: false, can_be_single_quoted: true, can_be_lines: false };
        }
        let has_special = text.chars().any(|c| !is_printable(c) || is_break(c) && c != '\n');
        let ends_in_space = text.ends_with(' ');
        let space_at_break = text.contains(" \n");
        let break_before_space = text.contains("\n ");
        let breaks_at_ends = text.starts_with('\n') || text.ends_with('\n');
        let can_be_plain = !has_special
            && !text.contains('\n')
            && !text.starts_with(' ')
            && !ends_in_space
            && !breaks_at_ends
            && !has_indicator(text);
        Self {
            can_be_plain,
            can_be_single_quoted: !has_special && !space_at_break && !break_before_space,
            can_be_lines: !has_special && !ends_in_space && !space_at_break,
        }
    }
}

fn is_break(c: char) -> bool {
    matches!(c, '\r' | '\n' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

/// Whether a character would mean something else than itself.
fn has_indicator(text: &str) -> bool {
    if text.starts_with("---") || text.starts_with("...") {
        return true;
    }
    let mut before_is_space = true;
    let mut chars = text.chars().peekable();
    let mut is_first = true;
    while let Some(c) = chars.next() {
        let space_follows = chars.peek().is_none_or(|next| matches!(next, ' ' | '\t') || is_break(*next));
        let is_indicator = if is_first {
            match c {
                '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@'
                | '`' => true,
                '-' | '?' | ':' => space_follows,
                _ => false,
            }
        } else {
            match c {
                ':' => space_follows,
                '#' => before_is_space,
                _ => false,
            }
        };
        if is_indicator {
            return true;
        }
        before_is_space = matches!(c, ' ' | '\t') || is_break(c);
        is_first = false;
    }
    false
}

/// What old readers take for a number of minutes or degrees: `1:30`.
fn is_base_60(text: &str) -> bool {
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let mut parts = unsigned.split(':');
    let first = parts.next().unwrap_or_default();
    let is_first = first.starts_with(|c: char| c.is_ascii_digit())
        && first.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_');
    let rest: Vec<&str> = parts.collect();
    let last = rest.len().saturating_sub(1);
    is_first
        && !rest.is_empty()
        && rest.iter().enumerate().all(|(position, part)| {
            let (part, fraction) = match part.split_once('.') {
                Some((part, fraction)) if position == last => (part, fraction),
                _ => (*part, ""),
            };
            let is_digits = matches!(part.as_bytes(), [b'0'..=b'9'] | [b'0'..=b'5', b'0'..=b'9']);
            is_digits && fraction.bytes().all(|byte| byte.is_ascii_digit() || byte == b'_')
        })
}

/// The order of keys: numbers in them by their size, letters after what are none.
fn natural(left: &str, right: &str) -> Ordering {
    let (left, right): (Vec<char>, Vec<char>) = (left.chars().collect(), right.chars().collect());
    let common = left.iter().zip(&right).take_while(|(a, b)| a == b).count();
    let (Some(a), Some(b)) = (left.get(common), right.get(common)) else {
        return left.len().cmp(&right.len());
    };
    match (a.is_alphabetic(), b.is_alphabetic()) {
        (true, true) => return a.cmp(b),
        (true, false) => return Ordering::Greater,
        (false, true) => return Ordering::Less,
        (false, false) => {}
    }
    // A zero counts where a number has begun before it.
    let mut before = left.get(..common).unwrap_or_default().iter().rev().take_while(|c| c.is_ascii_digit());
    let first = u64::from((*a == '0' || *b == '0') && before.any(|c| *c != '0'));
    let number = |chars: &[char]| {
        let digits = chars.get(common..).unwrap_or_default().iter().map_while(|c| c.to_digit(10));
        digits.fold((first, 0), |(number, count), digit| {
            (number.saturating_mul(10).saturating_add(digit.into()), count + 1)
        })
    };
    number(&left).cmp(&number(&right)).then(a.cmp(b))
}
