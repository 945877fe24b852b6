//! What an editor and this server know of each other. Pure: messages in, messages and jobs out; who has the streams and
//! the threads is `server.rs`.
//!
//! ```text
//! message ──> Session ── changes of texts ──> settle: what is wrong with the file, at once ──> diagnostics
//!                │  └──── questions ──> answers
//!                └──> jobs: all policies, manifests judged, fixes, cases ── report ──> diagnostics, answers
//! ```

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lsp_server::{ErrorCode, Message, Notification, Request, RequestId, Response};
use lsp_types::{
    CancelParams, Diagnostic, DidChangeTextDocumentParams, DidChangeWorkspaceFoldersParams,
    DidCloseTextDocumentParams, DidOpenTextDocumentParams, InitializeParams, NumberOrString,
    PublishDiagnosticsParams, Uri,
};
use portcullis::{Document, ErrorKind, Limits, RegoLayout, Source};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::buffer::{Buffer, moved};
use crate::checks::{Checks, Level, Note, Offer};
use crate::index::{Entry, Index, name_of};
use crate::jobs::{All, Found, Job, Moment, Report, is_wide, reason};
use crate::position::{Encoding, Lines};
use crate::publish::{Said, diagnostics};
use crate::uri::{path_of, uri_of};

/// The largest text that is looked at. Larger ones are kept, so that they may become smaller.
pub const FILE_BYTES: usize = 4 << 20;
/// The largest text that is kept, and how many there may be.
const KEPT_BYTES: usize = 64 << 20;
const MOST_OPEN: usize = 2000;
/// Most jobs that wait.
const MOST_JOBS: usize = 64;

/// The command that runs a case.
pub const RUN: &str = "portcullis.runCase";

/// How far the two are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing was agreed on.
    New,
    /// At work.
    Running,
    /// Nothing more is to be done.
    ShutDown,
    /// It is over, with this exit code.
    Ended(i32),
}

/// A text that is open.
#[derive(Debug)]
pub(crate) struct Open {
    pub(crate) uri: Uri,
    /// The text; none if it is no longer known what the editor has.
    pub(crate) buffer: Option<Buffer>,
    /// Why it is not known.
    lost: String,
    /// It was changed since it was last looked at.
    is_dirty: bool,
    /// What is wrong with it, as far as it alone tells.
    own: Vec<Said>,
    /// What was said of it when all was looked at, and whether that was of this very text.
    of_all: Vec<Said>,
    is_fresh: bool,
    /// What came of the cases that were run, by test and case.
    pub(crate) runs: BTreeMap<(String, Option<String>), Vec<Said>>,
    /// How its findings go.
    pub(crate) offers: Option<Arc<Vec<Offer>>>,
}

impl Open {
    /// All that is to be said of it now.
    pub(crate) fn said(&self) -> Vec<Said> {
        // What rests on the file alone was said of another text, unless nothing was changed since.
        let of_all = self.of_all.iter().filter(|one| one.is_wide || self.is_fresh);
        let mut said: Vec<Said> = self.own.iter().chain(of_all).cloned().collect();
        said.extend(self.runs.values().flatten().cloned());
        said.sort_by(|a, b| {
            (a.range.start, a.level, &a.code, &a.message).cmp(&(b.range.start, b.level, &b.code, &b.message))
        });
        said.dedup_by(|a, b| (&a.range, &a.code, &a.message) == (&b.range, &b.code, &b.message));
        said
    }
}

/// One editor.
pub struct Session {
    pub(crate) checks: Arc<dyn Checks>,
    stage: Stage,
    pub(crate) encoding: Encoding,
    /// Whether edits of documents may be told with their versions.
    pub(crate) has_versions: bool,
    /// Where names start from.
    pub(crate) root: PathBuf,
    pub(crate) folders: Vec<PathBuf>,
    pub(crate) open: BTreeMap<PathBuf, Open>,
    pub(crate) index: Index,
    /// What was said of files that are not open.
    of_all: BTreeMap<PathBuf, Vec<Note>>,
    /// The files of which something is shown.
    shown: BTreeMap<PathBuf, Vec<Diagnostic>>,
    /// Something changed since all was looked at, and whether somebody does that now.
    is_stale: bool,
    is_looking: bool,
    /// Shared with who looks: what is looked at may be out of date meanwhile.
    changes: Arc<AtomicU64>,
    /// What was told already.
    told: BTreeSet<String>,
    /// What is to be done for requests, one after the other.
    jobs: VecDeque<Job>,
    out: Vec<Message>,
    asked: i32,
}

impl Session {
    /// With nobody yet.
    pub fn new(checks: Arc<dyn Checks>) -> Self {
        Self {
            checks,
            stage: Stage::New,
            encoding: Encoding::default(),
            has_versions: false,
            root: PathBuf::from("/"),
            folders: Vec::new(),
            open: BTreeMap::new(),
            index: Index::default(),
            of_all: BTreeMap::new(),
            shown: BTreeMap::new(),
            is_stale: false,
            is_looking: false,
            changes: Arc::default(),
            told: BTreeSet::new(),
            jobs: VecDeque::new(),
            out: Vec::new(),
            asked: 0,
        }
    }

    /// The exit code, when it is over.
    pub fn ended(&self) -> Option<i32> {
        match self.stage {
            Stage::Ended(code) => Some(code),
            Stage::New | Stage::Running | Stage::ShutDown => None,
        }
    }

    /// Takes the messages that are to be sent.
    pub fn take_messages(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.out)
    }

    /// Takes what is to be done next for a request. What is known meanwhile is answered, and so is what is out of date: of
    /// many questions about one text the first is looked into.
    pub fn next_job(&mut self) -> Option<Job> {
        while let Some(job) = self.jobs.pop_front() {
            let Job::Fixes { id, path, version, range, .. } = &job else { return Some(job) };
            let (id, range) = (id.clone(), range.clone());
            let open = self.open.get(path);
            let is_same =
                open.and_then(|open| open.buffer.as_ref()).is_some_and(|one| one.version == *version);
            match open.and_then(|open| open.offers.clone()) {
                _ if !is_same => {
                    self.refuse(id, ErrorCode::ContentModified, "the text was changed meanwhile");
                }
                Some(offers) => {
                    let answer = self.offered(path, &offers, &range);
                    self.answer(id, answer);
                }
                None => return Some(job),
            }
        }
        None
    }

    /// Nobody waits for a request any more. What is being done already is answered all the same.
    fn cancelled(&mut self, params: CancelParams) {
        let id = match params.id {
            NumberOrString::Number(id) => RequestId::from(id),
            NumberOrString::String(id) => RequestId::from(id),
        };
        let waiting = self.jobs.iter().position(|job| job.request() == Some(&id));
        if waiting.and_then(|number| self.jobs.remove(number)).is_some() {
            self.refuse(id, ErrorCode::RequestCanceled, "nobody waits for it any more");
        }
    }

    /// Whether all should be looked at, as soon as there is a moment.
    pub fn is_stale(&self) -> bool {
        self.is_stale && !self.is_looking && self.stage == Stage::Running
    }

    /// How often something changed: who waits for a pause begins anew.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    fn touch(&mut self) {
        self.is_stale = true;
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    /// Looks at all.
    pub fn look(&mut self) -> Job {
        (self.is_stale, self.is_looking) = (false, true);
        let is_file = |path: &&PathBuf| path.is_absolute();
        let known = self.open.iter().filter(|(path, open)| is_file(path) && open.buffer.is_some());
        let open: BTreeMap<PathBuf, i32> =
            known.filter_map(|(path, open)| Some((path.clone(), open.buffer.as_ref()?.version))).collect();
        let manifests = open.keys().filter(|path| self.has_objects(path)).cloned().collect();
        let moment = Moment { of: self.changes(), now: self.changes.clone() };
        Job::All(All { root: self.root.clone(), folders: self.folders.clone(), open, manifests, moment })
    }

    /// Whether a file has objects that policies may judge.
    fn has_objects(&self, path: &Path) -> bool {
        self.index.file(path).iter().any(|entry| {
            let root = portcullis::Node::root(&entry.document);
            entry.resource.is_none() && root.field("kind").is_some() && root.field("apiVersion").is_some()
        })
    }

    /// Takes a message. A fault is answered, and not the end.
    pub fn message(&mut self, message: Message) {
        let id = match &message {
            Message::Request(request) => Some(request.id.clone()),
            Message::Response(_) | Message::Notification(_) => None,
        };
        let done = catch_unwind(AssertUnwindSafe(|| self.handle(message)));
        if let Err(panic) = done {
            self.broken(id, &reason(panic.as_ref()));
        }
    }

    fn broken(&mut self, id: Option<RequestId>, why: &str) {
        let text = format!("this is a fault of portcullis, please report it: {why}");
        match id {
            Some(id) => self.refuse(id, ErrorCode::InternalError, text),
            None => self.log(&text),
        }
    }

    fn handle(&mut self, message: Message) {
        match (message, self.stage) {
            (Message::Request(request), Stage::New) if request.method == "initialize" => {
                self.initialize(request);
            }
            (Message::Request(request), Stage::New) => {
                self.refuse(request.id, ErrorCode::ServerNotInitialized, "expected `initialize` first");
            }
            (Message::Request(request), Stage::Running) => match request.method.as_str() {
                "shutdown" => {
                    self.stage = Stage::ShutDown;
                    self.answer(request.id, Value::Null);
                }
                "initialize" => {
                    self.refuse(request.id, ErrorCode::InvalidRequest, "`initialize` comes once");
                }
                _ => self.request(request),
            },
            (Message::Request(request), Stage::ShutDown | Stage::Ended(_)) => {
                self.refuse(
                    request.id,
                    ErrorCode::InvalidRequest,
                    "nothing comes after `shutdown` but `exit`",
                );
            }
            (Message::Notification(notification), stage) if notification.method == "exit" => {
                self.stage = Stage::Ended(i32::from(stage != Stage::ShutDown));
            }
            (Message::Notification(notification), Stage::Running) => self.notification(notification),
            (Message::Notification(_) | Message::Response(_), _) => {}
        }
    }

    /// Sends an answer.
    pub(crate) fn answer(&mut self, id: RequestId, result: Value) {
        self.out.push(Response { id, response_result: Ok(result) }.into());
    }

    /// Answers with an error.
    pub(crate) fn refuse(&mut self, id: RequestId, code: ErrorCode, why: impl Into<String>) {
        self.out.push(Response::new_err(id, code as i32, why.into()).into());
    }

    fn notify(&mut self, method: &str, params: Value) {
        self.out.push(Notification { method: method.to_owned(), params }.into());
    }

    /// Says something that only who looks for it sees.
    pub fn log(&mut self, text: &str) {
        self.notify("window/logMessage", json!({"type": 2, "message": text}));
    }

    /// Says something that people should see. `grave`: 1 is an error, 2 a warning, 3 information.
    pub(crate) fn tell(&mut self, grave: i32, text: &str) {
        self.notify("window/showMessage", json!({"type": grave, "message": text}));
    }

    /// What a request or a notification says; otherwise what is wrong with it.
    pub(crate) fn params<T: DeserializeOwned>(params: Value) -> Result<T, String> {
        serde_json::from_value(params)
            .map_err(|error| format!("the parameters are not as they should be: {error}"))
    }

    fn initialize(&mut self, request: Request) {
        let params: InitializeParams = match Self::params(request.params) {
            Ok(params) => params,
            Err(why) => return self.refuse(request.id, ErrorCode::InvalidParams, why),
        };
        let capabilities = &params.capabilities;
        let offered = capabilities.general.as_ref().and_then(|general| general.position_encodings.as_deref());
        self.encoding = Encoding::chosen(offered.unwrap_or_default());
        let edits = capabilities.workspace.as_ref().and_then(|workspace| workspace.workspace_edit.as_ref());
        self.has_versions = edits.and_then(|edits| edits.document_changes).unwrap_or_default();
        let watches =
            capabilities.workspace.as_ref().and_then(|workspace| workspace.did_change_watched_files);
        let watches = watches.and_then(|watched| watched.dynamic_registration).unwrap_or_default();
        let named = params.workspace_folders.unwrap_or_default().into_iter().map(|folder| folder.uri);
        let mut folders: Vec<PathBuf> = named.filter_map(|uri| path_of(&uri)).collect();
        #[expect(deprecated, reason = "older editors say nothing else")]
        if folders.is_empty() {
            folders.extend(params.root_uri.as_ref().and_then(path_of));
        }
        // As the editor calls them, links and all: so it calls their files.
        self.folders = folders;
        match self.checks.enter(self.folders.first().map(PathBuf::as_path)) {
            Ok(folder) => self.root = folder,
            Err(why) => self.log(&format!("the folder cannot be entered: {why}")),
        }
        self.answer(
            request.id,
            json!({
                "capabilities": {
                    "positionEncoding": self.encoding.kind(),
                    "textDocumentSync": {"openClose": true, "change": 2, "save": {"includeText": false}},
                    "hoverProvider": true,
                    "completionProvider": {"triggerCharacters": ["."]},
                    "definitionProvider": true,
                    "referencesProvider": true,
                    "renameProvider": {"prepareProvider": true},
                    "documentFormattingProvider": true,
                    "codeActionProvider": {"codeActionKinds": ["quickfix"]},
                    "codeLensProvider": {},
                    "executeCommandProvider": {"commands": [RUN]},
                    "workspace": {"workspaceFolders": {"supported": true, "changeNotifications": true}},
                },
                "serverInfo": {"name": "portcullis", "version": env!("CARGO_PKG_VERSION")},
            }),
        );
        self.stage = Stage::Running;
        if !self.folders.is_empty() {
            self.touch();
        }
        if watches {
            self.asked += 1;
            let globs = ["yaml", "yml", "json"].map(|end| json!({"globPattern": format!("**/*.{end}")}));
            let params = json!({"registrations": [{
                "id": "files",
                "method": "workspace/didChangeWatchedFiles",
                "registerOptions": {"watchers": globs},
            }]});
            let id = RequestId::from(format!("portcullis-{}", self.asked));
            self.out.push(Request { id, method: "client/registerCapability".to_owned(), params }.into());
        }
    }

    fn notification(&mut self, notification: Notification) {
        let Notification { method, params } = notification;
        let done = match method.as_str() {
            "textDocument/didOpen" => Self::params(params).map(|params| self.opened(params)),
            "textDocument/didChange" => Self::params(params).map(|params| self.changed(params)),
            "textDocument/didClose" => Self::params(params).map(|params| self.closed(&params)),
            "textDocument/didSave"
            | "workspace/didChangeWatchedFiles"
            | "workspace/didChangeConfiguration" => {
                self.touch();
                Ok(())
            }
            "$/cancelRequest" => Self::params(params).map(|params| self.cancelled(params)),
            "workspace/didChangeWorkspaceFolders" => Self::params(params).map(|params| self.moved_in(params)),
            // Others may be ignored, says the protocol.
            _ => Ok(()),
        };
        if let Err(why) = done {
            self.log(&format!("`{method}`: {why}"));
        }
    }

    /// The file of an address. A text that was never saved has its address for a path.
    pub(crate) fn file_of(uri: &Uri) -> PathBuf {
        path_of(uri).unwrap_or_else(|| PathBuf::from(uri.as_str()))
    }

    fn opened(&mut self, params: DidOpenTextDocumentParams) {
        let document = params.text_document;
        let path = Self::file_of(&document.uri);
        if self.open.len() >= MOST_OPEN && !self.open.contains_key(&path) {
            return self.log(&format!("`{}` is not looked at: {MOST_OPEN} files are open", path.display()));
        }
        let is_kept = document.text.len() <= KEPT_BYTES;
        let buffer = is_kept.then(|| Buffer::new(document.version, &document.text));
        let lost = format!("the text has more than {KEPT_BYTES} bytes, which is the most that is kept");
        let of_all = self.of_all.get(&path).into_iter().flatten().map(|note| Said::of(note, true)).collect();
        let open = Open {
            uri: document.uri,
            buffer,
            lost,
            is_dirty: true,
            own: Vec::new(),
            of_all,
            is_fresh: false,
            runs: BTreeMap::new(),
            offers: None,
        };
        self.open.insert(path, open);
        self.touch();
    }

    fn changed(&mut self, params: DidChangeTextDocumentParams) {
        let path = Self::file_of(&params.text_document.uri);
        let Some(open) = self.open.get_mut(&path) else {
            return self.log(&format!("`{}` was changed, but not opened", path.display()));
        };
        // All of a text brings back one that was lost.
        let is_whole = params.content_changes.iter().any(|change| change.range.is_none());
        if open.buffer.is_none() && is_whole {
            open.buffer = Some(Buffer::new(0, ""));
        }
        let Some(buffer) = &mut open.buffer else { return };
        let version = params.text_document.version;
        match buffer.change(version, params.content_changes, self.encoding, KEPT_BYTES) {
            Ok(edits) => {
                for said in open.of_all.iter_mut().chain(open.runs.values_mut().flatten()) {
                    said.range = moved(&said.range, &edits);
                }
            }
            Err(why) => {
                open.lost = why.to_string();
                open.buffer = None;
                self.log(&format!("`{}`: {why}", path.display()));
            }
        }
        let Some(open) = self.open.get_mut(&path) else { return };
        (open.is_dirty, open.is_fresh, open.offers) = (true, false, None);
        self.touch();
    }

    fn closed(&mut self, params: &DidCloseTextDocumentParams) {
        let path = Self::file_of(&params.text_document.uri);
        if self.open.remove(&path).is_none() {
            return;
        }
        portcullis_sources::open::close(&path);
        self.index.forget(&path);
        self.of_all.remove(&path);
        self.publish(&path, Some(&params.text_document.uri));
        self.touch();
    }

    fn moved_in(&mut self, params: DidChangeWorkspaceFoldersParams) {
        let gone: Vec<PathBuf> =
            params.event.removed.iter().filter_map(|folder| path_of(&folder.uri)).collect();
        self.folders.retain(|folder| !gone.contains(folder));
        for folder in params.event.added.iter().filter_map(|folder| path_of(&folder.uri)) {
            if !self.folders.contains(&folder) {
                self.folders.push(folder);
            }
        }
        self.touch();
    }

    /// Looks at the texts that were changed, and says what is wrong with them. Called when no message waits: of several
    /// versions the last one is looked at.
    pub fn settle(&mut self) {
        let dirty: Vec<PathBuf> =
            self.open.iter().filter(|(_, open)| open.is_dirty).map(|(path, _)| path.clone()).collect();
        for path in dirty {
            if let Some(open) = self.open.get_mut(&path) {
                open.is_dirty = false;
            }
            let done = catch_unwind(AssertUnwindSafe(|| self.settle_one(&path)));
            if let Err(panic) = done {
                self.broken(None, &reason(panic.as_ref()));
            }
        }
    }

    fn settle_one(&mut self, path: &Path) {
        let Some(open) = self.open.get_mut(path) else { return };
        let unread = match &open.buffer {
            None => Some(format!("this text is not looked at: {}. Close it and open it again", open.lost)),
            Some(buffer) if buffer.text.len() > FILE_BYTES => {
                Some(format!("this text is not looked at: it has more than {} MiB", FILE_BYTES >> 20))
            }
            Some(_) => None,
        };
        let Some(buffer) = open.buffer.as_ref().filter(|_| unread.is_none()) else {
            let message = unread.unwrap_or_default();
            let code = ErrorKind::Limit.code().to_owned();
            open.own = vec![Said { range: 0..0, level: Level::Information, code, message, is_wide: false }];
            open.of_all = Vec::new();
            self.index.put(path, Vec::new());
            self.publish(path, None);
            return;
        };
        let text = buffer.text.clone();
        if path.is_absolute() {
            portcullis_sources::open::put(path, &text);
        }
        if path.extension().is_some_and(|end| end == "rego") {
            return self.settle_rego(path, &text);
        }
        let name = name_of(&self.root, path);
        let limits = Limits { source_bytes: FILE_BYTES, ..Limits::default() };
        let (documents, problems) = Document::read_source(&Source::new(name, text.clone()), &limits);
        let entries: Vec<Entry> = documents
            .iter()
            .map(|document| Entry { path: path.to_owned(), ..Entry::of(&self.root, document.clone()) })
            .collect();
        // What nobody would take for ours is nobody's business; and charts are rendered before they are read.
        let is_ours = entries.iter().any(|entry| entry.resource.is_some());
        let is_manifest = is_ours || text.contains("apiVersion");
        let is_shown = |kind: ErrorKind| is_ours || (is_manifest && kind != ErrorKind::Templated);
        let problems: Vec<_> = problems.into_iter().filter(|problem| is_shown(problem.kind())).collect();
        let name = name_of(&self.root, path);
        let mut own: Vec<Said> = Vec::new();
        if is_manifest {
            let mut all = documents;
            all.extend(self.index.beside(path, &entries));
            let kinds = self.index.custom_kinds(Some(path));
            let errors = self.checks.part(all, problems, &kinds);
            let here = |note: &Note| **note.location.file() == *name;
            let found =
                errors.iter().filter(|error| !is_wide(error.kind()) || error.kind() == ErrorKind::Suite);
            own = found.filter_map(Note::of).filter(here).map(|note| Said::of(&note, false)).collect();
        }
        self.index.put(path, entries);
        if let Some(open) = self.open.get_mut(path) {
            open.own = own;
        }
        self.publish(path, None);
    }

    /// A file of Rego: whether it can be read. What its names mean depends on files that may be anywhere.
    fn settle_rego(&mut self, path: &Path, text: &str) {
        let source = Source::new(name_of(&self.root, path), text);
        let layout = RegoLayout::of_file(&source, None);
        let own = layout.problems().iter().filter_map(Note::of).map(|note| Said::of(&note, false)).collect();
        self.index.put(path, Vec::new());
        if let Some(open) = self.open.get_mut(path) {
            open.own = own;
        }
        self.publish(path, None);
    }

    /// Says of a file all that there is to say.
    pub(crate) fn publish(&mut self, path: &Path, closed: Option<&Uri>) {
        let (uri, version, found) = match self.open.get(path) {
            // It will be looked at before anything is sent.
            Some(open) if open.is_dirty => return,
            Some(open) => {
                let empty = Lines::of("");
                let (text, lines, version) = match &open.buffer {
                    Some(buffer) => (&*buffer.text, &buffer.lines, Some(buffer.version)),
                    None => ("", &empty, None),
                };
                (open.uri.clone(), version, diagnostics(&open.said(), text, lines, self.encoding))
            }
            None => {
                let Some(uri) = closed.cloned().or_else(|| uri_of(path)) else { return };
                let notes = self.of_all.get(path).map(Vec::as_slice).unwrap_or_default();
                let text = notes.first().map(|note| note.location.source().text().clone());
                let text = text.as_deref().unwrap_or_default();
                let said: Vec<Said> = notes.iter().map(|note| Said::of(note, true)).collect();
                (uri, None, diagnostics(&said, text, &Lines::of(text), self.encoding))
            }
        };
        let is_open = version.is_some();
        if self.shown.get(path).map(Vec::as_slice).unwrap_or_default() == found
            && !is_open
            && closed.is_none()
        {
            return;
        }
        if found.is_empty() {
            self.shown.remove(path);
        } else {
            self.shown.insert(path.to_owned(), found.clone());
        }
        let params = PublishDiagnosticsParams { uri, diagnostics: found, version };
        let params = serde_json::to_value(params).unwrap_or_default();
        self.notify("textDocument/publishDiagnostics", params);
    }

    /// Asks for something to be done; with too much waiting, it is refused.
    pub(crate) fn job(&mut self, job: Job) {
        if self.jobs.len() < MOST_JOBS {
            self.jobs.push_back(job);
        } else if let Some(id) = job.request().cloned() {
            self.refuse(id, ErrorCode::ServerCancelled, "there is too much to do: ask again later");
        }
    }

    /// Takes what came of something.
    pub fn report(&mut self, report: Report) {
        match report {
            Report::All { index, notes, cut, unread, versions } => {
                for text in unread {
                    if self.is_new(&text) {
                        self.log(&text);
                    }
                }
                for text in cut {
                    if self.is_new(&text) {
                        self.tell(2, &text);
                    }
                }
                self.looked(index, notes, &versions);
            }
            Report::Fixes { id, path, version, range, offers } => {
                self.fixed(id, &path, version, &range, offers);
            }
            Report::Run { id, path, test, case, runs } => self.ran(id, &path, test, case, runs),
            Report::OutOfDate => {
                self.is_looking = false;
                self.touch();
            }
            Report::Broken { id, why } => {
                self.is_looking &= id.is_some();
                self.broken(id, &why);
            }
        }
    }

    /// Whether something was not told before.
    fn is_new(&mut self, text: &str) -> bool {
        self.told.len() < MOST_OPEN && self.told.insert(text.to_owned())
    }

    fn looked(
        &mut self,
        index: Index,
        mut notes: BTreeMap<PathBuf, Vec<Found>>,
        versions: &BTreeMap<PathBuf, i32>,
    ) {
        self.is_looking = false;
        let former = std::mem::replace(&mut self.index, index);
        let mut is_behind = false;
        for (path, open) in &mut self.open {
            let is_read = !self.index.file(path).is_empty();
            // The text may be another one than was looked at.
            self.index.put(path, former.file(path).to_vec());
            let found = notes.remove(path).unwrap_or_default();
            let version = open.buffer.as_ref().map(|buffer| buffer.version);
            if version.is_some() && versions.get(path).copied() == version {
                open.of_all = found.iter().map(|found| Said::of(&found.note, found.is_wide)).collect();
                open.is_fresh = true;
                if is_read {
                    // All of it was said anew, and by what the other files are now.
                    open.own = Vec::new();
                }
            } else {
                is_behind = true;
            }
        }
        if is_behind {
            self.touch();
        }
        let notes: BTreeMap<PathBuf, Vec<Note>> = notes
            .into_iter()
            .map(|(path, found)| (path, found.into_iter().map(|found| found.note).collect()))
            .collect();
        let mut touched: BTreeSet<PathBuf> = self.shown.keys().chain(notes.keys()).cloned().collect();
        touched.extend(self.open.keys().cloned());
        self.of_all = notes;
        for path in touched {
            self.publish(&path, None);
        }
    }
}
