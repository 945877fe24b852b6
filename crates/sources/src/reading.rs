//! One file: what it is called, and its bytes.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

use portcullis::{Document, Error, ErrorKind, Limits};

use super::elsewhere;
use super::open;
use super::patience::with_patience;
use super::special::special;
use super::system::reason;
use super::{show_size, unreadable};

/// A file to read, and what messages call it.
#[derive(Clone, Debug)]
pub struct InputFile {
    /// What is opened.
    pub path: PathBuf,
    /// What messages say.
    pub name: String,
}

impl InputFile {
    /// A file that is called by its path, or by where it was fetched from. Slashes are slashes on every system, so that
    /// reports are equal.
    pub fn new(path: &Path) -> Self {
        let name = elsewhere::name_of(path).unwrap_or_else(|| without_detours(path).display().to_string());
        let name = if cfg!(windows) { name.replace('\\', "/") } else { name };
        Self { path: path.to_owned(), name }
    }
}

/// `a/../b/./c` as `b/c`. Only to be shown: with links, it may be another file.
fn without_detours(path: &Path) -> PathBuf {
    let mut short = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(short.components().next_back(), Some(Component::Normal(_))) => {
                short.pop();
            }
            other => short.push(other),
        }
    }
    if short.as_os_str().is_empty() { path.to_owned() } else { short }
}

/// Reads the documents of a file.
pub fn read_file(file: &InputFile, limits: &Limits) -> (Vec<Document>, Vec<Error>) {
    match read_bytes(file, limits) {
        Ok(bytes) => Document::read_bytes(&file.name, bytes, limits),
        Err(error) => (Vec::new(), vec![error]),
    }
}

/// Reads a file, unless it is too large.
pub fn read_bytes(file: &InputFile, limits: &Limits) -> Result<Vec<u8>, Error> {
    if let Some(text) = open::text_of(&file.path) {
        return if text.len() > limits.source_bytes {
            Err(too_large(&file.name, Some(text.len() as u64), limits))
        } else {
            Ok(text.as_bytes().to_vec())
        };
    }
    // Asked before it is opened: to open a pipe may take for ever.
    let metadata = fs::metadata(&file.path).map_err(|error| read_error(&file.name, &error))?;
    if special(metadata.file_type()).is_some() {
        return with_patience(&file.name, || {
            let opened = File::open(&file.path).map_err(|error| read_error(&file.name, &error))?;
            read_limited(opened, &file.name, limits)
        });
    }
    let opened = File::open(&file.path).map_err(|error| read_error(&file.name, &error))?;
    let metadata = opened.metadata().map_err(|error| read_error(&file.name, &error))?;
    if metadata.is_dir() {
        return Err(unreadable(&file.name, ErrorKind::Unreadable, "expected a file, found a directory"));
    }
    if metadata.len() > limits.source_bytes as u64 {
        return Err(too_large(&file.name, Some(metadata.len()), limits));
    }
    read_limited(opened, &file.name, limits)
}

/// Reads a stream of unknown length, but no more than is allowed.
pub fn read_limited(stream: impl io::Read, name: &str, limits: &Limits) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    let allowed = limits.source_bytes as u64;
    stream.take(allowed + 1).read_to_end(&mut bytes).map_err(|error| read_error(name, &error))?;
    if bytes.len() as u64 > allowed { Err(too_large(name, None, limits)) } else { Ok(bytes) }
}

fn too_large(name: &str, bytes: Option<u64>, limits: &Limits) -> Error {
    let allowed = show_size(limits.source_bytes as u64);
    let message = match bytes {
        Some(bytes) => format!("the file has {}, more than the {allowed} that are read", show_size(bytes)),
        None => format!("the input has more than the {allowed} that are read"),
    };
    unreadable(name, ErrorKind::Limit, message).hint("if it is a manifest, raise the limit with `--max-size`")
}

pub(crate) fn read_error(name: &str, error: &io::Error) -> Error {
    let message = match error.kind() {
        io::ErrorKind::NotFound => "there is no such file or directory".to_owned(),
        io::ErrorKind::PermissionDenied => "there is no permission to read this".to_owned(),
        _ => format!("cannot be read: {}", reason(error)),
    };
    unreadable(name, ErrorKind::Unreadable, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_take_no_detours() {
        let name = |path: &str| InputFile::new(Path::new(path)).name;
        assert_eq!(name("./a/../b/./c.yaml"), "b/c.yaml");
        assert_eq!(name("../../a.yaml"), "../../a.yaml");
        assert_eq!(name("/a/../b.yaml"), "/b.yaml");
        assert_eq!(name("."), ".");
    }
}
