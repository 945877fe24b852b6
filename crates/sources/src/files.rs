//! Which files there are.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use ignore::WalkBuilder;
use portcullis::{Error, ErrorKind, Location, Source};

use super::elsewhere;
use super::folders::{Folder, is_kustomization_file};
use super::ignores::Ignores;
use super::open;
use super::reading::{InputFile, read_error};
use super::special::{Special, special};
use super::{is_stdin, unreadable};

/// Which files of a directory are taken. Files that are named are always taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// All below it that have the name of a manifest.
    Manifests,
    /// The same, and those that are packed: `.gz`, `.zst`.
    Dumps,
    /// The same, but for the `samples` beside a suite: they show what policies do, they are none.
    Policies,
    /// The manifests of a directory that is looked at again and again, as `Policies` if so asked. It may be a
    /// volume that Kubernetes mounts: what its links lead to is read through them, since there are two
    /// versions of it while it changes. Nothing that is not a file is read.
    Watched {
        /// Whether policies are looked for, and no samples.
        policies: bool,
    },
    /// Those directly in it, and with `DIR/...` all below it.
    Suites,
}

/// Files by what they are.
#[derive(Debug, Default)]
pub struct Sorted {
    /// Those named like manifests, and those that are named otherwise but were asked for.
    pub manifests: Vec<InputFile>,
    /// Files of Rego.
    pub rego: Vec<InputFile>,
    /// Files of TOML.
    pub toml: Vec<InputFile>,
}

/// As [`list`], with files of Rego and of TOML, and with all that is in folders that have to be rendered: rules of
/// Rego are asked about what is written there, too.
pub fn list_sorted(paths: &[PathBuf], choice: Choice) -> (Sorted, Vec<Error>) {
    list_sorted_without(paths, choice, &Ignores::default())
}

/// The same, without what is to be ignored of folders.
pub fn list_sorted_without(paths: &[PathBuf], choice: Choice, ignores: &Ignores) -> (Sorted, Vec<Error>) {
    let ignores = ignores.clone();
    let listing = Listing { choice, others: &[REGO, TOML], enters_all: true, ignores, ..Listing::default() };
    let Found { files, problems, .. } = listed(listing, paths);
    let (mut sorted, is) = (Sorted::default(), |file: &InputFile, end| has_extension(&file.path, &[end]));
    for file in files {
        let sort = match () {
            () if is(&file, REGO) => &mut sorted.rego,
            () if is(&file, TOML) => &mut sorted.toml,
            () => &mut sorted.manifests,
        };
        sort.push(file);
    }
    (sorted, problems)
}

const REGO: &str = "rego";
const TOML: &str = "toml";

const EXTENSIONS: [&str; 5] = ["yaml", "yml", "json", "jsonl", "ndjson"];
const PACKED: &[&str] = &["gz", "zst"];

/// What there is below some paths.
pub(crate) struct Found {
    /// In the order given, directories sorted; no file twice.
    pub(crate) files: Vec<InputFile>,
    /// Folders of manifests that have to be rendered; what is in them is not among the files.
    pub(crate) folders: Vec<Folder>,
    pub(crate) problems: Vec<Error>,
}

/// The files that some paths stand for, in the order given, directories sorted; no file twice. Folders that have
/// to be rendered are errors.
pub fn list(paths: &[PathBuf], choice: Choice) -> (Vec<InputFile>, Vec<Error>) {
    list_without(paths, choice, &Ignores::default())
}

/// The same, without what is to be ignored of folders.
pub fn list_without(paths: &[PathBuf], choice: Choice, ignores: &Ignores) -> (Vec<InputFile>, Vec<Error>) {
    let Found { files, folders, mut problems } = find(paths, choice, ignores);
    problems.extend(Folder::not_judged(&folders));
    (files, problems)
}

pub(crate) fn find(paths: &[PathBuf], choice: Choice, ignores: &Ignores) -> Found {
    listed(Listing { choice, ignores: ignores.clone(), ..Listing::default() }, paths)
}

fn listed(mut listing: Listing, paths: &[PathBuf]) -> Found {
    for path in paths {
        if !is_stdin(path) || listing.choice == Choice::Suites {
            listing.add(path);
        }
    }
    let Listing { files, folders, problems, .. } = listing;
    Found { files, folders, problems }
}

struct Listing {
    choice: Choice,
    /// How files may end beside manifests.
    others: &'static [&'static str],
    /// Whether folders that have to be rendered are gone into.
    enters_all: bool,
    files: Vec<InputFile>,
    /// Those that have to be rendered.
    folders: Vec<Folder>,
    problems: Vec<Error>,
    /// Files by their real path.
    seen: BTreeSet<PathBuf>,
    /// Directories that a link below them leads back to.
    loops: BTreeSet<PathBuf>,
    /// How many files of a repository's own `.git` are named like manifests.
    in_git: usize,
    /// What is left out of folders.
    ignores: Ignores,
}

impl Default for Listing {
    fn default() -> Self {
        Self {
            choice: Choice::Manifests,
            others: &[],
            enters_all: false,
            files: Vec::new(),
            folders: Vec::new(),
            problems: Vec::new(),
            seen: BTreeSet::new(),
            loops: BTreeSet::new(),
            in_git: 0,
            ignores: Ignores::default(),
        }
    }
}

impl Listing {
    fn add(&mut self, path: &Path) {
        if let Some(problem) = elsewhere::problem_of(path) {
            self.problems.push(problem);
            return;
        }
        let below = path.file_name().is_some_and(|name| name == "...");
        let (root, depth) = match self.choice {
            Choice::Suites if below => (path.parent().unwrap_or(path), None),
            Choice::Suites => (path, Some(1)),
            Choice::Manifests | Choice::Dumps | Choice::Policies | Choice::Watched { .. } => (path, None),
        };
        let root = if root.as_os_str().is_empty() { Path::new(".") } else { root };
        match fs::metadata(root) {
            // It was never saved: an editor has it.
            Err(_) if open::text_of(root).is_some() => self.push(root),
            Err(error) => {
                let name = InputFile::new(root).name;
                let mut problem = read_error(&name, &error);
                if error.kind() == io::ErrorKind::NotFound && name.contains(['*', '?']) {
                    problem = problem.hint("patterns are not expanded here; name the directory");
                }
                self.problems.push(problem);
            }
            Ok(metadata) if metadata.is_dir() => self.directory(root, depth),
            Ok(_) if below => {
                let name = InputFile::new(root).name;
                let message = "`/...` means everything below a directory, but this is a file";
                self.problems.push(unreadable(&name, ErrorKind::Unreadable, message));
            }
            Ok(metadata) => match special(metadata.file_type()) {
                // Somebody else's pipe: a watch of files cannot wait for it.
                Some(special) if matches!(self.choice, Choice::Watched { .. }) => self.no_file(root, special),
                _ => self.push(root),
            },
        }
    }

    /// Something named like a manifest that is none.
    fn no_file(&mut self, path: &Path, special: Special) {
        let name = InputFile::new(path).name;
        let message = format!("expected a file, found {special}: it is not read");
        self.problems.push(unreadable(&name, ErrorKind::Unreadable, message));
    }

    /// All of a directory. That there is nothing in it to read is worth a word: it may not be the one that
    /// was meant.
    fn directory(&mut self, root: &Path, depth: Option<usize>) {
        let before = (self.files.len(), self.problems.len());
        let is_rendered = self.choice == Choice::Manifests && !self.enters_all;
        if let Some(folder) = is_rendered.then(|| Folder::at(root)).flatten() {
            self.push_folder(folder);
            return;
        }
        let found = self.walk(root, depth);
        let name = InputFile::new(root).name;
        if self.in_git > 0 {
            let message = format!(
                "files in `.git` that are named like manifests are not read: {} of them",
                self.in_git
            );
            let warning = Error::warning(ErrorKind::Unreadable, message);
            self.problems.push(warning.at(whole(&name)).hint("name them to have them read"));
            self.in_git = 0;
        }
        if !found && self.choice != Choice::Suites && before == (self.files.len(), self.problems.len()) {
            let message = "there is no file in this directory that is named like a manifest";
            let hint = format!(
                "what is read of a directory ends in {}",
                EXTENSIONS.map(|end| format!("`.{end}`")).join(", ")
            );
            self.problems.push(Error::warning(ErrorKind::Unreadable, message).at(whole(&name)).hint(hint));
        }
    }

    fn push_folder(&mut self, folder: Folder) {
        let real = fs::canonicalize(&folder.path).unwrap_or_else(|_| folder.path.clone());
        if self.seen.insert(real) {
            self.folders.push(folder);
        }
    }

    fn push(&mut self, path: &Path) {
        // What cannot be resolved cannot be opened either, and is reported then. Pipes have no real path.
        let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if self.seen.insert(real) {
            self.files.push(InputFile::new(path));
        }
    }

    /// Whether anything named like a manifest is there.
    fn walk(&mut self, root: &Path, depth: Option<usize>) -> bool {
        let choice = self.choice;
        let finds_folders = choice == Choice::Manifests && !self.enters_all;
        // Who walks decides for itself what is gone into, and only tells.
        let folders = Arc::new(Mutex::new(Vec::new()));
        let kept = folders.clone();
        let keep = move |folder: Folder| match kept.lock() {
            Ok(mut kept) => kept.push(folder),
            Err(poisoned) => poisoned.into_inner().push(folder),
        };
        let (ignores, others) = (self.ignores.clone(), self.others);
        let ignored = Arc::new(AtomicBool::new(false));
        let has_ignored = ignored.clone();
        let walk = WalkBuilder::new(root)
            .standard_filters(false)
            .follow_links(true)
            .max_depth(depth)
            .sort_by_file_name(|a, b| is_apart(a).cmp(&is_apart(b)).then_with(|| a.cmp(b)))
            .filter_entry(move |entry| {
                let is_samples =
                    || entry.file_name() == "samples" && entry.path().with_file_name("suite.yaml").exists();
                let policies = matches!(choice, Choice::Policies | Choice::Watched { policies: true });
                let watched = matches!(choice, Choice::Watched { .. });
                if entry.depth() == 0 {
                    return true;
                }
                let is_directory = || entry.file_type().is_some_and(|file_type| file_type.is_dir());
                let is_read = || is_directory() || is_named_to_be_read(entry.path(), choice, others);
                if ignores.leaves_out(entry.path(), is_directory(), is_read()) {
                    has_ignored.store(true, Ordering::Relaxed);
                    return false;
                }
                let is_manifests = finds_folders && is_directory();
                if let Some(folder) = is_manifests.then(|| Folder::at(entry.path())).flatten() {
                    keep(folder);
                    return false;
                }
                !((policies && is_samples()) || (watched && is_mounted_version(entry.path())))
            })
            .build();
        let mut found = false;
        for entry in walk {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    self.walk_error(&error);
                    continue;
                }
            };
            if !is_named_to_be_read(entry.path(), choice, self.others) {
                continue;
            }
            let Some(file_type) = entry.file_type().filter(|file_type| !file_type.is_dir()) else { continue };
            // Of one that changes nothing, or the folder would have to be rendered.
            if finds_folders && is_kustomization_file(entry.path()) {
                continue;
            }
            found = true;
            if is_in_git(root, entry.path()) {
                self.in_git += 1;
            } else if let Some(special) = special(file_type) {
                self.no_file(entry.path(), special);
            } else {
                self.push(entry.path());
            }
        }
        let folders = match folders.lock() {
            Ok(mut kept) => std::mem::take(&mut *kept),
            Err(poisoned) => std::mem::take(&mut *poisoned.into_inner()),
        };
        // That all is left out is said where it is counted.
        found |= !folders.is_empty() || ignored.load(Ordering::Relaxed);
        for folder in folders {
            self.push_folder(folder);
        }
        found
    }

    fn walk_error(&mut self, error: &ignore::Error) {
        match unwrapped(error) {
            (_, ignore::Error::Loop { ancestor, child }) => {
                let real = fs::canonicalize(ancestor).unwrap_or_else(|_| ancestor.clone());
                if self.loops.insert(real) {
                    let name = InputFile::new(child).name;
                    let target = InputFile::new(ancestor).name;
                    let message = format!("this link leads back to `{target}`, which it is in");
                    let problem = unreadable(&name, ErrorKind::Unreadable, message);
                    self.problems
                        .push(problem.hint("remove the link, or name the files instead of the directory"));
                }
            }
            (path, ignore::Error::Io(error)) => {
                let name = path.map(|path| InputFile::new(path).name).unwrap_or_default();
                self.problems.push(read_error(&name, error));
            }
            (path, other) => {
                let name = path.map(|path| InputFile::new(path).name).unwrap_or_default();
                let message = format!("the directory could not be searched: {other}");
                self.problems.push(unreadable(&name, ErrorKind::Unreadable, message));
            }
        }
    }
}

/// Names that come last in their directory: where others lead to the same files, those are what messages say.
fn is_apart(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b"..")
}

/// Whether this is how Kubernetes keeps the versions of a volume that it mounts: `..data`, a link, leads to
/// the directory `..2026_…` beside it, and links beside both lead to the files through it.
fn is_mounted_version(path: &Path) -> bool {
    let Some(name) = path.file_name().filter(|name| is_apart(name)) else { return false };
    let is_link = |path: &Path| fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink());
    let is_version = || name.as_encoded_bytes().get(2).is_some_and(u8::is_ascii_digit);
    let data = path.with_file_name("..data");
    match name.to_str() {
        Some("..data" | "..data_tmp") => is_link(path),
        _ => is_version() && is_link(&data) && fs::metadata(path).is_ok_and(|metadata| metadata.is_dir()),
    }
}

/// Whether a file belongs to a repository's own `.git`: it is no part of what the repository holds.
fn is_in_git(root: &Path, path: &Path) -> bool {
    let below = path.strip_prefix(root).unwrap_or(path);
    below.parent().is_some_and(|parent| parent.components().any(|part| part.as_os_str() == ".git"))
}

/// The cause of a walk error, and the path it is about.
fn unwrapped(error: &ignore::Error) -> (Option<&Path>, &ignore::Error) {
    match error {
        ignore::Error::WithDepth { err, .. } | ignore::Error::WithLineNumber { err, .. } => unwrapped(err),
        ignore::Error::WithPath { path, err } => {
            let (inner, cause) = unwrapped(err);
            (inner.or(Some(path)), cause)
        }
        other => (None, other),
    }
}

/// Whether a file of a folder is read, by its name.
fn is_named_to_be_read(path: &Path, choice: Choice, others: &[&str]) -> bool {
    let is_packed = choice == Choice::Dumps && has_extension(path, PACKED);
    is_packed || has_extension(path, others) || has_extension(path, &EXTENSIONS)
}

/// Whether a file is named like a manifest.
pub(crate) fn is_manifest_name(path: &Path) -> bool {
    has_extension(path, &EXTENSIONS)
}

fn has_extension(path: &Path, known: &[&str]) -> bool {
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    extension.is_some_and(|extension| known.contains(&&*extension))
}

/// A file as a whole.
fn whole(name: &str) -> Location {
    Location::new(Source::new(name, ""), 0..0)
}
