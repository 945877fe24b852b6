//! The part of the command line about clusters.

use clap::{ArgAction, ValueEnum};
use portcullis_cluster::{Cluster, ClusterError, ConnectArgs};

/// The part of the command line about clusters. Each of its flags conflicts with `--policies` by itself: clap does not ask for what a
/// flag requires if that conflicts with another one.
#[derive(Clone, Debug, clap::Args)]
#[command(next_help_heading = "Cluster")]
#[command(mut_arg("kube_qps", |flag| flag.default_value("300")))]
#[command(mut_arg("kube_burst", |flag| flag.default_value("600")))]
#[expect(clippy::struct_excessive_bools, reason = "a command line is a list of switches")]
pub struct KubeArgs {
    /// Take policies, objects and Namespaces from a cluster and follow its changes, instead of reading files.
    #[arg(long, conflicts_with_all = ["policies", "resources"])]
    pub kube: bool,
    #[command(flatten)]
    #[allow(missing_docs, reason = "its comment would become the help's")]
    pub connect: ConnectArgs,
    /// The name of the pod, under which it writes statuses; without it, `POD_NAME` or `HOSTNAME` of the environment.
    #[arg(long, value_name = "NAME", requires = "kube", conflicts_with = "policies")]
    pub pod_name: Option<String>,
    /// Write what became of templates, constraints, ExpansionTemplates and mutators into their `status.byPod`. Off where Gatekeeper runs beside it.
    #[arg(long, value_name = "BOOL", default_value = "true", action = ArgAction::Set, conflicts_with = "policies")]
    pub write_status: bool,
    /// Apply the CRDs of constraint kinds, which Gatekeeper does where it runs.
    #[arg(long, requires = "kube", conflicts_with = "policies")]
    pub apply_crds: bool,
    /// Write an Event for everything that a constraint finds.
    #[arg(long, requires = "kube", conflicts_with = "policies")]
    pub emit_admission_events: bool,
    /// Write them in the namespace of the object instead of the webhook's own.
    #[arg(long, requires = "emit_admission_events", conflicts_with = "policies")]
    pub admission_events_involved_namespace: bool,
    /// What becomes of constraints whose policy reads a kind that may not be listed, or cannot be.
    #[arg(long, value_name = "WHAT", default_value = "error", conflicts_with = "policies")]
    pub unreadable_inventory: UnreadableInventory,
}

/// What becomes of constraints that cannot be judged by, because it is not known what objects there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum UnreadableInventory {
    /// Each is an error with its own action: what it would deny is refused.
    Error,
    /// They are not in force, which their status, the log and the metrics say.
    Ignore,
}

/// Connects. Nothing is asked yet.
///
/// # Errors
///
/// If it is not known where the API server is or how to speak to it.
pub async fn connect(args: &KubeArgs) -> Result<Cluster, ClusterError> {
    let options = args.connect.options(concat!("portcullis-webhook/", env!("CARGO_PKG_VERSION")));
    Cluster::connect(&options).await
}

/// The webhook's own namespace, if the command line does not say: that of the pod.
#[must_use]
pub fn own_namespace(cluster: &Cluster, said: Option<&str>) -> String {
    /// Where the manifests put it.
    const USUAL: &str = "portcullis-system";
    match (said, cluster.namespace()) {
        (Some(said), _) => said.to_owned(),
        // What it is if nobody says: no place for a webhook.
        (None, "default") => USUAL.to_owned(),
        (None, namespace) => namespace.to_owned(),
    }
}
