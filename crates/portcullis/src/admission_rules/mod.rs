//! Which requests an API server has to send for the policies to be asked, and whether a webhook configuration
//! makes it do so.
//!
//! ```text
//! constraints: match.kinds, scope ──┐
//! templates: operations, reads ─────┤
//! what implies what they match ─────┼── needs ──> AdmissionRules ──to_json──> `rules` of a configuration
//! kinds and their resources ────────┤                   └──missing, lint <── WebhookConfiguration
//! mutators: applyTo, match ─────────┘
//! ```
//!
//! A request that is not sent passes without anybody being asked, so needs are never too few: what a text
//! does not show is taken to be needed. Tables of the parts of resources are in [`parts`].

mod configuration;
mod implied;
mod judge;
mod kinds;
mod listed;
mod mutating;
mod needs;
mod parts;
mod room;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

pub use configuration::WebhookConfiguration;
pub use judge::MissingRule;
pub use kinds::{Kinds, KnownKind};
pub use listed::ListedKinds;

use serde_json::{Value, json};

use crate::api::{self, Operation, Uses};
use crate::error::Error;
use crate::expansion::ExpansionSet;
use crate::mutation::MutatorSet;
use crate::names::{ConstraintKey, MutatorKey};
use crate::policy::PolicySet;
use crate::scope::Scope;
use needs::Needs;
use room::Room;

/// Any group, resource or part.
const ANY: &str = "*";

/// Resources that requests are sent to: one, or all of a group, or a part of them.
///
/// Printed as paths name it: `pods`, `deployments.apps`, `pods/exec`, `*.apps`, `*/scale`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AdmissionTarget {
    /// API group, empty for the core group, `*` for any.
    pub group: Arc<str>,
    /// The resource, in the plural; `*` for any.
    pub resource: Arc<str>,
    /// A part of it, such as `status`.
    pub part: Option<Arc<str>>,
    /// Where the objects live; [`Scope::ByObject`] for both, or if it is not known.
    pub scope: Scope,
}

impl AdmissionTarget {
    fn new(group: &str, resource: &str, part: Option<&str>, scope: Scope) -> Self {
        Self { group: group.into(), resource: resource.into(), part: part.map(Into::into), scope }
    }

    /// As rules of a configuration write it, without its group.
    fn resource_text(&self) -> String {
        match &self.part {
            None => self.resource.to_string(),
            Some(part) => format!("{}/{part}", self.resource),
        }
    }

    /// The others that all of it is in.
    fn wider(&self) -> impl Iterator<Item = Self> {
        let any: Arc<str> = ANY.into();
        let mut all = Vec::new();
        for group in [&self.group, &any] {
            for resource in [&self.resource, &any] {
                for scope in [self.scope, Scope::ByObject] {
                    let part = self.part.clone();
                    all.push(Self { group: group.clone(), resource: resource.clone(), part, scope });
                }
            }
        }
        let own = self.clone();
        all.into_iter().filter(move |other| *other != own)
    }
}

impl fmt::Display for AdmissionTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.resource)?;
        if !self.group.is_empty() && &*self.group != ANY {
            write!(f, ".{}", self.group)?;
        }
        match &self.part {
            Some(part) => write!(f, "/{part}"),
            None => Ok(()),
        }
    }
}

/// Who needs a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NeededBy {
    /// The webhook, which checks policies before they are let in.
    Webhook,
    /// The webhook, which refuses policies of Gatekeeper's that nothing is done for. Not counted as missing:
    /// beside Gatekeeper they are left out.
    Refusal,
    /// A constraint.
    Constraint(ConstraintKey),
    /// A mutator.
    Mutator(MutatorKey),
}

impl fmt::Display for NeededBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Webhook => f.write_str("the check of policies"),
            Self::Refusal => f.write_str("the refusal of what is not supported"),
            Self::Constraint(key) => write!(f, "{key}"),
            Self::Mutator(key) => write!(f, "{key}"),
        }
    }
}

/// Which requests have to be sent, and for whom. Ordered by target and operation.
///
/// ```
/// use portcullis::{AdmissionRules, Document, Kinds, PolicySet};
/// # let text = r#"
/// # apiVersion: templates.gatekeeper.sh/v1
/// # kind: ConstraintTemplate
/// # metadata: {name: nohostpid}
/// # spec:
/// #   crd: {spec: {names: {kind: NoHostPid}}}
/// #   targets:
/// #   - target: admission.k8s.gatekeeper.sh
/// #     rego: |
/// #       package nohostpid
/// #       violation[{"msg": "share no process namespace"}] { input.review.object.spec.hostPID }
/// # ---
/// # apiVersion: constraints.gatekeeper.sh/v1beta1
/// # kind: NoHostPid
/// # metadata: {name: no-host-pid}
/// # spec: {match: {kinds: [{apiGroups: [""], kinds: [Pod]}]}}
/// # "#;
/// let (policies, _) = PolicySet::compile(Document::read_all("policies.yaml", text).0);
/// let rules = AdmissionRules::of(&policies, &Kinds::default());
/// let pods: Vec<_> = rules.needs().filter(|(target, ..)| target.to_string() == "pods").collect();
/// assert_eq!(pods.len(), 2, "created and changed");
/// ```
#[derive(Clone, Debug, Default)]
pub struct AdmissionRules {
    asks: Asks,
    needs: BTreeMap<(AdmissionTarget, Operation), BTreeSet<NeededBy>>,
    /// Which namespaces constraints are about.
    about: Vec<judge::About>,
    notes: Vec<Error>,
    guesses: bool,
}

/// What a webhook is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Asks {
    /// Verdicts.
    #[default]
    Verdicts,
    /// Patches.
    Patches,
}

impl AdmissionRules {
    /// Works out what policies need, and the webhook itself, if objects imply nothing. Cost: following each
    /// template's program, once, and a look at each kind of a constraint in each of its groups, up to 2 MiB of
    /// names; beyond that all kinds of the groups are needed, and a note says so.
    #[must_use]
    pub fn of(policies: &PolicySet, kinds: &Kinds) -> Self {
        Self::of_webhook(policies, &ExpansionSet::empty(), Uses::POLICIES, kinds)
    }

    /// The same for a webhook that uses more of Gatekeeper's than policies: what implies something that a
    /// constraint is about is needed for that constraint, and what is used is checked instead of refused.
    #[must_use]
    pub fn of_webhook(policies: &PolicySet, expansions: &ExpansionSet, uses: Uses, kinds: &Kinds) -> Self {
        let mut rules = Self::default();
        let used = api::used_groups(uses);
        let checked = api::policy_groups().chain(used).map(|group| (Arc::from(group), NeededBy::Webhook));
        let refused = api::unsupported_kinds(uses).filter(|gvk| &*gvk.kind != "GVKManifest");
        for (group, by) in checked.chain(refused.map(|gvk| (gvk.group, NeededBy::Refusal))) {
            for operation in [Operation::Create, Operation::Update] {
                let target = AdmissionTarget::new(&group, ANY, None, Scope::ByObject);
                rules.needs.entry((target, operation)).or_default().insert(by.clone());
            }
        }
        let mut room = Room::default();
        for constraint in policies.compiled() {
            let Needs { mut wanted, mut notes, mut guesses } = Needs::of(constraint, kinds, &mut room);
            let implied = implied::needs(constraint, expansions, kinds, &mut room);
            wanted.extend(implied.wanted);
            notes.extend(implied.notes);
            guesses |= implied.guesses;
            rules.guesses |= guesses;
            rules.notes.extend(notes);
            if wanted.is_empty() {
                continue;
            }
            let key = constraint.info.key();
            rules.about.push(judge::About::of(constraint));
            for need in wanted {
                rules.needs.entry(need).or_default().insert(NeededBy::Constraint(key.clone()));
            }
        }
        rules.notes.sort();
        rules.notes.dedup();
        rules
    }

    /// Works out which requests have to be sent to be mutated. Cost: a look at each kind of a mutator in each
    /// of its groups.
    #[must_use]
    pub fn of_mutators(mutators: &MutatorSet, kinds: &Kinds) -> Self {
        let mut rules = Self { asks: Asks::Patches, ..Self::default() };
        for mutator in mutators.mutators() {
            rules.guesses |= mutating::want(mutator, kinds, &mut rules.needs);
        }
        rules
    }

    /// What is needed, and by whom.
    pub fn needs(&self) -> impl Iterator<Item = (&AdmissionTarget, Operation, &BTreeSet<NeededBy>)> {
        self.needs.iter().map(|((target, operation), by)| (target, *operation, by))
    }

    /// What is to be said about constraints: kinds that are not known, and such that no webhook is asked
    /// about.
    #[must_use]
    pub fn notes(&self) -> &[Error] {
        &self.notes
    }

    /// Whether the resource of a kind was guessed, because the kind is not known.
    #[must_use]
    pub fn has_guesses(&self) -> bool {
        self.guesses
    }

    /// The same, for a webhook that lets through what it does not support, as beside Gatekeeper.
    #[must_use]
    pub fn without_refusals(mut self) -> Self {
        self.needs.retain(|_, by| {
            by.remove(&NeededBy::Refusal);
            !by.is_empty()
        });
        self
    }

    /// The rules as `webhooks[].rules` of a ValidatingWebhookConfiguration has them: as few as can be, in a
    /// fixed order.
    #[must_use]
    pub fn to_json(&self) -> Value {
        type Shape = (BTreeSet<Operation>, Scope);
        let mut operations: BTreeMap<&AdmissionTarget, BTreeSet<Operation>> = BTreeMap::new();
        for (target, operation) in self.needs.keys() {
            let is_in_other = target.wider().any(|other| self.needs.contains_key(&(other, *operation)));
            if !is_in_other {
                operations.entry(target).or_default().insert(*operation);
            }
        }
        let mut resources: BTreeMap<(Shape, &str), BTreeSet<String>> = BTreeMap::new();
        for (target, operations) in operations {
            // What a resource is says where it lives; `*` does not.
            let scope = if &*target.resource == ANY { target.scope } else { Scope::ByObject };
            resources.entry(((operations, scope), &target.group)).or_default().insert(target.resource_text());
        }
        let mut groups: BTreeMap<(BTreeSet<String>, Shape), BTreeSet<&str>> = BTreeMap::new();
        for ((shape, group), resources) in resources {
            groups.entry((resources, shape)).or_default().insert(group);
        }
        let mut rules: Vec<_> = groups.into_iter().collect();
        rules.sort_by(|(a, a_groups), (b, b_groups)| (a_groups, a).cmp(&(b_groups, b)));
        rules
            .into_iter()
            .map(|((resources, (operations, scope)), groups)| {
                let scope = match scope {
                    Scope::Namespaced => "Namespaced",
                    Scope::Cluster => "Cluster",
                    Scope::ByObject => ANY,
                };
                let operations: Vec<&str> = operations.iter().map(|operation| operation.as_str()).collect();
                json!({
                    "operations": operations,
                    "apiGroups": groups,
                    "apiVersions": [ANY],
                    "resources": resources,
                    "scope": scope,
                })
            })
            .collect()
    }
}
