//! Rules as OPA's type checker sees them: in a form of few kinds of terms, in which every call and every
//! reference has a statement of its own.
//!
//! ```text
//! Rule --build--> terms with resolved names --expand--> calls in statements --order--> what binds comes first --hoist--> references
//! ```
//!
//! The form matters: what a variable is said to be depends on which statement meets it first, so these steps
//! are OPA's own.

mod build;
mod expand;
mod hoist;
mod mentions;
mod order;
mod unifier;

use std::collections::BTreeMap;
use std::rc::Rc;

pub(super) use build::{Unit, rules};

use super::lattice::Key;
use crate::span::Span;

/// A variable of a program: an index into [`Variables`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Var(u32);

/// How many arguments the functions of a program take, by their paths below `data`; none for other rules.
pub(super) type Arities = BTreeMap<Vec<Key>, usize>;

/// The names of all variables.
#[derive(Debug, Default)]
pub(super) struct Variables {
    names: Vec<Option<String>>,
}

impl Variables {
    fn named(&mut self, name: &str) -> Var {
        self.add(Some(name.to_owned()))
    }

    /// A variable that nobody wrote.
    fn fresh(&mut self) -> Var {
        self.add(None)
    }

    fn add(&mut self, name: Option<String>) -> Var {
        let var = Var(u32::try_from(self.names.len()).unwrap_or(u32::MAX));
        self.names.push(name);
        var
    }

    /// The name that was written, if one was.
    pub(super) fn name(&self, var: Var) -> Option<&str> {
        self.names.get(var.0 as usize)?.as_deref()
    }
}

#[derive(Clone, Debug)]
pub(super) struct Term {
    pub(super) span: Span,
    pub(super) kind: TermKind,
}

#[derive(Clone, Debug)]
pub(super) enum TermKind {
    Null,
    Bool(bool),
    Number(String),
    String(String),
    Var(Var),
    Ref(Box<Reference>),
    Array(Vec<Term>),
    Set(Vec<Term>),
    Object(Vec<(Term, Term)>),
    Closure(Box<Closure>),
    /// A call as a part of something. None is left after expanding.
    Call(Callee, Vec<Term>),
    /// The name of a builtin function, in a `with`.
    Builtin(String),
}

/// `input`, `data.a.b`, `x.y[z]`.
#[derive(Clone, Debug)]
pub(super) struct Reference {
    pub(super) head: RefHead,
    pub(super) args: Vec<Term>,
}

#[derive(Clone, Debug)]
pub(super) enum RefHead {
    Input,
    Data,
    Var(Var),
    /// A collection, a comprehension or a call. None is left after expanding.
    Term(Term),
}

/// A comprehension.
#[derive(Clone, Debug)]
pub(super) struct Closure {
    /// Different for all of a program.
    pub(super) id: u32,
    pub(super) kind: ClosureKind,
    /// For objects the key and the value.
    pub(super) terms: Vec<Term>,
    pub(super) body: Vec<Expr>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ClosureKind {
    Array,
    Set,
    Object,
}

/// What a call calls.
#[derive(Clone, Debug)]
pub(super) enum Callee {
    /// `=`, `:=`, and at the end also `==` as a statement.
    Unify,
    /// `==` as a statement: binds nothing.
    Equal,
    Builtin(String),
    /// A reference to a function of the program.
    Rule(Box<Reference>),
}

/// A statement.
#[derive(Clone, Debug)]
pub(super) struct Expr {
    pub(super) span: Span,
    pub(super) kind: ExprKind,
    pub(super) is_negated: bool,
    /// Whether the last argument of a call was added for its result.
    pub(super) is_generated: bool,
    pub(super) with: Rc<[With]>,
}

#[derive(Clone, Debug)]
pub(super) enum ExprKind {
    Term(Term),
    Call(Callee, Vec<Term>),
    Every(Box<Every>),
}

#[derive(Clone, Debug)]
pub(super) struct Every {
    pub(super) vars: Vec<Var>,
    pub(super) domain: Term,
    pub(super) body: Vec<Expr>,
}

#[derive(Clone, Debug)]
pub(super) struct With {
    pub(super) span: Span,
    pub(super) target: Term,
    pub(super) value: Term,
}

/// A rule with one body: every body of a chain and every `else` is one.
#[derive(Debug)]
pub(super) struct NormalRule {
    /// The module, by its position.
    pub(super) module: usize,
    /// The constant beginning of its path below `data`, the package included.
    pub(super) path: Vec<Key>,
    /// The rest of its path; begins with a variable.
    pub(super) tail: Vec<Term>,
    pub(super) args: Option<Vec<Term>>,
    /// The element of a set.
    pub(super) key: Option<Term>,
    pub(super) value: Term,
    pub(super) body: Vec<Expr>,
}

impl Reference {
    /// The path below `data`, if it is one and all of it is constant.
    pub(super) fn path(&self) -> Option<Vec<Key>> {
        matches!(self.head, RefHead::Data).then(|| self.args.iter().map(scalar).collect::<Option<_>>())?
    }
}

fn scalar(term: &Term) -> Option<Key> {
    term.constant().filter(|_| term.is_scalar())
}

impl Term {
    const fn new(span: Span, kind: TermKind) -> Self {
        Self { span, kind }
    }

    fn var(span: Span, var: Var) -> Self {
        Self::new(span, TermKind::Var(var))
    }

    /// The value, if it is written out.
    pub(super) fn constant(&self) -> Option<Key> {
        match &self.kind {
            TermKind::Null => Some(Key::Null),
            TermKind::Bool(value) => Some(Key::Bool(*value)),
            TermKind::Number(digits) => Some(Key::number(digits)),
            TermKind::String(text) => Some(Key::string(text)),
            // OPA's keys are JSON, in which sets are arrays.
            TermKind::Array(items) | TermKind::Set(items) => {
                Some(Key::Array(items.iter().map(Self::constant).collect::<Option<_>>()?))
            }
            TermKind::Object(entries) => {
                let entries = entries.iter().map(|(key, value)| Some((key.constant()?, value.constant()?)));
                Some(Key::Object(entries.collect::<Option<_>>()?))
            }
            _ => None,
        }
    }

    pub(super) const fn is_scalar(&self) -> bool {
        matches!(self.kind, TermKind::Null | TermKind::Bool(_) | TermKind::Number(_) | TermKind::String(_))
    }

    /// How many terms it is.
    fn terms(&self) -> u64 {
        let all = |terms: &[Self]| terms.iter().map(Self::terms).sum::<u64>();
        1 + match &self.kind {
            TermKind::Ref(reference) => all(&reference.args),
            TermKind::Array(items) | TermKind::Set(items) | TermKind::Call(_, items) => all(items),
            TermKind::Object(entries) => entries.iter().map(|(key, value)| key.terms() + value.terms()).sum(),
            TermKind::Closure(closure) => {
                all(&closure.terms) + closure.body.iter().map(Expr::terms).sum::<u64>()
            }
            _ => 0,
        }
    }

    /// Whether there is a reference or a comprehension in it.
    fn needs_evaluation(&self) -> bool {
        match &self.kind {
            TermKind::Ref(_) | TermKind::Closure(_) => true,
            TermKind::Array(items) | TermKind::Set(items) | TermKind::Call(_, items) => {
                items.iter().any(Self::needs_evaluation)
            }
            TermKind::Object(entries) => {
                entries.iter().any(|(key, value)| key.needs_evaluation() || value.needs_evaluation())
            }
            _ => false,
        }
    }
}

impl Expr {
    fn call(span: Span, callee: Callee, args: Vec<Term>) -> Self {
        Self {
            span,
            kind: ExprKind::Call(callee, args),
            is_negated: false,
            is_generated: false,
            with: Rc::from([]),
        }
    }

    /// How many terms it is.
    pub(super) fn terms(&self) -> u64 {
        1 + match &self.kind {
            ExprKind::Term(term) => term.terms(),
            ExprKind::Call(_, args) => args.iter().map(Term::terms).sum(),
            ExprKind::Every(every) => every.domain.terms() + every.body.iter().map(Self::terms).sum::<u64>(),
        }
    }

    /// The statement that `term` is a new variable, and the variable.
    fn naming(vars: &mut Variables, term: Term) -> (Self, Term) {
        let var = Term::var(term.span, vars.fresh());
        let mut expr = Self::call(term.span, Callee::Unify, vec![var.clone(), term]);
        expr.is_generated = true;
        (expr, var)
    }
}
