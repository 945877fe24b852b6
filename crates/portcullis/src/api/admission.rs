//! `AdmissionReview`: v1 and v1beta1 requests of an API server, as documents.

use std::fmt;
use std::sync::Arc;

use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::node::Node;
use crate::object::Object;
use crate::value::{self, Value};

/// What is being done to an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Operation {
    /// Nothing: the object is there, as in an audit or in a file.
    #[default]
    None,
    /// It is being created.
    Create,
    /// It is being changed.
    Update,
    /// It is being deleted.
    Delete,
    /// Somebody connects to it (`exec`, `proxy`, …).
    Connect,
}

impl Operation {
    /// The word in a request; empty for [`Operation::None`].
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Connect => "CONNECT",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The request of an `AdmissionReview`.
#[derive(Clone, Debug)]
pub struct AdmissionReview {
    /// `request` as sent; what policies see is made from it.
    pub(crate) request: Value,
    pub(crate) uid: Arc<str>,
    pub(crate) operation: Operation,
    pub(crate) namespace: Arc<str>,
    pub(crate) object: Option<Object>,
    pub(crate) old_object: Option<Object>,
}

impl AdmissionReview {
    /// The group of requests and answers.
    pub const GROUP: &'static str = "admission.k8s.io";
    /// Their kind.
    pub const KIND: &'static str = "AdmissionReview";
    /// The versions that are read, the newest first. An answer has the version of its request.
    pub const VERSIONS: &'static [&'static str] = &["v1", "v1beta1"];

    /// The request's uid, which the response has to repeat.
    #[must_use]
    pub fn uid(&self) -> &str {
        &self.uid
    }

    pub(super) fn read(document: &Document, errors: &mut Vec<Error>) -> Option<Self> {
        const OPERATIONS: &[(&str, Operation)] = &[
            ("CREATE", Operation::Create),
            ("UPDATE", Operation::Update),
            ("DELETE", Operation::Delete),
            ("CONNECT", Operation::Connect),
            // Suites may leave the operation out, as gator allows.
            ("", Operation::None),
        ];
        let root = Node::root(document);
        root.check_fields(&["apiVersion", "kind", "request", "response"], errors);
        let request = root.required("request", errors)?;
        request.check_fields(
            &[
                "uid",
                "kind",
                "resource",
                "subResource",
                "requestKind",
                "requestResource",
                "requestSubResource",
                "name",
                "namespace",
                "operation",
                "userInfo",
                "object",
                "oldObject",
                "dryRun",
                "options",
            ],
            errors,
        );
        let operation = match request.field("operation") {
            Some(node) => node.one_of(OPERATIONS, errors)?,
            None => Operation::None,
        };
        let object = read_object(document, &request, "object", errors);
        let old_object = read_object(document, &request, "oldObject", errors);
        if object.is_none()
            && old_object.is_none()
            && request.field("object").is_none()
            && request.field("oldObject").is_none()
        {
            let message = "the request has neither `object` nor `oldObject`";
            errors.push(request.error(ErrorKind::MissingField, message));
        }
        if operation == Operation::Delete && old_object.is_none() && request.field("oldObject").is_none() {
            let message = "`oldObject` cannot be absent for DELETE operations";
            errors.push(request.error(ErrorKind::MissingField, message));
        }
        let text = |key: &str| value::str_at(request.value(), &[key]).unwrap_or_default().into();
        Some(Self {
            uid: text("uid"),
            namespace: text("namespace"),
            request: request.value().clone(),
            operation,
            object,
            old_object,
        })
    }
}

fn read_object(
    document: &Document,
    request: &Node<'_>,
    key: &str,
    errors: &mut Vec<Error>,
) -> Option<Object> {
    let node = request.field(key)?;
    let nested = document.nested(node.path())?;
    Object::from_document(nested).map_err(|error| errors.push(error)).ok()
}
