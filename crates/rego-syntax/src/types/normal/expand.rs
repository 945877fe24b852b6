//! Calls get statements of their own, what comprehensions and heads build gets names.

use std::rc::Rc;

use super::{
    Arities, Callee, Closure, Expr, ExprKind, NormalRule, RefHead, Reference, Term, TermKind, Variables, With,
};

/// Expands a rule. What its head evaluates becomes statements at the end of its body.
pub(super) fn rule(rule: &mut NormalRule, arities: &Arities, vars: &mut Variables) {
    let mut expander = Expander { vars, arities };
    let mut body = std::mem::take(&mut rule.body);
    for step in &mut rule.tail {
        if !matches!(step.kind, TermKind::Var(_)) && !step.is_scalar() {
            body.push(expander.name(step));
        }
    }
    let mut support = Vec::new();
    let heads = rule.args.iter_mut().flatten().chain(rule.key.as_mut()).chain([&mut rule.value]);
    for term in heads {
        expander.term(term, &mut support);
    }
    body.append(&mut support);
    rule.body = expander.body(body);
    let heads = rule.key.as_mut().into_iter().chain([&mut rule.value]).chain(rule.args.iter_mut().flatten());
    for term in heads.filter(|term| term.needs_evaluation()) {
        rule.body.push(expander.name(term));
    }
}

struct Expander<'v> {
    vars: &'v mut Variables,
    arities: &'v Arities,
}

impl Expander<'_> {
    /// Puts a new variable in the place of a term.
    fn name(&mut self, term: &mut Term) -> Expr {
        let taken = std::mem::replace(term, Term::new(term.span, TermKind::Null));
        let (naming, var) = Expr::naming(self.vars, taken);
        *term = var;
        naming
    }

    fn body(&mut self, body: Vec<Expr>) -> Vec<Expr> {
        let mut expanded = Vec::with_capacity(body.len());
        for expr in body {
            self.expr(expr, &mut expanded);
        }
        expanded
    }

    fn expr(&mut self, mut expr: Expr, expanded: &mut Vec<Expr>) {
        let mut with: Vec<With> = expr.with.to_vec();
        for with in &mut with {
            self.term(&mut with.value, expanded);
            if with.value.needs_evaluation() && !self.is_function(&with.value) {
                expanded.push(self.name(&mut with.value));
            }
        }
        expr.with = Rc::from(with);
        let mut support = Vec::new();
        match &mut expr.kind {
            ExprKind::Term(term) => self.term(term, &mut support),
            ExprKind::Call(_, args) => {
                for arg in args {
                    self.term(arg, &mut support);
                }
            }
            ExprKind::Every(every) => {
                let mut domain = self.name(&mut every.domain);
                domain.with = Rc::clone(&expr.with);
                self.expr(domain, expanded);
                every.body = self.body(std::mem::take(&mut every.body));
            }
        }
        if !expr.with.is_empty() {
            for support in &mut support {
                support.with = Rc::clone(&expr.with);
            }
        }
        expanded.append(&mut support);
        expanded.push(expr);
    }

    /// Leaves no call in a term; those that were there are in `support`.
    fn term(&mut self, term: &mut Term, support: &mut Vec<Expr>) {
        let span = term.span;
        match &mut term.kind {
            TermKind::Call(callee, args) => {
                for arg in args.iter_mut() {
                    self.term(arg, support);
                }
                let result = Term::var(span, self.vars.fresh());
                let mut args = std::mem::take(args);
                args.push(result.clone());
                // With a result it is an ordinary function.
                let callee = match std::mem::replace(callee, Callee::Unify) {
                    Callee::Unify => Callee::Builtin("eq".to_owned()),
                    Callee::Equal => Callee::Builtin("equal".to_owned()),
                    other => other,
                };
                let mut call = Expr::call(span, callee, args);
                call.is_generated = true;
                support.push(call);
                *term = result;
            }
            TermKind::Ref(reference) => self.reference(reference, support),
            TermKind::Array(items) | TermKind::Set(items) => {
                for item in items {
                    self.term(item, support);
                }
            }
            TermKind::Object(entries) => {
                for (key, value) in entries {
                    self.term(key, support);
                    self.term(value, support);
                }
            }
            TermKind::Closure(closure) => self.closure(closure),
            TermKind::Null
            | TermKind::Bool(_)
            | TermKind::Number(_)
            | TermKind::String(_)
            | TermKind::Var(_)
            | TermKind::Builtin(_) => {}
        }
    }

    fn reference(&mut self, reference: &mut Reference, support: &mut Vec<Expr>) {
        if let RefHead::Term(head) = &mut reference.head {
            self.term(head, support);
        }
        for arg in &mut reference.args {
            self.term(arg, support);
        }
        if let RefHead::Term(head) = &mut reference.head {
            let span = head.span;
            let head = std::mem::replace(head, Term::new(span, TermKind::Null));
            let (naming, var) = Expr::naming(self.vars, head);
            support.push(naming);
            if let TermKind::Var(var) = var.kind {
                reference.head = RefHead::Var(var);
            }
        }
    }

    fn closure(&mut self, closure: &mut Closure) {
        let mut body = std::mem::take(&mut closure.body);
        for term in &mut closure.terms {
            self.term(term, &mut body);
        }
        closure.body = self.body(body);
        for term in closure.terms.iter_mut().filter(|term| term.needs_evaluation()) {
            closure.body.push(self.name(term));
        }
    }

    /// Whether a value of `with` is the name of a function: then it is not evaluated.
    fn is_function(&self, term: &Term) -> bool {
        let TermKind::Ref(reference) = &term.kind else { return false };
        reference.path().and_then(|path| self.arities.get(&path)).is_some_and(|arity| *arity > 0)
    }
}
