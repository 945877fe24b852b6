//! How an evaluation ends without a value.

use std::fmt;

use portcullis_value::{Exceeded, LimitKind};

/// The class of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EvalErrorKind {
    /// The expression has no value on this input: a key that is not there, a division by zero. `||`, `&&`, `all`
    /// and `exists` may pass over it.
    Evaluation,
    /// The expression costs more than one evaluation may.
    Cost,
    /// A limit of the engine: steps, memory, time.
    Limit(LimitKind),
    /// What only a cluster can answer.
    NeedsCluster,
    /// What the API server ends with a defect of its own.
    Internal,
}

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EvalError {
    /// Its class.
    pub kind: EvalErrorKind,
    /// One sentence, as the API server words it.
    pub message: String,
    /// The byte in the text of the expression where it arose.
    pub at: u32,
}

impl fmt::Display for EvalError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for EvalError {}

/// What ends the evaluation of a part: an error, which a part around it may pass over if it is one of
/// [`EvalErrorKind::Evaluation`].
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub kind: EvalErrorKind,
    pub message: String,
    /// Where it arose, once that is known.
    pub at: Option<u32>,
}

impl Fault {
    pub(crate) fn error(message: impl Into<String>) -> Self {
        Self { kind: EvalErrorKind::Evaluation, message: message.into(), at: None }
    }

    pub(crate) fn no_overload() -> Self {
        Self::error("no such overload")
    }

    pub(crate) fn internal(message: impl fmt::Display) -> Self {
        Self { kind: EvalErrorKind::Internal, message: format!("internal error: {message}"), at: None }
    }

    pub(crate) const fn is_absorbable(&self) -> bool {
        matches!(self.kind, EvalErrorKind::Evaluation | EvalErrorKind::NeedsCluster)
    }
}

impl From<Exceeded> for Fault {
    fn from(exceeded: Exceeded) -> Self {
        Self { kind: EvalErrorKind::Limit(exceeded.limit), message: exceeded.message, at: None }
    }
}

impl From<String> for Fault {
    fn from(message: String) -> Self {
        Self::error(message)
    }
}

impl From<&str> for Fault {
    fn from(message: &str) -> Self {
        Self::error(message)
    }
}
