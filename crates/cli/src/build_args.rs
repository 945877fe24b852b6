//! `portcullis build`.

use std::path::PathBuf;

use clap::ValueHint;

const BUILD_EXAMPLES: &str = "\
Examples:
  portcullis build policies/                       a template.yaml and a constraint.yaml beside each source
  portcullis build policies/ --check               in CI: fails if these are not what the sources say
  portcullis build policy/ --from-conftest -o gatekeeper/
                                                   conftest's policies as templates, constraints and a suite

Exit codes: 0 all was written, or is as it should be, 1 `--check` found a difference, 2 a source is broken (all others are written).";

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
