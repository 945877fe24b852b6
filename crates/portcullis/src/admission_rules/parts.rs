//! The parts of resources that requests are sent to, `pods/exec`, and what comes by them.
//!
//! Two sorts, which need different rules:
//!
//! | what comes | example | asked for when |
//! |---|---|---|
//! | an object of another kind | `Eviction` by `pods/eviction` | a constraint is about that kind |
//! | the whole object, of which only some fields may differ | `Pod` by `pods/ephemeralcontainers` | a policy may rest on one of those fields, and names it or calls `walk` |
//!
//! A constraint without kinds is about whole objects. It is about the first sort if its Rego names the kind
//! or the part, or looks at nothing of the object: one that asks for a label on everything is not meant for
//! evictions, which have none.

use crate::api::Operation;

/// What comes by a part of a resource as a kind of its own.
pub(super) struct Sent {
    /// Group and kind of what comes.
    pub(super) group: &'static str,
    pub(super) kind: &'static str,
    /// The resource it is sent to; `*` is any.
    pub(super) to_group: &'static str,
    pub(super) resource: &'static str,
    pub(super) part: Option<&'static str>,
    pub(super) operation: Operation,
}

const fn sent(
    (group, kind): (&'static str, &'static str),
    (to_group, resource): (&'static str, &'static str),
    part: &'static str,
    operation: Operation,
) -> Sent {
    Sent { group, kind, to_group, resource, part: Some(part), operation }
}

/// Reading a log (`pods/log`) is not a request that anybody is asked about.
pub(super) const SENT: &[Sent] = &[
    sent(("", "Binding"), ("", "pods"), "binding", Operation::Create),
    sent(("", "NodeProxyOptions"), ("", "nodes"), "proxy", Operation::Connect),
    sent(("", "PodAttachOptions"), ("", "pods"), "attach", Operation::Connect),
    sent(("", "PodExecOptions"), ("", "pods"), "exec", Operation::Connect),
    sent(("", "PodPortForwardOptions"), ("", "pods"), "portforward", Operation::Connect),
    sent(("", "PodProxyOptions"), ("", "pods"), "proxy", Operation::Connect),
    sent(("", "ServiceProxyOptions"), ("", "services"), "proxy", Operation::Connect),
    sent(("authentication.k8s.io", "TokenRequest"), ("", "serviceaccounts"), "token", Operation::Create),
    sent(("autoscaling", "Scale"), ("*", "*"), "scale", Operation::Update),
    sent(("policy", "Eviction"), ("", "pods"), "eviction", Operation::Create),
];

/// A part by which some fields of an object are changed.
pub(super) struct Changes {
    /// Group and kind of the object; `*` is any.
    pub(super) group: &'static str,
    pub(super) kind: &'static str,
    pub(super) part: &'static str,
    /// The fields, `*` for any step.
    pub(super) fields: &'static [&'static [&'static str]],
}

const STATUS: &[&[&str]] = &[&["status"]];

/// `status` of kinds that are not listed in [`WITHOUT_STATUS`].
pub(super) const CHANGES: &[Changes] = &[
    Changes {
        group: "",
        kind: "Pod",
        part: "ephemeralcontainers",
        fields: &[&["spec", "ephemeralContainers"]],
    },
    Changes {
        group: "",
        kind: "Pod",
        part: "resize",
        fields: &[
            &["spec", "containers", "*", "resources"],
            &["spec", "containers", "*", "resizePolicy"],
            &["spec", "initContainers", "*", "resources"],
            &["spec", "initContainers", "*", "resizePolicy"],
            &["spec", "resources"],
        ],
    },
    Changes { group: "", kind: "Namespace", part: "finalize", fields: &[&["spec", "finalizers"]] },
    Changes {
        group: "certificates.k8s.io",
        kind: "CertificateSigningRequest",
        part: "approval",
        fields: STATUS,
    },
    Changes { group: "*", kind: "*", part: "status", fields: STATUS },
];

/// Kinds of Kubernetes that have no status of their own; another may have one.
const WITHOUT_STATUS: &[(&str, &[&str])] = &[
    (
        "",
        &[
            "Binding",
            "ConfigMap",
            "Endpoints",
            "Event",
            "LimitRange",
            "PodTemplate",
            "Secret",
            "ServiceAccount",
        ],
    ),
    ("apps", &["ControllerRevision"]),
    ("coordination.k8s.io", &["Lease", "LeaseCandidate"]),
    ("discovery.k8s.io", &["EndpointSlice"]),
    ("events.k8s.io", &["Event"]),
    ("networking.k8s.io", &["IngressClass", "IPAddress", "NetworkPolicy"]),
    ("node.k8s.io", &["RuntimeClass"]),
    ("rbac.authorization.k8s.io", &["ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"]),
    ("scheduling.k8s.io", &["PriorityClass"]),
    ("storage.k8s.io", &["CSIDriver", "CSINode", "CSIStorageCapacity", "StorageClass"]),
];

/// Whether objects of a kind are changed by a part of their resource.
pub(super) fn has_part(changes: &Changes, group: &str, kind: &str) -> bool {
    let is_one = |name: &str, of: &str| name == "*" || name == of;
    let lacks = changes.part == "status"
        && WITHOUT_STATUS.iter().any(|(name, kinds)| *name == group && kinds.contains(&kind));
    is_one(changes.group, group) && is_one(changes.kind, kind) && !lacks
}

/// Kinds that an API server asks no webhook about: it could not be repaired if one refused it.
const NEVER_SENT: &[&str] = &[
    "MutatingAdmissionPolicy",
    "MutatingAdmissionPolicyBinding",
    "MutatingWebhookConfiguration",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ValidatingWebhookConfiguration",
];

/// Whether an API server asks no webhook about a kind.
pub(super) fn is_never_sent(group: &str, kind: &str) -> bool {
    group == "admissionregistration.k8s.io" && NEVER_SENT.contains(&kind)
}

/// Kinds of which there are no objects: they are sent to be answered.
pub(super) fn is_only_sent(group: &str, kind: &str) -> bool {
    matches!(group, "authentication.k8s.io" | "authorization.k8s.io") || (group, kind) == ("", "Binding")
}

/// Whether no API server that is supported serves a kind any more.
pub(super) fn is_gone(group: &str, kind: &str) -> bool {
    matches!(group, "auditregistration.k8s.io" | "extensions" | "settings.k8s.io")
        || matches!((group, kind), ("policy", "PodSecurityPolicy") | ("batch", "ScheduledJob"))
}

/// Where kinds went that moved to another group.
pub(super) fn successor(group: &str, kind: &str) -> Option<&'static str> {
    match (group, kind) {
        ("extensions", "Ingress" | "NetworkPolicy") => Some("networking.k8s.io"),
        ("extensions", "DaemonSet" | "Deployment" | "ReplicaSet") => Some("apps"),
        _ => None,
    }
}
