//! Writes: one object read, changed and written back only if it is different, again if somebody else was faster.

use bytes::Bytes;
use http::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::connect::{Ask, Cluster, JSON, OBJECT_BYTES};
use crate::error::ClusterError;

const MERGE: &str = "application/merge-patch+json";
const JSON_PATCH: &str = "application/json-patch+json";
const APPLY: &str = "application/apply-patch+yaml";

/// Times that a write is tried in the face of conflicts: as often as Gatekeeper does.
const TRIES: u32 = 5;

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The object is different now.
    Changed,
    /// It was so already; nothing was written.
    Unchanged,
    /// There is no such object (any more).
    Missing,
}

impl Cluster {
    /// The object at a path, as JSON.
    pub(crate) async fn get_json(&self, path: &str) -> Result<Value, ClusterError> {
        let body = self.get(path).await?;
        read(path, &body)
    }

    /// Changes the object at a path through `change`, which gives a merge patch, or `None` if nothing has to change. `part` is
    /// empty or `/status`. The patch holds only for the version that it was made from.
    pub(crate) async fn change(
        &self,
        path: &str,
        part: &str,
        mut change: impl FnMut(&Value) -> Option<Value> + Send,
    ) -> Result<Written, ClusterError> {
        let mut conflicts = 0;
        loop {
            let live = match self.get_json(path).await {
                Ok(live) => live,
                Err(error) if error.is_not_found() => return Ok(Written::Missing),
                Err(error) => return Err(error),
            };
            let Some(mut patch) = change(&live) else { return Ok(Written::Unchanged) };
            set(
                &mut patch,
                &["metadata", "resourceVersion"],
                at(&live, &["metadata", "resourceVersion"]).clone(),
            );
            match self.patch(&format!("{path}{part}"), MERGE, &patch).await {
                Ok(_) => return Ok(Written::Changed),
                Err(error) if error.is_not_found() => return Ok(Written::Missing),
                Err(error) if error.is_conflict() && conflicts + 1 < TRIES => {
                    sleep(self.backoff().wait(conflicts, error.retry_after())).await;
                    conflicts += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Makes what is at a path be what `object` says, by server-side apply.
    pub(crate) async fn apply(&self, path: &str, object: &Value) -> Result<Value, ClusterError> {
        let path = format!("{path}?fieldManager=portcullis&force=true");
        self.patch(&path, APPLY, object).await
    }

    pub(crate) async fn json_patch(&self, path: &str, operations: &Value) -> Result<Value, ClusterError> {
        self.patch(path, JSON_PATCH, operations).await
    }

    async fn patch(&self, path: &str, kind: &str, patch: &Value) -> Result<Value, ClusterError> {
        self.send_json(Method::PATCH, path, kind, patch).await
    }

    pub(crate) async fn create(&self, path: &str, object: &Value) -> Result<Value, ClusterError> {
        self.send_json(Method::POST, path, JSON, object).await
    }

    pub(crate) async fn replace(&self, path: &str, object: &Value) -> Result<Value, ClusterError> {
        self.send_json(Method::PUT, path, JSON, object).await
    }

    async fn send_json(
        &self,
        method: Method,
        path: &str,
        kind: &str,
        body: &Value,
    ) -> Result<Value, ClusterError> {
        let bytes: Bytes = body.to_string().into_bytes().into();
        let ask = Ask { method, path, accept: JSON, body: Some((kind, bytes)), most: OBJECT_BYTES };
        let (_, body) = self.ask(&ask).await?;
        read(path, &body)
    }
}

fn read(path: &str, body: &[u8]) -> Result<Value, ClusterError> {
    let doing = || format!("the object at {}", path.split('?').next().unwrap_or_default());
    let object: Value = serde_json::from_slice(body)
        .map_err(|error| ClusterError::unreadable(doing(), format!("expected an object as JSON: {error}")))?;
    if object.is_object() { Ok(object) } else { Err(ClusterError::unreadable(doing(), "expected an object")) }
}

/// Whether everything that `wanted` says is so in `live`, which may say more: what API servers add is no difference.
pub(crate) fn says(live: &Value, wanted: &Value) -> bool {
    match (live, wanted) {
        (Value::Object(live), Value::Object(wanted)) => {
            wanted.iter().all(|(key, wanted)| says(live.get(key).unwrap_or(&Value::Null), wanted))
        }
        (Value::Array(live), Value::Array(wanted)) => {
            live.len() == wanted.len() && live.iter().zip(wanted).all(|(live, wanted)| says(live, wanted))
        }
        // What is empty may be left out.
        (Value::Null, Value::Object(wanted)) => wanted.is_empty(),
        (Value::Null, Value::Array(wanted)) => wanted.is_empty(),
        (Value::Null, Value::Bool(wanted)) => !wanted,
        (live, wanted) => live == wanted,
    }
}

/// What is below some keys; null if it is not there.
pub(crate) fn at<'a>(value: &'a Value, keys: &[&str]) -> &'a Value {
    keys.iter().try_fold(value, |value, key| value.get(key)).unwrap_or(&Value::Null)
}

/// Puts something below some keys. What is in the way and no object is replaced by one.
pub(crate) fn set(value: &mut Value, keys: &[&str], new: Value) {
    let Some((key, rest)) = keys.split_first() else {
        *value = new;
        return;
    };
    if !value.is_object() {
        *value = json!({});
    }
    if let Some(fields) = value.as_object_mut() {
        set(fields.entry(*key).or_insert(Value::Null), rest, new);
    }
}

/// A merge patch that replaces one field of the status.
pub(crate) fn status_patch(field: &str, value: &Value) -> Value {
    json!({"status": {field: value}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_api_servers_add_is_no_difference() {
        let wanted = json!({"a": 1, "list": [{"x": 1}], "none": [], "off": false});
        assert!(says(&json!({"a": 1, "b": 2, "list": [{"x": 1, "y": 2}]}), &wanted));
        assert!(!says(&json!({"a": 2, "list": [{"x": 1}]}), &wanted));
        assert!(!says(&json!({"a": 1, "list": []}), &wanted));
        assert!(!says(&json!({"a": 1, "list": [{"x": 1}], "off": true}), &wanted));
    }
}
