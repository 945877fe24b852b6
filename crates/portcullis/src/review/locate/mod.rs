//! Where in the object's document a violation is.
//!
//! Policies do not say where. The line is found, in this order, by: a path in `details`; a value or the name
//! of a list item that the message quotes and that stands at one place only; the part of the object that the
//! policy reads. What none of these finds is placed at the object, and says so.

use std::sync::{Arc, OnceLock};

use super::outcome::{Position, Precision};
use super::quotes::{Quotes, Work};
use crate::analysis::{ObjectRead, RulesTold, Told};
use crate::document::Document;
use crate::object::Object;
use crate::path::{FieldPath, Segment};
use crate::source::Location;
use crate::value::{self, Value, View};

/// What is judged.
pub(crate) enum Thing {
    /// An object.
    Object(Object),
    /// A document of any kind.
    Document(Document),
    /// Documents that are judged together: a list of objects that have them as `contents`.
    Together(Value, Vec<Document>),
}

impl Thing {
    fn value(&self) -> &Value {
        match self {
            Self::Object(object) => object.value(),
            Self::Document(document) => document.value(),
            Self::Together(value, _) => value,
        }
    }

    fn quotes(&self) -> Option<Quotes> {
        match self {
            Self::Object(object) => Quotes::of(object.value()),
            Self::Document(document) => Quotes::of_document(document.value()),
            Self::Together(value, _) => Quotes::of_together(value),
        }
    }

    /// The document that a path leads into, and what is left of it there.
    fn place(&self, path: &FieldPath) -> Option<(Location, FieldPath)> {
        match self {
            Self::Object(object) => Some(nearest(object.document()?, &object.written(path))),
            Self::Document(document) => Some(nearest(document, path)),
            Self::Together(_, documents) => match path.segments() {
                [Segment::Index(number), rest @ ..] => {
                    // Behind `contents`.
                    let below = rest.iter().skip(1).cloned().collect();
                    Some(nearest(documents.get(*number)?, &below))
                }
                _ => None,
            },
        }
    }

    /// It as a whole; of what belongs to an object, that part.
    fn whole(&self) -> Option<(Location, FieldPath)> {
        match self {
            Self::Object(object) if !object.within().is_root() => {
                Some(nearest(object.document()?, object.within()))
            }
            Self::Object(object) => Some((object.document()?.location(), FieldPath::root())),
            Self::Document(document) => Some((document.location(), FieldPath::root())),
            Self::Together(_, documents) => Some((documents.first()?.location(), FieldPath::root())),
        }
    }
}

/// What is worked out of an object once, for all violations of it that a review finds.
pub(crate) struct Judged {
    thing: Thing,
    /// None if its texts are too many to look for.
    quotes: OnceLock<Option<Quotes>>,
}

impl Judged {
    pub(crate) fn new(thing: Thing) -> Arc<Self> {
        Arc::new(Self { thing, quotes: OnceLock::new() })
    }

    fn quotes(&self) -> Option<&Quotes> {
        self.quotes.get_or_init(|| self.thing.quotes()).as_ref()
    }
}

/// What reads it.
pub(crate) enum Reader {
    /// A template.
    Template(Arc<Told>),
    /// A part of a template that reads this.
    Part(Arc<[ObjectRead]>),
    /// A rule of files of Rego, by its number.
    Rule(Arc<RulesTold>, usize),
}

/// What places the violations of one constraint in one object. Cost: linear in the object for the first, in
/// message and details for each.
pub(crate) struct Places {
    judged: Arc<Judged>,
    reader: Reader,
    /// What all reads have in common; where one of several definitions is known by the message, it depends on that.
    read: OnceLock<Option<FieldPath>>,
}

impl Places {
    pub(crate) fn new(judged: Arc<Judged>, reader: Reader) -> Arc<Self> {
        Arc::new(Self { judged, reader, read: OnceLock::new() })
    }

    /// `None` only if the object has no document.
    pub(super) fn position(&self, message: &str, details: &Value) -> Option<Position> {
        let thing = &self.judged.thing;
        let found = from_details(thing.value(), details)
            .map(|path| (path, Precision::Details))
            .or_else(|| Some((self.quoted(message)?, Precision::Message)))
            .or_else(|| Some((self.first_read(message)?, Precision::Rule)));
        let placed = found.and_then(|(path, precision)| Some((thing.place(&shown(path))?, precision)));
        let ((location, path), precision) = match placed {
            Some(placed) => placed,
            None => (thing.whole()?, Precision::Object),
        };
        Some(Position { location, path, precision })
    }

    fn reads(&self, message: &str) -> &[ObjectRead] {
        match &self.reader {
            Reader::Template(told) => told.reads_for(message),
            Reader::Part(reads) => reads,
            Reader::Rule(told, rule) => told.reads(*rule).map_or(&[], |reads| reads.for_message(message)),
        }
    }

    fn quoted(&self, message: &str) -> Option<FieldPath> {
        let value = self.judged.thing.value();
        from_message(value, self.judged.quotes()?, message, self.reads(message))
    }

    fn first_read(&self, message: &str) -> Option<FieldPath> {
        let read = |missing| from_reads(self.judged.thing.value(), self.reads(message), missing);
        match &self.reader {
            Reader::Part(_) => self.read.get_or_init(|| read(Missing::InParent)).clone(),
            // What all of the template reads does not depend on the message.
            Reader::Template(told)
                if std::ptr::eq(told.reads_for(message), told.reads().object.as_slice()) =>
            {
                self.read.get_or_init(|| read(Missing::InParent)).clone()
            }
            Reader::Template(_) => read(Missing::InParent),
            Reader::Rule(..) => read(Missing::InNearest),
        }
    }
}

/// The part of a path that can be shown beside each of many findings: keys may be as long as texts.
fn shown(path: FieldPath) -> FieldPath {
    const LONGEST: usize = 2 << 10;
    let length = |segment: &Segment| match segment {
        Segment::Key(key) => key.len() + 4,
        Segment::Index(_) => 12,
    };
    if path.segments().iter().map(length).sum::<usize>() <= LONGEST {
        return path;
    }
    let mut room = LONGEST;
    let fits = |segment: &&Segment| {
        let left = room.checked_sub(length(segment));
        room = left.unwrap_or(0);
        left.is_some()
    };
    path.segments().iter().take_while(fits).cloned().collect()
}

/// A field is shown at its key, with its value if that stands in the same line; a list item at its start.
fn nearest(document: &Document, path: &FieldPath) -> (Location, FieldPath) {
    let (location, path) = document.locate_nearest(path);
    let Some(key) = document.locate_key(&path) else { return (location, path) };
    let one_line = key.line() == location.line() && location.end_line() == key.line();
    if one_line && key.range().end <= location.range().start {
        let whole = key.range().start..location.range().end;
        return (Location::new(key.source().clone(), whole), path);
    }
    (key, path)
}

/// `details.path`, `details.field`, `details.location`…: a text such as `spec.containers[0].image`, a JSON
/// pointer, or a list of keys and positions. Taken only if at least its first step exists in the object.
fn from_details(object: &Value, details: &Value) -> Option<FieldPath> {
    const KEYS: &[&str] = &["path", "field", "fieldPath", "jsonPath", "location", "paths", "fields"];
    KEYS.iter().find_map(|key| path_of(object, value::get(details, key)?))
}

fn path_of(object: &Value, value: &Value) -> Option<FieldPath> {
    let path = match value.view() {
        View::String(text) => FieldPath::parse(text.strip_prefix("input.review.object.").unwrap_or(text))?,
        View::Array(steps) => {
            let step = |step: &Value| match step.view() {
                View::String(key) => Some(Segment::Key(key.into())),
                View::Number(index) => Some(Segment::Index(usize::try_from(index.as_u64()?).ok()?)),
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
    matches!(value.view(), View::String(_)).then(|| path_of(object, value)).flatten()
}

fn starts_in(object: &Value, path: &FieldPath) -> bool {
    match path.segments().first() {
        Some(Segment::Key(key)) => value::get(object, key).is_some(),
        Some(Segment::Index(index)) => object.as_array().is_some_and(|items| items.get(*index).is_some()),
        None => false,
    }
}

/// A scalar that the message quotes and that stands at one place; within the one list item that the message
/// names, if it names one. A text that is the object's own name is not told from it, so that it counts only where the
/// policy reads.
fn from_message(object: &Value, quotes: &Quotes, message: &str, reads: &[ObjectRead]) -> Option<FieldPath> {
    let mut work = Work::for_message(message);
    let quoted = quotes.quoted(message, &mut work)?;
    let scalar = quoted.scalar.map(|scalar| quotes.path(scalar));
    if let Some(scalar) = scalar.filter(|path| !is_only_the_name(object, path, path, reads)) {
        return Some(scalar);
    }
    let item = quotes.path(quoted.item?);
    if is_only_the_name(object, &item.child("name"), &item, reads) {
        return None;
    }
    Some(field_read_in(object, &item, reads, &mut work).unwrap_or(item))
}

fn only(paths: &[FieldPath]) -> Option<&FieldPath> {
    match paths {
        [path] => Some(path),
        _ => None,
    }
}

/// Below a list item, the one field that the policy reads there, if it reads just one that exists.
fn field_read_in(
    object: &Value,
    item: &FieldPath,
    reads: &[ObjectRead],
    work: &mut Work,
) -> Option<FieldPath> {
    let depth = item.segments().len();
    let name = item.child("name");
    let mut fields: Vec<FieldPath> = Vec::new();
    for read in reads {
        work.take(1)?;
        if read.len() <= depth || !fits(item, read) {
            continue;
        }
        work.take(8 + read.len() as u64)?;
        let mut path = item.clone();
        for step in read.iter().skip(depth) {
            let Some(key) = step else { break };
            path = path.child(&**key);
        }
        if path.segments().len() > depth && path != name && exists(object, &path) {
            fields.push(path);
        }
    }
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

/// Whether the text at a path is the name of the object, and the policy reads nothing of the part that it tells.
fn is_only_the_name(object: &Value, text: &FieldPath, part: &FieldPath, reads: &[ObjectRead]) -> bool {
    let name = at(object, &FieldPath::root().child("metadata").child("name"));
    name.is_some()
        && at(object, text) == name
        && !reads.is_empty()
        && !reads.iter().any(|read| fits(part, read))
}

fn exists(object: &Value, path: &FieldPath) -> bool {
    at(object, path).is_some()
}

fn at<'v>(object: &'v Value, path: &FieldPath) -> Option<&'v Value> {
    path.segments().iter().try_fold(object, |value, segment| match segment {
        Segment::Key(key) => value::get(value, key),
        Segment::Index(index) => match value.view() {
            View::Array(items) => items.get(*index),
            _ => None,
        },
    })
}

/// Where what is missing is shown.
#[derive(Clone, Copy)]
enum Missing {
    /// Where it would be, if that is there.
    InParent,
    /// In the nearest part that is there.
    InNearest,
}

/// What all reads that exist in the object have in common; `metadata` on its own says nothing.
fn from_reads(object: &Value, reads: &[ObjectRead], missing: Missing) -> Option<FieldPath> {
    let existing = reads.iter().filter_map(|read| {
        let mut path = FieldPath::root();
        for step in read {
            let Some(key) = step else { break };
            path = path.child(&**key);
        }
        // A read may be of something that is missing, which is then what it is about: its parent stands for
        // it.
        let path = match missing {
            _ if exists(object, &path) => path,
            Missing::InParent => path.parent()?,
            Missing::InNearest => {
                std::iter::successors(path.parent(), FieldPath::parent).find(|path| exists(object, path))?
            }
        };
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
mod tests;
