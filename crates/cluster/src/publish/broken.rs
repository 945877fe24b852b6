//! The objects that could not be read, by kind: while there is one, what policies compare with is not known.
//!
//! Each is kept by name, until it is sound or gone. Names and errors are for others to choose, so that there is a bound in bytes. An
//! object beyond it is counted, and which one it was is forgotten: its kind stays unreadable until it is listed again.

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis::{Error, Gvk};

use super::watches::Purpose;
use crate::pages::Name;
use crate::status::cut;

/// Bytes of names and errors, of all kinds together.
const MAX_BYTES: usize = 1 << 20;
/// Bytes of the error of one object.
const MAX_ERROR_BYTES: usize = 1024;
/// What an entry takes besides its texts.
const OVERHEAD: usize = 128;

/// The objects that could not be read.
#[derive(Debug)]
pub(super) struct Broken {
    kinds: BTreeMap<Purpose, Kind>,
    bytes: usize,
    max_bytes: usize,
}

#[derive(Debug, Default)]
struct Kind {
    named: BTreeMap<Name, Arc<str>>,
    /// The first error for which there was no room, and how many there were.
    unnamed: Option<(Arc<str>, u64)>,
}

impl Default for Broken {
    fn default() -> Self {
        Self { kinds: BTreeMap::new(), bytes: 0, max_bytes: MAX_BYTES }
    }
}

impl Broken {
    /// Remembers an object that cannot be read.
    pub(super) fn insert(&mut self, purpose: &Purpose, name: Name, error: &Error) {
        let error: Arc<str> = cut(&error.to_string(), MAX_ERROR_BYTES).into();
        self.remove(purpose, &name);
        let kind = self.kinds.entry(purpose.clone()).or_default();
        let bytes = weight(&name, &error);
        if self.bytes.saturating_add(bytes) > self.max_bytes {
            kind.unnamed.get_or_insert((error, 0)).1 += 1;
        } else {
            self.bytes += bytes;
            kind.named.insert(name, error);
        }
    }

    /// The object is sound, or gone. Returns whether the kind has to be listed again: all that could be named is repaired, and which the
    /// others were is not known.
    pub(super) fn remove(&mut self, purpose: &Purpose, name: &Name) -> bool {
        let Some(kind) = self.kinds.get_mut(purpose) else { return false };
        let Some(error) = kind.named.remove(name) else { return false };
        self.bytes = self.bytes.saturating_sub(weight(name, &error));
        let is_last = kind.named.is_empty();
        let has_others = kind.unnamed.is_some();
        if is_last && !has_others {
            self.kinds.remove(purpose);
        }
        is_last && has_others
    }

    /// Forgets a kind: nobody reads it any more, or all of its objects are read again.
    pub(super) fn forget(&mut self, purpose: &Purpose) {
        let kind = self.kinds.remove(purpose).unwrap_or_default();
        let bytes = kind.named.iter().map(|(name, error)| weight(name, error)).sum();
        self.bytes = self.bytes.saturating_sub(bytes);
    }

    /// How many objects there are.
    pub(super) fn len(&self) -> u64 {
        let of =
            |kind: &Kind| kind.named.len() as u64 + kind.unnamed.as_ref().map_or(0, |(_, number)| *number);
        self.kinds.values().map(of).sum()
    }

    /// The errors that are kept.
    pub(super) fn errors(&self) -> impl Iterator<Item = &str> {
        self.kinds.values().flat_map(Kind::errors).map(|error| &**error)
    }

    /// The kinds of the inventory that have such objects, and what is wrong with one of each.
    pub(super) fn kinds(&self) -> BTreeMap<Gvk, Arc<str>> {
        let kinds = self.kinds.iter().filter_map(|(purpose, kind)| match purpose {
            Purpose::Inventory(resource) => Some((resource.gvk.clone(), kind.errors().next()?.clone())),
            _ => None,
        });
        kinds.collect()
    }
}

impl Kind {
    fn errors(&self) -> impl Iterator<Item = &Arc<str>> {
        self.named.values().chain(self.unnamed.as_ref().map(|(error, _)| error))
    }
}

fn weight(name: &Name, error: &str) -> usize {
    name.0.len() + name.1.len() + error.len() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use portcullis::ErrorKind;

    use super::*;
    use crate::resource::ApiResource;

    fn pods() -> Purpose {
        Purpose::Inventory(ApiResource::new("v1", "Pod", "pods", true))
    }

    fn name(number: usize) -> Name {
        ("default".to_owned(), format!("{number:05}"))
    }

    #[test]
    fn names_are_bounded_in_bytes_and_a_kind_stays_unreadable_until_it_is_listed_again() {
        let mut broken = Broken { max_bytes: 10_000, ..Broken::default() };
        let error = Error::new(ErrorKind::Unreadable, "x".repeat(100_000));
        for number in 0..1000 {
            broken.insert(&pods(), name(number), &error);
            assert!(broken.bytes <= 10_000);
        }
        let named = broken.errors().count() - 1;
        assert!((5..1000).contains(&named) && broken.len() == 1000, "{named}");
        assert!(broken.errors().all(|error| error.len() <= MAX_ERROR_BYTES));
        // Whatever is known to be repaired, the others are not.
        let asks: Vec<bool> = (0..1000).map(|number| broken.remove(&pods(), &name(number))).collect();
        assert_eq!(
            asks.iter().filter(|&&asks| asks).count(),
            1,
            "asked for once, after the last that has a name"
        );
        assert!(asks[named - 1] && broken.bytes == 0);
        assert!(broken.kinds().contains_key(&pods_gvk()));
        broken.forget(&pods());
        assert!(broken.kinds().is_empty() && broken.len() == 0);
    }

    #[test]
    fn an_object_that_is_mended_or_breaks_again_is_counted_once() {
        let mut broken = Broken::default();
        for text in ["first", "second"] {
            broken.insert(&pods(), name(1), &Error::new(ErrorKind::Unreadable, text));
        }
        assert_eq!((broken.len(), broken.errors().collect::<Vec<_>>()), (1, vec!["second"]));
        assert!(!broken.remove(&pods(), &name(1)) && !broken.remove(&pods(), &name(2)));
        assert!(broken.kinds().is_empty() && broken.bytes == 0);
    }

    fn pods_gvk() -> Gvk {
        Gvk::new("v1", "Pod")
    }
}
