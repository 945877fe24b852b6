//! Builtin functions that the engine lacks, or has otherwise than OPA. They are given to a template's engine by name;
//! what the engine has of that name is then not asked.
//!
//! ```text
//! modules --uses--> names and places --register--> engine
//!                        \-----------check-----> errors at load
//! ```
//!
//! As in OPA, a builtin that cannot answer is undefined. A limit is different: a rule that is undefined because of one
//! would let an object pass, so exceeding a limit is an error of the whole evaluation ([`Builtins::take_exceeded`]).

mod called;
mod deprecated;
mod go_fmt;
mod net;
mod numbers_range;
mod regex;
mod sprintf;
mod strings_count;
mod term;
#[cfg(test)]
mod tests;
mod units;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, ThreadId};

use regorus::Engine;

use crate::value::Value;

pub(super) use called::{Use, check, uses};

/// A function for templates.
struct Builtin {
    name: &'static str,
    arity: u8,
    call: fn(&[Value], &State) -> Outcome,
}

type Outcome = Result<Value, Failure>;

/// Why a builtin has no answer.
#[derive(Debug)]
enum Failure {
    /// It is not defined for these arguments.
    Undefined,
    /// A limit was exceeded: the evaluation fails with this sentence.
    Limit(String),
}

/// Most elements of a list that a builtin counts up by itself.
const MOST_ELEMENTS: u128 = 1_000_000;

/// Ours, by family.
const FAMILIES: &[&[Builtin]] = &[
    deprecated::BUILTINS,
    net::BUILTINS,
    numbers_range::BUILTINS,
    regex::BUILTINS,
    sprintf::BUILTINS,
    strings_count::BUILTINS,
    units::BUILTINS,
];

/// What the builtins of one program share, over all clones of its engine.
#[derive(Debug, Default)]
struct State {
    /// Limits that were exceeded in evaluations that still go on. An evaluation stays on its thread.
    exceeded: Mutex<Vec<(ThreadId, String)>>,
    patterns: regex::Patterns,
}

/// The builtins of one program.
#[derive(Clone, Debug)]
pub(super) struct Builtins(Arc<State>);

/// Gives an engine those of our builtins that its modules call: an engine is cloned for every evaluation, and its
/// functions with it.
pub(super) fn register(engine: &mut Engine, uses: &[Use]) -> anyhow::Result<Builtins> {
    let state = Arc::new(State::default());
    let called: BTreeSet<&str> = uses.iter().map(|used| used.name.as_str()).collect();
    for builtin in FAMILIES.iter().copied().flatten().filter(|builtin| called.contains(builtin.name)) {
        let state = Arc::clone(&state);
        let call = builtin.call;
        let extension = move |args: Vec<Value>| match call(&args, &state) {
            Ok(value) => Ok(value),
            Err(Failure::Undefined) => Ok(Value::Undefined),
            Err(Failure::Limit(message)) => {
                lock(&state.exceeded).push((thread::current().id(), message.clone()));
                Err(anyhow::Error::msg(message))
            }
        };
        engine.add_extension(builtin.name.to_owned(), builtin.arity, Box::new(extension))?;
    }
    Ok(Builtins(state))
}

impl Builtins {
    /// The limit that the evaluation on this thread exceeded, if it did. The engine passes errors of builtins on, but
    /// for those in functions of which another definition has a result.
    pub(super) fn take_exceeded(&self) -> Option<String> {
        let this = thread::current().id();
        let mut exceeded = lock(&self.0.exceeded);
        let first = exceeded.iter().find(|(thread, _)| *thread == this).map(|(_, message)| message.clone());
        exceeded.retain(|(thread, _)| *thread != this);
        first
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
