//! Documents and functions as they are inside of `with`.

use std::collections::BTreeMap;

use portcullis_value::{Budget, Exceeded, Value, View};

use super::Input;
use crate::normal_form::{Callee, NodeId, Target};

/// Documents that there is room for from the beginning: most programs have no more.
const FIRST_DOCUMENTS: usize = 64;

/// What evaluation sees, and what it made of it so far.
#[derive(Clone)]
pub(super) struct World<'v> {
    /// `input`, if it is one value.
    pub(super) input: Option<&'v Value>,
    /// The entries of `input` otherwise.
    pub(super) parts: &'v [(Value, Value)],
    /// `data`, without rules.
    pub(super) data: &'v Value,
    /// Paths below `data` at which there are no rules.
    pub(super) replaced: Vec<&'v [Value]>,
    pub(super) functions: Vec<(Target, Replaced<'v>)>,
    /// By group.
    pub(super) documents: Vec<Document<'v>>,
    pub(super) trees: BTreeMap<NodeId, &'v Value>,
}

/// What stands for a function.
#[derive(Clone, Copy)]
pub(super) enum Replaced<'v> {
    Value(&'v Value),
    Callee(&'v Callee),
}

/// A document of rules.
#[derive(Clone, Copy)]
pub(super) enum Document<'v> {
    NotMade,
    InTheMaking,
    Made(&'v Value),
}

impl<'v> World<'v> {
    pub(super) fn new(
        input: &'v Input<'_>,
        data: &'v Value,
        mut documents: Vec<Document<'v>>,
        groups: usize,
    ) -> Self {
        documents.reserve(groups.max(FIRST_DOCUMENTS));
        documents.resize(groups, Document::NotMade);
        let (input, parts): (_, &[_]) = match input {
            Input::Undefined => (None, &[]),
            Input::Value(value) => (Some(value), &[]),
            Input::Entries(entries) => (None, entries),
        };
        Self {
            input,
            parts,
            data,
            replaced: Vec::new(),
            functions: Vec::new(),
            documents,
            trees: BTreeMap::new(),
        }
    }

    /// What [`Self::unmade`] takes, in steps.
    pub(super) fn weight(&self) -> u64 {
        let copied = self.documents.len() + self.replaced.len() + self.functions.len();
        copied as u64
    }

    /// The same world of which nothing was made yet.
    pub(super) fn unmade(&self) -> Self {
        Self {
            input: self.input,
            parts: self.parts,
            data: self.data,
            replaced: self.replaced.clone(),
            functions: self.functions.clone(),
            documents: self
                .documents
                .iter()
                .map(|document| match document {
                    // A document that comes to itself through `with` would not end.
                    Document::InTheMaking => Document::InTheMaking,
                    Document::NotMade | Document::Made(_) => Document::NotMade,
                })
                .collect(),
            trees: BTreeMap::new(),
        }
    }

    /// Whether rules at this path are replaced.
    pub(super) fn is_replaced(&self, path: &[Value]) -> bool {
        self.replaced.iter().any(|replaced| path.starts_with(replaced))
    }

    pub(super) fn function(&self, target: Target) -> Option<Replaced<'v>> {
        self.functions.iter().rev().find(|(known, _)| *known == target).map(|(_, by)| *by)
    }
}

/// A document with the value at a path replaced. What is not an object on the way becomes one.
pub(super) fn with_path(
    budget: &mut Budget<'_>,
    document: Option<&Value>,
    path: &[Value],
    value: Value,
) -> Result<Value, Exceeded> {
    let Some((key, rest)) = path.split_first() else { return Ok(value) };
    let mut object: BTreeMap<Value, Value> = match document.map(Value::view) {
        Some(View::Object(object)) => {
            budget.make_items(object.len())?;
            object.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
        }
        _ => BTreeMap::new(),
    };
    let inner = with_path(budget, object.get(key), rest, value)?;
    object.insert(key.clone(), inner);
    Ok(Value::from(object))
}
