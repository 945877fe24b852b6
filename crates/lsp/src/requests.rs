//! Questions of an editor, and the answers.
//!
//! A question of a new kind is an arm of [`Session::request`] and a capability in `session.rs`.

use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lsp_server::{ErrorCode, Request, RequestId};
use lsp_types::{
    CodeActionParams, CodeLensParams, CompletionItemKind, CompletionParams, DocumentFormattingParams,
    ExecuteCommandParams, GotoDefinitionParams, HoverParams, Position, ReferenceParams, RenameParams,
    TextDocumentPositionParams, Uri,
};
use portcullis::{Error, Limits, RegoLayout, Severity, Source};
use serde_json::{Value, json};

use crate::checks::{CaseRun, CaseStatus, Offer};
use crate::complete::{Proposal, Sort, complete, constraint_keys};
use crate::hover::hover;
use crate::jobs::Job;
use crate::navigate::{Place, definitions, places, target};
use crate::position::Lines;
use crate::publish::Said;
use crate::rename::{Edits, may_rename, rename};
use crate::session::{Open, RUN, Session};
use crate::spot::{Spot, spot};
use crate::uri::uri_of;

/// Most that may come next that are told at once.
const MOST_PROPOSED: usize = 1000;

/// Why a question has no answer.
struct Refusal(ErrorCode, String);

impl Refusal {
    fn of_params(why: String) -> Self {
        Self(ErrorCode::InvalidParams, why)
    }
}

type Answer = Result<Value, Refusal>;

/// A place of a text that is open.
struct At {
    path: PathBuf,
    text: Arc<str>,
    offset: usize,
}

impl Session {
    /// Answers, or makes a job of it.
    pub(crate) fn request(&mut self, request: Request) {
        let Request { id, method, params } = request;
        // The answer is about the text as it is now.
        self.settle();
        let answer = match method.as_str() {
            "textDocument/hover" => self.hover(params),
            "textDocument/completion" => self.completion(params),
            "textDocument/definition" => self.definition(params),
            "textDocument/references" => self.references(params),
            "textDocument/prepareRename" => self.prepare_rename(params),
            "textDocument/rename" => self.rename(params),
            "textDocument/formatting" => self.formatting(params),
            "textDocument/codeLens" => self.lenses(params),
            "textDocument/codeAction" => match self.actions(&id, params) {
                Some(answer) => answer,
                None => return,
            },
            "workspace/executeCommand" => match self.execute(&id, params) {
                Ok(()) => return,
                Err(refusal) => Err(refusal),
            },
            _ => Err(Refusal(ErrorCode::MethodNotFound, format!("`{method}` is not answered here"))),
        };
        match answer {
            Ok(result) => self.answer(id, result),
            Err(Refusal(code, why)) => self.refuse(id, code, why),
        }
    }

    /// A place, of a text that is open and known.
    fn at(&self, uri: &Uri, position: Position) -> Result<At, Refusal> {
        let path = Self::file_of(uri);
        let buffer = self.open.get(&path).and_then(|open| open.buffer.as_ref());
        let Some(buffer) = buffer else {
            return Err(Refusal(ErrorCode::InvalidParams, format!("`{}` is not open", path.display())));
        };
        let offset = buffer.lines.offset(&buffer.text, position, self.encoding);
        Ok(At { path, text: buffer.text.clone(), offset })
    }

    fn spot(&self, at: &At) -> Option<Spot<'_>> {
        spot(self.index.file(&at.path), at.offset)
    }

    fn hover(&self, params: Value) -> Answer {
        let params: HoverParams = Self::params(params).map_err(Refusal::of_params)?;
        let params = params.text_document_position_params;
        let at = self.at(&params.text_document.uri, params.position)?;
        let found = self.spot(&at).and_then(|spot| hover(&self.index, &spot));
        Ok(found.map_or(Value::Null, |(text, location)| {
            json!({
                "contents": {"kind": "markdown", "value": text},
                "range": self.span(&at.text, &bytes(&location)),
            })
        }))
    }

    fn span(&self, text: &str, range: &Range<usize>) -> lsp_types::Range {
        Lines::of(text).span(text, range, self.encoding)
    }

    fn completion(&self, params: Value) -> Answer {
        let params: CompletionParams = Self::params(params).map_err(Refusal::of_params)?;
        let params = params.text_document_position;
        let at = self.at(&params.text_document.uri, params.position)?;
        let of_spot = self.spot(&at).and_then(|spot| complete(&self.index, &spot));
        let found = of_spot.map(|(found, location)| (found, bytes(&location)));
        let found = found.or_else(|| constraint_keys(&self.index, &at.text, at.offset));
        let Some((mut found, range)) = found else { return Ok(json!([])) };
        let is_cut = found.len() > MOST_PROPOSED;
        if is_cut {
            // The editor asks again with the next letter.
            let written = at.text.get(range.clone()).unwrap_or_default().to_lowercase();
            found.retain(|proposal| proposal.name.to_lowercase().contains(&written));
            found.truncate(MOST_PROPOSED);
        }
        let range = self.span(&at.text, &range);
        let items: Value = found.iter().map(|proposal| item(proposal, range)).collect();
        Ok(if is_cut { json!({"isIncomplete": true, "items": items}) } else { items })
    }

    fn definition(&self, params: Value) -> Answer {
        let params: GotoDefinitionParams = Self::params(params).map_err(Refusal::of_params)?;
        let params = params.text_document_position_params;
        let at = self.at(&params.text_document.uri, params.position)?;
        let Some((target, _)) = self.spot(&at).and_then(|spot| target(&spot)) else { return Ok(Value::Null) };
        Ok(self.locations(&definitions(&self.index, &target)))
    }

    fn references(&self, params: Value) -> Answer {
        let params: ReferenceParams = Self::params(params).map_err(Refusal::of_params)?;
        let with_definitions = params.context.include_declaration;
        let params = params.text_document_position;
        let at = self.at(&params.text_document.uri, params.position)?;
        let Some((target, _)) = self.spot(&at).and_then(|spot| target(&spot)) else { return Ok(Value::Null) };
        let mut found = places(&self.index, &target);
        found.retain(|place| with_definitions || !place.is_definition);
        Ok(self.locations(&found))
    }

    fn locations(&self, places: &[Place]) -> Value {
        let each = places.iter().filter_map(|place| {
            let text = place.location.source().text();
            Some(json!({"uri": self.uri(&place.path)?, "range": self.span(text, &bytes(&place.location))}))
        });
        each.collect()
    }

    /// The address of a file, as the editor has it.
    fn uri(&self, path: &Path) -> Option<Uri> {
        self.open.get(path).map(|open| open.uri.clone()).or_else(|| uri_of(path))
    }

    fn prepare_rename(&self, params: Value) -> Answer {
        let params: TextDocumentPositionParams = Self::params(params).map_err(Refusal::of_params)?;
        let at = self.at(&params.text_document.uri, params.position)?;
        let Some((target, location)) = self.spot(&at).and_then(|spot| target(&spot)) else {
            return Ok(Value::Null);
        };
        may_rename(&self.index, &target).map_err(|why| Refusal(ErrorCode::RequestFailed, why.to_string()))?;
        serde_json::to_value(self.span(&at.text, &unquoted(&at.text, bytes(&location))))
            .map_err(|error| Refusal(ErrorCode::InternalError, error.to_string()))
    }

    fn rename(&self, params: Value) -> Answer {
        let params: RenameParams = Self::params(params).map_err(Refusal::of_params)?;
        let name = params.new_name;
        let params = params.text_document_position;
        let at = self.at(&params.text_document.uri, params.position)?;
        let failed = |why: String| Refusal(ErrorCode::RequestFailed, why);
        let Some((target, _)) = self.spot(&at).and_then(|spot| target(&spot)) else {
            return Err(failed("there is no name here that could be changed".to_owned()));
        };
        let edits = rename(&self.index, &self.root, &target, &name, self.checks.as_ref())
            .map_err(|why| failed(why.to_string()))?;
        Ok(self.workspace_edit(&edits))
    }

    /// Edits as the editor takes them: with the versions that they are of, if it knows these.
    fn workspace_edit(&self, edits: &Edits) -> Value {
        let mut of_documents = Vec::new();
        let mut changes = serde_json::Map::new();
        for (path, edits) in edits {
            let text = self.index.file(path).first().map(|entry| entry.document.source().text().clone());
            let (Some(uri), Some(text)) = (self.uri(path), text) else { continue };
            let lines = Lines::of(&text);
            let edits: Value = edits
                .iter()
                .map(|edit| {
                    let range = lines.span(&text, &edit.range, self.encoding);
                    json!({"range": range, "newText": edit.new})
                })
                .collect();
            let buffer = self.open.get(path).and_then(|open| open.buffer.as_ref());
            let version = buffer.map(|buffer| buffer.version);
            of_documents.push(json!({"textDocument": {"uri": uri, "version": version}, "edits": edits}));
            changes.insert(uri.as_str().to_owned(), edits);
        }
        if self.has_versions { json!({"documentChanges": of_documents}) } else { json!({"changes": changes}) }
    }

    /// The Rego of a text, laid out as `portcullis fmt` does: one edit, from the first line that differs to the last. Options of
    /// editors do not count, as Rego has one form.
    fn formatting(&self, params: Value) -> Answer {
        let params: DocumentFormattingParams = Self::params(params).map_err(Refusal::of_params)?;
        let path = Self::file_of(&params.text_document.uri);
        let Some(buffer) = self.open.get(&path).and_then(|open| open.buffer.as_ref()) else {
            return Err(Refusal(ErrorCode::InvalidParams, format!("`{}` is not open", path.display())));
        };
        let source = Source::new(path.display().to_string(), buffer.text.to_string());
        let layout = if path.extension().is_some_and(|end| end == "rego") {
            RegoLayout::of_file(&source, None)
        } else {
            RegoLayout::of_manifests(&source, &Limits::default())
        };
        let is_error = |problem: &&Error| problem.severity() == Severity::Error;
        if let Some(error) = layout.problems().iter().find(is_error) {
            return Err(Refusal(ErrorCode::RequestFailed, error.to_string()));
        }
        let Some(new) = layout.text() else { return Ok(json!([])) };
        let (range, new) = differing_lines(&buffer.text, new);
        Ok(json!([{"range": buffer.lines.span(&buffer.text, &range, self.encoding), "newText": new}]))
    }

    fn lenses(&self, params: Value) -> Answer {
        let params: CodeLensParams = Self::params(params).map_err(Refusal::of_params)?;
        let uri = params.text_document.uri;
        let path = Self::file_of(&uri);
        let mut lenses = Vec::new();
        for entry in self.index.file(&path) {
            let Some(suite) = &entry.suite else { continue };
            let text = entry.document.source().text();
            for test in &suite.tests {
                let range = self.span(text, &start(&test.location));
                let arguments = json!([{"uri": uri, "test": &*test.name}]);
                lenses.push(json!({
                    "range": range,
                    "command": {"title": "run this test", "command": RUN, "arguments": arguments},
                }));
                for case in &test.cases {
                    let range = self.span(text, &start(&case.location));
                    let arguments = json!([{"uri": uri, "test": &*test.name, "case": &*case.name}]);
                    lenses.push(json!({
                        "range": range,
                        "command": {"title": "run this case", "command": RUN, "arguments": arguments},
                    }));
                }
            }
        }
        Ok(Value::Array(lenses))
    }

    /// Makes a job of it, unless the answer is known.
    fn actions(&mut self, id: &RequestId, params: Value) -> Option<Answer> {
        let params: CodeActionParams = match Self::params(params) {
            Ok(params) => params,
            Err(why) => return Some(Err(Refusal::of_params(why))),
        };
        let path = Self::file_of(&params.text_document.uri);
        let open = self.open.get(&path)?;
        let nothing = Some(Ok(json!([])));
        let is_wanted = |kinds: &Vec<lsp_types::CodeActionKind>| {
            kinds.iter().any(|kind| kind.as_str().is_empty() || kind.as_str() == "quickfix")
        };
        if params.context.only.as_ref().is_some_and(|kinds| !is_wanted(kinds)) {
            return nothing;
        }
        let Some(buffer) = &open.buffer else { return nothing };
        let start = buffer.lines.offset(&buffer.text, params.range.start, self.encoding);
        let end = buffer.lines.offset(&buffer.text, params.range.end, self.encoding).max(start);
        let range = start..end;
        // Editors ask wherever the cursor goes.
        let is_found = |said: &Said| said.code.contains('/') && touches(&buffer.lines, &said.range, &range);
        if !path.is_absolute() || !open.said().iter().any(is_found) {
            return nothing;
        }
        if let Some(offers) = open.offers.clone() {
            return Some(Ok(self.offered(&path, &offers, &range)));
        }
        let (version, folders) = (buffer.version, self.folders.clone());
        self.job(Job::Fixes { id: id.clone(), path, version, range, folders });
        None
    }

    /// Takes how findings go.
    pub(crate) fn fixed(
        &mut self,
        id: RequestId,
        path: &Path,
        version: i32,
        range: &Range<usize>,
        offers: Result<Vec<Offer>, String>,
    ) {
        let offers = match offers {
            Ok(offers) => Arc::new(offers),
            Err(why) => return self.refuse(id, ErrorCode::RequestFailed, why),
        };
        let Some(open) = self.open.get_mut(path) else { return self.answer(id, json!([])) };
        if open.buffer.as_ref().map(|buffer| buffer.version) != Some(version) {
            return self.refuse(id, ErrorCode::ContentModified, "the text was changed meanwhile");
        }
        open.offers = Some(offers.clone());
        let answer = self.offered(path, &offers, range);
        self.answer(id, answer);
    }

    pub(crate) fn offered(&self, path: &Path, offers: &[Offer], range: &Range<usize>) -> Value {
        let Some(buffer) = self.open.get(path).and_then(|open| open.buffer.as_ref()) else {
            return json!([]);
        };
        let of_text = offers.iter().filter(|offer| *offer.source.text() == buffer.text);
        let here = of_text.filter(|offer| touches(&buffer.lines, &bytes(&offer.location), range));
        // What several constraints find may go by the same edit.
        let mut same: Vec<Vec<&Offer>> = Vec::new();
        for offer in here {
            match same.iter_mut().find(|same| same.iter().any(|one| one.is_same_edit(offer))) {
                Some(same) => same.push(offer),
                None => same.push(vec![offer]),
            }
        }
        let said = self.open.get(path).map(Open::said).unwrap_or_default();
        let each = same.iter().filter_map(|same| {
            // The title of one that is decided: it is the same value.
            let offer = same.iter().find(|offer| offer.is_decided).or(same.first())?;
            let edit = crate::rename::Edit { range: offer.range.clone(), new: offer.new.clone() };
            let edits = Edits::from([(path.to_owned(), vec![edit])]);
            let is_about = |said: &&Said| {
                touches(&buffer.lines, &said.range, range)
                    && same.iter().any(|offer| said.message == offer.message)
            };
            let about: Vec<_> = said
                .iter()
                .filter(is_about)
                .map(|said| said.diagnostic(&buffer.text, &buffer.lines, self.encoding))
                .collect();
            Some(json!({
                "title": offer.title,
                "kind": "quickfix",
                "isPreferred": offer.is_decided,
                "diagnostics": about,
                "edit": self.workspace_edit(&edits),
            }))
        });
        each.collect()
    }

    fn execute(&mut self, id: &RequestId, params: Value) -> Result<(), Refusal> {
        let params: ExecuteCommandParams = Self::params(params).map_err(Refusal::of_params)?;
        if params.command != RUN {
            let why = format!("there is no command `{}`", params.command);
            return Err(Refusal(ErrorCode::InvalidParams, why));
        }
        let given = params.arguments.first().cloned().unwrap_or_default();
        let text = |key: &str| given.get(key).and_then(Value::as_str).map(str::to_owned);
        let uri = text("uri").and_then(|uri| uri.parse::<Uri>().ok());
        let (Some(uri), Some(test)) = (uri, text("test")) else {
            return Err(Refusal::of_params(
                "expected `{uri, test, case}`, of which `case` may be left out".to_owned(),
            ));
        };
        let (path, case) = (Self::file_of(&uri), text("case"));
        self.job(Job::Run { id: id.clone(), path, test, case });
        Ok(())
    }

    /// Takes how cases ended.
    pub(crate) fn ran(
        &mut self,
        id: RequestId,
        path: &Path,
        test: String,
        case: Option<String>,
        runs: Result<Vec<CaseRun>, String>,
    ) {
        let runs = match runs {
            Ok(runs) => runs,
            Err(why) => {
                self.tell(1, &why);
                return self.refuse(id, ErrorCode::RequestFailed, why);
            }
        };
        let notes: Vec<Said> =
            runs.iter().flat_map(|run| &run.notes).map(|note| Said::of(note, true)).collect();
        if let Some(open) = self.open.get_mut(path) {
            if case.is_none() {
                open.runs.retain(|(of, _), _| *of != test);
            }
            open.runs.insert((test.clone(), case.clone()), notes);
        }
        self.publish(path, None);
        let count = |status| runs.iter().filter(|run| run.status == status).count();
        let (failed, broken) = (count(CaseStatus::Failed), count(CaseStatus::Broken));
        let what = case.map_or_else(|| test.clone(), |case| format!("{test} / {case}"));
        let (grave, text) = match (failed + broken, runs.as_slice()) {
            (_, []) => (2, format!("{what}: nothing was run")),
            (0, [_]) => (3, format!("{what}: passed")),
            (0, all) => (3, format!("{what}: {} cases passed", all.len() - count(CaseStatus::Skipped))),
            (bad, all) => {
                let first = all.iter().flat_map(|run| &run.notes).next();
                let why = first.map(|note| format!(": {}", note.message)).unwrap_or_default();
                (1, format!("{what}: {bad} of {} did not pass{why}", all.len()))
            }
        };
        self.tell(grave, &text);
        let cases: Value = runs
            .iter()
            .map(|run| {
                let status = match run.status {
                    CaseStatus::Passed => "passed",
                    CaseStatus::Skipped => "skipped",
                    CaseStatus::Failed => "failed",
                    CaseStatus::Broken => "broken",
                };
                let notes: Vec<&str> = run.notes.iter().map(|note| note.message.as_str()).collect();
                json!({"name": run.name, "status": status, "messages": notes})
            })
            .collect();
        self.answer(id, json!({"cases": cases}));
    }
}

fn bytes(location: &portcullis::Location) -> Range<usize> {
    let range = location.range();
    range.start as usize..range.end as usize
}

/// The beginning of a place: where a lens stands.
fn start(location: &portcullis::Location) -> Range<usize> {
    let start = location.range().start as usize;
    start..start
}

/// A name without the quotes around it.
fn unquoted(text: &str, range: Range<usize>) -> Range<usize> {
    let written = text.get(range.clone()).unwrap_or_default();
    let is_quoted = written.len() >= 2 && (written.starts_with('"') || written.starts_with('\''));
    if is_quoted { range.start + 1..range.end - 1 } else { range }
}

/// Whether two parts of a text have a line in common.
fn touches(lines: &Lines, one: &Range<usize>, other: &Range<usize>) -> bool {
    let first = |range: &Range<usize>| lines.line_of(range.start);
    // Findings are shown in the line that they begin in.
    (first(other)..=lines.line_of(other.end)).contains(&first(one))
}

fn item(proposal: &Proposal, range: lsp_types::Range) -> Value {
    let kind = match proposal.sort {
        Sort::Field => CompletionItemKind::FIELD,
        Sort::Function => CompletionItemKind::FUNCTION,
        Sort::Rule => CompletionItemKind::VALUE,
        Sort::Variable => CompletionItemKind::VARIABLE,
        Sort::Module => CompletionItemKind::MODULE,
        Sort::Keyword => CompletionItemKind::KEYWORD,
    };
    let mut item = json!({
        "label": proposal.name,
        "kind": kind,
        "detail": proposal.detail,
        "filterText": proposal.name,
        "textEdit": {"range": range, "newText": proposal.text},
    });
    if let (Some(text), Some(fields)) = (&proposal.documentation, item.as_object_mut()) {
        fields.insert("documentation".to_owned(), json!({"kind": "markdown", "value": text}));
    }
    item
}

/// The whole lines of a text that another one has otherwise, and what it has there.
fn differing_lines<'n>(old: &str, new: &'n str) -> (Range<usize>, &'n str) {
    let same = |one: &mut dyn Iterator<Item = (&str, &str)>| {
        one.take_while(|(one, other)| one == other).map(|(line, _)| line.len()).sum::<usize>()
    };
    let before = same(&mut old.split_inclusive('\n').zip(new.split_inclusive('\n')));
    let (rest_old, rest_new) = (old.get(before..).unwrap_or_default(), new.get(before..).unwrap_or_default());
    let lines = |text: &'n str| text.split_inclusive('\n').rev().collect::<Vec<_>>();
    let old_lines: Vec<&str> = rest_old.split_inclusive('\n').rev().collect();
    let after = same(&mut old_lines.into_iter().zip(lines(rest_new)));
    let end = rest_new.len().saturating_sub(after);
    (before..old.len().saturating_sub(after), rest_new.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::differing_lines;

    #[test]
    fn an_edit_is_from_the_first_line_that_differs_to_the_last() {
        for (old, new, expected) in [
            ("a\nb\nc\n", "a\nx\nc\n", (2..4, "x\n")),
            ("a\nb\nc\n", "a\nc\n", (2..4, "")),
            ("a\nc\n", "a\nb\nc\n", (2..2, "b\n")),
            ("a\na\n", "a\na\na\n", (4..4, "a\n")),
            ("a", "b", (0..1, "b")),
            ("a\n", "a", (0..2, "a")),
        ] {
            let (range, text) = differing_lines(old, new);
            assert_eq!((range.clone(), text), expected, "{old:?} {new:?}");
            let mut edited = old.to_owned();
            edited.replace_range(range, text);
            assert_eq!(edited, new);
        }
    }
}
