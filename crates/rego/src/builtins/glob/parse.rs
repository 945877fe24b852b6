//! From the text of a glob to its terms, as gobwas reads it.
//!
//! Its lexer has two habits that show: what is read ends at U+0000 between two terms, and U+FFFD is a
//! character that it cannot read.

use portcullis_value::LimitKind;

use super::super::{Failure, too_large, undefined};

/// Most braces in braces.
const MAX_OPEN: usize = 64;

/// A part of a glob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Term {
    /// An alternative of which nothing is left.
    Nothing,
    /// Characters that stand for themselves.
    Text(String),
    /// `[abc]`, `[!abc]`
    List { chars: Vec<char>, not: bool },
    /// `[a-c]`, `[!a-c]`
    Range { low: char, high: char, not: bool },
    /// `*`
    Any,
    /// `**`
    Super,
    /// `?`
    Single,
    /// Terms in a row.
    Sequence(Vec<Term>),
    /// `{a,b}`: sequences.
    Alternatives(Vec<Term>),
}

/// Braces that are open: the alternatives that are complete, and what stood before the braces.
struct Open {
    before: Vec<Term>,
    done: Vec<Term>,
}

/// Reads a glob. What is not closed ends with it.
pub(super) fn parse(text: &str) -> Result<Term, Failure> {
    let mut reader = Reader { rest: text };
    let mut open: Vec<Open> = Vec::new();
    let mut terms = Vec::new();
    while let Some(c) = reader.peek()? {
        match c {
            '{' => {
                if open.len() >= MAX_OPEN {
                    let message = format!("braces of a glob are nested more than {MAX_OPEN} deep");
                    return Err(too_large(LimitKind::Pattern, message));
                }
                reader.skip();
                open.push(Open { before: std::mem::take(&mut terms), done: Vec::new() });
            }
            ',' | '}' if !open.is_empty() => {
                reader.skip();
                if let Some(innermost) = open.last_mut() {
                    innermost.done.push(Term::Sequence(std::mem::take(&mut terms)));
                }
                if c == '}' {
                    close(&mut open, &mut terms);
                }
            }
            '[' => {
                reader.skip();
                terms.push(reader.class()?);
            }
            '?' => {
                reader.skip();
                terms.push(Term::Single);
            }
            '*' => {
                reader.skip();
                let is_super = reader.peek()? == Some('*');
                if is_super {
                    reader.skip();
                }
                terms.push(if is_super { Term::Super } else { Term::Any });
            }
            '\0' => break,
            _ => {
                let ends: &[char] =
                    if open.is_empty() { &['?', '*', '[', '{'] } else { &['?', '*', '[', '{', '}', ','] };
                let text = reader.text(ends)?;
                if !text.is_empty() {
                    terms.push(Term::Text(text.into_iter().collect()));
                }
            }
        }
    }
    while let Some(innermost) = open.last_mut() {
        innermost.done.push(Term::Sequence(std::mem::take(&mut terms)));
        close(&mut open, &mut terms);
    }
    Ok(Term::Sequence(terms))
}

/// Puts the alternatives after what stood before them.
fn close(open: &mut Vec<Open>, terms: &mut Vec<Term>) {
    if let Some(Open { before, done }) = open.pop() {
        *terms = before;
        terms.push(Term::Alternatives(done));
    }
}

struct Reader<'t> {
    rest: &'t str,
}

impl Reader<'_> {
    fn peek(&self) -> Result<Option<char>, Failure> {
        match self.rest.chars().next() {
            Some('\u{fffd}') => Err(undefined("could not read rune")),
            c => Ok(c),
        }
    }

    fn skip(&mut self) {
        let mut chars = self.rest.chars();
        chars.next();
        self.rest = chars.as_str();
    }

    /// The next character; none at the end, and for U+0000, which is taken for it.
    fn next(&mut self) -> Result<Option<char>, Failure> {
        let c = self.peek()?;
        self.skip();
        Ok(c.filter(|c| *c != '\0'))
    }

    /// Up to a character with a meaning, which is left.
    fn text(&mut self, ends: &[char]) -> Result<Vec<char>, Failure> {
        let mut text = Vec::new();
        let mut is_escaped = false;
        loop {
            if !is_escaped && self.peek()?.is_some_and(|c| ends.contains(&c)) {
                return Ok(text);
            }
            let Some(c) = self.next()? else { return Ok(text) };
            if c == '\\' && !is_escaped {
                is_escaped = true;
            } else {
                is_escaped = false;
                text.push(c);
            }
        }
    }

    /// After `[`: two ends of a range and nothing else, or characters.
    fn class(&mut self) -> Result<Term, Failure> {
        let end = || undefined("unexpected end of input");
        let mut first = self.peek()?.filter(|c| *c != '\0').ok_or_else(end)?;
        let not = first == '!';
        if not {
            self.skip();
            first = self.peek()?.filter(|c| *c != '\0').ok_or_else(end)?;
        }
        let mut ahead = Reader { rest: self.rest };
        ahead.skip();
        let term = if ahead.peek()? == Some('-') {
            ahead.skip();
            self.rest = ahead.rest;
            let high = self.next()?.ok_or_else(end)?;
            if high < first {
                return Err(undefined(format!("hi character '{high}' should be greater than lo '{first}'")));
            }
            Term::Range { low: first, high, not }
        } else {
            Term::List { chars: self.text(&[']'])?, not }
        };
        match self.next()? {
            None => Err(end()),
            Some(']') if matches!(&term, Term::List { chars, .. } if chars.is_empty()) => {
                Err(undefined("could not parse range"))
            }
            Some(']') => Ok(term),
            Some(_) => Err(undefined("expected close range character")),
        }
    }
}
