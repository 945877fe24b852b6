//! The guides (`docs/*.md`): every command in a block of `console` is run, and prints what stands below it.
//!
//! `<!-- in: FOLDER -->` is the folder, of which each page has a copy of its own; `<!-- file: NAME -->` writes the next block into it.
//! A command is a line that begins with `$ `; what follows up to the next one is what it prints, standard error included. All commands
//! of a page are run one after the other. `UPDATE_GUIDES=1` writes what they print.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{testdata, without_times};

fn root() -> PathBuf {
    testdata().join("../..").canonicalize().unwrap()
}

fn bash(directory: &Path, command: &str) -> String {
    let programs = Path::new(env!("CARGO_BIN_EXE_portcullis")).parent().unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("bash")
        .args(["--noprofile", "--norc", "-c", &format!("exec 2>&1\n{command}")])
        .current_dir(directory)
        .env("PATH", format!("{}:{path}", programs.display()))
        .stdin(std::process::Stdio::null())
        .output()
        .unwrap();
    without_times(&String::from_utf8(output.stdout).unwrap())
}

/// What a page is with what its commands print today, and how many there were.
fn run(text: &str) -> (String, usize) {
    let mut written = String::new();
    let mut folder: Option<tempfile::TempDir> = None;
    let (mut file, mut number) = (None::<String>, 0);
    let mut lines = text.lines().peekable();
    while let Some(line) = lines.next() {
        writeln!(written, "{line}").unwrap();
        let comment = |name: &str| {
            line.strip_prefix("<!-- ")?.strip_suffix(" -->")?.strip_prefix(name)?.strip_prefix(": ")
        };
        if let Some(from) = comment("in") {
            let there = tempfile::tempdir().unwrap();
            let from = root().join(from);
            assert!(from.is_dir(), "{}", from.display());
            bash(there.path(), &format!("cp -R {}/. .", from.display()));
            folder = Some(there);
        } else if let Some(name) = comment("file") {
            file = Some(name.to_owned());
        } else if line.starts_with("```") && line != "```console" {
            let mut block = String::new();
            for line in lines.by_ref() {
                writeln!(written, "{line}").unwrap();
                if line == "```" {
                    break;
                }
                writeln!(block, "{line}").unwrap();
            }
            if let Some(name) = file.take() {
                fs::write(folder.as_ref().unwrap().path().join(name), block).unwrap();
            }
        } else if line == "```console" {
            let directory = folder.as_ref().unwrap().path();
            for line in lines.by_ref().take_while(|line| *line != "```") {
                // What was printed then is made anew.
                if let Some(command) = line.strip_prefix("$ ") {
                    number += 1;
                    writeln!(written, "{line}").unwrap();
                    for line in bash(directory, command).lines() {
                        writeln!(written, "{}", line.trim_end()).unwrap();
                    }
                }
            }
            writeln!(written, "```").unwrap();
        }
    }
    (written, number)
}

fn pages() -> BTreeMap<String, String> {
    let files = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let pages = files.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    pages.map(|path| (name(&path), fs::read_to_string(&path).unwrap())).collect()
}

#[test]
fn commands_print_what_the_guides_say() {
    let (mut wrong, mut commands) = (Vec::new(), 0);
    for (name, text) in pages() {
        let (written, number) = run(&text);
        commands += number;
        if written == text {
            continue;
        }
        if std::env::var_os("UPDATE_GUIDES").is_some() {
            fs::write(root().join("docs").join(&name), written).unwrap();
        } else {
            let differs = text.lines().zip(written.lines()).find(|(a, b)| a != b);
            wrong.push(format!("docs/{name}: {differs:?}; `UPDATE_GUIDES=1` writes it anew"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(commands > 10, "only {commands} commands were found");
}

/// The manual of every command, as `--help` prints it.
#[test]
fn the_reference_is_what_the_commands_say() {
    let help = |command: &str| {
        let text = bash(&root(), &format!("COLUMNS=100 portcullis {command} --help"));
        text.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
    };
    let mut page =
        "# Reference\n\nEvery command and flag, as `--help` prints it. A test writes this page.\n".to_owned();
    let mut commands = vec![String::new()];
    let mut next = 0;
    while let Some(command) = commands.get(next).cloned() {
        next += 1;
        let text = help(&command);
        let title = format!("portcullis {command}");
        write!(page, "\n## {}\n\n```text\n{}\n```\n", title.trim_end(), text.trim_end()).unwrap();
        let listed = text.lines().skip_while(|line| *line != "Commands:").skip(1);
        let below = listed.take_while(|line| line.starts_with("  "));
        let names =
            below.filter(|line| !line.starts_with("   ")).filter_map(|line| line.split_whitespace().next());
        commands.extend(
            names
                .filter(|name| *name != "help")
                .map(|name| format!("{command} {name}").trim_start().to_owned()),
        );
    }
    assert!(next > 10, "{commands:?}");
    let path = root().join("docs/reference.md");
    if std::env::var_os("UPDATE_GUIDES").is_some() {
        fs::write(path, page).unwrap();
    } else {
        let there = fs::read_to_string(path).unwrap_or_default();
        let differs = there.lines().zip(page.lines()).find(|(a, b)| a != b);
        assert!(there == page, "docs/reference.md: {differs:?}; `UPDATE_GUIDES=1` writes it anew");
    }
}

#[test]
fn the_book_has_every_page_once() {
    let pages = pages();
    let summary = &pages["SUMMARY.md"];
    let listed: Vec<&str> = summary.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
    for name in pages.keys().filter(|name| *name != "SUMMARY.md") {
        assert_eq!(listed.iter().filter(|link| *link == name).count(), 1, "{name} in docs/SUMMARY.md");
    }
}
