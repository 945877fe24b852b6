//! What of an object a message quotes.
//!
//! Made once for an object, when somebody first asks where a violation of it is, and shared by all of them:
//! its texts in order, each with the places where it stands. A message is then gone through once. Making it
//! takes time with the size of the object, asking time with the length of the message and the logarithm of
//! the number of texts; both end early at bounds of their own, and then nothing is known.

use std::cmp::Ordering;
use std::collections::HashMap;
use std::sync::Arc;

use crate::path::{FieldPath, Segment};
use crate::value::{self, Value, View};

/// A place in the object: an index into the nodes.
pub(super) type NodeIndex = u32;

const NONE: u32 = u32::MAX;

/// Places of one object, at most: some 20 MB. Kubernetes takes no object that has as many.
const MAX_PLACES: usize = 1 << 18;
/// How deep it is looked.
const DEEPEST: usize = 32;
/// Least characters of a scalar whose quotation means anything.
const SHORTEST: usize = 3;

/// The texts of an object.
pub(super) struct Quotes {
    /// In the order of the walk, so that what is below a node follows it directly.
    nodes: Vec<Node>,
    keys: Vec<Arc<str>>,
    /// In order.
    texts: Vec<Text>,
    /// The places of scalars, by text, then in order.
    scalars: Vec<NodeIndex>,
    /// Which bytes texts begin with.
    starts: [bool; 256],
}

/// A value that has a text, or has one below it.
struct Node {
    parent: NodeIndex,
    step: Step,
    /// The node after the last one below it.
    end: NodeIndex,
}

#[derive(Clone, Copy)]
enum Step {
    /// An index into the keys.
    Key(u32),
    Item(u32),
}

/// A text that stands somewhere in the object.
struct Text {
    characters: Arc<str>,
    /// The longest other text that this one begins with.
    prefix: u32,
    /// Where in the list of scalars its places are.
    scalars: (u32, u32),
    /// How many list items have it as their `name`, and the first of them.
    items: u32,
    item: NodeIndex,
}

/// What a message quotes.
pub(super) struct Quoted {
    /// The one list item that it names.
    pub(super) item: Option<NodeIndex>,
    /// The one scalar that it has: within that item, if it names one.
    pub(super) scalar: Option<NodeIndex>,
}

impl Quotes {
    /// The texts of an object; none if they are too many. `metadata` is left out but for labels and
    /// annotations: names and namespaces are in most messages.
    pub(super) fn of(object: &Value) -> Option<Self> {
        Walk::of(object).finish()
    }

    /// The texts of a document of any kind; of one that has a kind and a version, those of an object.
    pub(super) fn of_document(document: &Value) -> Option<Self> {
        if !is_object(document) {
            let mut walk = Walk::default();
            walk.root(document, NONE);
            return walk.finish();
        }
        let mut walk = Walk::of(document);
        // Whoever says it means the object, though parts of it may be called like it.
        for part in ["name", "namespace"] {
            if let Some(name) = value::str_at(document, &["metadata", part]) {
                walk.texts.retain(|(text, _, _)| **text != *name);
            }
        }
        walk.finish()
    }

    /// The texts of documents that are judged together. Which of them a message is about, its name says.
    pub(super) fn of_together(documents: &Value) -> Option<Self> {
        let mut walk = Walk::default();
        for (item, position) in value::items(documents).zip(0..) {
            let parent = walk.open(NONE, Segment::Index(position));
            let contents = value::get(item, "contents").unwrap_or(&Value::NULL);
            let inner = walk.open(parent, "contents".into());
            if let Some(name) = value::str_at(contents, &["metadata", "name"]) {
                walk.texts.push((name.into(), true, inner));
            }
            if value::str_at(contents, &["kind"]).is_some() {
                walk.object(contents, inner);
            } else {
                walk.root(contents, inner);
            }
            walk.close(inner);
            walk.close(parent);
        }
        walk.finish()
    }

    /// What a message quotes. `None` if to find out would take longer than its length is worth.
    pub(super) fn quoted(&self, message: &str, work: &mut Work) -> Option<Quoted> {
        let texts = self.texts_in(message, work)?;
        let texts = || texts.iter().filter_map(|text| self.texts.get(*text as usize));
        let mut items = texts().filter(|text| text.items > 0);
        let item = match (items.next(), items.next()) {
            (Some(Text { items: 1, item, .. }), None) => Some(*item),
            _ => None,
        };
        let mut scalars = texts().flat_map(|text| self.scalars_of(text, item));
        let scalar = scalars.next().filter(|_| scalars.next().is_none());
        Some(Quoted { item, scalar })
    }

    /// The places of a text, those below an item only and without its name if there is one. At most two,
    /// which is as good as more.
    fn scalars_of(&self, text: &Text, item: Option<NodeIndex>) -> impl Iterator<Item = NodeIndex> {
        let places = self.scalars.get(text.scalars.0 as usize..text.scalars.1 as usize).unwrap_or_default();
        let (first, end) = match item {
            None => (0, NONE),
            Some(item) => (item + 1, self.nodes.get(item as usize).map_or(0, |node| node.end)),
        };
        let first = places.partition_point(|place| *place < first);
        let places = places.get(first..).unwrap_or_default().iter().copied();
        let is_name = move |place: &NodeIndex| item.is_some_and(|item| self.is_name_of(*place, item));
        places.take_while(move |place| *place < end).filter(move |place| !is_name(place)).take(2)
    }

    fn is_name_of(&self, place: NodeIndex, item: NodeIndex) -> bool {
        let Some(node) = self.nodes.get(place as usize) else { return false };
        let is_name = |key: u32| self.keys.get(key as usize).is_some_and(|key| &**key == "name");
        node.parent == item && matches!(node.step, Step::Key(key) if is_name(key))
    }

    /// The texts that a message has as words of their own.
    fn texts_in(&self, message: &str, work: &mut Work) -> Option<Vec<u32>> {
        let mut found = Vec::new();
        let mut before = None;
        for (at, c) in message.char_indices() {
            let is_start = starts_word(before);
            before = Some(c);
            let rest = message.get(at..).unwrap_or_default();
            let first = rest
                .as_bytes()
                .first()
                .is_some_and(|byte| self.starts.get(usize::from(*byte)) == Some(&true));
            if is_start && first {
                self.texts_at(rest, work, &mut found)?;
            }
        }
        found.sort_unstable();
        found.dedup();
        Some(found)
    }

    /// The texts that a rest of a message begins with. All of them are beginnings of the last text that is
    /// not behind it in order, or that text itself.
    fn texts_at(&self, rest: &str, work: &mut Work, found: &mut Vec<u32>) -> Option<()> {
        let (mut first, mut end) = (0, self.texts.len());
        while first < end {
            let middle = first.midpoint(end);
            let order = self
                .texts
                .get(middle)
                .map_or(Ordering::Greater, |text| compare(&text.characters, rest, work));
            work.take(1)?;
            if order == Ordering::Greater { end = middle } else { first = middle + 1 }
        }
        let mut next = first.checked_sub(1).map(crate::source::clamp);
        while let Some(number) = next.filter(|number| *number != NONE) {
            let Some(text) = self.texts.get(number as usize) else { break };
            work.take(1 + text.characters.len() as u64 / PIECE as u64)?;
            if rest.strip_prefix(&*text.characters).is_some_and(ends_word) {
                found.push(number);
            }
            next = Some(text.prefix);
        }
        Some(())
    }

    /// The path of a place.
    pub(super) fn path(&self, place: NodeIndex) -> FieldPath {
        let mut steps = Vec::new();
        let mut next = self.nodes.get(place as usize);
        while let Some(node) = next {
            steps.push(match node.step {
                Step::Key(key) => Segment::Key(self.keys.get(key as usize).cloned().unwrap_or_default()),
                Step::Item(index) => Segment::Index(index as usize),
            });
            next = self.nodes.get(node.parent as usize);
        }
        steps.reverse();
        steps.into_iter().collect()
    }
}

/// What may be spent on one message.
pub(super) struct Work(u64);

impl Work {
    /// Linear in the message. A message in which people read needs a tenth.
    pub(super) fn for_message(message: &str) -> Self {
        Self(4096 + 32 * message.len() as u64)
    }

    pub(super) fn take(&mut self, count: u64) -> Option<()> {
        self.0 = self.0.checked_sub(count)?;
        Some(())
    }
}

/// Bytes that are compared at once.
const PIECE: usize = 32;

/// As texts are ordered, charged by what is looked at.
fn compare(text: &str, rest: &str, work: &mut Work) -> Ordering {
    let (text, rest) = (text.as_bytes(), rest.as_bytes());
    let piece = |bytes: &[u8]| bytes.len().min(PIECE);
    let order = text.get(..piece(text)).cmp(&rest.get(..piece(rest)));
    if order != Ordering::Equal {
        return order;
    }
    work.0 = work.0.saturating_sub(text.len().min(rest.len()) as u64 / PIECE as u64);
    text.cmp(rest)
}

/// Whether a word may begin after this character.
fn starts_word(before: Option<char>) -> bool {
    !before.is_some_and(|c| joins(c) || c == '.')
}

/// Whether a word may end before this. A full stop ends a sentence as often as it continues a name: it joins
/// only before another letter.
fn ends_word(after: &str) -> bool {
    let mut chars = after.chars();
    match chars.next() {
        Some('.' | ':') => !chars.next().is_some_and(char::is_alphanumeric),
        next => !next.is_some_and(joins),
    }
}

fn joins(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '-' | '_' | '/')
}

/// Texts that are being gathered.
/// Whether a value says that it is an object of Kubernetes.
fn is_object(value: &Value) -> bool {
    ["apiVersion", "kind"].iter().all(|key| value::get(value, key).and_then(Value::as_str).is_some())
}

#[derive(Default)]
struct Walk {
    nodes: Vec<Node>,
    keys: Vec<Arc<str>>,
    known: HashMap<Arc<str>, u32>,
    /// Each with its place, and whether that is a list item of this name.
    texts: Vec<(Arc<str>, bool, NodeIndex)>,
    is_full: bool,
}

impl Walk {
    fn of(object: &Value) -> Self {
        let mut walk = Self::default();
        walk.object(object, NONE);
        walk
    }

    /// What is below an object of Kubernetes, but for what is in most messages.
    fn object(&mut self, object: &Value, place: NodeIndex) {
        for (key, value) in value::entries(object) {
            match key {
                "apiVersion" | "kind" | "status" => {}
                "metadata" => {
                    let parent = self.open(place, key.into());
                    for part in ["labels", "annotations"] {
                        if let Some(value) = value::get(value, part) {
                            self.value(value, parent, part.into(), 0);
                        }
                    }
                    self.close(parent);
                }
                _ => self.value(value, place, key.into(), 0),
            }
        }
    }

    fn open(&mut self, parent: NodeIndex, segment: Segment) -> NodeIndex {
        let step = match segment {
            Segment::Index(index) => Step::Item(crate::source::clamp(index)),
            Segment::Key(key) => {
                let next = crate::source::clamp(self.keys.len());
                let number = *self.known.entry(key.clone()).or_insert(next);
                if number == next {
                    self.keys.push(key);
                }
                Step::Key(number)
            }
        };
        self.is_full |= self.nodes.len() >= MAX_PLACES || self.texts.len() >= MAX_PLACES;
        self.nodes.push(Node { parent, step, end: NONE });
        crate::source::clamp(self.nodes.len() - 1)
    }

    fn close(&mut self, place: NodeIndex) {
        let end = crate::source::clamp(self.nodes.len());
        let has_text = self.texts.last().is_some_and(|(_, _, last)| *last >= place);
        if has_text {
            if let Some(node) = self.nodes.get_mut(place as usize) {
                node.end = end;
            }
        } else {
            self.nodes.truncate(place as usize);
        }
    }

    fn value(&mut self, value: &Value, parent: NodeIndex, segment: Segment, depth: usize) {
        if depth > DEEPEST || self.is_full {
            return;
        }
        match value.view() {
            View::Object(_) => {
                let place = self.open(parent, segment);
                self.below(value, place, depth);
                self.close(place);
            }
            View::Array(_) => {
                let place = self.open(parent, segment);
                for (index, item) in value::items(value).enumerate() {
                    if self.is_full {
                        break;
                    }
                    match value::get(item, "name").map(Value::view) {
                        Some(View::String(name)) => {
                            let place = self.open(place, index.into());
                            self.texts.push((name.into(), true, place));
                            if depth < DEEPEST {
                                self.below(item, place, depth + 1);
                            }
                            self.close(place);
                        }
                        _ => self.value(item, place, index.into(), depth + 1),
                    }
                }
                self.close(place);
            }
            View::String(text) if text.chars().take(SHORTEST).count() == SHORTEST => {
                let place = self.open(parent, segment);
                self.texts.push((text.into(), false, place));
                self.close(place);
            }
            View::Number(_) => {
                let text = value.to_string();
                if text.len() >= SHORTEST {
                    let place = self.open(parent, segment);
                    self.texts.push((text.into(), false, place));
                    self.close(place);
                }
            }
            _ => {}
        }
    }

    /// What is below a document of any kind.
    fn root(&mut self, document: &Value, place: NodeIndex) {
        match document.view() {
            View::Array(items) => {
                for (item, index) in items.iter().zip(0..) {
                    self.value(item, place, Segment::Index(index), 0);
                }
            }
            _ => self.below(document, place, 0),
        }
    }

    fn below(&mut self, object: &Value, place: NodeIndex, depth: usize) {
        let View::Object(entries) = object.view() else { return };
        for (key, value) in entries.iter() {
            if let View::String(key) = key.view() {
                self.value(value, place, Segment::Key(key.into()), depth + 1);
            }
        }
    }

    fn finish(self) -> Option<Quotes> {
        let Self { nodes, keys, texts: mut found, is_full, .. } = self;
        if is_full {
            return None;
        }
        // Nothing quotes a text that is empty.
        found.retain(|(text, _, _)| !text.is_empty());
        found.sort_unstable();
        let (mut texts, mut scalars) = (Vec::<Text>::new(), Vec::new());
        for (text, is_item, place) in found {
            let count = crate::source::clamp(scalars.len());
            if texts.last().is_none_or(|last| last.characters != text) {
                let prefix = prefix_of(&texts, &text);
                texts.push(Text { characters: text, prefix, scalars: (count, count), items: 0, item: NONE });
            }
            let Some(last) = texts.last_mut() else { continue };
            if is_item {
                last.item = last.item.min(place);
                last.items += 1;
            } else {
                scalars.push(place);
                last.scalars.1 = count + 1;
            }
        }
        let mut starts = [false; 256];
        for text in &texts {
            let first =
                text.characters.as_bytes().first().and_then(|byte| starts.get_mut(usize::from(*byte)));
            if let Some(start) = first {
                *start = true;
            }
        }
        Some(Quotes { nodes, keys, texts, scalars, starts })
    }
}

/// The longest of the texts so far, in order, that the next begins with: the last of them, or one that this
/// begins with.
fn prefix_of(texts: &[Text], next: &str) -> u32 {
    let mut number = crate::source::clamp(texts.len()).wrapping_sub(1);
    while let Some(text) = texts.get(number as usize) {
        if next.starts_with(&*text.characters) {
            return number;
        }
        number = text.prefix;
    }
    NONE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn has_word(message: &str, word: &str) -> bool {
        let object = value::object([("spec", Value::from(word))]);
        let quotes = Quotes::of(&object).expect("few texts");
        let quoted = quotes.quoted(message, &mut Work::for_message(message)).expect("little work");
        quoted.scalar.is_some()
    }

    #[test]
    fn words_are_whole() {
        assert!(has_word("container <nginx> has no limits", "nginx"));
        assert!(has_word("bad image \"nginx:latest\".", "nginx:latest"));
        assert!(!has_word("container <nginx-proxy> has no limits", "nginx"));
        assert!(!has_word("bad image quay.io/nginx", "nginx"));
        assert!(!has_word("bad image nginx:latest", "nginx"));
        assert!(has_word("bad image: nginx.", "nginx"));
    }
}
