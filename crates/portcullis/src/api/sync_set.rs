//! `SyncSet`: kinds to cache.

use std::sync::Arc;

use crate::document::Document;
use crate::error::Error;
use crate::names::Gvk;
use crate::node::Node;
use crate::object::Object;

/// A list of kinds to cache for referential policies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncSet {
    /// `metadata.name`: a newer document of the same name replaces it.
    pub name: Arc<str>,
    /// The kinds.
    pub gvks: Vec<Gvk>,
}

impl SyncSet {
    pub(super) fn read(document: &Document, object: &Object, errors: &mut Vec<Error>) -> Option<Self> {
        let root = Node::root(document);
        root.check_fields(&["apiVersion", "kind", "metadata", "spec", "status"], errors);
        let spec = root.required("spec", errors)?;
        spec.check_fields(&["gvks"], errors);
        let gvks = spec.list("gvks", errors).iter().filter_map(|item| read_gvk(item, errors)).collect();
        Some(Self { name: object.name().clone(), gvks })
    }
}

/// Reads `{group, version, kind}`; the group of the core API is empty or absent.
pub(super) fn read_gvk(node: &Node<'_>, errors: &mut Vec<Error>) -> Option<Gvk> {
    node.check_fields(&["group", "version", "kind"], errors);
    let group = match node.field("group").map(|group| crate::value::as_str(group.value()).map(Into::into)) {
        None => "".into(),
        Some(Some(group)) => group,
        Some(None) => {
            errors.extend(node.field("group").map(|group| group.expected("a string")));
            return None;
        }
    };
    let version = node.required_text("version", errors);
    let kind = node.required_text("kind", errors);
    Some(Gvk { group, version: version?, kind: kind? })
}
