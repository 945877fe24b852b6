//! `portcullis`: judges Kubernetes manifests by Gatekeeper policies, and tests the policies.
//!
//! Arguments in, exit code out. What happens in between: `args` says what there is to ask for, `run` calls one of
//! `commands`, which reads (`read`), asks the library, and reports (`report`).

mod args;
mod commands;
mod report;
mod run;

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    run::run(args::Args::parse()).into()
}
