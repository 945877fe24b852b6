//! YAML as the clients and servers of Kubernetes read it.
//!
//! ```text
//! stream ── lines ──> chunks, cut by `---` lines
//! ```
#![forbid(unsafe_code)]

pub mod lines;
