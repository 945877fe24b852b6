//! Results in, text out: one file per form. None of them decides anything.

pub mod audit;
pub mod clip;
pub mod escape;
mod exit;
pub mod frame;
pub mod github;
pub mod html;
pub mod human;
pub mod json;
pub mod junit;
pub mod lint;
pub mod sarif;
pub mod verify;
pub mod yaml;

use std::collections::BTreeSet;
use std::io::{self, BufWriter, Write};
use std::sync::{Arc, LazyLock};

use portcullis::{
    Actions, ConstraintInfo, EnforcementAction, Error, ErrorKind, Location, Object, Position, Precision,
    Severity,
};

pub use exit::ExitStatus;
pub use portcullis_sources::usage;

/// What `portcullis test` found.
#[derive(Debug)]
pub struct TestReport {
    /// By the position of the object, then as the library orders them.
    pub reviewed: Vec<Reviewed>,
    /// What is wrong with the input, by position.
    pub problems: Vec<Error>,
    /// How many templates could be used.
    pub templates: usize,
    /// The constraints that could be used, by key.
    pub constraints: Vec<Arc<ConstraintInfo>>,
    /// What became of objects that name no namespace.
    pub placed: Placed,
    /// How many objects were not judged, because a Config keeps the webhook away from their namespace.
    pub excluded: usize,
}

/// Objects that name no namespace, though their kind lives in one.
#[derive(Clone, Debug, Default)]
pub struct Placed {
    /// Where they are taken to be.
    pub namespace: String,
    /// Whether somebody said so.
    pub is_given: bool,
    /// How many there are.
    pub objects: usize,
}

impl Placed {
    /// `3 objects name no namespace: taken to be in `default``; `None` if there are none.
    pub fn line(&self) -> Option<String> {
        let objects = match self.objects {
            0 => return None,
            1 => "1 object names no namespace".to_owned(),
            objects => format!("{objects} objects name no namespace"),
        };
        let by = if self.is_given { ", as `--namespace` says" } else { "" };
        Some(format!("{objects}: taken to be in `{}`{by}", self.namespace))
    }

    /// The same as a warning, for reports without a summary; nothing to warn of, if somebody said where they are.
    pub fn to_warning(&self) -> Option<Error> {
        let line = self.line().filter(|_| !self.is_given)?;
        Some(Error::warning(ErrorKind::MissingNamespace, line).hint("name another one with `--namespace`"))
    }
}

impl Reviewed {
    /// An object that no policy was asked about.
    pub fn unjudged(object: Object, is_policy: bool) -> Self {
        Self { object, is_policy, findings: Vec::new(), passed: Vec::new(), prints: Vec::new() }
    }
}

/// An object and what was found in it.
#[derive(Debug)]
pub struct Reviewed {
    /// What was judged.
    pub object: Object,
    /// True for templates, constraints and other policy documents, which are reviewed like all objects.
    pub is_policy: bool,
    /// As the library orders them.
    pub findings: Vec<Finding>,
    /// The constraints that apply and found nothing.
    pub passed: Vec<Arc<ConstraintInfo>>,
    /// What policies printed, with the constraint that was evaluated.
    pub prints: Vec<(Arc<ConstraintInfo>, String)>,
}

/// One violation, or one constraint that could not be evaluated.
#[derive(Debug)]
pub struct Finding {
    /// The constraint that is not satisfied.
    pub constraint: Arc<ConstraintInfo>,
    /// What it leads to.
    pub actions: Actions,
    /// The gravest of the actions.
    pub action: EnforcementAction,
    /// As the policy says it.
    pub message: String,
    /// The policy's `details`, `{}` if it gave none.
    pub details: serde_json::Value,
    /// The place in the object, or the line that says which object it is.
    pub position: Position,
    /// Set if the constraint could not be evaluated.
    pub failure: Option<Failure>,
}

/// Where the policy broke, if that is known.
#[derive(Debug)]
pub struct Failure {
    /// The place in the policy.
    pub location: Option<Location>,
}

impl Finding {
    /// The message, saying so if it is not the policy's.
    pub fn text(&self) -> String {
        match self.failure {
            Some(_) => format!("could not be evaluated: {}", self.message),
            None => self.message.clone(),
        }
    }

    /// Whether the position is only that of the object.
    pub fn is_vague(&self) -> bool {
        self.failure.is_none() && self.position.precision == Precision::Object
    }
}

/// A part of a line, for formats that have no byte ranges. Columns count characters, from 1. What is marked ends with the
/// line it starts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// The line, from 1.
    pub line: u32,
    /// The first character.
    pub column: u32,
    /// The character behind the last.
    pub end_column: u32,
}

impl Region {
    /// The part of the line that a location starts in.
    pub fn of(location: &Location) -> Self {
        let (line, column) = (location.line(), location.column());
        let end_column = match location.end() {
            (end_line, end_column) if end_line == line => end_column,
            _ => {
                let (source, start) = (location.source(), location.range().start as usize);
                let end = source.line_start(line + 1).map_or(source.text().len(), |next| next as usize);
                let rest = source.text().get(start..end).unwrap_or_default().trim_end();
                source.line_column(u32::try_from(start + rest.len()).unwrap_or(u32::MAX)).1
            }
        };
        Self { line, column, end_column: end_column.max(column) }
    }
}

/// A file as platforms want it that know a checkout only by its own paths: relative to the working directory if it is below.
pub fn in_checkout(file: &str) -> &str {
    static DIRECTORY: LazyLock<Option<String>> =
        LazyLock::new(|| Some(std::env::current_dir().ok()?.to_str()?.to_owned()));
    let below = DIRECTORY.as_deref().and_then(|directory| file.strip_prefix(directory));
    below.and_then(|rest| rest.strip_prefix('/')).unwrap_or(file)
}

/// How many of each there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Findings that deny.
    pub denied: usize,
    /// Findings that warn.
    pub warned: usize,
    /// Findings that are only noted.
    pub noted: usize,
    /// How many of these could not be evaluated.
    pub failures: usize,
    /// Objects that were judged, without policies that nothing was found in.
    pub objects: usize,
    /// Objects in which something was found.
    pub bad_objects: usize,
    /// Errors in the input.
    pub errors: usize,
    /// Warnings about the input.
    pub warnings: usize,
}

impl TestReport {
    /// Every finding with its object.
    pub fn findings(&self) -> impl Iterator<Item = (&Reviewed, &Finding)> {
        self.reviewed
            .iter()
            .flat_map(|reviewed| reviewed.findings.iter().map(move |finding| (reviewed, finding)))
    }

    /// Counts what there is.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for reviewed in &self.reviewed {
            let bad = !reviewed.findings.is_empty();
            counts.objects += usize::from(bad || !reviewed.is_policy);
            counts.bad_objects += usize::from(bad);
            for finding in &reviewed.findings {
                let counter = match finding.action {
                    EnforcementAction::Deny => &mut counts.denied,
                    EnforcementAction::Warn => &mut counts.warned,
                    EnforcementAction::Dryrun => &mut counts.noted,
                };
                *counter += 1;
                counts.failures += usize::from(finding.failure.is_some());
            }
        }
        counts.errors = self.problems.iter().filter(|problem| problem.severity() == Severity::Error).count();
        counts.warnings = self.problems.len() - counts.errors;
        counts
    }

    /// The templates of the constraints, by kind, each with one of its constraints.
    pub fn kinds(&self) -> Vec<&Arc<ConstraintInfo>> {
        let mut seen = BTreeSet::new();
        self.constraints.iter().filter(|constraint| seen.insert(constraint.key().kind.clone())).collect()
    }
}

/// Standard output in large pieces. Only what is written for people may have colours, so only that is searched for them. If there is none, writing
/// is an error.
pub fn stdout(for_people: bool) -> Box<dyn Write> {
    const PIECE: usize = 64 << 10;
    if portcullis_sources::stdout_is_closed() {
        return Box::new(Closed);
    }
    let stdout: Box<dyn Write> =
        if for_people { Box::new(anstream::stdout().lock()) } else { Box::new(io::stdout().lock()) };
    Box::new(BufWriter::with_capacity(PIECE, stdout))
}

/// A standard output that was closed before the program began.
struct Closed;

impl Write for Closed {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(portcullis_sources::closed_stdout())
    }

    fn flush(&mut self) -> io::Result<()> {
        Err(portcullis_sources::closed_stdout())
    }
}

/// `1 object`, `2 objects`.
pub fn count(number: usize, one: &str, many: &str) -> String {
    let word = if number == 1 { one } else { many };
    format!("{number} {word}")
}

/// A problem in one line. A file without a text, such as one that is not there, has no lines.
pub fn problem_line(problem: &Error) -> String {
    let line = problem.to_string();
    match problem.location() {
        Some(location) if location.source().text().is_empty() => {
            let shown = location.to_string();
            line.strip_prefix(&shown)
                .map_or_else(|| line.clone(), |rest| format!("{}{rest}", location.file()))
        }
        _ => line,
    }
}
