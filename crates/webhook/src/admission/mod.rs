//! One request: the bytes of an AdmissionReview in, the bytes of the answer out. Pure; it decides nothing that the core decides.
//!
//! ```text
//! body ── envelope ──> Envelope ──┐
//!   └──── core ──> Review ────────┴── own_kinds ── constraints ──> Answer ──> bytes
//!                                    or mutators ──> patch ──┘       └──> records, for the log and Events
//! ```
//!
//! What cannot be read, judged or finished is answered `allowed: false`. It is an *answer*, with HTTP 200, also when the webhook is at
//! fault: a failed call would leave the decision to the webhook configuration's `failurePolicy`, which may be to let everything in.

pub(crate) mod answer;
mod envelope;
mod explain;
mod label;
mod mutate;
mod own_kinds;
mod patch;
mod record;
mod reply;
mod shape;

use std::time::Instant;

use portcullis::{
    AdmissionMutators, Answers, Decision, Document, EnforcementAction, EnforcementPoint, EvaluationLimits,
    Expansion, ImpliedBy, Limits, MutatorSet, Object, Process, Questions, Resource, Review, Severity, Source,
    Stopwatch, World,
};
use portcullis_sources::Deadline;

use crate::bounds::{self, fit};
use crate::digest::seed;
use crate::head::BodyHead;

pub use crate::serving::Serving;
pub(crate) use answer::Passes;
pub use answer::{Answer, Status};
pub use envelope::Envelope;
pub(crate) use explain::{Asked, Explanation, explanations};
pub use label::Exempt;
pub use mutate::{Mutated, Mutating, mutate};
pub use own_kinds::{BadRego, Own};
pub use patch::Patch;
pub use record::{Record, records};

/// What one review may use.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    /// Steps and memory of each constraint.
    pub limits: EvaluationLimits,
    /// The end of the whole review.
    pub deadline: Instant,
    /// The time that policies see, in nanoseconds since 1970.
    pub now_ns: i64,
}

/// Measures constraints.
#[derive(Clone, Copy, Debug)]
struct Since(Instant);

impl Stopwatch for Since {
    fn read_ns(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

/// Reads and judges the body of a request: all of it at once, see [`Envelope::read`] and [`judge`].
#[must_use]
pub fn admit(
    body: &[u8],
    serving: &Serving,
    own: &Own,
    namespace: Result<Option<Object>, String>,
    budget: &Budget,
) -> (Envelope, Answer) {
    let (envelope, refusal) = Envelope::read(body, &BodyHead::of(body));
    let nothing = Answers::new();
    let answer =
        refusal.unwrap_or_else(|| judge(body, &envelope, serving, own, namespace, budget, &nothing).answer);
    (envelope, answer)
}

/// What constraints ask of the world outside for a body whose envelope is sound, beyond some answers. Only those are evaluated that may
/// ask, and nothing is if none may.
#[must_use]
pub fn questions(
    body: &[u8],
    envelope: &Envelope,
    serving: &Serving,
    own: &Own,
    namespace: Result<Option<Object>, String>,
    budget: &Budget,
    answers: &Answers,
) -> Questions {
    if !may_ask(serving) {
        return Questions::default();
    }
    let Ok(Ready { review, .. }) = ready(body, envelope, serving, own, namespace) else {
        return Questions::default();
    };
    let deadline = Deadline::at(budget.deadline);
    let world = world(serving, budget, envelope).with_watch(&deadline).with_answers(answers);
    // What cannot be expanded is refused when it is judged.
    serving.policies.questions_expanding(&review, &expansion(serving), &world, EnforcementPoint::Webhook)
}

/// Whether anything that is asked of a request to be admitted may ask the world outside.
pub(crate) fn may_ask(serving: &Serving) -> bool {
    serving.policies.may_ask() || expansion(serving).may_ask()
}

/// Judges a body whose envelope was read and found sound.
///
/// `namespace` is the Namespace that the request is in, if it is known beside the inventory. If it should be known and is not, it says
/// why, and then constraints that need it cannot be evaluated.
#[must_use]
pub fn judge(
    body: &[u8],
    envelope: &Envelope,
    serving: &Serving,
    own: &Own,
    namespace: Result<Option<Object>, String>,
    budget: &Budget,
    answers: &Answers,
) -> Validated {
    let of = |answer| Validated { answer, ignored: Vec::new() };
    let Ready { review, warnings } = match ready(body, envelope, serving, own, namespace) {
        Ok(ready) => ready,
        Err(answer) => return of(*answer),
    };
    let deadline = Deadline::at(budget.deadline);
    let stopwatch = Since(Instant::now());
    let world = world(serving, budget, envelope)
        .with_findings(bounds::HELD)
        .with_watch(&deadline)
        .with_stopwatch(&stopwatch)
        .with_answers(answers);
    let implied = match implied(&review, serving, &world) {
        Ok(implied) => implied,
        // What it will become is not known, so it does not pass.
        Err(message) => {
            let message = bounds::cut(&message, bounds::ANSWER);
            return of(Answer { quotes_object: true, ..Answer::failed(message) });
        }
    };
    let outcome = serving.policies.review_with(&review, &implied, &world, EnforcementPoint::Webhook);
    let decision = Decision::from(&outcome);
    let mut answer = answer(&decision, warnings);
    answer.object_name = review.object().map(|object| object.name().clone()).unwrap_or_default();
    answer.outcome = Some(Box::new(outcome));
    let by = implied.iter().filter_map(Review::implied_by);
    Validated { answer, ignored: mutate::who_is_ignored(by.flat_map(ImpliedBy::ignored)) }
}

/// What constraints say of a request.
#[derive(Debug)]
pub struct Validated {
    /// What the API server is told.
    pub answer: Answer,
    /// Who did not work and does not count when what the object implies was made, each once.
    pub ignored: Vec<String>,
}

/// What every evaluation of a request sees.
fn world<'w>(serving: &'w Serving, budget: &Budget, envelope: &Envelope) -> World<'w> {
    World::new(&serving.inventory)
        .with_limits(budget.limits)
        .with_now(budget.now_ns)
        .with_seed(seed(envelope.uid()))
}

/// A request that constraints are asked about.
struct Ready {
    review: Review,
    /// What is to be said of it whatever they say.
    warnings: Vec<String>,
}

/// The review of a body, or the answer that needs none.
fn ready(
    body: &[u8],
    envelope: &Envelope,
    serving: &Serving,
    own: &Own,
    namespace: Result<Option<Object>, String>,
) -> Result<Ready, Box<Answer>> {
    let review = read_review(body)?;
    let unjudged = |message: &str| {
        Box::new(Answer { status: Status::Unjudged, ..Answer::new(Status::Allow, 200, message) })
    };
    // Before everything else: a policy that locks out the webhook could not be repaired by it.
    if own.identities.iter().any(|identity| identity == envelope.user()) {
        return Err(unjudged("Gatekeeper does not self-manage"));
    }
    // A subresource of a policy is its status, which changes nothing that it does.
    let checked = if envelope.sub_resource().is_empty() {
        own_kinds::check(&review, serving, own)
    } else {
        Ok(Vec::new())
    };
    let warnings = checked.map_err(|problems| {
        let answer = Answer::of_lines(Status::Unjudged, 422, problems, "problems");
        Box::new(Answer { reason: Some("Invalid"), ..answer })
    })?;
    if own.namespace.as_deref().is_some_and(|own| is_in(&review, own)) {
        return Err(unjudged("Namespace is the webhook's own"));
    }
    if serving.policies.excludes(Process::Webhook, &review) {
        return Err(unjudged("Namespace is set to be ignored by Gatekeeper config"));
    }
    let review = match namespace {
        Ok(Some(namespace)) => review.with_namespace(namespace),
        Ok(None) => review,
        // What needs it is an error of that constraint.
        Err(message) => review.without_namespace(&message),
    };
    Ok(Ready { review, warnings })
}

/// By what objects are expanded, as far as that is known.
fn expansion(serving: &Serving) -> Expansion<'_> {
    let expansion = Expansion::new(&serving.expansions);
    let expansion = match &serving.admission {
        Some(admission) => expansion.with_policies(admission, &serving.inventory),
        None => expansion,
    };
    match &serving.mutators {
        Ok(mutators) => expansion.with_mutators(mutators),
        Err(_) => expansion,
    }
}

/// Whether anything that changes objects may ask the world outside.
pub(crate) fn may_mutators_ask(serving: &Serving) -> bool {
    serving.mutators.as_ref().is_ok_and(MutatorSet::may_ask)
        || serving.admission.as_ref().is_some_and(AdmissionMutators::may_ask)
}

/// What the object implies, or why that is not known.
fn implied(review: &Review, serving: &Serving, world: &World<'_>) -> Result<Vec<Review>, String> {
    let expansion = expansion(serving);
    match &serving.mutators {
        Ok(_) => review.implied(&expansion, world).map_err(|error| error.to_string()),
        Err(why) => {
            let implied = review.implied(&expansion, world).map_err(|error| error.to_string())?;
            if implied.is_empty() {
                return Ok(implied);
            }
            Err(format!("what the object implies is not known, since mutators would change it: {why}"))
        }
    }
}

/// Whether the object is in a namespace, or is that Namespace.
fn is_in(review: &Review, namespace: &str) -> bool {
    review.namespace_name() == namespace
        || review.object().is_some_and(|object| object.is_namespace() && &**object.name() == namespace)
}

fn answer(decision: &Decision<'_>, warnings: Vec<String>) -> Answer {
    let warnings = warnings.into_iter().chain(decision.warnings());
    let warnings = fit(warnings, "warnings", bounds::WARNINGS);
    let mut answer = if decision.allowed() {
        Answer::new(Status::Allow, if warnings.is_empty() { 200 } else { 299 }, "")
    } else {
        // The user can repair a violation; where there is none, only errors, it is the policies that have to be looked at.
        let violated = decision
            .findings
            .iter()
            .any(|finding| finding.actions().contains(EnforcementAction::Deny) && !finding.is_error());
        let (status, code, reason) =
            if violated { (Status::Deny, 403, "Forbidden") } else { (Status::Error, 500, "InternalError") };
        let answer = Answer::of_lines(status, code, decision.denials(), "violations");
        Answer { reason: Some(reason), ..answer }
    };
    answer.warnings = warnings;
    answer
}

/// Judges whether a Namespace may carry the label that takes it out of the webhook's sight. The body is one whose envelope is sound.
#[must_use]
pub fn judge_label(body: &[u8], exempt: &Exempt) -> Answer {
    read_review(body).map_or_else(|answer| answer, |review| label::judge(&review, exempt))
}

fn read_review(body: &[u8]) -> Result<Review, Answer> {
    let limits = Limits { source_bytes: body.len(), ..Limits::default() };
    let unread = |why: String| Answer::malformed(400, format!("expected one AdmissionReview: {why}"));
    let text = str::from_utf8(body).map_err(|error| unread(error.to_string()))?;
    let document = Document::read_object(&Source::new("request.json", text), &limits)
        .map_err(|error| unread(error.to_string()))?;
    let (resource, mut errors) = Resource::read(&document);
    errors.retain(|error| error.severity() == Severity::Error);
    match (resource, errors.as_slice()) {
        (Some(Resource::AdmissionReview(request)), []) => Review::from_admission(&request)
            .map_err(|error| Answer::malformed(400, format!("the request cannot be judged: {error}"))),
        (_, errors) => {
            let lines: Vec<String> = errors.iter().map(|error| own_kinds::explain(error, None)).collect();
            Err(Answer::malformed(400, format!("the request cannot be judged: {}", lines.join("; "))))
        }
    }
}
