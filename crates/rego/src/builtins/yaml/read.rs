//! The first document of a text. What scalars mean is in `scalar.rs`.

use std::collections::{BTreeMap, HashMap};

use granit_parser::{Event, Options, Parser, ScalarStyle, Tag};
use regorus::Value;

use super::super::{Failure, Outcome, undefined};
use crate::limits::Budget;
use crate::term::{self, MOST_NESTING, too_deep};
use crate::yaml_scalar as scalar;

/// Deepest nesting of a text; the parser comes here first.
const NESTING: usize = 400;
const _: () = assert!(NESTING < MOST_NESTING);

/// The value of a text; nothing is null.
pub(super) fn read(budget: &mut Budget<'_>, text: &str) -> Outcome {
    // Events are many times larger than what they are made from.
    budget.make_items(text.len())?;
    let mut options = Options::default();
    options.emit_comments = false;
    let nesting = NESTING + 1 + options.simple_key_max_lookahead;
    options.flow_nesting_limit = nesting;
    options.block_nesting_limit = nesting;
    let mut parser = Parser::new_from_str_with_options(text, options);
    let mut builder = Builder { budget, open: Vec::new(), anchors: HashMap::new(), root: None };
    while let Some(next) = parser.next_event() {
        let (event, _) = next.map_err(|error| {
            undefined(format!("yaml: line {}: did not find expected syntax", error.marker().line()))
        })?;
        match event {
            Event::DocumentEnd | Event::StreamEnd => break,
            event => builder.event(event)?,
        }
    }
    Ok(builder.root.unwrap_or(Value::Null))
}

/// A list or an object that is being read.
struct Open {
    anchor: usize,
    items: Items,
}

enum Items {
    List(Vec<Value>),
    Object {
        entries: BTreeMap<Value, Value>,
        /// Of `<<`: what the object's own entries stand before.
        merged: BTreeMap<Value, Value>,
        key: Key,
    },
}

/// What comes next in an object.
enum Key {
    /// A key.
    Wanted,
    /// The value of this key.
    Read(Value),
    /// What is to be merged.
    Merge,
}

struct Builder<'b, 'w> {
    budget: &'b mut Budget<'w>,
    open: Vec<Open>,
    anchors: HashMap<usize, Value>,
    root: Option<Value>,
}

impl Builder<'_, '_> {
    fn event(&mut self, event: Event<'_>) -> Result<(), Failure> {
        match event {
            Event::Scalar(text, style, anchor, tag) => self.scalar(&text, style, anchor, tag.as_deref()),
            Event::SequenceStart(_, anchor, _) => self.begin(anchor, Items::List(Vec::new())),
            Event::MappingStart(_, anchor, _) => {
                let (entries, merged) = (BTreeMap::new(), BTreeMap::new());
                self.begin(anchor, Items::Object { entries, merged, key: Key::Wanted })
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => {
                let value = self.anchors.get(&anchor).cloned();
                let value = value.ok_or_else(|| undefined("yaml: an anchor contains itself"))?;
                // As large as if it were written again.
                term::weigh_at(self.budget, &value, self.open.len())?;
                if self.wants_key() {
                    let key = scalar::key_of_value(&value).map(|key| Value::from(&*key));
                    return self.key(key);
                }
                self.add(value)
            }
            _ => Ok(()),
        }
    }

    fn wants_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { items: Items::Object { key: Key::Wanted, .. }, .. }))
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
    ) -> Result<(), Failure> {
        let bad = |error: scalar::BadScalar| undefined(format!("yaml: {}", error.message()));
        if !self.wants_key() {
            let value = scalar::value(text, style, tag).map_err(bad)?;
            self.anchor(anchor, &value);
            return self.add(value);
        }
        if text == "<<" && style == ScalarStyle::Plain && tag.is_none() {
            if let Some(Open { items: Items::Object { key, .. }, .. }) = self.open.last_mut() {
                *key = Key::Merge;
            }
            return Ok(());
        }
        let key = scalar::key(text, style, tag).map_err(bad)?.map(|key| Value::from(&*key));
        if let Some(key) = &key {
            self.anchor(anchor, key);
        }
        self.key(key)
    }

    fn key(&mut self, found: Option<Value>) -> Result<(), Failure> {
        let found = found.ok_or_else(|| undefined("yaml: a key has no JSON form"))?;
        if let Some(Open { items: Items::Object { key, .. }, .. }) = self.open.last_mut() {
            *key = Key::Read(found);
        }
        Ok(())
    }

    fn anchor(&mut self, anchor: usize, value: &Value) {
        if anchor > 0 {
            self.anchors.insert(anchor, value.clone());
        }
    }

    fn begin(&mut self, anchor: usize, items: Items) -> Result<(), Failure> {
        if self.wants_key() {
            return Err(undefined("yaml: a key has no JSON form"));
        }
        if self.open.len() >= NESTING {
            return Err(too_deep().into());
        }
        self.open.push(Open { anchor, items });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Failure> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let value = match open.items {
            Items::List(items) => Value::from(items),
            Items::Object { entries, mut merged, .. } => {
                merged.extend(entries);
                Value::from(merged)
            }
        };
        self.anchor(open.anchor, &value);
        self.add(value)
    }

    fn add(&mut self, value: Value) -> Result<(), Failure> {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(value);
            return Ok(());
        };
        match &mut open.items {
            Items::List(items) => items.push(value),
            Items::Object { entries, merged, key } => match std::mem::replace(key, Key::Wanted) {
                Key::Wanted => {}
                Key::Read(key) => {
                    entries.insert(key, value);
                }
                Key::Merge => merge(self.budget, merged, &value)?,
            },
        }
        Ok(())
    }
}

/// Merges an object or several, of which the first counts.
fn merge(budget: &mut Budget<'_>, merged: &mut BTreeMap<Value, Value>, value: &Value) -> Result<(), Failure> {
    let objects = match value {
        Value::Array(items) => items.as_slice(),
        value => std::slice::from_ref(value),
    };
    for object in objects {
        let Value::Object(object) = object else {
            return Err(undefined("yaml: map merge requires map or sequence of maps as the value"));
        };
        for (key, value) in object.iter() {
            budget.make_items(2)?;
            merged.entry(key.clone()).or_insert_with(|| value.clone());
        }
    }
    Ok(())
}
