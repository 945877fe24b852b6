//! The extension for Visual Studio Code: its own tests in Node, and the package that is made of it. Without Node, or
//! where packages cannot be installed, this says loudly that it was skipped.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test panics when it fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What makes packages of extensions.
const PACKER: &str = "@vscode/vsce@4.1.0";

fn extension() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../editors/vscode").canonicalize().unwrap()
}

/// What a program says, if it is there and ends well.
fn says(program: &str, folder: &Path, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program).current_dir(folder).args(arguments).output();
    let output = output.map_err(|error| error.to_string())?;
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() { Ok(said) } else { Err(said) }
}

#[test]
fn the_extension_starts_the_server_and_becomes_a_package() {
    let from = extension();
    if let Err(why) = says("node", &from, &["--version"]) {
        println!("skipped: node is not here: {why}");
        return;
    }
    let said =
        says("node", &from, &["--test", "test/extension.test.js"]).unwrap_or_else(|said| panic!("{said}"));
    println!("{said}");

    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("syntaxes")).unwrap();
    for file in [
        "package.json",
        "extension.js",
        "README.md",
        ".vscodeignore",
        "rego.json",
        "syntaxes/rego.tmLanguage.json",
        "syntaxes/rego-in-yaml.tmLanguage.json",
    ] {
        fs::copy(from.join(file), folder.path().join(file)).unwrap();
    }
    let install =
        ["install", "--omit=dev", "--no-audit", "--no-fund", "--no-package-lock", "--fetch-retries=1"];
    if let Err(why) = says("npm", folder.path(), &install) {
        println!("skipped: what the extension needs cannot be installed: {why}");
        return;
    }
    if let Err(why) = says("npx", folder.path(), &["--yes", PACKER, "--version"]) {
        println!("skipped: {PACKER} cannot be installed: {why}");
        return;
    }
    let package = [
        "--yes",
        PACKER,
        "package",
        "--allow-missing-repository",
        "--skip-license",
        "--out",
        "portcullis.vsix",
    ];
    let said = says("npx", folder.path(), &package).unwrap_or_else(|said| panic!("{said}"));
    let packed = fs::read(folder.path().join("portcullis.vsix")).unwrap();
    // The names of an archive stand in it as they are.
    let has = |name: &str| packed.windows(name.len()).any(|window| window == name.as_bytes());
    for name in [
        "extension/extension.js",
        "extension/package.json",
        "extension/rego.json",
        "extension/syntaxes/rego.tmLanguage.json",
        "extension/syntaxes/rego-in-yaml.tmLanguage.json",
        "extension/node_modules/vscode-languageclient/",
    ] {
        assert!(has(name), "{name}: {said}");
    }
    assert!(!has("extension/test/"), "{said}");
}

#[test]
fn the_extension_is_of_the_version_of_the_program() {
    let text = fs::read_to_string(extension().join("package.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(manifest["version"], env!("CARGO_PKG_VERSION"));
}
