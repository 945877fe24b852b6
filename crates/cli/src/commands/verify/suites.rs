//! Suites: which files have any, and which of their tests and cases are run.

use std::path::Path;
use std::time::Instant;

use portcullis::{Document, Error, Limits, Resource, Severity};
use portcullis_report::Problem;
use portcullis_report::verify::{Status, SuiteResult, TestResult};
use portcullis_sources::{self as read, InputFile};
use portcullis_suite::{Case, Suite, Test};
use rayon::prelude::*;

use super::cases::{Judging, run_case};
use super::compiled::{Compiling, compile};
use super::files::{Files, whole};
use crate::commands::fates::List;
use crate::commands::mutants::Specimens;
use crate::commands::second::{Second, Tally};
use crate::verify_args::Selection;

/// Runs suites.
pub(super) struct Runner<'a> {
    pub(super) limits: Limits,
    pub(super) selection: Option<&'a Selection>,
    pub(super) compiling: Compiling,
    pub(super) judging: Judging<'a>,
    /// Counts what a second evaluator says, if it is asked.
    pub(super) tally: Option<&'a Tally>,
    /// Keeps tests whose templates are mutated, if that is asked for.
    pub(super) specimens: Option<&'a Specimens>,
}

impl Runner<'_> {
    /// Runs the suites of a file; `None` if it has none.
    pub(super) fn file(&self, file: &InputFile) -> Option<SuiteResult> {
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
                Some(Resource::Unsupported(_)) => problems.extend(self.compiling.unsupported.judge(found)),
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
        let compiled = compile(test, &files, self.compiling, &mut warnings);
        result.problems = Problem::all(&warnings);
        match compiled {
            Err(failure) => result.failures.push(failure),
            // What is not done about it is a warning.
            Ok(None) => return result,
            Ok(Some(compiled)) => {
                if let Some(coverage) = self.judging.coverage {
                    compiled.policies.expect_in(coverage);
                }
                let Judging { answering, evaluating, .. } = self.judging;
                let timeout = evaluating.timeout();
                let second = self.tally.map(|tally| Second::new(compiled.in_rego(), timeout, tally));
                let case = |case: &Case| {
                    let run = !case.skip && self.selects_case(test, case);
                    run_case(case, run.then_some(&compiled), &files, self.judging, second.as_ref())
                };
                result.parts = test.cases.iter().map(case).collect();
                if let Some(specimens) = self.specimens {
                    let statuses: Vec<Status> = result.parts.iter().map(|case| case.status).collect();
                    specimens.keep(test, &compiled, &files, &evaluating, &statuses, answering);
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
