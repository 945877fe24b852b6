//! `portcullis generate`.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum, ValueHint};
use portcullis_audit::implying::Expand;
use portcullis_sources::{EngineArgs, GatekeeperArgs};

const CRDS_EXAMPLES: &str = "\
Examples:
  portcullis generate crds | kubectl apply --server-side -f -
  portcullis generate crds --policies policies/ --output crds/

Exit codes: 0 all were written, 2 a policy is broken, and nothing is written.";

const MANIFESTS_EXAMPLES: &str = "\
Examples:
  portcullis generate manifests --policies policies/ | kubectl apply -f -
  portcullis generate manifests --policies policies/ --for webhook --output manifests/

Exit codes: 0 all was written, 2 a policy is broken, and nothing is written. Warnings are on standard error.";

const VAP_EXAMPLES: &str = "\
Examples:
  portcullis generate vap --policies policies/ | kubectl apply -f -
  portcullis generate vap --policies policies/ --all --output policies-of-api-servers/

Exit codes: 0 all were written, 2 a policy is broken, or no template is to become a policy, and nothing is written. Warnings are on standard error.";

/// `portcullis generate`.
#[derive(Debug, Subcommand)]
pub enum Generate {
    /// Write CustomResourceDefinitions: of ConstraintTemplate, Config and SyncSet, and of constraint kinds.
    ///
    /// Where Gatekeeper is installed it brings those of its own kinds: apply only those of constraint kinds
    /// then, or none.
    Crds(CrdsArgs),
    /// Write what the webhook and the audit need for some policies: roles, a webhook configuration, a
    /// SyncSet.
    ///
    /// The roles allow to list the kinds that these policies are about or compare objects with, and no other;
    /// the rules of the configuration send what the constraints are about. Both are made of the policies, so
    /// make them anew when those change.
    Manifests(ManifestsArgs),
    /// Write the ValidatingAdmissionPolicies and bindings that Gatekeeper makes of templates in CEL.
    ///
    /// API servers evaluate them themselves. What of a constraint is lost on the way is a warning for each.
    Vap(VapArgs),
}

#[derive(Debug, clap::Args)]
#[command(after_help = VAP_EXAMPLES)]
pub struct VapArgs {
    /// Files and directories with templates and constraints; may be repeated.
    #[arg(short, long, value_name = "PATH", required = true, value_hint = ValueHint::AnyPath)]
    pub policies: Vec<PathBuf>,
    /// Also of templates in CEL that do not say `generateVAP`.
    #[arg(long)]
    pub all: bool,
    /// Go on without what is not supported. Each is a warning then.
    #[arg(long)]
    pub allow_unsupported: bool,
    #[command(flatten)]
    pub config: GatekeeperArgs,
    /// Write a file for each template into this directory, instead of all to standard output.
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub output: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[command(after_help = CRDS_EXAMPLES)]
pub struct CrdsArgs {
    /// Also those of the constraint kinds that the templates here define; may be repeated.
    #[arg(short, long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub policies: Vec<PathBuf>,
    /// Go on without what is not supported: ExpansionTemplates, mutators, Providers, templates of other engines. Each
    /// is a warning then.
    #[arg(long)]
    pub allow_unsupported: bool,
    /// Write a file for each into this directory, instead of all to standard output.
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub output: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "a command line is a list of switches")]
#[command(after_help = MANIFESTS_EXAMPLES)]
pub struct ManifestsArgs {
    /// Files and directories with templates, constraints, Configs and SyncSets; may be repeated.
    ///
    /// Kinds that are not Kubernetes' own are known by CustomResourceDefinitions among them.
    #[arg(short, long, value_name = "PATH", required = true, value_hint = ValueHint::AnyPath)]
    pub policies: Vec<PathBuf>,
    /// For which program.
    #[arg(long, value_name = "PROGRAM", default_value = "all")]
    pub r#for: Program,
    /// The namespace of the programs.
    #[arg(short, long, value_name = "NAME", default_value = portcullis_manifests::NAMESPACE, value_parser = portcullis_sources::namespace)]
    pub namespace: String,
    /// Leave to Gatekeeper what only it supports, instead of refusing it.
    #[arg(long)]
    pub beside_gatekeeper: bool,
    /// Also the roles for `portcullis-webhook --apply-crds`, for the templates that there are.
    #[arg(long)]
    pub apply_crds: bool,
    /// Also the configuration for `portcullis-webhook --mutate`, with the rules that the mutators among the policies
    /// need.
    #[arg(long)]
    pub mutate: bool,
    /// Also what `portcullis-audit --expand` lists: what is expanded without an ExpansionTemplate.
    #[arg(long, value_name = "WHAT")]
    pub expand: Option<Expand>,
    /// Go on without what is not supported: mutators without `--mutate`, Providers, templates of other engines. Each is a
    /// warning then.
    #[arg(long)]
    pub allow_unsupported: bool,
    #[command(flatten)]
    pub config: GatekeeperArgs,
    #[command(flatten)]
    pub engine: EngineArgs,
    /// Write files into this directory, instead of all to standard output.
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub output: Option<PathBuf>,
}

/// The programs that manifests are made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Program {
    /// The admission webhook, with `--kube`.
    Webhook,
    /// The audit, with `--kube --match-kind-only`.
    Audit,
    /// Both.
    All,
}
