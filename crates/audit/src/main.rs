//! `portcullis-audit`: see the library.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use portcullis_audit::args::AuditArgs;
use portcullis_audit::kube::{self, KubeArgs};
use portcullis_audit::run;
use portcullis_report::ExitStatus;
use portcullis_sources::Ignores;

/// Audit the objects that exist by Gatekeeper policies.
#[derive(Debug, clap::Parser)]
#[command(name = "portcullis-audit", version, after_help = portcullis_audit::args::EXAMPLES, max_term_width = 100)]
struct Args {
    #[command(flatten)]
    audit: AuditArgs,
    #[command(flatten)]
    kube: KubeArgs,
}

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(usage) => return portcullis_report::usage(usage.exit_code(), || usage.print()),
    };
    let done = if args.kube.kube {
        kube::run(&args.audit, &args.kube)
    } else {
        run::files(&args.audit, &Ignores::default())
    };
    match done {
        Ok(status) => status.into(),
        Err(error) => {
            // Nothing is left to do if even this cannot be written.
            let _ = writeln!(anstream::stderr(), "error: {error}");
            ExitStatus::Error.into()
        }
    }
}
