//! Which kinds have to be in the inventory: those that policies read, and those that Configs and SyncSets list.

use std::collections::BTreeMap;

use portcullis::{Gvk, InventoryRead, PolicySet};

use crate::discovery::Discovery;
use crate::resource::ApiResource;

/// The kinds to watch, and what is to be said about the others.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// True if a policy reads it, false if it is only listed.
    pub(crate) kinds: BTreeMap<ApiResource, bool>,
    /// What a policy reads of which it is not known whether there is any: verdicts would rest on nothing.
    pub(crate) unknown: Vec<String>,
    /// What is listed or read and not served: there are no objects of it.
    pub(crate) notes: Vec<String>,
}

impl Wanted {
    /// `reads` are those of all policies that are in force or are going to be.
    pub(crate) fn of(policies: &PolicySet, reads: &[(String, InventoryRead)], discovery: &Discovery) -> Self {
        let mut wanted = Self::default();
        for gvk in policies.synced_kinds() {
            match discovery.get(gvk) {
                Some(resource) => {
                    wanted.kinds.entry(resource.clone()).or_insert(false);
                }
                None => wanted.notes.push(match unanswered(discovery, &gvk.api_version()) {
                    Some(why) => format!("a Config or SyncSet lists {gvk}: {why}"),
                    None => format!("a Config or SyncSet lists {gvk}, which the API server does not serve"),
                }),
            }
        }
        for (template, read) in reads {
            wanted.add_read(template, read, discovery);
        }
        wanted.unknown.sort();
        wanted.unknown.dedup();
        wanted.notes.sort();
        wanted.notes.dedup();
        wanted
    }

    fn add_read(&mut self, template: &str, read: &InventoryRead, discovery: &Discovery) {
        if read.kind.is_none() {
            // To cache everything because a policy might look at it would be every Secret of the cluster.
            self.notes.push(format!(
                "`{template}` reads {read} of kinds that its text does not say; it sees those that Configs and SyncSets list"
            ));
            return;
        }
        let fits = |gvk: &Gvk| read.covers(gvk);
        let found: Vec<&ApiResource> = if read.api_version.is_some() {
            discovery.all().filter(|resource| fits(&resource.gvk)).collect()
        } else {
            // Of one kind in several versions the objects are the same.
            discovery.preferred().filter(|resource| fits(&resource.gvk)).collect()
        };
        for resource in &found {
            self.kinds.insert((*resource).clone(), true);
        }
        if !found.is_empty() {
            return;
        }
        let why = match &read.api_version {
            Some(version) => unanswered(discovery, version),
            None => discovery.problems().first().map(ToString::to_string),
        };
        let said = match why {
            Some(why) => (&mut self.unknown, why),
            None => (&mut self.notes, "the API server serves no such kind".to_owned()),
        };
        said.0.push(format!("`{template}` reads {read}: {}", said.1));
    }
}

/// Why it is not known what kinds a version has.
fn unanswered(discovery: &Discovery, api_version: &str) -> Option<String> {
    discovery.problems().iter().find(|problem| problem.group_version == api_version).map(ToString::to_string)
}
