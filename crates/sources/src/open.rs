//! Texts of files that an editor has open: they count, and not what is on the disk.
//!
//! Known to the whole process, as file systems are: whoever reads a file has to read the same. There are as many as
//! somebody has open, so that they are looked for one by one only if there are any.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

/// By the real path, which may be of a file that there is not yet.
static OPEN: RwLock<BTreeMap<PathBuf, Arc<str>>> = RwLock::new(BTreeMap::new());

fn real(path: &Path) -> PathBuf {
    let of_folder = || Some(path.parent()?.canonicalize().ok()?.join(path.file_name()?));
    let real = path.canonicalize().ok().or_else(of_folder);
    real.or_else(|| std::path::absolute(path).ok()).unwrap_or_else(|| path.to_owned())
}

/// From now on, a file has this text.
pub fn put(path: &Path, text: &Arc<str>) {
    OPEN.write().unwrap_or_else(PoisonError::into_inner).insert(real(path), text.clone());
}

/// From now on, a file has the text that is on the disk.
pub fn close(path: &Path) {
    OPEN.write().unwrap_or_else(PoisonError::into_inner).remove(&real(path));
}

/// The text of a file that is open.
pub(crate) fn text_of(path: &Path) -> Option<Arc<str>> {
    let open = OPEN.read().unwrap_or_else(PoisonError::into_inner);
    if open.is_empty() {
        return None;
    }
    open.get(&real(path)).cloned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

    use std::fs;

    use portcullis::Limits;

    use super::*;
    use crate::{InputFile, read_bytes};

    #[test]
    fn what_is_open_counts_and_not_what_is_on_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yaml");
        fs::write(&path, "on: disk\n").unwrap();
        let read = |path: &Path| read_bytes(&InputFile::new(path), &Limits::default()).unwrap();
        put(&path, &"in: editor\n".into());
        assert_eq!(read(&path), b"in: editor\n");
        assert_eq!(read(&folder.path().join("./a.yaml")), b"in: editor\n");
        let least = Limits { source_bytes: 3, ..Limits::default() };
        assert!(read_bytes(&InputFile::new(&path), &least).is_err());
        close(&path);
        assert_eq!(read(&path), b"on: disk\n");

        // One that there is not yet, and then is.
        let path = folder.path().join("b.yaml");
        put(&path, &"in: editor\n".into());
        assert_eq!(read(&path), b"in: editor\n");
        let (files, problems) = crate::list(std::slice::from_ref(&path), crate::Choice::Manifests);
        assert_eq!((files.len(), problems.len()), (1, 0));
        fs::write(&path, "on: disk\n").unwrap();
        close(&path);
        assert_eq!(read(&path), b"on: disk\n");
    }
}
