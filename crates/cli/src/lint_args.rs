//! `portcullis lint`.

use std::path::PathBuf;

use clap::{ValueEnum, ValueHint};
use portcullis_report::Destination;
use portcullis_report::lint::LintReport;
use portcullis_sources::{ConfigArgs, EngineArgs};

use crate::file_args::{FileArgs, size};
use crate::remote_args::RemoteArgs;

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

impl LintArgs {
    /// All that is named.
    pub fn all_paths(&self) -> Vec<PathBuf> {
        self.paths.iter().chain(&self.policies).cloned().collect()
    }
}
