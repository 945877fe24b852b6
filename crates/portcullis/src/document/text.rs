//! From an offset in a string to the place in the source where that character is written.

use crate::document::build::Span;
use crate::source::clamp;

/// The source offset of a byte of a decoded scalar. `range` is the scalar in the source, from its quote or its `|`.
pub(super) fn source_offset(source: &str, range: Span, decoded: &str, offset: usize) -> u32 {
    let written = source.get(range.start as usize..range.end as usize).unwrap_or_default();
    let offset = decoded.floor_char_boundary(offset.min(decoded.len()));
    let inside = match written.as_bytes().first() {
        Some(b'|') => in_literal(source.get(range.start as usize..).unwrap_or_default(), decoded, offset),
        Some(b'"' | b'\'') if written.get(1..written.len().saturating_sub(1)) == Some(decoded) => {
            Some(offset + 1)
        }
        _ if written == decoded => Some(offset),
        _ => None,
    };
    range.start + clamp(inside.unwrap_or(0))
}

/// The n-th line of the value is the n-th line after the header, without the indentation. How deep that is shows in
/// the first line with text, so an indentation indicator needs no care.
fn in_literal(source: &str, decoded: &str, offset: usize) -> Option<usize> {
    let (header, block) = source.split_once('\n')?;
    let spaces = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let indentation = block
        .split('\n')
        .zip(decoded.split('\n'))
        .find(|(_, decoded)| !decoded.trim().is_empty())
        .map_or(0, |(written, decoded)| spaces(written).saturating_sub(spaces(decoded)));

    let before = decoded.get(..offset)?;
    let (lines_before, column) = match before.rsplit_once('\n') {
        Some((lines, last)) => (lines.matches('\n').count() + 1, last.len()),
        None => (0, before.len()),
    };
    let mut start = header.len() + 1;
    for (number, line) in block.split('\n').enumerate() {
        if number == lines_before {
            // Blank lines may be shorter than the indentation.
            let line = line.trim_end_matches('\r');
            return Some(start + (indentation + column).min(line.len()));
        }
        start += line.len() + 1;
    }
    Some(source.len())
}
