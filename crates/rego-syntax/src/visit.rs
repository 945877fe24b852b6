//! One read-only walk over every node, used by all analysis.
//!
//! A [`Visitor`] overrides the nodes it cares about and calls the `walk_…` function of the same name to go
//! on below. Children come in text order, but for comprehensions: their body comes before their head,
//! as it binds what the head uses. The parser bounds the height of trees ([`crate::MAX_HEIGHT`]), and so
//! the recursion here.

use crate::ast::{
    Body, Clause, ComprehensionHead, Else, Expr, ExprKind, Head, Import, Module, RefArg, RefArgKind,
};
use crate::ast::{Rule, Statement, StatementKind, TemplatePart, With};

/// What to do at each kind of node; by default, to go on below.
pub trait Visitor<'m> {
    /// An import. It has no children.
    fn visit_import(&mut self, _import: &'m Import) {}

    /// A rule.
    fn visit_rule(&mut self, rule: &'m Rule) {
        walk_rule(self, rule);
    }

    /// The head of a rule.
    fn visit_head(&mut self, head: &'m Head) {
        walk_head(self, head);
    }

    /// A body of a rule.
    fn visit_clause(&mut self, clause: &'m Clause) {
        self.visit_body(&clause.body);
    }

    /// An `else` clause.
    fn visit_else(&mut self, clause: &'m Else) {
        walk_else(self, clause);
    }

    /// The statements of a rule, an `every` or a comprehension.
    fn visit_body(&mut self, body: &'m Body) {
        walk_body(self, body);
    }

    /// A statement.
    fn visit_statement(&mut self, statement: &'m Statement) {
        walk_statement(self, statement);
    }

    /// A `with` modifier.
    fn visit_with(&mut self, with: &'m With) {
        walk_with(self, with);
    }

    /// An expression.
    fn visit_expr(&mut self, expr: &'m Expr) {
        walk_expr(self, expr);
    }

    /// A step of a reference, in an expression or a rule head.
    fn visit_ref_arg(&mut self, arg: &'m RefArg) {
        walk_ref_arg(self, arg);
    }
}

/// Visits the imports and rules.
pub fn walk_module<'m, V: Visitor<'m> + ?Sized>(visitor: &mut V, module: &'m Module) {
    for import in &module.imports {
        visitor.visit_import(import);
    }
    for rule in &module.rules {
        visitor.visit_rule(rule);
    }
}

/// Visits the head, the bodies and the `else` clauses.
pub fn walk_rule<'m, V: Visitor<'m> + ?Sized>(visitor: &mut V, rule: &'m Rule) {
    visitor.visit_head(&rule.head);
    for clause in &rule.clauses {
        visitor.visit_clause(clause);
    }
    for clause in &rule.elses {
        visitor.visit_else(clause);
    }
}

/// Visits the segments, parameters, key and value.
pub fn walk_head<'m, V: Visitor<'m> + ?Sized>(visitor: &mut V, head: &'m Head) {
    for arg in &head.path {
        visitor.visit_ref_arg(arg);
    }
    for param in head.params.iter().flatten() {
        visitor.visit_expr(param);
    }
    if let Some(key) = &head.key {
        visitor.visit_expr(key);
    }
    if let Some(value) = &head.value {
        visitor.visit_expr(&value.expr);
    }
}

/// Visits the value and the body.
pub fn walk_else<'m, V: Visitor<'m> + ?Sized>(visitor: &mut V, clause: &'m Else) {
    if let Some(value) = &clause.value {
        visitor.visit_expr(&value.expr);
    }
    if let Some(clause) = &clause.clause {
        visitor.visit_clause(clause);
    }
}

/// Visits the statements.
pub fn walk_body<'m, V: Visitor<'m> + ?Sized>(visitor: &mut V, body: &'m Body) {
    for statement in &body.statements {
        visitor.visit_statement(statement);
    }
}

/// Visits the expressions of a statement, the body of an `every`, and the modifiers.
pub fn walk_statement<'m, V: Visitor<'m> + ?Sized>(visitor: &mut V, statement: &'m Statement) {
    match &statement.kind {
        StatementKind::Expr(expr) | StatementKind::Not(expr) => visitor.visit_expr(expr),
        StatementKind::Some(_) => {}
        StatementKind::SomeIn(some) => {
            if let Some(key) = &some.key {
                visitor.visit_expr(key);
            }
            visitor.visit_expr(&some.value);
            visitor.visit_expr(&some.collection);
        }
        StatementKind::Every(every) => {
            visitor.visit_expr(&every.collection);
            visitor.visit_body(&every.body);
        }
    }
    for with in &statement.with {
        visitor.visit_with(with);
    }
}

/// Visits the target and the value.
pub fn walk_with<'m, V: Visitor<'m> + ?Sized>(visitor: &mut V, with: &'m With) {
    visitor.visit_expr(&with.target);
    visitor.visit_expr(&with.value);
}

/// Visits the parts of an expression.
pub fn walk_expr<'m, V: Visitor<'m> + ?Sized>(visitor: &mut V, expr: &'m Expr) {
    match &expr.kind {
        ExprKind::Null | ExprKind::Bool(_) | ExprKind::Number(_) | ExprKind::String(_) | ExprKind::Var(_) => {
        }
        ExprKind::Template(template) => {
            for part in &template.parts {
                if let TemplatePart::Expr(statement) = part {
                    visitor.visit_statement(statement);
                }
            }
        }
        ExprKind::Ref(reference) => {
            visitor.visit_expr(&reference.head);
            for arg in &reference.args {
                visitor.visit_ref_arg(arg);
            }
        }
        ExprKind::Call(call) => {
            visitor.visit_expr(&call.callee);
            for arg in &call.args {
                visitor.visit_expr(arg);
            }
        }
        ExprKind::Array(items) | ExprKind::Set(items) => {
            for item in items {
                visitor.visit_expr(item);
            }
        }
        ExprKind::Object(entries) => {
            for entry in entries {
                visitor.visit_expr(&entry.key);
                visitor.visit_expr(&entry.value);
            }
        }
        ExprKind::Comprehension(comprehension) => {
            visitor.visit_body(&comprehension.body);
            match &comprehension.head {
                ComprehensionHead::Array(term) | ComprehensionHead::Set(term) => visitor.visit_expr(term),
                ComprehensionHead::Object(entry) => {
                    visitor.visit_expr(&entry.key);
                    visitor.visit_expr(&entry.value);
                }
            }
        }
        ExprKind::Binary(binary) => {
            visitor.visit_expr(&binary.lhs);
            visitor.visit_expr(&binary.rhs);
        }
        ExprKind::Membership(membership) => {
            if let Some(key) = &membership.key {
                visitor.visit_expr(key);
            }
            visitor.visit_expr(&membership.value);
            visitor.visit_expr(&membership.collection);
        }
        ExprKind::Paren(inner) => visitor.visit_expr(inner),
    }
}

/// Visits the expression in brackets.
pub fn walk_ref_arg<'m, V: Visitor<'m> + ?Sized>(visitor: &mut V, arg: &'m RefArg) {
    match &arg.kind {
        RefArgKind::Dot(_) => {}
        RefArgKind::Bracket(expr) => visitor.visit_expr(expr),
    }
}
