//! An admission webhook over the core: it reads policies from files, answers AdmissionReviews, and decides nothing itself.
//!
//! ```text
//! files ── load ──┬─> Serving ──(swap)──┐
//! cluster ─ kube ─┘                  │
//! HTTPS ── server ── pool ── admission::judge, or mutate ──> answer, log records, counts
//! ```
//!
//! Nothing that goes wrong here lets a request in: see [`admission`].
#![forbid(unsafe_code)]

pub mod admission;
pub mod args;
pub mod body;
pub mod bounds;
pub mod configuration;
pub mod connections;
pub mod decisions;
pub mod digest;
pub mod files;
pub mod head;
pub mod kube;
pub mod load;
pub mod log;
pub mod memory;
pub mod metrics;
pub mod pool;
pub mod queue;
pub mod redact;
pub mod run;
pub mod server;
pub mod serving;
pub mod state;
pub mod tls;
#[cfg(feature = "otel")]
pub mod traces;
mod write_back;
