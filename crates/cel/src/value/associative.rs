//! Lists of which the order says nothing: sets, and lists whose elements are known by some of their fields, as schemas of
//! Kubernetes declare them (`x-kubernetes-list-type`). They are compared and added as an API server does in rules of schemas.

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_value::{Budget, Exceeded};

use super::order::{Equality, equals};
use super::{AsKey, CelValue, Key, List, Text};

/// A list whose elements are known by what they are, or by some of their fields. One that stands on the left of `==` or `+`
/// decides how the other is taken.
#[derive(Clone, Debug)]
pub struct Associative {
    items: Vec<CelValue>,
    /// The fields by which an element is known; none, if it is known by itself.
    by: Option<Arc<[Arc<str>]>>,
}

/// By what an element is known; none where the API server finds nothing by it.
type Identity = Option<Vec<Option<Key>>>;

impl Associative {
    /// A set.
    #[must_use]
    pub const fn set(items: Vec<CelValue>) -> Self {
        Self { items, by: None }
    }

    /// A list of maps, each known by the values of these fields.
    #[must_use]
    pub const fn keyed(items: Vec<CelValue>, fields: Arc<[Arc<str>]>) -> Self {
        Self { items, by: Some(fields) }
    }

    /// The elements in the order in which they were written.
    #[must_use]
    pub fn items(&self) -> &[CelValue] {
        &self.items
    }

    fn identity(&self, item: &CelValue) -> Identity {
        let key = |value: &CelValue| match Key::of(value) {
            AsKey::Is(key) => Some(key),
            AsKey::Unique | AsKey::None => None,
        };
        let Some(fields) = &self.by else { return Some(vec![Some(key(item)?)]) };
        let CelValue::Map(map) = item else { return None };
        let field = |name: &Arc<str>| match map.get(&CelValue::String(Text::from(&**name))) {
            Some(value) => key(&value).map(Some),
            None => Some(None),
        };
        fields.iter().map(field).collect()
    }

    /// Where the elements are.
    fn places(&self, budget: &mut Budget<'_>) -> Result<BTreeMap<Vec<Option<Key>>, usize>, Exceeded> {
        budget.make_items(self.items.len())?;
        let items = self.items.iter().enumerate();
        Ok(items.filter_map(|(place, item)| Some((self.identity(item)?, place))).collect())
    }

    /// Whether another list has the same elements, in any order.
    pub(crate) fn equals(&self, budget: &mut Budget<'_>, other: &List) -> Result<Equality, Exceeded> {
        if self.items.len() != other.len() {
            return Ok(Equality::Different);
        }
        let places = self.places(budget)?;
        for item in other.iter() {
            budget.step(1)?;
            let place = self.identity(&item).and_then(|identity| places.get(&identity));
            let Some(own) = place.and_then(|place| self.items.get(*place)) else {
                return Ok(Equality::Different);
            };
            if self.by.is_some() {
                match equals(budget, own, &item)? {
                    Equality::Same => {}
                    other => return Ok(other),
                }
            }
        }
        Ok(Equality::Same)
    }

    /// With the elements of another list: what is there stays where it is, and of a list by fields becomes the other's.
    pub(crate) fn plus(&self, budget: &mut Budget<'_>, other: &List) -> Result<Self, Exceeded> {
        let mut places = self.places(budget)?;
        budget.make_items(self.items.len().saturating_add(other.len()))?;
        let mut items = self.items.clone();
        for item in other.iter() {
            let identity = self.identity(&item);
            let known = identity.as_ref().and_then(|identity| places.get(identity)).copied();
            match known.and_then(|place| items.get_mut(place)) {
                Some(own) if self.by.is_some() => *own = item,
                Some(_) => {}
                None => {
                    if let Some(identity) = identity {
                        places.insert(identity, items.len());
                    }
                    items.push(item);
                }
            }
        }
        Ok(Self { items, by: self.by.clone() })
    }
}
