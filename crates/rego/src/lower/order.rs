//! The order in which the literals of a body can be evaluated, left to right, with no variable read before
//! it is bound. As in OPA, a literal comes as soon as it can, and otherwise where it is written.

use std::collections::BTreeSet;

use super::literal::{Literal, LiteralKind, RefHead, Term, With};
use crate::normal_form::Slot;

pub(super) type Slots = BTreeSet<Slot>;

/// Most times that literals of one body are looked at: a body in the reverse order of what it needs is looked
/// through as often as it is long.
const MAX_LOOKS: usize = 300_000;

/// Variables that are bound, and more that would be. Layers, because bodies may be long: what is known
/// already is never copied.
pub(super) struct Bound<'s> {
    known: Known<'s>,
    more: Slots,
}

#[derive(Clone, Copy)]
enum Known<'s> {
    Slots(&'s Slots),
    Bound(&'s Bound<'s>),
}

impl<'s> Bound<'s> {
    const fn new(known: &'s Slots) -> Self {
        Self { known: Known::Slots(known), more: Slots::new() }
    }

    const fn above(known: &'s Bound<'s>) -> Self {
        Self { known: Known::Bound(known), more: Slots::new() }
    }

    fn contains(&self, slot: Slot) -> bool {
        self.more.contains(&slot) || self.is_known(slot)
    }

    fn is_known(&self, slot: Slot) -> bool {
        match self.known {
            Known::Slots(slots) => slots.contains(&slot),
            Known::Bound(bound) => bound.contains(slot),
        }
    }

    fn insert(&mut self, slot: Slot) {
        if !self.is_known(slot) {
            self.more.insert(slot);
        }
    }

    fn has_all(&self, slots: &Slots) -> bool {
        slots.iter().all(|slot| self.contains(*slot))
    }
}

/// Puts literals in order. The second part is what cannot be evaluated in any order, or not be ordered in
/// time.
pub(super) fn order(literals: Vec<Literal>, known: &Slots) -> (Vec<Literal>, Vec<Literal>) {
    let mut of_body = Slots::new();
    for literal in &literals {
        literal.vars(&mut of_body);
    }
    let mut known = Bound::new(known);
    let mut rest = literals;
    let mut ordered = Vec::with_capacity(rest.len());
    let mut looks = 0;
    loop {
        let before = ordered.len();
        looks += rest.len();
        let mut later = Vec::new();
        for literal in rest {
            match ready(&literal, &of_body, &known) {
                Some(outputs) => {
                    for slot in outputs {
                        known.insert(slot);
                    }
                    ordered.push(literal);
                }
                None => later.push(literal),
            }
        }
        rest = later;
        if rest.is_empty() || ordered.len() == before || looks > MAX_LOOKS {
            return (ordered, rest);
        }
    }
}

/// What a literal binds, if it can be evaluated.
fn ready(literal: &Literal, of_body: &Slots, known: &Bound<'_>) -> Option<Slots> {
    // What comprehensions read of this body must be there before, not only by this literal.
    let mut closure = Slots::new();
    literal.closure_vars(&mut closure);
    if closure.iter().any(|slot| of_body.contains(slot) && !known.contains(*slot)) {
        return None;
    }
    let bound = outputs(literal, known);
    let mut needed = Slots::new();
    literal.vars(&mut needed);
    bound.has_all(&needed).then_some(bound.more)
}

/// What a literal binds beyond what is known.
fn outputs<'s>(literal: &Literal, known: &'s Bound<'s>) -> Bound<'s> {
    let mut bound = Bound::above(known);
    let mut needed = Slots::new();
    for value in literal.with.iter().filter_map(With::value) {
        value.vars(&mut needed);
    }
    if literal.is_negated || !bound.has_all(&needed) {
        return bound;
    }
    loop {
        let before = bound.more.len();
        literal.terms().for_each(|term| bind_by_refs(term, &mut bound));
        match &literal.kind {
            LiteralKind::Unify { left, right, binds: true } => unify(left, right, &mut bound),
            LiteralKind::Call { args, out: Some(out), .. }
                if args.iter().all(|arg| is_known_with(arg, &bound)) =>
            {
                bind_by_value(out, &mut bound);
            }
            _ => {}
        }
        if bound.more.len() == before {
            return bound;
        }
    }
}

/// Variables in the steps of a reference are bound by what the reference finds, if it has something to look
/// in.
pub(super) fn bind_by_refs(term: &Term, bound: &mut Bound<'_>) {
    match term {
        Term::Const(_) | Term::Var(_) | Term::Comprehension(_) => {}
        Term::Ref(reference) => {
            if matches!(reference.head, RefHead::Var(slot) if !bound.contains(slot)) {
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
fn bind_by_value(pattern: &Term, bound: &mut Bound<'_>) {
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
fn unify(left: &Term, right: &Term, bound: &mut Bound<'_>) {
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
            if is_known_with(right, bound) {
                bind_by_value(left, bound);
            }
            if is_known_with(left, bound) {
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
    is_known_with(term, &Bound::new(bound))
}

fn is_known_with(term: &Term, bound: &Bound<'_>) -> bool {
    match term {
        Term::Const(_) | Term::Comprehension(_) => return true,
        Term::Var(slot) => return bound.contains(*slot),
        _ => {}
    }
    let mut with_refs = Bound::above(bound);
    bind_by_refs(term, &mut with_refs);
    let mut vars = Slots::new();
    term.vars(&mut vars);
    with_refs.has_all(&vars)
}
