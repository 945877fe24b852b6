//! `portcullis verify`: runs gator's suites.
//!
//! A test compiles its template, constraint and mutators once; each case reviews one object or admission request
//! with nothing but the case's own inventory, and counts violations. An evaluation that fails counts as one
//! violation, as it does in a cluster. Nothing that could not be run as written counts as passed.
//!
//! ```text
//! files --suites--> tests --compiled--> policies, mutators, answers --cases--> findings --assertions--> failures
//!                                                                           \--languages--> what the other one says
//! ```

pub(super) mod assertions;
pub(super) mod cases;
pub(super) mod compiled;
pub(super) mod files;
mod languages;
mod suites;

use std::path::PathBuf;

use portcullis::{
    Document, EngineChoice, Error, ErrorKind, Limits, PolicyCoverage, Provider, Resource, Severity,
    Unsupported, Uses,
};
use portcullis_providers::{Answering, Recorded};
use portcullis_report::verify::{
    CaseResult, CoveredFile, MutationResult, Status, SuiteResult, TestCoverage, VerifyReport,
};
use portcullis_report::{self as report, ExitStatus, Problem, human};
use portcullis_sources::{self as read, Choice, InputFile};
use rayon::prelude::*;

use crate::commands::evaluation::Evaluating;
use crate::commands::mutants::Specimens;
use crate::commands::second::Tally;
use crate::commands::{rego_tests, templates};
use crate::verify_args::{Selection, VerifyArgs};

use cases::Judging;
use compiled::Compiling;
use files::whole;
use suites::Runner;

/// Runs the suites and reports.
pub fn run(args: &VerifyArgs) -> anyhow::Result<ExitStatus> {
    report::destination::check(&args.output).map_err(anyhow::Error::msg)?;
    let template = templates::read(args.template.as_deref(), &args.output)?;
    let limits = Limits { source_bytes: args.max_size, ..Limits::default() };
    let paths: Vec<PathBuf> = args.all_paths().cloned().collect();
    let (files, mut problems) =
        read::list_sorted_without(&paths, Choice::Suites, &args.files.in_force.ignores);
    let files = files.manifests;
    let evaluating = Evaluating::new(&args.evaluation);
    let unsupported = Unsupported::allowed(args.allow_unsupported);
    let tally = args.second.cross_check.then(Tally::default);
    let (answering, found) = args.providers.open(&providers_of(&files, args, &limits));
    problems.extend(found);
    let coverage = args.wants_coverage().then(PolicyCoverage::default);
    let specimens = args.mutants.is_asked().then(Specimens::default);
    let runner = Runner {
        limits,
        selection: args.run.as_ref(),
        compiling: Compiling { unsupported, engines: args.engine.choice(), is_in_both: tally.is_some() },
        judging: Judging { answering: &answering, evaluating, coverage: coverage.as_ref() },
        tally: tally.as_ref(),
        specimens: specimens.as_ref(),
    };
    let results: Vec<_> = files.par_iter().map(|file| runner.file(file)).collect();
    let mut suites = Vec::new();
    for (file, result) in files.iter().zip(results) {
        let named = paths.contains(&file.path);
        match result {
            Some(suite) => suites.push(suite),
            None if named => problems.push(no_suite(file)),
            None => {}
        }
    }
    if let Err(error) = args.providers.finish(&answering) {
        problems.push(Error::new(ErrorKind::Unreadable, error));
    }
    let mutation = specimens.map(|specimens| {
        let (result, errors) = specimens.run(&evaluating, args.mutants.mutate_min);
        for error in errors {
            let file = error.location().map(|location| &**location.file());
            match suites.iter_mut().find(|suite| Some(&*suite.name) == file) {
                Some(suite) => {
                    suite.problems.push(Problem::from(&error));
                    suite.status = Status::Broken;
                }
                None => problems.push(error),
            }
        }
        result
    });
    let tested = rego_tests::run(args, &evaluating);
    problems.extend(tested.problems);
    suites.extend(tested.suites);
    let mut places = coverage.as_ref().map(PolicyCoverage::places).unwrap_or_default();
    places.extend(tested.covered);
    let covered = TestCoverage { files: CoveredFile::all(places), least: args.coverage_min };
    // Where no test could be run, nothing is known of it.
    let coverage = (args.wants_coverage() && !covered.files.is_empty()).then_some(covered);
    let has_errors =
        |problems: &[Error]| problems.iter().any(|problem| problem.severity() == Severity::Error);
    if suites.is_empty() && !has_errors(&problems) {
        let error = Error::new(ErrorKind::NoInput, "no suite was found");
        problems.push(error.hint(
            "a suite is a file of `kind: Suite`, `DIR/...` searches all of a directory; unit tests of Rego are rules that begin with `test_`",
        ));
    } else if let Some(error) = nothing_selected(args, &suites) {
        problems.push(error);
    }
    let worst = suites.iter().map(|suite| suite.status).max();
    let status = match worst {
        _ if has_errors(&problems) => ExitStatus::Error,
        Some(Status::Broken) => ExitStatus::Error,
        Some(Status::Failed) => ExitStatus::Violations,
        _ if coverage.as_ref().is_some_and(TestCoverage::is_too_little) => ExitStatus::Violations,
        _ if mutation.as_ref().is_some_and(MutationResult::is_too_little) => ExitStatus::Violations,
        _ => ExitStatus::Success,
    };
    let passed = status == ExitStatus::Success;
    if let Some(tally) = &tally {
        tally.write();
    }
    human::write_problems(&Problem::all(&problems), &mut anstream::stderr().lock())?;
    let report = VerifyReport { suites, passed, verbose: args.verbose, coverage, mutation, template };
    // What is wrong with files that are no suites is in none of its forms, and was written above.
    report::destination::write_all(&args.output, &report, &[])?;
    Ok(status)
}

/// Where the two languages of templates do not say the same of the samples of their suites, or where the other one is not
/// what the suite expects: a warning for each case. What else is wrong with suites is for `verify` to say.
pub fn language_differences(
    files: &[PathBuf],
    limits: Limits,
    evaluating: Evaluating,
    engines: EngineChoice,
) -> Vec<Error> {
    let answering = Answering::new(Recorded::default(), None);
    let runner = Runner {
        limits,
        selection: None,
        compiling: Compiling { unsupported: Unsupported::allowed(true), engines, is_in_both: true },
        judging: Judging { answering: &answering, evaluating, coverage: None },
        tally: None,
        specimens: None,
    };
    let found = files.par_iter().filter_map(|file| runner.file(&InputFile::new(file)));
    let cases = found.flat_map_iter(|suite| suite.parts.into_iter().flat_map(|test| test.parts));
    let of_case = |case: CaseResult| {
        let about = case.name;
        let failures = case.failures.into_iter().filter(languages::is_about_other);
        let warnings = failures.map(move |failure| {
            let details: Vec<String> =
                failure.details.iter().map(|detail| format!(": {detail}")).take(1).collect();
            let message = format!("case `{about}`: {}{}", failure.message, details.concat());
            Error::warning(ErrorKind::Suite, message)
                .hint("which of them runs depends on flags; `verify --cross-check` shows all of it")
                .at(failure.location)
        });
        warnings.collect::<Vec<_>>()
    };
    let mut warnings: Vec<Error> = cases.flat_map_iter(of_case).collect();
    warnings.sort();
    warnings.dedup();
    warnings
}

/// What comes of the tests and cases of a file that are selected, without asking anybody outside; `None` if there is no suite
/// in it.
#[cfg(feature = "lsp")]
pub fn selected(
    file: &InputFile,
    selection: &Selection,
    args: &VerifyArgs,
    limits: Limits,
) -> Option<SuiteResult> {
    let answering = Answering::new(Recorded::default(), None);
    let unsupported = Unsupported::allowed(args.allow_unsupported);
    let evaluating = Evaluating::new(&args.evaluation);
    let runner = Runner {
        limits,
        selection: Some(selection),
        compiling: Compiling { unsupported, engines: args.engine.choice(), is_in_both: false },
        judging: Judging { answering: &answering, evaluating, coverage: None },
        tally: None,
        specimens: None,
    };
    runner.file(file)
}

fn no_suite(file: &InputFile) -> Error {
    Error::new(ErrorKind::NoInput, "there is no suite in this file")
        .at(whole(file))
        .hint("a suite is a document of `apiVersion: test.gatekeeper.sh/v1alpha1` and `kind: Suite`")
}

/// A selection that selects nothing tests nothing, which must not look like success.
fn nothing_selected(args: &VerifyArgs, suites: &[SuiteResult]) -> Option<Error> {
    args.run.as_ref()?;
    let ran = |suite: &SuiteResult| suite.status != Status::Skipped || suite.parts.is_empty();
    (!suites.iter().any(ran)).then(|| {
        Error::new(ErrorKind::NoInput, "`--run` selects no test and no case")
            .hint("it takes a regular expression for names of tests or cases, or `TEST//CASE`")
    })
}

/// The Providers among the files of suites, if they are to be asked.
fn providers_of(files: &[InputFile], args: &VerifyArgs, limits: &Limits) -> Vec<Provider> {
    const GROUP: &[u8] = b"externaldata.gatekeeper.sh";
    if !args.providers.live_providers && args.providers.record_provider_answers.is_none() {
        return Vec::new();
    }
    let mut providers = Vec::new();
    for file in files {
        // What cannot be read is told where it is needed.
        let Ok(bytes) = read::read_bytes(file, limits) else { continue };
        if !bytes.windows(GROUP.len()).any(|window| window == GROUP) {
            continue;
        }
        for document in Document::read_bytes(&file.name, bytes, limits).0 {
            if let (Some(Resource::Provider(provider)), _) =
                Resource::read_for(&document, Uses::POLICIES.with_providers(true))
            {
                providers.push(provider);
            }
        }
    }
    providers
}
