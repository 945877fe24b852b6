//! Evaluates a plan, charging for each step what the API server charges. `folds.rs` goes over lists and maps.

mod folds;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::sync::Arc;

use portcullis_value::{Budget, Object, Value};
use smallvec::{SmallVec, smallvec};

use crate::activation::Activation;
use crate::call::{self, Args, Context, Patterns, unhashable};
use crate::cost::{self, MAKE_LIST, MAKE_MAP, MAKE_MESSAGE, SELECT, Stack};
use crate::error::{EvalErrorKind, Fault};
use crate::functions::Function;
use crate::message;
use crate::plan::{
    Action, Attribute, By, Call, FoldStep, Made, NOT_ASKED, Plan, Qualifier, Root, Step, StepId, is_key,
    no_optional_entry, not_optional,
};
use crate::value::{AsKey, CelValue, Entries, Equality, Key, Map, Typed, equal};

type Outcome = Result<CelValue, Fault>;

/// A value that is looked at.
enum Held<'e> {
    Constant(&'e CelValue),
    Made(CelValue),
}

impl Held<'_> {
    const fn get(&self) -> &CelValue {
        match self {
            Self::Constant(value) => value,
            Self::Made(value) => value,
        }
    }
}

/// What the variables of a fold are worth.
#[derive(Debug, Default)]
struct Frame {
    /// None before it is first read.
    accumulator: Option<Outcome>,
    first: Option<CelValue>,
    second: Option<CelValue>,
}

/// Where evaluations run, one after the other or inside of each other: they hand on room, and nothing that is in it.
#[derive(Debug, Default)]
pub struct Room(RefCell<Vec<(Vec<Frame>, Stack)>>);

/// So many parts or folds are more room than is kept.
const MOST_KEPT: usize = 4096;

pub(crate) struct Machine<'e, 'w> {
    plan: &'e Plan,
    activation: &'e dyn Activation,
    budget: &'e mut Budget<'w>,
    room: &'e Room,
    patterns: Patterns<'e>,
    frames: Vec<Frame>,
    stack: Stack,
    cost: u64,
    limit: u64,
}

impl Drop for Machine<'_, '_> {
    fn drop(&mut self) {
        self.frames.clear();
        if self.frames.capacity() <= MOST_KEPT && self.stack.capacity() <= MOST_KEPT {
            let kept = (std::mem::take(&mut self.frames), std::mem::take(&mut self.stack));
            self.room.0.borrow_mut().push(kept);
        }
    }
}

impl<'e, 'w> Machine<'e, 'w> {
    pub(crate) fn new(
        plan: &'e Plan,
        activation: &'e dyn Activation,
        budget: &'e mut Budget<'w>,
        room: &'e Room,
        limit: u64,
    ) -> Self {
        let patterns = Patterns::new(&plan.patterns);
        let (mut frames, mut stack) = room.0.borrow_mut().pop().unwrap_or_default();
        frames.resize_with(plan.accumulators.len(), Frame::default);
        stack.clear(plan.parts);
        Self { plan, activation, budget, room, patterns, frames, stack, cost: 0, limit }
    }

    /// What has been charged.
    pub(crate) const fn cost(&self) -> u64 {
        self.cost
    }

    pub(crate) fn run(&mut self) -> Outcome {
        self.eval(self.plan.root)
    }

    fn eval(&mut self, id: StepId) -> Outcome {
        let step = self.plan.step(id);
        self.budget.step(1)?;
        let outcome = match &step.action {
            Action::Const(value) => {
                self.push(step.part);
                return value.opened();
            }
            Action::Attribute { attribute, test_only } => self.attribute(step, attribute, *test_only),
            Action::Logical { is_or, terms } => self.logical(step, *is_or, *terms),
            Action::Equal { negated, terms } => self.equal(step, *negated, *terms),
            Action::Call(call) => self.call(step, call),
            Action::Member { value, of } => {
                let value = self.eval(*value);
                self.push(step.part);
                Self::member(value, of)
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

    fn push(&mut self, part: u32) {
        if part != NOT_ASKED {
            self.stack.push(part);
        }
    }

    /// Charges for a step, and ends the evaluation where it has cost too much.
    fn charge(&mut self, cost: u64, part: u32) -> Result<(), Fault> {
        self.cost = self.cost.wrapping_add(cost);
        self.push(part);
        if self.cost <= self.limit {
            return Ok(());
        }
        let message = "operation cancelled: actual cost limit exceeded";
        Err(Fault::new(EvalErrorKind::Cost, message.to_owned()))
    }

    fn part(&self, id: StepId) -> u32 {
        self.plan.step(id).part
    }

    #[inline(never)]
    fn attribute(&mut self, step: &Step, attribute: &Attribute, test_only: bool) -> Outcome {
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
            Ok(CelValue::Optional(value)) if test_only => Ok(CelValue::Bool(value.is_some())),
            other => other,
        }
    }

    #[inline(never)]
    fn resolve(&mut self, attribute: &Attribute) -> Outcome {
        let value = match &attribute.root {
            Root::Conditional(parts) => {
                return match self.eval(parts.0)? {
                    CelValue::Bool(true) => self.resolve(&parts.1),
                    CelValue::Bool(false) => self.resolve(&parts.2),
                    _ => Err(Fault::no_overload()),
                };
            }
            Root::Variable(name) => {
                let found = self.activation.variable(name);
                found.ok_or_else(|| Fault::error(format!("no such attribute(s): {name}")))?
            }
            Root::Accumulator(slot) => self.accumulator(*slot, false)?,
            Root::First(slot) => {
                self.frames.get(*slot).and_then(|frame| frame.first.clone()).unwrap_or(CelValue::Null)
            }
            Root::Second(slot) => {
                self.frames.get(*slot).and_then(|frame| frame.second.clone()).unwrap_or(CelValue::Null)
            }
            Root::Step(step) => self.eval(*step)?,
        };
        match value {
            // Even what nothing is selected of is taken out of its optional, and put into one again.
            CelValue::Optional(_) => self.qualified(value, &attribute.qualifiers),
            value if attribute.qualifiers.is_empty() => Ok(value),
            value => self.qualified(value, &attribute.qualifiers),
        }
    }

    /// The accumulator of a fold, which is made when it is first read. If it is taken, nobody reads it again.
    fn accumulator(&mut self, slot: usize, take: bool) -> Outcome {
        let known = match self.frames.get_mut(slot).map(|frame| &mut frame.accumulator) {
            Some(place) if take => place.take(),
            Some(place) => place.clone(),
            None => None,
        };
        if let Some(known) = known {
            return known;
        }
        let made = self.eval(self.plan.accumulators.get(slot).copied().unwrap_or_default());
        if made.as_ref().is_err_and(|fault| !fault.is_absorbable()) {
            return made;
        }
        if !take && let Some(frame) = self.frames.get_mut(slot) {
            frame.accumulator = Some(made.clone());
        }
        made
    }

    fn qualified(&mut self, value: CelValue, mut qualifiers: &[Qualifier]) -> Outcome {
        let mut value = value;
        if let CelValue::Map(Map::Input(input)) = &value
            && let Some((found, left)) = self.descend(input, qualifiers)?
        {
            value = found;
            qualifiers = left;
        }
        let (mut value, mut is_optional) = match value {
            CelValue::Optional(None) => return Ok(CelValue::Optional(None)),
            CelValue::Optional(Some(value)) => (value.read_back(), true),
            other => (other, false),
        };
        for qualifier in qualifiers {
            self.budget.step(1)?;
            is_optional |= qualifier.optional;
            let found = self.qualify(&value, qualifier, is_optional);
            value = match found.map_err(|fault| fault.at(qualifier.at))? {
                Some(found) => found,
                None => return Ok(CelValue::Optional(None)),
            };
        }
        Ok(if is_optional { CelValue::some(value) } else { value })
    }

    /// As far as fields of the input are selected by their names one after the other, without holding each on the
    /// way: what the last of them is worth, and what is still to be selected.
    fn descend<'q>(
        &mut self,
        input: &Value,
        mut qualifiers: &'q [Qualifier],
    ) -> Result<Option<(CelValue, &'q [Qualifier])>, Fault> {
        let mut found = None;
        while let Some((first, rest)) = qualifiers.split_first()
            && let By::Key(CelValue::String(key)) = &first.by
            && !first.optional
            && !first.test_only
            && let Some(below) =
                found.unwrap_or(input).as_object().and_then(|object: &Object| object.get_str(key.as_str()))
        {
            self.budget.step(1)?;
            self.charge(SELECT, first.part).map_err(|fault| fault.at(first.at))?;
            found = Some(below);
            qualifiers = rest;
        }
        Ok(found.map(|found| (CelValue::from(found.clone()), qualifiers)))
    }

    /// What is selected of a value; none only where that is no error.
    fn qualify(
        &mut self,
        value: &CelValue,
        qualifier: &Qualifier,
        is_optional: bool,
    ) -> Result<Option<CelValue>, Fault> {
        let found = self.selected(value, qualifier, is_optional);
        if found.as_ref().is_err_and(|fault| !fault.is_absorbable()) {
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
        value: &CelValue,
        qualifier: &Qualifier,
        is_optional: bool,
    ) -> Result<Option<CelValue>, Fault> {
        let made;
        let key = match &qualifier.by {
            By::Key(key) => key,
            By::Attribute(attribute) => {
                made = self.resolve(attribute)?;
                &made
            }
            By::Step(step) => {
                made = self.eval(*step)?;
                &made
            }
        };
        if !is_key(key) {
            let is_read = matches!(qualifier.by, By::Attribute(_));
            let given = if is_read { key.native_type() } else { key.go_type() };
            return Err(Fault::error(format!("invalid qualifier type: {given}")));
        }
        let may_miss = is_optional || qualifier.test_only;
        let found = self.find(value, key, qualifier.place, may_miss)?;
        if qualifier.test_only && !is_optional {
            return Ok(Some(CelValue::Bool(found.is_some())));
        }
        Ok(found)
    }

    /// What a value has at a key. None, if it may miss it and does.
    fn find(
        &mut self,
        value: &CelValue,
        key: &CelValue,
        place: Option<u32>,
        may_miss: bool,
    ) -> Result<Option<CelValue>, Fault> {
        if let CelValue::Unreadable(_) = value {
            return value.opened().map(Some);
        }
        let missing = |what: &str| {
            if may_miss { Ok(None) } else { Err(Fault::error(format!("{what}: {key}"))) }
        };
        match value {
            CelValue::Map(map) => match map.get(key) {
                Some(found) => Ok(Some(found)),
                None => missing("no such key"),
            },
            CelValue::List(list) => {
                let number = place_of(key)?;
                match usize::try_from(number).ok().and_then(|place| list.get(place)) {
                    Some(found) => Ok(Some(found)),
                    None => missing("index out of bounds"),
                }
            }
            CelValue::Object(name) => {
                let found = match key.as_str() {
                    Some(field) => {
                        let found = self.activation.field(name, field, place);
                        found.map_err(|error| Fault::new(error.kind, error.message))?
                    }
                    None => None,
                };
                match found {
                    Some(found) => Ok(Some(found)),
                    None => missing("no such key"),
                }
            }
            CelValue::Typed(typed) => match key.as_str().and_then(|field| typed.fields.get(field)) {
                Some(found) => Ok(Some(found.clone())),
                None => missing("no such key"),
            },
            _ => missing("no such key"),
        }
    }

    #[inline(never)]
    fn logical(&mut self, step: &Step, is_or: bool, terms: [StepId; 2]) -> Outcome {
        let mut wrong = None;
        let mut decided = false;
        for term in terms {
            match self.eval(term) {
                Ok(CelValue::Bool(value)) if value == is_or => {
                    decided = true;
                    break;
                }
                Ok(CelValue::Bool(_)) => {}
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
            _ if decided => Ok(CelValue::Bool(is_or)),
            Some(fault) => Err(fault),
            None => Ok(CelValue::Bool(!is_or)),
        }
    }

    /// Evaluates a part of a call: a value, or an error that may be passed over.
    fn operand(&mut self, id: StepId) -> Result<Outcome, Fault> {
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

    /// As [`Machine::operand`], without a copy of a constant.
    fn held(&mut self, id: StepId) -> Result<Result<Held<'e>, Fault>, Fault> {
        let plan = self.plan;
        let step = plan.step(id);
        if let Action::Const(value) = &step.action
            && !matches!(value, CelValue::Unreadable(_))
        {
            self.budget.step(1)?;
            self.push(step.part);
            return Ok(Ok(Held::Constant(value)));
        }
        Ok(self.operand(id)?.map(Held::Made))
    }

    #[inline(never)]
    fn equal(&mut self, step: &Step, negated: bool, [left, right]: [StepId; 2]) -> Outcome {
        let (a, b) = (self.held(left)?, self.held(right)?);
        let (a, b) = (a.as_ref().map(Held::get), b.as_ref().map(Held::get));
        let outcome = match (a, b) {
            (Err(fault), _) | (_, Err(fault)) => Err(fault.clone()),
            (Ok(a), Ok(b)) => match equal(self.budget, a, b)? {
                Equality::NoOverload if !negated => Err(Fault::no_overload()),
                equality => Ok(CelValue::Bool((equality == Equality::Same) != negated)),
            },
        };
        let parts = [self.part(left), self.part(right)];
        let mut cost = 0;
        if self.stack.drop_all(parts.into_iter()) {
            let rule = if negated { cost::Rule::Least } else { cost::Rule::Equality };
            cost = cost::of(self.budget, rule, &[a.ok(), b.ok()], outcome.as_ref().ok())?;
        }
        self.charge(cost, step.part)?;
        outcome
    }

    #[inline(never)]
    fn call(&mut self, step: &Step, call: &Call) -> Outcome {
        if let [arg] = call.args.as_slice()
            && let Function::Not | Function::NotStrictlyFalse = call.declaration.function
        {
            return self.truth(step, call, *arg);
        }
        let mut args = Args::new();
        // The first error, and the places of all: there nothing is an argument.
        let (mut wrong, mut missing) = (None, Vec::new());
        for (place, arg) in call.args.iter().enumerate() {
            let outcome = if place == 0 && call.takes { self.taken(*arg)? } else { self.operand(*arg)? };
            match outcome {
                Ok(value) => args.push(value),
                Err(fault) => {
                    args.push(CelValue::Null);
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
            let places = args.iter().enumerate();
            let given: SmallVec<[Option<&CelValue>; 3]> =
                places.map(|(place, arg)| (!missing.contains(&place)).then_some(arg)).collect();
            cost = cost::of(self.budget, call.rule, &given, None)?;
        }
        // Whatever passes over errors is no call of several arguments.
        let outcome = if let Some(fault) = wrong {
            Err(fault)
        } else {
            let mut context = Context {
                budget: &mut *self.budget,
                patterns: &mut self.patterns,
                activation: self.activation,
            };
            call::call(&mut context, call.declaration, call.overload, call.is_guarded, args)
        };
        if let Err(fault) = &outcome
            && !fault.is_absorbable()
        {
            return outcome;
        }
        if is_charged && needs_result {
            cost = cost::of(self.budget, call.rule, &[], outcome.as_ref().ok())?;
        }
        self.charge(cost, step.part)?;
        outcome
    }

    /// `!`, and what the conditions of folds are in, which is called more often than all others together.
    fn truth(&mut self, step: &Step, call: &Call, arg: StepId) -> Outcome {
        let given = self.operand(arg)?;
        let part = self.part(arg);
        let cost = u64::from(self.stack.drop(part));
        let is_not = call.declaration.function == Function::Not;
        let outcome = match given {
            Ok(CelValue::Bool(value)) => {
                self.budget.step(1)?;
                Ok(CelValue::Bool(value != is_not))
            }
            Err(fault) if is_not => Err(fault),
            given => {
                let args = smallvec![given.unwrap_or(CelValue::Null)];
                let mut context = Context {
                    budget: &mut *self.budget,
                    patterns: &mut self.patterns,
                    activation: self.activation,
                };
                call::call(&mut context, call.declaration, call.overload, call.is_guarded, args)
            }
        };
        self.charge(cost, step.part)?;
        outcome
    }

    /// The accumulator of a fold as an argument, with what reading it costs.
    fn taken(&mut self, id: StepId) -> Result<Outcome, Fault> {
        let step = self.plan.step(id);
        let Action::Attribute { attribute: Attribute { root: Root::Accumulator(slot), part, .. }, .. } =
            &step.action
        else {
            return self.operand(id);
        };
        self.budget.step(1)?;
        let found = self.accumulator(*slot, true);
        if let Err(fault) = &found
            && !fault.is_absorbable()
        {
            return Err(fault.clone());
        }
        self.stack.drop(*part);
        self.charge(SELECT, step.part)?;
        Ok(found)
    }

    /// Whether a range of so many numbers may be made: one that costs too much is not begun.
    fn can_make(&mut self, call: &Call, args: &[CelValue]) -> Result<(), Fault> {
        match (call.declaration.function, args.first()) {
            (Function::Range, Some(CelValue::Int(count))) => {
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

    fn member(value: Outcome, of: &BTreeSet<Key>) -> Outcome {
        let value = value?;
        Ok(CelValue::Bool(match Key::of(&value) {
            AsKey::Is(key) => of.contains(&key),
            AsKey::Unique => false,
            AsKey::None => return Err(unhashable(&value)),
        }))
    }

    fn or(&mut self, first: StepId, second: StepId, unwraps: bool) -> Outcome {
        match self.eval(first)? {
            CelValue::Optional(None) => self.eval(second),
            CelValue::Optional(Some(value)) if unwraps => value.opened(),
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
    fn list(&mut self, step: &Step, items: &[(StepId, bool)]) -> Outcome {
        let outcome = self.items(items);
        if outcome.as_ref().is_err_and(|fault| !fault.is_absorbable()) {
            return outcome;
        }
        let plan = self.plan;
        let parts = items.iter().map(|(item, _)| plan.step(*item).part);
        self.made(step, parts, MAKE_LIST)?;
        outcome
    }

    fn items(&mut self, items: &[(StepId, bool)]) -> Outcome {
        self.budget.make_items(items.len())?;
        let mut values = Vec::with_capacity(items.len());
        for (item, optional) in items {
            match self.eval(*item)? {
                value if !optional => values.push(value),
                CelValue::Optional(Some(value)) => values.push(value.opened()?),
                CelValue::Optional(None) => {}
                value => {
                    return Err(Fault::error(not_optional(&value)));
                }
            }
        }
        Ok(CelValue::list(values))
    }

    #[inline(never)]
    fn map(&mut self, step: &Step, entries: &[(StepId, StepId, bool)]) -> Outcome {
        let outcome = self.entries(entries);
        if outcome.as_ref().is_err_and(|fault| !fault.is_absorbable()) {
            return outcome;
        }
        let plan = self.plan;
        let parts = entries.iter().flat_map(|(key, value, _)| [plan.step(*key).part, plan.step(*value).part]);
        self.made(step, parts, MAKE_MAP)?;
        outcome
    }

    fn entries(&mut self, entries: &[(StepId, StepId, bool)]) -> Outcome {
        self.budget.make_items(entries.len() * 2)?;
        let mut made = Entries::default();
        for (key, value, optional) in entries {
            let key = self.eval(*key)?;
            let value = match self.eval(*value)? {
                value if !optional => value,
                CelValue::Optional(Some(value)) => value.opened()?,
                CelValue::Optional(None) => {
                    if let AsKey::Is(place) = Key::of(&key) {
                        made.0.remove(&place);
                    }
                    continue;
                }
                value => {
                    return Err(Fault::error(no_optional_entry(&key, &value)));
                }
            };
            if let CelValue::String(text) = &key {
                self.budget.read_text(text.as_str().len())?;
            }
            if made.insert(key.clone(), value).is_none() {
                return Err(unhashable(&key));
            }
        }
        Ok(CelValue::Map(Map::from(made)))
    }

    #[inline(never)]
    fn message(&mut self, step: &Step, message: &Made, fields: &[(Arc<str>, StepId, bool)]) -> Outcome {
        let outcome = self.fields(message, fields);
        if outcome.as_ref().is_err_and(|fault| !fault.is_absorbable()) {
            return outcome;
        }
        let plan = self.plan;
        let parts = fields.iter().map(|(_, value, _)| plan.step(*value).part);
        self.made(step, parts, MAKE_MESSAGE)?;
        outcome
    }

    fn fields(&mut self, message: &Made, fields: &[(Arc<str>, StepId, bool)]) -> Outcome {
        self.budget.make_items(fields.len())?;
        let mut values = Vec::new();
        for (name, value, optional) in fields {
            match self.eval(*value)? {
                value if !optional => values.push((name.clone(), value)),
                CelValue::Optional(Some(value)) => values.push((name.clone(), value.opened()?)),
                CelValue::Optional(None) => values.retain(|(known, _)| known != name),
                value => {
                    return Err(Fault::error(no_optional_entry(name, &value)));
                }
            }
        }
        match message {
            Made::Message(message) => message::make(*message, values),
            Made::Patch(name) => {
                let fields = values.into_iter().collect();
                Ok(CelValue::Typed(Arc::new(Typed { name: name.clone(), fields })))
            }
        }
    }

    #[inline(never)]
    fn fold(&mut self, step: &Step, fold: &FoldStep) -> Outcome {
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

/// The place that a key means in a list.
fn place_of(key: &CelValue) -> Result<i64, Fault> {
    match key {
        CelValue::Int(place) => Ok(*place),
        CelValue::Uint(value) => i64::try_from(*value).map_err(|_| unsupported(key)),
        CelValue::Double(value) => crate::value::int_of(*value).ok_or_else(|| unsupported(key)),
        other => {
            let message = format!("unsupported index type '{}' in list", other.type_name());
            Err(Fault::error(message))
        }
    }
}

fn unsupported(key: &CelValue) -> Fault {
    Fault::error(format!("unsupported index value {key} in list"))
}
