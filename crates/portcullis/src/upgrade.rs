//! Templates in Rego v0 rewritten in v1, in the text of their file.
//!
//! ```text
//! manifests ── Document ──> texts of templates ── upgrade ──> edits ──> new text ── read again ──> as it was meant
//!                                      rego, libs ──> code: [{engine: Rego, source: {version: v1, rego, libs}}]
//! ```
//!
//! As in [`layout`](crate::layout), nothing else of a file changes. A template is upgraded as a whole or not at
//! all, and a file only if all that is in it is read as it should be. That the new template says what the old one
//! says is for the caller to try: both are here.

use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Arc;

use portcullis_rego_syntax::Diagnostic;
use portcullis_rego_syntax::format::{FormatError, upgrade};
use serde_json::{Map, Value};

use crate::document::Document;
use crate::error::{Error, ErrorKind, Severity};
use crate::layout::{Edit, edited, is_template};
use crate::limits::Limits;
use crate::path::FieldPath;
use crate::source::{Location, Source};

/// A file of manifests, with its templates in Rego v1.
#[derive(Clone, Debug)]
pub struct RegoUpgrade {
    source: Arc<Source>,
    text: Option<String>,
    templates: Vec<(Document, Document)>,
    problems: Vec<Error>,
}

impl RegoUpgrade {
    /// Rewrites the Rego of all templates of a stream that have some in v0.
    #[must_use]
    pub fn of_manifests(source: &Arc<Source>, limits: &Limits) -> Self {
        let mut all =
            Self { source: source.clone(), text: None, templates: Vec::new(), problems: Vec::new() };
        let (documents, problems) = Document::read_source(source, limits);
        let is_error = |problem: &&Error| problem.severity() == Severity::Error;
        all.problems = problems.iter().filter(is_error).cloned().collect();
        if !all.problems.is_empty() {
            return all;
        }
        let mut edits: Vec<Edit> = Vec::new();
        let mut changed = Vec::new();
        let mut wanted: Vec<Value> = documents.iter().map(Document::to_json).collect();
        for (number, (document, value)) in documents.iter().zip(&mut wanted).enumerate() {
            match Template::read(document, value) {
                Ok(None) => {}
                Ok(Some(template)) => {
                    edits.extend(template.edits);
                    *value = template.wanted;
                    changed.push(number);
                }
                Err(problems) => all.problems.extend(problems),
            }
        }
        if changed.is_empty() {
            return all;
        }
        let new = edited(source.text(), edits);
        let (again, problems) =
            Document::read_source(&Source::new(source.name().clone(), new.as_str()), limits);
        if problems.iter().any(|problem| is_error(&problem))
            || !again.iter().map(Document::to_json).eq(wanted)
        {
            let message = "this file is left as it is: edited, it would not be read as it should be";
            let at = Location::new(source.clone(), 0..0);
            all.problems.push(Error::warning(ErrorKind::Unsupported, message).at(at));
            return all;
        }
        let pair = |number: &usize| Some((documents.get(*number)?.clone(), again.get(*number)?.clone()));
        all.templates = changed.iter().filter_map(pair).collect();
        all.text = Some(new);
        all
    }

    /// The text that was given.
    #[must_use]
    pub fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// The text with its templates in v1; none if there is nothing to do, or nothing that can be done.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.text.as_deref()
    }

    /// The templates that are different, as they were and as they are now.
    #[must_use]
    pub fn templates(&self) -> &[(Document, Document)] {
        &self.templates
    }

    /// Why templates, or all of the file, are left as they are.
    #[must_use]
    pub fn problems(&self) -> &[Error] {
        &self.problems
    }
}

/// What becomes of a template.
struct Template {
    edits: Vec<Edit>,
    wanted: Value,
}

const NO_BLOCK: &str = "Rego that is not written as a block literal is not rewritten";
const WRITE_BLOCK: &str = "write it as a block: `rego: |` and the lines below it, indented";

impl Template {
    /// None if it has no Rego in v0.
    fn read(document: &Document, value: &Value) -> Result<Option<Self>, Vec<Error>> {
        if !is_template(value) {
            return Ok(None);
        }
        let mut template = Self { edits: Vec::new(), wanted: value.clone() };
        let targets = value.pointer("/spec/targets").and_then(Value::as_array).cloned().unwrap_or_default();
        for (index, target) in targets.iter().enumerate() {
            let path = FieldPath::root().child("spec").child("targets").child(index);
            let new = Target { document, path, value: target }.upgraded(&mut template.edits)?;
            let slot = template.wanted.pointer_mut(&format!("/spec/targets/{index}"));
            if let (Some(slot), Some(new)) = (slot, new) {
                *slot = new;
            }
        }
        Ok((!template.edits.is_empty()).then_some(template))
    }
}

/// A target of a template.
struct Target<'d> {
    document: &'d Document,
    path: FieldPath,
    value: &'d Value,
}

/// A text in a block literal, and what it becomes.
struct Block<'d> {
    /// What stands behind its key, without an indication of its indentation.
    header: String,
    range: Range<usize>,
    old: &'d str,
    new: String,
}

impl Target<'_> {
    fn text(&self) -> &str {
        self.document.source().text()
    }

    fn left(&self, path: &FieldPath, message: &str, hint: &str) -> Error {
        let at = self.document.locate(path);
        Error::warning(ErrorKind::Unsupported, message).hint(hint).at(at).in_field(path.clone())
    }

    /// The value of the target as it will be; none if it stays.
    fn upgraded(&self, edits: &mut Vec<Edit>) -> Result<Option<Value>, Vec<Error>> {
        let codes = self.value.get("code").and_then(Value::as_array).cloned().unwrap_or_default();
        let is_legacy =
            self.value.get("rego").and_then(Value::as_str).is_some_and(|text| !text.trim().is_empty());
        if is_legacy {
            let path = self.path.child("rego");
            if !codes.is_empty() {
                let message = "a template with `rego` and with `code` is not rewritten";
                return Err(vec![self.left(&path, message, "put the Rego under `code`")]);
            }
            return self.moved(edits).map(Some);
        }
        let mut new = self.value.clone();
        let mut is_changed = false;
        for (index, code) in codes.iter().enumerate() {
            let version = code.pointer("/source/version");
            let is_v0 = version.is_none_or(|version| version.is_null() || version == "v0");
            if code.get("engine").and_then(Value::as_str) != Some("Rego") || !is_v0 {
                continue;
            }
            let path = self.path.child("code").child(index).child("source");
            let Some(source) = code.get("source").filter(|source| source.get("rego").is_some()) else {
                continue;
            };
            let (rego, libs) = self.blocks(source, &path)?;
            let there = self.document.locate(&path.child("version")).filter(|_| version.is_some());
            if let Some(at) = there {
                let range = at.range().start as usize..at.range().end as usize;
                edits.push(Edit { range, new: "v1".to_owned() });
            } else {
                let (at, column) = self.key(&path.child("rego"))?;
                let new = format!("version: v1{}{}", self.eol(), " ".repeat(column));
                edits.push(Edit { range: at..at, new });
            }
            for block in [&rego].into_iter().chain(&libs) {
                edits.extend(Edit::of_literal(self.text(), block.range.clone(), block.old, &block.new));
            }
            if let Some(slot) = new.pointer_mut(&format!("/code/{index}/source")) {
                *slot = Self::source(source, &rego, &libs);
                is_changed = true;
            }
        }
        Ok(is_changed.then_some(new))
    }

    /// `rego` and `libs` of the target, moved below `code`.
    fn moved(&self, edits: &mut Vec<Edit>) -> Result<Value, Vec<Error>> {
        let (rego, libs) = self.blocks(self.value, &self.path)?;
        let (start, column) = self.key(&self.path.child("rego"))?;
        let (eol, ind) = (self.eol(), " ".repeat(column));
        let mut new = format!(
            "code:{eol}{ind}- engine: Rego{eol}{ind}  source:{eol}{ind}    version: v1{eol}{ind}    rego: {}",
            lines(&rego, column + 6, eol)
        );
        if !libs.is_empty() {
            let _ = write!(new, "{eol}{ind}    libs:");
        }
        for lib in &libs {
            let _ = write!(new, "{eol}{ind}    - {}", lines(lib, column + 6, eol));
        }
        edits.push(Edit { range: start..self.end_of(&rego), new });
        if self.value.get("libs").is_some() {
            edits.push(self.without_libs(&libs)?);
        }
        let mut value = self.value.clone();
        if let Some(fields) = value.as_object_mut() {
            fields.remove("rego");
            fields.remove("libs");
            let mut source = Self::source(&Value::Object(Map::new()), &rego, &libs);
            if libs.is_empty()
                && let Some(fields) = source.as_object_mut()
            {
                fields.remove("libs");
            }
            fields.insert("code".to_owned(), serde_json::json!([{ "engine": "Rego", "source": source }]));
        }
        Ok(value)
    }

    /// The lines of `libs`, which go. A comment between them would be lost, and nothing else may stand there.
    fn without_libs(&self, libs: &[Block<'_>]) -> Result<Edit, Vec<Error>> {
        let path = self.path.child("libs");
        let kept = "there is something between the libraries that would be lost";
        let refuse = || vec![self.left(&path, kept, "take it out, or put the Rego under `code`")];
        let (key, column) = self.key(&path)?;
        let start = key - column;
        let mut at = key;
        let mut between = String::new();
        for lib in libs {
            between.push_str(self.text().get(at..lib.range.start).unwrap_or_default());
            at = self.end_of(lib);
        }
        if libs.is_empty() {
            at = self.document.locate(&path).map_or(at, |found| found.range().end as usize);
            between.push_str(self.text().get(key..at).unwrap_or_default());
        }
        let is_alone = self.text().get(start..key).is_some_and(|before| before.trim().is_empty());
        let rest: String = between.replacen("libs:", "", 1).chars().filter(|c| !c.is_whitespace()).collect();
        let is_plain = rest.chars().all(|c| c == '-') || libs.is_empty() && rest == "[]";
        if !is_alone || !is_plain {
            return Err(refuse());
        }
        let behind = self.text().get(at..).unwrap_or_default();
        let end = behind.find('\n').map_or(self.text().len(), |end| at + end + 1);
        if !self.text().get(at..end).unwrap_or_default().trim().is_empty() {
            return Err(refuse());
        }
        Ok(Edit { range: start..end, new: String::new() })
    }

    /// The texts of a part, each in a block literal and rewritten.
    fn blocks<'v>(
        &self,
        part: &'v Value,
        path: &FieldPath,
    ) -> Result<(Block<'v>, Vec<Block<'v>>), Vec<Error>> {
        let mut problems = Vec::new();
        let rego = self.block(part.get("rego"), &path.child("rego"), &mut problems);
        let items = part.get("libs").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        let libs = items.iter().enumerate();
        let libs = libs.filter_map(|(index, lib)| {
            self.block(Some(lib), &path.child("libs").child(index), &mut problems)
        });
        let libs: Vec<Block<'v>> = libs.collect();
        match rego {
            Some(rego) if problems.is_empty() => Ok((rego, libs)),
            _ => Err(problems),
        }
    }

    fn block<'v>(
        &self,
        value: Option<&'v Value>,
        path: &FieldPath,
        problems: &mut Vec<Error>,
    ) -> Option<Block<'v>> {
        let old = value.and_then(Value::as_str);
        let at = self.document.locate(path);
        let (Some(old), Some(at)) = (old, at) else {
            problems.push(self.left(path, NO_BLOCK, WRITE_BLOCK));
            return None;
        };
        let range = at.range().start as usize..at.range().end as usize;
        let written = self.text().get(range.clone()).unwrap_or_default();
        let header = written.lines().next().unwrap_or_default().trim_end();
        if !header.starts_with('|') || !written.contains('\n') {
            problems.push(self.left(path, NO_BLOCK, WRITE_BLOCK));
            return None;
        }
        let (indicators, comment) = header.split_at(header.find([' ', '\t']).unwrap_or(header.len()));
        let indicators: String = indicators.chars().filter(|c| !c.is_ascii_digit()).collect();
        match upgrade(old) {
            Ok(new) => {
                let end = old.get(old.trim_end_matches('\n').len()..).unwrap_or_default();
                let new = format!("{}{end}", new.trim_end_matches('\n'));
                Some(Block { header: format!("{indicators}{comment}"), range, old, new })
            }
            Err(error) => {
                problems.extend(self.refused(&error, path));
                None
            }
        }
    }

    fn refused(&self, error: &FormatError, path: &FieldPath) -> Vec<Error> {
        let told = |found: &Diagnostic| {
            let at = self.document.locate_in_text(path, found.span.start as usize);
            let message = format!("this Rego is not rewritten in v1: {}", found.message);
            Error::warning(ErrorKind::Rego, message)
                .maybe_hint(found.hint.clone())
                .at(at)
                .in_field(path.clone())
        };
        match error {
            FormatError::Syntax(found) | FormatError::NotInV1(found) => found.iter().map(told).collect(),
            other => vec![Error::new(ErrorKind::Defect, other.to_string()).at(self.document.locate(path))],
        }
    }

    /// Where a key begins, and in which column; only white space and dashes may be before it.
    fn key(&self, path: &FieldPath) -> Result<(usize, usize), Vec<Error>> {
        let at = self.document.locate_key(path).map(|at| at.range().start as usize);
        let column = |at: usize| {
            let before = self.text().get(..at)?;
            let line = before.get(before.rfind('\n').map_or(0, |end| end + 1)..)?;
            line.chars().all(|c| matches!(c, ' ' | '-')).then_some((at, line.len()))
        };
        at.and_then(column).ok_or_else(|| vec![self.left(path, NO_BLOCK, WRITE_BLOCK)])
    }

    /// Where the last line of a block ends, with the white space behind it.
    fn end_of(&self, block: &Block<'_>) -> usize {
        let rest = self.text().get(block.range.end..).unwrap_or_default();
        block.range.end + rest.len() - rest.trim_start_matches([' ', '\t']).len()
    }

    fn eol(&self) -> &'static str {
        if self.text().contains("\r\n") { "\r\n" } else { "\n" }
    }

    /// `source` of an entry of `code` as it will be.
    fn source(old: &Value, rego: &Block<'_>, libs: &[Block<'_>]) -> Value {
        let mut source = old.clone();
        if let Some(fields) = source.as_object_mut() {
            fields.insert("version".to_owned(), "v1".into());
            fields.insert("rego".to_owned(), rego.new.as_str().into());
            if !libs.is_empty() {
                let libs: Vec<Value> = libs.iter().map(|lib| lib.new.as_str().into()).collect();
                fields.insert("libs".to_owned(), libs.into());
            }
        }
        source
    }
}

/// A block literal with an indentation, from its header to the end of its last line.
fn lines(block: &Block<'_>, indentation: usize, eol: &str) -> String {
    let indent = " ".repeat(indentation);
    let mut text = block.header.clone();
    for line in block.new.trim_end_matches('\n').split('\n') {
        text.push_str(eol);
        if !line.is_empty() {
            text.push_str(&indent);
            text.push_str(line);
        }
    }
    text
}
