//! The writer's side of the inventory: changes in, snapshots out.
//!
//! Objects are kept by namespace and kind, and a snapshot is built from parts that are kept as well: only the
//! kinds and namespaces that changed since the last one are built again, and all else is shared with it. The
//! order of changes does not matter; a store with the same objects gives an equal snapshot.

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_rego::IndexLimits;

use super::Inventory;
use crate::names::Gvk;
use crate::object::Object;
use crate::policy::PolicySet;
use crate::value::{self, Sharing, Value};

/// Identifies an object in the inventory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectKey {
    /// API group, version and kind.
    pub gvk: Gvk,
    /// Empty for cluster-scoped objects.
    pub namespace: Arc<str>,
    /// `metadata.name`.
    pub name: Arc<str>,
}

impl ObjectKey {
    /// The key of an object.
    #[must_use]
    pub fn of(object: &Object) -> Self {
        Self { gvk: object.gvk().clone(), namespace: object.namespace().clone(), name: object.name().clone() }
    }
}

/// Takes changes one by one and gives out snapshots.
///
/// A change costs a few map look-ups; a snapshot costs the rebuilding of the kinds that changed since the
/// last one, in the namespaces where they changed.
#[derive(Debug, Default)]
pub struct InventoryStore {
    cluster: Scope,
    namespaces: BTreeMap<Arc<str>, Scope>,
    /// The Namespaces that a Config keeps out: known to matching, not there for policies.
    apart: BTreeMap<Arc<str>, Object>,
    /// The Namespaces by name, until one of them changes.
    names: Option<Arc<BTreeMap<Arc<str>, Object>>>,
    /// The last snapshot, and whether nothing changed since.
    last: Option<(Inventory, Age)>,
    /// Kinds of which it is not known what objects there are, and why.
    unreadable: Arc<BTreeMap<Gvk, Arc<str>>>,
    /// What objects have in common.
    sharing: Sharing,
    /// None for what is usual.
    index_limits: Option<IndexLimits>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Age {
    Current,
    Past,
}

/// The objects of one namespace, or those of none.
#[derive(Debug, Default)]
struct Scope {
    kinds: BTreeMap<Gvk, Bucket>,
    /// The JSON of this scope, until something in it changes.
    built: Option<Value>,
}

/// The objects of one kind in one scope.
#[derive(Debug, Default)]
struct Bucket {
    objects: BTreeMap<Arc<str>, Object>,
    built: Option<Value>,
}

impl InventoryStore {
    /// A store without objects.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an object as [`InventoryStore::upsert`] does, unless a Config keeps it out. A Namespace that is
    /// kept out is still known to matching, as in a cluster. Who changes the policies adds the objects again.
    pub fn sync(&mut self, object: Object, policies: &PolicySet) {
        if !policies.keeps_out(&object) {
            self.upsert(object);
        } else if object.is_namespace() {
            self.remove(&ObjectKey::of(&object));
            self.apart.insert(object.name().clone(), object);
        }
    }

    /// What all indexes over a snapshot together may use, whatever the number of policies. For those there is
    /// no room for, policies go through all objects, within the limits of an evaluation. Usual are 128 MiB
    /// and a hundred million steps: some seconds, for a first snapshot. A snapshot and the one before it,
    /// while that is still in use, have as much each.
    #[must_use]
    pub fn with_index_limits(self, limits: IndexLimits) -> Self {
        Self { index_limits: Some(limits), ..self }
    }

    /// Says that it is not known what objects of a kind there are, and why: policies that read it are errors
    /// until it is said to be known again, by `None`. Objects that are in the store stay in it.
    pub fn set_unreadable(&mut self, gvk: &Gvk, why: Option<&str>) {
        if self.unreadable.get(gvk).map(|why| &**why) == why {
            return;
        }
        let unreadable = Arc::make_mut(&mut self.unreadable);
        match why {
            Some(why) => unreadable.insert(gvk.clone(), why.into()),
            None => unreadable.remove(gvk),
        };
        self.changed(gvk);
    }

    /// Takes out the objects that `keep` is false of, such as those that a Config keeps out from now on.
    pub fn retain(&mut self, mut keep: impl FnMut(&Object) -> bool) {
        let scopes = self.namespaces.values().chain([&self.cluster]);
        let objects =
            scopes.flat_map(|scope| scope.kinds.values()).flat_map(|bucket| bucket.objects.values());
        let gone: Vec<ObjectKey> = objects.filter(|object| !keep(object)).map(ObjectKey::of).collect();
        for key in gone {
            self.remove(&key);
        }
    }

    /// Adds an object or replaces the one with the same key. Nothing changes if it is the same: watches tell
    /// of all objects again from time to time.
    pub fn upsert(&mut self, object: Object) {
        if object.is_namespace() {
            self.apart.remove(object.name());
        }
        let scope = if object.namespace().is_empty() {
            &mut self.cluster
        } else {
            self.namespaces.entry(object.namespace().clone()).or_default()
        };
        let bucket = scope.kinds.entry(object.gvk().clone()).or_default();
        if bucket.objects.get(object.name()).is_some_and(|known| known.value() == object.value()) {
            return;
        }
        let neighbour = bucket.objects.values().next();
        let object = object.shared(&mut self.sharing, neighbour);
        scope.built = None;
        bucket.built = None;
        let gvk = object.gvk().clone();
        bucket.objects.insert(object.name().clone(), object);
        self.changed(&gvk);
    }

    /// Removes an object; nothing happens if there is none with this key.
    pub fn remove(&mut self, key: &ObjectKey) {
        self.changed(&key.gvk);
        if key.namespace.is_empty() {
            if key.gvk == Gvk::new("v1", "Namespace") {
                self.apart.remove(&key.name);
            }
            self.cluster.remove(key);
        } else if let Some(scope) = self.namespaces.get_mut(&key.namespace) {
            scope.remove(key);
            if scope.kinds.is_empty() {
                self.namespaces.remove(&key.namespace);
            }
        }
    }

    /// Replaces all objects of a kind, as after a new list from the API server. Objects of other kinds among
    /// `objects` are added as well.
    ///
    /// What is the same as before stays what it was, by reference, so that nothing that was worked out of it
    /// is lost.
    pub fn replace_kind(&mut self, gvk: &Gvk, objects: impl IntoIterator<Item = Object>) {
        self.changed(gvk);
        if *gvk == Gvk::new("v1", "Namespace") {
            self.apart.clear();
        }
        let mut before: BTreeMap<ObjectKey, Object> = BTreeMap::new();
        for scope in self.namespaces.values_mut().chain([&mut self.cluster]) {
            if let Some(bucket) = scope.kinds.remove(gvk) {
                scope.built = None;
                before.extend(bucket.objects.into_values().map(|object| (ObjectKey::of(&object), object)));
            }
        }
        self.namespaces.retain(|_, scope| !scope.kinds.is_empty());
        for object in objects {
            let known = before.remove(&ObjectKey::of(&object));
            self.upsert(known.filter(|known| known.value() == object.value()).unwrap_or(object));
        }
    }

    /// The present state.
    pub fn snapshot(&mut self) -> Inventory {
        if let Some((last, Age::Current)) = &self.last {
            return last.clone();
        }
        let cluster = self.cluster.build();
        let namespaced = self.namespaces.iter_mut().map(|(name, scope)| (name.clone(), scope.build()));
        let namespaced = value::object(namespaced);
        let mut counts = BTreeMap::new();
        for scope in self.namespaces.values().chain([&self.cluster]) {
            for (gvk, bucket) in &scope.kinds {
                *counts.entry(gvk.clone()).or_insert(0) += bucket.objects.len();
            }
        }
        let namespaces = self.names.get_or_insert_with(|| {
            let bucket = self.cluster.kinds.get(&Gvk::new("v1", "Namespace"));
            let mut names = bucket.map(|bucket| bucket.objects.clone()).unwrap_or_default();
            names.extend(self.apart.iter().map(|(name, object)| (name.clone(), object.clone())));
            Arc::new(names)
        });
        let before = self.last.as_ref().map(|(last, _)| last);
        const USUAL: IndexLimits = IndexLimits { steps: 100_000_000, memory: 128 << 20 };
        let total = self.index_limits.unwrap_or(USUAL);
        let inventory = Inventory::new(
            cluster,
            namespaced,
            namespaces.clone(),
            counts,
            self.unreadable.clone(),
            total,
            before,
        );
        self.last = Some((inventory.clone(), Age::Current));
        inventory
    }

    fn changed(&mut self, gvk: &Gvk) {
        if &*gvk.kind == "Namespace" {
            self.names = None;
        }
        if let Some((_, age)) = &mut self.last {
            *age = Age::Past;
        }
    }
}

impl Scope {
    fn remove(&mut self, key: &ObjectKey) {
        let Some(bucket) = self.kinds.get_mut(&key.gvk) else { return };
        if bucket.objects.remove(&key.name).is_none() {
            return;
        }
        bucket.built = None;
        self.built = None;
        if bucket.objects.is_empty() {
            self.kinds.remove(&key.gvk);
        }
    }

    fn build(&mut self) -> Value {
        if let Some(built) = &self.built {
            return built.clone();
        }
        let mut versions: BTreeMap<String, Vec<(Arc<str>, Value)>> = BTreeMap::new();
        for (gvk, bucket) in &mut self.kinds {
            let kinds = versions.entry(gvk.api_version()).or_default();
            kinds.push((gvk.kind.clone(), bucket.build()));
        }
        let built = value::object(
            versions.into_iter().map(|(api_version, kinds)| (api_version, value::object(kinds))),
        );
        self.built = Some(built.clone());
        built
    }
}

impl Bucket {
    fn build(&mut self) -> Value {
        self.built
            .get_or_insert_with(|| {
                value::object(
                    self.objects.iter().map(|(name, object)| (name.clone(), object.value().clone())),
                )
            })
            .clone()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::document::Document;

    fn object(namespace: &str, kind: &str, name: &str, revision: u32) -> Object {
        Object::from_json(&json!({
            "apiVersion": "v1", "kind": kind, "revision": revision,
            "metadata": {"name": name, "namespace": namespace},
        }))
        .expect("a valid object")
    }

    /// A Namespace that a Config keeps out is known to matching for as long as it is there, and no longer.
    #[test]
    fn a_namespace_that_is_kept_out_is_forgotten_when_it_is_removed() {
        let config = json!({
            "apiVersion": "config.gatekeeper.sh/v1alpha1", "kind": "Config",
            "metadata": {"name": "config", "namespace": "gatekeeper-system"},
            "spec": {"match": [{"processes": ["*"], "excludedNamespaces": ["hidden"]}]},
        });
        let (policies, errors) = PolicySet::compile(Document::read_all("config.json", &config.to_string()).0);
        assert!(errors.is_empty(), "{errors:?}");
        let hidden = || object("", "Namespace", "hidden", 1);
        let known = |store: &mut InventoryStore| store.snapshot().namespace("hidden").is_some();
        let mut store = InventoryStore::new();
        store.sync(hidden(), &policies);
        assert!(known(&mut store));
        store.remove(&ObjectKey::of(&hidden()));
        assert!(!known(&mut store));
        store.sync(hidden(), &policies);
        store.replace_kind(hidden().gvk(), []);
        assert!(!known(&mut store));
        // Kept out from now on, it is not there for policies any more.
        store.upsert(hidden());
        store.sync(hidden(), &policies);
        assert!(known(&mut store) && store.snapshot().is_empty());
    }

    #[derive(Clone, Debug)]
    enum Change {
        Upsert(Object),
        Remove(ObjectKey),
        Replace(Gvk, Vec<Object>),
        Snapshot,
    }

    fn changes() -> impl Strategy<Value = Vec<Change>> {
        let any_object = ("[ab]?", "Pod|Service|Namespace", "[xyz]", 0..3_u32)
            .prop_map(|(namespace, kind, name, revision)| object(&namespace, &kind, &name, revision));
        let change = prop_oneof![
            4 => any_object.clone().prop_map(Change::Upsert),
            2 => any_object.clone().prop_map(|object| Change::Remove(ObjectKey::of(&object))),
            1 => proptest::collection::vec(any_object, 0..3).prop_map(|objects| {
                Change::Replace(Gvk::new("v1", "Pod"), objects.into_iter().filter(|o| &*o.gvk().kind == "Pod").collect())
            }),
            1 => Just(Change::Snapshot),
        ];
        proptest::collection::vec(change, 0..24)
    }

    proptest! {
        /// Whatever the changes and however often somebody took a snapshot in between, the last snapshot is
        /// that of a new store with the objects that are left.
        #[test]
        fn incremental_equals_batch(changes in changes()) {
            let mut store = InventoryStore::new();
            let mut model: BTreeMap<ObjectKey, Object> = BTreeMap::new();
            for change in changes {
                match change {
                    Change::Upsert(object) => {
                        store.upsert(object.clone());
                        model.insert(ObjectKey::of(&object), object);
                    }
                    Change::Remove(key) => {
                        store.remove(&key);
                        model.remove(&key);
                    }
                    Change::Replace(gvk, objects) => {
                        store.replace_kind(&gvk, objects.clone());
                        model.retain(|key, _| key.gvk != gvk);
                        model.extend(objects.into_iter().map(|object| (ObjectKey::of(&object), object)));
                    }
                    Change::Snapshot => drop(store.snapshot()),
                }
            }
            let incremental = store.snapshot();
            let batch: Inventory = model.into_values().collect();
            prop_assert_eq!(incremental.data(), batch.data());
            prop_assert_eq!(incremental.kinds().collect::<Vec<_>>(), batch.kinds().collect::<Vec<_>>());
        }
    }
}
