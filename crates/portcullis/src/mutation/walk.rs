//! One mutator applied to one object: down its location, and up again with what changed.
//!
//! Nothing is changed in place: what is on the way to a change is made anew and all else stays shared, so that
//! an object that cannot be mutated is what it was.

use std::sync::Arc;

use portcullis_value::{Budget, Exceeded, ITEM_BYTES, Object as Fields};

use super::compiled::{Compiled, Setter};
use super::image;
use super::location::{Step, Wanted};
use super::placeholders::Placeholders;
use crate::api::mutator::{KeySource, MetadataField, SetChange};
use crate::object::Object;
use crate::path::{FieldPath, Segment};
use crate::value::{self, Value, View};

/// What came of a walk, or of a part of it.
#[derive(Debug)]
pub(super) enum Walked {
    /// The mutator left all as it is: a test did not hold, or there was nothing to go to.
    Left,
    /// It did its work, and nothing is different.
    Same,
    /// It did its work.
    Changed(Value),
}

/// Why a mutator could not do its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// What is there is not what the location says.
    Mismatch {
        path: FieldPath,
        message: String,
    },
    Limit(Exceeded),
}

impl From<Exceeded> for Failure {
    fn from(limit: Exceeded) -> Self {
        Self::Limit(limit)
    }
}

/// Something that a walk changed.
#[derive(Clone, Debug)]
pub(super) struct Write {
    pub(super) path: FieldPath,
    pub(super) new: Value,
}

pub(super) struct Walk<'w, 'b> {
    mutator: &'w Compiled,
    object: &'w Object,
    budget: &'w mut Budget<'b>,
    placeholders: &'w mut Placeholders,
    /// The place of the mutator among all.
    position: usize,
    /// Where the walk is.
    path: Vec<Segment>,
    /// How long the path was where the walk came to an element that it makes; it is told as a whole.
    made_at: Option<usize>,
    writes: Vec<Write>,
}

impl<'w, 'b> Walk<'w, 'b> {
    /// Applies a mutator: what came of it, and what was changed.
    pub(super) fn run(
        (position, mutator): (usize, &'w Compiled),
        object: &'w Object,
        budget: &'w mut Budget<'b>,
        placeholders: &'w mut Placeholders,
    ) -> Result<(Walked, Vec<Write>), Failure> {
        let (path, made_at, writes) = (Vec::new(), None, Vec::new());
        let mut walk = Self { mutator, object, budget, placeholders, position, path, made_at, writes };
        let walked = walk.step(object.value(), 0)?;
        Ok((walked, walk.writes))
    }

    fn step(&mut self, current: &Value, depth: usize) -> Result<Walked, Failure> {
        self.budget.step(1)?;
        let mutator = self.mutator;
        match mutator.location().steps().get(depth) {
            Some(Step::Field(name)) => self.field(current, name, depth),
            Some(Step::Elements { key, wanted }) => self.elements(current, key, wanted, depth),
            None => Ok(Walked::Left),
        }
    }

    fn field(&mut self, current: &Value, name: &Arc<str>, depth: usize) -> Result<Walked, Failure> {
        let fields = current.as_object().filter(|_| self.placeholders.of(current).is_none());
        let Some(fields) = fields else { return Err(self.mismatch("an object", current)) };
        let found = fields.get_str(name);
        let tests = &self.mutator.tests;
        let goes_on = if found.is_some() { tests.allow_existing(depth) } else { tests.allow_missing(depth) };
        if !goes_on {
            return Ok(Walked::Left);
        }
        self.path.push(Segment::Key(name.clone()));
        let walked = match self.mutator.location().steps().get(depth + 1) {
            None => self.set(found)?,
            Some(next) => {
                let empty = match next {
                    Step::Field(_) => Value::new_object(),
                    Step::Elements { .. } => Value::from(Vec::new()),
                };
                match (self.step(found.unwrap_or(&empty), depth + 1)?, found) {
                    // Whoever does nothing at the end of a path still makes the path.
                    (Walked::Same, None) => {
                        self.note(&empty)?;
                        Walked::Changed(empty)
                    }
                    (walked, _) => walked,
                }
            }
        };
        self.path.pop();
        let Walked::Changed(new) = walked else { return Ok(walked) };
        Ok(Walked::Changed(self.with_field(fields, name, new)?))
    }

    fn elements(
        &mut self,
        current: &Value,
        key: &Arc<str>,
        wanted: &Wanted,
        depth: usize,
    ) -> Result<Walked, Failure> {
        let Some(items) = current.as_array() else { return Err(self.mismatch("a list", current)) };
        let mutator = self.mutator;
        if depth + 1 == mutator.location().steps().len() {
            return self.set_element(items, key, wanted, depth);
        }
        // What must not exist is never among all that there are.
        if *wanted == Wanted::All && !mutator.tests.allow_existing(depth) {
            return Ok(Walked::Left);
        }
        let mut found = *wanted == Wanted::All;
        let mut walked = Walked::Left;
        let mut changed: Option<Vec<Value>> = None;
        self.budget.step(items.len() as u64)?;
        for (position, item) in items.iter().enumerate() {
            if *wanted != Wanted::All {
                if !value::get(item, key).is_some_and(|found| wanted.is(found)) {
                    continue;
                }
                if !mutator.tests.allow_existing(depth) {
                    return Ok(Walked::Left);
                }
                found = true;
            }
            self.path.push(Segment::Index(position));
            let of_item = self.step(item, depth + 1)?;
            self.path.pop();
            match of_item {
                Walked::Left => {}
                Walked::Same => {
                    if matches!(walked, Walked::Left) {
                        walked = Walked::Same;
                    }
                }
                Walked::Changed(new) => {
                    if changed.is_none() {
                        self.budget.make_items(items.len())?;
                    }
                    let list = changed.get_or_insert_with(|| items.to_vec());
                    if let Some(slot) = list.get_mut(position) {
                        *slot = new;
                    }
                }
            }
        }
        if !found {
            return self.make_element(items, key, wanted, depth);
        }
        Ok(changed.map_or(walked, |list| Walked::Changed(Value::from(list))))
    }

    /// Makes the element that is looked for and was not found, and goes on in it.
    fn make_element(
        &mut self,
        items: &[Value],
        key: &Arc<str>,
        wanted: &Wanted,
        depth: usize,
    ) -> Result<Walked, Failure> {
        if !self.mutator.tests.allow_missing(depth) {
            return Ok(Walked::Left);
        }
        let made = Value::object([(Value::from(key.clone()), wanted.to_value())]);
        self.path.push(Segment::Index(items.len()));
        let outermost = self.made_at.is_none();
        if outermost {
            self.made_at = Some(self.path.len());
        }
        let walked = self.step(&made, depth + 1)?;
        if outermost {
            self.made_at = None;
        }
        let walked = match walked {
            Walked::Left => Walked::Left,
            Walked::Same => Walked::Changed(made),
            changed @ Walked::Changed(_) => changed,
        };
        if let Walked::Changed(new) = &walked {
            self.note(new)?;
        }
        self.path.pop();
        let Walked::Changed(new) = walked else { return Ok(walked) };
        self.appended(items, new).map(Walked::Changed)
    }

    /// At the end of a location that is an element of a list.
    fn set_element(
        &mut self,
        items: &[Value],
        key: &Arc<str>,
        wanted: &Wanted,
        depth: usize,
    ) -> Result<Walked, Failure> {
        // The compiler saw to it that there is nothing else here, and that its key is right.
        let Setter::Value(new) = &self.mutator.setter else { return Ok(Walked::Left) };
        self.budget.step(items.len() as u64)?;
        for (position, item) in items.iter().enumerate() {
            let Some(fields) = item.as_object() else {
                self.path.push(Segment::Index(position));
                return Err(self.mismatch("an object", item));
            };
            if !fields.get_str(key).is_some_and(|found| wanted.is(found)) {
                continue;
            }
            if !self.mutator.tests.allow_existing(depth) {
                return Ok(Walked::Left);
            }
            if is_identical(self.budget, item, new)? {
                return Ok(Walked::Same);
            }
            self.budget.make_items(items.len())?;
            let mut list = items.to_vec();
            if let Some(slot) = list.get_mut(position) {
                *slot = new.clone();
            }
            self.path.push(Segment::Index(position));
            self.note(new)?;
            self.path.pop();
            return Ok(Walked::Changed(Value::from(list)));
        }
        if !self.mutator.tests.allow_missing(depth) {
            return Ok(Walked::Left);
        }
        self.path.push(Segment::Index(items.len()));
        self.note(new)?;
        self.path.pop();
        self.appended(items, new.clone()).map(Walked::Changed)
    }

    /// At the end of a location that is a field.
    fn set(&mut self, found: Option<&Value>) -> Result<Walked, Failure> {
        let mutator = self.mutator;
        let new = match &mutator.setter {
            Setter::Value(new) => new.clone(),
            Setter::Metadata(MetadataField::Name) => Value::from(self.object.name().clone()),
            Setter::Metadata(MetadataField::Namespace) => Value::from(self.object.namespace().clone()),
            Setter::External(external) => {
                // What was there before anybody asked stays the key, however often all mutators are gone through.
                let before = found.map(|found| (found, self.placeholders.of(found)));
                let before = match before {
                    None => "",
                    Some((_, Some(placeholder))) => &*placeholder.before.clone(),
                    Some((found, None)) => match (found.as_str(), external.key) {
                        (Some(text), _) => text,
                        (None, KeySource::Username) => "",
                        (None, KeySource::ValueAtLocation) => return Err(self.mismatch("a string", found)),
                    },
                };
                self.placeholders.for_answer(self.budget, self.position, external, before)?
            }
            Setter::Image { domain, path, tag } => {
                let name = match found.map(|found| (found, found.as_str())) {
                    None => "",
                    Some((_, Some(name))) => name,
                    Some((found, None)) => return Err(self.mismatch("a string", found)),
                };
                self.budget.make_text(name.len() + domain.len() + path.len() + tag.len() + 1)?;
                Value::from(image::with_parts(name, domain, path, tag))
            }
            Setter::Set { change, values } => match (found, change) {
                // Taking away from nothing is done already.
                (None, SetChange::Prune) => return Ok(Walked::Same),
                (None, SetChange::Merge) => {
                    self.budget.make_items(values.len())?;
                    values.iter().cloned().collect()
                }
                (Some(found), change) => {
                    let Some(items) = found.as_array() else { return Err(self.mismatch("a list", found)) };
                    match change {
                        SetChange::Merge => self.merged(items, values)?,
                        SetChange::Prune => self.pruned(items, values)?,
                    }
                }
            },
        };
        if let Some(found) = found
            && is_identical(self.budget, found, &new)?
        {
            return Ok(Walked::Same);
        }
        self.note(&new)?;
        Ok(Walked::Changed(new))
    }

    fn merged(&mut self, items: &[Value], values: &[Value]) -> Result<Value, Failure> {
        self.budget.make_items(items.len() + values.len())?;
        let mut list = items.to_vec();
        for value in values {
            if !self.is_among(value, &list)? {
                list.push(value.clone());
            }
        }
        Ok(Value::from(list))
    }

    fn pruned(&mut self, items: &[Value], values: &[Value]) -> Result<Value, Failure> {
        self.budget.make_items(items.len())?;
        let mut list = Vec::with_capacity(items.len());
        for item in items {
            if !self.is_among(item, values)? {
                list.push(item.clone());
            }
        }
        Ok(Value::from(list))
    }

    fn is_among(&mut self, value: &Value, list: &[Value]) -> Result<bool, Failure> {
        for item in list {
            if is_identical(self.budget, value, item)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn with_field(&mut self, fields: &Fields, name: &Arc<str>, new: Value) -> Result<Value, Failure> {
        self.budget.make_items(2 * (fields.len() + 1))?;
        let new = (Value::from(name.clone()), new);
        let before = fields.iter().take_while(|(key, _)| **key < new.0);
        let after = fields.iter().skip_while(|(key, _)| **key <= new.0);
        let owned = |(key, value): (&Value, &Value)| (key.clone(), value.clone());
        let entries: Vec<_> = before.map(owned).chain([new.clone()]).chain(after.map(owned)).collect();
        Ok(Value::from(Fields::of_sorted(entries)))
    }

    fn appended(&mut self, items: &[Value], new: Value) -> Result<Value, Failure> {
        self.budget.make_items(items.len() + 1)?;
        Ok(items.iter().cloned().chain([new]).collect())
    }

    /// Notes what is set here, unless it is a part of something that is made and told as a whole.
    fn note(&mut self, new: &Value) -> Result<(), Failure> {
        if self.made_at.is_some() {
            return Ok(());
        }
        self.budget.take((self.path.len() + 4) * ITEM_BYTES)?;
        self.writes.push(Write { path: self.path.iter().cloned().collect(), new: new.clone() });
        Ok(())
    }

    fn mismatch(&self, expected: &str, found: &Value) -> Failure {
        let path: FieldPath = self.path.iter().cloned().collect();
        let found = match self.placeholders.of(found) {
            Some(placeholder) => format!("what provider `{}` answers", placeholder.external.provider),
            None => value::describe(found),
        };
        let message = format!("expected {expected}, found {found}");
        Failure::Mismatch { path, message }
    }
}

/// Whether two values are equal as Gatekeeper has it: an integer is no float.
pub(super) fn is_identical(budget: &mut Budget<'_>, one: &Value, other: &Value) -> Result<bool, Exceeded> {
    if one.is_same(other) {
        return Ok(true);
    }
    budget.step(1)?;
    match (one.view(), other.view()) {
        (View::Number(one), View::Number(other)) => {
            budget.step(one.large_bits().min(other.large_bits()) / 64)?;
            Ok(one.as_float().is_some() == other.as_float().is_some() && one == other)
        }
        (View::String(one), View::String(other)) => {
            if one.len() != other.len() {
                return Ok(false);
            }
            budget.read_text(one.len())?;
            Ok(one == other)
        }
        (View::Array(one), View::Array(other)) => {
            if one.len() != other.len() {
                return Ok(false);
            }
            all_identical(budget, one.iter().zip(other))
        }
        (View::Object(one), View::Object(other)) => {
            if one.len() != other.len() {
                return Ok(false);
            }
            budget.step(one.len() as u64)?;
            Ok(one.keys().eq(other.keys()) && all_identical(budget, one.values().zip(other.values()))?)
        }
        _ => Ok(one == other),
    }
}

fn all_identical<'v>(
    budget: &mut Budget<'_>,
    pairs: impl Iterator<Item = (&'v Value, &'v Value)>,
) -> Result<bool, Exceeded> {
    for (one, other) in pairs {
        if !is_identical(budget, one, other)? {
            return Ok(false);
        }
    }
    Ok(true)
}
