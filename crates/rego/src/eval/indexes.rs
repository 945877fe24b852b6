//! What is made once from a `data` document, and used by all evaluations with it.
//!
//! What is made depends on the program and `data` only: it is made without input, time and seed, and within
//! limits of its own that are no evaluation's. If it cannot be made, because of a limit or an error, every
//! evaluation does without and meets the error where the text has it. So nothing that an evaluation answers,
//! counts or fails of depends on which came first.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError, Weak};

use portcullis_rego_syntax::Span;
use portcullis_value::{Budget, LimitKind, Limits, Object, Value};

use super::heap::{Heap, UNDEFINED};
use super::replaced::World;
use super::shared::Notes;
use super::tracer::{Tracer, Untraced};
use super::{Flow, Input, MAX_SLOTS, Machine, Step, Stop};
use crate::builtins::Outside;
use crate::collections;
use crate::normal_form::{Join, Member, Op, SetRule, SiteChain, SiteId, SiteKind};
use crate::program::Program;

/// What indexes may use: each of those of a program, or all of them together. It is the maker's to divide
/// what there is, and to do so by programs and data only: whether an index is there must not depend on what
/// came before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IndexLimits {
    /// Most steps to make one: twenty million take a second or two.
    pub steps: u64,
    /// Most bytes.
    pub memory: u64,
}

impl IndexLimits {
    /// More than this no index may use, whatever there is.
    pub const OF_ONE: Self = Self { steps: 25_000_000, memory: 128 << 20 };
}

impl Default for IndexLimits {
    fn default() -> Self {
        Self::OF_ONE
    }
}

impl From<IndexLimits> for Limits {
    fn from(limits: IndexLimits) -> Self {
        let most = IndexLimits::OF_ONE;
        let (steps, memory) = (limits.steps.min(most.steps), limits.memory.min(most.memory));
        Self { steps, memory, depth: 64, output: 0 }
    }
}

/// Indexes of one program over one `data` document: empty at first, filled by the evaluations that need them.
/// Shared by threads; who needs what another is making waits for it.
pub struct Indexes {
    program: Weak<()>,
    data: Value,
    limits: IndexLimits,
    sites: Box<[OnceLock<Made>]>,
    /// What was made of another document, until it is made of this one.
    known: Box<[Mutex<Vec<Arc<Rows>>>]>,
}

/// What was made.
enum Made {
    /// Nothing that can be used: a limit, or an error. What was found until then is kept, so that the next
    /// attempt, over data that have much in common, takes as many steps and nearly no time.
    Nothing(Vec<Arc<Rows>>),
    Document(Value),
    /// And the elements by the members that they come from, for each rule.
    Set(Value, Vec<Arc<Rows>>),
    Rows(Arc<Rows>),
}

impl Made {
    fn rows(&self) -> &[Arc<Rows>] {
        match self {
            Self::Document(_) => &[],
            Self::Set(_, rules) | Self::Nothing(rules) => rules,
            Self::Rows(rows) => std::slice::from_ref(rows),
        }
    }
}

/// Answers of a chain.
struct Rows {
    /// For each row its keys, then what is kept of it, in the order they were found in.
    values: Box<[Value]>,
    keys: usize,
    width: usize,
    /// Rows by their keys, those of one key in the order they were found in.
    order: Box<[u32]>,
    /// Where they come from, if the chain has a part for members.
    members: Members,
}

/// Rows that are being found.
#[derive(Default)]
struct Found {
    values: Vec<Value>,
    members: Members,
    /// What they weigh when they are brought in order.
    weight: u64,
    /// The rows that were known, and where they are now.
    moved: Vec<(Range<usize>, usize)>,
}

impl Found {
    /// Adds the rows of a member that is known.
    fn take_over(&mut self, known: KnownMember<'_>, width: usize) {
        let width = width.max(1);
        let rows = known.values.start / width..known.values.end / width;
        self.moved.push((rows, self.values.len() / width));
        self.values.extend_from_slice(known.rows.values.get(known.values).unwrap_or_default());
        self.members.taken_over += 1;
    }

    fn len(&self, chain: &SiteChain) -> usize {
        self.values.len() / chain.width().max(1)
    }

    /// What came of the members that were gone through to their end: rows that nobody can look anything up
    /// in.
    fn into_part(self, chain: &SiteChain) -> Rows {
        let Self { mut values, members, .. } = self;
        values.truncate(members.list.last().map_or(0, |member| member.values.end));
        Rows {
            values: values.into(),
            keys: chain.keys.len(),
            width: chain.width(),
            order: Box::default(),
            members,
        }
    }

    fn into_rows(self, chain: &SiteChain, known: Option<&Rows>) -> Rows {
        // A part has no order that could be kept.
        let known = known.filter(|known| known.order.len() == known.len());
        let Self { values, mut members, moved, .. } = self;
        members.list.shrink_to_fit();
        members.fixed.shrink_to_fit();
        let mut rows = Rows {
            values: values.into(),
            keys: chain.keys.len(),
            width: chain.width(),
            order: Box::default(),
            members,
        };
        // Those that were known are in order already, which sorting finds.
        const NEW: u32 = u32::MAX;
        let mut order: Vec<u32> = Vec::with_capacity(rows.len());
        let mut is_new = vec![true; rows.len()];
        if let Some(known) = known {
            let mut places = vec![NEW; known.len()];
            for (before, now) in moved {
                for (row, now) in before.zip(now..) {
                    if let (Some(place), Ok(number), Some(is_new)) =
                        (places.get_mut(row), u32::try_from(now), is_new.get_mut(now))
                    {
                        *place = number;
                        *is_new = false;
                    }
                }
            }
            let before = known.order.iter().filter_map(|row| places.get(*row as usize));
            order.extend(before.filter(|place| **place != NEW));
        }
        // Limits leave no room for more rows than that.
        order.extend((0..NEW).zip(&is_new).filter(|(_, is_new)| **is_new).map(|(row, _)| row));
        order.sort_by(|a, b| rows.key(*a).cmp(rows.key(*b)).then(a.cmp(b)));
        rows.order = order.into();
        rows
    }
}

/// The members that rows come from, in order.
#[derive(Default)]
struct Members {
    list: Vec<MemberRows>,
    /// For each of them the other slots that its rows depend on.
    fixed: Vec<Value>,
    width: usize,
    /// How many were known.
    taken_over: usize,
}

/// What came of one member, and what it took.
struct MemberRows {
    member: Value,
    values: Range<usize>,
    cost: Cost,
}

#[derive(Clone, Copy, Default)]
struct Cost {
    steps: u64,
    memory: u64,
    /// The part of the steps that bringing rows in order is charged by.
    weight: u64,
}

impl Indexes {
    pub(crate) fn new(program: &Arc<()>, data: &Value, sites: usize) -> Self {
        Self {
            program: Arc::downgrade(program),
            data: data.clone(),
            limits: IndexLimits::default(),
            sites: (0..sites).map(|_| OnceLock::new()).collect(),
            known: (0..sites).map(|_| Mutex::default()).collect(),
        }
    }

    /// With other limits, for each of them; for indexes of which none was made yet.
    #[must_use]
    pub fn with_limits(self, limits: IndexLimits) -> Self {
        Self { limits, ..self }
    }

    /// What each of them may use.
    pub const fn limits(&self) -> IndexLimits {
        self.limits
    }

    /// Indexes over a document that has much in common with this one. What is in both, by reference, is not
    /// looked at again; answers and costs of evaluations are the same as with [`Program::indexes`].
    #[must_use]
    pub fn of_changed(&self, data: &Value) -> Self {
        let known = self.sites.iter().zip(&self.known).map(|(site, known)| match site.get() {
            Some(made) => Mutex::new(made.rows().to_vec()),
            // Nobody panics while it is locked; what was in it would be whole.
            _ => Mutex::new(known.lock().unwrap_or_else(PoisonError::into_inner).clone()),
        });
        Self {
            program: self.program.clone(),
            data: data.clone(),
            limits: self.limits,
            known: known.collect(),
            sites: self.sites.iter().map(|_| OnceLock::new()).collect(),
        }
    }

    /// Makes all of them, so that no evaluation has to. Takes up to some seconds for each iteration over
    /// `data`, at the first time; after that ([`Self::of_changed`]) what the changed members take, and
    /// ordering the answers.
    pub fn prepare(&self, program: &Program) {
        if self.is_of(program) {
            for id in 0..self.sites.len() {
                self.site(program, id);
            }
        }
    }

    /// Whether they are of this program.
    pub fn is_of(&self, program: &Program) -> bool {
        self.program.strong_count() > 0
            && std::ptr::eq(self.program.as_ptr(), Arc::as_ptr(program.identity()))
    }

    /// Whether the program is no more, so that nobody can use them.
    pub fn is_orphan(&self) -> bool {
        self.program.strong_count() == 0
    }

    /// How many answers they hold, and documents that were made of all of `data`.
    pub fn len(&self) -> usize {
        let rows = |made: &Made| match made {
            Made::Nothing(_) => 0,
            Made::Document(_) | Made::Set(..) => 1,
            Made::Rows(rows) => rows.len(),
        };
        self.sites.iter().filter_map(OnceLock::get).map(rows).sum()
    }

    /// How many members were not looked at again: see [`Self::of_changed`].
    pub fn taken_over(&self) -> usize {
        let made = self.sites.iter().filter_map(OnceLock::get);
        made.flat_map(Made::rows).map(|rows| rows.members.taken_over).sum()
    }

    /// True if nothing was made.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn are_of(&self, program: &Arc<()>, data: &Value) -> bool {
        self.data.is_same(data) && std::ptr::eq(self.program.as_ptr(), Arc::as_ptr(program))
    }

    /// What a site has; none if it cannot be made.
    fn site(&self, program: &Program, id: SiteId) -> Option<&Made> {
        let needs = &program.form().sites.get(id)?.needs;
        // One after the other: what makes one finds those that it needs.
        for needed in needs {
            self.make(program, *needed);
        }
        self.make(program, id)
    }

    fn make(&self, program: &Program, id: SiteId) -> Option<&Made> {
        let site = self.sites.get(id)?;
        let known = self.known.get(id)?;
        let lock = || known.lock().unwrap_or_else(PoisonError::into_inner);
        let made = site.get_or_init(|| {
            let before = lock().clone();
            make(program, self, id, &before)
        });
        // It keeps objects that may be no more.
        lock().clear();
        (!matches!(made, Made::Nothing(_))).then_some(made)
    }
}

impl fmt::Debug for Indexes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Indexes({} answers)", self.len())
    }
}

fn make(program: &Program, indexes: &Indexes, id: SiteId, known: &[Arc<Rows>]) -> Made {
    let form = program.form();
    let Some(site) = form.sites.get(id) else { return Made::Nothing(Vec::new()) };
    let heap = Heap::default();
    let mut machine = Machine {
        source: program,
        program: form,
        caches: program.caches(),
        budget: Budget::new(indexes.limits.into(), None),
        heap: &heap,
        stack: Vec::new(),
        base: 0,
        module: site.module,
        depth: 0,
        world: World::new(&Input::Undefined, &indexes.data, Vec::new(), form.groups.len()),
        outer: Vec::new(),
        found: Vec::new(),
        text: String::new(),
        outside: Outside::default(),
        unknown: 0,
        unknown_documents: Vec::new(),
        prints: Vec::new(),
        output: 0,
        now_ns: None,
        seed: 0,
        strict: false,
        indexes: Some(indexes),
        special: None,
        shared: None,
        notes: Notes::default(),
        tracer: Untraced,
        making: Some(id),
    };
    let made = match &site.kind {
        SiteKind::Document(group) => machine
            .document(*group)
            .map_or_else(|_| Made::Nothing(Vec::new()), |value| Made::Document(value.clone())),
        SiteKind::Set(rules) => machine.set_of(rules, known),
        SiteKind::Chain(chain) => {
            let known = known.first().map(Arc::as_ref);
            let (found, ended) = machine.rows(chain, known);
            // Each is compared with so many others to bring them in order.
            let count = found.len(chain);
            let ordering = (found.weight + count as u64).saturating_mul(levels(count));
            match ended.and_then(|()| Ok(machine.budget.step(ordering)?)) {
                Ok(()) => Made::Rows(Arc::new(found.into_rows(chain, known))),
                Err(_) => Made::Nothing(vec![Arc::new(found.into_part(chain))]),
            }
        }
    };
    // `facts` lets nothing come here that asks outside.
    if machine.unknown == 0 { made } else { Made::Nothing(Vec::new()) }
}

impl<'v, T: Tracer<'v>> Machine<'v, T> {
    /// A document that is a set.
    fn set_of(&mut self, rules: &'v [SetRule], known: &[Arc<Rows>]) -> Made {
        let (mut elements, mut parts) = (Vec::new(), Vec::new());
        for (place, rule) in rules.iter().enumerate() {
            self.module = rule.module;
            let known = known.get(place).map(Arc::as_ref);
            let (found, ended) = self.rows(&rule.chain, known);
            if ended.and_then(|()| Ok(self.budget.make_items(found.len(&rule.chain))?)).is_err() {
                parts.push(Arc::new(found.into_part(&rule.chain)));
                return Made::Nothing(parts);
            }
            let rows = found.into_rows(&rule.chain, known);
            elements.extend(rows.order.iter().flat_map(|row| rows.key(*row)).cloned());
            parts.push(Arc::new(rows));
        }
        // Nearly in order, which sorting finds.
        let elements: BTreeSet<Value> = elements.into_iter().collect();
        Made::Set(Value::from(elements), parts)
    }

    /// The answers of a chain, and whether these are all.
    fn rows(&mut self, chain: &'v SiteChain, known: Option<&Rows>) -> (Found, Result<(), Stop>) {
        let mut found = Found::default();
        if chain.slots as usize > MAX_SLOTS {
            return (found, Err(self.budget.exceeded(LimitKind::Depth).into()));
        }
        self.stack.clear();
        self.stack.resize(chain.slots as usize, UNDEFINED);
        let parts =
            chain.member.as_ref().and_then(|part| Some((part, chain.ops.split_at_checked(part.after)?)));
        let ended = match parts {
            None => {
                self.run(&chain.ops, &mut |machine| machine.row(chain, &mut found.values, &mut found.weight))
            }
            Some((part, (first, second))) => {
                found.members.width = part.fixed.len();
                let known = known.map(KnownMembers::of);
                self.run(first, &mut |machine| {
                    machine.members(chain, part, second, known.as_ref(), &mut found)?;
                    Ok(Flow::More)
                })
            }
        };
        (found, ended.map(|_| ()))
    }

    /// Adds what the slots hold as a row.
    fn row(&mut self, chain: &'v SiteChain, values: &mut Vec<Value>, weight: &mut u64) -> Step {
        self.budget.take(chain.width().saturating_mul(std::mem::size_of::<Value>()))?;
        let before = self.budget.steps();
        for slot in &chain.keys {
            let key = self.slot(*slot);
            collections::weigh(&mut self.budget, key)?;
            values.push(key.clone());
        }
        *weight += self.budget.steps() - before;
        values.extend(chain.kept.iter().map(|slot| self.slot(*slot).clone()));
        Ok(Flow::More)
    }

    /// Adds the rows of a member: those that are known, at the price that they had.
    fn members(
        &mut self,
        chain: &'v SiteChain,
        part: &'v Member,
        ops: &'v [Op],
        known: Option<&KnownMembers<'_>>,
        found: &mut Found,
    ) -> Result<(), Stop> {
        let width = 1 + part.fixed.len();
        self.budget
            .take(width.saturating_mul(std::mem::size_of::<Value>()) + std::mem::size_of::<MemberRows>())?;
        let member = self.slot(part.slot);
        let start = found.values.len();
        let fixed = part.fixed.iter().map(|slot| self.slot(*slot));
        let cost = if let Some(known) = known.and_then(|known| known.find(member, fixed)) {
            let cost = known.cost;
            self.budget.step(cost.steps)?;
            self.budget.charge(cost.memory)?;
            found.take_over(known, chain.width());
            cost
        } else {
            let (steps, memory) = (self.budget.steps(), self.budget.memory());
            let mut weight = 0;
            let values = &mut found.values;
            self.run(ops, &mut |machine| machine.row(chain, values, &mut weight))?;
            Cost { steps: self.budget.steps() - steps, memory: self.budget.memory() - memory, weight }
        };
        found.weight += cost.weight;
        found.members.fixed.extend(part.fixed.iter().map(|slot| self.slot(*slot).clone()));
        found.members.list.push(MemberRows {
            member: member.clone(),
            values: start..found.values.len(),
            cost,
        });
        Ok(())
    }

    /// A document of rules that was made already, or is now.
    pub(super) fn kept_document(&mut self, site: SiteId) -> Result<Option<&'v Value>, Stop> {
        let Some(Made::Document(value) | Made::Set(value, _)) = self.made(site) else { return Ok(None) };
        self.budget.step(1)?;
        Ok(Some(value))
    }

    /// What a site has, if `data`, rules and functions are here what it was made of.
    fn made(&self, site: SiteId) -> Option<&'v Made> {
        let indexes = self.indexes?;
        let is_replaced = !self.world.replaced.is_empty() || !self.world.functions.is_empty();
        if is_replaced || self.making == Some(site) {
            return None;
        }
        indexes.site(self.source, site)
    }

    /// Compares with the answers of a chain.
    pub(super) fn join(
        &mut self,
        join: &'v Join,
        span: Span,
        after: &'v [Op],
        found: &mut dyn FnMut(&mut Self) -> Step,
    ) -> Step {
        let program = self.program;
        let chain = match program.sites.get(join.site).map(|site| &site.kind) {
            Some(SiteKind::Chain(chain)) => Some(chain),
            _ => None,
        };
        let Some((chain, Made::Rows(rows))) = chain.zip(self.made(join.site)) else {
            return self.run(&join.scan, &mut |machine| machine.run(after, found));
        };
        if rows.is_empty() {
            return Ok(Flow::More);
        }
        self.run(&join.before, &mut |machine| {
            let range = machine.look_up(join, rows).map_err(|error| machine.located(error, span))?;
            let Some(range) = range else {
                // What was run already has the same answer once more.
                return machine.run(&join.scan, &mut |machine| machine.run(after, found));
            };
            machine.deeper().map_err(|error| machine.located(error, span))?;
            let mut flow = Ok(Flow::More);
            for row in rows.order.get(range).unwrap_or_default() {
                let kept = rows.kept(*row);
                machine
                    .budget
                    .step(1 + kept.len() as u64 / 4)
                    .map_err(|error| machine.located(error.into(), span))?;
                for (slot, value) in chain.kept.iter().zip(kept) {
                    machine.set(*slot, value);
                }
                flow = machine.run(&join.behind, &mut |machine| machine.run(after, found));
                if !matches!(flow, Ok(Flow::More)) {
                    break;
                }
            }
            machine.depth -= 1;
            flow
        })
    }

    /// The rows of a key; none if it is nested too deep to be looked up, which is no reason for it not to be
    /// compared.
    fn look_up(&mut self, join: &'v Join, rows: &Rows) -> Result<Option<Range<usize>>, Stop> {
        let key: Vec<&Value> = join.keys.iter().map(|arg| self.value(arg)).collect();
        let before = self.budget.steps();
        for value in &key {
            match collections::weigh(&mut self.budget, value) {
                Ok(()) => {}
                Err(exceeded) if exceeded.limit == LimitKind::Depth => return Ok(None),
                Err(exceeded) => return Err(exceeded.into()),
            }
        }
        let weight = self.budget.steps() - before;
        self.budget.step((weight + 1).saturating_mul(levels(rows.len())))?;
        Ok(Some(rows.of(&key)))
    }
}

/// How many others one of so many is compared with to find its place.
fn levels(count: usize) -> u64 {
    u64::from(count.checked_ilog2().unwrap_or(0)) + 1
}

impl Rows {
    fn len(&self) -> usize {
        self.values.len() / self.width.max(1)
    }

    fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    fn key(&self, row: u32) -> &[Value] {
        let start = row as usize * self.width;
        self.values.get(start..start + self.keys).unwrap_or_default()
    }

    fn kept(&self, row: u32) -> &[Value] {
        let start = row as usize * self.width;
        self.values.get(start + self.keys..start + self.width).unwrap_or_default()
    }

    /// The key that is at a place in the order.
    fn key_at(&self, place: usize) -> &[Value] {
        self.order.get(place).map(|row| self.key(*row)).unwrap_or_default()
    }

    /// The places of a key in the order.
    fn of(&self, key: &[&Value]) -> Range<usize> {
        let order = |place| self.key_at(place).iter().cmp(key.iter().copied());
        let (mut start, mut end) = (0, self.len());
        // The first that is not before the key.
        while start < end {
            let middle = start.midpoint(end);
            if order(middle).is_lt() { start = middle + 1 } else { end = middle }
        }
        let (first, mut end) = (start, self.len());
        // The first after it.
        while start < end {
            let middle = start.midpoint(end);
            if order(middle).is_le() { start = middle + 1 } else { end = middle }
        }
        first..start
    }
}

/// Rows that are known, by the members that they come from.
struct KnownMembers<'r> {
    rows: &'r Rows,
    /// By where the member is in memory, where it stays as long as the rows do.
    places: HashMap<usize, usize>,
}

impl<'r> KnownMembers<'r> {
    fn of(rows: &'r Rows) -> Self {
        let members = &rows.members.list;
        let mut places = HashMap::with_capacity(members.len());
        places.extend(
            members.iter().enumerate().filter_map(|(place, known)| Some((address(&known.member)?, place))),
        );
        Self { rows, places }
    }

    /// What came of a member, if it came of the very same values.
    fn find<'v>(&self, member: &Value, fixed: impl Iterator<Item = &'v Value>) -> Option<KnownMember<'r>> {
        let members = &self.rows.members;
        let place = *self.places.get(&address(member)?)?;
        let known = members.list.get(place)?;
        let start = place * members.width;
        let all_same =
            members.fixed.get(start..start + members.width)?.iter().zip(fixed).all(|(a, b)| is_same(a, b));
        (all_same && is_same(&known.member, member)).then(|| KnownMember {
            rows: self.rows,
            values: known.values.clone(),
            cost: known.cost,
        })
    }
}

/// A member that is known.
struct KnownMember<'r> {
    rows: &'r Rows,
    values: Range<usize>,
    cost: Cost,
}

/// Where an object is in memory.
fn address(value: &Value) -> Option<usize> {
    value.as_object().map(Object::address)
}

/// Whether it is the same scalar, or the same collection by reference. Collections that are equal only are as
/// good as others.
fn is_same(a: &Value, b: &Value) -> bool {
    if a.is_collection() { a.is_same(b) } else { a == b }
}
