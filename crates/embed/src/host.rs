//! What the caller has and the engine has not.

use portcullis::Watch;

/// What the caller has and the engine has not: a clock, and a way to stop.
pub trait Host: Sync {
    /// Milliseconds since some moment, never going back; `None` if there is no clock. A review that has a
    /// `timeoutMs` needs one.
    fn elapsed_ms(&self) -> Option<u64> {
        None
    }

    /// Whether nobody wants the answer any more. Asked about every thousand steps of an evaluation: what is
    /// under way then ends as an error of its constraint, which does not pass.
    fn is_cancelled(&self) -> bool {
        false
    }
}

/// A caller without a clock, that never stops a review.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoHost;

impl Host for NoHost {}

/// The end of one review.
pub(crate) struct End<'h> {
    host: &'h dyn Host,
    /// What the clock says then.
    at_ms: Option<u64>,
}

impl<'h> End<'h> {
    /// So long from now; `None` if that cannot be measured.
    pub(crate) fn of(host: &'h dyn Host, timeout_ms: Option<u64>) -> Option<Self> {
        let at_ms = match timeout_ms {
            Some(timeout) => Some(host.elapsed_ms()?.saturating_add(timeout)),
            None => None,
        };
        Some(Self { host, at_ms })
    }
}

impl Watch for End<'_> {
    fn is_over(&self) -> bool {
        // A clock that is gone measures nothing any more: what has an end is over.
        let is_late = |end: u64| self.host.elapsed_ms().is_none_or(|now| now >= end);
        self.host.is_cancelled() || self.at_ms.is_some_and(is_late)
    }
}
