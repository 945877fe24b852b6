//! `portcullis bench`.

use std::path::PathBuf;

use clap::ValueHint;
use portcullis_report::Form;
use portcullis_report::bench::{BenchReport, Gate};
use portcullis_sources::{ConfigArgs, RenderArgs};

use crate::evaluation_args::EvaluationArgs;
use crate::file_args::size;
use crate::remote_args::RemoteArgs;

const BENCH_EXAMPLES: &str = "\
Examples:
  portcullis bench -f policies/ -f manifests/                       latencies, throughput, the dearest constraints
  portcullis bench -f policies/ -f manifests/ -c 4                  on four threads
  portcullis bench -f policies/ -f manifests/ --save main.json      to compare with
  portcullis bench -f policies/ -f manifests/ --compare main.json --gate steps -n 1
                                                                    in CI: fails if policies take more steps

Exit codes: 0 measured, 1 something regressed, 2 the input or a policy is broken (what could be measured still is).";

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
