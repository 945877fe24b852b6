//! YAML events in, documents out. What scalars mean is in `scalar.rs`, what errors say in `explain.rs`.
//!
//! A broken document is reported and left; reading goes on at the next `---`.

use std::sync::Arc;

use granit_parser::{Event, Options, Parser, ScalarStyle, Span as YamlSpan, StructureStyle, Tag};

use super::Output;
use super::build::{Abandoned, Builder, Shape, Span};
use super::explain::{self, Place};
use super::marks::Marks;
use super::padding::Padding;
use super::problems::quote;
use crate::error::{Error, ErrorKind};
use crate::limits::Limits;
use crate::source::{Source, clamp};
use crate::value::Value;
use portcullis_rego::yaml_scalar as scalar;

/// Reads a source as a stream of YAML documents. `base` is where its text starts, after a byte order mark.
pub(super) fn read(source: &Arc<Source>, base: usize, limits: &Limits) -> Output {
    let text = source.text().get(base..).unwrap_or_default();
    let mut padding = Padding::default();
    loop {
        let Some(output) = read_padded(source, base, limits, &mut padding, text) else { continue };
        let broken_at = |problem: &Error| {
            let location = problem.location().filter(|_| problem.kind() == ErrorKind::Syntax)?;
            (location.range().start as usize).checked_sub(base)
        };
        let broken: Vec<usize> = output.problems.iter().filter_map(broken_at).collect();
        let gave_up = broken.into_iter().filter(|at| padding.give_up(text, *at)).count();
        if gave_up == 0 {
            return output;
        }
    }
}

/// Reads the text with some padding; `None` if that has to become more.
fn read_padded(
    source: &Arc<Source>,
    base: usize,
    limits: &Limits,
    padding: &mut Padding,
    text: &str,
) -> Option<Output> {
    let padded = padding.apply(text);
    let mut options = Options::default();
    options.emit_comments = false;
    options.emit_unresolved_aliases = true;
    // More than we take, so that our own message comes first; the scanner looks as far ahead as a key is long.
    let nesting = limits.effective_nesting() + 1 + options.simple_key_max_lookahead;
    options.flow_nesting_limit = nesting;
    options.block_nesting_limit = nesting;

    let mut parser = Parser::new_from_str_with_options(&padded, options);
    let mut reader = Reader {
        text: source.text(),
        base,
        padding,
        builder: Builder::new(source, limits),
        output: Output::default(),
        document_start: clamp(base),
        ended: None,
        left: false,
        last_error: None,
    };
    loop {
        let abandoned = match parser.next_event() {
            None | Some(Ok((Event::StreamEnd, _))) => break,
            Some(Ok((event, span))) => {
                let left = reader.event(event, &span).is_err();
                reader.left |= left;
                left
            }
            Some(Err(error)) => {
                let at = reader.padding.original(error.marker().byte_offset().unwrap_or(0));
                let is_indentation = *error.kind() == granit_parser::ErrorKind::InvalidQuotedScalarIndent;
                if is_indentation && reader.padding.add(text, at) {
                    return None;
                }
                if !reader.syntax_error(&error) {
                    break;
                }
                true
            }
        };
        if abandoned {
            reader.abandon();
            if !parser.proceed_next_document().unwrap_or(false) {
                break;
            }
        }
    }
    reader.emit_ended();
    reader.output.problems = reader.builder.problems.into_list();
    Some(reader.output)
}

/// A document that has ended.
enum Ended {
    Whole(Value, Arc<Marks>),
    /// It had an error, which has been reported.
    Broken,
}

struct Reader<'a> {
    text: &'a str,
    base: usize,
    padding: &'a mut Padding,
    builder: Builder<'a>,
    output: Output,
    document_start: u32,
    /// A document that has ended, unless something follows that shows that it has not.
    ended: Option<Ended>,
    /// We left the document ourselves, for what is in it. The parser has stopped at the end of its first node; if
    /// there is more text behind it, that is no news.
    left: bool,
    /// Offset of the last syntax error, to notice a parser that makes no progress.
    last_error: Option<usize>,
}

impl Reader<'_> {
    fn event(&mut self, event: Event<'_>, span: &YamlSpan) -> Result<(), Abandoned> {
        let range = self.range(span);
        match event {
            Event::DocumentStart(..) => {
                self.emit_ended();
                self.document_start = range.start;
                self.left = false;
            }
            Event::DocumentEnd => {
                let whole = self.builder.finish().map(|(value, marks)| Ended::Whole(value, marks));
                self.ended = Some(whole.unwrap_or(Ended::Broken));
            }
            Event::Scalar(text, style, anchor, tag) => {
                return self.scalar(&text, style, anchor, tag.as_deref(), span);
            }
            Event::SequenceStart(style, anchor, _) => {
                self.refuse_as_key("a list", &range)?;
                let range = if style == StructureStyle::Block { self.first_dash(range) } else { range };
                return self.builder.begin(Shape::List, range, anchor);
            }
            Event::MappingStart(_, anchor, _) => {
                self.refuse_as_key("a mapping", &range)?;
                return self.builder.begin(Shape::Object, range, anchor);
            }
            // Only brackets have a width; a block ends with its last entry.
            Event::SequenceEnd | Event::MappingEnd => {
                self.builder.end((range.start < range.end).then_some(range.end));
            }
            Event::Alias(anchor) => return self.alias(anchor, range),
            Event::UnresolvedAlias(name) => return self.unknown_alias(&name, range),
            _ => {}
        }
        Ok(())
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        span: &YamlSpan,
    ) -> Result<(), Abandoned> {
        let mut range = self.range(span);
        let mut text = text;
        match style {
            // What is not there comes as a tilde without width.
            ScalarStyle::Plain if range.is_empty() => {
                text = "";
                if self.text.as_bytes().get(range.start as usize) == Some(&b':') {
                    range = range.start + 1..range.start + 1;
                }
            }
            ScalarStyle::Plain if text.contains("{{") && is_template_action(text) => {
                return Err(self.templated(range));
            }
            ScalarStyle::Literal | ScalarStyle::Folded => range = self.block_scalar(&range),
            _ => {}
        }
        if !self.builder.wants_key() {
            let value = scalar::value(text, style, tag).unwrap_or_else(|bad| {
                self.builder.fail(ErrorKind::UnsupportedValue, bad.message(), range.clone());
                Value::Null
            });
            return self.builder.scalar(value, range, anchor);
        }
        if text == "<<" && style == ScalarStyle::Plain && tag.is_none() {
            self.builder.merge_key(range);
            return Ok(());
        }
        match scalar::key(text, style, tag) {
            Ok(Some(key)) => {
                self.builder.anchor_key(anchor, || Value::String(key.as_ref().into()));
                self.builder.key(&key, range);
            }
            Ok(None) => self.null_key(range),
            Err(bad) => {
                self.builder.fail(ErrorKind::UnsupportedValue, bad.message(), range.clone());
                self.builder.key(text, range);
            }
        }
        Ok(())
    }

    fn null_key(&mut self, range: Span) {
        self.builder.fail(ErrorKind::UnsupportedValue, "a key cannot be null", range.clone());
        self.builder.key("", range);
    }

    fn alias(&mut self, anchor: usize, range: Span) -> Result<(), Abandoned> {
        if !self.builder.wants_key() {
            return self.builder.alias(anchor, range);
        }
        let key =
            self.builder.anchored(anchor).and_then(scalar::key_of_value).map(std::borrow::Cow::into_owned);
        if let Some(key) = key {
            self.builder.key(&key, range);
        } else {
            let message = "only a string, number or boolean can be a key";
            self.builder.fail(ErrorKind::UnsupportedValue, message, range.clone());
            self.builder.key("", range);
        }
        Ok(())
    }

    fn unknown_alias(&mut self, name: &str, range: Span) -> Result<(), Abandoned> {
        let shown = quote(name);
        let error = Error::new(ErrorKind::Syntax, format!("there is no anchor `&{shown}` before this alias"))
            .at(self.builder.problems.location(range.clone()))
            .hint(format!("if it is meant as text, put it in quotes: `\"*{shown}\"`"));
        self.builder.report(error);
        if self.builder.wants_key() {
            self.builder.key(name, range);
            Ok(())
        } else {
            self.builder.scalar(Value::Null, range, 0)
        }
    }

    /// Lists and mappings as keys have no JSON form; two braces are what is left of a template.
    fn refuse_as_key(&mut self, what: &str, range: &Span) -> Result<(), Abandoned> {
        if !self.builder.wants_key() {
            return Ok(());
        }
        if let Some((Shape::Object, open)) = self.builder.open()
            && self.text.get(open as usize..).is_some_and(|text| text.starts_with("{{"))
            && open + 1 == range.start
        {
            return Err(self.templated(open..open + 2));
        }
        self.builder.fail(ErrorKind::UnsupportedValue, format!("{what} cannot be a key"), range.clone());
        Err(Abandoned)
    }

    /// Reports that the source is a template, once.
    fn templated(&mut self, range: Span) -> Abandoned {
        if !self.builder.problems.has(ErrorKind::Templated) {
            let error = explain::templated(self.builder.problems.location(range));
            self.builder.report(error);
        }
        Abandoned
    }

    /// Reports a syntax error; false if the parser does not get on.
    fn syntax_error(&mut self, error: &granit_parser::ScanError) -> bool {
        let at = self.padding.original(error.marker().byte_offset().unwrap_or(0)) + self.base;
        let between = matches!(
            error.kind(),
            granit_parser::ErrorKind::ExpectedDocumentStart
                | granit_parser::ErrorKind::MissingDocumentEndBeforeDirective
        );
        let no_news = between && self.left;
        if between {
            // What looked like a whole document has more text: it is the broken one.
            self.ended = None;
        } else {
            self.emit_ended();
        }
        if no_news {
            // It has been counted.
            self.output.documents_seen = self.output.documents_seen.saturating_sub(1);
        } else {
            let place = Place::new(&self.builder, self.text, self.document_start, at);
            if let Some(range) = place.template_action() {
                self.templated(range);
            } else {
                let error = place.explain(error.kind());
                self.builder.report(error);
            }
        }
        let stuck = self.last_error == Some(at);
        self.last_error = Some(at);
        !stuck
    }

    /// Leaves the document that could not be read; it keeps its number.
    fn abandon(&mut self) {
        self.builder.abandon();
        self.output.documents_seen += 1;
    }

    fn emit_ended(&mut self) {
        match self.ended.take() {
            Some(Ended::Whole(value, marks)) => self.output.emit(&mut self.builder.problems, value, marks),
            Some(Ended::Broken) => self.output.documents_seen += 1,
            None => {}
        }
    }

    fn range(&self, span: &YamlSpan) -> Span {
        let offset = |mark: granit_parser::Marker| {
            clamp(self.padding.original(mark.byte_offset().unwrap_or(0)) + self.base)
        };
        let start = offset(span.start);
        start..offset(span.end).max(start)
    }

    /// A list that is not indented below its key comes with the position after its first dash.
    fn first_dash(&self, range: Span) -> Span {
        let from = self.builder.last_end() as usize;
        let before =
            self.text.get(from..range.start as usize).unwrap_or_default().trim_end_matches([' ', '\t']);
        let is_value = self.builder.open().is_some_and(|(shape, _)| shape == Shape::Object);
        match before.strip_suffix('-').filter(|_| is_value) {
            Some(before) => clamp(from + before.len())..range.end,
            None => range,
        }
    }

    /// Block scalars from their `|` or `>` to the end of their last line with text.
    fn block_scalar(&self, content: &Span) -> Span {
        let last_end = self.builder.last_end().max(self.document_start);
        let start = explain::block_header(self.text, last_end, content.start).unwrap_or(content.start);
        let text = self.text.get(start as usize..content.end as usize).unwrap_or_default();
        start..start + clamp(text.trim_end().len())
    }
}

/// Whether a plain scalar holds an action of a Go template. Others use double braces too (Argo workflows, for
/// one), and in them a manifest may be complete as it is.
fn is_template_action(text: &str) -> bool {
    const WORDS: [&str; 12] = [
        "include ",
        "template ",
        "if ",
        "else",
        "end",
        "range ",
        "with ",
        "define ",
        "printf ",
        "tpl ",
        "default ",
        "quote ",
    ];
    text.match_indices("{{").any(|(at, _)| {
        let action = text.get(at + 2..).unwrap_or_default();
        let spaced = action.starts_with([' ', '-']);
        let action = action.trim_start_matches('-').trim_start();
        action.starts_with(['.', '$']) || spaced && WORDS.iter().any(|word| action.starts_with(word))
    })
}
