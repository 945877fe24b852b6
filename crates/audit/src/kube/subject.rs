//! The objects of a cluster, one kind after the other, page by page.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use portcullis::{ErrorKind, Gvk, PolicySet, Scopes};
use portcullis_cluster::{
    ApiResource, Cluster, Consistency, Discovery, Leadership, Page, Pages, unknown_kinds,
};
use portcullis_report::Problem;
use tokio::runtime::Handle;

use super::{Connection, Scope};
use crate::implying::Implying;
use crate::pipeline::{Feed, Item};
use crate::policies::Policies;
use crate::run::Subject;

/// The objects of a cluster.
#[derive(Debug)]
pub struct ClusterSubject<'a> {
    connection: &'a Connection,
    policies: &'a PolicySet,
    implying: &'a Implying,
    discovery: Discovery,
    chunk_size: u32,
    scope: Scope,
    stop: &'a AtomicBool,
    leadership: Option<Arc<Leadership>>,
}

impl<'a> ClusterSubject<'a> {
    pub(super) fn new(
        connection: &'a Connection,
        policies: &'a Policies,
        discovery: Discovery,
        chunk_size: u32,
        scope: Scope,
        stop: &'a AtomicBool,
    ) -> Self {
        let Policies { set: policies, implying, .. } = policies;
        Self { connection, policies, implying, discovery, chunk_size, scope, stop, leadership: None }
    }

    /// To be audited only while the Lease is held.
    pub(super) fn while_led(self, leadership: Option<Arc<Leadership>>) -> Self {
        Self { leadership, ..self }
    }

    fn list(&self, kinds: Vec<ApiResource>) -> Lists<'_> {
        Lists {
            handle: self.connection.runtime.handle().clone(),
            cluster: &self.connection.cluster,
            failed: Vec::new().into_iter(),
            kinds: kinds.into_iter(),
            pages: None,
            page: None,
            chunk_size: self.chunk_size,
            bytes: 0,
            stop: self.stop,
        }
    }
}

impl Subject for ClusterSubject<'_> {
    fn inventory(&mut self) -> Box<dyn Feed + '_> {
        let kinds = inventory_kinds(self.policies, &self.discovery);
        let unknown = unknown_kinds(self.policies, &self.discovery);
        let failed = unknown.into_iter().map(|(gvk, why)| (gvk, why.to_string())).collect::<Vec<_>>();
        Box::new(Lists { failed: failed.into_iter(), ..self.list(kinds) })
    }

    fn objects(&mut self) -> Box<dyn Feed + '_> {
        let kinds: Vec<ApiResource> = match self.scope {
            Scope::All => self.discovery.preferred().cloned().collect(),
            Scope::Named => {
                let named = |resource: &&ApiResource| {
                    self.policies.concerns(&resource.gvk)
                        || self.implying.concerns(self.policies, &resource.gvk)
                };
                self.discovery.preferred().filter(named).cloned().collect()
            }
            Scope::Synced => {
                let synced = |resource: &&ApiResource| self.policies.synced_kinds().contains(&resource.gvk);
                self.discovery.all().filter(synced).cloned().collect()
            }
        };
        Box::new(self.list(kinds))
    }

    fn problems(&mut self) -> Vec<Problem> {
        let problem = |problem: &portcullis_cluster::DiscoveryProblem| Problem {
            help: Some("its objects are not audited".to_owned()),
            ..Problem::error(ErrorKind::Unreadable, problem.to_string())
        };
        let mut problems: Vec<_> = self.discovery.problems().iter().map(problem).collect();
        if self.scope == Scope::Synced {
            let gone = self.policies.synced_kinds().iter().filter(|gvk| self.discovery.get(gvk).is_none());
            problems.extend(gone.map(|gvk| {
                let message = format!("`{gvk}` is to be synced, but the cluster has no such kind");
                Problem::error(ErrorKind::UnknownKind, message)
            }));
        }
        problems
    }

    fn forbidden(&self) -> Option<String> {
        let is_lost = self.leadership.as_ref().is_some_and(|leadership| !leadership.is_held());
        is_lost.then(|| "the Lease was lost".to_owned())
    }

    fn scopes(&self) -> Scopes {
        self.discovery.scopes()
    }

    fn is_cluster(&self) -> bool {
        true
    }
}

/// The kinds that policies compare objects with, and the Namespaces.
pub(super) fn inventory_kinds(policies: &PolicySet, discovery: &Discovery) -> Vec<ApiResource> {
    let synced = policies.synced_kinds();
    let kinds = discovery.all().filter(|resource| {
        let is_namespace = resource.gvk == ApiResource::namespaces().gvk;
        // Policies may name a version that is not the preferred one.
        let mut reads = policies.templates().flat_map(portcullis::TemplateInfo::inventory_reads);
        // What reads kinds that its text does not say sees those that Configs and SyncSets list, as the webhook has it; all kinds, if
        // they list none.
        let is_listed = synced.is_empty() || synced.contains(&resource.gvk);
        is_namespace || reads.any(|read| read.covers(&resource.gvk) && (read.kind.is_some() || is_listed))
    });
    kinds.cloned().collect()
}

/// Lists, one kind after the other.
struct Lists<'a> {
    handle: Handle,
    cluster: &'a Cluster,
    /// Kinds that there is no way to list.
    failed: std::vec::IntoIter<(Gvk, String)>,
    kinds: std::vec::IntoIter<ApiResource>,
    pages: Option<Pages>,
    page: Option<(Arc<Page>, usize)>,
    chunk_size: u32,
    bytes: u64,
    stop: &'a AtomicBool,
}

impl Feed for Lists<'_> {
    fn next_item(&mut self) -> Option<Item> {
        if let Some((gvk, why)) = self.failed.next() {
            return Some(Item::FailedKind(gvk, why));
        }
        loop {
            if let Some((page, next)) = &mut self.page {
                if *next < page.len() {
                    let index = *next;
                    *next += 1;
                    self.bytes += page.object_bytes(index) as u64;
                    return Some(Item::Listed { page: Arc::clone(page), index });
                }
                self.page = None;
            }
            if self.stop.load(Ordering::Relaxed) {
                return None;
            }
            let Some(pages) = &mut self.pages else {
                let resource = self.kinds.next()?;
                self.pages =
                    Some(Pages::new(self.cluster, &resource, self.chunk_size, Consistency::EachOnce));
                continue;
            };
            match self.handle.block_on(pages.next()) {
                Ok(Some(page)) => self.page = Some((Arc::new(page), 0)),
                Ok(None) => self.pages = None,
                Err(error) => {
                    let gvk = pages.resource().gvk.clone();
                    self.pages = None;
                    return Some(Item::FailedKind(gvk, error.to_string()));
                }
            }
        }
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }
}
