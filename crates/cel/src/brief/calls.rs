//! Calls of functions.

use portcullis_value::{Budget, Value};
use smallvec::SmallVec;

use super::outline::{Called, Concatenation, Node, Op};
use super::{BYTES_OF_UNIT, COST_OF_UNIT, LONGEST_QUOTE, Nothing, Outcome, STEPS_OF_UNIT, Sketch, View};
use crate::activation::Variables;
use crate::call::{self, Context, Patterns, taking};
use crate::cost::{self, Missing, Rule};
use crate::error::{EvalErrorKind, Fault};
use crate::value::{CelValue, Equality, Held, List, Text};

/// The outcomes of a few arguments.
type Found<'e> = SmallVec<[Outcome<'e>; 4]>;
type Values<'e> = SmallVec<[View<'e>; 4]>;

impl<'e> Sketch<'e, '_> {
    pub(super) fn call(&mut self, call: &'e Called, args: &'e [Node]) -> Outcome<'e> {
        match args {
            [a, b] => {
                let (a, b) = (self.eval(a), self.eval(b));
                self.operation(call, a, b)
            }
            [a] => match self.eval(a) {
                Ok(a) => self.applied(call, &[a]),
                a => self.missed(call, &[a]),
            },
            _ => self.several(call, args),
        }
    }

    fn operation(&mut self, call: &'e Called, a: Outcome<'e>, b: Outcome<'e>) -> Outcome<'e> {
        match (a, b) {
            (Ok(a), Ok(b)) => self.applied(call, &[a, b]),
            (a, b) => self.missed(call, &[a, b]),
        }
    }

    #[inline(never)]
    fn several(&mut self, call: &'e Called, args: &'e [Node]) -> Outcome<'e> {
        let mut found = Found::new();
        for arg in args {
            let arg = self.eval(arg);
            found.push(arg);
            if arg.is_err() && call.stops {
                break;
            }
        }
        match found.iter().copied().collect::<Result<Values<'e>, Nothing>>() {
            Ok(args) => self.applied(call, &args),
            Err(_) => self.missed(call, &found),
        }
    }

    /// `a + b + c`: texts are put together once.
    #[inline(never)]
    pub(super) fn concatenation(&mut self, parts: &'e Concatenation) -> Outcome<'e> {
        let mut found = Found::new();
        for term in &parts.terms {
            let term = self.eval(term);
            found.push(term);
        }
        if self.is_unsure.get() {
            return Err(Nothing);
        }
        let mut bytes: usize = 0;
        let (mut are_texts, mut has_value) = (true, true);
        for term in &found {
            match term.map(View::as_str) {
                Ok(Some(text)) => {
                    bytes = bytes.saturating_add(text.len());
                    // Whoever counts makes each sum by itself.
                    self.take(bytes as u64 / 64)?;
                }
                Ok(None) => are_texts = false,
                Err(Nothing) => has_value = false,
            }
        }
        if are_texts && !has_value {
            return Err(Nothing);
        }
        if are_texts {
            let mut text = self.allowance.desk.text.borrow_mut();
            text.clear();
            text.reserve(bytes);
            for term in found.iter().flatten() {
                text.push_str(term.as_str().unwrap_or_default());
            }
            return self.keep(CelValue::String(Text::from(text.as_str())), bytes);
        }
        let mut found = found.into_iter();
        let Some(mut sum) = found.next() else { return self.unsure() };
        for (call, term) in parts.calls.iter().zip(found) {
            sum = self.operation(call, sum, term);
        }
        sum
    }

    /// A call of which arguments have no value is charged all the same.
    #[cold]
    fn missed(&mut self, call: &Called, found: &[Outcome<'e>]) -> Outcome<'e> {
        if self.is_unsure.get() {
            return Err(Nothing);
        }
        let needs_result = matches!(call.rule, Rule::Made | Rule::Result);
        if !needs_result && call.rule != Rule::One {
            let missing = Missing::of(found.iter().map(Result::is_err));
            let values = found.iter().map(|arg| self.value(arg.unwrap_or(View::Null)));
            let values: SmallVec<[CelValue; 4]> = values.collect::<Result<_, Nothing>>()?;
            let args: SmallVec<[Held<'_>; 4]> = values.iter().map(Held::of).collect();
            let cost = self.counted(|budget| cost::of(budget, call.rule, &args, missing, None));
            let cost = cost.map_err(|_| self.stop())?;
            self.take(cost / COST_OF_UNIT)?;
        }
        Err(Nothing)
    }

    fn applied(&mut self, call: &'e Called, args: &[View<'e>]) -> Outcome<'e> {
        match self.quick(call, args)? {
            Some(found) => Ok(found),
            None => self.called(call, args),
        }
    }

    #[inline(never)]
    fn called(&mut self, call: &'e Called, args: &[View<'e>]) -> Outcome<'e> {
        self.take(1)?;
        let given: call::Args = args.iter().map(|arg| self.value(*arg)).collect::<Result<_, Nothing>>()?;
        let written = &self.outline.patterns;
        // A function that fails is charged all the same.
        let mut cost = 0;
        let found = self.counted(|budget| {
            let needs_result = matches!(call.rule, Rule::Made | Rule::Result);
            if !needs_result && call.rule != Rule::One {
                let args: SmallVec<[Held<'_>; 4]> = given.iter().map(Held::of).collect();
                cost = cost::of(budget, call.rule, &args, Missing::default(), None)?;
            }
            let mut patterns = Patterns::new(written);
            let nobody = Variables::default();
            let mut context = Context { budget, patterns: &mut patterns, activation: &nobody };
            let made = call::call(&mut context, call.declaration, call.overload, call.is_guarded, given)?;
            if needs_result {
                let result = Held::of(&made);
                cost = cost::of(budget, call.rule, &[], Missing::default(), Some(result))?;
            }
            Ok((made, budget.memory()))
        });
        self.take(cost / COST_OF_UNIT)?;
        let (made, bytes) = found?;
        if let CelValue::Optional(_) | CelValue::Unreadable(_) = made {
            return self.unsure();
        }
        self.keep(made, usize::try_from(bytes).unwrap_or(usize::MAX))
    }

    /// Runs what counts, with what is left.
    pub(super) fn counted<T>(
        &mut self,
        run: impl FnOnce(&mut Budget<'_>) -> Result<T, Fault>,
    ) -> Result<T, Nothing> {
        let mut budget = Budget::new(self.allowance.limits(), None);
        let made = run(&mut budget);
        self.take((budget.steps() / STEPS_OF_UNIT).max(budget.memory() / BYTES_OF_UNIT) + 1)?;
        made.map_err(|fault| {
            let is_short = fault.kind == EvalErrorKind::Evaluation && fault.message.len() <= LONGEST_QUOTE;
            if is_short { Nothing } else { self.stop() }
        })
    }

    /// The functions that are called most, on values where they lie; none if it has to be called.
    fn quick(&mut self, call: &Called, args: &[View<'e>]) -> Result<Option<View<'e>>, Nothing> {
        let found = match (call.op, args) {
            (Op::In, [part, whole]) => self.is_in(*part, *whole)?.map(View::bool),
            (Op::Add, [a, b]) => self.sum(*a, *b)?,
            (Op::Join, [list]) => self.joined(*list, "")?,
            (Op::Join, [list, separator]) => match separator.as_str() {
                Some(separator) => self.joined(*list, separator)?,
                None => None,
            },
            (Op::Size, [whole]) => match whole {
                View::Input(value) if value.as_str().is_none() => size(value.count().unwrap_or(0)),
                View::Made(CelValue::List(list)) => size(list.len()),
                View::Items(items) => size(items.len()),
                _ => None,
            },
            (Op::Dyn, [whole]) => {
                self.take(whole.as_str().map_or(0, |text| text.len() as u64 / 64))?;
                Some(*whole)
            }
            (Op::String, [whole]) => match whole.as_str() {
                Some(text) => {
                    self.take(text.len() as u64 / 64)?;
                    Some(*whole)
                }
                None => None,
            },
            (Op::StartsWith | Op::EndsWith, [whole, part]) => match (whole.as_str(), part.as_str()) {
                (Some(whole), Some(part)) => {
                    self.take(whole.len() as u64 / 64 + part.len() as u64 / 64)?;
                    let is_start = call.op == Op::StartsWith;
                    Some(View::bool(if is_start { whole.starts_with(part) } else { whole.ends_with(part) }))
                }
                _ => None,
            },
            (op, [View::Int(a), View::Int(b)]) => match op {
                Op::Less => Some(View::bool(a < b)),
                Op::LessEquals => Some(View::bool(a <= b)),
                Op::Greater => Some(View::bool(a > b)),
                Op::GreaterEquals => Some(View::bool(a >= b)),
                _ => None,
            },
            _ => None,
        };
        let takes = || taking(call.declaration, call.overload, args, |arg, ty| arg.is_of(ty)).is_some();
        Ok(found.filter(|_| call.takes_any || takes()))
    }

    fn is_in(&mut self, part: View<'e>, whole: View<'e>) -> Result<Option<bool>, Nothing> {
        match whole {
            View::Items(items) => {
                self.take(items.len() as u64)?;
                for item in items {
                    if self.equals(part, *item)? == Equality::Same {
                        return Ok(Some(true));
                    }
                }
            }
            View::Input(input) => {
                if let (Some(object), Some(key)) = (input.as_object(), part.as_str()) {
                    return Ok(Some(object.get_str(key).is_some()));
                }
                let Some(items) = input.as_array() else { return Ok(None) };
                self.take(items.len() as u64)?;
                for item in items {
                    let item = self.input(item)?;
                    if self.equals(part, item)? == Equality::Same {
                        return Ok(Some(true));
                    }
                }
            }
            View::Made(CelValue::List(list)) => {
                let Some(items) = list.made() else { return Ok(None) };
                self.take(items.len() as u64)?;
                for item in items {
                    if self.equals(part, View::of(item))? == Equality::Same {
                        return Ok(Some(true));
                    }
                }
            }
            _ => return Ok(None),
        }
        Ok(Some(false))
    }

    fn sum(&mut self, a: View<'e>, b: View<'e>) -> Result<Option<View<'e>>, Nothing> {
        if let (View::Int(a), View::Int(b)) = (a, b) {
            return Ok(a.checked_add(b).map(View::Int));
        }
        let (Some(of_a), Some(of_b)) = (length(a), length(b)) else { return Ok(None) };
        self.take((of_a + of_b) as u64)?;
        if of_a == 0 {
            return Ok(Some(b));
        }
        if of_b == 0 {
            return Ok(Some(a));
        }
        let mut items = Vec::with_capacity(of_a + of_b);
        for list in [a, b] {
            match list {
                View::Items(list) => items.extend_from_slice(list),
                View::Input(input) => {
                    for item in input.as_array().into_iter().flatten() {
                        items.push(self.input(item)?);
                    }
                }
                View::Made(CelValue::List(List::Made(list))) => {
                    items.extend(list.iter().map(View::of));
                }
                _ => return Ok(None),
            }
        }
        self.items(items).map(Some)
    }

    /// Texts in one; none if there is something else among them.
    fn joined(&mut self, list: View<'e>, separator: &str) -> Result<Option<View<'e>>, Nothing> {
        let items: Option<SmallVec<[&str; 8]>> = match list {
            View::Items(items) => items.iter().map(|item| item.as_str()).collect(),
            View::Input(input) => match input.as_array() {
                Some(items) => items.iter().map(Value::as_str).collect(),
                None => None,
            },
            View::Made(CelValue::List(list)) => match list.made() {
                Some(items) => items.iter().map(CelValue::as_str).collect(),
                None => None,
            },
            _ => None,
        };
        let Some(items) = items else { return Ok(None) };
        let all = items.iter().fold(0_usize, |all, text| all.saturating_add(text.len()));
        let bytes = all.saturating_add(items.len().saturating_mul(separator.len()));
        self.take(bytes as u64 / 32 + items.len() as u64 / 8)?;
        let mut text = self.allowance.desk.text.borrow_mut();
        text.clear();
        text.reserve(bytes);
        for (place, item) in items.iter().enumerate() {
            if place > 0 {
                text.push_str(separator);
            }
            text.push_str(item);
        }
        self.keep(CelValue::String(Text::from(text.as_str())), bytes).map(Some)
    }
}

fn size<'e>(count: usize) -> Option<View<'e>> {
    i64::try_from(count).ok().map(View::Int)
}

/// How many elements a list has; none of a value that is none, or of a list whose order says nothing.
fn length(value: View<'_>) -> Option<usize> {
    match value {
        View::Items(items) => Some(items.len()),
        View::Input(input) => input.as_array().map(<[Value]>::len),
        View::Made(CelValue::List(List::Made(items))) => Some(items.len()),
        _ => None,
    }
}
