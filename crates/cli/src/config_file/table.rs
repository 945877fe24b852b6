//! What a configuration file may say: derived from the flags of the commands, so that a new flag is a new key.
//! The parser, the JSON Schema and the environment variables are all made of this table.

use std::path::{Path, PathBuf};

use clap::builder::ValueParser;
use clap::{Arg, ArgAction, Command, ValueHint};
use portcullis_report::{Destination, TestReport};

/// The sections that are commands, in the order of the schema.
pub const COMMANDS: [&str; 4] = ["test", "verify", "lint", "audit"];

/// The section that is about all commands.
pub const COMMON: &str = "common";

/// The key of exclusions, which no flag has.
pub const EXCLUSIONS: &str = "exclusions";

/// Flags that are no keys: those about the file itself, other words for the same, and `--write-baseline`, by which
/// every run would know all that it finds, and `--fix` and `--upgrade`: no folder says by itself that it is to be edited.
const NO_KEYS: [&str; 10] = [
    "help",
    "version",
    "config",
    "no_config",
    "filenames",
    "write_baseline",
    "ignore",
    "fix",
    "fix_dry_run",
    "upgrade",
];

/// Keys that are called otherwise than their flags: `--ignore` is conftest's, and of regular expressions.
const RENAMED: [(&str, &str); 1] = [("ignore_files", "ignore")];

/// Keys that are not for all commands at once, because they mean something else in each.
const NOT_COMMON: [&str; 3] = ["namespace", "paths", "output"];

/// The section of a command.
pub fn section_of(command: &str) -> Option<&'static str> {
    // Judges as `test` does.
    let section = if command == "exceptions" { "test" } else { command };
    COMMANDS.into_iter().find(|name| *name == section)
}

/// A key, and the flag that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    pub name: String,
    /// What clap calls the flag.
    pub id: String,
    /// How the flag is written; a positional argument has no name.
    pub long: Option<String>,
    pub kind: Kind,
    pub path: PathIn,
    /// Whether any text will do.
    pub is_free: bool,
    /// What separates several values of the flag.
    pub delimiter: Option<char>,
    /// The first sentence of the help.
    pub about: String,
}

/// What values a key has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Switch,
    /// A text or a number; one of these words, if there are any.
    One(Vec<String>),
    /// The same, or a list of them.
    Many(Vec<String>),
}

/// Where in a value there is a path, which is relative to the file that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathIn {
    No,
    /// All of it.
    Whole,
    /// What is behind `=`: `sarif=out.sarif`.
    BehindForm,
    /// All of it, or what is behind a path below `data`: `teams.prod:data/`.
    BehindPrefix,
}

/// The keys of one command.
pub fn keys(command: &Command) -> Vec<Key> {
    let mut keys: Vec<Key> = command
        .get_arguments()
        .filter(|arg| !arg.is_hide_set() && !NO_KEYS.contains(&arg.get_id().as_str()))
        .map(key)
        .collect();
    keys.sort_by(|a, b| a.name.cmp(&b.name));
    keys
}

/// The keys that are for all commands: those that are the same in each that has them.
pub fn common_keys(program: &Command) -> Vec<Key> {
    let all: Vec<Vec<Key>> =
        COMMANDS.iter().filter_map(|name| program.find_subcommand(name)).map(keys).collect();
    let mut common: Vec<Key> = Vec::new();
    for key in all.iter().flatten() {
        let same = all.iter().flatten().filter(|other| other.name == key.name);
        let is_same = same.clone().all(|other| (&other.kind, other.path) == (&key.kind, key.path));
        let is_known = common.iter().any(|known| known.name == key.name);
        if is_same && same.count() > 1 && !is_known && !NOT_COMMON.contains(&&*key.name) {
            common.push(key.clone());
        }
    }
    common.sort_by(|a, b| a.name.cmp(&b.name));
    common
}

/// Flags that say the same as this one: naming any of them takes the place of all.
pub fn same_as(command: &str, id: &str) -> &'static [&'static str] {
    match (command, id) {
        ("test" | "exceptions", "paths" | "filenames") => &["paths", "filenames"],
        ("verify" | "lint", "paths" | "policies") => &["paths", "policies"],
        _ => &[],
    }
}

fn key(arg: &Arg) -> Key {
    let id = arg.get_id().as_str();
    let long = arg.get_long().map(str::to_owned);
    let renamed = RENAMED.iter().find(|(flag, _)| *flag == id).map(|(_, name)| (*name).to_owned());
    let words: Vec<String> =
        arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    let kind = match arg.get_action() {
        ArgAction::SetTrue | ArgAction::SetFalse => Kind::Switch,
        ArgAction::Append => Kind::Many(words),
        _ if is_switch(arg) => Kind::Switch,
        _ => Kind::One(words),
    };
    let about = arg.get_help().map(ToString::to_string).unwrap_or_default();
    Key {
        name: renamed.or_else(|| long.clone()).unwrap_or_else(|| id.to_owned()),
        id: id.to_owned(),
        long,
        kind,
        path: path_in(arg),
        is_free: is_free(arg),
        delimiter: arg.get_value_delimiter(),
        about: about.split_whitespace().collect::<Vec<_>>().join(" "),
    }
}

/// Whether it is a switch that also takes `=true` and `=false`.
fn is_switch(arg: &Arg) -> bool {
    arg.get_value_parser().type_id() == ValueParser::bool().type_id()
}

/// Whether nothing is asked of a value: so that a long list is not tried one by one. By its type alone it is not known who reads it.
fn is_free(arg: &Arg) -> bool {
    let name = |parser: &ValueParser| format!("{parser:?}");
    let of = name(arg.get_value_parser());
    of == name(&ValueParser::string()) || of == name(&ValueParser::path_buf())
}

fn path_in(arg: &Arg) -> PathIn {
    let of = arg.get_value_parser().type_id();
    if arg.get_id() == "data" {
        PathIn::BehindPrefix
    } else if of == ValueParser::new(Destination::parser::<TestReport>()).type_id() {
        PathIn::BehindForm
    } else if of == ValueParser::path_buf().type_id()
        || matches!(arg.get_value_hint(), ValueHint::AnyPath | ValueHint::FilePath | ValueHint::DirPath)
    {
        PathIn::Whole
    } else {
        PathIn::No
    }
}

impl PathIn {
    /// A value as it is written in a folder, for who runs in the working directory.
    pub fn resolve(self, value: &str, folder: &Path) -> String {
        let below = |path: &str| match path {
            "" | "-" => path.to_owned(),
            // An address is the same wherever it is written.
            path if path.split_once("://").is_some_and(|(scheme, _)| is_scheme(scheme)) => path.to_owned(),
            path => folder.join(path).display().to_string(),
        };
        let behind = |separator: char| {
            let (front, path) = value.split_once(separator)?;
            Some(format!("{front}{separator}{}", below(path)))
        };
        match self {
            Self::No => value.to_owned(),
            Self::Whole => below(value),
            Self::BehindForm => behind('=').unwrap_or_else(|| value.to_owned()),
            Self::BehindPrefix => {
                let is_path = value.split_once(':').is_none_or(|(front, _)| front.contains(['/', '\\']));
                let there: PathBuf = folder.join(value);
                let prefixed = if is_path || there.exists() { None } else { behind(':') };
                prefixed.unwrap_or_else(|| below(value))
            }
        }
    }
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
}

impl Key {
    /// Its environment variable: `PORTCULLIS_FAIL_ON`.
    pub fn variable(&self) -> String {
        format!("{VARIABLES}{}", self.name.to_uppercase().replace('-', "_"))
    }

    /// The argument that says a value.
    pub fn argument(&self, value: &str) -> String {
        match &self.long {
            Some(long) => format!("--{long}={value}"),
            // A path that begins like a flag is none.
            None if value.starts_with('-') && value != "-" => format!("./{value}"),
            None => value.to_owned(),
        }
    }
}

/// How environment variables begin.
pub const VARIABLES: &str = "PORTCULLIS_";

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::args::Args;

    fn program() -> Command {
        let mut program = Args::command();
        program.build();
        program
    }

    /// A flag whose value is called a path and is none for us would be looked for in another folder.
    #[test]
    fn every_path_is_known_to_be_one() {
        let program = program();
        for name in COMMANDS {
            let command = program.find_subcommand(name).unwrap();
            for arg in command.get_arguments() {
                let values = arg.get_value_names().unwrap_or_default();
                let is_path = values.iter().any(|name| {
                    ["PATH", "FILE", "DIR"]
                        .iter()
                        .any(|word| name.as_str().split(['=', '[', ']']).any(|part| part == *word))
                });
                assert_eq!(is_path, path_in(arg) != PathIn::No, "{name} {arg:?}");
            }
        }
    }

    #[test]
    fn every_flag_is_a_key_or_has_a_reason() {
        let program = program();
        for name in COMMANDS {
            let command = program.find_subcommand(name).unwrap();
            let keys = keys(command);
            for arg in command.get_arguments().filter(|arg| !arg.is_hide_set()) {
                let is_key = keys.iter().any(|key| key.id == arg.get_id().as_str());
                assert!(is_key || NO_KEYS.contains(&arg.get_id().as_str()), "{name} {}", arg.get_id());
            }
            let names: std::collections::BTreeSet<_> = keys.iter().map(|key| &key.name).collect();
            assert_eq!(names.len(), keys.len(), "{name}: two flags of one name");
        }
        let common: Vec<String> = common_keys(&program).into_iter().map(|key| key.name).collect();
        for key in ["policies", "ignore", "allow-unsupported", "timeout", "jobs"] {
            assert!(common.iter().any(|name| name == key), "{key} is not in {common:?}");
        }
        assert!(!common.iter().any(|name| NOT_COMMON.contains(&&**name)), "{common:?}");
    }

    #[test]
    fn only_what_any_text_may_be_is_not_tried() {
        let program = program();
        let of = |command: &str| -> Vec<String> {
            let keys = keys(program.find_subcommand(command).unwrap()).into_iter();
            keys.filter(|key| key.is_free).map(|key| key.name).collect()
        };
        let test = of("test");
        for free in ["why", "policies", "paths", "ignore"] {
            assert!(test.iter().any(|name| name == free), "{free} is not in {test:?}");
        }
        for tried in ["output", "fail-on", "max-size", "jobs", "rego-version", "parser", "quiet"] {
            assert!(!test.iter().any(|name| name == tried), "{tried} is in {test:?}");
        }
        assert!(!of("audit").iter().any(|name| name == "namespace"));
    }

    #[test]
    fn paths_are_those_of_the_folder_that_has_the_file() {
        let folder = Path::new("..");
        assert_eq!(PathIn::Whole.resolve("policies/", folder), "../policies/");
        assert_eq!(PathIn::Whole.resolve("-", folder), "-");
        assert_eq!(PathIn::Whole.resolve("/etc/x", folder), "/etc/x");
        for address in ["oci://registry.example.com/a:v1", "git+https://example.com/a//b?ref=c"] {
            assert_eq!(PathIn::Whole.resolve(address, folder), address);
        }
        assert_eq!(PathIn::Whole.resolve("a/b://c", folder), "../a/b://c");
        assert_eq!(PathIn::BehindForm.resolve("sarif=out.sarif", folder), "sarif=../out.sarif");
        assert_eq!(PathIn::BehindForm.resolve("human", folder), "human");
        assert_eq!(PathIn::BehindPrefix.resolve("teams.prod:data/", folder), "teams.prod:../data/");
        assert_eq!(PathIn::BehindPrefix.resolve("data/a:b", folder), "../data/a:b");
        assert_eq!(PathIn::No.resolve("high", folder), "high");
    }
}
