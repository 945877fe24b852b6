//! Constraints: v1beta1 and v1alpha1 in one type.

use std::sync::Arc;

use crate::api::matching::Match;
use crate::document::Document;
use crate::enforcement::Enforcement;
use crate::error::{Error, ErrorKind};
use crate::names::ConstraintKey;
use crate::node::Node;
use crate::object::Object;

/// A constraint as written, checked for what does not depend on its template.
#[derive(Clone, Debug)]
pub struct Constraint {
    pub(crate) object: Object,
    pub(crate) document: Document,
    pub(crate) key: ConstraintKey,
    pub(crate) matching: Match,
    pub(crate) enforcement: Enforcement,
}

impl Constraint {
    /// Kind and name.
    #[must_use]
    pub fn key(&self) -> &ConstraintKey {
        &self.key
    }

    /// The constraint as an object.
    #[must_use]
    pub fn object(&self) -> &Object {
        &self.object
    }

    pub(super) fn read(document: &Document, object: Object, errors: &mut Vec<Error>) -> Self {
        let root = Node::root(document);
        root.check_fields(&["apiVersion", "kind", "metadata", "spec", "status"], errors);
        let name = object.name().clone();
        if name.is_empty() {
            errors.push(root.error(ErrorKind::MissingField, "the constraint has no `metadata.name`"));
        }
        let before = errors.len();
        let spec = root.field("spec");
        let matching = spec
            .as_ref()
            .and_then(|spec| spec.field("match"))
            .map(|node| Match::read(&node, errors))
            .unwrap_or_default();
        let enforcement = match &spec {
            Some(spec) => Enforcement::read(spec, errors),
            None => Some(Enforcement::default()),
        };
        let kind: Arc<str> = object.gvk().kind.clone();
        let key = ConstraintKey { kind, name };
        for error in errors.iter_mut().skip(before) {
            *error = error.clone().about(key.to_string());
        }
        // What is wrong with it has been said, and rejects the constraint; the rest of it is checked all the
        // same.
        let enforcement = enforcement.unwrap_or_default();
        Self { document: document.clone(), object, key, matching, enforcement }
    }
}
