//! The value: what objects are read into, and what policies compute with.
//!
//! There is one type for JSON, for Rego's sets and for *undefined*, so that nothing is converted between the
//! document of an object, the inventory and an evaluation. It is made for many clones and few changes: a
//! value is three words, a text of up to 23 bytes lies inside of it, and all larger forms are shared by
//! reference count. Changing a value makes a new one; what is not changed stays shared.
//!
//! Callers look at a value through [`View`] and never at its form (`Repr` is private), so that the form can
//! change. Order and equality are OPA's, because they decide what a policy answers: see [`Value`].

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use smol_str::SmolStr;

use crate::same::is_same_text;
use crate::{Number, Object, Set};

/// A value of a policy or an object: JSON, sets, and *undefined*.
///
/// Cheap to clone: short texts are inside, all else is shared. Ordered and equal as in OPA: null, booleans,
/// numbers, texts, arrays, objects, sets; undefined is last. Comparing two values takes as long as they are
/// large, and nobody is asked: see [`crate::weigh()`].
#[derive(Clone)]
pub struct Value(Repr);

/// A text of up to 23 bytes takes no allocation, and no other form takes more room than it.
#[derive(Clone)]
enum Repr {
    Undefined,
    Null,
    Bool(bool),
    Number(Number),
    Text(SmolStr),
    Array(Arc<[Value]>),
    Object(Object),
    Set(Set),
}

const _: () = assert!(size_of::<Value>() == 24, "a value is three words");

/// What a value is, to look at.
#[derive(Clone, Copy, Debug)]
pub enum View<'v> {
    /// What a rule that does not hold has.
    Undefined,
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(&'v Number),
    /// A text.
    String(&'v str),
    /// The elements, in their order.
    Array(&'v [Value]),
    /// Keys and values.
    Object(&'v Object),
    /// Elements of which each is there once.
    Set(&'v Set),
}

/// The types of values, in OPA's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Type {
    /// `null`.
    Null,
    /// `true` and `false`.
    Boolean,
    /// Numbers.
    Number,
    /// Texts.
    String,
    /// Arrays.
    Array,
    /// Objects.
    Object,
    /// Sets.
    Set,
    /// No value at all.
    Undefined,
}

impl Type {
    /// Its name in OPA.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Number => "number",
            Self::String => "string",
            Self::Array => "array",
            Self::Object => "object",
            Self::Set => "set",
            Self::Undefined => "undefined",
        }
    }
}

impl View<'_> {
    /// The type.
    #[must_use]
    pub const fn ty(&self) -> Type {
        match self {
            Self::Undefined => Type::Undefined,
            Self::Null => Type::Null,
            Self::Bool(_) => Type::Boolean,
            Self::Number(_) => Type::Number,
            Self::String(_) => Type::String,
            Self::Array(_) => Type::Array,
            Self::Object(_) => Type::Object,
            Self::Set(_) => Type::Set,
        }
    }
}

impl Value {
    /// No value.
    pub const UNDEFINED: Self = Self(Repr::Undefined);
    /// `null`.
    pub const NULL: Self = Self(Repr::Null);
    /// `true`.
    pub const TRUE: Self = Self(Repr::Bool(true));
    /// `false`.
    pub const FALSE: Self = Self(Repr::Bool(false));

    /// What it is.
    #[inline]
    #[must_use]
    pub fn view(&self) -> View<'_> {
        match &self.0 {
            Repr::Undefined => View::Undefined,
            Repr::Null => View::Null,
            Repr::Bool(value) => View::Bool(*value),
            Repr::Number(number) => View::Number(number),
            Repr::Text(text) => View::String(text),
            Repr::Array(items) => View::Array(items),
            Repr::Object(object) => View::Object(object),
            Repr::Set(set) => View::Set(set),
        }
    }

    /// The type.
    #[inline]
    #[must_use]
    pub fn ty(&self) -> Type {
        self.view().ty()
    }

    /// The text, if it is one.
    #[inline]
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        if let Repr::Text(text) = &self.0 { Some(text) } else { None }
    }

    /// The elements, if it is an array.
    #[inline]
    #[must_use]
    pub fn as_array(&self) -> Option<&[Self]> {
        if let Repr::Array(items) = &self.0 { Some(items) } else { None }
    }

    /// The object, if it is one.
    #[inline]
    #[must_use]
    pub fn as_object(&self) -> Option<&Object> {
        if let Repr::Object(object) = &self.0 { Some(object) } else { None }
    }

    /// The set, if it is one.
    #[inline]
    #[must_use]
    pub fn as_set(&self) -> Option<&Set> {
        if let Repr::Set(set) = &self.0 { Some(set) } else { None }
    }

    /// The number, if it is one.
    #[inline]
    #[must_use]
    pub fn as_number(&self) -> Option<&Number> {
        if let Repr::Number(number) = &self.0 { Some(number) } else { None }
    }

    /// Whether it is a value at all.
    #[inline]
    #[must_use]
    pub fn is_undefined(&self) -> bool {
        matches!(self.0, Repr::Undefined)
    }

    /// Whether it is `null`.
    #[inline]
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self.0, Repr::Null)
    }

    /// Whether it is an array, an object or a set.
    #[inline]
    #[must_use]
    pub fn is_collection(&self) -> bool {
        matches!(self.0, Repr::Array(_) | Repr::Object(_) | Repr::Set(_))
    }

    /// How many elements or entries it has; none if it is not a collection.
    #[inline]
    #[must_use]
    pub fn count(&self) -> Option<usize> {
        match &self.0 {
            Repr::Array(items) => Some(items.len()),
            Repr::Object(object) => Some(object.len()),
            Repr::Set(set) => Some(set.len()),
            _ => None,
        }
    }

    /// Whether both are the same collection in memory, and so equal. Cost: none.
    #[inline]
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Repr::Array(a), Repr::Array(b)) => Arc::ptr_eq(a, b),
            (Repr::Object(a), Repr::Object(b)) => a.is_same(b),
            (Repr::Set(a), Repr::Set(b)) => a.is_same(b),
            _ => false,
        }
    }

    /// Where a collection is in memory: the same for clones of it, and different for two that live at the
    /// same time, unless both are empty.
    #[must_use]
    pub fn address(&self) -> Option<usize> {
        match &self.0 {
            Repr::Array(items) => Some(items.as_ptr().addr()),
            Repr::Object(object) => Some(object.address()),
            Repr::Set(set) => Some(set.address()),
            _ => None,
        }
    }

    /// An empty object.
    #[must_use]
    pub fn new_object() -> Self {
        Self::from(Object::default())
    }

    /// An empty set.
    #[must_use]
    pub fn new_set() -> Self {
        Self::from(Set::default())
    }

    /// An object from its entries, of which a later one replaces an earlier one of the same key.
    pub fn object<K: Into<Self>>(entries: impl IntoIterator<Item = (K, Self)>) -> Self {
        Self::from(entries.into_iter().map(|(key, value)| (key.into(), value)).collect::<Object>())
    }
}

impl<'v> From<&'v Value> for View<'v> {
    fn from(value: &'v Value) -> Self {
        value.view()
    }
}

impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Repr::Text(a), Repr::Text(b)) => is_same_text(a, b),
            (Repr::Array(a), Repr::Array(b)) => Arc::ptr_eq(a, b) || a == b,
            (Repr::Object(a), Repr::Object(b)) => a == b,
            (Repr::Set(a), Repr::Set(b)) => a == b,
            (Repr::Number(a), Repr::Number(b)) => a == b,
            (Repr::Bool(a), Repr::Bool(b)) => a == b,
            _ => self.ty() == other.ty(),
        }
    }
}

impl Eq for Value {}

impl Ord for Value {
    fn cmp(&self, other: &Self) -> Ordering {
        match (&self.0, &other.0) {
            (Repr::Text(a), Repr::Text(b)) => a.as_str().cmp(b.as_str()),
            (Repr::Array(a), Repr::Array(b)) => {
                if Arc::ptr_eq(a, b) {
                    Ordering::Equal
                } else {
                    a.cmp(b)
                }
            }
            (Repr::Object(a), Repr::Object(b)) => a.cmp(b),
            (Repr::Set(a), Repr::Set(b)) => a.cmp(b),
            (Repr::Number(a), Repr::Number(b)) => a.cmp(b),
            (Repr::Bool(a), Repr::Bool(b)) => a.cmp(b),
            _ => self.ty().cmp(&other.ty()),
        }
    }
}

impl PartialOrd for Value {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Default for Value {
    fn default() -> Self {
        Self::UNDEFINED
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self(Repr::Bool(value))
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self(Repr::Text(text.into()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self(Repr::Text(text.into()))
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<Arc<str>> for Value {
    fn from(text: Arc<str>) -> Self {
        Self(Repr::Text(text.into()))
    }
}

impl From<std::borrow::Cow<'_, str>> for Value {
    fn from(text: std::borrow::Cow<'_, str>) -> Self {
        Self(Repr::Text(text.as_ref().into()))
    }
}

impl<N: Into<Number>> From<N> for Value {
    fn from(number: N) -> Self {
        Self(Repr::Number(number.into()))
    }
}

impl From<Vec<Self>> for Value {
    fn from(items: Vec<Self>) -> Self {
        Self(Repr::Array(items.into()))
    }
}

impl FromIterator<Self> for Value {
    fn from_iter<I: IntoIterator<Item = Self>>(items: I) -> Self {
        Self(Repr::Array(items.into_iter().collect()))
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Self(Repr::Object(object))
    }
}

impl From<Set> for Value {
    fn from(set: Set) -> Self {
        Self(Repr::Set(set))
    }
}

impl From<BTreeMap<Self, Self>> for Value {
    fn from(entries: BTreeMap<Self, Self>) -> Self {
        Self(Repr::Object(entries.into()))
    }
}

impl From<BTreeSet<Self>> for Value {
    fn from(items: BTreeSet<Self>) -> Self {
        Self(Repr::Set(items.into()))
    }
}
