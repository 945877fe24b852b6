//! What is wrong with a broken YAML document, in words for its author.
//!
//! The parser says which rule was broken and where it noticed; this finds the place where a human has to look and
//! what probably was meant.

use granit_parser::ErrorKind as Rule;

use super::build::{Builder, Span};
use super::marks::{Mark, Marks};
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

/// The offset of the `|` or `>` of a block scalar: after the tags, anchors and comments that follow the last node.
pub(super) fn block_header(text: &str, from: u32, content: u32) -> Option<u32> {
    let mut rest = text.get(from as usize..content as usize)?;
    loop {
        let next = rest.chars().next()?;
        rest = match next {
            '|' | '>' => return Some(content - clamp(rest.len())),
            '#' => rest.split_once('\n')?.1,
            '!' | '&' => rest.trim_start_matches(|c: char| !c.is_whitespace()),
            _ => rest.get(next.len_utf8()..)?,
        };
    }
}

/// The state of the reader where a syntax error was noticed.
pub(super) struct Place<'a> {
    problems: &'a Problems,
    marks: &'a Marks,
    text: &'a str,
    /// Where the document starts.
    start: usize,
    /// Where the error was noticed.
    at: usize,
    /// Where the last key or value that was read ends.
    read: usize,
    /// Start of the innermost open list or mapping.
    open: Option<usize>,
}

impl<'a> Place<'a> {
    pub(super) fn new(builder: &'a Builder<'_>, text: &'a str, start: u32, at: usize) -> Self {
        let at = text.floor_char_boundary(at);
        let start = start as usize;
        let read = (builder.last_end() as usize).clamp(start.min(at), at);
        let open = builder.open().map(|(_, start)| start as usize);
        Self {
            problems: &builder.problems,
            marks: builder.marks(),
            text,
            start: start.min(at),
            at,
            read,
            open,
        }
    }

    /// A `{{` in the broken document up to the line of the error, unless it is in a comment or in a text that was
    /// read in quotes or as a block.
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
    pub(super) fn explain(&self, rule: &Rule) -> Error {
        if matches!(rule, Rule::RecursionLimitExceeded) {
            let error = Error::new(ErrorKind::Limit, "lists and objects are nested too deep");
            return error.at(self.problems.location(span(self.at, self.at)));
        }
        let (range, message, hint) = self.diagnose(rule);
        Error::new(ErrorKind::Syntax, message).at(self.problems.location(range)).maybe_hint(hint)
    }

    fn diagnose(&self, rule: &Rule) -> Diagnosis {
        if let Some(tab) = self.tab(rule) {
            return tab;
        }
        match rule {
            Rule::MappingValueNotAllowed => self.mapping_not_allowed(),
            Rule::SimpleKeyExpected
            | Rule::InvalidSimpleKey
            | Rule::ExpectedBlockMappingKey
            | Rule::InvalidIndentation
            | Rule::BlockSequenceEntryNotAllowed
            | Rule::ExpectedBlockSequenceEntry
            | Rule::MappingKeyNotAllowed => self.misplaced_line(rule),
            Rule::UnclosedQuotedScalar
            | Rule::InvalidQuotedScalarIndent
            | Rule::DocumentIndicatorInQuotedScalar => self.unclosed_quote(),
            Rule::InvalidTrailingSingleQuotedScalar => (
                self.rest_of_line(),
                "unexpected text after the closing quote".to_owned(),
                Some(
                    "put the whole value in double quotes; inside of single quotes a quote is written `''`"
                        .to_owned(),
                ),
            ),
            Rule::InvalidTrailingDoubleQuotedScalar => (
                self.rest_of_line(),
                "unexpected text after the closing quote".to_owned(),
                Some(
                    "put the whole value in single quotes; inside of double quotes a quote is written `\\\"`"
                        .to_owned(),
                ),
            ),
            Rule::UnknownQuotedScalarEscape => self.unknown_escape(),
            Rule::InvalidQuotedScalarHexEscape
            | Rule::InvalidLowSurrogateHexEscape
            | Rule::InvalidLowSurrogate
            | Rule::MissingLowSurrogate
            | Rule::UnpairedLowSurrogate
            | Rule::InvalidUnicodeEscape => self.plainly("this text has an escape that is no character"),
            Rule::UnclosedFlowCollection { .. }
            | Rule::UnexpectedEofFlowSequence
            | Rule::UnexpectedEofFlowMapping
            | Rule::UnexpectedEofImplicitFlowMapping
            | Rule::ExpectedFlowSequenceSeparator
            | Rule::ExpectedFlowMappingSeparator
            | Rule::InvalidColonPlacement
            | Rule::InvalidFlowScalarIndent
            | Rule::BlockEntryInFlowCollection => self.in_brackets(rule),
            Rule::MismatchedFlowCollectionEnd { open, close } => {
                self.one_character(format!("`{open}` is closed by `{close}`"), None)
            }
            Rule::MisplacedFlowCollectionEnd => {
                let found = self.character();
                self.one_character(
                    format!("`{found}` closes nothing"),
                    Some("if it is meant as text, put the value in quotes".to_owned()),
                )
            }
            Rule::UnexpectedCharacter { character } => self.one_character(
                match character {
                    '`' => "a value without quotes cannot start with a backtick".to_owned(),
                    _ => format!("a value without quotes cannot start with `{character}`"),
                },
                Some("put the value in quotes".to_owned()),
            ),
            Rule::CommentNotSeparated => {
                self.one_character("a comment needs a space before its `#`".to_owned(), None)
            }
            Rule::CommentInterceptedScalar => self.plainly("a comment cannot stand inside of a value"),
            Rule::InvalidBlockScalarHeader | Rule::ZeroBlockScalarIndent => (
                self.rest_of_line(),
                "unexpected text after the `|` or `>` of a block".to_owned(),
                Some("the text of a block starts in the next line".to_owned()),
            ),
            Rule::InvalidBlockScalarIndent => (
                self.line(),
                "the empty lines before this block's text are indented deeper than the text".to_owned(),
                None,
            ),
            Rule::ExpectedNodeContent => self.plainly("expected a value here"),
            Rule::ExpectedWhitespace
            | Rule::InvalidBlockEntryWhitespace
            | Rule::InvalidMappingValueWhitespace => self.plainly("expected a space here"),
            Rule::UndeclaredTagHandle => self.plainly("this tag has a prefix that was not declared"),
            Rule::MissingAnchorOrAliasName => (
                self.rest_of_line(),
                "expected the name of an anchor after `&` or `*`".to_owned(),
                Some("if it is meant as text, put the value in quotes".to_owned()),
            ),
            Rule::BomInsideDocument => self.plainly("a byte order mark inside of the text"),
            Rule::ExpectedDocumentStart => (
                self.rest_of_line(),
                "unexpected text after the end of the document".to_owned(),
                Some("another document starts with a line `---`".to_owned()),
            ),
            Rule::InvalidDocumentEnd => self.plainly("unexpected text after the end of a document (`...`)"),
            Rule::MissingDocumentEndBeforeDirective
            | Rule::DuplicateVersionDirective
            | Rule::UnsupportedYamlMajorVersion
            | Rule::DuplicateTagDirective
            | Rule::InvalidDirectiveTerminator
            | Rule::MissingYamlVersionSeparator
            | Rule::MissingDirectiveName
            | Rule::InvalidDirectiveName
            | Rule::YamlVersionTooLong
            | Rule::MissingYamlVersion => self.plainly("this `%` directive is not valid"),
            Rule::UnexpectedEof | Rule::UnexpectedEofBlockMapping | Rule::UnexpectedEofBlockSequence => {
                self.plainly("the text ends in the middle of a value")
            }
            _ => self.plainly("this is not valid YAML"),
        }
    }

    /// A tab in the indentation of this line or, where the parser stops before it, of the next.
    fn tab(&self, rule: &Rule) -> Option<Diagnosis> {
        let by_rule = matches!(
            rule,
            Rule::TabNotAllowed
                | Rule::TabInBlockIndentation
                | Rule::TabInIndentation
                | Rule::TabAtBlockScalarStart
                | Rule::TabInPlainScalar
        );
        let indentation = |start: usize| {
            let line = self.text.get(start..self.line_end(start)).unwrap_or_default();
            let blank = line.len() - line.trim_start_matches([' ', '\t']).len();
            line.get(..blank).and_then(|blank| blank.find('\t')).map(|tab| start + tab)
        };
        let mut tab = indentation(self.line_start(self.at));
        if by_rule {
            tab = tab.or_else(|| indentation(self.line_end(self.at) + 1));
        }
        if let Some(tab) = tab {
            let hint = "indent with spaces".to_owned();
            return Some((
                span(tab, tab + 1),
                "YAML does not allow tabs for indentation".to_owned(),
                Some(hint),
            ));
        }
        by_rule.then(|| self.one_character("YAML does not allow a tab here".to_owned(), None))
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
    fn misplaced_line(&self, rule: &Rule) -> Diagnosis {
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
        // The parser notices a dash behind it, everything else in front.
        let before = self.text.get(range.start as usize..self.at).unwrap_or_default().trim();
        if !before.is_empty() && before != "-" {
            let hint = "if it belongs to the value, put the whole value in quotes".to_owned();
            return (self.rest_of_line(), "unexpected text after the value".to_owned(), Some(hint));
        }
        let column = |offset: usize| offset - self.line_start(offset);
        let beside_list = self.open.is_some_and(|open| column(open) == column(range.start as usize));
        if matches!(rule, Rule::ExpectedBlockSequenceEntry) && beside_list {
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

    fn unclosed_quote(&self) -> Diagnosis {
        let mut from = self.read;
        while let Some(rest) = self.text.get(from..self.at.max(from)) {
            let Some(found) = rest.find(['"', '\'', '#']) else { break };
            let at = from + found;
            if self.text.as_bytes().get(at) == Some(&b'#') {
                from = self.line_end(at);
                continue;
            }
            return (span(at, at + 1), "this quote is not closed".to_owned(), None);
        }
        self.one_character("this quote is not closed".to_owned(), None)
    }

    fn unknown_escape(&self) -> Diagnosis {
        let rest = self.text.get(self.at..).unwrap_or_default();
        // Longer texts are not searched: there may be many documents with such a mistake.
        let mut characters = rest.char_indices().take(10_000);
        while let Some((at, character)) = characters.next() {
            if character != '\\' {
                continue;
            }
            match characters.next() {
                Some((_, escaped)) if !"0abt\tnvfre \"/\\N_LPxuU\r\n".contains(escaped) => {
                    let start = self.at + at;
                    return (
                        span(start, start + 1 + escaped.len_utf8()),
                        format!("`\\{escaped}` is not an escape that YAML knows"),
                        Some(format!("write `\\\\{escaped}`, or put the text in single quotes")),
                    );
                }
                _ => {}
            }
        }
        self.plainly("this text has an escape that YAML does not know")
    }

    fn in_brackets(&self, rule: &Rule) -> Diagnosis {
        let opening = self.open.filter(|open| matches!(self.text.as_bytes().get(*open), Some(b'[' | b'{')));
        let ended = matches!(rule, Rule::UnclosedFlowCollection { .. });
        let unclosed = ended.then_some(self.at).or(opening);
        if let Some(open) = unclosed
            && (ended || self.line_start(open) != self.line_start(self.at))
            && let Some(bracket) = self.text.get(open..).and_then(|rest| rest.chars().next())
        {
            return (span(open, open + bracket.len_utf8()), format!("this `{bracket}` is not closed"), None);
        }
        let close = match opening.and_then(|open| self.text.as_bytes().get(open)) {
            Some(b'{') => "`,` or `}`",
            Some(_) => "`,` or `]`",
            None => "`,` or a closing bracket",
        };
        self.one_character(format!("expected {close} here"), None)
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
