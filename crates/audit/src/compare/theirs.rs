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
        Self::read(constraint, declared).unwrap_or_else(Self::Unreadable)
    }

    /// An error says what was found and what was expected.
    fn read(constraint: &Value, declared: &str) -> Result<Self, String> {
        let status = match constraint.get("status") {
            None | Some(Value::Null) => return Ok(Self::Absent),
            Some(Value::Object(status)) => status,
            Some(other) => return Err(expected("status", "an object", other)),
        };
        let field = |key: &str| status.get(key).filter(|value| !value.is_null());
        let (time, total, listed) = (field("auditTimestamp"), field("totalViolations"), field("violations"));
        if time.is_none() && total.is_none() && listed.is_none() {
            return Ok(Self::Absent);
        }
        let listed = match listed {
            None => Vec::new(),
            Some(Value::Array(items)) => {
                items.iter().enumerate().map(|(index, item)| entry(index, item)).collect::<Result<_, _>>()?
            }
            Some(other) => return Err(expected("status.violations", "a list", other)),
        };
        let Some(time) = time else {
            return Err("its status has violations, but no `auditTimestamp`".to_owned());
        };
        let Some(timestamp) = time.as_str() else {
            return Err(expected("status.auditTimestamp", "a time", time));
        };
        let Some(total) = total else {
            return Err("its status has a time, but no `totalViolations`".to_owned());
        };
        let Some(total) = total.as_u64() else {
            return Err(expected("status.totalViolations", "a number from 0", total));
        };
        if listed.len() as u64 > total || (listed.is_empty() && total > 0) {
            return Err(format!("its status lists {} violations and counts {total}", listed.len()));
        }
        let action = status.get("violations").and_then(|listed| listed.pointer("/0/enforcementAction"));
        let other_action = action
            .and_then(Value::as_str)
            .filter(|action| *action != declared)
            .map(|action| format!("its status is of the action `{action}`, and it has `{declared}` now"));
        Ok(Self::Audited(Audited {
            timestamp: timestamp.to_owned(),
            total,
            listed,
            written_by: manager(constraint, "status", "f:auditTimestamp").map(str::to_owned),
            outdated: other_action.or_else(|| changed_since(constraint, timestamp)),
        }))
    }
}

fn entry(index: usize, violation: &Value) -> Result<Entry, String> {
    let at = format!("status.violations[{index}]");
    let Value::Object(fields) = violation else { return Err(expected(&at, "an object", violation)) };
    let text = |key: &str| match fields.get(key) {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(other) => Err(expected(&format!("{at}.{key}"), "a string", other)),
    };
    Ok(Entry {
        group: text("group")?,
        kind: text("kind")?,
        namespace: text("namespace")?,
        name: text("name")?,
        message: text("message")?,
    })
}

/// ``expected a list in `status.violations`, found a string``.
fn expected(field: &str, what: &str, found: &Value) -> String {
    let found = match found {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "a boolean".to_owned(),
        Value::Number(number) => format!("`{number}`"),
        Value::String(_) => "a string".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    };
    format!("expected {what} in `{field}`, found {found}")
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
        let clean = json!({"auditTimestamp": time, "totalViolations": 1});
        let with = |key: &str, value: Value| {
            let mut status = clean.clone();
            status[key] = value;
            status
        };
        for (wrong, why) in [
            (json!("audited"), "expected an object in `status`, found a string"),
            (json!({"violations": {}}), "expected a list in `status.violations`, found an object"),
            (json!({"violations": "none"}), "expected a list in `status.violations`, found a string"),
            (json!({"violations": []}), "its status has violations, but no `auditTimestamp`"),
            (json!({"totalViolations": 3}), "its status has violations, but no `auditTimestamp`"),
            (with("auditTimestamp", json!(3)), "expected a time in `status.auditTimestamp`, found `3`"),
            (json!({"auditTimestamp": time}), "its status has a time, but no `totalViolations`"),
            (
                with("totalViolations", json!(-1)),
                "expected a number from 0 in `status.totalViolations`, found `-1`",
            ),
            (with("violations", json!({})), "expected a list in `status.violations`, found an object"),
            (
                with("violations", json!(["x"])),
                "expected an object in `status.violations[0]`, found a string",
            ),
            (
                with("violations", json!([{"name": true}])),
                "expected a string in `status.violations[0].name`, found a boolean",
            ),
            (clean.clone(), "its status lists 0 violations and counts 1"),
            (with("violations", json!([{}, {}])), "its status lists 2 violations and counts 1"),
        ] {
            assert_eq!(of(wrong.clone()), Theirs::Unreadable(why.to_owned()), "{wrong}");
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
