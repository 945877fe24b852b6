//! Everything that talks to a Kubernetes API server, shared by the webhook and the audit job. It decides nothing: it brings
//! objects to the core and takes results away.
//!
//! ```text
//! connect ──> discovery ──> pages ──> objects, for who reads them once
//! ```
#![forbid(unsafe_code)]

mod backoff;
mod connect;
mod discovery;
mod error;
mod pages;
mod resource;
mod slices;

pub use backoff::Backoff;
pub use connect::{Access, Cluster, ConnectOptions};
pub use discovery::{Discovery, DiscoveryProblem};
pub use error::{ClusterError, Status};
pub use pages::{Consistency, Page, Pages};
pub use resource::ApiResource;
