//! The command line of audits of clusters.

use std::time::Duration;

use portcullis_cluster::{ConnectArgs, ConnectOptions, LeaseOptions};
use portcullis_report::policy_report::Api;

/// The arguments of an audit of a cluster, beside those of every audit.
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
    #[arg(long, requires = "kube", conflicts_with_all = ["policies", "compare_status", "shard"])]
    pub update_status: bool,
    /// Write the time of the audit into the status of constraints at least so often, also where nothing has changed.
    #[arg(long, requires = "update_status", value_name = "SECONDS", default_value_t = 300)]
    pub status_refresh: u64,
    /// Write report objects, where they have changed; may be repeated.
    #[arg(long, requires = "kube", conflicts_with_all = ["compare_status", "shard"], value_name = "API")]
    pub reports: Vec<Api>,
    /// Audit only while holding this Lease, so that of several pods one audits.
    #[arg(long, requires = "kube", conflicts_with = "shard", value_name = "NAMESPACE/NAME", value_parser = lease)]
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
    pub(super) fn options(&self) -> ConnectOptions {
        self.connect.options(concat!("portcullis-audit/", env!("CARGO_PKG_VERSION")))
    }

    /// Which kinds are audited.
    pub(super) fn scope(&self) -> Scope {
        match (self.synced_kinds_only, self.match_kind_only) {
            (true, _) => Scope::Synced,
            (false, true) => Scope::Named,
            (false, false) => Scope::All,
        }
    }

    /// What there is to know of the Lease, if one is to be held.
    pub(super) fn lease(&self) -> Option<LeaseOptions> {
        let (namespace, name) = self.lease.as_ref()?;
        let host = std::env::var("HOSTNAME").ok();
        let identity = self.identity.clone().or(host).unwrap_or_else(|| "portcullis-audit".to_owned());
        let duration = Duration::from_secs(self.lease_duration);
        let renew = duration * 4 / 15;
        Some(LeaseOptions { duration, renew, ..LeaseOptions::new(namespace, name, &identity) })
    }
}
