//! The one place that writes files of others: below a folder of our own, each path once, within bounds.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::io::{Read, Write as _};
use std::path::{Path, PathBuf};

use crate::digest;
use crate::error::{RemoteError, RemoteErrorKind, local};
use crate::options::Bounds;

/// Most bytes of a path, and of one of its parts: what file systems take.
const LONGEST_PATH: usize = 1024;
const LONGEST_NAME: usize = 255;
/// Most parts of a path.
const DEEPEST: usize = 64;

/// A path below a folder, with slashes. It leads nowhere else, whatever the system.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Inside(String);

impl Inside {
    /// Reads a path; `None` if it is that of the folder itself.
    pub(crate) fn parse(text: &str) -> Result<Option<Self>, RemoteError> {
        let wrong = |what: &str| {
            Err(RemoteError::new(
                RemoteErrorKind::Unusable,
                format!("the path `{text}` {what}: nothing of it is used"),
            ))
        };
        if text.len() > LONGEST_PATH {
            return wrong("is too long");
        }
        if text.starts_with('/') {
            return wrong("leads out of the folder");
        }
        if text.contains('\\') || text.contains(':') || text.chars().any(char::is_control) {
            return wrong("has `\\`, `:` or what cannot be shown in it");
        }
        let mut parts = Vec::new();
        for part in text.split('/') {
            match part {
                "" | "." => {}
                ".." => return wrong("leads out of the folder"),
                part if part.len() > LONGEST_NAME => return wrong("is too long"),
                part => parts.push(part),
            }
        }
        if parts.len() > DEEPEST {
            return wrong("is too deep");
        }
        Ok((!parts.is_empty()).then(|| Self(parts.join("/"))))
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it lies below a folder.
    pub(crate) fn is_below(&self, folder: &Self) -> bool {
        self.0.strip_prefix(&folder.0).is_some_and(|rest| rest.starts_with('/'))
    }
}

/// A folder that is being filled.
pub(crate) struct Filling<'a> {
    root: &'a Path,
    bounds: Bounds,
    files: BTreeSet<Inside>,
    folders: BTreeSet<String>,
    bytes: u64,
}

impl<'a> Filling<'a> {
    /// An empty folder of our own.
    pub(crate) const fn new(root: &'a Path, bounds: Bounds) -> Self {
        Self { root, bounds, files: BTreeSet::new(), folders: BTreeSet::new(), bytes: 0 }
    }

    /// How many files there are.
    pub(crate) fn files(&self) -> usize {
        self.files.len()
    }

    /// How many bytes may still come.
    pub(crate) const fn left(&self) -> u64 {
        self.bounds.unpacked.saturating_sub(self.bytes)
    }

    /// Writes a file, and says how many bytes it has. A reader that fails says why by itself.
    pub(crate) fn write(&mut self, path: &Inside, from: impl Read) -> Result<u64, RemoteError> {
        if self.files.contains(path) || self.folders.contains(path.as_str()) {
            let message = format!("there are two files of the path `{}`", path.as_str());
            return Err(RemoteError::new(RemoteErrorKind::Unusable, message));
        }
        let mut folder = String::new();
        let mut parts = path.as_str().split('/').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                break;
            }
            if !folder.is_empty() {
                folder.push('/');
            }
            folder.push_str(part);
            self.enter(&folder)?;
        }
        self.count()?;
        self.files.insert(path.clone());
        let name = path.as_str();
        let file = self.root.join(name);
        let unwritten = |error: &std::io::Error| local(&format!("`{name}` cannot be written"), error);
        let mut opened =
            OpenOptions::new().write(true).create_new(true).open(&file).map_err(|error| unwritten(&error))?;
        let left = self.left();
        let (count, _) = digest::copy(from, &mut opened, left).map_err(|error| unread(name, &error))?;
        if count > left {
            return Err(too_much(self.bounds.unpacked));
        }
        opened.flush().map_err(|error| unwritten(&error))?;
        self.bytes = self.bytes.saturating_add(count);
        Ok(count)
    }

    /// Counts a folder that an archive names.
    pub(crate) fn folder(&mut self, path: &Inside) -> Result<(), RemoteError> {
        let mut folder = String::new();
        for part in path.as_str().split('/') {
            if !folder.is_empty() {
                folder.push('/');
            }
            folder.push_str(part);
            self.enter(&folder)?;
        }
        Ok(())
    }

    fn enter(&mut self, folder: &str) -> Result<(), RemoteError> {
        if self.folders.contains(folder) {
            return Ok(());
        }
        if self.files.contains(&Inside(folder.to_owned())) {
            let message = format!("`{folder}` is a file and a folder");
            return Err(RemoteError::new(RemoteErrorKind::Unusable, message));
        }
        self.count()?;
        let path: PathBuf = self.root.join(folder);
        fs::create_dir(&path).map_err(|error| local(&format!("`{folder}` cannot be made"), &error))?;
        self.folders.insert(folder.to_owned());
        Ok(())
    }

    fn count(&self) -> Result<(), RemoteError> {
        if self.files.len() + self.folders.len() < self.bounds.files {
            return Ok(());
        }
        let message = format!("there are more than {} files and folders", self.bounds.files);
        Err(RemoteError::new(RemoteErrorKind::Limit, message))
    }
}

/// That there is too much.
pub(crate) fn too_much(most: u64) -> RemoteError {
    RemoteError::new(RemoteErrorKind::Limit, format!("it has more than {most} bytes when it is unpacked"))
}

/// Why a reader ended early. One of ours carries its reason.
pub(crate) fn unread(name: &str, error: &std::io::Error) -> RemoteError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<RemoteError>()) {
        Some(reason) => reason.clone(),
        None => RemoteError::new(RemoteErrorKind::Unusable, format!("`{name}` cannot be read: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_nowhere_else() {
        let path = |text: &str| Inside::parse(text).map(|path| path.map(|path| path.0));
        assert_eq!(path("a/./b//c.yaml"), Ok(Some("a/b/c.yaml".to_owned())));
        assert_eq!(path("./"), Ok(None));
        let (long, deep, name) = ("a/".repeat(600), "a/".repeat(65), "a".repeat(256));
        for wrong in
            ["/a", "../a", "a/../../b", "a/..", "a\\b", "C:/a", "a\nb", "a\u{1b}b", &*long, &*deep, &*name]
        {
            assert!(path(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn files_are_written_once_and_within_bounds() {
        let root = tempfile::tempdir().unwrap();
        let bounds = Bounds { unpacked: 10, files: 5, ..Bounds::default() };
        let mut filling = Filling::new(root.path(), bounds);
        let path = |text: &str| Inside::parse(text).unwrap().unwrap();
        filling.write(&path("a/b"), &b"12345"[..]).unwrap();
        let kind = |result: Result<u64, RemoteError>| result.unwrap_err().kind();
        assert_eq!(kind(filling.write(&path("a/b"), &b""[..])), RemoteErrorKind::Unusable);
        assert_eq!(kind(filling.write(&path("a"), &b""[..])), RemoteErrorKind::Unusable);
        assert_eq!(kind(filling.write(&path("a/b/c"), &b""[..])), RemoteErrorKind::Unusable);
        assert_eq!(kind(filling.write(&path("c"), &b"123456"[..])), RemoteErrorKind::Limit);
        filling.write(&path("d"), &b"12345"[..]).unwrap();
        filling.write(&path("e"), &b""[..]).unwrap();
        assert_eq!(kind(filling.write(&path("f"), &b""[..])), RemoteErrorKind::Limit);
        assert_eq!(filling.files(), 4);
    }
}
