//! What a registry asks of a crate, for each that is published: what it says of itself, and that its package
//! is whole.

#![allow(clippy::unwrap_used, reason = "a test panics when it fails")]
use std::fs;
use std::path::{Path, PathBuf};

fn crates() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut crates: Vec<PathBuf> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    crates.sort();
    assert!(crates.len() > 10, "only {} crates were found", crates.len());
    crates
}

fn manifest(of: &Path) -> String {
    fs::read_to_string(of.join("Cargo.toml")).unwrap()
}

fn published() -> impl Iterator<Item = PathBuf> {
    crates().into_iter().filter(|of| !manifest(of).contains("publish = false"))
}

#[test]
fn each_says_what_it_is() {
    for of in published() {
        let manifest = manifest(&of);
        for field in [
            "description = ",
            "keywords = ",
            "categories = ",
            "readme.workspace",
            "license.workspace",
            "rust-version.workspace",
        ] {
            let has = manifest.lines().any(|line| line.starts_with(field));
            assert!(has, "{} has no line `{field}…`", of.join("Cargo.toml").display());
        }
    }
}

/// Files with code, without those of tests.
fn sources(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.file_name().is_some_and(|name| name == "tests" || name == "tests.rs") {
            continue;
        }
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Nothing outside of its folder is in a crate's package: it would not build where it is installed from.
#[test]
fn none_is_built_from_files_of_others() {
    for of in published() {
        let mut files = Vec::new();
        sources(&of.join("src"), &mut files);
        for file in files {
            let text = fs::read_to_string(&file).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
            for included in code.split("include_str!(\"").skip(1) {
                let path = included.split('"').next().unwrap_or_default();
                let folder = file.parent().unwrap();
                // By names only: a link inside of the crate is packaged as what it leads to.
                let ups = path.split('/').filter(|part| *part == "..").count();
                let depth = folder.strip_prefix(&of).unwrap().components().count();
                assert!(ups <= depth, "{} includes `{path}`, which is not in its package", file.display());
                assert!(folder.join(path).exists(), "{} includes `{path}`", file.display());
            }
        }
    }
}
