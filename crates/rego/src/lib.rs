//! Rego as OPA evaluates it, within hard limits.
//!
//! ```text
//! syntax trees --lower--> normal form (Program) --eval--> Evaluation
//!                                                  \--> builtins, on regorus's values
//! ```
//!
//! [`Program::compile`] turns modules that parsed and resolved without findings into a [`Program`], once;
//! [`Program::evaluate`] answers its query for one input. Nothing here panics, reads a clock or does I/O;
//! time and randomness come in with the [`Environment`].

#![forbid(unsafe_code)]

pub mod builtins;
mod error;
mod eval;
mod json_number;
mod limits;
mod lower;
mod normal_form;
pub mod pattern;
mod program;
mod reads;
mod term;
pub mod yaml_scalar;

pub use error::{CompileError, EvalError, EvalErrorKind};
pub use eval::{Environment, Evaluation, IndexLimits, Indexes};
pub use json_number::JsonNumber;
pub use limits::{Budget, Exceeded, LimitKind, Limits, Watch};
pub use lower::{Query, Unit, unavailable_builtins};
pub use program::{Comparing, ComparingCost, Program};
pub use reads::{Base, Reads};
pub use regorus::Value;
