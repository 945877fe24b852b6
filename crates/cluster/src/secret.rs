//! One Secret of our own. What is in it is never shown: not by `Debug`, and not by errors.

use std::collections::BTreeMap;
use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::connect::Cluster;
use crate::error::ClusterError;
use crate::resource::ApiResource;
use crate::write::{at, set};

/// The kind.
#[must_use]
pub fn secrets() -> ApiResource {
    ApiResource::new("v1", "Secret", "secrets", true)
}

/// A Secret as it was seen.
#[derive(Clone)]
pub struct Secret(Value);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", at(&self.0, &["metadata", "name"]))
    }
}

impl Secret {
    /// Of the object as the API has it.
    #[must_use]
    pub fn of(object: &Value) -> Self {
        Self(object.clone())
    }

    /// What kind of Secret it is; this never changes.
    #[must_use]
    pub fn type_name(&self) -> &str {
        at(&self.0, &["type"]).as_str().unwrap_or_default()
    }

    /// A text in it; `None` if there is none, or it is not a text.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<String> {
        String::from_utf8(STANDARD.decode(at(&self.0, &["data", key]).as_str()?).ok()?).ok()
    }
}

fn data(texts: &BTreeMap<&str, String>) -> Value {
    texts.iter().map(|(key, text)| ((*key).to_owned(), json!(STANDARD.encode(text)))).collect()
}

/// Makes a Secret. If there is one already, that is a conflict.
///
/// # Errors
///
/// If it cannot be made.
pub async fn create_secret(
    cluster: &Cluster,
    (namespace, name): (&str, &str),
    type_name: &str,
    labels: &Value,
    texts: &BTreeMap<&str, String>,
) -> Result<(), ClusterError> {
    let object = json!({"apiVersion": "v1", "kind": "Secret", "type": type_name,
        "metadata": {"namespace": namespace, "name": name, "labels": labels}, "data": data(texts)});
    cluster.create(&secrets().path(Some(namespace), None), &object).await.map(drop)
}

/// Replaces what is in a Secret as it was seen. If it is not as it was seen any more, that is a conflict.
///
/// # Errors
///
/// If it cannot be written.
pub async fn replace_secret(
    cluster: &Cluster,
    seen: &Secret,
    texts: &BTreeMap<&str, String>,
) -> Result<(), ClusterError> {
    let part = |key| at(&seen.0, &["metadata", key]).as_str().unwrap_or_default();
    let path = secrets().path(Some(part("namespace")), Some(part("name")));
    let mut object = seen.0.clone();
    // Lists leave it out.
    set(&mut object, &["apiVersion"], json!("v1"));
    set(&mut object, &["kind"], json!("Secret"));
    set(&mut object, &["data"], data(texts));
    cluster.replace(&path, &object).await.map(drop)
}
