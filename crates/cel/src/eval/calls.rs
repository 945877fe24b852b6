//! Calls of functions, and what they cost. `quick.rs` has those that are called most.

use smallvec::SmallVec;

use super::{Held, Machine, Outcome};
use crate::call::{self, Args, Context};
use crate::cost::{self, MAKE_LIST, Missing, SELECT};
use crate::error::Fault;
use crate::functions::Function;
use crate::plan::{Action, Attribute, Call, NOT_ASKED, Root, Step, StepId};
use crate::value::CelValue;

impl<'e> Machine<'e, '_> {
    #[inline(never)]
    pub(super) fn call(&mut self, step: &Step, call: &'e Call) -> Outcome<'e> {
        if let [arg] = call.args.as_slice()
            && let Function::Not | Function::NotStrictlyFalse = call.declaration.function
        {
            return self.truth(step, call, *arg);
        }
        let mut args: SmallVec<[Held<'e>; 3]> = SmallVec::new();
        // The first error, and the places of all: there nothing is an argument.
        let (mut wrong, mut missing) = (None, Missing::default());
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
                    missing.add(place);
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
        if is_charged && !needs_result {
            cost = if let Some((own, _)) = &own {
                let rest = args.iter().skip(1).copied();
                let given: SmallVec<[Held<'_>; 3]> = std::iter::once(Held::of(own)).chain(rest).collect();
                cost::of(self.budget, call.rule, &given, missing, None)?
            } else {
                cost::of(self.budget, call.rule, &args, missing, None)?
            };
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
            let result = outcome.as_ref().ok().copied();
            cost = cost::of(self.budget, call.rule, &[], Missing::default(), result)?;
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
}
