//! One request to be mutated: the object as mutators leave it, as a patch of the object that came. All of it or nothing: what cannot be
//! mutated is refused, and no patch is sent in part.

use std::time::Instant;

use portcullis::{
    AdmissionDenial, Answers, EvaluationLimits, Inventory, Mutable, Mutation, MutationLimits, Object,
    Operation, Process, Questions, Review, World,
};
use portcullis_sources::{Deadline, json_bytes};

use super::answer::{Answer, Passes, Status};
use super::envelope::Envelope;
use super::own_kinds::Own;
use super::patch::{Patch, Told};
use super::{is_in, read_review};
use crate::bounds;
use crate::serving::Serving;

/// What mutating one object may use, and what is told of it.
#[derive(Clone, Copy, Debug)]
pub struct Mutating<'a> {
    /// Steps and memory.
    pub limits: MutationLimits,
    /// The end of all of it.
    pub deadline: Instant,
    /// Largest patch, as JSON.
    pub max_patch: usize,
    /// What tells this mutation from all others.
    pub id: &'a str,
    /// Whether the object gets annotations that name its mutators, and the id.
    pub annotates: bool,
    /// Whether the changes are kept for the log.
    pub tells: bool,
    /// What is known of the world outside.
    pub answers: &'a Answers,
}

/// What is answered to a request for a mutation.
#[derive(Debug)]
pub struct Mutated {
    /// The answer.
    pub answer: Answer,
    /// What mutators ask of the world outside and nobody has answered: then the answer is a refusal, and with answers to these there is
    /// another one.
    pub questions: Questions,
    /// Which mutators and admission policies did not work, and do not count, as their failurePolicy says.
    pub ignored: Vec<String>,
}

impl From<Answer> for Mutated {
    fn from(answer: Answer) -> Self {
        Self { answer, questions: Questions::default(), ignored: Vec::new() }
    }
}

/// Mutates the object of a body whose envelope was read and found sound. `namespace` is as for [`super::judge`].
#[must_use]
pub fn mutate(
    body: &[u8],
    envelope: &Envelope,
    serving: &Serving,
    own: &Own,
    namespace: Result<Option<Object>, String>,
    mutating: &Mutating<'_>,
) -> Mutated {
    let review = match read_review(body) {
        Ok(review) => review,
        Err(answer) => return answer.into(),
    };
    let skipped = |message: &str| {
        Mutated::from(Answer { status: Status::Unjudged, ..Answer::new(Status::Allow, 200, message) })
    };
    if own.identities.iter().any(|identity| identity == envelope.user()) {
        return skipped("Gatekeeper does not self-manage");
    }
    if !matches!(review.operation(), Operation::Create | Operation::Update) {
        return skipped("Mutating only on create or update");
    }
    let Some(written) = review.object().cloned() else {
        return Answer::malformed(400, "the request cannot be mutated: it has no object").into();
    };
    if is_own_kind(&written) {
        return skipped("Not mutating gatekeeper resources");
    }
    if own.namespace.as_deref().is_some_and(|own| is_in(&review, own)) {
        return skipped("Namespace is the webhook's own");
    }
    if serving.policies.excludes(Process::MutationWebhook, &review) {
        return skipped("Namespace is set to be ignored by Gatekeeper config");
    }
    let known = namespace_of(&review, namespace.clone(), &serving.inventory);
    let deadline = Deadline::at(mutating.deadline);
    let mutators = match &serving.mutators {
        Ok(mutators) => mutators,
        // Some that are not known would change it, and it must not pass without that.
        Err(why) => return Answer::failed(format!("the request cannot be mutated: {why}")).into(),
    };
    let by_mutators = |object: &Object| {
        let mutable = Mutable::new(settle(object, &review)).with_operation(review.operation());
        let mutable = mutable.with_username(envelope.user());
        let mutable = match &known {
            Some(namespace) => mutable.with_namespace(namespace.clone()),
            // A mutator that needs it is an error.
            None => mutable,
        };
        let mutable = if mutating.annotates { mutable.annotated(mutating.id) } else { mutable };
        mutators.mutate_answered(&mutable, mutating.limits, Some(&deadline), mutating.answers)
    };
    let mutation = match &serving.admission {
        None => by_mutators(&written),
        Some(admission) => {
            let around = match (&known, &namespace) {
                (Some(namespace), _) => review.clone().with_namespace(namespace.clone()),
                (None, Err(why)) => review.clone().without_namespace(why),
                (None, Ok(_)) => review.clone(),
            };
            let MutationLimits { steps, memory } = mutating.limits;
            let limits = EvaluationLimits { steps, memory, ..EvaluationLimits::default() };
            let world = World::new(&serving.inventory).with_limits(limits).with_watch(&deadline);
            let world = world.with_answers(mutating.answers);
            let mut further = None;
            let mutated = admission.mutate_around(&around, &world, |object| {
                let mutation = by_mutators(object)?;
                let object = mutation.object().clone();
                further = Some(mutation);
                Ok(object)
            });
            match (mutated, further) {
                (Err(error), _) => Err(error),
                (Ok(mutated), Some(further)) if mutated.denials.is_empty() => {
                    let left = mutated.object.unwrap_or_else(|| written.clone());
                    let settled = settle(&written, &review);
                    Ok(further.among_policies(settled, left, mutated.changed_by).ignoring(mutated.ignored))
                }
                (Ok(mutated), _) => {
                    let answer = denied(&mutated.denials);
                    return Mutated { questions: mutated.questions, ..answer.into() };
                }
            }
        }
    };
    match mutation {
        Ok(mutation) => {
            let passes = Passes::of(mutation.passes(), true);
            let ignored = who_is_ignored(mutation.ignored());
            let answer = Answer { passes: Some(passes), ..answer(&mutation, &written, mutating) };
            Mutated { ignored, ..answer.into() }
        }
        Err(error) => {
            let message = error.to_string();
            let answer = Answer {
                quotes_object: true,
                passes: Some(Passes::of(error.passes(), false)),
                ..Answer::failed(bounds::cut(&message, bounds::ANSWER))
            };
            Mutated { questions: error.questions().clone(), ..answer.into() }
        }
    }
}

/// What an API server answers if its own policies deny. Their messages may quote the object.
fn denied(denials: &[AdmissionDenial]) -> Answer {
    let Some(first) = denials.first() else {
        return Answer::failed("the request was not mutated by all policies: please report this".to_owned());
    };
    let messages = denials.iter().map(|denial| denial.message.clone());
    let answer = Answer::of_lines(Status::Deny, first.code, messages, "denials");
    Answer { reason: Some(first.reason), quotes_object: true, ..answer }
}

/// As Gatekeeper: what rules mutators is not for them to change.
fn is_own_kind(object: &Object) -> bool {
    object.gvk().is_policy() || &*object.gvk().group == "status.gatekeeper.sh"
}

/// The object where it lives, which is what the request says.
fn settle(written: &Object, review: &Review) -> Object {
    let home = review.namespace_name();
    match () {
        () if written.is_namespace() || **written.namespace() == *home => written.clone(),
        () if home.is_empty() => written.in_namespace(None),
        () => written.in_namespace(Some(home)),
    }
}

/// The Namespace that the object lives in, if it is known; that a Namespace is asked about itself is known to the matcher.
fn namespace_of(
    review: &Review,
    known: Result<Option<Object>, String>,
    inventory: &Inventory,
) -> Option<Object> {
    let name = review.namespace_name();
    if name.is_empty() {
        return None;
    }
    match known {
        Ok(Some(namespace)) => Some(namespace),
        Ok(None) => {
            let default =
                || inventory.missing_default_namespace().filter(|default| **default.name() == *name);
            inventory.namespace(name).cloned().or_else(default)
        }
        Err(_) => None,
    }
}

fn answer(mutation: &Mutation, written: &Object, mutating: &Mutating<'_>) -> Answer {
    let unchanged = || Answer::new(Status::Allow, 200, "Resource was not mutated");
    if !mutation.is_changed() {
        return unchanged();
    }
    let operations = mutation.json_patch_from(written);
    if operations.is_empty() {
        return unchanged();
    }
    let bytes = json_bytes(&operations);
    if bytes > mutating.max_patch {
        let most = mutating.max_patch;
        return Answer::failed(format!(
            "the patch has {bytes} bytes, more than the {most} of the largest body"
        ));
    }
    let json = match serde_json::to_vec(&operations) {
        Ok(json) => json,
        Err(error) => return Answer::failed(format!("the patch cannot be written: {error}")),
    };
    let (changes, left) = if mutating.tells { told(mutation) } else { (Vec::new(), 0) };
    let patch = Patch { json, changes, left, id: mutating.id.to_owned() };
    Answer { patch: Some(Box::new(patch)), ..Answer::new(Status::Allow, 200, "") }
}

/// Who did not work and does not count, each once, without what was wrong: that may quote the object.
pub(super) fn who_is_ignored<'a>(ignored: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for what in ignored {
        let who = bounds::cut(what.split(": ").next().unwrap_or_default(), bounds::NAME).into_owned();
        if all.len() < MOST_IGNORED && !all.contains(&who) {
            all.push(who);
        }
    }
    all
}

/// So many that do not count are named.
const MOST_IGNORED: usize = 50;

/// What the log says of a mutation, and how many changes it leaves out.
fn told(mutation: &Mutation) -> (Vec<Told>, usize) {
    let (mut all, mut room) = (Vec::new(), bounds::DETAILS);
    for policy in mutation.policies() {
        // Which fields it changed is not known.
        let mutator = format!("MutatingAdmissionPolicy/{policy}");
        let told = Told { mutator: bounds::cut(&mutator, bounds::NAME).into_owned(), path: String::new() };
        let Some(rest) = room.checked_sub(json_bytes(&told)) else { break };
        room = rest;
        all.push(told);
    }
    for change in mutation.changes() {
        let path = bounds::cut(&change.path().to_string(), bounds::NAME).into_owned();
        let told = Told { mutator: change.mutator().key().to_string(), path };
        let Some(rest) = room.checked_sub(json_bytes(&told)) else { break };
        room = rest;
        all.push(told);
    }
    let left = mutation.policies().count() + mutation.changes().len() - all.len();
    (all, left)
}
