//! What can be said of operations without running them: whether their answers depend on the input, and
//! whether they can end as an error that is no limit.

use std::collections::BTreeMap;

use portcullis_rego_syntax::builtins::Effects;
use portcullis_value::Value;

use crate::builtins::Builtin;
use crate::normal_form::{
    Arg, Branch, Callee, CollectHead, Comparison, Definition, Group, GroupId, GroupKind, Op, OpKind, Pattern,
    Root, Slot,
};

/// What holds for operations, whatever their slots hold.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts {
    /// The answers depend on the slots and `data` only, and nothing is printed.
    pub(super) is_closed: bool,
    /// `data` is read.
    pub(super) reads_data: bool,
    /// No error but a limit comes of it, and nothing is printed.
    pub(super) is_infallible: bool,
}

impl Facts {
    const PLAIN: Self = Self { is_closed: true, reads_data: false, is_infallible: true };
    const UNKNOWN: Self = Self { is_closed: false, reads_data: true, is_infallible: false };
    const FALLIBLE: Self = Self { is_infallible: false, ..Self::PLAIN };
    const DATA: Self = Self { reads_data: true, ..Self::PLAIN };

    fn and(self, other: Self) -> Self {
        Self {
            is_closed: self.is_closed && other.is_closed,
            reads_data: self.reads_data || other.reads_data,
            is_infallible: self.is_infallible && other.is_infallible,
        }
    }
}

/// The facts of all groups.
pub(super) struct GroupFacts(Vec<Facts>);

impl GroupFacts {
    pub(super) fn of(groups: &[Group]) -> Self {
        let mut known = Known { groups, facts: groups.iter().map(|_| State::Not).collect() };
        Self((0..groups.len()).map(|id| known.group(id)).collect())
    }

    pub(super) fn group(&self, id: GroupId) -> Facts {
        self.0.get(id).copied().unwrap_or(Facts::UNKNOWN)
    }

    pub(super) fn op(&self, op: &Op) -> Facts {
        of_op(op, &mut |id| self.group(id))
    }
}

enum State {
    Not,
    Active,
    Facts(Facts),
}

struct Known<'g> {
    groups: &'g [Group],
    facts: Vec<State>,
}

impl Known<'_> {
    /// Rows of groups are not longer than `nesting` lets them be.
    fn group(&mut self, id: GroupId) -> Facts {
        match self.facts.get(id) {
            Some(State::Facts(facts)) => return *facts,
            // Rules that need themselves are an error where they are evaluated.
            Some(State::Active) | None => return Facts::UNKNOWN,
            Some(State::Not) => {}
        }
        let Some(group) = self.groups.get(id) else { return Facts::UNKNOWN };
        self.mark(id, State::Active);
        let mut facts = if has_conflicts(group) { Facts::FALLIBLE } else { Facts::PLAIN };
        for definition in group.definitions.iter().chain(&group.default) {
            for branch in &definition.branches {
                facts = facts.and(of_ops(&branch.ops, &mut |id| self.group(id)));
            }
        }
        self.mark(id, State::Facts(facts));
        facts
    }

    fn mark(&mut self, id: GroupId, state: State) {
        if let Some(place) = self.facts.get_mut(id) {
            *place = state;
        }
    }
}

fn of_ops(ops: &[Op], group: &mut dyn FnMut(GroupId) -> Facts) -> Facts {
    ops.iter().fold(Facts::PLAIN, |facts, op| facts.and(of_op(op, group)))
}

fn of_op(op: &Op, group: &mut dyn FnMut(GroupId) -> Facts) -> Facts {
    match &op.kind {
        OpKind::Fail
        | OpKind::Holds { .. }
        | OpKind::Compare { .. }
        | OpKind::Match { .. }
        | OpKind::Array { .. }
        | OpKind::Set { .. } => Facts::PLAIN,
        OpKind::Path { root, .. } | OpKind::Scan { root, .. } => match root {
            Root::Input => Facts { is_closed: false, ..Facts::PLAIN },
            Root::Data => Facts::DATA,
            Root::Arg(_) => Facts::PLAIN,
        },
        OpKind::Document { group: id, .. } => group(*id),
        OpKind::Call { callee, .. } => match callee {
            Callee::Builtin(builtin) => of_builtin(builtin),
            Callee::Function(id) => group(*id),
            Callee::Compare(_) | Callee::Member | Callee::MemberAt => Facts::PLAIN,
            Callee::Template => Facts::FALLIBLE,
        },
        OpKind::Relation { builtin, .. } => of_builtin(builtin),
        OpKind::Object { entries, .. } => {
            let mut keys = std::collections::BTreeSet::new();
            let is_distinct = entries.iter().all(|(key, _)| match key {
                Arg::Const(key) => keys.insert(key),
                Arg::Slot(_) => entries.len() == 1,
            });
            if is_distinct { Facts::PLAIN } else { Facts::FALLIBLE }
        }
        OpKind::Collect { collect, .. } => {
            let head = match collect.head {
                CollectHead::Array(_) | CollectHead::Set(_) => Facts::PLAIN,
                CollectHead::Object(..) => Facts::FALLIBLE,
            };
            head.and(of_ops(&collect.ops, group))
        }
        OpKind::Not { ops } | OpKind::Every { ops, .. } => of_ops(ops, group),
        OpKind::Tree { .. }
        | OpKind::Keys { .. }
        | OpKind::With { .. }
        | OpKind::Print { .. }
        | OpKind::Mark(_)
        | OpKind::Join(_) => Facts::UNKNOWN,
    }
}

fn of_builtin(builtin: &Builtin) -> Facts {
    match builtin.row.effects {
        Effects::Unknown | Effects::Asks => Facts::UNKNOWN,
        Effects::Closed => Facts::FALLIBLE,
        Effects::Infallible => Facts::PLAIN,
    }
}

/// Whether rules of the group may give it two values, as far as can be seen.
fn has_conflicts(group: &Group) -> bool {
    match group.kind {
        GroupKind::Set => false,
        GroupKind::Object => true,
        GroupKind::Complete | GroupKind::Function { .. } => {
            let has_one = |definition: &Definition| {
                let mut branches = definition.branches.iter();
                branches.all(|branch| !branch.ops.iter().any(has_answers))
            };
            let definitions = &group.definitions;
            let exclude_each_other = || {
                let needs: Vec<_> = definitions.iter().map(Needs::of).collect();
                let mut pairs = needs
                    .iter()
                    .enumerate()
                    .flat_map(|(at, one)| needs.iter().skip(at + 1).map(move |other| (one, other)));
                definitions.len() <= MAX_EXCLUSIVE && pairs.all(|(one, other)| one.exclude(other))
            };
            !(group.is_constant || definitions.iter().all(has_one) && exclude_each_other())
        }
    }
}

/// Definitions that are compared with each other.
const MAX_EXCLUSIVE: usize = 16;

/// Whether an operation may have several answers.
pub(super) fn has_answers(op: &Op) -> bool {
    match &op.kind {
        OpKind::Scan { .. }
        | OpKind::Relation { .. }
        | OpKind::Keys { .. }
        | OpKind::With { .. }
        | OpKind::Join(_) => true,
        OpKind::Fail
        | OpKind::Path { .. }
        | OpKind::Document { .. }
        | OpKind::Tree { .. }
        | OpKind::Call { .. }
        | OpKind::Holds { .. }
        | OpKind::Compare { .. }
        | OpKind::Match { .. }
        | OpKind::Array { .. }
        | OpKind::Set { .. }
        | OpKind::Object { .. }
        | OpKind::Collect { .. }
        | OpKind::Not { .. }
        | OpKind::Every { .. }
        | OpKind::Print { .. }
        | OpKind::Mark(_) => false,
    }
}

/// A place of the input or of an argument, by constant keys.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct ConstantPath {
    /// None for the input.
    argument: Option<Slot>,
    keys: Vec<Value>,
}

/// What a definition needs to hold: places with what they must equal or must not.
#[derive(Default)]
struct Needs {
    equal: Vec<(ConstantPath, Value)>,
    unequal: Vec<(ConstantPath, Value)>,
}

impl Needs {
    fn of(definition: &Definition) -> Self {
        match &*definition.branches {
            [branch] => Self::of_branch(branch),
            // One of several: nothing is needed for sure.
            _ => Self::default(),
        }
    }

    fn of_branch(branch: &Branch) -> Self {
        let mut needs = Self::default();
        let mut places: BTreeMap<Slot, ConstantPath> = BTreeMap::new();
        for op in &branch.ops {
            match &op.kind {
                OpKind::Path { root, keys, to, .. } => {
                    let base = match root {
                        Root::Input => Some(ConstantPath { argument: None, keys: Vec::new() }),
                        Root::Arg(Arg::Slot(slot)) => Some(
                            places
                                .get(slot)
                                .cloned()
                                .unwrap_or_else(|| ConstantPath { argument: Some(*slot), keys: Vec::new() }),
                        ),
                        Root::Arg(Arg::Const(_)) | Root::Data => None,
                    };
                    let keys = keys.iter().map(|key| match key {
                        Arg::Const(key) => Some(key.clone()),
                        Arg::Slot(_) => None,
                    });
                    if let Some((mut place, keys)) = base.zip(keys.collect::<Option<Vec<_>>>()) {
                        place.keys.extend(keys);
                        places.insert(*to, place);
                    }
                }
                OpKind::Compare { operator, left, right } => match operator {
                    Comparison::Equal => needs.add(true, left, right, &places),
                    Comparison::NotEqual => needs.add(false, left, right, &places),
                    _ => {}
                },
                OpKind::Match { value, pattern: Pattern::Equal(other) } => {
                    needs.add(true, value, other, &places);
                }
                _ => {}
            }
        }
        // A slot that a definition fills itself is not an argument: slots of different definitions have
        // nothing to do with each other.
        let mut own = std::collections::BTreeSet::new();
        for op in &branch.ops {
            writes(op, &mut |slot| _ = own.insert(slot));
        }
        let is_shared = |place: &ConstantPath| place.argument.is_none_or(|slot| !own.contains(&slot));
        needs.equal.retain(|(place, _)| is_shared(place));
        needs.unequal.retain(|(place, _)| is_shared(place));
        needs
    }

    fn add(&mut self, is_equal: bool, left: &Arg, right: &Arg, places: &BTreeMap<Slot, ConstantPath>) {
        let ((Arg::Slot(slot), Arg::Const(value)) | (Arg::Const(value), Arg::Slot(slot))) = (left, right)
        else {
            return;
        };
        let place = places
            .get(slot)
            .cloned()
            .unwrap_or_else(|| ConstantPath { argument: Some(*slot), keys: Vec::new() });
        let needs = if is_equal { &mut self.equal } else { &mut self.unequal };
        needs.push((place, value.clone()));
    }

    /// Whether no input and arguments can be what both need.
    fn exclude(&self, other: &Self) -> bool {
        let differ = |one: &(ConstantPath, Value)| {
            other.equal.iter().any(|known| known.0 == one.0 && known.1 != one.1)
        };
        self.equal.iter().any(differ)
            || self.equal.iter().any(|one| other.unequal.contains(one))
            || self.unequal.iter().any(|one| other.equal.contains(one))
    }
}

/// The slots that an operation reads, those of inner operations included, each as often as it is read.
pub(super) fn reads(op: &Op, each: &mut dyn FnMut(Slot)) {
    let all = |args: &[Arg], each: &mut dyn FnMut(Slot)| args.iter().for_each(|arg| read(arg, each));
    match &op.kind {
        OpKind::Fail | OpKind::Document { .. } | OpKind::Mark(_) => {}
        OpKind::Path { root, keys, .. } => {
            read_root(root, each);
            all(keys, each);
        }
        OpKind::Scan { root, key, .. } => {
            read_root(root, each);
            read_pattern(key, each);
        }
        OpKind::Tree { keys, .. } | OpKind::Keys { keys, .. } => all(keys, each),
        OpKind::Call { args, .. } | OpKind::Relation { args, .. } | OpKind::Print { args } => all(args, each),
        OpKind::Holds { value } => read(value, each),
        OpKind::Compare { left, right, .. } => {
            read(left, each);
            read(right, each);
        }
        OpKind::Match { value, pattern } => {
            read(value, each);
            read_pattern(pattern, each);
        }
        OpKind::Array { items, .. } | OpKind::Set { items, .. } => all(items, each),
        OpKind::Object { entries, .. } => entries.iter().for_each(|(key, value)| {
            read(key, each);
            read(value, each);
        }),
        OpKind::Collect { collect, .. } => {
            collect.ops.iter().for_each(|op| reads(op, each));
            match &collect.head {
                CollectHead::Array(head) | CollectHead::Set(head) => read(head, each),
                CollectHead::Object(key, value) => {
                    read(key, each);
                    read(value, each);
                }
            }
        }
        OpKind::Not { ops } => ops.iter().for_each(|op| reads(op, each)),
        OpKind::Every { domain, ops, .. } => {
            read(domain, each);
            ops.iter().for_each(|op| reads(op, each));
        }
        OpKind::With { changes, ops } => {
            for change in changes {
                change.reads().into_iter().for_each(|arg| read(arg, each));
            }
            ops.iter().for_each(|op| reads(op, each));
        }
        OpKind::Join(join) => join.scan.iter().for_each(|op| reads(op, each)),
    }
}

pub(super) fn read(arg: &Arg, each: &mut dyn FnMut(Slot)) {
    if let Arg::Slot(slot) = arg {
        each(*slot);
    }
}

fn read_root(root: &Root, each: &mut dyn FnMut(Slot)) {
    if let Root::Arg(arg) = root {
        read(arg, each);
    }
}

fn read_pattern(pattern: &Pattern, each: &mut dyn FnMut(Slot)) {
    match pattern {
        Pattern::Any | Pattern::Bind(_) => {}
        Pattern::Equal(arg) => read(arg, each),
        Pattern::Array(items) => items.iter().for_each(|item| read_pattern(item, each)),
        Pattern::Object(entries) => entries.iter().for_each(|(key, item)| {
            read(key, each);
            read_pattern(item, each);
        }),
    }
}

/// The slots that an operation fills for those that follow.
pub(super) fn fills(op: &Op, each: &mut dyn FnMut(Slot)) {
    match &op.kind {
        OpKind::Collect { to, .. } => each(*to),
        OpKind::Not { .. } | OpKind::Every { .. } => {}
        OpKind::With { ops, .. } => ops.iter().for_each(|op| fills(op, each)),
        OpKind::Join(join) => join.scan.iter().for_each(|op| fills(op, each)),
        _ => writes(op, each),
    }
}

/// The slots that an operation writes, those of inner operations included.
pub(super) fn writes(op: &Op, each: &mut dyn FnMut(Slot)) {
    match &op.kind {
        OpKind::Fail
        | OpKind::Holds { .. }
        | OpKind::Compare { .. }
        | OpKind::Print { .. }
        | OpKind::Mark(_) => {}
        OpKind::Path { to, .. }
        | OpKind::Document { to, .. }
        | OpKind::Tree { to, .. }
        | OpKind::Keys { to, .. }
        | OpKind::Call { to, .. }
        | OpKind::Relation { to, .. }
        | OpKind::Array { to, .. }
        | OpKind::Set { to, .. }
        | OpKind::Object { to, .. } => each(*to),
        OpKind::Scan { key, to, .. } => {
            write_pattern(key, each);
            each(*to);
        }
        OpKind::Match { pattern, .. } => write_pattern(pattern, each),
        OpKind::Collect { collect, to } => {
            collect.ops.iter().for_each(|op| writes(op, each));
            each(*to);
        }
        OpKind::Not { ops } | OpKind::With { ops, .. } => ops.iter().for_each(|op| writes(op, each)),
        OpKind::Every { key, value, ops, .. } => {
            key.iter().chain(value).for_each(|slot| each(*slot));
            ops.iter().for_each(|op| writes(op, each));
        }
        OpKind::Join(join) => join.scan.iter().for_each(|op| writes(op, each)),
    }
}

fn write_pattern(pattern: &Pattern, each: &mut dyn FnMut(Slot)) {
    match pattern {
        Pattern::Any | Pattern::Equal(_) => {}
        Pattern::Bind(slot) => each(*slot),
        Pattern::Array(items) => items.iter().for_each(|item| write_pattern(item, each)),
        Pattern::Object(entries) => entries.iter().for_each(|(_, item)| write_pattern(item, each)),
    }
}
