//! Which variables an equation binds.

use std::collections::BTreeMap;

use super::mentions::{Mentions, Skipped, Vars};
use super::{RefHead, Reference, Term, TermKind, Var};

/// Finds what an equation binds.
pub(super) struct Unifier<'s> {
    pub(super) safe: &'s Vars,
    pub(super) found: Vars,
    /// Variables that are bound as soon as all of others are.
    pub(super) unknown: BTreeMap<Var, Vars>,
}

impl Unifier<'_> {
    fn is_safe(&self, var: Var) -> bool {
        self.safe.contains(&var) || self.found.contains(&var)
    }

    fn is_bound(&self, reference: &Reference) -> bool {
        match &reference.head {
            RefHead::Var(var) => self.is_safe(*var),
            _ => true,
        }
    }

    fn mark_from(&mut self, reference: &Reference, var: Var) {
        if self.is_bound(reference) {
            self.mark(var);
        }
    }

    pub(super) fn unify(&mut self, a: &Term, b: &Term) {
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
                self.mark_from(reference, *var);
            }
            (TermKind::Array(_) | TermKind::Object(_), TermKind::Ref(reference))
                if self.is_bound(reference) =>
            {
                self.mark_all(a);
            }
            (TermKind::Ref(reference), TermKind::Array(_) | TermKind::Object(_))
                if self.is_bound(reference) =>
            {
                self.mark_all(b);
            }
            (TermKind::Array(x), TermKind::Array(y)) if x.len() == y.len() => {
                for (a, b) in x.iter().zip(y) {
                    self.unify(a, b);
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
        Mentions { skipped: Skipped::Pattern, vars: &mut vars }.term(pattern);
        vars.retain(|var| !self.is_safe(*var));
        if vars.is_empty() {
            self.mark(var);
        } else {
            self.unknown.entry(var).or_default().extend(vars);
        }
    }

    fn mark_all(&mut self, pattern: &Term) {
        let mut vars = Vars::new();
        Mentions { skipped: Skipped::Pattern, vars: &mut vars }.term(pattern);
        for var in vars {
            self.mark(var);
        }
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
