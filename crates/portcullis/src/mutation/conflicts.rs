//! Which mutators contradict each other: what their locations say about the form of the same objects.
//!
//! `spec.containers[name: web].image` says that `containers` is a list whose elements are told apart by `name`;
//! `spec.containers.image` says that it is an object. Both cannot be right, and so none of them is applied. The
//! end of a location says as much as its kind of mutator: a ModifySet changes a list, an AssignImage a text
//! below which nothing is; an Assign says nothing, but that nothing is below what a provider says.
//!
//! It is worked out anew for all mutators that there are, so that it does not depend on the order in which
//! they came.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::compiled::Compiled;
use super::location::Step;
use crate::api::Operation;
use crate::names::{Gvk, MutatorKey, MutatorKind};

/// Which mutators are not applied, and what each contradicts.
#[derive(Debug, Default)]
pub(super) struct Conflicts {
    /// Positions of mutators that are not applied.
    disabled: BTreeSet<usize>,
    /// For a mutator, all that contradict each other along its location, itself among them if it takes part.
    along: BTreeMap<usize, BTreeSet<usize>>,
}

impl Conflicts {
    pub(super) fn find(mutators: &[Arc<Compiled>]) -> Self {
        let mut by_binding: BTreeMap<(Gvk, Operation), Vec<usize>> = BTreeMap::new();
        for (position, mutator) in mutators.iter().enumerate() {
            for binding in mutator.bindings() {
                let all = by_binding.entry(binding).or_default();
                if all.last() != Some(&position) {
                    all.push(position);
                }
            }
        }
        let mut conflicts = Self::default();
        // Most kinds have the same mutators as others.
        let groups: BTreeSet<Vec<usize>> = by_binding.into_values().filter(|group| group.len() > 1).collect();
        for group in groups {
            conflicts.add(mutators, &group);
        }
        conflicts
    }

    pub(super) fn is_disabled(&self, position: usize) -> bool {
        self.disabled.contains(&position)
    }

    /// The mutators that are not applied.
    pub(super) fn disabled(&self) -> impl Iterator<Item = usize> {
        self.disabled.iter().copied()
    }

    /// What contradicts each other along the location of a mutator.
    pub(super) fn along(&self, position: usize) -> impl Iterator<Item = usize> {
        self.along.get(&position).into_iter().flatten().copied()
    }

    fn add(&mut self, mutators: &[Arc<Compiled>], group: &[usize]) {
        let mut tree = Tree { nodes: vec![Node::default()] };
        let paths: Vec<(usize, &Compiled)> =
            group.iter().filter_map(|position| Some((*position, &**mutators.get(*position)?))).collect();
        for (position, mutator) in &paths {
            tree.insert(*position, mutator);
        }
        let mut at_key: BTreeMap<(usize, &str), BTreeSet<usize>> = BTreeMap::new();
        for (position, mutator) in &paths {
            let mut node = 0;
            let steps = mutator.location().steps();
            for (depth, step) in steps.iter().enumerate() {
                let key = key(step);
                let conflicts = at_key.entry((node, key)).or_insert_with(|| tree.conflicts(node, key));
                if !conflicts.is_empty() {
                    self.along.entry(*position).or_default().extend(conflicts.iter());
                    self.disabled.extend(conflicts.iter());
                }
                let shape = shape(mutator.info.key.kind, steps.get(depth + 1));
                let Some(next) = tree.child(node, key, shape) else { break };
                node = next;
            }
        }
    }
}

/// What a location says about a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Shape {
    Object,
    /// A list of objects, told apart by a key.
    List,
    /// A list of anything.
    Set,
    /// A text.
    Text,
    /// Nothing.
    Unknown,
}

/// What is said of a field, by what comes behind it in the location.
fn shape(kind: MutatorKind, next: Option<&Step>) -> Shape {
    match (next, kind) {
        (Some(Step::Field(_)), _) => Shape::Object,
        (Some(Step::Elements { .. }), _) => Shape::List,
        (None, MutatorKind::AssignImage) => Shape::Text,
        (None, MutatorKind::ModifySet) => Shape::Set,
        (None, MutatorKind::Assign | MutatorKind::AssignMetadata) => Shape::Unknown,
    }
}

/// By which a step is found below its parent: elements of a list by the key that tells them apart.
fn key(step: &Step) -> &str {
    match step {
        Step::Field(name) => name,
        Step::Elements { key, .. } => key,
    }
}

/// The forms that locations say an object has. The first node is the object itself.
struct Tree<'m> {
    nodes: Vec<Node<'m>>,
}

#[derive(Default)]
struct Node<'m> {
    /// The mutators whose locations go through here.
    mutators: BTreeSet<usize>,
    /// Of these, the ones below whose end nothing may be.
    ends: BTreeSet<usize>,
    children: BTreeMap<&'m str, BTreeMap<Shape, usize>>,
}

impl<'m> Tree<'m> {
    fn insert(&mut self, position: usize, mutator: &'m Compiled) {
        let steps = mutator.location().steps();
        let mut node = 0;
        for (depth, step) in steps.iter().enumerate() {
            let shape = shape(mutator.info.key.kind, steps.get(depth + 1));
            let new = self.nodes.len();
            let Some(parent) = self.nodes.get_mut(node) else { return };
            let next = *parent.children.entry(key(step)).or_default().entry(shape).or_insert(new);
            if next == new {
                self.nodes.push(Node::default());
            }
            if let Some(child) = self.nodes.get_mut(next) {
                child.mutators.insert(position);
            }
            node = next;
        }
        let is_text = mutator.info.key.kind == MutatorKind::AssignImage || mutator.external().is_some();
        if is_text && let Some(end) = self.nodes.get_mut(node) {
            end.ends.insert(position);
        }
    }

    fn child(&self, node: usize, key: &str, shape: Shape) -> Option<usize> {
        self.nodes.get(node)?.children.get(key)?.get(&shape).copied()
    }

    /// The mutators that contradict each other in what they say of one child of a node.
    fn conflicts(&self, node: usize, key: &str) -> BTreeSet<usize> {
        let mut found = BTreeSet::new();
        let Some(shapes) = self.nodes.get(node).and_then(|node| node.children.get(key)) else { return found };
        let said = shapes.keys().filter(|shape| **shape != Shape::Unknown).count();
        let children = || shapes.iter().filter_map(|(shape, child)| Some((*shape, self.nodes.get(*child)?)));
        for (shape, child) in children().filter(|(shape, _)| *shape != Shape::Unknown) {
            if said > 1 || (shape == Shape::List && child.children.len() > 1) {
                found.extend(&child.mutators);
            }
        }
        let must_end = children().any(|(_, child)| !child.ends.is_empty());
        let goes_on = children().any(|(_, child)| !child.children.is_empty());
        if must_end && goes_on {
            for (_, child) in children() {
                found.extend(&child.ends);
                let below = child.children.values().flat_map(BTreeMap::values);
                found.extend(below.filter_map(|node| self.nodes.get(*node)).flat_map(|node| &node.mutators));
            }
        }
        found
    }
}

/// The keys of mutators, as a sentence lists them.
pub(super) fn list<'a>(keys: impl Iterator<Item = &'a MutatorKey>) -> String {
    keys.map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ")
}
