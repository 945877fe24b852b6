//! The order in which the literals of a body can be evaluated, left to right, with no variable read before
//! it is bound. As in OPA, a literal comes as soon as it can, and otherwise where it is written.

use std::collections::BTreeSet;

use super::literal::{Head, Literal, LiteralKind, Term, With};
use crate::normal_form::Slot;

pub(super) type Slots = BTreeSet<Slot>;

/// Puts literals in order. The second part is what cannot be evaluated in any order.
pub(super) fn order(literals: Vec<Literal>, known: &Slots) -> (Vec<Literal>, Vec<Literal>) {
    let mut of_body = Slots::new();
    literals.iter().for_each(|literal| literal.vars(&mut of_body));
    let mut known = known.clone();
    let mut rest = literals;
    let mut ordered = Vec::with_capacity(rest.len());
    loop {
        let before = ordered.len();
        let mut later = Vec::new();
        for literal in rest {
            match ready(&literal, &of_body, &known) {
                Some(outputs) => {
                    known.extend(outputs);
                    ordered.push(literal);
                }
                None => later.push(literal),
            }
        }
        rest = later;
        if rest.is_empty() || ordered.len() == before {
            return (ordered, rest);
        }
    }
}

/// What a literal binds, if it can be evaluated.
fn ready(literal: &Literal, of_body: &Slots, known: &Slots) -> Option<Slots> {
    // What comprehensions read of this body must be there before, not only by this literal.
    let mut closure = Slots::new();
    literal.closure_vars(&mut closure);
    if closure.iter().any(|slot| of_body.contains(slot) && !known.contains(slot)) {
        return None;
    }
    let outputs = outputs(literal, known);
    let mut needed = Slots::new();
    literal.vars(&mut needed);
    needed.iter().all(|slot| known.contains(slot) || outputs.contains(slot)).then_some(outputs)
}

/// What a literal binds beyond what is known.
fn outputs(literal: &Literal, known: &Slots) -> Slots {
    let mut needed = Slots::new();
    literal.with.iter().filter_map(With::value).for_each(|value| value.vars(&mut needed));
    if literal.is_negated || !needed.is_subset(known) {
        return Slots::new();
    }
    let mut bound = known.clone();
    loop {
        let before = bound.len();
        literal.terms().for_each(|term| bind_by_refs(term, &mut bound));
        match &literal.kind {
            LiteralKind::Unify { left, right, binds: true } => unify(left, right, &mut bound),
            LiteralKind::Call { out: Some(out), .. } => bind_by_value(out, &mut bound),
            _ => {}
        }
        if bound.len() == before {
            return bound.difference(known).copied().collect();
        }
    }
}

/// Variables in the steps of a reference are bound by what the reference finds, if it has something to look in.
pub(super) fn bind_by_refs(term: &Term, bound: &mut Slots) {
    match term {
        Term::Const(_) | Term::Var(_) | Term::Comprehension(_) => {}
        Term::Ref(reference) => {
            if matches!(reference.head, Head::Var(slot) if !bound.contains(&slot)) {
                return;
            }
            for step in &reference.steps {
                bind_by_refs(step, bound);
                bind_by_value(step, bound);
            }
        }
        Term::Array(items) | Term::Set(items) => items.iter().for_each(|item| bind_by_refs(item, bound)),
        Term::Object(entries) => {
            for (key, value) in entries {
                bind_by_refs(key, bound);
                bind_by_refs(value, bound);
            }
        }
    }
}

/// Variables that matching a value binds.
fn bind_by_value(pattern: &Term, bound: &mut Slots) {
    match pattern {
        Term::Var(slot) => {
            bound.insert(*slot);
        }
        Term::Array(items) => items.iter().for_each(|item| bind_by_value(item, bound)),
        Term::Object(entries) => entries.iter().for_each(|(_, value)| bind_by_value(value, bound)),
        _ => {}
    }
}

/// Variables that unifying two terms binds.
fn unify(left: &Term, right: &Term, bound: &mut Slots) {
    match (left, right) {
        (Term::Array(left), Term::Array(right)) if left.len() == right.len() => {
            for (left, right) in left.iter().zip(right) {
                unify(left, right, bound);
            }
        }
        (Term::Object(left), Term::Object(right)) if left.len() == right.len() => {
            for (key, value) in left {
                if let Some(other) = entry(right, key) {
                    unify(value, other, bound);
                }
            }
        }
        _ => {
            if is_known(right, bound) {
                bind_by_value(left, bound);
            }
            if is_known(left, bound) {
                bind_by_value(right, bound);
            }
        }
    }
}

/// The value of the same constant or variable as key.
pub(super) fn entry<'t>(entries: &'t [(Term, Term)], key: &Term) -> Option<&'t Term> {
    let is_same = |other: &Term| match (key, other) {
        (Term::Const(key), Term::Const(other)) => key == other,
        (Term::Var(key), Term::Var(other)) => key == other,
        _ => false,
    };
    entries.iter().find(|(other, _)| is_same(other)).map(|(_, value)| value)
}

/// Whether the term has a value once its references bound what they bind.
pub(super) fn is_known(term: &Term, bound: &Slots) -> bool {
    let mut with_refs = bound.clone();
    bind_by_refs(term, &mut with_refs);
    let mut vars = Slots::new();
    term.vars(&mut vars);
    vars.is_subset(&with_refs)
}
