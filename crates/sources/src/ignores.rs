//! Files that are left out of folders, by globs as in `.gitignore`, and how many these are: what is left out is
//! counted, so that it can be told.

use std::collections::BTreeSet;
use std::env;
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use ignore::gitignore::{Gitignore, GitignoreBuilder};

/// How many globs there may be, and how long each: they are compiled together.
const GLOBS: usize = 1000;
const GLOB_BYTES: usize = 1 << 10;

/// Globs as in `.gitignore`, relative to a folder.
#[derive(Clone, Debug)]
pub struct Globs {
    /// Absolute, without detours.
    root: PathBuf,
    current: PathBuf,
    matcher: Gitignore,
}

impl Globs {
    /// Globs that are relative to a folder, which may be relative to the working directory.
    ///
    /// # Errors
    ///
    /// What is wrong with each glob, by its number from 0.
    pub fn new<'a>(
        base: &Path,
        globs: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, Vec<(usize, String)>> {
        let current = env::current_dir().unwrap_or_default();
        let root = without_detours(&current.join(base));
        let mut builder = GitignoreBuilder::new(&root);
        let (mut wrong, mut last) = (Vec::new(), 0);
        for (number, glob) in globs.into_iter().enumerate() {
            last = number;
            if number >= GLOBS {
                wrong.push((number, format!("expected at most {GLOBS} globs")));
                break;
            }
            if glob.len() > GLOB_BYTES {
                wrong.push((number, format!("expected a glob of at most {GLOB_BYTES} bytes")));
            } else if let Some(why) = no_glob(glob) {
                wrong.push((number, why.to_owned()));
            } else if let Err(error) = builder.add_line(None, glob) {
                wrong.push((number, reason(&error)));
            }
        }
        if !wrong.is_empty() {
            return Err(wrong);
        }
        match builder.build() {
            Ok(matcher) => Ok(Self { root, current, matcher }),
            Err(error) => Err(vec![(last, reason(&error))]),
        }
    }

    /// Whether a path is meant: by itself, or because a folder is that it is in. What is not below the folder
    /// that the globs are relative to never is.
    #[must_use]
    pub fn is_match(&self, path: &Path, is_directory: bool) -> bool {
        let path = without_detours(&self.current.join(path));
        let Ok(below) = path.strip_prefix(&self.root) else { return false };
        !below.as_os_str().is_empty()
            && self.matcher.matched_path_or_any_parents(below, is_directory).is_ignore()
    }
}

/// What `.gitignore` would not take for a glob.
fn no_glob(text: &str) -> Option<&'static str> {
    match text {
        _ if text.trim().is_empty() => Some("expected a glob, found nothing"),
        _ if text.starts_with('#') => Some("a glob that begins with `#` is written `\\#`"),
        _ if text.contains(['\n', '\r']) => Some("expected a glob without a line break"),
        _ if text.starts_with("../") => {
            Some("a glob is about what is below the folder; it cannot begin with `..`")
        }
        _ => None,
    }
}

fn reason(error: &ignore::Error) -> String {
    let reason = error.to_string();
    format!("expected a glob: {}", reason.lines().next_back().unwrap_or_default().trim())
}

/// A path without `.` and `..`, by its text.
fn without_detours(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            other => clean.push(other),
        }
    }
    clean
}

/// What is left out of folders that are searched through. A file that is named is read in any case.
#[derive(Clone, Debug, Default)]
pub struct Ignores(Option<Arc<Inner>>);

#[derive(Debug)]
struct Inner {
    globs: Option<Globs>,
    /// Files of our own, which are no manifests; not counted.
    own: Vec<PathBuf>,
    left_out: Mutex<LeftOut>,
}

/// What was left out, each once, however often a folder was searched through.
#[derive(Debug, Default)]
struct LeftOut {
    files: BTreeSet<PathBuf>,
    folders: BTreeSet<PathBuf>,
}

impl Ignores {
    /// Leaves out what globs mean, and some files of our own.
    #[must_use]
    pub fn new(globs: Option<Globs>, own: Vec<PathBuf>) -> Self {
        if globs.is_none() && own.is_empty() {
            return Self::default();
        }
        let current = env::current_dir().unwrap_or_default();
        let own = own.iter().map(|path| without_detours(&current.join(path))).collect();
        Self(Some(Arc::new(Inner { globs, own, left_out: Mutex::default() })))
    }

    /// Whether this is to be left out, which is noted down if `counts`.
    pub(crate) fn leaves_out(&self, path: &Path, is_directory: bool, counts: bool) -> bool {
        let Some(inner) = &self.0 else { return false };
        if !is_directory && !inner.own.is_empty() {
            let current = env::current_dir().unwrap_or_default();
            if inner.own.contains(&without_detours(&current.join(path))) {
                return true;
            }
        }
        if !inner.globs.as_ref().is_some_and(|globs| globs.is_match(path, is_directory)) {
            return false;
        }
        if counts {
            let mut left_out = inner.left_out();
            let of = if is_directory { &mut left_out.folders } else { &mut left_out.files };
            of.insert(without_detours(path));
        }
        true
    }

    /// How many files and how many folders were left out by globs.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        let Some(inner) = &self.0 else { return (0, 0) };
        let left_out = inner.left_out();
        (left_out.files.len(), left_out.folders.len())
    }

    /// `2 files and 1 folder are ignored`; nothing if nothing is.
    #[must_use]
    pub fn line(&self) -> Option<String> {
        let count = |number: usize, one: &str| match number {
            1 => format!("1 {one}"),
            _ => format!("{number} {one}s"),
        };
        let (files, folders) = self.counts();
        let are = if files + folders == 1 { "is" } else { "are" };
        match (files, folders) {
            (0, 0) => None,
            (files, 0) => Some(format!("{} {are} ignored", count(files, "file"))),
            (0, folders) => Some(format!("{} {are} ignored", count(folders, "folder"))),
            _ => Some(format!("{} and {} {are} ignored", count(files, "file"), count(folders, "folder"))),
        }
    }
}

impl Inner {
    fn left_out(&self) -> MutexGuard<'_, LeftOut> {
        match self.left_out.lock() {
            Ok(left_out) => left_out,
            Err(poisoned) => poisoned.into_inner(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn globs(base: &str, globs: &[&str]) -> Globs {
        Globs::new(Path::new(base), globs.iter().copied()).unwrap()
    }

    #[test]
    fn globs_are_those_of_gitignore_relative_to_a_folder() {
        let globs = globs("a", &["*.tmp.yaml", "/top.yaml", "vendor/", "!keep.tmp.yaml", "**/x/y.yaml"]);
        let is = |path: &str| globs.is_match(Path::new(path), false);
        assert!(is("a/b/c.tmp.yaml") && is("./a/../a/c.tmp.yaml") && is("a/top.yaml"));
        assert!(is("a/q/vendor/deep/z.yaml") && is("a/1/2/x/y.yaml"));
        assert!(!is("a/b/top.yaml") && !is("a/keep.tmp.yaml") && !is("a/vendor"));
        // What is not below the folder is not meant.
        assert!(!is("c.tmp.yaml") && !is("b/c.tmp.yaml") && !is("../c.tmp.yaml") && !is("a"));
        assert!(globs.is_match(Path::new("a/vendor"), true));
    }

    #[test]
    fn what_is_no_glob_is_refused_with_its_number() {
        let wrong = Globs::new(Path::new(""), ["*.yaml", "", "# no", "[z-a]", "../x"]).unwrap_err();
        let numbers: Vec<usize> = wrong.iter().map(|(number, _)| *number).collect();
        assert_eq!(numbers, [1, 2, 3, 4], "{wrong:?}");
        let many = vec!["a*"; GLOBS + 5];
        assert_eq!(Globs::new(Path::new(""), many).unwrap_err().len(), 1);
        let long = "a".repeat(GLOB_BYTES + 1);
        assert_eq!(Globs::new(Path::new(""), [&*long]).unwrap_err().len(), 1);
    }
}
