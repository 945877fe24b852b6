//! What constraints find of requests, as Events.

use portcullis::EnforcementAction;
use portcullis_cluster::{Event, EventRecorder, Regarding};

use crate::admission::Record;

/// Makes and writes Events.
#[derive(Debug)]
pub(super) struct Events {
    recorder: EventRecorder,
    /// Whether they are written beside their object, instead of in our own namespace.
    beside_object: bool,
    own_namespace: String,
}

impl Events {
    pub(super) fn new(recorder: EventRecorder, beside_object: bool, own_namespace: &str) -> Self {
        Self { recorder, beside_object, own_namespace: own_namespace.to_owned() }
    }

    /// An Event for each action of each finding.
    pub(super) fn of(&self, records: &[Record<'_>]) -> Vec<Event> {
        let mut all = Vec::new();
        for record in records {
            for action in record.actions.iter() {
                let (reason, what) = match action {
                    EnforcementAction::Deny => ("FailedAdmission", "denied request"),
                    EnforcementAction::Warn => ("WarningAdmission", "raised a warning for request"),
                    EnforcementAction::Dryrun => ("DryrunViolation", "would have denied request"),
                };
                let message = format!(
                    "Admission webhook \"validation.gatekeeper.sh\" {what}, Resource Namespace: {}, Constraint: {}, Message: {}",
                    record.resource_namespace, record.constraint_name, record.message,
                );
                let annotations = [
                    ("process", record.process),
                    ("event_type", record.event_type),
                    ("constraint_group", record.constraint_group),
                    ("constraint_api_version", record.constraint_api_version),
                    ("constraint_kind", record.constraint_kind),
                    ("constraint_name", record.constraint_name),
                    ("constraint_action", record.constraint_action),
                    ("resource_group", &*record.resource_group),
                    ("resource_api_version", &*record.resource_api_version),
                    ("resource_kind", &*record.resource_kind),
                    ("resource_namespace", &*record.resource_namespace),
                    ("resource_name", &*record.resource_name),
                    ("request_username", &*record.request_username),
                ];
                let namespace = match &*record.resource_namespace {
                    "" => self.own_namespace.clone(),
                    namespace if self.beside_object => namespace.to_owned(),
                    _ => self.own_namespace.clone(),
                };
                let (group, version) = (&record.resource_group, &record.resource_api_version);
                let api_version =
                    if group.is_empty() { version.to_string() } else { format!("{group}/{version}") };
                all.push(Event {
                    reason: reason.to_owned(),
                    message,
                    regarding: Regarding {
                        api_version,
                        kind: record.resource_kind.to_string(),
                        // API servers take only Events that are where their object is.
                        namespace: namespace.clone(),
                        name: record.resource_name.to_string(),
                        uid: String::new(),
                    },
                    namespace,
                    annotations: annotations
                        .iter()
                        .map(|&(key, text)| (key.to_owned(), text.to_owned()))
                        .collect(),
                });
            }
        }
        all
    }

    /// Writes them, when there is time.
    pub(super) fn record(&self, events: Vec<Event>) {
        for event in events {
            self.recorder.record(event);
        }
    }

    /// Those that were not written.
    pub(super) fn dropped(&self) -> u64 {
        self.recorder.dropped()
    }
}
