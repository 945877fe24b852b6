//! How deep the values of a program can be nested, and how long its rules wait for each other, before any
//! input is seen. Work on values is recursive, also the one that frees them, and so is the evaluation of
//! rules: both must end before the stack does. No input makes either deeper than this says, as rules cannot
//! call themselves.

use portcullis_rego_syntax::builtins::Nesting as Depth;
use portcullis_value::{Value, View};

use super::tree::{Tree, dotted};
use crate::builtins::Builtin;
use crate::error::{CompileError, CompileErrorKind};
use crate::normal_form::{
    Arg, Branch, BranchHead, Callee, Change, CollectHead, Group, GroupId, NodeId, Op, OpKind, Pattern,
    Replacement, Root, Slot,
};

/// Most levels that rules put around what they read.
const MAX_LEVELS: u32 = 100;
/// Rules that need each other in a longer row are refused: each takes its part of the stack when it is
/// evaluated. Policies that people write need a tenth of it.
const MAX_ROW: usize = 128;

/// Levels of a value beyond those of the documents it is made from: `own` by itself, `around` about the
/// arguments of the function it stands in, if it holds any of them.
#[derive(Clone, Copy, Debug, Default)]
struct Levels {
    own: u32,
    around: Option<u32>,
}

impl Levels {
    const ARGUMENT: Self = Self { own: 0, around: Some(0) };

    fn max(self, other: Self) -> Self {
        Self { own: self.own.max(other.own), around: self.around.max(other.around) }
    }

    fn plus(self, more: u32) -> Self {
        Self {
            own: self.own.saturating_add(more),
            around: self.around.map(|around| around.saturating_add(more)),
        }
    }

    /// The answer of a function for arguments of these levels.
    fn of_call(self, args: Self) -> Self {
        let base = Self { own: self.own, around: None };
        self.around.map_or(base, |around| base.max(args.plus(around)))
    }
}

enum Known {
    Not,
    Active,
    /// The levels, and how many rules need each other in a row from here on, itself counted.
    Yes(Levels, usize),
}

pub(super) fn check(groups: &[Group], tree: &Tree<'_>, entry: &Branch, errors: &mut Vec<CompileError>) {
    let known = groups.iter().map(|_| Known::Not).collect();
    let mut nesting = Nesting { groups, tree, known, above: 0, below: 0, errors };
    for (id, group) in groups.iter().enumerate() {
        nesting.below = 0;
        nesting.group(id);
        if nesting.below > MAX_ROW {
            let path = dotted(&group.path);
            let message = format!("rules need each other more than {MAX_ROW} deep, beginning with {path}");
            let first = tree.groups.get(id).and_then(|plan| plan.rules.first());
            let (module, span) =
                first.map(|first| (first.module, first.rule.name_span())).unwrap_or_default();
            return errors.push(CompileError::new(CompileErrorKind::Limit, module, span, message));
        }
    }
    nesting.branch(entry);
}

struct Nesting<'p, 'e> {
    groups: &'p [Group],
    tree: &'p Tree<'p>,
    known: Vec<Known>,
    /// How many rules wait for the one that is looked at.
    above: usize,
    /// The longest row of rules so far that it needs.
    below: usize,
    errors: &'e mut Vec<CompileError>,
}

impl Nesting<'_, '_> {
    fn group(&mut self, id: GroupId) -> Levels {
        match self.known.get(id) {
            Some(Known::Yes(levels, row)) => {
                self.below = self.below.max(*row);
                return *levels;
            }
            // Rules that need themselves are for the evaluation to refuse: whether they do may depend on
            // keys.
            Some(Known::Active) | None => return Levels::default(),
            Some(Known::Not) => {}
        }
        let Some(group) = self.groups.get(id) else { return Levels::default() };
        // This looks at rules as they are evaluated, one within the other, and ends where that would.
        if self.above >= MAX_ROW {
            self.below = self.below.max(MAX_ROW);
            return Levels::default();
        }
        self.mark(id, Known::Active);
        self.above += 1;
        let beside = std::mem::take(&mut self.below);
        let mut levels = Levels::default();
        for definition in group.definitions.iter().chain(&group.default) {
            for branch in &definition.branches {
                levels = levels.max(self.branch(branch));
            }
        }
        self.above -= 1;
        let row = self.below + 1;
        self.below = row.max(beside);
        if levels.own.max(levels.around.unwrap_or(0)) > MAX_LEVELS {
            let message = format!("{} nests values more than {MAX_LEVELS} deep", dotted(&group.path));
            self.error(group, message);
            levels = Levels::default();
        }
        self.mark(id, Known::Yes(levels, row));
        levels
    }

    fn mark(&mut self, id: GroupId, known: Known) {
        if let Some(place) = self.known.get_mut(id) {
            *place = known;
        }
    }

    fn error(&mut self, group: &Group, message: String) {
        let definition = group.definitions.first();
        let module = definition.map_or(0, |definition| definition.module);
        let span = definition
            .and_then(|definition| definition.branches.first())
            .map(|first| first.span)
            .unwrap_or_default();
        self.errors.push(CompileError::rego(module, span, message));
    }

    fn branch(&mut self, branch: &Branch) -> Levels {
        // Arguments come first; a slot that no operation wrote is one.
        let mut slots = vec![Levels::ARGUMENT; branch.slots as usize];
        self.ops(&branch.ops, &mut slots);
        match &branch.head {
            BranchHead::Value(value) => of(value, &slots),
            BranchHead::Element(value) => of(value, &slots).plus(1),
            BranchHead::Entry { path, value } | BranchHead::EntryElement { path, element: value } => {
                let keys = path.iter().fold(Levels::default(), |levels, key| levels.max(of(key, &slots)));
                of(value, &slots)
                    .max(keys)
                    .plus(u32::try_from(path.len()).unwrap_or(u32::MAX).saturating_add(1))
            }
        }
    }

    fn tree(&mut self, id: NodeId) -> Levels {
        let tree = self.tree;
        let Some(node) = tree.nodes.get(id) else { return Levels::default() };
        let own = node.group.map(|group| self.group(group)).unwrap_or_default();
        node.children.values().fold(own, |levels, child| levels.max(self.tree(*child).plus(1)))
    }

    fn ops(&mut self, ops: &[Op], slots: &mut [Levels]) {
        for op in ops {
            match &op.kind {
                OpKind::Fail
                | OpKind::Holds { .. }
                | OpKind::Compare { .. }
                | OpKind::Print { .. }
                | OpKind::Mark(_) => {}
                OpKind::Path { root, to, .. } => set(slots, *to, of_root(root, slots)),
                OpKind::Scan { root, key, to } => {
                    let levels = of_root(root, slots);
                    bind(key, levels, slots);
                    set(slots, *to, levels);
                }
                OpKind::Document { group, to } => set(slots, *to, self.group(*group)),
                OpKind::Tree { node, to, .. } => set(slots, *to, self.tree(*node)),
                OpKind::Keys { to, .. } => set(slots, *to, Levels::default()),
                OpKind::Call { callee, args, to } => {
                    let args = of_all(args, slots);
                    let levels = match callee {
                        Callee::Function(group) => self.group(*group).of_call(args),
                        Callee::Builtin(builtin) => of_builtin(builtin, args),
                        Callee::Compare(_) | Callee::Member | Callee::MemberAt | Callee::Template => {
                            Levels::default()
                        }
                    };
                    set(slots, *to, levels);
                }
                OpKind::Relation { builtin, args, to } => {
                    set(slots, *to, of_builtin(builtin, of_all(args, slots)));
                }
                OpKind::Match { value, pattern } => bind(pattern, of(value, slots), slots),
                OpKind::Array { items, to } | OpKind::Set { items, to } => {
                    set(slots, *to, of_all(items, slots).plus(1));
                }
                OpKind::Object { entries, to, .. } => {
                    let levels = entries.iter().fold(Levels::default(), |levels, (key, value)| {
                        levels.max(of(key, slots)).max(of(value, slots))
                    });
                    set(slots, *to, levels.plus(1));
                }
                OpKind::Collect { collect, to } => {
                    self.ops(&collect.ops, slots);
                    let levels = match &collect.head {
                        CollectHead::Array(head) | CollectHead::Set(head) => of(head, slots),
                        CollectHead::Object(key, value) => of(key, slots).max(of(value, slots)),
                    };
                    set(slots, *to, levels.plus(1));
                }
                OpKind::Not { ops } => self.ops(ops, slots),
                OpKind::Every { domain, key, value, ops } => {
                    let levels = of(domain, slots);
                    key.iter().chain(value).for_each(|slot| set(slots, *slot, levels));
                    self.ops(ops, slots);
                }
                OpKind::With { changes, ops } => {
                    // Documents that replace others are measured when they do. Functions are called with what
                    // they replace is called with.
                    for change in changes {
                        if let Change::Function { by: Replacement::Callee(Callee::Function(group)), .. } =
                            change
                        {
                            self.group(*group);
                        }
                    }
                    self.ops(ops, slots);
                }
                OpKind::Join(join) => self.ops(&join.scan, slots),
            }
        }
    }
}

/// What is not known is too deep for anybody.
fn of_builtin(builtin: &Builtin, args: Levels) -> Levels {
    match builtin.row.nesting {
        Depth::Unknown => args.plus(MAX_LEVELS + 1),
        Depth::Flat | Depth::Bounded => Levels::default(),
        Depth::Arguments(more) => args.plus(more),
    }
}

fn set(slots: &mut [Levels], slot: Slot, levels: Levels) {
    if let Some(place) = slots.get_mut(slot as usize) {
        *place = levels;
    }
}

fn of(arg: &Arg, slots: &[Levels]) -> Levels {
    match arg {
        Arg::Slot(slot) => slots.get(*slot as usize).copied().unwrap_or_default(),
        Arg::Const(value) => Levels { own: depth(value), around: None },
    }
}

/// Constants are as deep as the parser lets them be.
fn depth(value: &Value) -> u32 {
    let deepest = match value.view() {
        View::Array(items) => items.iter().map(depth).max(),
        View::Set(items) => items.iter().map(depth).max(),
        View::Object(object) => object.iter().map(|(key, value)| depth(key).max(depth(value))).max(),
        _ => return 0,
    };
    deepest.unwrap_or(0) + 1
}

fn of_all(args: &[Arg], slots: &[Levels]) -> Levels {
    args.iter().fold(Levels::default(), |levels, arg| levels.max(of(arg, slots)))
}

fn of_root(root: &Root, slots: &[Levels]) -> Levels {
    match root {
        Root::Input | Root::Data => Levels::default(),
        Root::Arg(arg) => of(arg, slots),
    }
}

fn bind(pattern: &Pattern, levels: Levels, slots: &mut [Levels]) {
    match pattern {
        Pattern::Any | Pattern::Equal(_) => {}
        Pattern::Bind(slot) => set(slots, *slot, levels),
        Pattern::Array(items) => items.iter().for_each(|item| bind(item, levels, slots)),
        Pattern::Object(entries) => entries.iter().for_each(|(_, value)| bind(value, levels, slots)),
    }
}
