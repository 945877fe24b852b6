//! Equal parts of values, held once.
//!
//! Objects of a cluster say the same again and again: replicas have equal containers, most have equal labels,
//! images and resources. What was seen lately is remembered by what it says, and what says the same later is
//! made of it.

use crate::{Object, Value, View};

/// So many parts are remembered; a new one takes the place of another.
const PLACES: usize = 1 << 13;

/// Of how many values a part may be that is remembered, each of 64 bytes of text counted as one: all of them
/// together are some MB at most, also where what they were made for is gone.
const MAX_WEIGHT: usize = 32;

/// Texts up to this length lie inside of a value.
const INSIDE: usize = 23;

/// Remembers parts of values, to be parts of others. Of bounded size: a value that is nowhere else is found
/// again only if not too much came between.
///
/// ```
/// use portcullis_value::{Sharing, Value};
///
/// let mut sharing = Sharing::default();
/// let labels = || Value::object([("app", Value::from("web"))]);
/// let (one, two) = (sharing.share(&labels()), sharing.share(&labels()));
/// assert!(one.is_same(&two));
/// ```
#[derive(Debug, Default)]
pub struct Sharing {
    /// By hash; undefined where there is none. Empty until the first is put in.
    places: Vec<Value>,
}

/// A value made of parts that were there.
struct Part {
    value: Value,
    hash: u64,
    weight: usize,
    /// Whether it is made anew.
    differs: bool,
}

impl Sharing {
    /// The same value, made of parts that were there before as far as they are remembered. Numbers stay as
    /// they were written. Cost: a walk over it, and making what holds a part that was there.
    #[must_use]
    pub fn share(&mut self, value: &Value) -> Value {
        self.part(value).value
    }

    fn part(&mut self, value: &Value) -> Part {
        let made = match value.view() {
            View::String(text) => {
                let hash = text.bytes().fold(mix(1, text.len() as u64), |hash, byte| mix(hash, byte.into()));
                let part = Part { value: value.clone(), hash, weight: 1 + text.len() / 64, differs: false };
                if text.len() <= INSIDE {
                    return part;
                }
                part
            }
            View::Number(number) => {
                let hash = mix(2, number.as_i64().unwrap_or(0).cast_unsigned());
                return Part { value: value.clone(), hash, weight: 1, differs: false };
            }
            View::Array(items) => {
                let parts: Vec<Part> = items.iter().map(|item| self.part(item)).collect();
                let about = About::of(3, &parts);
                if about.differs {
                    about.part(parts.into_iter().map(|part| part.value).collect())
                } else {
                    about.part(value.clone())
                }
            }
            View::Object(object) => {
                let parts: Vec<Part> =
                    object.iter().flat_map(|(key, value)| [key, value]).map(|item| self.part(item)).collect();
                let about = About::of(4, &parts);
                if about.differs {
                    let mut values = parts.into_iter().map(|part| part.value);
                    let entries = std::iter::from_fn(|| values.next().zip(values.next()));
                    about.part(Value::from(Object::of_sorted(entries.collect::<Vec<_>>())))
                } else {
                    about.part(value.clone())
                }
            }
            View::Undefined | View::Null | View::Bool(_) | View::Set(_) => {
                let hash = mix(5, u64::from(matches!(value.view(), View::Bool(true))));
                let weight = if matches!(value.view(), View::Set(_)) { MAX_WEIGHT + 1 } else { 1 };
                return Part { value: value.clone(), hash, weight, differs: false };
            }
        };
        if made.weight > MAX_WEIGHT { made } else { self.remembered(made) }
    }

    /// The one that was there, if there was one.
    fn remembered(&mut self, part: Part) -> Part {
        self.places.resize(PLACES, Value::UNDEFINED);
        let place = usize::try_from(part.hash >> 32).unwrap_or_default() % PLACES;
        match self.places.get_mut(place) {
            Some(known) if is_identical(known, &part.value) => {
                let differs = part.differs || !known.is_same(&part.value);
                Part { value: known.clone(), differs, ..part }
            }
            Some(known) => {
                *known = part.value.clone();
                part
            }
            None => part,
        }
    }
}

/// What is known of a collection by its parts.
struct About {
    hash: u64,
    weight: usize,
    differs: bool,
}

impl About {
    fn of(kind: u64, parts: &[Part]) -> Self {
        let start = Self { hash: mix(kind, parts.len() as u64), weight: 1, differs: false };
        parts.iter().fold(start, |about, part| Self {
            hash: mix(about.hash, part.hash),
            weight: about.weight.saturating_add(part.weight),
            differs: about.differs || part.differs,
        })
    }

    fn part(self, value: Value) -> Part {
        Part { value, hash: self.hash, weight: self.weight, differs: self.differs }
    }
}

const fn mix(hash: u64, more: u64) -> u64 {
    (hash.rotate_left(5) ^ more).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// Whether two values are the same to everyone who looks: equal numbers may be written differently. Both are
/// small.
fn is_identical(a: &Value, b: &Value) -> bool {
    match (a.view(), b.view()) {
        (View::Number(a), View::Number(b)) => a == b && a.text() == b.text(),
        (View::Array(left), View::Array(right)) => {
            a.is_same(b)
                || left.len() == right.len() && left.iter().zip(right).all(|(a, b)| is_identical(a, b))
        }
        (View::Object(left), View::Object(right)) => {
            let mut entries = left.iter().zip(right.iter());
            let is_entry = |((a_key, a), (b_key, b)): ((&Value, &Value), (&Value, &Value))| {
                is_identical(a_key, b_key) && is_identical(a, b)
            };
            a.is_same(b) || left.len() == right.len() && entries.all(is_entry)
        }
        (View::Set(_) | View::Undefined, _) => false,
        _ => a == b,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    fn parsed(text: &str) -> Value {
        json::parse(&mut crate::Budget::new(crate::Limits::default(), None), text).expect("JSON")
    }

    #[test]
    fn what_is_shared_says_the_same() {
        let mut sharing = Sharing::default();
        for text in [
            r#"{"a":[1,1.0,1e0,10e-1,-0,0],"b":{"c":null,"d":[true,false,[],{}]},"long":"a text that is longer than others"}"#,
            r#"[1.0,1,[1.0],[1],{"n":1},{"n":1.0},{"n":1e0}]"#,
            r#"[{"n":1.0},{"n":1},[],[[]],{},"",null,"a text that is longer than others"]"#,
        ] {
            for _ in 0..2 {
                let value = parsed(text);
                let shared = sharing.share(&value);
                assert_eq!(shared, value);
                assert_eq!(shared.to_string(), value.to_string());
            }
        }
    }

    #[test]
    fn equal_parts_are_held_once_in_values_that_differ() {
        let mut sharing = Sharing::default();
        let mut share = |name: &str| {
            let text =
                format!(r#"{{"name":"{name}","spec":{{"ports":[{{"port":80}}],"labels":{{"app":"web"}}}}}}"#);
            sharing.share(&parsed(&text))
        };
        let (one, two) = (share("one"), share("two"));
        let spec = |value: &Value| value.as_object().and_then(|object| object.get_str("spec").cloned());
        assert!(spec(&one).expect("a spec").is_same(&spec(&two).expect("a spec")));
        assert_ne!(one, two);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut sharing = Sharing::default();
        for number in 0..3 * PLACES {
            let wide: Vec<Value> = (0..=MAX_WEIGHT).map(|part| Value::from(number + part)).collect();
            let _ = sharing.share(&Value::from(wide));
            let _ = sharing.share(&Value::from("x".repeat(64 * MAX_WEIGHT)));
            let _ = sharing.share(&Value::from(vec![Value::from(number)]));
        }
        assert_eq!(sharing.places.len(), PLACES);
        let widest = sharing.places.iter().filter_map(Value::count).max();
        assert_eq!(widest, Some(1), "nothing larger than it may be");
    }
}
