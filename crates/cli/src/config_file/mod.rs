//! What the command line, environment variables and the configuration file say together.
//!
//! ```text
//! arguments ─┐
//! variables ─┼── by flag, the first that says it ──> arguments ── clap ──> Args
//! file ──────┘
//! ```
//!
//! There is one parser of flags, clap's: what is said elsewhere is given to it as arguments. So a new flag is a key and
//! a variable, and a value is read and refused alike wherever it stands.

mod document;
mod schema;
mod show;
mod table;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Command, CommandFactory as _, FromArgMatches as _};
use portcullis::{Error, ErrorKind, Location, Source};
use portcullis_report::{ExitStatus, Problem, human};
use portcullis_sources::{Globs, Ignores};

pub use schema::schema;
pub use show::show;

use crate::args::Args;
use crate::file_args::{InForce, note};
use document::{ConfigFile, Entry};
use table::{COMMON, Key, Kind, VARIABLES, keys, section_of};

/// What a configuration file is called.
const NAME: &str = "portcullis.yaml";

/// A name that might be taken for it.
const OTHER_NAME: &str = "portcullis.yml";

/// Why there is nothing to run.
pub enum Refused {
    /// The command line does not say what to do, or asks for help.
    Usage(clap::Error),
    /// The configuration file or an environment variable is wrong.
    Config(Vec<Error>),
}

/// The program as it is parsed: switches also take `=true` and `=false`, so that the command line can take back what
/// a file says, and as gator's do.
fn program() -> Command {
    with_switches(Args::command())
}

fn with_switches(command: Command) -> Command {
    let switch = |arg: clap::Arg| match arg.get_action() {
        ArgAction::SetTrue => arg
            .action(ArgAction::Set)
            .num_args(0..=1)
            .require_equals(true)
            .value_name("BOOL")
            .default_value("false")
            .default_missing_value("true")
            .hide_default_value(true)
            .hide_possible_values(true)
            .value_parser(clap::value_parser!(bool)),
        _ => arg,
    };
    command.mut_args(switch).mut_subcommands(with_switches)
}

/// What somebody asks for by arguments, variables and a configuration file.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Args, Refused> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let program = program();
    let mut built = program.clone();
    built.build();
    // Only which flags are named: what is wrong with them is said when all are known.
    let named = program.clone().ignore_errors(true).try_get_matches_from(&arguments).ok();
    let asked = named.as_ref().and_then(ArgMatches::subcommand);
    let taken = match asked.and_then(|(name, matches)| Some((section_of(name)?, name, matches))) {
        Some((section, name, matches)) => Some((name, taken(&built, section, name, matches)?)),
        None => None,
    };
    let all = match &taken {
        Some((name, taken)) => with(&arguments, name, &taken.arguments),
        None => arguments,
    };
    let mut matches = program
        .try_get_matches_from(&all)
        .map_err(|error| usage(error, &all, taken.as_ref().map(|(_, taken)| taken)))?;
    let mut args = Args::from_arg_matches_mut(&mut matches).map_err(Refused::Usage)?;
    if let (Some((_, taken)), Some(files)) = (taken, args.files_mut()) {
        files.in_force = taken.in_force(&files.ignore_files)?;
    }
    Ok(args)
}

/// Help has switches as they are meant; of a mistake is said that it may be in the file.
fn usage(error: clap::Error, all: &[OsString], taken: Option<&Taken>) -> Refused {
    use clap::error::ErrorKind as Kind;
    let is_help = matches!(error.kind(), Kind::DisplayHelp | Kind::DisplayHelpOnMissingArgumentOrSubcommand);
    if is_help {
        return Refused::Usage(Args::command().try_get_matches_from(all).err().unwrap_or(error));
    }
    if let Some(line) = taken.and_then(Taken::line) {
        note(&line);
    }
    Refused::Usage(error)
}

/// Arguments with others, which come directly behind the name of the command: nothing before it is called so, and
/// behind it there may be a `--`.
fn with(arguments: &[OsString], name: &str, others: &[String]) -> Vec<OsString> {
    let behind =
        arguments.iter().skip(1).position(|argument| argument == name).map_or(0, |position| position + 2);
    let (front, back) = arguments.split_at_checked(behind).unwrap_or((arguments, &[]));
    front.iter().cloned().chain(others.iter().map(OsString::from)).chain(back.iter().cloned()).collect()
}

/// What is taken from elsewhere than the command line.
#[derive(Debug, Default)]
struct Taken {
    arguments: Vec<String>,
    file: Option<ConfigFile>,
    /// The keys that are taken from the file.
    keys: Vec<String>,
    variables: Vec<String>,
    /// What the globs are relative to.
    globs: PathBuf,
    /// Whether exclusions are for this command.
    is_judging: bool,
    is_silenced: bool,
}

/// Looks for all keys of a command which the command line does not say.
fn taken(
    program: &Command,
    section: &'static str,
    name: &str,
    matches: &ArgMatches,
) -> Result<Taken, Refused> {
    let Some(command) = program.find_subcommand(name) else { return Ok(Taken::default()) };
    let mut errors = Vec::new();
    let variables = variables(program, command, &mut errors);
    let given = matches.try_get_one::<PathBuf>("config").ok().flatten().cloned();
    let is_off = matches.try_get_one::<bool>("no_config").ok().flatten().copied().unwrap_or_default();
    let file = match find_file(given, is_off, &mut errors) {
        Some(path) => match ConfigFile::read(&path, program) {
            Ok(file) => Some(file),
            Err(found) => {
                errors.extend(found);
                None
            }
        },
        None => None,
    };
    if errors.iter().any(|error| error.severity() == portcullis::Severity::Error) {
        return Err(Refused::Config(errors));
    }
    // Nothing is left to do if even this cannot be written.
    let _ = human::write_problems(&Problem::all(&errors), &mut anstream::stderr().lock());
    let is_given = |id: &str| {
        matches.try_contains_id(id).is_ok() && matches.value_source(id) == Some(ValueSource::CommandLine)
    };
    let given: BTreeSet<&str> =
        command.get_arguments().map(|arg| arg.get_id().as_str()).filter(|id| is_given(id)).collect();
    let (is_silenced, is_judging) = (given.contains("quiet"), section == "test");
    let mut found = Taken { is_judging, is_silenced, ..Taken::default() };
    let mut said: BTreeSet<String> = given.iter().map(|id| (*id).to_owned()).collect();
    for layer in [
        Layer::Variables(&variables),
        Layer::Section(file.as_ref(), section),
        Layer::Section(file.as_ref(), COMMON),
    ] {
        // What this layer says is not in the way of itself.
        let before = said.clone();
        for key in keys(command) {
            // Lists of exceptions are another report.
            if name == "exceptions" && ["output", "template", "trace", "stats"].contains(&&*key.name) {
                continue;
            }
            let Some((entry, folder)) = layer.entry(&key) else { continue };
            let same = same_flags(command, name, &key.id);
            if before.contains(&key.id) || same.iter().any(|id| before.contains(*id)) {
                continue;
            }
            said.insert(key.id.clone());
            if key.kind == Kind::Switch && entry.iter().all(|value| value == "false") {
                continue;
            }
            if key.name == "ignore" {
                folder.clone_into(&mut found.globs);
            }
            found.arguments.extend(entry.iter().map(|value| key.argument(&key.path.resolve(value, folder))));
            match layer {
                Layer::Variables(_) => {
                    found.is_silenced |= key.name == "quiet";
                    found.variables.push(key.variable());
                }
                Layer::Section(..) => found.keys.push(key.name),
            }
        }
    }
    found.keys.sort();
    found.keys.dedup();
    found.file = file;
    Ok(found)
}

/// Flags which, if somebody names one, take the place of another one: those that say the same, and those that do not go
/// together with it.
fn same_flags<'a>(command: &'a Command, name: &str, id: &'a str) -> Vec<&'a str> {
    let mut same: Vec<&str> = table::same_as(name, id).to_vec();
    for arg in command.get_arguments() {
        let conflicts = command.get_arg_conflicts_with(arg);
        if arg.get_id() == id {
            same.extend(conflicts.iter().map(|other| other.get_id().as_str()));
        } else if conflicts.iter().any(|other| other.get_id() == id) {
            same.push(arg.get_id().as_str());
        }
    }
    same
}

/// Where values come from, beside the command line.
#[derive(Clone, Copy)]
enum Layer<'a> {
    Variables(&'a BTreeMap<String, Vec<String>>),
    Section(Option<&'a ConfigFile>, &'static str),
}

impl<'a> Layer<'a> {
    /// The values of a key, and the folder that paths in them are relative to.
    fn entry(self, key: &Key) -> Option<(&'a [String], &'a Path)> {
        match self {
            Self::Variables(variables) => Some((variables.get(&key.name)?, Path::new(""))),
            Self::Section(file, section) => {
                let file = file?;
                let Entry { values, .. } = file.entry(section, &key.name)?;
                Some((values, &file.folder))
            }
        }
    }
}

/// The values of environment variables, by key. One that is nearly called as a flag of any command is a warning.
fn variables(program: &Command, command: &Command, errors: &mut Vec<Error>) -> BTreeMap<String, Vec<String>> {
    let of_all: Vec<String> = table::COMMANDS
        .iter()
        .filter_map(|name| program.find_subcommand(name))
        .flat_map(|command| keys(command).into_iter().map(|key| key.variable()))
        .chain(["CONFIG", "NO_CONFIG"].map(|name| format!("{VARIABLES}{name}")))
        .collect();
    let mut values = BTreeMap::new();
    for key in keys(command) {
        let variable = key.variable();
        let Some(value) = env::var_os(&variable).filter(|value| !value.is_empty()) else { continue };
        let Some(value) = value.to_str() else {
            let message = format!("the environment variable `{variable}` is not UTF-8");
            errors.push(Error::new(ErrorKind::InvalidValue, message));
            continue;
        };
        let all: Vec<String> = match &key.kind {
            Kind::Many(_) => {
                value.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
            }
            Kind::Switch | Kind::One(_) => vec![value.to_owned()],
        };
        for value in &all {
            let wrong = match (&key.kind, value.as_str()) {
                (Kind::Switch, "true" | "false") => None,
                (Kind::Switch, _) => Some(("expected `true` or `false`".to_owned(), None)),
                // clap takes them apart.
                _ if key.delimiter.is_some() => None,
                _ => document::refusal(command, &key, value),
            };
            if let Some((message, hint)) = wrong {
                let error = Error::new(
                    ErrorKind::InvalidValue,
                    format!("the environment variable `{variable}`: {message}"),
                );
                errors.push(match hint {
                    Some(hint) => error.hint(hint),
                    None => error,
                });
            }
        }
        values.insert(key.name.clone(), all);
    }
    let known: BTreeSet<&str> = of_all.iter().map(String::as_str).collect();
    let near = env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    let mut near: Vec<String> =
        near.filter(|name| name.starts_with(VARIABLES) && !known.contains(&**name)).collect();
    near.sort();
    for name in near {
        if let Some(meant) = known.iter().find(|known| is_near(&name, known)) {
            let message = format!("the environment variable `{name}` is none of ours, and is ignored");
            errors.push(
                Error::warning(ErrorKind::UnknownField, message).hint(format!("did you mean `{meant}`?")),
            );
        }
    }
    values
}

/// Whether two names differ by one letter.
fn is_near(one: &str, other: &str) -> bool {
    let (long, short) = if one.len() < other.len() { (other, one) } else { (one, other) };
    let same = long.bytes().zip(short.bytes()).take_while(|(a, b)| a == b).count();
    let behind = |text: &str, skipped: usize| text.as_bytes().get(same + skipped..).map(<[u8]>::to_vec);
    match long.len() - short.len() {
        0 => one != other && behind(long, 1) == behind(short, 1),
        1 => behind(long, 1) == behind(short, 0),
        _ => false,
    }
}

/// The configuration file that counts, if there is one.
fn find_file(given: Option<PathBuf>, is_off: bool, errors: &mut Vec<Error>) -> Option<PathBuf> {
    if given.is_some() || is_off {
        return given;
    }
    let variable = |name: &str| env::var_os(format!("{VARIABLES}{name}")).filter(|value| !value.is_empty());
    if let Some(path) = variable("CONFIG") {
        return Some(PathBuf::from(path));
    }
    match variable("NO_CONFIG") {
        Some(value) if value == "true" => return None,
        Some(value) if value != "false" => {
            let message =
                format!("the environment variable `{VARIABLES}NO_CONFIG`: expected `true` or `false`");
            errors.push(Error::new(ErrorKind::InvalidValue, message));
            return None;
        }
        _ => {}
    }
    let current = env::current_dir().ok()?;
    // As a path from here, so that what it names is called as who is here would call it.
    let mut above = PathBuf::new();
    for folder in current.ancestors() {
        let file = above.join(NAME);
        if fs::symlink_metadata(&file).is_ok() {
            // Nobody named it: a pipe that somebody put there would be waited for. What is not there is said by who reads it.
            if fs::metadata(&file).is_ok_and(|metadata| !metadata.is_file()) {
                let place = Location::new(Source::new(file.display().to_string(), ""), 0..0);
                errors.push(
                    Error::new(ErrorKind::Unreadable, "expected a file, found something else").at(place),
                );
                return None;
            }
            return Some(file);
        }
        let other = above.join(OTHER_NAME);
        if other.is_file() {
            let place = Location::new(Source::new(other.display().to_string(), ""), 0..0);
            let message = format!("this is not read: a configuration file is called `{NAME}`");
            errors.push(Error::warning(ErrorKind::Unreadable, message).at(place));
        }
        // Of a worktree it is a file.
        if folder.join(".git").exists() {
            return None;
        }
        above.push("..");
    }
    None
}

impl Taken {
    /// What is taken from where.
    fn line(&self) -> Option<String> {
        let mut parts = Vec::new();
        let mut keys = self.keys.clone();
        if let Some(file) = &self.file {
            if self.is_judging && !file.exclusions.is_empty() {
                keys.push(table::EXCLUSIONS.to_owned());
            }
            let what = if keys.is_empty() { "nothing for this command".to_owned() } else { keys.join(", ") };
            parts.push(format!("configuration file {}: {what}", file.name));
        }
        if !self.variables.is_empty() {
            parts.push(format!("environment: {}", self.variables.join(", ")));
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    fn in_force(self, globs: &[String]) -> Result<InForce, Refused> {
        let globs = match globs {
            [] => None,
            globs => {
                let made = Globs::new(&self.globs, globs.iter().map(String::as_str));
                // Those of the file were tried before.
                Some(made.map_err(|wrong| {
                    let error = |(number, why): (usize, String)| {
                        let glob = globs.get(number).map_or("", String::as_str);
                        Error::new(ErrorKind::InvalidValue, format!("`--ignore-files {glob}`: {why}"))
                    };
                    Refused::Config(wrong.into_iter().map(error).collect())
                })?)
            }
        };
        let line = self.line();
        let own = self.file.iter().map(|file| file.path.clone()).collect();
        Ok(InForce {
            ignores: Ignores::new(globs, own),
            exclusions: self.file.filter(|_| self.is_judging).map(|file| file.exclusions).unwrap_or_default(),
            line,
            is_silenced: self.is_silenced,
        })
    }
}

/// Says what is wrong with what a command is told by a file or by the environment: nothing is run then.
pub fn refuse(errors: &[Error]) -> ExitStatus {
    // Nothing is left to do if even this cannot be written.
    let _ = human::write_problems(&Problem::all(errors), &mut anstream::stderr().lock());
    ExitStatus::Error
}
