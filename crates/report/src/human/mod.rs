//! For people: the lines of the manifest or the policy, what is wrong with them, and a summary.

mod audit;
mod bench;
mod frame;
mod lint;
mod test;
mod verify;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use portcullis::{ErrorKind, Severity};

use crate::form::{Spec, Writer};
use crate::{Problem, count};
use frame::{Frame, Gravity};

pub use audit::{table, write_doubts, write_problems as write_audit_problems};

pub use bench::write_comparison;
pub(crate) use lint::{summary as lint_summary, write_summary as write_lint_summary};
pub(crate) use test::{summary_of as test_summary, write_summary as write_test_summary, write_why};

pub(crate) const FORM: Spec = Spec {
    aliases: &["default", "table"],
    is_for_people: true,
    test: Some(Writer { about: "for people, with the lines of the manifests", write: test::write }),
    verify: Some(Writer { about: "for people, as `go test` prints it", write: verify::write }),
    lint: Some(Writer { about: "for people, with the lines of the policies", write: lint::write }),
    bench: Some(Writer { about: "for people: tables", write: bench::write }),
    audit: Some(Writer {
        about: "for people: totals by policy and namespace, and what was not seen",
        write: audit::write,
    }),
    ..Spec::new("human")
};

pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
pub(crate) const DOUBTFUL: Style = AnsiColor::Yellow.on_default().bold();
const GOOD: Style = AnsiColor::Green.on_default().bold();
pub(crate) const DIM: Style = Style::new().dimmed();
const HEAD: Style = Style::new().bold();

/// How many problems of one cause are shown one by one.
const EXAMPLES: usize = 3;

/// Writes what is wrong with the input. What many objects have in common is said once, where the first of
/// them stands.
pub fn write_problems(problems: &[Problem], out: &mut dyn Write) -> io::Result<()> {
    let mut causes: BTreeMap<Cause<'_>, Vec<&Problem>> = BTreeMap::new();
    for problem in problems {
        causes.entry(cause(problem)).or_default().push(problem);
    }
    causes.retain(|_, gathered| gathered.len() > EXAMPLES);
    for problem in problems {
        let mut notes = Vec::new();
        let gathered = causes.get(&cause(problem));
        // Only now is anything made of it: a cause may have a hundred thousand.
        if gathered.is_some_and(|all| !all.first().is_some_and(|first| std::ptr::eq(*first, problem))) {
            continue;
        }
        let title = gathered.map_or_else(|| problem.message.clone(), |gathered| many(gathered));
        if let Some(gathered) = gathered {
            for one in gathered.iter().take(EXAMPLES) {
                let at = one.location.as_ref().map(|at| format!(" at {at}")).unwrap_or_default();
                let subject = one.subject.as_deref().unwrap_or_default();
                notes.push(match cause(one) {
                    Cause::Same { .. } => ("object", format!("{subject}{at}").trim_start().to_owned()),
                    Cause::Second | Cause::Topic(_) => ("object", format!("{subject}{at}: {}", one.message)),
                });
            }
            notes.push(("note", format!("and {} more", gathered.len() - EXAMPLES)));
        } else if let Some(subject) = &problem.subject {
            notes.push(("in", subject.clone()));
        }
        if let Some(field) = &problem.field {
            notes.push(("field", field.clone()));
        }
        if let Some(help) = &problem.help {
            notes.push(("help", help.clone()));
        }
        let gravity = match problem.severity {
            Severity::Error => Gravity::Error,
            Severity::Warning => Gravity::Warning,
        };
        let frame = Frame {
            gravity,
            code: problem.kind.code(),
            title: &title,
            location: problem.location.as_ref(),
            label: None,
            notes,
            related: None,
        };
        writeln!(out, "{}", frame.render())?;
    }
    Ok(())
}

/// What a problem has in common with others that are reported with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Cause<'a> {
    /// That it is a second definition.
    Second,
    /// Which constraint would find something in other namespaces.
    Topic(&'a str),
    /// All that is said of it, but for the place: the same mistake in many documents.
    Same {
        severity: Severity,
        kind: ErrorKind,
        subject: Option<&'a str>,
        message: &'a str,
        help: Option<&'a str>,
    },
}

fn cause(problem: &Problem) -> Cause<'_> {
    let Problem { severity, kind, subject, message, help, topic, .. } = problem;
    match (kind, severity, topic) {
        (ErrorKind::DuplicateResource, Severity::Warning, _) => Cause::Second,
        (_, _, Some(topic)) => Cause::Topic(topic),
        _ => Cause::Same {
            severity: *severity,
            kind: *kind,
            subject: subject.as_deref(),
            message,
            help: help.as_deref(),
        },
    }
}

/// `132 objects are defined a second time, in 2 files`.
fn many(gathered: &[&Problem]) -> String {
    let files: BTreeSet<_> = gathered.iter().filter_map(|one| Some(one.location.as_ref()?.file())).collect();
    let objects = count(gathered.len(), "object", "objects");
    let places = match files.len() {
        0 => String::new(),
        files => format!(", in {}", count(files, "file", "files")),
    };
    match gathered.first().map(|first| cause(first)) {
        None | Some(Cause::Second) => format!("{objects} are defined a second time{places}"),
        Some(Cause::Topic(topic)) => format!("{topic}: {objects}{places}"),
        Some(Cause::Same { message, .. }) => {
            format!("{message}: {}{places}", count(gathered.len(), "time", "times"))
        }
    }
}
