//! The text of a document, changed where its object was mutated: comments, order and style of all else stay.
//!
//! Each operation of the JSON patch becomes an edit of a range of the text. What comes out is read again, and
//! is used only if it is the object that it should be: where an edit is not known to be right, the caller
//! writes the object anew.

use std::fmt::Write as _;
use std::ops::Range;

use portcullis::{Document, FieldPath, Location, Object, PatchOperation, Segment, yaml_lines::Line};
use serde_json::Value;

/// A piece of a source: a document with the comments around it.
pub(crate) struct Piece<'d> {
    document: &'d Document,
    range: Range<usize>,
    /// What is written into JSON has to be JSON.
    is_json: bool,
}

/// A change of a text.
struct Edit {
    range: Range<usize>,
    new: String,
}

impl<'d> Piece<'d> {
    /// The piece of a document that is one by itself; `None` for items of lists.
    pub(super) fn of(document: &'d Document) -> Option<Self> {
        if document.item().is_some() { None } else { Self::around(document) }
    }

    /// The piece that a document is in: of an item of a list, the list.
    pub(crate) fn around(document: &'d Document) -> Option<Self> {
        let text = &**document.source().text();
        let at = document.location().range().start as usize;
        let is_separator = |line: &str| Line::of(line.as_bytes()) != Line::Content;
        let mut start = text.get(..at)?.rfind('\n').map_or(0, |end| end + 1);
        while start > 0 {
            let before = text.get(..start - 1)?;
            let line = before.rfind('\n').map_or(0, |end| end + 1);
            if is_separator(before.get(line..)?) {
                break;
            }
            start = line;
        }
        let mut end = at;
        for line in text.get(at..)?.split_inclusive('\n') {
            if end > at && is_separator(line) {
                break;
            }
            end += line.len();
        }
        // A first line of dashes belongs to nobody.
        let first = text.get(start..end)?.split_inclusive('\n').next().unwrap_or_default();
        if is_separator(first) {
            start += first.len();
        }
        let piece = text.get(start..end)?;
        let is_json = serde_json::from_str::<serde::de::IgnoredAny>(piece).is_ok();
        Some(Self { document, range: start..end, is_json })
    }

    /// The text as it was.
    pub(crate) fn text(&self) -> &'d str {
        self.document.source().text().get(self.range.clone()).unwrap_or_default()
    }

    /// Where it is in the source.
    pub(crate) fn range(&self) -> Range<usize> {
        self.range.clone()
    }

    /// All of the source.
    pub(crate) fn source(&self) -> &'d str {
        self.document.source().text()
    }

    /// The text with the operations of a patch applied, if that makes the object.
    pub(crate) fn with(&self, patch: &[PatchOperation], wanted: &Object) -> Option<String> {
        let old = self.document.to_json();
        let mut edits = Vec::new();
        let mut gone: Vec<FieldPath> = Vec::new();
        for operation in patch {
            let path = operation.path();
            if operation.op() == "remove"
                && let Some(whole) = path.parent()
                && let Some((parts, empty)) = parts(at(&old, &whole))
            {
                // What loses all of its parts is written anew.
                let is_of_it = |one: &&PatchOperation| one.path().parent().as_ref() == Some(&whole);
                let taken = patch.iter().filter(is_of_it).filter(|one| one.op() == "remove").count();
                let is_all = patch.iter().filter(is_of_it).count() == taken && taken == parts;
                if is_all && !whole.is_root() {
                    if !gone.contains(&whole) {
                        edits.push(self.replace(&old, &whole, &empty)?);
                        gone.push(whole);
                    }
                    continue;
                }
            }
            let value = serde_json::to_value(operation).ok()?.get("value").cloned();
            edits.push(match (operation.op(), value) {
                ("replace", Some(value)) => self.replace(&old, path, &value)?,
                // It is there, and null: for an API server that is nothing.
                ("add", Some(value)) if at(&old, path).is_some_and(Value::is_null) => {
                    self.replace(&old, path, &value)?
                }
                ("add", Some(value)) => self.add(&old, path, &value)?,
                _ => self.remove(&old, path)?,
            });
        }
        let new = self.apply(edits)?;
        // Only what is read as the object is one, and all beside it as it was.
        let (before, _) = Document::read_all("before.yaml", self.text());
        let (documents, errors) = Document::read_all("mutated.yaml", &new);
        let is_json = |text: &str| serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
        let is_read =
            errors.is_empty() && documents.len() == before.len() && (!self.is_json || is_json(&new));
        let is_right = |(old, read): (&Document, &Document)| {
            if old.item() == self.document.item() {
                without_nulls(read.to_json()) == without_nulls(wanted.to_json())
            } else {
                old.to_json() == read.to_json()
            }
        };
        (is_read && before.iter().zip(&documents).all(is_right)).then_some(new)
    }

    fn apply(&self, mut edits: Vec<Edit>) -> Option<String> {
        // What comes behind a line that goes comes behind the one before it.
        let gone: Vec<Range<usize>> =
            edits.iter().filter(|edit| edit.new.is_empty()).map(|edit| edit.range.clone()).collect();
        for edit in edits.iter_mut().filter(|edit| edit.range.is_empty()) {
            while let Some(lines) = gone.iter().find(|lines| lines.contains(&edit.range.start)) {
                let before = self.source().get(..lines.start)?;
                let before = before.strip_suffix('\n')?;
                let at = before.strip_suffix('\r').unwrap_or(before).len();
                edit.range = at..at;
            }
        }
        // Stable: what is inserted at the same place keeps its order.
        edits.sort_by_key(|edit| edit.range.start);
        let mut text = String::new();
        let mut done = self.range.start;
        for edit in edits {
            if edit.range.start < done || edit.range.end > self.range.end {
                return None;
            }
            text.push_str(self.source().get(done..edit.range.start)?);
            text.push_str(&edit.new);
            done = edit.range.end;
        }
        text.push_str(self.source().get(done..self.range.end)?);
        Some(text)
    }

    fn locate(&self, path: &FieldPath) -> Option<Range<usize>> {
        self.document.locate(path).map(|location| bytes(&location))
    }

    /// Where a value ends: behind the last thing that is written of it.
    fn end(&self, value: &Value, path: &FieldPath) -> Option<usize> {
        let range = self.locate(path)?;
        let written = self.source().get(range.clone())?;
        let is_flow = written.starts_with(['{', '[']);
        let children: Vec<(&Value, FieldPath)> = match value {
            Value::Object(fields) if !is_flow => {
                fields.iter().map(|(key, value)| (value, path.child(&**key))).collect()
            }
            Value::Array(items) if !is_flow => {
                items.iter().enumerate().map(|(index, value)| (value, path.child(index))).collect()
            }
            _ => Vec::new(),
        };
        let own = range.start + written.trim_end().len();
        if children.is_empty() {
            return Some(own);
        }
        let ends = children.iter().map(|(value, path)| self.end(value, path)).collect::<Option<Vec<_>>>()?;
        ends.into_iter().max()
    }

    fn replace(&self, old: &Value, path: &FieldPath, new: &Value) -> Option<Edit> {
        let range = self.locate(path)?;
        let end = self.end(at(old, path)?, path)?;
        let written = self.source().get(range.start..end)?;
        let flow = flow(new, !self.is_json && !written.starts_with(['"', '\'']))?;
        let before = self.source().get(..range.start)?;
        // What was a block of lines comes behind its colon.
        let key = before.trim_end();
        let start = if key.ends_with(':') && before.get(key.len()..)?.contains('\n') {
            key.len()
        } else {
            range.start
        };
        // What is empty stands directly behind its colon.
        let is_glued = self.source().get(..start)?.ends_with([':', '-']);
        Some(Edit { range: start..end, new: format!("{}{flow}", if is_glued { " " } else { "" }) })
    }

    fn add(&self, old: &Value, path: &FieldPath, new: &Value) -> Option<Edit> {
        let parent = path.parent()?;
        let range = self.locate(&parent)?;
        let siblings = at(old, &parent)?;
        let end = self.end(siblings, &parent)?;
        let written = self.source().get(range.start..end)?;
        let entry = match path.segments().last()? {
            Segment::Key(key) => (Some(&**key), siblings.as_object()?.is_empty()),
            Segment::Index(index) => {
                let items = siblings.as_array()?;
                // Several may come, one behind the other.
                if *index < items.len() {
                    return None;
                }
                (None, items.is_empty())
            }
        };
        let (key, is_empty) = entry;
        if written.starts_with(['{', '[']) {
            let inside = written.get(..written.len() - 1)?.trim_end().len();
            let comma = if is_empty { "" } else { ", " };
            let may_be_plain = !self.is_json;
            let key = match key {
                Some(key) => format!("{}: ", flow(&Value::from(key), may_be_plain)?),
                None => String::new(),
            };
            let at = range.start + inside;
            // Where each entry has its line, so has the new one.
            let last = self.line_of(at)?;
            let indent: String = last.chars().take_while(|c| matches!(c, ' ' | '\t')).collect();
            let has_lines = !is_empty && written.contains('\n') && written.get(inside..)?.contains('\n');
            let comma = if has_lines { format!(",{}{indent}", self.eol()) } else { comma.to_owned() };
            return Some(Edit { range: at..at, new: format!("{comma}{key}{}", flow(new, may_be_plain)?) });
        }
        let indent = self.indent(range.start)?;
        let text = match key {
            Some(key) => block(&serde_json::json!({ (key): new }))?,
            None => block(&serde_json::json!([new]))?,
        };
        let line_end = self.source().get(end..)?.find('\n').map_or(self.source().len(), |at| end + at);
        let line_end = line_end - usize::from(self.source().get(end..line_end)?.ends_with('\r'));
        let lines: Vec<&str> = text.lines().collect();
        let eol = self.eol();
        let new = format!("{eol}{indent}{}", lines.join(&format!("{eol}{indent}")));
        Some(Edit { range: line_end..line_end, new })
    }

    /// How lines end here.
    fn eol(&self) -> &'static str {
        if self.source().contains("\r\n") { "\r\n" } else { "\n" }
    }

    /// The line that a place is in, up to there.
    fn line_of(&self, at: usize) -> Option<&'d str> {
        let before = self.source().get(..at)?;
        before.get(before.rfind('\n').map_or(0, |end| end + 1)..)
    }

    fn remove(&self, old: &Value, path: &FieldPath) -> Option<Edit> {
        let value = at(old, path)?;
        let start = match path.segments().last()? {
            Segment::Key(_) => bytes(&self.document.locate_key(path)?).start,
            Segment::Index(_) => self.locate(path)?.start,
        };
        let end = self.end(value, path)?;
        let parent = self.locate(&path.parent()?)?;
        if self.source().get(parent)?.starts_with(['{', '[']) {
            return self.remove_in_flow(start, end);
        }
        let line = self.source().get(..start)?.rfind('\n').map_or(0, |end| end + 1);
        let before = self.source().get(line..start)?.trim_start();
        let is_alone = match path.segments().last()? {
            Segment::Key(_) => before.is_empty(),
            Segment::Index(_) => before.trim_end() == "-",
        };
        if !is_alone {
            return self.remove_first(old, path, start, end);
        }
        let line_end = self.source().get(end..)?.find('\n').map_or(self.source().len(), |at| end + at + 1);
        Some(Edit { range: line..line_end, new: String::new() })
    }

    /// An entry between braces or brackets, with its comma.
    fn remove_in_flow(&self, start: usize, end: usize) -> Option<Edit> {
        let (before, behind) = (self.source().get(..start)?, self.source().get(end..)?);
        let trimmed = behind.trim_start();
        if let Some(rest) = trimmed.strip_prefix(',') {
            let to = self.source().len() - rest.trim_start_matches([' ', '\t']).len();
            // All of its lines, if it has them for itself.
            let line = self.line_of(start)?;
            let next = self.source().get(to..)?;
            let eol = ["\r\n", "\n"].into_iter().find(|eol| next.starts_with(eol));
            return Some(match eol.filter(|_| line.trim().is_empty()) {
                Some(eol) => Edit { range: start - line.len()..to + eol.len(), new: String::new() },
                None => Edit { range: start..to, new: String::new() },
            });
        }
        // The last one takes the comma before it.
        let from = before.trim_end();
        let from = from.strip_suffix(',').map_or(from.len(), str::len);
        Some(Edit { range: from..end, new: String::new() })
    }

    /// The first key of an object that begins behind a dash: the next one comes into its place.
    fn remove_first(&self, old: &Value, path: &FieldPath, start: usize, end: usize) -> Option<Edit> {
        let (Some(Segment::Key(_)), Some(parent)) = (path.segments().last(), path.parent()) else {
            return None;
        };
        let siblings = at(old, &parent)?.as_object()?.keys();
        let starts =
            siblings.filter_map(|key| Some(bytes(&self.document.locate_key(&parent.child(&**key))?).start));
        let next = starts.filter(|next| *next > start).min()?;
        let is_plain = self.source().get(end..next)?.trim().is_empty();
        is_plain.then(|| Edit { range: start..next, new: String::new() })
    }

    /// What stands before a place in its line, as white space.
    fn indent(&self, at: usize) -> Option<String> {
        let line = self.source().get(..at)?.rfind('\n').map_or(0, |end| end + 1);
        let before = self.source().get(line..at)?;
        before.chars().all(|c| matches!(c, ' ' | '-')).then(|| " ".repeat(before.len()))
    }
}

/// How many parts a value has, and the same without any.
fn parts(value: Option<&Value>) -> Option<(usize, Value)> {
    match value? {
        Value::Array(items) => Some((items.len(), Value::Array(Vec::new()))),
        Value::Object(fields) => Some((fields.len(), Value::Object(serde_json::Map::new()))),
        _ => None,
    }
}

/// The object without labels and annotations that are null, which are none for an API server.
fn without_nulls(mut object: Value) -> Value {
    if let Some(Value::Object(metadata)) = object.get_mut("metadata") {
        metadata.retain(|key, value| !(["labels", "annotations"].contains(&key.as_str()) && value.is_null()));
    }
    object
}

fn bytes(location: &Location) -> Range<usize> {
    location.range().start as usize..location.range().end as usize
}

fn at<'v>(value: &'v Value, path: &FieldPath) -> Option<&'v Value> {
    path.segments().iter().try_fold(value, |value, segment| match segment {
        Segment::Key(key) => value.get(&**key),
        Segment::Index(index) => value.get(index),
    })
}

/// A value in one line, as it may stand anywhere. Texts have quotes unless they may go without.
fn flow(value: &Value, may_be_plain: bool) -> Option<String> {
    Some(match value {
        Value::String(text) if may_be_plain && is_plain(text) => text.clone(),
        Value::Array(items) => {
            let items = items.iter().map(|item| flow(item, may_be_plain)).collect::<Option<Vec<_>>>()?;
            format!("[{}]", items.join(", "))
        }
        Value::Object(fields) => {
            let entry = |(key, value): (&String, &Value)| {
                Some(format!("{}: {}", flow(&Value::from(&**key), may_be_plain)?, flow(value, may_be_plain)?))
            };
            format!("{{{}}}", fields.iter().map(entry).collect::<Option<Vec<_>>>()?.join(", "))
        }
        _ => escaped(&serde_json::to_string(value).ok()?),
    })
}

/// A scalar of JSON without characters that YAML does not take, or takes for the end of a line.
fn escaped(json: &str) -> String {
    let is_taken = |c: char| {
        !matches!(c, '\u{7f}'..='\u{9f}' | '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}')
    };
    json.chars().fold(String::with_capacity(json.len()), |mut text, c| {
        if is_taken(c) {
            text.push(c);
        } else {
            let _ = write!(text, "\\u{:04x}", u32::from(c));
        }
        text
    })
}

/// Whether a text is read as itself without quotes, in flow as in block.
fn is_plain(text: &str) -> bool {
    let is_harmless =
        |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '/' | '-' | ':' | '@' | '+');
    if !text.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '/')
        || text.ends_with(':')
        || !text.chars().all(is_harmless)
    {
        return false;
    }
    let (documents, errors) = Document::read_all("plain.yaml", &format!("v: [{text}]\n{text}: v\n"));
    let read = documents.first().filter(|_| errors.is_empty()).map(Document::to_json);
    read.is_some_and(|read| read == serde_json::json!({"v": [text], (text): "v"}))
}

/// A value as lines of YAML.
pub(super) fn block(value: &Value) -> Option<String> {
    serde_saphyr::to_string(value).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// What a reader might take for something else, and what breaks lines.
    const TEXTS: &[&str] = &[
        "",
        " ",
        "yes",
        "n",
        "~",
        "null",
        "1",
        "1.0",
        "1e3",
        "0x1f",
        "0o7",
        "1_000",
        "12:30",
        ".inf",
        "2001-01-01",
        "- a",
        "a: b",
        "a #b",
        "#b",
        "'",
        "\"",
        "{a}",
        "[a]",
        "*a",
        "&a",
        "!a",
        "%a",
        "@a",
        "`a",
        "|",
        ">",
        "a\nb",
        "a\n",
        "\na",
        "  a\nb\n\n",
        "\ta",
        "a\t",
        "a ",
        " a",
        "\u{85}",
        "\u{2028}",
        "\u{feff}a",
        "\0",
        "\u{7f}",
        "ü",
        "---",
        "...",
        "a:",
        ":a",
        "?",
        "? a",
        "=",
        "<<",
        "a,b",
        "true",
        "On",
        "-",
        "--debug",
        "-1",
        "+1",
        "0b1",
        "1e400",
        "\\",
        "a\r\nb",
        "\r",
    ];

    #[test]
    fn texts_are_read_as_they_were() {
        for text in TEXTS {
            let object =
                json!({"kind": text, "list": [text, [text], {"k": text}], "map": {(*text): {"x": text}}});
            let written = block(&object).unwrap();
            let flows =
                format!("v: {}\nw: {}\n", flow(&object, true).unwrap(), flow(&object, false).unwrap());
            for (written, wanted) in [(written, object.clone()), (flows, json!({"v": object, "w": object}))] {
                let (documents, errors) = Document::read_all("text.yaml", &written);
                let read = documents.first().map(Document::to_json);
                assert_eq!(read, Some(wanted), "{text:?}: {written} {errors:?}");
            }
        }
    }
}
