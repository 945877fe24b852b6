//! Regular expressions as Go reads them, because that is what the API server runs for `pattern` and OPA for
//! `regex.match`.
//!
//! The `regex` crate is of the same family (RE2: linear time, no backreferences, no lookaround), but not the
//! same language. A pattern is therefore rewritten before it is compiled:
//!
//! | Go | `regex` crate | we write |
//! |---|---|---|
//! | `\d \w \s \b` are ASCII | are Unicode | ASCII classes |
//! | `\Q…\E` is literal text | is an error | escaped text |
//! | `{` that begins no repetition is literal | is an error | `\{` |
//! | `[[a]`, `[a&&b]`, `[a--b]`: plain characters | nested classes, set operations | escaped characters |
//! | `\<`, `\_` are plain characters | word start, an error | escaped characters |
//! | `\12` is octal | is an error | `\x{a}` |
//! | `\p{^Greek}` | is an error | `\P{Greek}` |
//! | `a**` and `a{1001}` are errors | are accepted | errors |
//!
//! Everything else that the crate knows and Go does not (`\u{…}`, `(?x)`, `\b{start}`) is an error as well.

use std::fmt::{self, Write as _};
use std::iter::Peekable;
use std::str::Chars;
use std::sync::Arc;

use regex::{Regex, RegexBuilder};

/// Most repetitions that `{n,m}` may ask for.
const MAX_REPEAT: u32 = 1000;

/// Largest compiled form, in bytes.
const MAX_SIZE: usize = 10 << 20;

/// A compiled regular expression. It matches anywhere in a text unless it is anchored.
#[derive(Clone, Debug)]
pub struct Pattern {
    text: Arc<str>,
    regex: Regex,
    weight: u64,
    is_open: bool,
}

/// What is wrong with a pattern.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PatternError {
    /// It is none in Go either.
    #[error("{0}")]
    Invalid(String),
    /// Its compiled form is too large; it may well be one in Go.
    #[error("is too large")]
    TooLarge,
}

impl Pattern {
    /// Compiles a pattern, or says what is wrong with it.
    pub fn compile(text: &str) -> Result<Self, PatternError> {
        let translator = Translator {
            rest: text.chars().peekable(),
            out: String::new(),
            groups: Vec::new(),
            before: 0,
            last: 0,
            is_endless: false,
            is_open: false,
        };
        let (translated, weight, is_open) = translator.translate().map_err(PatternError::Invalid)?;
        // Its errors quote the rewritten pattern, so only their kind is of use.
        let regex =
            RegexBuilder::new(&translated).size_limit(MAX_SIZE).build().map_err(|error| match error {
                regex::Error::CompiledTooBig(_) => PatternError::TooLarge,
                error => PatternError::Invalid(last_line(&error.to_string())),
            })?;
        Ok(Self { text: text.into(), regex, weight, is_open })
    }

    /// Whether it matches a text.
    pub fn is_match(&self, text: &str) -> bool {
        self.regex.is_match(text)
    }

    /// About how many states it has: what a byte of a text may cost at worst.
    pub fn weight(&self) -> u64 {
        self.weight
    }

    /// Whether something in it that is not last may be repeated without an end, so that more of a text may be
    /// looked at than what matches.
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// For all that a match has besides being one.
    pub fn regex(&self) -> &Regex {
        &self.regex
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn last_line(error: &str) -> String {
    let line = error.lines().last().unwrap_or_default().trim();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

/// One pass from Go's syntax to that of the crate.
struct Translator<'a> {
    rest: Peekable<Chars<'a>>,
    out: String,
    /// The weights of what is before each open group.
    groups: Vec<u64>,
    /// The weight of what is in this group before the last thing.
    before: u64,
    /// The weight of the last thing, which may be repeated.
    last: u64,
    /// Whether the repetition at hand has no end.
    is_endless: bool,
    /// As [`Pattern::is_open`].
    is_open: bool,
}

/// States of a class of ASCII characters or its opposite, and of one of Unicode's.
const ASCII_CLASS: u64 = 8;
const UNICODE_CLASS: u64 = 500;

impl Translator<'_> {
    /// The pattern, its weight, and whether it is open.
    fn translate(mut self) -> Result<(String, u64, bool), String> {
        // Whether the last thing was a repetition, which must not be repeated.
        let mut repeated = false;
        while let Some(c) = self.rest.next() {
            let is_repetition = match c {
                '*' | '+' | '?' => true,
                '{' => self.repetition()?,
                _ => false,
            };
            if is_repetition {
                if repeated {
                    return Err("a repetition is repeated".to_owned());
                }
                if c != '{' {
                    self.is_endless = c != '?';
                    self.out.push(c);
                }
                if self.rest.next_if_eq(&'?').is_some() {
                    self.out.push('?');
                }
                // What is repeated last is a match however often: nobody looks further for another.
                self.is_open |= self.is_endless && self.rest.peek().is_some();
                self.is_endless = false;
            } else {
                self.weigh(1);
                match c {
                    '{' => self.out.push_str(r"\{"),
                    '\\' => self.escape()?,
                    '[' => self.class()?,
                    '(' => {
                        self.groups.push(self.before);
                        (self.before, self.last) = (0, 1);
                        self.group()?;
                    }
                    ')' => {
                        self.last = self.before.saturating_add(self.last);
                        self.before = self.groups.pop().unwrap_or(0);
                        self.out.push(c);
                    }
                    '.' => {
                        self.last = ASCII_CLASS;
                        self.out.push(c);
                    }
                    c => self.out.push(c),
                }
            }
            repeated = is_repetition;
        }
        let outer = self.groups.iter().fold(0, |sum: u64, weight| sum.saturating_add(*weight));
        Ok((self.out, outer.saturating_add(self.before).saturating_add(self.last), self.is_open))
    }

    /// Begins a thing of some weight.
    fn weigh(&mut self, weight: u64) {
        self.before = self.before.saturating_add(self.last);
        self.last = weight;
    }

    /// After `{`: writes a repetition, if this is one, and says whether it was.
    fn repetition(&mut self) -> Result<bool, String> {
        let mut ahead = self.rest.clone();
        let body: String = ahead.by_ref().take_while(|c| *c != '}').collect();
        let closed = self.rest.clone().nth(body.chars().count()) == Some('}');
        let (low, high) = body.split_once(',').unwrap_or((&body, &body));
        let digits = |text: &str| text.chars().all(|c| c.is_ascii_digit());
        if !closed || low.is_empty() || !digits(low) || !digits(high) {
            return Ok(false);
        }
        for bound in [low, high].iter().filter(|bound| !bound.is_empty()) {
            if bound.parse::<u32>().map_or(true, |bound| bound > MAX_REPEAT) {
                return Err(format!("repeats more than {MAX_REPEAT} times"));
            }
        }
        let count = [low, high].iter().filter_map(|bound| bound.parse::<u64>().ok()).max().unwrap_or(1);
        self.is_endless = high.is_empty();
        self.last = self.last.saturating_mul(count.saturating_add(1));
        self.rest = ahead;
        write!(self.out, "{{{body}}}").map_err(|error| error.to_string())?;
        Ok(true)
    }

    /// After `\`, outside a class.
    fn escape(&mut self) -> Result<(), String> {
        match self.rest.peek() {
            Some('Q') => {
                self.rest.next();
                self.quoted();
            }
            Some('b') => self.replace(r"(?-u:\b)"),
            Some('B') => self.replace(r"(?-u:\B)"),
            Some('A') => self.replace(r"\A"),
            Some('z') => self.replace(r"\z"),
            Some(c @ ('d' | 'D' | 's' | 'S' | 'w' | 'W')) => {
                let (negated, set) = perl_class(*c);
                let not = if negated { "^" } else { "" };
                self.last = ASCII_CLASS;
                self.replace(&format!("[{not}{set}]"));
            }
            Some('p' | 'P') => self.unicode_class()?,
            _ => {
                let c = self.escaped_char()?;
                self.literal(c);
            }
        }
        Ok(())
    }

    /// Consumes one character and writes a text instead.
    fn replace(&mut self, text: &str) {
        self.rest.next();
        self.out.push_str(text);
    }

    /// After `\Q`: plain text up to `\E` or the end.
    fn quoted(&mut self) {
        while let Some(c) = self.rest.next() {
            if c == '\\' && self.rest.next_if_eq(&'E').is_some() {
                return;
            }
            self.literal(c);
        }
    }

    /// `\pL`, `\p{Greek}`, `\p{^Greek}`; the `p` comes next.
    fn unicode_class(&mut self) -> Result<(), String> {
        self.last = UNICODE_CLASS;
        let mut negated = self.rest.next() == Some('P');
        let Some(first) = self.rest.next() else { return Err("ends with an escape".to_owned()) };
        let name: String = if first == '{' {
            if self.rest.next_if_eq(&'^').is_some() {
                negated = !negated;
            }
            self.rest.by_ref().take_while(|c| *c != '}').collect()
        } else {
            first.to_string()
        };
        if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Err(format!("`{name}` is no Unicode class"));
        }
        let letter = if negated { 'P' } else { 'p' };
        write!(self.out, "\\{letter}{{{name}}}").map_err(|error| error.to_string())
    }

    /// The one character that an escape stands for.
    fn escaped_char(&mut self) -> Result<char, String> {
        let Some(c) = self.rest.next() else { return Err("ends with a backslash".to_owned()) };
        let code = match c {
            'a' => return Ok('\x07'),
            'f' => return Ok('\x0c'),
            'n' => return Ok('\n'),
            'r' => return Ok('\r'),
            't' => return Ok('\t'),
            'v' => return Ok('\x0b'),
            'x' => self.hexadecimal(),
            '1'..='7' if !self.rest.peek().is_some_and(|c| ('0'..='7').contains(c)) => {
                return Err(format!("backreference `\\{c}` is not supported"));
            }
            '0'..='7' => self.octal(c),
            c if c.is_ascii_punctuation() || !c.is_ascii() => return Ok(c),
            c => return Err(format!("`\\{c}` is no escape")),
        };
        code.and_then(char::from_u32).ok_or_else(|| "has an invalid character code".to_owned())
    }

    fn octal(&mut self, first: char) -> Option<u32> {
        let mut code = first.to_digit(8)?;
        for _ in 0..2 {
            let Some(digit) = self.rest.next_if(|c| ('0'..='7').contains(c)) else { break };
            code = code * 8 + digit.to_digit(8)?;
        }
        Some(code)
    }

    /// After `\x`: two digits, or any number of them in braces.
    fn hexadecimal(&mut self) -> Option<u32> {
        let braced = self.rest.next_if_eq(&'{').is_some();
        let digits: String = if braced {
            self.rest.by_ref().take_while(|c| *c != '}').collect()
        } else {
            self.rest.by_ref().take(2).collect()
        };
        let complete = if braced { !digits.is_empty() } else { digits.len() == 2 };
        (complete && digits.chars().all(|c| c.is_ascii_hexdigit()))
            .then(|| u32::from_str_radix(&digits, 16).ok())?
    }

    /// After `(`: groups, names and flags.
    fn group(&mut self) -> Result<(), String> {
        self.out.push('(');
        if self.rest.next_if_eq(&'?').is_none() {
            return Ok(());
        }
        self.out.push('?');
        let mut ahead = self.rest.clone();
        match (ahead.next(), ahead.next()) {
            (Some('=' | '!'), _) | (Some('<'), Some('=' | '!')) => {
                Err("lookaround is not supported".to_owned())
            }
            (Some('P' | '<'), _) => Ok(()),
            _ => {
                let mut flags = self.rest.clone().take_while(|c| !matches!(c, ':' | ')'));
                match flags.find(|c| !matches!(c, 'i' | 'm' | 's' | 'U' | '-')) {
                    Some(flag) => Err(format!("`(?{flag}` is no flag")),
                    None => Ok(()),
                }
            }
        }
    }

    /// After `[`: every character is written escaped, so that the crate finds no syntax of its own.
    fn class(&mut self) -> Result<(), String> {
        self.last = ASCII_CLASS;
        self.out.push('[');
        if self.rest.next_if_eq(&'^').is_some() {
            self.out.push('^');
        }
        let mut first = true;
        loop {
            let unclosed = || "has an unclosed `[`".to_owned();
            match self.rest.next().ok_or_else(unclosed)? {
                ']' if !first => break,
                '[' if self.rest.peek() == Some(&':') => self.posix_class(),
                '\\' if self.rest.peek().is_some_and(|c| "dDsSwW".contains(*c)) => {
                    let (negated, set) = perl_class(self.rest.next().unwrap_or('d'));
                    let text = if negated { format!("[^{set}]") } else { set.to_owned() };
                    self.out.push_str(&text);
                }
                '\\' if self.rest.peek().is_some_and(|c| "pP".contains(*c)) => self.unicode_class()?,
                c => self.class_range(c)?,
            }
            first = false;
        }
        self.out.push(']');
        Ok(())
    }

    /// A character, or a range that begins with it.
    fn class_range(&mut self, first: char) -> Result<(), String> {
        let low = self.class_char(first)?;
        self.literal(low);
        let mut ahead = self.rest.clone();
        if ahead.next() != Some('-') || matches!(ahead.peek(), None | Some(']')) {
            return Ok(());
        }
        self.rest = ahead;
        let last = self.rest.next().unwrap_or(']');
        let high = self.class_char(last)?;
        if high < low {
            return Err(format!("`{low}-{high}` is no range"));
        }
        self.out.push('-');
        self.literal(high);
        Ok(())
    }

    fn class_char(&mut self, c: char) -> Result<char, String> {
        if c == '\\' { self.escaped_char() } else { Ok(c) }
    }

    /// After `[` in a class, with `:` next: `[:alpha:]`, or else a plain `[`.
    fn posix_class(&mut self) {
        let name: String = self.rest.clone().skip(1).take_while(|c| *c != ':').collect();
        let length = name.chars().count();
        let closed = self.rest.clone().skip(length + 1).take(2).eq([':', ']']);
        if !closed || !name.chars().all(|c| c.is_ascii_lowercase() || c == '^') {
            self.literal('[');
            return;
        }
        self.out.push('[');
        self.out.extend(self.rest.by_ref().take(length + 3));
    }

    /// A character that means itself, in and outside classes.
    fn literal(&mut self, c: char) {
        if c.is_alphanumeric() {
            self.out.push(c);
        } else {
            self.out.extend(c.escape_unicode());
        }
    }
}

/// Whether a class is negated, and what it is made of.
fn perl_class(letter: char) -> (bool, &'static str) {
    let set = match letter {
        'd' | 'D' => "0-9",
        's' | 'S' => r"\t\n\x0C\r\x20",
        _ => "0-9A-Za-z_",
    };
    (letter.is_ascii_uppercase(), set)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn matches(pattern: &str, yes: &[&str], no: &[&str]) {
        let compiled = Pattern::compile(pattern).unwrap();
        for text in yes {
            assert!(compiled.is_match(text), "{pattern} should match {text:?}");
        }
        for text in no {
            assert!(!compiled.is_match(text), "{pattern} should not match {text:?}");
        }
    }

    #[track_caller]
    fn refuses(pattern: &str, reason: &str) {
        let error = PatternError::Invalid(reason.to_owned());
        assert_eq!(Pattern::compile(pattern).map(|pattern| pattern.to_string()), Err(error));
    }

    #[test]
    fn patterns_match_anywhere_unless_anchored() {
        matches("b+", &["abc", "b"], &["ac", ""]);
        matches("^b+$", &["bb"], &["abc", "b\n"]);
        matches(r"^\*?[-:a-z0-9]*\*?$", &["kube-*", "*", "", "a:b"], &["A", "a*b", "a.b"]);
    }

    #[test]
    fn classes_are_ascii() {
        matches(r"^\d\w\s\D\W\S$", &["1a\tb-c"], &["١a\tb-c", "1é\tb-c", "1a\u{a0}b-c"]);
        matches(r"^[\d\s]+$", &["1 2"], &["1\u{a0}2", "١"]);
        matches(r"^[\D]$", &["a", "é"], &["1"]);
        matches(r"\bword\b", &["a word.", "éword"], &["swords"]);
        matches(r"^[[:alpha:]_]+$", &["a_b"], &["a1"]);
        matches(r"^[[:^digit:]]+$", &["ab"], &["a1"]);
        matches(r"^\p{Greek}\P{Greek}\p{^Greek}\pL$", &["αabβ"], &["aααβ"]);
    }

    #[test]
    fn characters_that_only_the_crate_gives_a_meaning_are_plain() {
        matches(r"^a{,2}$", &["a{,2}"], &["aa"]);
        matches("^{$", &["{"], &[]);
        matches(r"^[[a]+$", &["[a["], &["b"]);
        matches(r"^[a&&b]+$", &["a&b"], &["c"]);
        matches(r"^[+--]+$", &["+,-"], &["."]);
        matches(r"^[]a-]+$", &["]a-"], &["b"]);
        matches(r"^\<\_\-$", &["<_-"], &[]);
        matches(r"^\Qa.b\E\.c$", &["a.b.c"], &["axb.c"]);
        matches(r"^\101\x41\x{41}$", &["AAA"], &[]);
        matches("^[^[:space:]]{2,3}$", &["ab", "abc"], &["a", "a c"]);
        matches("^(?i:a)(?P<name>b)(?<other>c)$", &["Abc"], &["ABc"]);
    }

    #[test]
    fn what_go_refuses_is_refused() {
        refuses("a**", "a repetition is repeated");
        refuses("a{1001}", "repeats more than 1000 times");
        refuses("(?=a)", "lookaround is not supported");
        refuses("(?<!a)", "lookaround is not supported");
        refuses("(?x)a", "`(?x` is no flag");
        refuses(r"(a)\1", r"backreference `\1` is not supported");
        refuses(r"\C", r"`\C` is no escape");
        refuses(r"\u0041", r"`\u` is no escape");
        refuses(r"\Z", r"`\Z` is no escape");
        refuses("[a", "has an unclosed `[`");
        refuses("[b-a]", "`b-a` is no range");
        refuses("a)", "unopened group");
        refuses("(a", "unclosed group");
        refuses("\\", "ends with a backslash");
        refuses("*", "repetition operator missing expression");
    }

    #[test]
    fn weights_are_of_what_is_repeated() {
        let weight = |pattern: &str| Pattern::compile(pattern).map(|pattern| pattern.weight()).unwrap();
        assert_eq!(weight("abc"), 3);
        assert!(weight("(a{99}b){99}") > 9_900);
        assert!(weight("a{99}b{99}") < 400);
        assert!(weight(r"\pL{10}") > 5_000);
        assert!(weight("(ab|[c-d])+x") < 30);
    }

    #[test]
    fn what_is_repeated_last_is_not_open() {
        let is_open = |text: &str| Pattern::compile(text).expect(text).is_open();
        for text in [",", r"\s+", "[^,]+", "a|b*", "ab{2,}", "a+?", "x{3}y?", "(abc)+"] {
            assert!(!is_open(text), "{text}");
        }
        for text in ["a+b", r"\s*,\s*", "(a+)", "(a*b)*", "a*|b", "a{2,}b", "a+?b", "a+$"] {
            assert!(is_open(text), "{text}");
        }
    }
}
