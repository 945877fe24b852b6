//! Lists and mappings.

use super::{NodeContext, Parser, State, Step, nothing};
use crate::event::{Event, Placed, Properties};
use crate::problem::Rule;
use crate::token::Kind;

impl<'a> Parser<'a> {
    /// A node, after which this state is entered.
    fn node_then(&mut self, state: State, context: NodeContext) -> Step<'a> {
        self.states.push(state);
        self.node(context)
    }

    fn nothing_then(&mut self, state: State, at: usize) -> Placed<'a> {
        self.state = state;
        nothing(at)
    }

    /// Takes the token that ends a collection.
    fn ends(&mut self, event: Event<'a>) -> Placed<'a> {
        self.pop_state();
        self.opened.pop();
        let range = self.take();
        Placed { event, range }
    }

    /// Takes the token that begins a collection.
    fn begins(&mut self) {
        let start = self.take().start;
        self.opened.push(start);
    }

    fn misses<T>(&mut self, rule: Rule) -> Result<T, crate::Problem> {
        let start = self.opened.last().copied().unwrap_or(0);
        self.problem(rule, start)
    }

    pub(super) fn block_sequence(&mut self, first: bool) -> Step<'a> {
        if first {
            self.begins();
        }
        match self.kind()? {
            Kind::BlockEntry => {
                let end = self.take().end;
                match self.kind()? {
                    Kind::BlockEntry | Kind::BlockEnd => Ok(self.nothing_then(State::BlockSequence, end)),
                    _ => self.node_then(State::BlockSequence, NodeContext::Block),
                }
            }
            Kind::BlockEnd => Ok(self.ends(Event::SequenceEnd)),
            _ => self.misses(Rule::BlockEntryExpected),
        }
    }

    pub(super) fn indentless_sequence(&mut self) -> Step<'a> {
        if *self.kind()? != Kind::BlockEntry {
            self.pop_state();
            let start = self.range()?.start;
            return Ok(Placed { event: Event::SequenceEnd, range: start..start });
        }
        let end = self.take().end;
        match self.kind()? {
            Kind::BlockEntry | Kind::Key | Kind::Value | Kind::BlockEnd => {
                Ok(self.nothing_then(State::IndentlessSequence, end))
            }
            _ => self.node_then(State::IndentlessSequence, NodeContext::Block),
        }
    }

    pub(super) fn block_mapping_key(&mut self, first: bool) -> Step<'a> {
        if first {
            self.begins();
        }
        match self.kind()? {
            Kind::Key => {
                let end = self.take().end;
                match self.kind()? {
                    Kind::Key | Kind::Value | Kind::BlockEnd => {
                        Ok(self.nothing_then(State::BlockMappingValue, end))
                    }
                    _ => self.node_then(State::BlockMappingValue, NodeContext::BlockOrIndentless),
                }
            }
            Kind::BlockEnd => Ok(self.ends(Event::MappingEnd)),
            _ => self.misses(Rule::BlockKeyExpected),
        }
    }

    pub(super) fn block_mapping_value(&mut self) -> Step<'a> {
        if *self.kind()? != Kind::Value {
            let start = self.range()?.start;
            return Ok(self.nothing_then(State::BlockMappingKey, start));
        }
        let end = self.take().end;
        match self.kind()? {
            Kind::Key | Kind::Value | Kind::BlockEnd => Ok(self.nothing_then(State::BlockMappingKey, end)),
            _ => self.node_then(State::BlockMappingKey, NodeContext::BlockOrIndentless),
        }
    }

    pub(super) fn flow_sequence(&mut self, first: bool) -> Step<'a> {
        if first {
            self.begins();
        } else if *self.kind()? == Kind::FlowEntry {
            self.take();
        } else if *self.kind()? != Kind::FlowSequenceEnd {
            return self.misses(Rule::FlowSequenceSeparator);
        }
        match self.kind()? {
            Kind::FlowSequenceEnd => Ok(self.ends(Event::SequenceEnd)),
            Kind::Key => {
                self.state = State::FlowPairKey;
                let start = self.take().start;
                let event = Event::MappingStart(Properties::default());
                Ok(Placed { event, range: start..start })
            }
            _ => self.node_then(State::FlowSequence, NodeContext::Flow),
        }
    }

    pub(super) fn flow_pair_key(&mut self) -> Step<'a> {
        if matches!(self.kind()?, Kind::Value | Kind::FlowEntry | Kind::FlowSequenceEnd) {
            // As go-yaml has it, the token is passed.
            let end = self.take().end;
            return Ok(self.nothing_then(State::FlowPairValue, end));
        }
        self.node_then(State::FlowPairValue, NodeContext::Flow)
    }

    pub(super) fn flow_pair_value(&mut self) -> Step<'a> {
        if *self.kind()? == Kind::Value {
            self.take();
            if !matches!(self.kind()?, Kind::FlowEntry | Kind::FlowSequenceEnd) {
                return self.node_then(State::FlowPairEnd, NodeContext::Flow);
            }
        }
        let start = self.range()?.start;
        Ok(self.nothing_then(State::FlowPairEnd, start))
    }

    pub(super) fn flow_pair_end(&mut self) -> Step<'a> {
        self.state = State::FlowSequence;
        let start = self.range()?.start;
        Ok(Placed { event: Event::MappingEnd, range: start..start })
    }

    pub(super) fn flow_mapping_key(&mut self, first: bool) -> Step<'a> {
        if first {
            self.begins();
        } else if *self.kind()? == Kind::FlowEntry {
            self.take();
        } else if *self.kind()? != Kind::FlowMappingEnd {
            return self.misses(Rule::FlowMappingSeparator);
        }
        match self.kind()? {
            Kind::FlowMappingEnd => Ok(self.ends(Event::MappingEnd)),
            Kind::Key => {
                self.take();
                if matches!(self.kind()?, Kind::Value | Kind::FlowEntry | Kind::FlowMappingEnd) {
                    let start = self.range()?.start;
                    return Ok(self.nothing_then(State::FlowMappingValue, start));
                }
                self.node_then(State::FlowMappingValue, NodeContext::Flow)
            }
            _ => self.node_then(State::FlowMappingNoValue, NodeContext::Flow),
        }
    }

    /// `written` if there may be a colon and a value.
    pub(super) fn flow_mapping_value(&mut self, written: bool) -> Step<'a> {
        if written && *self.kind()? == Kind::Value {
            self.take();
            if !matches!(self.kind()?, Kind::FlowEntry | Kind::FlowMappingEnd) {
                return self.node_then(State::FlowMappingKey, NodeContext::Flow);
            }
        }
        let start = self.range()?.start;
        Ok(self.nothing_then(State::FlowMappingKey, start))
    }
}
