//! What a request with an AdmissionReview is for: all else about it is the same.

/// What is asked for with an AdmissionReview.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A verdict.
    Admit,
    /// A patch.
    Mutate,
}
