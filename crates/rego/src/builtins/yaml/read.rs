//! The first document of a text. What scalars mean is in `yaml_scalar.rs`.

use std::collections::{BTreeMap, HashMap};

use portcullis_value::yaml_scalar::{self as scalar, KeyKind};
use portcullis_value::{Budget, MAX_NESTING, Value, View, too_deep};
use portcullis_yaml::{Event, Parser, Properties, Style};

use super::super::{Failure, Outcome, undefined};

/// Deepest nesting of a text; the parser comes here first.
const NESTING: usize = 400;
const _: () = assert!(NESTING < MAX_NESTING);

/// The value of a text; nothing is null.
pub(super) fn read(budget: &mut Budget<'_>, text: &str) -> Outcome {
    // Events are many times larger than what they are made from.
    budget.make_items(text.len())?;
    let mut parser = Parser::new(text);
    let mut builder =
        Builder { budget, open: Vec::new(), names: HashMap::new(), anchored: Vec::new(), root: None };
    loop {
        let next = parser.next_event().map_err(|problem| {
            let line = text.get(..problem.at).unwrap_or_default().matches('\n').count() + 1;
            undefined(format!("yaml: line {line}: did not find expected syntax"))
        })?;
        match next.event {
            Event::DocumentEnd { .. } | Event::StreamEnd => break,
            event => builder.event(event)?,
        }
    }
    Ok(builder.root.unwrap_or(Value::NULL))
}

/// A list or an object that is being read.
struct Open {
    /// The place in what is anchored.
    anchor: Option<usize>,
    items: Items,
}

enum Items {
    List(Vec<Value>),
    Object {
        /// With what the key was. Of two entries, or merged ones, the later counts.
        entries: BTreeMap<Value, (Value, KeyKind)>,
        key: Key,
    },
}

/// What comes next in an object.
enum Key {
    /// A key.
    Wanted,
    /// The value of this key.
    Read(Value, KeyKind),
    /// What is to be merged.
    Merge,
}

/// What an anchor stands for.
#[derive(Clone)]
struct Anchored {
    value: Value,
    /// As a key; `None` if it cannot be one.
    key: Option<(Value, KeyKind)>,
    /// An object, which can be merged.
    is_object: bool,
}

struct Builder<'b, 'w, 't> {
    budget: &'b mut Budget<'w>,
    open: Vec<Open>,
    /// What a name stands for: the anchor that began last, which may be inside of another one of that name.
    names: HashMap<&'t str, usize>,
    /// `None` as long as the node is open.
    anchored: Vec<Option<Anchored>>,
    root: Option<Value>,
}

impl<'t> Builder<'_, '_, 't> {
    fn event(&mut self, event: Event<'t>) -> Result<(), Failure> {
        match event {
            Event::Scalar { text, style, properties } => self.scalar(&text, style, properties),
            Event::SequenceStart(properties) => self.begin(properties, Items::List(Vec::new())),
            Event::MappingStart(properties) => {
                self.begin(properties, Items::Object { entries: BTreeMap::new(), key: Key::Wanted })
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(name) => self.alias(name),
            _ => Ok(()),
        }
    }

    fn alias(&mut self, name: &str) -> Result<(), Failure> {
        let anchored = self.names.get(name).and_then(|place| self.anchored.get(*place)).cloned();
        let anchored =
            anchored.ok_or_else(|| undefined(format!("yaml: unknown anchor '{name}' referenced")))?;
        let Some(anchored) = anchored else {
            return Err(undefined(format!("yaml: anchor '{name}' value contains itself")));
        };
        // As large as if it were written again.
        portcullis_value::weigh_at(self.budget, &anchored.value, self.open.len())?;
        if self.wants_key() {
            return self.key(anchored.key);
        }
        let merges =
            matches!(self.open.last(), Some(Open { items: Items::Object { key: Key::Merge, .. }, .. }));
        if merges && !anchored.is_object {
            return Err(not_mergeable());
        }
        self.add(anchored.value)
    }

    fn wants_key(&self) -> bool {
        matches!(self.open.last(), Some(Open { items: Items::Object { key: Key::Wanted, .. }, .. }))
    }

    fn scalar(&mut self, text: &str, style: Style, properties: Properties<'t>) -> Result<(), Failure> {
        let bad = |error: scalar::BadScalar| undefined(format!("yaml: {}", error.message()));
        let tag = properties.tag.as_deref();
        let wants_key = self.wants_key();
        let key = || -> Result<_, scalar::BadScalar> {
            Ok(scalar::key(text, style, tag)?.map(|key| (Value::from(&*key.text), key.kind)))
        };
        if wants_key && scalar::is_merge(text, style, &properties) {
            if let Some(Open { items: Items::Object { key, .. }, .. }) = self.open.last_mut() {
                *key = Key::Merge;
            }
            let value = Value::from("<<");
            self.anchor(properties.anchor, || (value.clone(), Some((value.clone(), KeyKind::Text)), false));
            return Ok(());
        }
        if wants_key {
            let key = key().map_err(bad)?;
            // What is anchored at a key may be used as a value.
            if properties.anchor.is_some() {
                let value = scalar::value(text, style, tag).map_err(bad)?;
                self.anchor(properties.anchor, || (value, key.clone(), false));
            }
            return self.key(key);
        }
        let value = scalar::value(text, style, tag).map_err(bad)?;
        if properties.anchor.is_some() {
            let key = key().unwrap_or_default();
            self.anchor(properties.anchor, || (value.clone(), key, false));
        }
        self.add(value)
    }

    fn key(&mut self, found: Option<(Value, KeyKind)>) -> Result<(), Failure> {
        let (found, kind) = found.ok_or_else(|| undefined("yaml: a key has no JSON form"))?;
        if let Some(Open { items: Items::Object { key, .. }, .. }) = self.open.last_mut() {
            *key = Key::Read(found, kind);
        }
        Ok(())
    }

    fn anchor(
        &mut self,
        anchor: Option<&'t str>,
        what: impl FnOnce() -> (Value, Option<(Value, KeyKind)>, bool),
    ) {
        if let Some(name) = anchor {
            let (value, key, is_object) = what();
            self.names.insert(name, self.anchored.len());
            self.anchored.push(Some(Anchored { value, key, is_object }));
        }
    }

    fn begin(&mut self, properties: Properties<'t>, items: Items) -> Result<(), Failure> {
        if self.wants_key() {
            return Err(undefined("yaml: a key has no JSON form"));
        }
        if self.open.len() >= NESTING {
            return Err(too_deep().into());
        }
        let anchor = properties.anchor.map(|name| {
            self.names.insert(name, self.anchored.len());
            self.anchored.push(None);
            self.anchored.len() - 1
        });
        self.open.push(Open { anchor, items });
        Ok(())
    }

    fn end(&mut self) -> Result<(), Failure> {
        let Some(open) = self.open.pop() else { return Ok(()) };
        let is_object = matches!(open.items, Items::Object { .. });
        let value = match open.items {
            Items::List(items) => Value::from(items),
            Items::Object { entries, .. } => {
                let entries = entries.into_iter().map(|(key, (value, _))| (key, value));
                Value::from(entries.collect::<BTreeMap<_, _>>())
            }
        };
        if let Some(place) = open.anchor.and_then(|place| self.anchored.get_mut(place)) {
            *place = Some(Anchored { value: value.clone(), key: None, is_object });
        }
        self.add(value)
    }

    fn add(&mut self, value: Value) -> Result<(), Failure> {
        let Some(open) = self.open.last_mut() else {
            self.root = Some(value);
            return Ok(());
        };
        match &mut open.items {
            Items::List(items) => items.push(value),
            Items::Object { entries, key } => match std::mem::replace(key, Key::Wanted) {
                Key::Wanted => {}
                Key::Read(key, kind) => insert(entries, key, value, kind)?,
                Key::Merge => merge(self.budget, entries, &value)?,
            },
        }
        Ok(())
    }
}

type Entries = BTreeMap<Value, (Value, KeyKind)>;

fn not_mergeable() -> Failure {
    undefined("yaml: map merge requires map or sequence of maps as the value")
}

/// Of keys of several types that become one string, any may count for OPA.
fn insert(entries: &mut Entries, key: Value, value: Value, kind: KeyKind) -> Result<(), Failure> {
    let same = |known: KeyKind| known == kind && kind != KeyKind::Float;
    match entries.insert(key, (value, kind)) {
        Some((_, known)) if !same(known) => {
            Err(undefined("yaml: keys of different types have the same JSON form"))
        }
        _ => Ok(()),
    }
}

/// Merges an object or several, of which the first counts.
fn merge(budget: &mut Budget<'_>, entries: &mut Entries, value: &Value) -> Result<(), Failure> {
    let objects = match value.view() {
        View::Array(items) => items,
        _ => std::slice::from_ref(value),
    };
    for object in objects.iter().rev() {
        let View::Object(object) = object.view() else { return Err(not_mergeable()) };
        for (key, value) in object.iter() {
            budget.make_items(2)?;
            let is_text = matches!(key.view(), View::String(text) if scalar::is_text(text));
            if !is_text && entries.contains_key(key) {
                return Err(undefined("yaml: keys of different types may have the same JSON form"));
            }
            // What it was is not known any more; a fraction is taken for no other key.
            let kind = if is_text { KeyKind::Text } else { KeyKind::Float };
            entries.insert(key.clone(), (value.clone(), kind));
        }
    }
    Ok(())
}
