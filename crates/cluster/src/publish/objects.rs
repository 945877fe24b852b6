//! The book of objects: what policies compare with, the Namespaces, and what of both could not be read.

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis::{Gvk, Inventory, InventoryStore, Object, ObjectKey, PolicySet};

use super::watches::Purpose;
use crate::resource::ApiResource;
use crate::watch::{Content, Item, Name};

#[derive(Debug)]
pub(super) struct Objects {
    inventory: InventoryStore,
    namespaces: BTreeMap<Arc<str>, Object>,
    /// Objects that could not be read, by where they are.
    broken: BTreeMap<(Purpose, Name), Arc<str>>,
    /// The kinds of which it is not known what there is, as the inventory has them.
    unreadable: BTreeMap<Gvk, Arc<str>>,
    is_changed: bool,
}

impl Objects {
    pub(super) fn new() -> Self {
        Self {
            inventory: InventoryStore::new(),
            namespaces: BTreeMap::new(),
            broken: BTreeMap::new(),
            unreadable: BTreeMap::new(),
            is_changed: false,
        }
    }

    pub(super) fn is_changed(&self) -> bool {
        self.is_changed
    }

    pub(super) fn snapshot(&mut self) -> (Inventory, Arc<BTreeMap<Arc<str>, Object>>) {
        self.is_changed = false;
        (self.inventory.snapshot(), Arc::new(self.namespaces.clone()))
    }

    pub(super) fn broken(&self) -> impl Iterator<Item = &str> {
        self.broken.values().map(|error| &**error)
    }

    /// The kinds of objects that could not be read: what they say is not known.
    pub(super) fn broken_kinds(&self) -> BTreeMap<Gvk, Arc<str>> {
        let mut kinds = BTreeMap::new();
        for ((purpose, _), error) in &self.broken {
            if let Purpose::Inventory(resource) = purpose {
                kinds.entry(resource.gvk.clone()).or_insert_with(|| error.clone());
            }
        }
        kinds
    }

    pub(super) fn unreadable(&self) -> &BTreeMap<Gvk, Arc<str>> {
        &self.unreadable
    }

    /// Says of which kinds it is not known what there is. Policies that read them are errors from now on, all others are not.
    pub(super) fn set_unreadable(&mut self, kinds: BTreeMap<Gvk, Arc<str>>) {
        if self.unreadable == kinds {
            return;
        }
        for gvk in self.unreadable.keys().filter(|gvk| !kinds.contains_key(gvk)) {
            self.inventory.set_unreadable(gvk, None);
        }
        for (gvk, why) in &kinds {
            self.inventory.set_unreadable(gvk, Some(why));
        }
        self.unreadable = kinds;
        self.is_changed = true;
    }

    /// Takes out what the policies keep out from now on. What they no longer keep out has to be listed again.
    pub(super) fn keep_out(&mut self, policies: &PolicySet) {
        self.inventory.retain(|object| !policies.keeps_out(object));
        self.is_changed = true;
    }

    /// Takes a whole list of Namespaces.
    pub(super) fn replace_namespaces(&mut self, items: Vec<Item>) {
        self.namespaces.clear();
        self.forget_broken(&Purpose::Namespaces);
        for item in items {
            self.change_namespace(item);
        }
        self.is_changed = true;
    }

    pub(super) fn change_namespace(&mut self, item: Item) {
        let name = item.name.1.clone();
        match self.read(&Purpose::Namespaces, item) {
            Some(object) => {
                self.namespaces.insert(object.name().clone(), object);
            }
            // The one that was known is not the one that there is.
            None => {
                self.namespaces.remove(&*name);
            }
        }
        self.is_changed = true;
    }

    pub(super) fn remove_namespace(&mut self, name: &Name) {
        self.namespaces.remove(&*name.1);
        self.broken.remove(&(Purpose::Namespaces, name.clone()));
        self.is_changed = true;
    }

    /// Takes a whole list of a kind.
    pub(super) fn replace(&mut self, resource: &ApiResource, items: Vec<Item>, policies: &PolicySet) {
        let purpose = Purpose::Inventory(resource.clone());
        self.forget_broken(&purpose);
        let mut objects = Vec::with_capacity(items.len());
        for item in items {
            objects.extend(self.read(&purpose, item).filter(|object| !policies.keeps_out(object)));
        }
        self.inventory.replace_kind(&resource.gvk, objects);
        self.is_changed = true;
    }

    pub(super) fn change(&mut self, resource: &ApiResource, item: Item, policies: &PolicySet) {
        let key = object_key(&resource.gvk, &item.name);
        let object = self.read(&Purpose::Inventory(resource.clone()), item);
        match object.filter(|object| !policies.keeps_out(object)) {
            Some(object) => self.inventory.upsert(object),
            None => self.inventory.remove(&key),
        }
        self.is_changed = true;
    }

    pub(super) fn remove(&mut self, resource: &ApiResource, name: &Name) {
        self.inventory.remove(&object_key(&resource.gvk, name));
        self.broken.remove(&(Purpose::Inventory(resource.clone()), name.clone()));
        self.is_changed = true;
    }

    /// Nobody reads the kind any more.
    pub(super) fn remove_kind(&mut self, resource: &ApiResource) {
        self.forget_broken(&Purpose::Inventory(resource.clone()));
        self.inventory.replace_kind(&resource.gvk, []);
        self.is_changed = true;
    }

    fn forget_broken(&mut self, purpose: &Purpose) {
        self.broken.retain(|(other, _), _| other != purpose);
    }

    /// Reads an object of a watch, or remembers why it cannot be read.
    fn read(&mut self, purpose: &Purpose, item: Item) -> Option<Object> {
        let place = (purpose.clone(), item.name);
        let Content::Object(read) = item.content else { return None };
        match read {
            Ok(object) => {
                self.broken.remove(&place);
                Some(object)
            }
            Err(error) => {
                self.broken.insert(place, error.to_string().into());
                None
            }
        }
    }
}

fn object_key(gvk: &Gvk, (namespace, name): &Name) -> ObjectKey {
    ObjectKey { gvk: gvk.clone(), namespace: namespace.as_str().into(), name: name.as_str().into() }
}
