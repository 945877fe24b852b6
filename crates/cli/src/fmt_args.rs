//! The flags of `portcullis fmt`: those that `opa fmt` has are taken, too.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::ValueHint;
use portcullis::RegoVersion;

const EXAMPLES: &str = "\
Examples:
  portcullis fmt policies/                format all Rego below a directory, in its files
  portcullis fmt policies/ --check        in CI: write nothing, fail if something is not formatted
  portcullis fmt policies/ --diff         write nothing, show what would be different
  portcullis fmt - < policy.rego          from standard input to standard output

Exit codes: 0 all is formatted now, 1 `--check` found something that is not, 2 a file or a module is broken (all others are formatted).";

/// `portcullis fmt`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub struct FmtArgs {
    /// Files and directories with Rego: .rego files, and ConstraintTemplates in .yaml and .yml files; `-` is standard input,
    /// formatted to standard output.
    ///
    /// Of YAML only the lines of Rego are written anew, where they are a block (`rego: |`). Rego that is written otherwise, in
    /// quotes or as JSON, or in a template that another tool renders, is told of and left as it is.
    #[arg(value_name = "PATH", required = true, value_hint = ValueHint::AnyPath)]
    pub paths: Vec<PathBuf>,
    /// Write nothing; list the files that are not formatted, and exit with 1 if there are any.
    #[arg(long, alias = "fail")]
    pub check: bool,
    /// Write nothing; show what would be different, as `diff -u` does.
    #[arg(short, long)]
    pub diff: bool,
    /// The dialect of .rego files: `v0` or `v1`. If not given, each file has that which it can be read in, first v1. Templates say
    /// theirs.
    #[arg(long, value_name = "VERSION", value_parser = crate::conftest_args::rego_version)]
    pub rego_version: Option<RegoVersion>,
    /// What standard input would be called as a file: by its end it is known whether it is Rego or YAML. If not given, by how it
    /// begins.
    #[arg(long, value_name = "NAME", value_hint = ValueHint::FilePath)]
    pub stdin_filename: Option<String>,
    /// Leave out files and folders that match, of the folders that are searched through, as in `.gitignore`; may be
    /// repeated. How many these are is told.
    #[arg(long, value_name = "GLOB")]
    pub ignore_files: Vec<String>,
    /// Largest file that is read, such as `512KiB` or `64MiB`.
    #[arg(long, value_name = "SIZE", default_value = "64MiB", value_parser = crate::file_args::size)]
    pub max_size: usize,
    /// Number of threads; all cores if not given.
    #[arg(short, long, value_name = "N")]
    pub jobs: Option<NonZeroUsize>,
    /// No summary.
    #[arg(short, long)]
    pub quiet: bool,
    /// That of `opa fmt` and gofmt: files are written in any case.
    #[arg(short, long, hide = true, conflicts_with_all = ["check", "diff", "list"])]
    pub write: bool,
    /// That of `opa fmt` and gofmt: as `--check`, with 0 as its exit code.
    #[arg(short, long, hide = true)]
    pub list: bool,
    /// That of `opa fmt`: `--rego-version v0`.
    #[arg(long, hide = true, conflicts_with = "rego_version")]
    pub v0_compatible: bool,
    /// That of `opa fmt`: `--rego-version v1`.
    #[arg(long, hide = true, conflicts_with_all = ["rego_version", "v0_compatible"])]
    pub v1_compatible: bool,
}

impl FmtArgs {
    /// The dialect that is asked for.
    pub const fn version(&self) -> Option<RegoVersion> {
        match (self.v0_compatible, self.v1_compatible) {
            (true, _) => Some(RegoVersion::V0),
            (false, true) => Some(RegoVersion::V1),
            (false, false) => self.rego_version,
        }
    }
}
