//! Tests as data: the case format, the harness that runs a case every way there is, and builders for tests in
//! code.
//!
//! ```text
//! testdata/<topic>/*.yaml ── case.rs ──> File, Case ── harness.rs ──> every way agrees, and as expected
//! ```
//!
//! The format is documented in `testdata/README.md`. Nothing here is shipped.

#![expect(
    clippy::missing_panics_doc,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a panic is how a test says that it fails"
)]

#[cfg(feature = "apiserver")]
pub mod apiserver;
pub mod builders;
pub mod case;
pub mod compliance;
pub mod harness;
pub mod hostile;
mod manual;
pub mod metrics;
pub mod oracle;
pub mod policies;
pub mod program;
#[cfg(feature = "rolling")]
pub mod rolling;

use std::path::PathBuf;

/// The `testdata` folder of the project.
pub fn testdata() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata"))
}
