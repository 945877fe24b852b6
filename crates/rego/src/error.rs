//! What can be wrong with modules, and with an evaluation.

use std::fmt;

use portcullis_rego_syntax::Span;
use portcullis_value::{Exceeded, LimitKind};

/// Something in a module that OPA refuses or that cannot be evaluated.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct CompileError {
    /// What kind of error.
    pub kind: CompileErrorKind,
    /// The module, by its position in the list given to [`crate::Program::compile`].
    pub module: usize,
    /// Where in its text.
    pub span: Span,
    /// One sentence.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl CompileError {
    /// Without a hint.
    pub fn new(kind: CompileErrorKind, module: usize, span: Span, message: impl Into<String>) -> Self {
        Self { kind, module, span, message: message.into(), hint: None }
    }

    pub(crate) fn rego(module: usize, span: Span, message: impl Into<String>) -> Self {
        Self::new(CompileErrorKind::Rego, module, span, message)
    }
}

/// Kinds of errors in modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CompileErrorKind {
    /// What is written cannot be evaluated: the language does not allow it, it is not there, or its values would
    /// be nested too deep.
    Rego,
    /// There is too much of it: rules need each other too deep.
    Limit,
}

/// Why an evaluation has no answer. It is never a pass.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct EvalError {
    /// What kind of error.
    pub kind: EvalErrorKind,
    /// One sentence.
    pub message: String,
    /// The module, and where in its text.
    pub at: Option<(usize, Span)>,
}

/// Kinds of evaluation errors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EvalErrorKind {
    /// A rule or function has two values, or an object two values for a key.
    Conflict,
    /// A builtin was called with arguments it does not take. Only with strict builtin errors, or where to be
    /// undefined would let an object pass; else the call is undefined.
    Builtin,
    /// It asks what nobody has answered yet: [`crate::Evaluation::questions`]. What else came of it means nothing.
    Unanswered,
    /// A builtin needs what the caller did not give, such as the time.
    Unavailable,
    /// A limit.
    Limit(LimitKind),
}

impl fmt::Display for EvalErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict => f.write_str("conflict"),
            Self::Builtin => f.write_str("builtin"),
            Self::Unanswered => f.write_str("unanswered"),
            Self::Unavailable => f.write_str("unavailable"),
            Self::Limit(limit) => write!(f, "limit `{limit}`"),
        }
    }
}

impl From<Exceeded> for EvalError {
    fn from(exceeded: Exceeded) -> Self {
        Self { kind: EvalErrorKind::Limit(exceeded.limit), message: exceeded.message, at: None }
    }
}

impl From<Exceeded> for Box<EvalError> {
    #[cold]
    fn from(exceeded: Exceeded) -> Self {
        Self::new(exceeded.into())
    }
}
