//! Where the parts of an object are that a tool made of other texts: of the one that it begins with, and of patches that were put upon
//! it. A part is where its value was written; of what several texts have, where the value is as it was made, and of what none has, at
//! the nearest part.
//!
//! Items of lists are found by what names them, since patches put items before others.

use std::sync::Arc;

use super::marks::MarkId;
use super::{Document, child_value};
use crate::path::{FieldPath, Segment};
use crate::value::{self, Value, View};

/// What an object was made of.
#[derive(Clone)]
pub(super) struct Made {
    /// What its own text says.
    written: Value,
    /// What was put upon it, in order.
    patches: Vec<Document>,
}

/// A part of a text.
pub(super) struct Part<'d> {
    /// The document that has the text.
    pub(super) of: &'d Document,
    /// The node there.
    pub(super) mark: MarkId,
    /// How many steps of the path it has.
    pub(super) depth: usize,
}

impl Made {
    pub(super) fn new(written: Value, patches: Vec<Document>) -> Arc<Self> {
        Arc::new(Self { written, patches })
    }

    /// The nearest part of a path in `document`, of which this says what it was made of.
    pub(super) fn nearest<'d>(&'d self, document: &'d Document, path: &FieldPath) -> Part<'d> {
        let made = path.segments().iter().try_fold(&document.value, child_value);
        let own = Candidate::of(document, &self.written, &document.value, path);
        if own.is(made) {
            return own.part;
        }
        let of_patches: Vec<Candidate<'d>> = self
            .patches
            .iter()
            .map(|patch| Candidate::of(patch, &patch.value, &document.value, path))
            .collect();
        // The last one counts, as it does for the tool.
        let mut best = own;
        for candidate in of_patches {
            let is_better = candidate.part.depth > best.part.depth || candidate.is(made);
            if is_better {
                best = candidate;
            }
        }
        best.part
    }
}

/// What a text has of a path.
struct Candidate<'d> {
    part: Part<'d>,
    /// The value, if it has all of the path.
    value: Option<&'d Value>,
}

impl<'d> Candidate<'d> {
    fn of(document: &'d Document, text: &'d Value, made: &Value, path: &FieldPath) -> Self {
        let (mut there, mut here) = (Some(made), text);
        let mut steps = Vec::new();
        for segment in path.segments() {
            let Some((step, value)) = there.and_then(|there| same(there, here, segment)) else { break };
            there = there.and_then(|there| child_value(there, segment));
            here = value;
            steps.push(step);
        }
        let depth = steps.len();
        let (mark, found) = document.marks.nearest(document.root, &steps.into_iter().collect());
        let depth = depth.min(found);
        let value = (depth == path.segments().len()).then_some(here);
        Self { part: Part { of: document, mark, depth }, value }
    }

    /// Whether it has the value that was made.
    fn is(&self, made: Option<&Value>) -> bool {
        self.value.is_some() && self.value == made
    }
}

/// The fields by which items of lists are told apart, as strategic merge patches know them.
const NAMES: [&str; 8] =
    ["name", "containerPort", "mountPath", "devicePath", "key", "ip", "topologyKey", "port"];

/// The step in a text that corresponds to one of what was made, and the value there.
fn same<'t>(made: &Value, text: &'t Value, segment: &Segment) -> Option<(Segment, &'t Value)> {
    let (View::Array(items), View::Array(written)) = (made.view(), text.view()) else {
        return Some((segment.clone(), child_value(text, segment)?));
    };
    let index = match segment {
        Segment::Index(index) => *index,
        Segment::Key(key) => key.parse().ok()?,
    };
    let item = items.get(index)?;
    let name = NAMES.iter().find_map(|name| Some((*name, value::get(item, name)?)));
    let found = match name {
        Some((name, own)) => written.iter().position(|one| value::get(one, name) == Some(own))?,
        None if written.get(index) == Some(item) => index,
        None => written
            .iter()
            .position(|one| one == item)
            .or_else(|| (items.len() == written.len()).then_some(index))?,
    };
    Some((Segment::Index(found), written.get(found)?))
}
