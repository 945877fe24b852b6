//! Files of Rego, and what is below `data`, for all that judges by them or makes something of them.

use std::path::{Path, PathBuf};

use portcullis::{
    DataForm, Document, Error, ErrorKind, Limits, Location, ModuleData, RegoFile, RegoVersion, Source,
};
use portcullis_sources::{self as read, Choice, Ignores, InputFile};
use rayon::prelude::*;

/// The texts of files of Rego.
pub fn modules(
    files: &[InputFile],
    version: Option<RegoVersion>,
    limits: &Limits,
) -> (Vec<RegoFile>, Vec<Error>) {
    let read = |file: &InputFile| {
        let bytes = read::read_bytes(file, limits)?;
        RegoFile::of_bytes(&file.name, bytes, version, limits)
    };
    let read: Vec<_> = files.par_iter().map(read).collect();
    let (mut modules, mut problems) = (Vec::new(), Vec::new());
    for read in read {
        match read {
            Ok(module) => modules.push(module),
            Err(error) => problems.push(error),
        }
    }
    (modules, problems)
}

/// What `--data` names. A file is at the root of `data`, or where `a.b:` before its path says; what is in a
/// folder, below the names of the folders that it is in, as OPA has it.
pub fn data(paths: &[PathBuf], limits: &Limits, ignores: &Ignores) -> (ModuleData, Vec<Error>) {
    let (mut data, mut problems) = (ModuleData::default(), Vec::new());
    for path in paths {
        let (prefix, path) = split_prefix(path);
        let (files, found) = read::list_without(std::slice::from_ref(&path), Choice::Manifests, ignores);
        problems.extend(found);
        for file in files {
            if file.path.extension().is_some_and(|end| end == "rego") {
                let message = "a file of Rego is no data: it is taken only if it is among the policies";
                let at = Location::new(Source::new(file.name.as_str(), ""), 0..0);
                problems.push(Error::warning(ErrorKind::Unreadable, message).at(at));
                continue;
            }
            let mut steps: Vec<&str> = prefix.iter().map(String::as_str).collect();
            let below = file.path.strip_prefix(&path).ok().and_then(Path::parent);
            let folders = below.into_iter().flat_map(Path::components);
            steps.extend(folders.filter_map(|folder| folder.as_os_str().to_str()));
            problems.extend(add_data(&mut data, &steps, &file, limits));
        }
    }
    (data, problems)
}

/// Adds a file to `data`.
pub fn add_data(data: &mut ModuleData, steps: &[&str], file: &InputFile, limits: &Limits) -> Vec<Error> {
    let (documents, mut problems) = match read::read_bytes(file, limits) {
        Ok(bytes) => {
            let form = DataForm::of_name(&file.name);
            Document::read_data_bytes(&file.name, bytes, form, limits)
        }
        Err(error) => (Vec::new(), vec![error]),
    };
    match documents.as_slice() {
        [document] => problems.extend(data.add(steps, document).err()),
        [] => {}
        [_, second, ..] => {
            let message = "expected one document for `data`, found several";
            problems.push(Error::new(ErrorKind::NotAnObject, message).at(second.location()));
        }
    }
    problems
}

/// `a.b:path` as the path below `data`, and the path of the file.
fn split_prefix(path: &Path) -> (Vec<String>, PathBuf) {
    let split = path.to_str().filter(|_| !path.exists()).and_then(|text| text.split_once(':'));
    match split {
        // `oci://` is the beginning of an address.
        Some((prefix, rest)) if !prefix.contains(['/', '\\']) && !rest.starts_with("//") => (
            prefix.split('.').filter(|step| !step.is_empty() && *step != "data").map(str::to_owned).collect(),
            PathBuf::from(rest),
        ),
        _ => (Vec::new(), path.to_owned()),
    }
}
