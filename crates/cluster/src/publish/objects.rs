//! The book of objects: what policies compare with, the Namespaces, and what of both could not be read.

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis::{Gvk, Inventory, InventoryStore, Object, ObjectKey, PolicySet};

use super::broken::Broken;
use super::watches::Purpose;
use crate::pages::Name;
use crate::resource::ApiResource;
use crate::watch::{Content, Item};

#[derive(Debug)]
pub(super) struct Objects {
    inventory: InventoryStore,
    namespaces: BTreeMap<Arc<str>, Object>,
    broken: Broken,
    /// The kinds of which it is not known what there is, as the inventory has them.
    unreadable: BTreeMap<Gvk, Arc<str>>,
    to_list: Vec<Purpose>,
    is_changed: bool,
}

impl Objects {
    pub(super) fn new() -> Self {
        Self {
            inventory: InventoryStore::new(),
            namespaces: BTreeMap::new(),
            broken: Broken::default(),
            unreadable: BTreeMap::new(),
            to_list: Vec::new(),
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

    /// The objects that could not be read.
    pub(super) fn broken(&self) -> &Broken {
        &self.broken
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
        self.broken.forget(&Purpose::Namespaces);
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
        self.repaired(&Purpose::Namespaces, name);
        self.is_changed = true;
    }

    /// Takes a whole list of a kind.
    pub(super) fn replace(&mut self, resource: &ApiResource, items: Vec<Item>, policies: &PolicySet) {
        let purpose = Purpose::Inventory(resource.clone());
        self.broken.forget(&purpose);
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
        self.repaired(&Purpose::Inventory(resource.clone()), name);
        self.is_changed = true;
    }

    /// Nobody reads the kind any more.
    pub(super) fn remove_kind(&mut self, resource: &ApiResource) {
        self.broken.forget(&Purpose::Inventory(resource.clone()));
        self.inventory.replace_kind(&resource.gvk, []);
        self.is_changed = true;
    }

    /// Reads an object of a watch, or remembers why it cannot be read.
    fn read(&mut self, purpose: &Purpose, item: Item) -> Option<Object> {
        let Content::Object(read) = item.content else { return None };
        match read {
            Ok(object) => {
                self.repaired(purpose, &item.name);
                Some(object)
            }
            Err(error) => {
                self.broken.insert(purpose, item.name, &error);
                None
            }
        }
    }

    fn repaired(&mut self, purpose: &Purpose, name: &Name) {
        if self.broken.remove(purpose, name) {
            self.to_list.push(purpose.clone());
        }
    }

    /// What has to be listed again, to know which of its objects can be read.
    pub(super) fn take_to_list(&mut self) -> Vec<Purpose> {
        std::mem::take(&mut self.to_list)
    }
}

fn object_key(gvk: &Gvk, (namespace, name): &Name) -> ObjectKey {
    ObjectKey { gvk: gvk.clone(), namespace: namespace.as_str().into(), name: name.as_str().into() }
}
