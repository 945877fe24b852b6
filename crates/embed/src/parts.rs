//! What several parts of answers have in them.

use portcullis::{ConstraintKey, Location};
use serde::Serialize;

/// A constraint.
#[derive(Debug, Serialize)]
pub(crate) struct Key {
    pub(crate) kind: String,
    pub(crate) name: String,
}

impl Key {
    pub(crate) fn of(key: &ConstraintKey) -> Self {
        Self { kind: key.kind.to_string(), name: key.name.to_string() }
    }
}

/// A range of a text. Lines and columns count from 1, columns in characters; the end is behind the last one.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Place {
    pub(crate) column: u32,
    pub(crate) end_column: u32,
    pub(crate) end_line: u32,
    pub(crate) file: String,
    pub(crate) line: u32,
}

impl Place {
    pub(crate) fn of(location: &Location) -> Self {
        let (end_line, end_column) = location.end();
        let (line, column) = (location.line(), location.column());
        Self { column, end_column, end_line, file: location.file().to_string(), line }
    }
}
