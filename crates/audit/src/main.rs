//! `portcullis-audit`: see the library.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use portcullis_audit::args::{AuditAction, AuditArgs};
use portcullis_audit::kube::{self, KubeArgs};
use portcullis_audit::{merge, run};
use portcullis_report::ExitStatus;
use portcullis_sources::Ignores;

/// Audit the objects that exist by Gatekeeper policies.
#[derive(Debug, clap::Parser)]
#[command(name = "portcullis-audit", version, after_help = portcullis_audit::args::EXAMPLES, max_term_width = 100,
    args_conflicts_with_subcommands = true)]
struct Args {
    #[command(flatten)]
    audit: AuditArgs,
    #[command(flatten)]
    kube: KubeArgs,
    #[command(subcommand)]
    action: Option<AuditAction>,
}

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(usage) => return portcullis_report::usage(usage.exit_code(), || usage.print()),
    };
    let done = match &args.action {
        Some(AuditAction::Merge(args)) => merge::merge(args),
        None if args.kube.kube => kube::run(&args.audit, &args.kube),
        None => run::files(&args.audit, &Ignores::default()),
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
