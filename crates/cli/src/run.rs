//! From arguments to an exit status: the one place where a failure of the program itself becomes text.

use std::io::Write as _;

use portcullis_report::ExitStatus;

use crate::args::Args;
use crate::commands;

/// Runs a command. A report that could not be written to its end is an error, also if its reader hung up
/// (`portcullis … | head`): who asks for the exit code must not take half of an answer for one.
pub fn run(mut args: Args) -> ExitStatus {
    args.color.write_global();
    commands::dispatch(&mut args).unwrap_or_else(|error| {
        // Nothing is left to do if even this cannot be written.
        let _ = writeln!(anstream::stderr(), "error: {error:#}");
        ExitStatus::Error
    })
}
