//! What a module refers to: every reference to a root, a rule or an import, as a pattern of constant and
//! other segments.

use crate::ast::{Body, Expr, ExprKind, Module, Rule, Statement, With};
use crate::resolve::{Names, Resolution};
use crate::span::Span;
use crate::visit::{self, Visitor};

/// A reference to something outside of the body it stands in.
#[derive(Clone, Debug)]
pub struct GlobalRef<'m> {
    /// The whole reference.
    pub span: Span,
    /// What the first segment means: never a local.
    pub root: Resolution,
    /// The segments from the root on, with none for those that are not constant strings. Import names are
    /// replaced by the path they stand for, so that the first segment is `data` or `input`, or the name
    /// of a rule.
    pub path: Vec<Option<&'m str>>,
    /// The segments as written, from the first to the last constant one before any other.
    pub static_prefix: Vec<(&'m str, Span)>,
    /// The name of the rule it stands in.
    pub rule: &'m str,
    /// What is done with it.
    pub usage: Usage,
}

/// What is done with a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Usage {
    /// Its value is read.
    Read,
    /// It is called.
    Call,
    /// `with` replaces it.
    WithTarget,
}

impl GlobalRef<'_> {
    /// Position of the first segment that is not constant.
    pub fn first_dynamic(&self) -> Option<usize> {
        self.path.iter().position(Option::is_none)
    }
}

/// All references to roots, rules and imports, in the order of [`crate::visit`]; a bare name is one, too.
/// Calls of builtins are not among them.
pub fn refs<'m>(module: &'m Module, names: &Names) -> impl Iterator<Item = GlobalRef<'m>> {
    let mut collector = Collector { module, names, rule: "", usage: Usage::Read, found: Vec::new() };
    visit::walk_module(&mut collector, module);
    collector.found.into_iter()
}

struct Collector<'m, 'n> {
    module: &'m Module,
    names: &'n Names,
    rule: &'m str,
    /// Of the expression that is visited next.
    usage: Usage,
    found: Vec<GlobalRef<'m>>,
}

impl<'m> Collector<'m, '_> {
    fn add(&mut self, expr: &'m Expr, usage: Usage) {
        let head = expr.as_ref().map_or(expr, |reference| &reference.head);
        // A call begins where the name of its function does.
        let Some(root) = head.as_var().and_then(|_| self.names.at(head.span)) else { return };
        let written: Vec<Option<&'m str>> = match &expr.kind {
            ExprKind::Ref(reference) => reference.pattern(),
            _ => vec![expr.as_var()],
        };
        let path = match root {
            Resolution::Input | Resolution::Data | Resolution::Rule => written,
            Resolution::Import(index) => {
                let import =
                    self.module.imports.get(index).map(crate::ast::Import::segments).unwrap_or_default();
                import.into_iter().map(Some).chain(written.into_iter().skip(1)).collect()
            }
            Resolution::Local(_) | Resolution::Wildcard | Resolution::Builtin | Resolution::Unresolved => {
                return;
            }
        };
        let static_prefix = expr.static_prefix();
        self.found.push(GlobalRef { span: expr.span, root, path, static_prefix, rule: self.rule, usage });
    }
}

impl<'m> Visitor<'m> for Collector<'m, '_> {
    fn visit_rule(&mut self, rule: &'m Rule) {
        self.rule = rule.name();
        visit::walk_rule(self, rule);
    }

    fn visit_body(&mut self, body: &'m Body) {
        self.usage = Usage::Read;
        visit::walk_body(self, body);
    }

    fn visit_statement(&mut self, statement: &'m Statement) {
        self.usage = Usage::Read;
        visit::walk_statement(self, statement);
    }

    fn visit_with(&mut self, with: &'m With) {
        self.usage = Usage::WithTarget;
        self.visit_expr(&with.target);
        self.visit_expr(&with.value);
    }

    fn visit_expr(&mut self, expr: &'m Expr) {
        let usage = std::mem::replace(&mut self.usage, Usage::Read);
        match &expr.kind {
            ExprKind::Var(_) => self.add(expr, usage),
            ExprKind::Ref(reference) => {
                self.add(expr, usage);
                // The head of the reference is part of it, unless it is not a variable.
                if reference.head.as_var().is_none() {
                    self.visit_expr(&reference.head);
                }
                for arg in &reference.args {
                    self.visit_ref_arg(arg);
                }
            }
            ExprKind::Call(call) => {
                self.usage = Usage::Call;
                self.visit_expr(&call.callee);
                for arg in &call.args {
                    self.visit_expr(arg);
                }
            }
            _ => visit::walk_expr(self, expr),
        }
    }
}
