//! What the server does not decide: what is wrong with policies and manifests, how a manifest is fixed, what comes of a
//! case of a suite. The program that links this crate says so, by the same code as its commands.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use portcullis::{CustomKind, Document, Error, Location, Severity, Source};

/// Who answers.
pub trait Checks: Send + Sync {
    /// Makes a folder the one that relative paths start from, before anything else is asked; none, if there is none: then
    /// it stays the one that it is, which comes back.
    ///
    /// # Errors
    ///
    /// Why that is not possible, for people.
    fn enter(&self, folder: Option<&Path>) -> Result<PathBuf, String>;

    /// Reads policies and says what is wrong with them: those of folders and, where a folder holds too much, those of
    /// the files that are open.
    fn policies(&self, folders: &[PathBuf], open: &[PathBuf]) -> Policies;

    /// What is wrong with some documents, as far as these alone tell, and without evaluating any. `problems` is what is
    /// wrong with reading them, and `kinds` what is known of custom kinds from elsewhere. This is asked at every keystroke.
    fn part(&self, documents: Vec<Document>, problems: Vec<Error>, kinds: &[CustomKind]) -> Vec<Error>;

    /// What policies of the folders find in manifests.
    ///
    /// # Errors
    ///
    /// Why they could not be judged, for people.
    fn judge(&self, folders: &[PathBuf], manifests: &[PathBuf]) -> Result<Vec<Note>, String>;

    /// How findings of a manifest go: each was tried.
    ///
    /// # Errors
    ///
    /// Why it could not be judged, for people.
    fn fixes(&self, folders: &[PathBuf], manifest: &Path) -> Result<Vec<Offer>, String>;

    /// Runs one case of a suite, or all of a test.
    ///
    /// # Errors
    ///
    /// Why it could not be run, for people.
    fn run(&self, suite: &Path, test: &str, case: Option<&str>) -> Result<Vec<CaseRun>, String>;
}

/// The policies that there are.
#[derive(Debug, Default)]
pub struct Policies {
    /// All documents that were read.
    pub documents: Vec<Document>,
    /// What is wrong with them.
    pub errors: Vec<Error>,
    /// What is wrong with the file that says how folders are read.
    pub configuration: Vec<Error>,
    /// What was not read, and why, for people.
    pub cut: Vec<String>,
}

/// How grave something is, for editors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// It has to be mended.
    Error,
    /// It should be.
    Warning,
    /// It is only said.
    Information,
    /// Something is not needed.
    Unneeded,
}

/// Something to say about a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    /// Where.
    pub location: Location,
    /// How grave it is.
    pub level: Level,
    /// What it is about, in a word.
    pub code: String,
    /// The sentence.
    pub message: String,
}

impl Note {
    /// What is wrong with a policy. None without a place.
    pub fn of(error: &Error) -> Option<Self> {
        let location = error.location()?.clone();
        let level = match error.severity() {
            Severity::Error => Level::Error,
            Severity::Warning if error.kind().code().starts_with("unused-") => Level::Unneeded,
            Severity::Warning => Level::Warning,
        };
        let mut message = error.message().to_owned();
        if let Some(path) = error.path().filter(|path| !path.is_root()) {
            let _ = write!(message, " (at `{path}`)");
        }
        if let Some(help) = error.help() {
            let _ = write!(message, "\n{help}");
        }
        Some(Self { location, level, code: error.kind().code().to_owned(), message })
    }
}

/// A fix of a finding.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Where the finding is.
    pub location: Location,
    /// What the finding says, as its note.
    pub message: String,
    /// What would be edited, in words.
    pub title: String,
    /// Whether the policy decides the values; otherwise they are somebody's to think about.
    pub is_decided: bool,
    /// The text that the edit is of, the bytes that go and what comes.
    pub source: Arc<Source>,
    /// See there.
    pub range: Range<usize>,
    /// See there.
    pub new: String,
}

impl Offer {
    /// Whether another one edits the same in the same way.
    pub(crate) fn is_same_edit(&self, other: &Self) -> bool {
        (&self.range, &self.new) == (&other.range, &other.new) && self.source.text() == other.source.text()
    }
}

/// How a case ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CaseStatus {
    /// All that was asserted holds.
    Passed,
    /// It was not run: somebody wants it so.
    Skipped,
    /// Something does not hold.
    Failed,
    /// It could not be run as written.
    Broken,
}

/// What came of a case.
#[derive(Clone, Debug)]
pub struct CaseRun {
    /// Its name.
    pub name: String,
    /// How it ended.
    pub status: CaseStatus,
    /// What does not hold, and where.
    pub notes: Vec<Note>,
}
