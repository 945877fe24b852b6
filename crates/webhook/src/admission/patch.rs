//! What makes the mutated object of the one that was sent, and what the log says of it.

use serde::Serialize;

/// The patch of an answer.
#[derive(Clone, Debug)]
pub struct Patch {
    /// As it is sent: a JSON patch (RFC 6902).
    pub(super) json: Vec<u8>,
    /// For the log; none if it is not to be told.
    pub(crate) changes: Vec<Told>,
    /// Changes that are not among them.
    pub(crate) left: usize,
    pub(crate) id: String,
}

impl Patch {
    /// The JSON patch.
    #[must_use]
    pub fn json(&self) -> &[u8] {
        &self.json
    }
}

/// A change without values: they may be secret.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Told {
    pub(super) mutator: String,
    pub(super) path: String,
}
