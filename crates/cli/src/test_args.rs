//! `portcullis test`, and the commands that judge as it does: `explain` and `exceptions`.

use std::path::PathBuf;

use clap::ValueHint;
use portcullis_audit::implying::Expand;
use portcullis_providers::ProviderArgs;
use portcullis_report::{Destination, PolicySeverity, TestReport};
use portcullis_sources::{ConfigArgs, EngineArgs, RenderArgs};

use crate::conftest_args::RegoArgs;
use crate::evaluation_args::{EvaluationArgs, SecondArgs};
use crate::file_args::{FileArgs, size};
use crate::mutate_args::OperationArg;
use crate::remote_args::RemoteArgs;

const TEST_EXAMPLES: &str = "\
Examples:
  # policies and manifests in any order, from files, directories and standard input
  portcullis test -f policies/ -f manifests/
  kustomize build overlays/prod | portcullis test -f policies/

  # a policy library whose directory also holds sample objects: take only its policies
  portcullis test --policies policies/ manifests/

  # compare with what is in the cluster, without judging it
  portcullis test --policies policies/ --inventory cluster-dump/ manifests/

  # by the policies that a cluster has, before it is asked
  portcullis test --kube --context prod manifests/

  # files of Rego, by conftest's convention: `deny`, `violation` and `warn` of package main
  portcullis test --policies policy/ deployment.yaml config.toml

  # in CI: annotations on the pull request, a code scanning file, a test report
  portcullis test -f policies/ -f manifests/ -o github
  portcullis test -f policies/ -f manifests/ -o sarif > portcullis.sarif
  portcullis test -f policies/ -f manifests/ -o junit > portcullis.xml

Exit codes: 0 nothing is denied, 1 something is denied, 2 the input or the policies are broken (what could be judged still is).";

pub const EXPLAIN_EXAMPLES: &str = "\
Examples:
  portcullis explain --policies policies/ manifests/web.yaml
  portcullis explain --policies policies/ web.yaml --why no-latest     why does this pass?
  portcullis explain --policies policies/ web.yaml -o json";

pub const EXCEPTIONS_EXAMPLES: &str = "\
Examples:
  portcullis exceptions -p policies/ manifests/           each exception, and the findings that it hides
  portcullis exceptions -p policies/ manifests/ -o json   for scripts
  portcullis exceptions -p policies/ manifests/ --baseline known.yaml --allow-inline-ignores

Exit codes: 0 all was listed, 2 the input or a policy is broken.";

#[derive(Debug, clap::Args)]
#[command(after_help = TEST_EXAMPLES)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct TestArgs {
    /// Files and directories with policies and objects, in any order; `-` is standard input.
    ///
    /// Directories are searched through for .yaml, .yml, .json, .jsonl and .ndjson files, for .rego files, and
    /// if there are any for .toml files; a file that is named is read whatever its name. Standard input is read as well whenever it is not a terminal.
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
    /// Same as PATH; may be repeated.
    #[arg(short = 'f', long = "filename", value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub filenames: Vec<PathBuf>,
    /// Take only the policies from here, and leave other objects alone; may be repeated.
    #[arg(short = 'p', long, alias = "policy", value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub policies: Vec<PathBuf>,
    /// Objects that policies may compare with, but that are not judged; may be repeated.
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub inventory: Vec<PathBuf>,
    /// The namespace of objects that name none, though their kind lives in one; as for kubectl, `default` if
    /// not given.
    ///
    /// Without it, what such an object would violate in other namespaces only is a warning. Where there are
    /// files of Rego and no templates, it is the package to ask, as for conftest, and may be repeated.
    #[arg(short, long, value_name = "NAME", value_delimiter = ',')]
    pub namespace: Vec<String>,
    /// Also judge what Kubernetes makes of objects, without ExpansionTemplates for it.
    #[arg(long, value_enum, value_name = "WHAT")]
    pub expand: Option<Expand>,
    /// Mutate the objects by the mutators among the policies, and judge them as they are then.
    ///
    /// Findings are placed at what was written. What cannot be mutated is an error, and not judged.
    #[arg(long)]
    pub mutate: bool,
    /// What is being done with the objects, for `--mutate`: some mutators ask.
    #[arg(long, value_enum, value_name = "OPERATION", default_value = "create", requires = "mutate")]
    pub operation: OperationArg,
    /// Go on without what is not supported: mutators (unless `--mutate` uses them), Connections, templates in
    /// CEL. Each is a warning then.
    #[arg(long)]
    pub allow_unsupported: bool,
    /// Form of the report; `FORMAT=FILE` writes it into a file. May be repeated: one to standard output, others
    /// into files.
    #[arg(short, long, value_name = "FORMAT[=FILE]", default_value = "human", value_parser = Destination::parser::<TestReport>())]
    pub output: Vec<Destination>,
    /// The template of `-o template`, in Jinja's language, rendered with what `-o json` writes (`docs/reports.md`). Texts are
    /// escaped if the file's name ends in `.html`, `.htm` or `.xml`, also before `.j2`.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub template: Option<PathBuf>,
    /// Findings that are known, and fail nothing. What is in the file and no longer found is a warning.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub baseline: Option<PathBuf>,
    /// Write the baseline anew: all that is found now is known from now on.
    #[arg(long, requires = "baseline")]
    pub write_baseline: bool,
    /// Let manifests ignore findings by comments, `# portcullis-ignore: CONSTRAINT reason`: in or above the line, or
    /// above the object.
    #[arg(long)]
    pub allow_inline_ignores: bool,
    /// Most bytes of the report for comments (`-o markdown`); what does not fit is counted in it.
    #[arg(long, value_name = "SIZE", default_value = "64KiB", value_parser = size)]
    pub max_bytes: usize,
    /// Which findings make the exit code 1: `deny`, `warn` (these and warnings), `none`, or those that are denied and
    /// whose policy has this severity or a higher one, or says none.
    ///
    /// What could not be evaluated is never let pass.
    #[arg(long, value_enum, value_name = "WHAT", default_value = "deny")]
    pub fail_on: FailOn,
    /// Say of each object what a constraint has to do with it, and which criteria of its `match` do not hold; by its
    /// name, its kind, or `Kind/name`. May be repeated. In the forms for people.
    #[arg(long, value_name = "CONSTRAINT")]
    pub why: Vec<String>,
    /// Also tell how policies came to their verdicts: with which parameters, in how many steps, what was printed and found. Of
    /// `-o json` the field `trace` of each finding, as gator has it.
    #[arg(short, long)]
    pub trace: bool,
    /// Also tell of each finding why: the rules and conditions that hold, with their places in the policy, and the
    /// fields and parameters that they read. In `-o human` and `-o json`.
    #[arg(long)]
    pub explain: bool,
    /// Whether it is told of everything, as `explain` does.
    #[arg(skip)]
    pub explain_all: bool,
    /// Also tell how to make findings go: the smallest edits of an object, each tried and judged again by all constraints. In
    /// `-o human`, `-o json`, `-o yaml` and `-o sarif`.
    ///
    /// Edits whose values the policy does not decide are told to be so, and never put in by `--fix`.
    #[arg(long)]
    pub fixes: bool,
    /// Put the fixes into the files, and judge what came of it: report and exit code say what remains.
    ///
    /// Comments, order, anchors and line ends stay. What cannot be edited safely is said, and left as it is: what anchors share,
    /// what was rendered or fetched, links, and files that are not what was read.
    #[arg(long, conflicts_with_all = ["fix_dry_run", "mutate", "baseline"])]
    pub fix: bool,
    /// Write what `--fix` would change, as a diff, instead of the report. The exit code is that of the findings.
    #[arg(long, conflicts_with_all = ["mutate", "baseline"])]
    pub fix_dry_run: bool,
    /// Also tell what each template cost, in gator's form: `stats` of `-o json` and `-o yaml`, which have `results` beside it.
    #[arg(long)]
    pub stats: bool,
    /// Report only what is denied.
    #[arg(long)]
    pub deny_only: bool,
    /// Also show what policies print, how they could be written better, and what keeps constraints from all objects.
    #[arg(short, long)]
    pub verbose: bool,
    /// No progress, no summary, no warnings about the input.
    #[arg(short, long)]
    pub quiet: bool,
    /// Number of threads; all cores if not given.
    #[arg(short, long, value_name = "N")]
    pub jobs: Option<std::num::NonZeroUsize>,
    /// Largest file that is read, such as `512KiB` or `64MiB`.
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = size)]
    pub max_size: usize,
    #[command(flatten)]
    pub files: FileArgs,
    #[command(flatten)]
    pub render: RenderArgs,
    #[command(flatten)]
    pub remote: RemoteArgs,
    #[command(flatten)]
    pub rego: RegoArgs,
    #[command(flatten)]
    pub providers: ProviderArgs,
    #[command(flatten)]
    pub config: ConfigArgs,
    #[command(flatten)]
    pub second: SecondArgs,
    #[command(flatten)]
    pub evaluation: EvaluationArgs,
    #[cfg(feature = "kube")]
    #[command(flatten)]
    pub cluster: ClusterArgs,
    /// Not in this build.
    #[cfg(not(feature = "kube"))]
    #[arg(long, hide = true)]
    pub kube: bool,
    #[command(flatten)]
    pub refused_of_gator: crate::gator_args::FailurePolicyArgs,
    #[command(flatten)]
    pub engine: EngineArgs,
}

/// Which findings make a run fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum FailOn {
    /// What is denied, and warnings.
    Warn,
    /// What is denied.
    Deny,
    /// What is denied and not known to be less than info.
    Info,
    /// What is denied and not known to be less than low.
    Low,
    /// What is denied and not known to be less than medium.
    Medium,
    /// What is denied and not known to be less than high.
    High,
    /// What is denied and not known to be less than critical.
    Critical,
    /// Nothing that could be evaluated.
    None,
}

impl FailOn {
    /// The severity that a policy has to have at least, if one is asked for.
    pub const fn severity(self) -> Option<PolicySeverity> {
        match self {
            Self::Info => Some(PolicySeverity::Info),
            Self::Low => Some(PolicySeverity::Low),
            Self::Medium => Some(PolicySeverity::Medium),
            Self::High => Some(PolicySeverity::High),
            Self::Critical => Some(PolicySeverity::Critical),
            Self::Warn | Self::Deny | Self::None => None,
        }
    }
}

#[cfg(feature = "kube")]
/// Which cluster `test` takes policies from.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Cluster")]
#[command(mut_arg("kube_qps", |flag| flag.default_value("50")))]
#[command(mut_arg("kube_burst", |flag| flag.default_value("100")))]
pub struct ClusterArgs {
    /// Take the policies that a cluster has, too: its templates, constraints, Configs, exceptions and ExpansionTemplates, with
    /// `--mutate` its mutators, and the objects that policies compare with. Only reads.
    #[arg(long)]
    pub kube: bool,
    #[command(flatten)]
    pub connect: portcullis_cluster::ConnectArgs,
}
