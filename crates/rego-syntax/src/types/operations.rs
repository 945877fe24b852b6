//! What can be asked of types: unions, keys and values, what a step leads to, whether two can be equal. All
//! of it is charged.

use std::cell::Cell;

use super::lattice::{Array, Key, Object, Type};

/// How much work checking one program may be: nodes of types that are looked at, terms, statements. Policies
/// that people write need a thousandth of it.
const MAX_WORK: u64 = 20_000_000;

/// Work that is left. When none is, all answers are such that nothing is refused and nothing grows, and the
/// whole check is worth nothing: see [`Work::is_over`].
pub(super) struct Work {
    left: Cell<u64>,
}

impl Work {
    pub(super) const fn new() -> Self {
        Self { left: Cell::new(MAX_WORK) }
    }

    pub(super) fn is_over(&self) -> bool {
        self.left.get() == 0
    }

    /// Whether there is as much left.
    pub(super) fn spend(&self, amount: u64) -> bool {
        let left = self.left.get().saturating_sub(amount);
        self.left.set(left);
        left > 0
    }

    /// The values of either type. A function and a value have none, nor have functions of different numbers
    /// of parameters.
    pub(super) fn or(&self, a: Type, b: Type) -> Type {
        if !self.spend(a.nodes().min(b.nodes())) {
            return Type::Any;
        }
        match (&a, &b) {
            (Type::Unknown, _) => b,
            (_, Type::Unknown) => a,
            (Type::Function(f), Type::Function(g)) => {
                if f.params.len() != g.params.len() {
                    return Type::Unknown;
                }
                let params = f.params.iter().zip(&g.params).map(|(a, b)| self.or(a.clone(), b.clone()));
                let params = params.collect();
                Type::function(params, self.or(f.result.clone(), g.result.clone()), f.names.clone())
            }
            (Type::Function(_), _) | (_, Type::Function(_)) => Type::Unknown,
            (Type::Any, _) | (_, Type::Any) => Type::Any,
            (Type::Union(f), Type::Union(g)) => {
                let (mut left, mut right) = (f.of.iter().peekable(), g.of.iter().peekable());
                let mut merged: Vec<Type> = Vec::new();
                while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
                    if !self.spend(a.nodes().min(b.nodes())) {
                        return Type::Any;
                    }
                    let order = a.cmp(b);
                    if order.is_le() {
                        merged.extend(left.next().cloned());
                    }
                    if order.is_ge() {
                        let next = right.next();
                        merged.extend(next.filter(|_| order.is_gt()).cloned());
                    }
                }
                merged.extend(left.cloned());
                merged.extend(right.cloned());
                self.spend(merged.len() as u64);
                Type::union(merged)
            }
            (Type::Union(_), _) => self.with_part(a, b),
            (_, Type::Union(_)) => self.with_part(b, a),
            _ if a == b => a,
            _ => {
                let mut both = vec![a, b];
                both.sort();
                Type::union(both)
            }
        }
    }

    fn with_part(&self, union: Type, part: Type) -> Type {
        let Type::Union(known) = &union else { return union };
        let steps = u64::from(known.of.len().ilog2()) + 1;
        if !self.spend(steps.saturating_mul(part.nodes())) {
            return Type::Any;
        }
        match known.of.binary_search(&part) {
            Ok(_) => union,
            Err(at) => {
                self.spend(known.of.len() as u64);
                let mut of = known.of.clone();
                of.insert(at, part);
                Type::union(of)
            }
        }
    }

    pub(super) fn or_all(&self, types: impl IntoIterator<Item = Type>) -> Type {
        types.into_iter().fold(Type::Unknown, |a, b| self.or(a, b))
    }

    /// The type of what the values of `of` have in brackets; unknown if they have nothing there.
    pub(super) fn keys(&self, of: &Type) -> Type {
        match of {
            Type::Array(_) => Type::Number,
            Type::Object(object) => {
                let fixed = object.fixed.iter().map(|(key, _)| key.type_of());
                self.or_all(fixed.chain(object.dynamic.iter().map(|(key, _)| key.clone())))
            }
            Type::Set(set) => set.of.clone(),
            Type::Any => Type::Any,
            Type::Union(union) => self.or_all(union.of.iter().map(|part| self.keys(part))),
            _ => Type::Unknown,
        }
    }

    /// The type of what is below the values of `of`, whatever is in brackets.
    pub(super) fn values(&self, of: &Type) -> Type {
        match of {
            Type::Array(array) => self.or_all(array.fixed.iter().cloned().chain([array.dynamic.clone()])),
            Type::Object(object) => {
                let fixed = object.fixed.iter().map(|(_, value)| value.clone());
                self.or_all(fixed.chain(object.dynamic.iter().map(|(_, value)| value.clone())))
            }
            Type::Set(set) => set.of.clone(),
            Type::Any => Type::Any,
            Type::Union(union) => self.or_all(union.of.iter().map(|part| self.values(part))),
            _ => Type::Unknown,
        }
    }

    /// The type of what is below the values of `of` for this key; unknown if they cannot have it.
    pub(super) fn select(&self, of: &Type, key: &Key) -> Type {
        match of {
            Type::Array(array) => match key {
                Key::Number(number) => match number.0.parse::<usize>() {
                    Ok(position) => array.at(position).clone(),
                    Err(_) => Type::Unknown,
                },
                _ => Type::Unknown,
            },
            Type::Object(object) => match (object.fixed_at(key), &object.dynamic) {
                (Some(value), _) => value.clone(),
                (None, Some((keys, value))) if self.contains(keys, &key.type_of()) => value.clone(),
                _ => Type::Unknown,
            },
            Type::Set(set) => {
                let key = key.type_of();
                if self.contains(&set.of, &key) { key } else { Type::Unknown }
            }
            Type::Any => Type::Any,
            Type::Union(union) => self.or_all(union.of.iter().map(|part| self.select(part, key))),
            _ => Type::Unknown,
        }
    }

    /// Whether `whole` is `part`, or a union with it.
    fn contains(&self, whole: &Type, part: &Type) -> bool {
        self.spend(whole.nodes().min(part.nodes()));
        match whole {
            Type::Any => !part.is_function(),
            Type::Union(union) => !part.is_function() && union.of.binary_search(part).is_ok(),
            _ => whole == part,
        }
    }

    /// Whether a value of `a` can be a value of `b`.
    pub(super) fn unifies(&self, a: &Type, b: &Type) -> bool {
        if !self.spend(1) {
            return true;
        }
        match (a, b) {
            (Type::Unknown, _) | (_, Type::Unknown) => false,
            (Type::Any, other) | (other, Type::Any) => !other.is_function(),
            (Type::Union(union), other) if union.of.iter().any(|part| self.unifies(part, other)) => true,
            (other, Type::Union(union)) => {
                // OPA looks at the left one first, and either may do.
                !other.is_function() && union.of.iter().any(|part| self.unifies(part, other))
            }
            (Type::Null, Type::Null)
            | (Type::Boolean, Type::Boolean)
            | (Type::Number, Type::Number)
            | (Type::String, Type::String) => true,
            (Type::Array(a), Type::Array(b)) => self.arrays_unify(a, b),
            (Type::Object(a), Type::Object(b)) => self.objects_unify(a, b),
            (Type::Set(a), Type::Set(b)) => self.unifies(&a.of, &b.of),
            (Type::Function(f), Type::Function(g)) => {
                f.params.len() == g.params.len()
                    && f.params.iter().zip(&g.params).all(|(a, b)| self.unifies(a, b))
            }
            _ => false,
        }
    }

    fn arrays_unify(&self, a: &Array, b: &Array) -> bool {
        let fit = |a: &Array, b: &Array| {
            a.fixed.iter().enumerate().all(|(position, element)| self.unifies(element, b.at(position)))
        };
        let are_free = a.dynamic.is_unknown() || b.dynamic.is_unknown();
        fit(a, b) && fit(b, a) && (are_free || self.unifies(&a.dynamic, &b.dynamic))
    }

    fn objects_unify(&self, a: &Object, b: &Object) -> bool {
        let other_at = |object: &Object, key: &Key| match (object.fixed_at(key), &object.dynamic) {
            (Some(value), _) => value.clone(),
            (None, Some((keys, value))) if self.contains(keys, &key.type_of()) => value.clone(),
            _ => Type::Unknown,
        };
        let fit = |a: &Object, b: &Object| {
            a.fixed.iter().all(|(key, value)| self.unifies(value, &other_at(b, key)))
        };
        let dynamic = |object: &Object| object.dynamic.as_ref().map(|(_, value)| value.clone());
        fit(a, b)
            && fit(b, a)
            && match (dynamic(a), dynamic(b)) {
                (Some(a), Some(b)) if !a.is_unknown() && !b.is_unknown() => self.unifies(&a, &b),
                _ => true,
            }
    }

    /// The type of a document that is made by rules of both types.
    pub(super) fn merge(&self, a: Type, b: Type) -> Type {
        if !self.spend(1) {
            return Type::Any;
        }
        match (&a, &b) {
            (Type::Unknown, _) => b,
            (_, Type::Unknown) => a,
            (Type::Object(x), Type::Object(y)) if x.fixed.is_empty() && y.fixed.is_empty() => {
                match (&x.dynamic, &y.dynamic) {
                    (Some((key, value)), Some((other_key, other_value))) => {
                        let key = self.or(key.clone(), other_key.clone());
                        Type::object(Vec::new(), Some((key, self.merge(value.clone(), other_value.clone()))))
                    }
                    _ => self.or(a, b),
                }
            }
            (Type::Object(object), Type::Union(union)) if object.fixed.is_empty() => {
                self.merge_into(object, &union.of).unwrap_or_else(|| self.or(a.clone(), b.clone()))
            }
            (Type::Set(x), Type::Set(y)) => Type::set(self.or(x.of.clone(), y.of.clone())),
            (Type::Any | Type::Union(_), other) if !matches!(other, Type::Any | Type::Union(_)) => {
                self.merge(b, a)
            }
            _ => self.or(a, b),
        }
    }

    /// A union in which the first object of computed keys has the keys and values of another, too.
    fn merge_into(&self, object: &Object, union: &[Type]) -> Option<Type> {
        let (key, value) = object.dynamic.as_ref()?;
        let mut parts = union.to_vec();
        let place =
            parts.iter_mut().find(|part| matches!(part, Type::Object(other) if other.fixed.is_empty()))?;
        let Type::Object(other) = &*place else { return None };
        let (other_key, other_value) = other.dynamic.as_ref()?;
        let key = self.or(other_key.clone(), key.clone());
        *place = Type::object(Vec::new(), Some((key, self.or(other_value.clone(), value.clone()))));
        parts.sort();
        parts.dedup();
        Some(Type::union(parts))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unions_are_sorted_and_have_no_part_twice() {
        let work = Work::new();
        let union = work.or_all([Type::String, Type::Null, Type::Number, Type::Null, Type::String]);
        assert_eq!(union, Type::union(vec![Type::Null, Type::Number, Type::String]));
        let other = work.or_all([Type::Boolean, Type::Number]);
        let both = work.or(union.clone(), other.clone());
        assert_eq!(both, work.or(other, union));
        assert_eq!(both, work.or_all([Type::Null, Type::Boolean, Type::Number, Type::String]));
    }

    #[test]
    fn when_the_work_is_over_nothing_is_refused() {
        let work = Work { left: Cell::new(2) };
        let array = Type::array(vec![Type::Number; 10], Type::Unknown);
        let other = Type::array(vec![Type::String; 10], Type::Unknown);
        assert!(work.unifies(&array, &array));
        assert!(work.unifies(&array, &other), "all is spent");
        assert!(work.is_over());
    }
}
