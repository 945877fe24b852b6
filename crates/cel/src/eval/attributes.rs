//! What is read: variables, accumulators and elements of folds, and what is selected of them.

use std::sync::Arc;

use portcullis_value::Value;

use super::{Accumulator, Held, Machine, Outcome};
use crate::cost::SELECT;
use crate::error::Fault;
use crate::plan::{Attribute, By, Qualifier, Root, Step};
use crate::value::{CelValue, Map};

impl<'e> Machine<'e, '_> {
    #[inline(never)]
    pub(super) fn attribute(
        &mut self,
        step: &'e Step,
        attribute: &'e Attribute,
        test_only: bool,
    ) -> Outcome<'e> {
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
    pub(super) fn taken_accumulator(&mut self, slot: usize) -> Result<CelValue, Fault> {
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
        qualifiers: &'e [Qualifier],
    ) -> Result<(Held<'e>, &'e [Qualifier]), Fault> {
        let mut found = input;
        let mut count = 0;
        let mut tested = None;
        for qualifier in qualifiers {
            let By::Key(CelValue::String(key)) = &qualifier.by else { break };
            let Some(object) = found.as_object().filter(|_| !qualifier.optional) else { break };
            let below = object.get_str(key.as_str());
            if qualifier.test_only {
                tested = Some(below.is_some());
                count += 1;
                break;
            }
            let Some(below) = below else { break };
            found = below;
            count += 1;
        }
        let (selected, rest) = qualifiers.split_at_checked(count).unwrap_or((qualifiers, &[]));
        let all = count as u64;
        if self.budget.is_room_for(all) && self.cost.saturating_add(all * SELECT) <= self.limit {
            self.budget.step(all)?;
            self.cost += all * SELECT;
            for qualifier in selected {
                self.push(qualifier.part);
            }
        } else {
            for qualifier in selected {
                self.budget.step(1)?;
                self.charge(SELECT, qualifier.part).map_err(|fault| fault.at(qualifier.at))?;
            }
        }
        match tested {
            Some(is_there) => Ok((Held::Bool(is_there), rest)),
            None => Ok((self.input(found)?, rest)),
        }
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
            let is_native = matches!(&qualifier.by, By::Attribute(attribute) if attribute.is_native());
            let key = key.to_value();
            let given = if is_native { key.native_type() } else { key.go_type() };
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
                CelValue::List(list) => match list.made() {
                    None => None,
                    Some(items) => {
                        let place = usize::try_from(place_of(key)?).ok();
                        let Some(found) = place.and_then(|place| items.get(place)) else {
                            return missing("index out of bounds");
                        };
                        Some(Held::of(found))
                    }
                },
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
        let found = self.activation.field(name, field, place);
        Ok(found.map_err(|error| Fault::new(error.kind, error.message))?.map(Held::of))
    }
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
