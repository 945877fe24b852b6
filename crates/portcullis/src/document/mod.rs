//! YAML and JSON streams in, documents with positions out.
//!
//! ```text
//! bytes ── Source ──> stream.rs ──> yaml.rs or json.rs ──> build.rs ──> value + marks ──> list.rs ──> Document
//!                                    explain.rs            problems.rs                (one per object)
//! ```
//!
//! Values are what `kubectl` would send for the same text, positions are those of the text. Nothing is lost
//! silently: what cannot be read is an [`Error`] beside the documents that can.

mod build;
mod explain;
mod json;
mod list;
mod made;
mod marks;
mod problems;
mod stream;
#[cfg(test)]
mod tests;
mod text;
mod toml;
mod wide;
mod yaml;

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::error::{Error, ErrorKind, Severity};
use crate::limits::Limits;
use crate::path::{FieldPath, Segment};
use crate::source::{Location, Source};
use crate::value::{self, Value, View};
use made::{Made, Part};
use marks::{Mark, MarkId, Marks};

/// The byte order mark. One in front of a text means nothing; with two of them go-yaml loses characters.
const MARK: char = '\u{feff}';
const TWO_MARKS: &str = "this text starts with two byte order marks; save it with none";

/// What a text is known to be, because it was cut out of a stream whose form is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// JSON and nothing else.
    Json,
    /// YAML, also where it begins like JSON.
    Yaml,
}

/// What a file of configuration is written in, for policies that look at any (`ModuleSet`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DataForm {
    /// JSON, one value or several.
    Json,
    /// YAML, in which JSON is YAML, too.
    Yaml,
    /// TOML.
    Toml,
}

impl DataForm {
    /// By the end of a file's name; YAML for all that it does not tell.
    #[must_use]
    pub fn of_name(name: &str) -> Self {
        let end = name.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase());
        match end.as_deref() {
            Some("json" | "jsonl" | "ndjson") => Self::Json,
            Some("toml") => Self::Toml,
            _ => Self::Yaml,
        }
    }
}

impl Form {
    /// Behind so many bytes of white space no client looks for the brace that JSON begins with.
    pub const LOOKS_AT: usize = 4096;
}

/// One Kubernetes object of a stream, with the position of every node. Cheap to clone.
///
/// ```
/// use portcullis::{Document, FieldPath};
///
/// let (documents, errors) = Document::read_all("pod.yaml", "kind: Pod\nspec:\n  hostPID: yes\n");
/// assert!(errors.is_empty());
/// let path = FieldPath::parse("spec.hostPID").unwrap();
/// assert_eq!(documents[0].locate(&path).unwrap().to_string(), "pod.yaml:3:12");
/// assert_eq!(documents[0].to_json()["spec"]["hostPID"], true);
/// ```
#[derive(Clone)]
pub struct Document {
    source: Arc<Source>,
    value: Value,
    marks: Arc<Marks>,
    root: MarkId,
    index: usize,
    item: Option<usize>,
    made: Option<Arc<Made>>,
}

impl Document {
    /// Reads all documents of a text, with the default limits.
    #[must_use]
    pub fn read_all(name: &str, text: &str) -> (Vec<Self>, Vec<Error>) {
        Self::read_source(&Source::new(name, text), &Limits::default())
    }

    /// Reads all documents of a source as `kubectl` reads them: JSON as long as the text consists of JSON
    /// values, YAML otherwise; JSON if the name ends in `.json`. Lists of objects (`kind: List`, `PodList`)
    /// are replaced by their items; documents without content are passed over. The errors are in the order of
    /// the text.
    #[must_use]
    pub fn read_source(source: &Arc<Source>, limits: &Limits) -> (Vec<Self>, Vec<Error>) {
        if let Some(error) = unreadable(source, limits) {
            return (Vec::new(), vec![error]);
        }
        let base = if source.text().starts_with(MARK) { MARK.len_utf8() } else { 0 };
        stream::read(source, base, limits, Taken::Items).finish()
    }

    /// Reads all documents of a source whose form is known. Otherwise as [`Document::read_source`], which has
    /// to guess.
    #[must_use]
    pub fn read_form(source: &Arc<Source>, form: Form, limits: &Limits) -> (Vec<Self>, Vec<Error>) {
        if let Some(error) = unreadable(source, limits) {
            return (Vec::new(), vec![error]);
        }
        match form {
            Form::Json => json::read(source, 0, limits, Taken::Items).output.finish(),
            Form::Yaml => yaml::read(source, 0, limits, Output::default()).finish(),
        }
    }

    /// Reads all documents of a source, whatever values they are: lists of objects stay as they are, and so
    /// does null. A list that is all of the source stands for its items, as conftest has it, each a document. A
    /// source without any document is one of null. Documents without content among others are passed over.
    #[must_use]
    pub fn read_data(source: &Arc<Source>, form: DataForm, limits: &Limits) -> (Vec<Self>, Vec<Error>) {
        if let Some(error) = unreadable(source, limits) {
            return (Vec::new(), vec![error]);
        }
        let base = if source.text().starts_with(MARK) { MARK.len_utf8() } else { 0 };
        let (documents, errors) = match form {
            DataForm::Json => json::read(source, base, limits, Taken::Values).output.finish(),
            DataForm::Yaml => stream::read(source, base, limits, Taken::Values).finish(),
            DataForm::Toml => toml::read(source, limits).finish(),
        };
        let is_sound = errors.iter().all(|error| error.severity() != Severity::Error);
        match documents.as_slice() {
            [] if is_sound => (vec![Self::empty(source)], errors),
            [only] if only.index == 0 && is_sound => match only.value.view() {
                View::Array(items) => (only.items(items), errors),
                _ => (documents, errors),
            },
            _ => (documents, errors),
        }
    }

    /// Null, in a source that has nothing in it.
    pub(crate) fn empty(source: &Arc<Source>) -> Self {
        let marks = Marks::default().finish();
        Self { source: source.clone(), value: Value::NULL, marks, root: 0, index: 0, item: None, made: None }
    }

    /// The items of a document that is a list, each as a document.
    fn items(&self, items: &[Value]) -> Vec<Self> {
        let items = items.iter().zip(self.marks.children(self.root)).zip(0..);
        items
            .map(|((value, (root, _)), item)| Self {
                value: value.clone(),
                root,
                item: Some(item),
                ..self.clone()
            })
            .collect()
    }

    /// Reads all documents of some bytes, which have to be UTF-8; a byte order mark is left out of the
    /// source.
    #[must_use]
    pub fn read_bytes(name: &str, bytes: Vec<u8>, limits: &Limits) -> (Vec<Self>, Vec<Error>) {
        let text = match text_of(name, bytes, limits) {
            Ok(text) => text,
            Err(error) => return (Vec::new(), vec![error]),
        };
        let Some(behind) = text.strip_prefix(MARK) else {
            return Self::read_source(&Source::new(name, text), limits);
        };
        let source = Source::new(name, behind);
        match unreadable(&source, limits) {
            Some(error) => (Vec::new(), vec![error]),
            None => stream::read_behind_mark(&source, 0, limits, Taken::Items).finish(),
        }
    }

    /// As [`Document::read_data`], of some bytes, which have to be UTF-8.
    #[must_use]
    pub fn read_data_bytes(
        name: &str,
        bytes: Vec<u8>,
        form: DataForm,
        limits: &Limits,
    ) -> (Vec<Self>, Vec<Error>) {
        match text_of(name, bytes, limits) {
            Ok(text) => {
                let text = text.strip_prefix(MARK).map(str::to_owned).unwrap_or(text);
                Self::read_data(&Source::new(name, text), form, limits)
            }
            Err(error) => (Vec::new(), vec![error]),
        }
    }

    /// Reads a text that is one JSON object, as API servers send them. Unlike in [`Document::read_source`], a
    /// list stays the one object that it is: who asked for an object is not given its items instead.
    ///
    /// # Errors
    ///
    /// The first thing that is wrong with the text.
    pub fn read_object(source: &Arc<Source>, limits: &Limits) -> Result<Self, Error> {
        let refuse = |kind, message: String| {
            let location = Location::new(source.clone(), 0..0);
            Error::new(kind, message).at(location)
        };
        let most = limits.source_bytes.min(u32::MAX as usize - 1);
        if source.text().len() > most {
            let found = source.text().len();
            let message = format!("{found} bytes are more than the {most} that a source may have");
            return Err(refuse(ErrorKind::Limit, message));
        }
        let (mut documents, problems) = json::read_objects(source, limits).finish();
        if let Some(error) = problems.into_iter().find(|problem| problem.severity() == Severity::Error) {
            return Err(error);
        }
        match (documents.pop(), documents.is_empty()) {
            (Some(document), true) => Ok(document),
            _ => Err(refuse(ErrorKind::NotAnObject, "expected one JSON object".to_owned())),
        }
    }

    /// The text this was read from.
    #[must_use]
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// The number of the document in its source, from 0; empty documents do not count, broken ones do.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    /// Whether its value is what its text says, and not what a tool made of it ([`Document::with_value_of`]).
    #[must_use]
    pub fn is_as_written(&self) -> bool {
        self.made.is_none()
    }

    /// The number of the item, from 0, if the document was a list of objects and this is one of them.
    #[must_use]
    pub fn item(&self) -> Option<usize> {
        self.item
    }

    /// The value of another document, placed in this text and in patches: of what a tool made of them. A part is placed
    /// where its value is written, and one that nobody wrote at the nearest one. Items of lists are found by their
    /// names, wherever they stand. Cost of a place: with the number of patches and the length of lists.
    #[must_use]
    pub fn with_value_of(self, made: &Self, patches: Vec<Self>) -> Self {
        let of = Made::new(self.value, patches);
        Self { value: made.value.clone(), made: Some(of), ..self }
    }

    /// The document without an annotation, and without `metadata.annotations` if that was the only one.
    #[must_use]
    pub fn without_annotation(self, key: &str) -> Self {
        let without = |value: &Value, key: &str, put: Option<Value>| {
            let kept = value::entries(value).filter(|(name, _)| *name != key);
            let kept = kept.map(|(name, value)| (Arc::<str>::from(name), value.clone()));
            value::object(kept.chain(put.map(|value| (Arc::from(key), value))))
        };
        let Some(metadata) = value::get(&self.value, "metadata") else { return self };
        let Some(annotations) = value::get(metadata, "annotations") else { return self };
        if value::get(annotations, key).is_none() {
            return self;
        }
        let annotations = without(annotations, key, None);
        let is_empty = value::entries(&annotations).next().is_none();
        let left = (!is_empty).then_some(annotations);
        let metadata = without(metadata, "annotations", left);
        let value = without(&self.value, "metadata", Some(metadata));
        Self { value, ..self }
    }

    /// The document with the kind and API version that it leaves out: the items of a typed list such as
    /// `PodList` have them in the list only.
    #[must_use]
    pub fn with_identity(self, api_version: &str, kind: &str) -> Self {
        let identity = [("apiVersion".into(), api_version.into()), ("kind".into(), kind.into())];
        let value = list::complete(&self.value, Some(&identity));
        Self { value, ..self }
    }

    /// The object.
    pub(crate) fn value(&self) -> &Value {
        &self.value
    }

    /// The part of this document at a path, as a document with its positions: the objects inside of an
    /// admission request.
    pub(crate) fn nested(&self, path: &FieldPath) -> Option<Self> {
        let root = self.marks.find(self.root, path)?;
        let value = path.segments().iter().try_fold(&self.value, child_value)?.clone();
        Some(Self { value, root, made: None, ..self.clone() })
    }

    /// The object, in the form that other JSON tools take.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).unwrap_or_default()
    }

    /// Where the object is.
    #[must_use]
    pub fn location(&self) -> Location {
        self.at(self.root, Mark::range)
    }

    /// Where the value at a path is; an alias is where it is used, not where its anchor is.
    #[must_use]
    pub fn locate(&self, path: &FieldPath) -> Option<Location> {
        let part = self.whole(path)?;
        Some(part.of.at(part.mark, Mark::range))
    }

    /// Where the key at the end of a path is; for an item of a list, the item. `None` for the root.
    #[must_use]
    pub fn locate_key(&self, path: &FieldPath) -> Option<Location> {
        let part = self.whole(path).filter(|_| !path.is_root())?;
        Some(part.of.at(part.mark, |mark| if mark.key.is_some() { mark.key_range() } else { mark.range() }))
    }

    /// Whether a byte of the source is inside of a text or another value without parts, such as a line of a block scalar: what
    /// looks like a comment there is none.
    #[must_use]
    pub fn is_in_scalar(&self, offset: u32) -> bool {
        self.marks.is_in_scalar(offset)
    }

    /// Where the deepest existing part of a path is, and that part. If the path does not exist as a whole,
    /// the location is the key of that part: its value, all of it, would be too much to underline.
    #[must_use]
    pub fn locate_nearest(&self, path: &FieldPath) -> (Location, FieldPath) {
        let Part { of, mark, depth } = self.part(path);
        let nearest: FieldPath = path.segments().iter().take(depth).cloned().collect();
        let exact = depth == path.segments().len();
        (
            of.at(mark, |mark| if exact || mark.key.is_none() { mark.range() } else { mark.key_range() }),
            nearest,
        )
    }

    /// For a location inside of a quoted string of several lines, as JSON writes Rego: line and column from 1
    /// in the text that the string means, and that line. `None` elsewhere: then the location's own line and
    /// column tell enough.
    #[must_use]
    pub fn line_in_text(&self, location: &Location) -> Option<(u32, u32, String)> {
        let mark = self.marks.around(location.range().start).0?;
        let written = self.source.text().get(mark.start as usize..mark.end as usize)?;
        text::line_in_quotes(written, location.range().start.checked_sub(mark.start)? as usize)
    }

    /// Where a byte of a string is, given its offset in the value: for Rego inside of YAML. Exact in block
    /// literals (`|`), in texts of one line and with JSON's escapes; otherwise the start of the text.
    pub(crate) fn locate_in_text(&self, path: &FieldPath, offset: usize) -> Option<Location> {
        let mark = self.marks.get(self.marks.find(self.root, path)?)?;
        let value = path.segments().iter().try_fold(&self.value, child_value)?;
        let decoded = value::as_str(value)?;
        let at = text::source_offset(self.source.text(), mark.range(), decoded, offset);
        Some(Location::new(self.source.clone(), at..at))
    }

    /// Where a part of a text is, given its bytes in the value: for who looks at the Rego or CEL of a template by itself.
    /// Exact as for the errors of templates: in block literals (`|`), in texts of one line and with JSON's escapes;
    /// otherwise it is the start of the text. `None` if there is no text at the path.
    #[must_use]
    pub fn locate_part(&self, path: &FieldPath, part: std::ops::Range<u32>) -> Option<Location> {
        let start = self.locate_in_text(path, part.start as usize)?.range().start;
        let end = self.locate_in_text(path, part.end as usize)?.range().start;
        Some(Location::new(self.source.clone(), start..end))
    }

    /// The byte of a text that is written at a byte of the source: the other way round than
    /// [`Document::locate_part`]. `None` where that is not exact, and outside of the text.
    #[must_use]
    pub fn offset_in_text(&self, path: &FieldPath, offset: u32) -> Option<u32> {
        let mark = self.marks.get(self.marks.find(self.root, path)?)?;
        let value = path.segments().iter().try_fold(&self.value, child_value)?;
        text::decoded_offset(self.source.text(), mark.range(), value::as_str(value)?, offset)
    }

    /// The innermost node whose key or value is written at a byte of the source, and whether that is its key. What
    /// stands between nodes belongs to the one around them. `None` outside of the document. Cost: the nodes beside
    /// those on the way are looked at.
    #[must_use]
    pub fn path_at(&self, offset: u32) -> Option<(FieldPath, bool)> {
        let root = self.marks.get(self.root)?;
        if self.made.is_some() || offset < root.start || offset > root.end {
            return None;
        }
        let (mut path, mut id) = (FieldPath::root(), self.root);
        'deeper: loop {
            // Of an alias, the children are written somewhere else.
            if self.marks.get(id).is_some_and(|mark| mark.children_of != id) {
                return Some((path, false));
            }
            for (index, (child, mark)) in self.marks.children(id).enumerate() {
                let is_key = mark.key.is_some() && (mark.key_start..=mark.key_end).contains(&offset);
                if !is_key && !(mark.start..=mark.end).contains(&offset) {
                    continue;
                }
                let segment = match &mark.key {
                    Some(key) => Segment::Key(key.clone()),
                    None if mark.is_item() => Segment::Index(index),
                    None => return Some((path, false)),
                };
                path = path.child(segment);
                if is_key {
                    return Some((path, true));
                }
                id = child;
                continue 'deeper;
            }
            return Some((path, false));
        }
    }

    /// The nearest part of a path.
    fn part(&self, path: &FieldPath) -> Part<'_> {
        if let Some(made) = &self.made {
            return made.nearest(self, path);
        }
        let (mark, depth) = self.marks.nearest(self.root, path);
        Part { of: self, mark, depth }
    }

    /// The part at a path, if there is one.
    fn whole(&self, path: &FieldPath) -> Option<Part<'_>> {
        Some(self.part(path)).filter(|part| part.depth == path.segments().len())
    }

    fn at(&self, id: MarkId, range: impl Fn(&Mark) -> std::ops::Range<u32>) -> Location {
        Location::new(self.source.clone(), self.marks.get(id).map_or(0..0, range))
    }
}

/// The text of some bytes, with the mark it may begin with.
pub(crate) fn text_of(name: &str, bytes: Vec<u8>, limits: &Limits) -> Result<String, Error> {
    let refuse = |kind, message: String| {
        let location = Location::new(Source::new(name, ""), 0..0);
        Err(Error::new(kind, message).at(location))
    };
    if bytes.len() > limits.source_bytes {
        let most = limits.source_bytes;
        let message = format!("{} bytes are more than the {most} that a source may have", bytes.len());
        return refuse(ErrorKind::Limit, message);
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return refuse(ErrorKind::Encoding, "this file is UTF-16; save it as UTF-8".to_owned());
    }
    if bytes.contains(&0) {
        return refuse(ErrorKind::Encoding, "this is a binary file: it has NUL bytes".to_owned());
    }
    match String::from_utf8(bytes) {
        Ok(text) if text.strip_prefix(MARK).is_some_and(|rest| rest.starts_with(MARK)) => {
            refuse(ErrorKind::Encoding, TWO_MARKS.to_owned())
        }
        Ok(text) => Ok(text),
        Err(error) => {
            let at = error.utf8_error().valid_up_to();
            refuse(ErrorKind::Encoding, format!("this is a binary file: byte {at} is not UTF-8"))
        }
    }
}

/// Why a source is not even looked into.
fn unreadable(source: &Arc<Source>, limits: &Limits) -> Option<Error> {
    let text = source.text();
    let whole = |kind, message: String| Error::new(kind, message).at(Location::new(source.clone(), 0..0));
    let most = limits.source_bytes.min(u32::MAX as usize - 1);
    if text.len() > most {
        let message = format!("{} bytes are more than the {most} that a source may have", text.len());
        return Some(whole(ErrorKind::Limit, message));
    }
    if text.as_bytes().contains(&0) {
        return Some(whole(ErrorKind::Encoding, "this is a binary file: it has NUL bytes".to_owned()));
    }
    let has_two_marks = text.strip_prefix(MARK).is_some_and(|rest| rest.starts_with(MARK));
    has_two_marks.then(|| whole(ErrorKind::Encoding, TWO_MARKS.to_owned()))
}

fn child_value<'a>(value: &'a Value, segment: &Segment) -> Option<&'a Value> {
    match (value.view(), segment) {
        (View::Array(items), Segment::Index(index)) => items.get(*index),
        (View::Array(items), Segment::Key(key)) => items.get(key.parse::<usize>().ok()?),
        (_, Segment::Key(key)) => value::get(value, key),
        (_, Segment::Index(index)) => value::get(value, &index.to_string()),
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Document({})", self.location())
    }
}

impl Serialize for Document {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(serializer)
    }
}

/// What the readers make of a source.
#[derive(Default)]
struct Output {
    documents: Vec<Document>,
    problems: Vec<Error>,
    /// Documents so far that had content.
    documents_seen: usize,
    taken: Taken,
}

/// What is taken for a document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Taken {
    /// Objects; lists of objects are replaced by their items.
    #[default]
    Items,
    /// Objects; lists of objects stay what they are.
    Objects,
    /// Any value.
    Values,
}

impl Output {
    /// Forgets what starts at an offset or after it.
    fn cut(&mut self, offset: usize) {
        let before = |location: &Location| (location.range().start as usize) < offset;
        self.documents.retain(|document| before(&document.location()));
        self.problems.retain(|problem| problem.location().is_none_or(before));
    }

    fn finish(mut self) -> (Vec<Document>, Vec<Error>) {
        self.problems.sort();
        (self.documents, self.problems)
    }
}
