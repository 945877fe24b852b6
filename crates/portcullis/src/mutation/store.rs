//! The writer's side of mutators: changes in, snapshots out.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::compiled::{Compiled, MutatorInfo};
use super::conflicts::{Conflicts, list};
use super::index::Index;
use crate::api::{Mutator, Provider, Resource, Uses};
use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::names::{AdmissionEffect, MutatorKey};

/// Takes changes of mutators and gives out [`MutatorSet`]s.
///
/// What was good stays in force when its update fails. Whatever the order of the changes, the snapshot equals
/// that of compiling the documents that are left, as long as none of them is broken.
///
/// ```
/// use portcullis::{Document, MutatorStore, Resource, Uses};
///
/// let (documents, _) = Document::read_all("m.yaml", r#"
/// apiVersion: mutations.gatekeeper.sh/v1
/// kind: AssignMetadata
/// metadata: {name: owner}
/// spec:
///   location: metadata.labels.owner
///   parameters: {assign: {value: shop}}
/// "#);
/// let mut store = MutatorStore::new();
/// let (resource, _) = Resource::read_for(&documents[0], Uses::POLICIES.with_mutators(true));
/// assert!(store.upsert(&resource.unwrap()).is_empty());
/// let mutators = store.snapshot();
/// assert_eq!(mutators.mutators().next().unwrap().key().to_string(), "AssignMetadata/owner");
/// store.remove(mutators.mutators().next().unwrap().key());
/// assert!(store.snapshot().is_empty());
/// ```
#[derive(Debug, Default)]
pub struct MutatorStore {
    mutators: BTreeMap<MutatorKey, Arc<Compiled>>,
}

impl MutatorStore {
    /// A store without mutators.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// A store that begins with the mutators of a set. Cost: a pointer for each.
    #[must_use]
    pub fn of(set: &MutatorSet) -> Self {
        let all = set.0.mutators.iter().map(|mutator| (mutator.info.key.clone(), Arc::clone(mutator)));
        Self { mutators: all.collect() }
    }

    /// Takes a mutator that is new or was changed, and returns what is wrong with it. Resources that are no
    /// mutators change nothing. Whether it contradicts others is [`MutatorSet::conflicts`].
    pub fn upsert(&mut self, resource: &Resource) -> Vec<Error> {
        match resource {
            Resource::Mutator(mutator) => self.take(mutator, true),
            Resource::Rejected(resource) => match &**resource {
                Resource::Mutator(mutator) => self.take(mutator, false),
                resource => not_applied(resource),
            },
            resource => not_applied(resource),
        }
    }

    /// A mutator that was rejected is compiled for what else is wrong with it, and never used.
    fn take(&mut self, mutator: &Mutator, is_sound: bool) -> Vec<Error> {
        let (compiled, errors) = Compiled::compile(mutator);
        if let Some(compiled) = compiled.filter(|_| is_sound) {
            self.mutators.insert(mutator.key.clone(), Arc::new(compiled));
        }
        errors
    }

    /// Forgets a mutator.
    pub fn remove(&mut self, key: &MutatorKey) {
        self.mutators.remove(key);
    }

    /// A warning if a mutator of the same name is there already. For callers whose documents are all meant to
    /// hold at the same time, such as files.
    #[must_use]
    pub fn duplicate(&self, resource: &Resource) -> Option<Error> {
        let Resource::Mutator(mutator) = resource else { return None };
        let earlier = &self.mutators.get(&mutator.key)?.info.place;
        let message = format!("defined a second time; the first is at {earlier}");
        let warning = Error::warning(ErrorKind::DuplicateResource, message);
        let warning = warning.hint("only the last one counts").at(mutator.document.location());
        Some(warning.about(mutator.key.to_string()))
    }

    /// The mutators as they are now. Cost: a look at all locations.
    #[must_use]
    pub fn snapshot(&self) -> MutatorSet {
        let mutators: Box<[_]> = self.mutators.values().cloned().collect();
        let conflicts = Conflicts::find(&mutators);
        let applied = mutators.iter().enumerate().filter(|(position, _)| !conflicts.is_disabled(*position));
        let index = Index::build(applied);
        MutatorSet(Arc::new(Inner { mutators, conflicts, index }))
    }
}

/// Mutating admission policies of the API server's are none of these mutators: who takes only these says that the
/// others are left out. [`AdmissionMutators`](crate::AdmissionMutators) are for who applies them.
fn not_applied(resource: &Resource) -> Vec<Error> {
    let (object, document) = match resource {
        Resource::AdmissionPolicy(policy) if policy.key.effect == AdmissionEffect::Mutating => {
            (&policy.object, &policy.document)
        }
        Resource::AdmissionPolicyBinding(binding) if binding.policy.effect == AdmissionEffect::Mutating => {
            (&binding.object, &binding.document)
        }
        _ => return Vec::new(),
    };
    let message = format!("`{}` is not applied here", object.gvk().kind);
    let error = Error::new(ErrorKind::Unsupported, message);
    vec![
        error
            .hint("`portcullis mutate` applies it, and so does the API server that has it")
            .about(object.to_string())
            .at(document.location()),
    ]
}

/// Compiled mutators: immutable, cheap to clone, `Send + Sync`.
///
/// ```
/// use portcullis::{Document, Mutable, MutationLimits, MutatorSet, Object};
///
/// let (mutators, errors) = MutatorSet::compile(Document::read_all("m.yaml", r#"
/// apiVersion: mutations.gatekeeper.sh/v1
/// kind: Assign
/// metadata: {name: no-host-pid}
/// spec:
///   applyTo: [{groups: [""], versions: [v1], kinds: [Pod]}]
///   location: spec.hostPID
///   parameters: {assign: {value: false}}
/// "#).0);
/// assert!(errors.is_empty());
/// let pod = Object::from_yaml("apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  hostPID: true\n").unwrap();
///
/// let mutation = mutators.mutate(&Mutable::new(pod), MutationLimits::default(), None)?;
/// let change = &mutation.changes()[0];
/// assert_eq!(change.to_string(), "spec.hostPID: true -> false (Assign/no-host-pid)");
/// assert_eq!(change.location().unwrap().line(), 5);
/// assert_eq!(mutation.object().to_json()["spec"]["hostPID"], false);
/// # Ok::<(), portcullis::MutationError>(())
/// ```
#[derive(Clone, Debug, Default)]
pub struct MutatorSet(Arc<Inner>);

#[derive(Debug, Default)]
pub(super) struct Inner {
    /// In the order in which they are applied.
    pub(super) mutators: Box<[Arc<Compiled>]>,
    pub(super) conflicts: Conflicts,
    pub(super) index: Index,
}

impl MutatorSet {
    /// No mutators: nothing is changed.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// The mutators among documents, with all that is wrong with them, conflicts too.
    #[must_use]
    pub fn compile(documents: impl IntoIterator<Item = Document>) -> (Self, Vec<Error>) {
        let mut store = MutatorStore::new();
        let mut errors = Vec::new();
        for document in documents {
            let (resource, problems) = Resource::read_for(&document, Uses::POLICIES.with_mutators(true));
            errors.extend(problems);
            if let Some(resource) = resource {
                errors.extend(store.duplicate(&resource));
                errors.extend(store.upsert(&resource));
            }
        }
        let set = store.snapshot();
        errors.extend(set.conflicts());
        errors.sort();
        (set, errors)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.mutators.is_empty()
    }

    /// Whether some mutator that is applied asks providers of external data.
    #[must_use]
    pub fn may_ask(&self) -> bool {
        self.asking().next().is_some()
    }

    /// The mutators that are applied and ask a provider, with its name.
    pub fn asking(&self) -> impl Iterator<Item = (&MutatorInfo, &str)> {
        let applied = self.0.mutators.iter().enumerate();
        let applied = applied.filter(|(position, _)| !self.0.conflicts.is_disabled(*position));
        applied.filter_map(|(_, mutator)| Some((&*mutator.info, &*mutator.external()?.provider)))
    }

    /// A warning for each mutator that asks a provider which is not among these.
    #[must_use]
    pub fn missing_providers(&self, providers: &[Provider]) -> Vec<Error> {
        let is_missing = |name: &str| providers.iter().all(|provider| *provider.name != *name);
        let warning = |(info, name): (&MutatorInfo, &str)| {
            let message = format!("the mutator asks a provider `{name}`, which there is not");
            info.blame_at(
                &["spec", "parameters", "assign", "externalData", "provider"],
                Error::warning(ErrorKind::UnknownProvider, message)
                    .hint("give its Provider beside the mutators"),
            )
        };
        self.asking().filter(|(_, name)| is_missing(name)).map(warning).collect()
    }

    /// The mutators in the order in which they are applied, also those that are not applied because of a
    /// conflict.
    pub fn mutators(&self) -> impl Iterator<Item = &MutatorInfo> {
        self.0.mutators.iter().map(|mutator| &*mutator.info)
    }

    /// Whether a mutator is there and not applied, because it contradicts another one.
    #[must_use]
    pub fn is_disabled(&self, key: &MutatorKey) -> bool {
        self.position(key).is_some_and(|position| self.0.conflicts.is_disabled(position))
    }

    /// The mutators that contradict each other along the location of one, as Gatekeeper's statuses list them.
    /// That one is among them if it takes part, and is then not applied.
    pub fn conflicts_of(&self, key: &MutatorKey) -> impl Iterator<Item = &MutatorKey> {
        let along = self.position(key).into_iter().flat_map(|position| self.0.conflicts.along(position));
        along.filter_map(|position| Some(&self.0.mutators.get(position)?.info.key))
    }

    /// An error for each mutator that is not applied, because it contradicts others.
    pub fn conflicts(&self) -> impl Iterator<Item = Error> {
        self.0.conflicts.disabled().filter_map(|position| {
            let info = &self.0.mutators.get(position)?.info;
            let others = self.conflicts_of(&info.key).filter(|key| **key != info.key);
            let message =
                format!("the mutator is not applied: its location contradicts that of {}", list(others));
            let error = Error::new(ErrorKind::MutatorConflict, message).hint(
                "they take the same field for different things; none of them is applied until one is gone",
            );
            Some(info.blame(error))
        })
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.0
    }

    fn position(&self, key: &MutatorKey) -> Option<usize> {
        self.0.mutators.binary_search_by(|mutator| mutator.info.key.cmp(key)).ok()
    }
}
