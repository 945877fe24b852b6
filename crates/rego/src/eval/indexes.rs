//! What is made once from a `data` document, and used by all evaluations with it.
//!
//! What is made depends on the program and `data` only: it is made without input, time and seed, and within limits of its own
//! that are no evaluation's. If it cannot be made, because of a limit or an error, every evaluation does without and meets the
//! error where the text has it. So nothing that an evaluation answers, counts or fails of depends on which came first.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, OnceLock, Weak};

use portcullis_rego_syntax::Span;

use super::replaced::World;
use super::{Flow, MOST_SLOTS, Machine, Step, collections};
use crate::Value;
use crate::error::EvalError;
use crate::limits::{Budget, LimitKind, Limits};
use crate::normal_form::{Join, Op, SiteChain, SiteId, SiteKind};
use crate::program::Program;

/// What making one of them may use: some three seconds at most, and memory beside the inventory's own.
const LIMITS: Limits = Limits { steps: 20_000_000, memory: 128 << 20, depth: 64, output: 0 };

/// Indexes of one program over one `data` document: empty at first, filled by the evaluations that need them. Shared by
/// threads; who needs what another is making waits for it.
pub struct Indexes {
    program: Weak<()>,
    data: Value,
    sites: Box<[OnceLock<Option<Made>>]>,
}

/// What was made.
enum Made {
    Document(Value),
    Rows(Rows),
}

/// Answers of a chain, those of one key beside each other and in the order they were found in.
struct Rows {
    /// For each row its keys, then what is kept of it.
    values: Box<[Value]>,
    keys: usize,
    width: usize,
}

impl Indexes {
    pub(crate) fn new(program: &Arc<()>, data: &Value, sites: usize) -> Self {
        Self {
            program: Arc::downgrade(program),
            data: data.clone(),
            sites: (0..sites).map(|_| OnceLock::new()).collect(),
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
            Made::Document(_) => 1,
            Made::Rows(rows) => rows.len(),
        };
        self.sites.iter().filter_map(|site| site.get()?.as_ref()).map(rows).sum()
    }

    /// True if nothing was made.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn are_of(&self, program: &Arc<()>, data: &Value) -> bool {
        let same = match (&self.data, data) {
            (Value::Object(one), Value::Object(other)) => Arc::ptr_eq(one, other),
            _ => false,
        };
        same && std::ptr::eq(self.program.as_ptr(), Arc::as_ptr(program))
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
        self.sites.get(id)?.get_or_init(|| make(program, self, id).ok().flatten()).as_ref()
    }
}

impl fmt::Debug for Indexes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Indexes({} answers)", self.len())
    }
}

fn make(program: &Program, indexes: &Indexes, id: SiteId) -> Result<Option<Made>, EvalError> {
    let form = program.form();
    let Some(site) = form.sites.get(id) else { return Ok(None) };
    let mut machine = Machine {
        source: program,
        program: form,
        caches: program.caches(),
        budget: Budget::new(LIMITS, None),
        stack: Vec::new(),
        base: 0,
        module: site.module,
        depth: 0,
        world: World::new(None, indexes.data.clone(), form.groups.len()),
        outer: Vec::new(),
        prints: Vec::new(),
        output: 0,
        now_ns: None,
        seed: 0,
        strict: false,
        indexes: Some(indexes),
        making: Some(id),
    };
    match &site.kind {
        SiteKind::Document(group) => machine.document(*group).map(Made::Document).map(Some),
        SiteKind::Chain(chain) => machine.rows(chain).map(Made::Rows).map(Some),
    }
}

impl<'p, 'e> Machine<'p, 'e> {
    /// The answers of a chain.
    fn rows(&mut self, chain: &'p SiteChain) -> Result<Rows, EvalError> {
        let width = chain.keys.len() + chain.kept.len();
        if chain.slots as usize > MOST_SLOTS {
            return Err(self.budget.exceeded(LimitKind::Depth).into());
        }
        self.stack.resize(chain.slots as usize, Value::Undefined);
        let mut values: Vec<Value> = Vec::new();
        let mut weight = 0;
        self.run(&chain.ops, &mut |machine| {
            machine.budget.take(width.saturating_mul(std::mem::size_of::<Value>()))?;
            let before = machine.budget.steps();
            for slot in &chain.keys {
                let key = machine.slot(*slot).clone();
                collections::weigh(&mut machine.budget, &key)?;
                values.push(key);
            }
            weight += machine.budget.steps() - before;
            values.extend(chain.kept.iter().map(|slot| machine.slot(*slot).clone()));
            Ok(Flow::More)
        })?;
        let rows = Rows { values: values.into(), keys: chain.keys.len(), width };
        // Each is compared with so many others to bring them in order.
        let count = rows.len();
        self.budget.step((weight + count as u64).saturating_mul(levels(count)))?;
        Ok(rows.in_order())
    }

    /// A document of rules that was made already, or is now.
    pub(super) fn kept_document(&mut self, site: SiteId) -> Result<Option<Value>, EvalError> {
        let Some(Made::Document(value)) = self.made(site) else { return Ok(None) };
        self.budget.step(1)?;
        Ok(Some(value.clone()))
    }

    /// What a site has, if `data`, rules and functions are here what it was made of.
    fn made(&self, site: SiteId) -> Option<&'e Made> {
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
        join: &'p Join,
        span: Span,
        after: &'p [Op],
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
        self.run(&join.before, &mut |machine| {
            let range = machine.look_up(join, rows).map_err(|error| machine.located(error, span))?;
            let Some(range) = range else {
                // What was run already has the same answer once more.
                return machine.run(&join.scan, &mut |machine| machine.run(after, found));
            };
            machine.deeper().map_err(|error| machine.located(error, span))?;
            let mut flow = Ok(Flow::More);
            for row in range {
                let kept = rows.kept(row);
                machine
                    .budget
                    .step(1 + kept.len() as u64 / 4)
                    .map_err(|error| machine.located(error.into(), span))?;
                for (slot, value) in chain.kept.iter().zip(kept) {
                    machine.set(*slot, value.clone());
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

    /// The rows of a key; none if it is nested too deep to be looked up, which is no reason for it not to be compared.
    fn look_up(&mut self, join: &Join, rows: &Rows) -> Result<Option<Range<usize>>, EvalError> {
        let key: Vec<Value> = join.keys.iter().map(|arg| self.value(arg).clone()).collect();
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

    fn key(&self, row: usize) -> &[Value] {
        let start = row * self.width;
        self.values.get(start..start + self.keys).unwrap_or_default()
    }

    fn kept(&self, row: usize) -> &[Value] {
        let start = row * self.width;
        self.values.get(start + self.keys..start + self.width).unwrap_or_default()
    }

    /// By their keys, those of one key as they are.
    fn in_order(self) -> Self {
        let mut order: Vec<usize> = (0..self.len()).collect();
        order.sort_by(|a, b| self.key(*a).cmp(self.key(*b)));
        let values = order.into_iter().flat_map(|row| self.key(row).iter().chain(self.kept(row))).cloned();
        Self { values: values.collect(), ..self }
    }

    fn of(&self, key: &[Value]) -> Range<usize> {
        let (mut start, mut end) = (0, self.len());
        // The first that is not before the key.
        while start < end {
            let middle = start.midpoint(end);
            if self.key(middle) < key { start = middle + 1 } else { end = middle }
        }
        let (first, mut end) = (start, self.len());
        // The first after it.
        while start < end {
            let middle = start.midpoint(end);
            if self.key(middle) <= key { start = middle + 1 } else { end = middle }
        }
        first..start
    }
}
