//! Validation: types and keywords, each failure with its path. Unknown fields are found in `unknown`.

use std::collections::BTreeSet;

use super::Problem;
use super::describe::{count, list, quoted, with_type};
use super::kind::{Kind, Type};
use super::node::{Additional, At, List, Node, Range};
use crate::error::{ErrorKind, did_you_mean};
use crate::value::{self, Value, View};

/// Most alternatives of `anyOf` and `oneOf` whose failure is explained.
const EXPLAINED: usize = 3;

/// Everything wrong with `value` by the types and keywords of `node`.
pub(super) fn problems(node: &Node, value: &Value, at: &At<'_>) -> Vec<Problem> {
    let mut problems = Vec::new();
    check(node, value, at, &mut problems);
    problems
}

fn check(node: &Node, value: &Value, at: &At<'_>, problems: &mut Vec<Problem>) {
    if !admits_type(node, value) {
        let expected = match node.kind {
            Kind::Any => "a value",
            Kind::IntOrString => "integer or string",
            Kind::One(expected) => expected.name(),
        };
        let message = format!("expected {expected}, found {}", with_type(value));
        problems.push(failure(at, message).hint(type_hint(node.kind, value)));
        // Keywords would only repeat that the value is something else.
        return;
    }
    check_allowed(node, value, at, problems);
    match value.view() {
        // For null, nothing but type and `enum` counts.
        View::Null => return,
        View::Number(_) => check_number(node, value, at, problems),
        View::String(text) => check_text(node, value, text, at, problems),
        View::Array(_) => check_array(node, value, at, problems),
        View::Object(_) => check_object(node, value, at, problems),
        _ => {}
    }
    check_nested(node, value, at, problems);
}

fn admits_type(node: &Node, value: &Value) -> bool {
    match node.kind {
        Kind::Any => true,
        _ if *value == Value::NULL => node.nullable,
        Kind::IntOrString => Type::Integer.admits(value) || Type::String.admits(value),
        Kind::One(expected) => expected.admits(value),
    }
}

/// The mistakes that YAML makes easy.
fn type_hint(expected: Kind, found: &Value) -> Option<String> {
    match (expected, found.view()) {
        (_, View::Null) => Some("remove it, or give it a value".to_owned()),
        (Kind::One(Type::String), View::Number(_) | View::Bool(_)) => {
            Some(format!("quote it: `\"{found}\"`"))
        }
        (Kind::One(Type::Array), View::String(_) | View::Number(_) | View::Bool(_)) => {
            Some(format!("write a list with one element: `[{found}]`"))
        }
        (Kind::One(Type::Boolean), View::String(text)) if matches!(text, "true" | "false") => {
            Some(format!("remove the quotes: `{text}`"))
        }
        (Kind::One(Type::Integer) | Kind::IntOrString, View::Number(number)) if number.is_integer() => {
            Some("integers have at most 64 bits".to_owned())
        }
        (Kind::One(Type::Integer | Type::Number), View::String(text)) if text.parse::<f64>().is_ok() => {
            Some(format!("remove the quotes: `{text}`"))
        }
        _ => None,
    }
}

fn check_allowed(node: &Node, value: &Value, at: &At<'_>, problems: &mut Vec<Problem>) {
    let allowed = &node.rules.allowed;
    if allowed.is_empty() || allowed.contains(value) {
        return;
    }
    let names =
        allowed.iter().map(|value| value::as_str(value).map_or_else(|| value.to_string(), str::to_owned));
    let message = match allowed.as_slice() {
        [only] => format!("expected {}, found {}", quoted(only), quoted(value)),
        _ => format!("expected one of {}, found {}", list(names), quoted(value)),
    };
    let suggestion =
        value::as_str(value).and_then(|text| did_you_mean(text, allowed.iter().filter_map(value::as_str)));
    problems.push(failure(at, message).hint(suggestion.map(suggest)));
}

fn check_number(node: &Node, value: &Value, at: &At<'_>, problems: &mut Vec<Problem>) {
    let rules = &node.rules;
    if let Some(bound) = &rules.minimum
        && (value < &bound.value || (bound.exclusive && *value == bound.value))
    {
        let what = if bound.exclusive { "more than" } else { "at least" };
        problems
            .push(failure(at, format!("expected {what} {}, found {}", quoted(&bound.value), quoted(value))));
    }
    if let Some(bound) = &rules.maximum
        && (value > &bound.value || (bound.exclusive && *value == bound.value))
    {
        let what = if bound.exclusive { "less than" } else { "at most" };
        problems
            .push(failure(at, format!("expected {what} {}, found {}", quoted(&bound.value), quoted(value))));
    }
    if let Some(factor) = &rules.multiple_of
        && !value
            .as_number()
            .zip(factor.as_number())
            .is_some_and(|(value, factor)| value.is_multiple_of(factor))
    {
        problems
            .push(failure(at, format!("expected a multiple of {}, found {}", quoted(factor), quoted(value))));
    }
    check_format(node, value, at, problems);
}

fn check_text(node: &Node, value: &Value, text: &str, at: &At<'_>, problems: &mut Vec<Problem>) {
    let length = text.chars().count() as u64;
    if let Some(expected) = outside(node.rules.length, length, "character") {
        let found = count(length, "character");
        problems.push(failure(at, format!("expected {expected}, found {found}: {}", quoted(value))));
    }
    if let Some(pattern) = &node.rules.pattern
        && !pattern.is_match(text)
    {
        problems.push(failure(at, format!("expected a match of `{pattern}`, found {}", quoted(value))));
    }
    check_format(node, value, at, problems);
}

fn check_format(node: &Node, value: &Value, at: &At<'_>, problems: &mut Vec<Problem>) {
    if let Some(format) = &node.rules.format
        && !format.admits(value)
    {
        problems.push(failure(at, format!("expected {}, found {}", format.description(), quoted(value))));
    }
}

fn check_array(node: &Node, value: &Value, at: &At<'_>, problems: &mut Vec<Problem>) {
    let length = value::items(value).count() as u64;
    if let Some(expected) = outside(node.rules.item_count, length, "item") {
        problems.push(failure(at, format!("expected {expected}, found {}", count(length, "item"))));
    }
    check_repetition(&node.list, value, at, problems);
    if let Some(items) = &node.items {
        for (index, item) in value::items(value).enumerate() {
            check(items, item, &at.index(index), problems);
        }
    }
}

fn check_repetition(kind: &List, value: &Value, at: &At<'_>, problems: &mut Vec<Problem>) {
    match kind {
        List::Atomic => {}
        List::Set => {
            let mut seen = BTreeSet::new();
            for (index, item) in value::items(value).enumerate() {
                if !seen.insert(item) {
                    let message = format!("expected different elements, found {} again", quoted(item));
                    problems.push(failure(&at.index(index), message));
                }
            }
        }
        List::Map(keys) => {
            let mut seen = BTreeSet::new();
            for (index, item) in value::items(value).enumerate() {
                let identity: Vec<_> = keys.iter().map(|key| value::get(item, key)).collect();
                // An element without its keys fails elsewhere.
                if identity.iter().any(Option::is_none) {
                    continue;
                }
                let shown = list(keys.iter().zip(&identity).map(|(key, value)| {
                    format!("{key}: {}", value.map(ToString::to_string).unwrap_or_default())
                }));
                if !seen.insert(identity) {
                    let message = format!("expected elements with different keys, found {shown} again");
                    problems.push(failure(&at.index(index), message));
                }
            }
        }
    }
}

fn check_object(node: &Node, value: &Value, at: &At<'_>, problems: &mut Vec<Problem>) {
    let size = value::entries(value).count() as u64;
    if let Some(expected) = outside(node.rules.property_count, size, "property") {
        problems.push(failure(at, format!("expected {expected}, found {}", count(size, "property"))));
    }
    for required in &node.rules.required {
        if value::get(value, required).is_none() {
            problems.push(failure(at, format!("required field `{required}` is missing")));
        }
    }
    for (name, field) in value::entries(value) {
        let at = at.key(name);
        if let Some(property) = node.properties.get(name) {
            check(property, field, &at, problems);
            continue;
        }
        match &node.additional {
            Some(Additional::Each(schema)) => check(schema, field, &at, problems),
            Some(Additional::Closed) => {
                problems.push(failure(&at, format!("field `{name}` is not allowed here")));
            }
            Some(Additional::Open) | None => {}
        }
    }
}

fn check_nested(node: &Node, value: &Value, at: &At<'_>, problems: &mut Vec<Problem>) {
    for part in &node.rules.all_of {
        check(part, value, at, problems);
    }
    if !node.rules.any_of.is_empty() {
        let failures: Vec<_> = node.rules.any_of.iter().map(|part| self::problems(part, value, at)).collect();
        if failures.iter().all(|problems| !problems.is_empty()) {
            problems.push(no_alternative("anyOf", value, at, &failures));
        }
    }
    if !node.rules.one_of.is_empty() {
        let failures: Vec<_> = node.rules.one_of.iter().map(|part| self::problems(part, value, at)).collect();
        match failures.iter().filter(|problems| problems.is_empty()).count() {
            0 => problems.push(no_alternative("oneOf", value, at, &failures)),
            1 => {}
            matching => {
                let message = format!(
                    "expected a match of exactly one schema in `oneOf`, found {} that matches {matching}",
                    quoted(value)
                );
                problems.push(failure(at, message));
            }
        }
    }
    if let Some(not) = &node.rules.not
        && self::problems(not, value, at).is_empty()
    {
        let message = format!("expected no match with the schema in `not`, found {}", quoted(value));
        problems.push(failure(at, message));
    }
}

fn no_alternative(keyword: &str, value: &Value, at: &At<'_>, failures: &[Vec<Problem>]) -> Problem {
    let here = at.path();
    let first = failures.iter().take(EXPLAINED).filter_map(|problems| problems.first());
    let mut reasons: Vec<String> = Vec::new();
    for problem in first {
        let reason = if problem.path == here {
            problem.message.clone()
        } else {
            format!("{} at `{}`", problem.message, problem.path)
        };
        if !reasons.contains(&reason) {
            reasons.push(reason);
        }
    }
    failure(at, format!("expected a match of a schema in `{keyword}`, found {}", quoted(value)))
        .hint((!reasons.is_empty()).then(|| reasons.join(", or ")))
}

/// What was expected, if the number is outside the range.
fn outside(range: Range, found: u64, noun: &str) -> Option<String> {
    match range {
        Range { min: Some(min), .. } if found < min => Some(format!("at least {}", count(min, noun))),
        Range { max: Some(max), .. } if found > max => Some(format!("at most {}", count(max, noun))),
        _ => None,
    }
}

fn failure(at: &At<'_>, message: String) -> Problem {
    Problem::error(ErrorKind::SchemaValidation, at, message)
}

/// The hint for a misspelt name.
pub(super) fn suggest(name: impl AsRef<str>) -> String {
    format!("did you mean `{}`?", name.as_ref())
}
