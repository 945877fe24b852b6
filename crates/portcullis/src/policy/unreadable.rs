//! Unknown is not empty: policies that read a kind which cannot be read cannot be judged, and neither pass nor deny for a reason.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::{Index, Inner, InventoryRead, PolicySet, Template, TemplateInfo};
use crate::names::{Gvk, TemplateName};

impl PolicySet {
    /// The templates that read kinds of which it is not known what objects there are, by [`Inventory::unreadable`], and why: all of their
    /// constraints are errors over such an inventory. A template that reads kinds which its text does not say depends on those that the
    /// Config and SyncSets list.
    ///
    /// [`Inventory::unreadable`]: crate::Inventory::unreadable
    #[must_use]
    pub fn unjudgeable(&self, unreadable: &BTreeMap<Gvk, Arc<str>>) -> BTreeMap<TemplateName, String> {
        let blind = |(name, template): (&TemplateName, &Arc<Template>)| {
            Some((name.clone(), self.blindness(&template.info, unreadable)?))
        };
        self.0.templates.iter().filter_map(blind).collect()
    }

    /// Why a template cannot be judged where some kinds are not known. Costs next to nothing if all are.
    pub(crate) fn blindness(
        &self,
        template: &TemplateInfo,
        unreadable: &BTreeMap<Gvk, Arc<str>>,
    ) -> Option<String> {
        unreadable.iter().find_map(|(gvk, why)| {
            let covers = |read: &&InventoryRead| {
                read.covers(gvk) && (read.kind.is_some() || self.0.synced.contains(gvk))
            };
            let read = template.inventory_reads().iter().find(covers)?;
            Some(format!("the policy reads {read} of the inventory, and `{gvk}` cannot be read: {why}"))
        })
    }

    /// These policies, but of some templates what `before` has: the template and its constraints as they were, or neither. For who
    /// cannot judge by a new version yet.
    #[must_use]
    pub fn holding_back(&self, templates: &BTreeSet<TemplateName>, before: &Self) -> Self {
        if templates.is_empty() {
            return self.clone();
        }
        let is_held = |name: &TemplateName| templates.contains(name);
        let new = self.0.templates.iter().filter(|(name, _)| !is_held(name));
        let old = before.0.templates.iter().filter(|(name, _)| is_held(name));
        let all = new.chain(old).map(|(name, template)| (name.clone(), template.clone())).collect();
        let new = self.0.constraints.iter().filter(|constraint| !is_held(constraint.template.info.name()));
        let old = before.0.constraints.iter().filter(|constraint| is_held(constraint.template.info.name()));
        let mut constraints: Vec<_> = new.chain(old).cloned().collect();
        constraints.sort_by(|a, b| a.info.key().cmp(b.info.key()));
        let constraints = constraints.into_boxed_slice();
        Self(Arc::new(Inner {
            templates: all,
            index: Index::build(&constraints),
            constraints,
            exclusions: self.0.exclusions.clone(),
            homes: self.0.homes.clone(),
            config: self.0.config.clone(),
            synced: self.0.synced.clone(),
            identity: Arc::new(()),
        }))
    }
}
