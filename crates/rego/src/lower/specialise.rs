//! A program for inputs of which one entry is known, such as the parameters of a constraint.
//!
//! What depends on that entry and on constants only is worked out once: paths into it, calls of builtins,
//! comparisons. Each operation that falls away leaves what it is charged to the one that follows, so that an
//! evaluation that comes to its end has used the same steps and memory as one of the program itself, and
//! gives the same answer. One that does not come to its end says nothing about where the program itself would
//! have stopped: it is then evaluated as it was written.
//!
//! ```text
//! xs := object.get(input.parameters, "images", [])      /  known: []
//! image := container.image                              |  image := container.image, charged with the look-ups
//! x := xs[_]                                            \  x := [][_]
//! ```
//!
//! Left alone are programs with `with`, which may change what is known, and bodies with comparisons that have an
//! index, whose operations stand in several places. Calls of rules are not followed: how deep an evaluation
//! is nested has to stay what it is.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use portcullis_rego_syntax::builtins::Effects;
use portcullis_value::{Budget, Limits, Value, View};

use super::facts;
use crate::builtins::{Builtin, Caches, Context, Failure, Outside};
use crate::collections;
use crate::normal_form::{
    Arg, Branch, BranchHead, Callee, Charge, Collect, CollectHead, Definition, Group, GroupId, Op, OpKind,
    Pattern, Root, Slot, is_heavy, kept_bytes,
};
use crate::program::Program;

/// Most bytes that all [`Special`] programs of one program take. Those beyond it are evaluated as they are.
const MAX_BYTES: usize = 4 << 20;

/// About what an operation takes.
const OP_BYTES: usize = 200;

/// What may be used to work out ahead what depends on what is known. What is left then is as it was.
const LIMITS: Limits = Limits { steps: 200_000, memory: 256 << 10, depth: 0, output: 0 };

/// A program for inputs of which one entry is known. Made by [`Program::specialise`].
#[derive(Debug)]
pub struct Special {
    of: Arc<()>,
    key: Value,
    value: Value,
    /// Those that differ from the program's.
    groups: Box<[Option<Group>]>,
    bytes: usize,
    taken: Arc<AtomicUsize>,
}

impl Special {
    /// Whether it may be run for the program, and an input of these entries.
    pub(crate) fn is_for(&self, program: &Program, entries: &[(Value, Value)]) -> bool {
        let is_known =
            |value: &Value| value.is_same(&self.value) || !value.is_collection() && *value == self.value;
        Arc::ptr_eq(&self.of, program.identity())
            && entries.iter().any(|(key, value)| *key == self.key && is_known(value))
    }

    /// The rules of a document, if they differ from the program's.
    pub(crate) fn group(&self, id: GroupId) -> Option<&Group> {
        self.groups.get(id)?.as_ref()
    }
}

impl Drop for Special {
    fn drop(&mut self) {
        self.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Program {
    /// The program for inputs that have this value at a key; none if it would not differ, or if all of them
    /// together would take more than 4 MiB. Evaluations that are given it ([`crate::Environment::special`])
    /// answer the same, of what they used too. Takes about as long as compiling.
    pub fn specialise(&self, key: &str, value: &Value) -> Option<Special> {
        let form = self.form();
        // As much as it would take without values, so that it is not made to be thrown away.
        let room = MAX_BYTES.saturating_sub(form.operations.saturating_mul(OP_BYTES));
        if self.specialised().load(Ordering::Relaxed) > room {
            return None;
        }
        let branches = || form.groups.iter().flat_map(branches_of);
        if branches()
            .any(|branch| has(&branch.ops, &|op| matches!(op, OpKind::With { .. } | OpKind::Mark(_))))
        {
            return None;
        }
        let key = Value::from(key);
        let mut specialiser = Specialiser {
            key: &key,
            value,
            caches: self.caches(),
            budget: Budget::new(LIMITS, None),
            known: Slots::default(),
            differs: false,
        };
        let groups: Box<[Option<Group>]> = form.groups.iter().map(|group| specialiser.group(group)).collect();
        let operations =
            |group| branches_of(group).map(|branch| super::count(&branch.ops) + 1).sum::<usize>();
        let operations: usize = groups.iter().flatten().map(operations).sum();
        if operations == 0 {
            return None;
        }
        let bytes =
            operations * OP_BYTES + usize::try_from(specialiser.budget.memory()).unwrap_or(usize::MAX);
        let taken = Arc::clone(self.specialised());
        let special =
            Special { of: Arc::clone(self.identity()), key, value: value.clone(), groups, bytes, taken };
        // Given back when it is dropped, also here.
        let before = special.taken.fetch_add(bytes, Ordering::Relaxed);
        (before + bytes <= MAX_BYTES).then_some(special)
    }
}

fn branches_of(group: &Group) -> impl Iterator<Item = &Branch> {
    group.definitions.iter().chain(&group.default).flat_map(|definition| &definition.branches)
}

fn has(ops: &[Op], is_it: &dyn Fn(&OpKind) -> bool) -> bool {
    ops.iter().any(|op| {
        is_it(&op.kind)
            || match &op.kind {
                OpKind::Not { ops } | OpKind::Every { ops, .. } | OpKind::With { ops, .. } => has(ops, is_it),
                OpKind::Collect { collect, .. } => has(&collect.ops, is_it),
                OpKind::Join(join) => has(&join.scan, is_it),
                _ => false,
            }
    })
}

/// What is known of a slot.
#[derive(Clone)]
enum Known {
    Value(Value),
    /// It is `input`.
    Input,
}

/// What is known where an operation stands.
#[derive(Default)]
struct Slots {
    known: BTreeMap<Slot, Known>,
    /// What was known of those that were filled since, to be known again behind a list that is inside of an
    /// operation. A slot may be filled in several of these.
    log: Vec<(Slot, Option<Known>)>,
}

impl Slots {
    fn get(&self, slot: Slot) -> Option<&Known> {
        self.known.get(&slot)
    }

    fn fill(&mut self, slot: Slot, known: Known) {
        let before = self.known.insert(slot, known);
        self.log.push((slot, before));
    }

    fn forget_since(&mut self, mark: usize) {
        while self.log.len() > mark
            && let Some((slot, before)) = self.log.pop()
        {
            match before {
                Some(before) => self.known.insert(slot, before),
                None => self.known.remove(&slot),
            };
        }
    }
}

/// What comes of an operation.
enum Fold {
    /// It holds, and may fill a slot.
    Holds(Option<(Slot, Known)>, Charge),
    /// It never holds.
    Fails(Charge),
    /// This one, with what it is charged besides.
    Op(OpKind, Charge),
}

const NOTHING: Charge = Charge { steps: 0, memory: 0 };

impl Charge {
    /// None for what is too much to be charged at once.
    fn and(self, other: Self) -> Option<Self> {
        Some(Self {
            steps: self.steps.checked_add(other.steps)?,
            memory: self.memory.checked_add(other.memory)?,
        })
    }
}

struct Specialiser<'s> {
    key: &'s Value,
    value: &'s Value,
    caches: &'s Caches,
    budget: Budget<'static>,
    known: Slots,
    /// Whether the branch differs from the program's so far.
    differs: bool,
}

impl Specialiser<'_> {
    /// None if it does not differ.
    fn group(&mut self, group: &Group) -> Option<Group> {
        let mut differs = false;
        let mut definition = |definition: &Definition| {
            let branches = definition.branches.iter().map(|branch| {
                self.differs = false;
                let made = self.branch(branch).filter(|_| self.differs);
                self.known.forget_since(0);
                differs |= made.is_some();
                made.unwrap_or_else(|| branch.clone())
            });
            Definition { module: definition.module, branches: branches.collect() }
        };
        let definitions = group.definitions.iter().map(&mut definition).collect();
        let default = group.default.as_ref().map(&mut definition);
        differs.then(|| Group {
            kind: group.kind,
            path: group.path.clone(),
            definitions,
            default,
            is_constant: group.is_constant,
            site: group.site,
        })
    }

    fn branch(&mut self, branch: &Branch) -> Option<Branch> {
        if has(&branch.ops, &|op| matches!(op, OpKind::Join(_))) {
            return None;
        }
        let mut ops = self.list(&branch.ops)?;
        let head = match &branch.head {
            // A constant would say that one answer is enough.
            BranchHead::Value(Arg::Slot(slot)) => {
                if let Some(Known::Value(value)) = self.known.get(*slot)
                    && !matches!(ops.last(), Some(Op { kind: OpKind::Fail, .. }))
                {
                    let kind =
                        OpKind::Match { value: Arg::Const(value.clone()), pattern: Pattern::Bind(*slot) };
                    ops.push(Op { kind, span: branch.span, charge: NOTHING });
                }
                branch.head.clone()
            }
            BranchHead::Value(Arg::Const(_)) => branch.head.clone(),
            BranchHead::Element(element) => BranchHead::Element(self.arg(element)),
            BranchHead::Entry { path, value } => {
                BranchHead::Entry { path: self.args(path), value: self.arg(value) }
            }
            BranchHead::EntryElement { path, element } => {
                BranchHead::EntryElement { path: self.args(path), element: self.arg(element) }
            }
        };
        let mut read = BTreeSet::new();
        for op in &ops {
            facts::reads(op, &mut |slot| _ = read.insert(slot));
        }
        let mut in_head = |arg: &Arg| facts::read(arg, &mut |slot| _ = read.insert(slot));
        match &head {
            BranchHead::Value(value) | BranchHead::Element(value) => in_head(value),
            BranchHead::Entry { path, value } | BranchHead::EntryElement { path, element: value } => {
                path.iter().chain([value]).for_each(in_head);
            }
        }
        let ops = without_unread(ops, &read)?.into();
        Some(Branch { slots: branch.slots, guards: branch.guards.clone(), ops, head, span: branch.span })
    }

    /// A list inside of an operation.
    fn inner(&mut self, ops: &[Op]) -> Option<Box<[Op]>> {
        let mark = self.known.log.len();
        let made = self.list(ops);
        self.known.forget_since(mark);
        Some(made?.into())
    }

    fn list(&mut self, ops: &[Op]) -> Option<Vec<Op>> {
        let mut made: Vec<Op> = Vec::with_capacity(ops.len());
        let mut ahead = NOTHING;
        for op in ops {
            let charge = ahead.and(op.charge)?;
            match self.fold(&op.kind)? {
                Fold::Holds(filled, more) => {
                    if let Some((slot, known)) = filled {
                        self.known.fill(slot, known);
                    }
                    ahead = charge.and(more)?;
                    self.differs = true;
                }
                Fold::Fails(more) => {
                    self.differs |= !matches!(op.kind, OpKind::Fail);
                    made.push(Op { kind: OpKind::Fail, span: op.span, charge: charge.and(more)? });
                    return Some(made);
                }
                Fold::Op(kind, more) => {
                    if let OpKind::Path { root: Root::Input, keys, to, .. } = &kind
                        && keys.is_empty()
                    {
                        self.known.fill(*to, Known::Input);
                    }
                    made.push(Op { kind, span: op.span, charge: charge.and(more)? });
                    ahead = NOTHING;
                }
            }
        }
        if let (true, Some(last)) = (ahead != NOTHING, ops.last()) {
            made.push(Op { kind: HOLDS, span: last.span, charge: ahead });
        }
        Some(made)
    }

    /// What comes of an operation where these slots are known; none if this cannot be said.
    fn fold(&mut self, kind: &OpKind) -> Option<Fold> {
        let as_it_is = |kind| Some(Fold::Op(kind, NOTHING));
        match kind {
            OpKind::Fail => Some(Fold::Fails(NOTHING)),
            OpKind::Path { root, keys, to, .. } => self.path(root, keys, *to),
            OpKind::Scan { root, key, to } => {
                let (root, key) = (self.root(root), self.pattern(key));
                as_it_is(OpKind::Scan { root, key, to: *to })
            }
            OpKind::Call { callee, args, to } => {
                let args = self.args(args);
                let folded = match callee {
                    Callee::Builtin(builtin) => self.builtin(builtin, &args, *to),
                    Callee::Compare(operator) => constants(&args).and_then(|args| match *args {
                        [left, right] => {
                            let (holds, charge) = self.charged(|budget| {
                                collections::compare(budget, *operator, left, right).ok()
                            })?;
                            Some(Fold::Holds(Some((*to, Known::Value(Value::from(holds)))), charge))
                        }
                        _ => None,
                    }),
                    Callee::Function(_) | Callee::Member | Callee::MemberAt | Callee::Template => None,
                };
                let charged = Charge { steps: u32::try_from(args.len() / 4).ok()?, memory: 0 };
                match folded {
                    Some(Fold::Holds(filled, charge)) => Some(Fold::Holds(filled, charge.and(charged)?)),
                    Some(Fold::Fails(charge)) => Some(Fold::Fails(charge.and(charged)?)),
                    _ => as_it_is(OpKind::Call { callee: callee.clone(), args, to: *to }),
                }
            }
            OpKind::Holds { value } => match self.arg(value) {
                Arg::Const(value) => Some(match value.view() {
                    View::Bool(false) | View::Undefined => Fold::Fails(NOTHING),
                    _ => Fold::Holds(None, NOTHING),
                }),
                value @ Arg::Slot(_) => as_it_is(OpKind::Holds { value }),
            },
            OpKind::Compare { operator, left, right } => {
                let (left, right) = (self.arg(left), self.arg(right));
                if let (Arg::Const(left), Arg::Const(right)) = (&left, &right)
                    && let Some((holds, charge)) =
                        self.charged(|budget| collections::compare(budget, *operator, left, right).ok())
                {
                    return Some(when(holds, charge));
                }
                as_it_is(OpKind::Compare { operator: *operator, left, right })
            }
            OpKind::Match { value, pattern } => {
                let (value, pattern) = (self.arg(value), self.pattern(pattern));
                match (&value, &pattern) {
                    (Arg::Const(value), Pattern::Bind(slot)) => {
                        Some(Fold::Holds(Some((*slot, Known::Value(value.clone()))), NOTHING))
                    }
                    (Arg::Const(value), Pattern::Equal(Arg::Const(other))) => {
                        match self.charged(|budget| collections::equal(budget, other, value).ok()) {
                            Some((holds, charge)) => Some(when(holds, charge)),
                            None => as_it_is(OpKind::Match { value: Arg::Const(value.clone()), pattern }),
                        }
                    }
                    _ => as_it_is(OpKind::Match { value, pattern }),
                }
            }
            OpKind::Array { items, to } => {
                let items = self.args(items);
                let made = constants(&items).and_then(|values| {
                    self.charged(|budget| {
                        budget.make_items(values.len()).ok()?;
                        let array: Value = values.iter().copied().cloned().collect();
                        budget.take(kept_bytes(&array)).ok()?;
                        Some(array)
                    })
                });
                match made {
                    Some((array, charge)) => Some(Fold::Holds(Some((*to, Known::Value(array))), charge)),
                    None => as_it_is(OpKind::Array { items, to: *to }),
                }
            }
            OpKind::Set { items, to } => as_it_is(OpKind::Set { items: self.args(items), to: *to }),
            OpKind::Object { entries, to, .. } => {
                let entry = |(key, value): &(Arg, Arg)| (self.arg(key), self.arg(value));
                let entries = entries.iter().map(entry).collect();
                as_it_is(OpKind::object(entries, *to))
            }
            OpKind::Collect { collect, to } => {
                let mark = self.known.log.len();
                let ops = self.list(&collect.ops);
                let head = match &collect.head {
                    CollectHead::Array(head) => CollectHead::Array(self.arg(head)),
                    CollectHead::Set(head) => CollectHead::Set(self.arg(head)),
                    CollectHead::Object(key, value) => CollectHead::Object(self.arg(key), self.arg(value)),
                };
                self.known.forget_since(mark);
                let ops = ops?.into();
                as_it_is(OpKind::Collect { collect: Box::new(Collect { ops, head }), to: *to })
            }
            OpKind::Not { ops } => {
                let ops = self.inner(ops)?;
                as_it_is(OpKind::Not { ops })
            }
            OpKind::Every { domain, key, value, ops } => {
                let domain = self.arg(domain);
                let ops = self.inner(ops)?;
                as_it_is(OpKind::Every { domain, key: *key, value: *value, ops })
            }
            OpKind::Tree { node, keys, to } => {
                as_it_is(OpKind::Tree { node: *node, keys: self.args(keys), to: *to })
            }
            OpKind::Keys { node, keys, to } => {
                as_it_is(OpKind::Keys { node: *node, keys: self.args(keys), to: *to })
            }
            OpKind::Relation { builtin, args, to } => {
                as_it_is(OpKind::Relation { builtin, args: self.args(args), to: *to })
            }
            OpKind::Print { args } => as_it_is(OpKind::Print { args: self.args(args) }),
            OpKind::Document { group, to } => as_it_is(OpKind::Document { group: *group, to: *to }),
            // None is in what is specialised.
            OpKind::With { .. } | OpKind::Join(_) | OpKind::Mark(_) => None,
        }
    }

    fn path(&mut self, root: &Root, keys: &[Arg], to: Slot) -> Option<Fold> {
        let keys = self.args(keys);
        let is_input = match root {
            Root::Input => true,
            Root::Arg(Arg::Slot(slot)) => matches!(self.known.get(*slot), Some(Known::Input)),
            Root::Arg(Arg::Const(_)) | Root::Data => false,
        };
        let root = if is_input { Root::Input } else { self.root(root) };
        let (start, rest) = match (&root, keys.split_first()) {
            (Root::Input, None) => {
                let kind = OpKind::path(Root::Input, keys, to);
                return Some(Fold::Op(kind, NOTHING));
            }
            (Root::Input, Some((Arg::Const(first), rest))) if first == self.key => (self.value, rest),
            (Root::Arg(Arg::Const(value)), _) => (value, &*keys),
            _ => return Some(Fold::Op(OpKind::path(root, keys, to), NOTHING)),
        };
        let steps = u32::try_from(keys.len() / 4).ok()?;
        let Some(keys) = constants(rest).filter(|keys| !keys.iter().any(|key| is_heavy(key))) else {
            self.differs = true;
            let charged = u32::try_from(rest.len() / 4).ok()?;
            let root = Root::Arg(Arg::Const(start.clone()));
            let charge = Charge { steps: steps - charged, memory: 0 };
            return Some(Fold::Op(OpKind::path(root, rest.into(), to), charge));
        };
        let found = keys.iter().try_fold(start, |value, key| collections::get(value, key));
        let charge = Charge { steps, memory: 0 };
        Some(match found.filter(|value| !value.is_undefined()) {
            Some(value) => Fold::Holds(Some((to, Known::Value(value.clone()))), charge),
            None => Fold::Fails(charge),
        })
    }

    fn builtin(&mut self, builtin: &Builtin, args: &[Arg], to: Slot) -> Option<Fold> {
        if !matches!(builtin.row.effects, Effects::Closed | Effects::Infallible) {
            return None;
        }
        let whole;
        let args = match args {
            // What it costs to look up a key does not depend on the other entries.
            [Arg::Slot(slot), Arg::Const(key), Arg::Const(default)]
                if builtin.row.name == "object.get"
                    && matches!(self.known.get(*slot), Some(Known::Input))
                    && key.as_array().map_or(Some(key), <[Value]>::first) == Some(self.key) =>
            {
                whole = Value::object([(self.key.clone(), self.value.clone())]);
                vec![&whole, key, default]
            }
            args => constants(args)?,
        };
        let caches = self.caches;
        let (value, charge) = self.charged(|budget| {
            let mut text = String::new();
            let mut outside = Outside::default();
            let mut context =
                Context { budget, now_ns: None, seed: 0, caches, outside: &mut outside, text: &mut text };
            match builtin.ask(&mut context, &args) {
                Ok(value) => {
                    budget.take(kept_bytes(&value)).ok()?;
                    Some(value)
                }
                Err(Failure::Undefined(_)) => Some(Value::UNDEFINED),
                Err(
                    Failure::Limit(_) | Failure::Unavailable(_) | Failure::Wrong(_) | Failure::Unanswered,
                ) => None,
            }
        })?;
        Some(if value.is_undefined() {
            Fold::Fails(charge)
        } else {
            Fold::Holds(Some((to, Known::Value(value))), charge)
        })
    }

    /// What is worked out, and what that is charged; none if it is too much to be worked out ahead.
    fn charged<T>(&mut self, work: impl FnOnce(&mut Budget<'static>) -> Option<T>) -> Option<(T, Charge)> {
        let (steps, memory) = (self.budget.steps(), self.budget.memory());
        let done = work(&mut self.budget)?;
        let steps = u32::try_from(self.budget.steps() - steps).ok()?;
        let memory = u32::try_from(self.budget.memory() - memory).ok()?;
        Some((done, Charge { steps, memory }))
    }

    fn root(&mut self, root: &Root) -> Root {
        match root {
            Root::Arg(arg) => Root::Arg(self.arg(arg)),
            Root::Input => Root::Input,
            Root::Data => Root::Data,
        }
    }

    fn arg(&mut self, arg: &Arg) -> Arg {
        if let Arg::Slot(slot) = arg
            && let Some(Known::Value(value)) = self.known.get(*slot)
        {
            self.differs = true;
            return Arg::Const(value.clone());
        }
        arg.clone()
    }

    fn args(&mut self, args: &[Arg]) -> Box<[Arg]> {
        args.iter().map(|arg| self.arg(arg)).collect()
    }

    fn pattern(&mut self, pattern: &Pattern) -> Pattern {
        match pattern {
            Pattern::Any => Pattern::Any,
            Pattern::Bind(slot) => Pattern::Bind(*slot),
            Pattern::Equal(arg) => Pattern::Equal(self.arg(arg)),
            Pattern::Array(items) => Pattern::Array(items.iter().map(|item| self.pattern(item)).collect()),
            Pattern::Object(entries) => {
                let entry = |(key, item): &(Arg, Pattern)| (self.arg(key), self.pattern(item));
                Pattern::Object(entries.iter().map(entry).collect())
            }
        }
    }
}

const HOLDS: OpKind = OpKind::Holds { value: Arg::Const(Value::TRUE) };

fn when(holds: bool, charge: Charge) -> Fold {
    if holds { Fold::Holds(None, charge) } else { Fold::Fails(charge) }
}

fn constants(args: &[Arg]) -> Option<Vec<&Value>> {
    args.iter()
        .map(|arg| match arg {
            Arg::Const(value) => Some(value),
            Arg::Slot(_) => None,
        })
        .collect()
}

/// Without operations that take `input` as a whole for nobody.
fn without_unread(ops: Vec<Op>, read: &BTreeSet<Slot>) -> Option<Vec<Op>> {
    let mut made = Vec::with_capacity(ops.len());
    let mut ahead = NOTHING;
    let last = ops.last().map(|op| op.span);
    for op in ops {
        let charge = ahead.and(op.charge)?;
        let inner = |ops: Box<[Op]>| Some(without_unread(ops.into_vec(), read)?.into());
        let kind = match op.kind {
            OpKind::Path { root: Root::Input, keys, to, .. } if keys.is_empty() && !read.contains(&to) => {
                ahead = charge;
                continue;
            }
            OpKind::Not { ops } => OpKind::Not { ops: inner(ops)? },
            OpKind::Every { domain, key, value, ops } => {
                OpKind::Every { domain, key, value, ops: inner(ops)? }
            }
            OpKind::Collect { collect, to } => {
                let Collect { ops, head } = *collect;
                OpKind::Collect { collect: Box::new(Collect { ops: inner(ops)?, head }), to }
            }
            kind => kind,
        };
        made.push(Op { kind, span: op.span, charge });
        ahead = NOTHING;
    }
    if let (true, Some(span)) = (ahead != NOTHING, last) {
        made.push(Op { kind: HOLDS, span, charge: ahead });
    }
    Some(made)
}
