//! OPA's own compliance suite, against `portcullis-rego` and, for comparison, against the engines of regorus.
//!
//! ```text
//! cases.jsonl --read--> Case --evaluator--> Answer --judge--> Verdict --lists--> Report
//! ```
//!
//! The suite is not part of this project. Two lists are, both by the notes of cases: what is out of scope
//! (`testdata/opa-compliance/out-of-scope.yaml`), and what is known to fail (`known-failures.yaml`, beside
//! it). What fails or passes otherwise than the lists say is unexpected, and so is an entry that no case of
//! the suite fits.

mod engines;
mod lists;
mod report;

use std::any::Any;
use std::collections::BTreeMap;
use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use portcullis_value::{Value, View};
use serde::{Deserialize, Serialize};

pub use engines::Evaluator;
pub use lists::{KnownFailure, Lists, OutOfScope};
pub use report::Report;

/// Longest time of one case. An evaluation is stopped well before; this is for one that does not listen.
const GUARD: Duration = Duration::from_secs(20);

/// Stack of the thread that evaluates: as much as the main thread of a process has.
const STACK: usize = 8 << 20;

/// One case of the suite, in the suite's own terms.
#[derive(Debug, Deserialize)]
pub struct Case {
    /// What it is about. Not unique: [`Self::name`] is.
    note: String,
    /// The note; from the second of the same note on with ` #2` and so on, in the order of the file.
    #[serde(skip)]
    pub name: String,
    #[serde(default)]
    modules: Option<Vec<String>>,
    query: String,
    #[serde(default)]
    data: Option<Value>,
    #[serde(default)]
    input: Option<Value>,
    /// Instead of `input`: a Rego term.
    #[serde(default)]
    input_term: Option<String>,
    #[serde(default)]
    want_result: Option<Vec<Value>>,
    /// Whether the arrays that the variables are bound to may have any order.
    #[serde(default)]
    sort_bindings: bool,
    #[serde(default)]
    want_error_code: Option<String>,
    #[serde(default)]
    want_error: Option<String>,
    #[serde(default)]
    strict_error: bool,
}

impl Case {
    /// The class of the error that is wanted, if one is.
    fn wanted_error(&self) -> Option<ErrorClass> {
        let code = self.want_error_code.as_deref().filter(|code| !code.is_empty());
        let message = self.want_error.as_deref().filter(|message| !message.is_empty());
        let text = code.or(message)?;
        Some(if text.contains("eval_conflict_error") {
            ErrorClass::Conflict
        } else if text.contains("eval_builtin_error") || text.contains("eval_type_error") {
            ErrorClass::Builtin
        } else {
            ErrorClass::Any
        })
    }

    /// Whether builtins that cannot answer are errors.
    fn is_strict(&self) -> bool {
        self.strict_error
    }
}

/// Classes of evaluation errors that the suite distinguishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ErrorClass {
    Conflict,
    Builtin,
    /// The suite, or the engine, does not say.
    Any,
}

/// What an evaluator answers.
enum Answer {
    /// One object per solution.
    Bindings(Vec<Value>),
    /// It refuses the modules or the query.
    Refused(String),
    /// The evaluation ended in an error.
    Error(ErrorClass, String),
    /// A limit ended the evaluation.
    Limit(String),
    /// Two ways to ask give two answers.
    Disagrees(String),
    /// It cannot be asked this.
    NotTried,
}

/// How a case fails.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Failure {
    /// The modules or the query are refused.
    Load,
    /// An error where a value is wanted, or one of another class.
    Evaluation,
    /// A wrong value, or a value where an error is wanted: the one that must not be.
    Silent,
    /// A panic.
    Panic,
    /// No end.
    Time,
}

/// What came of a case.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Verdict {
    Passed,
    Failed(Failure, String),
    NotTried,
}

/// Reads the cases of a suite.
///
/// # Errors
///
/// If the file cannot be read, or a line of it is no case.
pub fn read(path: &Path) -> Result<Vec<Case>, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    let mut cases = Vec::new();
    for (number, line) in text.lines().enumerate() {
        let mut case: Case = serde_json::from_str(line)
            .map_err(|error| format!("{}:{}: {error}", path.display(), number + 1))?;
        let count = seen.entry(case.note.clone()).or_default();
        *count += 1;
        case.name = if *count == 1 { case.note.clone() } else { format!("{} #{count}", case.note) };
        cases.push(case);
    }
    Ok(cases)
}

/// Runs those cases whose name contains `only`, and compares with the lists.
///
/// # Errors
///
/// If no thread can be started.
pub fn run(cases: Vec<Case>, lists: &Lists, evaluator: Evaluator, only: &str) -> Result<Report, String> {
    let mut report = Report::new(evaluator);
    let mut tried = Vec::new();
    let mut names = Vec::new();
    for case in cases.into_iter().filter(|case| case.name.contains(only)) {
        names.push(case.name.clone());
        match lists.out_of_scope(&case.name) {
            Some(entry) => report.skip(&case.name, &entry.reason),
            None => tried.push(case),
        }
    }
    for (name, verdict) in evaluate(tried, evaluator)? {
        report.add(&name, verdict, lists.known_failure(&name));
    }
    if only.is_empty() && evaluator == Evaluator::Portcullis {
        report.stale = lists.stale(&names);
    }
    Ok(report)
}

/// Evaluates cases in a thread, so that one without an end ends the run and not the day.
fn evaluate(cases: Vec<Case>, evaluator: Evaluator) -> Result<Vec<(String, Verdict)>, String> {
    let names: Vec<String> = cases.iter().map(|case| case.name.clone()).collect();
    let (sender, receiver) = mpsc::channel();
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let started = thread::Builder::new().stack_size(STACK).spawn(move || {
        for case in &cases {
            let caught = panic::catch_unwind(AssertUnwindSafe(|| judge(case, evaluator.answer(case))));
            let verdict =
                caught.unwrap_or_else(|payload| Verdict::Failed(Failure::Panic, panic_text(&*payload)));
            if sender.send(verdict).is_err() {
                return;
            }
        }
    });
    let mut verdicts = Vec::new();
    if started.is_ok() {
        for name in names {
            let verdict = receiver.recv_timeout(GUARD);
            let ends = verdict.is_ok();
            let late =
                |_| Verdict::Failed(Failure::Time, "it does not end; no case after it was run".to_owned());
            verdicts.push((name, verdict.unwrap_or_else(late)));
            if !ends {
                break;
            }
        }
    }
    panic::set_hook(hook);
    started.map_err(|error| error.to_string())?;
    Ok(verdicts)
}

fn panic_text(payload: &(dyn Any + Send)) -> String {
    let text = payload.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("a panic without a message").to_owned()
}

fn judge(case: &Case, answer: Answer) -> Verdict {
    let failed = |how, what: String| Verdict::Failed(how, what);
    match (answer, case.wanted_error()) {
        (Answer::NotTried, _) => Verdict::NotTried,
        (Answer::Refused(why), _) => failed(Failure::Load, why),
        (Answer::Disagrees(how), _) => failed(Failure::Silent, how),
        (Answer::Error(found, why), Some(wanted)) => {
            if found == wanted || found == ErrorClass::Any || wanted == ErrorClass::Any {
                Verdict::Passed
            } else {
                failed(Failure::Evaluation, format!("the error is no {wanted:?}: {why}"))
            }
        }
        (Answer::Limit(why), _) | (Answer::Error(_, why), None) => failed(Failure::Evaluation, why),
        (Answer::Bindings(found), Some(wanted)) => {
            failed(Failure::Silent, format!("{} instead of an error ({wanted:?})", shown(&found)))
        }
        (Answer::Bindings(found), None) => {
            let wanted = case.want_result.as_deref().unwrap_or_default();
            if same_bindings(&found, wanted, case.sort_bindings) {
                Verdict::Passed
            } else {
                failed(Failure::Silent, format!("{} instead of {}", shown(&found), shown(wanted)))
            }
        }
    }
}

/// Solutions as text: as JSON, but for sets, which stand in `<>`.
fn shown(bindings: &[Value]) -> String {
    let texts: Vec<String> = bindings.iter().map(shown_value).collect();
    if texts.is_empty() { "no solution".to_owned() } else { texts.join(" and ") }
}

fn shown_value(value: &Value) -> String {
    let joined = |texts: Vec<String>| texts.join(", ");
    match value.view() {
        View::Array(items) => format!("[{}]", joined(items.iter().map(shown_value).collect())),
        View::Set(items) => format!("<{}>", joined(items.iter().map(shown_value).collect())),
        View::Object(entries) => {
            let entry = |(key, value)| format!("{}: {}", shown_value(key), shown_value(value));
            format!("{{{}}}", joined(entries.iter().map(entry).collect()))
        }
        _ => json(value),
    }
}

fn json(value: &Value) -> String {
    value.to_json()
}

/// As OPA compares them: solutions are a set; `sort_bindings` says of each variable that its array has any
/// order.
fn same_bindings(found: &[Value], wanted: &[Value], any_order: bool) -> bool {
    let fits = |found: &Value, wanted: &Value| match (found.view(), wanted.view()) {
        (View::Object(found), View::Object(wanted)) => {
            found.len() == wanted.len()
                && found.iter().all(|(variable, found)| {
                    wanted.get(variable).is_some_and(|wanted| match (found.as_array(), wanted.as_array()) {
                        (Some(found), Some(wanted)) if any_order => same_multiset(found, wanted),
                        _ => same(found, wanted),
                    })
                })
        }
        _ => false,
    };
    found.iter().all(|found| wanted.iter().any(|wanted| fits(found, wanted)))
        && wanted.iter().all(|wanted| found.iter().any(|found| fits(found, wanted)))
}

/// Whether each of these equals one of those, and the other way round.
fn same_multiset(found: &[Value], wanted: &[Value]) -> bool {
    let mut left: Vec<&Value> = wanted.iter().collect();
    found.len() == left.len()
        && found.iter().all(|found| {
            let at = left.iter().position(|wanted| same(found, wanted));
            at.map(|at| left.swap_remove(at)).is_some()
        })
}

/// Whether a value is the one that the suite writes as JSON: a set as an array, a key that is not a text as
/// its JSON.
fn same(found: &Value, wanted: &Value) -> bool {
    match (found.view(), wanted.view()) {
        (View::Number(found), View::Number(wanted)) => {
            // The suite's fractions went through binary floating point.
            found == wanted
                || (!(found.is_integer() && wanted.is_integer())
                    && found.to_f64().total_cmp(&wanted.to_f64()).is_eq())
        }
        (View::Array(found), View::Array(wanted)) => {
            found.len() == wanted.len()
                && found.iter().zip(wanted.iter()).all(|(found, wanted)| same(found, wanted))
        }
        (View::Set(found), View::Array(wanted)) => same_multiset(found.as_slice(), wanted),
        (View::Object(found), View::Object(wanted)) => {
            found.len() == wanted.len()
                && found.iter().all(|(key, value)| {
                    let key = match key.view() {
                        View::String(_) => key.clone(),
                        _ => Value::from(json(key)),
                    };
                    wanted.get(&key).is_some_and(|wanted| same(value, wanted))
                })
        }
        _ => found == wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(json: &str) -> Value {
        Value::from_json(json).unwrap()
    }

    #[test]
    fn sets_are_compared_as_sorted_arrays_and_numbers_by_value() {
        let set: Value = [value("3"), value("1.0"), value("[2]")]
            .into_iter()
            .collect::<std::collections::BTreeSet<_>>()
            .into();
        assert!(same(&set, &value("[1, 3, [2]]")));
        assert!(same(&set, &value("[3, [2], 1]")));
        assert!(!same(&set, &value("[1, 3, [2], 3]")));
        assert!(!same(&value("[1, 2]"), &value("[2, 1]")));
        assert!(same(&value("{\"a\": 1.0}"), &value("{\"a\": 1}")));
        assert!(!same(&value("{\"a\": 1}"), &value("{\"a\": 1, \"b\": 1}")));
        assert!(!same(&value("\"1\""), &value("1")));
    }

    #[test]
    fn solutions_are_a_set_and_their_arrays_have_an_order_unless_the_case_says_not() {
        let solutions = |jsons: &[&str]| -> Vec<Value> { jsons.iter().map(|json| value(json)).collect() };
        let one = solutions(&[r#"{"x": [1, 2]}"#]);
        let two = solutions(&[r#"{"x": [2, 1]}"#]);
        let both = solutions(&[r#"{"x": [1, 2]}"#, r#"{"x": [2, 1]}"#]);
        let reversed = solutions(&[r#"{"x": [2, 1]}"#, r#"{"x": [1, 2]}"#]);
        let other = solutions(&[r#"{"y": [1, 2]}"#]);
        assert!(same_bindings(&both, &reversed, false));
        assert!(!same_bindings(&both, &one, false));
        assert!(!same_bindings(&one, &both, false));
        assert!(!same_bindings(&one, &two, false));
        assert!(same_bindings(&one, &two, true));
        assert!(!same_bindings(&one, &other, true));
    }

    #[test]
    fn keys_that_are_no_texts_are_compared_as_their_json() {
        let key: Value = value(r#"{"a": 1}"#);
        let object =
            Value::from([(key, Value::NULL)].into_iter().collect::<std::collections::BTreeMap<_, _>>());
        assert!(same(&object, &value(r#"{"{\"a\":1}": null}"#)));
    }
}
