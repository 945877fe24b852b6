//! From arguments to an exit status: the one place where a failure of the program itself becomes text.

use std::io::Write as _;

use portcullis::Error;
use portcullis_report::{ExitStatus, Problem, human};

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

/// Says what is wrong with what a command is told by a file or by the environment: nothing is run then.
pub fn refuse(errors: &[Error]) -> ExitStatus {
    // Nothing is left to do if even this cannot be written.
    let _ = human::write_problems(&Problem::all(errors), &mut anstream::stderr().lock());
    ExitStatus::Error
}
