//! Which kinds of objects a policy can hold for, where its text says so:
//! `input.review.kind.kind == "Service"`.
//!
//! Only what is certain counts: every body of `violation` has to be about kinds that it names, by itself or
//! by rules that it needs.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_rego_syntax::ast::{
    BinaryOp, Body, Expr, ExprKind, RefArgKind, Rule, RuleKind, StatementKind,
};

use super::rule_book::{Called, MAX_FOLLOWED, RuleBook, constants};

/// Kinds; none for any.
type Kinds = Option<BTreeSet<Box<str>>>;

/// The kinds that a policy can hold for; the first module has its `violation`.
pub(super) fn of(book: &RuleBook<'_, '_>) -> Kinds {
    Looking { book, known: BTreeMap::new(), depth: 0 }.rules(0, "violation")
}

struct Looking<'b, 'p, 'a> {
    book: &'b RuleBook<'p, 'a>,
    known: BTreeMap<(usize, String), Kinds>,
    depth: usize,
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

impl<'p> Looking<'_, 'p, '_> {
    /// Of all definitions of a name.
    fn rules(&mut self, module: usize, name: &str) -> Kinds {
        let key = (module, name.to_owned());
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        if self.depth >= MAX_FOLLOWED {
            return None;
        }
        // Any, should it need itself.
        self.known.insert(key.clone(), None);
        self.depth += 1;
        let book = self.book;
        let mut all = Some(BTreeSet::new());
        for rule in book.named(module, name) {
            let of_rule = self.rule(module, rule);
            all = either(all, of_rule);
        }
        self.depth -= 1;
        self.known.insert(key, all.clone());
        all
    }

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
        let called = Called::of(self.book, module, expr)?;
        if called.is_whole && called.is_collection {
            return None;
        }
        let mut all = Some(BTreeSet::new());
        for (module, name) in &called.rules {
            all = either(all, self.rules(*module, name));
        }
        all
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
