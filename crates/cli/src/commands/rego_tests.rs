//! Unit tests of files of Rego, for `verify`, as `opa test` runs them.
//!
//! ```text
//! files, data ── ModuleTests::compile ──> tests ── run ──> a suite for each file, lines that were reached
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Instant;

use portcullis::{
    CoveredPlace, DataForm, Document, Error, ErrorKind, Inventory, Limits, Location, ModuleData, ModuleTest,
    ModuleTests, Packages, Severity, Source, TestVerdict,
};
use portcullis_report::Problem;
use portcullis_report::verify::{Failure, Status, SuiteResult, TestResult};
use portcullis_sources::{self as read, Choice, InputFile};
use rayon::prelude::*;

use crate::commands::evaluation::Evaluating;
use crate::commands::rego_files::{add_data, data, modules};
use crate::commands::second::not_compared;
use crate::verify_args::{Selection, VerifyArgs};

/// What came of the tests of all files.
#[derive(Default)]
pub struct Tested {
    pub suites: Vec<SuiteResult>,
    pub covered: Vec<CoveredPlace>,
    pub problems: Vec<Error>,
}

/// Runs the tests of all files of Rego at some paths, if there are any.
pub fn run(args: &VerifyArgs, evaluating: &Evaluating) -> Tested {
    let limits = Limits { source_bytes: args.max_size, ..Limits::default() };
    let roots: Vec<PathBuf> = args.all_paths().map(|path| folder(path)).collect();
    // What there is to say of the folders is said where suites are looked for.
    let (sorted, _) = read::list_sorted_without(&roots, Choice::Manifests, &args.files.in_force.ignores);
    if sorted.rego.is_empty() {
        return Tested::default();
    }
    let (files, mut problems) = modules(&sorted.rego, args.rego_version, &limits);
    if problems.is_empty() && ModuleTests::count(&files) == 0 {
        return Tested::default();
    }
    let (mut data, found) = data(&args.data, &limits, &args.files.in_force.ignores);
    problems.extend(found);
    let mut warnings = Vec::new();
    for root in &roots {
        for file in sorted.manifests.iter().filter(|file| file.path.starts_with(root)) {
            warnings.extend(own_data(&mut data, root, file, &limits));
        }
    }
    let has_errors = |problems: &[Error]| problems.iter().any(|one| one.severity() == Severity::Error);
    if has_errors(&problems) {
        return Tested { problems, ..Tested::default() };
    }
    let (tests, found) = ModuleTests::compile(&files, &data);
    if has_errors(&found) {
        return Tested { suites: broken(found), problems, ..Tested::default() };
    }
    problems.extend(warnings);
    problems.extend(args.second.cross_check.then(|| not_compared("unit tests of Rego")));
    let run = |(number, test): (usize, &ModuleTest)| one(&tests, number, test, args, evaluating);
    let ran: Vec<TestResult> = tests.tests().par_iter().enumerate().map(run).collect();
    let covered = if args.wants_coverage() { tests.coverage() } else { Vec::new() };
    Tested { suites: by_file(ran), covered, problems }
}

/// `DIR/...` without what says that all below it is meant: files of Rego belong together in any case.
fn folder(path: &Path) -> PathBuf {
    match path.file_name() {
        Some(name) if name == "..." => match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        },
        _ => path.to_owned(),
    }
}

/// Takes a file beside files of Rego as data, below the names of the folders that it is in. What is an object of
/// Kubernetes is none, nor what has several documents: these are what policies are for.
fn own_data(data: &mut ModuleData, root: &Path, file: &InputFile, limits: &Limits) -> Vec<Error> {
    let Ok(bytes) = read::read_bytes(file, limits) else { return Vec::new() };
    let form = DataForm::of_name(&file.name);
    let (documents, problems) = Document::read_data_bytes(&file.name, bytes, form, limits);
    if !problems.is_empty() {
        let is_error = |problem: &&Error| problem.severity() == Severity::Error;
        let first = problems.iter().find(is_error).and_then(Error::location).cloned();
        let warning = Error::warning(ErrorKind::Unreadable, "this file is not taken for data: it is broken");
        return first.map(|first| warning.at(first)).into_iter().collect();
    }
    let [document] = documents.as_slice() else { return Vec::new() };
    let json = document.to_json();
    let is_data = json
        .as_object()
        .is_some_and(|object| !(object.contains_key("apiVersion") && object.contains_key("kind")));
    if !is_data {
        return Vec::new();
    }
    let below = file.path.strip_prefix(root).ok().and_then(Path::parent);
    let folders = below.into_iter().flat_map(Path::components);
    let steps: Vec<&str> = folders.filter_map(|folder| folder.as_os_str().to_str()).collect();
    add_data(data, &steps, file, limits)
}

fn one(
    tests: &ModuleTests,
    number: usize,
    test: &ModuleTest,
    args: &VerifyArgs,
    evaluating: &Evaluating,
) -> TestResult {
    let started = Instant::now();
    let name = test.to_string();
    let mut result = TestResult::skipped(&name, test.location().clone());
    let is_selected = match &args.run {
        None => true,
        Some(Selection::Either(regex) | Selection::Both(regex, _)) => regex.is_match(&name),
    };
    let packages = Packages::Named(args.namespace.clone());
    let is_named = args.namespace.is_empty() || packages.contain(test.package());
    if test.is_todo() || !is_selected || !is_named {
        return result;
    }
    let inventory = Inventory::empty();
    let deadline = evaluating.deadline();
    let Some(ran) = tests.run(number, &evaluating.world(&inventory, &deadline)) else { return result };
    let prints = ran.prints.into_iter().map(|print| format!("print: {print}"));
    let failure = |location: Location, message: String, details: Vec<String>, status| Failure {
        location,
        message,
        details: details.into_iter().chain(prints.clone()).collect(),
        status,
    };
    match ran.verdict {
        Ok(TestVerdict::Passed) => {}
        Ok(TestVerdict::Failed { found, cases }) => {
            let at = ran.reached.unwrap_or_else(|| test.location().clone());
            let cases = cases.into_iter().map(|case| format!("case `{case}` is not true")).collect();
            let message = format!("expected that the test is true, found {found}; it came as far as here");
            result.failures.push(failure(at, message, cases, Status::Failed));
        }
        Err(error) => {
            let at = error.location.unwrap_or_else(|| test.location().clone());
            let message = format!("the test could not be evaluated: {}", error.message);
            result.failures.push(failure(at, message, Vec::new(), Status::Broken));
        }
    }
    result.status = result.worst_failure().unwrap_or(Status::Passed);
    result.elapsed = started.elapsed();
    result
}

fn whole(file: &str) -> Location {
    Location::new(Source::new(file, ""), 0..0)
}

/// A suite for each file that tests are defined in.
fn by_file(ran: Vec<TestResult>) -> Vec<SuiteResult> {
    let mut files: BTreeMap<String, Vec<TestResult>> = BTreeMap::new();
    for test in ran {
        files.entry(test.location.file().to_string()).or_default().push(test);
    }
    let suites = files.into_iter().map(|(file, mut parts)| {
        parts.sort_by(|a, b| a.location.cmp(&b.location));
        let status = parts.iter().map(|test| test.status).max().unwrap_or(Status::Skipped);
        let elapsed = parts.iter().map(|test| test.elapsed).sum();
        SuiteResult { status, elapsed, parts, ..SuiteResult::skipped(&file, whole(&file)) }
    });
    suites.collect()
}

/// A suite for each file that something is wrong with: no test can be run then.
fn broken(problems: Vec<Error>) -> Vec<SuiteResult> {
    let file = |problem: &Error| problem.location().map(|at| at.file().to_string()).unwrap_or_default();
    let files: BTreeSet<String> = problems.iter().map(file).collect();
    let suites = files.into_iter().map(|name| {
        let own: Vec<Error> = problems.iter().filter(|problem| file(problem) == name).cloned().collect();
        let problems = Problem::all(&own);
        SuiteResult { status: Status::Broken, problems, ..SuiteResult::skipped(&name, whole(&name)) }
    });
    suites.collect()
}
