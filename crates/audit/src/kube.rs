//! An audit of a cluster: policies and objects come from an API server, page by page.
//!
//! ```text
//! discovery ──> kinds, in the version that the API server prefers ──> pages ──> items, in the order of kinds and lists
//! ```
//!
//! A kind that cannot be listed, or not to its end, is reported, and the others are audited.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use portcullis::{
    ConfigHomes, Error, ErrorKind, Gvk, PolicySet, Resource, Scopes, Unsupported, unsupported_kinds,
};
use portcullis_cluster::{
    ApiResource, AuditStatus, AuditViolation, Cluster, ClusterError, ConnectArgs, ConnectOptions,
    Consistency, Discovery, Leadership, LeaseOptions, ObjectId, Page, Pages, delete_others, unknown_kinds,
    write_audit_status, write_object,
};
use portcullis_report::ExitStatus;
use portcullis_report::audit::{AuditReport, Completion, Finding, Problem};
use serde_json::Value;
use tokio::runtime::{Handle, Runtime};

use crate::args::AuditArgs;
use crate::compare::Compare;
use crate::pipeline::{Feed, Item};
use crate::policies::Policies;
use crate::run::{self, RunError, Settings, Subject};
use crate::sink::policy_report::{self, Api};
use crate::sink::status::statuses;
use crate::sink::{Options, Sink, Start};
use crate::spool::Spool;

/// What an audit of a cluster is told beside what every audit is told.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Cluster")]
#[command(mut_arg("kube_qps", |flag| flag.default_value("50")))]
#[command(mut_arg("kube_burst", |flag| flag.default_value("100")))]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct KubeArgs {
    /// Audit the objects of a cluster instead of files, by the policies that it has unless `--policies` names others.
    #[arg(long)]
    pub kube: bool,
    #[command(flatten)]
    #[allow(missing_docs, reason = "its comment would become the help's")]
    pub connect: ConnectArgs,
    /// Objects of one page of a list; 0 lists all at once.
    #[arg(long, requires = "kube", value_name = "N", default_value_t = 500)]
    pub chunk_size: u32,
    /// List only kinds that a constraint names, or its Rego; as soon as one names none, all are listed.
    #[arg(long, requires = "kube")]
    pub match_kind_only: bool,
    /// Audit only the kinds that the Config and SyncSets name, as Gatekeeper's audit from its cache does.
    #[arg(long, requires = "kube")]
    pub synced_kinds_only: bool,
    /// Write what was found into the status of the cluster's constraints, where it has changed.
    #[arg(long, requires = "kube", conflicts_with_all = ["policies", "compare_status"])]
    pub update_status: bool,
    /// Write the time of the audit into the status of constraints at least so often, also where nothing has changed.
    #[arg(long, requires = "update_status", value_name = "SECONDS", default_value_t = 300)]
    pub status_refresh: u64,
    /// Write report objects, where they have changed; may be repeated.
    #[arg(long, requires = "kube", conflicts_with = "compare_status", value_name = "API")]
    pub reports: Vec<Api>,
    /// Audit only while holding this Lease, so that of several pods one audits.
    #[arg(long, requires = "kube", value_name = "NAMESPACE/NAME", value_parser = lease)]
    pub lease: Option<(String, String)>,
    /// How long the Lease holds that is not renewed: so long nobody audits when its holder dies, and for less its holder may be without
    /// the API server.
    #[arg(long, requires = "lease", value_name = "SECONDS", default_value_t = 15, value_parser = clap::value_parser!(u64).range(2..=3600))]
    pub lease_duration: u64,
    /// Who we are to others that want the Lease; the host's name if not given, which is that of the pod.
    #[arg(long, requires = "lease", value_name = "NAME")]
    pub identity: Option<String>,
}

fn lease(text: &str) -> Result<(String, String), String> {
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => {
            Ok((namespace.to_owned(), name.to_owned()))
        }
        _ => Err("expected `NAMESPACE/NAME`".to_owned()),
    }
}

/// Which kinds of a cluster are audited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// All that can be listed.
    All,
    /// Those that a constraint may be about.
    Named,
    /// Those that the Config and SyncSets name.
    Synced,
}

impl KubeArgs {
    fn options(&self) -> ConnectOptions {
        self.connect.options(concat!("portcullis-audit/", env!("CARGO_PKG_VERSION")))
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
    pub fn policies(&self, unsupported: Unsupported, homes: &ConfigHomes) -> Result<Policies, RunError> {
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
            self.unsupported(&discovery, &mut problems).await;
            Ok((resources, problems))
        });
        let (resources, mut problems) = listed.map_err(of_cluster)?;
        let (set, found) = PolicySet::from_resources_in(resources, homes);
        problems.extend(found);
        Ok(Policies::new(set, unsupported.judge(problems)))
    }

    /// What the cluster has of Gatekeeper's kinds that nothing is done for. A kind that may not be listed is warned of: whether there
    /// is any is not known.
    async fn unsupported(&self, discovery: &Discovery, problems: &mut Vec<Error>) {
        let kinds: BTreeSet<_> = unsupported_kinds().map(|gvk| gvk.group_kind()).collect();
        for resource in discovery.preferred().filter(|resource| kinds.contains(&resource.gvk.group_kind())) {
            let (mut none, mut found) = (Vec::new(), Vec::new());
            match self.policies_of(resource, &mut none, &mut found).await {
                Ok(()) => problems.extend(found),
                Err(error) => {
                    let message = format!(
                        "it is not known whether there are {resource}, which are not supported: {error}"
                    );
                    problems.push(Error::warning(ErrorKind::Unsupported, message));
                }
            }
        }
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
        scope: Scope,
        stop: &'a AtomicBool,
    ) -> Result<ClusterSubject<'a>, RunError> {
        let discovery = self.runtime.block_on(Discovery::of(&self.cluster)).map_err(of_cluster)?;
        Ok(ClusterSubject {
            connection: self,
            policies,
            discovery,
            chunk_size,
            scope,
            stop,
            leadership: None,
        })
    }
}

/// The objects of a cluster.
#[derive(Debug)]
pub struct ClusterSubject<'a> {
    connection: &'a Connection,
    policies: &'a PolicySet,
    discovery: Discovery,
    chunk_size: u32,
    scope: Scope,
    stop: &'a AtomicBool,
    leadership: Option<Arc<Leadership>>,
}

impl ClusterSubject<'_> {
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
        let synced = self.policies.synced_kinds();
        let kinds = self.discovery.all().filter(|resource| {
            let is_namespace = resource.gvk == ApiResource::namespaces().gvk;
            // Policies may name a version that is not the preferred one.
            let mut reads = self.policies.templates().flat_map(portcullis::TemplateInfo::inventory_reads);
            // What reads kinds that its text does not say sees those that Configs and SyncSets list, as the webhook has it; all kinds, if
            // they list none.
            let is_listed = synced.is_empty() || synced.contains(&resource.gvk);
            is_namespace || reads.any(|read| read.covers(&resource.gvk) && (read.kind.is_some() || is_listed))
        });
        let unknown = unknown_kinds(self.policies, &self.discovery);
        let failed = unknown.into_iter().map(|(gvk, why)| (gvk, why.to_string())).collect::<Vec<_>>();
        Box::new(Lists { failed: failed.into_iter(), ..self.list(kinds.cloned().collect()) })
    }

    fn objects(&mut self) -> Box<dyn Feed + '_> {
        let kinds: Vec<ApiResource> = match self.scope {
            Scope::All => self.discovery.preferred().cloned().collect(),
            Scope::Named => {
                let named = |resource: &&ApiResource| self.policies.concerns(&resource.gvk);
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
            is_error: true,
            code: "unreadable",
            object: None,
            place: None,
            message: problem.to_string(),
            help: Some("its objects are not audited".to_owned()),
        };
        let mut problems: Vec<_> = self.discovery.problems().iter().map(problem).collect();
        if self.scope == Scope::Synced {
            let gone = self.policies.synced_kinds().iter().filter(|gvk| self.discovery.get(gvk).is_none());
            problems.extend(gone.map(|gvk| Problem {
                is_error: true,
                code: "unknown-kind",
                object: None,
                place: None,
                message: format!("`{gvk}` is to be synced, but the cluster has no such kind"),
                help: None,
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

/// Audits a cluster as the command line says, once or again and again until it is told to end.
///
/// # Errors
///
/// If the API server cannot be asked, an output cannot be written, or the system fails.
pub fn run(audit: &AuditArgs, kube: &KubeArgs) -> Result<ExitStatus, RunError> {
    if !audit.paths.is_empty() || !audit.inventory.is_empty() {
        let text = "with `--kube` the objects are those of the cluster; name no files beside it";
        return Err(RunError::Usage(text.to_owned()));
    }
    if audit.namespace.is_some() {
        let text = "with `--kube` all objects name their namespaces; `--namespace` would do nothing";
        return Err(RunError::Usage(text.to_owned()));
    }
    let stop = run::stop_on_signals()?;
    let settings = Settings::of(audit);
    let connection = Connection::open(&kube.options())?;
    let scope = match (kube.synced_kinds_only, kube.match_kind_only) {
        (true, _) => Scope::Synced,
        (false, true) => Scope::Named,
        (false, false) => Scope::All,
    };
    let leadership = match &kube.lease {
        None => None,
        Some((namespace, name)) => {
            let host = std::env::var("HOSTNAME").ok();
            let identity = kube.identity.clone().or(host).unwrap_or_else(|| "portcullis-audit".to_owned());
            let duration = Duration::from_secs(kube.lease_duration);
            let options = LeaseOptions {
                duration,
                renew: duration * 4 / 15,
                ..LeaseOptions::new(namespace, name, &identity)
            };
            let Some(leadership) = connection.lead(options, &stop)? else { return Ok(ExitStatus::Success) };
            Some(Arc::new(leadership))
        }
    };
    // An audit that goes on without the Lease would be a second one, whatever its results go to.
    let watching = leadership.as_ref().map(|leadership| {
        let (lost, stop) = (leadership.until_lost(), Arc::clone(&stop));
        connection.runtime.spawn(async move {
            lost.await;
            stop.store(true, Ordering::Relaxed);
        })
    });
    let status = run::repeat(audit.interval, &stop, |_| {
        let policies = if audit.policies.is_empty() {
            let own = Some(connection.cluster.namespace()).filter(|&own| own != "default");
            connection.policies(Unsupported::allowed(audit.allow_unsupported), &audit.config.homes(own))?
        } else {
            run::read_policies(audit)?
        };
        let subject = connection.subject(&policies.set, kube.chunk_size, scope, &stop)?;
        let mut subject = ClusterSubject { leadership: leadership.clone(), ..subject };
        let options = Options {
            violations_limit: audit.constraint_violations_limit,
            message_limit: audit.message_limit,
        };
        let mut sinks: Vec<Box<dyn Sink>> =
            audit.outputs().into_iter().map(|(form, target)| form.sink(target, options)).collect();
        if kube.update_status || !kube.reports.is_empty() {
            let refresh = kube.update_status.then(|| Duration::from_secs(kube.status_refresh));
            let writer = connection.writer(refresh, &kube.reports, options);
            sinks.push(Box::new(ClusterSink { leadership: leadership.clone(), ..writer }));
        }
        let comparison = audit.comparison(&policies)?;
        let outcome = comparison.as_ref().map(Compare::outcome);
        sinks.extend(comparison.map(|comparison| Box::new(comparison) as Box<dyn Sink>));
        let standing = run::audit(&policies, &mut subject, &settings, &mut sinks, &stop)?;
        Ok(outcome.map_or_else(|| standing.into(), |outcome| outcome.status(standing)))
    });
    if let Some(watching) = watching {
        watching.abort();
    }
    let Some(leadership) = leadership else { return status };
    if let (false, Some((namespace, name))) = (leadership.is_held(), kube.lease.clone()) {
        return Err(RunError::LeaseLost { namespace, name });
    }
    if let Some(leadership) = Arc::into_inner(leadership) {
        // If it cannot be given back, it passes on by itself.
        let _ = connection.runtime.block_on(leadership.release());
    }
    status
}

/// Writes to the cluster what was found, where that has changed. An audit that did not come to its end writes nothing: what is there
/// is more than it knows.
pub struct ClusterSink {
    handle: Handle,
    cluster: Cluster,
    update_status: bool,
    refresh: Duration,
    reports: Vec<Api>,
    options: Options,
    leadership: Option<Arc<Leadership>>,
}

impl ClusterSink {
    fn is_leader(&self) -> io::Result<()> {
        match &self.leadership {
            Some(leadership) if !leadership.is_held() => {
                Err(io::Error::other("the Lease was lost: another audits now, so nothing more is written"))
            }
            _ => Ok(()),
        }
    }

    fn statuses(&self, report: &AuditReport<'_>) -> io::Result<()> {
        let statuses = statuses(report, self.options)?;
        let mut failed = None;
        for (policy, status) in report.policies.iter().zip(statuses) {
            self.is_leader()?;
            let violations = status.violations.into_iter().map(|violation| AuditViolation {
                group: violation.group,
                version: violation.version,
                kind: violation.kind,
                name: violation.name,
                namespace: violation.namespace,
                message: violation.message,
                enforcement_action: violation.enforcement_action.to_owned(),
                enforcement_actions: violation.enforcement_actions.into_iter().map(str::to_owned).collect(),
            });
            let status = AuditStatus {
                timestamp: status.audit_timestamp.to_string(),
                total: status.total_violations,
                violations: violations.collect(),
            };
            // One constraint whose status cannot be written does not keep the others from theirs.
            let written =
                self.handle.block_on(write_audit_status(&self.cluster, &policy.key, &status, self.refresh));
            failed = failed.or(written.err());
        }
        failed.map_or(Ok(()), |error| Err(io::Error::other(error)))
    }

    fn reports(&self, api: Api, report: &AuditReport<'_>, spool: &Spool) -> io::Result<()> {
        let resource = |namespaced: bool| {
            let kind = api.kind(namespaced);
            ApiResource::new(api.version(), kind, &format!("{}s", kind.to_lowercase()), namespaced)
        };
        let resources = [resource(false), resource(true)];
        let mut kept: BTreeSet<ObjectId> = BTreeSet::new();
        policy_report::each(api, report, spool, |object| {
            self.is_leader()?;
            let part = |key| object.pointer(key).and_then(Value::as_str).unwrap_or_default().to_owned();
            let (namespace, name) = (part("/metadata/namespace"), part("/metadata/name"));
            let [of_cluster, of_namespaces] = &resources;
            let resource = if namespace.is_empty() { of_cluster } else { of_namespaces };
            kept.insert((namespace, name));
            let written = self.handle.block_on(write_object(&self.cluster, resource, &object));
            written.map(|_| ()).map_err(io::Error::other)
        })?;
        self.is_leader()?;
        for resource in &resources {
            let deleted = delete_others(&self.cluster, resource, policy_report::MANAGED_BY, &kept);
            self.handle.block_on(deleted).map_err(io::Error::other)?;
        }
        Ok(())
    }
}

impl Sink for ClusterSink {
    fn begin(&mut self, _: &Start<'_>) -> io::Result<()> {
        self.is_leader()
    }

    fn finding(&mut self, _: &Start<'_>, _: &Finding) -> io::Result<()> {
        Ok(())
    }

    fn end(&mut self, report: &AuditReport<'_>, spool: &Spool) -> io::Result<()> {
        if matches!(report.completion, Completion::Unfinished { .. }) {
            return Ok(());
        }
        if self.update_status {
            self.statuses(report)?;
        }
        self.reports.iter().try_for_each(|api| self.reports(*api, report, spool))
    }
}

impl Connection {
    /// What writes to the cluster: statuses if it is said how old their time may become, and reports.
    pub fn writer(&self, refresh: Option<Duration>, reports: &[Api], options: Options) -> ClusterSink {
        ClusterSink {
            handle: self.runtime.handle().clone(),
            cluster: self.cluster.clone(),
            update_status: refresh.is_some(),
            refresh: refresh.unwrap_or_default(),
            reports: reports.to_vec(),
            options,
            leadership: None,
        }
    }

    /// Waits until the Lease is ours; `None` if we were told to end before.
    fn lead(&self, options: LeaseOptions, stop: &AtomicBool) -> Result<Option<Leadership>, RunError> {
        const LOOK: Duration = Duration::from_millis(200);
        self.runtime.block_on(async {
            let mut acquire = std::pin::pin!(Leadership::acquire(&self.cluster, options));
            loop {
                match tokio::time::timeout(LOOK, &mut acquire).await {
                    Ok(leadership) => return leadership.map(Some).map_err(of_cluster),
                    Err(_) if stop.load(Ordering::Relaxed) => return Ok(None),
                    Err(_) => {}
                }
            }
        })
    }
}
