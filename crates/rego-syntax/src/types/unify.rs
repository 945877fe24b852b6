//! Terms and types made one: what is unknown of variables is learnt here.

use std::collections::BTreeMap;

use super::check::Checker;
use super::lattice::{Key, Type};
use super::normal::{Term, TermKind, Var};

impl Checker<'_> {
    /// Makes both terms have one type. What is unknown on one side is learnt from the other.
    pub(super) fn unify_both(&mut self, a: &Term, left: &Type, b: &Term, right: &Type) -> bool {
        match (left.has_unknown(), right.has_unknown()) {
            (true, false) => return self.unify(a, right, false),
            (false, true) => return self.unify(b, left, false),
            (false, false) => return self.work.unifies(left, right),
            (true, true) => {}
        }
        match (&a.kind, &b.kind) {
            (TermKind::Array(x), TermKind::Array(y)) => {
                x.len() == y.len() && x.iter().zip(y).all(|(a, b)| self.unify_terms(a, b))
            }
            (TermKind::Object(x), TermKind::Object(y)) => self.unify_objects(x, y),
            (TermKind::Array(_) | TermKind::Object(_) | TermKind::Var(_), TermKind::Var(_)) => {
                self.take_over(a, b)
            }
            (TermKind::Var(_), TermKind::Array(_) | TermKind::Object(_)) => self.take_over(b, a),
            _ => false,
        }
    }

    /// Nothing is known of either: `from` may be anything, and `to` is that.
    fn take_over(&mut self, from: &Term, to: &Term) -> bool {
        if !self.unify(from, &Type::Any, false) {
            return false;
        }
        let of = self.type_of(from);
        self.unify(to, &of, false)
    }

    fn unify_terms(&mut self, a: &Term, b: &Term) -> bool {
        let (left, right) = (self.type_of(a), self.type_of(b));
        self.unify_both(a, &left, b, &right)
    }

    fn unify_objects(&mut self, x: &[(Term, Term)], y: &[(Term, Term)]) -> bool {
        let others: BTreeMap<EntryKey, &Term> =
            y.iter().filter_map(|(key, value)| Some((entry_key(key)?, value))).collect();
        x.len() == y.len()
            && x.iter().all(|(key, value)| {
                // A key that is computed from parts may be any.
                let Some(key) = entry_key(key) else { return true };
                others.get(&key).is_some_and(|other| self.unify_terms(value, other))
            })
    }

    /// Makes a term have a type, if it can. With `is_part`, the type is one of several that its variables may
    /// have.
    pub(super) fn unify(&mut self, term: &Term, of: &Type, is_part: bool) -> bool {
        if !self.work.spend(1) {
            return true;
        }
        match &term.kind {
            TermKind::Var(var) => {
                let known = self.scopes.get(*var);
                if is_part {
                    let all = self.work.or(known, of.clone());
                    self.scopes.set(*var, all);
                } else if known.is_unknown() {
                    self.scopes.set(*var, of.clone());
                } else {
                    return self.work.unifies(&known, of);
                }
                true
            }
            TermKind::Array(_) | TermKind::Object(_) | TermKind::Set(_) => match of {
                Type::Any => {
                    self.unify_parts_with_any(term);
                    true
                }
                Type::Union(union) => {
                    let mut is_one = false;
                    for part in &union.of {
                        is_one |= self.unify(term, part, true);
                    }
                    is_one
                }
                _ => self.unify_collection(term, of, is_part),
            },
            _ => {
                let known = self.type_of(term);
                self.work.unifies(&known, of)
            }
        }
    }

    fn unify_parts_with_any(&mut self, term: &Term) {
        match &term.kind {
            TermKind::Array(items) | TermKind::Set(items) => {
                for item in items {
                    self.unify(item, &Type::Any, true);
                }
            }
            TermKind::Object(entries) => {
                for (key, value) in entries {
                    self.unify(key, &Type::Any, true);
                    self.unify(value, &Type::Any, true);
                }
            }
            _ => {}
        }
    }

    fn unify_collection(&mut self, term: &Term, of: &Type, is_part: bool) -> bool {
        match (&term.kind, of) {
            (TermKind::Array(items), Type::Array(array)) => {
                (items.len() == array.fixed.len() || !array.dynamic.is_unknown())
                    && items
                        .iter()
                        .enumerate()
                        .all(|(position, item)| self.unify(item, array.at(position), is_part))
            }
            (TermKind::Set(items), Type::Set(set)) => {
                items.iter().all(|item| self.unify(item, &set.of, is_part))
            }
            (TermKind::Object(entries), Type::Object(object)) => {
                let has_dynamic = object.dynamic.as_ref().is_some_and(|(_, value)| !value.is_unknown());
                (entries.len() == object.fixed.len() || has_dynamic)
                    && entries.iter().all(|(key, value)| {
                        if let Some(key) = key.constant() {
                            return self.unify_entry(&key, value, of, is_part);
                        }
                        self.unify(value, &Type::Any, is_part);
                        true
                    })
            }
            _ => false,
        }
    }

    fn unify_entry(&mut self, key: &Key, value: &Term, of: &Type, is_part: bool) -> bool {
        let of = self.work.select(of, key);
        !of.is_unknown() && self.unify(value, &of, is_part)
    }
}

/// What two keys of objects have in common that are the same.
type EntryKey = Result<Key, Var>;

fn entry_key(key: &Term) -> Option<EntryKey> {
    match &key.kind {
        TermKind::Var(var) => Some(Err(*var)),
        _ => key.constant().map(Ok),
    }
}
