//! What rules make: documents, answers of functions, and the tree of both rules and data.
//!
//! The rules of one name make one document. It is made when something first asks for it and kept for the rest
//! of the evaluation; documents that need only `data` are kept beside the data (`indexes.rs`). While it is
//! being made it is marked, so that a rule that needs itself ends as an error and not as an endless
//! recursion.
//!
//! `data.a.b` may hold rules and data at once: the tree puts both together where a path is asked for as a
//! whole.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_rego_syntax::Span;
use portcullis_value::{LimitKind, Object, Set, Value, View};

use super::heap::UNDEFINED;
use super::replaced::Document;
use super::tracer::Tracer;
use super::{Flow, Machine, Stop};
use crate::collections;
use crate::normal_form::{BranchHead, Definition, Group, GroupId, GroupKind, NodeId};

const TWO_VALUES: &str = "complete rules must not produce multiple outputs";
const TWO_ANSWERS: &str = "functions must not produce multiple outputs for same inputs";
pub(super) const TWO_ENTRIES: &str = "object keys must be unique";

impl<'v, T: Tracer<'v>> Machine<'v, T> {
    /// The document of rules, made when it is first asked for; undefined if no rule holds.
    pub(super) fn document(&mut self, id: GroupId) -> Result<&'v Value, Stop> {
        self.ask(id);
        self.tracer.asked(id);
        match self.world.documents.get(id) {
            Some(Document::Made(value)) => {
                if !self.unknown_documents.is_empty() && self.unknown_documents.contains(&id) {
                    self.unknown += 1;
                }
                return Ok(value);
            }
            Some(Document::InTheMaking) | None => {
                return Err(self.budget.exceeded(LimitKind::Depth).into());
            }
            Some(Document::NotMade) => {}
        }
        let Some(group) = self.group(id) else { return Ok(UNDEFINED) };
        self.budget.step(self.world.replaced.len() as u64 / 8)?;
        if !self.world.replaced.is_empty() && self.world.is_replaced(&group.path) {
            return Ok(self.base_document(&group.path));
        }
        if let Some(site) = group.site
            && let Some(value) = self.kept_document(site)?
        {
            self.mark(id, Document::Made(value));
            return Ok(value);
        }
        let began = self.begin_document();
        if let Some(value) = self.take_over(id)? {
            self.mark(id, Document::Made(value));
            self.end_document(id, &began, None);
            return Ok(value);
        }
        self.mark(id, Document::InTheMaking);
        self.deeper()?;
        let unknown = self.unknown;
        let made = match group.kind {
            GroupKind::Complete | GroupKind::Function { .. } => {
                self.single(id, group, self.stack.len(), TWO_VALUES, true)
            }
            GroupKind::Set => self.set_document(id, group),
            GroupKind::Object => self.object_document(id, group),
        };
        self.depth -= 1;
        let value = match made {
            Ok(value) => value,
            Err(error) => {
                self.mark(id, Document::NotMade);
                return Err(error);
            }
        };
        self.mark(id, Document::Made(value));
        if self.unknown != unknown {
            self.unknown_documents.push(id);
        }
        self.end_document(id, &began, Some(value));
        Ok(value)
    }

    fn mark(&mut self, id: GroupId, document: Document<'v>) {
        if let Some(place) = self.world.documents.get_mut(id) {
            *place = document;
        }
    }

    /// The answer of a function to the arguments that are the slots from `frame` on; they are taken away.
    pub(super) fn function(&mut self, id: GroupId, frame: usize) -> Result<&'v Value, Stop> {
        self.deeper()?;
        let answer = match self.group(id) {
            Some(group) => self.single(id, group, frame, TWO_ANSWERS, false),
            None => Ok(UNDEFINED),
        };
        self.stack.truncate(frame);
        self.depth -= 1;
        answer
    }

    /// The one value of a complete document or function, of which the arguments are the slots from `frame`
    /// on.
    fn single(
        &mut self,
        id: GroupId,
        group: &'v Group,
        frame: usize,
        conflict: &str,
        is_document: bool,
    ) -> Result<&'v Value, Stop> {
        let mut value = None;
        let unknown = self.unknown;
        for definition in &group.definitions {
            self.definition((id, is_document), definition, frame, &mut value, conflict)?;
            if group.is_constant && value.is_some() {
                break;
            }
        }
        if value.is_none()
            && self.unknown == unknown
            && let Some(default) = &group.default
        {
            self.definition((id, is_document), default, frame, &mut value, conflict)?;
        }
        Ok(value.unwrap_or(UNDEFINED))
    }

    fn definition(
        &mut self,
        (id, is_document): (GroupId, bool),
        definition: &'v Definition,
        frame: usize,
        value: &mut Option<&'v Value>,
        conflict: &str,
    ) -> Result<(), Stop> {
        let unknown = self.unknown;
        for branch in &definition.branches {
            let mut holds = false;
            let BranchHead::Value(head) = &branch.head else { continue };
            if !branch.admits(self.stack.get(frame..).unwrap_or_default()) {
                self.budget.step(1)?;
                continue;
            }
            let before = self.tracer.answers(id);
            let at = self.tracer.begin(id, definition.module, branch.span);
            self.frame(definition.module, branch, frame, &mut |machine| {
                holds = true;
                let found = machine.value(head);
                machine.tracer.answered(at, found);
                match value {
                    Some(value) => {
                        if !collections::equal(&mut machine.budget, value, found)? {
                            return Err(machine.conflict(branch.span, conflict));
                        }
                    }
                    None => *value = Some(found),
                }
                let is_constant = matches!(head, crate::normal_form::Arg::Const(_));
                Ok(if is_constant { Flow::Enough } else { Flow::More })
            })?;
            self.tracer.end(at, is_document, before);
            if holds || self.unknown != unknown {
                return Ok(());
            }
        }
        Ok(())
    }

    fn set_document(&mut self, id: GroupId, group: &'v Group) -> Result<&'v Value, Stop> {
        let start = self.found.len();
        for definition in &group.definitions {
            for branch in &definition.branches {
                let BranchHead::Element(head) = &branch.head else { continue };
                let at = self.tracer.begin(id, definition.module, branch.span);
                self.frame(definition.module, branch, self.stack.len(), &mut |machine| {
                    machine.budget.make_items(1)?;
                    let element = machine.value(head);
                    machine.tracer.answered(at, element);
                    collections::weigh(&mut machine.budget, element)?;
                    machine.found.push(element);
                    Ok(Flow::More)
                })?;
                self.tracer.end(at, true, 0);
            }
        }
        let set = self.take_set(start);
        self.make(set)
    }

    fn object_document(&mut self, id: GroupId, group: &'v Group) -> Result<&'v Value, Stop> {
        let mut object = Entries::default();
        for definition in group.definitions.iter().chain(&group.default) {
            let unknown = self.unknown;
            for branch in &definition.branches {
                let (path, value, is_element) = match &branch.head {
                    BranchHead::Entry { path, value } => (path, value, false),
                    BranchHead::EntryElement { path, element } => (path, element, true),
                    BranchHead::Value(_) | BranchHead::Element(_) => continue,
                };
                let mut holds = false;
                let at = self.tracer.begin(id, definition.module, branch.span);
                self.frame(definition.module, branch, self.stack.len(), &mut |machine| {
                    holds = true;
                    machine.budget.make_items(path.len())?;
                    let keys: Vec<&Value> = path.iter().map(|key| machine.value(key)).collect();
                    let value = machine.value(value);
                    machine.tracer.answered(at, value);
                    for key in keys.iter().copied().chain([value]) {
                        collections::weigh(&mut machine.budget, key)?;
                    }
                    match object.insert(&keys, value, is_element) {
                        Ok(()) => Ok(Flow::More),
                        Err(Overlap) => Err(machine.conflict(branch.span, TWO_ENTRIES)),
                    }
                })?;
                self.tracer.end(at, true, 0);
                if holds || self.unknown != unknown {
                    break;
                }
            }
        }
        self.make(object.into_value())
    }

    /// What is at keys below a path, made by rules or not.
    pub(super) fn tree_at(&mut self, id: NodeId, keys: &[&'v Value], span: Span) -> Result<&'v Value, Stop> {
        match self.place(id, keys)? {
            Destination::Inner(node) => self.tree(node, span),
            Destination::Value(value) => Ok(value),
        }
    }

    /// The keys of what is there.
    pub(super) fn keys_at(&mut self, id: NodeId, keys: &[&'v Value]) -> Result<Vec<&'v Value>, Stop> {
        match self.place(id, keys)? {
            Destination::Value(value) => Ok(self.heap.keys(&mut self.budget, value)?),
            Destination::Inner(id) => {
                let Some(node) = self.program.nodes.get(id) else { return Ok(Vec::new()) };
                let base = self.base_document(&node.path);
                let known = self.heap.keys(&mut self.budget, base)?;
                self.budget.step(node.children.len() as u64)?;
                let mut keys: BTreeSet<&Value> = known.into_iter().collect();
                keys.extend(node.children.keys());
                Ok(keys.into_iter().collect())
            }
        }
    }

    fn place(&mut self, id: NodeId, keys: &[&'v Value]) -> Result<Destination<'v>, Stop> {
        let program = self.program;
        let mut id = id;
        let mut keys = keys;
        loop {
            let Some(node) = program.nodes.get(id) else { return Ok(Destination::Value(UNDEFINED)) };
            // Whether each of them is on the way is looked at.
            self.budget.step(self.world.replaced.len() as u64 / 8)?;
            let is_replaced = !self.world.replaced.is_empty() && self.world.is_replaced(&node.path);
            let mut get: Getter = collections::get_base;
            let made = match node.group.and_then(|group| Some((group, program.groups.get(group)?))) {
                _ if is_replaced => self.base_document(&node.path),
                Some((_, group)) if matches!(group.kind, GroupKind::Function { .. }) => {
                    self.base_document(&node.path)
                }
                Some((group, _)) => {
                    get = collections::get;
                    self.document(group)?
                }
                None => {
                    let Some((key, rest)) = keys.split_first() else { return Ok(Destination::Inner(id)) };
                    match node.children.get(*key) {
                        Some(child) => {
                            id = *child;
                            keys = rest;
                            continue;
                        }
                        None => self.base_document(&node.path),
                    }
                }
            };
            self.budget.step(keys.len() as u64 / 4)?;
            for key in keys {
                collections::weigh(&mut self.budget, key)?;
            }
            let found = keys.iter().try_fold(made, |value, key| get(value, key));
            return Ok(Destination::Value(found.unwrap_or(UNDEFINED)));
        }
    }

    /// The object of all documents below a path.
    fn tree(&mut self, id: NodeId, span: Span) -> Result<&'v Value, Stop> {
        if let Some(value) = self.world.trees.get(&id) {
            return Ok(value);
        }
        self.deeper()?;
        let unknown = self.unknown;
        let made = self.make_tree(id, span);
        self.depth -= 1;
        let value = made?;
        if self.unknown == unknown {
            self.world.trees.insert(id, value);
        }
        Ok(value)
    }

    fn make_tree(&mut self, id: NodeId, span: Span) -> Result<&'v Value, Stop> {
        let program = self.program;
        let Some(node) = program.nodes.get(id) else { return Ok(UNDEFINED) };
        let base = self.base_document(&node.path);
        if let Some(group) = node.group {
            let is_function = program
                .groups
                .get(group)
                .is_some_and(|group| matches!(group.kind, GroupKind::Function { .. }));
            let has_base = !base.is_undefined();
            return if is_function || has_base { Ok(base) } else { self.document(group) };
        }
        if !self.world.replaced.is_empty() && self.world.is_replaced(&node.path) {
            return Ok(base);
        }
        let mut entries: BTreeMap<Value, Value> = match base.view() {
            View::Object(object) => object.iter().map(|(key, value)| (key.clone(), value.clone())).collect(),
            View::Undefined => BTreeMap::new(),
            _ => return Err(self.conflict(span, "base and virtual document keys must be disjoint")),
        };
        self.budget.make_items(entries.len() + node.children.len())?;
        for (key, child) in &node.children {
            let value = self.tree(*child, span)?;
            if !value.is_undefined() {
                entries.insert(key.clone(), value.clone());
            }
        }
        self.make(Value::from(entries))
    }

    /// What `data` has at a path besides rules.
    pub(super) fn base_document(&self, path: &[Value]) -> &'v Value {
        path.iter()
            .try_fold(self.world.data, |value, key| collections::get_base(value, key))
            .unwrap_or(UNDEFINED)
    }
}

/// How a value is looked into: see [`collections::get`] and [`collections::get_base`].
type Getter = for<'v> fn(&'v Value, &Value) -> Option<&'v Value>;

/// Where keys lead in the tree of documents.
enum Destination<'v> {
    /// To a path with documents of rules below it.
    Inner(NodeId),
    /// To a value.
    Value(&'v Value),
}

/// An object that rules fill.
#[derive(Default)]
struct Entries<'v>(BTreeMap<&'v Value, Entry<'v>>);

enum Entry<'v> {
    Leaf(&'v Value),
    Set(BTreeSet<&'v Value>),
    Inner(Entries<'v>),
}

/// Two rules give different values to one path.
struct Overlap;

impl<'v> Entries<'v> {
    fn insert(&mut self, path: &[&'v Value], value: &'v Value, is_element: bool) -> Result<(), Overlap> {
        let Some((key, rest)) = path.split_first() else { return Err(Overlap) };
        if !rest.is_empty() {
            let inner = self.0.entry(key).or_insert_with(|| Entry::Inner(Self::default()));
            return match inner {
                Entry::Inner(inner) => inner.insert(rest, value, is_element),
                Entry::Leaf(_) | Entry::Set(_) => Err(Overlap),
            };
        }
        match self.0.get_mut(key) {
            None if is_element => {
                self.0.insert(key, Entry::Set(BTreeSet::from([value])));
            }
            None => {
                self.0.insert(key, Entry::Leaf(value));
            }
            Some(Entry::Set(elements)) if is_element => {
                elements.insert(value);
            }
            Some(Entry::Leaf(known)) if !is_element && *known == value => {}
            Some(_) => return Err(Overlap),
        }
        Ok(())
    }

    fn into_value(self) -> Value {
        let entries = self.0.into_iter().map(|(key, entry)| {
            let value = match entry {
                Entry::Leaf(value) => value.clone(),
                Entry::Set(elements) => Value::from(elements.into_iter().cloned().collect::<Set>()),
                Entry::Inner(inner) => inner.into_value(),
            };
            (key.clone(), value)
        });
        Value::from(entries.collect::<Object>())
    }
}
