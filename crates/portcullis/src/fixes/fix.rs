//! A fix, as it is offered.

use std::fmt;

use crate::object::Object;
use crate::path::FieldPath;
use crate::value::{self, Value};

use super::edit::Edit;
use super::place;

/// Edits that make a violation go, and no other come.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Fix {
    /// What is edited, in the order of the paths. None of them can be left out.
    pub edits: Vec<FixEdit>,
    /// Who decides the values.
    pub decision: FixDecision,
}

/// Who decides what a fix puts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FixDecision {
    /// The policy lets pass this value only, or the nearest one was taken.
    Policy,
    /// The author of the object: others pass as well, and which one is meant is not for a tool to say.
    Author,
}

/// One edit of an object.
#[derive(Clone, Debug, PartialEq)]
pub struct FixEdit {
    path: FieldPath,
    old: Option<Value>,
    new: Option<Value>,
}

impl FixEdit {
    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &FieldPath {
        &self.path
    }

    /// What was there, as JSON; none if nothing was.
    #[must_use]
    pub fn before(&self) -> Option<serde_json::Value> {
        self.old.as_ref().map(value::to_json)
    }

    /// What is put there, as JSON; none if what is there goes.
    #[must_use]
    pub fn after(&self) -> Option<serde_json::Value> {
        self.new.as_ref().map(value::to_json)
    }
}

/// `set spec.hostPID to false (it is true)`, `add metadata.labels.owner: "web"`, `remove spec.hostIPC (it is true)`.
impl fmt::Display for FixEdit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |value: &Value| value::to_json_text(value, 256).unwrap_or_else(|| value::describe(value));
        match (&self.old, &self.new) {
            (Some(old), Some(new)) => write!(f, "set {} to {} (it is {})", self.path, shown(new), shown(old)),
            (None, Some(new)) => write!(f, "add {}: {}", self.path, shown(new)),
            (Some(old), None) => write!(f, "remove {} (it is {})", self.path, shown(old)),
            (None, None) => write!(f, "leave {}", self.path),
        }
    }
}

impl Fix {
    pub(super) fn of(edits: &[Edit], before: &Value, decision: FixDecision) -> Self {
        let edits = edits.iter().map(|edit| FixEdit {
            path: edit.path.clone(),
            old: place::at(before, edit.path.segments()).cloned(),
            new: edit.new.clone(),
        });
        Self { edits: edits.collect(), decision }
    }

    /// An object with the edits; none if it is not one that they were made for. Its document stays what was written.
    ///
    /// Cost: what is on the way to the edits is copied.
    #[must_use]
    pub fn apply(&self, object: &Object) -> Option<Object> {
        let edited = self.edits.iter().try_fold(object.value().clone(), |value, edit| match &edit.new {
            Some(new) => place::with(&value, edit.path.segments(), new),
            None => place::without(&value, edit.path.segments()),
        })?;
        object.with_value(edited).ok()
    }
}
