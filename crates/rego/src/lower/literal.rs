//! Between the syntax tree and the normal form: bodies as literals, in which every call stands by itself.

use std::collections::BTreeSet;
use std::rc::Rc;

use portcullis_rego_syntax::Span;
use portcullis_value::Value;

use crate::normal_form::{Callee, Slot, Target};

/// What a statement says, without calls inside.
#[derive(Clone, Debug)]
pub(super) struct Literal {
    pub(super) kind: LiteralKind,
    pub(super) is_negated: bool,
    pub(super) with: Rc<[With]>,
    pub(super) span: Span,
}

#[derive(Clone, Debug)]
pub(super) enum LiteralKind {
    /// Defined and not `false`.
    Holds(Term),
    /// `=`, `:=` and, if it binds nothing, `==`.
    Unify { left: Term, right: Term, binds: bool },
    /// A call whose answer is unified with `out`; without it, the answer must not be `false`.
    Call { callee: Callee, is_relation: bool, args: Vec<Term>, out: Option<Term> },
    /// `print(…)`.
    Print { args: Vec<Term> },
    /// `every`.
    Every { domain: Term, key: Option<Slot>, value: Option<Slot>, body: Vec<Literal> },
}

/// One `with`.
#[derive(Clone, Debug)]
pub(super) enum With {
    Input { path: Box<[Value]>, value: Term },
    Data { path: Box<[Value]>, value: Term },
    Function { target: Target, by: WithFunction },
}

#[derive(Clone, Debug)]
pub(super) enum WithFunction {
    Value(Term),
    Callee(Callee),
}

impl With {
    pub(super) fn value(&self) -> Option<&Term> {
        match self {
            Self::Input { value, .. }
            | Self::Data { value, .. }
            | Self::Function { by: WithFunction::Value(value), .. } => Some(value),
            Self::Function { by: WithFunction::Callee(_), .. } => None,
        }
    }
}

/// An expression without calls.
#[derive(Clone, Debug)]
pub(super) enum Term {
    Const(Value),
    Var(Slot),
    Ref(Box<Reference>),
    Array(Vec<Term>),
    Set(Vec<Term>),
    Object(Vec<(Term, Term)>),
    Comprehension(Box<Comprehension>),
}

#[derive(Clone, Debug)]
pub(super) struct Reference {
    pub(super) head: RefHead,
    pub(super) steps: Vec<Term>,
    pub(super) span: Span,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RefHead {
    Input,
    Data,
    Var(Slot),
}

#[derive(Clone, Debug)]
pub(super) struct Comprehension {
    pub(super) body: Vec<Literal>,
    pub(super) head: ComprehensionHead,
    pub(super) span: Span,
}

#[derive(Clone, Debug)]
pub(super) enum ComprehensionHead {
    Array(Term),
    Set(Term),
    Object(Term, Term),
}

impl Term {
    /// The variables of the term itself: not those of comprehensions in it.
    pub(super) fn vars(&self, found: &mut BTreeSet<Slot>) {
        match self {
            Self::Const(_) | Self::Comprehension(_) => {}
            Self::Var(slot) => {
                found.insert(*slot);
            }
            Self::Ref(reference) => {
                if let RefHead::Var(slot) = reference.head {
                    found.insert(slot);
                }
                reference.steps.iter().for_each(|step| step.vars(found));
            }
            Self::Array(items) | Self::Set(items) => items.iter().for_each(|item| item.vars(found)),
            Self::Object(entries) => {
                for (key, value) in entries {
                    key.vars(found);
                    value.vars(found);
                }
            }
        }
    }

    /// All variables of comprehensions in the term, at any depth.
    pub(super) fn closure_vars(&self, found: &mut BTreeSet<Slot>) {
        match self {
            Self::Const(_) | Self::Var(_) => {}
            Self::Ref(reference) => reference.steps.iter().for_each(|step| step.closure_vars(found)),
            Self::Array(items) | Self::Set(items) => items.iter().for_each(|item| item.closure_vars(found)),
            Self::Object(entries) => {
                for (key, value) in entries {
                    key.closure_vars(found);
                    value.closure_vars(found);
                }
            }
            Self::Comprehension(comprehension) => {
                for literal in &comprehension.body {
                    literal.vars(found);
                    literal.closure_vars(found);
                }
                for term in comprehension.head.terms().into_iter().flatten() {
                    term.vars(found);
                    term.closure_vars(found);
                }
            }
        }
    }
}

impl ComprehensionHead {
    pub(super) const fn terms(&self) -> [Option<&Term>; 2] {
        match self {
            Self::Array(term) | Self::Set(term) => [Some(term), None],
            Self::Object(key, value) => [Some(key), Some(value)],
        }
    }
}

impl Literal {
    /// The terms of the literal, those of `with` first.
    pub(super) fn terms(&self) -> impl Iterator<Item = &Term> {
        let own: Vec<&Term> = match &self.kind {
            LiteralKind::Holds(term) | LiteralKind::Every { domain: term, .. } => vec![term],
            LiteralKind::Unify { left, right, .. } => vec![left, right],
            LiteralKind::Call { args, out, .. } => args.iter().chain(out).collect(),
            LiteralKind::Print { args } => args.iter().collect(),
        };
        self.with.iter().filter_map(With::value).chain(own)
    }

    /// The variables of the literal itself: not those of comprehensions in it or of the body of `every`.
    pub(super) fn vars(&self, found: &mut BTreeSet<Slot>) {
        self.terms().for_each(|term| term.vars(found));
    }

    /// All variables of comprehensions and bodies in the literal.
    pub(super) fn closure_vars(&self, found: &mut BTreeSet<Slot>) {
        self.terms().for_each(|term| term.closure_vars(found));
        if let LiteralKind::Every { body, .. } = &self.kind {
            for literal in body {
                literal.vars(found);
                literal.closure_vars(found);
            }
        }
    }
}
