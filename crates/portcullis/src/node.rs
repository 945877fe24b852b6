//! Typed reading of a document's fields. Each mistake becomes an [`Error`] with path, position and hint, and
//! reading goes on, so that one run shows them all. All kinds of the core are read with it, and those of
//! other crates can be.

use std::sync::Arc;

use crate::document::Document;
use crate::error::{Error, ErrorKind, did_you_mean};
use crate::path::{FieldPath, Segment};
use crate::source::Location;
use crate::value::{self, Value, View};

/// A value inside a document, with its path: what a kind of resource is read with.
///
/// Readers take a list of errors to add to, and give `None` for what is missing or wrong. A field that is
/// null is not there.
///
/// ```
/// use portcullis::{Document, Node};
///
/// let (documents, _) = Document::read_all("answers.yaml", "provider: images\nretries: many\n");
/// let root = Node::root(&documents[0]);
/// let mut errors = Vec::new();
/// root.check_fields(&["provider", "quiet"], &mut errors);
/// assert_eq!(root.required_text("provider", &mut errors).as_deref(), Some("images"));
/// assert_eq!(root.optional_bool("quiet", &mut errors), None);
/// assert_eq!(errors[0].to_string(), "answers.yaml:2:1: unknown field `retries` (at `retries`); it is ignored");
/// ```
#[derive(Clone)]
pub struct Node<'a> {
    document: &'a Document,
    value: &'a Value,
    path: FieldPath,
}

impl<'a> Node<'a> {
    /// A document as a whole.
    #[must_use]
    pub fn root(document: &'a Document) -> Self {
        Self { document, value: document.value(), path: FieldPath::root() }
    }

    pub(crate) fn value(&self) -> &'a Value {
        self.value
    }

    /// The value as JSON. Cost: a copy.
    #[must_use]
    pub fn to_json(&self) -> serde_json::Value {
        value::to_json(self.value)
    }

    pub(crate) fn path(&self) -> &FieldPath {
        &self.path
    }

    /// An error about this node, positioned at its value.
    #[must_use]
    pub fn error(&self, kind: ErrorKind, message: impl Into<String>) -> Error {
        let (location, _) = self.document.locate_nearest(&self.path);
        Error::new(kind, message).at(location).in_field(self.path.clone())
    }

    /// A warning about this node, positioned as [`Node::error`].
    #[must_use]
    pub fn warning(&self, kind: ErrorKind, message: impl Into<String>) -> Error {
        let (location, _) = self.document.locate_nearest(&self.path);
        Error::warning(kind, message).at(location).in_field(self.path.clone())
    }

    /// Where this node's value is.
    #[must_use]
    pub fn location(&self) -> Location {
        self.document.locate_nearest(&self.path).0
    }

    /// A field that is there and not null.
    #[must_use]
    pub fn field(&self, key: &str) -> Option<Self> {
        let value = value::get(self.value, key).filter(|value| !value.is_null())?;
        Some(self.step(key, value))
    }

    /// A field that must be there.
    pub fn required(&self, key: &str, errors: &mut Vec<Error>) -> Option<Self> {
        let field = self.field(key);
        if field.is_none() && matches!(self.value.view(), View::Object(_)) {
            errors.push(self.error(ErrorKind::MissingField, format!("required field `{key}` is missing")));
        }
        field
    }

    fn step(&self, segment: impl Into<Segment>, value: &'a Value) -> Self {
        Self { document: self.document, value, path: self.path.child(segment) }
    }

    /// A non-empty string.
    pub fn text(&self, errors: &mut Vec<Error>) -> Option<Arc<str>> {
        match self.value.view() {
            View::String(text) if !text.is_empty() => Some(text.into()),
            _ => {
                errors.push(self.expected("a non-empty string"));
                None
            }
        }
    }

    /// A required field that is a non-empty string.
    pub fn required_text(&self, key: &str, errors: &mut Vec<Error>) -> Option<Arc<str>> {
        self.required(key, errors)?.text(errors)
    }

    /// A field that is a string if it is there.
    pub fn optional_text(&self, key: &str, errors: &mut Vec<Error>) -> Option<Arc<str>> {
        self.field(key)?.text(errors)
    }

    /// A field that is a boolean if it is there.
    pub fn optional_bool(&self, key: &str, errors: &mut Vec<Error>) -> Option<bool> {
        let field = self.field(key)?;
        if let View::Bool(value) = field.value.view() {
            return Some(value);
        }
        errors.push(field.expected("true or false"));
        None
    }

    /// The elements of a list; an error if this is not one.
    pub fn items(&self, errors: &mut Vec<Error>) -> Vec<Self> {
        if !matches!(self.value.view(), View::Array(_)) {
            errors.push(self.expected("a list"));
        }
        value::items(self.value).enumerate().map(|(index, value)| self.step(index, value)).collect()
    }

    /// The elements of a field that is a list if it is there.
    pub fn list(&self, key: &str, errors: &mut Vec<Error>) -> Vec<Self> {
        self.field(key).map(|field| field.items(errors)).unwrap_or_default()
    }

    /// The strings of a field that is a list of strings if it is there.
    pub fn texts(&self, key: &str, errors: &mut Vec<Error>) -> Vec<Arc<str>> {
        let mut texts = Vec::new();
        for item in self.list(key, errors) {
            match item.value.view() {
                View::String(text) => texts.push(text.into()),
                _ => errors.push(item.expected("a string")),
            }
        }
        texts
    }

    /// Checks that this is an object, and reports fields it does not have.
    pub fn check_fields(&self, known: &[&str], errors: &mut Vec<Error>) {
        if !matches!(self.value.view(), View::Object(_)) {
            errors.push(self.expected("an object"));
            return;
        }
        for (key, _) in value::entries(self.value) {
            if !known.contains(&key) {
                errors.push(self.unknown_field(key, known));
            }
        }
    }

    /// A field nobody reads. One that is nearly a field we know is a mistake that changes what the policy
    /// does, hence an error; any other is only ignored, hence a warning.
    fn unknown_field(&self, key: &str, known: &[&str]) -> Error {
        let path = self.path.child(key);
        let suggestion = did_you_mean(key, known.iter().copied());
        let message = format!("unknown field `{key}`");
        let error = match suggestion {
            Some(name) => {
                Error::new(ErrorKind::UnknownField, message).hint(format!("did you mean `{name}`?"))
            }
            None => Error::warning(ErrorKind::UnknownField, message).hint("it is ignored"),
        };
        // A key may be written so that it is found nowhere in the text, such as by a tag without a value.
        let place = self.document.locate_key(&path);
        error.at(place.unwrap_or_else(|| self.document.locate_nearest(&path).0)).in_field(path)
    }

    /// An error saying what should be here instead.
    #[must_use]
    pub fn expected(&self, expected: &str) -> Error {
        let found = value::describe(self.value);
        let error = self.error(ErrorKind::InvalidValue, format!("expected {expected}, found {found}"));
        let quotes = match self.value.view() {
            View::Bool(_) => Some(
                "put it in quotes: without them `y`, `n`, `yes`, `no`, `on` and `off` are booleans in Kubernetes' YAML",
            ),
            View::Number(_) => Some("put it in quotes, if it is meant as a text"),
            _ => None,
        };
        error.maybe_hint(
            quotes.filter(|_| ["a string", "a non-empty string"].contains(&expected)).map(str::to_owned),
        )
    }

    /// Reads a value out of a closed set of words.
    pub fn one_of<T: Copy>(&self, words: &[(&str, T)], errors: &mut Vec<Error>) -> Option<T> {
        let text = value::as_str(self.value);
        let found = words.iter().find(|(word, _)| Some(*word) == text).map(|(_, meaning)| *meaning);
        if found.is_none() {
            let list: Vec<_> = words.iter().map(|(word, _)| format!("`{word}`")).collect();
            let suggestion = text.and_then(|text| did_you_mean(text, words.iter().map(|(word, _)| *word)));
            let error = self.expected(&format!("one of {}", list.join(", ")));
            errors.push(error.maybe_hint(suggestion.map(|word| format!("did you mean `{word}`?"))));
        }
        found
    }
}
