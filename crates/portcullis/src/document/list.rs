//! From the values of a source to its documents: what is not an object is reported, and lists of objects, as
//! `kubectl get -o yaml` prints them, become their items.

use std::sync::Arc;

use super::marks::{MarkId, Marks};
use super::problems::{Problems, quote};
use super::{Document, Output, Taken};
use crate::error::{Error, ErrorKind};
use crate::value::{self, Value, View};

impl Output {
    /// Takes the next document of the source. Empty ones are passed over.
    pub(super) fn emit(&mut self, problems: &mut Problems, value: Value, marks: Arc<Marks>) {
        if value == Value::NULL && self.taken != Taken::Values {
            return;
        }
        let document = Document {
            source: problems.source().clone(),
            value,
            marks,
            root: 0,
            index: self.documents_seen,
            item: None,
            made: None,
        };
        self.documents_seen += 1;
        if self.taken == Taken::Values {
            self.documents.push(document);
            return;
        }
        let mut items = 0;
        self.flatten(problems, document, &mut items);
    }

    /// Recursion is as deep as the lists are nested, which the nesting limit bounds.
    fn flatten(&mut self, problems: &mut Problems, document: Document, items: &mut usize) {
        if !matches!(document.value.view(), View::Object(_)) {
            problems.push(not_an_object(&document));
            return;
        }
        let Some((list, mark)) = list_items(&document).filter(|_| self.taken == Taken::Items) else {
            self.documents.push(document);
            return;
        };
        let identity = item_identity(&document.value);
        let marks = document.marks.clone();
        for (value, (root, _)) in list.iter().zip(marks.children(mark)) {
            let value = complete(value, identity.as_ref());
            let item = Document { value, root, item: Some(*items), ..document.clone() };
            // An inner list is replaced by its items.
            if list_items(&item).is_none() {
                *items += 1;
            }
            self.flatten(problems, item, items);
        }
    }
}

/// The items of a list object and their mark.
fn list_items(document: &Document) -> Option<(Vec<Value>, MarkId)> {
    value::str_at(&document.value, &["apiVersion"])?;
    let kind = value::str_at(&document.value, &["kind"])?;
    let items = value::get(&document.value, "items")?;
    let list = match items.view() {
        View::Array(list) => list.to_vec(),
        View::Null if kind == "List" => Vec::new(),
        _ => return None,
    };
    let mark = document.marks.child(document.root, &"items".into())?;
    kind.ends_with("List").then_some((list, mark))
}

/// Kind and API version of the items of a typed list such as `PodList`, which leave them out.
fn item_identity(list: &Value) -> Option<[(Arc<str>, Value); 2]> {
    let kind = value::str_at(list, &["kind"])?.strip_suffix("List").filter(|kind| !kind.is_empty())?;
    let api_version = value::get(list, "apiVersion")?.clone();
    Some([("apiVersion".into(), api_version), ("kind".into(), Value::from(kind))])
}

pub(super) fn complete(item: &Value, identity: Option<&[(Arc<str>, Value); 2]>) -> Value {
    let (View::Object(_), Some(identity)) = (item.view(), identity) else { return item.clone() };
    let missing = |key: &str| value::get(item, key).is_none();
    if !identity.iter().any(|(key, _)| missing(key)) {
        return item.clone();
    }
    let own = value::entries(item).map(|(key, value)| (Arc::from(key), value.clone()));
    value::object(identity.iter().cloned().chain(own))
}

fn not_an_object(document: &Document) -> Error {
    let found = match document.value.view() {
        View::Array(list) => match list.iter().next() {
            None => "an empty list".to_owned(),
            Some(first) => format!("a list of {}", plural(first)),
        },
        View::Null => "null".to_owned(),
        View::Number(_) => "a number".to_owned(),
        _ => format!("a {}", value::type_name(&document.value)),
    };
    let place = if document.item.is_some() { " as an item of this list" } else { "" };
    let error =
        Error::new(ErrorKind::NotAnObject, format!("expected a Kubernetes object{place}, found {found}"))
            .at(document.location());
    // `kind:Pod` is a string.
    let hint = value::as_str(&document.value).and_then(|text| {
        let (key, value) = text.split_whitespace().next()?.split_once(':')?;
        let is_key = !key.is_empty() && key.chars().all(char::is_alphanumeric) && !value.starts_with('/');
        is_key.then(|| format!("a colon needs a space after it: `{}: {}`", quote(key), quote(value)))
    });
    error.maybe_hint(hint)
}

fn plural(value: &Value) -> &'static str {
    match value.view() {
        View::Bool(_) => "booleans",
        View::Number(_) => "numbers",
        View::String(_) => "strings",
        View::Array(_) | View::Set(_) => "lists",
        View::Object(_) => "objects",
        View::Null | View::Undefined => "nulls",
    }
}
