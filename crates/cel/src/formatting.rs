//! `format`: texts with clauses for values. The same reading is used where an expression is checked, with types
//! in the place of values.

use portcullis_value::Budget;

use crate::error::Fault;
use crate::go_text::{english_fixed, english_scientific, quote, shortest};
use crate::value::CelValue;

/// What a clause asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clause {
    String,
    Decimal,
    Fixed(usize),
    Scientific(usize),
    Binary,
    Hex { upper: bool },
    Octal,
}

impl Clause {
    /// The message for a value of a type that it cannot write.
    pub(crate) fn refuses(self, type_name: &str) -> String {
        let what = match self {
            Self::String => {
                "string clause can only be used on strings, bools, bytes, ints, doubles, maps, lists, types, \
                 durations, and timestamps"
            }
            Self::Decimal => "decimal clause can only be used on integers",
            Self::Fixed(_) => "fixed-point clause can only be used on doubles",
            Self::Scientific(_) => "scientific clause can only be used on doubles",
            Self::Binary => "only integers and bools can be formatted as binary",
            Self::Hex { .. } => "only integers, byte buffers, and strings can be formatted as hex",
            Self::Octal => "octal clause can only be used on integers",
        };
        format!("{what}, was given {type_name}")
    }
}

/// Most digits after the point.
const MAX_PRECISION: usize = 100_000;
const PRECISION: usize = 6;

/// A clause, and how many bytes it has without its percent sign.
fn clause(text: &str) -> Result<(Clause, usize), String> {
    let (mut at, mut precision) = (0, PRECISION);
    if let Some(after) = text.strip_prefix('.') {
        let digits = after.bytes().take_while(u8::is_ascii_digit).count();
        if digits == after.len() {
            return Err("error while parsing precision: could not find end of precision specifier".to_owned());
        }
        let number = after.get(..digits).unwrap_or_default();
        precision = number.parse().ok().filter(|precision| *precision <= MAX_PRECISION).ok_or_else(|| {
            let why = if number.is_empty() { "invalid syntax" } else { "value out of range" };
            format!(
                "error while parsing precision: error while converting precision to integer: strconv.Atoi: parsing \
                 {}: {why}",
                quote(number)
            )
        })?;
        at = digits + 1;
    }
    let kind = match text.as_bytes().get(at) {
        Some(b's') => Clause::String,
        Some(b'd') => Clause::Decimal,
        Some(b'f') => Clause::Fixed(precision),
        Some(b'e') => Clause::Scientific(precision),
        Some(b'b') => Clause::Binary,
        Some(b'x') => Clause::Hex { upper: false },
        Some(b'X') => Clause::Hex { upper: true },
        Some(b'o') => Clause::Octal,
        Some(other) => {
            return Err(format!("unrecognized formatting clause \"{}\"", char::from(*other)));
        }
        None => return Err("unexpected end of string".to_owned()),
    };
    Ok((kind, at + 1))
}

/// Why a text could not be made: the message, and whatever else the caller knows of it.
pub(crate) trait Wrong {
    fn of(message: String) -> Self;
}

impl Wrong for Fault {
    fn of(message: String) -> Self {
        Self::error(message)
    }
}

/// Makes the text of a format with so many arguments: `write` makes that of a clause for one of them. `has`
/// says whether an argument is looked for before what follows its percent sign.
pub(crate) fn run<E: Wrong>(
    format: &str,
    size: usize,
    looks_first: bool,
    mut write: impl FnMut(Clause, usize, &mut String) -> Result<(), E>,
) -> Result<(String, usize), E> {
    let mut out = String::new();
    let (mut rest, mut asked) = (format, 0);
    while let Some(percent) = rest.find('%') {
        let (plain, after) = rest.split_at_checked(percent).unwrap_or((rest, ""));
        out.push_str(plain);
        let after = after.get(1..).unwrap_or_default();
        if let Some(after) = after.strip_prefix('%') {
            out.push('%');
            rest = after;
            continue;
        }
        let out_of_range = || E::of(format!("index {asked} out of range"));
        if looks_first && asked >= size {
            return Err(out_of_range());
        }
        if after.is_empty() {
            return Err(E::of("unexpected end of string".to_owned()));
        }
        if asked >= size {
            return Err(out_of_range());
        }
        let (kind, length) = clause(after)
            .map_err(|message| E::of(format!("could not parse formatting clause: {message}")))?;
        write(kind, asked, &mut out)?;
        rest = after.get(length..).unwrap_or_default();
        asked += 1;
    }
    out.push_str(rest);
    Ok((out, asked))
}

/// What `format` makes of values.
pub(crate) fn format(budget: &mut Budget<'_>, text: &str, args: &[CelValue]) -> Result<String, Fault> {
    let (made, _) = run::<Fault>(text, args.len(), true, |clause, place, out| {
        let value = args.get(place).unwrap_or(&CelValue::Null);
        let written = one(budget, clause, value).map_err(|fault| {
            if fault.is_absorbable() {
                Fault::error(format!("error during formatting: {}", fault.message))
            } else {
                fault
            }
        })?;
        budget.make_text(written.len())?;
        out.push_str(&written);
        Ok(())
    })?;
    budget.make_text(made.len())?;
    Ok(made)
}

fn one(budget: &mut Budget<'_>, clause: Clause, value: &CelValue) -> Result<String, Fault> {
    let refused = || Fault::error(clause.refuses(value.type_name()));
    let number = || match value {
        CelValue::Double(value) => Some(*value),
        CelValue::String(text) => match text.as_str() {
            "NaN" => Some(f64::NAN),
            "Infinity" => Some(f64::INFINITY),
            "-Infinity" => Some(f64::NEG_INFINITY),
            _ => None,
        },
        _ => None,
    };
    let signed = |value: i64, text: String| if value < 0 { format!("-{text}") } else { text };
    Ok(match (clause, value) {
        (Clause::String, value) => return string(budget, value),
        (Clause::Decimal, CelValue::Int(value)) => value.to_string(),
        (Clause::Decimal, CelValue::Uint(value)) => value.to_string(),
        (Clause::Fixed(precision), _) => {
            budget.make_text(precision)?;
            english_fixed(number().ok_or_else(refused)?, precision)
        }
        (Clause::Scientific(precision), _) => {
            budget.make_text(precision)?;
            english_scientific(number().ok_or_else(refused)?, precision)
        }
        (Clause::Binary, CelValue::Int(value)) => signed(*value, format!("{:b}", value.unsigned_abs())),
        (Clause::Binary, CelValue::Uint(value)) => format!("{value:b}"),
        (Clause::Binary, CelValue::Bool(value)) => u8::from(*value).to_string(),
        (Clause::Octal, CelValue::Int(value)) => signed(*value, format!("{:o}", value.unsigned_abs())),
        (Clause::Octal, CelValue::Uint(value)) => format!("{value:o}"),
        (Clause::Hex { upper }, value) => {
            let made = match value {
                CelValue::Int(value) => signed(*value, format!("{:x}", value.unsigned_abs())),
                CelValue::Uint(value) => format!("{value:x}"),
                CelValue::String(text) => hex(budget, text.as_str().as_bytes())?,
                CelValue::Bytes(bytes) => hex(budget, bytes)?,
                _ => return Err(refused()),
            };
            if upper { made.to_uppercase() } else { made }
        }
        _ => return Err(refused()),
    })
}

fn hex(budget: &mut Budget<'_>, bytes: &[u8]) -> Result<String, Fault> {
    budget.make_text(bytes.len() * 2)?;
    let digit = |value: u8| char::from_digit(value.into(), 16).unwrap_or('0');
    Ok(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xf)]).collect())
}

/// A value as `%s` writes it.
fn string(budget: &mut Budget<'_>, value: &CelValue) -> Result<String, Fault> {
    Ok(match value {
        CelValue::List(_) | CelValue::Map(_) => return collection(budget, value),
        CelValue::Null => "null".to_owned(),
        CelValue::Double(value) => shortest(*value),
        CelValue::Bytes(bytes) => {
            let message =
                "could not convert argument \"invalid UTF-8 in bytes, cannot convert to string\" to string";
            std::str::from_utf8(bytes).map_err(|_| Fault::error(message))?.to_owned()
        }
        CelValue::Int(_)
        | CelValue::Uint(_)
        | CelValue::Bool(_)
        | CelValue::String(_)
        | CelValue::Timestamp(_)
        | CelValue::Duration(_)
        | CelValue::Type(_) => value.to_string(),
        other => return Err(Fault::error(Clause::String.refuses(other.type_name()))),
    })
}

fn collection(budget: &mut Budget<'_>, value: &CelValue) -> Result<String, Fault> {
    let mut out = String::new();
    match value {
        CelValue::List(list) => {
            out.push('[');
            for (place, item) in list.iter().enumerate() {
                out.push_str(if place > 0 { ", " } else { "" });
                out.push_str(&element(budget, &item)?);
            }
            out.push(']');
        }
        CelValue::Map(map) => {
            budget.make_items(map.len())?;
            let mut entries = Vec::new();
            for (key, value) in map.entries() {
                let name = match &key {
                    CelValue::String(text) => quote(text.as_str()),
                    CelValue::Bool(_) | CelValue::Int(_) | CelValue::Uint(_) => key.to_string(),
                    other => {
                        let name = other.type_name();
                        return Err(Fault::error(format!(
                            "no formatting function for map key of type {name}"
                        )));
                    }
                };
                entries.push((name, element(budget, &value)?));
            }
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            out.push('{');
            for (place, (key, value)) in entries.iter().enumerate() {
                out.push_str(if place > 0 { ", " } else { "" });
                out.push_str(key);
                out.push(':');
                out.push_str(value);
            }
            out.push('}');
        }
        _ => {}
    }
    Ok(out)
}

/// A value inside of a list or a map: quoted, so that it shows what it is.
fn element(budget: &mut Budget<'_>, value: &CelValue) -> Result<String, Fault> {
    let made = match value {
        CelValue::Double(value) if !value.is_finite() => quote(&fixed(*value)),
        CelValue::Double(value) => fixed(*value),
        CelValue::String(text) => quote(text.as_str()),
        CelValue::Bytes(_) => format!("b{}", quote(&string(budget, value)?)),
        CelValue::Timestamp(_) => format!("timestamp({})", quote(&value.to_string())),
        CelValue::Duration(_) => format!("duration({})", quote(&value.to_string())),
        CelValue::Optional(_)
        | CelValue::Ip(_)
        | CelValue::Cidr(_)
        | CelValue::Url(_)
        | CelValue::Quantity(_)
        | CelValue::Semver(_)
        | CelValue::Format(_)
        | CelValue::Object(_)
        | CelValue::Rights(_)
        | CelValue::Unreadable(_) => {
            return Err(Fault::error(format!("no formatting function for {}", value.type_name())));
        }
        other => string(budget, other)?,
    };
    budget.make_text(made.len())?;
    Ok(made)
}

fn fixed(value: f64) -> String {
    if value.is_finite() { format!("{value:.PRECISION$}") } else { shortest(value) }
}
