//! Audits the objects that exist by Gatekeeper policies, as a stream: each object is read, judged and dropped, on all cores, under a
//! ceiling of memory, and every violation reaches the outputs.
//!
//! ```text
//! source ──> pipeline ( judge on every core ) ──> collect ──> sinks: lines, reports, status, metrics
//!              ^ inventory, from a first pass
//! ```
//!
//! An audit has three answers for an object and a constraint: pass, violation, unknown. What it could not see or judge keeps it from
//! being green.
#![forbid(unsafe_code)]

pub mod args;
mod collect;
pub mod compare;
pub mod error;
mod events;
mod examine;
mod explained;
pub mod implying;
mod inventory;
mod judge;
#[cfg(feature = "kube")]
pub mod kube;
pub mod memory;
pub mod merge;
pub mod pipeline;
pub mod policies;
mod progress;
pub mod run;
pub mod shard;
mod sharding;
pub mod source;
pub mod spool;
