//! `portcullis docs`: a reference of policies.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Component, Path, PathBuf};

use anyhow::Context as _;
use portcullis::{ConstraintTemplate, Document, Error, ErrorKind, Limits, Object, Resource, Severity};
use portcullis_manifests::to_yaml;
use portcullis_report::reference::{Documented, DocumentedCase, Reference};
use portcullis_report::{self as report, ExitStatus, Problem, human};
use portcullis_sources::{self as read, Choice, is_suite};
use portcullis_suite::{Expected, Suite, Test};

use crate::authoring_args::{DocsArgs, DocsForm};

/// Writes the reference, or compares it.
pub fn run(args: &DocsArgs) -> anyhow::Result<ExitStatus> {
    let (reference, problems) = reference(args)?;
    let is_broken = problems.iter().any(|problem| problem.severity() == Severity::Error);
    if is_broken {
        let errors: Vec<Error> =
            problems.into_iter().filter(|problem| problem.severity() == Severity::Error).collect();
        human::write_problems(&Problem::all(&errors), &mut anstream::stderr().lock())?;
        return Ok(ExitStatus::Error);
    }
    let mut text = Vec::new();
    match args.form {
        DocsForm::Markdown => reference.write_markdown(&args.title, &mut text)?,
        DocsForm::Html => report::write_html_reference(&reference, &args.title, &mut text)?,
    }
    let Some(path) = &args.output else {
        let mut out = report::stdout(false);
        out.write_all(&text)?;
        out.flush()?;
        return Ok(ExitStatus::Success);
    };
    let shown = path.display();
    if !args.check {
        fs::write(path, text).with_context(|| format!("`{shown}` cannot be written"))?;
        return Ok(ExitStatus::Success);
    }
    let there = fs::read(path).with_context(|| format!("`{shown}` cannot be read"))?;
    if there == text {
        return Ok(ExitStatus::Success);
    }
    let (there, text) = (String::from_utf8_lossy(&there), String::from_utf8_lossy(&text));
    let line = there.lines().zip(text.lines()).take_while(|(one, other)| one == other).count() + 1;
    let mut out = report::stdout(true);
    writeln!(out, "{shown}:{line}: is not what the policies say; write it anew without `--check`")?;
    out.flush()?;
    Ok(ExitStatus::Violations)
}

fn reference(args: &DocsArgs) -> anyhow::Result<(Reference, Vec<Error>)> {
    let limits = Limits::default();
    let (files, mut problems) = read::list(&args.paths, Choice::Policies);
    let mut templates: Vec<(PathBuf, ConstraintTemplate)> = Vec::new();
    // Of each kind the first one, in the order of the files.
    let mut constraints: BTreeMap<String, Document> = BTreeMap::new();
    let mut suites: Vec<(PathBuf, Suite)> = Vec::new();
    for file in &files {
        let (documents, found) = read::read_file(file, &limits);
        problems.extend(found);
        for document in &documents {
            if Object::from_document(document.clone()).is_ok_and(|object| is_suite(&object)) {
                let (suite, found) = Suite::read(document);
                problems.extend(found);
                suites.extend(suite.map(|suite| (file.path.clone(), suite)));
                continue;
            }
            let (resource, found) = Resource::read(document);
            match resource {
                Some(Resource::Template(template)) => {
                    problems.extend(found);
                    templates.push((tidied(&file.path), *template));
                }
                Some(Resource::Constraint(constraint)) => {
                    problems.extend(found);
                    constraints.entry(constraint.key().kind.to_string()).or_insert_with(|| document.clone());
                }
                Some(Resource::Rejected(_)) => problems.extend(found),
                // Samples, and whatever else lies beside policies.
                _ => {}
            }
        }
    }
    // With the folder of the suite.
    let mut shown: BTreeMap<PathBuf, Vec<(&Path, &Test)>> = BTreeMap::new();
    for (path, suite) in &suites {
        let folder = path.parent().unwrap_or(Path::new(""));
        for test in &suite.tests {
            if let Some(policy) = test.policy.as_ref().filter(|_| !test.invalid && !test.skip) {
                shown.entry(tidied(&folder.join(&*policy.template))).or_default().push((folder, test));
            }
        }
    }
    let mut documented = Vec::new();
    for (path, template) in &templates {
        let mut one = Documented::of(template);
        let tests = shown.get(path).map(Vec::as_slice).unwrap_or_default();
        let constraint = constraints.get(&one.kind).cloned().or_else(|| {
            let (folder, test) = tests.first()?;
            let path = folder.join(&*test.policy.as_ref()?.constraint);
            let (files, _) = read::list(std::slice::from_ref(&path), Choice::Manifests);
            read::read_file(files.first()?, &limits).0.into_iter().next()
        });
        if let Some(constraint) = constraint {
            let yaml = to_yaml([&constraint.to_json()]);
            one.example = Some(yaml.with_context(|| format!("the constraint of {}", one.kind))?);
        }
        one.cases.extend(tests.iter().flat_map(|(_, test)| cases(test)));
        documented.push(one);
    }
    if documented.is_empty() {
        let error = Error::new(ErrorKind::NoInput, "no templates were found");
        problems.push(error.hint("name files or folders with ConstraintTemplates"));
    }
    Ok((Reference::new(documented), problems))
}

fn cases(test: &Test) -> impl Iterator<Item = DocumentedCase> {
    test.cases.iter().filter(|case| !case.skip).map(|case| {
        let is_denial = |expected: Expected| !matches!(expected, Expected::No | Expected::Exactly(0));
        let denials = case.assertions.iter().filter(|assertion| is_denial(assertion.violations));
        let messages =
            denials.clone().filter_map(|assertion| Some(assertion.message.as_ref()?.as_str().to_owned()));
        DocumentedCase {
            name: format!("{}: {}", test.name, case.name),
            is_denied: denials.clone().next().is_some(),
            messages: messages.collect(),
        }
    })
}

/// A path without `.` and `..`, to be compared.
fn tidied(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if matches!(tidy.components().next_back(), Some(Component::Normal(_))) => {
                tidy.pop();
            }
            component => tidy.push(component),
        }
    }
    tidy
}
