//! Whether a path can exist in a value, for checks of a policy before it ever runs.

use super::node::{Additional, Kind, Node, Type};
use super::unknown::is_object_field;
use crate::error::did_you_mean;

/// The answer for a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PathCheck {
    /// A valid value may have something there.
    Allowed,
    /// No valid value has: the step at position `at` leads nowhere.
    Unknown { at: usize, suggestion: Option<String> },
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
