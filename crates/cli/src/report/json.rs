//! gator's JSON, with positions.

use std::io::{self, Write};

use portcullis::Location;
use serde::Serialize;
use serde_json::ser::PrettyFormatter;

/// A place in a file.
#[derive(Debug, Serialize)]
pub struct Position<'a> {
    pub file: &'a str,
    pub line: u32,
    pub column: u32,
}

impl<'a> Position<'a> {
    pub fn of(location: &'a Location) -> Self {
        Self { file: location.file(), line: location.line(), column: location.column() }
    }
}

/// Writes JSON with an indentation of four, as gator does, and a line break at the end.
pub fn write_indented(value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    let mut serializer = serde_json::Serializer::with_formatter(&mut *out, PrettyFormatter::with_indent(b"    "));
    value.serialize(&mut serializer)?;
    writeln!(out)
}
