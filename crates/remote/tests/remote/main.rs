//! Artifacts of a real registry and of one that lies, signatures of openssl, repositories of git.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    missing_docs,
    reason = "a test panics when it fails"
)]

mod git;
mod hostile;
mod registry;
#[allow(dead_code, reason = "the tests of the command line use all of it")]
mod servers;
mod signatures;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use portcullis_remote::{Artifact, Options, Reference, RemoteError, RemoteErrorKind};

/// The files below a folder, and their texts.
fn files(folder: &Path) -> BTreeMap<String, String> {
    fn add(root: &Path, folder: &Path, files: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                add(root, &path, files);
            } else {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                files.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    add(folder, folder, &mut found);
    found
}

fn texts(files: &[(&str, &str)]) -> BTreeMap<String, String> {
    files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

fn options() -> Options {
    Options { timeout: Duration::from_mins(1), ..Options::default() }
}

fn reference(text: &str) -> Reference {
    Reference::parse(text).unwrap()
}

/// What is in an artifact.
fn pulled(text: &str, options: &Options) -> Result<BTreeMap<String, String>, RemoteError> {
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("target");
    let result = Artifact::find(&reference(text), options).and_then(|artifact| artifact.pull_to(&target));
    match result {
        Ok(pulled) => {
            let files = files(&target);
            assert_eq!(files.len(), pulled.files);
            Ok(files)
        }
        Err(error) => {
            // Nothing is left, neither the folder nor a half of it.
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "{error}");
            Err(error)
        }
    }
}

#[track_caller]
fn refused(text: &str, options: &Options) -> (RemoteErrorKind, String) {
    let error = pulled(text, options).unwrap_err();
    (error.kind(), error.to_string())
}
