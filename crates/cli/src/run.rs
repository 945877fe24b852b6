//! From arguments to an exit status: the one place where a failure of the program itself becomes text.

use std::io::{self, Write as _};
use std::process::ExitCode;

use crate::args::Args;
use crate::commands;

/// What the caller of the program learns from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExitStatus {
    /// Nothing is denied, no test failed.
    Success = 0,
    /// Something is denied, or a test failed.
    Violations = 1,
    /// The input or the policies are broken, so that the answer is not to be relied on.
    Error = 2,
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status as u8)
    }
}

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
