//! Templates that would go on for ever: circles in the graph of what generates what.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::template::Template;
use crate::names::Gvk;

/// The names of the templates that are in a circle with others.
///
/// The graph has a node for each template and for each kind that some template generates; an edge from a
/// template to the kind that it generates, and from a kind to the templates that apply to it. So it has no
/// more edges than there are templates for each kind. A template is in a circle if it is strongly connected
/// with the kind that it generates: a template that applies to its own kind was refused before.
pub(super) fn in_cycles(templates: &BTreeMap<Arc<str>, Arc<Template>>) -> BTreeSet<Arc<str>> {
    let templates: Vec<&Template> = templates.values().map(|template| &**template).collect();
    let mut kinds: BTreeMap<&Gvk, usize> = BTreeMap::new();
    for template in &templates {
        let next = templates.len() + kinds.len();
        kinds.entry(&template.generated).or_insert(next);
    }
    let mut edges: Vec<Vec<usize>> = vec![Vec::new(); templates.len() + kinds.len()];
    let mut by_kind: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (position, template) in templates.iter().enumerate() {
        let named: BTreeSet<&str> =
            template.apply_to.iter().flat_map(|entry| entry.kinds.iter().map(|kind| &**kind)).collect();
        for kind in named {
            by_kind.entry(kind).or_default().push(position);
        }
        if let (Some(edges), Some(&kind)) = (edges.get_mut(position), kinds.get(&template.generated)) {
            edges.push(kind);
        }
    }
    for (gvk, &node) in &kinds {
        let candidates = by_kind.get(&*gvk.kind).into_iter().flatten().copied();
        let applying = candidates
            .filter(|&position| templates.get(position).is_some_and(|template| template.applies_to(gvk)));
        if let Some(edges) = edges.get_mut(node) {
            edges.extend(applying);
        }
    }
    let components = components(&edges);
    let same = |a: usize, b: usize| components.get(a).is_some() && components.get(a) == components.get(b);
    let in_cycle = templates.iter().enumerate().filter(|(position, template)| {
        kinds.get(&template.generated).is_some_and(|&kind| same(*position, kind))
    });
    in_cycle.map(|(_, template)| template.name.clone()).collect()
}

/// The strongly connected component of each node, after Tarjan; without recursion, since a chain of templates
/// may be as long as somebody writes it.
fn components(edges: &[Vec<usize>]) -> Vec<usize> {
    const NONE: usize = usize::MAX;
    let size = edges.len();
    let (mut order, mut low, mut component) = (vec![NONE; size], vec![NONE; size], vec![NONE; size]);
    let (mut stack, mut next, mut found) = (Vec::new(), 0, 0);
    let at = |list: &[usize], node: usize| list.get(node).copied().unwrap_or(NONE);
    let set = |list: &mut [usize], node: usize, value: usize| {
        if let Some(slot) = list.get_mut(node) {
            *slot = value;
        }
    };
    for root in 0..size {
        if at(&order, root) != NONE {
            continue;
        }
        // A node, and how many of its edges were followed.
        let mut path = vec![(root, 0)];
        while let Some((node, followed)) = path.pop() {
            if followed == 0 && at(&order, node) == NONE {
                set(&mut order, node, next);
                set(&mut low, node, next);
                next += 1;
                stack.push(node);
            }
            if let Some(&to) = edges.get(node).and_then(|edges| edges.get(followed)) {
                path.push((node, followed + 1));
                if at(&order, to) == NONE {
                    path.push((to, 0));
                } else if at(&component, to) == NONE {
                    let lowest = at(&low, node).min(at(&order, to));
                    set(&mut low, node, lowest);
                }
            } else {
                if at(&low, node) == at(&order, node) {
                    while let Some(member) = stack.pop() {
                        set(&mut component, member, found);
                        if member == node {
                            break;
                        }
                    }
                    found += 1;
                }
                if let Some(&(parent, _)) = path.last() {
                    let lowest = at(&low, parent).min(at(&low, node));
                    set(&mut low, parent, lowest);
                }
            }
        }
    }
    component
}
