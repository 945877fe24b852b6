//! What is wrong with an expression, found when it is loaded.

use std::fmt;

/// The class of a mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DiagnosticKind {
    /// The text is no CEL.
    Syntax,
    /// It is nested too deep, too long, or becomes too large: a limit that the message names.
    Limit,
    /// A word that is kept for the language.
    Reserved,
    /// A number, text or bytes that cannot be.
    Literal,
    /// A macro whose arguments have not the form that it needs.
    Macro,
    /// An identifier or function that there is not.
    Undeclared,
    /// No overload of a function takes these types.
    NoOverload,
    /// Types that do not go together.
    Type,
    /// A constant argument that can never work: a duration, a pattern, a format.
    Argument,
    /// A constant part of the expression that ends as an error.
    Constant,
    /// The expression has another type than is needed of it.
    Result,
}

/// A mistake in an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Its class.
    pub kind: DiagnosticKind,
    /// One sentence, as the API server words it where it knows the mistake.
    pub message: String,
    /// The byte in the text of the expression where it begins.
    pub at: u32,
}

impl Diagnostic {
    pub(crate) fn new(kind: DiagnosticKind, at: u32, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), at }
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}
