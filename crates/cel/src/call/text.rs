//! Texts. Places are counted in characters.

use super::{Context, Outcome};
use crate::error::Fault;
use crate::formatting;
use crate::functions::Function;
use crate::value::CelValue;

pub(super) fn run(context: &mut Context<'_, '_, '_>, function: Function, args: &[CelValue]) -> Outcome {
    use CelValue as V;
    use Function as F;
    for arg in args {
        if let V::String(text) = arg {
            context.budget.read_text(text.as_str().len())?;
        }
    }
    let text = |place: usize| args.get(place).and_then(V::as_str).ok_or_else(Fault::no_overload);
    let number = |place: usize| match args.get(place) {
        Some(V::Int(value)) => Ok(*value),
        _ => Err(Fault::no_overload()),
    };
    if function == F::Join {
        return join(context, args);
    }
    if function == F::Split {
        return split(context, text(0)?, text(1)?, args.get(2).map_or(Ok(-1), |_| number(2))?);
    }
    if function == F::Replace {
        return replace(context, [text(0)?, text(1)?, text(2)?], args.get(3).map_or(Ok(-1), |_| number(3))?);
    }
    let first = text(0)?;
    let made = match function {
        F::Contains => return Ok(V::Bool(first.contains(text(1)?))),
        F::StartsWith => return Ok(V::Bool(first.starts_with(text(1)?))),
        F::EndsWith => return Ok(V::Bool(first.ends_with(text(1)?))),
        F::IndexOf => return index_of(first, text(1)?, args.get(2).map_or(Ok(0), |_| number(2))?),
        F::LastIndexOf => {
            let from = args.get(2).map(|_| number(2)).transpose()?;
            return last_index_of(first, text(1)?, from);
        }
        F::CharAt => {
            let place = number(1)?;
            let at = byte_at(first, place).ok_or_else(|| out_of_range(place))?;
            first.get(at..).and_then(|rest| rest.chars().next()).map_or(String::new(), String::from)
        }
        F::LowerAscii => first.to_ascii_lowercase(),
        F::UpperAscii => first.to_ascii_uppercase(),
        F::Trim => first.trim().to_owned(),
        F::EscapeKey => first.replace('~', "~0").replace('/', "~1"),
        F::Substring => substring(first, number(1)?, args.get(2).map(|_| number(2)).transpose()?)?.to_owned(),
        F::Quote => quoted(first),
        _ => {
            let Some(V::List(list)) = args.get(1) else { return Err(Fault::no_overload()) };
            context.budget.make_items(list.len())?;
            let values: Vec<CelValue> = list.iter().collect();
            return Ok(V::from(formatting::format(context.budget, first, &values)?));
        }
    };
    context.budget.make_text(made.len())?;
    Ok(V::from(made))
}

fn out_of_range(place: i64) -> Fault {
    Fault::error(format!("index out of range: {place}"))
}

/// The byte at which a character begins; the end counts as one.
fn byte_at(text: &str, place: i64) -> Option<usize> {
    let place = usize::try_from(place).ok()?;
    let ends = std::iter::once(text.len());
    text.char_indices().map(|(at, _)| at).chain(ends).nth(place)
}

fn characters(text: &str) -> i64 {
    i64::try_from(text.chars().count()).unwrap_or(i64::MAX)
}

fn substring(text: &str, start: i64, end: Option<i64>) -> Result<&str, Fault> {
    if let Some(end) = end.filter(|end| start > *end) {
        return Err(Fault::error(format!("invalid substring range. start: {start}, end: {end}")));
    }
    let from = byte_at(text, start).ok_or_else(|| out_of_range(start))?;
    let to = match end {
        Some(end) => byte_at(text, end).ok_or_else(|| out_of_range(end))?,
        None => text.len(),
    };
    Ok(text.get(from..to).unwrap_or_default())
}

fn index_of(text: &str, part: &str, from: i64) -> Outcome {
    if part.is_empty() {
        return Ok(CelValue::Int(from));
    }
    if from < 0 {
        return Err(out_of_range(from));
    }
    let found = byte_at(text, from).and_then(|at| Some(at + text.get(at..)?.find(part)?));
    Ok(CelValue::Int(found.map_or(-1, |at| characters(text.get(..at).unwrap_or_default()))))
}

fn last_index_of(text: &str, part: &str, from: Option<i64>) -> Outcome {
    if part.is_empty() {
        return Ok(CelValue::Int(from.unwrap_or_else(|| characters(text))));
    }
    if from.is_none() && text.len() < part.len() {
        return Ok(CelValue::Int(-1));
    }
    let size = characters(text);
    let from = from.unwrap_or(size - 1);
    if from < 0 {
        return Err(out_of_range(from));
    }
    if from >= size {
        return Ok(CelValue::Int(-1));
    }
    // The part begins at this character at the latest.
    let end = byte_at(text, from.saturating_add(characters(part)).min(size)).unwrap_or(text.len());
    let found = text.get(..end).and_then(|before| before.rfind(part));
    Ok(CelValue::Int(found.map_or(-1, |at| characters(text.get(..at).unwrap_or_default()))))
}

fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        let escape = match c {
            '\x07' => "\\a",
            '\x08' => "\\b",
            '\x0c' => "\\f",
            '\n' => "\\n",
            '\r' => "\\r",
            '\t' => "\\t",
            '\x0b' => "\\v",
            '\\' => "\\\\",
            '"' => "\\\"",
            other => {
                out.push(other);
                continue;
            }
        };
        out.push_str(escape);
    }
    out.push('"');
    out
}

/// At most so many parts; all, if the number is negative.
fn split(context: &mut Context<'_, '_, '_>, text: &str, separator: &str, most: i64) -> Outcome {
    let parts: Vec<&str> = match usize::try_from(most) {
        Ok(0) => Vec::new(),
        _ if separator.is_empty() => {
            context.budget.make_items(text.chars().count())?;
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            let mut parts = Vec::new();
            let mut rest = text;
            while let Some(c) = rest.chars().next() {
                let length = if parts.len() + 1 == most { rest.len() } else { c.len_utf8() };
                let (part, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
                parts.push(part);
                rest = after;
            }
            parts
        }
        Ok(most) => {
            context.budget.make_items(text.matches(separator).count().min(most) + 1)?;
            text.splitn(most, separator).collect()
        }
        Err(_) => {
            context.budget.make_items(text.matches(separator).count() + 1)?;
            text.split(separator).collect()
        }
    };
    context.budget.make_text(text.len())?;
    Ok(CelValue::list(parts.into_iter().map(CelValue::from).collect()))
}

/// So many replacements; all, if the number is negative.
fn replace(context: &mut Context<'_, '_, '_>, [text, old, new]: [&str; 3], most: i64) -> Outcome {
    let most = usize::try_from(most).unwrap_or(usize::MAX);
    let found = if old.is_empty() { text.chars().count() + 1 } else { text.matches(old).count() };
    let count = found.min(most);
    // What becomes longer is paid for before it is made.
    let size = count.saturating_mul(new.len()).saturating_add(text.len());
    context.budget.make_text(size)?;
    if count == 0 {
        return Ok(CelValue::from(text));
    }
    if !old.is_empty() {
        return Ok(CelValue::from(text.replacen(old, new, count)));
    }
    let mut out = String::with_capacity(size);
    for (place, c) in text.chars().enumerate() {
        if place < count {
            out.push_str(new);
        }
        out.push(c);
    }
    if count > text.chars().count() {
        out.push_str(new);
    }
    Ok(CelValue::from(out))
}

fn join(context: &mut Context<'_, '_, '_>, args: &[CelValue]) -> Outcome {
    let Some(CelValue::List(list)) = args.first() else { return Err(Fault::no_overload()) };
    let separator = match args.get(1) {
        Some(separator) => separator.as_str().ok_or_else(Fault::no_overload)?,
        None => "",
    };
    let mut out = String::new();
    for (place, item) in list.iter().enumerate() {
        let text = item.as_str().ok_or_else(|| Fault::error(format!("join: invalid input: {item}")))?;
        context.budget.make_text(text.len() + separator.len())?;
        if place > 0 {
            out.push_str(separator);
        }
        out.push_str(text);
    }
    Ok(CelValue::from(out))
}
