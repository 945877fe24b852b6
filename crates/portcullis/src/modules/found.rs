//! From the value of a rule to what it found.

use std::collections::BTreeSet;

use portcullis_value::View;

use crate::program::RawViolation;
use crate::value::{self, Value};

/// What a rule found: texts, or objects with a `msg` and whatever else. Anything else is an error, also where
/// conftest takes it for nothing: a policy that says something must not pass for one that says nothing.
pub(super) fn findings(rule: &str, value: &Value) -> Result<Vec<RawViolation>, String> {
    let elements = match value.view() {
        View::Set(set) => set.as_slice(),
        View::Array(items) => items,
        // Undefined, or a complete rule that says that there is nothing.
        View::Undefined | View::Null | View::Bool(false) => &[],
        View::Bool(true) => {
            return Err(format!(
                "`{rule}` is true, and says nothing of what is wrong: it has to give messages, as in `{rule} contains msg if …`"
            ));
        }
        _ => {
            let found = value::describe(value);
            return Err(format!("`{rule}` must be a set or a list of messages, found {found}"));
        }
    };
    let mut found = Vec::with_capacity(elements.len());
    for element in elements {
        found.push(finding(rule, element)?);
    }
    found.sort_by(|a, b| (&a.message, &a.details).cmp(&(&b.message, &b.details)));
    found.dedup_by(|a, b| a.message == b.message && a.details == b.details);
    Ok(found)
}

fn finding(rule: &str, element: &Value) -> Result<RawViolation, String> {
    let (message, details) = match element.view() {
        View::String(message) => (message.to_owned(), value::object::<&str>([])),
        View::Object(entries) => {
            let message = match value::get(element, "msg").map(|found| (found, found.as_str())) {
                Some((_, Some(message))) => message.to_owned(),
                Some((other, None)) => {
                    let found = value::describe(other);
                    return Err(format!("`msg` of what `{rule}` gives must be a string, found {found}"));
                }
                None => return Err(format!("an object that `{rule}` gives must have a `msg`")),
            };
            let others = entries.iter().filter(|(key, _)| key.as_str() != Some("msg"));
            let others = others.map(|(key, value)| (key.clone(), value.clone()));
            (message, Value::object(others))
        }
        _ => {
            let found = value::describe(element);
            return Err(format!("`{rule}` must give strings, or objects with `msg`, found {found}"));
        }
    };
    Ok(RawViolation::new(message, details))
}

/// The names of rules that a value of `exception` has in it: `exception[_][_]`.
pub(super) fn exceptions(value: &Value) -> BTreeSet<String> {
    let texts = below(value).into_iter().flat_map(below).filter_map(Value::as_str);
    texts.map(str::to_owned).collect()
}

fn below(value: &Value) -> Vec<&Value> {
    match value.view() {
        View::Set(set) => set.as_slice().iter().collect(),
        View::Array(items) => items.iter().collect(),
        View::Object(entries) => entries.iter().map(|(_, value)| value).collect(),
        _ => Vec::new(),
    }
}
