//! A connection to a cluster, and the policies that it has.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use portcullis::{
    Error, ErrorKind, Object, PolicySet, PolicySettings, Resource, Scopes, Unsupported, Uses,
    unsupported_kinds,
};
use portcullis_cluster::{
    ApiResource, Cluster, ClusterError, ConnectOptions, Consistency, Discovery, Leadership, LeaseOptions,
    Pages, unknown_kinds,
};
use tokio::runtime::Runtime;

use super::subject::inventory_kinds;
use super::{ClusterSubject, Scope};
use crate::error::{RunError, system};
use crate::implying::{Expand, Implying, USES};
use crate::policies::Policies;

/// Most bytes of objects that [`Connection::inventory`] takes, as they are sent.
const INVENTORY_BYTES: usize = 1 << 30;
const TOO_MUCH: &str = "the cluster has more than 1 GiB of what the policies compare objects with; audit it with \
     `portcullis audit --kube`, which keeps of each object only what is read, or give a part of it with `--inventory`";

/// What is done with the mutators of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutators {
    /// Objects are mutated.
    Applied,
    /// They count for what objects imply, if anything does.
    Implied,
}

/// What a cluster has of policies.
#[derive(Debug, Default)]
struct Listed {
    resources: Vec<Resource>,
    problems: Vec<Error>,
    of_mutators: Vec<Error>,
    /// The kinds that cannot be listed, and why.
    unlisted: Vec<(ApiResource, ClusterError)>,
}

impl Listed {
    fn extend(&mut self, other: Self) {
        self.resources.extend(other.resources);
        self.problems.extend(other.problems);
        self.of_mutators.extend(other.of_mutators);
        self.unlisted.extend(other.unlisted);
    }
}

/// A connection with the threads that it works on.
#[derive(Debug)]
pub struct Connection {
    pub(super) runtime: Runtime,
    pub(super) cluster: Cluster,
}

impl Connection {
    /// Sets it up; no request is made yet.
    ///
    /// # Errors
    ///
    /// If it is not known where the API server is.
    pub fn open(options: &ConnectOptions) -> Result<Self, RunError> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(system("starting the thread that asks the API server"))?;
        let cluster = runtime.block_on(Cluster::connect(options)).map_err(RunError::Cluster)?;
        Ok(Self { runtime, cluster })
    }

    /// The policies that the cluster has.
    ///
    /// # Errors
    ///
    /// If its templates, or the constraints of one, cannot be listed: an audit by half of the policies would look like a whole one.
    pub fn policies(
        &self,
        expand: Option<Expand>,
        unsupported: Unsupported,
        settings: &PolicySettings,
    ) -> Result<Policies, RunError> {
        let Listed { mut resources, mut problems, unlisted, .. } = self.listed()?;
        let (implying, found) = Implying::take(&mut resources, expand);
        problems.extend(found.into_iter().map(as_the_cluster_has_it));
        let is_used = !implying.is_empty();
        problems.extend(unlisted.into_iter().map(|(resource, error)| not_known(&resource, &error, is_used)));
        let (set, found) = PolicySet::from_resources_in(resources, settings);
        problems.extend(found);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        problems.extend(set.idle_exceptions(Some(i64::try_from(now.as_nanos()).unwrap_or(i64::MAX))));
        Ok(Policies::new(set, implying, unsupported.judge(problems)))
    }

    /// The policies that the cluster has, not compiled: for who puts others beside them. What is wrong with mutators is among the
    /// problems only if they are applied.
    ///
    /// # Errors
    ///
    /// As for [`policies`](Self::policies).
    pub fn resources(&self, mutators: Mutators) -> Result<(Vec<Resource>, Vec<Error>), RunError> {
        let Listed { resources, mut problems, of_mutators, unlisted } = self.listed()?;
        let is_expanded = resources.iter().any(Resource::is_expansion);
        let is_used = is_expanded || mutators == Mutators::Applied;
        problems.extend(of_mutators.into_iter().filter(|_| mutators == Mutators::Applied));
        problems.extend(unlisted.into_iter().map(|(resource, error)| not_known(&resource, &error, is_used)));
        Ok((resources, problems))
    }

    fn listed(&self) -> Result<Listed, RunError> {
        let listed = self.runtime.block_on(async {
            let discovery = Discovery::of(&self.cluster).await?;
            let mut listed = Listed::default();
            self.policies_of(&ApiResource::templates(), &mut listed).await?;
            let kinds: Vec<_> = discovery
                .preferred()
                .filter(|resource| &*resource.gvk.group == "constraints.gatekeeper.sh")
                .cloned()
                .collect();
            let others = [ApiResource::configs(), ApiResource::sync_sets()];
            let others = others.into_iter().filter(|resource| discovery.get(&resource.gvk).is_some());
            for resource in kinds.into_iter().chain(others) {
                self.policies_of(&resource, &mut listed).await?;
            }
            self.exceptions(&discovery, &mut listed).await;
            self.others(&discovery, &mut listed).await;
            Ok(listed)
        });
        listed.map_err(RunError::Cluster)
    }

    /// What policies compare objects with, and the Namespaces: each object is handed over as it comes. Returns where objects of the
    /// cluster's kinds live, and what could not be listed.
    ///
    /// # Errors
    ///
    /// If not even the kinds can be asked for.
    pub fn inventory(
        &self,
        policies: &PolicySet,
        mut take: impl FnMut(Object),
    ) -> Result<(Scopes, Vec<Error>), RunError> {
        const PAGE: u32 = 500;
        let discovery = self.runtime.block_on(Discovery::of(&self.cluster)).map_err(RunError::Cluster)?;
        let mut problems = Vec::new();
        let missing = |kind: &dyn std::fmt::Display, why: &dyn std::fmt::Display| {
            let message = format!("policies compare objects with {kind}, which cannot be listed: {why}");
            Error::new(ErrorKind::Unreadable, message)
        };
        for (gvk, why) in unknown_kinds(policies, &discovery) {
            problems.push(missing(&gvk, &why));
        }
        let mut bytes = 0;
        for resource in inventory_kinds(policies, &discovery) {
            let mut pages = Pages::new(&self.cluster, &resource, PAGE, Consistency::EachOnce);
            loop {
                match self.runtime.block_on(pages.next()) {
                    Ok(None) => break,
                    Err(error) => {
                        problems.push(missing(&resource, &error));
                        break;
                    }
                    Ok(Some(page)) => {
                        bytes += (0..page.len()).map(|index| page.object_bytes(index)).sum::<usize>();
                        if bytes > INVENTORY_BYTES {
                            return Err(RunError::Usage(TOO_MUCH.to_owned()));
                        }
                        for object in page.objects() {
                            match object {
                                Ok(object) => take(object),
                                Err(error) => problems.push(error),
                            }
                        }
                    }
                }
            }
        }
        Ok((discovery.scopes(), problems))
    }

    /// The exceptions. If they cannot be listed, none is in force, and that is an error: what they would let pass is found.
    async fn exceptions(&self, discovery: &Discovery, listed: &mut Listed) {
        let resource = ApiResource::exceptions();
        if discovery.get(&resource.gvk).is_none() {
            return;
        }
        // Half of a list is none.
        let mut found = Listed::default();
        match self.policies_of(&resource, &mut found).await {
            Ok(()) => listed.extend(found),
            Err(error) => {
                let message = format!("no exception is in force, since {resource} cannot be listed: {error}");
                listed.problems.push(Error::new(ErrorKind::Unreadable, message));
            }
        }
    }

    /// Expansion templates and mutators, and what the cluster has of Gatekeeper's kinds that nothing is done for.
    async fn others(&self, discovery: &Discovery, listed: &mut Listed) {
        let kinds: BTreeSet<_> = unsupported_kinds(Uses::POLICIES).map(|gvk| gvk.group_kind()).collect();
        for resource in discovery.preferred().filter(|resource| kinds.contains(&resource.gvk.group_kind())) {
            // Half of a list is none.
            let mut found = Listed::default();
            match self.policies_of(resource, &mut found).await {
                Ok(()) => {
                    found.resources.retain(|one| {
                        one.is_expansion() || one.is_mutator() || matches!(one, Resource::Provider(_))
                    });
                    listed.extend(found);
                }
                Err(error) => listed.unlisted.push((resource.clone(), error)),
            }
        }
    }

    async fn policies_of(&self, resource: &ApiResource, listed: &mut Listed) -> Result<(), ClusterError> {
        const PAGE: u32 = 100;
        let mut pages = Pages::new(&self.cluster, resource, PAGE, Consistency::EachOnce);
        while let Some(page) = pages.next().await? {
            for object in page.objects() {
                match object {
                    Err(error) => listed.problems.push(error),
                    Ok(object) => {
                        let Some(document) = object.document() else { continue };
                        let (resource, found) = Resource::read_for(document, USES);
                        // Of mutators, what is wrong depends on whether they are used.
                        let is_mutator = resource.as_ref().is_some_and(Resource::is_mutator);
                        let problems =
                            if is_mutator { &mut listed.of_mutators } else { &mut listed.problems };
                        problems.extend(found);
                        listed.resources.extend(resource);
                    }
                }
            }
        }
        Ok(())
    }

    /// The objects of the cluster, as far as they can be listed.
    ///
    /// # Errors
    ///
    /// If not even the kinds can be asked for.
    pub fn subject<'a>(
        &'a self,
        policies: &'a Policies,
        chunk_size: u32,
        scope: Scope,
        stop: &'a AtomicBool,
    ) -> Result<ClusterSubject<'a>, RunError> {
        let discovery = self.runtime.block_on(Discovery::of(&self.cluster)).map_err(RunError::Cluster)?;
        Ok(ClusterSubject::new(self, policies, discovery, chunk_size, scope, stop))
    }

    /// Waits until the Lease is ours; `None` if we were asked to end before.
    pub(super) fn lead(
        &self,
        options: LeaseOptions,
        stop: &AtomicBool,
    ) -> Result<Option<Leadership>, RunError> {
        const LOOK: Duration = Duration::from_millis(200);
        self.runtime.block_on(async {
            let mut acquire = std::pin::pin!(Leadership::acquire(&self.cluster, options));
            loop {
                match tokio::time::timeout(LOOK, &mut acquire).await {
                    Ok(leadership) => return leadership.map(Some).map_err(RunError::Cluster),
                    Err(_) if stop.load(Ordering::Relaxed) => return Ok(None),
                    Err(_) => {}
                }
            }
        })
    }
}

/// Mutators that contradict each other are not applied, and all others are: so has it the webhook of the cluster, and their statuses say it.
/// What is generated is changed by those that are applied, so that nothing is unknown.
fn as_the_cluster_has_it(problem: Error) -> Error {
    if problem.kind() == ErrorKind::MutatorConflict { problem.into_warning() } else { problem }
}

/// That a kind cannot be listed. Without expansion templates, or the mutators of what they generate, objects would be judged by half of what
/// they imply; of what is not supported anyway it is only not known whether there is any.
fn not_known(resource: &ApiResource, error: &ClusterError, is_mutating: bool) -> Error {
    let is_expansion = &*resource.gvk.group == "expansion.gatekeeper.sh";
    let is_mutator = &*resource.gvk.group == "mutations.gatekeeper.sh";
    if is_expansion || (is_mutator && is_mutating) {
        let message =
            format!("it is not known what objects imply, since {resource} cannot be listed: {error}");
        return Error::new(ErrorKind::Unreadable, message);
    }
    if resource.gvk.group_kind() == ApiResource::providers().gvk.group_kind() {
        // Policies that ask one of them get no answer, and so are errors.
        let message =
            format!("no Provider of the cluster can be asked, since {resource} cannot be listed: {error}");
        return Error::warning(ErrorKind::Unreadable, message);
    }
    let message = format!("it is not known whether there are {resource}, which are not supported: {error}");
    Error::warning(ErrorKind::Unsupported, message)
}
