//! Keeps what is repeated for each finding from making a report of more bytes than anybody reads. What is
//! left out is counted where it would stand.

use std::borrow::Cow;
use std::collections::HashMap;

use portcullis_sources::json_bytes;
use serde::{Serialize, Serializer};

use crate::ObjectName;

/// A text of at most so many bytes, and how many more there are.
pub fn text(text: &str, most: usize) -> Cow<'_, str> {
    if text.len() <= most {
        return Cow::Borrowed(text);
    }
    let end = text.floor_char_boundary(most);
    let shown = text.get(..end).unwrap_or_default();
    Cow::Owned(format!("{shown}… ({} bytes more)", text.len() - end))
}

/// Counts what copies of objects take in a report: gator's form has the object and the constraint in each
/// finding.
#[derive(Debug, Default)]
pub struct Copies {
    /// By where an object is in memory, where it stays as long as the report: what one copy takes, and what
    /// all of them have.
    taken: HashMap<usize, (usize, usize)>,
    all: usize,
}

impl Copies {
    /// Copies of one object, beyond the first.
    const MAX_OF_ONE: usize = 2 << 20;
    /// Copies of all objects, beyond the first of each.
    const MAX: usize = 256 << 20;

    /// The object, as it is written where it is needed once more.
    pub fn of<'a, T: Serialize>(&mut self, object: &'a T, name: impl FnOnce() -> ObjectName) -> Copy<'a, T> {
        let place = std::ptr::from_ref(object).addr();
        let Some((one, taken)) = self.taken.get_mut(&place) else {
            let one = json_bytes(object);
            self.taken.insert(place, (one, 0));
            return Copy::Whole(object);
        };
        if *taken + *one > Self::MAX_OF_ONE || self.all + *one > Self::MAX {
            return Copy::Name(name(), *one);
        }
        *taken += *one;
        self.all += *one;
        Copy::Whole(object)
    }
}

/// An object in a report.
#[derive(Debug)]
pub enum Copy<'a, T> {
    /// All of it.
    Whole(&'a T),
    /// What identifies it, and how many bytes are left out: it stands before as a whole.
    Name(ObjectName, usize),
}

impl<T: Serialize> Serialize for Copy<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(rename_all = "camelCase")]
        struct Short<'a> {
            api_version: String,
            kind: Cow<'a, str>,
            metadata: Metadata<'a>,
            left_out_bytes: usize,
        }
        #[derive(Serialize)]
        struct Metadata<'a> {
            name: Cow<'a, str>,
            #[serde(skip_serializing_if = "str::is_empty")]
            namespace: Cow<'a, str>,
        }
        match self {
            Self::Whole(object) => object.serialize(serializer),
            Self::Name(object, left_out_bytes) => {
                const NAME: usize = 512;
                let short = Short {
                    api_version: text(&object.api_version(), NAME).into_owned(),
                    kind: text(&object.kind, NAME),
                    metadata: Metadata {
                        name: text(&object.name, NAME),
                        namespace: text(&object.namespace, NAME),
                    },
                    left_out_bytes: *left_out_bytes,
                };
                short.serialize(serializer)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use portcullis::Object;

    use super::*;

    #[test]
    fn long_texts_are_cut_between_characters_and_say_so() {
        assert_eq!(text("short", 5), "short");
        assert_eq!(text("a€bc", 3), "a… (5 bytes more)");
    }

    #[test]
    fn copies_of_a_large_object_become_its_name() {
        let object = |bytes: usize| {
            let text = "x".repeat(bytes);
            let json = serde_json::json!({
                "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "n"}, "data": {"text": text},
            });
            Object::from_json(&json).expect("an object")
        };
        let (large, small) = (object(1 << 20), object(10));
        let mut copies = Copies::default();
        let mut is_whole = |object| matches!(copies.of(object, || ObjectName::of(object)), Copy::Whole(_));
        assert_eq!([0; 4].map(|_| is_whole(&large)), [true, true, false, false]);
        assert!((0..1000).all(|_| is_whole(&small)));
        let short = serde_json::to_value(Copy::<Object>::Name(ObjectName::of(&large), 7)).expect("JSON");
        let expected = serde_json::json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": "n"}, "leftOutBytes": 7,
        });
        assert_eq!(short, expected);
    }
}
