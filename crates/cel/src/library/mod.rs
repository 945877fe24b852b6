//! What Kubernetes has besides the language: addresses, quantities, versions, URLs and named formats.

mod format;
mod net;
mod quantity;
mod semver;
mod url;

pub use format::Format;
pub use net::Cidr;
pub use quantity::Quantity;
pub use semver::Semver;
pub use url::Url;

pub(crate) use net::{ip, is_global_unicast, is_link_local_multicast, is_link_local_unicast};
pub(crate) use quantity::NotOne;
pub(crate) use url::{escaped_query, is_url};
