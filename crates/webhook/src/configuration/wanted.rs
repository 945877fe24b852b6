//! What `--manage-webhook-configuration` keeps the configuration as, and where another is different.
//!
//! In substance it is `deploy/webhook-configuration.yaml`, which a test compares.

use std::collections::BTreeSet;

use portcullis::AdmissionRules;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::args::{ConfigurationArgs, FailurePolicy};
use super::selector::Selector;

/// Who keeps it leaves this behind: what was written, and since when its writer runs, in milliseconds since 1970.
pub const KEPT_BY: &str = "portcullis.example.com/kept-by";
/// With `"false"`, whoever keeps it lets it be.
pub const MANAGED: &str = "portcullis.example.com/managed";

/// The webhook that is asked about everything, and the one that guards the ignore label.
const ADMIT: (&str, &str) = ("validation.gatekeeper.sh", "/v1/admit");
const GUARD: (&str, &str) = ("check-ignore-label.gatekeeper.sh", "/v1/admitlabel");

/// Requests that API servers have to send.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rule {
    /// `CREATE`, `UPDATE`, `DELETE`, `CONNECT`.
    pub operations: Vec<String>,
    /// Groups; the core's is empty.
    pub api_groups: Vec<String>,
    /// Plurals, with subresources as `pods/exec`.
    pub resources: Vec<String>,
    /// `Namespaced`, `Cluster` or `*`.
    pub scope: String,
}

impl Rule {
    fn new(operations: &[&str], api_groups: &[&str], resources: &[&str]) -> Self {
        let owned = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        Self {
            operations: owned(operations),
            api_groups: owned(api_groups),
            resources: owned(resources),
            scope: "*".to_owned(),
        }
    }

    /// Of some policies: all that they need, and nothing else.
    #[must_use]
    pub fn of(needed: &AdmissionRules) -> Vec<Self> {
        let made = needed.to_json();
        let rules = made.as_array().into_iter().flatten();
        let texts = |rule: &Value, key: &str| {
            let list = rule.get(key).and_then(Value::as_array).into_iter().flatten();
            list.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        rules
            .map(|rule| Self {
                operations: texts(rule, "operations"),
                api_groups: texts(rule, "apiGroups"),
                resources: texts(rule, "resources"),
                scope: rule.get("scope").and_then(Value::as_str).unwrap_or("*").to_owned(),
            })
            .collect()
    }

    /// Of any policies: what is in `deploy/webhook-configuration.yaml`. It is kept until it is known which there are.
    #[must_use]
    pub fn shipped() -> Vec<Self> {
        const WRITES: &[&str] = &["CREATE", "UPDATE"];
        let core = [
            "namespaces",
            "persistentvolumeclaims",
            "persistentvolumes",
            "pods",
            "replicationcontrollers",
            "serviceaccounts",
            "services",
        ];
        let groups = [
            "apiextensions.k8s.io",
            "apiregistration.k8s.io",
            "apps",
            "autoscaling",
            "batch",
            "certificates.k8s.io",
            "flowcontrol.apiserver.k8s.io",
            "networking.k8s.io",
            "node.k8s.io",
            "policy",
            "rbac.authorization.k8s.io",
            "scheduling.k8s.io",
            "storage.k8s.io",
        ];
        let policies = [
            "templates.gatekeeper.sh",
            "constraints.gatekeeper.sh",
            "config.gatekeeper.sh",
            "syncset.gatekeeper.sh",
            "expansion.gatekeeper.sh",
            "mutations.gatekeeper.sh",
            "externaldata.gatekeeper.sh",
            "connection.gatekeeper.sh",
        ];
        vec![
            Self::new(WRITES, &[""], &core),
            Self::new(WRITES, &groups, &["*"]),
            Self::new(&["UPDATE"], &[""], &["pods/ephemeralcontainers", "pods/resize"]),
            Self::new(&["CREATE"], &[""], &["pods/eviction"]),
            Self::new(&["UPDATE"], &["*"], &["*/scale"]),
            Self::new(&["CONNECT"], &[""], &["pods/attach", "pods/exec", "pods/portforward"]),
            Self::new(WRITES, &policies, &["*"]),
        ]
    }

    fn object(&self) -> Value {
        json!({"operations": self.operations, "apiGroups": self.api_groups, "apiVersions": ["*"],
            "resources": self.resources, "scope": self.scope})
    }
}

/// How API servers reach the webhook.
#[derive(Clone, Debug)]
enum Reach {
    Service { namespace: String, name: String, port: u16 },
    Url(String),
}

/// What the configuration should be, but for the rules and the CAs.
#[derive(Clone, Debug)]
pub struct Wanted {
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
    pub fn of(args: &ConfigurationArgs, own_namespace: &str) -> Self {
        let service = &args.webhook_service;
        let in_service = || Reach::Service {
            namespace: service.namespace.clone().unwrap_or_else(|| own_namespace.to_owned()),
            name: service.name.clone(),
            port: service.port,
        };
        let selector = args.webhook_namespace_selector.as_ref();
        Self {
            name: args.webhook_configuration.clone(),
            reach: args.webhook_url.clone().map_or_else(in_service, Reach::Url),
            failure_policy: args.webhook_failure_policy,
            timeout: args.webhook_timeout,
            expressions: selector.map(Selector::expressions).unwrap_or_default(),
            own_namespace: own_namespace.to_owned(),
        }
    }

    /// The configuration without bundles. `owner` is the own Namespace, with which it goes.
    #[must_use]
    pub fn object(&self, rules: &[Rule], owner: Option<&Value>) -> Value {
        let left_out: BTreeSet<&str> = BTreeSet::from(["kube-system", &self.own_namespace]);
        let left_out = json!({"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": left_out});
        let ignored = json!({"key": "admission.gatekeeper.sh/ignore", "operator": "DoesNotExist"});
        let mut admitted = vec![left_out.clone(), ignored];
        admitted.extend(self.expressions.iter().cloned());
        let rules: Vec<Value> = rules.iter().map(Rule::object).collect();
        let guarded = vec![Rule::new(&["CREATE", "UPDATE"], &[""], &["namespaces"]).object()];
        let mut object = json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": {
                "name": self.name,
                "labels": {"app.kubernetes.io/name": "portcullis", "app.kubernetes.io/component": "webhook"},
            },
            "webhooks": [
                self.webhook(ADMIT, self.failure_policy, &admitted, &rules),
                // Who may take a namespace out of the webhook's sight: it fails closed, and is asked for Namespaces only.
                self.webhook(GUARD, FailurePolicy::Fail, &[left_out], &guarded),
            ],
        });
        if let (Some(owner), Some(metadata)) =
            (owner, object.get_mut("metadata").and_then(Value::as_object_mut))
        {
            metadata.insert("ownerReferences".to_owned(), json!([owner]));
        }
        object
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
                _ => found == wanted,
            };
            if !is_so {
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
