//! The text of a configuration file: its values with their places, and all that is wrong with it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind as ClapError};
use portcullis::{Document, Error, ErrorKind, Limits, Location, Node, Severity, Source};
use portcullis_sources::{Globs, InputFile, read_bytes};
use serde_json::Value;

use crate::file_args::Exclusion;

use super::table::{COMMANDS, COMMON, EXCLUSIONS, Key, Kind, common_keys, keys};

/// The largest file.
const FILE_BYTES: usize = 1 << 20;

/// A configuration file that is as it should be.
#[derive(Debug, Default)]
pub struct ConfigFile {
    /// What messages call it.
    pub name: String,
    pub path: PathBuf,
    /// What its paths are relative to.
    pub folder: PathBuf,
    /// What its sections say, by key.
    sections: BTreeMap<&'static str, BTreeMap<String, Entry>>,
    /// What is not asked of which files.
    pub exclusions: Vec<Exclusion>,
}

/// What a key is said to be.
#[derive(Clone, Debug)]
pub struct Entry {
    /// As they are written.
    pub values: Vec<String>,
    pub place: Location,
}

impl ConfigFile {
    /// Reads a file, whose paths are relative to its folder.
    pub fn read(path: &Path, program: &Command) -> Result<Self, Vec<Error>> {
        let file = InputFile::new(path);
        let limits = Limits { source_bytes: FILE_BYTES, ..Limits::default() };
        let bytes = read_bytes(&file, &limits).map_err(|error| vec![no_manifest(error)])?;
        let (documents, mut errors) = Document::read_bytes(&file.name, bytes, &limits);
        let whole = || Location::new(Source::new(file.name.as_str(), ""), 0..0);
        let folder = path.parent().map(Path::to_owned).unwrap_or_default();
        let mut read = Self { name: file.name.clone(), path: path.to_owned(), folder, ..Self::default() };
        match documents.as_slice() {
            [document] => read.take(document, program, &mut errors),
            // An empty file says nothing, and of a broken one is said what is wrong.
            [] => {}
            [_, second, ..] => {
                let message = "expected one document, found several";
                errors.push(Error::new(ErrorKind::InvalidValue, message).at(second.location()));
            }
        }
        errors.retain(|error| error.severity() == Severity::Error);
        for error in &mut errors {
            if error.location().is_none() {
                *error = error.clone().at(whole());
            }
        }
        errors.sort();
        errors.dedup();
        if errors.is_empty() { Ok(read) } else { Err(errors) }
    }

    /// What a section says of a key.
    pub fn entry(&self, section: &str, key: &str) -> Option<&Entry> {
        self.sections.get(section)?.get(key)
    }

    fn take(&mut self, document: &Document, program: &Command, errors: &mut Vec<Error>) {
        let root = Node::root(document);
        let known: Vec<&str> = [COMMON].into_iter().chain(COMMANDS).collect();
        check_keys(&root, &known, errors, |key| elsewhere(key, "", program));
        if let Some(common) = root.field(COMMON) {
            let all = common_keys(program);
            self.section(COMMON, &common, &all, program, errors);
        }
        for name in COMMANDS {
            let Some(command) = program.find_subcommand(name) else { continue };
            if let Some(section) = root.field(name) {
                self.section(name, &section, &keys(command), program, errors);
            }
        }
    }

    fn section(
        &mut self,
        name: &'static str,
        node: &Node<'_>,
        all: &[Key],
        program: &Command,
        errors: &mut Vec<Error>,
    ) {
        let mut known: Vec<&str> = all.iter().map(|key| &*key.name).collect();
        if name == "test" {
            known.push(EXCLUSIONS);
        }
        check_keys(node, &known, errors, |key| elsewhere(key, name, program));
        let commands: Vec<&Command> = COMMANDS
            .iter()
            .filter(|one| [**one, COMMON].contains(&name))
            .filter_map(|one| program.find_subcommand(one))
            .collect();
        let mut entries = BTreeMap::new();
        for key in all {
            let Some(field) = node.field(&key.name) else { continue };
            let place = field.location();
            let mut values = Vec::new();
            for value in texts(key, &field, errors) {
                let (text, at) = value;
                let command = commands
                    .iter()
                    .find(|command| command.get_arguments().any(|arg| arg.get_id() == key.id.as_str()));
                let wrong = command.and_then(|command| refusal(command, key, &text));
                match wrong {
                    Some((message, hint)) => {
                        let error = at.error(ErrorKind::InvalidValue, message);
                        errors.push(match hint {
                            Some(hint) => error.hint(hint),
                            None => error,
                        });
                    }
                    None => values.push(text),
                }
            }
            if key.name == "ignore" {
                let wrong = Globs::new(&self.folder, values.iter().map(String::as_str)).err();
                let items: Vec<Node<'_>> = items_of(&field);
                for (number, message) in wrong.into_iter().flatten() {
                    let at = items.get(number).unwrap_or(&field);
                    errors.push(at.error(ErrorKind::InvalidValue, message));
                }
            }
            entries.insert(key.name.clone(), Entry { values, place });
        }
        if let Some(exclusions) = node.field(EXCLUSIONS).filter(|_| name == "test") {
            for entry in exclusions.items(errors) {
                let exclusion = self.exclusion(&entry, errors);
                self.exclusions.extend(exclusion);
            }
        }
        self.sections.insert(name, entries);
    }

    fn exclusion(&self, node: &Node<'_>, errors: &mut Vec<Error>) -> Option<Exclusion> {
        check_keys(node, &["constraint", "files", "reason", "owner"], errors, |_| None);
        let constraint = node.required_text("constraint", errors);
        let reason = node.required_text("reason", errors);
        let owner = node.optional_text("owner", errors);
        let files = node.required("files", errors)?;
        let globs = files.items(errors);
        let mut texts = Vec::new();
        for glob in &globs {
            texts.extend(glob.text(errors));
        }
        if globs.is_empty() {
            errors.push(files.expected("a list of globs"));
        }
        if texts.len() != globs.len() {
            return None;
        }
        match Globs::new(&self.folder, texts.iter().map(|text| &**text)) {
            Ok(files) => Some(Exclusion {
                constraint: constraint?.to_string(),
                files,
                reason: reason?.to_string(),
                owner: owner.map(|owner| owner.to_string()),
                place: node.location(),
            }),
            Err(wrong) => {
                for (number, message) in wrong {
                    let at = globs.get(number).unwrap_or(&files);
                    errors.push(at.error(ErrorKind::InvalidValue, message));
                }
                None
            }
        }
    }
}

/// What is wrong with a value, and what to do about it, as the flag has it.
pub fn refusal(command: &Command, key: &Key, value: &str) -> Option<(String, Option<String>)> {
    if let Some(delimiter) = key.delimiter.filter(|delimiter| value.contains(*delimiter)) {
        return Some((
            format!("expected one value, found one with `{delimiter}`"),
            Some("write a list".to_owned()),
        ));
    }
    if key.is_free {
        return None;
    }
    let argument = key.argument(value);
    // What is missing, or does not go together, is not about this value.
    let alone = command.clone().no_binary_name(true);
    let error = alone.try_get_matches_from([argument]).err()?;
    match error.kind() {
        ClapError::InvalidValue => {
            let words = match error.get(ContextKind::ValidValue) {
                Some(ContextValue::Strings(words)) => {
                    words.iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
                }
                _ => String::new(),
            };
            let hint = match error.get(ContextKind::SuggestedValue) {
                Some(ContextValue::String(word)) => Some(format!("did you mean `{word}`?")),
                _ => None,
            };
            Some((format!("expected one of {words}, found `{value}`"), hint))
        }
        ClapError::ValueValidation | ClapError::InvalidUtf8 | ClapError::UnknownArgument => {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            let why = source.unwrap_or_else(|| "expected another value".to_owned());
            Some((format!("{why} (`{value}`)"), None))
        }
        _ => None,
    }
}

/// The values of a key as texts, each with its place.
fn texts<'a>(key: &Key, node: &Node<'a>, errors: &mut Vec<Error>) -> Vec<(String, Node<'a>)> {
    match (&key.kind, node.to_json()) {
        (Kind::Switch, Value::Bool(value)) => vec![(value.to_string(), node.clone())],
        (Kind::Switch, _) => {
            errors.push(node.expected("true or false"));
            Vec::new()
        }
        (Kind::Many(_), Value::Array(_)) => {
            let items = node.items(errors);
            items.into_iter().filter_map(|item| Some((text(&item, errors)?, item))).collect()
        }
        (Kind::One(_) | Kind::Many(_), _) => {
            text(node, errors).map(|text| (text, node.clone())).into_iter().collect()
        }
    }
}

fn text(node: &Node<'_>, errors: &mut Vec<Error>) -> Option<String> {
    match node.to_json() {
        Value::String(text) if !text.is_empty() => Some(text),
        Value::Number(number) => Some(number.to_string()),
        _ => {
            errors.push(node.expected("a text or a number"));
            None
        }
    }
}

fn items_of<'a>(node: &Node<'a>) -> Vec<Node<'a>> {
    node.items(&mut Vec::new())
}

/// Reports what is no key, as errors all: what is ignored would be believed to count.
fn check_keys(
    node: &Node<'_>,
    known: &[&str],
    errors: &mut Vec<Error>,
    elsewhere: impl Fn(&str) -> Option<String>,
) {
    let mut found = Vec::new();
    node.check_fields(known, &mut found);
    for error in found {
        if error.severity() == Severity::Error && error.kind() != ErrorKind::UnknownField {
            errors.push(error);
            continue;
        }
        let key = error.path().and_then(|path| match path.segments().last() {
            Some(portcullis::Segment::Key(key)) => Some(key.to_string()),
            _ => None,
        });
        let hint = key.as_deref().and_then(&elsewhere);
        let known_hint = error.help().filter(|_| error.severity() == Severity::Error).map(str::to_owned);
        let strict = Error::new(ErrorKind::UnknownField, error.message()).at(error.location().cloned());
        let strict = match error.path() {
            Some(path) => strict.in_field(path.clone()),
            None => strict,
        };
        errors.push(match hint.or(known_hint) {
            Some(hint) => strict.hint(hint),
            None => strict.hint("`portcullis config schema` says what there is"),
        });
    }
}

/// Where a key belongs that stands in the wrong section.
fn elsewhere(key: &str, section: &str, program: &Command) -> Option<String> {
    if key == EXCLUSIONS {
        return Some("exclusions are for `test`".to_owned());
    }
    if matches!(key, "write-baseline" | "update-lock" | "config" | "no-config" | "fix" | "fix-dry-run") {
        return Some(format!("`--{key}` is said on the command line only"));
    }
    let has = |name: &&&str| {
        let command = program.find_subcommand(name);
        command.is_some_and(|command| keys(command).iter().any(|one| one.name == key))
    };
    let sections: Vec<String> = COMMANDS
        .iter()
        .filter(|name| **name != section)
        .filter(has)
        .map(|name| format!("`{name}`"))
        .collect();
    (!sections.is_empty()).then(|| format!("it is a key of {}", sections.join(", ")))
}

/// What is said of manifests that are too large does not help here.
fn no_manifest(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Limit => error.hint("a configuration file is at most 1 MiB"),
        _ => error,
    }
}
