//! Which names a body mentions and declares by itself, before any of them is resolved.

use std::collections::BTreeSet;

use crate::ast::{BinaryOp, Body, Expr, ExprKind, Statement, StatementKind};
use crate::visit::{self, Visitor};

/// Collects the names mentioned outside of inner bodies, functions aside, and those declared there.
#[derive(Default)]
pub(super) struct Direct<'m> {
    pub(super) mentioned: BTreeSet<&'m str>,
    pub(super) declared: BTreeSet<&'m str>,
}

impl<'m> Direct<'m> {
    fn pattern(&mut self, pattern: &'m Expr) {
        match &pattern.kind {
            ExprKind::Var(name) => {
                self.declared.insert(name);
            }
            ExprKind::Array(items) => {
                for item in items {
                    self.pattern(item);
                }
            }
            ExprKind::Object(entries) => {
                for entry in entries {
                    self.visit_expr(&entry.key);
                    self.pattern(&entry.value);
                }
            }
            ExprKind::Paren(inner) => self.pattern(inner),
            _ => self.visit_expr(pattern),
        }
    }
}

impl<'m> Visitor<'m> for Direct<'m> {
    fn visit_body(&mut self, _body: &'m Body) {}

    fn visit_statement(&mut self, statement: &'m Statement) {
        match &statement.kind {
            StatementKind::SomeIn(some) => {
                self.visit_expr(&some.collection);
                for pattern in some.key.iter().chain(std::iter::once(&some.value)) {
                    self.pattern(pattern);
                }
                for with in &statement.with {
                    self.visit_with(with);
                }
            }
            StatementKind::Some(names) => self.declared.extend(names.iter().map(|name| name.text.as_str())),
            _ => visit::walk_statement(self, statement),
        }
    }

    fn visit_expr(&mut self, expr: &'m Expr) {
        match &expr.kind {
            ExprKind::Var(name) => {
                self.mentioned.insert(name);
            }
            ExprKind::Comprehension(_) => {}
            ExprKind::Call(call) => {
                for arg in &call.args {
                    self.visit_expr(arg);
                }
            }
            ExprKind::Binary(binary) if binary.op == BinaryOp::Assign => {
                self.visit_expr(&binary.rhs);
                self.pattern(&binary.lhs);
            }
            _ => visit::walk_expr(self, expr),
        }
    }
}
