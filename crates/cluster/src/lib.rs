//! Everything that talks to a Kubernetes API server, shared by the webhook and the audit job. It decides nothing: it brings
//! objects to the core and takes results away.
//!
//! ```text
//! connect ──> discovery ──> pages ──> objects, for who reads them once
//!    ├──────> watch ──> publish ──> feed: snapshots, for who has to know all the time
//!    └──────> write ──> status, events, lease, crds, ca_bundle
//! ```
#![forbid(unsafe_code)]

mod backoff;
mod ca_bundle;
mod connect;
mod crds;
mod discovery;
mod error;
mod events;
mod feed;
mod lease;
mod pages;
mod publish;
mod reports;
mod resource;
mod slices;
mod status;
mod time;
mod watch;
mod write;

pub use backoff::Backoff;
pub use ca_bundle::add_ca_bundle;
pub use connect::{Access, Cluster, ConnectOptions};
pub use crds::apply_constraint_crd;
pub use discovery::{Discovery, DiscoveryProblem};
pub use error::{ClusterError, Status};
pub use events::{Event, EventRecorder, Regarding};
pub use feed::{
    Definition, Feed, FeedEnded, FeedOptions, Ingestion, Patience, PolicyError, PolicyState, Problem, Report,
    Snapshot, Standing, Templates, Unreadable,
};
pub use lease::{Leadership, LeaseOptions};
pub use pages::{Consistency, Page, Pages};
pub use publish::needs::unknown_kinds;
pub use reports::{ObjectId, delete_others, write_object};
pub use resource::ApiResource;
pub use status::{AuditStatus, AuditViolation, StatusWriter, write_audit_status};
pub use write::Written;
