//! `portcullis`: judges Kubernetes manifests by Gatekeeper policies, and tests the policies.
//!
//! Arguments in, exit code out. What happens in between: `args` says what there is to ask for, `config_file` adds what
//! files and the environment say, `run` calls
//! one of `commands`, which reads (`portcullis-sources`), asks the library, and reports
//! (`portcullis-report`).

mod args;
mod authoring_args;
mod bench_args;
mod build_args;
mod commands;
mod config_file;
mod conftest_args;
mod eval_args;
mod evaluation_args;
mod file_args;
mod fmt_args;
mod gator_args;
mod generate_args;
mod lint_args;
mod mutant_args;
mod mutate_args;
mod policy_args;
mod remote_args;
mod run;
mod sync_args;
mod test_args;
mod verify_args;

use std::process::ExitCode;

use config_file::Refused;

/// musl's own takes turns where threads should not. Counting allocations has one of its own.
#[cfg(all(target_env = "musl", not(feature = "count-allocations")))]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match config_file::parse(std::env::args_os()) {
        Ok(args) => run::run(args).into(),
        Err(Refused::Usage(usage)) => portcullis_report::usage(usage.exit_code(), || usage.print()),
        Err(Refused::Config(errors)) => config_file::refuse(&errors).into(),
    }
}
