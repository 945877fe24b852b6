//! Whether a stream is JSON or YAML, decided as `kubectl` decides: what begins with a brace is read as JSON
//! values, as long as they are such; what follows the first text that is none is YAML.

use std::sync::Arc;

use super::{Form, Output, Taken, json, yaml};
use crate::error::ErrorKind;
use crate::limits::Limits;
use crate::source::Source;

/// Reads a source. `base` is where its text starts, after a byte order mark.
pub(super) fn read(source: &Arc<Source>, base: usize, limits: &Limits, taken: Taken) -> Output {
    if base > 0 || is_named_json(source) {
        return read_behind_mark(source, base, limits, taken);
    }
    let text = source.text();
    let trimmed = text.trim_start();
    let looks_like_json = trimmed.starts_with(['{', '[']) && text.len() - trimmed.len() < Form::LOOKS_AT;
    if !looks_like_json {
        return yaml::read(source, base, limits, Output { taken, ..Output::default() });
    }
    let mut json = json::read(source, base, limits, taken);
    let Some(end) = json.end else { return json.output };
    // The values so far are JSON's; the rest is YAML, and so is a flow mapping.
    let mut rest = Output { documents_seen: end.documents, taken, ..Output::default() };
    rest = yaml::read(source, behind_line(source.text(), end.offset), limits, rest);
    let is_broken = rest.problems.iter().any(|problem| problem.kind() == ErrorKind::Syntax);
    if json.is_stream && is_broken {
        return json.output;
    }
    json.output.cut(end.offset);
    json.output.documents.append(&mut rest.documents);
    json.output.problems.append(&mut rest.problems);
    json.output.documents_seen = rest.documents_seen;
    json.output
}

/// Reads a source that a byte order mark stood in front of: for clients it does not begin with a brace.
pub(super) fn read_behind_mark(source: &Arc<Source>, base: usize, limits: &Limits, taken: Taken) -> Output {
    if is_named_json(source) {
        return json::read(source, base, limits, taken).output;
    }
    yaml::read(source, base, limits, Output { taken, ..Output::default() })
}

fn is_named_json(source: &Source) -> bool {
    source.name().to_lowercase().ends_with(".json")
}

/// Behind the white space that follows, up to the next line: where clients go on, so that a separator there
/// is the first line of a chunk.
fn behind_line(text: &str, offset: usize) -> usize {
    let rest = text.get(offset..).unwrap_or_default();
    let line = rest.find('\n').map_or(rest, |end| rest.get(..=end).unwrap_or_default());
    offset + line.len() - line.trim_start().len()
}
