//! Values about rights: what `authorizer` is, and what is built on it until it is asked.

use std::sync::Arc;

use portcullis_value::{AccessResource, AccessUser};

/// A value about rights.
///
/// ```
/// use std::sync::Arc;
///
/// use portcullis_cel::{AccessUser, Rights};
///
/// let alice = Arc::new(AccessUser { name: "alice".into(), ..AccessUser::default() });
/// assert_eq!(Rights::Authorizer(alice).type_name(), "kubernetes.authorization.Authorizer");
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rights {
    /// What somebody may do.
    Authorizer(Arc<AccessUser>),
    /// With a path.
    Path(Arc<AccessUser>, Arc<str>),
    /// With something of a group.
    Group(Arc<AccessUser>, Arc<str>),
    /// With resources.
    Resource(Arc<AccessUser>, Arc<AccessResource>),
    /// What was decided.
    Decision {
        /// Whether it is allowed.
        allowed: bool,
        /// Why; may be empty.
        reason: Arc<str>,
        /// What went wrong; empty if nothing did.
        error: Arc<str>,
    },
}

impl Rights {
    /// The name of its type.
    #[must_use]
    pub const fn type_name(&self) -> &'static str {
        match self {
            Self::Authorizer(_) => "kubernetes.authorization.Authorizer",
            Self::Path(..) => "kubernetes.authorization.PathCheck",
            Self::Group(..) => "kubernetes.authorization.GroupCheck",
            Self::Resource(..) => "kubernetes.authorization.ResourceCheck",
            Self::Decision { .. } => "kubernetes.authorization.Decision",
        }
    }
}
