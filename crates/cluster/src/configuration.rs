//! ValidatingWebhookConfigurations and MutatingWebhookConfigurations, written: what is in them is for the caller to say.

use serde_json::{Value, json};

use crate::connect::Cluster;
use crate::error::ClusterError;
use crate::resource::ApiResource;
use crate::write::at;

/// MutatingWebhookConfigurations.
#[must_use]
pub fn mutating_webhook_configurations() -> ApiResource {
    ApiResource::new(
        "admissionregistration.k8s.io/v1",
        "MutatingWebhookConfiguration",
        "mutatingwebhookconfigurations",
        false,
    )
}

/// ValidatingWebhookConfigurations.
#[must_use]
pub fn webhook_configurations() -> ApiResource {
    ApiResource::new(
        "admissionregistration.k8s.io/v1",
        "ValidatingWebhookConfiguration",
        "validatingwebhookconfigurations",
        false,
    )
}

/// Puts values at paths of a configuration of one of these kinds as it was seen, such as `/webhooks/0/clientConfig/caBundle`, and changes nothing else. If it
/// is not as it was seen any more, that is a conflict.
///
/// # Errors
///
/// If it cannot be written.
pub async fn patch_webhook_configuration(
    cluster: &Cluster,
    kind: &ApiResource,
    seen: &Value,
    changes: &[(String, Value)],
) -> Result<(), ClusterError> {
    let name = at(seen, &["metadata", "name"]).as_str().unwrap_or_default();
    let path = kind.path(None, Some(name));
    let version = at(seen, &["metadata", "resourceVersion"]);
    // Not `test`, whose failure is no conflict but a request that makes no sense.
    let mut operations =
        vec![json!({"op": "replace", "path": "/metadata/resourceVersion", "value": version})];
    let changes = changes.iter().map(|(path, value)| json!({"op": "add", "path": path, "value": value}));
    operations.extend(changes);
    cluster.json_patch(&path, &Value::Array(operations)).await.map(drop)
}

/// Applies a configuration of one of these kinds, as the owner of the fields that it has; what others own stays. With a version in it, it is applied to that one
/// only, and anything else is a conflict.
///
/// # Errors
///
/// If it cannot be written.
pub async fn apply_webhook_configuration(
    cluster: &Cluster,
    kind: &ApiResource,
    configuration: &Value,
) -> Result<(), ClusterError> {
    let name = at(configuration, &["metadata", "name"]).as_str().unwrap_or_default();
    let path = kind.path(None, Some(name));
    cluster.apply(&path, configuration).await.map(drop)
}
