//! What is wrong with a module, in the words OPA uses for it.

use std::fmt;

use crate::span::Span;

/// One finding about the text of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// The offending text.
    pub span: Span,
    /// What kind of finding this is.
    pub code: DiagnosticCode,
    /// The finding in OPA's words, without OPA's error class: see [`DiagnosticCode::class`].
    pub message: String,
    /// What to do about it, if there is a likely remedy.
    pub hint: Option<String>,
}

impl fmt::Display for Diagnostic {
    /// Writes it as OPA does: `rego_parse_error: unexpected } token (hint: …)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.class(), self.message)?;
        match &self.hint {
            Some(hint) => write!(f, " (hint: {hint})"),
            None => Ok(()),
        }
    }
}

/// The kinds of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DiagnosticCode {
    /// A character or literal that is not a token.
    IllegalToken,
    /// A token that the grammar does not allow where it stands.
    UnexpectedToken,
    /// The module has no `package` clause, or a second one.
    Package,
    /// An import of something that cannot be imported.
    Import,
    /// A rule head that cannot be one.
    RuleHead,
    /// A `default` rule whose value or arguments are not constants or plain variables.
    DefaultRule,
    /// Rego v1 requires `if` or `contains` here, or Rego v0 an import of that keyword.
    MissingKeyword,
    /// Brackets or operators are nested deeper than the parser follows.
    TooDeep,
    /// A variable that nothing binds.
    UnsafeVar,
    /// A call of a function that does not exist.
    UndefinedFunction,
    /// A variable that is declared twice, used before its declaration, or declared and never used.
    Declaration,
    /// A name that hides `input` or `data`, or an import that hides another.
    Shadowing,
    /// A builtin function that Rego v1 no longer has.
    DeprecatedBuiltin,
    /// Values whose types do not fit: the policy can never work.
    Type,
    /// A `with` that replaces what cannot be replaced.
    With,
}

impl DiagnosticCode {
    /// OPA's error class, such as `rego_parse_error`.
    pub const fn class(self) -> &'static str {
        match self {
            Self::IllegalToken
            | Self::UnexpectedToken
            | Self::Package
            | Self::Import
            | Self::RuleHead
            | Self::DefaultRule
            | Self::MissingKeyword
            | Self::TooDeep => "rego_parse_error",
            Self::UnsafeVar => "rego_unsafe_var_error",
            Self::UndefinedFunction | Self::DeprecatedBuiltin | Self::Type => "rego_type_error",
            Self::Declaration | Self::Shadowing | Self::With => "rego_compile_error",
        }
    }
}
