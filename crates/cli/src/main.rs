//! `portcullis`: judges Kubernetes manifests by Gatekeeper policies, and tests the policies.
//!
//! Arguments in, exit code out. What happens in between: `args` says what there is to ask for, `run` calls
//! one of `commands`, which reads (`portcullis-sources`), asks the library, and reports
//! (`portcullis-report`).

mod args;
mod commands;
mod conftest_args;

mod remote_args;
mod run;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    match args::Args::try_parse() {
        Ok(args) => run::run(args).into(),
        Err(usage) => portcullis_report::usage(usage.exit_code(), || usage.print()),
    }
}
