//! Moments and spans of time.

use std::cmp::Ordering;
use std::fmt;

use chrono::{DateTime, Datelike as _, FixedOffset, NaiveDate, TimeZone as _, Timelike as _, Utc};

use crate::functions::Function;

/// The first and the last second that a moment may have.
const FIRST: i64 = -62_135_596_800;
const LAST: i64 = 253_402_300_799;
const NANOS: i64 = 1_000_000_000;

const OVERFLOW: &str = "integer overflow";
const TIMESTAMP_OVERFLOW: &str = "timestamp overflow";

/// A moment between the years 1 and 9999. Equal and ordered by when it is; it is written in the zone in which it
/// was.
#[derive(Clone, Copy, Debug)]
pub struct Timestamp {
    seconds: i64,
    nanos: u32,
    /// Seconds east of Greenwich.
    zone: i32,
}

impl PartialEq for Timestamp {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Timestamp {}

impl PartialOrd for Timestamp {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timestamp {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.seconds, self.nanos).cmp(&(other.seconds, other.nanos))
    }
}

impl Timestamp {
    /// The moment so many seconds and nanoseconds after 1970; none outside of the years that there are.
    #[must_use]
    pub fn new(seconds: i64, nanos: u32) -> Option<Self> {
        ((FIRST..=LAST).contains(&seconds) && i64::from(nanos) < NANOS).then_some(Self {
            seconds,
            nanos,
            zone: 0,
        })
    }

    /// Seconds after 1970.
    #[must_use]
    pub const fn seconds(&self) -> i64 {
        self.seconds
    }

    /// The same in UTC.
    #[must_use]
    pub const fn utc(self) -> Self {
        Self { zone: 0, ..self }
    }

    /// Whether it is the first there is, which is the empty one.
    pub(crate) const fn is_first(&self) -> bool {
        self.seconds == FIRST && self.nanos == 0
    }

    /// Reads RFC 3339 as Go does.
    pub(crate) fn parse(text: &str) -> Result<Self, Option<&'static str>> {
        let (seconds, nanos, zone) = parse(text).ok_or(None)?;
        let moment = Self::new(seconds, nanos).ok_or(Some(TIMESTAMP_OVERFLOW))?;
        Ok(Self { zone, ..moment })
    }

    pub(crate) fn of_seconds(seconds: i64) -> Result<Self, &'static str> {
        Self::new(seconds, 0).ok_or(TIMESTAMP_OVERFLOW)
    }

    pub(crate) fn plus(self, span: i64) -> Result<Self, &'static str> {
        let seconds = self.seconds.checked_add(span / NANOS).ok_or(OVERFLOW)?;
        let nanos = i64::from(self.nanos) + span % NANOS;
        let seconds = seconds.checked_add(nanos.div_euclid(NANOS)).ok_or(OVERFLOW)?;
        let nanos = u32::try_from(nanos.rem_euclid(NANOS)).unwrap_or(0);
        let moment = Self::new(seconds, nanos).ok_or(TIMESTAMP_OVERFLOW)?;
        Ok(Self { zone: self.zone, ..moment })
    }

    pub(crate) fn minus(self, span: i64) -> Result<Self, &'static str> {
        self.plus(span.checked_neg().ok_or(OVERFLOW)?)
    }

    pub(crate) fn since(self, other: Self) -> Result<i64, &'static str> {
        let seconds = self.seconds.checked_sub(other.seconds).ok_or(OVERFLOW)?;
        let nanos = i64::from(self.nanos) - i64::from(other.nanos);
        seconds.checked_mul(NANOS).and_then(|span| span.checked_add(nanos)).ok_or(OVERFLOW)
    }

    fn at(&self, zone: FixedOffset) -> Option<DateTime<FixedOffset>> {
        Some(Utc.timestamp_opt(self.seconds, self.nanos).single()?.with_timezone(&zone))
    }

    /// A part of the date or the time, in a zone: UTC, if none is named.
    pub(crate) fn part(&self, part: Function, zone: Option<&str>) -> Result<i64, String> {
        let offset = zone.map_or(Ok(0), |name| self.offset_in(name))?;
        let local = self.seconds.saturating_add(offset);
        let moment = Utc.timestamp_opt(local, self.nanos).single().ok_or(TIMESTAMP_OVERFLOW)?;
        Ok(match part {
            Function::GetFullYear => moment.year().into(),
            Function::GetMonth => moment.month0().into(),
            Function::GetDayOfYear => moment.ordinal0().into(),
            Function::GetDayOfMonth => moment.day0().into(),
            Function::GetDate => moment.day().into(),
            Function::GetDayOfWeek => moment.weekday().num_days_from_sunday().into(),
            Function::GetHours => moment.hour().into(),
            Function::GetMinutes => moment.minute().into(),
            Function::GetSeconds => moment.second().into(),
            _ => i64::from(self.nanos) / 1_000_000,
        })
    }

    /// Seconds east of Greenwich of a zone by name, or by hours and minutes.
    fn offset_in(&self, zone: &str) -> Result<i64, String> {
        let Some((hours, minutes)) = zone.split_once(':') else {
            if matches!(zone, "" | "UTC" | "Local") {
                return Ok(0);
            }
            let moment = Utc.timestamp_opt(self.seconds, self.nanos).single().ok_or(TIMESTAMP_OVERFLOW)?;
            return named_offset(zone, moment).map(i64::from);
        };
        let number = |text: &str| {
            let is_number =
                text.strip_prefix(['+', '-']).unwrap_or(text).bytes().all(|byte| byte.is_ascii_digit());
            let value = text.parse::<i64>().ok().filter(|_| is_number);
            let quoted = crate::go_text::quote(text);
            value.ok_or_else(|| format!("strconv.Atoi: parsing {quoted}: invalid syntax"))
        };
        let (hours, minutes) = (number(hours)?, number(minutes)?);
        let total = hours.saturating_mul(60);
        let total =
            if zone.starts_with('-') { total.saturating_sub(minutes) } else { total.saturating_add(minutes) };
        Ok(total.saturating_mul(60))
    }
}

/// Seconds east of Greenwich of a zone by name, at a moment.
#[cfg(feature = "time-zones")]
fn named_offset(zone: &str, moment: DateTime<Utc>) -> Result<i32, String> {
    let known: chrono_tz::Tz = zone.parse().map_err(|_| format!("unknown time zone {zone}"))?;
    Ok(chrono::Offset::fix(moment.with_timezone(&known).offset()).local_minus_utc())
}

#[cfg(not(feature = "time-zones"))]
fn named_offset(zone: &str, _: DateTime<Utc>) -> Result<i32, String> {
    Err(format!(
        "this build has no time zones: it was made without the feature `time-zones`, and cannot tell the time in {zone}"
    ))
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let zone = FixedOffset::east_opt(self.zone).unwrap_or(FixedOffset::east_opt(0).ok_or(fmt::Error)?);
        let moment = self.at(zone).ok_or(fmt::Error)?;
        let (date, time) = (moment.date_naive(), moment.time());
        write!(f, "{:04}-{:02}-{:02}", date.year(), date.month(), date.day())?;
        write!(f, "T{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second())?;
        if self.nanos > 0 {
            let digits = format!("{:09}", self.nanos);
            write!(f, ".{}", digits.trim_end_matches('0'))?;
        }
        if self.zone == 0 {
            return f.write_str("Z");
        }
        let (sign, minutes) = (if self.zone < 0 { '-' } else { '+' }, self.zone.abs() / 60);
        write!(f, "{sign}{:02}:{:02}", minutes / 60, minutes % 60)
    }
}

/// Seconds after 1970, nanoseconds, and seconds east of Greenwich.
fn parse(text: &str) -> Option<(i64, u32, i32)> {
    let (date, time) = text.split_at_checked(10)?;
    let time = time.strip_prefix('T')?;
    let day = date_of(date)?;
    let (hour, rest) = time.split_once(':')?;
    let hour = if (1..=2).contains(&hour.len()) { number(hour)? } else { return None };
    let (minute, rest) = (number(rest.get(..2)?)?, rest.get(2..)?.strip_prefix(':')?);
    let (second, mut rest) = (number(rest.get(..2)?)?, rest.get(2..)?);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut nanos = 0;
    if let Some(fraction) = rest.strip_prefix(['.', ',']) {
        let end = fraction.bytes().take_while(u8::is_ascii_digit).count();
        let digits = fraction.get(..end)?;
        if digits.is_empty() {
            return None;
        }
        let digits = digits.get(..9).unwrap_or(digits);
        nanos = format!("{digits:0<9}").parse().ok()?;
        rest = fraction.get(end..)?;
    }
    let zone = if rest == "Z" { 0 } else { zone_of(rest)? };
    let seconds = i64::from(day) * 86_400 + hour * 3600 + minute * 60 + second - i64::from(zone);
    Some((seconds, nanos, zone))
}

fn number(digits: &str) -> Option<i64> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// The days after 1970 of a date `2006-01-02`.
fn date_of(date: &str) -> Option<i32> {
    let (year, rest) = (number(date.get(..4)?)?, date.get(4..)?.strip_prefix('-')?);
    let (month, rest) = (number(rest.get(..2)?)?, rest.get(2..)?.strip_prefix('-')?);
    let day = number(rest)?;
    let (year, month, day) =
        (i32::try_from(year).ok()?, u32::try_from(month).ok()?, u32::try_from(day).ok()?);
    let date = NaiveDate::from_ymd_opt(year, month, day).filter(|_| rest.len() == 2)?;
    Some(date.num_days_from_ce() - 719_163)
}

/// Whether a text is a date, as the format of this name has it.
pub(crate) fn is_date(text: &str) -> bool {
    text.len() == 10 && date_of(text).is_some()
}

fn zone_of(text: &str) -> Option<i32> {
    let unsigned = text.strip_prefix(['+', '-'])?;
    let (hours, minutes) = unsigned.split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    if hours > 24 || minutes > 60 {
        return None;
    }
    let seconds = i32::try_from(hours * 3600 + minutes * 60).ok()?;
    Some(if text.starts_with('-') { -seconds } else { seconds })
}

/// A span in seconds, as `string` writes it.
#[expect(clippy::cast_precision_loss, reason = "as the API server writes it")]
pub(crate) fn duration_text(span: i64) -> String {
    let seconds = (span / NANOS) as f64 + (span % NANOS) as f64 / 1e9;
    format!("{seconds}s")
}
