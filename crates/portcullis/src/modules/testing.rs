//! Unit tests of files of Rego: rules that begin with `test_`, which have to be true.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use portcullis_rego::{Coverage, Environment, Input, Made, Program, Unit, Workspace};
use portcullis_rego_syntax::Span;
use portcullis_value::View;

use super::data::ModuleData;
use super::file::RegoFile;
use super::set::{evaluation_error, has_errors, replaced};
use crate::analysis::{self, CallGraph};
use crate::api::template::Text;
use crate::document::Document;
use crate::error::Error;
use crate::program::{CoveredKind, CoveredPlace, EvaluationError, conditions};
use crate::source::{Location, Source};
use crate::value::{self, Value};
use crate::world::World;

/// How rules begin that are tests, and those that are not to be run yet.
const TEST: &str = "test_";
const TODO: &str = "todo_test_";

/// The unit tests of some files, compiled. Immutable, and shared by threads.
pub struct ModuleTests {
    tests: Vec<ModuleTest>,
    programs: Vec<Program>,
    sources: Vec<Arc<Source>>,
    /// What is not counted as covered: tests themselves, by module.
    spared: Vec<Vec<Span>>,
    /// Statements that may hold or not.
    conditions: Vec<(usize, Span)>,
    data: Value,
    coverage: Coverage,
}

/// A test: all definitions of one name in one package.
#[derive(Clone, Debug)]
pub struct ModuleTest {
    package: String,
    name: String,
    location: Location,
    is_todo: bool,
    /// Where it is defined: modules and places.
    definitions: Vec<(usize, Span)>,
}

impl ModuleTest {
    /// The package, without `data`.
    #[must_use]
    pub fn package(&self) -> &str {
        &self.package
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its first definition is.
    #[must_use]
    pub const fn location(&self) -> &Location {
        &self.location
    }

    /// Whether it is not to be run yet: `todo_test_…`.
    #[must_use]
    pub const fn is_todo(&self) -> bool {
        self.is_todo
    }
}

/// As OPA names it: `data.main.test_deny`.
impl fmt::Display for ModuleTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "data.{}.{}", self.package, self.name)
    }
}

/// What came of a test.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ModuleTestResult {
    /// Whether it passed; an error if it could not be evaluated.
    pub verdict: Result<TestVerdict, EvaluationError>,
    /// What was printed with `print`.
    pub prints: Vec<String>,
    /// Of what is told of coverage: the last statement of the test that was reached, if it failed.
    pub reached: Option<Location>,
}

/// How a test came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TestVerdict {
    /// It is true, and all of its cases are.
    Passed,
    /// It is not: it is undefined, or something else; or these of its cases are not true.
    Failed {
        /// What it is in the place of true.
        found: String,
        /// Its cases that are not true, if it has any.
        cases: Vec<String>,
    },
}

impl ModuleTests {
    /// How many tests files have, as far as their text is Rego. Without any there is nothing to compile.
    #[must_use]
    pub fn count(files: &[RegoFile]) -> usize {
        let texts: Vec<Text> = files.iter().map(|file| file.text.clone()).collect();
        let modules = analysis::parsed(&texts);
        let rules = modules.iter().flat_map(|parsed| &parsed.module.rules);
        rules.filter(|rule| is_test(rule.name())).count()
    }

    /// Compiles files. If anything is wrong with one of them there are no tests.
    #[must_use]
    pub fn compile(files: &[RegoFile], data: &ModuleData) -> (Self, Vec<Error>) {
        let Some(first) = files.first() else { return (Self::empty(), Vec::new()) };
        let document = Document::empty(&first.source);
        let texts: Vec<Text> = files.iter().map(|file| file.text.clone()).collect();
        let modules = analysis::parsed(&texts);
        let mut errors = analysis::check_modules(&CallGraph::of(&modules), &document);
        errors.extend(replaced(&modules, data));
        if has_errors(&errors) {
            return (Self::empty(), errors);
        }
        let mut tests: BTreeMap<Vec<&str>, ModuleTest> = BTreeMap::new();
        let mut spared = Vec::with_capacity(modules.len());
        for (module, parsed) in modules.iter().enumerate() {
            let package = parsed.module.package_path();
            let mut own = Vec::new();
            for rule in parsed.module.rules.iter().filter(|rule| is_test(rule.name())) {
                own.push(rule.span);
                let Some(location) = analysis::location(parsed.text, rule.name_span()) else { continue };
                let path: Vec<&str> = package.iter().copied().chain([rule.name()]).collect();
                let test = tests.entry(path).or_insert_with(|| ModuleTest {
                    package: package.join("."),
                    name: rule.name().to_owned(),
                    location,
                    is_todo: rule.name().starts_with(TODO),
                    definitions: Vec::new(),
                });
                test.definitions.push((module, rule.span));
            }
            spared.push(own);
        }
        let units: Vec<Unit<'_>> =
            modules.iter().map(|parsed| Unit { module: &parsed.module, names: &parsed.names }).collect();
        let paths: Vec<&[&str]> = tests.keys().map(Vec::as_slice).collect();
        match Program::compile_each(&units, &paths, Made::Covered) {
            Ok(programs) => {
                let coverage = programs.first().map(Coverage::of).unwrap_or_default();
                let sources = files.iter().map(|file| file.source.clone()).collect();
                let tests = tests.into_values().collect();
                let data = data.to_value();
                let conditions = conditions(&modules);
                (Self { tests, programs, sources, spared, conditions, data, coverage }, errors)
            }
            Err(found) => {
                let found = found.iter();
                errors.extend(found.map(|error| analysis::compile_error(error, &modules, &document)));
                (Self::empty(), errors)
            }
        }
    }

    fn empty() -> Self {
        Self {
            tests: Vec::new(),
            programs: Vec::new(),
            sources: Vec::new(),
            spared: Vec::new(),
            conditions: Vec::new(),
            data: Value::new_object(),
            coverage: Coverage::default(),
        }
    }

    /// The tests, by package and name.
    #[must_use]
    pub fn tests(&self) -> &[ModuleTest] {
        &self.tests
    }

    /// Runs a test, by its number. `None` if there is none.
    #[must_use]
    pub fn run(&self, test: usize, world: &World<'_>) -> Option<ModuleTestResult> {
        let (program, test) = self.programs.get(test).zip(self.tests.get(test))?;
        let environment = Environment {
            input: Input::Undefined,
            data: self.data.clone(),
            limits: world.limits(),
            watch: world.watch(),
            now_ns: world.now_ns(),
            seed: world.seed(),
            answers: world.answers(),
            strict_builtin_errors: false,
            indexes: None,
            special: None,
        };
        // Of this test alone, to see how far it came.
        let own = Coverage::of(program);
        let caught = catch_unwind(AssertUnwindSafe(|| {
            program.evaluate_covered(&mut Workspace::default(), &environment, &own)
        }));
        let Ok(evaluation) = caught else {
            let error = EvaluationError::new("the evaluation panicked: please report this");
            return Some(ModuleTestResult { verdict: Err(error), prints: Vec::new(), reached: None });
        };
        self.coverage.add(&own);
        let verdict = match &evaluation.result {
            Ok(value) => Ok(verdict(value)),
            Err(error) => Err(evaluation_error(error, |module| self.sources.get(module))),
        };
        let reached = match verdict {
            Ok(TestVerdict::Failed { .. }) => self.last_reached(program, test, &own),
            Ok(TestVerdict::Passed) | Err(_) => None,
        };
        Some(ModuleTestResult { verdict, prints: evaluation.prints, reached })
    }

    /// The last statement in the text of a test that was reached.
    fn last_reached(&self, program: &Program, test: &ModuleTest, coverage: &Coverage) -> Option<Location> {
        let inside = |(module, span): (usize, Span)| {
            test.definitions.iter().any(|(own, whole)| {
                *own == module && whole.start <= span.start && span.end <= whole.end && span != *whole
            })
        };
        let statements = coverage.statements(program).into_iter();
        let reached = statements.filter(|one| one.is_reached).map(|one| (one.module, one.span));
        let (module, span) = reached.rev().find(|place| inside(*place))?;
        Some(Location::new(self.sources.get(module)?.clone(), span.start..span.end))
    }

    /// What the tests that were run reached of the files; tests themselves do not count.
    #[must_use]
    pub fn coverage(&self) -> Vec<CoveredPlace> {
        let Some(program) = self.programs.first() else { return Vec::new() };
        let is_spared = |module: usize, span: Span| {
            let mut tests = self.spared.get(module).into_iter().flatten();
            tests.any(|test| test.start <= span.start && span.end <= test.end)
        };
        let statements = self.coverage.statements(program).into_iter();
        let places = statements.filter(|one| !is_spared(one.module, one.span)).filter_map(|one| {
            let range = one.span.start..one.span.end;
            let location = Location::new(self.sources.get(one.module)?.clone(), range);
            Some(CoveredPlace::new(location, CoveredKind::of(&one, &self.conditions), &one))
        });
        places.collect()
    }
}

fn is_test(name: &str) -> bool {
    name.starts_with(TEST) || name.starts_with(TODO)
}

/// A test is true, or an object with a case for each key, all of them true.
fn verdict(value: &Value) -> TestVerdict {
    let failed = |found: String, cases| TestVerdict::Failed { found, cases };
    match value.view() {
        View::Bool(true) => TestVerdict::Passed,
        View::Undefined => failed("undefined".to_owned(), Vec::new()),
        View::Object(cases) if !cases.is_empty() => {
            let wrong = cases.iter().filter(|(_, case)| !matches!(case.view(), View::Bool(true)));
            let wrong: Vec<String> = wrong
                .map(|(name, _)| name.as_str().map_or_else(|| name.to_string(), str::to_owned))
                .collect();
            if wrong.is_empty() {
                TestVerdict::Passed
            } else {
                failed("not true in all cases".to_owned(), wrong)
            }
        }
        _ => failed(value::describe(value), Vec::new()),
    }
}

impl fmt::Debug for ModuleTests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ModuleTests({} files, {} tests)", self.sources.len(), self.tests.len())
    }
}
