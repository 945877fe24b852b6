//! Rego laid out where it stands: in a file of its own, or in the templates of a YAML stream.
//!
//! ```text
//! file of Rego ── version, format ──────────────────────────────> new text
//! manifests ── Document ──> texts of templates ── format ──> edits of block literals ──> new text, read again
//! ```
//!
//! Around the Rego nothing changes, to the byte. Of YAML, only block literals (`|`) are edited: in them a line
//! of Rego is a line of the file. Rego that is written otherwise and is not laid out yet is told of, and left
//! as it is. The edited stream is read again: it has the same documents, with the new texts, or the old one
//! stays.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

use portcullis_rego_syntax::format::{FormatError, format};
use portcullis_rego_syntax::{Diagnostic, parse};
use serde_json::Value;

use crate::api::RegoVersion;
use crate::document::Document;
use crate::error::{Error, ErrorKind, Severity};
use crate::limits::Limits;
use crate::path::FieldPath;
use crate::source::{Location, Source};

/// The kind that has Rego in it. A text without this word has none.
const TEMPLATE: &str = "ConstraintTemplate";
const GROUP: &str = "templates.gatekeeper.sh/";

/// A file and its Rego, laid out as `opa fmt` does it.
///
/// ```
/// use portcullis::{RegoLayout, Source};
///
/// let layout = RegoLayout::of_file(&Source::new("a.rego", "package a\nallow if{input.x==1}"), None);
/// assert_eq!(layout.text(), Some("package a\n\nallow if input.x == 1\n"));
/// assert!(layout.problems().is_empty());
/// ```
#[derive(Clone, Debug)]
pub struct RegoLayout {
    source: Arc<Source>,
    text: Option<String>,
    modules: usize,
    changed: usize,
    problems: Vec<Error>,
}

impl RegoLayout {
    /// Lays out a file of Rego. Without a dialect, it is the one that the text can be read in, first v1. Lines that all end in CRLF do so in the result.
    #[must_use]
    pub fn of_file(source: &Arc<Source>, version: Option<RegoVersion>) -> Self {
        let mut layout = Self::new(source);
        let text = source.text();
        let version = version.unwrap_or_else(|| dialect(text));
        layout.modules = 1;
        match format(text, version.into()) {
            Ok(new) => {
                let breaks = text.matches('\n').count();
                let new = if breaks > 0 && text.matches("\r\n").count() == breaks {
                    new.replace("\r\n", "\n").replace('\n', "\r\n")
                } else {
                    new
                };
                layout.changed = usize::from(*new != **text);
                layout.text = Some(new).filter(|new| **new != **text);
            }
            Err(error) => {
                let locate = |diagnostic: &Diagnostic| {
                    let span = diagnostic.span;
                    Some(Location::new(source.clone(), span.start..span.end))
                };
                layout.problems = refused(&error, locate, Some(Location::new(source.clone(), 0..0)));
            }
        }
        layout
    }

    /// Lays out the Rego of the templates in a stream of YAML or JSON.
    ///
    /// A stream that cannot be read as a whole is not edited: that is an error, and a warning if it is one
    /// that another tool renders first.
    #[must_use]
    pub fn of_manifests(source: &Arc<Source>, limits: &Limits) -> Self {
        let mut layout = Self::new(source);
        if !source.text().contains(TEMPLATE) {
            return layout;
        }
        let (documents, problems) = Document::read_source(source, limits);
        let errors = problems.iter().filter(|problem| problem.severity() == Severity::Error);
        layout.problems = errors.map(unread).collect();
        if !layout.problems.is_empty() {
            return layout;
        }
        let mut edits: Vec<Edit> = Vec::new();
        let mut texts = BTreeSet::new();
        // Where an alias stands for Rego: the document, the place, the path, and the texts.
        let mut shared: Vec<(usize, Location, FieldPath, String, String)> = Vec::new();
        let mut wanted: Vec<Value> = documents.iter().map(Document::to_json).collect();
        for (number, (document, wanted)) in documents.iter().zip(&mut wanted).enumerate() {
            for embedded in embedded(wanted, &mut layout.problems, document) {
                layout.modules += 1;
                let Some(new) = layout.format(document, &embedded) else { continue };
                let Embedded { path, text, .. } = embedded;
                let Some(location) = document.locate(&path) else { continue };
                let range = location.range().start as usize..location.range().end as usize;
                let edit = match source.text().get(range.clone()).unwrap_or_default().as_bytes().first() {
                    Some(b'|') => Edit::of_literal(source.text(), range, &text, &new),
                    Some(b'*') => {
                        shared.push((number, location, path, text, new));
                        continue;
                    }
                    _ => None,
                };
                let Some(edit) = edit else {
                    layout.problems.push(left(location, path));
                    continue;
                };
                edits.push(edit);
                layout.changed += 1;
                put(wanted, &path, &new);
                texts.insert(text);
            }
        }
        // An alias is laid out with what it is one of, if that is Rego, too.
        for (number, location, path, text, new) in shared {
            match wanted.get_mut(number).filter(|_| texts.contains(&text)) {
                Some(wanted) => {
                    layout.changed += 1;
                    put(wanted, &path, &new);
                }
                None => layout.problems.push(left(location, path)),
            }
        }
        layout.text = (!edits.is_empty()).then(|| edited(source.text(), edits));
        if let Some(text) = &layout.text {
            let (again, problems) =
                Document::read_source(&Source::new(source.name().clone(), text.as_str()), limits);
            let is_right = problems.iter().all(|problem| problem.severity() != Severity::Error)
                && again.iter().map(Document::to_json).eq(wanted);
            if !is_right {
                layout.text = None;
                layout.changed = 0;
                let message = "Rego in this file is left as it is: edited, the file would not be read as it \
                               should be";
                let error =
                    Error::new(ErrorKind::Unsupported, message).at(Location::new(source.clone(), 0..0));
                layout.problems.push(error.hint("is a text with an anchor used for something else, too?"));
            }
        }
        layout
    }

    /// Whether some manifests may have Rego in them: most have none, and need not be read.
    #[must_use]
    pub fn may_be_in(manifests: &[u8]) -> bool {
        manifests.windows(TEMPLATE.len()).any(|window| window == TEMPLATE.as_bytes())
    }

    fn new(source: &Arc<Source>) -> Self {
        Self { source: source.clone(), text: None, modules: 0, changed: 0, problems: Vec::new() }
    }

    /// A text as it should be in its place; none if it is so, or cannot be.
    fn format(&mut self, document: &Document, embedded: &Embedded) -> Option<String> {
        let Embedded { path, text, version } = embedded;
        match format(text, (*version).into()) {
            Ok(new) => {
                // How many line breaks are at the end is up to the header of the block.
                let end = text.trim_end_matches('\n').len();
                let new = format!("{}{}", new.trim_end_matches('\n'), text.get(end..).unwrap_or_default());
                (new != *text).then_some(new)
            }
            Err(error) => {
                let locate =
                    |diagnostic: &Diagnostic| document.locate_in_text(path, diagnostic.span.start as usize);
                let problems = refused(&error, locate, document.locate_key(path));
                self.problems.extend(problems.into_iter().map(|problem| problem.in_field(path.clone())));
                None
            }
        }
    }

    /// The text that was given.
    #[must_use]
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// The text laid out; none if it is so already, or nothing of it could be.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// How many modules of Rego there are.
    #[must_use]
    pub fn modules(&self) -> usize {
        self.modules
    }

    /// How many of them are different in [`RegoLayout::text`].
    #[must_use]
    pub fn changed(&self) -> usize {
        self.changed
    }

    /// Errors are what kept Rego from being laid out: it does not parse, or the file cannot be read. Warnings
    /// tell of Rego that is left as it is because of how the file is written.
    #[must_use]
    pub fn problems(&self) -> &[Error] {
        &self.problems
    }
}

/// The dialect that a text can be read in. What its names mean does not matter, unlike for
/// [`RegoFile`](crate::RegoFile).
fn dialect(text: &str) -> RegoVersion {
    let wrong = |version: RegoVersion| parse(text, version.into()).diagnostics.len();
    match wrong(RegoVersion::V1) {
        0 => RegoVersion::V1,
        found if wrong(RegoVersion::V0) < found => RegoVersion::V0,
        _ => RegoVersion::V1,
    }
}

/// A text of Rego in a template.
pub(crate) struct Embedded {
    pub(crate) path: FieldPath,
    pub(crate) text: String,
    pub(crate) version: RegoVersion,
}

/// Whether a document says that it is a template.
pub(crate) fn is_template(value: &Value) -> bool {
    let text = |key| value.get(key).and_then(Value::as_str).unwrap_or_default();
    text("kind") == TEMPLATE && text("apiVersion").starts_with(GROUP)
}

/// All texts of Rego of a document, in the order of its fields. Templates that are none for other reasons are
/// laid out, too.
pub(crate) fn embedded(value: &Value, problems: &mut Vec<Error>, document: &Document) -> Vec<Embedded> {
    if !is_template(value) {
        return Vec::new();
    }
    let mut found = Vec::new();
    let targets = FieldPath::root().child("spec").child("targets");
    let items = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    for (index, target) in items(value.pointer("/spec/targets")).iter().enumerate() {
        let path = targets.child(index);
        add(&mut found, target, &path, RegoVersion::V0);
        for (index, code) in items(target.get("code")).iter().enumerate() {
            if code.get("engine").and_then(Value::as_str) != Some("Rego") {
                continue;
            }
            let Some(source) = code.get("source") else { continue };
            let path = path.child("code").child(index).child("source");
            let version = match source.get("version").and_then(Value::as_str) {
                None if source.get("version").is_none_or(Value::is_null) => RegoVersion::V0,
                Some("v0") => RegoVersion::V0,
                Some("v1") => RegoVersion::V1,
                _ => {
                    let path = path.child("version");
                    let message = "expected `v0` or `v1`: Rego of another version is not laid out";
                    let error = Error::new(ErrorKind::InvalidValue, message).at(document.locate(&path));
                    problems.push(error.in_field(path));
                    continue;
                }
            };
            add(&mut found, source, &path, version);
        }
    }
    found
}

/// `rego` and `libs` of a part of a template.
fn add(found: &mut Vec<Embedded>, part: &Value, path: &FieldPath, version: RegoVersion) {
    let mut push = |path: FieldPath, text: &Value| {
        if let Some(text) = text.as_str().filter(|text| !text.trim().is_empty()) {
            found.push(Embedded { path, text: text.to_owned(), version });
        }
    };
    if let Some(text) = part.get("rego") {
        push(path.child("rego"), text);
    }
    for (index, text) in part.get("libs").and_then(Value::as_array).into_iter().flatten().enumerate() {
        push(path.child("libs").child(index), text);
    }
}

/// Why a text was not laid out.
fn refused(
    error: &FormatError,
    locate: impl Fn(&Diagnostic) -> Option<Location>,
    whole: Option<Location>,
) -> Vec<Error> {
    match error {
        FormatError::Syntax(diagnostics) => {
            let first = diagnostics.first().map(|diagnostic| {
                let message = format!("{}: {}", diagnostic.code.class(), diagnostic.message);
                // What comes behind the first may follow from it, and `lint` lists all.
                let message = match diagnostics.len() {
                    1 => message,
                    all => format!("{message} (and {} more in this module)", all - 1),
                };
                Error::new(ErrorKind::Rego, message)
                    .maybe_hint(diagnostic.hint.clone())
                    .at(locate(diagnostic))
            });
            first.into_iter().collect()
        }
        other => vec![Error::new(ErrorKind::Defect, other.to_string()).at(whole)],
    }
}

/// A problem of reading the stream. What another tool renders is none of ours.
fn unread(problem: &Error) -> Error {
    if problem.kind() != ErrorKind::Templated {
        return problem.clone();
    }
    let message = "this is a template (`{{ … }}`) that another tool renders: Rego in it is left as it is";
    Error::warning(ErrorKind::Templated, message).at(problem.location().cloned())
}

/// That Rego is not laid out, because of how it is written.
fn left(location: Location, path: FieldPath) -> Error {
    let message = "Rego that is not written as a block literal is left as it is; it is not laid out";
    let error = Error::warning(ErrorKind::Unsupported, message).at(location).in_field(path);
    error.hint("write it as a block: `rego: |` and the lines below it, indented")
}

/// A part of a text, and what comes into its place.
pub(crate) struct Edit {
    pub(crate) range: Range<usize>,
    pub(crate) new: String,
}

impl Edit {
    /// A block literal with another text. `range` is from its `|` to the end of its last line with text.
    pub(crate) fn of_literal(source: &str, range: Range<usize>, text: &str, new: &str) -> Option<Self> {
        let header = source.get(range.start..range.end)?.find('\n')?;
        let end_of_line =
            if source.get(range.start..)?.get(..header)?.ends_with('\r') { "\r\n" } else { "\n" };
        let start = range.start + header + 1;
        let block = source.get(start..range.end)?;
        let spaces = |line: &str| line.len() - line.trim_start_matches(' ').len();
        let lines = block.split('\n').zip(text.split('\n'));
        let indentation = lines
            .filter(|(_, line)| !line.trim().is_empty())
            .find_map(|(written, line)| spaces(written).checked_sub(spaces(line)))?;
        let indent = " ".repeat(indentation);
        let lines = new
            .trim_end_matches('\n')
            .split('\n')
            .map(|line| if line.is_empty() { String::new() } else { format!("{indent}{line}") });
        // What a range leaves out at its end is white space; on its last line that is a part of the text.
        let rest = source.get(range.end..)?;
        let end = range.end + rest.len() - rest.trim_start_matches([' ', '\t']).len();
        Some(Self { range: start..end, new: lines.collect::<Vec<_>>().join(end_of_line) })
    }
}

/// A text with edits, none of which overlap.
pub(crate) fn edited(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|edit| edit.range.start);
    let mut new = String::with_capacity(text.len() + text.len() / 8);
    let mut done = 0;
    for edit in edits {
        new.push_str(text.get(done..edit.range.start).unwrap_or_default());
        new.push_str(&edit.new);
        done = edit.range.end;
    }
    new.push_str(text.get(done..).unwrap_or_default());
    new
}

pub(crate) fn put(value: &mut Value, path: &FieldPath, text: &str) {
    let slot = path.segments().iter().try_fold(value, |value, segment| match segment {
        crate::path::Segment::Key(key) => value.get_mut(&**key),
        crate::path::Segment::Index(index) => value.get_mut(*index),
    });
    if let Some(slot) = slot {
        *slot = Value::from(text);
    }
}
