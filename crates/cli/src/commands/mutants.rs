//! `verify --mutate`: whether suites notice small changes of their templates.
//!
//! ```text
//! tests that pass ── keep ──> specimens ── texts, each once ──> mutants ── compile, run cases until one differs ──> result
//! ```
//!
//! Nothing but steps and memory ends an evaluation here, so that a mutant has the same fate on any machine. A text
//! that several templates have, such as a library, is mutated once, and all of their suites are asked.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use portcullis::{
    ConstraintTemplate, Decision, EnforcementPoint, Engine, EngineChoice, Mutant, PolicySet, PolicySettings,
    Questions, Resource, Severity,
};
use portcullis_providers::Answering;
use portcullis_report::verify::{MutationResult, Status, Survivor};
use portcullis_suite::{Case, Test};
use rayon::prelude::*;

use super::evaluation::Evaluating;
use super::verify::{Compiled, Files, Reviewed, check, engine_of, review_of};

/// The tests whose templates are mutated.
#[derive(Default)]
pub struct Specimens(Mutex<Vec<Specimen>>);

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
    said: Vec<String>,
}

/// What comes of a mutant.
enum Fate {
    Killed,
    /// Cases say something else than before, but as often.
    Messages,
    Refused,
    /// With a case that comes to something else, if there is one.
    Survived(Option<String>),
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(specimen);
    }

    /// Runs all cases against all mutants.
    pub fn run(self, evaluating: &Evaluating, least: Option<f64>) -> MutationResult {
        let mut specimens = self.0.into_inner().unwrap_or_else(PoisonError::into_inner);
        // They came in the order of threads.
        specimens.sort_by(|a, b| a.test.location.cmp(&b.test.location));
        let texts = Texts::of(&specimens);
        let mutants = texts.mutants(&specimens);
        let fates: Vec<Fate> = mutants
            .par_iter()
            .map(|(text, mutant)| fate(&texts, text, mutant, &specimens, evaluating))
            .collect();
        let mut result = MutationResult { killed: 0, messages: 0, refused: 0, survivors: Vec::new(), least };
        for ((text, mutant), fate) in mutants.iter().zip(fates) {
            match fate {
                Fate::Killed => result.killed += 1,
                Fate::Messages => result.messages += 1,
                Fate::Refused => result.refused += 1,
                Fate::Survived(nearly) => result.survivors.push(Survivor {
                    location: mutant.location().clone(),
                    kind: mutant.kind().as_str(),
                    what: mutant.to_string(),
                    copies: texts.copies(text),
                    nearly,
                }),
            }
        }
        result.survivors.sort_by(|a, b| (&a.location, a.kind, &a.what).cmp(&(&b.location, b.kind, &b.what)));
        result
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

    /// In how many templates a text stands beside the first.
    fn copies(&self, text: &str) -> usize {
        self.0.get(text).map_or(0, |users| users.len().saturating_sub(1))
    }
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
            worst = match worst {
                Fate::Survived(None) if said.len() != asked.said.len() => {
                    let (name, case) = (&specimen.test.name, &asked.case.name);
                    let (now, before) = (said.len(), asked.said.len());
                    Fate::Survived(Some(format!(
                        "`{name}//{case}` comes to {now} violations instead of {before}, which it does not assert"
                    )))
                }
                Fate::Survived(None) if said != asked.said => Fate::Messages,
                Fate::Messages if said.len() != asked.said.len() => Fate::Survived(None),
                worst => worst,
            };
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
) -> (bool, Vec<String>) {
    let world = evaluating.untimed(&reviewed.inventory).with_answers(&reviewed.answers);
    let outcome =
        policies.review_with(&reviewed.review, &reviewed.implied, &world, EnforcementPoint::CommandLine);
    let decision = Decision::from(&outcome);
    let holds = case.assertions.iter().all(|assertion| check(assertion, &decision).is_none());
    (holds, decision.findings.iter().map(|finding| finding.message.to_owned()).collect())
}
