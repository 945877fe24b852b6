//! What policies find below `data` that is no rule: the files that they are given.

use std::collections::BTreeMap;

use portcullis_value::View;

use crate::document::Document;
use crate::error::{Error, ErrorKind};
use crate::path::FieldPath;
use crate::source::Location;
use crate::value::{self, Value};

/// Documents below `data`, each at its path. What two of them have in common has to be objects all the way.
#[derive(Clone, Debug, Default)]
pub struct ModuleData {
    root: Tree,
}

/// Where something comes from is kept, to be able to say who else has it.
#[derive(Clone, Debug)]
enum Tree {
    Branch(BTreeMap<Box<str>, Tree>),
    Leaf(Value, Location),
}

impl Default for Tree {
    fn default() -> Self {
        Self::Branch(BTreeMap::new())
    }
}

impl ModuleData {
    /// Puts a document below a path.
    ///
    /// # Errors
    ///
    /// If it is no object, or has something that is there already. It is left out as a whole then.
    pub fn add(&mut self, path: &[&str], document: &Document) -> Result<(), Error> {
        if !matches!(document.value().view(), View::Object(_)) {
            let found = value::describe(document.value());
            let message = format!("expected an object for `data`, found {found}");
            return Err(Error::new(ErrorKind::NotAnObject, message).at(document.location()));
        }
        let mut whole = Tree::of(document.value(), document, &FieldPath::root());
        for step in path.iter().rev() {
            whole = Tree::Branch(BTreeMap::from([(Box::from(*step), whole)]));
        }
        if let Some((here, there)) = self.root.clash(&whole) {
            let message = format!("this is in `data` already, from {there}");
            let error = Error::new(ErrorKind::DuplicateResource, message).at(here.clone());
            let hint =
                "each part of `data` may come from one file only; rename it, or leave out one of the files";
            return Err(error.hint(hint));
        }
        self.root.merge(whole);
        Ok(())
    }

    /// Where something is that is at a path or keeps a path from being one, if there is any.
    pub(super) fn at(&self, path: &[&str]) -> Option<&Location> {
        let mut tree = &self.root;
        for step in path {
            match tree {
                Tree::Leaf(_, location) => return Some(location),
                Tree::Branch(below) => tree = below.get(*step)?,
            }
        }
        tree.first()
    }

    pub(crate) fn to_value(&self) -> Value {
        self.root.to_value()
    }
}

impl Tree {
    /// Recursion is as deep as the document, which its reader bounds.
    fn of(value: &Value, document: &Document, path: &FieldPath) -> Self {
        match value.view() {
            View::Object(_) => Self::Branch(
                value::entries(value)
                    .map(|(key, child)| (Box::from(key), Self::of(child, document, &path.child(key))))
                    .collect(),
            ),
            _ => Self::Leaf(value.clone(), document.locate_nearest(path).0),
        }
    }

    /// What the other has that is here already: its place there, and here.
    fn clash<'t>(&'t self, other: &'t Self) -> Option<(&'t Location, &'t Location)> {
        match (self, other) {
            (Self::Branch(own), Self::Branch(others)) => {
                others.iter().find_map(|(key, tree)| own.get(key)?.clash(tree))
            }
            // If one of them has nothing in it, they do not meet.
            (own, other) => other.first().zip(own.first()),
        }
    }

    /// Takes over what does not clash.
    fn merge(&mut self, other: Self) {
        match (self, other) {
            (Self::Branch(own), Self::Branch(others)) => {
                for (key, tree) in others {
                    match own.get_mut(&key) {
                        Some(known) => known.merge(tree),
                        None => drop(own.insert(key, tree)),
                    }
                }
            }
            (own, other) => {
                if other.first().is_some() {
                    *own = other;
                }
            }
        }
    }

    fn first(&self) -> Option<&Location> {
        match self {
            Self::Leaf(_, location) => Some(location),
            Self::Branch(below) => below.values().find_map(Self::first),
        }
    }

    fn to_value(&self) -> Value {
        match self {
            Self::Leaf(value, _) => value.clone(),
            Self::Branch(below) => value::object(below.iter().map(|(key, tree)| (&**key, tree.to_value()))),
        }
    }
}
