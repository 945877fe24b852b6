//! Rules that need themselves, found at load as OPA finds them. The engine would follow a function that calls
//! itself until the stack of the process ends, and the process with it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use portcullis_rego::{CompileError, CompileErrorKind};

use super::call_graph::{CallGraph, MAX_NEEDS, RuleId};

/// Most recursive rules that are reported: to find the circle of each, all others may have to be looked at.
const MAX_SHOWN: usize = 20;

/// The recursive rules of a template's modules, in the order of their paths.
pub(super) fn find(graph: &CallGraph<'_>) -> Vec<CompileError> {
    if let Some((module, span)) = graph.excess {
        let message = format!("rules need other rules more than {MAX_NEEDS} times");
        return vec![CompileError::new(CompileErrorKind::Limit, module, span, message)];
    }
    let recursive = in_circles(graph).into_iter().take(MAX_SHOWN).filter_map(|rule| {
        let (module, definition) = graph.definitions(Some(rule)).first()?;
        let circle = shortest_circle(graph, rule)?.into_iter().filter_map(|rule| graph.rules().get(rule));
        let shown: Vec<String> = circle.map(|node| format!("data.{}", node.path.join("."))).collect();
        let name = shown.first()?;
        let message = format!("rego_recursion_error: rule {name} is recursive: {}", shown.join(" -> "));
        Some(CompileError::new(CompileErrorKind::Rego, *module, definition.name_span(), message))
    });
    recursive.collect()
}

/// The rules that are in circles: those that come to themselves. Each is entered and left once, in an order
/// in which a rule is left after all that it needs; then the rules that are come to against that order are
/// together in circles.
fn in_circles(graph: &CallGraph<'_>) -> BTreeSet<RuleId> {
    let mut needed_by: BTreeMap<RuleId, Vec<RuleId>> = BTreeMap::new();
    let mut left = Vec::new();
    let mut entered = BTreeSet::new();
    for rule in 0..graph.rules().len() {
        graph.needs(rule).for_each(|needed| needed_by.entry(needed).or_default().push(rule));
        // A rule, or the end of one.
        let mut waiting = vec![(rule, false)];
        while let Some((rule, is_end)) = waiting.pop() {
            if is_end {
                left.push(rule);
            } else if entered.insert(rule) {
                waiting.push((rule, true));
                waiting.extend(graph.needs(rule).map(|rule| (rule, false)));
            }
        }
    }
    let mut circular = BTreeSet::new();
    let mut placed = BTreeSet::new();
    while let Some(rule) = left.pop() {
        let mut together = Vec::new();
        let mut waiting = vec![rule];
        while let Some(rule) = waiting.pop() {
            if placed.insert(rule) {
                together.push(rule);
                waiting.extend(needed_by.get(&rule).into_iter().flatten());
            }
        }
        if together.len() > 1 || graph.needs(rule).any(|needed| needed == rule) {
            circular.extend(together);
        }
    }
    circular
}

/// The shortest way from a rule back to itself, both ends included.
fn shortest_circle(graph: &CallGraph<'_>, rule: RuleId) -> Option<Vec<RuleId>> {
    let mut came_from: BTreeMap<RuleId, RuleId> = BTreeMap::new();
    let mut waiting = VecDeque::from([rule]);
    while let Some(last) = waiting.pop_front() {
        for next in graph.needs(last) {
            if next == rule {
                let mut way = vec![rule, last];
                while let Some(before) =
                    way.last().filter(|last| **last != rule).and_then(|last| came_from.get(last))
                {
                    way.push(*before);
                }
                // A rule that needs itself is there twice already.
                way.reverse();
                return Some(way);
            }
            came_from.entry(next).or_insert_with(|| {
                waiting.push_back(next);
                last
            });
        }
    }
    None
}
