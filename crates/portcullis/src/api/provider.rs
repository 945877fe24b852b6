//! `Provider`: somebody outside who answers `external_data`.

use std::sync::Arc;

use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::node::Node;
use crate::object::Object;
use crate::source::Location;

/// Where a provider of external data is, and how it is asked. Whoever can ask does; the core does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provider {
    /// `metadata.name`: what policies call it.
    pub name: Arc<str>,
    /// Where it is: `https://…`.
    pub url: Arc<str>,
    /// Most seconds that an answer may take. None are none: every question fails.
    pub timeout_seconds: u32,
    /// The certificates of its CA: PEM in base64.
    pub ca_bundle: Arc<str>,
    /// Where it stands.
    pub location: Option<Location>,
}

impl Provider {
    pub(super) fn read(document: &Document, object: &Object, errors: &mut Vec<Error>) -> Option<Self> {
        let root = Node::root(document);
        root.check_fields(&["apiVersion", "kind", "metadata", "spec", "status"], errors);
        let spec = root.required("spec", errors)?;
        spec.check_fields(&["url", "timeout", "caBundle"], errors);
        if object.name().is_empty() {
            errors.push(root.error(ErrorKind::MissingField, "a provider needs a name"));
        }
        let url = spec.required_text("url", errors);
        if let (Some(url), Some(field)) = (&url, spec.field("url")) {
            let is_https = url.get(..8).is_some_and(|scheme| scheme.eq_ignore_ascii_case("https://"));
            if !is_https {
                errors.push(field.expected("an address that begins with `https://`"));
            }
        }
        let timeout_seconds = spec.field("timeout").map_or(Some(0), |field| {
            let number = field.value().as_number().and_then(portcullis_value::Number::as_i64);
            let seconds = number.and_then(|seconds| u32::try_from(seconds).ok());
            if seconds.is_none() {
                errors.push(field.expected("a number of seconds that is not negative"));
            }
            seconds
        });
        if timeout_seconds == Some(0) {
            let message = "the provider has no time to answer: every question fails";
            errors.push(
                spec.warning(ErrorKind::InvalidValue, message)
                    .hint("say in `timeout` how many seconds it has"),
            );
        }
        let ca_bundle = spec.required_text("caBundle", errors);
        Some(Self {
            name: object.name().clone(),
            url: url?,
            timeout_seconds: timeout_seconds?,
            ca_bundle: ca_bundle?,
            location: Some(document.location()),
        })
    }
}
