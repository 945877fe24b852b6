//! `Config`: what to cache and which namespaces to leave alone.

use std::sync::Arc;

use crate::api::sync_set::read_gvk;
use crate::document::Document;
use crate::error::Error;
use crate::names::Gvk;
use crate::node::Node;
use crate::object::Object;
use crate::source::Location;

/// The engine's configuration object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// `namespace/name`: a newer document of the same name replaces it.
    pub name: Arc<str>,
    /// Kinds to cache for referential policies.
    pub sync_only: Vec<Gvk>,
    /// Namespaces that some processes leave alone.
    pub exclusions: Vec<ExclusionRule>,
    /// Where it stands.
    pub location: Option<Location>,
}

/// One entry of `spec.match`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExclusionRule {
    /// Namespace names; `*` at either end stands for any text.
    pub namespaces: Vec<Arc<str>>,
    /// The processes that leave them alone.
    pub processes: Vec<Process>,
}

/// A process that a [`Config`] can keep away from namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Process {
    /// Audit.
    Audit,
    /// The validating webhook.
    Webhook,
    /// Caching of objects.
    Sync,
    /// The mutating webhook.
    MutationWebhook,
    /// All of them.
    All,
}

impl Config {
    pub(super) fn read(document: &Document, object: &Object, errors: &mut Vec<Error>) -> Self {
        const PROCESSES: &[(&str, Process)] = &[
            ("*", Process::All),
            ("audit", Process::Audit),
            ("webhook", Process::Webhook),
            ("sync", Process::Sync),
            ("mutation-webhook", Process::MutationWebhook),
        ];
        let root = Node::root(document);
        root.check_fields(&["apiVersion", "kind", "metadata", "spec", "status"], errors);
        let name = format!("{}/{}", object.namespace(), object.name()).into();
        let mut config = Self { name, location: Some(document.location()), ..Self::default() };
        let Some(spec) = root.field("spec") else { return config };
        spec.check_fields(&["sync", "match", "validation", "readiness"], errors);
        if let Some(sync) = spec.field("sync") {
            sync.check_fields(&["syncOnly"], errors);
            config.sync_only =
                sync.list("syncOnly", errors).iter().filter_map(|item| read_gvk(item, errors)).collect();
        }
        for rule in spec.list("match", errors) {
            rule.check_fields(&["excludedNamespaces", "processes"], errors);
            let namespaces = rule.texts("excludedNamespaces", errors);
            let processes = rule
                .list("processes", errors)
                .iter()
                .filter_map(|process| process.one_of(PROCESSES, errors))
                .collect();
            config.exclusions.push(ExclusionRule { namespaces, processes });
        }
        config
    }
}
