//! Follows values through the operations of a program.
//!
//! Shapes of slots, arguments and results only grow, so that going through all rules until nothing is new
//! ends, and finds what any evaluation can bring.

use super::shape::{Shape, key_of};
use super::{Base, Key, Reads};
use crate::normal_form::{
    Arg, Branch, BranchHead, Callee, CollectHead, GroupId, GroupKind, NodeId, NormalForm, Op, OpKind,
    Pattern, Root, Slot,
};

/// Rounds through all rules: shapes get from a rule to those that need it in each. Half of them go backwards.
const ROUNDS: usize = 64;
/// Parts of documents that are handed on in all, which a policy of people needs some thousands of.
const MAX_WORK: usize = 2_000_000;

/// `None` if that takes too much, or cannot be followed.
pub(super) fn reads(form: &NormalForm) -> Option<Reads> {
    let mut follow = Follow {
        form,
        arguments: form.groups.iter().map(|_| Vec::new()).collect(),
        results: form.groups.iter().map(|_| Shape::default()).collect(),
        reads: Reads::default(),
        is_new: false,
        work: 0,
        slots: Vec::new(),
    };
    for round in 0..ROUNDS {
        follow.is_new = false;
        for number in 0..form.groups.len() {
            let id = if round % 2 == 0 { number } else { form.groups.len() - 1 - number };
            follow.group(id)?;
        }
        follow.entry()?;
        if !follow.is_new {
            return Some(follow.reads);
        }
    }
    None
}

struct Follow<'p> {
    form: &'p NormalForm,
    /// What callers pass to each function.
    arguments: Vec<Vec<Shape>>,
    /// What each document or function is or gives.
    results: Vec<Shape>,
    reads: Reads,
    is_new: bool,
    work: usize,
    /// Of the branch at hand.
    slots: Vec<Shape>,
}

impl<'p> Follow<'p> {
    fn group(&mut self, id: GroupId) -> Option<()> {
        let form = self.form;
        let group = form.groups.get(id)?;
        for branch in group.definitions.iter().chain(&group.default).flat_map(|found| &found.branches) {
            self.slots = self.arguments.get(id)?.clone();
            self.branch(branch)?;
            let made = match &branch.head {
                BranchHead::Value(value) => self.shape(value),
                BranchHead::Element(element) => holding([(self.shape(element), true)]),
                BranchHead::Entry { path, value } => {
                    let keys = path.iter().map(|key| (self.shape(key), true));
                    holding(keys.chain([(self.shape(value), false)]))
                }
                BranchHead::EntryElement { path, element } => {
                    let keys = path.iter().map(|key| (self.shape(key), true));
                    holding(keys.chain([(self.shape(element), true)]))
                }
            };
            self.is_new |= self.results.get_mut(id)?.or(&made);
        }
        Some(())
    }

    /// What the query asks for leaves the program.
    fn entry(&mut self) -> Option<()> {
        let form = self.form;
        self.slots = Vec::new();
        self.branch(&form.entry.branch)?;
        match (&form.entry.variables, &form.entry.branch.head) {
            (Some(variables), _) => variables.iter().for_each(|(_, slot)| self.read(&Arg::Slot(*slot))),
            (None, BranchHead::Value(value)) => self.read(value),
            (None, _) => return None,
        }
        Some(())
    }

    fn branch(&mut self, branch: &'p Branch) -> Option<()> {
        self.slots.resize(branch.slots as usize, Shape::default());
        for guard in &branch.guards {
            self.read(&Arg::Slot(Slot::try_from(guard.position).ok()?));
        }
        self.ops(&branch.ops)
    }

    fn ops(&mut self, ops: &'p [Op]) -> Option<()> {
        ops.iter().try_for_each(|op| self.op(&op.kind))
    }

    fn op(&mut self, kind: &'p OpKind) -> Option<()> {
        match kind {
            OpKind::Fail | OpKind::Mark(_) => {}
            OpKind::Path { root, keys, to, .. } => {
                let start = self.root(root);
                let found = self.look_up(start, keys);
                self.put(*to, &found);
            }
            OpKind::Scan { root, key, to } => {
                let collection = self.root(root);
                self.matches(&collection.keys(), key);
                self.put(*to, &collection.below(&None));
            }
            OpKind::Document { group, to } => {
                let made = self.results.get(*group)?.clone();
                self.put(*to, &made);
            }
            OpKind::Tree { node, keys, to } => {
                let tree = self.tree(*node)?;
                let found = self.look_up(tree, keys);
                self.put(*to, &found);
            }
            OpKind::Keys { node, keys, to } => {
                let tree = self.tree(*node)?;
                let found = self.look_up(tree, keys).keys();
                self.put(*to, &found);
            }
            OpKind::Call { callee, args, to } => {
                let made = self.call(callee, args)?;
                self.put(*to, &made);
            }
            // Its answers are made of what was read.
            OpKind::Relation { args, .. } | OpKind::Print { args } => self.read_all(args),
            OpKind::Holds { value } => self.read_outside(value),
            OpKind::Compare { left, right, .. } => {
                self.read(left);
                self.read(right);
            }
            OpKind::Match { value, pattern } => {
                let value = self.shape(value);
                self.matches(&value, pattern);
            }
            OpKind::Array { items, to } => self.make(*to, items.iter().map(|item| (item, false))),
            OpKind::Set { items, to } => self.make(*to, items.iter().map(|item| (item, true))),
            OpKind::Object { entries, to, .. } => {
                self.make(*to, entries.iter().flat_map(|(key, value)| [(key, true), (value, false)]));
            }
            OpKind::Collect { collect, to } => {
                self.ops(&collect.ops)?;
                match &collect.head {
                    CollectHead::Array(item) => self.make(*to, [(item, false)]),
                    CollectHead::Set(item) => self.make(*to, [(item, true)]),
                    CollectHead::Object(key, value) => self.make(*to, [(key, true), (value, false)]),
                }
            }
            OpKind::Not { ops } => self.ops(ops)?,
            OpKind::Every { domain, key, value, ops } => {
                let domain = self.shape(domain);
                if let Some(slot) = key {
                    self.put(*slot, &domain.keys());
                }
                if let Some(slot) = value {
                    self.put(*slot, &domain.below(&None));
                }
                self.ops(ops)?;
            }
            // What `input` and `data` are inside of it is not followed.
            OpKind::With { .. } => return None,
            OpKind::Join(join) => self.ops(&join.scan)?,
        }
        (self.work <= MAX_WORK).then_some(())
    }

    fn call(&mut self, callee: &'p Callee, args: &'p [Arg]) -> Option<Shape> {
        let builtin = match callee {
            Callee::Function(id) => {
                let passed: Vec<Shape> = args.iter().map(|arg| self.shape(arg)).collect();
                let known = self.arguments.get_mut(*id)?;
                known.resize(known.len().max(passed.len()), Shape::default());
                for (known, passed) in known.iter_mut().zip(&passed) {
                    self.is_new |= known.or(passed);
                }
                return self.results.get(*id).cloned();
            }
            Callee::Builtin(builtin) => builtin.row.name,
            Callee::Compare(_) | Callee::Member | Callee::MemberAt | Callee::Template => "",
        };
        match (builtin, args) {
            ("object.get", [object, key, default]) => {
                if let Some(keys) = constant_keys(key) {
                    let object = self.shape(object);
                    let mut found = keys.iter().fold(object, |found, key| {
                        self.reads.whole.extend(found.compared().cloned());
                        found.below(key)
                    });
                    found.or(&self.shape(default));
                    return Some(found);
                }
                // Its key may be a row of keys.
                self.read_all([object, key]);
                Some(self.shape(default))
            }
            ("array.concat" | "object.union" | "or", [left, right]) => {
                let mut made = Shape::default();
                for side in [left, right] {
                    made.hold_elements(&self.shape(side));
                }
                Some(made)
            }
            (
                "count" | "object.keys" | "type_name" | "is_array" | "is_boolean" | "is_null" | "is_number"
                | "is_object" | "is_set" | "is_string",
                [collection],
            ) => {
                self.read_outside(collection);
                let keys = self.shape(collection).keys();
                Some(holding([(keys, true)]))
            }
            _ => {
                self.read_all(args);
                Some(Shape::default())
            }
        }
    }

    fn look_up(&mut self, start: Shape, keys: &'p [Arg]) -> Shape {
        keys.iter().fold(start, |found, key| {
            self.work += found.size();
            // Which key it was says what it is.
            self.read(key);
            self.reads.whole.extend(found.compared().cloned());
            match key {
                Arg::Const(key) => found.below(&key_of(key)),
                Arg::Slot(_) => found.below(&None),
            }
        })
    }

    /// A value against a pattern, which binds parts of it.
    fn matches(&mut self, value: &Shape, pattern: &'p Pattern) {
        match pattern {
            Pattern::Any => {}
            Pattern::Bind(slot) => self.put(*slot, value),
            Pattern::Equal(arg) => {
                self.reads.whole.extend(value.parts().cloned());
                self.read(arg);
            }
            Pattern::Array(items) => {
                self.reads.outside.extend(value.itself().cloned());
                for (position, item) in items.iter().enumerate() {
                    let key: Key = Some(position.to_string().into());
                    self.matches(&value.below(&key), item);
                }
            }
            Pattern::Object(entries) => {
                self.reads.outside.extend(value.itself().cloned());
                self.reads.whole.extend(value.compared().cloned());
                for (key, entry) in entries {
                    self.read(key);
                    let key = match key {
                        Arg::Const(key) => key_of(key),
                        Arg::Slot(_) => None,
                    };
                    self.matches(&value.below(&key), entry);
                }
            }
        }
    }

    /// All documents of rules at or below a place, and what is there besides.
    fn tree(&mut self, node: NodeId) -> Option<Shape> {
        let form = self.form;
        let mut made = Shape::default();
        let mut rest = vec![node];
        while let Some(id) = rest.pop() {
            self.work += 1;
            let node = form.nodes.get(id)?;
            if let Some(group) = node.group
                && !matches!(form.groups.get(group)?.kind, GroupKind::Function { .. })
            {
                made.hold(self.results.get(group)?, true);
            }
            rest.extend(node.children.values());
        }
        let path = &form.nodes.get(node)?.path;
        made.or(&path.iter().fold(Shape::root(Base::Data), |place, key| place.below(&key_of(key))));
        Some(made)
    }

    fn root(&self, root: &Root) -> Shape {
        match root {
            Root::Input => Shape::root(Base::Input),
            Root::Data => Shape::root(Base::Data),
            Root::Arg(arg) => self.shape(arg),
        }
    }

    fn shape(&self, arg: &Arg) -> Shape {
        match arg {
            Arg::Slot(slot) => self.slots.get(*slot as usize).cloned().unwrap_or_default(),
            Arg::Const(_) => Shape::default(),
        }
    }

    fn put(&mut self, slot: Slot, value: &Shape) {
        self.work += 1 + value.size();
        if let Some(place) = self.slots.get_mut(slot as usize) {
            place.or(value);
        }
    }

    fn make<'a>(&mut self, to: Slot, parts: impl IntoIterator<Item = (&'a Arg, bool)>) {
        let made = holding(parts.into_iter().map(|(part, compares)| (self.shape(part), compares)));
        self.put(to, &made);
    }

    fn read_all<'a>(&mut self, args: impl IntoIterator<Item = &'a Arg>) {
        for arg in args {
            self.read(arg);
        }
    }

    fn read(&mut self, arg: &Arg) {
        let shape = self.shape(arg);
        self.work += shape.size();
        self.reads.whole.extend(shape.parts().cloned());
    }

    fn read_outside(&mut self, arg: &Arg) {
        let shape = self.shape(arg);
        self.work += shape.size();
        self.reads.outside.extend(shape.itself().cloned());
    }
}

/// Something made of parts, each with whether looking something up in it compares with it.
fn holding(parts: impl IntoIterator<Item = (Shape, bool)>) -> Shape {
    let mut made = Shape::default();
    for (part, compares) in parts {
        made.hold(&part, compares);
    }
    made
}

/// The keys that `object.get` follows, if the policy's text fixes them.
fn constant_keys(key: &Arg) -> Option<Vec<Key>> {
    match key {
        Arg::Const(key) => {
            Some(key.as_array().unwrap_or(std::slice::from_ref(key)).iter().map(key_of).collect())
        }
        Arg::Slot(_) => None,
    }
}
