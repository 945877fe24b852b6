//! What evaluations may use, and who is asked besides: of all commands that judge.

use portcullis_sources::FormerArgs;

use crate::file_args::size;

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
