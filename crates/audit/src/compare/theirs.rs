//! What the status of a constraint says of the last audit that wrote it.

use serde_json::Value;

use super::Entry;

/// The status of a constraint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Theirs {
    /// No audit has written one.
    Absent,
    /// It is there and cannot be what an audit writes: why.
    Unreadable(String),
    /// What an audit wrote.
    Audited(Audited),
}

/// What an audit wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audited {
    /// When that audit began, as it is written.
    pub timestamp: String,
    /// All violations.
    pub total: u64,
    /// Those that are listed.
    pub listed: Vec<Entry>,
    /// Who wrote it, if the API server says so.
    pub written_by: Option<String>,
    /// Why it is about an older version of the constraint, if it is.
    pub outdated: Option<String>,
}

impl Theirs {
    /// Of a constraint as an object. `declared` is its action as it is now.
    pub fn of(constraint: &Value, declared: &str) -> Self {
        let status = constraint.get("status").filter(|status| !status.is_null());
        let Some(timestamp) = status.and_then(|status| status.get("auditTimestamp")).and_then(Value::as_str)
        else {
            return Self::Absent;
        };
        let Some(total) = status.and_then(|status| status.get("totalViolations")).and_then(Value::as_u64)
        else {
            return Self::Unreadable("its status has a time and no number of violations".to_owned());
        };
        let listed = match status.and_then(|status| status.get("violations")) {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(items)) => items.iter().map(entry).collect(),
            Some(_) => return Self::Unreadable("`status.violations` is no list".to_owned()),
        };
        if listed.len() as u64 > total || (listed.is_empty() && total > 0) {
            let message = format!("its status lists {} violations and counts {total}", listed.len());
            return Self::Unreadable(message);
        }
        let action = status.and_then(|status| status.pointer("/violations/0/enforcementAction"));
        let other_action = action
            .and_then(Value::as_str)
            .filter(|action| *action != declared)
            .map(|action| format!("its status is of the action `{action}`, and it has `{declared}` now"));
        Self::Audited(Audited {
            timestamp: timestamp.to_owned(),
            total,
            listed,
            written_by: manager(constraint, "status", "f:auditTimestamp").map(str::to_owned),
            outdated: other_action.or_else(|| changed_since(constraint, timestamp)),
        })
    }
}

fn entry(violation: &Value) -> Entry {
    let text = |key: &str| violation.get(key).and_then(Value::as_str).unwrap_or_default().to_owned();
    Entry {
        group: text("group"),
        kind: text("kind"),
        namespace: text("namespace"),
        name: text("name"),
        message: text("message"),
    }
}

/// Who changed what of an object, and when, as API servers note it.
fn managers(constraint: &Value) -> impl Iterator<Item = &Value> {
    constraint.pointer("/metadata/managedFields").and_then(Value::as_array).into_iter().flatten()
}

fn manager<'a>(constraint: &'a Value, part: &str, field: &str) -> Option<&'a str> {
    let owns = |entry: &&Value| entry.pointer(&format!("/fieldsV1/f:{part}/{field}")).is_some();
    managers(constraint).find(owns)?.get("manager")?.as_str()
}

/// Whether what the constraint asks for was changed after an audit began. Times of API servers are all written alike.
fn changed_since(constraint: &Value, timestamp: &str) -> Option<String> {
    let changes = managers(constraint).filter(|entry| entry.pointer("/fieldsV1/f:spec").is_some());
    let times = changes.filter_map(|entry| entry.get("time").and_then(Value::as_str));
    let created = constraint.pointer("/metadata/creationTimestamp").and_then(Value::as_str);
    let last = times.chain(created).max()?;
    (last > timestamp)
        .then(|| format!("it was changed at {last}, after the audit of {timestamp} that its status is of"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_status_is_told_from_none_and_from_what_cannot_be_one() {
        let of = |status: Value| Theirs::of(&json!({"kind": "A", "status": status}), "deny");
        assert_eq!(of(Value::Null), Theirs::Absent);
        assert_eq!(of(json!({"byPod": []})), Theirs::Absent);
        let time = "2026-01-02T03:04:05Z";
        for wrong in [
            json!({"auditTimestamp": time}),
            json!({"auditTimestamp": time, "totalViolations": 3}),
            json!({"auditTimestamp": time, "totalViolations": 0, "violations": [{}]}),
            json!({"auditTimestamp": time, "totalViolations": 1, "violations": {}}),
            json!({"auditTimestamp": time, "totalViolations": -1}),
        ] {
            assert!(matches!(of(wrong.clone()), Theirs::Unreadable(_)), "{wrong}");
        }
        let clean = json!({"auditTimestamp": time, "totalViolations": 0});
        assert!(
            matches!(of(clean), Theirs::Audited(audited) if audited.total == 0 && audited.outdated.is_none())
        );
    }

    #[test]
    fn what_is_of_an_older_constraint_is_outdated() {
        let time = "2026-01-02T03:04:05Z";
        let outdated = |changed: &str, field: &str, action: &str| {
            let constraint = json!({
                "metadata": {"creationTimestamp": "2026-01-01T00:00:00Z", "managedFields": [
                    {"manager": "kubectl", "time": changed, "fieldsV1": {field: {}}},
                    {"manager": "gatekeeper", "time": "2026-01-02T03:05:00Z", "fieldsV1": {"f:status": {"f:auditTimestamp": {}}}},
                ]},
                "status": {"auditTimestamp": time, "totalViolations": 1, "violations": [{"enforcementAction": action}]},
            });
            match Theirs::of(&constraint, "deny") {
                Theirs::Audited(audited) => {
                    assert_eq!(audited.written_by.as_deref(), Some("gatekeeper"));
                    audited.outdated.is_some()
                }
                other => panic!("{other:?}"),
            }
        };
        assert!(outdated("2026-01-02T03:04:06Z", "f:spec", "deny"));
        assert!(!outdated("2026-01-02T03:04:05Z", "f:spec", "deny"));
        assert!(!outdated("2026-01-02T03:04:06Z", "f:metadata", "deny"));
        assert!(outdated("2026-01-01T00:00:00Z", "f:spec", "warn"));
    }
}
