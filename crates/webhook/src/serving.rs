//! What requests are judged by.

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis::{AdmissionMutators, ExpansionSet, Inventory, MutatorSet, PolicySet, Resource, TemplateName};

/// What requests are judged by: immutable, swapped as a whole.
#[derive(Clone, Debug)]
pub struct Serving {
    /// The compiled policies.
    pub policies: PolicySet,
    /// By which objects are judged by what they imply, too.
    pub expansions: ExpansionSet,
    /// The compiled mutators; none if the webhook does not mutate. If it is not known which a cluster has, why: then nothing is
    /// mutated, and what objects imply is not judged.
    pub mutators: Result<MutatorSet, Arc<str>>,
    /// The API server's own policies that mutate, of files: those of a cluster its API server applies itself.
    pub admission: Option<AdmissionMutators>,
    /// The objects that policies may compare with, and the Namespaces.
    pub inventory: Inventory,
    /// The templates as resources, to check constraints by when they are applied.
    pub templates: BTreeMap<TemplateName, Resource>,
    /// Tells this set of policies from any other. Worked out when it is loaded.
    pub policies_digest: Arc<str>,
    /// The same of the objects, or the number of a state of them.
    pub inventory_digest: Arc<str>,
}

/// How many mutators there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MutatorNumbers {
    /// Those that are served.
    pub active: usize,
    /// Those with something wrong, those that contradict others among them.
    pub broken: usize,
    /// Those that contradict others.
    pub conflicting: usize,
}

impl MutatorNumbers {
    /// Of those that are served.
    #[must_use]
    pub fn of<E>(mutators: &Result<MutatorSet, E>) -> Self {
        let Ok(mutators) = mutators else { return Self::default() };
        let conflicting = mutators.mutators().filter(|mutator| mutators.is_disabled(mutator.key())).count();
        let active = mutators.mutators().count().saturating_sub(conflicting);
        Self { active, broken: conflicting, conflicting }
    }
}
