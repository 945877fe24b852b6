//! What takes longer than a keystroke: done one after the other, beside the messages.

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use lsp_server::RequestId;
use portcullis::{ErrorKind, Severity};

use crate::checks::{CaseRun, Checks, Note, Offer};
use crate::index::{Index, MOST_CUSTOM_KINDS, path_of};

/// Something to do.
#[derive(Debug)]
pub enum Job {
    /// Look at all policies, and judge the manifests that are open.
    All(All),
    /// Find out how findings go, for a request.
    Fixes {
        /// The request.
        id: RequestId,
        /// The manifest.
        path: PathBuf,
        /// Its version.
        version: i32,
        /// The bytes that are asked about.
        range: Range<usize>,
        /// Where policies are.
        folders: Vec<PathBuf>,
    },
    /// Run a case, for a request.
    Run {
        /// The request.
        id: RequestId,
        /// The suite.
        path: PathBuf,
        /// The test.
        test: String,
        /// One case of it, or all.
        case: Option<String>,
    },
}

/// What there is to look at.
#[derive(Debug)]
pub struct All {
    /// Where names start from.
    pub root: PathBuf,
    /// Where policies are.
    pub folders: Vec<PathBuf>,
    /// The files that are open, with their versions.
    pub open: BTreeMap<PathBuf, i32>,
    /// Those of them that are to be judged.
    pub manifests: Vec<PathBuf>,
    /// When.
    pub moment: Moment,
}

/// How often something had changed when it was asked for, and how often by now.
#[derive(Debug)]
pub struct Moment {
    /// Then.
    pub of: u64,
    /// Now.
    pub now: Arc<AtomicU64>,
}

/// A note, and whether it rests on more than the file that it is in and what belongs to it.
#[derive(Clone, Debug)]
pub struct Found {
    /// The note.
    pub note: Note,
    /// See there.
    pub is_wide: bool,
}

/// What came of something.
#[derive(Debug)]
pub enum Report {
    /// All was looked at.
    All {
        /// What there is.
        index: Index,
        /// What is to be said, by file.
        notes: BTreeMap<PathBuf, Vec<Found>>,
        /// What was not looked at, for people.
        cut: Vec<String>,
        /// The files that could not be read, and why.
        unread: Vec<String>,
        /// The versions that were looked at.
        versions: BTreeMap<PathBuf, i32>,
    },
    /// Something changed while all was looked at: it was given up.
    OutOfDate,
    /// How findings go.
    Fixes {
        /// The request.
        id: RequestId,
        /// The manifest.
        path: PathBuf,
        /// Its version.
        version: i32,
        /// The bytes that are asked about.
        range: Range<usize>,
        /// The fixes, or why there are none.
        offers: Result<Vec<Offer>, String>,
    },
    /// How cases ended.
    Run {
        /// The request.
        id: RequestId,
        /// The suite.
        path: PathBuf,
        /// The test.
        test: String,
        /// One case of it, or all.
        case: Option<String>,
        /// The cases, or why they could not be run.
        runs: Result<Vec<CaseRun>, String>,
    },
    /// It broke: a fault of this program.
    Broken {
        /// The request that waits for it, if one does.
        id: Option<RequestId>,
        /// What is known of it.
        why: String,
    },
}

/// Whether what is wrong is known of a file and what belongs to it alone. The rest needs all files.
pub fn is_wide(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::UnknownProvider
            | ErrorKind::MutatorConflict
            | ErrorKind::NeverConverges
            | ErrorKind::MutatorFight
            | ErrorKind::MissingPolicy
            | ErrorKind::UnboundPolicy
            | ErrorKind::ExpansionCycle
            | ErrorKind::IgnoredConfig
            | ErrorKind::Exception
            | ErrorKind::NoSuchKind
            | ErrorKind::DuplicateResource
            | ErrorKind::Suite
            | ErrorKind::NoInput
            | ErrorKind::MissingTemplate
    )
}

impl Job {
    /// The request that waits for it.
    pub fn request(&self) -> Option<&RequestId> {
        match self {
            Self::All(_) => None,
            Self::Fixes { id, .. } | Self::Run { id, .. } => Some(id),
        }
    }

    /// Does it. A fault of it is a report, too.
    pub fn run(self, checks: &dyn Checks) -> Report {
        let id = self.request().cloned();
        catch_unwind(AssertUnwindSafe(|| self.done(checks)))
            .unwrap_or_else(|panic| Report::Broken { id, why: reason(panic.as_ref()) })
    }

    fn done(self, checks: &dyn Checks) -> Report {
        match self {
            Self::All(all) => all.done(checks),
            Self::Fixes { id, path, version, range, folders } => {
                let offers = checks.fixes(&folders, &path);
                Report::Fixes { id, path, version, range, offers }
            }
            Self::Run { id, path, test, case } => {
                let runs = checks.run(&path, &test, case.as_deref());
                Report::Run { id, path, test, case, runs }
            }
        }
    }
}

impl All {
    fn done(self, checks: &dyn Checks) -> Report {
        let open: Vec<PathBuf> = self.open.keys().cloned().collect();
        let policies = checks.policies(&self.folders, &open);
        if self.moment.of != self.moment.now.load(Ordering::Relaxed) {
            return Report::OutOfDate;
        }
        let (mut cut, mut unread) = (policies.cut, Vec::new());
        let mut index = Index::of(&self.root, policies.documents);
        let mut notes: BTreeMap<PathBuf, Vec<Found>> = BTreeMap::new();
        for note in policies.configuration.iter().filter_map(Note::of) {
            let path = path_of(&self.root, note.location.file());
            notes.entry(path).or_default().push(Found { note, is_wide: true });
        }
        for error in &policies.errors {
            let Some(note) = Note::of(error) else { continue };
            let text = note.location.source().text();
            if text.is_empty() {
                // It is about a file that was not read, which nobody could show.
                if error.severity() == Severity::Error {
                    unread.push(error.to_string());
                }
                continue;
            }
            let path = path_of(&self.root, note.location.file());
            // As for files that are open: what nobody would take for ours, and charts.
            let is_ours = index.file(&path).iter().any(|entry| entry.resource.is_some());
            if is_ours || (text.contains("apiVersion") && error.kind() != ErrorKind::Templated) {
                notes.entry(path).or_default().push(Found { note, is_wide: is_wide(error.kind()) });
            }
        }
        if !self.manifests.is_empty() {
            match checks.judge(&self.folders, &self.manifests) {
                Ok(found) => {
                    for note in found {
                        let path = path_of(&self.root, note.location.file());
                        // What is wrong with policies was said.
                        if self.manifests.contains(&path) {
                            notes.entry(path).or_default().push(Found { note, is_wide: true });
                        }
                    }
                }
                Err(why) => cut.push(format!("manifests are not judged: {why}")),
            }
        }
        for found in notes.values_mut() {
            found.sort_by(|a, b| key(&a.note).cmp(&key(&b.note)));
            found.dedup_by(|a, b| key(&a.note) == key(&b.note));
        }
        index.add_named(&self.root);
        let left_out = index.custom_kinds_left_out();
        if left_out > 0 {
            cut.push(format!(
                "{left_out} definitions of custom kinds are not looked at for the fields of objects: there are more than {MOST_CUSTOM_KINDS}"
            ));
        }
        Report::All { index, notes, cut, unread, versions: self.open }
    }
}

fn key(note: &Note) -> (u32, u32, &str, &str) {
    let range = note.location.range();
    (range.start, range.end, &note.code, &note.message)
}

/// What a panic says.
pub fn reason(panic: &(dyn std::any::Any + Send)) -> String {
    let text =
        panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("no reason is known").to_owned()
}
