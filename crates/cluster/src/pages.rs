//! Lists, page by page.
//!
//! ```text
//! Pages::next ──> Page { the bytes as they came, where each object is } ──> Page::object ──> core
//! ```
//!
//! A page is read into objects by the caller that takes it, on its own threads, so that one page is all that is in memory here. Failures that
//! pass are waited for; a list whose state became too old (410 Gone) goes on at a newer one.

use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::ops::Range;

use portcullis::{Document, Error, Gvk, Limits, Object, Source};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::connect::{Ask, Cluster, JSON, NAMES};
use crate::error::ClusterError;
use crate::parts::{field, fields, string};
use crate::resource::{ApiResource, escape};

/// What a list is for, which decides what happens when its state becomes too old in the middle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// Every object that was there all the time comes exactly once. After 410 the list goes on, or starts again and leaves out the
    /// names that came before. Costs 16 bytes an object.
    EachOnce,
    /// All objects are of one state. After 410 the list fails, with an error that [`ClusterError::is_expired`].
    OneState,
}

/// A list that is being read.
#[derive(Debug)]
pub struct Pages {
    cluster: Cluster,
    resource: ApiResource,
    namespace: Option<String>,
    limit: u32,
    consistency: Consistency,
    next: Next,
    seen: Seen,
    restarts: u32,
    accept: &'static str,
}

#[derive(Debug)]
enum Next {
    First,
    Token(String),
    Done,
}

/// The names that came, as two numbers each: that both are equal for two names does not happen.
#[derive(Debug, Default)]
struct Seen {
    names: HashSet<u128>,
    states: [RandomState; 2],
}

impl Seen {
    /// True if the name is new.
    fn add(&mut self, namespace: &str, name: &str) -> bool {
        let [first, second] = &self.states;
        let half = |state: &RandomState| u128::from(state.hash_one((namespace, name)));
        self.names.insert(half(first) << 64 | half(second))
    }
}

impl Pages {
    /// All objects of a kind, `limit` of them at a time; 0 is all at once.
    #[must_use]
    pub fn new(cluster: &Cluster, resource: &ApiResource, limit: u32, consistency: Consistency) -> Self {
        Self {
            cluster: cluster.clone(),
            resource: resource.clone(),
            namespace: None,
            limit,
            consistency,
            next: Next::First,
            seen: Seen::default(),
            restarts: 0,
            accept: JSON,
        }
    }

    /// Only those of one namespace.
    #[must_use]
    pub fn in_namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// Only their metadata.
    #[must_use]
    pub(crate) fn of_names(mut self) -> Self {
        self.accept = NAMES;
        self
    }

    /// The kind that is listed.
    #[must_use]
    pub fn resource(&self) -> &ApiResource {
        &self.resource
    }

    /// The next page; `None` after the last. A page may be empty and not be the last.
    ///
    /// # Errors
    ///
    /// If the kind cannot be listed: the list has ended, and what came before is not all of it.
    pub async fn next(&mut self) -> Result<Option<Page>, ClusterError> {
        /// A list that becomes too old again and again takes longer than the cluster remembers.
        const MAX_RESTARTS: u32 = 8;
        loop {
            let token = match &self.next {
                Next::First => None,
                Next::Token(token) => Some(token.as_str()),
                Next::Done => return Ok(None),
            };
            let path = self.path(token);
            let error = match self.cluster.ask(&Ask { accept: self.accept, ..Ask::get(&path) }).await {
                Ok((_, body)) => {
                    let page = Page::read(&self.resource, body.into());
                    let page = page.inspect_err(|_| self.next = Next::Done)?;
                    return Ok(Some(self.take(page)));
                }
                Err(error) => error,
            };
            let goes_on = error.is_expired() && token.is_some() && self.consistency == Consistency::EachOnce;
            if !goes_on || self.restarts >= MAX_RESTARTS {
                self.next = Next::Done;
                return Err(error);
            }
            self.restarts += 1;
            self.next = match error {
                ClusterError::Refused { status, .. } => {
                    status.continue_token.map_or(Next::First, Next::Token)
                }
                _ => Next::First,
            };
        }
    }

    fn path(&self, token: Option<&str>) -> String {
        let mut path = self.resource.path(self.namespace.as_deref(), None);
        let mut separator = '?';
        if self.limit > 0 {
            path = format!("{path}{separator}limit={}", self.limit);
            separator = '&';
        }
        if let Some(token) = token {
            path = format!("{path}{separator}continue={}", escape(token));
        }
        path
    }

    fn take(&mut self, mut page: Page) -> Page {
        self.next = match page.continue_token.take() {
            Some(token) => Next::Token(token),
            None => Next::Done,
        };
        if self.consistency == Consistency::EachOnce {
            let (text, seen) = (&page.text, &mut self.seen);
            page.items.retain(|item| {
                let (namespace, name) = name(text.get(item.clone()).unwrap_or_default());
                // What has no name cannot be distinguished from others: it comes, and its reader reports it.
                name.is_empty() || seen.add(&namespace, &name)
            });
        }
        page
    }
}

/// Namespace, empty if there is none, and name.
pub(crate) type Name = (String, String);

/// What an object is called, as far as that is known.
pub(crate) fn name(object: &str) -> Name {
    let metadata = field(object, "metadata").unwrap_or_default();
    let part = |key| string(metadata, key).unwrap_or_default();
    (part("namespace"), part("name"))
}

/// A part of a list: the text as it came, and where the objects are in it.
#[derive(Debug)]
pub struct Page {
    resource: ApiResource,
    text: String,
    items: Vec<Range<usize>>,
    continue_token: Option<String>,
    resource_version: String,
    remaining: Option<u64>,
}

/// A list, with its objects as they are written.
#[derive(Deserialize)]
struct List<'a> {
    #[serde(default)]
    kind: String,
    metadata: ListMetadata,
    #[serde(borrow)]
    items: Option<&'a RawValue>,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct ListMetadata {
    resource_version: String,
    #[serde(rename = "continue")]
    continue_token: Option<String>,
    remaining_item_count: Option<u64>,
}

impl Page {
    fn read(resource: &ApiResource, body: Vec<u8>) -> Result<Self, ClusterError> {
        let doing = || format!("GET {}", resource.path(None, None));
        let text = String::from_utf8(body).map_err(|_| {
            ClusterError::unreadable(doing(), "expected a list as JSON, found bytes that are no text")
        })?;
        let no_list = |error| ClusterError::unreadable(doing(), format!("expected a list as JSON: {error}"));
        let list: List<'_> = serde_json::from_str(&text).map_err(no_list)?;
        if !list.kind.ends_with("List") {
            let message = format!("expected a list, found `{}`", list.kind);
            return Err(ClusterError::unreadable(doing(), message));
        }
        // An answer without the field is no empty list: something in between cut it out.
        let Some(items) = list.items else {
            return Err(ClusterError::unreadable(doing(), "expected a list, found one without `items`"));
        };
        // Where each object is in the text, so that no object is there twice.
        let range = |item: &&RawValue| {
            let start = item.get().as_ptr().addr().saturating_sub(text.as_ptr().addr());
            start..start + item.get().len()
        };
        let items: Option<Vec<&RawValue>> = serde_json::from_str(items.get()).map_err(no_list)?;
        let items = items.unwrap_or_default().iter().map(range).collect();
        let metadata = list.metadata;
        Ok(Self {
            resource: resource.clone(),
            text,
            items,
            continue_token: metadata.continue_token.filter(|token| !token.is_empty()),
            resource_version: metadata.resource_version,
            remaining: metadata.remaining_item_count,
        })
    }

    /// How many objects it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.len()
    }

    /// Whether it has none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// How many objects come after this page, if the API server says so.
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        self.remaining
    }

    /// The state that the list shows.
    #[must_use]
    pub fn resource_version(&self) -> &str {
        &self.resource_version
    }

    /// The text of one object as it came; lists leave `apiVersion` and `kind` out of the objects of built-in kinds, and this puts
    /// them back.
    pub(crate) fn object_text(&self, index: usize) -> Option<String> {
        Some(complete(&self.resource, self.object_json(index)?))
    }

    /// What is listed.
    #[must_use]
    pub fn gvk(&self) -> &Gvk {
        &self.resource.gvk
    }

    /// The text of one object as it came, perhaps without `apiVersion` and `kind`; `None` past the end.
    #[must_use]
    pub fn object_json(&self, index: usize) -> Option<&str> {
        self.text.get(self.items.get(index)?.clone())
    }

    /// How many bytes one object has in the list; 0 past the end.
    #[must_use]
    pub fn object_bytes(&self, index: usize) -> usize {
        self.items.get(index).map_or(0, Range::len)
    }

    /// Reads one object, with its document. Cost: what the object is long. `None` past the end.
    #[must_use]
    pub fn object(&self, index: usize) -> Option<Result<Object, Error>> {
        Some(read_object(&self.resource, &self.object_text(index)?))
    }

    /// Reads all objects, one after the other.
    pub fn objects(&self) -> impl Iterator<Item = Result<Object, Error>> + '_ {
        (0..self.len()).filter_map(|index| self.object(index))
    }
}

/// The text of an object with `apiVersion` and `kind`.
fn complete(resource: &ApiResource, text: &str) -> String {
    let keys = fields(text);
    let has = |key: &str| keys.iter().any(|(name, _)| name == key);
    let mut missing = String::new();
    if !has("apiVersion") {
        missing = format!("\"apiVersion\":\"{}\",", resource.gvk.api_version());
    }
    if !has("kind") {
        missing = format!("{missing}\"kind\":\"{}\",", resource.gvk.kind);
    }
    match text.strip_prefix('{') {
        Some(rest) if keys.is_empty() => format!("{{{}{rest}", missing.trim_end_matches(',')),
        Some(rest) => format!("{{{missing}{rest}"),
        None => text.to_owned(),
    }
}

impl Cluster {
    /// One object; the namespace is `None` for kinds that are in none.
    ///
    /// # Errors
    ///
    /// If it is not there or cannot be read.
    pub async fn object(
        &self,
        resource: &ApiResource,
        namespace: Option<&str>,
        name: &str,
    ) -> Result<Object, ClusterError> {
        let path = resource.path(namespace, Some(name));
        let unreadable = |message: String| ClusterError::unreadable(format!("GET {path}"), message);
        let text = String::from_utf8(self.get(&path).await?.into());
        let text = text.map_err(|_| unreadable("expected an object as JSON, found no text".to_owned()))?;
        read_object(resource, &text).map_err(|error| unreadable(error.to_string()))
    }
}

/// Reads the JSON text of an object. Errors name it `Kind namespace/name` as far as that is known.
pub(crate) fn read_object(resource: &ApiResource, text: &str) -> Result<Object, Error> {
    let limits = Limits::default();
    Document::read_object(&Source::new(source_name(resource, text), text), &limits)
        .and_then(Object::from_document)
}

/// What messages call an object that came from the API server.
pub(crate) fn source_name(resource: &ApiResource, text: &str) -> String {
    let (namespace, name) = name(text);
    let name = if name.is_empty() { "(without a name)" } else { &name };
    match &*namespace {
        "" => format!("{} {name}", resource.gvk.kind),
        namespace => format!("{} {namespace}/{name}", resource.gvk.kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_of_lists_get_their_kind_back_and_keep_the_one_they_have() {
        let pods = ApiResource::new("v1", "Pod", "pods", true);
        assert_eq!(complete(&pods, r#"{"a":1}"#), r#"{"apiVersion":"v1","kind":"Pod","a":1}"#);
        assert_eq!(complete(&pods, r#"{"kind":"X"}"#), r#"{"apiVersion":"v1","kind":"X"}"#);
        assert_eq!(complete(&pods, "{}"), r#"{"apiVersion":"v1","kind":"Pod"}"#);
        assert_eq!(complete(&pods, "1"), "1");
    }

    #[test]
    fn a_page_is_a_list_and_nothing_else() {
        let pods = ApiResource::new("v1", "Pod", "pods", true);
        let page = Page::read(
            &pods,
            br#"{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"7","continue":"t","remainingItemCount":3},
                "items":[{"metadata":{"name":"a","namespace":"b","odd":1e400}}, {"metadata":{"name":"c"}}]}"#.to_vec(),
        );
        let page = page.expect("a page");
        assert_eq!((page.len(), page.resource_version(), page.remaining()), (2, "7", Some(3)));
        let names: Vec<_> = page.objects().map(|object| object.map(|object| object.to_string())).collect();
        assert!(names[0].is_err(), "a number that cannot be is a finding: {names:?}");
        assert_eq!(names[1].as_deref().ok(), Some("Pod c"));
        for wrong in [
            "",
            "[]",
            "{}",
            r#"{"kind":"Status","metadata":{}}"#,
            r#"{"kind":"PodList"}"#,
            "\u{0}",
            r#"{"kind":"PodList","metadata":{},"items":["#,
        ] {
            assert!(Page::read(&pods, wrong.as_bytes().to_vec()).is_err(), "{wrong}");
        }
    }
}
