//! What `--manage-webhook-configuration` keeps the configuration as, and where another is different.
//!
//! In substance it is `deploy/webhook/webhook-configuration.yaml`, or `deploy/optional/mutating-webhook-configuration.yaml`, which a test
//! compares, with the rules that the policies or the mutators need.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::args::{ConfigurationArgs, FailurePolicy};
use super::asks::Asks;
use super::selector::Selector;

/// Who keeps it leaves this behind: what was written, and since when its writer runs, in milliseconds since 1970.
pub const KEPT_BY: &str = "portcullis.example.com/kept-by";
/// With `"false"`, replicas leave it alone.
pub const MANAGED: &str = "portcullis.example.com/managed";

/// The webhook that is asked about everything, and the one that guards the ignore label.
const ADMIT: (&str, &str) = ("validation.gatekeeper.sh", "/v1/admit");
const GUARD: (&str, &str) = ("check-ignore-label.gatekeeper.sh", "/v1/admitlabel");
/// The webhook that is asked for patches.
const MUTATE: (&str, &str) = ("mutation.gatekeeper.sh", "/v1/mutate");

/// How API servers reach the webhook.
#[derive(Clone, Debug)]
enum Reach {
    Service { namespace: String, name: String, port: u16 },
    Url(String),
}

/// What the configuration should be, but for the rules and the CAs.
#[derive(Clone, Debug)]
pub struct Wanted {
    asks: Asks,
    name: String,
    reach: Reach,
    failure_policy: FailurePolicy,
    timeout: u8,
    /// Of namespaces, besides those that are left out anyway.
    expressions: Vec<Value>,
    own_namespace: String,
}

impl Wanted {
    /// What the command line asks for.
    #[must_use]
    pub fn of(asks: Asks, args: &ConfigurationArgs, own_namespace: &str) -> Self {
        let service = &args.webhook_service;
        let in_service = || Reach::Service {
            namespace: service.namespace.clone().unwrap_or_else(|| own_namespace.to_owned()),
            name: service.name.clone(),
            port: service.port,
        };
        let selector = args.webhook_namespace_selector.as_ref();
        Self {
            asks,
            name: args.name(asks).to_owned(),
            reach: args.webhook_url.clone().map_or_else(in_service, Reach::Url),
            failure_policy: args.webhook_failure_policy,
            timeout: args.webhook_timeout,
            expressions: selector.map(Selector::expressions).unwrap_or_default(),
            own_namespace: own_namespace.to_owned(),
        }
    }

    /// The configuration without bundles. `rules` are those of the webhook that is asked about everything, or to mutate; `owner` is the own
    /// Namespace, with which it goes.
    #[must_use]
    pub fn object(&self, rules: &[Value], owner: Option<&Value>) -> Value {
        let left_out: BTreeSet<&str> = BTreeSet::from(["kube-system", &self.own_namespace]);
        let left_out = json!({"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": left_out});
        let ignored = json!({"key": "admission.gatekeeper.sh/ignore", "operator": "DoesNotExist"});
        let mut admitted = vec![left_out.clone(), ignored];
        admitted.extend(self.expressions.iter().cloned());
        let webhooks = match self.asks {
            Asks::Verdicts => self.judging(&admitted, left_out, rules),
            Asks::Patches => vec![self.mutating(&admitted, rules)],
        };
        let mut object = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": self.asks.resource().gvk.kind,
            "metadata": {
                "name": self.name,
                "labels": {"app.kubernetes.io/name": "portcullis", "app.kubernetes.io/component": "webhook"},
            },
            "webhooks": webhooks,
        });
        if let (Some(owner), Some(metadata)) =
            (owner, object.get_mut("metadata").and_then(Value::as_object_mut))
        {
            metadata.insert("ownerReferences".to_owned(), json!([owner]));
        }
        object
    }

    fn judging(&self, admitted: &[Value], left_out: Value, rules: &[Value]) -> Vec<Value> {
        let guarded = [json!({"operations": ["CREATE", "UPDATE"], "apiGroups": [""], "apiVersions": ["*"],
            "resources": ["namespaces"], "scope": "*"})];
        vec![
            self.webhook(ADMIT, self.failure_policy, admitted, rules),
            // Who may take a namespace out of the webhook's sight: it fails closed, and is asked for Namespaces only.
            self.webhook(GUARD, FailurePolicy::Fail, &[left_out], &guarded),
        ]
    }

    fn mutating(&self, admitted: &[Value], rules: &[Value]) -> Value {
        let mut webhook = self.webhook(MUTATE, self.failure_policy, admitted, rules);
        if let Some(fields) = webhook.as_object_mut() {
            fields.insert("reinvocationPolicy".to_owned(), json!("Never"));
        }
        webhook
    }

    fn webhook(
        &self,
        (name, path): (&str, &str),
        failure_policy: FailurePolicy,
        expressions: &[Value],
        rules: &[Value],
    ) -> Value {
        let client = match &self.reach {
            Reach::Service { namespace, name, port } => {
                json!({"service": {"namespace": namespace, "name": name, "port": port, "path": path}})
            }
            Reach::Url(url) => json!({"url": format!("{url}{path}")}),
        };
        json!({
            "name": name,
            "admissionReviewVersions": ["v1", "v1beta1"],
            "clientConfig": client,
            "failurePolicy": failure_policy.as_str(),
            "matchPolicy": "Equivalent",
            "timeoutSeconds": self.timeout,
            "sideEffects": "None",
            "namespaceSelector": {"matchExpressions": expressions},
            "objectSelector": {},
            "rules": rules,
        })
    }
}

/// What two writers can tell by whether they want the same.
#[must_use]
pub fn digest(wanted: &Value) -> String {
    let digest = Sha256::digest(wanted.to_string().as_bytes());
    let first = digest.iter().take(8).fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    format!("{first:016x}")
}

/// The webhook of a configuration with a name, and its position.
#[must_use]
pub fn webhook<'a>(configuration: &'a Value, name: &Value) -> Option<(usize, &'a Value)> {
    let all = configuration.get("webhooks").and_then(Value::as_array)?;
    all.iter().enumerate().find(|(_, webhook)| webhook.get("name") == Some(name))
}

/// Where a configuration is not as wanted, field by field, and what it is there. Labels and what others added beside it are no difference.
#[must_use]
pub fn differences(live: &Value, wanted: &Value) -> Vec<String> {
    let mut all = Vec::new();
    let owner = wanted.pointer("/metadata/ownerReferences/0/uid");
    let owners = live.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    let has = |uid: &Value| owners.into_iter().flatten().any(|owner| owner.get("uid") == Some(uid));
    if owner.is_some_and(|uid| !has(uid)) {
        all.push("the own Namespace does not own it".to_owned());
    }
    for wanted in wanted.get("webhooks").and_then(Value::as_array).into_iter().flatten() {
        let name = wanted.get("name").unwrap_or(&Value::Null);
        let Some((_, live)) = webhook(live, name) else {
            all.push(format!("there is no webhook {name}"));
            continue;
        };
        let fields = wanted.as_object().into_iter().flatten();
        for (field, wanted) in fields {
            let found = live.get(field).unwrap_or(&Value::Null);
            let is_so = match field.as_str() {
                "clientConfig" => without_bundle(found) == without_bundle(wanted),
                // Nothing and a selector that selects everything are the same.
                "objectSelector" => found.as_object().is_none_or(serde_json::Map::is_empty),
                // Nor are there no rules and an empty list of them different.
                "rules" if found.is_null() => wanted.as_array().is_some_and(Vec::is_empty),
                _ => found == wanted,
            };
            if !is_so {
                let found = if field == "clientConfig" { &without_bundle(found) } else { found };
                all.push(format!("`{field}` of {name} is {}", short(found)));
            }
        }
    }
    all
}

/// What keeps requests from being sent and is not ours to take out: conditions that others have put in.
#[must_use]
pub fn narrowed(live: &Value) -> Vec<String> {
    let all = live.get("webhooks").and_then(Value::as_array).into_iter().flatten();
    let conditions = all.filter(|webhook| {
        webhook.get("matchConditions").and_then(Value::as_array).is_some_and(|list| !list.is_empty())
    });
    let name = |webhook: &Value| webhook.get("name").unwrap_or(&Value::Null).to_string();
    conditions.map(|webhook| format!("`matchConditions` of {} leave requests out", name(webhook))).collect()
}

fn without_bundle(client: &Value) -> Value {
    let mut client = client.clone();
    if let Some(fields) = client.as_object_mut() {
        fields.remove("caBundle");
    }
    client
}

/// A value as a log can have it.
fn short(value: &Value) -> String {
    const MOST: usize = 200;
    let text = value.to_string();
    if text.chars().count() <= MOST {
        return text;
    }
    text.chars().take(MOST).chain("…".chars()).collect()
}
