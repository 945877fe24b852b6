//! Files that are edited where they are: which may be, and how they are written.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use portcullis_sources as read;

/// The bytes before the text: a byte order mark, or nothing.
const MARK: &str = "\u{feff}";

/// Whether a file may be written: it is one of those that were named or are below a folder that was, and no
/// link to another one. Says why, if not.
pub fn may_be_written<'a>(
    path: &Path,
    mut given: impl Iterator<Item = &'a PathBuf>,
) -> Result<(), &'static str> {
    if read::elsewhere::name_of(path).is_some() {
        return Err("it was fetched, and is no file of yours");
    }
    let unreadable = "it cannot be read any more";
    let kind = fs::symlink_metadata(path).map_err(|_| unreadable)?;
    if !kind.is_file() {
        return Err("it is a link or something else that is no plain file");
    }
    let own = fs::canonicalize(path).map_err(|_| unreadable)?;
    let is_inside = given.any(|given| {
        !read::is_stdin(given) && fs::canonicalize(given).is_ok_and(|given| own.starts_with(given))
    });
    if is_inside { Ok(()) } else { Err("a link leads to it, out of the folders that were named") }
}

/// Whether a file has the text that was read from it, with its mark or without.
pub fn is_unchanged(path: &Path, old: &str) -> Result<(), String> {
    let now = fs::read(path).map_err(|error| read::reason(&error))?;
    let text = now.strip_prefix(MARK.as_bytes()).unwrap_or(&now);
    let is_it = text == old.as_bytes() || now == old.as_bytes();
    if is_it { Ok(()) } else { Err("it was changed since it was read".to_owned()) }
}

/// Writes beside the file, and then in its place, with its permissions: nobody sees half of it. `old` is what was
/// read from it; a byte order mark that is not in that stays.
pub fn write(path: &Path, old: &str, new: &str) -> io::Result<()> {
    let permissions = fs::metadata(path)?.permissions();
    let has_mark = fs::read(path)?.starts_with(MARK.as_bytes()) && !old.starts_with(MARK);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let beside = path.with_file_name(format!(".{name}.{}.portcullis", std::process::id()));
    let written = File::create_new(&beside).and_then(|mut out| {
        out.set_permissions(permissions)?;
        if has_mark {
            out.write_all(MARK.as_bytes())?;
        }
        out.write_all(new.as_bytes())?;
        out.sync_all()?;
        drop(out);
        is_unchanged(path, old).map_err(io::Error::other)?;
        fs::rename(&beside, path)
    });
    if written.as_ref().is_err_and(|error| error.kind() != io::ErrorKind::AlreadyExists) {
        // It is ours, and of no use.
        let _ = fs::remove_file(&beside);
    }
    written
}
