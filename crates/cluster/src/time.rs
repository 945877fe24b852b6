//! The time of day in the form of Kubernetes objects.

use std::time::{Duration, SystemTime};

/// RFC 3339 in UTC with microseconds, as Leases have it: `2026-01-31T12:00:00.000000Z`.
pub(crate) fn micro_time(time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{}.{:06}Z", date_time(since), since.subsec_micros())
}

/// RFC 3339 in UTC with seconds: `2026-01-31T12:00:00Z`.
pub(crate) fn second_time(time: SystemTime) -> String {
    format!("{}Z", date_time(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()))
}

/// Days become a date by counting eras of 400 years that begin in March, so that the leap day is the last of its year.
fn date_time(since: Duration) -> String {
    let (days, seconds) = (since.as_secs() / 86_400, since.as_secs() % 86_400);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}")
}

#[cfg(test)]
mod tests {
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
        ] {
            assert_eq!(second_time(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)), text);
        }
        let time = SystemTime::UNIX_EPOCH + Duration::from_micros(1_000_042);
        assert_eq!(micro_time(time), "1970-01-01T00:00:01.000042Z");
    }
}
