//! From an offset in a string to the place in the source where that character is written.

use super::problems::Span;
use crate::source::clamp;

/// The source offset of a byte of a decoded scalar. `range` is the scalar in the source, from its quote or
/// its `|`.
pub(super) fn source_offset(source: &str, range: Span, decoded: &str, offset: usize) -> u32 {
    let written = source.get(range.start as usize..range.end as usize).unwrap_or_default();
    let offset = decoded.floor_char_boundary(offset.min(decoded.len()));
    let inside = match written.as_bytes().first() {
        Some(b'|') => in_literal(source.get(range.start as usize..).unwrap_or_default(), decoded, offset),
        Some(b'"' | b'\'') if written.get(1..written.len().saturating_sub(1)) == Some(decoded) => {
            Some(offset + 1)
        }
        Some(b'"') => in_escapes(written, decoded, offset),
        _ if written == decoded => Some(offset),
        _ => None,
    };
    range.start + clamp(inside.unwrap_or(0))
}

/// The byte of a decoded scalar that is written at a source offset: the other way round than [`source_offset`]. `None`
/// where that is not exact, and outside of the scalar.
pub(super) fn decoded_offset(source: &str, range: Span, decoded: &str, at: u32) -> Option<u32> {
    if at < range.start {
        return None;
    }
    let written = source.get(range.start as usize..range.end as usize)?;
    let inside = (at - range.start) as usize;
    let offset = match written.as_bytes().first() {
        Some(b'|') => literal_offset(source.get(range.start as usize..)?, decoded, inside)?,
        Some(b'"' | b'\'') if written.get(1..written.len().saturating_sub(1)) == Some(decoded) => {
            inside.checked_sub(1)?
        }
        Some(b'"') => escaped_offset(written, inside)?,
        _ if written == decoded => inside,
        _ => return None,
    };
    (offset <= decoded.len() && decoded.is_char_boundary(offset)).then(|| clamp(offset))
}

/// How deep a block is indented shows in its first line with text.
fn indentation_of(block: &str, decoded: &str) -> usize {
    let spaces = |line: &str| line.len() - line.trim_start_matches(' ').len();
    let first = block.split('\n').zip(decoded.split('\n')).find(|(_, decoded)| !decoded.trim().is_empty());
    first.map_or(0, |(written, decoded)| spaces(written).saturating_sub(spaces(decoded)))
}

fn literal_offset(source: &str, decoded: &str, inside: usize) -> Option<usize> {
    let (header, block) = source.split_once('\n')?;
    let inside = inside.checked_sub(header.len() + 1)?;
    let before = block.get(..inside)?;
    let line = before.matches('\n').count();
    let column = before.len() - before.rfind('\n').map_or(0, |at| at + 1);
    let indentation = indentation_of(block, decoded);
    let written = block.get(inside - column..)?.split('\n').next()?;
    let is_blank = written.trim().is_empty();
    if !is_blank && written.len() - written.trim_start_matches(' ').len() < indentation {
        // The block has ended before.
        return None;
    }
    let start = match line {
        0 => 0,
        line => decoded.match_indices('\n').nth(line - 1)?.0 + 1,
    };
    let length = decoded.get(start..)?.split('\n').next().map_or(0, str::len);
    let column =
        if is_blank { column.saturating_sub(indentation) } else { column.checked_sub(indentation)? };
    Some(start + column.min(length))
}

fn escaped_offset(written: &str, inside: usize) -> Option<usize> {
    let mut escapes = Escapes { written: written.get(1..)? };
    let end = written.len().checked_sub(inside)?;
    let mut offset = 0;
    while escapes.written.len() > end {
        offset += escapes.next()?.len_utf8();
    }
    Some(offset)
}

/// The n-th line of the value is the n-th line after the header, without the indentation. How deep that is
/// shows in the first line with text, so an indentation indicator needs no care.
fn in_literal(source: &str, decoded: &str, offset: usize) -> Option<usize> {
    let (header, block) = source.split_once('\n')?;
    let indentation = indentation_of(block, decoded);

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

/// As many characters and JSON escapes as make the text before the offset. `None` if there is anything else:
/// YAML has more escapes, and folds lines. Cost: what is between escapes is compared at once, since policies
/// with many mistakes ask often.
fn in_escapes(written: &str, decoded: &str, offset: usize) -> Option<usize> {
    let mut escapes = Escapes { written: written.get(1..)? };
    let mut before = decoded.get(..offset)?;
    loop {
        let plain = escapes.written.find('\\').unwrap_or(escapes.written.len());
        if before.len() <= plain {
            let rest = escapes.written.strip_prefix(before)?;
            return Some(written.len() - rest.len());
        }
        before = before.strip_prefix(escapes.written.get(..plain)?)?;
        escapes.written = escapes.written.get(plain..)?;
        before = before.strip_prefix(escapes.next()?)?;
    }
}

/// Line and column, both from 1, of a place in a double-quoted string, and the line: in the text that the
/// string means. `None` if that has one line only, or is written in more ways than JSON's.
pub(super) fn line_in_quotes(written: &str, inside: usize) -> Option<(u32, u32, String)> {
    let mut escapes = Escapes { written: written.strip_prefix('"')?.strip_suffix('"')? };
    let end = written.len().checked_sub(inside.max(1) + 1)?;
    let mut before = String::new();
    while escapes.written.len() > end {
        before.push(escapes.next()?);
    }
    let mut line = before.rsplit('\n').next().unwrap_or_default().to_owned();
    let (lines, column) = (before.matches('\n').count(), line.chars().count());
    let rest: String = escapes.by_ref().take_while(|&c| c != '\n').collect();
    line.push_str(&rest);
    let is_long = lines > 0 || escapes.next().is_some();
    is_long.then(|| (clamp(lines + 1), clamp(column + 1), line))
}

/// The characters that a JSON string means; ends early at what JSON does not have.
struct Escapes<'a> {
    written: &'a str,
}

impl Escapes<'_> {
    fn unit(&mut self) -> Option<u32> {
        let (unit, rest) = self.written.strip_prefix("\\u")?.split_at_checked(4)?;
        self.written = rest;
        u32::from_str_radix(unit, 16).ok()
    }
}

impl Iterator for Escapes<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        let Some(escape) = self.written.strip_prefix('\\') else {
            let c = self.written.chars().next()?;
            self.written = self.written.get(c.len_utf8()..)?;
            return Some(c);
        };
        let c = match escape.chars().next()? {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            'b' => '\u{8}',
            'f' => '\u{c}',
            c @ ('"' | '\\' | '/') => c,
            'u' => {
                let high = self.unit()?;
                if !(0xd800..0xdc00).contains(&high) {
                    return char::from_u32(high);
                }
                let low = self.unit()?.checked_sub(0xdc00)?;
                return char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + low);
            }
            _ => return None,
        };
        self.written = escape.get(1..)?;
        Some(c)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_lead_back_to_where_they_came_from() {
        let decoded = "package a\n\n  x := \"é😀\"\ny\n";
        let block = "|\n    package a\n\n      x := \"é😀\"\n    y\n";
        let quoted = r#""package a\n\n  x := \"é\ud83d\ude00\"\ny\n""#;
        for written in [block, quoted] {
            let source = format!("a: {written}");
            let range = 3..clamp(source.len());
            for (offset, c) in decoded.char_indices().filter(|(_, c)| !c.is_whitespace()) {
                let at = source_offset(&source, range.clone(), decoded, offset);
                let back = decoded_offset(&source, range.clone(), decoded, at);
                assert_eq!(back, Some(clamp(offset)), "{c} in {written}");
            }
            assert_eq!(decoded_offset(&source, range.clone(), decoded, 0), None);
        }
        assert_eq!(decoded_offset("a: folded\n  text", 3..17, "folded text", 12), None);
    }

    #[test]
    fn places_in_quoted_strings_are_found_through_their_escapes() {
        let decoded = "package a\n\tx := \"é😀\"\n  y\n";
        for written in [
            r#""package a\n\tx := \"é😀\"\n  y\n""#,
            r#""package a\u000a\u0009x := \"\u00e9\ud83d\ude00\"\n  y\n""#,
        ] {
            let at = |text: &str| decoded.find(text).unwrap();
            for (text, line, column) in [("package", 1, 1), ("x :=", 2, 2), ("😀", 2, 9), ("y", 3, 3)] {
                let source = format!("  {written}");
                let offset = source_offset(&source, 2..clamp(source.len()), decoded, at(text)) as usize - 2;
                let (found_line, found_column, whole) = line_in_quotes(written, offset).unwrap();
                assert_eq!((found_line, found_column), (line, column), "{text} in {written}");
                assert_eq!(Some(&*whole), decoded.lines().nth(line as usize - 1));
            }
        }
        assert_eq!(line_in_quotes(r#""one line""#, 3), None);
        assert_eq!(line_in_quotes(r#""two\nlines\x41""#, 15), None);
        assert_eq!(line_in_quotes("plain", 3), None);
    }
}
