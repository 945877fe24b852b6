//! `glob.match`: globs are rewritten as regular expressions, which take linear time.
//!
//! | glob | matches | expression |
//! |---|---|---|
//! | `*` | anything without a delimiter | `[^.]*` |
//! | `**` | anything | `.*` |
//! | `?` | a character that is no delimiter | `[^.]` |
//! | `[abc]`, `[!abc]`, `[a-c]`, `[!a-c]` | a character, or another one | `[abc]`, … |
//! | `{a,b*}` | one of the globs | `(?:a\|b[^.]*)` |
//! | `\*` | the character | `\*` |

use regorus::Value;

use super::operand::{text, value, wrong_element, wrong_type};
use super::{Context, Failure, Outcome, regex, undefined};

table![
    "glob.match" / 3 => glob_match,
    "glob.quote_meta" / 1 => quote_meta,
];

/// Without delimiters, if they are null; an empty list of them means the dot.
fn glob_match(context: &mut Context<'_, '_>, args: &[Value]) -> Outcome {
    let glob = text(args, 1)?;
    let delimiters = match value(args, 2)? {
        Value::Null => String::new(),
        Value::Array(items) if items.is_empty() => ".".to_owned(),
        whole @ Value::Array(items) => {
            context.budget.make_items(items.len())?;
            let mut delimiters = String::new();
            for item in items.iter() {
                let Value::String(delimiter) = item else {
                    return Err(wrong_element(2, whole, item, "string"));
                };
                let mut chars = delimiter.chars();
                let (Some(c), None) = (chars.next(), chars.next()) else {
                    return Err(wrong_element(2, whole, item, "rune"));
                };
                delimiters.push(c);
            }
            delimiters
        }
        other => return Err(wrong_type(2, other, &["array", "null"])),
    };
    let text = text(args, 3)?;
    // Each wildcard is written with all delimiters.
    let longest = glob.len().saturating_mul(delimiters.len().saturating_mul(2) + 8);
    context.budget.make_text(longest)?;
    let expression = Translator { rest: glob, out: String::new(), delimiters: &delimiters }.translate()?;
    let pattern = regex::compile(context, &expression)?;
    regex::charge(context, &pattern, text)?;
    Ok(Value::Bool(pattern.is_match(text)))
}

/// Characters with a meaning, with a backslash before them.
fn quote_meta(context: &mut Context<'_, '_>, args: &[Value]) -> Outcome {
    let text = text(args, 1)?;
    context.budget.make_text(text.len().saturating_mul(2))?;
    let mut out = String::new();
    for c in text.chars() {
        if matches!(c, '*' | '?' | '\\' | '[' | ']' | '{' | '}') {
            out.push('\\');
        }
        out.push(c);
    }
    Ok(Value::from(out))
}

/// One pass from a glob to a regular expression of Go.
struct Translator<'t> {
    rest: &'t str,
    out: String,
    delimiters: &'t str,
}

impl Translator<'_> {
    fn translate(mut self) -> Result<String, Failure> {
        self.out.push_str(r"\A(?s:");
        let mut open = 0_usize;
        while let Some(c) = self.next() {
            match c {
                '*' if self.skip('*') => self.out.push_str(".*"),
                '*' => {
                    self.single();
                    self.out.push('*');
                }
                '?' => self.single(),
                '[' => self.class()?,
                '{' => {
                    open += 1;
                    self.out.push_str("(?:");
                }
                '}' if open > 0 => {
                    open -= 1;
                    self.out.push(')');
                }
                ',' if open > 0 => self.out.push('|'),
                '\\' => {
                    if let Some(c) = self.next() {
                        self.literal(c);
                    }
                }
                c => self.literal(c),
            }
        }
        // What is not closed ends with the glob.
        self.out.extend(std::iter::repeat_n(')', open));
        self.out.push_str(r")\z");
        Ok(self.out)
    }

    fn next(&mut self) -> Option<char> {
        let mut chars = self.rest.chars();
        let c = chars.next()?;
        self.rest = chars.as_str();
        Some(c)
    }

    fn skip(&mut self, c: char) -> bool {
        let rest = self.rest.strip_prefix(c);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// A character that is no delimiter.
    fn single(&mut self) {
        if self.delimiters.is_empty() {
            self.out.push('.');
            return;
        }
        self.out.push_str("[^");
        self.delimiters.chars().for_each(|c| self.literal(c));
        self.out.push(']');
    }

    fn literal(&mut self, c: char) {
        if c.is_ascii_punctuation() {
            self.out.push('\\');
        }
        self.out.push(c);
    }

    /// After `[`: two ends of a range and nothing else, or characters.
    fn class(&mut self) -> Result<(), Failure> {
        let end = || undefined("unexpected end of input");
        self.out.push('[');
        if self.skip('!') {
            self.out.push('^');
        }
        let mut ahead = self.rest.chars();
        if let (Some(low), Some('-'), Some(high)) = (ahead.next(), ahead.next(), ahead.next()) {
            if high < low {
                return Err(undefined(format!("hi character '{high}' should be greater than lo '{low}'")));
            }
            self.literal(low);
            self.out.push('-');
            self.literal(high);
            self.rest = ahead.as_str();
            return if self.skip(']') {
                self.out.push(']');
                Ok(())
            } else {
                Err(undefined("expected close range character"))
            };
        }
        let mut is_empty = true;
        loop {
            match self.next().ok_or_else(end)? {
                ']' if is_empty => return Err(undefined("could not parse range")),
                ']' => break,
                '\\' => {
                    let c = self.next().ok_or_else(end)?;
                    self.literal(c);
                }
                c => self.literal(c),
            }
            is_empty = false;
        }
        self.out.push(']');
        Ok(())
    }
}
