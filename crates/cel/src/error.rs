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
pub(crate) struct Fault(Box<Told>);

/// What a fault says: apart from it, so that a value or a fault takes no more room than a value.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub kind: EvalErrorKind,
    pub message: String,
    /// Where it arose, once that is known.
    pub at: Option<u32>,
}

impl std::ops::Deref for Fault {
    type Target = Told;

    fn deref(&self) -> &Told {
        &self.0
    }
}

impl Fault {
    pub(crate) fn new(kind: EvalErrorKind, message: String) -> Self {
        Self(Box::new(Told { kind, message, at: None }))
    }

    pub(crate) fn error(message: impl Into<String>) -> Self {
        Self::new(EvalErrorKind::Evaluation, message.into())
    }

    /// The same, which arose here if it is not known where.
    pub(crate) fn at(mut self, at: u32) -> Self {
        self.0.at = self.0.at.or(Some(at));
        self
    }

    /// What the caller of the evaluation learns.
    pub(crate) fn told(self) -> EvalError {
        let Told { kind, message, at } = *self.0;
        EvalError { kind, message, at: at.unwrap_or(0) }
    }

    pub(crate) fn no_overload() -> Self {
        Self::error("no such overload")
    }

    pub(crate) fn internal(message: impl fmt::Display) -> Self {
        Self::new(EvalErrorKind::Internal, format!("internal error: {message}"))
    }

    pub(crate) fn is_absorbable(&self) -> bool {
        matches!(self.kind, EvalErrorKind::Evaluation | EvalErrorKind::NeedsCluster)
    }
}

impl From<Exceeded> for Fault {
    fn from(exceeded: Exceeded) -> Self {
        Self::new(EvalErrorKind::Limit(exceeded.limit), exceeded.message)
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
