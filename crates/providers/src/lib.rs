//! Asks providers of external data, as Gatekeeper does, within bounds of time and size; and keeps records of what they
//! say, to judge by them without a network.
//!
//! ```text
//! Questions --Providers::answer--> cache --- what is asked already --- one request a provider --> Answers
//!     \-------Recorded::answer--> what a file says (YAML)                                  -----> Answers
//! ```
//!
//! One question is asked once, whoever asks it and how often; what comes back is kept for a while. A provider that
//! hangs, fails, or sends what nobody asked for costs what its bounds say and nothing else: its answers are failures
//! then, which policies see in `system_error`.
//!
//! The client is hyper's over rustls, and not the one of `portcullis-remote`: a review that waits must not take a thread, and
//! the oldest version of TLS has to be ours to say.

#![forbid(unsafe_code)]

mod access_rules;
mod answering;
mod args;
mod asking;
mod breaker;
mod cache;
mod http;
mod metrics;
mod protocol;
mod recorded;
mod runtime;

pub use answering::Answering;
pub use args::ProviderArgs;
pub use asking::{ProviderOptions, Providers};
pub use http::{Identity, OldestTls, ProviderError};
pub use metrics::Metrics;
pub use recorded::{Recorded, RecordedError};
pub use runtime::BlockingProviders;
