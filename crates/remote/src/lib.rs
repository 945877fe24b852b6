//! Policies from elsewhere: artifacts of OCI registries and folders of git repositories, as folders of files.
//!
//! ```text
//! text ── Source ──> artifact ── manifest ── signature ── layers ──┐
//!                \─> repository ── git ── commit ── tree ──────────┴──> Filling ──> folder, and by which digest it is known
//!                                                                                       └── Lock: is it the one that was?
//! ```
//!
//! What comes from elsewhere is somebody else's until its digest is looked at: all of it is bounded in bytes, in files and in time,
//! no path leads out of its folder, and what fails is used in no part.
#![forbid(unsafe_code)]

mod challenge;
mod credentials;
mod digest;
mod error;
mod fetch;
mod folder;
mod git;
mod http;
mod lock;
mod manifest;
mod many;
mod options;
mod pull;
mod push;
mod reference;
mod registry;
mod sign;
mod signature;
mod source;
mod unpack;

pub use digest::Digest;
pub use error::{RemoteError, RemoteErrorKind};
pub use fetch::{Fetched, Fetcher};
pub use lock::{Lock, LockMode, Pin};
pub use options::{Bounds, Options};
pub use pull::{Artifact, Pulled};
pub use push::Bundle;
pub use reference::Reference;
pub use sign::SigningKey;
pub use signature::Key;
pub use source::{GitSource, Source};
