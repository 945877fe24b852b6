//! The program as its users run it, and audits of a simulated API server.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    reason = "a test panics when it fails"
)]

mod compare;
mod dumps;
mod ending;
mod explained;
mod generated;
mod implied;
mod kube;
mod lease;
mod outputs;
mod rights;
mod shards;
mod support;
