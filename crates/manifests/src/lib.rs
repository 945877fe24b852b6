//! The manifests that a set of policies needs in a cluster, as values: custom resource definitions, roles, a
//! webhook configuration, a SyncSet. Pure: the caller reads the policies and writes the YAML.
//!
//! ```text
//! PolicySet ── ListedKinds, AdmissionRules ──> what these policies need ──┐
//! deploy/ ── what every installation needs ───────────────────────────────┴──> documents ──> YAML
//! ```
//!
//! What does not depend on policies is that of `deploy/`, which is a part of the program, so that the two
//! cannot differ.
#![forbid(unsafe_code)]

pub mod admission_policies;
mod configuration;
mod crds;
mod mutating;
mod rbac;
pub mod scaffold;
pub mod sources;
mod sync;
mod yaml;

use portcullis::{AdmissionRules, Error, ExpansionSet, Kinds, ListedKinds, MutatorSet, PolicySet, Uses};
use serde_json::Value;

pub use crds::own_crds;
pub use yaml::to_yaml;

/// The namespace of `deploy/`.
pub const NAMESPACE: &str = "portcullis-system";

/// The file of the SyncSet.
const SYNC_SET: &str = "sync-set.yaml";

/// What the manifests are to be like.
#[derive(Clone, Debug)]
pub struct Options {
    /// The namespace of the programs.
    pub namespace: String,
    /// Gatekeeper serves as well: what only it supports is left to it.
    pub beside_gatekeeper: bool,
    /// The webhook makes the CRDs of constraint kinds (`--apply-crds`).
    pub apply_crds: bool,
    /// The webhook mutates (`--mutate`).
    pub mutates: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { namespace: NAMESPACE.to_owned(), beside_gatekeeper: false, apply_crds: false, mutates: false }
    }
}

/// Documents, and what is to be said about them.
#[derive(Clone, Debug, Default)]
pub struct Manifests {
    /// Each with the file that it belongs to, in the order in which they are to be applied.
    pub files: Vec<(&'static str, Vec<Value>)>,
    /// Warnings.
    pub notes: Vec<Error>,
}

/// A manifest of `deploy/` is not what the program was built for. A test keeps this from happening.
#[derive(Debug, thiserror::Error)]
#[error("the manifest `{file}` that is a part of this program cannot be used: {reason}")]
pub struct Broken {
    file: &'static str,
    reason: String,
}

impl Manifests {
    /// What the webhook needs: its roles, its configuration, and a SyncSet.
    ///
    /// # Errors
    ///
    /// If the program was built with other manifests than it was made for.
    pub fn webhook(
        policies: &PolicySet,
        expansions: &ExpansionSet,
        kinds: &Kinds,
        options: &Options,
    ) -> Result<Self, Broken> {
        let compared = ListedKinds::compared(policies, kinds);
        let uses = Uses::POLICIES.with_expansions(true).with_mutators(options.mutates);
        let mut rules = AdmissionRules::of_webhook(policies, expansions, uses, kinds);
        if options.beside_gatekeeper {
            rules = rules.without_refusals();
        }
        let mut files = vec![("webhook-rbac.yaml", rbac::webhook(policies, &compared, options)?)];
        let sync = sync::sync_set(policies, &compared);
        if !sync.is_empty() {
            files.push((SYNC_SET, sync));
        }
        files.push(("webhook-configuration.yaml", configuration::webhook(&rules, options)?));
        let notes = rules.notes().iter().cloned().chain(compared.notes).collect();
        Ok(Self { files, notes })
    }

    /// What the webhook needs with `--mutate`: the configuration by which it is asked. Nothing, if there are no mutators.
    ///
    /// # Errors
    ///
    /// If the program was built with other manifests than it was made for.
    pub fn mutation(mutators: &MutatorSet, kinds: &Kinds, options: &Options) -> Result<Self, Broken> {
        if mutators.is_empty() {
            return Ok(Self::default());
        }
        let files = vec![(mutating::FILE, mutating::webhook(mutators, kinds, options)?)];
        Ok(Self { files, notes: Vec::new() })
    }

    /// What the audit needs: its roles, and a SyncSet.
    ///
    /// # Errors
    ///
    /// If the program was built with other manifests than it was made for.
    pub fn audit(
        policies: &PolicySet,
        expansions: &ExpansionSet,
        kinds: &Kinds,
        options: &Options,
    ) -> Result<Self, Broken> {
        let audited = ListedKinds::audited(policies, expansions, kinds);
        let compared = ListedKinds::compared(policies, kinds);
        let mut files = vec![("audit-rbac.yaml", rbac::audit(&audited, &compared, options)?)];
        let sync = sync::sync_set(policies, &compared);
        if !sync.is_empty() {
            files.push((SYNC_SET, sync));
        }
        Ok(Self { files, notes: audited.notes.into_iter().chain(compared.notes).collect() })
    }

    /// Takes others, too.
    pub fn extend(&mut self, other: Self) {
        for (file, documents) in other.files {
            // Both programs have the same SyncSet.
            if !self.files.iter().any(|(known, _)| *known == file) {
                self.files.push((file, documents));
            }
        }
        self.notes.extend(other.notes);
        self.notes.sort();
        self.notes.dedup();
    }

    /// All documents, in their order.
    pub fn documents(&self) -> impl Iterator<Item = &Value> {
        self.files.iter().flat_map(|(_, documents)| documents)
    }
}

/// The documents of a manifest of `deploy/`, in another namespace.
fn documents(file: &'static str, text: &str, options: &Options) -> Result<Vec<Value>, Broken> {
    let text = text.replace(NAMESPACE, &options.namespace);
    let (documents, errors) = portcullis::Document::read_all(file, &text);
    match errors.first() {
        Some(error) => Err(Broken { file, reason: error.to_string() }),
        None => Ok(documents.iter().map(portcullis::Document::to_json).collect()),
    }
}
