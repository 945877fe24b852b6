//! `status` of templates, constraints, mutators and ExpansionTemplates: what each of our pods made of them, and what the last audit found.
//!
//! Gatekeeper's pods write objects of `status.gatekeeper.sh`, and one of its controllers gathers them into `status.byPod`. There is no
//! such controller here, so each pod keeps its own entry of `status.byPod`. The list is one value for the API server: it is read,
//! changed and written back under the version that was read, and again if another pod was faster. Nothing is written that is so
//! already.

use std::collections::BTreeSet;
use std::time::Duration;

use chrono::DateTime;
use portcullis::{ConstraintKey, ErrorKind, Severity};
use serde::Serialize;
use serde_json::{Value, json};

use crate::connect::Cluster;
use crate::error::ClusterError;
use crate::pages::{Consistency, Pages};
use crate::published::{Definition, PolicyError, PolicyState, Standing};
use crate::resource::ApiResource;
use crate::write::{Written, at, set, status_patch};

/// Most bytes of one error in a status.
const MESSAGE_BYTES: usize = 1024;
/// Most errors of one object in a status.
const ERRORS: usize = 16;

/// Writes what one pod made of the policies.
#[derive(Clone, Debug)]
pub struct StatusWriter {
    cluster: Cluster,
    /// Name and namespace of the pod.
    pod: String,
    namespace: String,
    /// `webhook`, `audit`: what the pod does.
    operations: Vec<String>,
}

impl StatusWriter {
    /// For a pod, by its name, and what it does in Gatekeeper's words, such as `webhook`.
    #[must_use]
    pub fn new(cluster: &Cluster, pod: &str, namespace: &str, operations: &[&str]) -> Self {
        Self {
            cluster: cluster.clone(),
            pod: pod.to_owned(),
            namespace: namespace.to_owned(),
            operations: operations.iter().map(|&operation| operation.to_owned()).collect(),
        }
    }

    /// The pods of our namespace that there are: entries of others are left over and go with the next write. `None` if they cannot
    /// be listed; then no entry is taken for left over.
    pub async fn living_pods(&self) -> Option<BTreeSet<String>> {
        let pods = ApiResource::new("v1", "Pod", "pods", true);
        let mut pages =
            Pages::new(&self.cluster, &pods, 500, Consistency::EachOnce).in_namespace(&self.namespace);
        let mut names = BTreeSet::new();
        loop {
            match pages.next().await {
                Ok(Some(page)) => names.extend(page.objects().flatten().map(|pod| pod.name().to_string())),
                Ok(None) => return names.contains(&self.pod).then_some(names),
                Err(_) => return None,
            }
        }
    }

    /// Whether the status of a policy does not say yet what it should.
    #[must_use]
    pub fn is_due(&self, state: &PolicyState) -> bool {
        let Some(entry) = self.entry(state) else { return false };
        let written = state.by_pod.iter().find(|entry| *at(entry, &["id"]) == *self.pod);
        let is_so = written.is_some_and(|written| is_same(written, &entry, state));
        !is_so || created(state).is_some_and(|created| created != state.created)
    }

    /// Whether the status of a policy has entries of other pods, which may be gone.
    #[must_use]
    pub fn has_others(&self, state: &PolicyState) -> bool {
        self.entry(state).is_some() && state.by_pod.iter().any(|entry| *at(entry, &["id"]) != *self.pod)
    }

    /// Whether the status of a policy has entries of pods that are gone.
    #[must_use]
    pub fn has_left_over(&self, state: &PolicyState, living: &BTreeSet<String>) -> bool {
        self.entry(state).is_some() && state.by_pod.iter().any(|entry| !is_of_living(entry, Some(living)))
    }

    /// Brings the status of one policy up to date.
    ///
    /// # Errors
    ///
    /// If it cannot be written. Another pod that was faster is not an error unless it is so again and again.
    pub async fn write(
        &self,
        state: &PolicyState,
        living: Option<&BTreeSet<String>>,
    ) -> Result<Written, ClusterError> {
        let Some(entry) = self.entry(state) else { return Ok(Written::Unchanged) };
        let namespace = Some(&*state.namespace).filter(|namespace| !namespace.is_empty());
        let path = state.resource.path(namespace, Some(&state.name));
        self.cluster
            .change(&path, "/status", |live| {
                // Something else of the same name: what we know is not about it.
                if *at(live, &["metadata", "uid"]) != *state.uid {
                    return None;
                }
                let old: Vec<Value> = at(live, &["status", "byPod"]).as_array().cloned().unwrap_or_default();
                let mut new: Vec<Value> = old
                    .iter()
                    .filter(|entry| *at(entry, &["id"]) != *self.pod && is_of_living(entry, living))
                    .cloned()
                    .collect();
                new.push(entry.clone());
                new.sort_by(|a, b| a["id"].as_str().cmp(&b["id"].as_str()));
                let live_created = at(live, &["status", "created"]).as_bool().unwrap_or(false);
                let created = created(state).filter(|created| *created != live_created);
                if new == old && created.is_none() {
                    return None;
                }
                let mut patch = status_patch("byPod", &Value::Array(new));
                if let Some(created) = created {
                    set(&mut patch, &["status", "created"], json!(created));
                }
                Some(patch)
            })
            .await
    }

    /// Our entry of `status.byPod`; `None` for kinds that have none.
    fn entry(&self, state: &PolicyState) -> Option<Value> {
        let errors: Vec<Value> = state
            .errors
            .iter()
            .filter(|problem| problem.error.severity() == Severity::Error)
            .take(ERRORS)
            .map(|problem| error_entry(problem, state))
            .chain(standing_entry(state))
            .collect();
        let mut entry = json!({
            "id": self.pod,
            "observedGeneration": state.generation,
            "operations": self.operations,
        });
        if state.resource == ApiResource::templates() {
            set(&mut entry, &["templateUID"], json!(state.uid));
        } else if &*state.resource.gvk.group == "constraints.gatekeeper.sh" {
            set(&mut entry, &["constraintUID"], json!(state.uid));
            set(&mut entry, &["enforced"], json!(state.enforced));
        } else if state.is_mutator() {
            set(&mut entry, &["mutatorUID"], json!(state.uid));
            set(&mut entry, &["enforced"], json!(state.enforced));
        } else if state.is_expansion_template() {
            set(&mut entry, &["templateUID"], json!(state.uid));
        } else {
            return None;
        }
        if !errors.is_empty() {
            set(&mut entry, &["errors"], json!(errors));
        }
        Some(entry)
    }
}

/// What `status.created` of a template should be: whether its constraints can be applied, which is so once it is sound and its CRD is
/// established. `None` where it should stay what it is, and for what is not a template.
fn created(state: &PolicyState) -> Option<bool> {
    if state.resource != ApiResource::templates() {
        return None;
    }
    match state.definition {
        Definition::Served => state.enforced.then_some(true),
        Definition::Missing | Definition::Going => Some(false),
        // It is being established, or is not known.
        Definition::There | Definition::Unknown => None,
    }
}

/// Why a policy without an error of its own is not in force, or of no use there.
fn standing_entry(state: &PolicyState) -> Option<Value> {
    let code = match &state.standing {
        Standing::Served | Standing::Rejected { .. } => return None,
        Standing::Waiting { .. } => "waiting",
        Standing::Unjudgeable(_) => "unreadable_inventory",
    };
    let message = cut(&state.standing.to_string(), MESSAGE_BYTES);
    Some(if has_types(state) {
        json!({"type": code, "message": message})
    } else {
        json!({"code": code, "message": message})
    })
}

fn is_of_living(entry: &Value, living: Option<&BTreeSet<String>>) -> bool {
    let id = at(entry, &["id"]).as_str().unwrap_or_default();
    living.is_none_or(|living| living.contains(id))
}

/// Whether errors of its status have a type and no place: CRDs drop fields that they do not know, and what is dropped would be written
/// again and again.
fn has_types(state: &PolicyState) -> bool {
    state.is_mutator() || state.is_expansion_template()
}

/// Whether an entry says what it should. Older CRDs of mutators do not know the type of an error.
fn is_same(written: &Value, wanted: &Value, state: &PolicyState) -> bool {
    if !has_types(state) {
        return written == wanted;
    }
    let without_types = |entry: &Value| {
        let mut entry = entry.clone();
        let errors = entry.get_mut("errors").and_then(Value::as_array_mut);
        for error in errors.into_iter().flatten().filter_map(Value::as_object_mut) {
            error.remove("type");
        }
        entry
    };
    without_types(written) == without_types(wanted)
}

/// An error in Gatekeeper's form. Its codes are `ingest_error` for templates and `schema_error` of ours for constraints.
fn error_entry(problem: &PolicyError, state: &PolicyState) -> Value {
    if has_types(state) {
        let code = match problem.error.kind() {
            ErrorKind::MutatorConflict => "ErrConflictingSchema",
            kind => kind.code(),
        };
        return json!({"type": code, "message": cut(&problem.to_string(), MESSAGE_BYTES)});
    }
    let error = &problem.error;
    let mut message = error.message().to_owned();
    if let Some(hint) = error.help() {
        message = format!("{message}; {hint}");
    }
    let code = if state.resource == ApiResource::templates() { "ingest_error" } else { error.kind().code() };
    let mut entry = json!({"code": code, "message": cut(&message, MESSAGE_BYTES)});
    let path = error.path().filter(|path| !path.is_root()).map(ToString::to_string);
    let place = problem.line.map(|(line, column)| format!("line {line}, column {column}"));
    let location = match (path, place) {
        (Some(path), Some(place)) => Some(format!("{path}, {place}")),
        (path, place) => path.or(place),
    };
    if let Some(location) = location {
        set(&mut entry, &["location"], json!(location));
    }
    entry
}

/// A text with at most so many bytes, cut between characters.
pub(crate) fn cut(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    const CUT: &str = "...";
    let end = text.floor_char_boundary(most.saturating_sub(CUT.len()));
    format!("{}{CUT}", text.get(..end).unwrap_or_default())
}

/// What an audit found of one constraint, as `status` shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditStatus {
    /// The start of the audit, RFC 3339 in UTC.
    pub timestamp: String,
    /// All violations.
    pub total: u64,
    /// Those that are listed, in their order, with their messages as short as they are to be.
    pub violations: Vec<AuditViolation>,
}

/// An entry of `status.violations`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditViolation {
    /// API group of the object, empty for the core group.
    pub group: String,
    /// Its version.
    pub version: String,
    /// Its kind.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its namespace, left out if there is none.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub namespace: String,
    /// What is wrong with it.
    pub message: String,
    /// The constraint's action.
    pub enforcement_action: String,
    /// Its actions, if it is scoped.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub enforcement_actions: Vec<String>,
}

/// Writes what an audit found of a constraint: `auditTimestamp`, `totalViolations` and `violations`. If the last two are so already,
/// nothing is written until `refresh` has passed since the time that stands there: people look at it to see whether audits still run.
///
/// # Errors
///
/// If it cannot be written.
pub async fn write_audit_status(
    cluster: &Cluster,
    constraint: &ConstraintKey,
    status: &AuditStatus,
    refresh: Duration,
) -> Result<Written, ClusterError> {
    let path = ApiResource::constraints(&constraint.kind).path(None, Some(&constraint.name));
    let violations = json!(status.violations);
    cluster
        .change(&path, "/status", |live| {
            let now = at(live, &["status"]);
            let is_listed = match at(now, &["violations"]) {
                Value::Null => status.violations.is_empty(),
                listed => *listed == violations,
            };
            if is_listed
                && *at(now, &["totalViolations"]) == status.total
                && is_fresh(at(now, &["auditTimestamp"]), &status.timestamp, refresh)
            {
                return None;
            }
            // Null takes the field away.
            let violations = if status.violations.is_empty() { &Value::Null } else { &violations };
            Some(json!({"status": {
                "auditTimestamp": status.timestamp,
                "totalViolations": status.total,
                "violations": violations,
            }}))
        })
        .await
}

/// Whether a time stamp is not older than another by `most`. One from the future, or that is none, is not.
fn is_fresh(written: &Value, now: &str, most: Duration) -> bool {
    let time = |text: &str| DateTime::parse_from_rfc3339(text).ok();
    let times = written.as_str().and_then(time).zip(time(now));
    times.is_some_and(|(written, now)| (now - written).to_std().is_ok_and(|since| since < most))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_stamps_are_written_anew_when_they_are_old() {
        let most = Duration::from_mins(5);
        for (written, fresh) in [
            (json!("2026-01-31T12:00:00Z"), true),
            (json!("2026-01-31T11:55:01Z"), true),
            (json!("2026-01-31T11:55:00Z"), false),
            // A clock was wrong, or somebody wrote something else.
            (json!("2026-01-31T12:00:01Z"), false),
            (json!("yesterday"), false),
            (Value::Null, false),
        ] {
            assert_eq!(is_fresh(&written, "2026-01-31T12:00:00Z", most), fresh, "{written}");
        }
    }

    #[test]
    fn texts_are_cut_between_characters() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcdef", 5), "ab...");
        assert_eq!(cut("éééé", 6), "é...");
        assert_eq!(cut("éééé", 7), "éé...");
    }
}
