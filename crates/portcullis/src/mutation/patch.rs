//! The JSON patch (RFC 6902) between two values.

use serde::ser::{Serialize, SerializeMap as _, Serializer};

use crate::object::Object;
use crate::path::{FieldPath, Segment};
use crate::value::{self, Value, View};

/// One operation of a JSON patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatchOperation {
    path: FieldPath,
    kind: Kind,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    Add(Value),
    Remove,
    Replace(Value),
}

impl PatchOperation {
    /// The operations that make the second object of the first: as few as there are different parts, in the
    /// order of their paths; none if they are equal.
    ///
    /// Cost: a comparison of both, without the parts that they share by reference.
    #[must_use]
    pub fn between(from: &Object, to: &Object) -> Vec<Self> {
        between(from.value(), to.value())
    }

    /// What is added or put in the place of something else; none for `remove`.
    #[must_use]
    pub fn value(&self) -> Option<serde_json::Value> {
        match &self.kind {
            Kind::Add(value) | Kind::Replace(value) => Some(value::to_json(value)),
            Kind::Remove => None,
        }
    }

    /// `add`, `remove` or `replace`.
    #[must_use]
    pub fn op(&self) -> &'static str {
        match self.kind {
            Kind::Add(_) => "add",
            Kind::Remove => "remove",
            Kind::Replace(_) => "replace",
        }
    }

    /// Where it applies.
    #[must_use]
    pub fn path(&self) -> &FieldPath {
        &self.path
    }

    /// Where it applies, as a JSON pointer (RFC 6901).
    #[must_use]
    pub fn pointer(&self) -> String {
        let step = |segment: &Segment| match segment {
            Segment::Key(key) => format!("/{}", key.replace('~', "~0").replace('/', "~1")),
            Segment::Index(index) => format!("/{index}"),
        };
        self.path.segments().iter().map(step).collect()
    }
}

/// As it is sent: `{"op": …, "path": …, "value": …}`.
impl Serialize for PatchOperation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("op", self.op())?;
        map.serialize_entry("path", &self.pointer())?;
        if let Kind::Add(value) | Kind::Replace(value) = &self.kind {
            map.serialize_entry("value", value)?;
        }
        map.end()
    }
}

/// The operations that make one value of another. Equal parts are not touched; what is taken from a list comes
/// last element first, so that each position is the right one when its turn comes.
pub(super) fn between(old: &Value, new: &Value) -> Vec<PatchOperation> {
    let mut operations = Vec::new();
    compare(old, new, &FieldPath::root(), &mut operations);
    operations
}

fn compare(old: &Value, new: &Value, path: &FieldPath, operations: &mut Vec<PatchOperation>) {
    if old == new {
        return;
    }
    match (old.view(), new.view()) {
        (View::Object(old), View::Object(new)) => {
            let key = |key: &Value| path.child(key.as_str().unwrap_or_default());
            for (name, value) in new.iter() {
                match old.get(name) {
                    Some(before) => compare(before, value, &key(name), operations),
                    None => {
                        operations.push(PatchOperation { path: key(name), kind: Kind::Add(value.clone()) });
                    }
                }
            }
            for name in old.keys().filter(|name| new.get(name).is_none()) {
                operations.push(PatchOperation { path: key(name), kind: Kind::Remove });
            }
        }
        (View::Array(old), View::Array(new)) => compare_lists(old, new, path, operations),
        _ => operations.push(PatchOperation { path: path.clone(), kind: Kind::Replace(new.clone()) }),
    }
}

/// What both begin and end with stays. If the rest of one is the rest of the other with some elements between,
/// these are added or removed; else elements are compared by their positions.
fn compare_lists(old: &[Value], new: &[Value], path: &FieldPath, operations: &mut Vec<PatchOperation>) {
    let first = old.iter().zip(new).take_while(|(old, new)| old == new).count();
    let rest_old = old.get(first..).unwrap_or_default();
    let rest_new = new.get(first..).unwrap_or_default();
    let last = rest_old.iter().rev().zip(rest_new.iter().rev()).take_while(|(old, new)| old == new).count();
    let rest_old = rest_old.get(..rest_old.len() - last).unwrap_or_default();
    let rest_new = rest_new.get(..rest_new.len() - last).unwrap_or_default();
    if let Some(gone) = missing(rest_old, rest_new) {
        let remove =
            |position: &usize| PatchOperation { path: path.child(first + position), kind: Kind::Remove };
        operations.extend(gone.iter().rev().map(remove));
        return;
    }
    if let Some(come) = missing(rest_new, rest_old) {
        for position in come {
            let Some(value) = rest_new.get(position) else { continue };
            let kind = Kind::Add(value.clone());
            operations.push(PatchOperation { path: path.child(first + position), kind });
        }
        return;
    }
    for (position, (old, new)) in rest_old.iter().zip(rest_new).enumerate() {
        compare(old, new, &path.child(first + position), operations);
    }
    let both = rest_old.len().min(rest_new.len());
    for position in (both..rest_old.len()).rev() {
        operations.push(PatchOperation { path: path.child(first + position), kind: Kind::Remove });
    }
    for (position, value) in rest_new.iter().enumerate().skip(both) {
        let kind = Kind::Add(value.clone());
        operations.push(PatchOperation { path: path.child(first + position), kind });
    }
}

/// The positions of what a list has beside all elements of a shorter one, if those are there in their order.
fn missing(long: &[Value], short: &[Value]) -> Option<Vec<usize>> {
    if short.len() >= long.len() {
        return None;
    }
    let mut rest = short;
    let mut extra = Vec::new();
    for (position, value) in long.iter().enumerate() {
        match rest.split_first() {
            Some((first, others)) if first == value => rest = others,
            _ => extra.push(position),
        }
    }
    rest.is_empty().then_some(extra)
}
