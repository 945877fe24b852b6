//! An edit of one place of an object.

use crate::path::FieldPath;
use crate::value::Value;

use super::place;

/// What kind of edit it is. The first are preferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// A truth value, of which there are two.
    Flip,
    /// The same in the form that the field has: a list of the one text that is there.
    Form,
    /// A number or a quantity.
    Bound,
    /// A text.
    Choice,
    /// An object as a parameter has it.
    Whole,
    /// An element of a list goes.
    Element,
    /// A key or an element comes.
    Key,
    /// A field goes.
    Removal,
    /// A part comes, of what Kubernetes wants in it.
    Part,
    /// An empty object, which shows what is missing in it.
    Step,
}

/// An edit of one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Edit {
    pub(super) path: FieldPath,
    /// What is put there; none if it goes.
    pub(super) new: Option<Value>,
    pub(super) class: Class,
    /// The value stands for one that somebody has to think of.
    pub(super) is_placeholder: bool,
}

impl Edit {
    pub(super) fn set(path: FieldPath, new: &Value, class: Class) -> Self {
        Self { path, new: Some(new.clone()), class, is_placeholder: false }
    }

    pub(super) fn gone(path: FieldPath, class: Class) -> Self {
        Self { path, new: None, class, is_placeholder: false }
    }

    pub(super) fn apply(&self, object: &Value) -> Option<Value> {
        match &self.new {
            Some(new) => place::with(object, self.path.segments(), new),
            None => place::without(object, self.path.segments()),
        }
    }
}

/// A text that no policy asks for. What passes with it passes with anything.
pub(super) const PLACEHOLDER: &str = "CHANGE-ME";
