//! What queries of policies come to.

use std::collections::BTreeMap;
use std::io::{self, Write};

use portcullis::{Error, ErrorKind, EvaluationError, Location, QueryAnswer, QuerySolution, ReachedStatement};
use serde::Serialize;
use serde_json::Value;

use crate::human;
use crate::problem::Problem;

/// So much of a statement is shown.
const SHOWN: usize = 100;

/// What came of a query: an answer, or what is wrong with it.
pub type Answer = Result<QueryAnswer, Vec<Error>>;

/// Writes the answer for people; what was printed, and mistakes, to `err`.
///
/// # Errors
///
/// If one of them cannot be written.
pub fn write_human(
    answer: &Answer,
    traces: bool,
    out: &mut impl Write,
    err: &mut impl Write,
) -> io::Result<()> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(errors) => {
            return human::write_problems(&Problem::all(errors), err);
        }
    };
    for line in &answer.prints {
        writeln!(err, "{line}")?;
    }
    match &answer.result {
        Err(error) => human::write_problems(&Problem::all(&[problem(error)]), err)?,
        Ok(solutions) if solutions.is_empty() => writeln!(out, "undefined")?,
        Ok(solutions) => {
            for (number, QuerySolution { value, bindings }) in solutions.iter().enumerate() {
                if number > 0 && !bindings.is_empty() {
                    writeln!(out)?;
                }
                if let Some(value) = value {
                    writeln!(out, "{}", serde_json::to_string_pretty(value)?)?;
                } else if bindings.is_empty() {
                    writeln!(out, "true")?;
                }
                for (name, value) in bindings {
                    writeln!(out, "{name} = {}", serde_json::to_string_pretty(value)?)?;
                }
            }
        }
    }
    if traces {
        writeln!(out, "\nreached:")?;
        for one in &answer.reached {
            writeln!(out, "  {}  {:<14}  {}", one.location, outcome(one), text(one))?;
        }
        writeln!(out, "{} steps", answer.cost)?;
    }
    Ok(())
}

fn problem(error: &EvaluationError) -> Error {
    let kind = if error.limit.is_some() { ErrorKind::Limit } else { ErrorKind::Rego };
    Error::new(kind, error.message.clone()).at(error.location.clone())
}

/// What came of a statement.
fn outcome(one: &ReachedStatement) -> &'static str {
    match (one.is_head, one.has_held, one.has_failed) {
        (true, ..) => "rule",
        (_, true, true) => "held, failed",
        (_, _, true) => "failed",
        (_, true, false) => "held",
        (_, false, false) => "reached",
    }
}

/// The first line of a statement.
fn text(one: &ReachedStatement) -> String {
    let range = one.location.range();
    let text = one.location.source().text().get(range.start as usize..range.end as usize);
    let line = text.unwrap_or_default().lines().next().unwrap_or_default();
    let mut chars = line.chars();
    let shown: String = chars.by_ref().take(SHOWN).collect();
    if chars.next().is_some() { shown + "…" } else { shown }
}

/// A line of JSON.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Vec<Solution<'a>>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<Mistake>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    prints: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    cost: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reached: Option<Vec<Reached>>,
}

#[derive(Serialize)]
struct Solution<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a Value>,
    bindings: &'a BTreeMap<String, Value>,
}

#[derive(Serialize)]
struct Mistake {
    message: String,
    place: Option<Spot>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Reached {
    place: Spot,
    is_head: bool,
    held: bool,
    failed: bool,
}

#[derive(Serialize)]
struct Spot {
    file: String,
    line: u32,
    column: u32,
}

impl Spot {
    fn of(location: &Location) -> Self {
        Self { file: location.source().name().to_string(), line: location.line(), column: location.column() }
    }
}

impl Mistake {
    fn of(error: &Error) -> Self {
        Self { message: error.message().to_owned(), place: error.location().map(Spot::of) }
    }
}

/// Writes the answer as a line of JSON.
///
/// # Errors
///
/// If it cannot be written.
pub fn write_json(answer: &Answer, traces: bool, out: &mut impl Write) -> io::Result<()> {
    let line = match answer {
        Err(errors) => Line { errors: errors.iter().map(Mistake::of).collect(), ..Line::default() },
        Ok(answer) => {
            let reached = answer.reached.iter().map(|one| Reached {
                place: Spot::of(&one.location),
                is_head: one.is_head,
                held: one.has_held,
                failed: one.has_failed,
            });
            let line = Line {
                prints: &answer.prints,
                cost: Some(answer.cost),
                reached: traces.then(|| reached.collect()),
                ..Line::default()
            };
            match &answer.result {
                Ok(solutions) => {
                    let told = solutions
                        .iter()
                        .map(|one| Solution { value: one.value.as_ref(), bindings: &one.bindings });
                    Line { result: Some(told.collect()), ..line }
                }
                Err(error) => Line { errors: vec![Mistake::of(&problem(error))], ..line },
            }
        }
    };
    writeln!(out, "{}", serde_json::to_string(&line)?)
}
