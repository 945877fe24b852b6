//! What objects imply: by which expansion templates, and how mutators change what is generated.
//!
//! The objects themselves are as the cluster has them: its mutators have changed them already, or they are older than these.

use std::collections::BTreeMap;

use portcullis::{
    AdmissionMutators, Document, Error, Expansion, ExpansionSet, Gvk, Inventory, MutatorSet, MutatorStore,
    Object, Parent, PolicySet, Resource, Uses,
};
use serde_json::Value;

/// How an audit reads what Gatekeeper's kinds say.
pub(crate) const USES: Uses = Uses::POLICIES.with_expansions(true).with_mutators(true).with_providers(true);

/// What is expanded without a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Expand {
    /// Deployments, StatefulSets, DaemonSets, ReplicaSets, ReplicationControllers, Jobs and CronJobs: the Pods that come of them.
    Workloads,
}

/// The expansion templates and mutators of an audit. Without a template nothing is implied.
#[derive(Clone, Debug, Default)]
pub struct Implying {
    templates: ExpansionSet,
    mutators: MutatorSet,
    /// The API server's own policies that change what is created.
    admission: Option<AdmissionMutators>,
    /// What is in force, by kind and name, for the digest of the policies.
    texts: BTreeMap<(String, String), Value>,
}

impl Implying {
    /// Takes the expansion templates and mutators out of some resources, and says what is wrong with them: of mutators all, of templates
    /// what was not said when they were read. If nothing implies anything, mutators have no effect: that they are not supported is said,
    /// as of other kinds that nothing is done for.
    pub fn take(resources: &mut Vec<Resource>, expand: Option<Expand>) -> (Self, Vec<Error>) {
        let mut problems = Vec::new();
        let (expansions, rest): (Vec<_>, Vec<_>) =
            std::mem::take(resources).into_iter().partition(Resource::is_expansion);
        let (mutators, rest): (Vec<_>, Vec<_>) = rest.into_iter().partition(Resource::is_mutator);
        *resources = rest;
        let mut texts: BTreeMap<_, _> = expansions.iter().filter_map(text).collect();
        let (templates, found) = ExpansionSet::from_resources(expansions);
        problems.extend(found);
        let templates = match expand {
            Some(Expand::Workloads) => {
                texts.insert((ExpansionSet::WORKLOADS.to_owned(), String::new()), Value::Null);
                templates.with_workloads()
            }
            None => templates,
        };
        let uses = if templates.is_empty() { Uses::POLICIES.with_providers(true) } else { USES };
        let documents = mutators.iter().filter_map(document);
        problems.extend(documents.flat_map(|document| Resource::read_for(document, uses).1));
        if templates.is_empty() {
            return (Self { templates, mutators: MutatorSet::empty(), admission: None, texts }, problems);
        }
        texts.extend(mutators.iter().filter_map(text));
        let (of_server, mutators): (Vec<_>, Vec<_>) = mutators.into_iter().partition(is_of_server);
        let (admission, found) = AdmissionMutators::from_resources(of_server);
        problems.extend(found);
        let admission = Some(admission).filter(|admission| !admission.is_empty());
        let mut store = MutatorStore::new();
        for mutator in &mutators {
            problems.extend(store.duplicate(mutator));
            problems.extend(store.upsert(mutator));
        }
        let mutators = store.snapshot();
        problems.extend(mutators.conflicts());
        (Self { templates, mutators, admission, texts }, problems)
    }

    /// By what objects are expanded, if anything implies anything. Admission policies look at the objects of an inventory.
    pub fn expansion<'a>(&'a self, inventory: &'a Inventory) -> Option<Expansion<'a>> {
        if self.is_empty() {
            return None;
        }
        let expansion = Expansion::new(&self.templates).with_mutators(&self.mutators);
        let expansion = expansion.of_parents(Parent::Mutated);
        Some(match &self.admission {
            Some(admission) => expansion.with_policies(admission, inventory),
            None => expansion,
        })
    }

    /// The API server's own policies that change what is created, if there are any.
    pub(crate) fn admission(&self) -> Option<&AdmissionMutators> {
        self.admission.as_ref()
    }

    /// Whether nothing implies anything.
    pub fn is_empty(&self) -> bool {
        self.templates.is_empty()
    }

    /// Whether any constraint may have something to say of what objects of a kind imply.
    pub fn concerns(&self, policies: &PolicySet, gvk: &Gvk) -> bool {
        self.templates.may_imply(gvk, |implied| policies.concerns(implied))
    }

    /// Kind, name and text of each.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&str, &str, &Value)> {
        self.texts.iter().map(|((kind, name), text)| (&**kind, &**name, text))
    }
}

/// Whether a mutator is a policy of the API server's, or the binding of one.
fn is_of_server(resource: &Resource) -> bool {
    match resource {
        Resource::AdmissionPolicy(_) | Resource::AdmissionPolicyBinding(_) => true,
        Resource::Rejected(resource) => is_of_server(resource),
        _ => false,
    }
}

/// The text of a mutator, usable or not.
fn document(resource: &Resource) -> Option<&Document> {
    match resource {
        Resource::Mutator(found) => found.object().document(),
        Resource::AdmissionPolicy(policy) => Some(policy.document()),
        Resource::AdmissionPolicyBinding(binding) => Some(binding.document()),
        Resource::Rejected(resource) => document(resource),
        _ => None,
    }
}

/// Of one that can be used.
fn text(resource: &Resource) -> Option<((String, String), Value)> {
    let of = |object: &Object| ((object.gvk().kind.to_string(), object.name().to_string()), object.to_json());
    match resource {
        Resource::ExpansionTemplate(template) => Some(of(template.object())),
        Resource::Mutator(mutator) => Some(of(mutator.object())),
        Resource::AdmissionPolicy(_) | Resource::AdmissionPolicyBinding(_) => {
            Object::from_document(document(resource)?.clone()).ok().as_ref().map(of)
        }
        _ => None,
    }
}
