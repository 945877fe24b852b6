//! Comparisons with what `data` holds become look-ups.
//!
//! ```text
//! host := input.review.object.spec.rules[_].host              other operations
//! other := data.inventory.namespace[_][version].Ingress[_]    \
//! startswith(version, "networking.k8s.io/")                    > the chain: closed operations, from the first that has answers
//! other.spec.rules[_].host == host                            /  the comparison: the key of the index
//! not same(other, input.review)                               other operations
//! ```
//!
//! The chain is the same in every evaluation with the same `data`. Its answers are found once, ordered by
//! what is compared, and looked up. Operations of the text between the chain's own are moved before it if
//! they need nothing of it, after the look-up otherwise. Nobody can tell: they have one answer each, print
//! nothing and cannot end as an error. Where one of them could, or where answers would come in another order,
//! nothing is moved and the chain is run as it is written.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_value::Value;

use super::facts::{self, Facts, GroupFacts};
use crate::normal_form::{
    Arg, Branch, BranchHead, Callee, Comparison, Group, GroupId, GroupKind, Join, Member, NormalForm, Op,
    OpKind, Pattern, Root, SetRule, Site, SiteChain, SiteId, SiteKind, Slot,
};
use crate::program::{Comparing, ComparingCost};

/// Most look-ups and shared documents of a program; what is beyond is evaluated as it is written.
const MAX_SITES: usize = 64;

/// Operations after the beginning of a chain among which its end is looked for.
const LONGEST_CHAIN: usize = 200;

/// Rewrites a program, and says which of its iterations over `data` are answered by an index.
pub(super) fn index(form: &mut NormalForm) -> Vec<Comparing> {
    let facts = GroupFacts::of(&form.groups);
    let mut rewriter = Rewriter { facts: &facts, sites: Vec::new(), found: Vec::new() };
    for (id, group) in form.groups.iter_mut().enumerate() {
        let known = facts.group(id);
        let is_document = !matches!(group.kind, GroupKind::Function { .. });
        if is_document && known.is_closed && known.reads_data {
            group.site = rewriter.site(0, SiteKind::Document(id));
        }
        let cost = if group.site.is_some() { ComparingCost::Once } else { ComparingCost::All };
        for definition in group.definitions.iter_mut().chain(&mut group.default) {
            for branch in &mut definition.branches {
                rewriter.branch(definition.module, branch, &[], cost);
            }
        }
    }
    let variables: Vec<Slot> = form.entry.variables.iter().flatten().map(|(_, slot)| *slot).collect();
    rewriter.branch(form.entry.module, &mut form.entry.branch, &variables, ComparingCost::All);
    let Rewriter { sites, mut found, .. } = rewriter;
    form.sites = sites;
    for group in &form.groups {
        if let Some(site) = group.site.and_then(|site| form.sites.get_mut(site))
            && let Some(rules) = set_rules(&facts, group)
        {
            site.kind = SiteKind::Set(rules);
        }
    }
    // Inner lists are copied with the chains they are in.
    found.sort();
    found.dedup();
    let needs: Vec<Box<[SiteId]>> = (0..form.sites.len()).map(|id| needed(form, id)).collect();
    for (site, needs) in form.sites.iter_mut().zip(needs) {
        site.needs = needs;
    }
    found
}

/// The rules of a set as chains, if one of them has a part for members.
fn set_rules(facts: &GroupFacts, group: &Group) -> Option<Box<[SetRule]>> {
    let branches = group
        .definitions
        .iter()
        .flat_map(|definition| definition.branches.iter().map(|branch| (definition.module, branch)));
    let rules = branches.map(|(module, branch)| {
        let BranchHead::Element(Arg::Slot(element)) = branch.head else { return None };
        let member = member(facts, &branch.ops, BTreeSet::from([element]));
        let chain = SiteChain {
            slots: branch.slots,
            ops: branch.ops.clone(),
            keys: Box::new([element]),
            kept: Box::default(),
            member,
        };
        Some(SetRule { module, chain })
    });
    let rules: Option<Box<[SetRule]>> = if group.kind == GroupKind::Set { rules.collect() } else { None };
    rules.filter(|rules| rules.iter().any(|rule| rule.chain.member.is_some()))
}

struct Rewriter<'f> {
    facts: &'f GroupFacts,
    sites: Vec<Site>,
    found: Vec<Comparing>,
}

impl Rewriter<'_> {
    fn site(&mut self, module: usize, kind: SiteKind) -> Option<SiteId> {
        if self.sites.len() >= MAX_SITES {
            return None;
        }
        self.sites.push(Site { kind, module, needs: Box::default() });
        Some(self.sites.len() - 1)
    }

    fn branch(&mut self, module: usize, branch: &mut Branch, variables: &[Slot], cost: ComparingCost) {
        let mut read: BTreeMap<Slot, usize> = BTreeMap::new();
        let mut count = |slot| *read.entry(slot).or_default() += 1;
        branch.ops.iter().for_each(|op| facts::reads(op, &mut count));
        match &branch.head {
            BranchHead::Value(value) | BranchHead::Element(value) => facts::read(value, &mut count),
            BranchHead::Entry { path, value } | BranchHead::EntryElement { path, element: value } => {
                path.iter().chain([value]).for_each(|arg| facts::read(arg, &mut count));
            }
        }
        for slot in variables {
            count(*slot);
        }
        let ops = std::mem::take(&mut branch.ops);
        let body = Body { module, slots: branch.slots, cost, read: &read };
        branch.ops = self.list(&body, ops, &mut Before::default());
    }

    fn list(&mut self, body: &Body<'_>, ops: Box<[Op]>, before: &mut Before) -> Box<[Op]> {
        let mark = before.ops.len();
        let mut made = Vec::with_capacity(ops.len());
        let mut rest: &[Op] = &ops;
        while let Some((op, after)) = rest.split_first() {
            rest = after;
            let known = self.facts.op(op);
            let is_closed = known.is_closed && free_reads(op).iter().all(|slot| before.slots.contains(slot));
            if !is_closed {
                self.found.extend(before.part(body.module, op));
            }
            if is_closed && !facts::has_answers(op) {
                before.push(op.clone(), known);
            } else if is_closed {
                let all: &[Op] = ops.get(ops.len() - after.len() - 1..).unwrap_or_default();
                if let Some(chain) = Chain::of(self.facts, all, before)
                    && let Some(join) = self.join(body, all, &chain)
                {
                    let row = all.get(..chain.length).unwrap_or_default();
                    self.found.push(comparing(body.module, before, row, ComparingCost::Index));
                    rest = all.get(chain.length..).unwrap_or_default();
                    made.push(Op::new(OpKind::Join(Box::new(join)), op.span));
                    continue;
                }
                if known.reads_data || before.depends_on_data(&free_reads(op)) {
                    let all = ops.get(ops.len() - after.len() - 1..).unwrap_or_default();
                    self.found.push(comparing(body.module, before, all, body.cost));
                }
            }
            made.push(self.inside(body, op.clone(), before));
        }
        before.forget_since(mark);
        made.into()
    }

    /// An operation of which the operations inside are rewritten.
    fn inside(&mut self, body: &Body<'_>, mut op: Op, before: &mut Before) -> Op {
        match &mut op.kind {
            OpKind::Collect { collect, .. } => {
                collect.ops = self.list(body, std::mem::take(&mut collect.ops), before);
            }
            OpKind::Not { ops } | OpKind::Every { ops, .. } | OpKind::With { ops, .. } => {
                *ops = self.list(body, std::mem::take(ops), before);
            }
            _ => {}
        }
        op
    }

    fn join(&mut self, body: &Body<'_>, ops: &[Op], chain: &Chain) -> Option<Join> {
        // Before anything inside is rewritten in vain.
        if self.sites.len() >= MAX_SITES {
            return None;
        }
        let pick = |positions: &[usize]| -> Vec<Op> {
            positions.iter().filter_map(|position| ops.get(*position)).cloned().collect()
        };
        let scan = ops.get(..chain.length)?;
        let (own, moved) = (pick(&chain.own), pick(&chain.behind));
        let mut inside: BTreeMap<Slot, usize> = BTreeMap::new();
        let mut count = |slot| *inside.entry(slot).or_default() += 1;
        for op in &own {
            facts::reads(op, &mut count);
        }
        chain.compared.iter().for_each(|(_, slot)| count(*slot));
        let mut written = BTreeSet::new();
        for op in &own {
            facts::fills(op, &mut |slot| _ = written.insert(slot));
        }
        // What nobody but the chain itself reads is not kept.
        let kept: Box<[Slot]> = written
            .into_iter()
            .filter(|slot| body.read.get(slot).copied().unwrap_or(0) > inside.get(slot).copied().unwrap_or(0))
            .collect();
        let mut site_ops = chain.before.clone();
        site_ops.extend(own);
        let keys: Box<[Slot]> = chain.compared.iter().map(|(_, slot)| *slot).collect();
        let member = member(self.facts, &site_ops, keys.iter().chain(&kept).copied().collect());
        let nothing = &mut Before::default();
        let site_ops: Vec<Op> = site_ops.into_iter().map(|op| self.inside(body, op, nothing)).collect();
        let moved: Vec<Op> = moved.into_iter().map(|op| self.inside(body, op, nothing)).collect();
        let before: Vec<Op> =
            pick(&chain.ahead).into_iter().map(|op| self.inside(body, op, nothing)).collect();
        let kind = SiteKind::Chain(SiteChain { slots: body.slots, ops: site_ops.into(), keys, kept, member });
        let site = self.site(body.module, kind)?;
        Some(Join {
            site,
            scan: scan.into(),
            before: before.into(),
            keys: chain.compared.iter().map(|(key, _)| Arg::Slot(*key)).collect(),
            behind: moved.into(),
        })
    }
}

/// What is the same for all lists of a branch.
struct Body<'b> {
    module: usize,
    slots: u32,
    /// What it costs to go through all that an iteration leads to.
    cost: ComparingCost,
    /// How often each slot is read in it.
    read: &'b BTreeMap<Slot, usize>,
}

/// Closed operations with one answer that are run before a list comes to where it is.
#[derive(Default)]
struct Before {
    ops: Vec<Op>,
    slots: BTreeSet<Slot>,
    /// Those of the slots that come from `data`.
    of_data: BTreeSet<Slot>,
    /// Other slots that hold what `data` has at a path, of which some keys are not constant.
    parts: BTreeMap<Slot, Vec<Option<Value>>>,
}

impl Before {
    fn push(&mut self, op: Op, facts: Facts) {
        let reads_data = facts.reads_data || self.depends_on_data(&free_reads(&op));
        facts::fills(&op, &mut |slot| {
            self.slots.insert(slot);
            if reads_data {
                self.of_data.insert(slot);
            }
        });
        self.ops.push(op);
    }

    /// Follows a path of `data` by keys that the evaluation knows, and says where it goes through all that is
    /// there.
    fn part(&mut self, module: usize, op: &Op) -> Option<Comparing> {
        let base = |root: &Root, parts: &BTreeMap<Slot, Vec<Option<Value>>>| match root {
            Root::Data => Some(Vec::new()),
            Root::Arg(Arg::Slot(slot)) => parts.get(slot).cloned(),
            Root::Input | Root::Arg(Arg::Const(_)) => None,
        };
        match &op.kind {
            OpKind::Path { root, keys, to, .. } => {
                let mut path = base(root, &self.parts)?;
                path.extend(keys.iter().map(constant));
                self.parts.insert(*to, path);
                None
            }
            OpKind::Scan { root, .. } => {
                let mut path = base(root, &self.parts)?;
                path.push(None);
                Some(Comparing { module, span: op.span, path, cost: ComparingCost::Part })
            }
            _ => None,
        }
    }

    fn forget_since(&mut self, mark: usize) {
        for op in self.ops.drain(mark.min(self.ops.len())..) {
            facts::fills(&op, &mut |slot| {
                self.slots.remove(&slot);
                self.of_data.remove(&slot);
            });
        }
    }

    /// Those that slots come from.
    fn needed(&self, mut slots: BTreeSet<Slot>) -> Vec<Op> {
        let mut needed = Vec::new();
        for op in self.ops.iter().rev() {
            let mut is_needed = false;
            facts::fills(op, &mut |slot| is_needed |= slots.contains(&slot));
            if is_needed {
                slots.extend(free_reads(op));
                needed.push(op.clone());
            }
        }
        needed.reverse();
        needed
    }

    fn depends_on_data(&self, slots: &BTreeSet<Slot>) -> bool {
        slots.iter().any(|slot| self.of_data.contains(slot))
    }
}

/// A row of operations that a look-up stands for, by their positions in it.
struct Chain {
    /// Closed operations that its own need, from before the row.
    before: Vec<Op>,
    /// Its own.
    own: Vec<usize>,
    /// What is compared: a slot from elsewhere with one of its own.
    compared: Vec<(Slot, Slot)>,
    /// Those of others that need nothing of it.
    ahead: Vec<usize>,
    /// Those of others that do.
    behind: Vec<usize>,
    /// How many operations the row has.
    length: usize,
}

impl Chain {
    /// The chain that begins with the first operation, which is closed and has answers.
    fn of(groups: &GroupFacts, ops: &[Op], before: &Before) -> Option<Self> {
        let mut chain = Self {
            before: Vec::new(),
            own: Vec::new(),
            compared: Vec::new(),
            ahead: Vec::new(),
            behind: Vec::new(),
            length: 0,
        };
        let mut own_slots = BTreeSet::new();
        let mut behind_slots = BTreeSet::new();
        let mut reads_data = false;
        let mut needed = BTreeSet::new();
        for (position, op) in ops.iter().take(LONGEST_CHAIN).enumerate() {
            let facts = groups.op(op);
            let reads = free_reads(op);
            let is_own = |slot: &Slot| own_slots.contains(slot);
            if facts.is_closed && reads.iter().all(|slot| is_own(slot) || before.slots.contains(slot)) {
                // Another collection is one of its own: with both in the chain it would have an answer for
                // each pair.
                let is_another = facts.reads_data && !reads.iter().any(is_own);
                if is_another && !chain.compared.is_empty() {
                    break;
                }
                reads_data |= facts.reads_data;
                needed.extend(reads.into_iter().filter(|slot| !own_slots.contains(slot)));
                facts::fills(op, &mut |slot| _ = own_slots.insert(slot));
                chain.own.push(position);
            } else if let Some(compared) = compared(op, &own_slots, &behind_slots, &before.slots) {
                chain.compared.push(compared);
                chain.length = position + 1;
            } else if facts::has_answers(op) || !facts.is_infallible {
                break;
            } else if reads.iter().any(|slot| is_own(slot) || behind_slots.contains(slot)) {
                facts::fills(op, &mut |slot| _ = behind_slots.insert(slot));
                chain.behind.push(position);
            } else {
                chain.ahead.push(position);
            }
        }
        let length = chain.length;
        for positions in [&mut chain.own, &mut chain.ahead, &mut chain.behind] {
            positions.retain(|position| *position < length);
        }
        if length == 0 || !(reads_data || before.depends_on_data(&needed)) {
            return None;
        }
        chain.before = before.needed(needed);
        Some(chain)
    }
}

fn constant(key: &Arg) -> Option<Value> {
    match key {
        Arg::Const(key) => Some(key.clone()),
        Arg::Slot(_) => None,
    }
}

/// What an iteration leads to that begins with the first of these operations.
fn comparing(module: usize, before: &Before, ops: &[Op], cost: ComparingCost) -> Comparing {
    let span = ops.first().map(|op| op.span).unwrap_or_default();
    let mut paths: BTreeMap<Slot, Vec<Option<Value>>> = BTreeMap::new();
    let mut longest = Vec::new();
    for (position, op) in before.ops.iter().chain(ops.iter().take(LONGEST_CHAIN)).enumerate() {
        let (root, steps, to) = match &op.kind {
            OpKind::Path { root, keys, to, .. } => (root, keys.iter().map(constant).collect(), to),
            OpKind::Scan { root, to, .. } => (root, vec![None], to),
            _ => continue,
        };
        let base = match root {
            Root::Data => Some(Vec::new()),
            Root::Arg(Arg::Slot(slot)) => paths.get(slot).cloned(),
            Root::Input | Root::Arg(Arg::Const(_)) => None,
        };
        // What comes later from somewhere else is another iteration.
        let is_other = position > before.ops.len() && matches!(root, Root::Data);
        if let Some(mut path) = base.filter(|_| !is_other) {
            path.extend::<Vec<_>>(steps);
            if position >= before.ops.len() && path.len() > longest.len() && longest.len() < LONGEST_PATH {
                longest.clone_from(&path);
            }
            paths.insert(*to, path);
        }
    }
    Comparing { module, span, path: longest, cost }
}

/// The part of a chain that looks at one member only: what comes after the iteration over members, if it
/// reads nothing of `data`. `read` are the slots that are read of the chain.
fn member(facts: &GroupFacts, ops: &[Op], mut read: BTreeSet<Slot>) -> Option<Member> {
    let mut depths: BTreeMap<Slot, usize> = BTreeMap::new();
    let mut found = None;
    for (position, op) in ops.iter().enumerate() {
        let (root, steps, to) = match &op.kind {
            OpKind::Path { root, keys, to, .. } => (root, keys.len(), *to),
            OpKind::Scan { root, to, .. } => (root, 1, *to),
            // What rules made of members: those that are still the same made the same.
            OpKind::Document { to, .. } if facts.op(op).reads_data => {
                depths.insert(*to, LONGEST_PATH - 1);
                continue;
            }
            _ => continue,
        };
        let depth = match root {
            Root::Data => steps,
            Root::Arg(Arg::Slot(slot)) => match depths.get(slot) {
                Some(depth) => depth + steps,
                None => continue,
            },
            Root::Input | Root::Arg(Arg::Const(_)) => continue,
        };
        depths.insert(to, depth);
        if depth <= LONGEST_PATH && matches!(op.kind, OpKind::Scan { .. }) {
            found = Some((position + 1, to));
        }
    }
    let (after, slot) = found?;
    let (first, second) = ops.split_at_checked(after)?;
    if second.is_empty() || second.iter().any(|op| facts.op(op).reads_data) {
        return None;
    }
    for op in second {
        read.extend(free_reads(op));
    }
    let mut fixed = BTreeSet::new();
    for op in first {
        facts::fills(op, &mut |slot| _ = fixed.insert(slot));
    }
    fixed.retain(|other| *other != slot && read.contains(other));
    Some(Member { after, slot, fixed: fixed.into_iter().collect() })
}

/// Steps of a path that are reported, and where objects are:
/// `data.inventory.namespace[_][version][kind][name]`.
const LONGEST_PATH: usize = 6;

/// The slots of a comparison for equality between something from elsewhere and something of the chain.
fn compared(
    op: &Op,
    own: &BTreeSet<Slot>,
    behind: &BTreeSet<Slot>,
    before: &BTreeSet<Slot>,
) -> Option<(Slot, Slot)> {
    let (left, right) = match &op.kind {
        OpKind::Compare { operator: Comparison::Equal, left: Arg::Slot(left), right: Arg::Slot(right) }
        | OpKind::Match { value: Arg::Slot(left), pattern: Pattern::Equal(Arg::Slot(right)) } => {
            (*left, *right)
        }
        _ => return None,
    };
    let is_elsewhere = |slot| !own.contains(&slot) && !behind.contains(&slot) && !before.contains(&slot);
    match (own.contains(&left), own.contains(&right)) {
        (true, false) if is_elsewhere(right) => Some((right, left)),
        (false, true) if is_elsewhere(left) => Some((left, right)),
        _ => None,
    }
}

/// The slots that an operation needs to be filled.
fn free_reads(op: &Op) -> BTreeSet<Slot> {
    let mut reads = BTreeSet::new();
    facts::reads(op, &mut |slot| _ = reads.insert(slot));
    if !reads.is_empty() {
        facts::writes(op, &mut |slot| _ = reads.remove(&slot));
    }
    reads
}

/// The sites that one needs to be built, those first that others of them need.
fn needed(form: &NormalForm, id: SiteId) -> Box<[SiteId]> {
    let mut walk = Walk { form, groups: BTreeSet::new(), sites: BTreeSet::new(), order: Vec::new() };
    walk.site_contents(id);
    walk.order.retain(|found| *found != id);
    walk.order.into()
}

struct Walk<'f> {
    form: &'f NormalForm,
    groups: BTreeSet<GroupId>,
    sites: BTreeSet<SiteId>,
    order: Vec<SiteId>,
}

impl Walk<'_> {
    fn site(&mut self, id: SiteId) {
        if self.sites.insert(id) {
            self.site_contents(id);
            self.order.push(id);
        }
    }

    fn site_contents(&mut self, id: SiteId) {
        match self.form.sites.get(id).map(|site| &site.kind) {
            Some(SiteKind::Document(group)) => self.group(*group),
            Some(SiteKind::Set(rules)) => rules.iter().for_each(|rule| self.ops(&rule.chain.ops)),
            Some(SiteKind::Chain(chain)) => self.ops(&chain.ops),
            None => {}
        }
    }

    fn group(&mut self, id: GroupId) {
        let Some(group) = self.form.groups.get(id).filter(|_| self.groups.insert(id)) else { return };
        for definition in group.definitions.iter().chain(&group.default) {
            definition.branches.iter().for_each(|branch| self.ops(&branch.ops));
        }
        // Its own site is built from what it needs, of which it is none.
        if let Some(site) = group.site {
            self.site(site);
        }
    }

    fn ops(&mut self, ops: &[Op]) {
        for op in ops {
            match &op.kind {
                OpKind::Document { group, .. } | OpKind::Call { callee: Callee::Function(group), .. } => {
                    self.group(*group);
                }
                OpKind::Collect { collect, .. } => self.ops(&collect.ops),
                OpKind::Not { ops } | OpKind::Every { ops, .. } | OpKind::With { ops, .. } => self.ops(ops),
                OpKind::Join(join) => {
                    self.ops(&join.scan);
                    self.ops(&join.before);
                    self.ops(&join.behind);
                    self.site(join.site);
                }
                _ => {}
            }
        }
    }
}
