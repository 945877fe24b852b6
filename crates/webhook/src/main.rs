//! `portcullis-webhook`: see the library.

use std::process::ExitCode;

use clap::Parser as _;
use portcullis_webhook::args::Args;
use portcullis_webhook::run;

/// musl's own takes turns where threads should not.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(usage) => return portcullis_sources::usage(usage.exit_code(), || usage.print()),
    };
    match run::run(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            run::report(&error);
            ExitCode::from(2)
        }
    }
}
