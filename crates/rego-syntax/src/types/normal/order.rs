//! Statements in an order in which each finds its variables bound, as near as can be to the one they are
//! written in.

use std::collections::BTreeMap;

use super::super::operations::Work;
use super::mentions::{Mentions, Skipped, Vars};
use super::unifier::Unifier;
use super::{Arities, Callee, Expr, ExprKind, NormalRule, RefHead, Term, TermKind, With};
use crate::builtins;

pub(super) fn rule(rule: &mut NormalRule, arities: &Arities, work: &Work) {
    let mut bound = Vars::new();
    for arg in rule.args.iter().flatten() {
        Mentions { skipped: Skipped::Nothing, vars: &mut bound }.term(arg);
    }
    let orderer = Orderer { arities, work };
    orderer.body(&mut rule.body, &bound);
    // What is left in the head is evaluated after the body.
    let mut all = bound;
    for expr in &rule.body {
        direct(expr, &mut all);
    }
    let heads = rule.key.iter_mut().chain([&mut rule.value]);
    heads.for_each(|term| orderer.closures_of_term(term, &all));
}

/// A statement that has no place yet.
struct Waiting {
    expr: Expr,
    direct: Vars,
    /// Variables of the body in comprehensions of the statement.
    closed: Vars,
    /// How many of them were bound when it was looked at: as long as these are all, there is nothing new.
    bound: Option<usize>,
    /// What looking at it once is charged.
    cost: u64,
}

struct Orderer<'o> {
    arities: &'o Arities,
    work: &'o Work,
}

impl Orderer<'_> {
    /// Orders a body and those in it. `globals` are bound on entry.
    fn body(&self, body: &mut Vec<Expr>, globals: &Vars) {
        self.statements(body, globals);
        let mut bound = globals.clone();
        self.work.spend(bound.len() as u64);
        for expr in body {
            let before = expr.direct_vars();
            match &mut expr.kind {
                ExprKind::Term(term) => self.closures_of_term(term, &bound),
                ExprKind::Call(_, args) => {
                    for arg in args {
                        self.closures_of_term(arg, &bound);
                    }
                }
                ExprKind::Every(every) => {
                    bound.extend(&every.vars);
                    self.body(&mut every.body, &bound);
                }
            }
            bound.extend(before);
        }
    }

    fn closures_of_term(&self, term: &mut Term, bound: &Vars) {
        match &mut term.kind {
            TermKind::Closure(closure) => {
                self.work.spend(bound.len() as u64);
                self.body(&mut closure.body, bound);
            }
            TermKind::Ref(reference) => {
                for arg in &mut reference.args {
                    self.closures_of_term(arg, bound);
                }
            }
            TermKind::Array(items) | TermKind::Set(items) | TermKind::Call(_, items) => {
                for item in items {
                    self.closures_of_term(item, bound);
                }
            }
            TermKind::Object(entries) => {
                for (key, value) in entries {
                    self.closures_of_term(key, bound);
                    self.closures_of_term(value, bound);
                }
            }
            _ => {}
        }
    }

    fn statements(&self, body: &mut Vec<Expr>, globals: &Vars) {
        let direct: Vec<Vars> = body.iter().map(Expr::direct_vars).collect();
        let all: Vars = direct.iter().flatten().copied().collect();
        let mut safe: Vars = all.intersection(globals).copied().collect();
        let mut waiting: Vec<Waiting> = Vec::new();
        for (expr, direct) in body.drain(..).zip(direct) {
            let mut closed = Vars::new();
            closed_over(&expr, &mut closed);
            closed.retain(|var| all.contains(var) && !globals.contains(var));
            waiting.push(Waiting { cost: 4 * expr.terms(), expr, direct, closed, bound: None });
        }
        while !waiting.is_empty() {
            let before = waiting.len();
            let mut left = Vec::new();
            for mut statement in waiting {
                let vars = statement.direct.iter().chain(&statement.closed);
                self.work.spend((statement.direct.len() + statement.closed.len() + 1) as u64);
                let bound = vars.filter(|var| safe.contains(var)).count();
                if statement.bound.replace(bound) == Some(bound) {
                    left.push(statement);
                    continue;
                }
                self.work.spend(statement.cost);
                let outputs = self.outputs(&statement.expr, &safe);
                let closed = &statement.closed;
                let needed = if closed.is_empty() { &statement.direct } else { closed };
                let is_closed_over_itself = !closed.is_empty() && *closed == outputs;
                let is_ready = !is_closed_over_itself
                    && needed.iter().all(|var| safe.contains(var) || outputs.contains(var));
                if is_ready {
                    safe.extend(outputs);
                    body.push(statement.expr);
                } else {
                    left.push(statement);
                }
            }
            waiting = left;
            if waiting.len() == before || self.work.is_over() {
                break;
            }
        }
        // What nothing binds was reported before; here it stays where it is.
        body.extend(waiting.into_iter().map(|statement| statement.expr));
    }

    /// The variables that a statement binds once those in `safe` are bound.
    fn outputs(&self, expr: &Expr, safe: &Vars) -> Vars {
        let mut outputs = Vars::new();
        if expr.is_negated {
            return outputs;
        }
        let mut needed = Vars::new();
        for with in expr.with.iter() {
            mentions_of_with(with, &mut needed);
        }
        if !needed.is_subset(safe) {
            return outputs;
        }
        match &expr.kind {
            ExprKind::Term(term) => iterated(term, safe, &mut outputs),
            ExprKind::Every(every) => iterated(&every.domain, safe, &mut outputs),
            ExprKind::Call(Callee::Unify, args) => {
                for arg in args {
                    iterated(arg, safe, &mut outputs);
                }
                let [a, b] = args.as_slice() else { return outputs };
                let mut unifier = Unifier { safe, found: outputs, unknown: BTreeMap::new() };
                unifier.unify(a, b);
                outputs = unifier.found;
                outputs.retain(|var| !safe.contains(var));
            }
            ExprKind::Call(callee, args) => {
                let Some(arity) = self.arity(callee) else { return outputs };
                for arg in args {
                    iterated(arg, safe, &mut outputs);
                }
                let Some((inputs, results)) = args.split_at_checked(arity) else { return outputs };
                if results.is_empty() {
                    return outputs;
                }
                let vars = |terms: &[Term]| {
                    let mut vars = Vars::new();
                    let mut mentions = Mentions { skipped: Skipped::PatternAndSets, vars: &mut vars };
                    for term in terms {
                        mentions.term(term);
                    }
                    vars
                };
                if vars(inputs).iter().any(|var| !safe.contains(var) && !outputs.contains(var)) {
                    return Vars::new();
                }
                outputs.extend(vars(results));
            }
        }
        outputs
    }

    fn arity(&self, callee: &Callee) -> Option<usize> {
        match callee {
            Callee::Unify | Callee::Equal => Some(2),
            Callee::Builtin(name) => builtins::arity(name),
            Callee::Rule(path) => self.arities.get(&path.path()?).copied(),
        }
    }
}

impl Expr {
    /// The variables of a statement, but for those in comprehensions and bodies in it.
    fn direct_vars(&self) -> Vars {
        let mut vars = Vars::new();
        direct(self, &mut vars);
        vars
    }
}

fn direct(expr: &Expr, vars: &mut Vars) {
    let mut mentions = Mentions { skipped: Skipped::Closures, vars };
    match &expr.kind {
        ExprKind::Term(term) => mentions.term(term),
        ExprKind::Call(_, args) => {
            for arg in args {
                mentions.term(arg);
            }
        }
        ExprKind::Every(every) => mentions.term(&every.domain),
    }
    for with in expr.with.iter() {
        mentions_of_with(with, vars);
    }
}

fn mentions_of_with(with: &With, vars: &mut Vars) {
    let mut mentions = Mentions { skipped: Skipped::Closures, vars };
    mentions.term(&with.target);
    mentions.term(&with.value);
}

/// The variables in comprehensions and in the body of an `every`.
fn closed_over(expr: &Expr, vars: &mut Vars) {
    match &expr.kind {
        ExprKind::Term(term) => closed_over_in(term, vars),
        ExprKind::Call(_, args) => {
            for arg in args {
                closed_over_in(arg, vars);
            }
        }
        ExprKind::Every(every) => {
            let mut mentions = Mentions { skipped: Skipped::Nothing, vars };
            for expr in &every.body {
                mentions.expr(expr);
            }
        }
    }
}

fn closed_over_in(term: &Term, vars: &mut Vars) {
    match &term.kind {
        TermKind::Closure(_) => Mentions { skipped: Skipped::Nothing, vars }.term(term),
        TermKind::Ref(reference) => {
            for arg in &reference.args {
                closed_over_in(arg, vars);
            }
        }
        TermKind::Array(items) | TermKind::Set(items) | TermKind::Call(_, items) => {
            for item in items {
                closed_over_in(item, vars);
            }
        }
        TermKind::Object(entries) => {
            for (key, value) in entries {
                closed_over_in(key, vars);
                closed_over_in(value, vars);
            }
        }
        _ => {}
    }
}

/// The variables in brackets of references whose head is bound.
fn iterated(term: &Term, safe: &Vars, outputs: &mut Vars) {
    match &term.kind {
        TermKind::Ref(reference) => {
            if let RefHead::Var(var) = &reference.head
                && !safe.contains(var)
            {
                return;
            }
            let mut mentions = Mentions { skipped: Skipped::Heads, vars: outputs };
            for arg in &reference.args {
                mentions.term(arg);
            }
            for arg in &reference.args {
                iterated(arg, safe, outputs);
            }
        }
        TermKind::Array(items) | TermKind::Set(items) | TermKind::Call(_, items) => {
            for item in items {
                iterated(item, safe, outputs);
            }
        }
        TermKind::Object(entries) => {
            for (key, value) in entries {
                iterated(key, safe, outputs);
                iterated(value, safe, outputs);
            }
        }
        _ => {}
    }
}
