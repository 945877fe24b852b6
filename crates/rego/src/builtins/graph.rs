//! What can be reached in a graph: an object of nodes and their neighbours.

use std::collections::BTreeSet;

use portcullis_value::{Budget, MAX_NESTING, Value, View, too_deep};

use super::objects::object_operand;
use super::operand::{value, wrong_type};
use super::{Context, Failure, Outcome, collect};

table![
    "graph.reachable" => reachable,
    "graph.reachable_paths" => reachable_paths,
];

fn reachable(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let graph = object_operand(args, 1)?;
    let budget = &mut *context.budget;
    let mut waiting: Vec<&Value> = initial(budget, args)?.iter().collect();
    let mut reached = BTreeSet::new();
    while let Some(node) = waiting.pop() {
        budget.step(1)?;
        portcullis_value::weigh(budget, node)?;
        if reached.contains(node) {
            continue;
        }
        let Some(edges) = edges(budget, graph, node)? else { continue };
        collect::insert(budget, &mut reached, node.clone())?;
        waiting.extend(edges);
    }
    Ok(Value::from(reached))
}

/// Paths from the first nodes, up to where there is no edge, or one to a node that has been passed since the
/// first edge: on this path or, as OPA does not tell them apart, another.
fn reachable_paths(context: &mut Context<'_, '_>, args: &[&Value]) -> Outcome {
    let graph = object_operand(args, 1)?;
    let mut paths = BTreeSet::new();
    for node in initial(context.budget, args)? {
        let Some(edges) = edges(context.budget, graph, node)? else { continue };
        let mut path = vec![node.clone()];
        if edges.is_empty() {
            commit(context.budget, &mut paths, &path)?;
        }
        for neighbour in edges {
            let mut passed = BTreeSet::from([node.clone()]);
            follow(context.budget, graph, neighbour, &mut path, &mut passed, &mut paths)?;
        }
    }
    Ok(Value::from(paths))
}

fn follow(
    budget: &mut Budget<'_>,
    graph: &Value,
    node: &Value,
    path: &mut Vec<Value>,
    passed: &mut BTreeSet<Value>,
    paths: &mut BTreeSet<Value>,
) -> Result<(), Failure> {
    if path.len() > MAX_NESTING {
        return Err(too_deep().into());
    }
    let Some(edges) = edges(budget, graph, node)? else { return commit(budget, paths, path) };
    path.push(node.clone());
    if edges.is_empty() {
        commit(budget, paths, path)?;
    }
    for neighbour in edges {
        portcullis_value::weigh(budget, neighbour)?;
        if passed.contains(neighbour) {
            commit(budget, paths, path)?;
        } else {
            collect::insert(budget, passed, node.clone())?;
            follow(budget, graph, neighbour, path, passed, paths)?;
        }
    }
    path.pop();
    Ok(())
}

fn commit(budget: &mut Budget<'_>, paths: &mut BTreeSet<Value>, path: &[Value]) -> Result<(), Failure> {
    budget.make_items(path.len())?;
    collect::insert(budget, paths, Value::from(path.to_vec()))?;
    Ok(())
}

fn initial<'v>(budget: &mut Budget<'_>, args: &[&'v Value]) -> Result<&'v [Value], Failure> {
    let nodes = value(args, 2)?;
    let elements = portcullis_value::elements(budget, nodes)?;
    elements.ok_or_else(|| wrong_type(2, nodes, &["{array, set}"]))
}

/// The neighbours of a node; none if it is not in the graph.
fn edges<'v>(
    budget: &mut Budget<'_>,
    graph: &'v Value,
    node: &Value,
) -> Result<Option<&'v [Value]>, Failure> {
    portcullis_value::weigh(budget, node)?;
    let View::Object(graph) = graph.view() else { return Ok(None) };
    let Some(edges) = graph.get(node) else { return Ok(None) };
    Ok(Some(portcullis_value::elements(budget, edges)?.unwrap_or_default()))
}
