//! A template or another policy as it came: what it says, apart from what others wrote about it.
//!
//! Every write of a status comes back as a change of the object. What policies are compiled from has no status and no bookkeeping, so
//! that a change of those is seen to be none.

use serde_json::Value;
use serde_json::value::RawValue;

use crate::parts::{field, fields, object, string};

/// The parts of a policy object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PolicyText {
    /// Without `status` and without the bookkeeping in `metadata`.
    pub(crate) policy: String,
    pub(crate) uid: String,
    pub(crate) generation: u64,
    pub(crate) resource_version: String,
    /// `status.byPod`, as it was when this came.
    pub(crate) by_pod: Vec<Value>,
    /// `status.created`.
    pub(crate) created: bool,
}

const GENERATION: &str = "generation";

impl PolicyText {
    pub(crate) fn of(text: &str) -> Self {
        Self::without(&[GENERATION], text)
    }

    /// Of a mutator, whose generation is noted in what it mutates; a status does not change it.
    pub(crate) fn of_mutator(text: &str) -> Self {
        Self::without(&[], text)
    }

    /// Without these fields, too.
    fn without(these: &[&str], text: &str) -> Self {
        /// What API servers keep for themselves.
        const BOOKKEEPING: &[&str] =
            &["managedFields", "resourceVersion", "uid", "creationTimestamp", "selfLink"];
        let metadata = field(text, "metadata").unwrap_or_default();
        let status: Value =
            field(text, "status").and_then(|status| serde_json::from_str(status).ok()).unwrap_or_default();
        let own = fields(metadata).into_iter().filter(|(key, _)| {
            let key = &**key;
            !BOOKKEEPING.contains(&key) && !these.contains(&key)
        });
        let own = RawValue::from_string(object(own)).unwrap_or_default();
        let parts = fields(text).into_iter().filter(|(key, _)| key != "status");
        let parts = parts.map(|(key, value)| if key == "metadata" { (key, &*own) } else { (key, value) });
        let by_pod = status.get("byPod").and_then(Value::as_array).cloned().unwrap_or_default();
        Self {
            policy: object(parts),
            uid: string(metadata, "uid").unwrap_or_default(),
            generation: field(metadata, "generation").and_then(|text| text.parse().ok()).unwrap_or(0),
            resource_version: string(metadata, "resourceVersion").unwrap_or_default(),
            by_pod,
            created: status.get("created").and_then(Value::as_bool).unwrap_or(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_write_about_a_policy_is_no_part_of_it() {
        let text = |rest: &str, status: &str| {
            format!(
                r#"{{"kind":"T","metadata":{{"name":"a","labels":{{"uid":"x"}},"uid":"u","generation":3{rest}}},"spec":{{"status":1.50}},"status":{status}}}"#
            )
        };
        let before = PolicyText::of(&text("", "{}"));
        let after = PolicyText::of(&text(
            r#","resourceVersion":"9","managedFields":[{"a":[1]}]"#,
            r#"{"created":true,"byPod":[{"id":"p"}]}"#,
        ));
        assert_eq!(before.policy, after.policy);
        assert_eq!(
            before.policy,
            r#"{"kind":"T","metadata":{"name":"a","labels":{"uid":"x"}},"spec":{"status":1.50}}"#
        );
        assert!(PolicyText::of_mutator(&text("", "{}")).policy.contains(r#""generation":3"#));
        assert_eq!(
            (after.uid.as_str(), after.generation, after.by_pod.len(), after.created),
            ("u", 3, 1, true)
        );
    }
}
