//! Mutators, expansion templates and Providers: in which version they are watched, and whether it is known which there are.
//!
//! A kind that is not installed has no objects, and that is all there is to know. A kind that may not be listed, or that its API server does
//! not serve though its CRD is there, has some that nobody knows.

use std::sync::Arc;

use portcullis::{MutatorKind, MutatorSet};
use tokio::time::Instant;

use super::watches::{Progress, Purpose};
use super::{ASK_AGAIN, Writer};
use crate::discovery::Discovery;
use crate::resource::ApiResource;

impl Writer {
    /// Watches the kinds that are used, each in a version that is served, once it is known which are.
    pub(super) fn plan_mutation(&mut self) {
        let uses = self.options.uses;
        let mutators = MutatorKind::ALL.iter().filter(|_| uses.mutators).copied().map(Purpose::Mutators);
        let expansions = uses.expansions.then_some(Purpose::ExpansionTemplates);
        let providers = uses.providers.then_some(Purpose::Providers);
        for purpose in mutators.chain(expansions).chain(providers) {
            let Some(discovery) = &self.kinds.discovery else { return };
            let served = served(discovery, &purpose.resource());
            match (self.watches.get(&purpose), served) {
                (None, served) => {
                    let resource = served.unwrap_or_else(|| purpose.resource());
                    self.watches.start_as(purpose, resource);
                }
                // Another version is served than before.
                (Some(watched), Some(resource)) if watched.resource != resource => {
                    self.watches.start_as(purpose, resource);
                }
                (Some(_), _) => {}
            }
        }
    }

    /// Whether a kind that is not served is not installed. Its objects that are known are in force until that is certain.
    pub(super) fn may_be_absent(&mut self, purpose: &Purpose) -> bool {
        let is_defined = self.has_definition(&purpose.resource());
        let definitions = self.watches.get(&Purpose::Definitions);
        let are_seen = definitions
            .is_some_and(|watched| watched.progress == Progress::Known && watched.failing.is_none());
        if is_defined == Some(true) {
            // In another version, perhaps.
            self.ask_soon();
        } else if !are_seen && self.kinds.ask_at.is_none() && !self.kinds.is_asking {
            self.kinds.ask_at = Some(Instant::now() + ASK_AGAIN);
        }
        if is_defined == Some(false) && are_seen && self.policies.has_any(purpose) {
            // They went with their CRD.
            self.policies.remove_all(purpose);
        }
        is_defined == Some(false) && !self.policies.has_any(purpose)
    }

    /// The mutators, or why it is not known which there are.
    pub(super) fn known_mutators(&self) -> Result<MutatorSet, Arc<str>> {
        let unknown = self.watches.iter().find_map(|(purpose, watched)| match (purpose, watched.progress) {
            (Purpose::Mutators(kind), Progress::Listing) => {
                let why = watched.given_up.as_deref().unwrap_or("it is being listed");
                Some(format!("it is not known which mutators of the kind {kind} there are: {why}"))
            }
            _ => None,
        });
        unknown.map_or_else(|| Ok(self.policies.mutators().clone()), |why| Err(why.into()))
    }
}

/// A kind in the version that is usual, if that is served, else as the API server prefers it.
fn served(discovery: &Discovery, usual: &ApiResource) -> Option<ApiResource> {
    let is_same = |other: &&ApiResource| other.gvk.group_kind() == usual.gvk.group_kind();
    discovery.get(&usual.gvk).or_else(|| discovery.preferred().find(is_same)).cloned()
}
