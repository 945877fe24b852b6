//! How much is generated of one object.

/// How many levels objects are expanded: one less than this, as Gatekeeper counts.
pub(super) const DEPTH: usize = 30;
/// The most resources that are generated of one. With two templates for each kind, a chain of them would make
/// a thousand million.
pub(super) const MAX_RESULTANTS: usize = 1_000;
/// The most that they hold together, in bytes of texts and some for each part.
pub(super) const MAX_BYTES: usize = 32 << 20;
/// What a part of a value counts besides its text.
pub(super) const PART: usize = 16;
