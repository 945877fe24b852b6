//! Evaluates a plan, charging for each step what the API server charges. `folds.rs` goes over lists and maps, `quick.rs` has the
//! functions that are called most. Values stay where they are: what an evaluation makes is kept until it ends.

mod folds;
mod quick;

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeSet;
use std::sync::Arc;

use portcullis_value::{Budget, Value};
use smallvec::SmallVec;
use typed_arena::Arena;

use crate::activation::Activation;
use crate::call::{self, Args, Context, Patterns, unhashable};
use crate::cost::{self, MAKE_LIST, MAKE_MAP, MAKE_MESSAGE, SELECT, Stack};
use crate::error::{EvalErrorKind, Fault};
use crate::functions::Function;
use crate::message;
use crate::plan::{
    Action, Attribute, By, Call, FoldStep, Made, NOT_ASKED, NOT_KEPT, Plan, Qualifier, Root, Step, StepId,
    no_optional_entry, not_optional,
};
use crate::value::{AsKey, CelValue, Entries, Equality, Held, Key, List, Map, Typed};

type Outcome<'e> = Result<Held<'e>, Fault>;

/// What is counted for a value that is kept until the evaluation ends.
const KEPT: usize = size_of::<CelValue>();
/// So many values are made room for when the first one is kept.
const FIRST_KEPT: usize = 16;

/// What an evaluation made, until it ends: each is counted by the budget.
#[derive(Default)]
pub(crate) struct Things(OnceCell<Arena<CelValue>>);

impl Things {
    fn keep(&self, value: CelValue) -> &CelValue {
        self.0.get_or_init(|| Arena::with_capacity(FIRST_KEPT)).alloc(value)
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
pub struct Room(RefCell<Vec<Stack>>);

/// So many parts are more room than is kept.
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
    /// The fields that were read of the one value whose fields the activation knows, by their places.
    fields: Fields<'e>,
    frames: SmallVec<[Frame<'e>; 2]>,
    kept: SmallVec<[Option<Kept<'e>>; 1]>,
    stack: Stack,
    /// Where texts are put together.
    text: String,
    cost: u64,
    limit: u64,
}

/// Fields of a value of which the activation knows them.
#[derive(Default)]
struct Fields<'e> {
    of: Option<&'e Arc<str>>,
    known: SmallVec<[Option<Held<'e>>; 16]>,
}

impl<'e> Fields<'e> {
    fn get(&self, of: &'e Arc<str>, place: usize) -> Option<Held<'e>> {
        if self.of.is_some_and(|known| Arc::ptr_eq(known, of)) {
            self.known.get(place).copied().flatten()
        } else {
            None
        }
    }

    /// Remembers a field. One of another value is read anew each time.
    fn note(&mut self, of: &'e Arc<str>, place: usize, value: Held<'e>) {
        if !Arc::ptr_eq(self.of.get_or_insert(of), of) {
            return;
        }
        if self.known.len() <= place && place < MOST_KEPT {
            self.known.resize(place + 1, None);
        }
        if let Some(known) = self.known.get_mut(place) {
            *known = Some(value);
        }
    }
}

impl Drop for Machine<'_, '_> {
    fn drop(&mut self) {
        if self.stack.capacity() <= MOST_KEPT {
            self.room.0.borrow_mut().push(std::mem::take(&mut self.stack));
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
        let mut stack = room.0.borrow_mut().pop().unwrap_or_default();
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
            fields: Fields::default(),
            frames,
            kept: SmallVec::from_elem(None, plan.kept),
            stack,
            text: String::new(),
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
    fn attribute(&mut self, step: &'e Step, attribute: &'e Attribute, test_only: bool) -> Outcome<'e> {
        let found = self.resolve(attribute);
        if let Err(fault) = &found
            && !fault.is_absorbable()
        {
            return found;
        }
        let mut cost = if let Root::Conditional(parts) = &attribute.root {
            for part in [parts.2.last_part(), parts.1.last_part(), self.part(parts.0)] {
                self.stack.drop(part);
            }
            0
        } else {
            self.stack.drop(attribute.last_part());
            SELECT
        };
        if test_only {
            // Asking whether there is something is free; where it is asked of a choice, which is free itself, the
            // API server takes one off as well.
            cost = cost.wrapping_sub(SELECT);
        }
        self.charge(cost, step.part)?;
        match found {
            Ok(Held::Made(CelValue::Optional(value))) if test_only => Ok(Held::Bool(value.is_some())),
            other => other,
        }
    }

    #[inline(never)]
    fn resolve(&mut self, attribute: &'e Attribute) -> Outcome<'e> {
        let value = match &attribute.root {
            Root::Conditional(parts) => {
                return match self.eval(parts.0)? {
                    Held::Bool(true) => self.resolve(&parts.1),
                    Held::Bool(false) => self.resolve(&parts.2),
                    _ => Err(Fault::no_overload()),
                };
            }
            Root::Variable(name, place) => self.variable(name, *place)?,
            Root::Accumulator(slot) => self.accumulator(*slot)?,
            Root::Passed(slot) => self.passed(*slot)?,
            Root::First(slot) => self.frames.get(*slot).map_or(Held::Null, |frame| frame.first),
            Root::Second(slot) => self.frames.get(*slot).map_or(Held::Null, |frame| frame.second),
            Root::Step(step) => self.eval(*step)?,
        };
        match value {
            // Even what nothing is selected of is taken out of its optional, and put into one again.
            Held::Made(CelValue::Optional(_)) => self.qualified(value, &attribute.qualifiers),
            value if attribute.qualifiers.is_empty() => Ok(value),
            value => self.qualified(value, &attribute.qualifiers),
        }
    }

    fn variable(&mut self, name: &'e Arc<str>, place: usize) -> Outcome<'e> {
        if let Some(Some(known)) = self.variables.get(place) {
            return Ok(*known);
        }
        let found = self.activation.variable(name).map(Held::of);
        let found = found.ok_or_else(|| Fault::error(format!("no such attribute(s): {name}")))?;
        if let Some(known) = self.variables.get_mut(place) {
            *known = Some(found);
        }
        Ok(found)
    }

    /// The accumulator of a fold, which is made when it is first read.
    fn accumulator(&mut self, slot: usize) -> Outcome<'e> {
        let known = self.frames.get_mut(slot).and_then(|frame| frame.accumulator.take());
        let known = match known {
            Some(Ok(Accumulator::Held(known))) => Ok(known),
            Some(Ok(Accumulator::Own(own))) => self.keep(own),
            Some(Err(fault)) => Err(fault),
            None => self.eval(self.plan.accumulators.get(slot).copied().unwrap_or_default()),
        };
        if let Err(fault) = &known
            && !fault.is_absorbable()
        {
            return known;
        }
        if let Some(frame) = self.frames.get_mut(slot) {
            frame.accumulator = Some(known.clone().map(Accumulator::Held));
        }
        known
    }

    /// As [`Self::accumulator`], for the fold itself: what is its own waits in its frame for the next turn.
    fn passed(&mut self, slot: usize) -> Outcome<'e> {
        if let Some(frame) = self.frames.get_mut(slot)
            && let Some(Ok(Accumulator::Own(_))) = &frame.accumulator
            && let Some(Ok(Accumulator::Own(own))) = frame.accumulator.take()
        {
            frame.adding = Some(own);
            return Ok(Held::Null);
        }
        self.accumulator(slot)
    }

    /// As [`Self::accumulator`], for somebody after whom nobody reads it again.
    fn taken_accumulator(&mut self, slot: usize) -> Result<CelValue, Fault> {
        let known = self.frames.get_mut(slot).and_then(|frame| frame.accumulator.take());
        match known {
            Some(Ok(Accumulator::Held(known))) => Ok(known.to_value()),
            Some(Ok(Accumulator::Own(own))) => Ok(own),
            Some(Err(fault)) => Err(fault),
            None => {
                let init = self.plan.accumulators.get(slot).copied().unwrap_or_default();
                self.eval(init).map(Held::to_value)
            }
        }
    }

    fn qualified(&mut self, value: Held<'e>, qualifiers: &'e [Qualifier]) -> Outcome<'e> {
        let (value, qualifiers) = match value {
            Held::Input(input) => self.descend(input, qualifiers)?,
            other => (other, qualifiers),
        };
        let (mut value, mut is_optional) = match value {
            Held::Made(CelValue::Optional(None)) => return Ok(value),
            Held::Made(CelValue::Optional(Some(inside))) => (self.read_back(inside)?, true),
            other => (other, false),
        };
        for qualifier in qualifiers {
            self.budget.step(1)?;
            is_optional |= qualifier.optional;
            let found = self.qualify(value, qualifier, is_optional);
            value = match found.map_err(|fault| fault.at(qualifier.at))? {
                Some(found) => found,
                None => return self.keep(CelValue::Optional(None)),
            };
        }
        if is_optional { self.keep(CelValue::some(value.to_value())) } else { Ok(value) }
    }

    /// What an optional value becomes when it is read.
    fn read_back(&mut self, inside: &'e CelValue) -> Outcome<'e> {
        match Held::of(inside) {
            Held::Made(made) => self.keep(made.read_back()),
            other => Ok(other),
        }
    }

    /// As far as fields of the input are selected by their names one after the other: what the last of them is worth,
    /// and what is still to be selected.
    fn descend(
        &mut self,
        input: &'e Value,
        mut qualifiers: &'e [Qualifier],
    ) -> Result<(Held<'e>, &'e [Qualifier]), Fault> {
        let mut found = input;
        while let Some((first, rest)) = qualifiers.split_first()
            && let By::Key(CelValue::String(key)) = &first.by
            && !first.optional
            && let Some(object) = found.as_object()
        {
            let below = object.get_str(key.as_str());
            if first.test_only {
                self.budget.step(1)?;
                self.charge(SELECT, first.part).map_err(|fault| fault.at(first.at))?;
                return Ok((Held::Bool(below.is_some()), rest));
            }
            let Some(below) = below else { break };
            self.budget.step(1)?;
            self.charge(SELECT, first.part).map_err(|fault| fault.at(first.at))?;
            found = below;
            qualifiers = rest;
        }
        Ok((self.input(found)?, qualifiers))
    }

    /// What is selected of a value; none only where that is no error.
    fn qualify(
        &mut self,
        value: Held<'e>,
        qualifier: &'e Qualifier,
        is_optional: bool,
    ) -> Result<Option<Held<'e>>, Fault> {
        let found = self.selected(value, qualifier, is_optional);
        if let Err(fault) = &found
            && !fault.is_absorbable()
        {
            return found;
        }
        // What is not there costs nothing where it need not be there.
        if !is_optional || matches!(found, Ok(Some(_))) {
            if let By::Step(_) = qualifier.by {
                self.stack.drop(qualifier.part);
            }
            self.charge(SELECT, qualifier.part)?;
        }
        found
    }

    fn selected(
        &mut self,
        value: Held<'e>,
        qualifier: &'e Qualifier,
        is_optional: bool,
    ) -> Result<Option<Held<'e>>, Fault> {
        let key = match &qualifier.by {
            By::Key(key) => Held::of(key),
            By::Attribute(attribute) => self.resolve(attribute)?,
            By::Step(step) => self.eval(*step)?,
        };
        if !key.is_key() {
            let is_read = matches!(qualifier.by, By::Attribute(_));
            let key = key.to_value();
            let given = if is_read { key.native_type() } else { key.go_type() };
            return Err(Fault::error(format!("invalid qualifier type: {given}")));
        }
        let may_miss = is_optional || qualifier.test_only;
        let found = self.find(value, key, qualifier.place, may_miss)?;
        if qualifier.test_only && !is_optional {
            return Ok(Some(Held::Bool(found.is_some())));
        }
        Ok(found)
    }

    /// What a value has at a key. None, if it may miss it and does.
    fn find(
        &mut self,
        value: Held<'e>,
        key: Held<'e>,
        place: Option<u32>,
        may_miss: bool,
    ) -> Result<Option<Held<'e>>, Fault> {
        let missing = |what: &str| {
            if may_miss { Ok(None) } else { Err(Fault::error(format!("{what}: {key}"))) }
        };
        let found = match value {
            Held::Input(input) => {
                let found = match (input.as_object(), input.as_array()) {
                    (Some(object), _) => key.as_str().and_then(|key| object.get_str(key)),
                    (None, Some(items)) => {
                        let place = usize::try_from(place_of(key)?).ok();
                        let Some(found) = place.and_then(|place| items.get(place)) else {
                            return missing("index out of bounds");
                        };
                        Some(found)
                    }
                    (None, None) => None,
                };
                found.map(|found| self.input(found)).transpose()?
            }
            Held::Made(made) => match made {
                CelValue::Unreadable(message) => return Err(Fault::error(&**message)),
                CelValue::Map(Map::Made(entries)) => Map::at(entries, &key.to_value()).map(Held::of),
                CelValue::List(List::Made(items)) => {
                    let place = usize::try_from(place_of(key)?).ok();
                    let Some(found) = place.and_then(|place| items.get(place)) else {
                        return missing("index out of bounds");
                    };
                    Some(Held::of(found))
                }
                CelValue::Object(name) => match key.as_str() {
                    Some(field) => self.field(name, field, place)?,
                    None => None,
                },
                CelValue::Typed(typed) => {
                    key.as_str().and_then(|field| typed.fields.get(field)).map(Held::of)
                }
                _ => None,
            },
            _ => None,
        };
        if found.is_some() { Ok(found) } else { missing("no such key") }
    }

    /// A field that the activation knows.
    fn field(
        &mut self,
        name: &'e Arc<str>,
        field: &str,
        place: Option<u32>,
    ) -> Result<Option<Held<'e>>, Fault> {
        let slot = place.and_then(|place| usize::try_from(place).ok());
        if let Some(known) = slot.and_then(|slot| self.fields.get(name, slot)) {
            return Ok(Some(known));
        }
        let found = self.activation.field(name, field, place);
        let found = found.map_err(|error| Fault::new(error.kind, error.message))?.map(Held::of);
        if let (Some(slot), Some(found)) = (slot, found) {
            self.fields.note(name, slot, found);
        }
        Ok(found)
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
    fn operand(&mut self, id: StepId) -> Result<Outcome<'e>, Fault> {
        match self.eval(id) {
            Err(fault) if !fault.is_absorbable() => Err(fault),
            Err(fault) => {
                // What errors quote is copied with them.
                self.budget.step(fault.message.len() as u64 / 128)?;
                Ok(Err(fault))
            }
            outcome => Ok(outcome),
        }
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
            cost = cost::of(self.budget, rule, &[a.ok(), b.ok()], outcome.as_ref().ok().copied())?;
        }
        self.charge(cost, step.part)?;
        outcome
    }

    #[inline(never)]
    fn call(&mut self, step: &Step, call: &'e Call) -> Outcome<'e> {
        if let [arg] = call.args.as_slice()
            && let Function::Not | Function::NotStrictlyFalse = call.declaration.function
        {
            return self.truth(step, call, *arg);
        }
        let mut args: SmallVec<[Held<'e>; 3]> = SmallVec::new();
        // The first error, and the places of all: there nothing is an argument.
        let (mut wrong, mut missing) = (None, Vec::new());
        // An accumulator that is added to: nobody else has it.
        let mut own = None;
        for (place, arg) in call.args.iter().enumerate() {
            let outcome = if place == 0
                && call.takes
                && let Some(slot) = self.accumulator_of(*arg)
            {
                self.taken(*arg, slot)?.map(|taken| {
                    own = Some((taken, slot));
                    Held::Null
                })
            } else {
                self.operand(*arg)?
            };
            match outcome {
                Ok(value) => args.push(value),
                Err(fault) => {
                    args.push(Held::Null);
                    missing.push(place);
                    wrong = wrong.or(Some(fault));
                    if call.stops {
                        break;
                    }
                }
            }
        }
        if call.rule == cost::Rule::Made && wrong.is_none() {
            self.can_make(call, &args)?;
        }
        // What the call is charged by is looked at before its arguments are given away.
        let plan = self.plan;
        let is_charged = self.stack.drop_all(call.args.iter().map(|arg| plan.step(*arg).part));
        let needs_result = matches!(call.rule, cost::Rule::Made | cost::Rule::Result);
        let mut cost = 0;
        if is_charged && call.rule == cost::Rule::One {
            cost = 1;
        } else if is_charged && !needs_result {
            let given = |(place, arg): (usize, &Held<'e>)| match &own {
                _ if missing.contains(&place) => None,
                Some((own, _)) if place == 0 => Some(Held::of(own)),
                _ => Some(*arg),
            };
            let given: SmallVec<[Option<Held<'_>>; 3]> = args.iter().enumerate().map(given).collect();
            cost = cost::of(self.budget, call.rule, &given, None)?;
        }
        // Whatever passes over errors is no call of several arguments.
        let outcome = match (wrong, own) {
            (Some(fault), _) => Err(fault),
            (None, Some((own, slot))) => self.add(call, own, slot, &args),
            (None, None) => self.applied(call, &args),
        };
        if let Err(fault) = &outcome
            && !fault.is_absorbable()
        {
            return outcome;
        }
        if is_charged && needs_result {
            cost = cost::of(self.budget, call.rule, &[], outcome.as_ref().ok().copied())?;
        }
        self.charge(cost, step.part)?;
        outcome
    }

    /// Calls a function with values.
    fn applied(&mut self, call: &Call, args: &[Held<'e>]) -> Outcome<'e> {
        if let Some(found) = self.quick(call, args)? {
            return Ok(found);
        }
        let args = args.iter().map(|arg| arg.to_value()).collect();
        let made = self.called(call, args)?;
        self.keep(made)
    }

    fn called(&mut self, call: &Call, args: Args) -> Result<CelValue, Fault> {
        let mut context =
            Context { budget: &mut *self.budget, patterns: &mut self.patterns, activation: self.activation };
        call::call(&mut context, call.declaration, call.overload, call.is_guarded, args)
    }

    /// Adds to an accumulator. What comes of it waits in its frame for the next turn.
    fn add(&mut self, call: &Call, own: CelValue, slot: usize, args: &[Held<'e>]) -> Outcome<'e> {
        let rest = args.iter().skip(1).map(|arg| arg.to_value());
        let made = self.called(call, std::iter::once(own).chain(rest).collect())?;
        match self.frames.get_mut(slot) {
            Some(frame) => frame.adding = Some(made),
            None => return self.keep(made),
        }
        Ok(Held::Null)
    }

    /// `!`, and what the conditions of folds are in, which is called more often than all others together.
    fn truth(&mut self, step: &Step, call: &Call, arg: StepId) -> Outcome<'e> {
        let given = self.operand(arg)?;
        let part = self.part(arg);
        let cost = u64::from(self.stack.drop(part));
        let is_not = call.declaration.function == Function::Not;
        let outcome = match given {
            Ok(Held::Bool(value)) => {
                self.budget.step(1)?;
                Ok(Held::Bool(value != is_not))
            }
            Err(fault) if is_not => Err(fault),
            given => self.applied(call, &[given.unwrap_or(Held::Null)]),
        };
        self.charge(cost, step.part)?;
        outcome
    }

    /// The fold whose accumulator a step reads, if it does nothing else.
    fn accumulator_of(&self, id: StepId) -> Option<usize> {
        match &self.plan.step(id).action {
            Action::Attribute { attribute: Attribute { root: Root::Accumulator(slot), .. }, .. } => {
                Some(*slot)
            }
            _ => None,
        }
    }

    /// The accumulator of a fold as an argument, with what reading it costs.
    fn taken(&mut self, id: StepId, slot: usize) -> Result<Result<CelValue, Fault>, Fault> {
        let plan = self.plan;
        let step = plan.step(id);
        self.budget.step(1)?;
        let found = self.taken_accumulator(slot);
        if let Err(fault) = &found
            && !fault.is_absorbable()
        {
            return Err(fault.clone());
        }
        if let Action::Attribute { attribute, .. } = &step.action {
            self.stack.drop(attribute.part);
        }
        self.charge(SELECT, step.part)?;
        Ok(found)
    }

    /// Whether a range of so many numbers may be made: one that costs too much is not begun.
    fn can_make(&mut self, call: &Call, args: &[Held<'e>]) -> Result<(), Fault> {
        match (call.declaration.function, args.first()) {
            (Function::Range, Some(Held::Int(count))) => {
                let count = u64::try_from(*count).unwrap_or(0);
                let cost = count.saturating_add(1 + MAKE_LIST);
                if self.cost.saturating_add(cost) > self.limit {
                    self.charge(cost, NOT_ASKED)
                } else {
                    Ok(())
                }
            }
            _ => Ok(()),
        }
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

/// The place that a key means in a list.
fn place_of(key: Held<'_>) -> Result<i64, Fault> {
    match key {
        Held::Int(place) => Ok(place),
        Held::Uint(value) => i64::try_from(value).map_err(|_| unsupported(key)),
        Held::Double(value) => crate::value::int_of(value).ok_or_else(|| unsupported(key)),
        other => {
            let message = format!("unsupported index type '{}' in list", other.to_value().type_name());
            Err(Fault::error(message))
        }
    }
}

fn unsupported(key: Held<'_>) -> Fault {
    Fault::error(format!("unsupported index value {key} in list"))
}
