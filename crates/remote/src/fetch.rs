//! Sources of one run, as folders: each is fetched once, looked at by lock and key, and there until the run ends.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use crate::error::{RemoteError, RemoteErrorKind, local};
use crate::git::{Commit, Contents};
use crate::lock::{Lock, Pin};
use crate::options::Options;
use crate::pull::{Artifact, temporary};
use crate::signature::Key;
use crate::source::{GitSource, Source};

/// A source that was fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The folder, or the file.
    pub path: PathBuf,
    /// What messages say, with its digest or commit.
    pub name: String,
    /// What it is.
    pub pin: Pin,
}

/// Fetches sources. What was fetched goes when this does.
pub struct Fetcher {
    options: Options,
    keys: Vec<Key>,
    lock: Lock,
    room: Option<tempfile::TempDir>,
    done: BTreeMap<Source, Result<Fetched, RemoteError>>,
    unlisted: Vec<String>,
}

impl Fetcher {
    /// With keys, one of them has to have signed each source.
    #[must_use]
    pub const fn new(options: Options, keys: Vec<Key>, lock: Lock) -> Self {
        Self { options, keys, lock, room: None, done: BTreeMap::new(), unlisted: Vec::new() }
    }

    /// Fetches a source, if that was not done before.
    ///
    /// # Errors
    ///
    /// Whatever keeps it from being used. Then nothing of it is.
    pub fn fetch(&mut self, source: &Source) -> Result<Fetched, RemoteError> {
        if let Some(known) = self.done.get(source) {
            return known.clone();
        }
        let result = self.fetch_anew(source);
        self.done.insert(source.clone(), result.clone());
        result
    }

    /// Sources that are not in a lock file that is there.
    #[must_use]
    pub fn unlisted(&self) -> &[String] {
        &self.unlisted
    }

    /// Writes the lock file, if that is asked for and all could be fetched.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn finish(&self) -> Result<(), RemoteError> {
        if self.done.values().any(Result::is_err) { Ok(()) } else { self.lock.write() }
    }

    fn fetch_anew(&mut self, source: &Source) -> Result<Fetched, RemoteError> {
        let key = source.to_string();
        if !source.is_pinned() && self.lock.before(&key)? {
            self.unlisted.push(key.clone());
        }
        let folder = self.folder()?;
        match source {
            Source::Artifact(reference) => {
                let artifact = Artifact::find(reference, &self.options)?;
                let pin = Pin::Digest(artifact.digest().clone());
                self.check(source, &key, &pin)?;
                if !self.keys.is_empty() {
                    artifact.verify(&self.keys)?;
                }
                artifact.pull_into(&folder)?;
                Ok(Fetched { path: folder, name: reference.at(artifact.digest()), pin })
            }
            Source::Git(git) => {
                if !self.keys.is_empty() {
                    let message =
                        format!("`{key}` cannot be verified: `--verify-key` is for artifacts of registries");
                    return Err(RemoteError::new(RemoteErrorKind::Signature, message)
                        .hint("push the folder as an artifact and sign that, or fetch the repository without `--verify-key`"));
                }
                self.commit(git, source, &key, folder).map_err(|error| match error.kind() {
                    RemoteErrorKind::Lock => error,
                    _ => error.of(&format!("`{key}`")),
                })
            }
        }
    }

    fn commit(
        &mut self,
        git: &GitSource,
        source: &Source,
        key: &str,
        folder: PathBuf,
    ) -> Result<Fetched, RemoteError> {
        let commit = Commit::fetch(git, &self.options)?;
        let pin = Pin::Commit(commit.name.clone());
        self.check(source, key, &pin)?;
        let contents = commit.files_into(&folder)?;
        let name = git.at(&commit.name);
        // One file is what was named, and not the folder that it was put into.
        let file = git.folder.as_ref().and_then(|path| path.as_str().rsplit('/').next());
        let path = match (contents, file) {
            (Contents::File, Some(file)) => folder.join(file),
            _ => folder,
        };
        Ok(Fetched { path, name, pin })
    }

    fn check(&mut self, source: &Source, key: &str, pin: &Pin) -> Result<(), RemoteError> {
        if source.is_pinned() { Ok(()) } else { self.lock.check(key, pin) }
    }

    /// A folder for one source.
    fn folder(&mut self) -> Result<PathBuf, RemoteError> {
        let room = match &mut self.room {
            Some(room) => room,
            none => none.insert(temporary(self.options.temp_dir.as_deref())?),
        };
        let folder = room.path().join(self.done.len().to_string());
        fs::create_dir(&folder).map_err(|error| local("a temporary folder cannot be made", &error))?;
        Ok(folder)
    }
}
