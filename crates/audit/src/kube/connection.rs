//! A connection to a cluster, and the policies that it has.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use portcullis::{
    Error, ErrorKind, PolicySet, PolicySettings, Resource, Unsupported, Uses, unsupported_kinds,
};
use portcullis_cluster::{
    ApiResource, Cluster, ClusterError, ConnectOptions, Consistency, Discovery, Leadership, LeaseOptions,
    Pages,
};
use tokio::runtime::Runtime;

use super::{ClusterSubject, Scope};
use crate::error::{RunError, system};
use crate::implying::{Expand, Implying, USES};
use crate::policies::Policies;

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
        let listed = self.runtime.block_on(async {
            let discovery = Discovery::of(&self.cluster).await?;
            let mut resources = Vec::new();
            let mut problems = Vec::new();
            self.policies_of(&ApiResource::templates(), &mut resources, &mut problems).await?;
            let kinds: Vec<_> = discovery
                .preferred()
                .filter(|resource| &*resource.gvk.group == "constraints.gatekeeper.sh")
                .cloned()
                .collect();
            let others = [ApiResource::configs(), ApiResource::sync_sets()];
            let others = others.into_iter().filter(|resource| discovery.get(&resource.gvk).is_some());
            for resource in kinds.into_iter().chain(others) {
                self.policies_of(&resource, &mut resources, &mut problems).await?;
            }
            self.exceptions(&discovery, &mut resources, &mut problems).await;
            let unlisted = self.others(&discovery, &mut resources, &mut problems).await;
            Ok((resources, problems, unlisted))
        });
        let (mut resources, mut problems, unlisted) = listed.map_err(RunError::Cluster)?;
        let (implying, found) = Implying::take(&mut resources, expand);
        problems.extend(found.into_iter().map(as_the_cluster_has_it));
        problems
            .extend(unlisted.into_iter().map(|(resource, error)| not_known(&resource, &error, &implying)));
        let (set, found) = PolicySet::from_resources_in(resources, settings);
        problems.extend(found);
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        problems.extend(set.idle_exceptions(Some(i64::try_from(now.as_nanos()).unwrap_or(i64::MAX))));
        Ok(Policies::new(set, implying, unsupported.judge(problems)))
    }

    /// The exceptions. If they cannot be listed, none is in force, and that is an error: what they would let pass is found.
    async fn exceptions(
        &self,
        discovery: &Discovery,
        resources: &mut Vec<Resource>,
        problems: &mut Vec<Error>,
    ) {
        let resource = ApiResource::exceptions();
        if discovery.get(&resource.gvk).is_none() {
            return;
        }
        // Half of a list is none.
        let (mut some, mut found) = (Vec::new(), Vec::new());
        match self.policies_of(&resource, &mut some, &mut found).await {
            Ok(()) => {
                resources.extend(some);
                problems.extend(found);
            }
            Err(error) => {
                let message = format!("no exception is in force, since {resource} cannot be listed: {error}");
                problems.push(Error::new(ErrorKind::Unreadable, message));
            }
        }
    }

    /// Expansion templates and mutators, and what the cluster has of Gatekeeper's kinds that nothing is done for. Returns the kinds that
    /// cannot be listed, and why.
    async fn others(
        &self,
        discovery: &Discovery,
        resources: &mut Vec<Resource>,
        problems: &mut Vec<Error>,
    ) -> Vec<(ApiResource, ClusterError)> {
        let kinds: BTreeSet<_> = unsupported_kinds(Uses::POLICIES).map(|gvk| gvk.group_kind()).collect();
        let mut unlisted = Vec::new();
        for resource in discovery.preferred().filter(|resource| kinds.contains(&resource.gvk.group_kind())) {
            // Half of a list is none.
            let (mut some, mut found) = (Vec::new(), Vec::new());
            match self.policies_of(resource, &mut some, &mut found).await {
                Ok(()) => {
                    let is_used = |one: &Resource| one.is_expansion() || one.is_mutator();
                    resources.extend(some.into_iter().filter(is_used));
                    problems.extend(found);
                }
                Err(error) => unlisted.push((resource.clone(), error)),
            }
        }
        unlisted
    }

    async fn policies_of(
        &self,
        resource: &ApiResource,
        resources: &mut Vec<Resource>,
        problems: &mut Vec<Error>,
    ) -> Result<(), ClusterError> {
        const PAGE: u32 = 100;
        let mut pages = Pages::new(&self.cluster, resource, PAGE, Consistency::EachOnce);
        while let Some(page) = pages.next().await? {
            for object in page.objects() {
                match object {
                    Err(error) => problems.push(error),
                    Ok(object) => {
                        let Some(document) = object.document() else { continue };
                        let (resource, found) = Resource::read_for(document, USES);
                        // Of mutators, what is wrong depends on whether they are used.
                        let is_mutator = resource.as_ref().is_some_and(Resource::is_mutator);
                        problems.extend(found.into_iter().filter(|_| !is_mutator));
                        resources.extend(resource);
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
fn not_known(resource: &ApiResource, error: &ClusterError, implying: &Implying) -> Error {
    let is_expansion = &*resource.gvk.group == "expansion.gatekeeper.sh";
    let is_mutator = &*resource.gvk.group == "mutations.gatekeeper.sh";
    if is_expansion || (is_mutator && !implying.is_empty()) {
        let message =
            format!("it is not known what objects imply, since {resource} cannot be listed: {error}");
        return Error::new(ErrorKind::Unreadable, message);
    }
    let message = format!("it is not known whether there are {resource}, which are not supported: {error}");
    Error::warning(ErrorKind::Unsupported, message)
}
