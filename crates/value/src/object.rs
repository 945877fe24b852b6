//! Objects: entries in the order of their keys.
//!
//! An object of Kubernetes is read once, looked into often, and small: a sorted array takes one allocation,
//! is searched by halves, and goes through its keys in the order in which OPA lists them. Keys of Rego may be
//! any value, not only texts. There is no insertion: an object is built whole, and changed by building
//! another.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::Value;
use crate::same::is_same_text;

/// So many keys are looked at one after the other: most differ in their lengths, which is faster seen than
/// which of two comes first.
const MAX_SCANNED: usize = 16;

/// Keys and values, sorted by key; each key is there once. A clone shares them.
#[derive(Clone, Default)]
pub struct Object(Arc<[(Value, Value)]>);

impl Object {
    /// An object of entries that are sorted by key, as a rule: one allocation, if it is known how many there
    /// are. Others are sorted.
    pub fn of_sorted(entries: impl IntoIterator<Item = (Value, Value)>) -> Self {
        let entries: Arc<[(Value, Value)]> = entries.into_iter().collect();
        if entries.is_sorted_by(|(a, _), (b, _)| a < b) {
            return Self(entries);
        }
        entries.iter().cloned().collect()
    }

    /// An object of the entries of a list, which is left empty: of those with the same key the last one.
    pub fn of_entries(entries: &mut Vec<(Value, Value)>) -> Self {
        sort_entries(entries);
        Self(entries.drain(..).collect())
    }

    /// How many entries it has.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether it has none.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The value of a key. Cost: comparing the key with some of the keys.
    #[must_use]
    pub fn get(&self, key: &Value) -> Option<&Value> {
        match key.as_str() {
            Some(text) => self.get_str(text),
            None => self.at(|known| known.cmp(key)),
        }
    }

    /// As [`Self::get`], for a key that is a text.
    #[must_use]
    pub fn get_str(&self, key: &str) -> Option<&Value> {
        if self.0.len() <= MAX_SCANNED {
            let is_it = |known: &Value| known.as_str().is_some_and(|known| is_same_text(known, key));
            return self.0.iter().find(|(known, _)| is_it(known)).map(|(_, value)| value);
        }
        self.at(|known| match known.as_str() {
            Some(known) => known.cmp(key),
            None => known.ty().cmp(&crate::Type::String),
        })
    }

    fn at(&self, order: impl Fn(&Value) -> Ordering) -> Option<&Value> {
        let index = self.0.binary_search_by(|(known, _)| order(known)).ok()?;
        self.0.get(index).map(|(_, value)| value)
    }

    /// Whether it has a key.
    #[must_use]
    pub fn contains_key(&self, key: &Value) -> bool {
        self.get(key).is_some()
    }

    /// Keys and values, by key.
    #[inline]
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (&Value, &Value)> + ExactSizeIterator + Clone {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// The keys in their order.
    #[inline]
    pub fn keys(&self) -> impl DoubleEndedIterator<Item = &Value> + ExactSizeIterator + Clone {
        self.0.iter().map(|(key, _)| key)
    }

    /// The values by key.
    #[inline]
    pub fn values(&self) -> impl DoubleEndedIterator<Item = &Value> + ExactSizeIterator + Clone {
        self.0.iter().map(|(_, value)| value)
    }

    /// A map of the same entries, to change.
    #[must_use]
    pub fn to_map(&self) -> BTreeMap<Value, Value> {
        self.0.iter().cloned().collect()
    }

    /// See [`Value::is_same`].
    #[inline]
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// See [`Value::address`].
    #[must_use]
    pub fn address(&self) -> usize {
        self.0.as_ptr().addr()
    }
}

impl std::fmt::Debug for Object {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.is_same(other) || self.0 == other.0
    }
}

impl Eq for Object {}

/// By keys and values in their order, as OPA compares them: an entry that comes first decides first.
impl Ord for Object {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.is_same(other) { Ordering::Equal } else { self.0.cmp(&other.0) }
    }
}

impl PartialOrd for Object {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<BTreeMap<Value, Value>> for Object {
    fn from(entries: BTreeMap<Value, Value>) -> Self {
        Self(entries.into_iter().collect())
    }
}

/// A later entry replaces an earlier one of the same key. Fast for what is in order already, as most is.
impl FromIterator<(Value, Value)> for Object {
    fn from_iter<I: IntoIterator<Item = (Value, Value)>>(entries: I) -> Self {
        let mut entries: Vec<(Value, Value)> = entries.into_iter().collect();
        sort_entries(&mut entries);
        Self(entries.into())
    }
}

/// Puts entries into the order of their keys, of those with the same key the last one.
fn sort_entries(entries: &mut Vec<(Value, Value)>) {
    if entries.is_sorted_by(|(a, _), (b, _)| a < b) {
        return;
    }
    // Stable, so that of equal keys the last one stays.
    entries.sort_by(|(a, _), (b, _)| a.cmp(b));
    entries.dedup_by(|later, earlier| {
        let is_equal = later.0 == earlier.0;
        if is_equal {
            std::mem::swap(&mut later.1, &mut earlier.1);
        }
        is_equal
    });
}
