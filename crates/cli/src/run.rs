//! From arguments to an exit status: the one place where a failure of the program itself becomes text.

use std::io::{self, Write as _};

use portcullis_report::ExitStatus;

use crate::args::Args;
use crate::commands;

/// Runs a command. A reader that hangs up (`portcullis … | head`) is no error of ours.
pub fn run(args: Args) -> ExitStatus {
    args.color.write_global();
    match commands::dispatch(args) {
        Ok(status) => status,
        Err(error) => {
            let hung_up = error
                .chain()
                .filter_map(|cause| cause.downcast_ref::<io::Error>())
                .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe);
            if !hung_up {
                // Nothing is left to do if even this cannot be written.
                let _ = writeln!(anstream::stderr(), "error: {error:#}");
            }
            ExitStatus::Error
        }
    }
}
