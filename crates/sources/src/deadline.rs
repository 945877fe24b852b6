//! The end of a review, by the clock.

use std::time::{Duration, Instant};

use portcullis::Watch;

/// Until when a review may go on; for ever, if that is later than clocks go. What has not been evaluated then
/// is an error of its constraint.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// At a moment.
    #[must_use]
    pub const fn at(end: Instant) -> Self {
        Self(Some(end))
    }

    /// Some time from now.
    #[must_use]
    pub fn after(time: Duration) -> Self {
        Self(Instant::now().checked_add(time))
    }
}

impl Watch for Deadline {
    fn is_over(&self) -> bool {
        self.0.is_some_and(|end| Instant::now() >= end)
    }
}
