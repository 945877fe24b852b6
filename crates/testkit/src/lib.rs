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
pub mod json_patch;
mod manual;
pub mod metrics;
pub mod oracle;
pub mod policies;
pub mod program;
pub mod provider;
#[cfg(feature = "rolling")]
pub mod rolling;
pub mod specialised;

use std::io::Write as _;
use std::path::PathBuf;

/// The `testdata` folder of the project.
pub fn testdata() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata"))
}

/// Something in the folder of recordings and of inputs that went wrong, which is no part of the project:
/// `PORTCULLIS_SHARED`, or `../shared` beside the project. Where it is not there the test is skipped, and
/// says so; where `CI` is set it has to be there.
pub fn shared(path: &str) -> Option<PathBuf> {
    let folder =
        std::env::var_os("PORTCULLIS_SHARED").map_or_else(|| testdata().join("../../shared"), PathBuf::from);
    let found = folder.join(path);
    if found.exists() {
        return Some(found);
    }
    assert!(std::env::var_os("CI").is_none(), "{} is missing, and `CI` is set", found.display());
    skipped(&format!(
        "{} is missing; set PORTCULLIS_SHARED to the folder that has `{path}`",
        found.display()
    ));
    None
}

/// Something outside of the project that a variable names. Where it is not set the test is skipped, and says
/// so.
pub fn named(variable: &str, what: &str) -> Option<PathBuf> {
    let path = std::env::var_os(variable).map(PathBuf::from);
    if path.is_none() {
        skipped(&format!("set {variable} to {what}"));
    }
    path
}

/// Says that a test is skipped, also where the output of tests that pass is kept back.
pub fn skipped(why: &str) {
    // At once, since other tests write as well. Who has closed the output reads nothing.
    let _ = std::io::stderr().write_all(format!("SKIPPED: {why}\n").as_bytes());
}
