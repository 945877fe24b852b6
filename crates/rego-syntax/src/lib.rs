//! The Rego front end of Portcullis: Rego text of either version in; a syntax tree with byte spans,
//! resolved names and diagnostics out, as OPA defines the language.
//!
//! ```text
//! text --lex--> tokens --parse--> Module --resolve--> Names (locals, roots, rules, imports, builtins)
//!                                    |----visit-----> analyses, such as `refs`: which paths a module reads
//!                                    \----types-----> what can never work, by the types of values
//! ```
//!
//! ```
//! use portcullis_rego_syntax::{Version, parse};
//!
//! let parsed = parse("package k\nviolation[{\"msg\": m}] { m := input.review.name }", Version::V0);
//! assert!(parsed.diagnostics.is_empty());
//! assert_eq!(parsed.module.rules[0].name(), "violation");
//! ```
//!
//! Nothing here panics, recurses without a bound or takes more than linear time in the text; a faulty
//! statement or rule is reported and left out, and the rest of the module is still there.

#![forbid(unsafe_code)]

pub mod analysis;
pub mod ast;
pub mod builtins;
mod diagnostic;
pub mod format;
mod lex;
mod parse;
pub mod resolve;
mod span;
pub mod types;
pub mod visit;

pub use ast::{Module, Version};
pub use diagnostic::{Diagnostic, DiagnosticCode};
pub use parse::{MAX_HEIGHT, MAX_NESTING};
pub use resolve::{Environment, Names, Resolution, resolve, resolve_in};
pub use span::{Span, line_col};

/// A module, and what is wrong with its text.
#[derive(Clone, Debug)]
pub struct Parsed {
    /// Everything that could be understood.
    pub module: Module,
    /// All findings, in text order; empty if the text is a module of the language.
    pub diagnostics: Vec<Diagnostic>,
}

/// Parses one module.
pub fn parse(text: &str, version: Version) -> Parsed {
    let (module, diagnostics) = parse::parse(text, version);
    Parsed { module, diagnostics }
}
