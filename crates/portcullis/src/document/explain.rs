//! What is wrong with a broken YAML document, in words for its author.
//!
//! The parser says which rule was broken and where it noticed; this finds the place where a human has to look
//! and what probably was meant.

use portcullis_yaml::Rule;

use super::build::Builder;
use super::marks::{Mark, Marks};
use super::problems::Span;
use super::problems::{Problems, quote};
use crate::error::{Error, ErrorKind};
use crate::source::{Location, clamp};

/// What YAML allows, and the parser with it.
const LONGEST_KEY: usize = 1024;

/// The error for a template that was not rendered.
pub(super) fn templated(location: Location) -> Error {
    Error::new(ErrorKind::Templated, "this is a template (`{{ … }}`), not a manifest")
        .at(location)
        .hint("render it first, e.g. `helm template . | portcullis test -f policies/ -f -`")
}

/// Reports that the source is a template, once.
pub(super) fn report_templated(builder: &mut Builder<'_>, range: Span) {
    if !builder.problems.has(ErrorKind::Templated) {
        let error = templated(builder.problems.location(range));
        builder.report(error);
    }
}

/// The state of the reader where a syntax error was noticed.
pub(super) struct ReaderState<'a> {
    problems: &'a Problems,
    marks: &'a Marks,
    text: &'a str,
    /// Where the document starts.
    start: usize,
    /// Where the error was noticed.
    at: usize,
    /// Where what it is about starts.
    about: usize,
    /// Start of the innermost open list or mapping.
    open: Option<usize>,
}

impl<'a> ReaderState<'a> {
    /// `about` is where the text starts that the error is about, `at` where it was noticed.
    pub(super) fn new(
        builder: &'a Builder<'_>,
        text: &'a str,
        start: usize,
        at: usize,
        about: usize,
    ) -> Self {
        let at = text.floor_char_boundary(at);
        let about = text.floor_char_boundary(about.min(at));
        let open = builder.open().map(|(_, start)| start as usize);
        let (problems, marks, start) = (&builder.problems, builder.marks(), start.min(at));
        Self { problems, marks, text, start, at, about, open }
    }

    /// A `{{` in the broken document up to the line of the error, unless it is in a comment or in a text that
    /// was read in quotes or as a block.
    pub(super) fn template_action(&self) -> Option<Span> {
        let end = self.line_end(self.at);
        let region = self.text.get(self.start..end)?;
        // Not all of a long line are looked at, since each costs a look at the line.
        let mut candidates = region.match_indices("{{").map(|(at, _)| self.start + at).take(100);
        let found = candidates.find(|at| {
            let line = self.text.get(self.line_start(*at)..*at).unwrap_or_default();
            let commented = line.starts_with('#') || line.contains(" #") || line.contains("\t#");
            let quoted = |quote| line.matches(quote).count() % 2 == 1;
            !commented && !quoted('"') && !quoted('\'') && !self.in_text(*at)
        })?;
        Some(span(found, found + 2))
    }

    /// Whether an offset is inside a quoted or block scalar that was read.
    fn in_text(&self, at: usize) -> bool {
        let covers = |start: u32, end: u32| {
            let opening = self.text.as_bytes().get(start as usize);
            (start..end).contains(&clamp(at)) && matches!(opening, Some(b'"' | b'\'' | b'|' | b'>'))
        };
        let (before, after) = self.marks.around(clamp(at));
        before.is_some_and(|mark| covers(mark.start, mark.end))
            || after.is_some_and(|mark| covers(mark.key_start, mark.key_end))
    }

    /// The error for a broken rule.
    pub(super) fn explain(mut self, rule: Rule) -> Error {
        if rule == Rule::TooDeep {
            let error = Error::new(ErrorKind::Limit, "lists and objects are nested too deeply");
            return error.at(self.problems.location(span(self.at, self.at)));
        }
        // Some rules are broken where the text starts, not where that shows.
        let by_start = matches!(
            rule,
            Rule::KeyWithoutColon
                | Rule::BlockHeader
                | Rule::BlockIndentationZero
                | Rule::EscapeDigits
                | Rule::EscapeCharacter
                | Rule::AnchorName
                | Rule::QuoteUnclosed
                | Rule::QuoteIndicator
                | Rule::DirectiveName
                | Rule::DirectiveValue
                | Rule::DirectiveEnd
                | Rule::Tag
                | Rule::TagEnd
                | Rule::TagHandle
        );
        let noticed = self.at;
        if by_start {
            self.at = self.about;
        }
        let (range, message, hint) = self.diagnose(rule, noticed);
        Error::new(ErrorKind::Syntax, message).at(self.problems.location(range)).maybe_hint(hint)
    }

    /// The error for text after the document that clients read. `marked` if a line `...` ends that.
    pub(super) fn unread(&self, marked: bool) -> Error {
        let (message, hint) = if marked {
            let hint = "start another document with a line `---`";
            ("no client reads what follows a line `...`, up to the next line `---`", hint)
        } else {
            let hint = "another document starts with a line `---`";
            ("unexpected text after the end of the document", hint)
        };
        Error::new(ErrorKind::Syntax, message).at(self.problems.location(self.rest_of_line())).hint(hint)
    }

    fn diagnose(&self, rule: Rule, noticed: usize) -> Diagnosis {
        if let Some(tab) = self.tab(rule) {
            return tab;
        }
        if let Some(trailing) = self.after_quote(rule) {
            return trailing;
        }
        match rule {
            Rule::ValueNotAllowed => self.mapping_not_allowed(),
            Rule::KeyWithoutColon if self.is_long_key(noticed) => {
                let message = format!("a key cannot be longer than {LONGEST_KEY} characters");
                (self.rest_of_line(), message, None)
            }
            Rule::KeyWithoutColon
            | Rule::EntryNotAllowed
            | Rule::KeyNotAllowed
            | Rule::BlockEntryExpected
            | Rule::BlockKeyExpected => self.misplaced_line(rule),
            Rule::QuoteUnclosed | Rule::QuoteIndicator => self.plainly("this quote is not closed"),
            Rule::Escape => self.unknown_escape(),
            Rule::EscapeDigits | Rule::EscapeCharacter => {
                self.plainly("this text has an escape that is no character")
            }
            Rule::FlowSequenceSeparator | Rule::FlowMappingSeparator | Rule::NodeExpected => {
                self.in_brackets(rule)
            }
            Rule::Character => self.cannot_start(),
            Rule::Control => self.plainly("a control character, which no text of YAML may have"),
            Rule::ByteOrderMark => self.plainly("a byte order mark inside of the text"),
            Rule::BlockHeader => (
                self.rest_of_line(),
                "unexpected text after the `|` or `>` of a block".to_owned(),
                Some("the text of a block starts in the next line".to_owned()),
            ),
            Rule::BlockIndentationZero => self.plainly("the indentation of a block is a digit from 1 to 9"),
            Rule::BlockTab | Rule::PlainTab => self.plainly("YAML does not allow a tab here"),
            Rule::TagHandle => self.plainly("this tag has a prefix that was not declared"),
            Rule::Tag | Rule::TagEnd => (
                self.rest_of_line(),
                "this is not a valid tag".to_owned(),
                Some("if it is meant as text, put the value in quotes".to_owned()),
            ),
            Rule::AnchorName => (
                self.rest_of_line(),
                "expected the name of an anchor after `&` or `*`".to_owned(),
                Some("if it is meant as text, put the value in quotes".to_owned()),
            ),
            Rule::DocumentStart => {
                let message = "a `%` directive has to be followed by its document".to_owned();
                let hint = "leave the directive away: clients end a document at every line `---`".to_owned();
                (span(self.about, self.about + 1), message, Some(hint))
            }
            Rule::DirectiveName
            | Rule::DirectiveValue
            | Rule::DirectiveEnd
            | Rule::DuplicateDirective
            | Rule::Version => self.plainly("this `%` directive is not valid"),
            Rule::TooDeep => self.plainly("this is not valid YAML"),
        }
    }

    fn is_long_key(&self, noticed: usize) -> bool {
        let line = self.text.get(self.at..self.line_end(self.at).min(noticed)).unwrap_or_default();
        line.chars().nth(LONGEST_KEY).is_some()
    }

    /// Text after a closing quote in its line.
    fn after_quote(&self, rule: Rule) -> Option<Diagnosis> {
        let may_be = matches!(
            rule,
            Rule::BlockKeyExpected
                | Rule::BlockEntryExpected
                | Rule::EntryNotAllowed
                | Rule::AnchorName
                | Rule::Character
                | Rule::Tag
                | Rule::TagEnd
        );
        let before = self.text.get(self.line_start(self.at)..self.at)?.trim_end();
        let (quote, hint) = match before.as_bytes().last().filter(|_| may_be)? {
            b'\'' => (
                '\'',
                "put the whole value in double quotes; inside of single quotes a quote is written `''`",
            ),
            b'"' => (
                '"',
                "put the whole value in single quotes; inside of double quotes a quote is written `\\\"`",
            ),
            _ => return None,
        };
        // One quote alone is an apostrophe.
        before.strip_suffix(quote).filter(|before| before.contains(quote))?;
        let message = "unexpected text after the closing quote".to_owned();
        Some((self.rest_of_line(), message, Some(hint.to_owned())))
    }

    fn cannot_start(&self) -> Diagnosis {
        let message = match self.character() {
            '`' => "a value without quotes cannot start with a backtick".to_owned(),
            '\t' => return self.plainly("YAML does not allow a tab here"),
            character => format!("a value without quotes cannot start with `{character}`"),
        };
        self.one_character(message, Some("put the value in quotes".to_owned()))
    }

    /// A tab in the indentation of this line.
    fn tab(&self, rule: Rule) -> Option<Diagnosis> {
        if matches!(rule, Rule::Control | Rule::ByteOrderMark) {
            return None;
        }
        let start = self.line_start(self.at);
        let line = self.text.get(start..self.line_end(start)).unwrap_or_default();
        let blank = line.len() - line.trim_start_matches([' ', '\t']).len();
        let tab = start + line.get(..blank)?.find('\t')?;
        let message = "YAML does not allow tabs for indentation".to_owned();
        Some((span(tab, tab + 1), message, Some("indent with spaces".to_owned())))
    }

    /// `key: value` where there is a value already.
    fn mapping_not_allowed(&self) -> Diagnosis {
        let last = self.marks.last().filter(|mark| mark.end as usize <= self.at);
        let between =
            |mark: &&Mark| self.text.get(mark.end as usize..self.at).unwrap_or_default().trim().is_empty();
        let Some(mark) = last.filter(between) else {
            let hint = "is the line before it indented as it should be?".to_owned();
            return (self.line(), "a mapping is not allowed here".to_owned(), Some(hint));
        };
        let value = self.text.get(mark.start as usize..mark.end as usize).unwrap_or_default();
        let Some((first, word)) = value.split_once('\n').map(|(first, rest)| {
            (first.trim_end(), rest.rsplit_once('\n').map_or(rest, |(_, last)| last).trim_start())
        }) else {
            // `a: b: c`, all in one line.
            let line =
                self.text.get(mark.start as usize..self.line_end(self.at)).unwrap_or_default().trim_end();
            let range = span(mark.start as usize, mark.start as usize + line.len());
            let hint = (line.len() <= 40 && !line.contains(['"', '\\']))
                .then(|| format!("if it is one text, put it in quotes: `\"{}\"`", quote(line)));
            let message = match mark.key.as_deref() {
                _ if value.chars().nth(LONGEST_KEY).is_some() => {
                    format!("a key cannot be longer than {LONGEST_KEY} characters")
                }
                Some(key) => format!("a mapping is not allowed here, in the line of `{}`", quote(key)),
                None => "a mapping is not allowed here".to_owned(),
            };
            return (range, message, hint);
        };
        let end = mark.end as usize;
        self.below_value(mark, first, span(end - word.len(), end))
    }

    /// A key in a line below one that has a value already.
    fn below_value(&self, mark: &Mark, value: &str, range: Span) -> Diagnosis {
        let word = quote(self.text.get(range.start as usize..range.end as usize).unwrap_or_default());
        let word = word.as_str();
        let (owner, hint) = match mark.key.as_deref() {
            Some(key) => {
                let shown = quote(key);
                let beside = format!("indent `{word}` like `{shown}`");
                let in_metadata = |key| matches!(key, "name" | "namespace" | "labels" | "annotations");
                let at_root = self.line_start(mark.key_start as usize) == mark.key_start as usize;
                let hint = if at_root && in_metadata(key) && in_metadata(word) {
                    let missing = if self.has_root_key("metadata") { "" } else { ", which is missing here" };
                    format!("{beside}, or put both under `metadata:`{missing}")
                } else {
                    format!("{beside}, or leave the value of `{shown}` away to put `{word}` under it")
                };
                (format!("`{shown}`"), hint)
            }
            None => (
                "the list item".to_owned(),
                format!("write `- key: value` to put `{word}` beside a first key"),
            ),
        };
        let message =
            format!("a mapping is not allowed here: {owner} already has the value `{}`", quote(value));
        (range, message, Some(hint))
    }

    /// Whether a key stands at the margin somewhere in this document.
    fn has_root_key(&self, key: &str) -> bool {
        let document = self.text.get(self.start..).unwrap_or_default();
        document
            .split('\n')
            .skip(1)
            .take_while(|line| !line.starts_with("---") && !line.starts_with("..."))
            .chain(document.split('\n').take(1))
            .any(|line| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(':')))
    }

    /// A line that is neither a key nor a list item where one is expected, or stands at the wrong margin.
    fn misplaced_line(&self, rule: Rule) -> Diagnosis {
        let range = self.line();
        let line = self.text.get(range.start as usize..range.end as usize).unwrap_or_default();
        if let Some((key, value)) = colon_without_space(line) {
            let key = quote(key);
            let hint = Some(format!("write `{key}: {}`", quote(value)));
            return (range, format!("expected a space after the colon of `{key}`"), hint);
        }
        let dash = line == "-" || line.starts_with("- ");
        let found = quote(line);
        if dash {
            let hint = "is this line, or the one before it, indented as it should be?".to_owned();
            return (range, "a list item is not allowed here".to_owned(), Some(hint));
        }
        // The parser notices a dash after it, everything else in front.
        let before = self.text.get(range.start as usize..self.at).unwrap_or_default().trim();
        if !before.is_empty() && before != "-" {
            let hint = "if it belongs to the value, put the whole value in quotes".to_owned();
            return (self.rest_of_line(), "unexpected text after the value".to_owned(), Some(hint));
        }
        let column = |offset: usize| offset - self.line_start(offset);
        let beside_list = self.open.is_some_and(|open| column(open) == column(range.start as usize));
        if matches!(rule, Rule::BlockEntryExpected) && beside_list {
            let message = format!("expected another list item (`- …`), found `{found}`");
            return (range, message, Some("put the list under a key, or indent this line".to_owned()));
        }
        if line.contains(": ") || line.ends_with(':') {
            let key = line.split(':').next().unwrap_or_default();
            if let Some((mark, value)) = self.value_above(range.start) {
                return self.below_value(mark, value, range.start..range.start + clamp(key.len()));
            }
            let message = format!("the indentation of `{}` fits none of the lines above it", quote(key));
            return (range, message, Some("indent it like the keys that it belongs with".to_owned()));
        }
        let hint = "if it continues the value above, indent it deeper than the key".to_owned();
        (range, format!("expected `key: value`, found `{found}`"), Some(hint))
    }

    /// The scalar that was read last, if a line that starts here is indented below its key.
    fn value_above(&self, start: u32) -> Option<(&Mark, &str)> {
        let mark = self.marks.last().filter(|mark| mark.end <= start && mark.key.is_some())?;
        let value =
            self.text.get(mark.start as usize..mark.end as usize).filter(|value| !value.is_empty())?;
        let column = |offset: u32| offset as usize - self.line_start(offset as usize);
        let is_scalar = !value.starts_with(['|', '>', '[', '{', '*']);
        (is_scalar && column(start) > column(mark.key_start)).then_some((mark, value))
    }

    /// The place is the character after the backslash.
    fn unknown_escape(&self) -> Diagnosis {
        let escaped = self.character();
        let range = span(self.at.saturating_sub(1), self.at + escaped.len_utf8());
        let message = format!("`\\{escaped}` is not an escape that YAML knows");
        (range, message, Some(format!("write `\\\\{escaped}`, or put the text in single quotes")))
    }

    fn in_brackets(&self, rule: Rule) -> Diagnosis {
        let bytes = self.text.as_bytes();
        let opening = self.open.filter(|open| matches!(bytes.get(*open), Some(b'[' | b'{')));
        let bracket = opening.and_then(|open| Some(char::from(*bytes.get(open)?)));
        let found = self.text.get(self.at..).and_then(|rest| rest.chars().next());
        match (opening.zip(bracket), found) {
            (Some((open, bracket)), None) => unclosed(open, bracket),
            (Some((open, bracket)), Some(close @ (']' | '}'))) if (bracket == '[') != (close == ']') => {
                (span(open, open + 1), format!("`{bracket}` is closed by `{close}`"), None)
            }
            (Some(_), Some(']' | '}')) => self.plainly("expected a value here"),
            (Some((open, bracket)), Some(_)) if self.line_start(open) != self.line_start(self.at) => {
                unclosed(open, bracket)
            }
            (None, Some(close @ (']' | '}'))) => self.one_character(
                format!("`{close}` closes nothing"),
                Some("if it is meant as text, put the value in quotes".to_owned()),
            ),
            _ if rule == Rule::NodeExpected => self.plainly("expected a value here"),
            (Some((_, '{')), _) => self.plainly("expected `,` or `}` here"),
            (Some(_), _) => self.plainly("expected `,` or `]` here"),
            (None, _) => self.plainly("expected `,` or a closing bracket here"),
        }
    }

    fn plainly(&self, message: &str) -> Diagnosis {
        self.one_character(message.to_owned(), None)
    }

    fn one_character(&self, message: String, hint: Option<String>) -> Diagnosis {
        let width = self.text.get(self.at..).and_then(|rest| rest.chars().next()).map_or(0, char::len_utf8);
        (span(self.at, self.at + width), message, hint)
    }

    fn character(&self) -> char {
        self.text.get(self.at..).and_then(|rest| rest.chars().next()).unwrap_or(' ')
    }

    fn line_start(&self, at: usize) -> usize {
        self.text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |end| end + 1)
    }

    fn line_end(&self, at: usize) -> usize {
        let rest = self.text.get(at..).unwrap_or_default();
        at.min(self.text.len()) + rest.find('\n').unwrap_or(rest.len())
    }

    /// The line of the error without its margins.
    fn line(&self) -> Span {
        let start = self.line_start(self.at);
        let line = self.text.get(start..self.line_end(self.at)).unwrap_or_default();
        let indent = line.len() - line.trim_start().len();
        let line = line.trim();
        span(start + indent, start + indent + line.len())
    }

    fn rest_of_line(&self) -> Span {
        let rest = self.text.get(self.at..self.line_end(self.at)).unwrap_or_default();
        span(self.at, self.at + rest.trim_end().len())
    }
}

fn unclosed(open: usize, bracket: char) -> Diagnosis {
    (span(open, open + 1), format!("this `{bracket}` is not closed"), None)
}

/// Where, what, and what to do.
type Diagnosis = (Span, String, Option<String>);

fn span(start: usize, end: usize) -> Span {
    clamp(start)..clamp(end.max(start))
}

/// `name:value` where `name: value` was meant; not `http://…`.
fn colon_without_space(line: &str) -> Option<(&str, &str)> {
    let line = line.strip_prefix("- ").unwrap_or(line);
    let (key, value) = line.split_once(':')?;
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '/');
    let is_key = !key.is_empty() && key.chars().all(plain);
    (is_key && !value.is_empty() && !value.starts_with([' ', '\t', '/', ':'])).then_some((key, value))
}
