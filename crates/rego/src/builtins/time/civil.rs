//! The Gregorian calendar, also for times before there was one.

/// Seconds of a day.
pub(super) const DAY: i64 = 86_400;

/// Days of 400 years, after which the calendar repeats.
const ERA: i64 = 146_097;

pub(super) const WEEKDAYS: [&str; 7] =
    ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// What clock and calendar show.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Civil {
    pub(super) year: i64,
    pub(super) month: i64,
    pub(super) day: i64,
    pub(super) hour: i64,
    pub(super) minute: i64,
    pub(super) second: i64,
    /// From 1.
    pub(super) year_day: i64,
    days: i64,
}

impl Civil {
    /// Of seconds since 1970.
    pub(super) fn of(seconds: i64) -> Self {
        let days = seconds.div_euclid(DAY);
        let time = seconds.rem_euclid(DAY);
        // Years that begin in March end with the day that is not always there.
        let shifted = days + 719_468;
        let era = shifted.div_euclid(ERA);
        let day_of_era = shifted.rem_euclid(ERA);
        let year_of_era =
            (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / (ERA - 1)) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * from_march + 2) / 5 + 1;
        let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        let year_day = days - days_since_1970(year, 1, 1) + 1;
        Self {
            year,
            month,
            day,
            hour: time / 3600,
            minute: time / 60 % 60,
            second: time % 60,
            year_day,
            days,
        }
    }

    pub(super) fn weekday(&self) -> &'static str {
        // 1970 began with a Thursday.
        let index = usize::try_from((self.days + 4).rem_euclid(7)).unwrap_or(0);
        WEEKDAYS.get(index).copied().unwrap_or_default()
    }
}

/// Seconds from 1970 to the beginning of a day. Months and days may be any number: those that there are not
/// follow those that there are.
pub(super) fn seconds(year: i64, month: i64, day: i64) -> i64 {
    days_since_1970(year, month, day) * DAY
}

/// Days from 1970.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = year + (month - 1).div_euclid(12);
    let month = (month - 1).rem_euclid(12) + 1;
    let year = year - i64::from(month <= 2);
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let from_march = (month + 9) % 12;
    let day_of_year = (153 * from_march + 2) / 5;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * ERA + day_of_era - 719_468 + day - 1
}

/// Days of a month.
pub(super) fn days_in(year: i64, month: i64) -> i64 {
    days_since_1970(year, month + 1, 1) - days_since_1970(year, month, 1)
}
