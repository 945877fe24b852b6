//! Everything that talks to a Kubernetes API server, shared by the webhook and the audit job. It decides nothing: it brings
//! objects to the core and takes results away.
//!
//! ```text
//! connect ──> discovery ──> pages ──> objects, for who reads them once
//!    ├──────> watch ──> publish ──> feed: snapshots, for who has to know all the time
//!    ├──────> named: one object, and every change of it
//!    ├──────> access: what somebody may do
//!    └──────> write ──> status, events, lease, crds, configuration, secret
//! ```
#![forbid(unsafe_code)]

mod access;
mod args;
mod backoff;
mod configuration;
mod connect;
mod crds;
mod discovery;
mod error;
mod events;
mod feed;
mod lease;
mod named;
mod pages;
mod parts;
mod publish;
mod published;
mod reports;
mod resource;
mod secret;
mod status;
mod time;
mod watch;
mod write;

pub use access::AccessReviews;
pub use args::ConnectArgs;
pub use backoff::Backoff;
pub use configuration::{
    apply_webhook_configuration, mutating_webhook_configurations, patch_webhook_configuration,
    webhook_configurations,
};
pub use connect::{Access, Cluster, ConnectOptions};
pub use crds::apply_constraint_crd;
pub use discovery::{Discovery, DiscoveryProblem};
pub use error::{ClusterError, Status};
pub use events::{Event, EventRecorder, Regarding};
pub use feed::{Feed, FeedEnded};
pub use lease::{Leadership, LeaseOptions};
pub use named::{Found, Known, NamedWatch};
pub use pages::{Consistency, Page, Pages};
pub use publish::needs::unknown_kinds;
pub use published::{
    Awaited, Definition, FeedOptions, Ingested, Ingestion, Patience, PolicyError, PolicyState, Problem,
    Report, Snapshot, Standing, Templates, Unreadable,
};
pub use reports::{ObjectId, delete_others, write_object};
pub use resource::ApiResource;
pub use secret::{Secret, create_secret, replace_secret, secrets};
pub use status::{AuditStatus, AuditViolation, StatusWriter, write_audit_status};
pub use write::Written;
