//! Goes over lists and maps.

use super::outline::{Folded, Gathers, Node};
use super::{Nothing, Outcome, Sketch, Truth, View};
use crate::value::{CelValue, Map};

impl<'e> Sketch<'e, '_> {
    #[inline(never)]
    pub(super) fn fold(&mut self, fold: &'e Folded) -> Outcome<'e> {
        let has_two = fold.has_two;
        let turn = |place: usize, item: View<'e>| match i64::try_from(place) {
            Ok(place) if has_two => (View::Int(place), item),
            _ => (item, View::Null),
        };
        match self.eval(&fold.range)? {
            View::Items(items) => {
                self.over(fold, items.iter().enumerate(), |_, (place, item)| Ok(turn(place, *item)))
            }
            View::Input(input) => {
                if let Some(items) = input.as_array() {
                    let items = items.iter().enumerate();
                    return self.over(fold, items, |this, (place, item)| Ok(turn(place, this.input(item)?)));
                }
                let object = input.as_object().ok_or_else(|| self.stop())?;
                self.take(object.len() as u64)?;
                self.over(fold, object.iter(), |this, (key, value)| {
                    Ok((this.input(key)?, if has_two { this.input(value)? } else { View::Null }))
                })
            }
            View::Made(CelValue::List(list)) => {
                let items = list.made().ok_or_else(|| self.stop())?.iter().enumerate();
                self.over(fold, items, |_, (place, item)| Ok(turn(place, View::of(item))))
            }
            View::Made(CelValue::Map(Map::Made(entries))) => {
                self.take(entries.0.len() as u64)?;
                self.over(fold, entries.0.values(), |_, (key, value)| {
                    Ok((View::of(key), if has_two { View::of(value) } else { View::Null }))
                })
            }
            _ => self.unsure(),
        }
    }

    /// With an error a quantifier goes on until an element decides, and what is collected of the others is lost.
    fn over<T>(
        &mut self,
        fold: &'e Folded,
        elements: impl Iterator<Item = T>,
        turn: impl Fn(&Self, T) -> Result<(View<'e>, View<'e>), Nothing>,
    ) -> Outcome<'e> {
        let mut has_value = true;
        let begin = |this: &mut Self, element: T| {
            this.take(fold.units)?;
            let now = turn(this, element)?;
            if let Some(frame) = this.frames.get_mut(fold.slot) {
                *frame = now;
            }
            Ok(())
        };
        match &fold.gathers {
            Gathers::Truth { is_any, test } => {
                for element in elements {
                    begin(self, element)?;
                    match self.tested(test)? {
                        Some(found) if found == *is_any => return Ok(View::bool(*is_any)),
                        Some(_) => {}
                        None => has_value = false,
                    }
                }
                if has_value { Ok(View::bool(!is_any)) } else { Err(Nothing) }
            }
            Gathers::Items { test, made, none } => {
                let mut items = Vec::new();
                for element in elements {
                    begin(self, element)?;
                    match test.as_ref().map(|test| self.tested(test)).transpose()? {
                        None | Some(Some(true)) => {}
                        Some(Some(false)) => continue,
                        Some(None) => {
                            has_value = false;
                            continue;
                        }
                    }
                    match self.eval(made) {
                        Ok(made) if has_value => items.push(made),
                        Ok(_) => {}
                        Err(Nothing) if self.is_unsure.get() => return Err(Nothing),
                        Err(Nothing) => has_value = false,
                    }
                }
                match none {
                    _ if !has_value => Err(Nothing),
                    Some(none) if items.is_empty() => Ok(View::of(none)),
                    _ => self.items(items),
                }
            }
        }
    }

    /// Whether a test holds; none if it has no value.
    fn tested(&mut self, test: &'e Node) -> Result<Option<bool>, Nothing> {
        match self.eval(test) {
            Ok(View::Bool(holds)) => Ok(Some(holds == Truth::Yes)),
            Err(Nothing) if self.is_unsure.get() => Err(Nothing),
            Ok(_) | Err(Nothing) => Ok(None),
        }
    }
}
