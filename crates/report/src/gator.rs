//! Objects as gator prints them, byte for byte: as Go's `encoding/json` and the YAML of Kubernetes' clients
//! do it.
//!
//! gator has read every number as a float of 64 bits, and prints it as one.

use std::cmp::Ordering;
use std::fmt::Write as _;

use portcullis_value::yaml_scalar;
use serde_json::Value;

/// An object as JSON, indented by four, without a line break at its end.
#[must_use]
pub fn json(value: &Value) -> String {
    let mut text = String::new();
    write_json(value, 0, &mut text);
    text
}

fn write_json(value: &Value, depth: usize, out: &mut String) {
    let line = |depth: usize, out: &mut String| {
        out.push('\n');
        out.extend(std::iter::repeat_n("    ", depth));
    };
    match value {
        Value::Array(items) if !items.is_empty() => {
            for (position, item) in items.iter().enumerate() {
                out.push(if position == 0 { '[' } else { ',' });
                line(depth + 1, out);
                write_json(item, depth + 1, out);
            }
            line(depth, out);
            out.push(']');
        }
        Value::Object(fields) if !fields.is_empty() => {
            let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
            fields.sort_by_key(|(key, _)| *key);
            for (position, (key, item)) in fields.into_iter().enumerate() {
                out.push(if position == 0 { '{' } else { ',' });
                line(depth + 1, out);
                write_json_text(key, out);
                out.push_str(": ");
                write_json(item, depth + 1, out);
            }
            line(depth, out);
            out.push('}');
        }
        Value::Array(_) => out.push_str("[]"),
        Value::Object(_) => out.push_str("{}"),
        Value::Null => out.push_str("null"),
        Value::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Number(number) => out.push_str(&json_number(number)),
        Value::String(text) => write_json_text(text, out),
    }
}

/// Go escapes what could end a script of HTML or a line of JavaScript.
fn write_json_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                // Writing to a string cannot fail.
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// Decimals, except for what is very large or very small.
fn json_number(number: &serde_json::Number) -> String {
    let number = number.as_f64().unwrap_or_default();
    let size = number.abs();
    if number == 0.0 || (1e-6..1e21).contains(&size) {
        return format!("{number}");
    }
    scientific(number, 1)
}

/// `d.ddde±XX`, with at least so many digits in the exponent.
fn scientific(number: f64, digits: usize) -> String {
    let text = format!("{number:e}");
    let Some((digits_of, exponent)) = text.split_once('e') else { return text };
    let (sign, exponent) = exponent.strip_prefix('-').map_or(('+', exponent), |exponent| ('-', exponent));
    format!("{digits_of}e{sign}{exponent:0>digits$}")
}

/// An object as YAML, with a line break at its end.
#[must_use]
pub fn yaml(value: &Value) -> String {
    let mut out = Yaml { text: String::new() };
    out.node(value, 0, Place::Root);
    out.text.push('\n');
    out.text
}

/// Where a node stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Root,
    /// Behind `key:`.
    Value,
    /// Behind `- `, on the same line.
    Item,
}

struct Yaml {
    text: String,
}

/// Where long lines are broken, at the next space.
const WIDTH: usize = 80;
/// What is longer is no simple key.
const SIMPLE_KEY: usize = 128;

impl Yaml {
    fn column(&self) -> usize {
        self.text.rsplit('\n').next().unwrap_or_default().chars().count()
    }

    fn line(&mut self, indent: usize) {
        self.text.push('\n');
        self.text.extend(std::iter::repeat_n(' ', indent));
    }

    /// A node whose children, if it has lines of its own, are indented by `indent`.
    fn node(&mut self, value: &Value, indent: usize, place: Place) {
        match value {
            Value::Object(fields) if !fields.is_empty() => {
                let mut keys: Vec<&String> = fields.keys().collect();
                keys.sort_by(|a, b| natural(a, b));
                for (position, key) in keys.into_iter().enumerate() {
                    if position > 0 || place == Place::Value {
                        self.line(indent);
                    }
                    let Some(child) = fields.get(key) else { continue };
                    let is_simple = key.len() <= SIMPLE_KEY && !key.contains(is_break);
                    if !is_simple {
                        self.text.push_str("? ");
                    }
                    self.scalar(key, indent + 2, is_simple);
                    if !is_simple {
                        self.line(indent);
                    }
                    self.text.push(':');
                    // A list stands at the indentation of its key.
                    let is_list = matches!(child, Value::Array(items) if !items.is_empty());
                    let below = if is_list { indent } else { indent + 2 };
                    if !is_block(child) {
                        self.text.push(' ');
                    }
                    self.node(child, below, Place::Value);
                }
            }
            Value::Array(items) if !items.is_empty() => {
                for (position, item) in items.iter().enumerate() {
                    if position > 0 || place == Place::Value {
                        self.line(indent);
                    }
                    self.text.push_str("- ");
                    self.node(item, indent + 2, Place::Item);
                }
            }
            Value::Array(_) => self.text.push_str("[]"),
            Value::Object(_) => self.text.push_str("{}"),
            Value::Null => self.text.push_str("null"),
            Value::Bool(value) => self.text.push_str(if *value { "true" } else { "false" }),
            Value::Number(number) => self.text.push_str(&yaml_number(number)),
            Value::String(text) => {
                self.scalar(text, indent.max(if place == Place::Root { 0 } else { 2 }), false);
            }
        }
    }

    /// A text, in the plainest style that means it.
    fn scalar(&mut self, text: &str, indent: usize, is_key: bool) {
        let styles = Styles::of(text);
        let is_plain = yaml_scalar::is_text(text)
            && !yaml_scalar::is_timestamp(text)
            && !is_base_60(text)
            && text != "<<";
        if text.contains('\n') {
            if styles.literal && !is_key {
                self.literal(text, indent);
            } else {
                self.double(text, indent, !is_key);
            }
        } else if is_plain && styles.plain {
            self.folded(text, indent, !is_key, |c, out| out.push(c));
        } else if is_plain && styles.single {
            self.text.push('\'');
            self.folded(text, indent, !is_key, |c, out| {
                out.push(c);
                if c == '\'' {
                    out.push(c);
                }
            });
            self.text.push('\'');
        } else {
            self.double(text, indent, !is_key);
        }
    }

    /// Breaks the line at a space that stands alone behind the width.
    fn folded(&mut self, text: &str, indent: usize, breaks: bool, put: impl Fn(char, &mut String)) {
        let chars: Vec<char> = text.chars().collect();
        let mut column = self.column();
        let mut after_space = false;
        for (position, &c) in chars.iter().enumerate() {
            let next = chars.get(position + 1);
            let is_inside = position > 0 && next.is_some();
            if c == ' ' {
                if breaks && !after_space && column > WIDTH && is_inside && next != Some(&' ') {
                    self.line(indent);
                    column = indent;
                } else {
                    put(c, &mut self.text);
                    column += 1;
                }
                after_space = true;
            } else {
                put(c, &mut self.text);
                column += 1;
                after_space = false;
            }
        }
    }

    fn double(&mut self, text: &str, indent: usize, breaks: bool) {
        self.text.push('"');
        let chars: Vec<char> = text.chars().collect();
        let mut after_space = false;
        let mut column = self.column();
        for (position, &c) in chars.iter().enumerate() {
            let before = self.text.len();
            if needs_escape(c) {
                self.escape(c);
                after_space = false;
            } else if c == ' ' {
                let is_inside = position > 0 && position + 1 < chars.len();
                if breaks && !after_space && column > WIDTH && is_inside {
                    self.line(indent);
                    column = indent;
                    if chars.get(position + 1) == Some(&' ') {
                        self.text.push('\\');
                        column += 1;
                    }
                    after_space = true;
                    continue;
                }
                self.text.push(' ');
                after_space = true;
            } else {
                self.text.push(c);
                after_space = false;
            }
            column += self.text.get(before..).map_or(0, |added| added.chars().count());
        }
        self.text.push('"');
    }

    fn escape(&mut self, c: char) {
        let short = match c {
            '\0' => Some('0'),
            '\u{7}' => Some('a'),
            '\u{8}' => Some('b'),
            '\t' => Some('t'),
            '\n' => Some('n'),
            '\u{b}' => Some('v'),
            '\u{c}' => Some('f'),
            '\r' => Some('r'),
            '\u{1b}' => Some('e'),
            '"' => Some('"'),
            '\\' => Some('\\'),
            '\u{85}' => Some('N'),
            '\u{a0}' => Some('_'),
            '\u{2028}' => Some('L'),
            '\u{2029}' => Some('P'),
            _ => None,
        };
        self.text.push('\\');
        let code = u32::from(c);
        // Writing to a string cannot fail.
        let _ = match (short, code) {
            (Some(short), _) => write!(self.text, "{short}"),
            (None, ..=0xff) => write!(self.text, "x{code:02X}"),
            (None, ..=0xffff) => write!(self.text, "u{code:04X}"),
            (None, _) => write!(self.text, "U{code:08X}"),
        };
    }

    /// `|`, and the lines as they are.
    fn literal(&mut self, text: &str, indent: usize) {
        self.text.push('|');
        if text.starts_with([' ', '\n']) {
            self.text.push('2');
        }
        match text.strip_suffix('\n') {
            None => self.text.push('-'),
            Some("") => self.text.push('+'),
            Some(rest) if rest.ends_with('\n') => self.text.push('+'),
            Some(_) => {}
        }
        for line in text.strip_suffix('\n').unwrap_or(text).split('\n') {
            self.text.push('\n');
            if !line.is_empty() {
                self.text.extend(std::iter::repeat_n(' ', indent));
                self.text.push_str(line);
            }
        }
    }
}

fn is_block(value: &Value) -> bool {
    match value {
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        _ => false,
    }
}

fn is_break(c: char) -> bool {
    matches!(c, '\n' | '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')
}

fn is_printable(c: char) -> bool {
    // Go's reader of YAML has no others, so that what is beyond 65,535 is escaped.
    matches!(c, '\n' | ' '..='~' | '\u{a0}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}') && c != '\u{feff}'
}

fn needs_escape(c: char) -> bool {
    !is_printable(c) || is_break(c) || matches!(c, '"' | '\\')
}

/// How a text can be written, besides with escapes.
struct Styles {
    plain: bool,
    /// In single quotes.
    single: bool,
    /// Line by line.
    literal: bool,
}

impl Styles {
    fn of(text: &str) -> Self {
        let chars: Vec<char> = text.chars().collect();
        let is_blank = |c: Option<&char>| c.is_none_or(|c| matches!(c, ' ' | '\t'));
        let is_edge = |c: Option<&char>| c.is_some_and(|c| *c == ' ' || is_break(*c));
        let pairs = || chars.iter().zip(chars.iter().skip(1));
        let is_special =
            chars.iter().any(|c| !is_printable(*c)) || pairs().any(|(a, b)| *a == ' ' && is_break(*b));
        let has_breaks = chars.iter().copied().any(is_break);
        let is_indicator = |(position, c): (usize, &char)| {
            let is_followed = is_blank(chars.get(position + 1));
            match (position, c) {
                (
                    0,
                    '#' | ',' | '[' | ']' | '{' | '}' | '&' | '*' | '!' | '|' | '>' | '\'' | '"' | '%' | '@'
                    | '`',
                ) => true,
                (0, '?' | '-') | (_, ':') => is_followed,
                (1.., '#') => is_blank(position.checked_sub(1).and_then(|before| chars.get(before))),
                _ => false,
            }
        };
        let has_indicators =
            text.starts_with("---") || text.starts_with("...") || chars.iter().enumerate().any(is_indicator);
        let is_at_edge = is_edge(chars.first()) || is_edge(chars.last());
        Self {
            plain: !text.is_empty() && !is_special && !has_breaks && !has_indicators && !is_at_edge,
            single: !is_special && !has_breaks,
            literal: !is_special && chars.last() != Some(&' '),
        }
    }
}

/// `1:20`, which YAML 1.1 takes for a number.
fn is_base_60(text: &str) -> bool {
    let mut parts = text.strip_prefix(['-', '+']).unwrap_or(text).split(':');
    let first = parts.next().unwrap_or_default();
    let is_first = first.starts_with(|c: char| c.is_ascii_digit())
        && first.chars().all(|c| c.is_ascii_digit() || c == '_');
    let rest: Vec<&str> = parts.collect();
    let Some((last, middle)) = rest.split_last() else { return false };
    let is_part = |part: &str| match part.as_bytes() {
        [one] => one.is_ascii_digit(),
        [tens, one] => (b'0'..=b'5').contains(tens) && one.is_ascii_digit(),
        _ => false,
    };
    let (whole, fraction) = last.split_once('.').unwrap_or((last, ""));
    is_first
        && middle.iter().all(|part| is_part(part))
        && is_part(whole)
        && fraction.chars().all(|c| c.is_ascii_digit() || c == '_')
}

/// A number of JSON, read by YAML and printed again: fractions with few digits before the point are decimals.
fn yaml_number(number: &serde_json::Number) -> String {
    let text = json_number(number);
    if text.parse::<i64>().is_ok() || text.parse::<u64>().is_ok() {
        return text;
    }
    let value: f64 = text.parse().unwrap_or_default();
    let exponent =
        format!("{value:e}").rsplit_once('e').and_then(|(_, exponent)| exponent.parse::<i32>().ok());
    match exponent {
        Some(exponent) if !(-4..6).contains(&exponent) => scientific(value, 2),
        _ => format!("{value}"),
    }
}

/// The order of keys: numbers in them by their size, letters behind all else.
fn natural(a: &str, b: &str) -> Ordering {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut digits = false;
    for (position, (&x, &y)) in a.iter().zip(&b).enumerate() {
        if x == y {
            digits = x.is_numeric();
            continue;
        }
        let less = |less: bool| if less { Ordering::Less } else { Ordering::Greater };
        match (x.is_alphabetic(), y.is_alphabetic()) {
            (true, true) => return x.cmp(&y),
            (false, false) => {}
            (is_letter, _) => return less(is_letter == digits),
        }
        let number = |text: &[char], start: i64| {
            let digits = text.iter().skip(position).take_while(|c| c.is_ascii_digit());
            digits.fold((start, 0usize), |(number, length), c| {
                let digit = i64::from(c.to_digit(10).unwrap_or_default());
                (number.wrapping_mul(10).wrapping_add(digit), length + 1)
            })
        };
        // Zeros count only behind another digit.
        let mut start = 0;
        if x == '0' || y == '0' {
            let before = a.iter().take(position).rev().take_while(|c| c.is_ascii_digit());
            start = i64::from(before.into_iter().any(|c| *c != '0'));
        }
        let ((n, ends), (m, others)) = (number(&a, start), number(&b, start));
        return n.cmp(&m).then(ends.cmp(&others)).then(x.cmp(&y));
    }
    a.len().cmp(&b.len())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    #[test]
    fn json_is_that_of_go() {
        let value =
            json!({"b": [], "a": {"x": "<&>\u{2028}\n", "n": 1.0, "m": 1e21, "s": 1e-7, "k": 0.5}, "o": {}});
        let text = "{\n    \"a\": {\n        \"k\": 0.5,\n        \"m\": 1e+21,\n        \"n\": 1,\n        \"s\": 1e-7,\n        \"x\": \"\\u003c\\u0026\\u003e\\u2028\\n\"\n    },\n    \"b\": [],\n    \"o\": {}\n}";
        assert_eq!(super::json(&value), text);
    }

    #[test]
    fn yaml_quotes_what_would_be_something_else() {
        let texts = json!([
            "",
            "yes",
            "n",
            "1",
            "1.5",
            "0x1",
            "1:20",
            "null",
            "~",
            "a: b",
            "a #b",
            "- a",
            "-a",
            "'a'",
            "it's",
            " a",
            "a ",
            "#a",
            "a",
            "2001-01-01",
            "*a",
            "a\tb",
            "é",
            "a:b",
            "<<",
            "=",
            "."
        ]);
        let text = super::yaml(&texts);
        let expected = "- \"\"\n- \"yes\"\n- \"n\"\n- \"1\"\n- \"1.5\"\n- \"0x1\"\n- \"1:20\"\n- \"null\"\n- \"~\"\n- 'a: b'\n- 'a #b'\n- '- a'\n- -a\n- '''a'''\n- it's\n- ' a'\n- 'a '\n- '#a'\n- a\n- \"2001-01-01\"\n- '*a'\n- \"a\\tb\"\n- é\n- a:b\n- \"<<\"\n- =\n- .\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn yaml_nests_lists_at_their_keys_and_keeps_lines() {
        let value =
            json!({"a": {"b": [{"c": 1, "d": [2]}, [3, []]], "script": "x\n  y\n", "end": "x\ny"}, "e": {}});
        let expected = "a:\n  b:\n  - c: 1\n    d:\n    - 2\n  - - 3\n    - []\n  end: |-\n    x\n    y\n  script: |\n    x\n      y\ne: {}\n";
        assert_eq!(super::yaml(&value), expected);
    }

    #[test]
    fn keys_come_in_natural_order() {
        let value = json!({"a10": 1, "a2": 1, "b": 1, "a-b": 1, "B": 1, "_": 1});
        assert_eq!(super::yaml(&value), "_: 1\nB: 1\na-b: 1\na2: 1\na10: 1\nb: 1\n");
    }

    #[test]
    fn what_yaml_cannot_show_is_escaped() {
        let value = json!({"emoji": "a 😀", "keep": "x\n\n", "tail": "x \ny"});
        assert_eq!(super::yaml(&value), "emoji: \"a \\U0001F600\"\nkeep: |+\n  x\n\ntail: \"x \\ny\"\n");
    }

    #[test]
    fn long_lines_are_broken_at_spaces() {
        let words = ["word"; 20].join(" ");
        let expected = format!("a: {}\n  {}\n", ["word"; 16].join(" "), ["word"; 4].join(" "));
        assert_eq!(super::yaml(&json!({"a": words})), expected);
    }
}
