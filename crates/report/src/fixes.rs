//! Fixes in reports and in texts: lines for people, fields for machines, and the text of a file with fixes put in.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;

use portcullis::{Document, Fix, FixDecision, FixOf, Object, PatchOperation, Source};
use serde::Serialize;
use serde_json::Value;

use crate::mutate::edit::Piece;
use crate::mutate::write_text_diff;
use crate::{ObjectName, Place};

/// The fixes of an object in a report.
#[derive(Debug)]
pub struct FixedObject {
    /// The object, by its position in the report.
    pub ordinal: u64,
    /// As it was written.
    pub object: Object,
    /// Of each violation; the policy by its position in the report.
    pub each: Vec<(usize, FixOf)>,
    /// All that policies decide.
    pub together: Option<Fix>,
}

impl FixedObject {
    /// The fix of a finding.
    pub fn of(&self, policy: usize, message: &str) -> Option<&Fix> {
        let mut each = self.each.iter().filter(|(of, one)| *of == policy && one.message == message);
        each.find_map(|(_, one)| one.fix.as_ref())
    }
}

/// A fix for people, a line for each edit.
pub(crate) fn lines(fix: &Fix) -> Vec<String> {
    let more = match fix.decision {
        FixDecision::Policy => "",
        FixDecision::Author => " - the value is yours to decide",
    };
    fix.edits.iter().map(|edit| format!("{edit}{more}")).collect()
}

/// A fix as JSON has it.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct JsonFix {
    /// Whether `--fix` puts it in.
    is_decided: bool,
    edits: Vec<JsonEdit>,
}

#[derive(Serialize)]
struct JsonEdit {
    op: &'static str,
    path: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    old: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new: Option<Value>,
}

impl JsonFix {
    pub(crate) fn of(fix: &Fix) -> Self {
        let edit = |edit: &portcullis::FixEdit| JsonEdit {
            op: match (edit.before(), edit.after()) {
                (_, None) => "remove",
                (None, Some(_)) => "add",
                (Some(_), Some(_)) => "replace",
            },
            path: edit.path().to_string(),
            old: edit.before(),
            new: edit.after(),
        };
        Self { is_decided: fix.decision == FixDecision::Policy, edits: fix.edits.iter().map(edit).collect() }
    }
}

/// A part of a text, and what is put in its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replacement {
    /// Bytes of the old text.
    pub range: std::ops::Range<usize>,
    /// What comes there.
    pub new: String,
}

/// What a fix changes in the text of an object; none if it cannot be put in there.
pub fn replacement(object: &Object, fix: &Fix) -> Option<Replacement> {
    let document = object.document().filter(|document| document.is_as_written())?;
    let piece = Piece::around(document)?;
    let new = edited(&piece, object, fix)?;
    let old = piece.text();
    let common = |(a, b): &(char, char)| a == b;
    let first: usize = old.chars().zip(new.chars()).take_while(common).map(|(c, _)| c.len_utf8()).sum();
    let (left_old, left_new) = (old.get(first..)?, new.get(first..)?);
    let last: usize = left_old
        .chars()
        .rev()
        .zip(left_new.chars().rev())
        .take_while(common)
        .map(|(c, _)| c.len_utf8())
        .sum();
    let start = piece.range().start + first;
    let range = start..start + left_old.len() - last;
    Some(Replacement { range, new: left_new.get(..left_new.len() - last)?.to_owned() })
}

fn edited(piece: &Piece<'_>, object: &Object, fix: &Fix) -> Option<String> {
    let wanted = fix.apply(object)?;
    piece.with(&PatchOperation::between(object, &wanted), &wanted)
}

/// A file with all that policies decide put into it.
#[derive(Debug)]
pub struct FixedFile {
    /// As reports call it.
    pub name: String,
    /// The text that was read.
    pub source: Arc<Source>,
    /// The text with the fixes; none if there are none that could be put in.
    pub new: Option<String>,
    /// The objects that are different now, and how.
    pub fixed: Vec<(ObjectName, Fix)>,
    /// The objects that could not be edited in their text, and why.
    pub refused: Vec<(ObjectName, Place, &'static str)>,
}

const SHARED: &str = "what would have to be edited is shared by an anchor or an alias, or written in a form that is not edited";
const MADE: &str =
    "it is not an object of a file, but a part of something else, or what a program made: edit that";
const UNREAD: &str = "the edited file would not be read as it should be";

/// The files of some objects, with all that policies decide put into their texts. Comments, order and style of all else
/// stay. Each text is read again: it has the objects that it should have, and all others as they were, or it is not
/// used.
///
/// Cost: a reading of each file, and of a list for each of its items that is edited.
pub fn files(objects: &[FixedObject]) -> Vec<FixedFile> {
    let mut files: BTreeMap<String, Vec<(&FixedObject, &Fix)>> = BTreeMap::new();
    for one in objects {
        let (Some(fix), Some(location)) = (&one.together, one.object.location()) else { continue };
        files.entry(location.file().to_string()).or_default().push((one, fix));
    }
    files.into_iter().filter_map(|(name, all)| file(name, all)).collect()
}

fn file(name: String, mut all: Vec<(&FixedObject, &Fix)>) -> Option<FixedFile> {
    let source = all.first()?.0.object.document()?.source().clone();
    // From the end, so that what comes before stays where it is.
    all.sort_by_key(|(one, _)| std::cmp::Reverse(one.object.location().map(|at| at.range().start)));
    let mut file = FixedFile { name, source, new: None, fixed: Vec::new(), refused: Vec::new() };
    let (before, problems) = read(file.source.name(), file.source.text());
    let mut wanted: Vec<Value> = before.iter().map(Document::to_json).collect();
    let mut text = file.source.text().to_string();
    for (one, fix) in all {
        let object = &one.object;
        let name = ObjectName::of(object);
        let place = object.location().map_or(Place::Cluster, |at| Place::of(&at));
        let refused = match put(&text, object, &before, fix) {
            Ok((new, position)) => {
                if let (Some(slot), Some(after)) = (wanted.get_mut(position), fix.apply(object)) {
                    *slot = after.to_json();
                }
                text = new;
                file.fixed.push((name, fix.clone()));
                continue;
            }
            Err(why) => why,
        };
        file.refused.push((name, place, refused));
    }
    if !file.fixed.is_empty() {
        let (after, found) = read(file.source.name(), &text);
        let is_right = found.len() == problems.len() && after.iter().map(Document::to_json).eq(wanted);
        if is_right {
            file.new = Some(text);
        } else {
            let place = Place::of(&portcullis::Location::new(file.source.clone(), 0..0));
            let fixed = std::mem::take(&mut file.fixed);
            file.refused.extend(fixed.into_iter().map(|(name, _)| (name, place.clone(), UNREAD)));
        }
    }
    file.fixed.reverse();
    file.refused.reverse();
    Some(file)
}

fn read(name: &str, text: &str) -> (Vec<Document>, Vec<portcullis::Error>) {
    Document::read_all(name, text)
}

/// The text with an object's fix, and which of the documents that is.
fn put(text: &str, object: &Object, before: &[Document], fix: &Fix) -> Result<(String, usize), &'static str> {
    let document = object.document().filter(|document| document.is_as_written()).ok_or(MADE)?;
    let is_it = |other: &&Document| other.index() == document.index() && other.item() == document.item();
    let position = before.iter().position(|other| is_it(&other)).ok_or(MADE)?;
    let is_whole = before.get(position).is_some_and(|other| other.to_json() == object.to_json());
    if !is_whole {
        return Err(MADE);
    }
    let piece = Piece::around(document).ok_or(SHARED)?;
    let is_untouched = text.get(piece.range()) == Some(piece.text());
    let (range, new) = if is_untouched {
        (piece.range(), edited(&piece, object, fix).ok_or(SHARED)?)
    } else {
        // Another item of its list was edited before.
        let (documents, _) = read("edited.yaml", text);
        let document = documents.iter().find(is_it).ok_or(UNREAD)?;
        let piece = Piece::around(document).ok_or(SHARED)?;
        (piece.range(), edited(&piece, object, fix).ok_or(SHARED)?)
    };
    let (start, end) = (text.get(..range.start).ok_or(UNREAD)?, text.get(range.end..).ok_or(UNREAD)?);
    Ok((format!("{start}{new}{end}"), position))
}

/// What is different in files, as `diff -u` writes it; `patch -p1` takes it. Before each file stands what was edited.
///
/// # Errors
///
/// If it cannot be written.
pub fn write_diff(files: &[FixedFile], out: &mut dyn Write) -> io::Result<()> {
    for file in files {
        let Some(new) = &file.new else { continue };
        for (object, fix) in &file.fixed {
            for edit in &fix.edits {
                writeln!(
                    out,
                    "# {}: {}",
                    crate::escape::line(&object.to_string()),
                    crate::escape::line(&edit.to_string())
                )?;
            }
        }
        write_text_diff(&file.name, file.source.text(), new, out)?;
    }
    Ok(())
}
