//! What follows an evaluation. The machine is compiled for each kind of it, so that evaluations that nobody
//! follows pay nothing.

use portcullis_rego_syntax::Span;
use portcullis_value::Value;

use super::coverage::Coverage;
use crate::normal_form::{Comparison, GroupId};

/// Is told what an evaluation does.
pub(super) trait Tracer<'v> {
    /// Whether it wants to know more than marks: values, and what asks what.
    const RECORDS: bool = false;

    /// A mark is reached ([`crate::Made::Covered`]).
    fn reach(&mut self, mark: usize);

    /// An operation of the statement at a place had no answer, and ends the attempt.
    fn fail(&mut self, module: usize, span: Span);

    /// Operations inside of one of the statement at a place are run: whether they hold is not yet whether it does.
    fn enter(&mut self, module: usize, span: Span);

    /// They were run.
    fn leave(&mut self);

    /// How much was written down.
    #[inline]
    fn position(&self) -> usize {
        0
    }

    /// An attempt ended: what was written down since does not count.
    #[inline]
    fn back_to(&mut self, _position: usize) {}

    /// Keys were followed from a value, or from the input.
    fn read(&mut self, _base: Option<&'v Value>, _keys: &[&Value], _found: Option<&'v Value>) {}

    /// An element of a collection is tried.
    #[inline]
    fn pick(&mut self, _element: &'v Value) {}

    /// Two values were compared.
    fn compare(&mut self, _operator: Comparison, _left: &'v Value, _right: &'v Value, _holds: bool) {}

    /// A builtin was called.
    fn call(&mut self, _name: &'static str, _args: &[&'v Value], _answer: Option<&'v Value>) {}

    /// A document was asked for.
    #[inline]
    fn asked(&mut self, _group: GroupId) {}

    /// A body of a document or function is run; the position where it begins.
    #[inline]
    fn begin(&mut self, _group: GroupId, _module: usize, _span: Span) -> usize {
        0
    }

    /// It has an answer.
    #[inline]
    fn answered(&mut self, _at: usize, _element: &'v Value) {}

    /// It was run. Functions had so many answers before.
    #[inline]
    fn end(&mut self, _at: usize, _is_document: bool, _before: usize) {}

    /// How many answers of a document or function are kept.
    #[inline]
    fn answers(&self, _group: GroupId) -> usize {
        0
    }
}

/// Nobody follows.
pub(super) struct Untraced;

impl Tracer<'_> for Untraced {
    #[inline]
    fn reach(&mut self, _mark: usize) {}

    #[inline]
    fn fail(&mut self, _module: usize, _span: Span) {}

    #[inline]
    fn enter(&mut self, _module: usize, _span: Span) {}

    #[inline]
    fn leave(&mut self) {}
}

/// Notes which statements are reached, and how they come out.
pub(super) struct Covering<'c> {
    coverage: &'c Coverage,
    /// The statements inside of which it is.
    inside: Vec<(usize, Span)>,
}

impl<'c> Covering<'c> {
    pub(super) const fn new(coverage: &'c Coverage) -> Self {
        Self { coverage, inside: Vec::new() }
    }
}

impl Tracer<'_> for Covering<'_> {
    fn reach(&mut self, mark: usize) {
        self.coverage.reach(mark);
    }

    fn fail(&mut self, module: usize, span: Span) {
        if self.inside.last() != Some(&(module, self.coverage.owner(module, span))) {
            self.coverage.fail(module, span);
        }
    }

    fn enter(&mut self, module: usize, span: Span) {
        self.inside.push((module, self.coverage.owner(module, span)));
    }

    fn leave(&mut self) {
        self.inside.pop();
    }
}
