//! Tokens in, events out: a machine whose states are what may come next.

mod collection;

use std::borrow::Cow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ops::Range;

use crate::event::{Event, Placed, Properties};
use crate::problem::{Problem, Rule};
use crate::scan::Scanner;
use crate::text;
use crate::token::{Kind, Style, Token};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before the first document, which needs no `---`.
    ImplicitDocumentStart,
    DocumentStart,
    DocumentContent,
    DocumentEnd,
    BlockNode,
    BlockSequenceFirst,
    BlockSequence,
    /// A list in the column of the key that it belongs to.
    IndentlessSequence,
    BlockMappingFirst,
    BlockMappingKey,
    BlockMappingValue,
    FlowSequenceFirst,
    FlowSequence,
    /// `a: b` in a list is a mapping of one key.
    FlowPairKey,
    FlowPairValue,
    FlowPairEnd,
    FlowMappingFirst,
    FlowMappingKey,
    FlowMappingValue,
    /// A key without a colon.
    FlowMappingNoValue,
    End,
}

/// Reads the events of a text.
///
/// ```
/// use portcullis_yaml::{Event, Parser};
///
/// let mut parser = Parser::new("{?a: 1}");
/// let mut texts = Vec::new();
/// loop {
///     match parser.next_event()?.event {
///         Event::Scalar { text, .. } => texts.push(text),
///         Event::StreamEnd => break,
///         _ => {}
///     }
/// }
/// assert_eq!(texts, ["a", "1"]);
/// # Ok::<(), portcullis_yaml::Problem>(())
/// ```
pub struct Parser<'a> {
    scanner: Scanner<'a>,
    state: State,
    states: Vec<State>,
    /// Where the lists and mappings that are open began.
    opened: Vec<usize>,
    /// What handles stand for.
    tag_directives: HashMap<&'a str, Cow<'a, str>>,
    /// What is wrong with the characters of the text; reported before anything is read.
    refused: Option<Problem>,
}

/// So many bytes of the prefix of a tag are reported, many more than any tag that means something has.
const LONGEST_TAG: usize = 1024;

type Step<'a> = Result<Placed<'a>, Problem>;

impl<'a> Parser<'a> {
    /// Of a text: one chunk of a stream, or a text that was never cut. Cost of all its events: linear in the
    /// text.
    #[must_use]
    pub fn new(text: &'a str) -> Self {
        Self {
            scanner: Scanner::new(text),
            state: State::ImplicitDocumentStart,
            states: Vec::new(),
            opened: Vec::new(),
            tag_directives: HashMap::new(),
            refused: text::check(text).err(),
        }
    }

    /// The next event; after the end of the stream, that again.
    ///
    /// # Errors
    ///
    /// The rule that the text breaks. Nothing can be read after it.
    pub fn next_event(&mut self) -> Result<Placed<'a>, Problem> {
        if let Some(problem) = &self.refused {
            return Err(problem.clone());
        }
        let step = self.step();
        if let Err(problem) = &step {
            self.refused = Some(problem.clone());
        }
        step
    }

    fn step(&mut self) -> Step<'a> {
        match self.state {
            State::ImplicitDocumentStart => self.document_start(true),
            State::DocumentStart => self.document_start(false),
            State::DocumentContent => self.document_content(),
            State::DocumentEnd => self.document_end(),
            State::BlockNode => self.node(NodeContext::Block),
            State::BlockSequenceFirst => self.block_sequence(true),
            State::BlockSequence => self.block_sequence(false),
            State::IndentlessSequence => self.indentless_sequence(),
            State::BlockMappingFirst => self.block_mapping_key(true),
            State::BlockMappingKey => self.block_mapping_key(false),
            State::BlockMappingValue => self.block_mapping_value(),
            State::FlowSequenceFirst => self.flow_sequence(true),
            State::FlowSequence => self.flow_sequence(false),
            State::FlowPairKey => self.flow_pair_key(),
            State::FlowPairValue => self.flow_pair_value(),
            State::FlowPairEnd => self.flow_pair_end(),
            State::FlowMappingFirst => self.flow_mapping_key(true),
            State::FlowMappingKey => self.flow_mapping_key(false),
            State::FlowMappingValue => self.flow_mapping_value(true),
            State::FlowMappingNoValue => self.flow_mapping_value(false),
            State::End => {
                let end = self.scanner.end();
                Ok(Placed { event: Event::StreamEnd, range: end..end })
            }
        }
    }

    fn kind(&mut self) -> Result<&Kind<'a>, Problem> {
        Ok(&self.scanner.peek()?.kind)
    }

    fn range(&mut self) -> Result<Range<usize>, Problem> {
        Ok(self.scanner.peek()?.range.clone())
    }

    /// Takes the token that was looked at, and returns where it was.
    fn take(&mut self) -> Range<usize> {
        self.scanner.take().map_or(0..0, |token| token.range)
    }

    fn pop_state(&mut self) {
        self.state = self.states.pop().unwrap_or(State::End);
    }

    fn problem<T>(&mut self, rule: Rule, start: usize) -> Result<T, Problem> {
        let at = self.range()?.start;
        Err(Problem { rule, at, start })
    }

    fn document_start(&mut self, implicit: bool) -> Step<'a> {
        if !implicit {
            while *self.kind()? == Kind::DocumentEnd {
                self.take();
            }
        }
        let range = self.range()?;
        match self.kind()? {
            Kind::StreamEnd => {
                self.state = State::End;
                return Ok(Placed { event: Event::StreamEnd, range });
            }
            Kind::Version(..) | Kind::TagDirective { .. } | Kind::DocumentStart => {}
            _ if implicit => {
                self.add_default_tags();
                self.states.push(State::DocumentEnd);
                self.state = State::BlockNode;
                return Ok(Placed { event: Event::DocumentStart, range });
            }
            _ => {}
        }
        self.directives()?;
        if *self.kind()? != Kind::DocumentStart {
            return self.problem(Rule::DocumentStart, range.start);
        }
        self.take();
        self.states.push(State::DocumentEnd);
        self.state = State::DocumentContent;
        Ok(Placed { event: Event::DocumentStart, range })
    }

    fn directives(&mut self) -> Result<(), Problem> {
        let mut version = false;
        while matches!(self.kind()?, Kind::Version(..) | Kind::TagDirective { .. }) {
            let start = self.range()?.start;
            let Some(token) = self.scanner.take() else { break };
            let rule = match token.kind {
                Kind::Version(1, 1) if !version => {
                    version = true;
                    continue;
                }
                Kind::Version(..) if version => Rule::DuplicateDirective,
                Kind::TagDirective { handle, prefix } => {
                    if let Entry::Vacant(unknown) = self.tag_directives.entry(handle) {
                        unknown.insert(prefix);
                        continue;
                    }
                    Rule::DuplicateDirective
                }
                _ => Rule::Version,
            };
            return Err(Problem { rule, at: start, start });
        }
        self.add_default_tags();
        Ok(())
    }

    fn add_default_tags(&mut self) {
        for (handle, prefix) in [("!", "!"), ("!!", "tag:yaml.org,2002:")] {
            self.tag_directives.entry(handle).or_insert(Cow::Borrowed(prefix));
        }
    }

    fn document_content(&mut self) -> Step<'a> {
        let is_empty = matches!(
            self.kind()?,
            Kind::Version(..)
                | Kind::TagDirective { .. }
                | Kind::DocumentStart
                | Kind::DocumentEnd
                | Kind::StreamEnd
        );
        if is_empty {
            self.pop_state();
            let at = self.range()?.start;
            return Ok(nothing(at));
        }
        self.node(NodeContext::Block)
    }

    fn document_end(&mut self) -> Step<'a> {
        let range = self.range()?;
        let marked = *self.kind()? == Kind::DocumentEnd;
        if marked {
            self.take();
        }
        // Not `clear`, which would cost what the largest document has had.
        self.tag_directives = HashMap::new();
        self.state = State::DocumentStart;
        let end = if marked { range.end } else { range.start };
        Ok(Placed { event: Event::DocumentEnd { marked }, range: range.start..end })
    }

    fn node(&mut self, context: NodeContext) -> Step<'a> {
        if let Kind::Alias(name) = *self.kind()? {
            self.pop_state();
            let range = self.take();
            return Ok(Placed { event: Event::Alias(name), range });
        }
        let start = self.range()?.start;
        let (properties, end) = self.properties()?;
        let range = self.range()?;
        let has_properties = properties.anchor.is_some() || properties.tag.is_some();
        let block = context != NodeContext::Flow;
        let (state, event) = match self.kind()? {
            Kind::BlockEntry if context == NodeContext::BlockOrIndentless => {
                // Its first entry is read again as one.
                self.state = State::IndentlessSequence;
                let range = range.start..range.start;
                return Ok(Placed { event: Event::SequenceStart(properties), range });
            }
            Kind::Scalar(..) => return Ok(self.scalar(properties)),
            Kind::FlowSequenceStart => (State::FlowSequenceFirst, Event::SequenceStart(properties)),
            Kind::FlowMappingStart => (State::FlowMappingFirst, Event::MappingStart(properties)),
            Kind::BlockSequenceStart if block => {
                (State::BlockSequenceFirst, Event::SequenceStart(properties))
            }
            Kind::BlockMappingStart if block => (State::BlockMappingFirst, Event::MappingStart(properties)),
            _ if has_properties => {
                self.pop_state();
                let event = Event::Scalar { text: Cow::Borrowed(""), style: Style::Plain, properties };
                return Ok(Placed { event, range: end..end });
            }
            _ => return self.problem(Rule::NodeExpected, start),
        };
        self.state = state;
        Ok(Placed { event, range })
    }

    fn scalar(&mut self, properties: Properties<'a>) -> Placed<'a> {
        self.pop_state();
        match self.scanner.take() {
            Some(Token { kind: Kind::Scalar(text, style), range }) => {
                Placed { event: Event::Scalar { text, style, properties }, range }
            }
            _ => nothing(0),
        }
    }

    /// Anchor and tag, in any order, and where they end.
    fn properties(&mut self) -> Result<(Properties<'a>, usize), Problem> {
        let mut properties = Properties::default();
        let mut end = self.range()?.start;
        loop {
            match self.kind()? {
                Kind::Anchor(name) if properties.anchor.is_none() => properties.anchor = Some(name),
                Kind::Tag { handle, suffix } if properties.tag.is_none() => {
                    let (handle, suffix) = (*handle, suffix.clone());
                    properties.tag = Some(self.tag(handle, suffix)?);
                }
                _ => return Ok((properties, end)),
            }
            end = self.take().end;
        }
    }

    fn tag(&mut self, handle: &str, suffix: Cow<'a, str>) -> Result<Cow<'a, str>, Problem> {
        if handle.is_empty() {
            return Ok(suffix);
        }
        if let Some(prefix) = self.tag_directives.get(handle) {
            // A prefix is written once and may be used a million times.
            let start = prefix.get(..prefix.floor_char_boundary(LONGEST_TAG)).unwrap_or_default();
            let rest = if start.len() == prefix.len() { suffix.as_ref() } else { "" };
            return Ok(Cow::Owned(format!("{start}{rest}")));
        }
        let start = self.range()?.start;
        self.problem(Rule::TagHandle, start)
    }
}

/// Where a node stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum NodeContext {
    Block,
    /// As the value of a key, where a list need not be indented.
    BlockOrIndentless,
    Flow,
}

/// What is not written.
fn nothing<'a>(at: usize) -> Placed<'a> {
    let properties = Properties::default();
    let event = Event::Scalar { text: Cow::Borrowed(""), style: Style::Plain, properties };
    Placed { event, range: at..at }
}
