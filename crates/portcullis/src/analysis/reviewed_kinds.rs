//! Which kinds of objects a policy can hold for, where its text says so:
//! `input.review.kind.kind == "Service"`.
//!
//! Only what is certain counts: every body of `violation` has to be about kinds that it names, by itself or
//! by rules that it needs.

use std::collections::BTreeSet;

use portcullis_rego_syntax::ast::{
    BinaryOp, Body, Expr, ExprKind, RefArgKind, Rule, RuleKind, StatementKind,
};

use super::call_graph::{Answers, CallGraph, RuleId};

/// Kinds; none for any.
type Kinds = Option<BTreeSet<Box<str>>>;

/// The kinds that a policy can hold for.
pub(super) fn of(graph: &CallGraph<'_>) -> Kinds {
    let mut looking = Looking { graph, answers: Answers::to(graph.violation()) };
    while let Some(rule) = looking.answers.next() {
        let mut all = Some(BTreeSet::new());
        for (module, definition) in graph.definitions(rule) {
            all = either(all, looking.rule(*module, definition));
        }
        looking.answers.add(rule, all);
    }
    looking.answers.get(graph.violation()).flatten()
}

struct Looking<'g, 'p> {
    graph: &'g CallGraph<'p>,
    answers: Answers<Option<RuleId>, Kinds>,
}

fn both(one: Kinds, other: Kinds) -> Kinds {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.intersection(&other).cloned().collect()),
        (one, other) => one.or(other),
    }
}

fn either(one: Kinds, other: Kinds) -> Kinds {
    one.zip(other).map(|(mut one, other)| {
        one.extend(other);
        one
    })
}

impl<'p> Looking<'_, 'p> {
    fn rule(&mut self, module: usize, rule: &'p Rule) -> Kinds {
        let is_false = |rule: &Rule| {
            rule.head
                .value
                .as_ref()
                .is_some_and(|value| matches!(value.expr.peeled().kind, ExprKind::Bool(false)))
        };
        if rule.clauses.is_empty() {
            // `default x = false`: by itself it makes nothing hold.
            return if rule.kind() == RuleKind::Complete && is_false(rule) {
                Some(BTreeSet::new())
            } else {
                None
            };
        }
        if !rule.elses.is_empty() {
            return None;
        }
        let mut all = Some(BTreeSet::new());
        for clause in &rule.clauses {
            let body = self.body(module, &clause.body);
            all = either(all, body);
        }
        all
    }

    fn body(&mut self, module: usize, body: &'p Body) -> Kinds {
        let mut all = None;
        for statement in &body.statements {
            if let (StatementKind::Expr(expr), []) = (&statement.kind, statement.with.as_slice()) {
                all = both(all, self.condition(module, expr));
            }
        }
        all
    }

    fn condition(&mut self, module: usize, expr: &'p Expr) -> Kinds {
        let expr = expr.peeled();
        match &expr.kind {
            ExprKind::Binary(binary) => match binary.op {
                BinaryOp::Eq | BinaryOp::Unify | BinaryOp::Assign => {
                    let sides = [(&binary.lhs, &binary.rhs), (&binary.rhs, &binary.lhs)];
                    let named = sides.into_iter().find(|(side, _)| is_kind(side));
                    if let Some((_, other)) = named.filter(|_| binary.op != BinaryOp::Assign) {
                        return other.peeled().as_string().map(|kind| BTreeSet::from([kind.into()]));
                    }
                    both(self.reference(module, &binary.lhs), self.reference(module, &binary.rhs))
                }
                _ => None,
            },
            ExprKind::Membership(membership) if membership.key.is_none() && is_kind(&membership.value) => {
                kinds_in(&membership.collection)
            }
            ExprKind::Ref(reference) => {
                if let [arg] = reference.args.as_slice()
                    && let RefArgKind::Bracket(inner) = &arg.kind
                    && is_kind(inner)
                    && let Some(kinds) = kinds_in(&reference.head)
                {
                    return Some(kinds);
                }
                self.reference(module, expr)
            }
            ExprKind::Call(call) => self.reference(module, &call.callee),
            ExprKind::Var(_) => self.reference(module, expr),
            _ => None,
        }
    }

    /// Of what rules need that must give something here.
    fn reference(&mut self, module: usize, expr: &'p Expr) -> Kinds {
        let expr = match &expr.peeled().kind {
            ExprKind::Call(call) => &call.callee,
            _ => expr.peeled(),
        };
        let meaning = self.graph.meaning(module, expr)?;
        if meaning.beyond == 0 && self.graph.is_collection(meaning.rule) {
            return None;
        }
        // Any, should it need itself.
        self.answers.get(meaning.rule).flatten()
    }
}

/// The texts of a list or set that has nothing but texts in it.
pub(super) fn constants(expr: &Expr) -> Option<Vec<&str>> {
    match &expr.peeled().kind {
        ExprKind::Array(items) | ExprKind::Set(items) => {
            items.iter().map(|item| item.peeled().as_string()).collect()
        }
        _ => None,
    }
}

fn kinds_in(collection: &Expr) -> Kinds {
    Some(constants(collection)?.into_iter().map(Into::into).collect())
}

/// Whether an expression is the kind of the object of the review.
fn is_kind(expr: &Expr) -> bool {
    let Some(reference) = expr.peeled().as_ref() else { return false };
    let names: Option<Vec<&str>> = reference.pattern().into_iter().collect();
    matches!(names.as_deref(), Some(["input", "review", "kind" | "object", "kind"]))
}
