//! Bytes in, documents out: files, directories and standard input, all in the order given.
//!
//! What cannot be read is an [`Error`] beside what can; nothing here ends a program. The command line, the
//! webhook and the audit read by the same rules, so that what one judges by is what the other judges by.
#![forbid(unsafe_code)]

mod config;
mod deadline;
pub mod elsewhere;
mod files;
mod folders;
mod ignores;
mod json_bytes;
mod measure;
mod metrics;
pub mod open;
mod patience;
mod reading;
mod render;
mod special;
mod stdin;
mod stdout;
mod system;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use portcullis::{
    Document, Error, ErrorKind, Gvk, Limits, Location, Node, Object, Prepared, Resource, Source,
};
use rayon::prelude::*;

pub use config::{ConfigArgs, EngineArgs, FormerArgs, GatekeeperArgs};
pub use deadline::Deadline;
pub use files::{Choice, Sorted, list, list_sorted, list_sorted_without, list_without};
pub use folders::{Folder, FolderKind, is_kustomization_file};
pub use ignores::{Globs, Ignores};
pub use json_bytes::json_bytes;
pub use measure::{Bounds, Measured, measure};
pub use metrics::MetricsText;
pub use patience::with_patience;
pub use reading::{InputFile, read_bytes, read_file};
pub use render::RenderArgs;
pub use special::{Special, special};
pub use stdin::{
    NAME as STDIN_NAME, is_stream as stdin_is_stream, read_bytes as read_stdin, take as take_stdin,
};
pub use stdout::{closed_stdout, stdout_is_closed, usage};
pub use system::reason;

/// The path that stands for standard input.
const STDIN: &str = "-";

/// Templates compiled on all cores of the pool this is called in, in the same order, beside the others.
#[must_use]
pub fn prepared(resources: Vec<Resource>) -> Vec<Prepared> {
    resources.into_par_iter().map(Prepared::of).collect()
}

/// What was read from some paths.
#[derive(Debug, Default)]
pub struct Input {
    /// The documents, in the order of the files.
    pub documents: Vec<Document>,
    /// What could not be read, and what is no YAML or JSON.
    pub problems: Vec<Error>,
    /// The files that nobody named: they were found in a directory.
    pub found: BTreeSet<String>,
}

impl Input {
    /// Takes what another input has.
    pub fn extend(&mut self, other: Self) {
        self.documents.extend(other.documents);
        self.problems.extend(other.problems);
        self.found.extend(other.found);
    }

    fn add(&mut self, (documents, problems): (Vec<Document>, Vec<Error>)) {
        self.documents.extend(documents);
        self.problems.extend(problems);
    }
}

/// The bytes of a size as command lines have it: `512KiB`, `64MiB`, `2GiB`, `1G` (of 1,024) or a number of
/// bytes. `None` if it is none, or does not fit.
pub fn size(text: &str) -> Option<u64> {
    const UNITS: &[(&str, u64)] = &[
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("K", 1 << 10),
        ("M", 1 << 20),
        ("G", 1 << 30),
        ("B", 1),
        ("", 1),
    ];
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = text.get(digits.len()..).unwrap_or_default().trim();
    let (_, factor) = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit))?;
    digits.parse::<u64>().ok()?.checked_mul(*factor)
}

/// The name of a namespace as command lines have it.
///
/// # Errors
///
/// What was expected, if it is none.
pub fn namespace(text: &str) -> Result<String, String> {
    const LONGEST: usize = 63;
    let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let is_name = !text.is_empty()
        && text.len() <= LONGEST
        && text.bytes().all(is_plain)
        && !text.starts_with('-')
        && !text.ends_with('-');
    let expected =
        "expected the name of a namespace: at most 63 of a-z, 0-9 and `-`, which does not begin or end it";
    if is_name { Ok(text.to_owned()) } else { Err(expected.to_owned()) }
}

/// Whether a path stands for standard input.
pub fn is_stdin(path: &Path) -> bool {
    path == Path::new(STDIN)
}

/// The path that stands for standard input.
pub fn stdin_path() -> PathBuf {
    PathBuf::from(STDIN)
}

/// Reads files, directories and, for `-`, standard input. Folders that have to be rendered are not judged.
pub fn documents(paths: &[PathBuf], choice: Choice, limits: &Limits) -> Input {
    documents_or_render(paths, choice, limits, &RenderArgs::default())
}

/// The same, and renders folders that have to be, if so asked.
pub fn documents_or_render(paths: &[PathBuf], choice: Choice, limits: &Limits, args: &RenderArgs) -> Input {
    documents_without(paths, choice, limits, args, &Ignores::default())
}

/// The same, and leaves out what is to be ignored of folders.
pub fn documents_without(
    paths: &[PathBuf],
    choice: Choice,
    limits: &Limits,
    args: &RenderArgs,
    ignores: &Ignores,
) -> Input {
    let mut input = Input::default();
    let files::Found { files, folders, problems } = files::find(paths, choice, ignores);
    input.problems = problems;
    let named: BTreeSet<&PathBuf> = paths.iter().collect();
    input.found =
        files.iter().filter(|file| !named.contains(&file.path)).map(|file| file.name.clone()).collect();
    input.extend(of_folders(&folders, limits, args));
    let read: Vec<_> = files.par_iter().map(|file| read_file(file, limits)).collect();
    for read in read {
        input.add(read);
    }
    if paths.iter().any(|path| is_stdin(path)) {
        input.add(stdin::read(limits));
    }
    input
}

/// The folders below some paths that have to be rendered, without what is to be ignored.
pub fn folders(paths: &[PathBuf], ignores: &Ignores) -> Vec<Folder> {
    files::find(paths, Choice::Manifests, ignores).folders
}

/// What comes of folders that have to be rendered: their manifests, or that they are not judged.
pub fn of_folders(folders: &[Folder], limits: &Limits, args: &RenderArgs) -> Input {
    let mut input = Input::default();
    if args.render {
        for folder in folders {
            input.add(render::render(folder, args, limits));
        }
    } else {
        input.problems.extend(Folder::not_judged(folders));
    }
    input
}

/// Whether a document that was read is one of a policy: a template, a constraint, a Config, a SyncSet, or
/// what was meant for one. What is not a policy may be broken on purpose: a sample that shows what a policy
/// does. One of which no object can be made, such as for a name that is no text, says what it was meant for by
/// its `apiVersion`: it must not be left out unseen.
pub fn is_policy(resource: Option<&Resource>, document: &Document) -> bool {
    match resource {
        Some(Resource::Object(_) | Resource::AdmissionReview(_) | Resource::Suite) => false,
        Some(_) => true,
        None => {
            let (root, mut wrong) = (Node::root(document), Vec::new());
            let mut text = |key| root.optional_text(key, &mut wrong).unwrap_or_default();
            let gvk = Gvk::new(&text("apiVersion"), &text("kind"));
            gvk.is_policy() || gvk.is_admission_policy()
        }
    }
}

/// Whether an object is a suite of tests.
pub fn is_suite(object: &Object) -> bool {
    object.gvk().is_suite()
}

/// Something that could not be read, as an error that reports can show with a file name.
fn unreadable(name: &str, kind: ErrorKind, message: impl Into<String>) -> Error {
    Error::new(kind, message).at(Location::new(Source::new(name, ""), 0..0))
}

/// The size in the largest unit that keeps it readable.
pub fn show_size(bytes: u64) -> String {
    const UNITS: &[(u64, &str)] = &[(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let unit = UNITS.iter().find(|(size, _)| bytes >= *size);
    unit.map_or_else(
        || format!("{bytes} bytes"),
        |(size, name)| {
            let tenths = bytes.saturating_mul(10) / size;
            match tenths % 10 {
                0 => format!("{} {name}", tenths / 10),
                rest => format!("{}.{rest} {name}", tenths / 10),
            }
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_shown_in_readable_units() {
        assert_eq!(show_size(12), "12 bytes");
        assert_eq!(show_size(64 << 20), "64 MiB");
        assert_eq!(show_size(100 * 1024 * 1024 + 512 * 1024), "100.5 MiB");
    }
}
