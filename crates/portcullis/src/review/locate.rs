//! Where in the object's document a violation is.
//!
//! Policies do not say. What tells, in this order: a path in `details`; a value or the name of a list item that the message
//! quotes and that stands at one place only; the part of the object that the policy reads. What nothing tells is placed at the
//! object, and says so.

use super::outcome::{Position, Precision};
use crate::document::Document;
use crate::object::Object;
use crate::path::{FieldPath, Segment};
use crate::rego::ObjectRead;
use crate::source::Location;
use crate::value::{self, Value};

/// `None` only if the object has no document.
pub(super) fn position(
    object: &Object,
    message: &str,
    details: &Value,
    reads: &[ObjectRead],
) -> Option<Position> {
    let document = object.document()?;
    let found = from_details(object.value(), details)
        .map(|path| (path, Precision::Details))
        .or_else(|| Some((from_message(object.value(), message, reads)?, Precision::Message)))
        .or_else(|| Some((from_reads(object.value(), reads)?, Precision::Rule)));
    Some(match found {
        Some((path, precision)) => {
            let (location, path) = nearest(document, &path);
            Position { location, path, precision }
        }
        None => {
            Position { location: document.location(), path: FieldPath::root(), precision: Precision::Object }
        }
    })
}

/// A field is shown at its key, with its value if that stands in the same line; a list item at its start.
fn nearest(document: &Document, path: &FieldPath) -> (Location, FieldPath) {
    let (location, path) = document.locate_nearest(path);
    let Some(key) = document.locate_key(&path) else { return (location, path) };
    let one_line = key.line() == location.line() && location.end().0 == key.line();
    if one_line && key.range().end <= location.range().start {
        let whole = key.range().start..location.range().end;
        return (Location::new(key.source().clone(), whole), path);
    }
    (key, path)
}

/// `details.path`, `details.field`, `details.location`…: a text such as `spec.containers[0].image`, a JSON pointer, or a list of
/// keys and positions. Taken only if at least its first step exists in the object.
fn from_details(object: &Value, details: &Value) -> Option<FieldPath> {
    const KEYS: &[&str] = &["path", "field", "fieldPath", "jsonPath", "location", "paths", "fields"];
    KEYS.iter().find_map(|key| path_of(object, value::get(details, key)?))
}

fn path_of(object: &Value, value: &Value) -> Option<FieldPath> {
    let path = match value {
        Value::String(text) => FieldPath::parse(text.strip_prefix("input.review.object.").unwrap_or(text))?,
        Value::Array(steps) => {
            let step = |step: &Value| match step {
                Value::String(key) => Some(Segment::Key(key.clone())),
                Value::Number(index) => Some(Segment::Index(usize::try_from(index.as_u64()?).ok()?)),
                _ => None,
            };
            let path: Option<FieldPath> = steps.iter().map(step).collect();
            // A list of paths instead of a list of steps: the first one.
            return path
                .filter(|path| starts_in(object, path))
                .or_else(|| value::items(value).find_map(|item| path_of_text(object, item)));
        }
        _ => return None,
    };
    starts_in(object, &path).then_some(path)
}

fn path_of_text(object: &Value, value: &Value) -> Option<FieldPath> {
    matches!(value, Value::String(_)).then(|| path_of(object, value)).flatten()
}

fn starts_in(object: &Value, path: &FieldPath) -> bool {
    match path.segments().first() {
        Some(Segment::Key(key)) => value::get(object, key).is_some(),
        _ => false,
    }
}

/// A scalar that the message quotes and that stands at one place; within the one list item that the message names, if it names
/// one. `metadata` is left out: names and namespaces are in most messages.
fn from_message(object: &Value, message: &str, reads: &[ObjectRead]) -> Option<FieldPath> {
    let mut places = Places { message, items: Vec::new(), scalars: Vec::new() };
    for (key, value) in value::entries(object) {
        match key {
            "apiVersion" | "kind" | "status" => {}
            // Labels and annotations may well be what it is about.
            "metadata" => {
                for part in ["labels", "annotations"] {
                    if let Some(value) = value::get(value, part) {
                        places.walk(value, &FieldPath::root().child("metadata").child(part), 0);
                    }
                }
            }
            _ => places.walk(value, &FieldPath::root().child(key), 0),
        }
    }
    let item = only(&places.items);
    let scalars: Vec<&FieldPath> = match item {
        Some(item) => places.scalars.iter().filter(|path| is_below(path, item)).collect(),
        None => places.scalars.iter().collect(),
    };
    let names_the_item = |path: &&FieldPath| item.is_some_and(|item| **path == item.child("name"));
    let telling: Vec<FieldPath> = scalars.into_iter().filter(|path| !names_the_item(path)).cloned().collect();
    if let Some(path) = only(&telling) {
        return Some(path.clone());
    }
    let item = item?;
    Some(field_read_in(object, item, reads).unwrap_or_else(|| item.clone()))
}

fn only(paths: &[FieldPath]) -> Option<&FieldPath> {
    match paths {
        [path] => Some(path),
        _ => None,
    }
}

fn is_below(path: &FieldPath, parent: &FieldPath) -> bool {
    path.segments().len() > parent.segments().len() && path.segments().starts_with(parent.segments())
}

struct Places<'a> {
    message: &'a str,
    /// List items whose `name` the message has as a word of its own.
    items: Vec<FieldPath>,
    /// Scalars that the message has as a word of its own.
    scalars: Vec<FieldPath>,
}

impl Places<'_> {
    fn walk(&mut self, value: &Value, path: &FieldPath, depth: usize) {
        const DEEPEST: usize = 32;
        const SHORTEST: usize = 3;
        if depth > DEEPEST {
            return;
        }
        match value {
            Value::Object(_) => {
                for (key, value) in value::entries(value) {
                    self.walk(value, &path.child(key), depth + 1);
                }
            }
            Value::Array(_) => {
                for (index, item) in value::items(value).enumerate() {
                    let path = path.child(index);
                    let name = value::str_at(item, &["name"]);
                    if name.is_some_and(|name| has_word(self.message, name)) {
                        self.items.push(path.clone());
                    }
                    self.walk(item, &path, depth + 1);
                }
            }
            Value::String(text) if text.chars().count() >= SHORTEST && has_word(self.message, text) => {
                self.scalars.push(path.clone());
            }
            Value::Number(_) => {
                let text = value.to_string();
                if text.len() >= SHORTEST && has_word(self.message, &text) {
                    self.scalars.push(path.clone());
                }
            }
            _ => {}
        }
    }
}

/// Whether `word` stands in `text` with nothing around it that could belong to it.
fn has_word(text: &str, word: &str) -> bool {
    let joins = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || matches!(c, '-' | '_' | '/'));
    // A full stop ends a sentence as often as it continues a name: it joins only before another letter.
    let continues = |rest: &str| {
        let mut chars = rest.chars();
        match chars.next() {
            Some('.' | ':') => chars.next().is_some_and(char::is_alphanumeric),
            next => joins(next),
        }
    };
    !word.is_empty()
        && text.match_indices(word).any(|(at, _)| {
            let before = text.get(..at).unwrap_or_default();
            let after = text.get(at + word.len()..).unwrap_or_default();
            !joins(before.chars().last()) && !before.ends_with('.') && !continues(after)
        })
}

/// Below a list item, the one field that the policy reads there, if it reads just one that exists.
fn field_read_in(object: &Value, item: &FieldPath, reads: &[ObjectRead]) -> Option<FieldPath> {
    let depth = item.segments().len();
    let mut fields: Vec<FieldPath> = reads
        .iter()
        .filter(|read| read.len() > depth && fits(item, read))
        .filter_map(|read| {
            let rest = read.get(depth..)?;
            let mut path = item.clone();
            for step in rest {
                let Some(key) = step else { break };
                path = path.child(&**key);
            }
            (path.segments().len() > depth && path != item.child("name")).then_some(path)
        })
        .filter(|path| exists(object, path))
        .collect();
    fields.sort();
    fields.dedup();
    only(&fields).cloned()
}

fn fits(path: &FieldPath, read: &ObjectRead) -> bool {
    path.segments().iter().zip(read).all(|(segment, step)| match (segment, step) {
        (_, None) => true,
        (Segment::Key(key), Some(step)) => **key == **step,
        (Segment::Index(index), Some(step)) => step.parse() == Ok(*index),
    })
}

fn exists(object: &Value, path: &FieldPath) -> bool {
    path.segments()
        .iter()
        .try_fold(object, |value, segment| match segment {
            Segment::Key(key) => value::get(value, key),
            Segment::Index(index) => value::items(value).nth(*index),
        })
        .is_some()
}

/// What all reads that exist in the object have in common; `metadata` on its own tells nothing.
fn from_reads(object: &Value, reads: &[ObjectRead]) -> Option<FieldPath> {
    let existing = reads.iter().filter_map(|read| {
        let mut path = FieldPath::root();
        for step in read {
            let Some(key) = step else { break };
            path = path.child(&**key);
        }
        // A read may be of something that is missing, which is then what it is about: its parent stands for it.
        let path = if exists(object, &path) { path } else { path.parent()? };
        let names_the_object = matches!(
            path.segments(),
            [] | [Segment::Key(_)] if path.is_root() || path == FieldPath::root().child("metadata") || path == FieldPath::root().child("kind")
        ) || path == FieldPath::root().child("metadata").child("name")
            || path == FieldPath::root().child("metadata").child("namespace");
        (!names_the_object && exists(object, &path)).then_some(path)
    });
    let common = existing.reduce(|common, path| {
        let shared = common.segments().iter().zip(path.segments()).take_while(|(a, b)| a == b);
        shared.map(|(segment, _)| segment.clone()).collect()
    })?;
    (!common.is_root()).then_some(common)
}

#[cfg(test)]
mod tests {
    use super::has_word;

    #[test]
    fn words_are_whole() {
        assert!(has_word("container <nginx> has no limits", "nginx"));
        assert!(has_word("bad image \"nginx:latest\".", "nginx:latest"));
        assert!(!has_word("container <nginx-proxy> has no limits", "nginx"));
        assert!(!has_word("bad image quay.io/nginx", "nginx"));
        assert!(!has_word("bad image nginx:latest", "nginx"));
        assert!(has_word("bad image: nginx.", "nginx"));
    }
}
