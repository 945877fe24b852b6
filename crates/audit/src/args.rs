//! The command line as types, shared by `portcullis audit` and `portcullis-audit`.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::ValueHint;
use portcullis_providers::ProviderArgs;
use portcullis_report::sink::Target;
use portcullis_report::{AuditReport, Form, Timestamp};
use portcullis_sources::{ConfigArgs, EngineArgs};

use crate::compare::{Compare, CompareForm};
use crate::error::RunError;
use crate::implying::Expand;
use crate::policies::Policies;
use crate::shard::Shard;

/// How the program is used, for its help.
pub const EXAMPLES: &str = "\
Examples:
  # a dump of a cluster, judged by the policies of a directory
  kubectl get pods,deployments,services,namespaces -A -o json | portcullis audit -p policies/
  portcullis audit -p policies/ dump.ndjson.zst

  # a page for people and a line for every finding
  portcullis audit -p policies/ dump/ --html audit.html --ndjson findings.ndjson

  # beside what Gatekeeper's audit wrote into the constraints of a cluster
  portcullis-audit --kube --compare-status

  # every five minutes, for Prometheus' textfile collector
  portcullis audit -p policies/ dump/ --interval 300 --quiet --metrics /var/lib/node_exporter/portcullis.prom

  # as three programs, on one machine or on several
  portcullis audit -p policies/ dump/ --shard 0/3 --part part-0.jsonl    # and 1/3, 2/3
  portcullis audit merge part-*.jsonl --html audit.html

SIGTERM ends the audit after the object at hand; outputs then say that they are unfinished.

Exit codes: 0 nothing is denied and everything was seen, 1 something is denied and everything was seen, 2 something could not be read
or judged, nothing was judged at all, or the policies are broken (what could be judged still is).";

/// What else there is to do with audits.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum AuditAction {
    /// Make one audit of the parts that `--shard` wrote: reports and exit code are those of one audit of all.
    ///
    /// A shard that is missing, a part that is not whole, and one of another audit are named, and make the audit incomplete. Exit codes
    /// are those of an audit.
    Merge(MergeArgs),
}

/// The arguments of `audit merge`.
#[derive(Clone, Debug, clap::Args)]
pub struct MergeArgs {
    /// The parts that `audit --shard` wrote, of all shards of one audit, in any order.
    #[arg(value_name = "FILE", required = true, value_hint = ValueHint::FilePath)]
    pub files: Vec<PathBuf>,
    /// What is printed on standard output.
    #[arg(short, long, value_name = "FORM", default_value = "human", help_heading = "Outputs",
        value_parser = Form::parser::<AuditReport>())]
    pub output: Form,
    /// Print nothing but, on standard error, why the audit is incomplete or judged nothing.
    #[arg(short, long, conflicts_with = "output", help_heading = "Outputs")]
    pub quiet: bool,
    #[command(flatten)]
    #[allow(missing_docs, reason = "its comment would become the help's")]
    pub files_out: OutputFiles,
    /// Most violations in the status of one constraint.
    #[arg(long, value_name = "N", default_value_t = 20, help_heading = "Outputs")]
    pub constraint_violations_limit: usize,
    /// Most bytes of a message in the status of a constraint, where it is cut between characters; 0 cuts nothing.
    #[arg(long, value_name = "BYTES", default_value_t = 256, help_heading = "Outputs")]
    pub message_limit: usize,
    /// Most memory that is taken, at least 64MiB.
    #[arg(long, value_name = "SIZE", default_value = "512MiB", value_parser = size)]
    pub max_memory: u64,
}

/// The arguments of an audit that is one of several.
#[derive(Clone, Debug, clap::Args)]
pub struct ShardArgs {
    /// Judge only the objects of one shard of several, and write what came of it to `--part`; the first is `0/N`.
    ///
    /// All shards have to have the same policies, input and flags. `portcullis audit merge` makes the audit of their parts.
    #[arg(long, value_name = "I/N", requires = "part", help_heading = "Shards",
        conflicts_with_all = ["output", "quiet", "compare_status", "interval"])]
    pub shard: Option<Shard>,
    /// The file that a shard is written to. It has its name when it is whole, and is called `FILE.unfinished` before.
    #[arg(long, value_name = "FILE", requires = "shard", help_heading = "Shards", value_hint = ValueHint::FilePath)]
    pub part: Option<PathBuf>,
    /// What the parts of one audit have in common, such as the uid of a Job: so that one that an earlier audit left over is told apart.
    #[arg(long, value_name = "ID", requires = "shard", help_heading = "Shards")]
    pub run: Option<String>,
}

impl ShardArgs {
    /// Which shard, and where it goes, if this is one.
    pub fn of(&self) -> Option<(Shard, Target)> {
        Some((self.shard?, Target::File(self.part.clone()?)))
    }
}

/// The arguments of every audit.
#[derive(Clone, Debug, clap::Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct AuditArgs {
    /// Files and directories with the objects to audit; `-` is standard input.
    ///
    /// Lists as `kubectl get -o json|yaml` prints them, YAML streams, JSON lines, plain or packed with gzip or Zstandard, which
    /// their first bytes show. Directories are searched through for .yaml, .yml, .json, .jsonl, .ndjson, .gz and .zst files.
    /// Standard input is kept in a temporary file (TMPDIR), because it is read twice: for the Namespaces and what policies compare
    /// objects with, then to judge.
    #[arg(value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
    /// Files and directories with templates, constraints, Configs and SyncSets, and with ExpansionTemplates and the mutators of what these
    /// generate; may be repeated.
    #[arg(short, long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub policies: Vec<PathBuf>,
    /// Further objects that policies may compare with, and Namespaces, which are not audited; may be repeated.
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    pub inventory: Vec<PathBuf>,
    /// The namespace of objects that name none, though their kind lives in one; as for kubectl, `default` if not given.
    ///
    /// Without it, what such an object would violate in other namespaces only is a warning. Dumps of a cluster name all namespaces.
    #[arg(short, long, value_name = "NAME", value_parser = portcullis_sources::namespace)]
    pub namespace: Option<String>,
    /// Also judge what Kubernetes makes of objects, without ExpansionTemplates for it.
    #[arg(long, value_enum, value_name = "WHAT")]
    pub expand: Option<Expand>,
    /// Go on without what is not supported: mutators without ExpansionTemplates, Connections, templates of other engines. Each is a warning then.
    #[arg(long)]
    pub allow_unsupported: bool,
    #[command(flatten)]
    #[allow(missing_docs, reason = "its comment would become the help's")]
    pub config: ConfigArgs,
    #[command(flatten)]
    #[allow(missing_docs, reason = "its comment would become the help's")]
    pub engine: EngineArgs,
    #[command(flatten)]
    #[allow(missing_docs, reason = "its comment would become the help's")]
    pub providers: ProviderArgs,
    /// What is printed on standard output.
    #[arg(short, long, value_name = "FORM", default_value = "human", help_heading = "Outputs",
        value_parser = Form::parser::<AuditReport>())]
    pub output: Form,
    /// Compare what is found with the status that another audit, such as Gatekeeper's, wrote into each constraint.
    ///
    /// Printed is, by constraint, whether both say the same, as `human` or `json`; nothing is written to the cluster. The exit code is 0
    /// if they do, 1 if they differ in a constraint, 2 if not all could be compared.
    #[arg(long, help_heading = "Outputs", conflicts_with = "interval")]
    pub compare_status: bool,
    /// Tell why of the first N violations of each constraint, 20 if no number is given: the rules and conditions that made them, and what
    /// these read, each with its place.
    ///
    /// They are evaluated a second time and followed. It is in `human`, where a few violations of each constraint are shown, in `json`,
    /// `yaml`, `ndjson` and `html`. One explanation takes at most 32 KiB, all together 8 MiB, in equal parts for the constraints. Nothing is
    /// told of Secrets and tokens, nor by constraints that compare objects with others among which are Secrets.
    #[arg(long, value_name = "N", num_args = 0..=1, require_equals = true, default_missing_value = "20", help_heading = "Outputs",
        conflicts_with = "compare_status", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub explain: Option<u16>,
    /// Print nothing but, on standard error, why an audit is incomplete or judged nothing.
    #[arg(short, long, conflicts_with = "output", help_heading = "Outputs")]
    pub quiet: bool,
    #[command(flatten)]
    #[allow(missing_docs, reason = "its comment would become the help's")]
    pub files: OutputFiles,
    /// Most violations in the status of one constraint.
    #[arg(long, value_name = "N", default_value_t = 20, help_heading = "Outputs")]
    pub constraint_violations_limit: usize,
    /// Most bytes of a message in the status of a constraint, where it is cut between characters; 0 cuts nothing.
    #[arg(long, value_name = "BYTES", default_value_t = 256, help_heading = "Outputs")]
    pub message_limit: usize,
    #[command(flatten)]
    #[allow(missing_docs, reason = "its comment would become the help's")]
    pub shard: ShardArgs,
    /// What policies see as the present, in RFC 3339; when the audit begins, if not given.
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "interval")]
    pub now: Option<Timestamp>,
    /// Audit again, so many seconds after the last audit began or, if it took longer, when it has ended.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    pub interval: Option<u64>,
    /// Audit once; that is what happens without `--interval`.
    #[arg(long, conflicts_with = "interval")]
    pub once: bool,
    /// Number of threads that judge; all cores if not given.
    #[arg(short, long, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
    /// Most memory that the audit takes, at least 64MiB.
    ///
    /// Half of it is for what policies compare objects with; if that is not enough, the audit ends and says so. A document of more
    /// than a 64th of it is reported and not judged.
    #[arg(long, value_name = "SIZE", default_value = "512MiB", value_parser = size)]
    pub max_memory: u64,
    /// Most steps that one constraint may take for one object; the same on every machine.
    #[arg(long, value_name = "N", default_value_t = portcullis::EvaluationLimits::default().steps, help_heading = "Limits of evaluation")]
    pub max_steps: u64,
    /// Most memory that the values may take which one constraint makes for one object.
    #[arg(long, value_name = "SIZE", default_value = "32MiB", value_parser = size, help_heading = "Limits of evaluation")]
    pub max_policy_memory: u64,
    /// Most seconds that the constraints together may take for one object.
    #[arg(long, value_name = "SECONDS", default_value_t = 10, help_heading = "Limits of evaluation")]
    pub timeout: u64,
}

/// Files that results are written to, beside standard output: each form has a flag of its name. Each file is replaced as a whole when the
/// audit has ended; until then it is called `FILE.unfinished`.
#[derive(Clone, Debug, Default)]
pub struct OutputFiles(Vec<(Form, PathBuf)>);

impl OutputFiles {
    /// They, as targets.
    pub fn outputs(&self) -> impl Iterator<Item = (Form, Target)> + '_ {
        self.0.iter().map(|(form, path)| (*form, Target::File(path.clone())))
    }

    fn forms() -> impl Iterator<Item = Form> {
        Form::of::<AuditReport>().filter(|form| !form.is_for_people())
    }
}

impl clap::FromArgMatches for OutputFiles {
    fn from_arg_matches(matches: &clap::ArgMatches) -> Result<Self, clap::Error> {
        let files = Self::forms().filter_map(|form| Some((form, matches.get_one(form.name()).cloned()?)));
        Ok(Self(files.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &clap::ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl clap::Args for OutputFiles {
    fn augment_args(command: clap::Command) -> clap::Command {
        let flag = |form: Form| {
            let about = form.about::<AuditReport>().unwrap_or_default();
            clap::Arg::new(form.name())
                .long(form.name())
                .value_name("FILE")
                .value_hint(ValueHint::FilePath)
                .value_parser(clap::value_parser!(PathBuf))
                .help(format!("Write {about}"))
                .help_heading("Outputs")
        };
        command.args(Self::forms().map(flag))
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        Self::augment_args(command)
    }
}

impl AuditArgs {
    /// What compares the findings with the statuses of constraints, if that is asked for.
    ///
    /// # Errors
    ///
    /// If the form of output is none that comparisons have.
    pub fn comparison(&self, policies: &Policies) -> Result<Option<Compare>, RunError> {
        if !self.compare_status {
            return Ok(None);
        }
        let Some(form) = CompareForm::of(self.output) else {
            let text =
                "a comparison is printed as `human` or `json`; name files for other forms of what is found";
            return Err(RunError::Usage(text.to_owned()));
        };
        let output = (!self.quiet).then_some((form, Target::Stdout));
        Ok(Some(Compare::new(policies, self.message_limit, output)))
    }

    /// Whether files are named for reports.
    pub fn has_output_files(&self) -> bool {
        !self.files.0.is_empty()
    }

    /// Refuses to explain what nobody would read.
    ///
    /// # Errors
    ///
    /// If explanations are asked for, and no output has them.
    pub fn refuse_unread(&self) -> Result<(), RunError> {
        const HAVE: [Form; 5] = [Form::Human, Form::Json, Form::Yaml, Form::Ndjson, Form::Html];
        let is_read =
            self.shard.shard.is_some() || self.outputs().iter().any(|(form, _)| HAVE.contains(form));
        if self.explain.is_none() || is_read {
            return Ok(());
        }
        let text =
            "`--explain` is in `human`, `json`, `yaml`, `ndjson` and `html`, none of which is asked for";
        Err(RunError::Usage(text.to_owned()))
    }

    /// The outputs that are asked for.
    pub fn outputs(&self) -> Vec<(Form, Target)> {
        let files = self.files.outputs();
        let is_printed = !self.quiet && !self.compare_status;
        let stdout = is_printed.then_some((self.output, Target::Stdout));
        stdout.into_iter().chain(files).collect()
    }
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text)
        .ok_or_else(|| format!("expected a time such as `2026-11-21T13:50:00Z`, found `{text}`"))
}

fn size(text: &str) -> Result<u64, String> {
    portcullis_sources::size(text)
        .filter(|size| *size > 0)
        .ok_or_else(|| format!("expected a size such as `512MiB` or `2GiB`, found `{text}`"))
}
