//! What the caller of a program learns from it, the same of every command.

use std::process::ExitCode;

use crate::Standing;

/// The exit code, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ExitStatus {
    /// Nothing is denied, no test failed.
    Success = 0,
    /// Something is denied, or a test failed.
    Violations = 1,
    /// The input or the policies are broken, or nothing was judged, so that the answer is not to be relied
    /// on.
    Error = 2,
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status as u8)
    }
}

/// Of an audit. Nothing judged is not a pass: a caller that only looks at the exit code would take it for
/// one.
impl From<Standing> for ExitStatus {
    fn from(standing: Standing) -> Self {
        match standing {
            Standing::Clean | Standing::Noted => Self::Success,
            Standing::Denied => Self::Violations,
            Standing::Unjudged | Standing::Incomplete => Self::Error,
        }
    }
}
