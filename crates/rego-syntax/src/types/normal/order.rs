//! Statements in an order in which each finds its variables bound, as near as can be to the one they are written in.

use std::collections::{BTreeMap, BTreeSet};

use super::super::operations::Work;
use super::{Arities, Callee, Expr, ExprKind, Head, NormalRule, Reference, Term, TermKind, Var, With};
use crate::builtins;

type Vars = BTreeSet<Var>;

pub(super) fn rule(rule: &mut NormalRule, arities: &Arities, work: &Work) {
    let mut bound = Vars::new();
    for arg in rule.args.iter().flatten() {
        Mentions { skipped: Skipped::NOTHING, vars: &mut bound }.term(arg);
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
                    args.iter_mut().for_each(|arg| self.closures_of_term(arg, &bound));
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
                reference.args.iter_mut().for_each(|arg| self.closures_of_term(arg, bound));
            }
            TermKind::Array(items) | TermKind::Set(items) | TermKind::Call(_, items) => {
                items.iter_mut().for_each(|item| self.closures_of_term(item, bound));
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
            waiting.push(Waiting { cost: expr.terms() + direct.len() as u64, expr, direct, closed });
        }
        while !waiting.is_empty() {
            let before = waiting.len();
            let mut left = Vec::new();
            for statement in waiting {
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
        expr.with.iter().for_each(|with| mentions_of_with(with, &mut needed));
        if !needed.is_subset(safe) {
            return outputs;
        }
        match &expr.kind {
            ExprKind::Term(term) => iterated(term, safe, &mut outputs),
            ExprKind::Every(every) => iterated(&every.domain, safe, &mut outputs),
            ExprKind::Call(Callee::Unify, args) => {
                args.iter().for_each(|arg| iterated(arg, safe, &mut outputs));
                let [a, b] = args.as_slice() else { return outputs };
                let mut unifier = Unifier { safe, found: outputs, unknown: BTreeMap::new() };
                unifier.unify(a, b);
                outputs = unifier.found;
                outputs.retain(|var| !safe.contains(var));
            }
            ExprKind::Call(callee, args) => {
                let Some(arity) = self.arity(callee) else { return outputs };
                args.iter().for_each(|arg| iterated(arg, safe, &mut outputs));
                let Some((inputs, results)) = args.split_at_checked(arity) else { return outputs };
                if results.is_empty() {
                    return outputs;
                }
                let vars = |terms: &[Term]| {
                    let mut vars = Vars::new();
                    let mut mentions = Mentions { skipped: Skipped::VALUES_ONLY, vars: &mut vars };
                    terms.iter().for_each(|term| mentions.term(term));
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
    let mut mentions = Mentions { skipped: Skipped::CLOSURES, vars };
    match &expr.kind {
        ExprKind::Term(term) => mentions.term(term),
        ExprKind::Call(_, args) => args.iter().for_each(|arg| mentions.term(arg)),
        ExprKind::Every(every) => mentions.term(&every.domain),
    }
    expr.with.iter().for_each(|with| mentions_of_with(with, vars));
}

fn mentions_of_with(with: &With, vars: &mut Vars) {
    let mut mentions = Mentions { skipped: Skipped::CLOSURES, vars };
    mentions.term(&with.target);
    mentions.term(&with.value);
}

/// The variables in comprehensions and in the body of an `every`.
fn closed_over(expr: &Expr, vars: &mut Vars) {
    match &expr.kind {
        ExprKind::Term(term) => closed_over_in(term, vars),
        ExprKind::Call(_, args) => args.iter().for_each(|arg| closed_over_in(arg, vars)),
        ExprKind::Every(every) => {
            let mut mentions = Mentions { skipped: Skipped::NOTHING, vars };
            every.body.iter().for_each(|expr| mentions.expr(expr));
        }
    }
}

fn closed_over_in(term: &Term, vars: &mut Vars) {
    match &term.kind {
        TermKind::Closure(_) => Mentions { skipped: Skipped::NOTHING, vars }.term(term),
        TermKind::Ref(reference) => reference.args.iter().for_each(|arg| closed_over_in(arg, vars)),
        TermKind::Array(items) | TermKind::Set(items) | TermKind::Call(_, items) => {
            items.iter().for_each(|item| closed_over_in(item, vars));
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
            if let Head::Var(var) = &reference.head
                && !safe.contains(var)
            {
                return;
            }
            let mut mentions = Mentions { skipped: Skipped::HEADS, vars: outputs };
            reference.args.iter().for_each(|arg| mentions.term(arg));
            reference.args.iter().for_each(|arg| iterated(arg, safe, outputs));
        }
        TermKind::Array(items) | TermKind::Set(items) | TermKind::Call(_, items) => {
            items.iter().for_each(|item| iterated(item, safe, outputs));
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

/// What is left out of the variables of a term.
#[derive(Clone, Copy)]
struct Skipped {
    closures: bool,
    heads: bool,
    sets: bool,
    object_keys: bool,
}

impl Skipped {
    const NOTHING: Self = Self { closures: false, heads: false, sets: false, object_keys: false };
    const CLOSURES: Self = Self { closures: true, ..Self::NOTHING };
    const HEADS: Self = Self { heads: true, ..Self::NOTHING };
    const PATTERN: Self = Self { sets: false, ..Self::VALUES_ONLY };
    const VALUES_ONLY: Self = Self { closures: true, heads: true, sets: true, object_keys: true };
}

struct Mentions<'v> {
    skipped: Skipped,
    vars: &'v mut Vars,
}

impl Mentions<'_> {
    fn term(&mut self, term: &Term) {
        match &term.kind {
            TermKind::Var(var) => drop(self.vars.insert(*var)),
            TermKind::Ref(reference) => self.reference(reference),
            TermKind::Set(_) if self.skipped.sets => {}
            TermKind::Array(items) | TermKind::Set(items) | TermKind::Call(_, items) => {
                items.iter().for_each(|item| self.term(item));
            }
            TermKind::Object(entries) => {
                for (key, value) in entries {
                    if !self.skipped.object_keys {
                        self.term(key);
                    }
                    self.term(value);
                }
            }
            TermKind::Closure(closure) if !self.skipped.closures => {
                closure.terms.iter().for_each(|term| self.term(term));
                closure.body.iter().for_each(|expr| self.expr(expr));
            }
            _ => {}
        }
    }

    fn reference(&mut self, reference: &Reference) {
        if let Head::Var(var) = &reference.head
            && !self.skipped.heads
        {
            self.vars.insert(*var);
        }
        reference.args.iter().for_each(|arg| self.term(arg));
    }

    fn expr(&mut self, expr: &Expr) {
        match &expr.kind {
            ExprKind::Term(term) => self.term(term),
            ExprKind::Call(_, args) => args.iter().for_each(|arg| self.term(arg)),
            ExprKind::Every(every) => {
                self.term(&every.domain);
                self.vars.extend(&every.vars);
                every.body.iter().for_each(|expr| self.expr(expr));
            }
        }
        for with in expr.with.iter() {
            self.term(&with.target);
            self.term(&with.value);
        }
    }
}

/// Finds what an equation binds.
struct Unifier<'s> {
    safe: &'s Vars,
    found: Vars,
    /// Variables that are bound as soon as all of others are.
    unknown: BTreeMap<Var, Vars>,
}

impl Unifier<'_> {
    fn is_safe(&self, var: Var) -> bool {
        self.safe.contains(&var) || self.found.contains(&var)
    }

    fn is_bound(&self, reference: &Reference) -> bool {
        match &reference.head {
            Head::Var(var) => self.is_safe(*var),
            _ => true,
        }
    }

    fn unify(&mut self, a: &Term, b: &Term) {
        match (&a.kind, &b.kind) {
            (TermKind::Var(x), TermKind::Var(y)) => {
                if self.is_safe(*y) {
                    self.mark(*x);
                } else if self.is_safe(*x) {
                    self.mark(*y);
                } else {
                    self.unknown.entry(*x).or_default().insert(*y);
                    self.unknown.entry(*y).or_default().insert(*x);
                }
            }
            (TermKind::Var(var), TermKind::Array(_) | TermKind::Object(_)) => self.unify_all(*var, b),
            (TermKind::Array(_) | TermKind::Object(_), TermKind::Var(var)) => self.unify_all(*var, a),
            (TermKind::Var(var), TermKind::Ref(reference))
            | (TermKind::Ref(reference), TermKind::Var(var)) => {
                if self.is_bound(reference) {
                    self.mark(*var);
                }
            }
            (TermKind::Array(_) | TermKind::Object(_), TermKind::Ref(reference)) => {
                if self.is_bound(reference) {
                    self.mark_all(a);
                }
            }
            (TermKind::Ref(reference), TermKind::Array(_) | TermKind::Object(_)) => {
                if self.is_bound(reference) {
                    self.mark_all(b);
                }
            }
            (TermKind::Array(x), TermKind::Array(y)) => {
                if x.len() == y.len() {
                    x.iter().zip(y).for_each(|(a, b)| self.unify(a, b));
                }
            }
            (TermKind::Object(x), TermKind::Object(y)) => self.unify_objects(x, y),
            (TermKind::Array(_) | TermKind::Object(_), TermKind::Closure(_)) => self.mark_all(a),
            (TermKind::Closure(_), TermKind::Array(_) | TermKind::Object(_)) => self.mark_all(b),
            (TermKind::Var(var), _) | (_, TermKind::Var(var)) => self.mark(*var),
            _ => {}
        }
    }

    fn unify_objects(&mut self, x: &[(Term, Term)], y: &[(Term, Term)]) {
        if x.len() != y.len() {
            return;
        }
        let others: BTreeMap<_, _> =
            y.iter().filter_map(|(key, value)| Some((key.constant()?, value))).collect();
        for (key, value) in x {
            if let Some(other) = key.constant().and_then(|key| others.get(&key)) {
                self.unify(value, other);
            }
        }
    }

    fn unify_all(&mut self, var: Var, pattern: &Term) {
        if self.is_safe(var) {
            return self.mark_all(pattern);
        }
        let mut vars = Vars::new();
        Mentions { skipped: Skipped::PATTERN, vars: &mut vars }.term(pattern);
        vars.retain(|var| !self.is_safe(*var));
        if vars.is_empty() {
            self.mark(var);
        } else {
            self.unknown.entry(var).or_default().extend(vars);
        }
    }

    fn mark_all(&mut self, pattern: &Term) {
        let mut vars = Vars::new();
        Mentions { skipped: Skipped::PATTERN, vars: &mut vars }.term(pattern);
        vars.into_iter().for_each(|var| self.mark(var));
    }

    fn mark(&mut self, var: Var) {
        let mut waiting = vec![var];
        while let Some(var) = waiting.pop() {
            if !self.found.insert(var) && !self.unknown.contains_key(&var) {
                continue;
            }
            waiting.extend(self.unknown.remove(&var).into_iter().flatten());
            let mut complete = Vec::new();
            for (other, needs) in &mut self.unknown {
                if needs.remove(&var) && needs.is_empty() {
                    complete.push(*other);
                }
            }
            for other in complete {
                self.unknown.remove(&other);
                waiting.push(other);
            }
        }
    }
}
