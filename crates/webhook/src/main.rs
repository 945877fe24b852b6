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
    match run::run(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            run::report(&error);
            ExitCode::from(2)
        }
    }
}
