//! YAML in, documents out: the stream is cut by its lines, as clients cut it, then each chunk is read by
//! itself. What scalars mean is in `yaml_scalar.rs`, what errors say in `explain.rs`.
//!
//! A broken document is reported and left; reading goes on with the next chunk.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use portcullis_value::yaml_scalar::{self as scalar, KeyKind};
use portcullis_yaml::lines::{Chunks, Line, Step};
use portcullis_yaml::{Event, Parser, Placed, Problem, Properties, Rule, Style};

use super::Output;
use super::build::{Abandoned, Builder, Shape};
use super::explain::{self, ReaderState};
use super::problems::Span;
use super::problems::quote;
use crate::error::{Error, ErrorKind};
use crate::limits::Limits;
use crate::source::{Source, clamp};
use crate::value::Value;

/// Reads a source as a stream of YAML documents. `base` is where its text starts, after a byte order mark.
pub(super) fn read(source: &Arc<Source>, base: usize, limits: &Limits, output: Output) -> Output {
    let mut reader = Reader { text: source.text(), builder: Builder::new(source, limits), output };
    let text = source.text().get(base..).unwrap_or_default();
    let mut chunks = Chunks::default();
    let mut chunk = base..base;
    let mut at = base;
    for line in text.split_inclusive('\n') {
        let next = at + line.len();
        match chunks.line(Line::of(line.as_bytes())) {
            Step::Keep => chunk.end = next,
            step => {
                reader.chunk(chunk);
                chunk = next..next;
                if step == Step::Refuse {
                    reader.refuse_separator(at, line);
                }
            }
        }
        at = next;
    }
    reader.chunk(chunk);
    reader.output.problems.append(&mut reader.builder.problems.into_list());
    reader.output
}

/// What can be wrong with a chunk.
enum Stop {
    /// It breaks a rule of YAML.
    Syntax(Problem),
    /// It cannot be read further; that has been reported.
    Abandoned,
}

impl From<Problem> for Stop {
    fn from(problem: Problem) -> Self {
        Self::Syntax(problem)
    }
}

impl From<Abandoned> for Stop {
    fn from(Abandoned: Abandoned) -> Self {
        Self::Abandoned
    }
}

struct Reader<'a> {
    text: &'a str,
    builder: Builder<'a>,
    output: Output,
}

impl Reader<'_> {
    /// Reads a chunk, which may be empty.
    fn chunk(&mut self, range: Range<usize>) {
        let text = self.text.get(range.clone()).unwrap_or_default();
        if text.is_empty() {
            return;
        }
        // Most texts have none at all, which is seen at once.
        if text.contains('\r')
            && let Some(at) = text.find("\r\r\n")
        {
            return self.refuse_line_ends(range.start + at);
        }
        // The readers of lines give the last one its end.
        let text = if text.ends_with('\n') { Cow::Borrowed(text) } else { Cow::Owned(format!("{text}\n")) };
        let mut chunk = Chunk {
            base: range.start,
            end: range.end,
            parser: Parser::new(&text),
            source: self.text,
            builder: &mut self.builder,
            anchors: HashMap::new(),
        };
        let ended = match chunk.document() {
            Ok(marked) => Ok((marked, chunk.parser.next_event())),
            Err(ended) => Err(ended),
        };
        match ended {
            Ok((marked, behind)) => self.document_ended(range.start, marked, behind),
            Err(Ended::Nothing) => {}
            Err(Ended::Stop(stop)) => {
                if let Stop::Syntax(problem) = stop {
                    self.syntax_error(range.start, &problem);
                }
                self.builder.abandon();
                self.output.documents_seen += 1;
            }
        }
    }

    /// Takes the document of a chunk, and looks at what stands after it: clients read nothing there. What a
    /// line `...` ends is whole; other text after a document says that the document is not what was meant.
    fn document_ended(&mut self, base: usize, marked: bool, behind: Result<Placed<'_>, Problem>) {
        let built = self.builder.finish();
        let is_whole = match behind {
            Ok(Placed { event: Event::StreamEnd, .. }) => true,
            Ok(Placed { range, .. }) => {
                self.unread(base, range.start, marked);
                marked
            }
            Err(problem) if problem.rule == Rule::DocumentStart => {
                self.unread(base, problem.at, marked);
                marked
            }
            Err(problem) => {
                self.syntax_error(base, &problem);
                self.builder.abandon();
                false
            }
        };
        match built.filter(|_| is_whole) {
            Some((value, marks)) => self.output.emit(&mut self.builder.problems, value, marks),
            None => self.output.documents_seen += 1,
        }
    }

    fn refuse_separator(&mut self, at: usize, line: &str) {
        let text = line.trim_end();
        let glued = text.get(3..).unwrap_or_default();
        let message =
            format!("`{}` is no separator of documents, and clients refuse the stream", quote(text));
        let location = self.builder.problems.location(clamp(at)..clamp(at + text.len()));
        let hint = if glued.trim_start_matches('-').is_empty() {
            "write `---`".to_owned()
        } else {
            format!("write `---`, and `{}` in the next line", quote(glued))
        };
        let error = Error::new(ErrorKind::Syntax, message).at(location).hint(hint);
        self.builder.problems.push(error);
        self.output.documents_seen += 1;
    }

    fn refuse_line_ends(&mut self, at: usize) {
        let location = self.builder.problems.location(clamp(at)..clamp(at + 1));
        let error = Error::new(
            ErrorKind::Syntax,
            "a line ends with two carriage returns, which readers count differently",
        )
        .at(location)
        .hint("save the file with plain line feeds");
        self.builder.problems.push(error);
        self.output.documents_seen += 1;
    }

    /// Text after the first document of a chunk, which no client reads.
    fn unread(&mut self, base: usize, at: usize, marked: bool) {
        let place = ReaderState::new(&self.builder, self.text, base, base + at, base + at);
        if let Some(range) = place.template_action().filter(|_| !marked) {
            explain::report_templated(&mut self.builder, range);
            self.builder.abandon();
        } else {
            let error = place.unread(marked);
            self.builder.problems.push(error);
        }
    }

    fn syntax_error(&mut self, base: usize, problem: &Problem) {
        let place = ReaderState::new(&self.builder, self.text, base, base + problem.at, base + problem.start);
        if let Some(range) = place.template_action() {
            explain::report_templated(&mut self.builder, range);
        } else {
            let error = place.explain(problem.rule);
            self.builder.report(error);
        }
    }
}

/// Why a chunk has no document that could be used.
enum Ended {
    /// It has none at all.
    Nothing,
    Stop(Stop),
}

impl<T: Into<Stop>> From<T> for Ended {
    fn from(stop: T) -> Self {
        Self::Stop(stop.into())
    }
}

/// What an anchor stands for, beside the node that the builder knows.
struct Anchor {
    id: usize,
    /// The scalar as a key; `None` if it cannot be one.
    key: Option<(String, KeyKind)>,
}

struct Chunk<'a, 'b, 't> {
    /// Where the chunk starts and ends in the source.
    base: usize,
    end: usize,
    parser: Parser<'t>,
    source: &'a str,
    builder: &'b mut Builder<'a>,
    anchors: HashMap<&'t str, Anchor>,
}

impl<'t> Chunk<'_, '_, 't> {
    /// Reads the first document; returns whether a line `...` ends it.
    fn document(&mut self) -> Result<bool, Ended> {
        loop {
            let Placed { event, range } = self.parser.next_event().map_err(Stop::Syntax)?;
            match event {
                Event::DocumentStart => {}
                Event::StreamEnd => return Err(Ended::Nothing),
                Event::DocumentEnd { marked } => return Ok(marked),
                event => self.event(event, self.span(&range))?,
            }
        }
    }

    fn span(&self, range: &Range<usize>) -> Span {
        let offset = |at: usize| clamp((self.base + at).min(self.end));
        offset(range.start)..offset(range.end)
    }

    fn event(&mut self, event: Event<'t>, span: Span) -> Result<(), Abandoned> {
        match event {
            Event::Scalar { text, style, properties } => self.scalar(&text, style, &properties, span),
            Event::SequenceStart(properties) => {
                self.refuse_as_key("a list", &span)?;
                let anchor = self.anchor(&properties, None);
                self.builder.begin(Shape::List, span, anchor)
            }
            Event::MappingStart(properties) => {
                self.refuse_as_key("a mapping", &span)?;
                let anchor = self.anchor(&properties, None);
                self.builder.begin(Shape::Object, span, anchor)
            }
            // Only brackets have a width; a block ends with its last entry.
            Event::SequenceEnd | Event::MappingEnd => {
                self.builder.end((span.start < span.end).then_some(span.end));
                Ok(())
            }
            Event::Alias(name) => self.alias(name, span),
            Event::DocumentStart | Event::DocumentEnd { .. } | Event::StreamEnd => Ok(()),
        }
    }

    /// The number of the anchor before a node, 0 for none. An anchor may be set again.
    fn anchor(&mut self, properties: &Properties<'t>, key: Option<(String, KeyKind)>) -> usize {
        let Some(name) = properties.anchor else { return 0 };
        let id = self.builder.new_anchor();
        self.anchors.insert(name, Anchor { id, key });
        id
    }

    fn scalar(
        &mut self,
        text: &str,
        style: Style,
        properties: &Properties<'t>,
        span: Span,
    ) -> Result<(), Abandoned> {
        let tag = properties.tag.as_deref();
        let span = match style {
            Style::Literal | Style::Folded => {
                let written = self.source.get(span.start as usize..span.end as usize).unwrap_or_default();
                span.start..span.start + clamp(written.trim_end().len())
            }
            _ => span,
        };
        let wants_key = self.builder.wants_key();
        if !wants_key || properties.anchor.is_some() {
            let value = scalar::value(text, style, tag).unwrap_or_else(|bad| {
                self.builder.fail(ErrorKind::UnsupportedValue, bad.message(), span.clone());
                Value::NULL
            });
            let key = properties.anchor.and_then(|_| scalar::key(text, style, tag).ok()?);
            let anchor = self.anchor(properties, key.map(|key| (key.text.into_owned(), key.kind)));
            if !wants_key {
                return self.builder.scalar(value, span, anchor);
            }
            self.builder.anchor_key(anchor, value);
        }
        if scalar::is_merge(text, style, properties) {
            self.builder.merge_key(span);
            return Ok(());
        }
        match scalar::key(text, style, tag) {
            Ok(Some(key)) => self.builder.key(&key.text, key.kind, span),
            Ok(None) => self.bad_key("a key cannot be null", span),
            Err(bad) => self.bad_key(&bad.message(), span),
        }
        Ok(())
    }

    fn bad_key(&mut self, message: &str, span: Span) {
        self.builder.fail(ErrorKind::UnsupportedValue, message, span.clone());
        self.builder.key("", KeyKind::Text, span);
    }

    fn alias(&mut self, name: &str, span: Span) -> Result<(), Abandoned> {
        let Some(anchor) = self.anchors.get(name) else { return self.unknown_alias(name, span) };
        if !self.builder.wants_key() {
            return self.builder.alias(anchor.id, span);
        }
        match &anchor.key {
            Some((key, kind)) => self.builder.key(key, *kind, span),
            None => self.bad_key("only a string, number or boolean can be a key", span),
        }
        Ok(())
    }

    fn unknown_alias(&mut self, name: &str, span: Span) -> Result<(), Abandoned> {
        let shown = quote(name);
        let error = Error::new(ErrorKind::Syntax, format!("there is no anchor `&{shown}` before this alias"))
            .at(self.builder.problems.location(span.clone()))
            .hint(format!("if it is meant as text, put it in quotes: `\"*{shown}\"`"));
        self.builder.report(error);
        if self.builder.wants_key() {
            self.builder.key(name, KeyKind::Text, span);
            Ok(())
        } else {
            self.builder.scalar(Value::NULL, span, 0)
        }
    }

    /// Lists and mappings as keys have no JSON form; two braces are what is left of a template.
    fn refuse_as_key(&mut self, what: &str, span: &Span) -> Result<(), Abandoned> {
        if !self.builder.wants_key() {
            return Ok(());
        }
        if let Some((Shape::Object, open)) = self.builder.open()
            && self.source.get(open as usize..).is_some_and(|text| text.starts_with("{{"))
            && open + 1 == span.start
        {
            explain::report_templated(self.builder, open..open + 2);
            return Err(Abandoned);
        }
        self.builder.fail(ErrorKind::UnsupportedValue, format!("{what} cannot be a key"), span.clone());
        Err(Abandoned)
    }
}
