//! What was found, as the log and Events have it.

use std::borrow::Cow;

use portcullis::{Actions, Decision, EnforcementAction, Finding};
use portcullis_sources::json_bytes;
use serde::Serialize;
use serde_json::Value;

use super::answer::Answer;
use super::envelope::Envelope;
use crate::bounds::{self, cut};
use crate::redact::Redaction;

/// A record for each finding, in the order of the decision, without what is secret; and how many are left out because they are too
/// much for one request.
#[must_use]
pub fn records<'a>(
    answer: &'a Answer,
    envelope: &'a Envelope,
    redaction: &Redaction,
) -> (Vec<Record<'a>>, usize) {
    let Some(outcome) = &answer.outcome else { return (Vec::new(), 0) };
    let findings = Decision::from(&**outcome).findings;
    let (mut records, mut bytes) = (Vec::new(), 0);
    for finding in &findings {
        let record = Record::new(finding, &answer.object_name, envelope, redaction);
        bytes += json_bytes(&record.message) + json_bytes(&record);
        if bytes > bounds::FINDINGS {
            break;
        }
        records.push(record);
    }
    let left = findings.len() - records.len();
    (records, left)
}

/// A finding in the keys that Gatekeeper logs.
#[derive(Clone, Debug, Serialize)]
pub struct Record<'a> {
    /// What was found. Gatekeeper's key is `msg`, with `denied admission: ` before it.
    #[serde(skip)]
    pub message: String,
    semantic: bool,
    /// Always `admission`.
    pub process: &'static str,
    /// Always `violation`.
    pub event_type: &'static str,
    details: Value,
    /// The constraint.
    pub constraint_name: &'a str,
    /// Its API group.
    pub constraint_group: &'a str,
    /// Its API version.
    pub constraint_api_version: &'a str,
    /// Its kind.
    pub constraint_kind: &'a str,
    /// Its `enforcementAction`, as written.
    pub constraint_action: &'a str,
    /// What it comes to at the webhook.
    #[serde(skip)]
    pub actions: Actions,
    constraint_enforcement_actions: Vec<&'static str>,
    /// The API group of what was asked for.
    pub resource_group: Cow<'a, str>,
    /// Its version.
    pub resource_api_version: Cow<'a, str>,
    /// Its kind.
    pub resource_kind: Cow<'a, str>,
    /// Its namespace; empty if it is in none.
    pub resource_namespace: Cow<'a, str>,
    /// Its name; empty if it is not known yet.
    pub resource_name: Cow<'a, str>,
    /// Who asked.
    pub request_username: Cow<'a, str>,
}

impl<'a> Record<'a> {
    fn new(
        finding: &Finding<'a>,
        object_name: &'a str,
        envelope: &'a Envelope,
        redaction: &Redaction,
    ) -> Self {
        let constraint = &finding.result.constraint;
        let gvk = constraint.object().gvk();
        let name = |text| cut(text, bounds::NAME);
        let [group, version, kind] = envelope.kind().map(name);
        Self {
            message: redaction.message(finding),
            semantic: true,
            process: "admission",
            event_type: "violation",
            details: redaction.details(finding),
            constraint_name: &finding.result.key().name,
            constraint_group: &gvk.group,
            constraint_api_version: &gvk.version,
            constraint_kind: &gvk.kind,
            constraint_action: constraint.enforcement().declared(),
            actions: finding.actions(),
            constraint_enforcement_actions: finding.actions().iter().map(EnforcementAction::as_str).collect(),
            resource_group: group,
            resource_api_version: version,
            resource_kind: kind,
            resource_namespace: name(envelope.namespace()),
            resource_name: name(if envelope.name().is_empty() { object_name } else { envelope.name() }),
            request_username: name(envelope.user()),
        }
    }

    /// The line of the log, as Gatekeeper words it.
    #[must_use]
    pub fn msg(&self) -> String {
        format!("denied admission: {}", self.message)
    }
}
