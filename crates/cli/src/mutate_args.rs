//! `portcullis mutate` and `portcullis expand`: what a cluster makes of objects.

use std::path::PathBuf;

use clap::{ValueEnum, ValueHint};
use portcullis_providers::ProviderArgs;
use portcullis_sources::{ConfigArgs, RenderArgs};

use crate::file_args::size;
use crate::remote_args::RemoteArgs;

const MUTATE_EXAMPLES: &str = "\
Examples:
  portcullis mutate -f mutators/ -f manifests/           the manifests as they will be in the cluster
  portcullis mutate -f mutators/ -f manifests/ --diff    what will be different, and which mutator does it
  portcullis mutate -m mutators/ pod.yaml -o patch       as JSON patches
  portcullis test --mutate -f policies/ -f mutators/ -f manifests/
                                                         judge them as they will be

Exit codes: 0 all was read and mutated, 2 an object or a mutator was not (all others still are).";

const EXPAND_EXAMPLES: &str = "\
Examples:
  portcullis expand -n deployment.yaml -n expansion.yaml            the Pods that a Deployment will have
  kustomize build overlays/prod | portcullis expand -n expansion/   of all that is piped in
  portcullis expand -n manifests/ -f json -o implied.json           into a file

Exit codes: 0 all was expanded, 2 an object cannot be expanded, or the input is broken; then nothing is printed.";

#[derive(Debug, clap::Args)]
#[command(after_help = MUTATE_EXAMPLES)]
pub struct MutateArgs {
    /// Files and directories with mutators and objects, in any order, as for `test`; `-` is standard input.
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
    /// Same as PATH; may be repeated.
    #[arg(short = 'f', long = "filename", value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub filenames: Vec<PathBuf>,
    /// Take only the mutators and Configs from here, and leave other objects alone; may be repeated.
    #[arg(short, long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub mutators: Vec<PathBuf>,
    /// Objects that are not mutated: the Namespaces among them are what mutators ask about; may be repeated.
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub inventory: Vec<PathBuf>,
    /// The namespace of objects that name none, though their kind lives in one; as for kubectl, `default` if
    /// not given.
    #[arg(short, long, value_name = "NAME", value_parser = portcullis_sources::namespace)]
    pub namespace: Option<String>,
    /// What is being done with the objects: some mutators ask.
    #[arg(long, value_enum, value_name = "OPERATION", default_value = "create")]
    pub operation: OperationArg,
    /// Go on without what is not supported. Each is a warning then.
    #[arg(long)]
    pub allow_unsupported: bool,
    /// What is written.
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value = "yaml")]
    pub output: MutateForm,
    /// Same as `--output diff`.
    #[arg(long, conflicts_with = "output")]
    pub diff: bool,
    /// Number of threads; all cores if not given.
    #[arg(short, long, value_name = "N")]
    pub jobs: Option<std::num::NonZeroUsize>,
    /// Largest file that is read, such as `512KiB` or `64MiB`.
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = size)]
    pub max_size: usize,
    #[command(flatten)]
    pub providers: ProviderArgs,
    #[command(flatten)]
    pub render: RenderArgs,
    #[command(flatten)]
    pub config: ConfigArgs,
    #[command(flatten)]
    pub remote: RemoteArgs,
}

/// What `mutate` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MutateForm {
    /// The objects, with comments and order as they were written where that can be.
    Yaml,
    /// The objects, each with what changed it.
    Json,
    /// The JSON patch (RFC 6902) of each object.
    Patch,
    /// What is different, as `diff -u` has it, with the mutators that made it so.
    Diff,
}

/// What is being done with objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OperationArg {
    /// They are new.
    Create,
    /// They are there already, and are changed.
    Update,
}

#[derive(Debug, clap::Args)]
#[command(after_help = EXPAND_EXAMPLES)]
pub struct ExpandArgs {
    /// Files and directories with objects, ExpansionTemplates and Namespaces; may be repeated. Standard input
    /// is read as well whenever it is not a terminal.
    #[arg(short = 'n', long = "filename", value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub filenames: Vec<PathBuf>,
    /// Form of what is printed: `yaml` or `json`.
    #[arg(short, long, value_name = "FORMAT", default_value = "yaml")]
    pub format: String,
    /// Write into this file instead.
    #[arg(short, long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub outputfile: Option<PathBuf>,
    /// Largest file that is read, such as `512KiB` or `64MiB`.
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = size)]
    pub max_size: usize,
    #[command(flatten)]
    pub providers: ProviderArgs,
    #[command(flatten)]
    pub remote: RemoteArgs,
}
