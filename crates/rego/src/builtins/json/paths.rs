//! `json.filter` and `json.remove`: values by the paths to them.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_value::{Budget, MAX_NESTING, Value, View, too_deep};

use super::super::objects::object_operand;
use super::super::operand::{value, wrong_type};
use super::super::{Context, Failure, Outcome, collect, undefined};

/// What is at the paths, and the objects and arrays around it.
pub(super) fn filter(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let object = object_operand(args, 1)?;
    let tree = tree(context.budget, args)?;
    kept(context.budget, object, &tree)
}

/// All but what is at the paths.
pub(super) fn remove(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let object = object_operand(args, 1)?;
    let tree = tree(context.budget, args)?;
    without(context.budget, object, &tree).map(|value| value.unwrap_or(Value::UNDEFINED))
}

/// Paths that begin alike, together.
enum Tree {
    /// A path ends here.
    End,
    Keys(BTreeMap<Value, Tree>),
}

fn tree(budget: &mut Budget<'_>, args: &[&Value]) -> Result<Tree, Failure> {
    let paths = value(args, 2)?;
    let Some(elements) = portcullis_value::elements(budget, paths)? else {
        return Err(wrong_type(2, paths, &["set", "array"]));
    };
    let mut root = BTreeMap::new();
    for element in elements {
        let path = parse_path(budget, element)?;
        let mut path = path.into_iter().peekable();
        let mut keys = &mut root;
        while let Some(key) = path.next() {
            budget.make_items(2)?;
            portcullis_value::weigh(budget, &key)?;
            if path.peek().is_none() {
                keys.insert(key, Tree::End);
                break;
            }
            // What is below the end of a path is there with it.
            match keys.entry(key).or_insert_with(|| Tree::Keys(BTreeMap::new())) {
                Tree::End => break,
                Tree::Keys(inner) => keys = inner,
            }
        }
    }
    Ok(Tree::Keys(root))
}

/// A path: its keys, or a text with slashes between them.
pub(super) fn parse_path(budget: &mut Budget<'_>, path: &Value) -> Result<Vec<Value>, Failure> {
    let keys: Vec<Value> = match path.view() {
        View::String("") => Vec::new(),
        View::String(text) => {
            budget.make_items(text.len())?;
            let keys = text.trim_start_matches('/').split('/');
            keys.map(|key| Value::from(key.replace("~1", "/").replace("~0", "~"))).collect()
        }
        View::Array(keys) => {
            budget.make_items(keys.len())?;
            keys.to_vec()
        }
        other => {
            return Err(undefined(format!(
                "operand 2 must be one of {{set, array}} containing string paths or array of path segments but got {}",
                other.ty().name()
            )));
        }
    };
    if keys.len() > MAX_NESTING { Err(too_deep().into()) } else { Ok(keys) }
}

fn kept(budget: &mut Budget<'_>, value: &Value, tree: &Tree) -> Outcome {
    let Tree::Keys(keys) = tree else { return Ok(value.clone()) };
    budget.step(1)?;
    match value.view() {
        View::Object(object) => {
            let mut result = BTreeMap::new();
            for (key, tree) in keys {
                budget.step(1)?;
                if let Some(value) = object.get(key) {
                    let value = kept(budget, value, tree)?;
                    collect::put(budget, &mut result, key.clone(), value)?;
                }
            }
            Ok(Value::from(result))
        }
        View::Array(items) => {
            let mut result = Vec::new();
            for (index, item) in items.iter().enumerate() {
                budget.step(1)?;
                if let Some(tree) = keys.get(&Value::from(index.to_string())) {
                    budget.make_items(1)?;
                    result.push(kept(budget, item, tree)?);
                }
            }
            Ok(Value::from(result))
        }
        View::Set(items) => {
            let mut result = BTreeSet::new();
            for (key, tree) in keys {
                budget.step(1)?;
                if let Some(item) = items.get(key) {
                    let item = kept(budget, item, tree)?;
                    collect::insert(budget, &mut result, item)?;
                }
            }
            Ok(Value::from(result))
        }
        _ => Ok(value.clone()),
    }
}

/// None, if nothing is left.
fn without(budget: &mut Budget<'_>, value: &Value, tree: &Tree) -> Result<Option<Value>, Failure> {
    let Tree::Keys(keys) = tree else { return Ok(None) };
    budget.step(1)?;
    let left = |budget: &mut Budget<'_>, key: &Value, value: &Value| match keys.get(key) {
        Some(tree) => without(budget, value, tree),
        None => Ok(Some(value.clone())),
    };
    Ok(Some(match value.view() {
        View::Object(object) => {
            let mut result = Vec::new();
            for (key, value) in object.iter() {
                budget.step(1)?;
                portcullis_value::weigh(budget, key)?;
                if let Some(value) = left(budget, key, value)? {
                    budget.make_items(2)?;
                    result.push((key.clone(), value));
                }
            }
            Value::from(result.into_iter().collect::<BTreeMap<_, _>>())
        }
        View::Array(items) => {
            let mut result = Vec::new();
            for (index, item) in items.iter().enumerate() {
                budget.make_items(1)?;
                result.extend(left(budget, &Value::from(index.to_string()), item)?);
            }
            Value::from(result)
        }
        View::Set(items) => {
            let mut result = BTreeSet::new();
            for item in items {
                portcullis_value::weigh(budget, item)?;
                if let Some(item) = left(budget, item, item)? {
                    collect::insert(budget, &mut result, item)?;
                }
            }
            Value::from(result)
        }
        _ => value.clone(),
    }))
}
