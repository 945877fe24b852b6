//! The time of day in the form of Kubernetes objects.

use std::time::SystemTime;

use chrono::{DateTime, SecondsFormat};

/// RFC 3339 in UTC with microseconds, as Leases have it: `2026-01-31T12:00:00.000000Z`.
pub(crate) fn micro_time(time: SystemTime) -> String {
    text(time, SecondsFormat::Micros)
}

/// RFC 3339 in UTC with seconds: `2026-01-31T12:00:00Z`.
pub(crate) fn second_time(time: SystemTime) -> String {
    text(time, SecondsFormat::Secs)
}

/// What the form cannot say becomes the nearest that it can: no year before 1970 and none of five digits.
fn text(time: SystemTime, precision: SecondsFormat) -> String {
    /// The last second of the year 9999.
    const LAST: i64 = 253_402_300_799;
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let seconds = i64::try_from(since.as_secs()).map_or(LAST, |seconds| seconds.min(LAST));
    DateTime::from_timestamp(seconds, since.subsec_nanos())
        .unwrap_or_default()
        .to_rfc3339_opts(precision, true)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_735_689_599, "2024-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
            (253_402_300_800, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(second_time(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
        assert_eq!(second_time(SystemTime::UNIX_EPOCH - Duration::from_secs(1)), "1970-01-01T00:00:00Z");
        // Parts are cut off, not rounded: no time stamp is later than the moment it is of.
        let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_000_042_999);
        assert_eq!(micro_time(time), "1970-01-01T00:00:01.000042Z");
        assert_eq!(second_time(time + Duration::from_millis(999)), "1970-01-01T00:00:01Z");
    }
}
