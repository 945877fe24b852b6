//! JSON: one document.

mod audit;
mod bench;
mod lint;
mod test;
mod verify;

use std::io::{self, Write};

use portcullis::Location;
use serde::Serialize;
use serde_json::ser::PrettyFormatter;

use crate::Place;
use crate::form::{Spec, Writer};

pub(crate) use audit::write_yaml as write_audit_yaml;
pub(crate) use bench::content as bench_content;
pub(crate) use lint::content as lint_content;
pub(crate) use test::{WithStats, items as test_items};
pub(crate) use verify::content as verify_content;

pub(crate) const FORM: Spec = Spec {
    test: Some(Writer { about: "gator's JSON, with positions", write: test::write }),
    verify: Some(Writer { about: "JSON", write: verify::write }),
    lint: Some(Writer { about: "JSON, with a rule, a position and a hint per finding", write: lint::write }),
    bench: Some(Writer { about: "gator's JSON, with what each constraint cost", write: bench::write }),
    audit: Some(Writer { about: "one JSON document: totals, coverage, findings", write: audit::write }),
    ..Spec::new("json")
};

/// A place in a file, of which the whole is its first character.
#[derive(Debug, Serialize)]
struct Start<'a> {
    file: &'a str,
    line: u32,
    column: u32,
}

impl<'a> Start<'a> {
    fn of(place: &'a Place) -> Self {
        let (line, column) = match place {
            Place::File { line, column, .. } => (*line, *column),
            Place::Cluster => (0, 0),
        };
        Self { file: place.file(), line: line.max(1), column: column.max(1) }
    }

    fn at(location: &'a Location) -> Self {
        Self { file: location.file(), line: location.line(), column: location.column() }
    }
}

/// Writes JSON with an indentation of four, as gator does, and a line break at the end.
pub(crate) fn write_indented(value: &impl Serialize, out: &mut dyn Write) -> io::Result<()> {
    // Of a type that is known: a report is written a few bytes at a time.
    let mut out = io::BufWriter::with_capacity(64 << 10, out);
    let mut serializer =
        serde_json::Serializer::with_formatter(&mut out, PrettyFormatter::with_indent(b"    "));
    value.serialize(&mut serializer)?;
    writeln!(out)?;
    out.flush()
}
