//! `portcullis build`: templates and constraints from files of Rego.
//!
//! ```text
//! files ── portcullis-manifests, sources ──> templates, constraints ── compiled once, as a cluster would ──> files
//!                                                                  \── --check: compared with those that are there
//! ```

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use portcullis::{Document, Error, ErrorKind, Limits, Location, PolicySet, Severity, Source};
use portcullis_manifests::sources::{self, Built};
use portcullis_report::{self as report, ExitStatus, Problem, count};
use portcullis_sources::{self as read, Choice};
use serde_json::Value;

use crate::build_args::BuildArgs;
use crate::commands::rego_files::modules;

/// Makes the files, or compares them.
pub fn run(args: &BuildArgs) -> anyhow::Result<ExitStatus> {
    if args.from_conftest && args.output.is_none() {
        anyhow::bail!("`--from-conftest` makes new files: say where with `--output DIR`");
    }
    let limits = Limits::default();
    let (sorted, mut problems) = read::list_sorted(&args.paths, Choice::Manifests);
    let (files, found) = modules(&sorted.rego, args.rego_version, &limits);
    problems.extend(found);
    let (built, suite) = if args.from_conftest {
        let (turned, found) = sources::from_conftest(&files, &args.namespace);
        problems.extend(turned.left);
        problems.extend(found);
        (turned.built, turned.suite)
    } else {
        let (built, found) = sources::build(&files);
        problems.extend(found);
        (built, String::new())
    };
    if built.is_empty() && !has_errors(&problems) {
        let error = Error::new(ErrorKind::NoInput, "no source of a template was found");
        problems.push(
            error.hint("a source is a file of Rego with a rule `violation` that is no library and no test"),
        );
    }
    let mut outputs: Vec<(PathBuf, String)> = Vec::new();
    for one in &built {
        problems.extend(unusable(one));
        outputs.extend(files_of(one, args));
    }
    if let (Some(folder), false) = (&args.output, suite.is_empty()) {
        outputs.push((folder.join("suite.yaml"), suite));
    }
    let mut differ = Vec::new();
    // What is wrong with one source does not keep those of others from being written.
    for (path, text) in &outputs {
        if args.check {
            differ.extend(difference(path, text));
        } else {
            write(path, text)?;
        }
    }
    report::human::write_problems(&Problem::all(&problems), &mut anstream::stderr().lock())?;
    let mut out = report::stdout(true);
    for line in &differ {
        writeln!(out, "{line}")?;
    }
    if !args.quiet {
        let templates = count(built.len(), "template", "templates");
        let files = count(outputs.len(), "file", "files");
        let left = problems.iter().filter(|problem| problem.severity() == Severity::Warning).count();
        let left =
            if left > 0 { format!("; {} not turned", count(left, "part", "parts")) } else { String::new() };
        let line = match (args.check, differ.len()) {
            (true, 0) => format!("{templates}: {files} as they should be{left}"),
            (true, differ) => {
                format!("{templates}: {differ} of {files} differ; run `portcullis build`{left}")
            }
            (false, _) => format!("{templates}: {files} written{left}"),
        };
        writeln!(out, "{line}")?;
    }
    out.flush()?;
    Ok(match (has_errors(&problems), differ.is_empty()) {
        (true, _) => ExitStatus::Error,
        (false, false) => ExitStatus::Violations,
        (false, true) => ExitStatus::Success,
    })
}

fn has_errors(problems: &[Error]) -> bool {
    problems.iter().any(|problem| problem.severity() == Severity::Error)
}

/// Where what was made of a source belongs.
fn files_of(built: &Built, args: &BuildArgs) -> Vec<(PathBuf, String)> {
    let beside = Path::new(&**built.source.name()).parent().unwrap_or(Path::new("")).to_owned();
    let (folder, is_named) = match &args.output {
        Some(folder) => (folder.clone(), true),
        None => (beside, built.shares_folder),
    };
    let name = |what: &str| {
        let end = if is_named { format!("_{}", built.kind) } else { String::new() };
        folder.join(format!("{what}{end}.yaml"))
    };
    let mut files = vec![(name("template"), built.template.clone())];
    if let Some(constraint) = built.constraint.as_ref().filter(|_| !args.skip_constraints) {
        files.push((name("constraint"), constraint.clone()));
    }
    files
}

/// What a cluster would refuse a template for, said of its source.
fn unusable(built: &Built) -> Vec<Error> {
    let name = format!("the template of {}", built.source.name());
    let text = [Some(&built.template), built.constraint.as_ref()];
    let text: Vec<&str> = text.into_iter().flatten().map(String::as_str).collect();
    let (documents, mut problems) = Document::read_all(&name, &text.join("---\n"));
    problems.extend(PolicySet::compile(documents).1);
    // How it is written is what `lint` is for.
    problems.retain(|problem| problem.severity() == Severity::Error);
    problems
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let shown = path.display();
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(|| format!("the folder of `{shown}` cannot be made"))?;
    }
    fs::write(path, text).with_context(|| format!("`{shown}` cannot be written"))
}

/// In what a file that is there is not as it should be. Comments and blank lines of Rego do not count, nor how YAML is
/// written.
fn difference(path: &Path, text: &str) -> Option<String> {
    let shown = path.display();
    let Ok(there) = fs::read_to_string(path) else { return Some(format!("{shown}: is not there")) };
    let (documents, problems) = Document::read_all(&shown.to_string(), &there);
    let (expected, _) = Document::read_all("built", text);
    let [document] = documents.as_slice() else {
        let at = problems.first().and_then(Error::location).map(Location::to_string);
        return Some(format!("{}: is not one document", at.unwrap_or_else(|| shown.to_string())));
    };
    let expected = expected.first().map(Document::to_json).unwrap_or_default();
    let field = first_difference(&document.to_json(), &expected, String::new())?;
    Some(format!("{shown}: `{field}` differs from the source"))
}

/// The path of the first part that differs.
fn first_difference(a: &Value, b: &Value, path: String) -> Option<String> {
    match (a, b) {
        (Value::Object(a), Value::Object(b)) => {
            // `creationTimestamp: null`, `status: {}`: other tools write what there is not.
            let is_said = |value: &&Value| {
                !value.is_null() && value.as_object().is_none_or(|object| !object.is_empty())
            };
            let keys = a.keys().chain(b.keys().filter(|key| !a.contains_key(*key)));
            keys.into_iter().find_map(|key| {
                let below = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                match (a.get(key).filter(is_said), b.get(key).filter(is_said)) {
                    (Some(a), Some(b)) => first_difference(a, b, below),
                    (None, None) => None,
                    _ => Some(below),
                }
            })
        }
        (Value::Array(a), Value::Array(b)) if a.len() == b.len() => {
            let pairs = a.iter().zip(b).enumerate();
            pairs.into_iter().find_map(|(at, (a, b))| first_difference(a, b, format!("{path}[{at}]")))
        }
        (Value::String(a), Value::String(b)) => (a != b && plain(a) != plain(b)).then_some(path),
        _ => (a != b).then_some(path),
    }
}

/// Rego without comments and blank lines; any other text as it is.
fn plain(text: &str) -> String {
    if !text.contains("package ") {
        return text.to_owned();
    }
    let source = Source::new("", text);
    sources::without_comments(&source)
}
