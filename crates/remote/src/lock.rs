//! Which digest or commit each source had: `portcullis.lock`.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::error::{RemoteError, RemoteErrorKind, local};
use crate::source::is_commit;

/// What a source was, once and for all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pin {
    /// Of an artifact.
    Digest(Digest),
    /// Of a repository.
    Commit(String),
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest(digest) => write!(f, "{digest}"),
            Self::Commit(commit) => write!(f, "commit {commit}"),
        }
    }
}

/// What is done with a lock file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockMode {
    /// If there is one, what it lists has to be as it says.
    IfThere,
    /// It has to be there, and what it lists has to be as it says.
    Named,
    /// It has to be there and list every source.
    Locked,
    /// What is found is written into it.
    Update,
}

/// A lock file.
#[derive(Clone, Debug)]
pub struct Lock {
    file: PathBuf,
    mode: LockMode,
    is_there: bool,
    sources: BTreeMap<String, Pin>,
    is_changed: bool,
}

const LARGEST: u64 = 4 << 20;
const HEAD: &str = "\
# Which version of each source policies were taken from. `portcullis … --update-lock` writes it; with it, a source
# that is another one is an error.
";

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: u64,
    sources: Vec<Line>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Line {
    source: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    digest: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    commit: Option<String>,
}

impl Lock {
    /// Reads a lock file.
    ///
    /// # Errors
    ///
    /// If it has to be there and is not, or cannot be read.
    pub fn read(file: &Path, mode: LockMode) -> Result<Self, RemoteError> {
        let shown = file.display();
        let mut text = String::new();
        // Nobody named it: it must not be a pipe that is waited for.
        if fs::metadata(file).is_ok_and(|metadata| !metadata.is_file()) {
            return Err(RemoteError::new(RemoteErrorKind::Lock, format!("`{shown}` is no file")));
        }
        let read = fs::File::open(file).and_then(|opened| opened.take(LARGEST).read_to_string(&mut text));
        let is_there = match read {
            Ok(_) => true,
            Err(error) if error.kind() == ErrorKind::NotFound => false,
            Err(error) => return Err(local(&format!("`{shown}` cannot be read"), &error)),
        };
        if !is_there && matches!(mode, LockMode::Named | LockMode::Locked) {
            return Err(RemoteError::new(RemoteErrorKind::Lock, format!("there is no lock file `{shown}`"))
                .hint("`--update-lock` writes one"));
        }
        let sources = if is_there { sources(&text, &shown.to_string())? } else { BTreeMap::new() };
        Ok(Self { file: file.to_owned(), mode, is_there, sources, is_changed: false })
    }

    /// Before a source is fetched: an error if it has to be listed and is not; whether it is worth a word that it is not.
    pub(crate) fn before(&self, source: &str) -> Result<bool, RemoteError> {
        let is_missing = !self.sources.contains_key(source);
        match self.mode {
            LockMode::Locked if is_missing => {
                let message = format!("`{source}` is not in `{}`: it is not fetched", self.file.display());
                Err(RemoteError::new(RemoteErrorKind::Lock, message)
                    .hint("`--update-lock` in the place of `--locked` adds it"))
            }
            LockMode::Update => Ok(false),
            LockMode::IfThere | LockMode::Named | LockMode::Locked => Ok(is_missing && self.is_there),
        }
    }

    /// When it is known what a source is: an error if it was another.
    pub(crate) fn check(&mut self, source: &str, pin: &Pin) -> Result<(), RemoteError> {
        if self.mode == LockMode::Update {
            if self.sources.get(source) != Some(pin) {
                self.sources.insert(source.to_owned(), pin.clone());
                self.is_changed = true;
            }
            return Ok(());
        }
        match self.sources.get(source).filter(|known| *known != pin) {
            None => Ok(()),
            Some(known) => {
                let message = format!(
                    "`{source}` is now {pin}, and was {known} by `{}`: nothing of it is used",
                    self.file.display()
                );
                let hint = format!(
                    "`--update-lock` takes what it is now; or name what it was: `{}`",
                    named(source, known)
                );
                Err(RemoteError::new(RemoteErrorKind::Lock, message).hint(hint))
            }
        }
    }

    /// Writes what was found, if that is asked for and anything is different. The file is there as a whole, or as it was.
    ///
    /// # Errors
    ///
    /// If it cannot be written.
    pub fn write(&self) -> Result<(), RemoteError> {
        if self.mode != LockMode::Update || (!self.is_changed && self.is_there) {
            return Ok(());
        }
        let lines = self.sources.iter().map(|(source, pin)| {
            let (digest, commit) = match pin {
                Pin::Digest(digest) => (Some(digest.to_string()), None),
                Pin::Commit(commit) => (None, Some(commit.clone())),
            };
            Line { source: source.clone(), digest, commit }
        });
        let file = File { version: 1, sources: lines.collect() };
        let shown = self.file.display();
        let text = serde_yaml::to_string(&file).map_err(|error| {
            RemoteError::new(RemoteErrorKind::Local, format!("`{shown}` cannot be written: {error}"))
        })?;
        let unwritten = |error: &std::io::Error| local(&format!("`{shown}` cannot be written"), error);
        let beside = match self.file.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        // A new file, so that nobody's link is written through.
        let mut builder = tempfile::Builder::new();
        builder.prefix(".portcullis-");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            builder.permissions(fs::Permissions::from_mode(0o644));
        }
        let mut written = builder.tempfile_in(beside).map_err(|error| unwritten(&error))?;
        written.write_all(format!("{HEAD}{text}").as_bytes()).map_err(|error| unwritten(&error))?;
        written.persist(&self.file).map_err(|error| unwritten(&error.error))?;
        Ok(())
    }
}

fn named(source: &str, pin: &Pin) -> String {
    match pin {
        Pin::Digest(digest) => format!("{source}@{digest}"),
        Pin::Commit(commit) => format!("{}?ref={commit}", source.split('?').next().unwrap_or_default()),
    }
}

fn sources(text: &str, shown: &str) -> Result<BTreeMap<String, Pin>, RemoteError> {
    let wrong = |what: &dyn fmt::Display| {
        RemoteError::new(RemoteErrorKind::Lock, format!("`{shown}` is no lock file: {what}"))
            .hint("remove it, and write it anew with `--update-lock`")
    };
    let file: File = serde_yaml::from_str(text).map_err(|error| wrong(&error))?;
    if file.version != 1 {
        return Err(wrong(&format!("its version is {}, and 1 is known here", file.version)));
    }
    let mut sources = BTreeMap::new();
    for Line { source, digest, commit } in file.sources {
        let pin = match (digest, commit) {
            (Some(digest), None) => Digest::parse(&digest).map(Pin::Digest),
            (None, Some(commit)) => is_commit(&commit).then_some(Pin::Commit(commit)),
            _ => None,
        };
        let Some(pin) = pin else {
            return Err(wrong(&format!("`{source}` needs a digest, `sha256:…`, or a commit, 40 digits")));
        };
        if sources.insert(source.clone(), pin).is_some() {
            return Err(wrong(&format!("`{source}` is in it twice")));
        }
    }
    Ok(sources)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_file_is_written_and_read() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("portcullis.lock");
        let (one, two) = (Pin::Digest(Digest::of(b"1")), Pin::Commit("a".repeat(40)));
        assert_eq!(Lock::read(&file, LockMode::Locked).unwrap_err().kind(), RemoteErrorKind::Lock);
        assert_eq!(Lock::read(&file, LockMode::Named).unwrap_err().kind(), RemoteErrorKind::Lock);
        assert!(!Lock::read(&file, LockMode::IfThere).unwrap().before("b").unwrap());
        let mut lock = Lock::read(&file, LockMode::Update).unwrap();
        lock.check("oci://b", &one).unwrap();
        lock.check("git+a", &two).unwrap();
        lock.write().unwrap();
        // It is a new file, and nothing lies beside it.
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
        assert!(Lock::read(folder.path(), LockMode::IfThere).is_err());
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.find("git+a").unwrap() < text.find("oci://b").unwrap(), "{text}");
        let mut lock = Lock::read(&file, LockMode::Locked).unwrap();
        assert!(!lock.before("oci://b").unwrap());
        lock.check("oci://b", &one).unwrap();
        lock.check("git+a", &two).unwrap();
        assert_eq!(lock.before("oci://c").unwrap_err().kind(), RemoteErrorKind::Lock);
        assert_eq!(lock.check("oci://b", &two).unwrap_err().kind(), RemoteErrorKind::Lock);
        // A lock file that is only there holds for what it lists.
        let mut lock = Lock::read(&file, LockMode::IfThere).unwrap();
        assert!(lock.before("oci://c").unwrap());
        assert_eq!(lock.check("git+a", &one).unwrap_err().kind(), RemoteErrorKind::Lock);
        // And what is updated keeps what was not asked about.
        let mut lock = Lock::read(&file, LockMode::Update).unwrap();
        lock.check("oci://b", &Pin::Digest(Digest::of(b"2"))).unwrap();
        lock.write().unwrap();
        Lock::read(&file, LockMode::Locked).unwrap().check("git+a", &two).unwrap();
    }

    #[test]
    fn what_is_no_lock_file_is_refused() {
        let digest = Digest::of(b"1");
        for wrong in [
            String::new(),
            "[]".to_owned(),
            "version: 2\nsources: []\n".to_owned(),
            "version: 1\n".to_owned(),
            "version: 1\nsources: []\nmore: 1\n".to_owned(),
            "version: 1\nsources: [{source: a}]\n".to_owned(),
            "version: 1\nsources: [{source: a, digest: sha256:1}]\n".to_owned(),
            "version: 1\nsources: [{source: a, commit: main}]\n".to_owned(),
            format!(
                "version: 1\nsources: [{{source: a, digest: '{digest}'}}, {{source: a, digest: '{digest}'}}]\n"
            ),
            format!("version: 1\nsources: [{{source: a, digest: '{digest}', commit: {}}}]\n", "a".repeat(40)),
        ] {
            assert_eq!(sources(&wrong, "x").unwrap_err().kind(), RemoteErrorKind::Lock, "{wrong}");
        }
    }
}
