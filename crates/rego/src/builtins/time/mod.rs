//! Times, in nanoseconds since 1970. The clock is that of the review, and `Local` is UTC: a policy does not
//! see where it is evaluated.
//!
//! ```text
//! 1, [1, "Europe/Paris"], [1, "", "RFC1123"] --Moment--> civil.rs (calendar), layout.rs (texts)
//! ```

mod civil;
mod layout;
mod zone;

use portcullis_value::{Value, View, go_duration, quote};

use super::operand::{integer, text, value, wrong_type};
use super::{Context, Failure, Outcome, number, undefined};
use civil::Civil;
use zone::Zone;

table![
    "time.add_date" => add_date,
    "time.clock" => clock,
    "time.date" => date,
    "time.diff" => diff,
    "time.format" => format,
    "time.now_ns" => now_ns,
    "time.parse_duration_ns" => parse_duration_ns,
    "time.parse_ns" => parse_ns,
    "time.parse_rfc3339_ns" => parse_rfc3339_ns,
    "time.weekday" => weekday,
];

const NANOSECONDS: i64 = 1_000_000_000;

/// A point in time, where somebody's clock is looked at.
struct Moment<'v> {
    nanoseconds: i64,
    zone: Option<Zone>,
    /// How it is to be written.
    layout: &'v str,
}

impl<'v> Moment<'v> {
    fn of(args: &[&'v Value], position: usize) -> Result<Self, Failure> {
        let whole = value(args, position)?;
        let is_wrong = || wrong_type(1, whole, &["either number (ns) or [number (ns), string (tz)]"]);
        let parts = match whole.view() {
            View::Number(_) => std::slice::from_ref(whole),
            View::Array(parts) => parts,
            _ => return Err(is_wrong()),
        };
        let Some(time) = parts.first() else { return Err(is_wrong()) };
        if !matches!(time.view(), View::Number(_)) {
            return Err(wrong_type(1, time, &["number"]));
        }
        let part = |index: usize| match parts.get(index).map(Value::view) {
            None => Ok(""),
            Some(View::String(text)) => Ok(text),
            Some(other) => Err(wrong_type(1, other, &["string"])),
        };
        let zone = match part(1)? {
            "" | "UTC" | "Local" => None,
            name => Some(Zone::named(name)?),
        };
        let layout = part(2)?;
        let nanoseconds = number::small(time).ok_or_else(|| undefined("timestamp too big"))?;
        Ok(Self { nanoseconds, zone, layout })
    }

    fn seconds(&self) -> i64 {
        self.nanoseconds.div_euclid(NANOSECONDS)
    }

    /// What the clock shows, as if it were of UTC.
    fn shown(&self) -> i64 {
        self.seconds() + offset(self.zone, self.seconds())
    }

    fn civil(&self) -> Civil {
        Civil::of(self.shown())
    }
}

/// Seconds that clocks of a zone are before those of UTC.
fn offset(zone: Option<Zone>, seconds: i64) -> i64 {
    zone.map_or(0, |zone| zone.offset(seconds))
}

/// What a zone calls itself at a time.
fn abbreviation(zone: Option<Zone>, seconds: i64) -> String {
    zone.map_or_else(|| "UTC".to_owned(), |zone| zone.abbreviation(seconds))
}

/// The value of a time, if 64 bits have room for it.
fn timestamp(seconds: i64, nanoseconds: i64) -> Outcome {
    let total = i128::from(seconds) * i128::from(NANOSECONDS) + i128::from(nanoseconds);
    i64::try_from(total).map(Value::from).map_err(|_| undefined("time outside of valid range"))
}

fn now_ns(context: &mut Context<'_, '_>, _: &[&Value]) -> Outcome {
    let none =
        Failure::Unavailable("`time.now_ns` was called, but the caller of the evaluation gave no time");
    context.now_ns.map(Value::from).ok_or(none)
}

fn parse_ns(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let (layout, value) = (text(args, 1)?, text(args, 2)?);
    context.budget.read_text(layout.len())?;
    context.budget.read_text(value.len())?;
    let (seconds, nanoseconds) = layout::parse(layout::by_name(layout), value)?;
    timestamp(seconds, nanoseconds)
}

fn parse_rfc3339_ns(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let value = text(args, 1)?;
    context.budget.read_text(value.len())?;
    let (seconds, nanoseconds) = layout::parse(layout::RFC3339, value)?;
    timestamp(seconds, nanoseconds)
}

fn parse_duration_ns(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let text = text(args, 1)?;
    context.budget.read_text(text.len())?;
    go_duration(text).map(Value::from).ok_or_else(|| {
        let shown: String = text.chars().take(60).collect();
        undefined(format!("time: invalid duration {}", quote(&shown)))
    })
}

fn format(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let moment = Moment::of(args, 1)?;
    let layout = if moment.layout.is_empty() { layout::RFC3339_NANO } else { layout::by_name(moment.layout) };
    // No element becomes much longer than it is.
    context.budget.make_text(layout.len().saturating_mul(8))?;
    let written = layout::format(
        layout,
        &moment.civil(),
        moment.nanoseconds.rem_euclid(NANOSECONDS),
        offset(moment.zone, moment.seconds()),
        &abbreviation(moment.zone, moment.seconds()),
    );
    Ok(Value::from(written))
}

fn numbers(numbers: &[i64]) -> Value {
    Value::from(numbers.iter().map(|number| Value::from(*number)).collect::<Vec<_>>())
}

fn date(_: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let civil = Moment::of(args, 1)?.civil();
    Ok(numbers(&[civil.year, civil.month, civil.day]))
}

fn clock(_: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let civil = Moment::of(args, 1)?.civil();
    Ok(numbers(&[civil.hour, civil.minute, civil.second]))
}

fn weekday(_: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    Ok(Value::from(Moment::of(args, 1)?.civil().weekday()))
}

/// By the calendar of the zone: the clock shows the same, where there is such a time.
fn add_date(_: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    /// More of anything than there are in all years that can be named.
    const MOST: i64 = 1_000_000;
    let moment = Moment::of(args, 1)?;
    let added = [integer(args, 2)?, integer(args, 3)?, integer(args, 4)?];
    if added.iter().any(|count| count.unsigned_abs() > MOST.unsigned_abs()) {
        return Err(undefined("time outside of valid range"));
    }
    let [years, months, days] = added;
    let civil = moment.civil();
    let shown = civil::seconds(civil.year + years, civil.month + months, civil.day + days)
        + moment.shown().rem_euclid(civil::DAY);
    // As Go looks for the time that the clock shows.
    let guess = shown - offset(moment.zone, shown);
    timestamp(shown - offset(moment.zone, guess), moment.nanoseconds.rem_euclid(NANOSECONDS))
}

/// Years, months, days, hours, minutes and seconds between two times, on the clock of the first.
fn diff(_: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let (first, second) = (Moment::of(args, 1)?, Moment::of(args, 2)?);
    let second = Moment { zone: first.zone, ..second };
    let (early, late) =
        if first.nanoseconds > second.nanoseconds { (second, first) } else { (first, second) };
    let (early, late) = (early.civil(), late.civil());
    let mut year = late.year - early.year;
    let mut month = late.month - early.month;
    let mut day = late.day - early.day;
    let mut hour = late.hour - early.hour;
    let mut minute = late.minute - early.minute;
    let mut second = late.second - early.second;
    let borrow = |from: &mut i64, part: &mut i64, size: i64| {
        if *part < 0 {
            *part += size;
            *from -= 1;
        }
    };
    borrow(&mut minute, &mut second, 60);
    borrow(&mut hour, &mut minute, 60);
    borrow(&mut day, &mut hour, 24);
    borrow(&mut month, &mut day, civil::days_in(early.year, early.month));
    borrow(&mut year, &mut month, 12);
    Ok(numbers(&[year, month, day, hour, minute, second]))
}
