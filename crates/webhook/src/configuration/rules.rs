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

use super::{Keeping, Rules};

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
            let (rules, is_certain) = rules(&keeping.cluster, policies, unsupported).await;
            keeping.set_rules(rules);
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

/// The rules, and whether each kind is known by which the constraints are matched.
async fn rules(cluster: &Cluster, policies: PolicySet, unsupported: Unsupported) -> (Rules, bool) {
    /// Longer than an API server takes that is well.
    const PATIENCE: Duration = Duration::from_secs(10);
    let known = Kinds::default();
    let (rules, is_certain) = derived(policies.clone(), known, unsupported).await;
    if is_certain {
        return (rules, true);
    }
    match timeout(PATIENCE, Discovery::of(cluster)).await {
        Ok(Ok(discovery)) => derived(policies, learned(&discovery), unsupported).await,
        // Names are guessed meanwhile.
        _ => (rules, false),
    }
}

/// Following the programs of all templates is work that nobody else should wait for.
async fn derived(policies: PolicySet, kinds: Kinds, unsupported: Unsupported) -> (Rules, bool) {
    let derive = move || {
        let rules = AdmissionRules::of(&policies, &kinds);
        let is_certain = rules.notes().is_empty();
        let rules = if unsupported == Unsupported::Allowed { rules.without_refusals() } else { rules };
        (rules.to_json(), is_certain)
    };
    let (rules, is_certain) = spawn_blocking(derive).await.unwrap_or_default();
    match rules {
        Value::Array(rules) => (Some(rules.into()), is_certain),
        // It broke off: what was sent before goes on being sent.
        _ => (None, false),
    }
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
