//! `portcullis config show`: what is in force for each command, and where it is said.

use std::fmt::Write as _;
use std::path::Path;

use portcullis::{Error, Severity};
use serde_json::Value;

use super::document::ConfigFile;
use super::table::{COMMANDS, COMMON, EXCLUSIONS, keys};
use super::{find_file, program, variables};

/// A text in YAML: each key in force, with its place.
///
/// # Errors
///
/// What is wrong with the file or with environment variables.
pub fn show(given: Option<&Path>) -> Result<String, Vec<Error>> {
    let mut program = program();
    program.build();
    let mut errors = Vec::new();
    let file = match find_file(given.map(Path::to_owned), false, &mut errors) {
        Some(path) => match ConfigFile::read(&path, &program) {
            Ok(file) => Some(file),
            Err(found) => {
                errors.extend(found);
                None
            }
        },
        None => None,
    };
    let mut text = match &file {
        Some(file) => format!("# configuration file: {}\n", file.name),
        None => "# no configuration file\n".to_owned(),
    };
    for name in COMMANDS {
        let Some(command) = program.find_subcommand(name) else { continue };
        let of_variables = variables(&program, command, &mut errors);
        let mut lines = Vec::new();
        for key in keys(command) {
            let of_file = || {
                let file = file.as_ref()?;
                file.entry(name, &key.name).or_else(|| file.entry(COMMON, &key.name))
            };
            let (values, from) = match (of_variables.get(&key.name), of_file()) {
                (Some(values), _) => (values, key.variable()),
                (None, Some(entry)) => (&entry.values, entry.place.to_string()),
                (None, None) => continue,
            };
            let values = match values.as_slice() {
                [one] => Value::from(one.as_str()),
                several => Value::from(several.to_vec()),
            };
            lines.push(format!("  {}: {values}  # {from}", key.name));
        }
        if let Some(file) = file.as_ref().filter(|file| name == "test" && !file.exclusions.is_empty()) {
            lines.push(format!("  {EXCLUSIONS}:"));
            for one in &file.exclusions {
                let (constraint, reason) = (Value::from(&*one.constraint), Value::from(&*one.reason));
                lines.push(format!("  - {{constraint: {constraint}, reason: {reason}}}  # {}", one.place));
            }
        }
        if !lines.is_empty() {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name}:\n{}", lines.join("\n"));
        }
    }
    if errors.iter().any(|error| error.severity() == Severity::Error) {
        errors.sort();
        errors.dedup();
        return Err(errors);
    }
    Ok(text)
}
