//! Evaluates a plan, charging for each step what the API server charges. `attributes.rs` is what is read, `calls.rs` what is called and `quick.rs`
//! the functions that are called most, `folds.rs` goes over lists and maps. Values stay where they are: what an evaluation makes is kept until it ends.

mod attributes;
mod calls;
mod folds;
mod quick;

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeSet;
use std::sync::Arc;

use portcullis_value::{Budget, Value};
use smallvec::SmallVec;
use typed_arena::Arena;

use crate::activation::Activation;
use crate::call::{Patterns, unhashable};
use crate::cost::{self, MAKE_LIST, MAKE_MAP, MAKE_MESSAGE, Missing, Stack};
use crate::error::{EvalErrorKind, Fault};
use crate::message;
use crate::plan::{
    Action, FoldStep, Made, NOT_ASKED, NOT_KEPT, Plan, Step, StepId, no_optional_entry, not_optional,
};
use crate::value::{AsKey, CelValue, Entries, Equality, Held, Key, Map, Typed};

type Outcome<'e> = Result<Held<'e>, Fault>;

/// What is counted for a value that is kept until the evaluation ends.
const KEPT: usize = size_of::<CelValue>();
/// So many values are made room for when more are kept.
const FIRST_KEPT: usize = 16;

/// What an evaluation made, until it ends: each is counted by the budget.
#[derive(Default)]
pub(crate) struct Things {
    /// Most evaluations make no more than these.
    first: [OnceCell<CelValue>; 2],
    others: OnceCell<Arena<CelValue>>,
}

impl Things {
    fn keep(&self, value: CelValue) -> &CelValue {
        match self.first.iter().find(|place| place.get().is_none()) {
            Some(place) => place.get_or_init(|| value),
            None => self.others.get_or_init(|| Arena::with_capacity(FIRST_KEPT)).alloc(value),
        }
    }
}

/// What the accumulator of a fold is.
#[derive(Debug)]
enum Accumulator<'e> {
    Held(Held<'e>),
    /// One that nobody else has, so that it can be added to in its place.
    Own(CelValue),
}

/// What a step came to that is the same at each turn of a fold, and what it took.
#[derive(Clone, Copy, Debug)]
struct Kept<'e> {
    value: Held<'e>,
    cost: u64,
    steps: u64,
    memory: u64,
}

/// So many steps are taken at once, so that a watch is not left alone.
const LOOK: u64 = 1024;

/// What the variables of a fold are worth.
#[derive(Debug)]
struct Frame<'e> {
    /// None before it is first read.
    accumulator: Option<Result<Accumulator<'e>, Fault>>,
    /// What adding to it came to, until it is the accumulator of the next turn.
    adding: Option<CelValue>,
    first: Held<'e>,
    second: Held<'e>,
}

impl Default for Frame<'_> {
    fn default() -> Self {
        Self { accumulator: None, adding: None, first: Held::Null, second: Held::Null }
    }
}

/// Where evaluations run, one after the other or inside of each other: they hand on room, and nothing that is in it.
#[derive(Debug, Default)]
pub struct Room(RefCell<Vec<(Stack, String)>>);

/// So many parts, or bytes, are more room than is kept.
const MOST_KEPT: usize = 4096;

pub(crate) struct Machine<'e, 'w> {
    plan: &'e Plan,
    activation: &'e dyn Activation,
    budget: &'e mut Budget<'w>,
    room: &'e Room,
    things: &'e Things,
    patterns: Patterns<'e>,
    /// The variables that were read.
    variables: SmallVec<[Option<Held<'e>>; 4]>,
    frames: SmallVec<[Frame<'e>; 2]>,
    kept: SmallVec<[Option<Kept<'e>>; 1]>,
    stack: Stack,
    /// Where texts are put together.
    text: String,
    cost: u64,
    limit: u64,
}

impl Drop for Machine<'_, '_> {
    fn drop(&mut self) {
        if self.stack.capacity() <= MOST_KEPT && self.text.capacity() <= MOST_KEPT {
            self.text.clear();
            let room = (std::mem::take(&mut self.stack), std::mem::take(&mut self.text));
            self.room.0.borrow_mut().push(room);
        }
    }
}

impl<'e, 'w> Machine<'e, 'w> {
    pub(crate) fn new(
        plan: &'e Plan,
        activation: &'e dyn Activation,
        budget: &'e mut Budget<'w>,
        room: &'e Room,
        things: &'e Things,
        limit: u64,
    ) -> Self {
        let (mut stack, text) = room.0.borrow_mut().pop().unwrap_or_default();
        stack.clear(plan.parts);
        let mut frames = SmallVec::new();
        frames.resize_with(plan.accumulators.len(), Frame::default);
        Self {
            plan,
            activation,
            budget,
            room,
            things,
            patterns: Patterns::new(&plan.patterns),
            variables: SmallVec::from_elem(None, plan.variables),
            frames,
            kept: SmallVec::from_elem(None, plan.kept),
            stack,
            text,
            cost: 0,
            limit,
        }
    }

    /// What has been charged.
    pub(crate) const fn cost(&self) -> u64 {
        self.cost
    }

    pub(crate) fn run(&mut self) -> Result<CelValue, Fault> {
        self.eval(self.plan.root).map(Held::to_value)
    }

    #[inline]
    fn eval(&mut self, id: StepId) -> Outcome<'e> {
        let plan = self.plan;
        let step = plan.step(id);
        if step.kept == NOT_KEPT { self.evaluated(step) } else { self.kept(step) }
    }

    /// The value of a step that is the same at each turn: whoever takes it over is charged as if it had been made again.
    /// Where less is left than that, it is made again, and so fails as it would have.
    #[inline(never)]
    fn kept(&mut self, step: &'e Step) -> Outcome<'e> {
        let place = step.kept as usize;
        let (cost, steps, memory) = (self.cost, self.budget.steps(), self.budget.memory());
        if let Some(Some(kept)) = self.kept.get(place).copied() {
            let limits = self.budget.limits();
            let is_enough = cost.saturating_add(kept.cost) <= self.limit
                && steps.saturating_add(kept.steps) <= limits.steps
                && memory.saturating_add(kept.memory) <= limits.memory;
            if is_enough {
                let mut left = kept.steps;
                while left > 0 {
                    let now = left.min(LOOK);
                    self.budget.step(now)?;
                    left -= now;
                }
                self.budget.charge(kept.memory)?;
                self.charge(kept.cost, step.part)?;
                return Ok(kept.value);
            }
        }
        let mark = self.stack.mark() + usize::from(step.part != NOT_ASKED);
        let outcome = self.evaluated(step);
        if let Ok(value) = outcome
            && self.stack.mark() == mark
            && let Some(kept) = self.kept.get_mut(place)
        {
            *kept = Some(Kept {
                value,
                cost: self.cost.wrapping_sub(cost),
                steps: self.budget.steps().saturating_sub(steps),
                memory: self.budget.memory().saturating_sub(memory),
            });
        }
        outcome
    }

    fn evaluated(&mut self, step: &'e Step) -> Outcome<'e> {
        self.budget.step(1)?;
        let outcome = match &step.action {
            Action::Const(value) => {
                self.push(step.part);
                return Held::of(value).opened();
            }
            Action::Attribute { attribute, test_only } => self.attribute(step, attribute, *test_only),
            Action::Logical { is_or, terms } => self.logical(step, *is_or, *terms),
            Action::Equal { negated, terms } => self.equal(step, *negated, *terms),
            Action::Call(call) => self.call(step, call),
            Action::Member { value, of } => {
                let value = self.eval(*value);
                self.push(step.part);
                value.and_then(|value| member(value, of))
            }
            Action::Or { first, second, unwraps } => {
                let outcome = self.or(*first, *second, *unwraps);
                self.push(step.part);
                outcome
            }
            Action::List(items) => self.list(step, items),
            Action::Map(entries) => self.map(step, entries),
            Action::Message { message, fields } => self.message(step, message, fields),
            Action::Fold(fold) => self.fold(step, fold),
        };
        outcome.map_err(|fault| fault.at(step.at))
    }

    /// Keeps what was made.
    fn keep(&mut self, value: CelValue) -> Outcome<'e> {
        Ok(match value {
            CelValue::Null => Held::Null,
            CelValue::Bool(value) => Held::Bool(value),
            CelValue::Int(value) => Held::Int(value),
            CelValue::Uint(value) => Held::Uint(value),
            CelValue::Double(value) => Held::Double(value),
            other => {
                self.budget.take(KEPT)?;
                Held::of(self.things.keep(other))
            }
        })
    }

    /// A value of the input.
    fn input(&mut self, value: &'e Value) -> Outcome<'e> {
        match Held::of_input(value) {
            Some(held) => Ok(held),
            None => self.keep(CelValue::from(value.clone())),
        }
    }

    #[inline]
    fn push(&mut self, part: u32) {
        if part != NOT_ASKED {
            self.stack.push(part);
        }
    }

    /// Charges for a step, and ends the evaluation where it has cost too much.
    #[inline]
    fn charge(&mut self, cost: u64, part: u32) -> Result<(), Fault> {
        self.cost = self.cost.wrapping_add(cost);
        self.push(part);
        if self.cost <= self.limit { Ok(()) } else { Err(too_much()) }
    }

    fn part(&self, id: StepId) -> u32 {
        self.plan.step(id).part
    }

    #[inline(never)]
    fn logical(&mut self, step: &Step, is_or: bool, terms: [StepId; 2]) -> Outcome<'e> {
        let mut wrong = None;
        let mut decided = false;
        for term in terms {
            match self.eval(term) {
                Ok(Held::Bool(value)) if value == is_or => {
                    decided = true;
                    break;
                }
                Ok(Held::Bool(_)) => {}
                Err(fault) if !fault.is_absorbable() => return Err(fault),
                // What a cluster could answer may decide where an error does not: it is what is missing.
                Err(fault) if fault.kind == EvalErrorKind::NeedsCluster => {
                    wrong = wrong.filter(|wrong: &Fault| wrong.kind == fault.kind).or(Some(fault));
                }
                Err(fault) => wrong = wrong.or(Some(fault)),
                Ok(_) => wrong = wrong.or_else(|| Some(Fault::no_overload())),
            }
        }
        for term in terms {
            let part = self.part(term);
            self.stack.drop(part);
        }
        self.push(step.part);
        match wrong {
            _ if decided => Ok(Held::Bool(is_or)),
            Some(fault) => Err(fault),
            None => Ok(Held::Bool(!is_or)),
        }
    }

    /// Evaluates a part of a call: a value, or an error that may be passed over.
    #[inline]
    fn operand(&mut self, id: StepId) -> Result<Outcome<'e>, Fault> {
        match self.eval(id) {
            Ok(value) => Ok(Ok(value)),
            Err(fault) => self.passed_over(fault),
        }
    }

    #[cold]
    fn passed_over(&mut self, fault: Fault) -> Result<Outcome<'e>, Fault> {
        if !fault.is_absorbable() {
            return Err(fault);
        }
        // What errors quote is copied with them.
        self.budget.step(fault.message.len() as u64 / 128)?;
        Ok(Err(fault))
    }

    #[inline(never)]
    fn equal(&mut self, step: &Step, negated: bool, [left, right]: [StepId; 2]) -> Outcome<'e> {
        let (a, b) = (self.operand(left)?, self.operand(right)?);
        let outcome = match (&a, &b) {
            (Err(fault), _) | (_, Err(fault)) => Err(fault.clone()),
            (Ok(a), Ok(b)) => match a.equal(self.budget, *b)? {
                Equality::NoOverload if !negated => Err(Fault::no_overload()),
                equality => Ok(Held::Bool((equality == Equality::Same) != negated)),
            },
        };
        let parts = [self.part(left), self.part(right)];
        let mut cost = 0;
        if self.stack.drop_all(parts.into_iter()) {
            let rule = if negated { cost::Rule::Least } else { cost::Rule::Equality };
            let given = [a.ok(), b.ok()];
            let missing = Missing::of(given.iter().map(Option::is_none));
            let given = given.map(|given| given.unwrap_or(Held::Null));
            cost = cost::of(self.budget, rule, &given, missing, outcome.as_ref().ok().copied())?;
        }
        self.charge(cost, step.part)?;
        outcome
    }

    fn or(&mut self, first: StepId, second: StepId, unwraps: bool) -> Outcome<'e> {
        match self.eval(first)? {
            Held::Made(CelValue::Optional(None)) => self.eval(second),
            Held::Made(CelValue::Optional(Some(value))) if unwraps => Held::of(value).opened(),
            other => Ok(other),
        }
    }

    fn made(
        &mut self,
        step: &Step,
        parts: impl DoubleEndedIterator<Item = u32>,
        cost: u64,
    ) -> Result<(), Fault> {
        self.stack.drop_all(parts);
        self.charge(cost, step.part)
    }

    #[inline(never)]
    fn list(&mut self, step: &Step, items: &[(StepId, bool)]) -> Outcome<'e> {
        let outcome = self.items(items);
        if outcome.as_ref().is_err_and(|fault| !fault.is_absorbable()) {
            return outcome;
        }
        let plan = self.plan;
        let parts = items.iter().map(|(item, _)| plan.step(*item).part);
        self.made(step, parts, MAKE_LIST)?;
        outcome
    }

    fn items(&mut self, items: &[(StepId, bool)]) -> Outcome<'e> {
        self.budget.make_items(items.len())?;
        let mut values = Vec::with_capacity(items.len());
        for (item, optional) in items {
            match self.eval(*item)? {
                value if !optional => values.push(value.to_value()),
                Held::Made(CelValue::Optional(Some(value))) => values.push(value.opened()?),
                Held::Made(CelValue::Optional(None)) => {}
                value => {
                    return Err(Fault::error(not_optional(&value.to_value())));
                }
            }
        }
        self.keep(CelValue::list(values))
    }

    #[inline(never)]
    fn map(&mut self, step: &Step, entries: &[(StepId, StepId, bool)]) -> Outcome<'e> {
        let outcome = self.entries(entries);
        if outcome.as_ref().is_err_and(|fault| !fault.is_absorbable()) {
            return outcome;
        }
        let plan = self.plan;
        let parts = entries.iter().flat_map(|(key, value, _)| [plan.step(*key).part, plan.step(*value).part]);
        self.made(step, parts, MAKE_MAP)?;
        outcome
    }

    fn entries(&mut self, entries: &[(StepId, StepId, bool)]) -> Outcome<'e> {
        self.budget.make_items(entries.len() * 2)?;
        let mut made = Entries::default();
        for (key, value, optional) in entries {
            let key = self.eval(*key)?.to_value();
            let value = match self.eval(*value)? {
                value if !optional => value.to_value(),
                Held::Made(CelValue::Optional(Some(value))) => value.opened()?,
                Held::Made(CelValue::Optional(None)) => {
                    if let AsKey::Is(place) = Key::of(&key) {
                        made.0.remove(&place);
                    }
                    continue;
                }
                value => {
                    return Err(Fault::error(no_optional_entry(&key, &value.to_value())));
                }
            };
            if let CelValue::String(text) = &key {
                self.budget.read_text(text.as_str().len())?;
            }
            if made.insert(key.clone(), value).is_none() {
                return Err(unhashable(&key));
            }
        }
        self.keep(CelValue::Map(Map::from(made)))
    }

    #[inline(never)]
    fn message(&mut self, step: &Step, message: &Made, fields: &[(Arc<str>, StepId, bool)]) -> Outcome<'e> {
        let outcome = self.fields(message, fields);
        if outcome.as_ref().is_err_and(|fault| !fault.is_absorbable()) {
            return outcome;
        }
        let plan = self.plan;
        let parts = fields.iter().map(|(_, value, _)| plan.step(*value).part);
        self.made(step, parts, MAKE_MESSAGE)?;
        outcome
    }

    fn fields(&mut self, message: &Made, fields: &[(Arc<str>, StepId, bool)]) -> Outcome<'e> {
        self.budget.make_items(fields.len())?;
        let mut values = Vec::new();
        for (name, value, optional) in fields {
            match self.eval(*value)? {
                value if !optional => values.push((name.clone(), value.to_value())),
                Held::Made(CelValue::Optional(Some(value))) => values.push((name.clone(), value.opened()?)),
                Held::Made(CelValue::Optional(None)) => values.retain(|(known, _)| known != name),
                value => {
                    return Err(Fault::error(no_optional_entry(name, &value.to_value())));
                }
            }
        }
        let made = match message {
            Made::Message(message) => message::make(*message, values)?,
            Made::Patch(name) => {
                let fields = values.into_iter().collect();
                CelValue::Typed(Arc::new(Typed { name: name.clone(), fields }))
            }
        };
        self.keep(made)
    }

    #[inline(never)]
    fn fold(&mut self, step: &Step, fold: &'e FoldStep) -> Outcome<'e> {
        let outcome = self.folded(fold);
        if let Some(frame) = self.frames.get_mut(fold.slot) {
            *frame = Frame::default();
        }
        if outcome.as_ref().is_err_and(|fault| !fault.is_absorbable()) {
            return outcome;
        }
        let part = self.part(fold.range);
        self.stack.drop(part);
        self.push(step.part);
        outcome
    }
}

fn too_much() -> Fault {
    let message = "operation cancelled: actual cost limit exceeded";
    Fault::new(EvalErrorKind::Cost, message.to_owned())
}

fn member<'e>(value: Held<'e>, of: &BTreeSet<Key>) -> Outcome<'e> {
    let value = value.to_value();
    Ok(Held::Bool(match Key::of(&value) {
        AsKey::Is(key) => of.contains(&key),
        AsKey::Unique => false,
        AsKey::None => return Err(unhashable(&value)),
    }))
}
