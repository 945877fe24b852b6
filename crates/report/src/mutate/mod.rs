//! What `portcullis mutate` writes: the objects as mutators leave them, or what is different.
//!
//! YAML keeps what was written around a change: see `edit.rs`. Where that cannot be, the object is written anew,
//! without its comments.

pub(crate) mod diff;
pub(crate) mod edit;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::ops::Range;

use portcullis::{Mutation, MutationChange, Object};
use serde_json::{Map, Value, json};

use crate::count;
use diff::Hunk;
use edit::Piece;

/// An object that went through mutators.
#[derive(Clone, Debug)]
pub struct Mutated {
    /// What came of it.
    pub mutation: Mutation,
    /// The mutated object in the namespace that its text names: files need not say where objects live.
    pub object: Object,
}

impl Mutated {
    fn is_changed(&self) -> bool {
        self.mutation.is_changed()
    }

    fn piece(&self) -> Option<Piece<'_>> {
        self.object.document().and_then(Piece::of)
    }

    /// The text of the object: with the changes in the text that it was read from, else anew.
    fn yaml(&self) -> io::Result<String> {
        let piece = self.piece();
        let kept = piece.and_then(|piece| {
            if self.is_changed() {
                piece.with(&self.mutation.json_patch(), &self.object)
            } else {
                Some(piece.text().to_owned())
            }
        });
        match kept {
            Some(text) => Ok(text),
            None => anew(&self.object),
        }
    }
}

fn anew(object: &Object) -> io::Result<String> {
    edit::block(&object.to_json()).ok_or_else(|| io::Error::other("an object cannot be written as YAML"))
}

/// All objects as a YAML stream, in their order.
///
/// # Errors
///
/// If they cannot be written.
pub fn write_yaml(all: &[Mutated], out: &mut dyn Write) -> io::Result<()> {
    for (number, mutated) in all.iter().enumerate() {
        if number > 0 {
            writeln!(out, "---")?;
        }
        let text = mutated.yaml()?;
        out.write_all(text.as_bytes())?;
        if !text.ends_with('\n') {
            writeln!(out)?;
        }
    }
    Ok(())
}

/// All objects as a list in JSON, each with what changed it.
///
/// # Errors
///
/// If they cannot be written.
pub fn write_json(all: &[Mutated], out: &mut dyn Write) -> io::Result<()> {
    let item = |mutated: &Mutated| {
        let mut item = identity(&mutated.object);
        item.insert("changes".to_owned(), mutated.mutation.changes().iter().map(change).collect());
        let policies: Vec<&str> = mutated.mutation.policies().collect();
        if !policies.is_empty() {
            item.insert("policies".to_owned(), json!(policies));
        }
        item.insert("object".to_owned(), mutated.object.to_json());
        item
    };
    write_list(&all.iter().map(item).collect::<Vec<_>>(), out)
}

/// The JSON patch of each object, in JSON.
///
/// # Errors
///
/// If they cannot be written.
pub fn write_patch(all: &[Mutated], out: &mut dyn Write) -> io::Result<()> {
    let item = |mutated: &Mutated| {
        let mut item = identity(&mutated.object);
        item.insert("patch".to_owned(), json!(mutated.mutation.json_patch()));
        item
    };
    write_list(&all.iter().map(item).collect::<Vec<_>>(), out)
}

fn write_list(items: &[Map<String, Value>], out: &mut dyn Write) -> io::Result<()> {
    serde_json::to_writer_pretty(&mut *out, items)?;
    writeln!(out)
}

fn identity(object: &Object) -> Map<String, Value> {
    let gvk = object.gvk();
    let place = object.location().map(|location| ("location", location.to_string()));
    let entries = [
        ("apiVersion", gvk.api_version()),
        ("kind", gvk.kind.to_string()),
        ("namespace", object.namespace().to_string()),
        ("name", object.name().to_string()),
    ];
    entries.into_iter().chain(place).map(|(key, text)| (key.to_owned(), Value::from(text))).collect()
}

fn change(change: &MutationChange) -> Value {
    let mut value = json!(change);
    if let (Some(location), Some(fields)) = (change.location(), value.as_object_mut()) {
        fields.insert("location".to_owned(), json!(location.to_string()));
    }
    value
}

/// What is different, as `diff -u` has it. Before each file stands which mutator changed what; each part names
/// the mutators that changed something in it.
///
/// # Errors
///
/// If it cannot be written.
pub fn write_diff(all: &[Mutated], out: &mut dyn Write) -> io::Result<()> {
    let mut files: BTreeMap<String, Vec<&Mutated>> = BTreeMap::new();
    for mutated in all.iter().filter(|mutated| mutated.is_changed()) {
        let file = mutated.object.location().map(|location| location.file().to_string());
        files.entry(file.unwrap_or_default()).or_default().push(mutated);
    }
    for (file, mut all) in files {
        all.sort_by_key(|mutated| mutated.object.location().map(|location| location.range().start));
        for mutated in &all {
            let changes = mutated.mutation.changes();
            writeln!(out, "# {}: {}", mutated.object, count(changes.len(), "change", "changes"))?;
            for policy in mutated.mutation.policies() {
                writeln!(out, "#   changed by MutatingAdmissionPolicy {policy}")?;
            }
            for change in changes {
                writeln!(out, "#   {change}")?;
            }
        }
        write_file(&file, &all, out)?;
    }
    Ok(())
}

/// What is different in a file. Objects that are written anew come behind it, each by itself.
fn write_file(file: &str, all: &[&Mutated], out: &mut dyn Write) -> io::Result<()> {
    let (mut old, mut new, mut done) = (String::new(), String::new(), 0);
    let mut others = Vec::new();
    let mut source = None;
    for mutated in all {
        let edited = mutated.piece().and_then(|piece| {
            let text = piece.with(&mutated.mutation.json_patch(), &mutated.object)?;
            Some((piece, text))
        });
        let Some((piece, text)) = edited.filter(|(piece, _)| piece.range().start >= done) else {
            others.push(*mutated);
            continue;
        };
        let whole = source.get_or_insert_with(|| piece.source().to_owned());
        new.push_str(whole.get(done..piece.range().start).unwrap_or_default());
        new.push_str(&text);
        done = piece.range().end;
    }
    if let Some(whole) = source {
        new.push_str(whole.get(done..).unwrap_or_default());
        old.push_str(&whole);
        write_names(file, "", out)?;
        for hunk in diff::hunks(&old, &new) {
            // Of no line, the one before is what it is about.
            let lines = hunk.old.start + 1..hunk.old.end.max(hunk.old.start + 1) + 1;
            write_hunk(&hunk, &mutators(all, &lines), out)?;
        }
    }
    for mutated in others {
        let (old, new) = (anew(&before(mutated))?, anew(&mutated.object)?);
        write_names(file, &format!(" ({}, written anew)", mutated.object), out)?;
        for hunk in diff::hunks(&old, &new) {
            write_hunk(&hunk, "", out)?;
        }
    }
    Ok(())
}

/// What is different between two texts of a file, as `diff -u` writes it; `patch -p1` takes it.
///
/// # Errors
///
/// If it cannot be written.
pub fn write_text_diff(file: &str, old: &str, new: &str, out: &mut dyn Write) -> io::Result<()> {
    write_names(file, "", out)?;
    for hunk in diff::hunks(old, new) {
        write_hunk(&hunk, "", out)?;
    }
    Ok(())
}

/// The names of a file in a diff, as `git diff --no-index` has them, so that `patch -p1` and `git apply` take them: a path from the root has
/// one slash after `a` and `b`, and a name with a space ends with a tab.
fn write_names(file: &str, note: &str, out: &mut dyn Write) -> io::Result<()> {
    let mut name = file;
    while let Some(rest) = name.strip_prefix("./").or_else(|| name.strip_prefix('/')) {
        name = rest;
    }
    let (name, note) = (crate::escape::line(name), crate::escape::line(note));
    let end = if name.contains(' ') { "\t" } else { "" };
    writeln!(out, "--- a/{name}{end}{note}\n+++ b/{name}{end}")
}

pub(crate) fn write_hunk(hunk: &Hunk, names: &str, out: &mut dyn Write) -> io::Result<()> {
    // Lines count from 1; of none, the one before is named.
    let at = |range: &Range<usize>| range.start + usize::from(!range.is_empty());
    let (old, new) = (&hunk.old, &hunk.new);
    writeln!(out, "@@ -{},{} +{},{} @@{names}", at(old), old.len(), at(new), new.len())?;
    out.write_all(hunk.lines.as_bytes())
}

/// The object as it was, in the namespace that its text names.
fn before(mutated: &Mutated) -> Object {
    let (original, written) = (mutated.mutation.original(), mutated.object.namespace());
    if original.namespace() == written {
        return original.clone();
    }
    original.in_namespace(Some(&**written).filter(|namespace| !namespace.is_empty()))
}

/// The mutators that changed something in some lines of a file.
fn mutators(all: &[&Mutated], lines: &Range<usize>) -> String {
    let is_there = |places: Range<usize>| places.start < lines.end && lines.start < places.end;
    let changes = |mutated: &&Mutated| {
        let changes = mutated.mutation.changes().iter();
        let there = changes.filter(|change| places(mutated, change).is_none_or(is_there));
        there.map(|change| change.mutator().key().to_string()).collect::<Vec<_>>()
    };
    let names: BTreeSet<String> = all.iter().flat_map(changes).collect();
    let names: Vec<String> = names.into_iter().map(|name| format!(" {name}")).collect();
    names.join(",")
}

/// The lines that a change is about: those of what it replaced, or where what was there ends.
fn places(mutated: &Mutated, change: &MutationChange) -> Option<Range<usize>> {
    let document = mutated.object.document()?;
    let (_, nearest) = document.locate_nearest(change.path());
    let value = document.locate(&nearest)?;
    let written = value.source().text().get(value.range().start as usize..value.range().end as usize)?;
    let first = value.line() as usize;
    let last = first + written.trim_end().matches('\n').count();
    Some(if nearest == *change.path() { first..last + 1 } else { last..last + 2 })
}
