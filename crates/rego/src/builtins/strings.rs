//! Texts. Positions and lengths are counted in characters.

use std::collections::{BTreeMap, BTreeSet};

use num_bigint::BigInt;
use portcullis_value::{Budget, Output, Value, View};

use super::arithmetic::number_operand;
use super::big::BigFloat;
use super::operand::{integer, text, value, wrong_element, wrong_type};
use super::{Context, Failure, Outcome, number, operand, undefined};

table![
    "concat" => concat,
    "contains" => contains,
    "endswith" => endswith,
    "format_int" => format_int,
    "indexof" => indexof,
    "indexof_n" => indexof_n,
    "lower" => lower,
    "replace" => replace,
    "split" => split,
    "startswith" => startswith,
    "strings.any_prefix_match" => any_prefix_match,
    "strings.any_suffix_match" => any_suffix_match,
    "strings.count" => count,
    "strings.replace_n" => replace_n,
    "strings.reverse" => reverse,
    "strings.split_n" => split_n,
    "substring" => substring,
    "trim" => trim,
    "trim_left" => trim_left,
    "trim_prefix" => trim_prefix,
    "trim_right" => trim_right,
    "trim_space" => trim_space,
    "trim_suffix" => trim_suffix,
    "upper" => upper,
];

/// A text that is made of the budget.
fn made(budget: &mut Budget<'_>, text: &str) -> Outcome {
    budget.make_text(text.len())?;
    Ok(Value::from(text))
}

/// Two texts that are read.
fn two<'v>(context: &mut Context<'_, '_>, args: &[&'v Value]) -> Result<(&'v str, &'v str), Failure> {
    let (first, second) = (text(args, 1)?, text(args, 2)?);
    context.budget.read_text(first.len())?;
    context.budget.read_text(second.len())?;
    Ok((first, second))
}

fn concat(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let separator = text(args, 1)?;
    let whole = value(args, 2)?;
    let Some(elements) = portcullis_value::elements(context.budget, whole)? else {
        return Err(wrong_type(2, whole, &["set", "array"]));
    };
    if let Some(element) = elements.iter().find(|element| element.as_str().is_none()) {
        return Err(wrong_element(2, whole, element, "string"));
    }
    context.write(|out| {
        for (position, part) in elements.iter().filter_map(Value::as_str).enumerate() {
            if position > 0 {
                out.push_str(separator)?;
            }
            out.push_str(part)?;
        }
        Ok(())
    })
}

fn contains(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let (text, part) = two(context, args)?;
    // A part that is nearly everywhere is looked at twice.
    context.budget.step(text.len() as u64 / 64)?;
    Ok(Value::from(text.contains(part)))
}

fn startswith(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let (text, part) = (text(args, 1)?, text(args, 2)?);
    context.budget.step(part.len() as u64 / 64)?;
    Ok(Value::from(text.starts_with(part)))
}

fn endswith(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let (text, part) = (text(args, 1)?, text(args, 2)?);
    context.budget.step(part.len() as u64 / 64)?;
    Ok(Value::from(text.ends_with(part)))
}

/// The whole part, in one of four bases.
fn format_int(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let (value, base) = (number_operand(args, 1)?, number_operand(args, 2)?);
    let base = number::small(base).and_then(|base| u32::try_from(base).ok());
    let base = base.filter(|base| matches!(base, 2 | 8 | 10 | 16));
    let base = base.ok_or_else(|| undefined("operand 2 must be one of {2, 8, 10, 16}"))?;
    let integer: BigInt = match number::integer(value) {
        Some(integer) => integer,
        None => BigFloat::of(value).map_or_else(|| Ok(BigInt::from(0)), BigFloat::truncated)?,
    };
    let words = integer.bits() / 64;
    context.budget.step(words * words / 16 + 1)?;
    made(context.budget, &integer.to_str_radix(base))
}

fn searched<'v>(context: &mut Context<'_, '_>, args: &[&'v Value]) -> Result<(&'v str, &'v str), Failure> {
    let (text, part) = two(context, args)?;
    if part.is_empty() { Err(undefined("empty search character")) } else { Ok((text, part)) }
}

fn indexof(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let (text, part) = searched(context, args)?;
    Ok(match text.split_once(part) {
        Some((before, _)) => Value::from(before.chars().count()),
        None => Value::from(-1),
    })
}

/// Also those that overlap.
fn indexof_n(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let (text, part) = searched(context, args)?;
    // Comparing at every character costs up to the length of the part.
    context.budget.step((text.len() as u64).saturating_mul(part.len() as u64 / 64 + 1) / 16)?;
    let mut found = Vec::new();
    for (index, (at, _)) in text.char_indices().enumerate() {
        if text.get(at..).is_some_and(|rest| rest.starts_with(part)) {
            context.budget.make_items(1)?;
            found.push(Value::from(index));
        }
    }
    Ok(Value::from(found))
}

/// An empty text is found before every character and at the end.
fn count(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let (text, part) = two(context, args)?;
    // There may be one at each character.
    context.budget.step(text.len() as u64 / 8)?;
    Ok(Value::from(text.matches(part).count()))
}

fn lower(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    mapped(context, text(args, 1)?, |c| match c {
        'İ' => 'i',
        c => only(c.to_lowercase()).unwrap_or(c),
    })
}

fn upper(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    mapped(context, text(args, 1)?, |c| {
        let code = u32::from(c);
        let moved = match code {
            // With a iota below, which becomes a letter of its own in Rust.
            0x1f80..=0x1f87 | 0x1f90..=0x1f97 | 0x1fa0..=0x1fa7 => code + 8,
            0x1fb3 | 0x1fc3 | 0x1ff3 => code + 9,
            _ => return only(c.to_uppercase()).unwrap_or(c),
        };
        char::from_u32(moved).unwrap_or(c)
    })
}

/// Go maps each character to one.
fn only(mut chars: impl Iterator<Item = char>) -> Option<char> {
    let first = chars.next();
    if chars.next().is_some() { None } else { first }
}

fn mapped(context: &mut Context<'_, '_>, text: &str, map: fn(char) -> char) -> Outcome {
    // A character may become a byte longer.
    context.budget.make_text(text.len().saturating_mul(2))?;
    context.text.clear();
    context.text.extend(text.chars().map(map));
    Ok(context.take_text())
}

fn replace(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let (text, old) = two(context, args)?;
    let new = operand::text(args, 3)?;
    // There may be one at each character.
    context.budget.step(text.len() as u64 / 8)?;
    let count = text.matches(old).count();
    let longer = count.saturating_mul(new.len()).saturating_add(text.len());
    context.budget.make_text(longer.saturating_sub(count.saturating_mul(old.len())))?;
    Ok(Value::from(text.replace(old, new)))
}

/// At each position the first of the texts, in their order, that is there; an empty one is everywhere, once.
fn replace_n(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let View::Object(patterns) = value(args, 1)?.view() else {
        return Err(wrong_type(1, value(args, 1)?, &["object"]));
    };
    let mut pairs = BTreeMap::new();
    // What it takes to try all of them at one place.
    let mut tries: u64 = 0;
    for (old, new) in patterns.iter() {
        context.budget.step(1)?;
        let View::String(old) = old.view() else {
            return Err(undefined("operand 1 non-string key found in pattern object"));
        };
        let View::String(new) = new.view() else {
            return Err(undefined("operand 1 non-string value found in pattern object"));
        };
        context.budget.read_text(old.len())?;
        tries = tries.saturating_add(old.len() as u64 / 64 + 1);
        pairs.insert(old, new);
    }
    let text = text(args, 2)?;
    let tries = (text.len() as u64 + 1).saturating_mul(tries);
    context.budget.step(tries / 4 + 1)?;
    context.write(|out| replace_all(out, text, &pairs))
}

fn replace_all(
    out: &mut Output,
    text: &str,
    pairs: &BTreeMap<&str, &str>,
) -> Result<(), portcullis_value::TooLong> {
    let mut rest = text;
    let mut was_empty = false;
    loop {
        let found = pairs.iter().find(|(old, _)| rest.starts_with(**old) && !(was_empty && old.is_empty()));
        if let Some((old, new)) = found {
            out.push_str(new)?;
            rest = rest.get(old.len()..).unwrap_or_default();
            was_empty = old.is_empty();
            continue;
        }
        let mut chars = rest.chars();
        let Some(c) = chars.next() else { return Ok(()) };
        out.push(c)?;
        rest = chars.as_str();
        was_empty = false;
    }
}

fn split(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let (text, separator) = two(context, args)?;
    parts(context.budget, text, separator, 0, usize::MAX)
}

/// The first parts, as many as the number says, or the last ones, if it is negative.
fn split_n(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let (text, separator) = two(context, args)?;
    let number = integer(args, 3)?;
    let most = usize::try_from(number.unsigned_abs()).unwrap_or(usize::MAX);
    if number >= 0 {
        return parts(context.budget, text, separator, 0, most);
    }
    // There may be one at each character. Not looked for from the end, where other ones may be found:
    // `xx` in `xxx`.
    context.budget.step(text.len() as u64 / 8)?;
    let all = if separator.is_empty() { text.chars().count() } else { text.split(separator).count() };
    parts(context.budget, text, separator, all.saturating_sub(most), most)
}

/// At most so many parts of a text, without the first ones: its characters, if the separator is empty.
fn parts(budget: &mut Budget<'_>, text: &str, separator: &str, skipped: usize, most: usize) -> Outcome {
    let mut parts = Vec::new();
    let mut add = |part: &str| -> Result<(), Failure> {
        budget.make_items(1)?;
        budget.take(part.len())?;
        parts.push(Value::from(part));
        Ok(())
    };
    if separator.is_empty() {
        for c in text.chars().skip(skipped).take(most) {
            add(c.encode_utf8(&mut [0; 4]))?;
        }
    } else {
        for part in text.split(separator).skip(skipped).take(most) {
            add(part)?;
        }
    }
    Ok(Value::from(parts))
}

fn reverse(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let text = text(args, 1)?;
    context.budget.make_text(text.len())?;
    Ok(Value::from(text.chars().rev().collect::<String>()))
}

/// All of the rest, if the length is negative.
fn substring(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let (text, start, length) = (text(args, 1)?, integer(args, 2)?, integer(args, 3)?);
    let start = usize::try_from(start).map_err(|_| undefined("negative offset"))?;
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    context.budget.read_text(text.len())?;
    let mut chars = text.chars();
    if start > 0 && chars.nth(start - 1).is_none() {
        return Ok(Value::from(""));
    }
    let rest = chars.as_str();
    let end = rest.char_indices().nth(length).map_or(rest.len(), |(end, _)| end);
    made(context.budget, rest.get(..end).unwrap_or_default())
}

fn trim(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    trimmed(context, args, |text, set| text.trim_matches(|c| set.contains(&c)))
}

fn trim_left(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    trimmed(context, args, |text, set| text.trim_start_matches(|c| set.contains(&c)))
}

fn trim_right(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    trimmed(context, args, |text, set| text.trim_end_matches(|c| set.contains(&c)))
}

fn trimmed(
    context: &mut Context<'_, '_>,
    args: &[&Value],
    trim: for<'t> fn(&'t str, &BTreeSet<char>) -> &'t str,
) -> Outcome {
    let (text, cut) = two(context, args)?;
    context.budget.make_items(cut.len())?;
    // All of the text may go, and each character is looked up.
    context.budget.step(text.len() as u64 / 8)?;
    made(context.budget, trim(text, &cut.chars().collect()))
}

fn trim_prefix(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let (text, prefix) = two(context, args)?;
    made(context.budget, text.strip_prefix(prefix).unwrap_or(text))
}

fn trim_suffix(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let (text, suffix) = two(context, args)?;
    made(context.budget, text.strip_suffix(suffix).unwrap_or(text))
}

fn trim_space(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let text = text(args, 1)?;
    context.budget.step(text.len() as u64 / 16)?;
    made(context.budget, text.trim())
}

fn any_prefix_match(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let texts: BTreeSet<&str> = texts(context.budget, args, 1)?.into_iter().collect();
    let prefixes = self::texts(context.budget, args, 2)?;
    let begins = |prefix: &str| texts.range(prefix..).next().is_some_and(|text| text.starts_with(prefix));
    Ok(Value::from(prefixes.into_iter().any(begins)))
}

fn any_suffix_match(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let texts = texts(context.budget, args, 1)?;
    let suffixes = self::texts(context.budget, args, 2)?;
    let bytes: usize = texts.iter().chain(&suffixes).map(|text| text.len()).sum();
    context.budget.make_text(bytes)?;
    let reversed = |text: &str| text.chars().rev().collect::<String>();
    let texts: BTreeSet<String> = texts.into_iter().map(reversed).collect();
    let ends =
        |suffix: String| texts.range(suffix.clone()..).next().is_some_and(|text| text.starts_with(&suffix));
    Ok(Value::from(suffixes.into_iter().map(reversed).any(ends)))
}

/// A text, or those in a collection.
fn texts<'v>(budget: &mut Budget<'_>, args: &[&'v Value], position: usize) -> Result<Vec<&'v str>, Failure> {
    let whole = value(args, position)?;
    if let View::String(text) = whole.view() {
        budget.read_text(text.len())?;
        return Ok(vec![text]);
    }
    let Some(elements) = portcullis_value::elements(budget, whole)? else {
        return Err(wrong_type(position, whole, &["string", "set", "array"]));
    };
    let mut texts = Vec::new();
    for element in elements {
        let View::String(text) = element.view() else {
            return Err(wrong_element(position, whole, element, "string"));
        };
        budget.read_text(text.len())?;
        texts.push(text);
    }
    Ok(texts)
}
