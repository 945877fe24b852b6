//! Unknown is not empty: policies that read a kind which cannot be read cannot be judged, and neither pass
//! nor deny for a reason.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::{Index, Inner, PolicySet, Template, TemplateInfo};
use crate::analysis::InventoryRead;
use crate::names::{Gvk, TemplateName};

/// Why no object can be judged by a template: its policy reads a kind of which it is not known what objects
/// there are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unjudgeable {
    /// What the policy reads, as its text says it.
    pub read: InventoryRead,
    /// A kind among it that cannot be read. The first, if there are several.
    pub kind: Gvk,
    /// Why that kind cannot be read, by [`Inventory::unreadable`](crate::Inventory::unreadable).
    pub why: Arc<str>,
}

impl Unjudgeable {
    /// What the policy reads and which kind cannot be read, without why.
    #[must_use]
    pub fn what(&self) -> String {
        format!("the policy reads {} of the inventory, and `{}` cannot be read", self.read, self.kind)
    }
}

impl fmt::Display for Unjudgeable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.what(), self.why)
    }
}

impl PolicySet {
    /// The templates that read kinds of which it is not known what objects there are, by
    /// [`Inventory::unreadable`], and why: all of their constraints are errors over such an inventory. A
    /// template that reads kinds which its text does not say depends on those that the Config and SyncSets
    /// list.
    ///
    /// [`Inventory::unreadable`]: crate::Inventory::unreadable
    #[must_use]
    pub fn unjudgeable(&self, unreadable: &BTreeMap<Gvk, Arc<str>>) -> BTreeMap<TemplateName, Unjudgeable> {
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
    ) -> Option<Unjudgeable> {
        unreadable.iter().find_map(|(gvk, why)| {
            let covers = |read: &&InventoryRead| {
                read.covers(gvk) && (read.kind.is_some() || self.0.synced.contains(gvk))
            };
            let read = template.inventory_reads().iter().find(covers)?;
            Some(Unjudgeable { read: read.clone(), kind: gvk.clone(), why: why.clone() })
        })
    }

    /// These policies, but of some templates what `before` has: the template and its constraints as they
    /// were, or neither. For who cannot judge by a new version yet.
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
            exceptions: self.0.exceptions.clone(),
            homes: self.0.homes.clone(),
            engines: self.0.engines,
            providers: self.0.providers.clone(),
            config: self.0.config.clone(),
            synced: self.0.synced.clone(),
            identity: Arc::new(()),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::Document;
    use crate::{Decision, EnforcementPoint, InventoryStore, Object, Review, World};

    /// A template of a version, and constraints of it with an action.
    fn policy(kind: &str, body: &str, constraints: &[(&str, &str)]) -> String {
        let name = kind.to_lowercase();
        let mut text = format!(
            "---\napiVersion: templates.gatekeeper.sh/v1\nkind: ConstraintTemplate\nmetadata: {{name: {name}}}\nspec:\n  \
             crd: {{spec: {{names: {{kind: {kind}}}}}}}\n  targets:\n  - target: admission.k8s.gatekeeper.sh\n    rego: |\n      \
             package p\n      violation[{{\"msg\": msg}}] {{ {body} }}\n"
        );
        for (name, action) in constraints {
            let metadata = format!("metadata: {{name: {name}}}, spec: {{enforcementAction: {action}}}");
            let head = format!("apiVersion: constraints.gatekeeper.sh/v1beta1, kind: {kind}");
            text = format!("{text}---\n{{{head}, {metadata}}}\n");
        }
        text
    }

    fn compile(text: &str) -> PolicySet {
        let (policies, errors) = PolicySet::compile(Document::read_all("p.yaml", text).0);
        assert!(errors.is_empty(), "{errors:?}");
        policies
    }

    fn named(kind: &str) -> String {
        format!("data.inventory.cluster[_][\"{kind}\"][n]; msg := n")
    }

    fn sync(kinds: &[&str]) -> String {
        let gvks: Vec<String> =
            kinds.iter().map(|kind| format!("{{group: \"\", version: v1, kind: {kind}}}")).collect();
        format!(
            "---\n{{apiVersion: syncset.gatekeeper.sh/v1alpha1, kind: SyncSet, metadata: {{name: s}}, spec: {{gvks: [{}]}}}}\n",
            gvks.join(", ")
        )
    }

    /// What each constraint says where a kind is not known.
    fn said(policies: &PolicySet, unreadable: &str) -> Vec<String> {
        let mut store = InventoryStore::new();
        store.set_unreadable(&Gvk::new("v1", unreadable), Some("403"));
        let inventory = store.snapshot();
        let pod = serde_json::json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "n"}});
        let review = Review::from_object(Object::from_json(&pod).expect("an object"));
        let outcome = policies.review(&review, &World::new(&inventory), EnforcementPoint::Webhook);
        let decision = Decision::from(&outcome);
        let findings = decision.findings.iter();
        let line = |finding: &crate::Finding<'_>| {
            let actions: Vec<&str> = finding.actions().iter().map(crate::EnforcementAction::as_str).collect();
            format!("{} {} {}", finding.result.key().name, actions.join(","), finding.is_error())
        };
        findings.map(line).collect()
    }

    #[test]
    fn unknown_is_an_error_with_the_action_of_its_constraint_and_of_no_other() {
        let text = policy("Nodes", &named("Node"), &[("deny", "deny"), ("warn", "warn")])
            + &policy("Volumes", &named("PersistentVolume"), &[("other", "deny")])
            + &policy("Pure", "msg := input.review.object.spec.message", &[("pure", "deny")]);
        let policies = compile(&text);
        assert_eq!(said(&policies, "Node"), ["deny deny true", "warn warn true"]);
        assert_eq!(said(&policies, "PersistentVolume"), ["other deny true"]);
        assert!(said(&policies, "Secret").is_empty());
    }

    #[test]
    fn what_reads_any_kind_depends_on_those_that_are_listed() {
        let any = "data.inventory.cluster[_][kind][n]; msg := sprintf(\"%v %v\", [kind, n])";
        let text = policy("AnyKind", any, &[("any", "deny")]);
        assert!(said(&compile(&text), "Node").is_empty());
        assert_eq!(said(&compile(&(text.clone() + &sync(&["Node"]))), "Node"), ["any deny true"]);
        assert!(said(&compile(&(text + &sync(&["Service"]))), "Node").is_empty());
    }

    #[test]
    fn templates_that_are_held_back_are_as_they_were_with_their_constraints() {
        let before = policy("A", "msg := \"old\"", &[("a", "deny"), ("gone", "deny")])
            + &policy("B", "msg := \"old\"", &[("b", "deny")]);
        let after = policy("A", "msg := \"new\"", &[("a", "warn"), ("fresh", "deny")])
            + &policy("B", "msg := \"new\"", &[])
            + &policy("C", "msg := \"new\"", &[("c", "deny")]);
        let (before, after) = (compile(&before), compile(&after));
        let held = |names: &[&str]| names.iter().map(|name| TemplateName::of_kind(name)).collect();
        let said = |policies: &PolicySet| -> Vec<String> {
            let constraints = policies.constraints();
            let line = |constraint: &Arc<crate::ConstraintInfo>| {
                let rego = constraint.template().text().0.contains("new");
                format!("{} {}", constraint.key(), if rego { "new" } else { "old" })
            };
            constraints.map(line).collect()
        };
        assert_eq!(said(&after.holding_back(&held(&[]), &before)), ["A/a new", "A/fresh new", "C/c new"]);
        assert_eq!(said(&after.holding_back(&held(&["A"]), &before)), ["A/a old", "A/gone old", "C/c new"]);
        assert_eq!(
            said(&after.holding_back(&held(&["B", "C"]), &before)),
            ["A/a new", "A/fresh new", "B/b old"]
        );
        assert!(said(&after.holding_back(&held(&["A", "C"]), &PolicySet::empty())).is_empty());
    }
}
