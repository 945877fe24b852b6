//! What local variables stand for: `c := input.review.object.spec.containers[_]`, `some c in …`.

use std::collections::BTreeMap;

use portcullis_rego_syntax::ast::{
    BinaryOp, Expr, ExprKind, Import, Module as Ast, Statement, StatementKind,
};
use portcullis_rego_syntax::resolve::LocalId;
use portcullis_rego_syntax::visit::{self, Visitor};
use portcullis_rego_syntax::{Names, Resolution, Span};

use super::Path;

/// Variables that stand for variables are followed this far.
const LONGEST_CHAIN: usize = 16;

/// What the local variables of a module stand for, as far as they are paths.
#[derive(Debug, Default)]
pub struct Bindings<'m> {
    bound: BTreeMap<LocalId, (&'m Expr, bool)>,
    names: Option<&'m Names>,
    ast: Option<&'m Ast>,
}

impl<'m> Bindings<'m> {
    /// Of a module.
    pub fn of(ast: &'m Ast, names: &'m Names) -> Self {
        let mut binder = Binder { names, bound: BTreeMap::new() };
        visit::walk_module(&mut binder, ast);
        Self { bound: binder.bound, names: Some(names), ast: Some(ast) }
    }

    /// The path from `input` or `data` that an expression stands for.
    pub fn path(&self, expr: &Expr) -> Option<Path> {
        self.within(expr, LONGEST_CHAIN)
    }

    /// The same of a local variable.
    pub fn path_of_local(&self, id: LocalId) -> Option<Path> {
        self.of_local(id, LONGEST_CHAIN)
    }

    fn of_local(&self, id: LocalId, steps: usize) -> Option<Path> {
        let (expr, is_element) = self.bound.get(&id)?;
        let mut path = self.within(expr, steps.checked_sub(1)?)?;
        if *is_element {
            path.push(None);
        }
        Some(path)
    }

    fn within(&self, expr: &Expr, left: usize) -> Option<Path> {
        let left = left.checked_sub(1)?;
        let expr = expr.peeled();
        match &expr.kind {
            ExprKind::Var(name) => match self.names?.at(expr.span)? {
                Resolution::Input | Resolution::Data => Some(vec![Some(name.clone())]),
                Resolution::Local(id) => self.of_local(id, left),
                Resolution::Import(index) => {
                    let import: &Import = self.ast?.imports.get(index)?;
                    Some(import.segments().into_iter().map(|name| Some(name.to_owned())).collect())
                }
                _ => None,
            },
            ExprKind::Ref(reference) => {
                let mut path = self.within(&reference.head, left)?;
                path.extend(reference.args.iter().map(|arg| arg.as_str().map(str::to_owned)));
                Some(path)
            }
            _ => None,
        }
    }
}

struct Binder<'m> {
    names: &'m Names,
    bound: BTreeMap<LocalId, (&'m Expr, bool)>,
}

impl<'m> Binder<'m> {
    fn bind(&mut self, span: Span, expr: &'m Expr, is_element: bool) {
        if let Some(Resolution::Local(id)) = self.names.at(span) {
            self.bound.entry(id).or_insert((expr, is_element));
        }
    }
}

impl<'m> Visitor<'m> for Binder<'m> {
    fn visit_statement(&mut self, statement: &'m Statement) {
        match &statement.kind {
            StatementKind::Expr(Expr { kind: ExprKind::Binary(binary), .. }) => {
                let is_binding = matches!(binary.op, BinaryOp::Assign | BinaryOp::Unify);
                if is_binding && binary.lhs.as_var().is_some() {
                    self.bind(binary.lhs.span, &binary.rhs, false);
                }
            }
            StatementKind::SomeIn(some) if some.value.as_var().is_some() => {
                self.bind(some.value.span, &some.collection, true);
            }
            StatementKind::Every(every) => self.bind(every.value.span, &every.collection, true),
            _ => {}
        }
        visit::walk_statement(self, statement);
    }
}
