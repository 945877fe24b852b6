//! Where policies are that tests run on.

use std::path::{Path, PathBuf};

/// The policies of this project.
pub fn ours() -> Vec<PathBuf> {
    vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies")]
}

/// The templates of gatekeeper-library and the constraints of their samples, if
/// `PORTCULLIS_GATEKEEPER_LIBRARY` names its `library` folder. It is no part of the project.
pub fn gatekeeper_library() -> Option<Vec<PathBuf>> {
    let library =
        crate::named("PORTCULLIS_GATEKEEPER_LIBRARY", "the `library` folder of gatekeeper-library")?;
    let mut found = Vec::new();
    for area in ["general", "pod-security-policy"] {
        for policy in entries(&library.join(area)) {
            found.extend(Some(policy.join("template.yaml")).filter(|template| template.is_file()));
            for sample in entries(&policy.join("samples")) {
                let is_constraint = |path: &PathBuf| {
                    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("constraint"))
                };
                found.extend(entries(&sample).into_iter().filter(is_constraint));
            }
        }
    }
    Some(found)
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut entries: Vec<PathBuf> = entries.map(|entry| entry.path()).collect();
    entries.sort();
    entries
}
