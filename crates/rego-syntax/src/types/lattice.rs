//! The types of values, as far as they are known without any input: OPA's static types.
//!
//! A type is a tree whose parts are shared. Policies can make types that grow with every statement
//! (`b := [a, a]; c := [b, b]`), so every composite type knows its weight, and what is too heavy is
//! [`Type::Any`]: such a type refuses nothing.

use std::cmp::Ordering;
use std::rc::Rc;

/// Most nodes of a type, counted as a tree. Types that policies spell out have some hundred.
pub(super) const MAX_NODES: u32 = 50_000;

/// Deepest type. It bounds how deep anything recurses that goes through types.
pub(super) const DEEPEST: u32 = 100;

/// What is known of the values that an expression may have.
///
/// The order has no meaning but to be one: it is the order of the parts of unions.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Type {
    /// Nothing is known yet, because nothing gave the variable a value.
    #[default]
    Unknown,
    Null,
    Boolean,
    Number,
    String,
    Array(Rc<Array>),
    Object(Rc<Object>),
    Set(Rc<Set>),
    /// All values. Functions are none.
    Any,
    /// The values of any of several types, sorted.
    Union(Rc<Union>),
    Function(Rc<Function>),
}

/// An array: of elements with a type each, and then of elements of one type.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Array {
    /// Of the elements after the fixed ones; unknown if there are none.
    pub(super) dynamic: Type,
    pub(super) fixed: Vec<Type>,
    weight: Weight,
}

/// An object: of entries with known keys, and of entries whose keys and values have types.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Object {
    pub(super) dynamic: Option<(Type, Type)>,
    /// Sorted by key, every key once.
    pub(super) fixed: Vec<(Key, Type)>,
    weight: Weight,
}

/// A set.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Set {
    pub(super) of: Type,
    weight: Weight,
}

/// A union: never empty.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Union {
    pub(super) of: Vec<Type>,
    weight: Weight,
}

/// A function.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Function {
    pub(super) params: Vec<Type>,
    /// Unknown if it returns nothing.
    pub(super) result: Type,
    /// The names of the parameters and the result, for those who read messages.
    pub(super) names: Vec<&'static str>,
    weight: Weight,
}

/// A key of an object or a step of a path that is written out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Key {
    Null,
    Bool(bool),
    Number(Number),
    String(Rc<str>),
    Array(Vec<Self>),
    Object(Vec<(Self, Self)>),
}

/// A number as written, ordered by value as far as machine numbers tell, then by its text.
#[derive(Clone, Debug)]
pub(super) struct Number(pub(super) Rc<str>);

impl Number {
    fn value(&self) -> f64 {
        self.0.parse().unwrap_or(f64::NAN)
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
        if let (Ok(a), Ok(b)) = (self.0.parse::<i128>(), other.0.parse::<i128>()) {
            return a.cmp(&b);
        }
        self.value().total_cmp(&other.value()).then_with(|| {
            // `1` and `1.0` are one number; what machine numbers do not tell apart may be two.
            let is_exact = self.value().abs() < 9e15;
            if is_exact { Ordering::Equal } else { self.0.cmp(&other.0) }
        })
    }
}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Number {}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Weight {
    nodes: u32,
    depth: u32,
}

impl Weight {
    fn of<'t>(parts: impl IntoIterator<Item = &'t Type>) -> Self {
        let mut whole = Self { nodes: 1, depth: 1 };
        for part in parts {
            let part = part.weight();
            whole.nodes = whole.nodes.saturating_add(part.nodes);
            whole.depth = whole.depth.max(part.depth.saturating_add(1));
        }
        whole
    }

    const fn is_too_much(self) -> bool {
        self.nodes > MAX_NODES || self.depth > DEEPEST
    }
}

impl Type {
    pub(super) fn array(fixed: Vec<Self>, dynamic: Self) -> Self {
        let weight = Weight::of(fixed.iter().chain([&dynamic]));
        if weight.is_too_much() {
            return Self::Any;
        }
        Self::Array(Rc::new(Array { dynamic, fixed, weight }))
    }

    /// Of several values for one key the last one counts.
    pub(super) fn object(mut fixed: Vec<(Key, Self)>, dynamic: Option<(Self, Self)>) -> Self {
        fixed.sort_by(|(a, _), (b, _)| a.cmp(b));
        fixed.dedup_by(|later, kept| {
            let is_same = later.0 == kept.0;
            if is_same {
                std::mem::swap(later, kept);
            }
            is_same
        });
        let values = fixed.iter().map(|(_, value)| value);
        let weight = Weight::of(values.chain(dynamic.iter().flat_map(|(key, value)| [key, value])));
        if weight.is_too_much() {
            return Self::Any;
        }
        Self::Object(Rc::new(Object { dynamic, fixed, weight }))
    }

    pub(super) fn set(of: Self) -> Self {
        let weight = Weight::of([&of]);
        if weight.is_too_much() { Self::Any } else { Self::Set(Rc::new(Set { of, weight })) }
    }

    /// `of` is sorted.
    pub(super) fn union(of: Vec<Self>) -> Self {
        let weight = Weight::of(&of);
        if of.is_empty() || weight.is_too_much() {
            return Self::Any;
        }
        Self::Union(Rc::new(Union { of, weight }))
    }

    pub(super) fn function(params: Vec<Self>, result: Self, names: Vec<&'static str>) -> Self {
        let weight = Weight::of(params.iter().chain([&result]));
        if weight.is_too_much() {
            return Self::Any;
        }
        Self::Function(Rc::new(Function { params, result, names, weight }))
    }

    fn weight(&self) -> Weight {
        match self {
            Self::Array(array) => array.weight,
            Self::Object(object) => object.weight,
            Self::Set(set) => set.weight,
            Self::Union(union) => union.weight,
            Self::Function(function) => function.weight,
            _ => Weight { nodes: 1, depth: 1 },
        }
    }

    /// Its nodes, counted as a tree.
    pub(super) fn nodes(&self) -> u64 {
        u64::from(self.weight().nodes)
    }

    pub(super) const fn is_unknown(&self) -> bool {
        matches!(self, Self::Unknown)
    }

    pub(super) const fn is_function(&self) -> bool {
        matches!(self, Self::Function(_))
    }

    /// Whether it, or a part that every value of it has, is unknown.
    pub(super) fn has_unknown(&self) -> bool {
        match self {
            Self::Unknown => true,
            Self::Array(array) => {
                // An array may well have no elements after the fixed ones.
                array.fixed.iter().any(Self::has_unknown)
                    || (!array.dynamic.is_unknown() && array.dynamic.has_unknown())
            }
            Self::Object(object) => {
                object.fixed.iter().any(|(_, value)| value.has_unknown())
                    || object
                        .dynamic
                        .as_ref()
                        .is_some_and(|(key, value)| key.has_unknown() || value.has_unknown())
            }
            Self::Set(set) => set.of.has_unknown(),
            Self::Function(function) => {
                function.params.iter().any(Self::has_unknown) || function.result.has_unknown()
            }
            _ => false,
        }
    }
}

impl Array {
    /// The type of the element at a position; unknown if there is none.
    pub(super) fn at(&self, position: usize) -> &Type {
        self.fixed.get(position).unwrap_or(&self.dynamic)
    }
}

impl Object {
    pub(super) fn fixed_at(&self, key: &Key) -> Option<&Type> {
        let at = self.fixed.binary_search_by(|(known, _)| known.cmp(key)).ok()?;
        self.fixed.get(at).map(|(_, value)| value)
    }
}

impl Key {
    pub(super) fn string(text: &str) -> Self {
        Self::String(Rc::from(text))
    }

    pub(super) fn number(digits: &str) -> Self {
        Self::Number(Number(Rc::from(digits)))
    }

    /// The type of the value.
    pub(super) fn type_of(&self) -> Type {
        match self {
            Self::Null => Type::Null,
            Self::Bool(_) => Type::Boolean,
            Self::Number(_) => Type::Number,
            Self::String(_) => Type::String,
            Self::Array(items) => Type::array(items.iter().map(Self::type_of).collect(), Type::Unknown),
            Self::Object(entries) => {
                let entries = entries.iter().map(|(key, value)| (key.clone(), value.type_of()));
                Type::object(entries.collect(), None)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_heavy_is_any() {
        let mut doubled = Type::Number;
        for _ in 0..40 {
            doubled = Type::array(vec![doubled.clone(), doubled], Type::Unknown);
        }
        assert!(doubled.nodes() <= u64::from(MAX_NODES));
        let mut deep = Type::Null;
        for _ in 0..1000 {
            deep = Type::set(deep);
        }
        assert!(deep.weight().depth <= DEEPEST);
    }

    #[test]
    fn the_last_of_equal_keys_counts() {
        let one = (Key::number("1"), Type::Null);
        let object = Type::object(vec![one, (Key::number("1.0"), Type::String)], None);
        assert_eq!(object, Type::object(vec![(Key::number("1"), Type::String)], None));
    }
}
