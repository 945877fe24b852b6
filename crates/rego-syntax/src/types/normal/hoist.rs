//! References and comprehensions that are operands get statements before the one that needs them.

use std::rc::Rc;

use super::{Callee, Expr, ExprKind, NormalRule, Term, TermKind, Variables, With};

pub(super) fn rule(rule: &mut NormalRule, vars: &mut Variables) {
    rule.body = body(std::mem::take(&mut rule.body), vars);
}

fn body(exprs: Vec<Expr>, vars: &mut Variables) -> Vec<Expr> {
    let mut hoister = Hoister { vars, result: Vec::with_capacity(exprs.len()) };
    for mut expr in exprs {
        let with = Rc::clone(&expr.with);
        match &mut expr.kind {
            ExprKind::Call(callee, args) => {
                if matches!(callee, Callee::Equal) {
                    *callee = Callee::Unify;
                }
                let is_equation = matches!(callee, Callee::Unify) && args.len() == 2;
                for arg in args {
                    if is_equation { hoister.within(arg, &with) } else { hoister.whole(arg, &with) }
                }
            }
            ExprKind::Term(term) => hoister.within(term, &with),
            ExprKind::Every(every) => {
                hoister.whole(&mut every.domain, &with);
                every.body = body(std::mem::take(&mut every.body), hoister.vars);
            }
        }
        hoister.result.push(expr);
    }
    hoister.result
}

struct Hoister<'v> {
    vars: &'v mut Variables,
    result: Vec<Expr>,
}

impl Hoister<'_> {
    /// Hoists what is in a term that may stay itself.
    fn within(&mut self, term: &mut Term, with: &Rc<[With]>) {
        match &mut term.kind {
            TermKind::Ref(reference) => {
                for arg in &mut reference.args {
                    self.whole(arg, with);
                }
            }
            TermKind::Closure(closure) => closure.body = body(std::mem::take(&mut closure.body), self.vars),
            _ => self.whole(term, with),
        }
    }

    fn whole(&mut self, term: &mut Term, with: &Rc<[With]>) {
        match &mut term.kind {
            TermKind::Ref(_) | TermKind::Closure(_) => {
                self.within(term, with);
                let span = term.span;
                let taken = std::mem::replace(term, Term::new(span, TermKind::Null));
                let (mut naming, var) = Expr::naming(self.vars, taken);
                naming.with = Rc::clone(with);
                self.result.push(naming);
                *term = var;
            }
            TermKind::Array(items) | TermKind::Set(items) => {
                for item in items {
                    self.whole(item, with);
                }
            }
            TermKind::Object(entries) => {
                for (key, value) in entries {
                    self.whole(key, with);
                    self.whole(value, with);
                }
            }
            _ => {}
        }
    }
}
