//! `portcullis-audit`: see the library.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use portcullis_audit::args::AuditArgs;
use portcullis_audit::run;

/// Audit the objects that exist by Gatekeeper policies.
#[derive(Debug, clap::Parser)]
#[command(name = "portcullis-audit", version, after_help = portcullis_audit::args::EXAMPLES, max_term_width = 100)]
struct Args {
    #[command(flatten)]
    audit: AuditArgs,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match run::files(&args.audit) {
        Ok(status) => ExitCode::from(status as u8),
        Err(error) => {
            // Nothing is left to do if even this cannot be written.
            let _ = writeln!(anstream::stderr(), "error: {error}");
            ExitCode::from(2)
        }
    }
}
