//! The command line as types. No behaviour beyond parsing.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum, ValueHint};
use portcullis_audit::implying::Expand;
use portcullis_providers::ProviderArgs;
use portcullis_report::bench::{BenchReport, Gate};
use portcullis_report::lint::LintReport;
use portcullis_report::verify::VerifyReport;
use portcullis_report::{Destination, Form, PolicySeverity, TestReport};
use portcullis_sources::{ConfigArgs, EngineArgs, FormerArgs, RenderArgs};
use regex::Regex;

use crate::authoring_args::{DocsArgs, InitCommand};
use crate::conftest_args::RegoArgs;
use crate::eval_args::EvalArgs;
use crate::file_args::{FileArgs, size};
use crate::fmt_args::FmtArgs;
use crate::generate_args::Generate;
use crate::policy_args::PolicyArgs;
use crate::remote_args::{PullArgs, PushArgs, RemoteArgs};

const AFTER: &str = "\
Examples:
  portcullis test -f policies/ -f manifests/      judge manifests by policies
  portcullis audit -p policies/ dump.json.gz      judge all objects of a cluster's dump
  portcullis mutate -f mutators/ -f manifests/    show what mutators make of manifests
  portcullis verify policies/...                  run the policies' own tests
  portcullis lint policies/                       look for mistakes in the policies
  portcullis fmt policies/                        format their Rego
  portcullis generate manifests -p policies/      write the roles and rules that they need in a cluster

Exit codes: 0 nothing is denied, no test failed, no policy is wrong, 1 something is, 2 the input (for `test` and `verify` also the
policies) is broken.";

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

const MUTATE_EXAMPLES: &str = "\
Examples:
  portcullis mutate -f mutators/ -f manifests/           the manifests as they will be in the cluster
  portcullis mutate -f mutators/ -f manifests/ --diff    what will be different, and which mutator does it
  portcullis mutate -m mutators/ pod.yaml -o patch       as JSON patches
  portcullis test --mutate -f policies/ -f mutators/ -f manifests/
                                                         judge them as they will be

Exit codes: 0 all was read and mutated, 2 an object or a mutator was not (all others still are).";

const VERIFY_EXAMPLES: &str = "\
Examples:
  portcullis verify policies/no-host-pid/suite.yaml   one suite
  portcullis verify policies/no-host-pid              the suites of a directory
  portcullis verify policies/...                      the suites below a directory
  portcullis verify policies/... --run 'pods//denied' cases named `denied` of tests named `pods`
  portcullis verify policy/ --coverage-min 80         unit tests of Rego, as `opa test` and `conftest verify` run them

Exit codes: 0 all tests passed, 1 a test failed, 2 a suite or a file it names is broken, or there is no suite.";

const EXPLAIN_EXAMPLES: &str = "\
Examples:
  portcullis explain --policies policies/ manifests/web.yaml
  portcullis explain --policies policies/ web.yaml --why no-latest     why does this pass?
  portcullis explain --policies policies/ web.yaml -o json";

const EXCEPTIONS_EXAMPLES: &str = "\
Examples:
  portcullis exceptions -p policies/ manifests/           each exception, and the findings that it hides
  portcullis exceptions -p policies/ manifests/ -o json   for scripts
  portcullis exceptions -p policies/ manifests/ --baseline known.yaml --allow-inline-ignores

Exit codes: 0 all was listed, 2 the input or a policy is broken.";

#[cfg(feature = "webhook")]
const WEBHOOK_EXAMPLES: &str = "\
Example:
  portcullis webhook --policies policies/ --self-signed --ca-file /tmp/ca.pem

It is the same program as `portcullis-webhook`, whose manual is docs/webhook.md.

Exit codes: 0 it was asked to end, 2 the policies, the certificate, the address or the record of decisions cannot be used.";

const EXPAND_EXAMPLES: &str = "\
Examples:
  portcullis expand -n deployment.yaml -n expansion.yaml            the Pods that a Deployment will have
  kustomize build overlays/prod | portcullis expand -n expansion/   of all that is piped in
  portcullis expand -n manifests/ -f json -o implied.json           into a file

Exit codes: 0 all was expanded, 2 an object cannot be expanded, or the input is broken; then nothing is printed.";

const SYNC_EXAMPLES: &str = "\
Examples:
  portcullis sync test -n templates/ -n syncsets/ -n gvkmanifest.yaml
  portcullis sync test -n policies/ --force-omit-gvk-manifest

Exit codes: 0 all requirements are met, 1 one is not, 2 the input is broken, or there is nothing to compare.";

const BENCH_EXAMPLES: &str = "\
Examples:
  portcullis bench -f policies/ -f manifests/                       latencies, throughput, the dearest constraints
  portcullis bench -f policies/ -f manifests/ -c 4                  on four threads
  portcullis bench -f policies/ -f manifests/ --save main.json      to compare with
  portcullis bench -f policies/ -f manifests/ --compare main.json --gate steps -n 1
                                                                    in CI: fails if policies take more steps

Exit codes: 0 measured, 1 something regressed, 2 the input or a policy is broken (what could be measured still is).";

const LINT_EXAMPLES: &str = "\
Examples:
  portcullis lint policies/                       everything below a directory
  portcullis lint policies/no-host-pid -v         also what the policy is made of and what it reads
  portcullis lint policies/ --deny-warnings       in CI: no warnings either
  portcullis lint policies/ --fix                 put in what is certain to be done about it
  portcullis lint policies/ --upgrade v1          rewrite Rego v0 in v1, and try that both say the same
  portcullis lint policies/ -o sarif > lint.sarif for code scanning; also json, yaml, junit, github
  portcullis lint policies/ --webhook-configuration deploy/webhook/webhook-configuration.yaml
                                                  also whether all that policies are about is sent to them

Exit codes: 0 no errors, 1 a policy is wrong (with `--deny-warnings`: or there is a warning), 2 a file could not be read, or there is
no policy.";

const DOCS_EXAMPLES: &str = "\
Examples:
  portcullis docs policies/ > POLICIES.md
  portcullis docs policies/ -o html --output site/policies.html --title 'Our policies'
  portcullis docs policies/ --output POLICIES.md --check          in CI: fails if the file is not what the policies say

Exit codes: 0 it was written, or is as it should be, 1 `--check` found a difference, 2 a policy or a suite is broken; nothing is written then.";

const EVAL_EXAMPLES: &str = "\
Examples:
  portcullis eval violation -p template.yaml -p constraint.yaml -i pod.yaml
  portcullis eval 'c := input.review.object.spec.containers[_]; not c.resources' -p template.yaml -i pod.yaml
  portcullis eval --cel 'object.spec.containers.map(c, c.image)' -i pod.yaml
  portcullis eval 'data.main.deny' -p policy/ -i deployment.yaml --trace
  portcullis eval -p template.yaml -i pod.yaml                              a prompt

Exit codes: 0 it was answered, 1 with `--fail` it is undefined, 2 the query, its input or a policy is broken.";

const BUILD_EXAMPLES: &str = "\
Examples:
  portcullis build policies/                       a template.yaml and a constraint.yaml beside each source
  portcullis build policies/ --check               in CI: fails if these are not what the sources say
  portcullis build policy/ --from-conftest -o gatekeeper/
                                                   conftest's policies as templates, constraints and a suite

Exit codes: 0 all was written, or is as it should be, 1 `--check` found a difference, 2 a source is broken (all others are written).";

/// Judge Kubernetes manifests by Gatekeeper policies, and test the policies.
#[derive(Debug, Parser)]
#[command(name = "portcullis", version, after_help = AFTER, max_term_width = 100)]
pub struct Args {
    #[command(subcommand)]
    pub command: Command,
    /// Colour the output: on a terminal, always, or never.
    #[arg(long, global = true, value_name = "WHEN", default_value = "auto", display_order = 100)]
    pub color: Color,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Judge manifests by policies.
    Test(Box<TestArgs>),
    /// List what does not count: exceptions, used, unused and expired, comments, the baseline, and what each hides.
    ///
    /// Judges as `test` does, with the same flags, and reports what that leaves out.
    #[command(after_help = EXCEPTIONS_EXAMPLES)]
    Exceptions(Box<TestArgs>),
    /// Tell why policies deny objects, or do not: rules and conditions with their places, and what they read.
    ///
    /// Judges as `test` does, with the same flags, and tells of each object and constraint how every violation came
    /// about, or which conditions came nearest to one, or which criteria of its `match` do not hold. `--why CONSTRAINT`
    /// asks about these only.
    #[command(after_help = EXPLAIN_EXAMPLES)]
    Explain(Box<TestArgs>),
    /// Show what mutators make of manifests.
    Mutate(MutateArgs),
    /// Run the tests that policies bring: gator's suites, and unit tests of Rego.
    Verify(Box<VerifyArgs>),
    /// Print what controllers will make of objects, by ExpansionTemplates.
    Expand(ExpandArgs),
    /// Audit the objects that exist, as a stream of any size.
    Audit(Box<AuditCommand>),
    /// Judge the admission requests of an API server; the same program as `portcullis-webhook`.
    #[cfg(feature = "webhook")]
    #[command(after_help = WEBHOOK_EXAMPLES)]
    Webhook(Box<portcullis_webhook::args::Args>),
    /// Not in this build.
    #[cfg(not(feature = "webhook"))]
    #[command(hide = true)]
    Webhook(Absent),
    /// Measure what policies cost: time, steps and memory, in all and of each constraint.
    Bench(Box<BenchArgs>),
    /// Look for mistakes in policies, without evaluating them.
    Lint(LintArgs),
    /// Write a reference of policies: what each refuses, its parameters, an example, and what its suite shows.
    #[command(after_help = DOCS_EXAMPLES)]
    Docs(DocsArgs),
    /// Ask what a query in Rego, or an expression in CEL, is worth.
    #[command(after_help = EVAL_EXAMPLES)]
    Eval(EvalArgs),
    /// Begin something new.
    #[command(subcommand)]
    Init(InitCommand),
    /// Serve an editor: what is wrong as you type, completion, navigation, fixes (Language Server Protocol).
    ///
    /// Speaks on standard input and output, to the editor that starts it. How editors are told to: docs/editors.md.
    #[cfg(feature = "lsp")]
    Lsp(LspArgs),
    /// Not in this build.
    #[cfg(not(feature = "lsp"))]
    #[command(hide = true)]
    Lsp(Absent),
    /// Format Rego as `opa fmt` does: in its own files, and inside of the YAML of ConstraintTemplates.
    ///
    /// Files are written in place. What the Rego says never changes: the result is parsed and compared with what there was,
    /// comments included, before anything is written. The YAML around stays as it is.
    Fmt(FmtArgs),
    /// Make ConstraintTemplates and constraints from files of Rego.
    Build(BuildArgs),
    /// Write the manifests that a cluster needs for some policies.
    #[command(subcommand)]
    Generate(Generate),
    /// Test whether what templates compare objects with is synced.
    #[command(subcommand)]
    Sync(SyncCommand),
    /// Put policies of a catalog into a folder, and keep them up to date.
    Policy(PolicyArgs),
    /// Print what may be in a configuration file, and what is in force.
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Bring policies into a registry, as an artifact.
    Push(Box<PushArgs>),
    /// Make a directory of an artifact of a registry.
    Pull(Box<PullArgs>),
    /// Print the completion script of a shell.
    ///
    /// For bash: `portcullis completions bash > /etc/bash_completion.d/portcullis`.
    #[command(visible_alias = "completion")]
    Completions {
        /// The shell.
        shell: clap_complete::Shell,
    },
    /// Print the manual page, in roff.
    ///
    /// To read it: `portcullis man | man -l -`.
    Man,
    /// Print the version.
    Version,
}

impl Args {
    /// The flags about files, of commands that have a configuration file.
    pub fn files_mut(&mut self) -> Option<&mut FileArgs> {
        match &mut self.command {
            Command::Test(test) | Command::Exceptions(test) | Command::Explain(test) => Some(&mut test.files),
            Command::Verify(verify) => Some(&mut verify.files),
            Command::Lint(lint) => Some(&mut lint.files),
            Command::Audit(audit) => Some(&mut audit.files),
            _ => None,
        }
    }
}

/// `portcullis sync`.
#[derive(Debug, Subcommand)]
pub enum SyncCommand {
    /// Test whether SyncSets and the Config have the kinds that templates say they compare objects with.
    ///
    /// Templates say it in the annotation `metadata.gatekeeper.sh/requires-sync-data`. What kinds the cluster knows says a
    /// GVKManifest.
    #[command(after_help = SYNC_EXAMPLES)]
    Test(SyncTestArgs),
}

#[derive(Debug, clap::Args)]
pub struct SyncTestArgs {
    /// Files and directories with templates, SyncSets, a Config and a GVKManifest; may be repeated. Standard input is read as
    /// well whenever it is not a terminal.
    #[arg(short = 'n', long = "filename", value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub filenames: Vec<PathBuf>,
    #[command(flatten)]
    pub refused: crate::gator_args::ImageArgs,
    /// Without a GVKManifest, take all kinds for known to the cluster.
    #[arg(short = 'f', long = "force-omit-gvk-manifest", visible_alias = "omit-gvk-manifest")]
    pub omit_gvk_manifest: bool,
    /// Largest file that is read, such as `512KiB` or `64MiB`.
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = size)]
    pub max_size: usize,
}

/// `portcullis config`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Print the JSON Schema of configuration files.
    Schema,
    /// Print what is in force for each command, and where it is said.
    Show {
        /// Read this file, instead of the next `portcullis.yaml`.
        #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
        config: Option<PathBuf>,
    },
}

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

/// `portcullis lsp`.
#[cfg(feature = "lsp")]
#[derive(Debug, clap::Args)]
pub struct LspArgs {
    /// Standard input and output, which there is nothing else than: some editors say so.
    #[arg(long)]
    pub stdio: bool,
    /// Most files of manifests that are read of a folder; of one that holds more, only what is open is looked at.
    #[arg(long, value_name = "N", default_value = "10000")]
    pub max_files: usize,
    /// Most bytes of manifests that are read of a folder, such as `256MiB`.
    #[arg(long, value_name = "SIZE", default_value = "128MiB", value_parser = size)]
    pub max_total: usize,
}

/// The flags of a command that a build lacks: whatever they are, the answer is that it does.
#[cfg(not(all(feature = "lsp", feature = "webhook")))]
#[derive(Debug, clap::Args)]
pub struct Absent {
    #[arg(hide = true, trailing_var_arg = true, allow_hyphen_values = true)]
    pub flags: Vec<std::ffi::OsString>,
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

/// `portcullis audit`.
#[derive(Debug, clap::Args)]
#[command(after_help = portcullis_audit::args::EXAMPLES, args_conflicts_with_subcommands = true)]
pub struct AuditCommand {
    #[command(subcommand)]
    pub action: Option<portcullis_audit::args::AuditAction>,
    #[command(flatten)]
    pub audit: portcullis_audit::args::AuditArgs,
    #[cfg(feature = "kube")]
    #[command(flatten)]
    pub kube: portcullis_audit::kube::KubeArgs,
    /// Not in this build.
    #[cfg(not(feature = "kube"))]
    #[arg(long, hide = true)]
    pub kube: bool,
    #[command(flatten)]
    pub files: FileArgs,
    #[command(flatten)]
    pub remote: RemoteArgs,
}

#[derive(Debug, clap::Args)]
#[command(after_help = VERIFY_EXAMPLES)]
pub struct VerifyArgs {
    /// Suite files, directories, or `DIR/...` for everything below a directory; and files of Rego with unit
    /// tests, always of everything below a directory.
    #[arg(value_name = "PATH", required_unless_present_any = ["policies", "images"], value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
    /// Same as PATH; may be repeated.
    #[arg(short, long, alias = "policy", value_name = "PATH", value_delimiter = ',', value_hint = ValueHint::AnyPath)]
    pub policies: Vec<PathBuf>,
    /// Run only the tests or cases whose name matches; `TEST//CASE` for cases of tests. Unit tests of Rego are
    /// called like `data.main.test_deny`.
    #[arg(short, long, value_name = "REGEX", value_parser = selection)]
    pub run: Option<Selection>,
    /// Go on without what is not supported: Connections, templates of other engines. Each is a warning then.
    #[arg(long)]
    pub allow_unsupported: bool,
    /// List every test and case, and show what policies print.
    #[arg(short, long)]
    pub verbose: bool,
    /// Form of the report; `FORMAT=FILE` writes it into a file. May be repeated: one to standard output, others
    /// into files.
    #[arg(short, long, value_name = "FORMAT[=FILE]", default_value = "human", value_parser = Destination::parser::<VerifyReport>())]
    pub output: Vec<Destination>,
    /// The template of `-o template`, in Jinja's language, rendered with what `-o json` writes (`docs/reports.md`). Texts are
    /// escaped if the file's name ends in `.html`, `.htm` or `.xml`, also before `.j2`.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub template: Option<PathBuf>,
    /// Number of threads; all cores if not given.
    #[arg(short, long, value_name = "N")]
    pub jobs: Option<std::num::NonZeroUsize>,
    /// Largest file that is read, such as `512KiB` or `64MiB`.
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = size)]
    pub max_size: usize,
    /// Run only the unit tests of these packages of Rego, in which `*`, `?` and `[…]` may stand; may be repeated.
    #[arg(short, long, value_name = "PACKAGE", value_delimiter = ',', help_heading = REGO_TESTS)]
    pub namespace: Vec<String>,
    /// Files and folders whose YAML and JSON is `data` for unit tests; may be repeated. What lies beside them is
    /// in any case, below the names of the folders that it is in, but for objects of Kubernetes.
    #[arg(short, long, value_name = "PATH", value_delimiter = ',', value_hint = ValueHint::AnyPath, help_heading = REGO_TESTS)]
    pub data: Vec<PathBuf>,
    /// The dialect of all files of Rego: `v0` or `v1`; if not given, what each is written in.
    #[arg(long, value_name = "VERSION", value_parser = crate::conftest_args::rego_version, help_heading = REGO_TESTS)]
    pub rego_version: Option<portcullis::RegoVersion>,
    /// Also tell which lines and conditions of templates and of files of Rego the tests reached, and which conditions
    /// always came out the same. `-o html=FILE` and `-o lcov=FILE` are reports of it.
    #[arg(long)]
    pub coverage: bool,
    /// Fail if they reached less than so many percent of the lines.
    #[arg(long, visible_alias = "threshold", value_name = "PERCENT", value_parser = crate::mutant_args::percent)]
    pub coverage_min: Option<f64>,
    #[command(flatten)]
    pub mutants: crate::mutant_args::MutantArgs,
    #[command(flatten)]
    pub remote: RemoteArgs,
    #[command(flatten)]
    pub refused: crate::conftest_args::RefusedArgs,
    #[command(flatten)]
    pub refused_here: crate::conftest_args::RefusedByVerify,
    #[command(flatten)]
    pub files: FileArgs,
    #[command(flatten)]
    pub providers: ProviderArgs,
    #[command(flatten)]
    pub second: SecondArgs,
    #[command(flatten)]
    pub evaluation: EvaluationArgs,
    #[command(flatten)]
    pub refused_of_gator: crate::gator_args::FailurePolicyArgs,
    #[command(flatten)]
    pub engine: EngineArgs,
}

#[derive(Debug, clap::Args)]
#[command(after_help = BENCH_EXAMPLES)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct BenchArgs {
    /// Files and directories with policies and objects, as for `test`; `-` is standard input.
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
    /// Same as PATH; may be repeated.
    #[arg(short = 'f', long = "filename", value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub filenames: Vec<PathBuf>,
    /// Take only the policies from here, and leave other objects alone; may be repeated.
    #[arg(short = 'p', long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub policies: Vec<PathBuf>,
    /// Objects that policies may compare with, but that are not reviewed; may be repeated.
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub inventory: Vec<PathBuf>,
    /// The language to measure: `rego`, or else what is run, which of templates with both is CEL.
    #[arg(short, long, value_name = "ENGINE", value_enum)]
    pub engine: Option<BenchEngine>,
    /// How often all objects are reviewed.
    #[arg(short = 'n', long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    pub iterations: u64,
    /// How often before that, unmeasured.
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub warmup: u64,
    /// Threads that review.
    #[arg(short, long, value_name = "N", default_value = "1")]
    pub concurrency: std::num::NonZeroUsize,
    /// Also measure what is allocated. For programs built with the feature `count-allocations`.
    #[arg(long)]
    pub memory: bool,
    /// Also read each object from its JSON before it is reviewed.
    #[arg(long)]
    pub parse: bool,
    /// Write the results here, for `--compare`: JSON, or YAML if the name says so.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub save: Option<PathBuf>,
    /// Compare with the results in this file, saved by this program or by gator; exit with 1 if something regressed.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub compare: Option<PathBuf>,
    /// What is compared.
    #[arg(long, value_enum, value_name = "WHAT", default_value = "all")]
    pub gate: GateArg,
    /// Percent by which a measure may be worse.
    #[arg(long, value_name = "PERCENT", default_value_t = 10.0, value_parser = crate::mutant_args::percent)]
    pub threshold: f64,
    /// Time by which a latency has to be worse to count, such as `1ms`.
    #[arg(long, value_name = "DURATION", default_value = "0", value_parser = go_duration)]
    pub min_threshold: std::time::Duration,
    /// Form of the report.
    #[arg(short, long, value_name = "FORMAT", default_value = "table", value_parser = Form::parser::<BenchReport>())]
    pub output: Form,
    /// Also give what each template costs in gator's form, as `statsEntries`; what each constraint costs is always given.
    #[arg(long)]
    pub stats: bool,
    /// Go on without what is not supported: ExpansionTemplates, mutators, Providers, templates of other engines. Each is a warning then.
    #[arg(long)]
    pub allow_unsupported: bool,
    /// Largest file that is read, such as `512KiB` or `64MiB`.
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = size)]
    pub max_size: usize,
    #[command(flatten)]
    pub render: RenderArgs,
    #[command(flatten)]
    pub config: ConfigArgs,
    #[command(flatten)]
    pub evaluation: EvaluationArgs,
    #[command(flatten)]
    pub remote: RemoteArgs,
}

/// The language that is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum BenchEngine {
    /// Rego only.
    Rego,
}

/// What is compared with an earlier run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum GateArg {
    /// Latencies, throughput, memory and steps.
    All,
    /// Steps only: the same on every machine, so that a check in CI does not fail by chance.
    Steps,
}

impl LintArgs {
    /// All that is named.
    pub fn all_paths(&self) -> Vec<PathBuf> {
        self.paths.iter().chain(&self.policies).cloned().collect()
    }
}

impl VerifyArgs {
    /// All that is named.
    pub fn all_paths(&self) -> impl Iterator<Item = &PathBuf> {
        self.paths.iter().chain(&self.policies)
    }

    /// Whether coverage is asked for.
    pub fn wants_coverage(&self) -> bool {
        let tells = |destination: &Destination| matches!(destination.form, Form::Lcov | Form::Html);
        self.coverage || self.coverage_min.is_some() || self.output.iter().any(tells)
    }
}

/// The heading of what is about unit tests of Rego.
const REGO_TESTS: &str = "Unit tests of Rego";

impl From<GateArg> for Gate {
    fn from(gate: GateArg) -> Self {
        match gate {
            GateArg::All => Self::All,
            GateArg::Steps => Self::Steps,
        }
    }
}

fn go_duration(text: &str) -> Result<std::time::Duration, String> {
    let ns = portcullis_value::go_duration(text).and_then(|ns| u64::try_from(ns).ok());
    ns.map(std::time::Duration::from_nanos)
        .ok_or_else(|| "expected a duration such as `500us` or `1ms`".to_owned())
}

/// Who is asked beside our evaluator.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct SecondArgs {
    /// Ask a second evaluator, regorus, as well; what it says otherwise is an error.
    ///
    /// Verdicts are never taken from it. A template that it does not take is a warning. The memory that it
    /// uses has no limit: do not cross-check policies that you do not trust.
    #[arg(long)]
    pub cross_check: bool,
}

/// What the evaluation of one constraint for one object may use.
#[derive(Clone, Copy, Debug, clap::Args)]
#[command(next_help_heading = "Limits of evaluation")]
pub struct EvaluationArgs {
    /// Most steps that one constraint may take for one object; the same on every machine.
    #[arg(long, value_name = "N", default_value_t = portcullis::EvaluationLimits::default().steps)]
    pub max_steps: u64,
    /// Most memory that the values may take which one constraint makes for one object.
    #[arg(long, value_name = "SIZE", default_value = "32MiB", value_parser = size)]
    pub max_policy_memory: usize,
    #[command(flatten)]
    pub former: FormerArgs,
    /// Most seconds that the constraints together may take for one object.
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    pub timeout: u64,
}

/// What templates can be rewritten in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum UpgradeTo {
    /// The language since OPA 1.0.
    V1,
}

#[derive(Debug, clap::Args)]
#[command(after_help = LINT_EXAMPLES)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct LintArgs {
    /// Files and directories with templates, constraints, Configs, SyncSets and suites; `-` is standard
    /// input.
    ///
    /// Directories are searched through for .yaml, .yml, .json, .jsonl and .ndjson files, except for the
    /// `samples` beside a suite. Templates that suites name are read wherever they are. Other objects are
    /// left alone.
    #[arg(value_name = "PATH", required_unless_present_any = ["policies", "images"], value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
    /// Same as PATH; may be repeated.
    #[arg(short, long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub policies: Vec<PathBuf>,
    /// Go on without what is not supported: Connections, templates of other engines. Each is a warning then.
    #[arg(long)]
    pub allow_unsupported: bool,
    #[command(flatten)]
    pub files: FileArgs,
    #[command(flatten)]
    pub config: ConfigArgs,
    #[command(flatten)]
    pub engine: EngineArgs,
    /// Also look whether an API server with this ValidatingWebhookConfiguration asks the policies about all
    /// that they are about.
    ///
    /// What is not sent is a warning for each constraint, and so is what selectors leave out and what is sent
    /// for no policy. Kinds that are not Kubernetes' own are known by the CustomResourceDefinitions among
    /// PATH. May be repeated.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub webhook_configuration: Vec<PathBuf>,
    /// Put into the files what is certain to be done about findings and changes no verdict: unused imports go, unused
    /// names become `_`, deprecated builtins get their new names. The report is about what is left.
    ///
    /// Comments and all else stay as they are. What may change what a policy does is yours to decide, and never put in.
    #[arg(long, conflicts_with = "fix_dry_run")]
    pub fix: bool,
    /// Write what `--fix` or `--upgrade` would do as a diff to standard output, and findings to standard error.
    #[arg(long)]
    pub fix_dry_run: bool,
    /// Rewrite templates in Rego v0 in this version, in their files: `v1`.
    ///
    /// The trees of both are compared, and both judge the objects of their suites and random variants of these. What would
    /// say anything else is an error, and is left as it is.
    #[arg(long, value_enum, value_name = "VERSION", conflicts_with = "fix")]
    pub upgrade: Option<UpgradeTo>,
    /// Also show what each policy is made of, and what it reads.
    #[arg(short, long)]
    pub verbose: bool,
    /// Form of the report; `FORMAT=FILE` writes it into a file. May be repeated: one to standard output, others
    /// into files.
    #[arg(short, long, value_name = "FORMAT[=FILE]", default_value = "human", value_parser = Destination::parser::<LintReport>())]
    pub output: Vec<Destination>,
    /// The template of `-o template`, in Jinja's language, rendered with what `-o json` writes (`docs/reports.md`). Texts are
    /// escaped if the file's name ends in `.html`, `.htm` or `.xml`, also before `.j2`.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub template: Option<PathBuf>,
    /// Most bytes of the report for comments (`-o markdown`); what does not fit is counted in it.
    #[arg(long, value_name = "SIZE", default_value = "64KiB", value_parser = size)]
    pub max_bytes: usize,
    /// Count warnings as errors.
    #[arg(short = 'W', long)]
    pub deny_warnings: bool,
    /// Number of threads; all cores if not given.
    #[arg(short, long, value_name = "N")]
    pub jobs: Option<std::num::NonZeroUsize>,
    /// Largest file that is read, such as `512KiB` or `64MiB`.
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = size)]
    pub max_size: usize,
    #[command(flatten)]
    pub remote: RemoteArgs,
}

#[derive(Debug, clap::Args)]
#[command(after_help = BUILD_EXAMPLES)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct BuildArgs {
    /// Files and directories with sources and libraries.
    ///
    /// A template is made of each file with a rule `violation` that is no library (`package lib.…`) and no test
    /// (`…_test.rego`). METADATA before the package says what else there is: `title`, `description`, and below `custom`
    /// `matchers`, `parameters`, `enforcement`, `annotations`, `labels`, `kind`, `skipTemplate`, `skipConstraint`; or
    /// tags, as in `# @title …`, `@kinds`, `@parameter`, `@enforcement`, `@skip-template`, `@skip-constraint`.
    #[arg(value_name = "PATH", required = true, value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
    /// Write all files into this directory, instead of beside their sources.
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub output: Option<PathBuf>,
    /// Write nothing; exit with 1 if the files that are there are not those that would be written.
    #[arg(long)]
    pub check: bool,
    /// Make templates only.
    #[arg(long)]
    pub skip_constraints: bool,
    /// Make templates, constraints and a suite of policies that are written for conftest, and say what cannot be
    /// turned.
    #[arg(long)]
    pub from_conftest: bool,
    /// The package of these policies.
    #[arg(short, long, value_name = "PACKAGE", default_value = "main", requires = "from_conftest")]
    pub namespace: String,
    /// The dialect of all files: `v0` or `v1`; if not given, what each is written in.
    #[arg(long, value_name = "VERSION", value_parser = crate::conftest_args::rego_version)]
    pub rego_version: Option<portcullis::RegoVersion>,
    /// No summary.
    #[arg(short, long)]
    pub quiet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// If the output is a terminal that can.
    Auto,
    /// Also in pipes.
    Always,
    /// No.
    Never,
}

impl Color {
    /// Makes it the choice of all streams of the program.
    pub fn write_global(self) {
        let choice = match self {
            Self::Auto => anstream::ColorChoice::Auto,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
    }
}

/// Which tests and cases `--run` selects.
#[derive(Clone, Debug)]
pub enum Selection {
    /// Tests and cases by this name.
    Either(Regex),
    /// Cases by the second name of tests by the first.
    Both(Regex, Regex),
}

fn selection(text: &str) -> Result<Selection, String> {
    let regex = |part: &str| {
        Regex::new(part).map_err(|error| {
            let reason = error.to_string();
            let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
            format!("`{part}` is not a regular expression: {reason}")
        })
    };
    match text.split("//").collect::<Vec<_>>().as_slice() {
        [one] => Ok(Selection::Either(regex(one)?)),
        [test, case] => Ok(Selection::Both(regex(test)?, regex(case)?)),
        parts => {
            Err(format!("expected `REGEX` or `TEST//CASE`, found {} parts separated by `//`", parts.len()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory as _;
        Args::command().debug_assert();
    }

    #[test]
    fn a_flag_that_means_something_else_now_says_so() {
        for command in ["test", "verify"] {
            let refused =
                Args::try_parse_from(["portcullis", command, "x", "--max-memory", "32MiB"]).unwrap_err();
            assert!(refused.to_string().contains("is `--max-policy-memory`"), "{refused}");
        }
        Args::try_parse_from(["portcullis", "test", "x", "--max-policy-memory", "32MiB"]).unwrap();
    }

    #[test]
    fn sizes_are_read() {
        assert_eq!(size("64MiB"), Ok(64 << 20));
        assert_eq!(size("10k"), Ok(10 << 10));
        assert_eq!(size("123"), Ok(123));
        for wrong in ["", "x", "10 apples", "-1", "5GiB"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn selections_have_at_most_two_parts() {
        assert!(matches!(selection("a.*"), Ok(Selection::Either(_))));
        assert!(matches!(selection("a//b"), Ok(Selection::Both(..))));
        assert!(selection("a//b//c").is_err());
        assert!(selection("a(").is_err());
    }
}
