//! What a value may be: parts of `input` and `data`, or something that holds such parts.

use std::collections::BTreeSet;

use portcullis_value::{Value, View};

use super::{Base, Key};

/// Paths that are longer end here, and stand for all that is below.
const LONGEST: usize = 24;
/// Parts that one value may be. Of more than that only the document is known.
const MOST: usize = 64;

/// A part of a document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Path {
    base: Base,
    keys: Vec<Key>,
    /// It may be anything at or below this.
    is_deep: bool,
}

impl Path {
    pub(super) fn root(base: Base) -> Self {
        Self { base, keys: Vec::new(), is_deep: false }
    }

    /// Anything of a document.
    pub(super) fn somewhere(base: Base) -> Self {
        Self { base, keys: Vec::new(), is_deep: true }
    }

    fn is_anything(&self) -> bool {
        self.is_deep && self.keys.is_empty()
    }

    fn below(&self, key: &Key) -> Self {
        let mut path = self.clone();
        if !path.is_deep {
            if path.keys.len() < LONGEST {
                path.keys.push(key.clone());
            } else {
                path.is_deep = true;
            }
        }
        path
    }

    /// Whether a read of this is one of a place. One of the outside is none if the place is farther in.
    pub(super) fn meets(&self, base: Base, place: &[Option<&str>], outside: bool) -> bool {
        self.base == base && meets(&self.keys, place, outside && !self.is_deep)
    }
}

/// Positions of an array may be missing in the place; where it has `*`, that is the position.
fn meets(keys: &[Key], place: &[Option<&str>], outside: bool) -> bool {
    // Whether the keys from `i` on can lead to the place from `j` on, by `i`, from the last `j` to the first.
    let mut behind: Vec<bool> = vec![true; keys.len() + 1];
    for step in place.iter().rev() {
        let mut here = vec![!outside];
        for (number, key) in keys.iter().enumerate().rev() {
            let fits = match (key, step) {
                (Some(key), Some(step)) => **key == **step,
                _ => true,
            };
            let is_position = key.as_ref().is_none_or(|key| key.bytes().all(|byte| byte.is_ascii_digit()));
            let next = fits && behind.get(number + 1).copied().unwrap_or(true);
            let skipped = is_position && step.is_some() && here.last().copied().unwrap_or(true);
            here.push(next || skipped);
        }
        here.reverse();
        behind = here;
    }
    behind.first().copied().unwrap_or(true)
}

/// What a value may be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Shape {
    /// It is one of these parts.
    is: BTreeSet<Path>,
    /// It was made by the policy, and holds some of these, as a value or a key, at any depth.
    holds: BTreeSet<Path>,
    /// Looking something up in it compares with what it holds: a set, or an object with computed keys.
    compares: bool,
}

impl Shape {
    pub(super) fn root(base: Base) -> Self {
        Self { is: BTreeSet::from([Path::root(base)]), ..Self::default() }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.is.is_empty() && self.holds.is_empty()
    }

    /// How many parts it may be or hold.
    pub(super) fn size(&self) -> usize {
        self.is.len() + self.holds.len()
    }

    /// What is under a key.
    pub(super) fn below(&self, key: &Key) -> Self {
        let below = self.is.iter().map(|path| path.below(key));
        let mut shape = Self {
            is: below.chain(self.holds.iter().cloned()).collect(),
            holds: self.holds.clone(),
            compares: self.compares,
        };
        shape.bound();
        shape
    }

    /// What its keys are: those of documents are no part of them.
    pub(super) fn keys(&self) -> Self {
        Self { is: self.holds.clone(), holds: self.holds.clone(), compares: self.compares }
    }

    /// Adds another possibility. Tells whether it is new.
    pub(super) fn or(&mut self, other: &Self) -> bool {
        let is_known = other.is.is_subset(&self.is)
            && other.holds.is_subset(&self.holds)
            && (self.compares || !other.compares);
        if is_known {
            return false;
        }
        let before = self.clone();
        self.is.extend(other.is.iter().cloned());
        self.holds.extend(other.holds.iter().cloned());
        self.compares |= other.compares;
        self.bound();
        *self != before
    }

    /// Adds something that is put into it, as an element or a key that is compared (`compares`), or as a
    /// value.
    pub(super) fn hold(&mut self, part: &Self, compares: bool) -> bool {
        if part.is_empty() {
            return false;
        }
        let held = part.is.iter().chain(&part.holds).cloned().collect();
        self.or(&Self { is: BTreeSet::new(), holds: held, compares: compares || part.compares })
    }

    /// Adds elements of another collection.
    pub(super) fn hold_elements(&mut self, collection: &Self) -> bool {
        self.hold(&collection.below(&None), collection.compares)
    }

    /// The parts that are in it, whole.
    pub(super) fn parts(&self) -> impl Iterator<Item = &Path> {
        self.is.iter().chain(&self.holds)
    }

    /// The parts that it is, not those that it holds.
    pub(super) fn itself(&self) -> impl Iterator<Item = &Path> {
        self.is.iter()
    }

    /// The parts that a look-up in it compares with.
    pub(super) fn compared(&self) -> impl Iterator<Item = &Path> {
        self.holds.iter().filter(|_| self.compares)
    }

    fn bound(&mut self) {
        if self.size() > MOST {
            let all: BTreeSet<Path> = self.parts().map(|path| Path::somewhere(path.base)).collect();
            self.holds.clone_from(&all);
            self.is = all;
            return;
        }
        // Where anything of a document may be in it, other paths of that say nothing new.
        for paths in [&mut self.is, &mut self.holds] {
            let any: Vec<Base> =
                paths.iter().filter(|path| path.is_anything()).map(|path| path.base).collect();
            if !any.is_empty() {
                paths.retain(|path| path.is_anything() || !any.contains(&path.base));
            }
        }
    }
}

/// A constant as a key: positions are written as numbers. Other keys are in no document.
pub(super) fn key_of(value: &Value) -> Key {
    match value.view() {
        View::String(text) => Some(text.into()),
        View::Number(_) => Some(value.to_string().into()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> Path {
        let keys = text.split('.').filter(|key| !key.is_empty());
        let keys = keys.map(|key| (key != "*").then(|| key.into())).collect();
        Path { base: Base::Input, keys, is_deep: false }
    }

    fn meets(read: &str, place: &str, outside: bool) -> bool {
        let place: Vec<Option<&str>> = place.split('.').map(|key| (key != "*").then_some(key)).collect();
        path(read).meets(Base::Input, &place, outside)
    }

    #[test]
    fn reads_meet_what_is_at_or_below_or_around_them() {
        for (read, place) in [
            ("", "data.*"),
            ("data", "data.*"),
            ("data.a", "data.*"),
            ("data.a.b", "data.*"),
            ("*", "data.*"),
            ("*.*", "data.*"),
            ("spec.containers.*.env.*.value", "spec.containers.env.value"),
            ("spec.containers.0.env.1", "spec.containers.env.value"),
            ("spec.containers.*", "spec.containers.*.env.*.value"),
            ("list.0.secret", "list.*.secret"),
            ("list.0", "list.0.secret"),
        ] {
            assert!(meets(read, place, false), "{read} {place}");
        }
        for (read, place) in [
            ("metadata", "data.*"),
            ("metadata.data", "data.*"),
            ("spec.containers.*.name", "spec.containers.*.env.*.value"),
            ("spec.containers.*.name", "spec.containers.env.value"),
            ("list.1.secret", "list.0.secret"),
        ] {
            assert!(!meets(read, place, false), "{read} {place}");
        }
    }

    #[test]
    fn the_outside_of_what_is_around_a_place_is_none_of_it() {
        assert!(!meets("data", "data.*", true) && !meets("", "data.*", true));
        assert!(meets("data.a", "data.*", true) && meets("data.a.b", "data.*", true));
        assert!(!meets("spec.containers.*", "spec.containers.env.value", true));
        assert!(meets("spec.containers.*.env.*.value", "spec.containers.env.value", true));
    }

    #[test]
    fn shapes_are_bounded_and_lose_nothing() {
        let mut shape = Shape::default();
        for number in 0..MOST * 2 {
            let part = Shape { is: BTreeSet::from([path(&format!("a.k{number}"))]), ..Shape::default() };
            shape.or(&part);
        }
        assert!(shape.size() <= 2, "{shape:?}");
        assert!(shape.below(&Some("x".into())).parts().any(|path| path.meets(
            Base::Input,
            &[Some("z")],
            false
        )));
        let mut deep = Shape::root(Base::Input);
        for _ in 0..LONGEST * 2 {
            deep = deep.below(&None);
        }
        assert!(deep.parts().all(|path| path.meets(Base::Input, &[Some("z"); LONGEST * 2], true)));
    }
}
