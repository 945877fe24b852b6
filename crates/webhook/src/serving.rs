//! What requests are judged by.

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis::{ExpansionSet, Inventory, MutatorSet, PolicySet, Resource, TemplateName};

/// What requests are judged by: immutable, swapped as a whole.
#[derive(Clone, Debug)]
pub struct Serving {
    /// The compiled policies.
    pub policies: PolicySet,
    /// By which objects are judged by what they imply, too.
    pub expansions: ExpansionSet,
    /// The compiled mutators; none if the webhook does not mutate.
    pub mutators: MutatorSet,
    /// The objects that policies may compare with, and the Namespaces.
    pub inventory: Inventory,
    /// The templates as resources, to check constraints by when they are applied.
    pub templates: BTreeMap<TemplateName, Resource>,
    /// Tells this set of policies from any other. Worked out when it is loaded.
    pub policies_digest: Arc<str>,
    /// The same of the objects, or the number of a state of them.
    pub inventory_digest: Arc<str>,
}
