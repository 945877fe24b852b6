//! Invariants of ARCHITECTURE.md that a search can hold: what the core never names.

#![allow(clippy::unwrap_used, reason = "a test panics when it fails")]

use std::fs;
use std::path::{Path, PathBuf};

/// The crates without I/O.
const CORE: &[&str] = &["portcullis", "rego", "rego-syntax", "value", "yaml"];

fn sources(directory: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// The code of a file without its tests and comments.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).unwrap();
    let code = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    let lines: Vec<&str> = code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    lines.join(
        "
",
    )
}

fn is_test(path: &Path) -> bool {
    path.components().any(|part| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs")
}

#[test]
fn the_core_has_no_io_no_threads_and_no_clock() {
    const NEVER: &[&str] = &[
        "std::fs",
        "std::env",
        "TcpStream",
        "UdpSocket",
        "std::process",
        "thread::spawn",
        "thread::scope",
        "std::time",
        "std::io",
        "Instant::now",
        "SystemTime",
        "println!",
        "eprintln!",
        "print!(",
        "static mut",
        "async fn",
    ];
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for core in CORE {
        sources(&crates.join(core).join("src"), &mut files);
    }
    assert!(files.len() > 150, "only {} files were searched", files.len());
    for file in files.iter().filter(|file| !is_test(file)) {
        let code = code(file);
        for never in NEVER {
            assert!(!code.contains(never), "{} names `{never}`", file.display());
        }
    }
}

#[test]
fn regorus_is_only_compared_with() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut files = Vec::new();
    for core in CORE {
        sources(&crates.join(core).join("src"), &mut files);
    }
    // Its values become ours in one file, which is only there with a feature.
    let wrapped = Path::new("value/src/regorus.rs");
    let files = files.into_iter().filter(|file| !file.ends_with(wrapped) && !is_test(file));
    for file in files {
        assert!(!code(&file).contains("regorus::"), "{} names regorus", file.display());
    }
}
