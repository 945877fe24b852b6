//! Which requests have to be sent for the policies and mutators that are served. What kinds are called in rules is asked of the API server where the
//! core does not know it, and again, as a kind may come later.

use std::sync::Arc;
use std::time::Duration;

use portcullis::{AdmissionRules, Kinds, Object, Unsupported, Uses};
use portcullis_cluster::{ApiResource, Cluster, Discovery};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::asks::Asks;
use super::{Kept, Served};

/// How often kinds that are not known are asked about.
const AGAIN: Duration = Duration::from_mins(1);

/// What the command line says of what is needed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    pub(super) unsupported: Unsupported,
    pub(super) uses: Uses,
}

/// Works out the rules of a configuration for ever.
pub(super) async fn derive(
    cluster: Cluster,
    kept: Arc<Kept>,
    terms: Terms,
    mut served: watch::Receiver<Option<Served>>,
) {
    loop {
        let now = served.borrow_and_update().clone();
        let mut wait = None;
        if let Some(now) = now {
            let (needed, is_certain) = needed(&cluster, kept.asks, now, terms).await;
            if let Some(needed) = needed {
                kept.need(&Arc::new(needed));
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

/// What is needed, and whether each kind is known that is asked about.
async fn needed(
    cluster: &Cluster,
    asks: Asks,
    served: Served,
    terms: Terms,
) -> (Option<AdmissionRules>, bool) {
    /// Longer than an API server takes that is well.
    const PATIENCE: Duration = Duration::from_secs(10);
    let (needed, is_certain) = derived(asks, served.clone(), Kinds::default(), terms).await;
    if is_certain {
        return (needed, true);
    }
    match timeout(PATIENCE, Discovery::of(cluster)).await {
        Ok(Ok(discovery)) => derived(asks, served, learned(&discovery), terms).await,
        // Names are guessed meanwhile.
        _ => (needed, false),
    }
}

/// Following the programs of all templates is work that nobody else should wait for. None if it broke off, or while it is not known which
/// mutators there are: what was sent before goes on being sent.
async fn derived(asks: Asks, served: Served, kinds: Kinds, terms: Terms) -> (Option<AdmissionRules>, bool) {
    let derive = move || match asks {
        Asks::Verdicts => {
            let Served { policies, expansions, .. } = &served;
            let needed = AdmissionRules::of_webhook(policies, expansions, terms.uses, &kinds);
            Some(if terms.unsupported == Unsupported::Allowed { needed.without_refusals() } else { needed })
        }
        Asks::Patches => Some(AdmissionRules::of_mutators(served.mutators.as_ref()?, &kinds)),
    };
    let needed = spawn_blocking(derive).await;
    let is_certain = match &needed {
        Ok(Some(needed)) => !needed.has_guesses(),
        // What comes next is told.
        Ok(None) => true,
        Err(_) => false,
    };
    (needed.ok().flatten(), is_certain)
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
