//! Regular expressions. Those that an expression makes are kept while it is evaluated, as it may use one for each
//! element of a list.

use std::collections::BTreeMap;
use std::sync::Arc;

use portcullis_value::pattern::{Pattern, PatternError};
use portcullis_value::{Budget, LimitKind};

use super::{Context, Outcome};
use crate::error::{EvalErrorKind, Fault};
use crate::functions::Function;
use crate::value::CelValue;

/// Longest pattern, in bytes.
const LONGEST: usize = 1 << 14;
/// Most states of the patterns that are kept.
const MAX_KEPT: u64 = 50_000;
/// What compiling a pattern takes, however short it is, in steps.
const COMPILING: u64 = 200;

/// Patterns that are written in an expression.
pub(crate) type Written = BTreeMap<String, Arc<Pattern>>;

static NONE: Written = BTreeMap::new();

/// Patterns that were compiled.
#[derive(Debug)]
pub(crate) struct Patterns<'p> {
    written: &'p Written,
    known: BTreeMap<String, Arc<Pattern>>,
    states: u64,
}

impl Default for Patterns<'static> {
    fn default() -> Self {
        Patterns::new(&NONE)
    }
}

impl<'p> Patterns<'p> {
    /// With those that are known before anything is evaluated.
    pub(crate) fn new(written: &'p Written) -> Self {
        Self { written, known: BTreeMap::new(), states: 0 }
    }

    fn is_written(&self, text: &str) -> bool {
        self.written.contains_key(text)
    }

    fn compile(&mut self, budget: &mut Budget<'_>, text: &str) -> Result<Arc<Pattern>, Fault> {
        budget.read_text(text.len())?;
        if let Some(pattern) = self.written.get(text).or_else(|| self.known.get(text)) {
            return Ok(pattern.clone());
        }
        budget.step(COMPILING.saturating_add(text.len() as u64 * 4))?;
        let pattern = Arc::new(compile(text)?);
        budget.step(pattern.weight().saturating_mul(2))?;
        if self.states.saturating_add(pattern.weight()) > MAX_KEPT {
            self.known.clear();
            self.states = 0;
        }
        self.states = self.states.saturating_add(pattern.weight());
        self.known.insert(text.to_owned(), pattern.clone());
        Ok(pattern)
    }
}

/// The text that a value has as the API server sees it: the name of a type, or what an optional value has.
fn inside(value: &CelValue) -> Option<&str> {
    match value {
        CelValue::String(text) => Some(text.as_str()),
        CelValue::Type(name) => Some(name),
        CelValue::Optional(Some(value)) => inside(value),
        _ => None,
    }
}

/// Compiles a pattern of Go's syntax.
pub(crate) fn compile(text: &str) -> Result<Pattern, Fault> {
    let shown: String = text.chars().take(60).collect();
    let too_large = || {
        let limit = LimitKind::Pattern;
        let message = format!("regular expression `{shown}` is too large (limit `{limit}`)");
        Fault::new(EvalErrorKind::Limit(limit), message)
    };
    if text.len() > LONGEST {
        return Err(too_large());
    }
    Pattern::compile(text).map_err(|error| match error {
        PatternError::Invalid(reason) => Fault::error(format!("error parsing regexp: {reason}: `{shown}`")),
        PatternError::TooLarge => too_large(),
    })
}

pub(super) fn run(context: &mut Context<'_, '_, '_>, function: Function, args: &[CelValue]) -> Outcome {
    let (text, pattern) = match args {
        [CelValue::String(text), CelValue::String(pattern), ..] => (text.as_str(), pattern.as_str()),
        // What is no text, but has one, is taken where the pattern is written in the expression.
        [value, CelValue::String(pattern), ..] if context.patterns.is_written(pattern.as_str()) => {
            (inside(value).ok_or_else(Fault::no_overload)?, pattern.as_str())
        }
        [CelValue::String(_) | CelValue::Timestamp(_) | CelValue::Duration(_), ..] => {
            return Err(Fault::no_overload());
        }

        _ => return Err(Fault::error("no such overload: matches")),
    };
    let most = match args.get(2) {
        Some(CelValue::Int(most)) => *most,
        Some(_) => return Err(Fault::no_overload()),
        None => -1,
    };
    let pattern = context.patterns.compile(context.budget, pattern).map_err(|fault| {
        if function == Function::Matches || !fault.is_absorbable() {
            return fault;
        }
        Fault::error(format!("Illegal regex: {}", fault.message))
    })?;
    let steps = (text.len() as u64 / 64 + 1).saturating_mul(pattern.weight() / 4 + 1);
    context.budget.step(steps)?;
    Ok(match function {
        Function::Matches => CelValue::Bool(pattern.is_match(text)),
        Function::Find => {
            let found = pattern.regex().find(text).map_or("", |found| found.as_str());
            context.budget.make_text(found.len())?;
            CelValue::from(found)
        }
        _ => {
            let most = usize::try_from(most).unwrap_or(usize::MAX);
            let mut parts = Vec::new();
            for found in pattern.regex().find_iter(text).take(most) {
                context.budget.make_items(1)?;
                if pattern.is_open() {
                    // More of the text may have been looked at than what was found.
                    context.budget.step(text.len().saturating_sub(found.start()) as u64 / 48)?;
                }
                context.budget.make_text(found.len())?;
                parts.push(CelValue::from(found.as_str()));
            }
            CelValue::list(parts)
        }
    })
}
