//! Regular expressions in Go's syntax, each compiled once per program and then shared by its evaluations: a
//! clone of a compiled one would begin without the tables that matching builds up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use portcullis_value::pattern::{Pattern, PatternError};
use portcullis_value::{Budget, Exceeded, LimitKind, Output, TooLong, Value, View};

use super::operand::{integer, text, value};
use super::{Context, Failure, Outcome, too_large, undefined};

table![
    "re_match" => is_match,
    "regex.find_all_string_submatch_n" => find_groups,
    "regex.find_n" => find,
    "regex.is_valid" => is_valid,
    "regex.match" => is_match,
    "regex.replace" => replace,
    "regex.split" => split,
    "regex.template_match" => template_match,
];

/// Longest pattern, in bytes.
const LONGEST_PATTERN: usize = 1 << 16;
/// Most patterns in one generation.
const MAX_PATTERNS: usize = 64;
/// Most states of all patterns in one generation.
const MAX_STATES: u64 = 200_000;

type Compiled = Result<Arc<Pattern>, PatternError>;

/// Patterns that were used of late: when the young generation is full it becomes the old one, which is
/// forgotten.
#[derive(Debug, Default)]
pub(super) struct Patterns(Mutex<Generations>);

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Arc<str>, Compiled>,
    /// States of the young ones.
    states: u64,
    old: HashMap<Arc<str>, Compiled>,
}

impl Generations {
    fn get(&mut self, text: &str) -> Option<Compiled> {
        if let Some(compiled) = self.young.get(text) {
            return Some(compiled.clone());
        }
        let (text, compiled) = self.old.remove_entry(text)?;
        self.insert(text, compiled.clone());
        Some(compiled)
    }

    fn insert(&mut self, text: Arc<str>, compiled: Compiled) {
        let weight = compiled.as_ref().map_or(1, |pattern| pattern.weight());
        if self.young.len() >= MAX_PATTERNS || self.states.saturating_add(weight) > MAX_STATES {
            self.old = std::mem::take(&mut self.young);
            self.states = 0;
        }
        self.states = self.states.saturating_add(weight);
        self.young.insert(text, compiled);
    }
}

impl Patterns {
    /// A pattern that Go refuses is undefined; one that only we refuse is an error.
    fn compile(&self, text: &str) -> Result<Arc<Pattern>, Failure> {
        self.compiled(text).map_err(|error| {
            let shown: String = text.chars().take(40).collect();
            let more = if shown.len() < text.len() { "…" } else { "" };
            match error {
                PatternError::Invalid(reason) => {
                    undefined(format!("error parsing regexp: {reason}: `{shown}{more}`"))
                }
                PatternError::TooLarge => {
                    let message = format!("regular expression `{shown}{more}` is too large");
                    too_large(LimitKind::Pattern, message)
                }
            }
        })
    }

    fn compiled(&self, text: &str) -> Compiled {
        if text.len() > LONGEST_PATTERN {
            return Err(PatternError::TooLarge);
        }
        if let Some(compiled) = lock(&self.0).get(text) {
            return compiled;
        }
        // Others go on meanwhile; two may compile the same.
        let compiled = Pattern::compile(text).map(Arc::new);
        lock(&self.0).insert(text.into(), compiled.clone());
        compiled
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A compiled pattern. The budget is asked for compiling it, whether it has been or not: an answer must not
/// depend on what was evaluated before.
pub(super) fn compile(context: &mut Context<'_, '_>, text: &str) -> Result<Arc<Pattern>, Failure> {
    context.budget.step(text.len() as u64 / 8 + 1)?;
    let pattern = context.caches.patterns.compile(text)?;
    // As if it were compiled each time: what a step is must not depend on what is cached.
    let weight = pattern.weight();
    // Large ones cost more than their size, in time and in memory.
    let large = weight.saturating_mul(weight) / 50_000;
    context.budget.step(weight.saturating_mul(2).saturating_add(large))?;
    Ok(pattern)
}

/// Asks the budget for looking at a text for a pattern.
pub(super) fn charge(context: &mut Context<'_, '_>, pattern: &Pattern, text: &str) -> Result<(), Failure> {
    let steps = (text.len() as u64 / 64 + 1).saturating_mul(pattern.weight() / 4 + 1);
    Ok(context.budget.step(steps)?)
}

/// As [`charge`], for what groups cost besides: each state keeps where all of them begin and end.
fn charge_groups(context: &mut Context<'_, '_>, pattern: &Pattern, text: &str) -> Result<(), Failure> {
    let groups = pattern.regex().captures_len() as u64 / 8;
    let steps = (text.len() as u64 / 64 + 1).saturating_mul(pattern.weight() / 4 + 1);
    Ok(context.budget.step(steps.saturating_mul(groups))?)
}

/// Asks the budget for looking on after a match: if a pattern has no end, each look may go to the end of the
/// text and find that what is near is what there is.
fn charge_next(
    budget: &mut Budget<'_>,
    pattern: &Pattern,
    text: &str,
    found: regex::Match<'_>,
) -> Result<(), Exceeded> {
    // A million of these must take no longer than a million others.
    if pattern.is_open() { budget.step(text.len().saturating_sub(found.start()) as u64 / 48) } else { Ok(()) }
}

/// A pattern and the text that it is to be looked for in.
fn operands<'v>(
    context: &mut Context<'_, '_>,
    args: &[&'v Value],
    pattern: usize,
    searched: usize,
) -> Result<(Arc<Pattern>, &'v str), Failure> {
    let (first, second) = (text(args, pattern.min(searched))?, text(args, pattern.max(searched))?);
    let (pattern, searched) = if pattern < searched { (first, second) } else { (second, first) };
    let pattern = compile(context, pattern)?;
    charge(context, &pattern, searched)?;
    Ok((pattern, searched))
}

fn is_match(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let (pattern, text) = operands(context, args, 1, 2)?;
    Ok(Value::from(pattern.is_match(text)))
}

fn is_valid(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let View::String(pattern) = value(args, 1)?.view() else { return Ok(Value::FALSE) };
    match compile(context, pattern) {
        Ok(_) => Ok(Value::TRUE),
        Err(Failure::Undefined(_)) => Ok(Value::FALSE),
        Err(limit) => Err(limit),
    }
}

fn find(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let most = most_matches(args)?;
    let (pattern, text) = operands(context, args, 1, 2)?;
    let mut matches = Vec::new();
    for found in pattern.regex().find_iter(text).take(most) {
        charge_next(context.budget, &pattern, text, found)?;
        context.budget.make_items(1)?;
        context.budget.make_text(found.len())?;
        matches.push(Value::from(found.as_str()));
    }
    Ok(Value::from(matches))
}

fn find_groups(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let most = most_matches(args)?;
    let (pattern, text) = operands(context, args, 1, 2)?;
    charge_groups(context, &pattern, text)?;
    let mut matches = Vec::new();
    for groups in pattern.regex().captures_iter(text).take(most) {
        if let Some(found) = groups.get(0) {
            charge_next(context.budget, &pattern, text, found)?;
        }
        let mut texts = Vec::new();
        for group in groups.iter() {
            let group = group.map_or("", |group| group.as_str());
            context.budget.make_items(1)?;
            context.budget.make_text(group.len())?;
            texts.push(Value::from(group));
        }
        matches.push(Value::from(texts));
    }
    Ok(Value::from(matches))
}

/// Any number of matches, if it is negative.
fn most_matches(args: &[&Value]) -> Result<usize, Failure> {
    text(args, 1)?;
    text(args, 2)?;
    Ok(usize::try_from(integer(args, 3)?).unwrap_or(usize::MAX))
}

/// Go's way to split, which leaves out empty ends where an empty match is.
fn split(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let (pattern, text) = operands(context, args, 1, 2)?;
    if text.is_empty() && !super::operand::text(args, 1)?.is_empty() {
        return Ok(Value::from(vec![Value::from("")]));
    }
    let budget = &mut *context.budget;
    let mut parts = Vec::new();
    let add = |budget: &mut Budget<'_>, parts: &mut Vec<Value>, part: Option<&str>| -> Result<(), Failure> {
        let part = part.unwrap_or_default();
        budget.make_items(1)?;
        budget.make_text(part.len())?;
        parts.push(Value::from(part));
        Ok(())
    };
    let (mut begin, mut end) = (0, 0);
    for found in pattern.regex().find_iter(text) {
        charge_next(budget, &pattern, text, found)?;
        end = found.start();
        if found.end() != 0 {
            add(budget, &mut parts, text.get(begin..end))?;
        }
        begin = found.end();
    }
    if end != text.len() {
        add(budget, &mut parts, text.get(begin..))?;
    }
    Ok(Value::from(parts))
}

fn replace(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let (pattern, text) = operands(context, args, 2, 1)?;
    charge_groups(context, &pattern, text)?;
    let replacement = super::operand::text(args, 3)?;
    let mut out = Output::within(context.budget);
    let mut rest = 0;
    let mut written = Ok(());
    for groups in pattern.regex().captures_iter(text) {
        let Some(whole) = groups.get(0) else { continue };
        charge_next(context.budget, &pattern, text, whole)?;
        context.budget.read_text(replacement.len())?;
        written = out
            .push_str(text.get(rest..whole.start()).unwrap_or_default())
            .and_then(|()| expand(&mut out, replacement, &groups));
        if written.is_err() {
            break;
        }
        rest = whole.end();
    }
    let written = written.and_then(|()| out.push_str(text.get(rest..).unwrap_or_default()));
    Ok(Value::from(out.finish(context.budget, written)?))
}

/// `$1`, `${1}`, `$name` and `${name}` stand for groups, the longest name that is possible, and `$$` for a
/// `$`.
fn expand(out: &mut Output, mut template: &str, groups: &regex::Captures<'_>) -> Result<(), TooLong> {
    while let Some((before, after)) = template.split_once('$') {
        out.push_str(before)?;
        if let Some(after) = after.strip_prefix('$') {
            out.push('$')?;
            template = after;
        } else if let Some((name, after)) = group_name(after) {
            let group = match name.parse::<usize>() {
                Ok(number) => groups.get(number),
                Err(_) => groups.name(name),
            };
            out.push_str(group.map_or("", |group| group.as_str()))?;
            template = after;
        } else {
            out.push('$')?;
            template = after;
        }
    }
    out.push_str(template)
}

/// The name at the beginning of a text, and what follows.
fn group_name(text: &str) -> Option<(&str, &str)> {
    let (braced, text) = text.strip_prefix('{').map_or((false, text), |text| (true, text));
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    let (name, after) = text.split_at_checked(end).filter(|(name, _)| !name.is_empty())?;
    Some((name, if braced { after.strip_prefix('}')? } else { after }))
}

/// A text in which patterns stand between delimiters: the whole of another text must match.
fn template_match(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let (template, searched) = (text(args, 1)?, text(args, 2)?);
    let delimiter = |position: usize, name: &str| match text(args, position)?.as_bytes() {
        [byte] => Ok(char::from(*byte)),
        other => Err(undefined(format!(
            "{name} delimiter has to be exactly one character long but is {} long",
            other.len()
        ))),
    };
    let (open, close) = (delimiter(3, "start")?, delimiter(4, "end")?);
    let shown: String = template.chars().take(60).collect();
    let unbalanced = || undefined(format!("unbalanced braces in {shown:?}"));
    context.budget.make_text(template.len().saturating_mul(4))?;
    let mut whole = String::from("^");
    let mut part = String::new();
    let mut level = 0_usize;
    for c in template.chars() {
        if c == open {
            level += 1;
            if level == 1 {
                continue;
            }
        } else if c == close {
            level = level.checked_sub(1).ok_or_else(unbalanced)?;
            if level == 0 {
                // Each part must be a pattern by itself.
                compile(context, &format!("^{part}$"))?;
                whole.push('(');
                whole.push_str(&std::mem::take(&mut part));
                whole.push(')');
                continue;
            }
        }
        if level > 0 {
            part.push(c);
        } else {
            if c.is_ascii_punctuation() {
                whole.push('\\');
            }
            whole.push(c);
        }
    }
    if level != 0 {
        return Err(unbalanced());
    }
    whole.push('$');
    let pattern = compile(context, &whole)?;
    charge(context, &pattern, searched)?;
    Ok(Value::from(pattern.is_match(searched)))
}
