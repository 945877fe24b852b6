//! YAML as the clients and servers of Kubernetes read it: YAML 1.1 as libyaml has it, with what go-yaml v2
//! has made of that.
//!
//! ```text
//! stream ── lines ──> chunks, cut by `---` lines
//! chunk ── scan ──> tokens ── parse ──> events with their places
//! ```
//!
//! What scalars mean, and which objects come of it, is for the caller. A reader of our own, because none of
//! those that there are reads as go-yaml does: YAML 1.2 has other line breaks, and libyaml has changed since
//! (`{?a: 1}`, `[a::b]`).
//!
//! Nothing here panics or recurses; time is linear in the text, memory in its longest line and deepest
//! nesting.
#![forbid(unsafe_code)]

mod event;
pub mod lines;
mod parse;
mod problem;
mod scan;
mod text;
mod token;

pub use event::{Event, Placed, Properties};
pub use parse::Parser;
pub use problem::{Problem, Rule};
pub use token::Style;
