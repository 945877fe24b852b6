//! `portcullis verify`: runs gator's suites.
//!
//! A test compiles its template, constraint and mutators once; each case reviews one object or admission request
//! with nothing but the case's own inventory, and counts violations. An evaluation that fails counts as one
//! violation, as it does in a cluster. Nothing that could not be run as written counts as passed.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use portcullis::{
    AdmissionMutators, Answers, ConstraintResult, Decision, Document, EnforcementPoint, Engine, EngineChoice,
    Error, ErrorKind, Expansion, ExpansionSet, Inventory, Limits, Location, MutatorSet, Object, Outcome,
    Parent, Places, PolicyCoverage, PolicySet, PolicySettings, Provider, Questions, Resource, Review, Scopes,
    Severity, Source, TemplateInfo, Unsupported, Uses, Verdict, World,
};
use portcullis_providers::{Answering, Recorded};
use portcullis_report::verify::{
    CaseResult, CoveredFile, Failure, MutationResult, Status, SuiteResult, TestCoverage, TestResult,
    VerifyReport,
};
use portcullis_report::{self as report, ExitStatus, Problem, count, human};
use portcullis_sources::{self as read, Choice, InputFile};
use portcullis_suite::{Assertion, Case, Expected, Suite, Test};
use rayon::prelude::*;

use crate::args::{Selection, VerifyArgs};
use crate::commands::evaluation::Evaluating;
use crate::commands::fates::List;
use crate::commands::mutants::Specimens;
use crate::commands::mutating::{Admission, Outside};
use crate::commands::rego_tests;
use crate::commands::second::{Second, Tally};
use crate::commands::{mutated, mutating, templates};

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
        answering: &answering,
        limits,
        selection: args.run.as_ref(),
        evaluating,
        unsupported,
        engines: args.engine.choice(),
        is_in_both: tally.is_some(),
        tally: tally.as_ref(),
        coverage: coverage.as_ref(),
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
    let unsupported = Unsupported::allowed(true);
    let answering = Answering::new(Recorded::default(), None);
    let runner = Runner {
        answering: &answering,
        limits,
        selection: None,
        evaluating,
        unsupported,
        engines,
        is_in_both: true,
        tally: None,
        coverage: None,
        specimens: None,
    };
    let found = files.par_iter().filter_map(|file| runner.file(&InputFile::new(file)));
    let cases = found.flat_map_iter(|suite| suite.parts.into_iter().flat_map(|test| test.parts));
    let of_case = |case: CaseResult| {
        let about = case.name;
        let failures = case.failures.into_iter().filter(|failure| {
            failure.message.starts_with(THE_OTHER) || failure.message.starts_with(IN_THE_OTHER)
        });
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
    let runner = Runner {
        answering: &answering,
        limits,
        selection: Some(selection),
        evaluating: Evaluating::new(&args.evaluation),
        unsupported: Unsupported::allowed(args.allow_unsupported),
        engines: args.engine.choice(),
        is_in_both: false,
        tally: None,
        coverage: None,
        specimens: None,
    };
    runner.file(file)
}

/// What sentences begin with about a template's other language, and about what it says.
const THE_OTHER: &str = "the template's ";
const IN_THE_OTHER: &str = "in the template's ";

/// The file as a whole.
fn whole(file: &InputFile) -> Location {
    Location::new(Source::new(file.name.as_str(), ""), 0..0)
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

pub(super) struct Runner<'a> {
    /// Who says what providers of external data answer.
    pub(super) answering: &'a Answering,
    pub(super) limits: Limits,
    pub(super) selection: Option<&'a Selection>,
    pub(super) evaluating: Evaluating,
    pub(super) unsupported: Unsupported,
    /// Which program of templates is run.
    pub(super) engines: EngineChoice,
    /// Whether the other program of templates that have two is run as well.
    pub(super) is_in_both: bool,
    /// Counts what a second evaluator says, if it is asked.
    pub(super) tally: Option<&'a Tally>,
    /// Collects what is reached of templates, if that is asked for.
    pub(super) coverage: Option<&'a PolicyCoverage>,
    /// Keeps tests whose templates are mutated, if that is asked for.
    pub(super) specimens: Option<&'a Specimens>,
}

impl Runner<'_> {
    /// Runs the suites of a file; `None` if it has none.
    fn file(&self, file: &InputFile) -> Option<SuiteResult> {
        // Cheaper than parsing everything that lies around, and keeps broken samples from being errors.
        const GROUP: &[u8] = b"test.gatekeeper.sh";
        let started = Instant::now();
        let suite = || SuiteResult::skipped(&file.name, whole(file));
        let bytes = match read::read_bytes(file, &self.limits) {
            Ok(bytes) if !bytes.windows(GROUP.len()).any(|window| window == GROUP) => return None,
            Ok(bytes) => bytes,
            Err(error) => {
                let (problems, elapsed) = (Problem::all(&[error]), started.elapsed());
                return Some(SuiteResult { status: Status::Broken, problems, elapsed, ..suite() });
            }
        };
        let (documents, mut problems) = Document::read_bytes(&file.name, bytes, &self.limits);
        let mut suites: Vec<Suite> = Vec::new();
        for document in &documents {
            let (resource, found) = Resource::read(document);
            match resource {
                Some(Resource::Suite) => {
                    let (suite, found) = Suite::read(document);
                    problems.extend(found);
                    suites.extend(suite);
                }
                Some(Resource::Unsupported(_)) => problems.extend(self.unsupported.judge(found)),
                Some(_) => {}
                None => problems.extend(found),
            }
        }
        let has_errors =
            |problems: &[Error]| problems.iter().any(|problem| problem.severity() == Severity::Error);
        if suites.is_empty() && !has_errors(&problems) {
            return None;
        }
        let directory = file.path.parent().unwrap_or(Path::new(""));
        let tests: Vec<_> = suites.iter().flat_map(|suite| &suite.tests).collect();
        let skip = suites.iter().all(|suite| suite.skip);
        let tests: Vec<_> = tests
            .par_iter()
            .map(|test| {
                self.test(test, directory, suites.iter().any(|suite| suite.skip && owns(suite, test)))
            })
            .collect();
        let own = match problems.iter().any(|problem| problem.severity() == Severity::Error) {
            true => Status::Broken,
            false if tests.is_empty() && !skip => Status::Passed,
            false => Status::Skipped,
        };
        let status = tests.iter().map(|test| test.status).fold(own, Status::max);
        if let Some(specimens) = self.specimens {
            let has_passed = |test: &TestResult| {
                test.status == Status::Passed && test.parts.iter().all(|case| case.status == Status::Passed)
            };
            let is_whole = self.selection.is_none() && own != Status::Broken && tests.iter().all(has_passed);
            let entries = suites.iter().flat_map(|suite| &suite.equivalent_mutants).cloned().collect();
            specimens.list(List { file: file.name.as_str().into(), entries, is_whole });
        }
        let problems = Problem::all(&problems);
        Some(SuiteResult { status, elapsed: started.elapsed(), problems, parts: tests, ..suite() })
    }

    fn selects_test(&self, test: &Test) -> bool {
        match self.selection {
            None => true,
            Some(Selection::Either(name)) => {
                name.is_match(&test.name) || test.cases.iter().any(|case| name.is_match(&case.name))
            }
            Some(Selection::Both(name, _)) => name.is_match(&test.name),
        }
    }

    fn selects_case(&self, test: &Test, case: &Case) -> bool {
        match self.selection {
            None => true,
            Some(Selection::Either(name)) => name.is_match(&test.name) || name.is_match(&case.name),
            Some(Selection::Both(test_name, case_name)) => {
                test_name.is_match(&test.name) && case_name.is_match(&case.name)
            }
        }
    }

    fn test(&self, test: &Test, directory: &Path, skipped: bool) -> TestResult {
        let started = Instant::now();
        let mut result = TestResult::skipped(&test.name, test.location.clone());
        if skipped || test.skip || !self.selects_test(test) {
            return result;
        }
        let files = Files { directory, limits: &self.limits };
        let mut warnings = Vec::new();
        let compiled = compile(test, &files, self, &mut warnings);
        result.problems = Problem::all(&warnings);
        match compiled {
            Err(failure) => result.failures.push(failure),
            // What is not done about it is a warning.
            Ok(None) => return result,
            Ok(Some(compiled)) => {
                if let Some(coverage) = self.coverage {
                    compiled.policies.expect_in(coverage);
                }
                let timeout = self.evaluating.timeout();
                let second = self.tally.map(|tally| Second::new(compiled.in_rego(), timeout, tally));
                let case = |case: &Case| {
                    let run = !case.skip && self.selects_case(test, case);
                    run_case(case, run.then_some(&compiled), &files, self, second.as_ref())
                };
                result.parts = test.cases.iter().map(case).collect();
                if let Some(specimens) = self.specimens {
                    let statuses: Vec<Status> = result.parts.iter().map(|case| case.status).collect();
                    specimens.keep(test, &compiled, &files, &self.evaluating, &statuses, self.answering);
                }
            }
        }
        let cases = result.parts.iter().map(|case| case.status).max();
        // Without cases, that it compiles (or, if `invalid`, does not) is what is tested.
        result.status = result.worst_failure().or(cases).unwrap_or(Status::Passed);
        result.elapsed = started.elapsed();
        result
    }
}

fn owns(suite: &Suite, test: &Test) -> bool {
    suite.tests.iter().any(|own| std::ptr::eq(own, test))
}

/// Reads what suites name, relative to them.
pub(super) struct Files<'a> {
    pub(super) directory: &'a Path,
    pub(super) limits: &'a Limits,
}

impl Files<'_> {
    /// The documents of a file. An error is a failure of the test that names it.
    fn read(
        &self,
        path: &str,
        what: &str,
        by: &Location,
        warnings: &mut Vec<Error>,
    ) -> Result<Vec<Document>, Failure> {
        let (named, path): (&str, PathBuf) = (path, self.directory.join(path));
        if read::elsewhere::leads_out(self.directory, &path) {
            let message = format!("the {what} `{named}` is not read: it lies outside of what was fetched");
            return Err(broken(by, message, &[]));
        }
        let (documents, problems) = read::read_file(&InputFile::new(&path), self.limits);
        let (errors, found) = separate(problems);
        warnings.extend(found);
        if errors.is_empty() {
            return Ok(documents);
        }
        Err(broken(by, format!("the {what} cannot be read"), &errors))
    }
}

impl Files<'_> {
    /// The answers of providers in a file.
    fn answers(&self, path: &str, by: &Location) -> Result<Recorded, Failure> {
        let file = self.directory.join(path);
        if read::elsewhere::leads_out(self.directory, &file) {
            let message = format!("the answers `{path}` are not read: they lie outside of what was fetched");
            return Err(broken(by, message, &[]));
        }
        let read = read::read_bytes(&InputFile::new(&file), self.limits).map_err(|error| error.to_string());
        let recorded = read.and_then(|bytes| {
            let text = String::from_utf8(bytes).map_err(|error| error.to_string())?;
            Recorded::read(&text).map_err(|error| error.to_string())
        });
        let error = |error: String| broken(by, format!("the answers of providers in `{path}`: {error}"), &[]);
        recorded.map_err(error)
    }
}

fn separate(problems: Vec<Error>) -> (Vec<Error>, Vec<Error>) {
    problems.into_iter().partition(|problem| problem.severity() == Severity::Error)
}

fn broken(location: &Location, message: impl Into<String>, errors: &[Error]) -> Failure {
    Failure {
        location: location.clone(),
        message: message.into(),
        details: errors.iter().map(|error| Problem::from(error).to_string()).collect(),
        status: Status::Broken,
    }
}

/// What the cases of a test are judged by.
pub(super) struct Compiled {
    pub(super) policies: PolicySet,
    /// The same where the other program of its template is run, if there is one and it is to be asked.
    pub(super) other: Option<PolicySet>,
    pub(super) expansions: ExpansionSet,
    /// None if the test does not mutate.
    pub(super) mutators: Option<Changing>,
    /// Whether what is asserted is that mutating admission policies deny: they are what the test is about.
    pub(super) is_about_admission: bool,
    /// What providers of external data answer.
    pub(super) answers: Recorded,
    /// What the policies are compiled of: the template, and the constraint.
    pub(super) resources: Vec<Resource>,
}

/// What changes the objects of a test.
pub(super) struct Changing {
    mutators: MutatorSet,
    /// The API server's own policies.
    admission: Vec<Resource>,
}

impl Compiled {
    fn empty(expansions: ExpansionSet, mutators: Option<Changing>) -> Self {
        Self {
            policies: PolicySet::empty(),
            other: None,
            expansions,
            mutators,
            is_about_admission: false,
            answers: Recorded::default(),
            resources: Vec::new(),
        }
    }

    /// What is known of some questions: what the test says itself counts more.
    pub(super) fn answer(&self, questions: &Questions, answering: &Answering) -> Answers {
        let mut known = self.answers.answer(questions);
        let mut open = Questions::default();
        for question in questions.iter().filter(|question| !known.answers(question)) {
            // As many as there were before.
            let _ = open.ask(question.clone());
        }
        known.extend(answering.answer(&open, None));
        known
    }

    /// The policies as they are in Rego, if that is what is run or could be.
    fn in_rego(&self) -> &PolicySet {
        self.other.as_ref().filter(|other| engine_of(other) == Some(Engine::Rego)).unwrap_or(&self.policies)
    }
}

/// What evaluates the one template of a test.
pub(super) fn engine_of(policies: &PolicySet) -> Option<Engine> {
    policies.templates().next().map(TemplateInfo::engine)
}

/// The policies of a test, or why there are none; `None` if its template is in an engine that there is not,
/// and that is allowed. A test with `invalid: true` gets an empty set if its constraint is refused as it
/// should.
pub(super) fn compile(
    test: &Test,
    files: &Files<'_>,
    runner: &Runner<'_>,
    warnings: &mut Vec<Error>,
) -> Result<Option<Compiled>, Failure> {
    let (at, unsupported) = (&test.location, runner.unsupported);
    let expansions = match &test.expansion {
        Some(path) => expansions(path, files, at, warnings)?,
        None => ExpansionSet::empty(),
    };
    let mut of_mutators: Vec<Arc<str>> = test.mutators.clone();
    let template = match &test.policy {
        Some(named) => files.read(&named.template, "template", at, warnings)?,
        None => Vec::new(),
    };
    let is_mutating = |document: &Document| {
        let (resource, _) = Resource::read_for(document, Uses::POLICIES.with_mutators(true));
        resource.is_some_and(|resource| mutating::is_admission(&resource))
    };
    let is_about_admission = template.first().is_some_and(is_mutating);
    if let Some(named) = test.policy.as_ref().filter(|_| is_about_admission) {
        of_mutators.extend([named.template.clone(), named.constraint.clone()]);
        of_mutators.dedup();
    }
    let mutators = match of_mutators.as_slice() {
        [] => None,
        paths => Some(mutators(paths, files, at, warnings)?),
    };
    let mut answers = Recorded::default();
    for path in &test.provider_answers {
        answers.extend(files.answers(path, at)?);
    }
    if is_about_admission && test.invalid {
        let message =
            "`invalid` is about the parameters of a constraint, and a mutating admission policy has none";
        return Err(broken(at, message, &[]));
    }
    let Some(named) = test.policy.as_ref().filter(|_| !is_about_admission) else {
        return Ok(Some(Compiled { is_about_admission, ..Compiled::empty(expansions, mutators) }));
    };
    let constraint = files.read(&named.constraint, "constraint", at, warnings)?;
    if let ([document], Unsupported::Allowed) = (template.as_slice(), unsupported) {
        let problems = unsupported.judge(Resource::read(document).1);
        let is_unsupported = problems.iter().any(|problem| problem.kind() == ErrorKind::Unsupported);
        if is_unsupported && problems.iter().all(|problem| problem.severity() == Severity::Warning) {
            warnings.extend(problems);
            return Ok(None);
        }
    }
    let template = only(&template, "ConstraintTemplate", &named.template, at, warnings, |resource| {
        matches!(resource, Resource::Template(_) | Resource::AdmissionPolicy(_))
    })?;
    let mut problems = Vec::new();
    let constraint = match read_constraint(&constraint, &named.constraint, at, warnings)? {
        Ok(constraint) => Some(constraint),
        Err(errors) => {
            problems = errors;
            None
        }
    };
    let all: Vec<Resource> = [template].into_iter().chain(constraint).collect();
    let settings = |engines| PolicySettings { engines, ..PolicySettings::default() };
    let (policies, found) = PolicySet::from_resources_in(all.iter().cloned(), &settings(runner.engines));
    let resources = all.clone();
    let has_other = policies.templates().any(|template| template.other_engine().is_some());
    let other = (runner.is_in_both && has_other).then(|| {
        let engines = match runner.engines {
            EngineChoice::CelFirst => EngineChoice::RegoOnly,
            EngineChoice::RegoOnly => EngineChoice::CelFirst,
        };
        // What is wrong with it is so in either language.
        PolicySet::from_resources_in(all, &settings(engines)).0
    });
    let (errors, found) = separate(found);
    warnings.extend(found);
    problems.extend(errors);
    // That a constraint lacks its template is no news if the template is what is broken.
    if problems.iter().any(|problem| problem.kind() != ErrorKind::MissingTemplate) {
        problems.retain(|problem| problem.kind() != ErrorKind::MissingTemplate);
    }
    match (test.invalid, problems.is_empty()) {
        (false, true) => Ok(Some(Compiled {
            policies,
            other,
            answers,
            resources,
            ..Compiled::empty(expansions, mutators)
        })),
        (false, false) => Err(broken(at, "the policy cannot be used", &problems)),
        (true, _) if problems.iter().any(|error| error.kind() == ErrorKind::SchemaValidation) => {
            Ok(Some(Compiled::empty(expansions, mutators)))
        }
        (true, true) => {
            let message = "expected that the constraint does not fit the template's schema, but it does";
            Err(Failure { status: Status::Failed, ..broken(at, message, &[]) })
        }
        (true, false) => {
            let message = "expected that the constraint does not fit the template's schema, but something else is wrong";
            Err(Failure { status: Status::Failed, ..broken(at, message, &problems) })
        }
    }
}

/// The expansion templates of a file. Each of its documents has to be one.
fn expansions(
    path: &str,
    files: &Files<'_>,
    at: &Location,
    warnings: &mut Vec<Error>,
) -> Result<ExpansionSet, Failure> {
    let uses = Uses::POLICIES.with_expansions(true);
    let is_one = Resource::is_expansion;
    let (resources, errors) = all_of(path, "ExpansionTemplate", uses, is_one, files, at, warnings)?;
    let (expansions, problems) = ExpansionSet::from_resources(resources);
    sound(expansions, "expansion", errors, problems, at, warnings)
}

/// The mutators of some files. Each of their documents has to be one.
fn mutators(
    paths: &[Arc<str>],
    files: &Files<'_>,
    at: &Location,
    warnings: &mut Vec<Error>,
) -> Result<Changing, Failure> {
    let uses = Uses::POLICIES.with_mutators(true);
    let is_one = |resource: &Resource| resource.is_mutator() || matches!(resource, Resource::Rejected(_));
    let (mut resources, mut errors) = (Vec::new(), Vec::new());
    for path in paths {
        let (found, problems) = all_of(path, "mutator", uses, is_one, files, at, warnings)?;
        resources.extend(found);
        errors.extend(problems);
    }
    let (admission, resources): (Vec<Resource>, Vec<Resource>) =
        resources.into_iter().partition(mutating::is_admission);
    let (mutators, mut problems) = mutating::compile(&resources);
    problems.extend(AdmissionMutators::from_resources(admission.iter().cloned()).1);
    sound(Changing { mutators, admission }, "mutators", errors, problems, at, warnings)
}

/// The resources of one sort in a file, with the errors of those that are broken or of another sort.
fn all_of(
    path: &str,
    what: &str,
    uses: Uses,
    is_one: impl Fn(&Resource) -> bool,
    files: &Files<'_>,
    at: &Location,
    warnings: &mut Vec<Error>,
) -> Result<(Vec<Resource>, Vec<Error>), Failure> {
    let documents = files.read(path, what, at, warnings)?;
    if documents.is_empty() {
        return Err(broken(at, format!("expected at least one {what} in `{path}`, found none"), &[]));
    }
    let (mut resources, mut errors) = (Vec::new(), Vec::new());
    for document in &documents {
        let (resource, problems) = Resource::read_for(document, uses);
        let (found, others) = separate(problems);
        warnings.extend(others);
        match resource {
            Some(resource) if is_one(&resource) => resources.push(resource),
            Some(_) if found.is_empty() => {
                let message = format!("this is no {what}");
                errors.push(Error::new(ErrorKind::Suite, message).at(document.location()));
            }
            _ => {}
        }
        errors.extend(found);
    }
    Ok((resources, errors))
}

/// A set, if nothing of what it was compiled of is wrong.
fn sound<T>(
    set: T,
    what: &str,
    mut errors: Vec<Error>,
    problems: Vec<Error>,
    at: &Location,
    warnings: &mut Vec<Error>,
) -> Result<T, Failure> {
    let (found, others) = separate(problems);
    warnings.extend(others);
    errors.extend(found);
    if errors.is_empty() {
        return Ok(set);
    }
    Err(broken(at, format!("the {what} cannot be used"), &errors))
}

/// The constraint of a file; the inner error is that of a constraint that is broken.
fn read_constraint(
    documents: &[Document],
    path: &str,
    at: &Location,
    warnings: &mut Vec<Error>,
) -> Result<Result<Resource, Vec<Error>>, Failure> {
    let document = first(documents, "constraint", path, at, warnings)?;
    let (resource, problems) = Resource::read(document);
    let (errors, found) = separate(problems);
    match resource {
        Some(constraint @ (Resource::Constraint(_) | Resource::AdmissionPolicyBinding(_))) => {
            warnings.extend(found);
            Ok(Ok(constraint))
        }
        // A constraint of which something is wrong, and what is none.
        Some(Resource::Rejected(_)) | None => Ok(Err(errors)),
        Some(_) => {
            let message =
                format!("expected a constraint in `{path}`, of the group constraints.gatekeeper.sh");
            Err(broken(at, message, &[]))
        }
    }
}

/// The resource of a kind that a file is named for.
fn only(
    documents: &[Document],
    what: &str,
    path: &str,
    at: &Location,
    warnings: &mut Vec<Error>,
    wanted: impl Fn(&Resource) -> bool,
) -> Result<Resource, Failure> {
    let document = first(documents, what, path, at, warnings)?;
    let (resource, problems) = Resource::read(document);
    let (errors, found) = separate(problems);
    match resource {
        Some(resource) if wanted(&resource) => {
            warnings.extend(found);
            Ok(resource)
        }
        Some(resource) if !matches!(resource, Resource::Rejected(_)) => {
            Err(broken(at, format!("expected a {what} in `{path}`"), &[]))
        }
        _ => Err(broken(at, format!("the {what} cannot be used"), &errors)),
    }
}

/// The first document of a file, as gator takes it. The others do nothing, which they may not have been
/// written for.
fn first<'d>(
    documents: &'d [Document],
    what: &str,
    path: &str,
    at: &Location,
    warnings: &mut Vec<Error>,
) -> Result<&'d Document, Failure> {
    let [first, others @ ..] = documents else { return Err(not_one(0, what, path, at)) };
    warnings.extend(others.iter().map(|unused| {
        let message = format!("this document is not used: of a file, a test takes the first as its {what}");
        Error::warning(ErrorKind::Suite, message)
            .hint("put it into a file of its own, or take it out")
            .at(unused.location())
    }));
    Ok(first)
}

fn not_one(found: usize, what: &str, path: &str, at: &Location) -> Failure {
    let found = count(found, "document", "documents");
    broken(at, format!("expected one document, the {what}, in `{path}`, found {found}"), &[])
}

fn run_case(
    case: &Case,
    compiled: Option<&Compiled>,
    files: &Files<'_>,
    runner: &Runner<'_>,
    second: Option<&Second<'_>>,
) -> CaseResult {
    let started = Instant::now();
    let mut result = CaseResult::skipped(&case.name, case.location.clone());
    let Some(compiled) = compiled else { return result };
    let policies = &compiled.policies;
    let mut warnings = Vec::new();
    let found = review_of(case, compiled, files, runner.answering, &mut warnings);
    result.problems = Problem::all(&warnings);
    match found {
        Err(failure) => result.failures.push(failure),
        Ok(Reviewed { otherwise, denied, .. }) if compiled.is_about_admission => {
            let denied: Vec<Said> =
                denied.into_iter().map(|message| Said { line: message.clone(), message }).collect();
            let unmet = case.assertions.iter().filter_map(|assertion| check_said(assertion, &denied));
            result.failures = otherwise.into_iter().chain(unmet).collect();
        }
        Ok(Reviewed { review, implied, inventory, mut answers, otherwise, .. }) => {
            let deadline = runner.evaluating.deadline();
            let world = runner.evaluating.world(&inventory, &deadline);
            let answer = |questions: &Questions| compiled.answer(questions, runner.answering);
            let watched = runner.coverage.map_or(world, |coverage| world.with_coverage(coverage));
            let point = EnforcementPoint::CommandLine;
            let outcome = policies.review_asking(&review, &implied, &watched, point, &mut answers, answer);
            let world = world.with_answers(&answers);
            let decision = Decision::from(&outcome);
            let unmet = case.assertions.iter().filter_map(|assertion| check(assertion, &decision));
            result.failures = otherwise.into_iter().chain(unmet).collect();
            let open = outcome.questions();
            if !open.is_empty() {
                // What the assertions say of it means nothing.
                let asked: Vec<String> = open.iter().map(ToString::to_string).collect();
                let details = Problem::of(&Error::new(ErrorKind::Unanswered, asked.join("; ")).hint(
                    "name a file with answers in `providerAnswers` of the test, or by `--provider-answers`",
                ));
                let message = "the policy asks providers of external data, and nobody answers";
                let failure = broken(&case.location, message, &[]);
                result.failures = vec![Failure { details: vec![details.to_string()], ..failure }];
            }
            let other = compiled.other.as_ref().map(|other| {
                let theirs = other.review_with(&review, &implied, &world, EnforcementPoint::CommandLine);
                let found = otherwise_in(other, case, &outcome, &theirs, second.map(Second::tally));
                result.failures.extend(found);
                theirs
            });
            if let Some(second) = second {
                let place = Some(&case.location);
                let in_rego = compiled.in_rego();
                let is_other = compiled.other.as_ref().is_some_and(|other| std::ptr::eq(other, in_rego));
                let mut own = other.filter(|_| is_other).unwrap_or_else(|| outcome.clone());
                own.results.retain(|result| result.implied_by.is_none());
                let found = second.with(&inventory).problems(in_rego, &review, &world, &own, place);
                let (errors, unknown) = separate(found);
                result.problems.extend(Problem::all(&unknown));
                result
                    .failures
                    .extend(errors.iter().map(|error| broken(&case.location, error.message(), &[])));
            }
            result.parts = outcome.results.iter().flat_map(|result| &result.prints).cloned().collect();
        }
    }
    result.status = result.worst_failure().unwrap_or(Status::Passed);
    result.elapsed = started.elapsed();
    result
}

/// What a case comes to in the other language of its template, where that is not what it should come to, or
/// does come to in the first.
fn otherwise_in(
    other: &PolicySet,
    case: &Case,
    ours: &Outcome,
    theirs: &Outcome,
    tally: Option<&Tally>,
) -> Vec<Failure> {
    let language = engine_of(other).map_or("other language", |engine| match engine {
        Engine::Rego => "Rego",
        Engine::Cel => "CEL",
    });
    let decision = Decision::from(theirs);
    let mut found: Vec<Failure> = case
        .assertions
        .iter()
        .filter_map(|assertion| check(assertion, &decision))
        .map(|failure| Failure {
            message: format!("{IN_THE_OTHER}{language}: {}", failure.message),
            ..failure
        })
        .collect();
    let differs = |(ours, theirs): (&ConstraintResult, &ConstraintResult)| {
        let (here, there) = (verdict(&ours.verdict), verdict(&theirs.verdict));
        (here != there).then(|| {
            let name = &ours.key().name;
            format!("[{name}] {there} in the template's {language}, where it {here} in what is run")
        })
    };
    if found.is_empty() {
        let details: Vec<String> = ours.results.iter().zip(&theirs.results).filter_map(differs).collect();
        if !details.is_empty() {
            let message = format!("{THE_OTHER}{language} says otherwise");
            found.push(Failure { location: case.location.clone(), message, details, status: Status::Failed });
        }
    }
    if let Some(tally) = tally {
        let said = |outcome: &Outcome| -> Vec<String> {
            let decision = Decision::from(outcome);
            decision.findings.iter().map(|finding| finding.message.to_owned()).collect()
        };
        tally.count_languages(found.is_empty(), said(ours) == said(theirs));
    }
    found
}

/// What a verdict is, in a word.
fn verdict(verdict: &Verdict) -> &'static str {
    match verdict {
        Verdict::Pass => "passes",
        Verdict::Violations(_) => "is violated",
        Verdict::Excepted { .. } => "is excepted",
        Verdict::Error(_) => "cannot be evaluated",
    }
}

/// What a case is about.
pub(super) struct Reviewed {
    pub(super) review: Review,
    /// What that implies.
    pub(super) implied: Vec<Review>,
    /// What it may be compared with.
    pub(super) inventory: Inventory,
    /// What mutators asked, and was answered.
    pub(super) answers: Answers,
    /// That the mutators made another object than they should.
    pub(super) otherwise: Option<Failure>,
    /// Why mutating admission policies deny it.
    denied: Vec<String>,
}

/// Where objects of an inventory live. As of the object under test, it is what they say; the definitions among them
/// tell the rest.
fn places_of(objects: &[Object]) -> Places {
    let mut scopes = Scopes::default();
    for object in objects {
        scopes.learn(object);
    }
    Places::new(scopes)
}

pub(super) fn review_of(
    case: &Case,
    compiled: &Compiled,
    files: &Files<'_>,
    answering: &Answering,
    warnings: &mut Vec<Error>,
) -> Result<Reviewed, Failure> {
    let at = &case.location;
    let answer = |questions: &Questions| compiled.answer(questions, answering);
    let username = answering.username().cloned();
    let mut outside = Outside { answers: Answers::new(), username: username.clone() };
    let mut objects = Vec::new();
    for path in &case.inventory {
        let documents = files.read(path, "inventory", at, warnings)?;
        if documents.is_empty() {
            return Err(broken(at, format!("expected at least one object in `{path}`, found none"), &[]));
        }
        for document in documents {
            let object = Object::from_document(document);
            objects.push(object.map_err(|error| broken(at, "the inventory cannot be used", &[error]))?);
        }
    }
    let documents = files.read(&case.object, "object", at, warnings)?;
    let [document] = documents.as_slice() else {
        return Err(not_one(documents.len(), "object", &case.object, at));
    };
    let unusable = |errors: &[Error]| broken(at, "the object cannot be used", errors);
    let object = Object::under_test(document.clone()).map_err(|error| unusable(&[error]))?;
    let is_request = &*object.gvk().kind == "AdmissionReview" && &*object.gvk().group == "admission.k8s.io";
    let inventory: Inventory = objects.iter().cloned().collect();
    let (mut otherwise, mut denied) = (None, Vec::new());
    if case.mutated.is_some() && compiled.mutators.is_none() {
        let message = "nothing mutates the object of this case: its test names no `mutators` and no mutating admission policy";
        return Err(broken(at, message, &[]));
    }
    let changing = compiled.mutators.as_ref();
    let admission = changing
        .map(|changing| Admission::new(changing.admission.iter().cloned(), &objects, &places_of(&objects)).0);
    let admission = admission.flatten();
    let (review, implied) = if is_request {
        let (resource, problems) = Resource::read(document);
        let (errors, found) = separate(problems);
        warnings.extend(found);
        if case.mutated.is_some() || compiled.is_about_admission {
            let message = "a request is not mutated: an API server did that before it sent it";
            return Err(broken(at, message, &[]));
        }
        match resource {
            Some(Resource::AdmissionReview(request)) => {
                // As gator has it: a request implies nothing.
                let review = Review::from_admission_as_written(&request);
                (review.map_err(|error| unusable(&[error]))?, Vec::new())
            }
            _ => return Err(unusable(&errors)),
        }
    } else {
        // As gator has it: there is no cluster that knows the kinds, and the object's own field counts.
        let mut object = object;
        let mut expansion = Expansion::new(&compiled.expansions);
        if let Some(Changing { mutators, .. }) = changing {
            let of_server = admission.clone();
            match mutated::mutate(mutators, of_server, &object, &objects, &mut outside, answer) {
                Err(error) if compiled.is_about_admission => {
                    denied.push(error.message().to_owned());
                    otherwise = case.mutated.as_ref().map(|path| {
                        let message =
                            format!("expected the object of `{path}`, but the object cannot be mutated");
                        Failure { status: Status::Failed, ..broken(at, message, &[error]) }
                    });
                }
                Err(error) => return Err(broken(at, "the object cannot be mutated", &[error])),
                Ok(mutation) => {
                    if let Some(path) = &case.mutated {
                        let expected = files.read(path, "mutated object", at, warnings)?;
                        let [expected] = expected.as_slice() else {
                            return Err(not_one(expected.len(), "mutated object", path, at));
                        };
                        let expected = Object::under_test(expected.clone())
                            .map_err(|error| broken(at, "the mutated object cannot be used", &[error]))?;
                        otherwise = mutated::check(&mutation, &expected, path, at);
                    }
                    object = mutation.object().clone();
                }
            }
            expansion = expansion.with_mutators(mutators).of_parents(Parent::Mutated);
            expansion = mutating::expanding(expansion, admission.as_ref());
            if let Some(username) = &username {
                expansion = expansion.with_username(username);
            }
        }
        let review = Review::as_written(object);
        // Of a namespace that nobody made, mutators could not know the labels.
        let default = inventory.missing_default_namespace();
        let default = default.filter(|default| **default.name() == *review.namespace_name());
        let known = match default.filter(|_| compiled.mutators.is_some()) {
            Some(default) => &review.clone().with_namespace(default),
            None => &review,
        };
        let mut rounds = 0;
        let implied = loop {
            let world = World::new(&inventory).with_answers(&outside.answers);
            let implied = known.implied(&expansion, &world);
            let found = match &implied {
                Err(error) if rounds < PolicySet::MAX_ROUNDS => answer(error.questions()),
                _ => Answers::new(),
            };
            if found.is_empty() {
                break implied;
            }
            rounds += 1;
            outside.answers.extend(found);
        };
        let implied = implied.map_err(|error| unusable(&[error.to_error()]))?;
        (review, implied)
    };
    Ok(Reviewed { review, implied, inventory, answers: outside.answers, otherwise, denied })
}

/// Whether an assertion holds; if not, what came instead.
pub(super) fn check(assertion: &Assertion, decision: &Decision<'_>) -> Option<Failure> {
    let said = decision.findings.iter().map(|finding| {
        let message = finding.message.to_owned();
        let line = if finding.is_error() {
            let name = &finding.result.key().name;
            format!("[{name}] could not be evaluated, which counts as a violation: {message}")
        } else {
            finding.line()
        };
        Said { message, line }
    });
    check_said(assertion, &said.collect::<Vec<_>>())
}

/// A violation, as it is counted and as it is shown.
struct Said {
    message: String,
    line: String,
}

fn check_said(assertion: &Assertion, said: &[Said]) -> Option<Failure> {
    let matching = said
        .iter()
        .filter(|said| assertion.message.as_ref().is_none_or(|pattern| pattern.is_match(&said.message)))
        .count();
    let holds = match assertion.violations {
        Expected::Yes => matching > 0,
        Expected::No => matching == 0,
        Expected::Exactly(wanted) => u64::try_from(matching) == Ok(wanted),
    };
    if holds {
        return None;
    }
    let wanted = match assertion.violations {
        Expected::Yes => "expected at least one violation".to_owned(),
        Expected::No => "expected no violation".to_owned(),
        Expected::Exactly(1) => "expected exactly 1 violation".to_owned(),
        Expected::Exactly(wanted) => format!("expected exactly {wanted} violations"),
    };
    let all = said.len();
    let got = match &assertion.message {
        None => format!(", got {all}"),
        Some(pattern) if all > matching => {
            let others = all - matching;
            format!(
                " with a message that matches `{pattern}`, got {matching} (and {others} with other messages)"
            )
        }
        Some(pattern) => format!(" with a message that matches `{pattern}`, got {matching}"),
    };
    Some(Failure {
        location: assertion.location.clone(),
        message: format!("{wanted}{got}"),
        details: said.iter().map(|said| said.line.clone()).collect(),
        status: Status::Failed,
    })
}
