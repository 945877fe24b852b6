//! An audit of a cluster: policies and objects come from an API server, page by page.
//!
//! ```text
//! discovery ──> kinds, in the version that the API server prefers ──> pages ──> items, in the order of kinds and lists
//! ```
//!
//! A kind that cannot be listed, or not to its end, is reported, and the others are audited.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::ValueHint;
use portcullis::{Error, PolicySet, Resource};
use portcullis_cluster::{
    Access, ApiResource, Cluster, ClusterError, ConnectOptions, Consistency, Discovery, Page, Pages,
};
use portcullis_report::audit::Problem;
use tokio::runtime::{Handle, Runtime};

use crate::args::AuditArgs;
use crate::pipeline::{Feed, Item};
use crate::policies::Policies;
use crate::run::{self, RunError, Settings, Status, Subject};
use crate::sink::Options;

/// What an audit of a cluster is told beside what every audit is told.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Cluster")]
pub struct KubeArgs {
    /// Audit the objects of a cluster instead of files, by the policies that it has unless `--policies` names others.
    #[arg(long)]
    pub kube: bool,
    /// The kubeconfig; if not given, that of the pod, or KUBECONFIG, or ~/.kube/config.
    #[arg(long, requires = "kube", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub kubeconfig: Option<PathBuf>,
    /// The context of the kubeconfig.
    #[arg(long, requires = "kube", value_name = "NAME")]
    pub context: Option<String>,
    /// The address of an API server that asks for no credentials, such as that of `kubectl proxy`.
    #[arg(long, requires = "kube", value_name = "URL", conflicts_with_all = ["kubeconfig", "context"])]
    pub server: Option<String>,
    /// Requests a second in the long run.
    #[arg(long, requires = "kube", value_name = "N", default_value_t = 50)]
    pub qps: u32,
    /// Requests that may go out at once after a pause.
    #[arg(long, requires = "kube", value_name = "N", default_value_t = 100)]
    pub burst: u32,
    /// Objects of one page of a list; 0 lists all at once.
    #[arg(long, requires = "kube", value_name = "N", default_value_t = 500)]
    pub chunk_size: u32,
    /// List only kinds that a constraint names; as soon as one names none, all are listed.
    #[arg(long, requires = "kube")]
    pub match_kind_only: bool,
}

impl KubeArgs {
    fn options(&self) -> ConnectOptions {
        let access = match (&self.server, &self.kubeconfig, &self.context) {
            (Some(url), _, _) => Access::Url(url.clone()),
            (None, None, None) => Access::Inferred,
            (None, file, context) => Access::Kubeconfig { file: file.clone(), context: context.clone() },
        };
        ConnectOptions {
            access,
            requests_per_second: self.qps,
            burst: self.burst,
            user_agent: concat!("portcullis-audit/", env!("CARGO_PKG_VERSION")).to_owned(),
            ..ConnectOptions::default()
        }
    }
}

/// A connection with the threads that it works on.
#[derive(Debug)]
pub struct Connection {
    runtime: Runtime,
    cluster: Cluster,
}

fn of_cluster(error: ClusterError) -> RunError {
    RunError::Cluster(error)
}

impl Connection {
    /// Sets it up; no request is made yet.
    ///
    /// # Errors
    ///
    /// If it is not known where the API server is.
    pub fn open(options: &ConnectOptions) -> Result<Self, RunError> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.map_err(run::system("starting the thread that asks the API server"))?;
        let cluster = runtime.block_on(Cluster::connect(options)).map_err(of_cluster)?;
        Ok(Self { runtime, cluster })
    }

    /// The policies that the cluster has.
    ///
    /// # Errors
    ///
    /// If its templates, or the constraints of one, cannot be listed: an audit by half of the policies would look like a whole one.
    pub fn policies(&self) -> Result<Policies, RunError> {
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
            Ok((resources, problems))
        });
        let (resources, mut problems) = listed.map_err(of_cluster)?;
        let (set, found) = PolicySet::from_resources(resources);
        problems.extend(found);
        Ok(Policies::new(set, problems))
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
                        let (resource, found) = Resource::read(document);
                        resources.extend(resource);
                        problems.extend(found);
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
        policies: &'a PolicySet,
        chunk_size: u32,
        match_kind_only: bool,
        stop: &'a AtomicBool,
    ) -> Result<ClusterSubject<'a>, RunError> {
        let discovery = self.runtime.block_on(Discovery::of(&self.cluster)).map_err(of_cluster)?;
        Ok(ClusterSubject { connection: self, policies, discovery, chunk_size, match_kind_only, stop })
    }
}

/// The objects of a cluster.
#[derive(Debug)]
pub struct ClusterSubject<'a> {
    connection: &'a Connection,
    policies: &'a PolicySet,
    discovery: Discovery,
    chunk_size: u32,
    match_kind_only: bool,
    stop: &'a AtomicBool,
}

impl ClusterSubject<'_> {
    fn list(&self, kinds: Vec<ApiResource>) -> Lists<'_> {
        Lists {
            handle: self.connection.runtime.handle().clone(),
            cluster: &self.connection.cluster,
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
        let kinds = self.discovery.all().filter(|resource| {
            let is_namespace = resource.gvk == ApiResource::namespaces().gvk;
            // Policies may name a version that is not the preferred one.
            let reads = self.policies.templates().flat_map(|template| template.inventory_reads());
            is_namespace || reads.into_iter().any(|read| read.covers(&resource.gvk))
        });
        Box::new(self.list(kinds.cloned().collect()))
    }

    fn objects(&mut self) -> Box<dyn Feed + '_> {
        let kinds = self.discovery.preferred().filter(|resource| {
            !self.match_kind_only || self.policies.concerns_kind(&resource.gvk.kind)
        });
        Box::new(self.list(kinds.cloned().collect()))
    }

    fn problems(&mut self) -> Vec<Problem> {
        let problem = |problem: &portcullis_cluster::DiscoveryProblem| Problem {
            is_error: true,
            code: "unreadable",
            place: None,
            message: problem.to_string(),
            help: Some("its objects are not audited".to_owned()),
        };
        self.discovery.problems().iter().map(problem).collect()
    }

    fn is_cluster(&self) -> bool {
        true
    }
}

/// Lists, one kind after the other.
struct Lists<'a> {
    handle: Handle,
    cluster: &'a Cluster,
    kinds: std::vec::IntoIter<ApiResource>,
    pages: Option<Pages>,
    page: Option<(Arc<Page>, usize)>,
    chunk_size: u32,
    bytes: u64,
    stop: &'a AtomicBool,
}

impl Feed for Lists<'_> {
    fn next_item(&mut self) -> Option<Item> {
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

/// Audits a cluster as the command line says, once or again and again until it is told to end.
///
/// # Errors
///
/// If the API server cannot be asked, an output cannot be written, or the system fails.
pub fn run(audit: &AuditArgs, kube: &KubeArgs) -> Result<Status, RunError> {
    if !audit.paths.is_empty() || !audit.inventory.is_empty() {
        let text = "with `--kube` the objects are those of the cluster; name no files beside it";
        return Err(RunError::Usage(text.to_owned()));
    }
    let stop = run::stop_on_signals()?;
    let settings = Settings::of(audit);
    let connection = Connection::open(&kube.options())?;
    run::repeat(audit.interval, &stop, |_| {
        let policies = match audit.policies.is_empty() {
            true => connection.policies()?,
            false => run::read_policies(audit)?,
        };
        let mut subject =
            connection.subject(&policies.set, kube.chunk_size, kube.match_kind_only, &stop)?;
        let options = Options {
            violations_limit: audit.constraint_violations_limit,
            message_limit: audit.message_limit,
        };
        let mut sinks: Vec<_> =
            audit.outputs().into_iter().map(|(form, target)| form.sink(target, options)).collect();
        Ok(run::audit(&policies, &mut subject, &settings, &mut sinks, &stop)?.into())
    })
}
