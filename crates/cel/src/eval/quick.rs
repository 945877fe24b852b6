//! The functions that are called most, on values where they lie. What they do, and what they take of the budget, is what
//! `call` does; whatever is not plain is left to it.

use super::{Held, Machine};
use crate::call::{looks_at_types, taking};
use crate::error::Fault;
use crate::functions::Function;
use crate::plan::Call;
use crate::value::{CelValue, Equality, List, Text};

impl<'e> Machine<'e, '_> {
    /// What a call comes to; none if it has to be called.
    pub(super) fn quick(&mut self, call: &Call, args: &[Held<'e>]) -> Result<Option<Held<'e>>, Fault> {
        use Function as F;
        let function = call.declaration.function;
        let is_quick = matches!(
            function,
            F::Add
                | F::Contains
                | F::Dyn
                | F::EndsWith
                | F::Greater
                | F::GreaterEquals
                | F::In
                | F::Less
                | F::LessEquals
                | F::Size
                | F::StartsWith
                | F::String
        );
        if !is_quick || !takes(call, args) {
            return Ok(None);
        }
        match (function, args) {
            (F::In, [part, whole]) => self.is_in(*part, *whole),
            (F::Add, [a, b]) => self.sum(*a, *b),
            (F::Size, [whole]) => self.size(*whole),
            (F::String, [whole]) => {
                let Some(text) = whole.as_str() else { return Ok(None) };
                self.budget.step(1)?;
                self.budget.read_text(text.len())?;
                Ok(Some(*whole))
            }
            (F::Dyn, [whole]) => {
                self.budget.step(1)?;
                if let Some(text) = whole.as_str() {
                    self.budget.read_text(text.len())?;
                }
                Ok(Some(*whole))
            }
            (F::Contains | F::StartsWith | F::EndsWith, [whole, part]) => {
                let (Some(whole), Some(part)) = (whole.as_str(), part.as_str()) else { return Ok(None) };
                self.budget.step(1)?;
                self.budget.read_text(whole.len())?;
                self.budget.read_text(part.len())?;
                Ok(Some(Held::Bool(match function {
                    F::Contains => whole.contains(part),
                    F::StartsWith => whole.starts_with(part),
                    _ => whole.ends_with(part),
                })))
            }
            (F::Less | F::LessEquals | F::Greater | F::GreaterEquals, [Held::Int(a), Held::Int(b)]) => {
                self.budget.step(1)?;
                Ok(Some(Held::Bool(match function {
                    F::Less => a < b,
                    F::LessEquals => a <= b,
                    F::Greater => a > b,
                    _ => a >= b,
                })))
            }
            _ => Ok(None),
        }
    }

    fn is_in(&mut self, part: Held<'e>, whole: Held<'e>) -> Result<Option<Held<'e>>, Fault> {
        match whole {
            Held::Input(input) => {
                if let (Some(object), Some(key)) = (input.as_object(), part.as_str()) {
                    self.budget.step(2)?;
                    return Ok(Some(Held::Bool(object.get_str(key).is_some())));
                }
                let Some(items) = input.as_array() else { return Ok(None) };
                self.budget.step(1)?;
                for item in items {
                    let item = self.input(item)?;
                    if part.equals(self.budget, item)? == Equality::Same {
                        return Ok(Some(Held::Bool(true)));
                    }
                }
            }
            Held::Made(CelValue::List(list)) => {
                let Some(items) = list.made() else { return Ok(None) };
                self.budget.step(1)?;
                for item in items {
                    if part.equals(self.budget, Held::of(item))? == Equality::Same {
                        return Ok(Some(Held::Bool(true)));
                    }
                }
            }
            _ => return Ok(None),
        }
        Ok(Some(Held::Bool(false)))
    }

    fn sum(&mut self, a: Held<'e>, b: Held<'e>) -> Result<Option<Held<'e>>, Fault> {
        if let (Some(a), Some(b)) = (a.as_str(), b.as_str()) {
            self.budget.step(1)?;
            self.budget.make_text(a.len() + b.len())?;
            self.text.clear();
            self.text.push_str(a);
            self.text.push_str(b);
            let made = Text::from(self.text.as_str());
            return self.keep(CelValue::String(made)).map(Some);
        }
        match (a, b) {
            (Held::Int(a), Held::Int(b)) => {
                let Some(sum) = a.checked_add(b) else { return Ok(None) };
                self.budget.step(1)?;
                Ok(Some(Held::Int(sum)))
            }
            // A list of the input becomes another one even by nothing, as far as messages are concerned.
            (Held::Made(CelValue::List(List::Made(_))), Held::Input(none)) if none.count() == Some(0) => {
                self.budget.step(1)?;
                Ok(Some(a))
            }
            (Held::Made(CelValue::List(List::Made(_))), Held::Made(CelValue::List(List::Made(none))))
                if none.is_empty() =>
            {
                self.budget.step(1)?;
                Ok(Some(a))
            }
            _ => Ok(None),
        }
    }

    fn size(&mut self, whole: Held<'e>) -> Result<Option<Held<'e>>, Fault> {
        let is_sized = matches!(
            whole,
            Held::Input(_) | Held::Made(CelValue::List(_) | CelValue::Map(_) | CelValue::Bytes(_))
        );
        if !is_sized {
            return Ok(None);
        }
        self.budget.step(1)?;
        if let Some(text) = whole.as_str() {
            self.budget.read_text(text.len())?;
        }
        Ok(Some(Held::Int(i64::try_from(whole.cost_size()).unwrap_or(i64::MAX))))
    }
}

/// Whether a call takes such arguments.
fn takes(call: &Call, args: &[Held<'_>]) -> bool {
    if !(call.is_guarded && looks_at_types(call.declaration)) {
        return true;
    }
    taking(call.declaration, call.overload, args, |arg, ty| arg.is_of(ty)).is_some()
}
