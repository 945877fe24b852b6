//! Unknown fields: those that the API server would silently drop when it stores the object.
//!
//! Only `properties`, `additionalProperties` and `items` describe fields; what is named only inside `allOf`
//! and its siblings is still unknown. `additionalProperties: true` allows any key, but says nothing about the
//! values, so that objects among them lose all their fields, as in Kubernetes.

use super::MAX_DEPTH;
use super::Problem;
use super::describe::list;
use super::kind::{Kind, Type};
use super::node::{Additional, At, Node};
use super::validate::suggest;
use crate::error::{ErrorKind, did_you_mean};
use crate::value::{self, Value, View};

/// Fields every embedded object has.
const OBJECT_FIELDS: [&str; 3] = ["apiVersion", "kind", "metadata"];

/// Reports every field of `value` that pruning by `node` drops. Without a schema, every field is dropped.
pub(super) fn find(node: Option<&Node>, value: &Value, at: &At<'_>, problems: &mut Vec<Problem>) {
    Walk { problems, depth: 0 }.prune(node, value, at);
}

/// The names of an embedded object that no schema has to declare.
pub(super) fn is_object_field(name: &str) -> bool {
    OBJECT_FIELDS.contains(&name)
}

struct Walk<'a> {
    problems: &'a mut Vec<Problem>,
    depth: usize,
}

impl Walk<'_> {
    fn prune(&mut self, node: Option<&Node>, value: &Value, at: &At<'_>) {
        if self.depth >= MAX_DEPTH * 2 {
            let message = format!("nested deeper than {} levels", MAX_DEPTH * 2);
            return self.problems.push(Problem::error(ErrorKind::Limit, at, message));
        }
        self.depth += 1;
        if node.is_some_and(|node| node.preserve_unknown) {
            self.keep(node, value, at);
        } else {
            self.drop_unknown(node, value, at);
        }
        self.depth -= 1;
    }

    fn drop_unknown(&mut self, node: Option<&Node>, value: &Value, at: &At<'_>) {
        if node.is_some_and(|node| has_other_type(node, value)) {
            return;
        }
        for (name, field) in value::entries(value) {
            let at = at.key(name);
            let Some(node) = node else {
                self.problems.push(unknown_field(name, &at).hint(UNDESCRIBED.to_owned()));
                continue;
            };
            if node.embedded_resource && is_object_field(name) {
                continue;
            }
            match (node.properties.get(name), &node.additional) {
                (Some(property), _) => self.prune(Some(property), field, &at),
                (None, Some(Additional::Each(schema))) => self.prune(Some(schema), field, &at),
                (None, Some(Additional::Open)) => self.prune(None, field, &at),
                // Validation says that it is not allowed.
                (None, Some(Additional::Closed)) => {}
                (None, None) => self.problems.push(unknown_field(name, &at).hint(known_fields(name, node))),
            }
        }
        for (index, item) in value::items(value).enumerate() {
            self.prune(node.and_then(|node| node.items.as_deref()), item, &at.index(index));
        }
    }

    /// Fields are kept here, but fields that are described are pruned by their own schema again.
    fn keep(&mut self, node: Option<&Node>, value: &Value, at: &At<'_>) {
        let Some(node) = node else { return };
        for (name, field) in value::entries(value) {
            let at = at.key(name);
            match (node.properties.get(name), &node.additional) {
                _ if node.embedded_resource && is_object_field(name) => {}
                (Some(property), _) => self.prune(Some(property), field, &at),
                (None, Some(Additional::Each(schema))) => self.prune(Some(schema), field, &at),
                (None, Some(Additional::Open)) => self.prune(None, field, &at),
                (None, Some(Additional::Closed) | None) => {}
            }
        }
        for (index, item) in value::items(value).enumerate() {
            self.keep(node.items.as_deref(), item, &at.index(index));
        }
    }
}

const UNDESCRIBED: &str = "the schema does not describe these values; `x-kubernetes-preserve-unknown-fields: true` would keep their fields";

/// A value of another type fails validation; that its fields are unknown as well is no news.
fn has_other_type(node: &Node, value: &Value) -> bool {
    match (node.kind, value.view()) {
        (Kind::Any, _) => false,
        (kind, View::Object(_)) => kind != Kind::One(Type::Object),
        (kind, View::Array(_)) => kind != Kind::One(Type::Array),
        _ => true,
    }
}

fn unknown_field(name: &str, at: &At<'_>) -> Problem {
    Problem::error(ErrorKind::UnknownField, at, format!("unknown field `{name}`")).at_key()
}

fn known_fields(name: &str, node: &Node) -> Option<String> {
    let known = || node.properties.keys().map(|key| &**key);
    match did_you_mean(name, known()) {
        Some(suggestion) => Some(suggest(suggestion)),
        None if node.properties.is_empty() => None,
        None => Some(format!("the fields here are {}", list(known()))),
    }
}
