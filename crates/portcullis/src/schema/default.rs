//! Defaulting: fills missing fields of objects that are there. A missing object stays missing unless it has a
//! default itself, which is then completed in turn.
//!
//! Null for a field that is not nullable counts as missing if the field has a default. Without a default it
//! stays and fails validation, as it does in Gatekeeper.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::node::{Additional, Node};
use crate::value::{self, Value, View};

/// The value with the defaults of `node` and everything below it.
pub(super) fn fill(node: &Node, value: &Value) -> Value {
    changed(node, value).unwrap_or_else(|| value.clone())
}

/// The completed value, or `None` if there is nothing to fill in, so that untouched parts stay shared.
fn changed(node: &Node, value: &Value) -> Option<Value> {
    match value.view() {
        View::Object(_) => changed_object(node, value),
        View::Array(_) => changed_array(node.items.as_deref()?, value),
        _ => None,
    }
}

fn changed_object(node: &Node, value: &Value) -> Option<Value> {
    let mut fields: BTreeMap<Arc<str>, Value> = BTreeMap::new();
    for (name, property) in &node.properties {
        if let Some(default) = &property.default
            && value::get(value, name).is_none()
        {
            fields.insert(name.clone(), fill(property, default));
        }
    }
    for (name, field) in value::entries(value) {
        let schema = node.properties.get(name).or(match &node.additional {
            Some(Additional::Each(schema)) => Some(schema),
            _ => None,
        });
        if let Some(schema) = schema
            && let Some(field) = replaced(schema, field)
        {
            fields.insert(name.into(), field);
        }
    }
    if fields.is_empty() {
        return None;
    }
    let kept = value::entries(value).map(|(name, field)| (Arc::from(name), field.clone()));
    Some(value::object(kept.chain(fields)))
}

fn changed_array(node: &Node, value: &Value) -> Option<Value> {
    let replacements: Vec<Option<Value>> = value::items(value).map(|item| replaced(node, item)).collect();
    if replacements.iter().all(Option::is_none) {
        return None;
    }
    let items = value::items(value).zip(replacements);
    Some(Value::from(items.map(|(item, new)| new.unwrap_or_else(|| item.clone())).collect::<Vec<Value>>()))
}

/// What to put in place of a value that is there; `None` to keep it.
fn replaced(node: &Node, value: &Value) -> Option<Value> {
    match &node.default {
        Some(default) if *value == Value::NULL && !node.nullable => Some(fill(node, default)),
        _ => changed(node, value),
    }
}
