//! The resource cache: what referential policies read as `data.inventory`, and where Namespaces are looked
//! up.
//!
//! [`InventoryStore`] takes changes, [`Inventory`] is an immutable snapshot of it that reviews read.
//! Snapshots share everything that did not change. The layout is Gatekeeper's:
//!
//! ```text
//! data.inventory.cluster[<apiVersion>][<kind>][<name>]
//! data.inventory.namespace[<namespace>][<apiVersion>][<kind>][<name>]
//! ```
//!
//! An object is where its `metadata.namespace` says: who adds objects puts them where they live first
//! ([`crate::scope`]). What a Config keeps out is decided in [`InventoryStore::sync`], for every way that
//! objects come.

mod missing;
mod shares;
mod store;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use portcullis_rego::{IndexLimits, Indexes};

use crate::names::Gvk;
use crate::object::Object;
use crate::policy::PolicySet;
use crate::program::Program;
use crate::value::{self, Value};

use shares::Demand;
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
    /// Kinds of which it is not known what objects there are, and why.
    unreadable: Arc<BTreeMap<Gvk, Arc<str>>>,
    /// What all indexes together may use.
    total: IndexLimits,
    /// What policies that compare with these objects look up. Filled when it is first needed.
    indexes: Mutex<Known>,
}

/// The indexes over a snapshot, by program, and what the policies that asked last want of it.
#[derive(Default)]
struct Known {
    list: Vec<Arc<Indexes>>,
    demand: Option<Demand>,
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

    /// The Namespace `default`, which every cluster has: for input that does not come with it. `None` if the
    /// inventory has it.
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

    /// The kinds of which it is not known what objects there are, and why: what is missing of them is not
    /// empty. A constraint whose policy reads one is an error.
    #[must_use]
    pub fn unreadable(&self) -> &BTreeMap<Gvk, Arc<str>> {
        &self.0.unreadable
    }

    /// The `data` document where there is no inventory.
    pub(crate) fn no_data() -> Value {
        data(Value::new_object(), Value::new_object())
    }

    /// The objects, as admission policies find them: what is below `data.inventory`.
    pub(crate) fn for_policies(&self) -> Value {
        value::get(&self.0.data, "inventory").cloned().unwrap_or_else(Value::new_object)
    }

    pub(crate) fn data(&self) -> &Value {
        &self.0.data
    }

    /// Indexes of a program of a set over the objects; none if it has no use for them. Those of programs that
    /// are no more are forgotten when a new one comes.
    ///
    /// What they may use follows from the set and the objects. Of another set it may be something else: what
    /// was found under the limits before is taken over then, at its price.
    pub(crate) fn indexes(&self, program: &Program, set: &PolicySet) -> Option<Arc<Indexes>> {
        if program.index_count() == 0 {
            return None;
        }
        // Nobody panics while it is locked; what was in it would be whole.
        let mut known = self.0.indexes.lock().unwrap_or_else(PoisonError::into_inner);
        let Known { list, demand } = &mut *known;
        let demand = match demand {
            Some(demand) if demand.is_of(set) => demand,
            other => other.insert(Demand::of(set, self)),
        };
        let limits = demand.share(self.0.total, program, self);
        if let Some(indexes) = list.iter_mut().find(|indexes| program.is_known_by(indexes)) {
            if indexes.limits() != limits {
                *indexes = Arc::new(indexes.of_changed(self.data()).with_limits(limits));
            }
            return Some(indexes.clone());
        }
        list.retain(|indexes| !indexes.is_orphan());
        let indexes = Arc::new(program.new_indexes(self.data())?.with_limits(limits));
        list.push(indexes.clone());
        Some(indexes)
    }

    /// Makes what policies that compare with these objects look up, so that no review has to.
    ///
    /// Cost: for a first snapshot up to some seconds, and memory for what is compared of each object, within
    /// the limits of the store ([`InventoryStore::with_index_limits`]); for a later one of the same
    /// [`InventoryStore`] what the objects take that changed, and ordering what is compared: some
    /// milliseconds for ten thousand objects.
    pub fn prepare(&self, policies: &PolicySet) {
        for program in policies.programs() {
            if let Some(indexes) = self.indexes(program, policies) {
                program.prepare(&indexes);
            }
        }
    }

    /// `before` is a snapshot that has much in common with this one.
    fn new(
        cluster: Value,
        namespaced: Value,
        namespaces: Arc<BTreeMap<Arc<str>, Object>>,
        counts: BTreeMap<Gvk, usize>,
        unreadable: Arc<BTreeMap<Gvk, Arc<str>>>,
        total: IndexLimits,
        before: Option<&Self>,
    ) -> Self {
        let data = data(cluster, namespaced);
        let indexes = before.map(|before| {
            let known = before.0.indexes.lock().unwrap_or_else(PoisonError::into_inner);
            let used = known.list.iter().filter(|indexes| !indexes.is_orphan());
            used.map(|indexes| Arc::new(indexes.of_changed(&data))).collect()
        });
        let indexes = Mutex::new(Known { list: indexes.unwrap_or_default(), demand: None });
        Self(Arc::new(Inner { data, namespaces, counts, unreadable, total, indexes }))
    }
}

fn data(cluster: Value, namespaced: Value) -> Value {
    let inventory = value::object([("cluster", cluster), ("namespace", namespaced)]);
    value::object([("inventory", inventory)])
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
    use crate::document::Document;

    /// Policies that compare objects of some kinds, one for each.
    fn policies(kinds: &[&str]) -> PolicySet {
        let text: String =
            kinds.iter().enumerate().map(|(number, kind)| policy(&format!("same{number}"), kind)).collect();
        let (policies, errors) = PolicySet::compile(Document::read_all("p.yaml", &text).0);
        assert!(errors.is_empty(), "{errors:?}");
        policies
    }

    fn policy(name: &str, kind: &str) -> String {
        format!(
            r#"---
apiVersion: templates.gatekeeper.sh/v1
kind: ConstraintTemplate
metadata: {{name: {name}}}
spec:
  crd: {{spec: {{names: {{kind: {name}}}}}}}
  targets:
  - target: admission.k8s.gatekeeper.sh
    rego: |
      package {name}
      violation[{{"msg": n}}] {{
        data.inventory.cluster[_]["{kind}"][n].size == input.review.object.size
      }}
---
{{apiVersion: constraints.gatekeeper.sh/v1beta1, kind: {name}, metadata: {{name: it}}}}
"#
        )
    }

    /// The indexes of the first policy.
    fn first(inventory: &Inventory, policies: &PolicySet) -> Arc<Indexes> {
        let program = policies.programs().next().expect("a policy");
        inventory.indexes(program, policies).expect("a look-up")
    }

    #[test]
    fn indexes_are_shared_by_reviews_and_forgotten_with_their_program_and_their_snapshot() {
        let inventory = Inventory::empty();
        let one = policies(&["Node"]);
        let of_one = first(&inventory, &one);
        assert!(Arc::ptr_eq(&of_one, &first(&inventory.clone(), &one)));
        assert!(!Arc::ptr_eq(&of_one, &first(&Inventory::empty(), &one)));
        let second = policies(&["Node"]);
        first(&inventory, &second);
        let count = || inventory.0.indexes.lock().expect("nobody panicked").list.len();
        assert_eq!(count(), 2);
        drop(one);
        first(&inventory, &policies(&["Node"]));
        assert_eq!(count(), 2, "that of the first is gone");
        assert!(of_one.is_orphan());
    }

    fn object(kind: &str, name: &str, size: u32) -> Object {
        Object::from_json(&serde_json::json!({
            "apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "size": size,
        }))
        .expect("an object")
    }

    fn node(name: &str, size: u32) -> Object {
        object("Node", name, size)
    }

    #[test]
    fn what_did_not_change_between_snapshots_is_not_looked_at_again() {
        let policies = policies(&["Node"]);
        let mut store = InventoryStore::new();
        for name in ["a", "b", "c"] {
            store.upsert(node(name, 1));
        }
        let known = |inventory: &Inventory| {
            inventory.prepare(&policies);
            let indexes = first(inventory, &policies);
            (indexes.len(), indexes.taken_over())
        };
        let before = store.snapshot();
        assert_eq!(known(&before), (3, 0));
        store.upsert(node("a", 1));
        assert!(Arc::ptr_eq(&before.0, &store.snapshot().0), "nothing changed");
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

    #[test]
    fn all_indexes_of_a_snapshot_share_one_total_by_what_their_policies_read() {
        let total = IndexLimits { steps: 1_000_000, memory: 1 << 20 };
        let mut store = InventoryStore::new().with_index_limits(total);
        for number in 0..3_000 {
            store.upsert(object("Node", &format!("n{number}"), number));
        }
        store.upsert(object("Rack", "r", 1));
        let inventory = store.snapshot();
        let alone = policies(&["Node"]);
        let shares = |policies: &PolicySet| -> Vec<IndexLimits> {
            let limits = |program| inventory.indexes(program, policies).expect("a look-up").limits();
            policies.programs().map(limits).collect()
        };
        assert!(shares(&alone)[0] >= IndexLimits { steps: 999_999, memory: (1 << 20) - 1 });
        let (racks, many) = (policies(&["Node", "Rack"]), policies(&["Node"; 40]));
        assert!(shares(&racks)[1].memory >= 64 << 10, "enough for what is small");
        for policies in [&racks, &many] {
            let shares = shares(policies);
            assert!(shares.iter().map(|share| share.memory).sum::<u64>() <= total.memory, "{shares:?}");
            assert!(shares.iter().map(|share| share.steps).sum::<u64>() <= total.steps, "{shares:?}");
        }

        // In any order, and with any other asked before: an index is there or not.
        let made = |policies: &PolicySet, backwards: bool| -> Vec<usize> {
            let mut programs: Vec<_> = policies.programs().enumerate().collect();
            if backwards {
                programs.reverse();
            }
            let mut made = vec![0; programs.len()];
            for (place, program) in programs {
                let indexes = inventory.indexes(program, policies).expect("a look-up");
                program.prepare(&indexes);
                made[place] = indexes.len();
            }
            made
        };
        assert_eq!(made(&many, false), [0; 40]);
        assert_eq!(made(&alone, false), [3_000]);
        assert_eq!(made(&racks, true), [3_000, 1]);
        assert_eq!(made(&many, true), [0; 40]);
        assert_eq!(made(&racks, false), [3_000, 1]);
    }

    #[test]
    fn an_index_that_is_too_large_is_not_looked_for_anew_in_each_snapshot() {
        let policies = policies(&["Node"]);
        let mut store =
            InventoryStore::new().with_index_limits(IndexLimits { steps: 1_000_000, memory: 50_000 });
        for number in 0..1_000 {
            store.upsert(node(&format!("n{number:03}"), number));
        }
        let inventory = store.snapshot();
        inventory.prepare(&policies);
        assert_eq!((first(&inventory, &policies).len(), first(&inventory, &policies).taken_over()), (0, 0));
        store.upsert(node("new", 1));
        let inventory = store.snapshot();
        inventory.prepare(&policies);
        let indexes = first(&inventory, &policies);
        assert_eq!(indexes.len(), 0);
        assert!(indexes.taken_over() > 100, "{}", indexes.taken_over());
        // Once there are fewer, it is there, and whole.
        for number in 100..1_000 {
            store.remove(&ObjectKey::of(&node(&format!("n{number:03}"), number)));
        }
        let inventory = store.snapshot();
        inventory.prepare(&policies);
        assert_eq!(
            (first(&inventory, &policies).len(), first(&inventory, &policies).taken_over()),
            (101, 100)
        );
    }
}
