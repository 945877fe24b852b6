//! Nodes in, a value with marks out: what the YAML and the JSON reader share. Budgets and duplicate keys live
//! here.
//!
//! `key, begin, end, scalar, alias -> (Value, Marks)`. Nothing here recurses; nesting is a stack of frames.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use portcullis_value::yaml_scalar::{self as scalar, KeyKind};

use super::marks::{Mark, MarkId, Marks};
use super::problems::{Problems, Span, quote};
use crate::error::{Error, ErrorKind};
use crate::limits::Limits;
use crate::source::Source;
use crate::value::{ObjectValue as Object, Value, View};

/// The document cannot be read further; the problem has been reported.
#[derive(Debug)]
pub(super) struct Abandoned;

/// List or object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    List,
    Object,
}

/// A finished node with what is needed to use it again through an alias.
#[derive(Clone)]
struct Node {
    value: Value,
    mark: MarkId,
    /// The node and everything below, aliases expanded.
    nodes: usize,
    /// Levels of lists and objects below, including its own.
    height: usize,
}

#[derive(Clone, Debug)]
enum Key {
    Named(Arc<str>, Span),
    Merge(Span),
}

struct Frame {
    shape: Shape,
    mark: MarkId,
    anchor: usize,
    items: Vec<Value>,
    entries: Vec<(Value, Value)>,
    /// The keys that were no strings, and whether something was merged.
    typed: Vec<(Arc<str>, KeyKind)>,
    merges: bool,
    key: Option<Key>,
    nodes: usize,
    height: usize,
}

/// Keys that came lately. Most of a source come again and again.
#[derive(Default)]
struct Keys(
    /// By a few of their bytes. Empty until the first comes.
    Vec<Option<Arc<str>>>,
);

impl Keys {
    const PLACES: usize = 128;

    fn get(&mut self, text: &str) -> Arc<str> {
        self.0.resize(Self::PLACES, None);
        let bytes = text.as_bytes();
        let byte = |position: usize| bytes.get(position).copied().map_or(0, usize::from);
        let last = bytes.len().saturating_sub(1);
        let mixed = [byte(0), byte(last / 2), byte(last), byte(last.saturating_sub(1))];
        let hash = mixed.iter().fold(bytes.len(), |hash, byte| hash.wrapping_mul(31) ^ byte);
        match self.0.get_mut(hash % Self::PLACES) {
            Some(Some(known)) if **known == *text => known.clone(),
            Some(place) => place.insert(text.into()).clone(),
            None => text.into(),
        }
    }
}

/// Lists without anything in them, for what is read next.
struct Spare<T>(Vec<Vec<T>>);

impl<T> Default for Spare<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Spare<T> {
    /// Lists that are kept at most, and places that each has at most.
    const MOST: usize = 32;
    const WIDEST: usize = 64;

    fn take(&mut self) -> Vec<T> {
        self.0.pop().unwrap_or_default()
    }

    fn give(&mut self, mut list: Vec<T>) {
        list.clear();
        if self.0.len() < Self::MOST && list.capacity() <= Self::WIDEST {
            self.0.push(list);
        }
    }
}

/// Builds the documents of one source, one after the other.
pub(super) struct Builder<'a> {
    limits: &'a Limits,
    pub(super) problems: Problems,
    keys: Keys,
    frames: Vec<Frame>,
    spare: Spare<(Value, Value)>,
    spare_items: Spare<Value>,
    marks: Marks,
    anchors: HashMap<usize, Node>,
    anchors_set: usize,
    root: Option<Value>,
    alias_nodes: usize,
    broken: bool,
    /// Where the node that ended last ends.
    last_end: u32,
}

impl<'a> Builder<'a> {
    pub(super) fn new(source: &Arc<Source>, limits: &'a Limits) -> Self {
        Self {
            limits,
            problems: Problems::new(source),
            keys: Keys::default(),
            frames: Vec::new(),
            spare: Spare::default(),
            spare_items: Spare::default(),
            marks: Marks::default(),
            anchors: HashMap::new(),
            anchors_set: 0,
            root: None,
            alias_nodes: 0,
            broken: false,
            last_end: 0,
        }
    }

    /// Reports a problem; an error makes the current document unusable.
    pub(super) fn report(&mut self, error: Error) {
        self.broken |= error.severity() == crate::error::Severity::Error;
        self.problems.push(error);
    }

    pub(super) fn fail(&mut self, kind: ErrorKind, message: impl Into<String>, span: Span) {
        let error = Error::new(kind, message).at(self.problems.location(span));
        self.report(error);
    }

    /// The marks of the document so far.
    pub(super) fn marks(&self) -> &Marks {
        &self.marks
    }

    /// Start of the innermost open list or object, and which it is.
    pub(super) fn open(&self) -> Option<(Shape, u32)> {
        let frame = self.frames.last()?;
        Some((frame.shape, self.marks.get(frame.mark)?.start))
    }

    /// True where the next scalar is a key.
    pub(super) fn wants_key(&self) -> bool {
        self.frames.last().is_some_and(|frame| frame.shape == Shape::Object && frame.key.is_none())
    }

    /// Forgets the current document.
    pub(super) fn abandon(&mut self) {
        self.frames.clear();
        self.marks.clear();
        // Not `clear`, which would cost what the largest document has had.
        self.anchors = HashMap::new();
        self.root = None;
        self.alias_nodes = 0;
        self.broken = false;
    }

    /// Ends the current document. `None` if it is empty or had an error.
    pub(super) fn finish(&mut self) -> Option<(Value, Arc<Marks>)> {
        let root = self.root.take().filter(|_| !self.broken && self.frames.is_empty());
        let marks = std::mem::take(&mut self.marks);
        self.abandon();
        root.map(|root| (root, marks.finish()))
    }

    /// A key of the object that is open.
    pub(super) fn key(&mut self, text: &str, kind: KeyKind, span: Span) {
        self.last_end = span.end;
        let key = self.keys.get(text);
        if let Some(frame) = self.frames.last_mut() {
            if kind != KeyKind::Text {
                frame.typed.push((key.clone(), kind));
            }
            frame.key = Some(Key::Named(key, span));
        }
    }

    /// The key `<<` of the object that is open.
    pub(super) fn merge_key(&mut self, span: Span) {
        self.last_end = span.end;
        if let Some(frame) = self.frames.last_mut() {
            frame.merges = true;
            frame.key = Some(Key::Merge(span));
        }
    }

    /// Opens a list or an object. `anchor` is 0 for none.
    pub(super) fn begin(&mut self, shape: Shape, span: Span, anchor: usize) -> Result<(), Abandoned> {
        if self.frames.len() >= self.limits.effective_nesting() {
            return Err(self.too_deep(span));
        }
        let mark = self.mark(span)?;
        self.frames.push(Frame {
            shape,
            mark,
            anchor,
            items: self.spare_items.take(),
            entries: self.spare.take(),
            typed: Vec::new(),
            merges: false,
            key: None,
            nodes: 1,
            height: 1,
        });
        Ok(())
    }

    /// Closes the innermost list or object. `end` is the offset after its closing bracket; `None` if it ends
    /// with its last child.
    pub(super) fn end(&mut self, end: Option<u32>) {
        let Some(mut frame) = self.frames.pop() else { return };
        let next = self.marks.len();
        if let Some(mark) = self.marks.get_mut(frame.mark) {
            mark.next = next;
            mark.end = end.unwrap_or(self.last_end).max(mark.start);
            self.last_end = mark.end;
        }
        let value = match frame.shape {
            Shape::List => {
                let items = frame.items.drain(..).collect();
                self.spare_items.give(frame.items);
                items
            }
            Shape::Object => {
                let written = frame.entries.len();
                let ambiguous = if frame.merges { ambiguous_merge(&frame.entries) } else { None };
                let object = Object::of_entries(&mut frame.entries);
                if object.len() < written {
                    self.tell_duplicates(frame.mark, &frame.typed);
                }
                self.spare.give(frame.entries);
                if let Some(key) = ambiguous {
                    let span = self.marks.get(frame.mark).map_or(0..0, Mark::range);
                    self.fail(ErrorKind::UnsupportedValue, ambiguity(&key), span);
                }
                Value::from(object)
            }
        };
        let node = Node { value, mark: frame.mark, nodes: frame.nodes, height: frame.height };
        self.complete(node, frame.anchor, false);
    }

    /// A scalar value.
    pub(super) fn scalar(&mut self, value: Value, span: Span, anchor: usize) -> Result<(), Abandoned> {
        let mark = self.mark(span)?;
        self.complete(Node { value, mark, nodes: 1, height: 0 }, anchor, false);
        Ok(())
    }

    /// A reference to an earlier node.
    pub(super) fn alias(&mut self, anchor: usize, span: Span) -> Result<(), Abandoned> {
        let Some(target) = self.anchors.get(&anchor).cloned() else {
            self.fail(ErrorKind::Syntax, "this alias refers to the node that it is in", span.clone());
            return self.scalar(Value::NULL, span, 0);
        };
        if self.frames.len() + target.height > self.limits.effective_nesting() {
            return Err(self.too_deep(span));
        }
        self.alias_nodes = self.alias_nodes.saturating_add(target.nodes);
        if self.alias_nodes > self.limits.alias_nodes {
            let limit = self.limits.alias_nodes;
            self.fail(
                ErrorKind::Limit,
                format!("the aliases of this document expand to more than {limit} nodes"),
                span,
            );
            return Err(Abandoned);
        }
        let mark = self.mark(span)?;
        let children_of = self.marks.get(target.mark).map_or(target.mark, |mark| mark.children_of);
        if let Some(mark) = self.marks.get_mut(mark) {
            mark.children_of = children_of;
        }
        self.complete(Node { mark, ..target }, 0, true);
        Ok(())
    }

    /// A number for an anchor, never 0.
    pub(super) fn new_anchor(&mut self) -> usize {
        self.anchors_set += 1;
        self.anchors_set
    }

    /// Remembers the value of a key, so that an alias can repeat it.
    pub(super) fn anchor_key(&mut self, anchor: usize, value: Value) {
        // A key has no mark of its own; nothing below it can be asked for either.
        let mark = self.frames.last().map_or(0, |frame| frame.mark);
        self.anchors.insert(anchor, Node { value, mark, nodes: 1, height: 0 });
    }

    fn too_deep(&mut self, span: Span) -> Abandoned {
        let limit = self.limits.effective_nesting();
        self.fail(
            ErrorKind::Limit,
            format!("lists and objects are nested more than {limit} levels deep"),
            span,
        );
        Abandoned
    }

    fn mark(&mut self, span: Span) -> Result<MarkId, Abandoned> {
        if self.marks.len() as usize >= self.limits.nodes {
            let limit = self.limits.nodes;
            self.fail(ErrorKind::Limit, format!("the document has more than {limit} nodes"), span);
            return Err(Abandoned);
        }
        self.last_end = span.end;
        let (key, key_span) = match self.frames.last().and_then(|frame| frame.key.as_ref()) {
            Some(Key::Named(key, span)) => (Some(key.clone()), span.clone()),
            Some(Key::Merge(span)) => (None, span.clone()),
            None => (None, 0..0),
        };
        Ok(self.marks.push(key, key_span, span))
    }

    /// Puts a finished node where it belongs.
    fn complete(&mut self, node: Node, anchor: usize, is_alias: bool) {
        if anchor != 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(frame) = self.frames.last_mut() else {
            self.root = Some(node.value);
            return;
        };
        frame.nodes = frame.nodes.saturating_add(node.nodes);
        frame.height = frame.height.max(node.height + 1);
        match (frame.shape, frame.key.take()) {
            (Shape::List, _) => frame.items.push(node.value),
            (Shape::Object, Some(Key::Named(key, _))) => frame.entries.push((Value::from(key), node.value)),
            (Shape::Object, Some(Key::Merge(span))) => {
                if !merge(&mut frame.entries, &node.value, is_alias) {
                    self.fail(
                        ErrorKind::UnsupportedValue,
                        "the value of the merge key `<<` must be a mapping or a list of mappings",
                        span,
                    );
                }
            }
            (Shape::Object, None) => {}
        }
    }

    /// Of keys written twice the last counts; of keys that only JSON takes for one, any may.
    fn tell_duplicates(&mut self, parent: MarkId, typed: &[(Arc<str>, KeyKind)]) {
        let mut first: BTreeMap<&str, Span> = BTreeMap::new();
        let mut written: BTreeMap<&str, usize> = BTreeMap::new();
        for (_, mark) in self.marks.children(parent) {
            *written.entry(mark.key.as_deref().unwrap_or_default()).or_default() += 1;
        }
        // What a key was first, and how often it was that.
        let mut kinds: BTreeMap<&str, (KeyKind, usize)> = BTreeMap::new();
        for (key, kind) in typed {
            let (first, count) = kinds.entry(key).or_insert((*kind, 0));
            *count += usize::from(first == kind);
        }
        let mut ambiguous = None;
        for (_, mark) in self.marks.children(parent) {
            let Some(key) = mark.key.as_deref() else { continue };
            let Some(first) = first.get(key) else {
                first.insert(key, mark.key_range());
                continue;
            };
            if let Some((kind, count)) = kinds.get(key)
                && (*kind == KeyKind::Float || *count < written.get(key).copied().unwrap_or(0))
            {
                ambiguous = Some((ambiguity(key), mark.key_range()));
                continue;
            }
            let line = self.problems.source().line(first.start);
            let message =
                format!("the key `{}` is already set in line {line}; the last value counts", quote(key));
            let location = self.problems.location(mark.key_range());
            self.problems.push(Error::warning(ErrorKind::DuplicateKey, message).at(location));
        }
        if let Some((message, span)) = ambiguous {
            self.fail(ErrorKind::UnsupportedValue, message, span);
        }
    }
}

fn ambiguity(key: &str) -> String {
    format!("`{}` is the JSON form of several keys here, of which any may count", quote(key))
}

/// A key that is merged or written more than once, and may not have been a string each time.
fn ambiguous_merge(entries: &[(Value, Value)]) -> Option<Arc<str>> {
    let mut seen = BTreeSet::new();
    entries.iter().find_map(|(key, _)| match key.view() {
        View::String(text) if !scalar::is_text(text) && !seen.insert(text) => Some(text.into()),
        _ => None,
    })
}

/// Adds the entries of a merged mapping; what is merged later, or written later, wins. In a list of mappings
/// the earlier ones win. False if it is something else.
fn merge(entries: &mut Vec<(Value, Value)>, value: &Value, is_alias: bool) -> bool {
    let mut add = |value: &Value| match value.view() {
        View::Object(object) => {
            entries.extend(object.iter().map(|(key, value)| (key.clone(), value.clone())));
            true
        }
        _ => false,
    };
    match value.view() {
        View::Array(list) if !is_alias => list.iter().rev().all(&mut add),
        _ => add(value),
    }
}
