//! For people.

use std::io::{self, Write};

use portcullis::{Error, Severity};

use super::frame::{Frame, Gravity};

/// Writes what is wrong with the input.
pub fn write_problems(problems: &[Error], out: &mut dyn Write) -> io::Result<()> {
    for problem in problems {
        let mut notes = Vec::new();
        if let Some(subject) = problem.subject() {
            notes.push(("in", subject.to_owned()));
        }
        if let Some(path) = problem.path().filter(|path| !path.is_root()) {
            notes.push(("field", path.to_string()));
        }
        if let Some(help) = problem.help() {
            notes.push(("help", help.to_owned()));
        }
        let gravity = match problem.severity() {
            Severity::Error => Gravity::Error,
            Severity::Warning => Gravity::Warning,
        };
        let frame = Frame {
            gravity,
            code: problem.kind().code(),
            title: problem.message(),
            location: problem.location(),
            label: None,
            notes,
            related: None,
        };
        writeln!(out, "{}", frame.render())?;
    }
    Ok(())
}
