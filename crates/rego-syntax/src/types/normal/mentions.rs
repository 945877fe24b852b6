//! The variables of terms.

use std::collections::BTreeSet;

use super::{Expr, ExprKind, RefHead, Reference, Term, TermKind, Var};

pub(super) type Vars = BTreeSet<Var>;

/// What is left out of the variables of a term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Skipped {
    Nothing,
    /// Comprehensions and the bodies of `every`.
    Closures,
    /// The heads of references.
    Heads,
    /// Both of these, and the keys of objects: what is left is bound where the term is matched.
    Pattern,
    /// All of these, and sets.
    PatternAndSets,
}

impl Skipped {
    fn closures(self) -> bool {
        matches!(self, Self::Closures | Self::Pattern | Self::PatternAndSets)
    }

    fn heads(self) -> bool {
        matches!(self, Self::Heads | Self::Pattern | Self::PatternAndSets)
    }

    fn object_keys(self) -> bool {
        matches!(self, Self::Pattern | Self::PatternAndSets)
    }
}

/// Collects the variables of terms.
pub(super) struct Mentions<'v> {
    pub(super) skipped: Skipped,
    pub(super) vars: &'v mut Vars,
}

impl Mentions<'_> {
    pub(super) fn term(&mut self, term: &Term) {
        match &term.kind {
            TermKind::Var(var) => drop(self.vars.insert(*var)),
            TermKind::Ref(reference) => self.reference(reference),
            TermKind::Set(_) if self.skipped == Skipped::PatternAndSets => {}
            TermKind::Array(items) | TermKind::Set(items) | TermKind::Call(_, items) => {
                for item in items {
                    self.term(item);
                }
            }
            TermKind::Object(entries) => {
                for (key, value) in entries {
                    if !self.skipped.object_keys() {
                        self.term(key);
                    }
                    self.term(value);
                }
            }
            TermKind::Closure(closure) if !self.skipped.closures() => {
                for term in &closure.terms {
                    self.term(term);
                }
                for expr in &closure.body {
                    self.expr(expr);
                }
            }
            _ => {}
        }
    }

    fn reference(&mut self, reference: &Reference) {
        if let RefHead::Var(var) = &reference.head
            && !self.skipped.heads()
        {
            self.vars.insert(*var);
        }
        for arg in &reference.args {
            self.term(arg);
        }
    }

    pub(super) fn expr(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Term(term) => self.term(term),
            ExprKind::Call(_, args) => {
                for arg in args {
                    self.term(arg);
                }
            }
            ExprKind::Every(every) => {
                self.term(&every.domain);
                self.vars.extend(&every.vars);
                for expr in &every.body {
                    self.expr(expr);
                }
            }
        }
        for with in expr.with.iter() {
            self.term(&with.target);
            self.term(&with.value);
        }
    }
}
