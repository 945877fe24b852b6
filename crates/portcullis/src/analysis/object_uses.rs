//! Which places of the object a text names for certain: by constant steps from `input.review.object`, or from a local
//! variable that is given such a place once; and what such a place is compared with.
//!
//! Unlike [`super::reads`] it follows nothing into functions or sets: what it tells is so, and much is not told.

use std::collections::BTreeMap;

use portcullis_rego_syntax::ast::{BinaryOp, Expr, ExprKind, Statement, StatementKind};
use portcullis_rego_syntax::resolve::LocalId;
use portcullis_rego_syntax::visit::{self, Visitor};
use portcullis_rego_syntax::{Names, Resolution, Span};

use super::ParsedModule;

/// A place that is named, from the object on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ObjectUse {
    /// Its steps; none is an element, or a key that is computed.
    pub(crate) path: Vec<Option<String>>,
    /// How many of the steps come from a variable, and are written elsewhere.
    pub(crate) before: usize,
    /// Where it is written, in the text of the module.
    pub(crate) span: Span,
    /// What it is compared with, if that is a constant.
    pub(crate) compared: Option<Constant>,
}

/// What a constant is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Constant {
    Text,
    Number,
    Bool,
}

/// Longest path that is told.
const LONGEST: usize = 24;
/// A variable that is given the place of another one, so many times.
const ROUNDS: usize = 8;

/// The places that a module names. None if it puts something else in the place of its input.
pub(crate) fn object_uses(parsed: &ParsedModule<'_>) -> Vec<ObjectUse> {
    let mut uses = Uses {
        names: &parsed.names,
        locals: BTreeMap::new(),
        replaces: false,
        found: Vec::new(),
        told: false,
    };
    for _ in 0..ROUNDS {
        let known = uses.locals.len();
        visit::walk_module(&mut uses, &parsed.module);
        if uses.replaces {
            return Vec::new();
        }
        if uses.locals.len() == known {
            break;
        }
    }
    uses.told = true;
    visit::walk_module(&mut uses, &parsed.module);
    let mut found = uses.found;
    // A comparison names the place once more.
    found.sort_by_key(|one| (one.span, one.compared.is_none()));
    found.dedup_by(|later, first| later.span == first.span);
    found
}

struct Uses<'n> {
    names: &'n Names,
    /// The places that variables stand for.
    locals: BTreeMap<LocalId, Vec<Option<String>>>,
    /// Whether `with` changes the input.
    replaces: bool,
    found: Vec<ObjectUse>,
    /// Whether all variables are known.
    told: bool,
}

impl Uses<'_> {
    /// The place that an expression names.
    fn place(&self, expr: &Expr) -> Option<Vec<Option<String>>> {
        let (head, rest): (&Expr, Vec<Option<String>>) = match &expr.kind {
            ExprKind::Var(_) => (expr, Vec::new()),
            ExprKind::Ref(reference) => {
                let steps = reference.args.iter().map(|arg| arg.as_str().map(str::to_owned));
                (&reference.head, steps.collect())
            }
            _ => return None,
        };
        head.as_var()?;
        let place = match self.names.at(head.span)? {
            Resolution::Input => {
                let is = |place: usize, name: &str| rest.get(place).and_then(Option::as_deref) == Some(name);
                if !is(0, "review") || !(is(1, "object") || is(1, "oldObject")) {
                    return None;
                }
                rest.get(2..)?.to_vec()
            }
            Resolution::Local(id) => self.locals.get(&id)?.iter().cloned().chain(rest).collect(),
            _ => return None,
        };
        (place.len() <= LONGEST).then_some(place)
    }

    fn stands_for(&mut self, variable: &Expr, place: Option<Vec<Option<String>>>) {
        if variable.as_var().is_some()
            && let Some(Resolution::Local(id)) = self.names.at(variable.span)
            && let Some(place) = place
        {
            self.locals.entry(id).or_insert(place);
        }
    }

    fn note(&mut self, expr: &Expr, compared: Option<Constant>) {
        if self.told
            && let Some(path) = self.place(expr)
            && !path.is_empty()
        {
            let head = expr.as_ref().map_or(expr, |reference| &reference.head);
            let before = match self.names.at(head.span) {
                Some(Resolution::Local(id)) => self.locals.get(&id).map_or(0, Vec::len),
                _ => 0,
            };
            self.found.push(ObjectUse { path, before, span: expr.span, compared });
        }
    }
}

impl<'m> Visitor<'m> for Uses<'_> {
    fn visit_statement(&mut self, statement: &'m Statement) {
        self.replaces |= !statement.with.is_empty();
        match &statement.kind {
            StatementKind::Expr(Expr { kind: ExprKind::Binary(binary), .. })
                if binary.op == BinaryOp::Assign =>
            {
                let place = self.place(&binary.rhs);
                self.stands_for(&binary.lhs, place);
            }
            StatementKind::SomeIn(some) => {
                let place = self.place(&some.collection).map(|mut place| {
                    place.push(None);
                    place
                });
                self.stands_for(&some.value, place);
            }
            _ => {}
        }
        visit::walk_statement(self, statement);
    }

    fn visit_expr(&mut self, expr: &'m Expr) {
        match &expr.kind {
            ExprKind::Binary(binary)
                if matches!(binary.op, BinaryOp::Eq | BinaryOp::Ne | BinaryOp::Unify) =>
            {
                for (one, other) in [(&binary.lhs, &binary.rhs), (&binary.rhs, &binary.lhs)] {
                    if let Some(constant) = constant(other) {
                        self.note(one, Some(constant));
                    }
                }
            }
            ExprKind::Ref(_) => self.note(expr, None),
            _ => {}
        }
        visit::walk_expr(self, expr);
    }
}

fn constant(expr: &Expr) -> Option<Constant> {
    match &expr.kind {
        ExprKind::String(_) => Some(Constant::Text),
        ExprKind::Number(_) => Some(Constant::Number),
        ExprKind::Bool(_) => Some(Constant::Bool),
        _ => None,
    }
}
