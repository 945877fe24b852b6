//! `verify --mutate`: whether suites notice small changes of their templates.
//!
//! ```text
//! tests that pass ── keep ──> specimens ── texts, each once ──> mutants ── compile, run cases until one differs ──> result
//! ```
//!
//! Nothing but steps and memory ends an evaluation here, so that a mutant has the same fate on any machine. A text
//! that several templates have, such as a library, is mutated once, and all of their suites are asked.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use portcullis::{
    ConstraintTemplate, Decision, EnforcementPoint, Engine, EngineChoice, Error, Mutant, PolicySet,
    PolicySettings, Questions, Resource, Severity,
};
use portcullis_providers::Answering;
use portcullis_report::count;
use portcullis_report::verify::{MutationResult, Status, Survivor};
use portcullis_suite::{Case, Test};
use rayon::prelude::*;

use super::evaluation::Evaluating;
use super::fates::{Fate, Judged, List, NotRun, accepted};
use super::verify::assertions::check;
use super::verify::cases::{Reviewed, review_of};
use super::verify::compiled::{Compiled, engine_of};
use super::verify::files::Files;

/// The tests whose templates are mutated, and what suites list of the mutants.
#[derive(Default)]
pub struct Specimens {
    tests: Mutex<Vec<Specimen>>,
    lists: Mutex<Vec<List>>,
}

/// A test that passes, with all that it takes to run it again.
struct Specimen {
    test: Test,
    template: ConstraintTemplate,
    constraint: Resource,
    /// Which of its programs is run.
    engine: Engine,
    cases: Vec<Asked>,
}

struct Asked {
    case: Case,
    reviewed: Reviewed,
    /// What is said without a mutant.
    said: Vec<Said>,
}

/// One thing that is said of an object. Only errors and the number of all are verdicts.
#[derive(PartialEq)]
struct Said {
    is_error: bool,
    message: String,
    details: serde_json::Value,
}

impl Specimens {
    /// Keeps a test. Only cases that pass tell anything.
    pub fn keep(
        &self,
        test: &Test,
        compiled: &Compiled,
        files: &Files<'_>,
        evaluating: &Evaluating,
        statuses: &[Status],
        answering: &Answering,
    ) {
        let [Resource::Template(template), constraint] = compiled.resources.as_slice() else { return };
        let Some(engine) = engine_of(&compiled.policies) else { return };
        let passed = test.cases.iter().zip(statuses).filter(|(_, status)| **status == Status::Passed);
        let asked = passed.filter_map(|(case, _)| {
            let mut reviewed = review_of(case, compiled, files, answering, &mut Vec::new()).ok()?;
            // What a mutant asks beyond this is unknown, which no case passes by.
            let mut answers = std::mem::take(&mut reviewed.answers);
            let (world, point) = (evaluating.untimed(&reviewed.inventory), EnforcementPoint::CommandLine);
            let Reviewed { review, implied, .. } = &reviewed;
            let answer = |questions: &Questions| compiled.answer(questions, answering);
            let _ = compiled.policies.review_asking(review, implied, &world, point, &mut answers, answer);
            reviewed.answers = answers;
            let said = said(&compiled.policies, &reviewed, case, evaluating).1;
            Some(Asked { case: case.clone(), reviewed, said })
        });
        let specimen = Specimen {
            test: test.clone(),
            template: (**template).clone(),
            constraint: constraint.clone(),
            engine,
            cases: asked.collect(),
        };
        self.tests.lock().unwrap_or_else(PoisonError::into_inner).push(specimen);
    }

    /// Keeps what a file lists.
    pub fn list(&self, list: List) {
        self.lists.lock().unwrap_or_else(PoisonError::into_inner).push(list);
    }

    /// Runs all cases against all mutants. Errors are those of entries in lists, each with its place.
    pub fn run(self, evaluating: &Evaluating, least: Option<f64>) -> (MutationResult, Vec<Error>) {
        let mut specimens = self.tests.into_inner().unwrap_or_else(PoisonError::into_inner);
        let mut lists = self.lists.into_inner().unwrap_or_else(PoisonError::into_inner);
        // They came in the order of threads.
        specimens.sort_by(|a, b| a.test.location.cmp(&b.test.location));
        lists.sort_by(|a, b| a.file.cmp(&b.file));
        let texts = Texts::of(&specimens);
        let mutants = texts.mutants(&specimens);
        let fates: Vec<Fate> = mutants
            .par_iter()
            .map(|(text, mutant)| fate(&texts, text, mutant, &specimens, evaluating))
            .collect();
        let judged = mutants.iter().zip(fates).map(|((text, mutant), fate)| Judged {
            change: mutant.to_string(),
            rule: mutant.rule(),
            files: texts.files(text, &specimens),
            fate,
        });
        let judged: Vec<Judged<'_>> = judged.collect();
        let (accepted, errors) = accepted(&lists, &judged, &not_run(&specimens));
        let mut result =
            MutationResult { killed: 0, said: 0, accepted: 0, refused: 0, survivors: Vec::new(), least };
        for (number, ((text, mutant), one)) in mutants.iter().zip(judged).enumerate() {
            match one.fate {
                Fate::Killed => result.killed += 1,
                Fate::Said => result.said += 1,
                Fate::Refused => result.refused += 1,
                Fate::Survived(_) if accepted.contains(&number) => result.accepted += 1,
                Fate::Survived(nearly) => result.survivors.push(Survivor {
                    location: mutant.location().clone(),
                    kind: mutant.kind().as_str(),
                    what: one.change,
                    rule: mutant.rule().clone(),
                    copies: texts.copies(text),
                    nearly,
                }),
            }
        }
        result.survivors.sort_by(|a, b| (&a.location, a.kind, &a.what).cmp(&(&b.location, b.kind, &b.what)));
        (result, errors)
    }
}

/// The texts of all templates that are run, each once: which specimens have it, as which of their texts.
struct Texts(BTreeMap<Arc<str>, Vec<(usize, usize)>>);

impl Texts {
    fn of(specimens: &[Specimen]) -> Self {
        let mut texts: BTreeMap<Arc<str>, Vec<(usize, usize)>> = BTreeMap::new();
        for (specimen, one) in specimens.iter().enumerate() {
            for (number, (engine, text)) in one.template.program_texts().enumerate() {
                if engine == one.engine {
                    texts.entry(text.clone()).or_default().push((specimen, number));
                }
            }
        }
        Self(texts)
    }

    fn mutants(&self, specimens: &[Specimen]) -> Vec<(Arc<str>, Mutant)> {
        let mut all = Vec::new();
        for (text, users) in &self.0 {
            let first =
                users.first().and_then(|(specimen, number)| Some((specimens.get(*specimen)?, number)));
            let Some((specimen, number)) = first else { continue };
            let mutants = specimen.template.mutants().into_iter().nth(*number).unwrap_or_default();
            all.extend(mutants.into_iter().map(|mutant| (text.clone(), mutant)));
        }
        all
    }

    /// The files of the suites that test templates with a text.
    fn files<'s>(&self, text: &str, specimens: &'s [Specimen]) -> BTreeSet<&'s str> {
        let users = self.0.get(text).into_iter().flatten();
        let tests = users.filter_map(|(specimen, _)| Some(&specimens.get(*specimen)?.test));
        tests.map(|test| &**test.location.file()).collect()
    }

    /// In how many templates a text stands beside the first.
    fn copies(&self, text: &str) -> usize {
        self.0.get(text).map_or(0, |users| users.len().saturating_sub(1))
    }
}

/// The rules of the programs that are not run, of templates in both languages.
fn not_run(specimens: &[Specimen]) -> NotRun<'_> {
    let mut rules = NotRun::new();
    for specimen in specimens {
        let engines: Vec<Engine> = specimen.template.program_texts().map(|(engine, _)| engine).collect();
        if engines.iter().all(|engine| *engine == specimen.engine) {
            continue;
        }
        let mutants = engines.iter().zip(specimen.template.mutants());
        for (_, mutants) in mutants.filter(|(engine, _)| **engine != specimen.engine) {
            let file = &**specimen.test.location.file();
            rules.extend(mutants.iter().map(|mutant| (file, mutant.rule().clone())));
        }
    }
    rules
}

fn fate(texts: &Texts, text: &str, mutant: &Mutant, specimens: &[Specimen], evaluating: &Evaluating) -> Fate {
    let mut worst = Fate::Survived(None);
    for (specimen, number) in texts.0.get(text).into_iter().flatten() {
        let Some(specimen) = specimens.get(*specimen) else { continue };
        let Some(template) = specimen.template.mutated(*number, mutant) else { continue };
        let engines = match specimen.engine {
            Engine::Rego => EngineChoice::RegoOnly,
            Engine::Cel => EngineChoice::CelFirst,
        };
        let settings = PolicySettings { engines, ..PolicySettings::default() };
        let resources = [Resource::Template(Box::new(template)), specimen.constraint.clone()];
        let (policies, problems) = PolicySet::from_resources_in(resources, &settings);
        if problems.iter().any(|problem| problem.severity() == Severity::Error) {
            return Fate::Refused;
        }
        for asked in &specimen.cases {
            let (holds, said) = said(&policies, &asked.reviewed, &asked.case, evaluating);
            if !holds {
                return Fate::Killed;
            }
            if matches!(worst, Fate::Survived(Some(_))) {
                continue;
            }
            let (now, before) = (verdict(&said), verdict(&asked.said));
            if now != before {
                let (name, case) = (&specimen.test.name, &asked.case.name);
                worst = Fate::Survived(Some(format!(
                    "`{name}//{case}` comes to {now} instead of {before}, which it does not assert"
                )));
            } else if said != asked.said {
                worst = Fate::Said;
            }
        }
    }
    worst
}

/// Whether all that a case asserts holds, and what is said.
fn said(
    policies: &PolicySet,
    reviewed: &Reviewed,
    case: &Case,
    evaluating: &Evaluating,
) -> (bool, Vec<Said>) {
    let world = evaluating.untimed(&reviewed.inventory).with_answers(&reviewed.answers);
    let outcome =
        policies.review_with(&reviewed.review, &reviewed.implied, &world, EnforcementPoint::CommandLine);
    let decision = Decision::from(&outcome);
    let holds = case.assertions.iter().all(|assertion| check(assertion, &decision).is_none());
    let said = decision.findings.iter().map(|finding| Said {
        is_error: finding.is_error(),
        message: finding.message.to_owned(),
        details: finding.details(),
    });
    (holds, said.collect())
}

/// `2 violations`, and how many of them are evaluations that failed.
fn verdict(said: &[Said]) -> String {
    let violations = count(said.len(), "violation", "violations");
    match said.iter().filter(|one| one.is_error).count() {
        0 => violations,
        errors => format!("{violations} ({})", count(errors, "error", "errors")),
    }
}
