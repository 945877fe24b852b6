//! Points in time, as reports write them.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use chrono::{DateTime, SecondsFormat};
use serde::{Serialize, Serializer};

/// Seconds since 1970, shown in RFC 3339, UTC: `2026-11-21T13:50:00Z`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timestamp(u64);

impl Timestamp {
    /// From seconds since 1970; at most the end of the year 9999.
    pub fn from_seconds(seconds: u64) -> Self {
        const LAST: u64 = 253_402_300_799;
        Self(seconds.min(LAST))
    }

    /// From the system's time.
    pub fn from_system(time: SystemTime) -> Self {
        Self::from_seconds(time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs())
    }

    /// From RFC 3339, in any offset; parts of a second are left out. `None` before 1970.
    pub fn parse(text: &str) -> Option<Self> {
        let seconds = DateTime::parse_from_rfc3339(text).ok()?.timestamp();
        u64::try_from(seconds).ok().map(Self::from_seconds)
    }

    /// Seconds since 1970.
    pub const fn seconds(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every moment that there can be is one of the calendar.
        let moment = i64::try_from(self.0).ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
        f.write_str(&moment.ok_or(fmt::Error)?.to_rfc3339_opts(SecondsFormat::Secs, true))
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_shown_as_rfc_3339() {
        let show = |seconds| Timestamp::from_seconds(seconds).to_string();
        assert_eq!(show(0), "1970-01-01T00:00:00Z");
        assert_eq!(show(951_782_399), "2000-02-28T23:59:59Z");
        assert_eq!(show(951_782_400), "2000-02-29T00:00:00Z");
        assert_eq!(show(1_795_269_019), "2026-11-21T13:50:19Z");
        assert_eq!(show(4_107_542_399), "2100-02-28T23:59:59Z");
        assert_eq!(show(u64::MAX), "9999-12-31T23:59:59Z");
        let parse = |text| Timestamp::parse(text).map(|time| time.to_string());
        assert_eq!(parse("2026-11-21T15:50:19.7+02:00").as_deref(), Some("2026-11-21T13:50:19Z"));
        for wrong in ["", "2026-11-21", "1969-12-31T23:59:59Z", "2026-13-21T13:50:19Z", "now"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        let before = UNIX_EPOCH - std::time::Duration::from_secs(1);
        assert_eq!(Timestamp::from_system(before).to_string(), "1970-01-01T00:00:00Z");
    }
}
