//! The webhook as API servers, kubelets and operators see it: requests through the router, and the program over TLS.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a panic is how a test says that it fails"
)]

mod answers;
mod asking_rights;
mod cluster_mutation;
mod configuration;
mod connections;
mod decisions;
mod exceptions;
mod expansion;
mod faults;
mod generated;
mod kube;
mod monitoring;
mod mutation;
mod program;
mod providers;
mod real;
mod recorded;
mod rights;
mod rolling;
mod support;
mod texts;
mod troubles;
