//! Whether a path can exist in a value, for checks of a policy before it ever runs.

#[cfg(feature = "lint")]
use super::describe;
use super::kind::{Kind, Type};
use super::node::{Additional, Node};
use super::unknown::is_object_field;
use crate::error::did_you_mean;
#[cfg(feature = "lint")]
use crate::value::{Value, View};

/// The answer for a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PathCheck {
    /// A valid value may have something there.
    Allowed,
    /// No valid value has: the step at position `at` leads nowhere.
    Unknown { at: usize, suggestion: Option<String> },
}

/// Why no valid value has `value` at `path`, in words that follow "it is"; `None` if one may.
#[cfg(feature = "lint")]
pub(super) fn rules_out(root: &Node, path: &[Option<&str>], value: &Value) -> Option<String> {
    let mut found = Vec::new();
    if !collect(root, path, &mut found) {
        return None;
    }
    let reasons = found.into_iter().map(|node| refusal(node, value)).collect::<Option<Vec<_>>>()?;
    reasons.into_iter().next()
}

#[cfg(feature = "lint")]
fn refusal(node: &Node, value: &Value) -> Option<String> {
    if *value == Value::NULL && node.nullable {
        return None;
    }
    let is_number = matches!(value.view(), View::Number(_));
    let expected = match node.kind {
        Kind::Any => None,
        Kind::IntOrString if is_number || matches!(value.view(), View::String(_)) => None,
        Kind::IntOrString => Some("an integer or a string"),
        // Whether a number is an integer is not asked: `1.0` is one.
        Kind::One(Type::Integer | Type::Number) if is_number => None,
        Kind::One(kind) if kind.admits(value) => None,
        Kind::One(Type::Array) => Some("an array"),
        Kind::One(Type::Boolean) => Some("a boolean"),
        Kind::One(Type::Integer) => Some("an integer"),
        Kind::One(Type::Number) => Some("a number"),
        Kind::One(Type::Object) => Some("an object"),
        Kind::One(Type::String) => Some("a string"),
    };
    if let Some(expected) = expected {
        return Some(expected.to_owned());
    }
    let allowed = &node.rules.allowed;
    let is_closed = !allowed.is_empty() && !allowed.contains(value);
    is_closed.then(|| format!("one of {}", describe::list(allowed.iter().map(ToString::to_string))))
}

/// All schemas of what `path` may lead to; false if it may lead to something without a schema.
#[cfg(feature = "lint")]
fn collect<'a>(node: &'a Node, path: &[Option<&str>], found: &mut Vec<&'a Node>) -> bool {
    let Some((segment, rest)) = path.split_first() else {
        found.push(node);
        return true;
    };
    if node.embedded_resource || matches!(node.additional, Some(Additional::Open)) {
        return false;
    }
    let each = match &node.additional {
        Some(Additional::Each(schema)) => Some(schema),
        _ => None,
    };
    match segment {
        Some(name) => match node.properties.get(*name).or(each) {
            Some(schema) => collect(schema, rest, found),
            None => !node.preserve_unknown,
        },
        None => {
            !node.preserve_unknown
                && node
                    .properties
                    .values()
                    .chain(&node.items)
                    .chain(each)
                    .all(|schema| collect(schema, rest, found))
        }
    }
}

/// Follows `path` through the fields that the schema describes; `None` is any key or index.
pub(super) fn check(node: &Node, path: &[Option<&str>]) -> PathCheck {
    step(node, path, 0)
}

fn step(node: &Node, path: &[Option<&str>], at: usize) -> PathCheck {
    let Some((segment, rest)) = path.split_first() else { return PathCheck::Allowed };
    match segment {
        Some(name) => named(node, name, rest, at),
        None => any(node, rest, at),
    }
}

fn named(node: &Node, name: &str, rest: &[Option<&str>], at: usize) -> PathCheck {
    let unknown =
        |suggestion: Option<&str>| PathCheck::Unknown { at, suggestion: suggestion.map(str::to_owned) };
    if !matches!(node.kind, Kind::Any | Kind::One(Type::Object)) {
        return unknown(None);
    }
    if node.embedded_resource && is_object_field(name) {
        return PathCheck::Allowed;
    }
    match (node.properties.get(name), &node.additional) {
        (Some(property), _) => step(property, rest, at + 1),
        (None, Some(Additional::Each(schema))) => step(schema, rest, at + 1),
        (None, Some(Additional::Open)) => undescribed(rest, at + 1),
        (None, _) if node.preserve_unknown => PathCheck::Allowed,
        (None, _) => unknown(did_you_mean(name, node.properties.keys().map(|key| &**key))),
    }
}

/// Any one way is enough; if there is none, the way that got furthest explains why.
fn any(node: &Node, rest: &[Option<&str>], at: usize) -> PathCheck {
    if node.preserve_unknown && node.kind != Kind::One(Type::Array) {
        return PathCheck::Allowed;
    }
    let described = node.properties.values().chain(&node.items);
    let additional = match &node.additional {
        Some(Additional::Each(schema)) => Some(schema),
        _ => None,
    };
    let mut furthest = PathCheck::Unknown { at, suggestion: None };
    for schema in described.chain(additional) {
        match step(schema, rest, at + 1) {
            PathCheck::Allowed => return PathCheck::Allowed,
            failed if reach(&failed) > reach(&furthest) => furthest = failed,
            PathCheck::Unknown { .. } => {}
        }
    }
    if node.embedded_resource {
        return PathCheck::Allowed;
    }
    if matches!(node.additional, Some(Additional::Open)) {
        return undescribed(rest, at + 1);
    }
    furthest
}

fn reach(check: &PathCheck) -> usize {
    match check {
        PathCheck::Allowed => usize::MAX,
        PathCheck::Unknown { at, .. } => *at,
    }
}

/// Below `additionalProperties: true` are scalars and lists of them: fields of objects would be pruned.
fn undescribed(rest: &[Option<&str>], at: usize) -> PathCheck {
    match rest.iter().position(Option::is_some) {
        Some(steps) => PathCheck::Unknown { at: at + steps, suggestion: None },
        None => PathCheck::Allowed,
    }
}
