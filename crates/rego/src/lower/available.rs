//! Builtins that a module names and that there are not. Found on the syntax tree, so that they are reported
//! beside whatever else is wrong with a module that cannot be lowered yet.

use portcullis_rego_syntax::ast::{Expr, ExprKind, With};
use portcullis_rego_syntax::builtins::{self as rows, Answered};
use portcullis_rego_syntax::visit::{self, Visitor};
use portcullis_rego_syntax::{Names, Resolution, Span};

use super::Unit;
use crate::error::CompileError;

/// The builtins of a module that are not available, `module` being its position among others.
pub fn unavailable_builtins(unit: &Unit<'_>, module: usize) -> Vec<CompileError> {
    let mut collector = Collector { names: unit.names, module, errors: Vec::new() };
    visit::walk_module(&mut collector, unit.module);
    collector.errors
}

/// The error for a builtin that there is not.
pub(super) fn unavailable(module: usize, span: Span, name: &str) -> CompileError {
    let hint = match rows::find(name).map(|row| row.answered) {
        Some(Answered::Missing(why)) => why,
        _ => None,
    };
    let message = format!("builtin `{name}` is not available");
    CompileError { hint: hint.map(str::to_owned), ..CompileError::rego(module, span, message) }
}

/// Whether a builtin is implemented, by a function or by lowering.
fn is_answered(name: &str) -> bool {
    name == "print" || rows::find(name).is_some_and(|row| !matches!(row.answered, Answered::Missing(_)))
}

struct Collector<'n> {
    names: &'n Names,
    module: usize,
    errors: Vec<CompileError>,
}

impl Collector<'_> {
    fn check(&mut self, callee: &Expr) {
        let head = callee.as_ref().map_or(callee, |reference| &reference.head);
        if self.names.at(head.span) != Some(Resolution::Builtin) {
            return;
        }
        let name = callee.static_prefix().into_iter().map(|(text, _)| text).collect::<Vec<_>>().join(".");
        if !is_answered(&name) {
            self.errors.push(unavailable(self.module, callee.span, &name));
        }
    }
}

impl<'m> Visitor<'m> for Collector<'_> {
    fn visit_expr(&mut self, expr: &'m Expr) {
        if let ExprKind::Call(call) = &expr.kind {
            self.check(&call.callee);
        }
        visit::walk_expr(self, expr);
    }

    fn visit_with(&mut self, with: &'m With) {
        self.check(&with.target);
        self.check(&with.value);
        visit::walk_with(self, with);
    }
}
