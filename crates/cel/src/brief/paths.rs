//! What is read, and what is selected of it.

use super::outline::{Origin, Path, Selected, Selector};
use super::{LONGEST_QUOTE, Nothing, Outcome, Sketch, Stop, View};
use crate::value::{CelValue, Held, Map, Text};

impl<'e> Sketch<'e, '_> {
    pub(super) fn path(&mut self, path: &'e Path) -> Outcome<'e> {
        let mut selected = path.selected.iter();
        let mut value = match &path.root {
            Origin::Variable(name, place) => self.variable(name, *place)?,
            Origin::First(slot) => self.frames.get(*slot).ok_or_else(|| self.stop())?.0,
            Origin::Second(slot) => self.frames.get(*slot).ok_or_else(|| self.stop())?.1,
            Origin::Node(node) => self.eval(node)?,
        };
        if let View::Made(made) = value {
            if let CelValue::Object(name) = made
                && let Some(Selected { by: Selector::Field(field), place, test_only: false }) =
                    selected.as_slice().first()
            {
                selected.next();
                value = self.field(name, field, *place)?;
            }
            value = self.sure(value)?;
        }
        for selected in selected {
            value = if let (View::Input(input), Selector::Field(field)) = (value, &selected.by)
                && let Some(object) = input.as_object()
            {
                match object.get_str(field.as_str()) {
                    found if selected.test_only => View::bool(found.is_some()),
                    Some(found) => self.input(found)?,
                    None => return self.missing(field.as_str()),
                }
            } else {
                self.selected(value, selected)?
            };
        }
        Ok(value)
    }

    #[inline]
    fn variable(&mut self, name: &str, place: usize) -> Outcome<'e> {
        if let Some(Some(known)) = self.variables.get(place) {
            return Ok(*known);
        }
        let found = self.names.variable(name).ok_or_else(|| self.stop())?.0;
        if let Some(known) = self.variables.get_mut(place) {
            *known = Some(found);
        }
        Ok(found)
    }

    /// A field of a variable.
    pub(super) fn field_of(&mut self, place: usize, field: usize) -> Outcome<'e> {
        let outline = self.outline;
        let name = outline.names.get(place).ok_or_else(|| self.stop())?;
        let (field, of_field) = outline.fields.get(field).ok_or_else(|| self.stop())?;
        match self.variable(name, place)? {
            View::Made(CelValue::Object(object)) => {
                let found = self.field(object, field, *of_field)?;
                self.sure(found)
            }
            View::Input(input) if let Some(object) = input.as_object() => {
                match object.get_str(field.as_str()) {
                    Some(found) => self.input(found),
                    None => self.missing(field.as_str()),
                }
            }
            value => {
                let found = self.found(self.sure(value)?, View::Input(field.value()), *of_field)?;
                found.map_or_else(|| self.missing(field.as_str()), |found| self.sure(found))
            }
        }
    }

    #[inline(never)]
    fn selected(&mut self, value: View<'e>, selected: &'e Selected) -> Outcome<'e> {
        let key = match &selected.by {
            Selector::Field(key) => View::Input(key.value()),
            Selector::Node(node) => self.eval(node)?,
        };
        let found = self.found(value, key, selected.place)?;
        match found {
            found if selected.test_only => Ok(View::bool(found.is_some())),
            Some(found) => self.sure(found),
            None => self.missing(key.as_str().unwrap_or_default()),
        }
    }

    /// What a value has at a key.
    fn found(
        &mut self,
        value: View<'e>,
        key: View<'e>,
        place: Option<u32>,
    ) -> Result<Option<View<'e>>, Nothing> {
        let Ok(key) = key.held() else { return Err(Nothing) };
        if !key.is_key() {
            return Err(Nothing);
        }
        let number = || match key {
            Held::Int(number) => Ok(usize::try_from(number).ok()),
            _ => self.unsure(),
        };
        let value = match value.held() {
            Err(items) => return Ok(number()?.and_then(|place| items.get(place)).copied()),
            Ok(held) => held,
        };
        Ok(match value {
            Held::Made(CelValue::Object(name)) => {
                let field = key.as_str().ok_or_else(|| self.stop())?;
                Some(self.field(name, &Text::from(field), place)?)
            }
            Held::Input(input) => match (input.as_object(), input.as_array()) {
                (Some(object), _) => {
                    let found = key.as_str().and_then(|key| object.get_str(key));
                    found.map(|found| self.input(found)).transpose()?
                }
                (None, Some(items)) => {
                    let found = number()?.and_then(|place| items.get(place));
                    found.map(|found| self.input(found)).transpose()?
                }
                (None, None) => None,
            },
            Held::Made(CelValue::Map(Map::Made(entries))) => match key.as_str() {
                Some(key) => entries.text(key).map(View::of),
                None => Map::at(entries, &key.to_value()).map(View::of),
            },
            Held::Made(CelValue::List(list)) => match list.made() {
                Some(items) => number()?.and_then(|place| items.get(place)).map(View::of),
                None => None,
            },
            Held::Null | Held::Bool(_) | Held::Int(_) | Held::Uint(_) | Held::Double(_) => None,
            Held::Made(_) => return self.unsure(),
        })
    }

    fn field(&self, object: &str, field: &Text, place: Option<u32>) -> Outcome<'e> {
        match self.names.field(object, field, place) {
            Ok(found) => Ok(found.0),
            Err(Stop::NoValue) => Err(Nothing),
            Err(Stop::Unsure) => self.unsure(),
        }
    }

    /// A value that is read as it is.
    #[inline]
    fn sure(&self, value: View<'e>) -> Outcome<'e> {
        match value {
            View::Made(CelValue::Optional(_) | CelValue::Unreadable(_)) => self.unsure(),
            value => Ok(value),
        }
    }

    /// The error quotes the key.
    #[cold]
    fn missing<T>(&self, key: &str) -> Result<T, Nothing> {
        if key.len() > LONGEST_QUOTE { self.unsure() } else { Err(Nothing) }
    }
}
