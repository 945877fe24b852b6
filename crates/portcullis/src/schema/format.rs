//! The formats that Kubernetes checks for custom resources. Every other format is only documentation, as
//! there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use portcullis_value::go_duration;

use super::kind::{Kind, Type};
use crate::value::{Value, View};

/// A format, with its description in messages.
#[derive(Clone, Copy, Debug)]
pub(super) enum Format {
    Int32,
    Int64,
    Float,
    Text(&'static str, fn(&str) -> bool),
}

impl Format {
    /// The format with this name for a type; dashes in names of string formats do not count. `None` if
    /// Kubernetes does not check it, or only we do not.
    pub(super) fn find(name: &str, kind: Kind) -> Option<Self> {
        match (kind, name) {
            (Kind::One(Type::Integer), "int32") => Some(Self::Int32),
            (Kind::One(Type::Integer), "int64") => Some(Self::Int64),
            (Kind::One(Type::Number), "float") => Some(Self::Float),
            (Kind::Any | Kind::IntOrString | Kind::One(Type::String), _) => {
                text_format(&name.replace('-', ""))
            }
            _ => None,
        }
    }

    /// Whether a format accepts every value of its type, so that nothing is lost if it is not checked.
    pub(super) fn is_free(name: &str, kind: Kind) -> bool {
        match kind {
            Kind::One(Type::Number) => name == "double",
            Kind::Any | Kind::IntOrString | Kind::One(Type::String) => {
                matches!(name, "password" | "int-or-string")
            }
            Kind::One(_) => false,
        }
    }

    /// Whether the value has the format; values of other types have every format.
    pub(super) fn admits(self, value: &Value) -> bool {
        match (self, value.view()) {
            (Self::Int32, View::Number(number)) => {
                number.as_i64().is_some_and(|number| i32::try_from(number).is_ok())
            }
            (Self::Int64, View::Number(number)) => number.as_i64().is_some(),
            (Self::Float, View::Number(number)) => number.to_f64().abs() <= f64::from(f32::MAX),
            (Self::Text(_, check), View::String(text)) => check(text),
            _ => true,
        }
    }

    pub(super) fn description(self) -> &'static str {
        match self {
            Self::Int32 => "a 32-bit integer",
            Self::Int64 => "a 64-bit integer",
            Self::Float => "a 32-bit floating point number",
            Self::Text(description, _) => description,
        }
    }
}

fn text_format(name: &str) -> Option<Format> {
    Some(match name {
        "bsonobjectid" => Format::Text("24 hexadecimal digits", |text| text.len() == 24 && is_hex(text)),
        "byte" => Format::Text("base64 text", is_base64),
        "cidr" => Format::Text("an address range such as `10.0.0.0/8`", is_cidr),
        "date" => Format::Text("a date such as `2006-01-02`", is_date),
        "datetime" => Format::Text("a time such as `2006-01-02T15:04:05Z`", is_date_time),
        "duration" => Format::Text("a duration such as `1h30m`", is_duration),
        "email" => Format::Text("an email address", is_email),
        "hexcolor" => Format::Text("a color such as `#ffffff`", is_hex_color),
        "hostname" => Format::Text("a host name", is_host_name),
        "ipv4" => Format::Text("an IPv4 address", |text| text.parse::<Ipv4Addr>().is_ok()),
        "ipv6" => Format::Text("an IPv6 address", |text| text.parse::<Ipv6Addr>().is_ok()),
        "k8slongname" => Format::Text("a DNS subdomain name", is_long_name),
        "k8sshortname" => Format::Text("a DNS label", is_short_name),
        "mac" => Format::Text("a MAC address", is_mac),
        "uri" => Format::Text("a URI", is_uri),
        "uuid" => Format::Text("a UUID", |text| is_uuid(text, None)),
        "uuid3" => Format::Text("a version 3 UUID", |text| is_uuid(text, Some('3'))),
        "uuid4" => Format::Text("a version 4 UUID", |text| is_uuid(text, Some('4'))),
        "uuid5" => Format::Text("a version 5 UUID", |text| is_uuid(text, Some('5'))),
        _ => return None,
    })
}

/// Whether this is a lower-case DNS label of at most 63 characters.
pub(super) fn is_short_name(text: &str) -> bool {
    text.len() <= 63 && is_name_part(text)
}

/// Whether this is a lower-case DNS subdomain of at most 253 characters.
pub(super) fn is_long_name(text: &str) -> bool {
    text.len() <= 253 && text.split('.').all(is_name_part)
}

fn is_name_part(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    text.starts_with(plain) && text.ends_with(plain) && text.chars().all(|c| plain(c) || c == '-')
}

fn is_hex(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_hexdigit())
}

fn is_base64(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    !text.is_empty()
        && text.len().is_multiple_of(4)
        && text.len() - digits.len() <= 2
        && digits.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '/'))
}

fn is_cidr(text: &str) -> bool {
    let Some((address, prefix)) = text.split_once('/') else { return false };
    let longest = match address.parse() {
        Ok(IpAddr::V4(_)) => 32,
        Ok(IpAddr::V6(_)) => 128,
        Err(_) => return false,
    };
    number(prefix).is_some_and(|prefix| prefix <= longest)
}

/// Digits only, without the sign that `parse` would take.
fn number(digits: &str) -> Option<u32> {
    digits.chars().all(|c| c.is_ascii_digit()).then(|| digits.parse().ok())?
}

fn is_date(text: &str) -> bool {
    let mut parts = text.split('-');
    let mut part = |length| parts.next().filter(|part| part.len() == length).and_then(number);
    let (Some(year), Some(month), Some(day)) = (part(4), part(2), part(2)) else { return false };
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return false,
    };
    parts.next().is_none() && (1..=days).contains(&day)
}

fn is_date_time(text: &str) -> bool {
    let Some((date, time)) = text.split_once(['t', 'T']) else { return false };
    let Some(zone_start) = time.find(['z', 'Z', '+', '-']) else { return false };
    let (Some(time), Some(zone)) = (time.get(..zone_start), time.get(zone_start..)) else { return false };
    let (clock, fraction) = time.split_once('.').map_or((time, None), |(clock, rest)| (clock, Some(rest)));
    let mut parts = clock.split(':');
    let mut below = |limit| {
        let part = parts.next().filter(|part| part.len() == 2).and_then(number);
        part.is_some_and(|part| part < limit)
    };
    let clock_fits = below(24) && below(60) && below(60);
    let zone_fits = matches!(zone, "z" | "Z")
        || zone.get(1..).and_then(|zone| zone.split_once(':')).is_some_and(|(hours, minutes)| {
            [hours, minutes].iter().all(|part| part.len() == 2 && number(part).is_some())
        });
    is_date(date)
        && clock_fits
        && parts.next().is_none()
        && zone_fits
        && fraction.is_none_or(|digits| !digits.is_empty() && digits.chars().all(|c| c.is_ascii_digit()))
}

/// Go's form (`1h30m`, `-1.5s`, `0`) or one number with a word (`22 days`).
fn is_duration(text: &str) -> bool {
    go_duration(text).is_some() || is_worded_duration(text)
}

fn is_worded_duration(text: &str) -> bool {
    let word = text.trim_start_matches(|c: char| c.is_ascii_digit());
    if word.len() == text.len() {
        return false;
    }
    let word = word.trim_start().to_lowercase();
    let singular = word.strip_suffix('s').filter(|stem| !stem.is_empty()).unwrap_or(&word);
    let known = |word: &str| {
        matches!(
            word,
            "ns" | "nano"
                | "nanosecond"
                | "us"
                | "µs"
                | "micro"
                | "microsecond"
                | "ms"
                | "milli"
                | "millisecond"
        ) || matches!(word, "s" | "sec" | "second" | "m" | "min" | "minute" | "h" | "hr" | "hour")
            || matches!(word, "d" | "day" | "w" | "week" | "wk")
    };
    known(&word) || known(singular)
}

fn is_email(text: &str) -> bool {
    let address = match text.split_once('<') {
        Some((_, rest)) => rest.strip_suffix('>').unwrap_or_default(),
        None => text,
    };
    let Some((local, domain)) = address.rsplit_once('@') else { return false };
    let plain = |part: &str| {
        !part.is_empty()
            && !part.contains(|c: char| c.is_whitespace() || c.is_control() || "<>,;:".contains(c))
    };
    let quoted = local.len() > 2 && local.starts_with('"') && local.ends_with('"');
    (quoted || (plain(local) && !local.contains('@'))) && plain(domain)
}

fn is_hex_color(text: &str) -> bool {
    let digits = text.strip_prefix('#').unwrap_or(text);
    matches!(digits.len(), 3 | 6) && is_hex(digits)
}

fn is_host_name(text: &str) -> bool {
    let name = text.strip_suffix('.').unwrap_or(text);
    text.len() <= 255
        && name.split('.').all(|label| {
            let count = label.chars().count();
            (1..=63).contains(&count)
                && label.chars().all(|c| c.is_alphanumeric() || c == '-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
}

fn is_mac(text: &str) -> bool {
    let grouped = |separator, width| {
        let groups: Vec<&str> = text.split(separator).collect();
        let fits = groups.iter().all(|group| group.len() == width && is_hex(group));
        fits && matches!(groups.len() * width, 12 | 16 | 40)
    };
    grouped(':', 2) || grouped('-', 2) || grouped('.', 4)
}

/// An absolute URI or an absolute path.
fn is_uri(text: &str) -> bool {
    let escapes = text.split('%').skip(1).all(|after| after.get(..2).is_some_and(is_hex));
    let clean = !text.contains(|c: char| c.is_control()) && escapes;
    let Some((scheme, rest)) = text.split_once(':').filter(|_| !text.starts_with('/')) else {
        return clean && text.starts_with('/');
    };
    let authority = rest.strip_prefix("//").map_or("", |rest| rest.split('/').next().unwrap_or_default());
    clean
        && scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
        && !authority.contains(char::is_whitespace)
}

fn is_uuid(text: &str, version: Option<char>) -> bool {
    // Each dash may be left out, but stands nowhere else.
    let mut rest = text;
    let mut digits = String::new();
    for (group, length) in [8, 4, 4, 4, 12].into_iter().enumerate() {
        if group > 0 {
            rest = rest.strip_prefix('-').unwrap_or(rest);
        }
        let (Some(part), Some(after)) = (rest.get(..length), rest.get(length..)) else { return false };
        digits.push_str(part);
        rest = after;
    }
    let variant_fits = match version {
        None | Some('3') => true,
        Some(_) => {
            digits.chars().nth(16).is_some_and(|c| matches!(c.to_ascii_lowercase(), '8' | '9' | 'a' | 'b'))
        }
    };
    rest.is_empty()
        && is_hex(&digits)
        && version.is_none_or(|version| digits.chars().nth(12) == Some(version))
        && variant_fits
}
