//! A Kubernetes object, read once.
//!
//! What matching asks of every object (kind, name, namespace) is taken out and checked when the object is
//! made. So an object whose `metadata` has the wrong types does not exist, and no criterion has to think of
//! one.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::names::Gvk;
use crate::path::{FieldPath, Segment};
use crate::source::Location;
use crate::value::{self, Sharing, Value, View};

/// A Kubernetes object: its identity, its labels, its JSON value and, if it came from a text, its positions.
///
/// Cheap to clone. Serializes as the JSON of the object, keys sorted.
#[derive(Clone)]
pub struct Object(Arc<Inner>);

struct Inner {
    value: Value,
    gvk: Gvk,
    name: Arc<str>,
    generate_name: Arc<str>,
    namespace: Arc<str>,
    document: Option<Document>,
}

/// The value of an annotation. Files may have any: `team: true` without quotes is no text, and API servers refuse it. What decides by an
/// annotation has to say what it makes of that, and must not take it for one that is not there.
///
/// ```
/// use portcullis::{Annotation, Object};
///
/// let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: web, annotations: {team: true, tier: web, empty: null}}\n";
/// let pod = Object::from_yaml(pod)?;
/// assert_eq!(pod.annotation("team"), Some(Annotation::NoText));
/// assert_eq!(pod.annotation("tier"), Some(Annotation::Text("web")));
/// assert_eq!(pod.annotation("empty"), Some(Annotation::Text("")));
/// assert_eq!(pod.annotation("owner"), None);
/// # Ok::<(), portcullis::Errors>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Annotation<'a> {
    /// A text; null is the empty one, as for the API server.
    Text(&'a str),
    /// A boolean, a number, a list or an object.
    NoText,
}

impl<'a> Annotation<'a> {
    fn of(value: &'a Value) -> Self {
        match value.view() {
            View::Null => Self::Text(""),
            View::String(text) => Self::Text(text),
            _ => Self::NoText,
        }
    }

    /// The text, if it is one.
    #[must_use]
    pub fn text(self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::NoText => None,
        }
    }
}

impl Object {
    /// Takes the object of a document.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::NotAnObject`] or [`ErrorKind::MissingField`] if `apiVersion` or `kind` is missing or not
    /// a string, [`ErrorKind::InvalidValue`] if a field of `metadata` has the wrong type.
    pub fn from_document(document: Document) -> Result<Self, Error> {
        let value = document.value().clone();
        Self::build(value, Some(document.clone())).map_err(|(error, path)| {
            let (location, _) = document.locate_nearest(&path);
            error.at(location).in_field(path)
        })
    }

    /// As [`Object::from_document`], of what a suite tests: gator asks for no `apiVersion` there, and takes
    /// the object for one of the core group, without a version.
    ///
    /// # Errors
    ///
    /// As [`Object::from_document`].
    pub fn under_test(document: Document) -> Result<Self, Error> {
        let value = document.value().clone();
        Self::build_as(value, Some(document.clone()), false).map_err(|(error, path)| {
            let (location, _) = document.locate_nearest(&path);
            error.at(location).in_field(path)
        })
    }

    /// Takes an object that has no text, such as one from a watch.
    ///
    /// # Errors
    ///
    /// As [`Object::from_document`], without positions.
    pub fn from_json(json: &serde_json::Value) -> Result<Self, Error> {
        Self::from_value(value::from_json(json))
    }

    pub(crate) fn from_value(value: Value) -> Result<Self, Error> {
        Self::build(value, None).map_err(|(error, path)| error.in_field(path))
    }

    /// An object inside another document, such as `request.object` of an `AdmissionReview`.
    pub(crate) fn nested(value: Value, document: Option<Document>) -> Result<Self, Error> {
        Self::build(value, document).map_err(|(error, path)| error.in_field(path))
    }

    fn build(value: Value, document: Option<Document>) -> Result<Self, (Error, FieldPath)> {
        Self::build_as(value, document, true)
    }

    fn build_as(
        value: Value,
        document: Option<Document>,
        needs_version: bool,
    ) -> Result<Self, (Error, FieldPath)> {
        let root = FieldPath::root();
        if !matches!(value.view(), View::Object(_)) {
            let message = format!("expected a Kubernetes object, found {}", value::type_name(&value));
            return Err((Error::new(ErrorKind::NotAnObject, message), root));
        }
        let has_version =
            !matches!(value::get(&value, "apiVersion").map(Value::view), None | Some(View::Null));
        let api_version =
            if has_version || needs_version { required(&value, "apiVersion")? } else { "".into() };
        let kind = required(&value, "kind")?;
        let gvk = Gvk::new(&api_version, &kind);
        let metadata = value::get(&value, "metadata").unwrap_or(&Value::NULL);
        if !matches!(metadata.view(), View::Object(_) | View::Null) {
            return Err((wrong_type("an object", metadata), root.child("metadata")));
        }
        let name = metadata_text(metadata, "name")?;
        let generate_name = metadata_text(metadata, "generateName")?;
        let namespace = metadata_text(metadata, "namespace")?;
        let labels = value::get(metadata, "labels").unwrap_or(&Value::NULL);
        if !matches!(labels.view(), View::Object(_) | View::Null) {
            return Err((wrong_type("an object", labels), root.child("metadata").child("labels")));
        }
        // The API server takes only strings here; a `yes` that YAML made a boolean would go unseen by selectors.
        for (key, label) in value::entries(labels) {
            // Null is the empty text for it.
            if !matches!(label.view(), View::String(_) | View::Null) {
                let error = wrong_type("a string", label).hint("put it in quotes");
                return Err((error, root.child("metadata").child("labels").child(key)));
            }
        }
        Ok(Self(Arc::new(Inner { value, gvk, name, generate_name, namespace, document })))
    }

    /// API group, version and kind.
    #[must_use]
    pub fn gvk(&self) -> &Gvk {
        &self.0.gvk
    }

    /// `metadata.name`, empty if there is none.
    #[must_use]
    pub fn name(&self) -> &Arc<str> {
        &self.0.name
    }

    /// `metadata.generateName`, empty if there is none.
    #[must_use]
    pub fn generate_name(&self) -> &str {
        &self.0.generate_name
    }

    /// `metadata.namespace`, empty if there is none.
    #[must_use]
    pub fn namespace(&self) -> &Arc<str> {
        &self.0.namespace
    }

    /// The value of a label; null is the empty text, as for the API server.
    #[must_use]
    pub fn label(&self, key: &str) -> Option<&str> {
        let label = value::get_path(&self.0.value, &["metadata", "labels", key])?;
        Some(value::as_str(label).unwrap_or_default())
    }

    /// The labels, by key; null is the empty text, as for the API server.
    pub fn labels(&self) -> impl Iterator<Item = (&str, &str)> {
        let labels = value::get_path(&self.0.value, &["metadata", "labels"]).unwrap_or(&Value::NULL);
        value::entries(labels).map(|(key, label)| (key, value::as_str(label).unwrap_or_default()))
    }

    /// The annotations, by key.
    pub fn annotations(&self) -> impl Iterator<Item = (&str, Annotation<'_>)> {
        let annotations =
            value::get_path(&self.0.value, &["metadata", "annotations"]).unwrap_or(&Value::NULL);
        value::entries(annotations).map(|(key, value)| (key, Annotation::of(value)))
    }

    /// An annotation, if there is one of this name.
    #[must_use]
    pub fn annotation(&self, key: &str) -> Option<Annotation<'_>> {
        value::get_path(&self.0.value, &["metadata", "annotations", key]).map(Annotation::of)
    }

    /// True for a Namespace of the core group.
    #[must_use]
    pub fn is_namespace(&self) -> bool {
        self.0.gvk.group.is_empty() && &*self.0.gvk.kind == "Namespace"
    }

    /// The document it was read from, if it was read from one.
    #[must_use]
    pub fn document(&self) -> Option<&Document> {
        self.0.document.as_ref()
    }

    /// Where it starts, if it was read from a document.
    #[must_use]
    pub fn location(&self) -> Option<Location> {
        self.document().map(Document::location)
    }

    /// The object without its document, and so without the text that it was read from: for caches. Cost: its
    /// identity is copied.
    #[must_use]
    pub fn without_document(&self) -> Self {
        let inner = &*self.0;
        Self(Arc::new(Inner {
            value: inner.value.clone(),
            gvk: inner.gvk.clone(),
            name: inner.name.clone(),
            generate_name: inner.generate_name.clone(),
            namespace: inner.namespace.clone(),
            document: None,
        }))
    }

    /// The object in another namespace, or in none. Its document stays what was written.
    ///
    /// Cost: a copy of its outermost fields and those of `metadata`.
    #[must_use]
    pub fn in_namespace(&self, namespace: Option<&str>) -> Self {
        let inner = &*self.0;
        let metadata = value::get(&inner.value, "metadata").unwrap_or(&Value::NULL);
        let kept = value::entries(metadata).filter(|(key, _)| *key != "namespace");
        let kept = kept.map(|(key, value)| (Arc::<str>::from(key), value.clone()));
        let named = namespace.map(|name| (Arc::from("namespace"), Value::from(name)));
        let metadata = value::object(kept.chain(named));
        let fields = value::entries(&inner.value).filter(|(key, _)| *key != "metadata");
        let fields = fields.map(|(key, value)| (Arc::<str>::from(key), value.clone()));
        let value = value::object(fields.chain([(Arc::from("metadata"), metadata)]));
        Self(Arc::new(Inner {
            value,
            gvk: inner.gvk.clone(),
            name: inner.name.clone(),
            generate_name: inner.generate_name.clone(),
            namespace: namespace.unwrap_or_default().into(),
            document: inner.document.clone(),
        }))
    }

    /// The object with another value. Its document stays what was written.
    pub(crate) fn with_value(&self, value: Value) -> Result<Self, Error> {
        let inner = &*self.0;
        let is_known = ["apiVersion", "kind", "metadata"].iter().all(|field| {
            let [old, new] = [&inner.value, &value].map(|value| value::get(value, field));
            // Not compared further: it may be large.
            let is_same = |old: &Value, new: &Value| old.is_same(new) || (!old.is_collection() && old == new);
            old.zip(new).map_or(old.is_none() && new.is_none(), |(old, new)| is_same(old, new))
        });
        if !is_known {
            return Self::nested(value, inner.document.clone());
        }
        Ok(Self(Arc::new(Inner {
            value,
            gvk: inner.gvk.clone(),
            name: inner.name.clone(),
            generate_name: inner.generate_name.clone(),
            namespace: inner.namespace.clone(),
            document: inner.document.clone(),
        })))
    }

    /// The object as JSON. Cost: a full copy.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        value::to_json(&self.0.value)
    }

    /// About how many bytes of memory the object takes, without the text it was read from. Cost: a walk over
    /// it.
    #[must_use]
    pub fn weight(&self) -> usize {
        value::weight(&self.0.value)
    }

    /// The object with what identifies it and the fields at some paths, each with all below it; without its
    /// text. A step is a key, or `None` for any.
    pub(crate) fn only(&self, paths: &[&[Option<Arc<str>>]]) -> Self {
        const IDENTITY: [&[&str]; 4] =
            [&["apiVersion"], &["kind"], &["metadata", "name"], &["metadata", "namespace"]];
        let identity: Vec<Vec<Option<Arc<str>>>> =
            IDENTITY.iter().map(|path| path.iter().map(|step| Some(Arc::from(*step))).collect()).collect();
        let all: Vec<&[Option<Arc<str>>]> =
            identity.iter().map(Vec::as_slice).chain(paths.iter().copied()).collect();
        let mut small = self.without_document();
        if let Some(inner) = Arc::get_mut(&mut small.0) {
            inner.value = value::only(&inner.value, &all);
        }
        small
    }

    /// The same object, made of what others have in common with it; one that has a text stays as it is, which
    /// shares its value with that. `neighbour` is one of the same kind and namespace.
    pub(crate) fn shared(self, sharing: &mut Sharing, neighbour: Option<&Self>) -> Self {
        let inner = &*self.0;
        if inner.document.is_some() {
            return self;
        }
        let of_neighbour = |mine: &Arc<str>, theirs: fn(&Inner) -> &Arc<str>| {
            let theirs = neighbour.map(|neighbour| theirs(&neighbour.0)).filter(|theirs| **theirs == *mine);
            theirs.unwrap_or(mine).clone()
        };
        let gvk = neighbour.map(|neighbour| &neighbour.0.gvk).filter(|gvk| **gvk == inner.gvk);
        Self(Arc::new(Inner {
            value: sharing.share(&inner.value),
            gvk: gvk.unwrap_or(&inner.gvk).clone(),
            name: inner.name.clone(),
            generate_name: of_neighbour(&inner.generate_name, |inner| &inner.generate_name),
            namespace: of_neighbour(&inner.namespace, |inner| &inner.namespace),
            document: None,
        }))
    }

    pub(crate) fn value(&self) -> &Value {
        &self.0.value
    }

    /// A path of the object as a path of its document, which may have other elements in its lists: those that a
    /// mutator took away or added. An element that the document does not have is behind all others.
    pub(crate) fn written(&self, path: &FieldPath) -> FieldPath {
        let document = self.document().map(Document::value);
        let Some(mut there) = document.filter(|value| !value.is_same(self.value())) else {
            return path.clone();
        };
        let mut here = self.value();
        let mut found = Vec::new();
        for (depth, segment) in path.segments().iter().enumerate() {
            let next = match segment {
                Segment::Key(key) => value::get(here, key).zip(value::get(there, key)),
                Segment::Index(index) => {
                    let (Some(items), Some(originals)) = (here.as_array(), there.as_array()) else { break };
                    let same =
                        if here.is_same(there) { Some(*index) } else { original(items, originals, *index) };
                    // What the document does not have would be behind all that it has.
                    let same = same.unwrap_or(originals.len());
                    found.push(Segment::Index(same));
                    items.get(*index).zip(originals.get(same))
                }
            };
            if let Segment::Key(_) = segment {
                found.push(segment.clone());
            }
            let Some((item, original)) = next else {
                // Nothing is there that could be compared.
                found.extend(path.segments().iter().skip(depth + 1).cloned());
                break;
            };
            (here, there) = (item, original);
        }
        found.into_iter().collect()
    }
}

/// Where an element of a list was in the list before, if it was there.
fn original(items: &[Value], originals: &[Value], index: usize) -> Option<usize> {
    /// Longer lists are not searched: each of many findings would.
    const LONGEST: usize = 1000;
    let item = items.get(index)?;
    let is_it = |original: &&Value| match (value::str_at(item, &["name"]), value::str_at(original, &["name"]))
    {
        (Some(name), Some(other)) => name == other,
        // An element that was changed is where it was, if no other one came or went.
        _ => *original == item || (items.len() == originals.len() && item.is_collection()),
    };
    if originals.get(index).as_ref().is_some_and(is_it) {
        return Some(index);
    }
    if originals.len() > LONGEST { None } else { originals.iter().position(|original| is_it(&original)) }
}

fn required(value: &Value, field: &str) -> Result<Arc<str>, (Error, FieldPath)> {
    let found = value::get(value, field).unwrap_or(&Value::NULL);
    match found.view() {
        View::String(text) if !text.is_empty() => Ok(text.into()),
        View::Null | View::String(_) => {
            let message = format!("expected a Kubernetes object, but it has no `{field}`");
            let hint = "every object needs `apiVersion` and `kind`";
            Err((Error::new(ErrorKind::MissingField, message).hint(hint), FieldPath::root()))
        }
        _ => Err((wrong_type("a string", found), FieldPath::root().child(field))),
    }
}

fn metadata_text(metadata: &Value, field: &str) -> Result<Arc<str>, (Error, FieldPath)> {
    let found = value::get(metadata, field).unwrap_or(&Value::NULL);
    match found.view() {
        View::Null => Ok("".into()),
        View::String(text) => Ok(text.into()),
        _ => Err((wrong_type("a string", found), FieldPath::root().child("metadata").child(field))),
    }
}

fn wrong_type(expected: &str, found: &Value) -> Error {
    Error::new(ErrorKind::InvalidValue, format!("expected {expected}, found {}", value::describe(found)))
}

impl Serialize for Object {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.value.serialize(serializer)
    }
}

/// `Kind namespace/name`, as reports name objects. No name that Kubernetes takes is as long as what is cut.
impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", Short(&self.0.gvk.kind))?;
        if !self.0.namespace.is_empty() {
            write!(f, "{}/", Short(&self.0.namespace))?;
        }
        match (&*self.0.name, &*self.0.generate_name) {
            ("", "") => f.write_str("(without a name)"),
            ("", generated) => write!(f, "{}*", Short(generated)),
            (name, _) => write!(f, "{}", Short(name)),
        }
    }
}

/// A part of a name that stands in each line about the object.
struct Short<'a>(&'a str);

impl fmt::Display for Short<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const LONGEST: usize = 512;
        let end = self.0.floor_char_boundary(LONGEST);
        f.write_str(self.0.get(..end).unwrap_or_default())?;
        match self.0.len() - end {
            0 => Ok(()),
            more => write!(f, "… ({more} bytes more)"),
        }
    }
}

impl fmt::Debug for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Object({self})")
    }
}
