//! Why constraints deny a request, for the record of decisions: found by a second evaluation, only where somebody asked for it.

use portcullis::{Answers, ConstraintKey, EnforcementPoint, Object, Process, Verdict};
use portcullis_sources::{Deadline, json_bytes};
use serde_json::Value;

use super::{Answer, Budget, Envelope, Own, Serving, ready, world};
use crate::bounds;

/// Why a constraint says what it says.
#[derive(Clone, Debug)]
pub(crate) struct Explanation {
    pub(crate) constraint: ConstraintKey,
    pub(crate) message: String,
    /// The ways in which it came about: rules with their conditions, and what these read.
    pub(crate) ways: Value,
}

/// All of a request.
#[derive(Clone, Debug)]
pub(crate) struct Explanations(pub(crate) Vec<Explanation>);

/// What was judged, and by what.
pub(crate) struct Asked<'a> {
    pub(crate) body: &'a [u8],
    pub(crate) envelope: &'a Envelope,
    pub(crate) serving: &'a Serving,
    pub(crate) own: &'a Own,
    pub(crate) namespace: Result<Option<Object>, String>,
    pub(crate) budget: &'a Budget,
    pub(crate) answers: &'a Answers,
}

/// Explains what was found in the object of a body, as far as there is room and time for it. What it implies is not explained.
///
/// Cost: the body is read again, and each constraint that found something is evaluated again and followed, until the deadline of the
/// review. Each explanation is put into its final form before the next is made.
pub(crate) fn explanations(answer: &Answer, asked: Asked<'_>) -> Option<Box<Explanations>> {
    let Asked { body, envelope, serving, own, namespace, budget, answers } = asked;
    let results = answer.outcome.iter().flat_map(|outcome| &outcome.results);
    let is_found = |verdict: &Verdict| matches!(verdict, Verdict::Violations(_) | Verdict::Excepted { .. });
    let found = results.filter(|result| result.implied_by.is_none() && is_found(&result.verdict));
    let keys: Vec<ConstraintKey> = found.map(|result| result.key().clone()).collect();
    if keys.is_empty() {
        return None;
    }
    let ready = ready(body, envelope, serving, own, namespace).ok()?;
    let deadline = Deadline::at(budget.deadline);
    let world = world(serving, budget, envelope).with_watch(&deadline).with_answers(answers);
    let mut explanations = Vec::new();
    let mut room = bounds::EXPLANATIONS;
    for key in keys {
        if room == 0 || portcullis::Watch::is_over(&deadline) {
            break;
        }
        let point = EnforcementPoint::Webhook;
        let why = serving.policies.explain(&key, &ready.review, &world, point, Process::Webhook);
        for found in why.into_iter().flat_map(|why| why.found) {
            let mut ways = found.ways_to_json();
            let mut bytes = json_bytes(&ways);
            if bytes > bounds::EXPLANATION {
                ways = bounds::left_out("conditions", bounds::EXPLANATION).into();
                bytes = json_bytes(&ways);
            }
            let Some(left) = room.checked_sub(bytes) else {
                room = 0;
                break;
            };
            room = left;
            explanations.push(Explanation { constraint: key.clone(), message: found.message, ways });
        }
    }
    Some(Box::new(Explanations(explanations)))
}
