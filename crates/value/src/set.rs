//! Sets: elements in their order.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::Value;

/// Elements, sorted; each is there once. A clone shares them.
#[derive(Clone, Default)]
pub struct Set(
    /// None if it has no elements: most sets of violations, which then take no allocation.
    Option<Arc<[Value]>>,
);

impl Set {
    /// A set of elements that are sorted, as a rule: one allocation, if it is known how many there are.
    /// Others are sorted.
    pub fn of_sorted(items: impl IntoIterator<Item = Value>) -> Self {
        let mut items = items.into_iter().peekable();
        if items.peek().is_none() {
            return Self(None);
        }
        let items: Arc<[Value]> = items.collect();
        if items.is_sorted_by(|a, b| a < b) { Self(Some(items)) } else { items.iter().cloned().collect() }
    }

    /// How many elements it has.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.as_slice().len()
    }

    /// Whether it has none.
    #[inline]
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The element that equals a value. Cost: comparing the value with some of the elements.
    #[must_use]
    pub fn get(&self, item: &Value) -> Option<&Value> {
        let items = self.as_slice();
        items.binary_search(item).ok().and_then(|index| items.get(index))
    }

    /// Whether a value is in it.
    #[must_use]
    pub fn contains(&self, item: &Value) -> bool {
        self.as_slice().binary_search(item).is_ok()
    }

    /// The least element.
    #[must_use]
    pub fn first(&self) -> Option<&Value> {
        self.as_slice().first()
    }

    /// The elements in their order.
    #[inline]
    pub fn iter(&self) -> std::slice::Iter<'_, Value> {
        self.as_slice().iter()
    }

    /// The elements in their order.
    #[inline]
    #[must_use]
    pub fn as_slice(&self) -> &[Value] {
        self.0.as_deref().unwrap_or_default()
    }

    /// See [`Value::is_same`].
    #[inline]
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(items), Some(others)) => Arc::ptr_eq(items, others),
            (None, None) => true,
            _ => false,
        }
    }

    /// See [`Value::address`].
    #[must_use]
    pub fn address(&self) -> usize {
        self.as_slice().as_ptr().addr()
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
        Self::of_sorted(items)
    }
}

impl FromIterator<Value> for Set {
    fn from_iter<I: IntoIterator<Item = Value>>(items: I) -> Self {
        let mut items: Vec<Value> = items.into_iter().collect();
        if !items.is_sorted_by(|a, b| a < b) {
            items.sort();
            items.dedup();
        }
        Self((!items.is_empty()).then(|| items.into()))
    }
}
