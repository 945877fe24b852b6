//! One case: an object or a request judged by the policies of its test, and what its assertions say of that.

use std::time::Instant;

use portcullis::{
    Answers, Decision, EnforcementPoint, Error, ErrorKind, Expansion, Inventory, Object, Parent, Places,
    PolicyCoverage, PolicySet, Questions, Resource, Review, Scopes, World,
};
use portcullis_providers::Answering;
use portcullis_report::Problem;
use portcullis_report::verify::{CaseResult, Failure, Status};
use portcullis_suite::Case;

use super::assertions::{Said, check, check_said};
use super::compiled::{Changing, Compiled};
use super::files::{Files, broken, not_one, separate};
use super::languages::otherwise_in;
use crate::commands::evaluation::Evaluating;
use crate::commands::mutating::{Admission, Outside};
use crate::commands::second::Second;
use crate::commands::{mutated, mutating};

/// What cases are judged with.
#[derive(Clone, Copy)]
pub(super) struct Judging<'a> {
    /// Who says what providers of external data answer.
    pub(super) answering: &'a Answering,
    pub(super) evaluating: Evaluating,
    /// Collects what is reached of templates, if that is asked for.
    pub(super) coverage: Option<&'a PolicyCoverage>,
}

/// What comes of a case; it is skipped without policies.
pub(super) fn run_case(
    case: &Case,
    compiled: Option<&Compiled>,
    files: &Files<'_>,
    judging: Judging<'_>,
    second: Option<&Second<'_>>,
) -> CaseResult {
    let started = Instant::now();
    let mut result = CaseResult::skipped(&case.name, case.location.clone());
    let Some(compiled) = compiled else { return result };
    let policies = &compiled.policies;
    let mut warnings = Vec::new();
    let found = review_of(case, compiled, files, judging.answering, &mut warnings);
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
            let deadline = judging.evaluating.deadline();
            let world = judging.evaluating.world(&inventory, &deadline);
            let answer = |questions: &Questions| compiled.answer(questions, judging.answering);
            let watched = judging.coverage.map_or(world, |coverage| world.with_coverage(coverage));
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

/// What a case is about.
pub(in crate::commands) struct Reviewed {
    pub(in crate::commands) review: Review,
    /// What that implies.
    pub(in crate::commands) implied: Vec<Review>,
    /// What it may be compared with.
    pub(in crate::commands) inventory: Inventory,
    /// What mutators asked, and was answered.
    pub(in crate::commands) answers: Answers,
    /// That the mutators made another object than they should.
    pub(in crate::commands) otherwise: Option<Failure>,
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

pub(in crate::commands) fn review_of(
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
