//! Which requests have to be sent for the policies that are served. What kinds are called in rules is asked of the API server where the
//! core does not know it, and again, as a kind may come later.

use std::sync::Arc;
use std::time::Duration;

use portcullis::{AdmissionRules, Kinds, Object, PolicySet, Unsupported};
use portcullis_cluster::{ApiResource, Cluster, Discovery};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::Keeping;

/// How often kinds that are not known are asked about.
const AGAIN: Duration = Duration::from_mins(1);

/// Works out the rules for ever.
pub(super) async fn derive(
    keeping: Arc<Keeping>,
    unsupported: Unsupported,
    mut served: watch::Receiver<Option<PolicySet>>,
) {
    loop {
        let policies = served.borrow_and_update().clone();
        let mut wait = None;
        if let Some(policies) = policies {
            let (needed, is_certain) = needed(&keeping.cluster, policies, unsupported).await;
            if let Some(needed) = needed {
                keeping.need(&Arc::new(needed));
            }
            wait = (!is_certain).then_some(AGAIN);
        }
        let changed = match wait {
            None => served.changed().await,
            Some(wait) => timeout(wait, served.changed()).await.unwrap_or(Ok(())),
        };
        if changed.is_err() {
            return;
        }
    }
}

/// What policies need, and whether each kind is known by which the constraints are matched.
async fn needed(
    cluster: &Cluster,
    policies: PolicySet,
    unsupported: Unsupported,
) -> (Option<AdmissionRules>, bool) {
    /// Longer than an API server takes that is well.
    const PATIENCE: Duration = Duration::from_secs(10);
    let known = Kinds::default();
    let (needed, is_certain) = derived(policies.clone(), known, unsupported).await;
    if is_certain {
        return (needed, true);
    }
    match timeout(PATIENCE, Discovery::of(cluster)).await {
        Ok(Ok(discovery)) => derived(policies, learned(&discovery), unsupported).await,
        // Names are guessed meanwhile.
        _ => (needed, false),
    }
}

/// Following the programs of all templates is work that nobody else should wait for. None if it broke off: what was sent before goes on
/// being sent.
async fn derived(
    policies: PolicySet,
    kinds: Kinds,
    unsupported: Unsupported,
) -> (Option<AdmissionRules>, bool) {
    let derive = move || {
        let needed = AdmissionRules::of(&policies, &kinds);
        if unsupported == Unsupported::Allowed { needed.without_refusals() } else { needed }
    };
    let needed = spawn_blocking(derive).await.ok();
    let is_certain = needed.as_ref().is_some_and(|needed| !needed.has_guesses());
    (needed, is_certain)
}

/// What an API server serves.
fn learned(discovery: &Discovery) -> Kinds {
    let mut kinds = Kinds::default();
    for resource in discovery.preferred() {
        if let Ok(definition) = Object::from_json(&definition(resource)) {
            kinds.learn(&definition);
        }
    }
    kinds
}

/// What a CustomResourceDefinition would say of a kind.
fn definition(resource: &ApiResource) -> Value {
    let scope = if resource.namespaced { "Namespaced" } else { "Cluster" };
    let (gvk, plural) = (&resource.gvk, &resource.plural);
    json!({
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": format!("{plural}.{}", gvk.group)},
        "spec": {
            "group": gvk.group,
            "names": {"kind": gvk.kind, "plural": plural},
            "scope": scope,
            "versions": [{"name": gvk.version, "storage": true}],
        },
    })
}
