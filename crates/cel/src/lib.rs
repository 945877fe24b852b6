//! CEL as the API server of Kubernetes 1.36 has it for expressions that it stores: the language, its libraries,
//! what it refuses, and what evaluating costs.
//!
//! ```text
//! text --lex, parse--> Ast, macros expanded --check--> types, meanings --plan--> Program
//!                                                                                  |
//!         Activation (variables, asked when they are read) ---------------------eval--> CelValue or EvalError
//!         Budget (steps, memory, time)                                             +--> cost
//! ```
//!
//! An expression is compiled once and evaluated often. All that is wrong with it is found when it is compiled;
//! see [`Program`]. Objects are looked into where they lie ([`CelValue`]). Two budgets end an evaluation: the
//! cost, by the rules of the API server, and the engine's own, which bounds what the costs do not.

#![forbid(unsafe_code)]

mod activation;
mod ast;
mod brief;
mod call;
mod changes;
mod check;
mod cost;
mod diagnostic;
mod environment;
mod error;
mod eval;
mod formatting;
mod functions;
mod go_text;
mod lex;
mod library;
mod message;
mod parse;
mod parts;
mod plan;
mod program;
mod reads;
mod rights;
mod time;
mod types;
mod value;

pub use activation::{Activation, Variables};
pub use brief::{Allowance, BYTES_OF_UNIT, COST_OF_UNIT, Desk, Names, STEPS_OF_UNIT, Sight, Stop};
pub use changes::{Change, changes};
pub use cost::PER_CALL_LIMIT;
pub use diagnostic::{Diagnostic, DiagnosticKind};
pub use environment::Environment;
pub use error::{EvalError, EvalErrorKind};
pub use eval::Room;
pub use functions::{FunctionInfo, functions};
pub use lex::{Name, names};
pub use library::{Cidr, Format, Quantity, Semver, Url};
pub use parse::{escaped, is_reserved};
pub use parts::{Part, PartKind, Quantifier, parts};
pub use portcullis_value::{AccessAnswer, AccessQuestion, AccessResource, AccessTo, AccessUser};
pub use program::{Evaluation, Program};
pub use reads::{Read, ReadStep};
pub use rights::Rights;
pub use time::Timestamp;
pub use types::Type;
pub use value::{Associative, CelValue, Entries, List, Map, Text, Typed};
