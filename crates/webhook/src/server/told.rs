//! What the log, the record of decisions and Events say of a request.

use portcullis::Verdict;
use portcullis_cluster::Event;
use serde_json::json;

use super::purpose::Purpose;
use crate::admission::{Answer, Envelope, Status, records};
use crate::bounds::{self, cut};
use crate::decisions::Draft;
use crate::log::{Level, Lines};
use crate::redact::Redaction;
use crate::serving::Serving;
use crate::state::State;

/// What others than the API server get to know of a request. It may be much, so it is made where the review ran. It is handed on when it
/// is known that the answer came in time.
#[derive(Default)]
pub(super) struct Told {
    pub(super) draft: Option<Draft>,
    pub(super) lines: Lines,
    pub(super) events: Vec<Event>,
}

impl Told {
    /// That mutators or admission policies did not work and do not count: who, and not what was wrong, which may quote the object.
    pub(super) fn ignored(&mut self, purpose: Purpose, envelope: &Envelope, ignored: &[String]) {
        if ignored.is_empty() {
            return;
        }
        let (process, of) = match purpose {
            Purpose::Admit => ("admission", "what the object implies"),
            Purpose::Mutate => ("mutation", "a mutation"),
        };
        let fields = json!({
            "process": process,
            "resource_namespace": cut(envelope.namespace(), bounds::NAME),
            "resource_name": cut(envelope.name(), bounds::NAME),
            "ignored": ignored,
        });
        let msg = format!("what did not work was left out of {of}, as its failurePolicy says");
        self.lines.add(Level::Warn, &msg, &fields);
    }
}

pub(super) fn tell(
    state: &State,
    purpose: Purpose,
    body: &[u8],
    envelope: &Envelope,
    answer: &Answer,
    serving: &Serving,
    now_ns: i64,
) -> Told {
    if purpose == Purpose::Mutate {
        return tell_mutation(state, body, envelope, answer, serving);
    }
    let mut told = Told::default();
    let is_refused = answer.status == Status::Error && answer.outcome.is_none();
    let has_findings = answer.outcome.iter().flat_map(|outcome| &outcome.results);
    let has_findings = has_findings.into_iter().any(|result| result.verdict != Verdict::Pass);
    if state.decisions.is_none() && !is_refused && !has_findings {
        return told;
    }
    let keeps_request = state.decisions.as_ref().is_some_and(|recorder| recorder.content.requests);
    let redaction = Redaction::of(body, answer, serving, &state.settings.redact, keeps_request);
    if state.decisions.is_some() {
        told.draft = Some(Draft::new(body, envelope, answer, serving, now_ns, &redaction));
    }
    let (records, left) = records(answer, envelope, &redaction);
    if state.settings.log_denies {
        for record in &records {
            told.lines.add(Level::Info, &record.msg(), record);
        }
        if left > 0 {
            let fields = json!({"process": "admission", "findings": left});
            told.lines.add(Level::Warn, "more was found than is logged of one request", &fields);
        }
    }
    if let Some(following) = state.following() {
        told.events = following.events(envelope, &records);
    }
    if is_refused {
        let fields = json!({"process": "admission", "error": redaction.refusal(answer)});
        told.lines.add(Level::Error, "a request could not be judged, and was refused", &fields);
    }
    told
}

/// What the log says of a mutation, in Gatekeeper's keys: why there is none, or, if asked for, what was changed. The record of decisions has
/// verdicts only.
fn tell_mutation(
    state: &State,
    body: &[u8],
    envelope: &Envelope,
    answer: &Answer,
    serving: &Serving,
) -> Told {
    let mut told = Told::default();
    if answer.status == Status::Error {
        let redaction = Redaction::of(body, answer, serving, &state.settings.redact, false);
        let fields = json!({"process": "mutation", "error": redaction.refusal(answer)});
        told.lines.add(Level::Error, "an object could not be mutated, and was refused", &fields);
    }
    let logs = state.settings.mutation.is_some_and(|mutation| mutation.logs);
    if let Some(patch) = answer.patch.as_ref().filter(|_| logs) {
        let name = |text| cut(text, bounds::NAME);
        let [group, version, kind] = envelope.kind().map(name);
        let fields = json!({
            "process": "mutation",
            "event_type": "mutation_applied",
            "mutation_id": patch.id,
            "resource_group": group,
            "resource_api_version": version,
            "resource_kind": kind,
            "resource_namespace": name(envelope.namespace()),
            "resource_name": name(envelope.name()),
            "request_username": name(envelope.user()),
            "changes": patch.changes,
            "changes_left_out": patch.left,
        });
        told.lines.add(Level::Info, "mutation applied", &fields);
    }
    told
}
