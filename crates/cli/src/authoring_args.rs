//! `portcullis docs` and `portcullis init`.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum, ValueHint};

const INIT_POLICY_EXAMPLES: &str = "\
Examples:
  portcullis init policy require-owner --kinds Deployment,StatefulSet
  portcullis init policy require-owner --language cel --output policies/require-owner
  portcullis verify require-owner && portcullis lint require-owner

Exit codes: 0 the folder was made, 2 it was not: there is something in it, or the name or a kind cannot be used.";

#[derive(Debug, clap::Args)]
pub struct DocsArgs {
    /// Folders and files with templates, constraints and suites.
    #[arg(value_name = "PATH", required = true, value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
    /// What it is written in.
    #[arg(short = 'o', long, value_enum, default_value = "markdown")]
    pub form: DocsForm,
    /// The file that is written; by default standard output.
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub output: Option<PathBuf>,
    /// What it is called.
    #[arg(long, value_name = "TEXT", default_value = "Policies")]
    pub title: String,
    /// Write nothing; fail if the file is not what would be written.
    #[arg(long, requires = "output")]
    pub check: bool,
}

/// What a reference is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DocsForm {
    /// Markdown.
    Markdown,
    /// One page that loads nothing.
    Html,
}

/// `portcullis init`.
#[derive(Debug, Subcommand)]
pub enum InitCommand {
    /// Make the folder of a new policy: a template, a constraint, a suite with samples, and a page about it.
    ///
    /// It is a whole policy, which asks for labels: its suite passes, and `lint` finds nothing. Change its condition, and the
    /// samples with it.
    #[command(after_help = INIT_POLICY_EXAMPLES)]
    Policy(InitPolicyArgs),
}

#[derive(Debug, clap::Args)]
pub struct InitPolicyArgs {
    /// What it is called: `require-owner`, of which the kind is `RequireOwner`.
    #[arg(value_name = "NAME")]
    pub name: String,
    /// The kinds that it is about: `Pod`, `apps/Deployment` or `example.com/v1/Widget`; several with commas.
    #[arg(long, value_name = "KINDS", value_delimiter = ',', default_value = "Pod")]
    pub kinds: Vec<String>,
    /// What its condition is written in.
    #[arg(long, value_enum, default_value = "rego")]
    pub language: PolicyLanguage,
    /// The folder that is made; by default one of its name, here.
    #[arg(short, long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub output: Option<PathBuf>,
    /// Say nothing of what was made.
    #[arg(short, long)]
    pub quiet: bool,
}

/// What a new policy is written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PolicyLanguage {
    /// Rego.
    Rego,
    /// CEL.
    Cel,
}
