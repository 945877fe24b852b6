//! Why there is no audit.

use std::io;

/// Why there was no audit, or why it ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Something could not be read or written.
    #[error("{doing}: {error}")]
    System {
        /// What could not be done.
        doing: String,
        /// Why.
        error: io::Error,
    },
    /// The arguments do not fit together.
    #[error("{0}")]
    Usage(String),
    /// Another may audit now, and so this program must not.
    #[cfg(feature = "kube")]
    #[error(
        "the Lease `{namespace}/{name}` was lost: it could not be renewed in time, or another took it; start again to wait for it"
    )]
    LeaseLost {
        /// The namespace of the Lease.
        namespace: String,
        /// Its name.
        name: String,
    },
    /// The API server could not be asked.
    #[cfg(feature = "kube")]
    #[error(transparent)]
    Cluster(portcullis_cluster::ClusterError),
}

/// Turns what the system says into the error for what was tried.
pub(crate) fn system(doing: &str) -> impl FnOnce(io::Error) -> RunError {
    let doing = doing.to_owned();
    move |error| RunError::System { doing, error }
}
