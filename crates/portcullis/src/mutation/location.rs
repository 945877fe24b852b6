//! Locations: which field a mutator changes, as a path of steps.
//!
//! ```text
//! location := step ('.' step)*
//! step     := name | name '[' name ':' (name | integer | '*') ']'
//! name     := letters, digits, '_' and '-' that do not begin with a digit | '…' | "…"
//! ```
//!
//! White space may stand between all parts. In quotes any character may stand; a backslash takes the next one
//! as it is.

use std::fmt;
use std::sync::Arc;

use crate::value::Value;

/// A path to fields of an object. Behind a choice of elements always comes a field, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Location {
    steps: Box<[Step]>,
}

/// A step of a location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// A field of an object.
    Field(Arc<str>),
    /// Elements of a list of objects.
    Elements {
        /// The field that tells elements apart.
        key: Arc<str>,
        wanted: Wanted,
    },
}

/// Which elements of a list are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// All that there are.
    All,
    /// The one whose key is a text; it is made if it is not there.
    Text(Arc<str>),
    /// The one whose key is an integer; it is made if it is not there.
    Integer(i64),
}

impl Wanted {
    /// Whether the key of an element is this one. Integers are compared with integers only, as in Gatekeeper.
    pub(super) fn is(&self, key: &Value) -> bool {
        match self {
            Self::All => true,
            Self::Text(text) => key.as_str() == Some(text),
            Self::Integer(number) => {
                let found = key.as_number().filter(|found| found.as_float().is_none());
                found.and_then(portcullis_value::Number::as_i64) == Some(*number)
            }
        }
    }

    /// As the key of an element that is made.
    pub(super) fn to_value(&self) -> Value {
        match self {
            Self::All => Value::NULL,
            Self::Text(text) => Value::from(text.clone()),
            Self::Integer(number) => Value::from(*number),
        }
    }
}

/// Most steps of a location: no document is nested deeper.
const MOST_STEPS: usize = 128;

/// Why a text is no location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct NoLocation {
    /// Where in the text, in bytes.
    pub(super) at: usize,
    /// What was expected.
    pub(super) message: String,
}

impl Location {
    pub(super) fn parse(text: &str) -> Result<Self, NoLocation> {
        Parser::new(text)?.location()
    }

    pub(super) fn steps(&self) -> &[Step] {
        &self.steps
    }

    pub(super) fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Whether this is the beginning of another one, or all of it.
    pub(super) fn begins(&self, other: &Self) -> bool {
        other.steps.starts_with(&self.steps)
    }
}

/// As it can be read again.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.steps.iter().enumerate() {
            match step {
                Step::Field(name) => write!(f, "{}{}", if position == 0 { "" } else { "." }, Name(name))?,
                Step::Elements { key, wanted: Wanted::All } => write!(f, "[{}: *]", Name(key))?,
                Step::Elements { key, wanted: Wanted::Text(text) } => {
                    write!(f, "[{}: {}]", Name(key), Name(text))?;
                }
                Step::Elements { key, wanted: Wanted::Integer(number) } => {
                    write!(f, "[{}: {number}]", Name(key))?;
                }
            }
        }
        Ok(())
    }
}

/// A name, in quotes if it needs them.
struct Name<'a>(&'a str);

impl fmt::Display for Name<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let begins_well = self.0.chars().next().is_some_and(|c| is_word(c) && !c.is_ascii_digit());
        if begins_well && self.0.chars().all(is_word) {
            return f.write_str(self.0);
        }
        write!(f, "\"{}\"", self.0.replace('\\', "\\\\").replace('"', "\\\""))
    }
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-')
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Name(Arc<str>),
    /// Digits, as they stand there.
    Digits(Box<str>),
    Dot,
    Open,
    Close,
    Colon,
    Star,
    End,
}

impl Token {
    fn describe(&self) -> String {
        match self {
            Self::Name(name) => format!("`{name}`"),
            Self::Digits(digits) => format!("the number `{digits}`"),
            Self::Dot => "`.`".to_owned(),
            Self::Open => "`[`".to_owned(),
            Self::Close => "`]`".to_owned(),
            Self::Colon => "`:`".to_owned(),
            Self::Star => "`*`".to_owned(),
            Self::End => "its end".to_owned(),
        }
    }
}

struct Parser<'t> {
    text: &'t str,
    /// Behind the token that comes next.
    at: usize,
    next: Token,
    /// Where that token begins.
    next_at: usize,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str) -> Result<Self, NoLocation> {
        let mut parser = Self { text, at: 0, next: Token::End, next_at: 0 };
        parser.advance()?;
        Ok(parser)
    }

    fn location(mut self) -> Result<Location, NoLocation> {
        let mut steps = Vec::new();
        if self.next == Token::End {
            return Ok(Location::default());
        }
        loop {
            match self.advance()? {
                (Token::Name(name), _) => steps.push(Step::Field(name)),
                (Token::Digits(digits), at) => {
                    let message =
                        format!("expected a field name, found the number `{digits}`; put it in quotes");
                    return Err(NoLocation { at, message });
                }
                (other, at) => return Err(expected("a field name", &other, at)),
            }
            if self.next == Token::Open {
                self.advance()?;
                steps.push(self.elements()?);
            }
            if steps.len() > MOST_STEPS {
                let message = format!("a location has at most {MOST_STEPS} steps");
                return Err(NoLocation { at: self.next_at, message });
            }
            match self.advance()? {
                (Token::End, _) => return Ok(Location { steps: steps.into() }),
                (Token::Dot, at) if self.next == Token::End => {
                    return Err(NoLocation { at, message: "a location must not end with `.`".to_owned() });
                }
                (Token::Dot, _) => {}
                (other, at) => return Err(expected("`.` or the end", &other, at)),
            }
        }
    }

    /// Behind the opening bracket.
    fn elements(&mut self) -> Result<Step, NoLocation> {
        let key = match self.advance()? {
            (Token::Name(name), _) => name,
            (other, at) => return Err(expected("the name of a key field", &other, at)),
        };
        match self.advance()? {
            (Token::Colon, _) => {}
            (other, at) => return Err(expected(&format!("`:` behind the key field `{key}`"), &other, at)),
        }
        let wanted = match self.advance()? {
            (Token::Star, _) => Wanted::All,
            (Token::Name(name), _) => Wanted::Text(name),
            (Token::Digits(digits), at) => {
                let message = || format!("the integer `{digits}` has more than 64 bits");
                let number = digits.parse().map_err(|_| NoLocation { at, message: message() })?;
                Wanted::Integer(number)
            }
            (other, at) => return Err(expected("the value of the key field, or `*`", &other, at)),
        };
        match self.advance()? {
            (Token::Close, _) => Ok(Step::Elements { key, wanted }),
            (other, at) => Err(expected("`]`", &other, at)),
        }
    }

    /// The next token and where it begins; reads the one behind it.
    fn advance(&mut self) -> Result<(Token, usize), NoLocation> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let trimmed = rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let begin = self.text.len() - trimmed.len();
        let (token, length) = match trimmed.chars().next() {
            None => (Token::End, 0),
            Some('.') => (Token::Dot, 1),
            Some('[') => (Token::Open, 1),
            Some(']') => (Token::Close, 1),
            Some(':') => (Token::Colon, 1),
            Some('*') => (Token::Star, 1),
            Some(quote @ ('"' | '\'')) => quoted(trimmed, quote).ok_or_else(|| {
                let message = format!("the quotation mark `{quote}` is not closed");
                NoLocation { at: begin, message }
            })?,
            Some(c) if c.is_ascii_digit() => {
                let end = trimmed.find(|c: char| !c.is_ascii_digit()).unwrap_or(trimmed.len());
                (Token::Digits(trimmed.get(..end).unwrap_or_default().into()), end)
            }
            Some(c) if is_word(c) => {
                let end = trimmed.find(|c: char| !is_word(c)).unwrap_or(trimmed.len());
                (Token::Name(trimmed.get(..end).unwrap_or_default().into()), end)
            }
            Some(c) => {
                let message = format!("`{c}` cannot stand here; names with such characters need quotes");
                return Err(NoLocation { at: begin, message });
            }
        };
        self.at = begin + length;
        let before = std::mem::replace(&mut self.next, token);
        Ok((before, std::mem::replace(&mut self.next_at, begin)))
    }
}

fn expected(what: &str, found: &Token, at: usize) -> NoLocation {
    NoLocation { at, message: format!("expected {what}, found {}", found.describe()) }
}

/// The text in quotes, and how long it is with them; `None` if they are not closed.
fn quoted(text: &str, quote: char) -> Option<(Token, usize)> {
    let mut inside = String::new();
    let mut characters = text.char_indices().skip(1);
    while let Some((at, c)) = characters.next() {
        match c {
            c if c == quote => return Some((Token::Name(inside.into()), at + 1)),
            '\\' => inside.push(characters.next()?.1),
            c => inside.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        match Location::parse(text) {
            Ok(location) => location.to_string(),
            Err(error) => format!("{}: {}", error.at, error.message),
        }
    }

    #[test]
    fn locations_are_read_and_written() {
        for text in [
            "spec.containers[name: *].image",
            "spec.containers[name: web].ports[containerPort: 8080].protocol",
            "metadata.labels.\"example.com/owner\"",
            "spec.a[\"b c\": \"\"]",
            "spec.\"9\".\"q\\\"q\".\"back\\\\slash\"",
            "-x._y",
            "",
        ] {
            assert_eq!(read(text), text);
        }
        assert_eq!(read(" spec . 'it\\'s' [ name : 'x y' ] . b\n"), "spec.\"it's\"[name: \"x y\"].b");
        assert_eq!(read("spec[name: -1]"), "spec[name: -1]");
    }

    #[test]
    fn what_is_no_location_is_told_with_its_place() {
        for (text, said) in [
            ("spec.", "4: a location must not end with `.`"),
            ("spec..x", "5: expected a field name, found `.`"),
            (".spec", "0: expected a field name, found `.`"),
            ("spec.9a", "5: expected a field name, found the number `9`; put it in quotes"),
            ("spec.a b", "7: expected `.` or the end, found `b`"),
            ("spec[name: x][name: y]", "13: expected `.` or the end, found `[`"),
            ("spec[name]", "9: expected `:` behind the key field `name`, found `]`"),
            ("spec[name: ", "11: expected the value of the key field, or `*`, found its end"),
            ("spec[name: x", "12: expected `]`, found its end"),
            ("spec[*: x]", "5: expected the name of a key field, found `*`"),
            ("spec.'x", "5: the quotation mark `'` is not closed"),
            ("spec.ü", "5: `ü` cannot stand here; names with such characters need quotes"),
            ("spec[a: 9223372036854775808]", "8: the integer `9223372036854775808` has more than 64 bits"),
        ] {
            assert_eq!(read(text), said, "{text}");
        }
        let deep = format!("a{}", ".a".repeat(MOST_STEPS));
        assert!(read(&deep).ends_with("a location has at most 128 steps"));
    }
}
