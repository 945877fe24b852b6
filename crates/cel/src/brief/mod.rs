//! Evaluates a plan without counting what it costs, within an [`Allowance`] so small that no limit could have ended it: so
//! most evaluations are as fast as looking at the values. Whatever it is not sure of, it leaves to `eval`, which counts: an
//! error that may be passed over, anything long, optional values, questions to a cluster.
//!
//! What it takes is reckoned in units, never fewer than what `eval` would count: for each unit, that charges no more than 8 of
//! the API server's, [`STEPS_OF_UNIT`] steps and [`BYTES_OF_UNIT`] bytes.

mod allowance;
mod calls;
mod folds;
mod outline;
mod paths;
mod sight;

use std::cell::Cell;
use std::collections::BTreeSet;

use portcullis_value::{ITEM_BYTES, Value};
use smallvec::SmallVec;

use outline::Node;

pub use allowance::{Allowance, Desk};
pub(crate) use outline::Outline;
pub use sight::Sight;
use sight::{Truth, View};

use crate::activation::{Activation, Variables};
use crate::value::{AsKey, CelValue, Entries, Equality, Held, Key, MAX_VALUE_NESTING, Map, Text, equals};

/// Most that evaluating costs for a unit of an [`Allowance`].
pub const COST_OF_UNIT: u64 = 8;
/// Most steps that evaluating takes for a unit of an [`Allowance`].
pub const STEPS_OF_UNIT: u64 = 16;
/// Most bytes that are made for a unit of an [`Allowance`].
pub const BYTES_OF_UNIT: u64 = 128;
/// Longest text that an error quotes: what passes over an error is charged by its length.
const LONGEST_QUOTE: usize = 512;

/// Knows what names are worth where nothing is counted. As [`Activation`](crate::Activation), but what it does not know is not told.
pub trait Names<'e> {
    /// The value of a variable.
    fn variable(&self, name: &str) -> Option<Sight<'e>>;

    /// A field of a value that is a [`CelValue::Object`], as [`Activation::field`](crate::Activation::field) has it.
    ///
    /// # Errors
    ///
    /// If it has no value, or if that is not known.
    fn field(&self, object: &str, field: &Text, place: Option<u32>) -> Result<Sight<'e>, Stop>;
}

impl<'e> Names<'e> for &'e Variables {
    fn variable(&self, name: &str) -> Option<Sight<'e>> {
        Activation::variable(*self, name).map(Sight::of)
    }

    fn field(&self, _: &str, _: &Text, _: Option<u32>) -> Result<Sight<'e>, Stop> {
        Err(Stop::Unsure)
    }
}

/// Why there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Every evaluation ends with an error that may be passed over, which says why.
    NoValue,
    /// It is not known what there would be: it has to be evaluated.
    Unsure,
}

/// That there is no value. [`Sketch::is_unsure`] says why.
#[derive(Clone, Copy, Debug)]
struct Nothing;

type Outcome<'e> = Result<View<'e>, Nothing>;

/// What the variables of a fold are worth.
type Frame<'e> = (View<'e>, View<'e>);

/// An evaluation.
pub(crate) struct Sketch<'e, 's> {
    outline: &'e Outline,
    names: &'s dyn Names<'e>,
    allowance: &'s Allowance<'e>,
    /// The variables that were read.
    variables: SmallVec<[Option<View<'e>>; 4]>,
    frames: SmallVec<[Frame<'e>; 4]>,
    /// What is the same at each turn of a fold, with the units that it takes.
    kept: SmallVec<[Option<(View<'e>, u64)>; 2]>,
    /// Whether something came up that is left to who counts, after which nothing is known any more.
    is_unsure: Cell<bool>,
}

impl<'e, 's> Sketch<'e, 's> {
    pub(crate) fn new(outline: &'e Outline, names: &'s dyn Names<'e>, allowance: &'s Allowance<'e>) -> Self {
        Self {
            outline,
            names,
            allowance,
            variables: SmallVec::from_elem(None, outline.variables),
            frames: SmallVec::from_elem((View::Null, View::Null), outline.frames),
            kept: SmallVec::from_elem(None, outline.kept),
            is_unsure: Cell::new(false),
        }
    }

    pub(crate) fn run(&mut self) -> Result<Sight<'e>, Stop> {
        let found = self.whole();
        found.map(Sight).map_err(|Nothing| if self.is_unsure.get() { Stop::Unsure } else { Stop::NoValue })
    }

    fn whole(&mut self) -> Outcome<'e> {
        self.take(self.outline.units)?;
        let value = self.eval(&self.outline.root)?;
        if let View::Items(_) | View::Made(_) = value {
            if let View::Made(CelValue::Optional(_) | CelValue::Typed(_) | CelValue::Unreadable(_)) = value {
                return self.unsure();
            }
            if !self.counted(|budget| Ok(value.is_within(budget, MAX_VALUE_NESTING)?))? {
                return self.unsure();
            }
        }
        Ok(value)
    }

    #[cold]
    fn stop(&self) -> Nothing {
        self.is_unsure.set(true);
        Nothing
    }

    /// Leaves all of it to who counts.
    fn unsure<T>(&self) -> Result<T, Nothing> {
        Err(self.stop())
    }

    /// Uses units.
    #[inline]
    fn take(&self, units: u64) -> Result<(), Nothing> {
        if self.allowance.take(units) { Ok(()) } else { self.unsure() }
    }

    fn eval(&mut self, node: &'e Node) -> Outcome<'e> {
        match node {
            Node::Const(number) => {
                let outline = self.outline;
                outline.constants.get(*number as usize).map(View::of).ok_or_else(|| self.stop())
            }
            Node::Field(variable, field) => self.field_of(*variable as usize, *field as usize),
            Node::Path(path) => self.path(path),
            Node::Choice(parts) => {
                let [test, one, other] = &**parts;
                match self.eval(test)? {
                    View::Bool(Truth::Yes) => self.eval(one),
                    View::Bool(Truth::No) => self.eval(other),
                    _ => Err(Nothing),
                }
            }
            Node::Logical { is_or, terms } => self.logical(*is_or, terms),
            Node::Equal { negated, terms } => self.equal(*negated, terms),
            Node::Not(inner) => match self.eval(inner)? {
                View::Bool(value) => Ok(View::bool(value == Truth::No)),
                _ => self.unsure(),
            },
            Node::Call(call) => self.call(&call.0, &call.1),
            Node::Concatenation(parts) => self.concatenation(parts),
            Node::Member(parts) => self.member(&parts.0, &parts.1),
            Node::List(items) => self.list(&items.0),
            Node::Map(entries) => self.map(&entries.0),
            Node::Fold(fold) => self.fold(fold),
            Node::Kept(place, inner) => self.kept(*place as usize, inner),
            Node::Unsure => self.unsure(),
        }
    }

    #[inline(never)]
    fn kept(&mut self, place: usize, inner: &'e Node) -> Outcome<'e> {
        if let Some(Some((value, units))) = self.kept.get(place).copied() {
            self.take(units)?;
            return Ok(value);
        }
        let before = self.allowance.left();
        let value = self.eval(inner)?;
        if let Some(kept) = self.kept.get_mut(place) {
            *kept = Some((value, before.saturating_sub(self.allowance.left())));
        }
        Ok(value)
    }

    #[inline(never)]
    fn member(&mut self, value: &'e Node, of: &BTreeSet<Key>) -> Outcome<'e> {
        let value = self.eval(value)?;
        let value = self.value(value)?;
        match Key::of(&value) {
            AsKey::Is(key) => Ok(View::bool(of.contains(&key))),
            AsKey::Unique => Ok(View::bool(false)),
            AsKey::None => self.unsure(),
        }
    }

    /// Keeps a value that takes so many bytes beside itself.
    fn keep(&self, value: CelValue, bytes: usize) -> Outcome<'e> {
        Ok(match value {
            CelValue::Null => View::Null,
            CelValue::Bool(value) => View::bool(value),
            CelValue::Int(value) => View::Int(value),
            CelValue::Uint(value) => View::Uint(value),
            CelValue::Double(value) => View::Double(value.to_bits()),
            other => View::of(self.allowance.desk.keep(other, bytes).ok_or_else(|| self.stop())?),
        })
    }

    /// A value by itself. What is in it twice is there twice then: that is as much work as it is large.
    fn value(&self, view: View<'e>) -> Result<CelValue, Nothing> {
        let View::Items(items) = view else { return Ok(view.to_value()) };
        self.take(items.len() as u64)?;
        let values: Result<Vec<CelValue>, Nothing> = items.iter().map(|item| self.value(*item)).collect();
        values.map(CelValue::list)
    }

    /// A list.
    fn items(&self, items: Vec<View<'e>>) -> Outcome<'e> {
        self.allowance.desk.list(items).ok_or_else(|| self.stop())
    }

    /// A value of the input.
    #[inline]
    fn input(&self, value: &'e Value) -> Outcome<'e> {
        if let Some(held) = Held::of_input(value) {
            return Ok(held.into());
        }
        let bytes = value.count().unwrap_or(0).saturating_mul(size_of::<CelValue>());
        self.keep(CelValue::from(value.clone()), bytes)
    }

    /// An error is passed over where the other term decides.
    fn logical(&mut self, is_or: bool, terms: &'e [Node; 2]) -> Outcome<'e> {
        let mut has_value = true;
        for term in terms {
            match self.eval(term) {
                Ok(View::Bool(value)) if (value == Truth::Yes) == is_or => return Ok(View::Bool(value)),
                Ok(View::Bool(_)) => {}
                Err(Nothing) if self.is_unsure.get() => return Err(Nothing),
                Ok(_) | Err(Nothing) => has_value = false,
            }
        }
        if has_value { Ok(View::bool(!is_or)) } else { Err(Nothing) }
    }

    #[inline(never)]
    fn equal(&mut self, negated: bool, [left, right]: &'e [Node; 2]) -> Outcome<'e> {
        let (a, b) = (self.eval(left), self.eval(right));
        if self.is_unsure.get() {
            return Err(Nothing);
        }
        let (a, b) = (a?, b?);
        let is_same = match (a, b) {
            (View::Null, View::Null) => true,
            (View::Null, _) | (_, View::Null) => false,
            (a, b) => match self.equals(a, b)? {
                Equality::Same => true,
                Equality::NoOverload if !negated => return Err(Nothing),
                _ => false,
            },
        };
        Ok(View::bool(is_same != negated))
    }

    /// Whether the first value says that the second is its equal.
    fn equals(&mut self, a: View<'e>, b: View<'e>) -> Result<Equality, Nothing> {
        Ok(match (a, b) {
            (View::Bool(a), View::Bool(b)) => (a == b).into(),
            (View::Int(a), View::Int(b)) => (a == b).into(),
            _ => {
                if let (Some(a), Some(b)) = (a.as_str(), b.as_str()) {
                    self.take(a.len().min(b.len()) as u64 / 64)?;
                    return Ok((a == b).into());
                }
                self.take(a.size().min(b.size()) / 64 + 1)?;
                if let (Ok(a), Ok(b)) = (a.held(), b.held()) {
                    return self.counted(|budget| a.equals(budget, b).map_err(Into::into));
                }
                let (a, b) = (self.value(a)?, self.value(b)?);
                self.counted(|budget| equals(budget, &a, &b).map_err(Into::into))?
            }
        })
    }

    #[inline(never)]
    fn list(&mut self, items: &'e [Node]) -> Outcome<'e> {
        let mut values = Vec::with_capacity(items.len());
        for item in items {
            values.push(self.eval(item)?);
        }
        self.items(values)
    }

    #[inline(never)]
    fn map(&mut self, entries: &'e [(Node, Node)]) -> Outcome<'e> {
        let mut made = Entries::default();
        for (key, value) in entries {
            let (key, value) = (self.eval(key)?, self.eval(value)?);
            let (key, value) = (self.value(key)?, self.value(value)?);
            if let CelValue::String(text) = &key {
                self.take(text.as_str().len() as u64 / 64)?;
            }
            if made.insert(key, value).is_none() {
                return self.unsure();
            }
        }
        self.keep(CelValue::Map(Map::from(made)), entries.len().saturating_mul(2 * ITEM_BYTES))
    }
}

#[cfg(test)]
mod tests {
    use super::{Node, Outcome};

    #[test]
    fn what_is_handed_on_is_small() {
        assert_eq!((size_of::<Node>(), size_of::<Outcome<'_>>()), (16, 16));
    }
}
