//! Folders that hold no manifests but what manifests are made of: kustomizations and Helm charts.
//!
//! Such a folder is one input. What its files say is not what is applied: a kustomization puts names, namespaces
//! and whole fields into them, a chart's are templates. So it is rendered, or not judged, and that is said.

use std::fs;
use std::path::{Path, PathBuf};

use portcullis::{Document, Error, ErrorKind, Limits};
use serde_json::Value;

use super::reading::{InputFile, read_file};
use super::unreadable;

/// What makes manifests of a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FolderKind {
    /// `kustomize build`.
    Kustomization,
    /// `helm template`.
    Chart,
}

/// A folder that has to be rendered.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Folder {
    /// What makes manifests of it.
    pub kind: FolderKind,
    /// Where it is.
    pub path: PathBuf,
    /// What messages say.
    pub name: String,
}

/// The names by which kustomize finds its file, in its order.
const KUSTOMIZATIONS: [&str; 3] = ["kustomization.yaml", "kustomization.yml", "Kustomization"];

/// How many folders a message names.
const NAMED: usize = 5;

impl Folder {
    /// The folder at a path, if it is one that has to be rendered. A kustomization that changes nothing, and
    /// lists files of its own folder only, is none: its files are what is applied.
    pub(crate) fn at(path: &Path) -> Option<Self> {
        let kind = if path.join("Chart.yaml").is_file() {
            FolderKind::Chart
        } else {
            let file = kustomization(path)?;
            if changes_nothing(&file) {
                return None;
            }
            FolderKind::Kustomization
        };
        Some(Self { kind, path: path.to_owned(), name: InputFile::new(path).name })
    }

    /// The errors for folders that nobody renders: one for each kind, however many there are.
    pub(crate) fn not_judged(folders: &[Self]) -> Vec<Error> {
        let of = |kind: FolderKind| {
            let names: Vec<&str> =
                folders.iter().filter(|folder| folder.kind == kind).map(|folder| &*folder.name).collect();
            let first = *names.first()?;
            let (what, many, tool) = match kind {
                FolderKind::Kustomization => ("a kustomization", "kustomizations", "kustomize build"),
                FolderKind::Chart => ("a Helm chart", "Helm charts", "helm template"),
            };
            let message = match names.len() {
                1 => format!("this folder is {what}: it is not judged"),
                more => {
                    let named: Vec<String> =
                        names.iter().take(NAMED).map(|name| format!("`{name}`")).collect();
                    let rest = match more.saturating_sub(NAMED) {
                        0 => String::new(),
                        rest => format!(" and {rest} more"),
                    };
                    format!("{more} folders are {many}, and are not judged: {}{rest}", named.join(", "))
                }
            };
            let hint = format!(
                "its files are not what is applied: `--render` renders them, or pipe the manifests in: `{tool} DIR | portcullis test -f policies/ -f -`"
            );
            Some(unreadable(first, ErrorKind::NotJudged, message).hint(hint))
        };
        [FolderKind::Kustomization, FolderKind::Chart].into_iter().filter_map(of).collect()
    }
}

/// Whether a file of a folder is what `kustomize` reads, and no manifest.
pub fn is_kustomization_file(path: &Path) -> bool {
    path.file_name().is_some_and(|name| KUSTOMIZATIONS.iter().any(|known| name == *known))
}

/// The file of a kustomization.
pub(crate) fn kustomization(folder: &Path) -> Option<PathBuf> {
    KUSTOMIZATIONS.iter().map(|name| folder.join(name)).find(|file| file.is_file())
}

/// Whether a kustomization does nothing but list files and folders below its own.
fn changes_nothing(file: &Path) -> bool {
    const LARGEST: usize = 1 << 20;
    let limits = Limits { source_bytes: LARGEST, ..Limits::default() };
    let (documents, errors) = read_file(&InputFile::new(file), &limits);
    let ([document], []) = (documents.as_slice(), errors.as_slice()) else { return false };
    let Value::Object(fields) = Document::to_json(document) else { return false };
    let folder = file.parent().unwrap_or(Path::new("."));
    let lists = |value: &Value| {
        value.as_array().is_some_and(|items| {
            items.iter().all(|item| {
                let Some(item) = item.as_str() else { return false };
                let is_below = Path::new(item).components().all(|part| {
                    matches!(part, std::path::Component::Normal(_) | std::path::Component::CurDir)
                });
                is_below && fs::metadata(folder.join(item)).is_ok()
            })
        })
    };
    fields.iter().all(|(key, value)| match &**key {
        "apiVersion" | "kind" | "metadata" => true,
        "resources" => lists(value),
        _ => false,
    })
}
