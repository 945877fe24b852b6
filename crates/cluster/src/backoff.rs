//! Waiting longer and longer, and never in step with others who wait.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::time::Duration;

/// How long to wait between tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// After the first failure.
    pub first: Duration,
    /// At most; each wait is twice the one before.
    pub most: Duration,
    /// Tries after which a request has failed. Watches never end to try.
    pub tries: u32,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_millis(250), most: Duration::from_secs(30), tries: 6 }
    }
}

impl Backoff {
    /// The wait after the failure with this number, from 0: between half of it and all of it, by chance. What the API server asks for
    /// is waited in full, up to two minutes.
    #[must_use]
    pub fn wait(&self, failure: u32, asked: Option<Duration>) -> Duration {
        /// An API server does not ask for more; a proxy in front of it may.
        const MAX_ASKED: Duration = Duration::from_mins(2);
        let whole = self.first.saturating_mul(1_u32.checked_shl(failure.min(16)).unwrap_or(1)).min(self.most);
        let own = whole / 2 + (whole / 2).mul_f64(chance());
        asked.map_or(own, |asked| asked.min(MAX_ASKED).max(own))
    }
}

/// Between 0 and 1. The keys of std's hash maps are random, which is all the randomness that this needs.
fn chance() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 32;
    f64::from(u32::try_from(bits).unwrap_or_default()) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_most_and_never_fall_below_what_was_asked_for() {
        let backoff = Backoff { first: Duration::from_millis(100), most: Duration::from_secs(1), tries: 9 };
        for (failure, whole) in [(0, 100), (1, 200), (3, 800), (4, 1000), (40, 1000), (u32::MAX, 1000)] {
            let wait = backoff.wait(failure, None);
            let whole = Duration::from_millis(whole);
            assert!(wait >= whole / 2 && wait <= whole, "{failure}: {wait:?}");
        }
        assert_eq!(backoff.wait(0, Some(Duration::from_secs(7))), Duration::from_secs(7));
        assert_eq!(backoff.wait(0, Some(Duration::from_secs(9999))), Duration::from_mins(2));
    }
}
