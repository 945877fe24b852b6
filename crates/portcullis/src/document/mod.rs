//! YAML and JSON streams in, documents with positions out.
use std::sync::Arc;

use crate::error::Error;
use crate::limits::Limits;
use crate::path::FieldPath;
use crate::source::{Location, Source};
use crate::value::Value;

/// One object of a stream, with the position of every node.
#[derive(Clone, Debug)]
pub struct Document {
    source: Arc<Source>,
    value: Value,
}

impl Document {
    /// Reads all documents of a text, with the default limits.
    pub fn read_all(name: &str, text: &str) -> (Vec<Self>, Vec<Error>) {
        Self::read_source(&Source::new(name, text), &Limits::default())
    }
    /// Reads all documents of a source.
    pub fn read_source(_source: &Arc<Source>, _limits: &Limits) -> (Vec<Self>, Vec<Error>) {
        (Vec::new(), Vec::new())
    }
    /// Reads all documents of some bytes.
    pub fn read_bytes(_name: &str, _bytes: Vec<u8>, _limits: &Limits) -> (Vec<Self>, Vec<Error>) {
        (Vec::new(), Vec::new())
    }
    pub(crate) fn value(&self) -> &Value {
        &self.value
    }
    /// Where the document's root node is.
    pub fn location(&self) -> Location {
        Location::new(self.source.clone(), 0..0)
    }
    /// Where the value at a path is.
    pub fn locate(&self, _path: &FieldPath) -> Option<Location> {
        None
    }
    /// Where the key at the end of a path is.
    pub fn locate_key(&self, _path: &FieldPath) -> Option<Location> {
        None
    }
    pub(crate) fn nested(&self, _path: &FieldPath) -> Option<Self> {
        None
    }
    pub(crate) fn locate_in_text(&self, _path: &FieldPath, _offset: usize) -> Option<Location> {
        None
    }
    /// Where the deepest existing part of a path is, and that part.
    pub fn locate_nearest(&self, _path: &FieldPath) -> (Location, FieldPath) {
        (self.location(), FieldPath::root())
    }
}
