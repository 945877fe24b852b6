//! Which kinds have to be in the inventory: those that policies read, and those that the Config and SyncSets list.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use portcullis::{Gvk, InventoryRead, PolicySet, TemplateInfo, TemplateName};

use crate::discovery::Discovery;
use crate::resource::ApiResource;

/// The kinds that policies read or list and of which it is not known whether a cluster has them, because their group does not answer; and
/// why. What policies read of them is not known, and that is not nothing.
#[must_use]
pub fn unknown_kinds(policies: &PolicySet, discovery: &Discovery) -> BTreeMap<Gvk, Arc<str>> {
    Needs::of([policies], discovery).unknown
}

/// The kinds to watch, who reads them, and what is to be said about the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Needs {
    /// The templates that read each; none if it is only listed.
    pub(super) kinds: BTreeMap<ApiResource, BTreeSet<TemplateName>>,
    /// Kinds of which it is not known whether they are served, because their group does not answer.
    pub(super) unknown: BTreeMap<Gvk, Arc<str>>,
    /// What is listed or read and not served: there are no objects of it.
    pub(super) notes: BTreeSet<String>,
    /// The templates that read kinds which their text does not say: those that are listed.
    of_any: BTreeSet<TemplateName>,
}

impl Needs {
    /// Of the policies as they are now, and of those in force, which may be older.
    pub(super) fn of<'a>(sets: impl IntoIterator<Item = &'a PolicySet>, discovery: &Discovery) -> Self {
        let mut needs = Self::default();
        for set in sets {
            for template in set.templates() {
                for read in template.inventory_reads() {
                    needs.add_read(template, read, discovery);
                }
            }
            for gvk in set.synced_kinds() {
                needs.add_listed(gvk, discovery);
            }
        }
        needs
    }

    /// The kinds that a template reads.
    pub(super) fn of_template(&self, name: &TemplateName) -> impl Iterator<Item = &ApiResource> {
        let of_any = self.of_any.contains(name);
        let kinds = self.kinds.iter();
        kinds.filter(move |(_, readers)| readers.contains(name) || of_any).map(|(resource, _)| resource)
    }

    fn add_listed(&mut self, gvk: &Gvk, discovery: &Discovery) {
        if let Some(resource) = discovery.get(gvk) {
            self.kinds.entry(resource.clone()).or_default();
            return;
        }
        if let Some(why) = unanswered(discovery, &gvk.api_version()) {
            self.unknown.insert(gvk.clone(), why.into());
        } else {
            let note = format!("a Config or SyncSet lists {gvk}, which the API server does not serve");
            self.notes.insert(note);
        }
    }

    fn add_read(&mut self, template: &TemplateInfo, read: &InventoryRead, discovery: &Discovery) {
        let Some(kind) = &read.kind else {
            // To cache everything because a policy might look at it would be every Secret of the cluster.
            self.of_any.insert(template.name().clone());
            self.notes.insert(format!(
                "`{}` reads {read} of kinds that its text does not say; it sees those that the Config and SyncSets list",
                template.kind()
            ));
            return;
        };
        let fits = |gvk: &Gvk| read.covers(gvk);
        let found: Vec<&ApiResource> = if read.api_version.is_some() {
            discovery.all().filter(|resource| fits(&resource.gvk)).collect()
        } else {
            // Of one kind in several versions the objects are the same.
            discovery.preferred().filter(|resource| fits(&resource.gvk)).collect()
        };
        for resource in &found {
            self.kinds.entry((*resource).clone()).or_default().insert(template.name().clone());
        }
        if !found.is_empty() {
            return;
        }
        let of_problem = match &read.api_version {
            Some(version) => unanswered(discovery, version).map(|why| (version.to_string(), why)),
            // A kind that nobody knows may be in any group that nobody knows.
            None => discovery
                .problems()
                .first()
                .map(|problem| (problem.group_version.clone(), problem.to_string())),
        };
        if let Some((version, why)) = of_problem {
            self.unknown.insert(Gvk::new(&version, kind), why.into());
        } else {
            let note = format!("`{}` reads {read}: the API server serves no such kind", template.kind());
            self.notes.insert(note);
        }
    }
}

/// Why it is not known what kinds a version has.
fn unanswered(discovery: &Discovery, api_version: &str) -> Option<String> {
    discovery.problems().iter().find(|problem| problem.group_version == api_version).map(ToString::to_string)
}
