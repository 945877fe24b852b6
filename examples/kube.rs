//! A controller with kube-rs that asks the cluster's policies before it creates something: what would be denied is an error with
//! its reasons and the field that is wrong, before a request is made.
//!
//! ```text
//! cargo run -p portcullis-examples --bin kube-guard -- manifest.yaml POLICY.yaml…
//! ```

use std::fs;

use kube::Client;
use kube::api::{Api, DynamicObject, PostParams};
use kube::core::{GroupVersionKind, TypeMeta};
use kube::discovery::ApiResource;
use portcullis::{Decision, EnforcementPoint, Object, PolicySet, Review, World};
use serde_json::Value;

/// Creates objects that no constraint denies.
pub(crate) struct Guard {
    pub(crate) client: Client,
    pub(crate) policies: PolicySet,
}

/// Why nothing was created.
#[derive(Debug)]
pub(crate) enum NotCreated {
    /// A constraint denies it.
    Denied(Vec<String>),
    /// It is no object, or the API server did not take it.
    Failed(Box<dyn std::error::Error + Send + Sync>),
}

impl Guard {
    /// Creates an object, unless it is denied.
    pub(crate) async fn create(&self, object: &Value) -> Result<DynamicObject, NotCreated> {
        let failed = |error: Box<dyn std::error::Error + Send + Sync>| NotCreated::Failed(error);
        let read =
            Object::from_yaml(&object.to_string()).map_err(|errors| failed(errors.to_string().into()))?;
        let (gvk, namespace) = (read.gvk().clone(), read.namespace().to_string());
        let review = Review::from_object(read);
        let outcome = self.policies.review(&review, &World::default(), EnforcementPoint::Webhook);
        let decision = Decision::from(&outcome);
        if !decision.allowed() {
            let reasons = decision.findings.iter().map(|finding| match finding.position() {
                Some(position) => format!("{} ({})", finding.message, position.path),
                None => finding.message.to_owned(),
            });
            return Err(NotCreated::Denied(reasons.collect()));
        }
        let object: DynamicObject =
            serde_json::from_value(object.clone()).map_err(|error| failed(error.into()))?;
        let gvk = GroupVersionKind::gvk(&gvk.group, &gvk.version, &gvk.kind);
        let resource = ApiResource::from_gvk(&gvk);
        let api: Api<DynamicObject> = if namespace.is_empty() {
            Api::all_with(self.client.clone(), &resource)
        } else {
            Api::namespaced_with(self.client.clone(), &namespace, &resource)
        };
        let types = TypeMeta { api_version: resource.api_version.clone(), kind: resource.kind.clone() };
        let object = DynamicObject { types: Some(types), ..object };
        api.create(&PostParams::default(), &object).await.map_err(|error| failed(error.into()))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let mut texts = Vec::new();
    for path in std::env::args().skip(1) {
        texts.push((path.clone(), fs::read_to_string(path)?));
    }
    let [(_, manifest), policies @ ..] = texts.as_slice() else {
        return Err("usage: kube-guard MANIFEST POLICY…".into());
    };
    let policies = PolicySet::load(policies.iter().map(|(path, text)| (path.as_str(), text.as_str())))?;
    let guard = Guard { client: Client::try_default().await?, policies };
    let object = serde_json::to_value(Object::from_yaml(manifest)?.to_json())?;
    match guard.create(&object).await {
        Ok(created) => println!("created {}", created.metadata.name.unwrap_or_default()),
        Err(NotCreated::Denied(reasons)) => println!("denied:\n{}", reasons.join("\n")),
        Err(NotCreated::Failed(error)) => return Err(error),
    }
    Ok(())
}
