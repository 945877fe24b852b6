//! Invariants of ARCHITECTURE.md that a search can hold: what the core never names, and who may import whom.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test panics when it fails")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The crates without I/O.
const CORE: &[&str] = &["portcullis", "cel", "rego", "rego-syntax", "value", "yaml"];

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
    // Its values become ours in files that are only there with a feature.
    let wraps =
        |file: &Path| file.ends_with("value/src/regorus.rs") || file.ends_with("portcullis/src/regorus.rs");
    let files = files.into_iter().filter(|file| !wraps(file) && !is_test(file));
    for file in files {
        assert!(!code(&file).contains("regorus::"), "{} names regorus", file.display());
    }
}

/// The stages of a crate, the lowest first, as ARCHITECTURE.md lists them after `stages of CRATE:`.
fn stages(architecture: &str, name: &str) -> Vec<String> {
    let start = format!("stages of `{name}`:");
    let text = architecture.split(&start).nth(1).unwrap_or_else(|| panic!("no `{start}` in ARCHITECTURE.md"));
    let list = text.split("\n\n").next().unwrap_or_default();
    list.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// Modules as their paths below a crate's root.
type Module = Vec<String>;

/// Which modules of a crate name which, and where. What a file says of the `mod.rs` that it is in does not
/// count: a folder and its door are one.
fn imports(root: &Path) -> BTreeMap<Module, BTreeSet<Module>> {
    let mut files = Vec::new();
    sources(root, &mut files);
    let module = |file: &Path| -> Module {
        let path = file.strip_prefix(root).unwrap().with_extension("");
        let mut parts: Module = path.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
        if matches!(parts.last().map(String::as_str), Some("mod" | "lib" | "main")) {
            parts.pop();
        }
        parts
    };
    let all: BTreeSet<Module> = files.iter().map(|file| module(file)).collect();
    let mut found: BTreeMap<Module, BTreeSet<Module>> = BTreeMap::new();
    for file in files.iter().filter(|file| !is_test(file)) {
        let me = module(file);
        let code = code(file);
        let words: Vec<&str> = code.split(|c: char| !(c.is_alphanumeric() || "_:{},".contains(c))).collect();
        for path in words.iter().flat_map(|word| paths(word)).chain(grouped(&code)) {
            let mut at =
                if path.first().is_some_and(|first| first == "crate") { Vec::new() } else { me.clone() };
            for step in &path {
                match step.as_str() {
                    "crate" | "self" => {}
                    "super" => _ = at.pop(),
                    name => {
                        at.push(name.to_owned());
                        if !all.contains(&at) {
                            at.pop();
                            break;
                        }
                    }
                }
            }
            if at != me && !me.starts_with(&at) && all.contains(&at) {
                found.entry(me.clone()).or_default().insert(at);
            }
        }
        // A door uses its rooms.
        let rooms = all.iter().filter(|room| room.len() == me.len() + 1 && room.starts_with(&me));
        found.entry(me.clone()).or_default().extend(rooms.cloned());
    }
    found
}

/// `a::b::c` in a word without braces.
fn paths(word: &str) -> Vec<Vec<String>> {
    let starts = ["crate::", "super::", "self::"];
    word.split(['{', '}', ','])
        .filter(|path| starts.iter().any(|start| path.starts_with(start)))
        .map(|path| path.split("::").filter(|step| !step.is_empty()).map(str::to_owned).collect())
        .collect()
}

/// The paths of `use crate::{a::…, b}` and of `use super::{…}`, one level deep.
fn grouped(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for statement in code.split("use ").skip(1) {
        let Some((prefix, rest)) = statement.split_once("::{") else { continue };
        let is_own = ["crate", "super", "self"].iter().any(|start| prefix.starts_with(start));
        if !is_own || prefix.contains([';', ' ']) {
            continue;
        }
        let list = rest.split(';').next().unwrap_or_default();
        let mut depth = 0;
        let mut item = String::new();
        for c in list.chars().chain([',']) {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth <= 0 => {
                    let steps = prefix.split("::").chain(item.trim().split("::"));
                    found.push(steps.map(|step| step.trim().to_owned()).collect());
                    item.clear();
                    continue;
                }
                _ => {}
            }
            if depth == 0 {
                item.push(c);
            }
        }
    }
    found
}

#[test]
fn no_stage_imports_a_later_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let architecture = fs::read_to_string(root.join("ARCHITECTURE.md")).unwrap();
    for name in ["portcullis", "cel", "rego", "rego-syntax", "value"] {
        let stages = stages(&architecture, name);
        let place = |module: &Module| {
            let stage = module.first().map_or("lib", String::as_str);
            stages.iter().position(|known| known == stage)
        };
        let imports = imports(&root.join("crates").join(name).join("src"));
        for (from, all) in imports.iter().filter(|(from, _)| !from.is_empty()) {
            let here = place(from).unwrap_or_else(|| panic!("`{}` of `{name}` is no stage", from.join("::")));
            for to in all {
                let there =
                    place(to).unwrap_or_else(|| panic!("`{}` of `{name}` is no stage", to.join("::")));
                assert!(
                    there <= here,
                    "`{name}`: {} imports {}, a later stage",
                    from.join("::"),
                    to.join("::")
                );
            }
        }
    }
}

/// Files that need each other, and why that is right.
const TOGETHER: &[(&str, &[&str])] = &[
    // A violation finds its own place when somebody asks.
    ("portcullis", &["review::locate", "review::outcome"]),
    // One compiler in two files: what keywords say, and what must hold between them.
    ("portcullis", &["schema::structural", "schema::structure"]),
    // An arena, and the look-up over it that is made when it is first needed.
    ("portcullis", &["document::marks", "document::wide"]),
    // A reader that chooses between two forms, of which each collects what the reader hands on.
    ("audit", &["source::split", "source::json", "source::yaml"]),
    // The list of forms has a line for each, and each says what it is in the words of the list.
    (
        "report",
        &[
            "azure",
            "checkstyle",
            "compact",
            "csv",
            "form",
            "github",
            "gitlab",
            "html",
            "human",
            "json",
            "junit",
            "lcov",
            "markdown",
            "metrics",
            "ndjson",
            "policy_report",
            "sarif",
            "status",
            "tap",
            "template",
            "yaml",
        ],
    ),
    // Who looks after the configuration asks whether this replica serves; how that goes is shown with the
    // rest.
    ("webhook", &["configuration::keep", "state"]),
];

#[test]
fn no_two_files_need_each_other() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut names: Vec<String> = fs::read_dir(&crates)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let mut circles = Vec::new();
    for name in &names {
        let imports = imports(&crates.join(name).join("src"));
        let reach = |from: &Module| {
            let (mut seen, mut rest) = (BTreeSet::new(), vec![from.clone()]);
            while let Some(module) = rest.pop() {
                for to in imports.get(&module).into_iter().flatten() {
                    let is_named = TOGETHER.iter().any(|(of, files)| {
                        let has = |module: &Module| files.contains(&module.join("::").as_str());
                        of == name && has(&module) && has(to)
                    });
                    if !is_named && seen.insert(to.clone()) {
                        rest.push(to.clone());
                    }
                }
            }
            seen
        };
        for module in imports.keys().filter(|module| reach(module).contains(*module)) {
            circles.push(format!("{name}: {}", module.join("::")));
        }
    }
    assert!(circles.is_empty(), "files that need each other:\n{}", circles.join("\n"));
}
