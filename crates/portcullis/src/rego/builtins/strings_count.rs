//! `strings.count`: the engine's ends the process for an empty text to find, and counts occurrences that overlap.

use super::{Builtin, Failure, Outcome, State};
use crate::value::Value;

pub(super) const BUILTINS: &[Builtin] = &[Builtin { name: "strings.count", arity: 2, call: count }];

/// An empty text is found before every character and at the end.
fn count(args: &[Value], _: &State) -> Outcome {
    let [Value::String(text), Value::String(part)] = args else { return Err(Failure::Undefined) };
    Ok(Value::from(text.matches(&**part).count()))
}
