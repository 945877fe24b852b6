//! The language server: what is wrong with templates, constraints, suites and manifests while they are written, and
//! what names in them mean.
//!
//! ```text
//! stream ── framing ──> server ── messages ──> session ── texts ──> index, spot ──> hover, complete, navigate, rename
//!                          │                      └──> jobs ──┐                       (rego, cel, schema, samples)
//!                          └── reports <─── checks ───────────┘
//! ```
//!
//! It is an adapter, and decides nothing: what is wrong, how it is fixed and how cases end is said by [`Checks`], which
//! the program that links this crate implements by the code of its commands.
#![forbid(unsafe_code)]

mod before;
mod buffer;
mod builtin_docs;
mod cel;
mod checks;
mod complete;
mod fields;
mod framing;
mod hover;
mod index;
mod jobs;
mod navigate;
mod position;
mod publish;
mod rego;
mod rename;
mod requests;
mod samples;
mod schema;
mod server;
mod session;
mod spot;
mod uri;

pub use checks::{CaseRun, CaseStatus, Checks, Level, Note, Offer, Policies};
pub use jobs::{Job, Report};
pub use server::serve;
pub use session::Session;
