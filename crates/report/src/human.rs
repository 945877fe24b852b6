//! For people: the line of the manifest, what is wrong with it, and which policy says so.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};

use anstyle::{AnsiColor, Style};
use portcullis::{EnforcementAction, Error, ErrorKind, Severity};

use crate::frame::{Frame, Gravity};
use crate::{Counts, Finding, Reviewed, TestReport, clip, count, escape};

/// What to leave out and what to add.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Without the summary.
    pub quiet: bool,
    /// With what policies print.
    pub verbose: bool,
}

/// Writes all findings and the summary.
pub fn write(report: &TestReport, options: Options, out: &mut dyn Write) -> io::Result<()> {
    let mut described = BTreeSet::new();
    for reviewed in &report.reviewed {
        let mut findings: Vec<_> = reviewed.findings.iter().collect();
        // As somebody reads who goes through the file.
        findings.sort_by(|a, b| (&a.position.location, a.action).cmp(&(&b.position.location, b.action)));
        for finding in findings {
            let first = described.insert(&finding.constraint.key().kind);
            writeln!(out, "{}", render(reviewed, finding, first))?;
        }
        if options.verbose {
            write_prints(reviewed, out)?;
        }
    }
    if options.quiet { Ok(()) } else { write_summary(report, out) }
}

/// How many problems of one cause are shown one by one.
const EXAMPLES: usize = 3;

/// Writes what is wrong with the input. What many objects have in common is said once, where the first of them stands.
pub fn write_problems<'a>(
    problems: impl IntoIterator<Item = &'a Error>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let problems: Vec<_> = problems.into_iter().collect();
    let mut causes: BTreeMap<String, Vec<&Error>> = BTreeMap::new();
    for problem in &problems {
        if let Some(cause) = cause(problem) {
            causes.entry(cause).or_default().push(problem);
        }
    }
    causes.retain(|_, gathered| gathered.len() > EXAMPLES);
    for problem in &problems {
        let mut notes = Vec::new();
        let gathered = cause(problem).and_then(|cause| causes.get(&cause));
        // Only now is anything made of it: a cause may have a hundred thousand.
        if gathered.is_some_and(|all| !all.first().is_some_and(|first| std::ptr::eq(*first, *problem))) {
            continue;
        }
        let title = gathered.map_or_else(|| problem.message().to_owned(), |gathered| many(gathered));
        if let Some(gathered) = gathered {
            for one in gathered.iter().take(EXAMPLES) {
                let at = one.location().map(|at| format!(" at {at}")).unwrap_or_default();
                notes.push((
                    "object",
                    format!("{}{at}: {}", one.subject().unwrap_or_default(), one.message()),
                ));
            }
            notes.push(("note", format!("and {} more", gathered.len() - EXAMPLES)));
        } else if let Some(subject) = problem.subject() {
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
            title: &title,
            location: problem.location(),
            label: None,
            notes,
            related: None,
        };
        writeln!(out, "{}", frame.render())?;
    }
    Ok(())
}

/// What a problem has in common with others that are told with it: that it is a second definition, or which constraint would find
/// something in other namespaces.
fn cause(problem: &Error) -> Option<String> {
    match (problem.kind(), problem.severity()) {
        (ErrorKind::DuplicateResource, Severity::Warning) => Some(String::new()),
        (ErrorKind::OtherNamespace, _) => {
            problem.message().split_once(" by its ").map(|(constraint, _)| constraint.to_owned())
        }
        _ => None,
    }
}

/// `132 objects are defined a second time, in 2 files`.
fn many(gathered: &[&Error]) -> String {
    let files: BTreeSet<_> = gathered.iter().filter_map(|one| Some(one.location()?.file())).collect();
    let objects = count(gathered.len(), "object", "objects");
    let files = count(files.len(), "file", "files");
    match gathered.first().and_then(|first| cause(first)).filter(|cause| !cause.is_empty()) {
        None => format!("{objects} are defined a second time, in {files}"),
        Some(cause) => format!("{cause}: {objects}, in {files}"),
    }
}

/// Bytes of a message, and of a note, that are shown: the other forms have the rest.
const MOST_SHOWN: usize = 8 << 10;

fn render(reviewed: &Reviewed, finding: &Finding, describe: bool) -> String {
    let key = finding.constraint.key();
    let template = finding.constraint.template();
    let mut notes = vec![("object", reviewed.object.to_string())];
    let path = &finding.position.path;
    if !path.is_root() {
        notes.push(("field", path.to_string()));
    }
    // The kind stands in the brackets already.
    match (template.title(), template.description().filter(|_| describe)) {
        (Some(title), Some(description)) => {
            notes.push(("policy", format!("{title}: {}", one_line(description))));
        }
        (Some(title), None) => notes.push(("policy", title.to_owned())),
        (None, Some(description)) => notes.push(("policy", one_line(description))),
        (None, None) => {}
    }
    let others: Vec<_> = finding.actions.iter().skip(1).map(EnforcementAction::as_str).collect();
    if !others.is_empty() {
        notes.push(("note", format!("it also has the action {}", others.join(" and "))));
    }
    let text = finding.text();
    let related = finding.failure.as_ref().and_then(|failure| failure.location.as_ref());
    for (_, text) in &mut notes {
        *text = clip::text(text, MOST_SHOWN).into_owned();
    }
    let frame = Frame {
        gravity: match finding.action {
            EnforcementAction::Deny => Gravity::Error,
            EnforcementAction::Warn => Gravity::Warning,
            EnforcementAction::Dryrun => Gravity::Note,
        },
        code: &key.to_string(),
        title: &clip::text(&text, MOST_SHOWN),
        location: Some(&finding.position.location),
        label: finding.is_vague().then_some("in this object; the policy does not say which field"),
        notes,
        related: related.map(|location| ("the policy broke here", location)),
    };
    frame.render()
}

/// Descriptions are folded texts that come with line breaks.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn write_prints(reviewed: &Reviewed, out: &mut dyn Write) -> io::Result<()> {
    for (constraint, print) in &reviewed.prints {
        let text = format!("{} on {}: {print}", constraint.key(), reviewed.object);
        writeln!(out, "print: {}", escape::line(&text))?;
    }
    if !reviewed.prints.is_empty() {
        writeln!(out)?;
    }
    Ok(())
}

fn write_summary(report: &TestReport, out: &mut dyn Write) -> io::Result<()> {
    const BAD: Style = AnsiColor::Red.on_default().bold();
    const DOUBTFUL: Style = AnsiColor::Yellow.on_default().bold();
    const GOOD: Style = AnsiColor::Green.on_default().bold();
    let counts = report.counts();
    let style = match counts {
        Counts { denied: 0, errors: 0, warned: 0, warnings: 0, .. } => GOOD,
        Counts { denied: 0, errors: 0, .. } => DOUBTFUL,
        _ => BAD,
    };
    writeln!(out, "{style}{}{style:#}", summary(report, counts))
}

/// `3 denied, 1 warning in 2 of 14 objects; 6 policies, 64 constraints; 2 errors`.
fn summary(report: &TestReport, counts: Counts) -> String {
    let mut found = Vec::new();
    if counts.denied > 0 {
        found.push(format!("{} denied", counts.denied));
    }
    if counts.warned > 0 {
        found.push(count(counts.warned, "warning", "warnings"));
    }
    if counts.noted > 0 {
        found.push(format!("{} in dry run", counts.noted));
    }
    let objects = count(counts.objects, "object", "objects");
    let found = match found.as_slice() {
        [] => format!("nothing found in {objects}"),
        found => format!("{} in {} of {objects}", found.join(", "), counts.bad_objects),
    };
    let mut parts = vec![match counts.failures {
        0 => found,
        failures => format!("{found} ({failures} could not be evaluated)"),
    }];
    let policies = count(report.templates, "policy", "policies");
    parts.push(format!("{policies}, {}", count(report.constraints.len(), "constraint", "constraints")));
    parts.extend(report.placed.line());
    if report.excluded > 0 {
        let objects = count(report.excluded, "object is", "objects are");
        parts.push(format!("{objects} not judged, because a Config excludes their namespace"));
    }
    let mut input = Vec::new();
    if counts.errors > 0 {
        input.push(count(counts.errors, "error", "errors"));
    }
    if counts.warnings > 0 {
        input.push(count(counts.warnings, "warning", "warnings"));
    }
    if !input.is_empty() {
        parts.push(format!("{} about the input", input.join(" and ")));
    }
    parts.join("; ")
}
