//! What is under review, in the shape policies see as `input.review`.
//!
//! The keys and their presence are those of an `AdmissionRequest` of admission.k8s.io/v1 as Go writes it, whether the
//! review comes from an API server or from a plain object: absent parts are empty texts, `{}` or `null`, never undefined,
//! except `name`, `namespace`, `subResource`, `dryRun` and the `request…` fields, which are left out when empty.
//!
//! On DELETE policies see the old object as `object` too. A Namespace is not inside a namespace: its own requests carry no
//! `namespace`.

use std::sync::Arc;

use crate::api::{AdmissionReview, Operation};
use crate::error::{Error, ErrorKind};
use crate::matcher::Source;
use crate::object::Object;
use crate::value::{self, Value};

/// One object or admission request to be judged. Made once, reviewed against any number of policy sets.
///
/// ```
/// use portcullis::{Document, Object, Review};
///
/// let (documents, _) = Document::read_all("pod.yaml", "{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop}}");
/// let review = Review::from_object(Object::from_document(documents[0].clone())?);
/// assert_eq!(review.object().unwrap().to_string(), "Pod shop/web");
/// # Ok::<(), portcullis::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Review {
    /// `input.review` without `namespaceObject`, which depends on the world.
    entries: Vec<(Arc<str>, Value)>,
    operation: Operation,
    object: Option<Object>,
    old_object: Option<Object>,
    /// Name of the namespace the object lives in; empty for cluster-scoped objects and Namespaces.
    namespace_name: Arc<str>,
    namespace: Option<Object>,
    source: Source,
}

impl Review {
    /// A review of an object as it is, as audits and the command line make them.
    #[must_use]
    pub fn from_object(object: Object) -> Self {
        let gvk = object.gvk();
        let text = |text: &Arc<str>| Value::String(text.clone());
        let empty = || Value::String("".into());
        let kind = value::object([
            ("group", text(&gvk.group)),
            ("version", text(&gvk.version)),
            ("kind", text(&gvk.kind)),
        ]);
        let resource = value::object([("group", empty()), ("version", empty()), ("resource", empty())]);
        let mut entries: Vec<(Arc<str>, Value)> = vec![
            ("uid".into(), empty()),
            ("kind".into(), kind),
            ("resource".into(), resource),
            ("operation".into(), empty()),
            ("userInfo".into(), Value::new_object()),
            ("object".into(), object.value().clone()),
            ("oldObject".into(), Value::Null),
            ("options".into(), Value::Null),
        ];
        for (key, name) in [("name", object.name()), ("namespace", object.namespace())] {
            if !name.is_empty() {
                entries.push((key.into(), text(name)));
            }
        }
        Self {
            entries,
            operation: Operation::None,
            namespace_name: if object.is_namespace() { "".into() } else { object.namespace().clone() },
            object: Some(object),
            old_object: None,
            namespace: None,
            source: Source::Original,
        }
    }

    /// A review of an admission request.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::MissingField`] if a DELETE comes without the old object, or a request without any object.
    pub fn from_admission(admission: &AdmissionReview) -> Result<Self, Error> {
        let operation = admission.operation;
        let mut object = admission.object.clone();
        let old_object = admission.old_object.clone();
        if operation == Operation::Delete {
            if old_object.is_none() {
                let message = "`oldObject` cannot be absent for DELETE operations";
                return Err(Error::new(ErrorKind::MissingField, message));
            }
            object.clone_from(&old_object);
        }
        let Some(shown) = object.as_ref().or(old_object.as_ref()) else {
            let message = "the request has neither `object` nor `oldObject`";
            return Err(Error::new(ErrorKind::MissingField, message));
        };
        let is_namespace = shown.is_namespace();
        let namespace_name: Arc<str> = match (is_namespace, &*admission.namespace) {
            (true, _) => "".into(),
            (false, "") => shown.namespace().clone(),
            (false, _) => admission.namespace.clone(),
        };
        let entries = admission_entries(&admission.request, object.as_ref(), is_namespace);
        Ok(Self {
            entries,
            operation,
            object,
            old_object,
            namespace_name,
            namespace: None,
            source: Source::Original,
        })
    }

    /// Adds the Namespace the object lives in. Without it, the inventory is asked.
    #[must_use]
    pub fn with_namespace(mut self, namespace: Object) -> Self {
        self.namespace = Some(namespace);
        self
    }

    /// Says how the object came to be; [`Source::Original`] unless said otherwise.
    #[must_use]
    pub fn with_source(mut self, source: Source) -> Self {
        self.source = source;
        self
    }

    /// What is being done.
    #[must_use]
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// The object under review; on DELETE, the one being deleted.
    #[must_use]
    pub fn object(&self) -> Option<&Object> {
        self.object.as_ref().or(self.old_object.as_ref())
    }

    /// Name of the namespace the object lives in; empty if in none.
    #[must_use]
    pub fn namespace_name(&self) -> &str {
        &self.namespace_name
    }

    pub(crate) fn namespace(&self) -> Option<&Object> {
        self.namespace.as_ref()
    }

    pub(crate) fn source(&self) -> Source {
        self.source
    }

    /// The objects that matching looks at, in this order; a constraint applies if either matches.
    pub(crate) fn candidates(&self) -> impl Iterator<Item = &Object> {
        // On DELETE both are the same object; asking it once is enough.
        let old =
            self.old_object.as_ref().filter(|_| self.operation != Operation::Delete || self.object.is_none());
        self.object.iter().chain(old)
    }

    /// `input.review`, with the Namespace the object lives in if it is known.
    pub(crate) fn input(&self, namespace: Option<&Object>) -> Value {
        let namespace = namespace.map_or(Value::Null, |namespace| namespace.value().clone());
        let entries = self.entries.iter().cloned();
        value::object(entries.chain([("namespaceObject".into(), namespace)]))
    }
}

fn admission_entries(request: &Value, object: Option<&Object>, is_namespace: bool) -> Vec<(Arc<str>, Value)> {
    const DROPPED_WHEN_EMPTY: &[&str] = &["name", "namespace", "subResource", "requestSubResource"];
    let empty = || Value::String("".into());
    let defaults = [
        ("uid", empty()),
        ("kind", value::object([("group", empty()), ("version", empty()), ("kind", empty())])),
        ("resource", value::object([("group", empty()), ("version", empty()), ("resource", empty())])),
        ("operation", empty()),
        ("userInfo", Value::new_object()),
        ("oldObject", Value::Null),
        ("options", Value::Null),
    ];
    let object = object.map_or(Value::Null, |object| object.value().clone());
    let mut entries: Vec<(Arc<str>, Value)> = vec![("object".into(), object)];
    for (key, default) in defaults {
        let given = value::get(request, key).filter(|value| !matches!(value, Value::Null));
        entries.push((key.into(), given.cloned().unwrap_or(default)));
    }
    for key in
        ["name", "namespace", "subResource", "requestKind", "requestResource", "requestSubResource", "dryRun"]
    {
        if key == "namespace" && is_namespace {
            continue;
        }
        let given = value::get(request, key).filter(|value| !matches!(value, Value::Null));
        let kept =
            given.filter(|value| !DROPPED_WHEN_EMPTY.contains(&key) || value::as_str(value) != Some(""));
        if let Some(value) = kept {
            entries.push((key.into(), value.clone()));
        }
    }
    entries
}
