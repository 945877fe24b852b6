//! Regular expressions in Go's syntax, each compiled once per program and then shared by its evaluations: a clone of a
//! compiled one would begin without the tables that matching builds up.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use super::go_fmt::Output;
use super::{Builtin, Failure, Outcome, State, lock};
use crate::pattern::{Pattern, PatternError};
use crate::value::Value;

pub(super) const BUILTINS: &[Builtin] = &[
    Builtin { name: "re_match", arity: 2, call: is_match },
    Builtin { name: "regex.find_all_string_submatch_n", arity: 3, call: find_groups },
    Builtin { name: "regex.find_n", arity: 3, call: find },
    Builtin { name: "regex.is_valid", arity: 1, call: is_valid },
    Builtin { name: "regex.match", arity: 2, call: is_match },
    Builtin { name: "regex.replace", arity: 3, call: replace },
    Builtin { name: "regex.split", arity: 2, call: split },
    Builtin { name: "regex.template_match", arity: 4, call: template_match },
];

/// Longest result of a replacement, in bytes.
const LONGEST: usize = 16 << 20;
/// Longest pattern, in bytes.
const LONGEST_PATTERN: usize = 1 << 16;
/// Most patterns in one generation.
const MOST_PATTERNS: usize = 64;

type Compiled = Result<Arc<Pattern>, PatternError>;

/// Patterns that were used of late: when the young generation is full it becomes the old one, which is forgotten.
#[derive(Debug, Default)]
pub(super) struct Patterns(Mutex<Generations>);

#[derive(Debug, Default)]
struct Generations {
    young: HashMap<Arc<str>, Compiled>,
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
        if self.young.len() >= MOST_PATTERNS {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(text, compiled);
    }
}

impl Patterns {
    /// A pattern that Go refuses is undefined; one that only we refuse is an error.
    fn compile(&self, text: &str) -> Result<Arc<Pattern>, Failure> {
        match self.compiled(text) {
            Ok(pattern) => Ok(pattern),
            Err(PatternError::Invalid(_)) => Err(Failure::Undefined),
            Err(PatternError::TooLarge) => {
                let shown: String = text.chars().take(40).collect();
                let more = if shown.len() < text.len() { "…" } else { "" };
                Err(Failure::Limit(format!("regular expression `{shown}{more}` is too large")))
            }
        }
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

fn is_match(args: &[Value], state: &State) -> Outcome {
    let [Value::String(pattern), Value::String(text)] = args else { return Err(Failure::Undefined) };
    Ok(Value::Bool(state.patterns.compile(pattern)?.is_match(text)))
}

fn is_valid(args: &[Value], state: &State) -> Outcome {
    let [Value::String(pattern)] = args else { return Ok(Value::Bool(false)) };
    match state.patterns.compile(pattern) {
        Ok(_) => Ok(Value::Bool(true)),
        Err(Failure::Undefined) => Ok(Value::Bool(false)),
        Err(limit) => Err(limit),
    }
}

fn find(args: &[Value], state: &State) -> Outcome {
    let [Value::String(pattern), Value::String(text), most] = args else { return Err(Failure::Undefined) };
    let most = most_matches(most)?;
    let pattern = state.patterns.compile(pattern)?;
    let found = pattern.regex().find_iter(text).take(most).map(|found| Value::from(found.as_str()));
    Ok(Value::from(found.collect::<Vec<_>>()))
}

fn find_groups(args: &[Value], state: &State) -> Outcome {
    let [Value::String(pattern), Value::String(text), most] = args else { return Err(Failure::Undefined) };
    let most = most_matches(most)?;
    let pattern = state.patterns.compile(pattern)?;
    let found = pattern.regex().captures_iter(text).take(most).map(|groups| {
        let group = |group: Option<regex::Match<'_>>| Value::from(group.map_or("", |group| group.as_str()));
        Value::from(groups.iter().map(group).collect::<Vec<_>>())
    });
    Ok(Value::from(found.collect::<Vec<_>>()))
}

/// Any number of matches, if it is negative.
fn most_matches(value: &Value) -> Result<usize, Failure> {
    let Value::Number(number) = value else { return Err(Failure::Undefined) };
    let number = number.as_i64().ok_or(Failure::Undefined)?;
    Ok(usize::try_from(number).unwrap_or(usize::MAX))
}

/// Go's way to split, which leaves out empty ends where an empty match is.
fn split(args: &[Value], state: &State) -> Outcome {
    let [Value::String(pattern), Value::String(text)] = args else { return Err(Failure::Undefined) };
    let compiled = state.patterns.compile(pattern)?;
    if text.is_empty() && !pattern.is_empty() {
        return Ok(Value::from(vec![Value::from("")]));
    }
    let mut parts = Vec::new();
    let mut add = |part: Option<&str>| parts.push(Value::from(part.unwrap_or_default()));
    let (mut begin, mut end) = (0, 0);
    for found in compiled.regex().find_iter(text) {
        end = found.start();
        if found.end() != 0 {
            add(text.get(begin..end));
        }
        begin = found.end();
    }
    if end != text.len() {
        add(text.get(begin..));
    }
    Ok(Value::from(parts))
}

fn replace(args: &[Value], state: &State) -> Outcome {
    let [Value::String(text), Value::String(pattern), Value::String(replacement)] = args else {
        return Err(Failure::Undefined);
    };
    let pattern = state.patterns.compile(pattern)?;
    let mut out = Output::new(LONGEST);
    let mut write = || {
        let mut rest = 0;
        for groups in pattern.regex().captures_iter(text) {
            let Some(whole) = groups.get(0) else { continue };
            out.push_str(text.get(rest..whole.start()).unwrap_or_default())?;
            rest = whole.end();
            expand(&mut out, replacement, &groups)?;
        }
        out.push_str(text.get(rest..).unwrap_or_default())
    };
    match write() {
        Ok(()) => Ok(Value::from(out.into_text())),
        Err(_) => Err(Failure::Limit(format!("`regex.replace` makes a text of more than {LONGEST} bytes"))),
    }
}

/// `$1`, `${1}`, `$name` and `${name}` stand for groups, the longest name that is possible, and `$$` for a `$`.
fn expand(
    out: &mut Output,
    mut template: &str,
    groups: &regex::Captures<'_>,
) -> Result<(), super::go_fmt::TooLong> {
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
fn template_match(args: &[Value], state: &State) -> Outcome {
    let [Value::String(template), Value::String(text), Value::String(open), Value::String(close)] = args
    else {
        return Err(Failure::Undefined);
    };
    let single = |delimiter: &str| match delimiter.as_bytes() {
        [byte] => Ok(char::from(*byte)),
        _ => Err(Failure::Undefined),
    };
    let (open, close) = (single(open)?, single(close)?);
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
            level = level.checked_sub(1).ok_or(Failure::Undefined)?;
            if level == 0 {
                // Each part must be a pattern by itself.
                state.patterns.compile(&format!("^{part}$"))?;
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
        return Err(Failure::Undefined);
    }
    whole.push('$');
    Ok(Value::Bool(state.patterns.compile(&whole)?.is_match(text)))
}
