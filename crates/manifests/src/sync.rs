//! The SyncSet of the kinds that policies compare with and that no Config or SyncSet of theirs lists.
//!
//! The webhook itself keeps what Rego names without it; Gatekeeper does not, and a reader of the policies
//! sees here what is kept.

use std::collections::BTreeSet;

use portcullis::{ListedKinds, PolicySet};
use serde_json::{Value, json};

/// Its name.
const NAME: &str = "portcullis-policies";

pub(crate) fn sync_set(policies: &PolicySet, compared: &ListedKinds) -> Vec<Value> {
    let listed: BTreeSet<_> = policies.synced_kinds().iter().map(portcullis::Gvk::group_kind).collect();
    let kinds = compared.kinds.iter().filter(|gvk| !listed.contains(&gvk.group_kind()));
    let kinds: Vec<Value> = kinds
        .map(|gvk| json!({"group": &*gvk.group, "version": &*gvk.version, "kind": &*gvk.kind}))
        .collect();
    if kinds.is_empty() {
        return Vec::new();
    }
    vec![json!({
        "apiVersion": "syncset.gatekeeper.sh/v1alpha1",
        "kind": "SyncSet",
        "metadata": {"name": NAME},
        "spec": {"gvks": kinds},
    })]
}
