//! Semantic versions, as loosely as OPA reads them: a `v` before them, zeros before their numbers.

use std::cmp::Ordering;

use portcullis_value::{Value, View, quote};

use super::operand::{text, value};
use super::{Context, Failure, Outcome, undefined};

table![
    "semver.compare" => compare,
    "semver.is_valid" => is_valid,
];

fn compare(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let mut version = |position| -> Result<Version<'_>, Failure> {
        let text = text(args, position)?;
        context.budget.read_text(text.len())?;
        let error = || undefined(format!("operand {position}: string {} is not a valid SemVer", quote(text)));
        Version::parse(text).ok_or_else(error)
    };
    let (left, right) = (version(1)?, version(2)?);
    Ok(Value::from(match left.compare(&right) {
        Ordering::Less => -1,
        Ordering::Equal => 0,
        Ordering::Greater => 1,
    }))
}

fn is_valid(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let View::String(text) = value(args, 1)?.view() else { return Ok(Value::FALSE) };
    context.budget.read_text(text.len())?;
    Ok(Value::from(Version::parse(text).is_some()))
}

struct Version<'t> {
    numbers: [i64; 3],
    pre_release: &'t str,
}

impl<'t> Version<'t> {
    fn parse(text: &'t str) -> Option<Self> {
        let text = text.strip_prefix('v').unwrap_or(text);
        let (text, metadata) = text.split_once('+').unwrap_or((text, ""));
        let (text, pre_release) = text.split_once('-').unwrap_or((text, ""));
        if !is_identifier(metadata) || !is_identifier(pre_release) {
            return None;
        }
        let mut parts = text.split('.').map(str::parse);
        let numbers = [parts.next()?.ok()?, parts.next()?.ok()?, parts.next()?.ok()?];
        if parts.next().is_some() { None } else { Some(Self { numbers, pre_release }) }
    }

    fn compare(&self, other: &Self) -> Ordering {
        self.numbers
            .cmp(&other.numbers)
            .then_with(|| compare_pre_releases(self.pre_release, other.pre_release))
    }
}

/// Nothing, or words between dots.
fn is_identifier(text: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    text.is_empty() || text.split('.').all(is_word)
}

/// None is after any; numbers are before words, and the shorter is first.
fn compare_pre_releases(left: &str, right: &str) -> Ordering {
    if left.is_empty() || right.is_empty() {
        return left.is_empty().cmp(&right.is_empty());
    }
    let (mut left, mut right) = (left.split('.'), right.split('.'));
    loop {
        let (left, right) = match (left.next(), right.next()) {
            (Some(left), Some(right)) => (left, right),
            (left, right) => return left.is_some().cmp(&right.is_some()),
        };
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let order = match (is_number(left), is_number(right)) {
            (true, true) => {
                // Those that are too large for Go are all the largest there is.
                let number = |text: &str| text.parse::<i64>().unwrap_or(i64::MAX);
                number(left).cmp(&number(right))
            }
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => left.cmp(right),
        };
        if order.is_ne() {
            return order;
        }
    }
}
