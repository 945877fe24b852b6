//! Layouts of times as Go has them: what the second of January 2006 at 15:04:05 would look like.

use portcullis_value::quote;

use super::super::{Failure, undefined};
use super::civil::{self, Civil, WEEKDAYS};

pub(super) const RFC3339: &str = "2006-01-02T15:04:05Z07:00";
pub(super) const RFC3339_NANO: &str = "2006-01-02T15:04:05.999999999Z07:00";

/// Layouts that have a name, as OPA knows them.
const NAMED: &[(&str, &str)] = &[
    ("ANSIC", "Mon Jan _2 15:04:05 2006"),
    ("UnixDate", "Mon Jan _2 15:04:05 MST 2006"),
    ("RubyDate", "Mon Jan 02 15:04:05 -0700 2006"),
    ("RFC822", "02 Jan 06 15:04 MST"),
    ("RFC822Z", "02 Jan 06 15:04 -0700"),
    ("RFC850", "Monday, 02-Jan-06 15:04:05 MST"),
    ("RFC1123", "Mon, 02 Jan 2006 15:04:05 MST"),
    ("RFC1123Z", "Mon, 02 Jan 2006 15:04:05 -0700"),
    ("RFC3339", RFC3339),
    ("RFC3339Nano", RFC3339_NANO),
];

const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// The layout of this name; otherwise it is one.
pub(super) fn by_name(layout: &str) -> &str {
    NAMED.iter().find(|(name, _)| *name == layout).map_or(layout, |(_, layout)| layout)
}

/// Something in a layout that stands for a part of a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    LongMonth,
    Month,
    NumMonth(Pad),
    LongWeekday,
    Weekday,
    Day(Pad),
    YearDay(Pad),
    Hour,
    Hour12(Pad),
    Minute(Pad),
    Second(Pad),
    LongYear,
    Year,
    UpperPm,
    LowerPm,
    ZoneName,
    Zone(Zone),
    /// So many digits, with the point before them.
    Fraction {
        digits: usize,
        is_trimmed: bool,
        point: char,
    },
}

/// What fills a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pad {
    None,
    Zero,
    Space,
}

/// An offset from UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "what a layout says of an offset")]
struct Zone {
    /// UTC is a `Z`.
    is_iso: bool,
    has_colons: bool,
    has_minutes: bool,
    has_seconds: bool,
}

/// All but fractions, the longer before the shorter.
const PARTS: &[(&str, Part)] = &[
    ("January", Part::LongMonth),
    ("Jan", Part::Month),
    ("Monday", Part::LongWeekday),
    ("Mon", Part::Weekday),
    ("MST", Part::ZoneName),
    ("002", Part::YearDay(Pad::Zero)),
    ("01", Part::NumMonth(Pad::Zero)),
    ("02", Part::Day(Pad::Zero)),
    ("03", Part::Hour12(Pad::Zero)),
    ("04", Part::Minute(Pad::Zero)),
    ("05", Part::Second(Pad::Zero)),
    ("06", Part::Year),
    ("15", Part::Hour),
    ("1", Part::NumMonth(Pad::None)),
    ("2006", Part::LongYear),
    ("2", Part::Day(Pad::None)),
    ("__2", Part::YearDay(Pad::Space)),
    ("_2", Part::Day(Pad::Space)),
    ("3", Part::Hour12(Pad::None)),
    ("4", Part::Minute(Pad::None)),
    ("5", Part::Second(Pad::None)),
    ("PM", Part::UpperPm),
    ("pm", Part::LowerPm),
];

const ZONES: &[(&str, bool, bool, bool)] = &[
    ("070000", false, true, true),
    ("07:00:00", true, true, true),
    ("0700", false, true, false),
    ("07:00", true, true, false),
    ("07", false, false, false),
];

/// The text before the first part of a layout, that part, and what follows.
fn next(layout: &str) -> (&str, Option<Part>, &str) {
    for (at, _) in layout.char_indices() {
        let rest = layout.get(at..).unwrap_or_default();
        if let Some((part, length)) = part_at(rest) {
            // What is before a year is no padding.
            let text = at + usize::from(rest.starts_with("_2006"));
            return (
                layout.get(..text).unwrap_or_default(),
                Some(part),
                rest.get(length..).unwrap_or_default(),
            );
        }
    }
    (layout, None, "")
}

/// The part at the beginning of a text, and its length.
fn part_at(text: &str) -> Option<(Part, usize)> {
    let first = text.chars().next()?;
    match first {
        '-' | 'Z' => {
            let rest = text.get(1..)?;
            let (written, has_colons, has_minutes, has_seconds) =
                *ZONES.iter().find(|(written, ..)| rest.starts_with(written))?;
            let zone = Zone { is_iso: first == 'Z', has_colons, has_minutes, has_seconds };
            return Some((Part::Zone(zone), written.len() + 1));
        }
        '.' | ',' => {
            let rest = text.get(1..)?;
            let digit = rest.chars().next().filter(|c| matches!(c, '0' | '9'))?;
            let after = rest.trim_start_matches(digit);
            let digits = rest.len() - after.len();
            if after.starts_with(|c: char| c.is_ascii_digit()) {
                return None;
            }
            return Some((Part::Fraction { digits, is_trimmed: digit == '9', point: first }, digits + 1));
        }
        '_' if text.starts_with("_2006") => return Some((Part::LongYear, 5)),
        _ => {}
    }
    let (written, part) = PARTS.iter().find(|(written, part)| {
        let is_word = matches!(part, Part::Month | Part::Weekday);
        text.strip_prefix(written)
            .is_some_and(|rest| !(is_word && rest.starts_with(|c: char| c.is_ascii_lowercase())))
    })?;
    Some((*part, written.len()))
}

/// A time by a layout.
pub(super) fn format(
    mut layout: &str,
    civil: &Civil,
    nanoseconds: i64,
    offset: i64,
    abbreviation: &str,
) -> String {
    let mut out = String::new();
    loop {
        let (text, part, rest) = next(layout);
        out.push_str(text);
        let Some(part) = part else { return out };
        layout = rest;
        let padded = |number: i64, pad: Pad, width: usize| match pad {
            Pad::None => number.to_string(),
            Pad::Zero => format!("{number:0width$}"),
            Pad::Space => format!("{number:width$}"),
        };
        let month = usize::try_from(civil.month - 1).ok().and_then(|month| MONTHS.get(month)).copied();
        let month = month.unwrap_or_default();
        let hour12 = if civil.hour % 12 == 0 { 12 } else { civil.hour % 12 };
        let is_afternoon = civil.hour >= 12;
        let written = match part {
            Part::LongMonth => month.to_owned(),
            Part::Month => month.chars().take(3).collect(),
            Part::NumMonth(pad) => padded(civil.month, pad, 2),
            Part::LongWeekday => civil.weekday().to_owned(),
            Part::Weekday => civil.weekday().chars().take(3).collect(),
            Part::Day(pad) => padded(civil.day, pad, 2),
            Part::YearDay(pad) => padded(civil.year_day, pad, 3),
            Part::Hour => padded(civil.hour, Pad::Zero, 2),
            Part::Hour12(pad) => padded(hour12, pad, 2),
            Part::Minute(pad) => padded(civil.minute, pad, 2),
            Part::Second(pad) => padded(civil.second, pad, 2),
            Part::LongYear => padded(civil.year, Pad::Zero, 4),
            Part::Year => padded(civil.year.rem_euclid(100), Pad::Zero, 2),
            Part::UpperPm => if is_afternoon { "PM" } else { "AM" }.to_owned(),
            Part::LowerPm => if is_afternoon { "pm" } else { "am" }.to_owned(),
            Part::ZoneName if abbreviation.is_empty() => {
                let plain = Zone { is_iso: false, has_colons: false, has_minutes: true, has_seconds: false };
                zone(plain, offset)
            }
            Part::ZoneName => abbreviation.to_owned(),
            Part::Zone(form) => zone(form, offset),
            Part::Fraction { digits, is_trimmed, point } => fraction(nanoseconds, digits, is_trimmed, point),
        };
        out.push_str(&written);
    }
}

fn zone(form: Zone, offset: i64) -> String {
    if form.is_iso && offset == 0 {
        return "Z".to_owned();
    }
    let sign = if offset < 0 { '-' } else { '+' };
    let size = offset.abs();
    let colon = if form.has_colons { ":" } else { "" };
    let part =
        |is_here: bool, number: i64| if is_here { format!("{colon}{number:02}") } else { String::new() };
    let minutes = part(form.has_minutes, size / 60 % 60);
    let seconds = part(form.has_seconds, size % 60);
    format!("{sign}{:02}{minutes}{seconds}", size / 3600)
}

fn fraction(nanoseconds: i64, digits: usize, is_trimmed: bool, point: char) -> String {
    let all = format!("{nanoseconds:09}");
    let kept: String = all.chars().chain(std::iter::repeat('0')).take(digits.min(9)).collect();
    let kept = if is_trimmed { kept.trim_end_matches('0') } else { &kept };
    if kept.is_empty() { String::new() } else { format!("{point}{kept}") }
}

/// Seconds since 1970 and nanoseconds of a text by a layout.
pub(super) fn parse(layout: &str, value: &str) -> Result<(i64, i64), Failure> {
    let mut parser = Parser { rest: value, ..Parser::default() };
    parser.read(layout).and_then(|()| parser.time()).ok_or_else(|| {
        let shown = |text: &str| quote(&text.chars().take(60).collect::<String>());
        undefined(format!("parsing time {} as {}: cannot parse", shown(value), shown(layout)))
    })
}

/// A time that is being read.
#[derive(Default)]
struct Parser<'t> {
    rest: &'t str,
    year: i64,
    month: Option<i64>,
    day: Option<i64>,
    year_day: Option<i64>,
    hour: i64,
    minute: i64,
    second: i64,
    nanoseconds: i64,
    is_afternoon: Option<bool>,
    offset: i64,
}

impl<'t> Parser<'t> {
    fn read(&mut self, mut layout: &str) -> Option<()> {
        loop {
            let (text, part, rest) = next(layout);
            self.skip(text)?;
            layout = rest;
            match part {
                Some(part) => self.part(part, layout)?,
                None => return self.rest.is_empty().then_some(()),
            }
        }
    }

    /// Text of the layout; spaces are as many as one likes, also none at the end.
    fn skip(&mut self, text: &str) -> Option<()> {
        let mut text = text;
        while let Some(c) = text.chars().next() {
            if c == ' ' {
                if !self.rest.is_empty() && !self.rest.starts_with(' ') {
                    return None;
                }
                text = text.trim_start_matches(' ');
                self.rest = self.rest.trim_start_matches(' ');
            } else {
                text = text.get(c.len_utf8()..)?;
                self.rest = self.rest.strip_prefix(c)?;
            }
        }
        Some(())
    }

    fn part(&mut self, part: Part, layout: &str) -> Option<()> {
        match part {
            Part::Year => {
                let year = self.digits(2)?;
                self.year = if year >= 69 { 1900 + year } else { 2000 + year };
            }
            Part::LongYear => self.year = self.digits(4)?,
            Part::Month => {
                self.month = Some(self.name(MONTHS.iter().map(|name| name.get(..3).unwrap_or(name)))?);
            }
            Part::LongMonth => self.month = Some(self.name(MONTHS.iter().copied())?),
            Part::NumMonth(pad) => self.month = Some(within(self.number(pad)?, 1, 12)?),
            Part::Weekday => drop(self.name(WEEKDAYS.iter().map(|name| name.get(..3).unwrap_or(name)))?),
            Part::LongWeekday => drop(self.name(WEEKDAYS.iter().copied())?),
            Part::Day(pad) => {
                self.skip_padding(pad, 1);
                self.day = Some(self.number(pad)?);
            }
            Part::YearDay(pad) => {
                self.skip_padding(pad, 2);
                self.year_day = Some(self.year_day_number(pad)?);
            }
            Part::Hour => self.hour = within(self.number(Pad::None)?, 0, 23)?,
            Part::Hour12(pad) => self.hour = within(self.number(pad)?, 0, 12)?,
            Part::Minute(pad) => self.minute = within(self.number(pad)?, 0, 59)?,
            Part::Second(pad) => {
                self.second = within(self.number(pad)?, 0, 59)?;
                // A fraction may follow that the layout does not ask for.
                if !matches!(next(layout), ("", Some(Part::Fraction { .. }), _)) {
                    self.optional_fraction();
                }
            }
            Part::UpperPm => self.is_afternoon = Some(self.either("PM", "AM")?),
            Part::LowerPm => self.is_afternoon = Some(self.either("pm", "am")?),
            Part::Zone(zone) => self.zone(zone)?,
            Part::ZoneName => self.zone_name()?,
            Part::Fraction { digits, is_trimmed: false, .. } => {
                let text = self.take(digits + 1)?;
                self.nanoseconds = fraction_of(text)?;
            }
            Part::Fraction { .. } => self.optional_fraction(),
        }
        Some(())
    }

    /// So many bytes.
    fn take(&mut self, length: usize) -> Option<&'t str> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn digits(&mut self, length: usize) -> Option<i64> {
        let digits = self.take(length)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
    }

    fn starts_with_digits(&self, count: usize) -> bool {
        let bytes = self.rest.as_bytes();
        bytes.get(..count).is_some_and(|bytes| bytes.iter().all(u8::is_ascii_digit))
    }

    /// One or two digits; with zeros before it two.
    fn number(&mut self, pad: Pad) -> Option<i64> {
        if self.starts_with_digits(2) {
            return self.digits(2);
        }
        if pad == Pad::Zero { None } else { self.digits(1) }
    }

    /// Up to three digits.
    fn year_day_number(&mut self, pad: Pad) -> Option<i64> {
        let count = (1..=3).rev().find(|count| self.starts_with_digits(*count))?;
        if pad == Pad::Zero && count < 3 { None } else { self.digits(count) }
    }

    fn skip_padding(&mut self, pad: Pad, most: usize) {
        for _ in 0..most {
            if pad == Pad::Space {
                self.rest = self.rest.strip_prefix(' ').unwrap_or(self.rest);
            }
        }
    }

    /// The position of a name, from 1, in whatever case.
    fn name<'n>(&mut self, mut names: impl Iterator<Item = &'n str>) -> Option<i64> {
        let bytes = self.rest;
        let is_here =
            |name: &str| bytes.get(..name.len()).is_some_and(|text| text.eq_ignore_ascii_case(name));
        let mut length = 0;
        let index = names.position(|name| {
            length = name.len();
            is_here(name)
        })?;
        self.take(length)?;
        i64::try_from(index + 1).ok()
    }

    fn either(&mut self, yes: &str, no: &str) -> Option<bool> {
        let text = self.take(2)?;
        if text == yes { Some(true) } else { (text == no).then_some(false) }
    }

    /// A point and digits, if they come next.
    fn optional_fraction(&mut self) {
        let Some(digits) = self.rest.strip_prefix(['.', ',']) else { return };
        let count = digits.len() - digits.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        if count > 0 {
            self.nanoseconds = self.take(count + 1).and_then(fraction_of).unwrap_or(0);
        }
    }

    fn zone(&mut self, form: Zone) -> Option<()> {
        if form.is_iso
            && let Some(rest) = self.rest.strip_prefix('Z')
        {
            self.rest = rest;
            return Some(());
        }
        let sign = match self.take(1)? {
            "+" => 1,
            "-" => -1,
            _ => return None,
        };
        let hours = within(self.digits(2)?, 0, 24)?;
        let mut parts = [0, 0];
        for (part, is_here) in parts.iter_mut().zip([form.has_minutes, form.has_seconds]) {
            if is_here {
                if form.has_colons {
                    self.rest = self.rest.strip_prefix(':')?;
                }
                *part = within(self.digits(2)?, 0, 60)?;
            }
        }
        let [minutes, seconds] = parts;
        self.offset = sign * (hours * 3600 + minutes * 60 + seconds);
        Some(())
    }

    /// The name of a zone, of which nobody knows the offset: it is read, and taken for UTC.
    fn zone_name(&mut self) -> Option<()> {
        let text = self.rest;
        let signed = |text: &str| {
            let digits = text.strip_prefix(['+', '-'])?;
            let count = digits.len() - digits.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let hours: u32 = digits.get(..count)?.parse().ok()?;
            (hours < 24).then_some(count + 1)
        };
        let length = if text.starts_with("UTC") {
            3
        } else if text.starts_with("ChST") || text.starts_with("MeST") {
            4
        } else if let Some(after) = text.strip_prefix("GMT") {
            3 + signed(after).unwrap_or(0)
        } else if text.starts_with(['+', '-']) {
            signed(text)?
        } else {
            let upper = text.chars().take(6).take_while(char::is_ascii_uppercase).count();
            let ends_in_t = upper > 0 && text.as_bytes().get(upper - 1) == Some(&b'T');
            match upper {
                3 => 3,
                4 if ends_in_t || text.starts_with("WITA") => 4,
                5 if ends_in_t => 5,
                _ => return None,
            }
        };
        self.take(length).map(|_| ())
    }

    /// What has been read.
    fn time(&self) -> Option<(i64, i64)> {
        let hour = match (self.is_afternoon, self.hour) {
            (Some(true), 0..=11) => self.hour + 12,
            (Some(false), 12) => 0,
            _ => self.hour,
        };
        let days = if let Some(year_day) = self.year_day {
            let days_in_year = if civil::days_in(self.year, 2) == 29 { 366 } else { 365 };
            let day = Civil::of(civil::seconds(self.year, 1, within(year_day, 1, days_in_year)?));
            let is_same = self.month.is_none_or(|month| month == day.month)
                && self.day.is_none_or(|number| number == day.day);
            is_same.then(|| civil::seconds(day.year, day.month, day.day))?
        } else {
            let month = self.month.unwrap_or(1);
            let day = within(self.day.unwrap_or(1), 1, civil::days_in(self.year, month))?;
            civil::seconds(self.year, month, day)
        };
        Some((days + hour * 3600 + self.minute * 60 + self.second - self.offset, self.nanoseconds))
    }
}

fn within(number: i64, least: i64, most: i64) -> Option<i64> {
    (least..=most).contains(&number).then_some(number)
}

/// Nanoseconds of a point and digits.
fn fraction_of(text: &str) -> Option<i64> {
    let digits = text.strip_prefix(['.', ','])?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nine: String = digits.chars().chain(std::iter::repeat('0')).take(9).collect();
    nine.parse().ok()
}
