//! Writes what the webhook is measured with: `webhook_inputs LIBRARY RECORDINGS DIRECTORY`.
//!
//! `LIBRARY` is the folder `library` of gatekeeper-library: its templates and each of its sample constraints
//! once become `DIRECTORY/policies`. `RECORDINGS` holds an AdmissionReview per line, for
//! `DIRECTORY/requests.ndjson`. README.md says how both are used.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

use portcullis::{Document, Object};

fn main() -> io::Result<()> {
    let args: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let [library, recordings, directory] = args.as_slice() else {
        return Err(io::Error::other("usage: webhook_inputs LIBRARY RECORDINGS DIRECTORY"));
    };
    let policies = directory.join("policies");
    fs::create_dir_all(&policies)?;
    let (mut templates, mut constraints) = (0, BTreeSet::new());
    for folder in folders(library)?.iter().flat_map(|area| folders(area).unwrap_or_default()) {
        let Ok(template) = fs::read_to_string(folder.join("template.yaml")) else { continue };
        fs::write(policies.join(format!("template-{templates:03}.yaml")), template)?;
        templates += 1;
        for sample in folders(&folder.join("samples")).unwrap_or_default() {
            let Ok(text) = fs::read_to_string(sample.join("constraint.yaml")) else { continue };
            let (documents, _) = Document::read_all("constraint.yaml", &text);
            let objects = documents.into_iter().filter_map(|document| Object::from_document(document).ok());
            let names: Vec<String> = objects.map(|object| object.to_string()).collect();
            let number = constraints.len();
            if constraints.insert(names) {
                fs::write(policies.join(format!("constraint-{number:03}.yaml")), text)?;
            }
        }
    }
    let text = fs::read_to_string(recordings)?;
    fs::write(directory.join("requests.ndjson"), &text)?;
    let requests = text.lines().count();
    println!("{templates} templates, {} constraints, {requests} requests", constraints.len());
    Ok(())
}

fn folders(path: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(path)?.filter_map(Result::ok).map(|entry| entry.path());
    let mut folders: Vec<PathBuf> = entries.filter(|path| path.is_dir()).collect();
    folders.sort();
    Ok(folders)
}
