//! The resource cache: what referential policies read as `data.inventory`, and where Namespaces are looked up.
//!
//! [`InventoryStore`] takes changes, [`Inventory`] is an immutable snapshot of it that reviews read. Snapshots share
//! everything that did not change. The layout is Gatekeeper's:
//!
//! ```text
//! data.inventory.cluster[<apiVersion>][<kind>][<name>]
//! data.inventory.namespace[<namespace>][<apiVersion>][<kind>][<name>]
//! ```
//!
//! An object is where its `metadata.namespace` says: who adds objects puts them where they live first ([`crate::scope`]). What a Config
//! keeps out is decided in [`InventoryStore::sync`], for every way that objects come.

mod store;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use portcullis_rego::{Indexes, Program};

use crate::names::Gvk;
use crate::object::Object;
use crate::policy::PolicySet;
use crate::value::{self, Value};

pub use store::{InventoryStore, ObjectKey};

/// An immutable set of objects that policies may compare with. Cheap to clone, `Send + Sync`.
///
/// ```
/// use portcullis::{Document, Inventory, Object};
///
/// let (documents, _) = Document::read_all("ns.yaml", "{apiVersion: v1, kind: Namespace, metadata: {name: shop}}");
/// let inventory: Inventory = documents.into_iter().filter_map(|document| Object::from_document(document).ok()).collect();
/// assert_eq!(inventory.namespace("shop").unwrap().gvk().to_string(), "v1/Namespace");
/// ```
#[derive(Clone)]
pub struct Inventory(Arc<Inner>);

struct Inner {
    /// `{"inventory": {"cluster": …, "namespace": …}}`: the `data` document as the engine takes it.
    data: Value,
    namespaces: Arc<BTreeMap<Arc<str>, Object>>,
    counts: BTreeMap<Gvk, usize>,
    /// What policies that compare with these objects look up, by program. Filled when it is first needed.
    indexes: Mutex<Vec<Arc<Indexes>>>,
}

impl Inventory {
    /// An inventory without objects.
    #[must_use]
    pub fn empty() -> Self {
        InventoryStore::new().snapshot()
    }

    /// A Namespace by name.
    #[must_use]
    pub fn namespace(&self, name: &str) -> Option<&Object> {
        self.0.namespaces.get(name)
    }

    /// The Namespace `default`, which every cluster has: for input that does not come with it. `None` if the inventory has it.
    #[must_use]
    pub fn missing_default_namespace(&self) -> Option<Object> {
        if self.namespace("default").is_some() {
            return None;
        }
        let json = serde_json::json!({
            "apiVersion": "v1",
            "kind": "Namespace",
            "metadata": {"name": "default", "labels": {"kubernetes.io/metadata.name": "default"}},
        });
        Object::from_json(&json).ok()
    }

    /// How many objects it holds.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.counts.values().sum()
    }

    /// True if it holds none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.counts.is_empty()
    }

    /// The kinds it holds, with the number of objects of each.
    pub fn kinds(&self) -> impl Iterator<Item = (&Gvk, usize)> {
        self.0.counts.iter().map(|(gvk, count)| (gvk, *count))
    }

    pub(crate) fn data(&self) -> &Value {
        &self.0.data
    }

    /// Indexes of a program over the objects; none if it has no use for them. Those of programs that are no more are
    /// forgotten when a new one comes.
    pub(crate) fn indexes(&self, program: &Program) -> Option<Arc<Indexes>> {
        if !program.has_indexes() {
            return None;
        }
        // Nobody panics while it is locked; what was in it would be whole.
        let mut known = self.0.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(indexes) = known.iter().find(|indexes| indexes.is_of(program)) {
            return Some(indexes.clone());
        }
        known.retain(|indexes| !indexes.is_orphan());
        let indexes = Arc::new(program.indexes(self.data())?);
        known.push(indexes.clone());
        Some(indexes)
    }

    /// Makes what policies that compare with these objects look up, so that no review has to.
    ///
    /// Cost: for a first snapshot up to some seconds for each comparison, and memory for what is compared of each object; for a later
    /// one of the same [`InventoryStore`] what the objects take that changed, and ordering what is compared: some milliseconds for
    /// ten thousand objects.
    pub fn prepare(&self, policies: &PolicySet) {
        for program in policies.programs() {
            program.prepare(self);
        }
    }

    /// `before` is a snapshot that has much in common with this one.
    fn new(
        cluster: Value,
        namespaced: Value,
        namespaces: Arc<BTreeMap<Arc<str>, Object>>,
        counts: BTreeMap<Gvk, usize>,
        before: Option<&Self>,
    ) -> Self {
        let inventory = value::object([("cluster", cluster), ("namespace", namespaced)]);
        let data = value::object([("inventory", inventory)]);
        let indexes = before.map(|before| {
            let known = before.0.indexes.lock().unwrap_or_else(PoisonError::into_inner);
            let used = known.iter().filter(|indexes| !indexes.is_orphan());
            used.map(|indexes| Arc::new(indexes.of_changed(&data))).collect()
        });
        let indexes = Mutex::new(indexes.unwrap_or_default());
        Self(Arc::new(Inner { data, namespaces, counts, indexes }))
    }
}

impl Default for Inventory {
    fn default() -> Self {
        Self::empty()
    }
}

impl FromIterator<Object> for Inventory {
    fn from_iter<T: IntoIterator<Item = Object>>(objects: T) -> Self {
        let mut store = InventoryStore::new();
        for object in objects {
            store.upsert(object);
        }
        store.snapshot()
    }
}

impl fmt::Debug for Inventory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Inventory({} objects)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program() -> Program {
        use portcullis_rego::{Query, Unit};
        let text = "package p\nr := [n | data.inventory.cluster[_][_][n].size == input.size]";
        let parsed = portcullis_rego_syntax::parse(text, portcullis_rego_syntax::Version::V1);
        let names = portcullis_rego_syntax::resolve(&parsed.module);
        let unit = Unit { module: &parsed.module, names: &names };
        Program::compile(&[unit], &Query::Path(&["p", "r"])).expect("a program")
    }

    #[test]
    fn indexes_are_shared_by_reviews_and_forgotten_with_their_program_and_their_snapshot() {
        let inventory = Inventory::empty();
        let first = program();
        let of_first = inventory.indexes(&first).expect("a look-up");
        assert!(Arc::ptr_eq(&of_first, &inventory.clone().indexes(&first).expect("a look-up")));
        assert!(!Arc::ptr_eq(&of_first, &Inventory::empty().indexes(&first).expect("a look-up")));
        let second = program();
        inventory.indexes(&second).expect("a look-up");
        assert_eq!(inventory.0.indexes.lock().expect("nobody panicked").len(), 2);
        drop(first);
        inventory.indexes(&program()).expect("a look-up");
        assert_eq!(
            inventory.0.indexes.lock().expect("nobody panicked").len(),
            2,
            "that of the first is gone"
        );
        assert!(of_first.is_orphan());
    }

    fn node(name: &str, size: u32) -> Object {
        Object::from_json(&serde_json::json!({
            "apiVersion": "v1", "kind": "Node", "metadata": {"name": name}, "size": size,
        }))
        .expect("an object")
    }

    #[test]
    fn what_did_not_change_between_snapshots_is_not_looked_at_again() {
        let program = program();
        let mut store = InventoryStore::new();
        for name in ["a", "b", "c"] {
            store.upsert(node(name, 1));
        }
        let known = |inventory: &Inventory| {
            let indexes = inventory.indexes(&program).expect("a look-up");
            indexes.prepare(&program);
            (indexes.len(), indexes.taken_over())
        };
        let first = store.snapshot();
        assert_eq!(known(&first), (3, 0));
        store.upsert(node("a", 1));
        assert!(Arc::ptr_eq(&first.0, &store.snapshot().0), "nothing changed");
        store.upsert(node("b", 2));
        assert_eq!(known(&store.snapshot()), (3, 2));
        // Nobody reviewed anything between two changes.
        store.upsert(node("c", 3));
        drop(store.snapshot());
        store.upsert(node("d", 4));
        assert_eq!(known(&store.snapshot()), (4, 2));
        // A new list of all objects, after a watch that ended.
        let gvk = Gvk::new("v1", "Node");
        store.replace_kind(&gvk, [node("a", 1), node("b", 2), node("d", 5), node("e", 1)]);
        assert_eq!(known(&store.snapshot()), (4, 2));
    }
}
