//! A provider that fails again and again is left alone for a while, so that nobody waits for it.

use std::time::{Duration, Instant};

/// Failures in a row after which it opens.
const FAILURES: u32 = 5;
/// How long nobody asks then.
const PAUSE: Duration = Duration::from_secs(5);

/// Whether a provider may be asked.
#[derive(Debug, Default)]
pub(crate) struct Breaker {
    failures: u32,
    /// Until when nobody asks; then one does, and the others wait for how that ends.
    until: Option<Instant>,
}

impl Breaker {
    /// Whether a request may go out now; it has to be told how it ended.
    pub(crate) fn admits(&mut self, now: Instant) -> bool {
        match self.until {
            None => true,
            Some(until) if now >= until => {
                self.until = Some(now + PAUSE);
                true
            }
            Some(_) => false,
        }
    }

    /// Says how a request ended. Returns whether it opened by this.
    pub(crate) fn ended(&mut self, is_well: bool, now: Instant) -> bool {
        if is_well {
            *self = Self::default();
            return false;
        }
        self.failures = self.failures.saturating_add(1);
        let opens = self.failures >= FAILURES;
        let was_closed = self.until.is_none();
        if opens {
            self.until = Some(now + PAUSE);
        }
        opens && was_closed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_opens_lets_one_try_and_closes() {
        let start = Instant::now();
        let mut breaker = Breaker::default();
        for number in 0..FAILURES {
            assert!(breaker.admits(start));
            assert_eq!(breaker.ended(false, start), number + 1 == FAILURES);
        }
        assert!(!breaker.admits(start + PAUSE / 2));
        assert!(breaker.admits(start + PAUSE));
        assert!(!breaker.admits(start + PAUSE), "one only");
        assert!(!breaker.ended(false, start + PAUSE), "it was open");
        assert!(!breaker.admits(start + PAUSE * 3 / 2));
        assert!(breaker.admits(start + PAUSE * 2));
        breaker.ended(true, start + PAUSE * 2);
        assert!(breaker.admits(start + PAUSE * 2) && breaker.admits(start + PAUSE * 2));
    }
}
