//! What a policy reads of the inventory.

use std::fmt;
use std::sync::Arc;

use crate::names::Gvk;

/// Objects that a policy reads from the inventory: a kind, as far as the policy's text fixes it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct InventoryRead {
    /// The `apiVersion`, if it is a constant in the policy.
    pub api_version: Option<Arc<str>>,
    /// The kind, if it is a constant in the policy.
    pub kind: Option<Arc<str>>,
    /// The fields of these objects that are read, each with all below it, if that is certain. `None` is any
    /// step: a list's items, or a key that the policy works out. `None` instead of a list: all of the object
    /// is read. An empty list: only that it is there.
    pub fields: Option<Vec<Vec<Option<Arc<str>>>>>,
}

impl InventoryRead {
    /// Whether objects of a kind are among what is read.
    #[must_use]
    pub fn covers(&self, gvk: &Gvk) -> bool {
        self.api_version.as_deref().is_none_or(|version| version == gvk.api_version())
            && self.kind.as_deref().is_none_or(|kind| kind == &*gvk.kind)
    }
}

impl fmt::Display for InventoryRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.api_version, &self.kind) {
            (Some(version), Some(kind)) => write!(f, "`{version}/{kind}` objects"),
            (None, Some(kind)) => write!(f, "`{kind}` objects"),
            (Some(version), None) => write!(f, "`{version}` objects"),
            (None, None) => f.write_str("objects"),
        }
    }
}
