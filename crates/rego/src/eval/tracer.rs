//! What follows an evaluation. The machine is compiled for each kind of it, so that evaluations that nobody
//! follows pay nothing.

use portcullis_rego_syntax::Span;

use super::coverage::Coverage;

/// Is told what an evaluation does.
pub(super) trait Tracer<'v> {
    /// A mark is reached ([`crate::Made::Covered`]).
    fn reach(&mut self, mark: usize);

    /// An operation of the statement at a place had no answer, and ends the attempt.
    fn fail(&mut self, module: usize, span: Span);

    /// Operations inside of one of the statement at a place are run: whether they hold is not yet whether it does.
    fn enter(&mut self, module: usize, span: Span);

    /// They were run.
    fn leave(&mut self);
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
        if self.inside.last() != Some(&(module, span)) {
            self.coverage.fail(module, span);
        }
    }

    fn enter(&mut self, module: usize, span: Span) {
        self.inside.push((module, span));
    }

    fn leave(&mut self) {
        self.inside.pop();
    }
}
