//! `--kube`: what is served comes from a cluster and follows it, and what is known of it is written back.
//!
//! ```text
//! cluster ── Feed ──snapshots──> serve: State::replace, State::move_on
//!                 ──reports────> the log, /readyz, statuses, CRDs
//! request ──> its Namespace: known, or asked for, or the request is refused
//! findings ──> events
//! ```
//!
//! Until the first snapshot is served the webhook is not ready, and refuses what comes all the same.

pub mod args;
mod events;
pub mod following;
pub mod serve;
