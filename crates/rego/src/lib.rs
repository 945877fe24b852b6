//! Rego as OPA evaluates it, within hard limits.
//!
//! ```text
//! syntax trees --lower--> normal form (Program) --eval--> Evaluation
//!                                                  \--> builtins
//! ```
//!
//! [`Program::compile`] turns modules that parsed and resolved without findings into a [`Program`], once;
//! [`Program::evaluate`] answers its query for one input. Nothing here panics, reads a clock or does I/O;
//! time and randomness come in with the [`Environment`].

#![forbid(unsafe_code)]

pub mod builtins;
mod collections;
mod common;
mod error;
mod eval;
mod lower;
mod normal_form;
mod program;
mod reads;

pub use error::{CompileError, CompileErrorKind, EvalError, EvalErrorKind};
pub use eval::{ConditionStep, Derivation, Fact, Reasons, RuleStep};
pub use eval::{Coverage, Environment, Evaluation, IndexLimits, Indexes, Input, Statement, Workspace};
pub use lower::{Made, Query, Special, Unit, unavailable_builtins};
pub use program::{Comparing, ComparingCost, Program};
pub use reads::{Base, Reads};
