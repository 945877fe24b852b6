//! Sets: elements in their order.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::Value;

/// Elements, sorted; each is there once. A clone shares them.
#[derive(Clone, Default)]
pub struct Set(Arc<[Value]>);

impl Set {
    /// A set of elements that are sorted, as a rule: one allocation, if it is known how many there are.
    /// Others are sorted.
    pub fn of_sorted(items: impl IntoIterator<Item = Value>) -> Self {
        let items: Arc<[Value]> = items.into_iter().collect();
        if items.is_sorted_by(|a, b| a < b) { Self(items) } else { items.iter().cloned().collect() }
    }

    /// How many elements it has.
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

    /// The element that equals a value. Cost: comparing the value with some of the elements.
    #[must_use]
    pub fn get(&self, item: &Value) -> Option<&Value> {
        self.0.binary_search(item).ok().and_then(|index| self.0.get(index))
    }

    /// Whether a value is in it.
    #[must_use]
    pub fn contains(&self, item: &Value) -> bool {
        self.0.binary_search(item).is_ok()
    }

    /// The least element.
    #[must_use]
    pub fn first(&self) -> Option<&Value> {
        self.0.first()
    }

    /// The elements in their order.
    #[inline]
    pub fn iter(&self) -> std::slice::Iter<'_, Value> {
        self.0.iter()
    }

    /// The elements in their order.
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &[Value] {
        &self.0
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

impl<'s> IntoIterator for &'s Set {
    type Item = &'s Value;
    type IntoIter = std::slice::Iter<'s, Value>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl std::fmt::Debug for Set {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

impl PartialEq for Set {
    fn eq(&self, other: &Self) -> bool {
        self.is_same(other) || self.0 == other.0
    }
}

impl Eq for Set {}

impl Ord for Set {
    fn cmp(&self, other: &Self) -> Ordering {
        if self.is_same(other) { Ordering::Equal } else { self.0.cmp(&other.0) }
    }
}

impl PartialOrd for Set {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl From<BTreeSet<Value>> for Set {
    fn from(items: BTreeSet<Value>) -> Self {
        Self(items.into_iter().collect())
    }
}

impl FromIterator<Value> for Set {
    fn from_iter<I: IntoIterator<Item = Value>>(items: I) -> Self {
        let mut items: Vec<Value> = items.into_iter().collect();
        if !items.is_sorted_by(|a, b| a < b) {
            items.sort();
            items.dedup();
        }
        Self(items.into())
    }
}
