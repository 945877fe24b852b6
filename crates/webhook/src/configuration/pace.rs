//! How often something may be written: at once when that is rare, and slowly when somebody else keeps undoing it.

use std::time::{Duration, Instant};

/// Writes that may follow each other at once.
const BURST: u32 = 12;
/// After that, one in this time.
const EACH: Duration = Duration::from_secs(5);

/// A bucket of writes that fills up again.
#[derive(Debug, Default)]
pub struct Pace {
    /// When the bucket would be full again; it is full if that is past.
    full: Option<Instant>,
}

impl Pace {
    /// Takes one, or says how long to wait for one.
    pub fn take(&mut self, now: Instant) -> Result<(), Duration> {
        let full = self.full.map_or(now, |full| full.max(now));
        let wait = (full + EACH).saturating_duration_since(now).saturating_sub(EACH * BURST);
        if wait.is_zero() {
            self.full = Some(full + EACH);
            Ok(())
        } else {
            Err(wait)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_free_and_a_fight_is_slow() {
        let start = Instant::now();
        let mut pace = Pace::default();
        for _ in 0..BURST {
            assert_eq!(pace.take(start), Ok(()));
        }
        assert_eq!(pace.take(start), Err(EACH));
        // In an hour of somebody who undoes it at once.
        let mut taken = 0;
        for second in 0..3600 {
            taken += u32::from(pace.take(start + Duration::from_secs(second)).is_ok());
        }
        assert!((719..=721).contains(&taken), "{taken}");
        // Rest makes it free again.
        let later = start + Duration::from_hours(1) + EACH * BURST;
        assert!((0..BURST).all(|_| pace.take(later).is_ok()) && pace.take(later).is_err());
    }
}
