//! The kinds of Kubernetes itself, and where their objects live: those that an API server of 1.36 serves,
//! with what older ones served under the same groups. A kind lives in the same place in all of its versions.
//!
//! Not here are kinds of which the request decides: `Scale` (autoscaling) is that of a Deployment or of a
//! cluster-scoped custom resource.

use super::Scope;

/// A group, its kinds that live in a namespace, its kinds that do not.
type Group = (&'static str, &'static [&'static str], &'static [&'static str]);

const GROUPS: &[Group] = &[
    (
        "",
        &[
            "Binding",
            "ConfigMap",
            "Endpoints",
            "Event",
            "LimitRange",
            "PersistentVolumeClaim",
            "Pod",
            "PodTemplate",
            "ReplicationController",
            "ResourceQuota",
            "Secret",
            "Service",
            "ServiceAccount",
            // What is asked of a subresource: `pods/exec`, `services/proxy`, …
            "PodAttachOptions",
            "PodExecOptions",
            "PodLogOptions",
            "PodPortForwardOptions",
            "PodProxyOptions",
            "PodStatusResult",
            "ServiceProxyOptions",
        ],
        &["ComponentStatus", "Namespace", "Node", "NodeProxyOptions", "PersistentVolume"],
    ),
    (
        "admissionregistration.k8s.io",
        &[],
        &[
            "MutatingAdmissionPolicy",
            "MutatingAdmissionPolicyBinding",
            "MutatingWebhookConfiguration",
            "ValidatingAdmissionPolicy",
            "ValidatingAdmissionPolicyBinding",
            "ValidatingWebhookConfiguration",
        ],
    ),
    ("apiextensions.k8s.io", &[], &["CustomResourceDefinition"]),
    ("apiregistration.k8s.io", &[], &["APIService"]),
    (
        "apps",
        &["ControllerRevision", "DaemonSet", "Deployment", "DeploymentRollback", "ReplicaSet", "StatefulSet"],
        &[],
    ),
    ("auditregistration.k8s.io", &[], &["AuditSink"]),
    ("authentication.k8s.io", &["TokenRequest"], &["SelfSubjectReview", "TokenReview"]),
    (
        "authorization.k8s.io",
        &["LocalSubjectAccessReview"],
        &["SelfSubjectAccessReview", "SelfSubjectRulesReview", "SubjectAccessReview"],
    ),
    ("autoscaling", &["HorizontalPodAutoscaler"], &[]),
    ("batch", &["CronJob", "Job", "ScheduledJob"], &[]),
    ("certificates.k8s.io", &["PodCertificateRequest"], &["CertificateSigningRequest", "ClusterTrustBundle"]),
    ("coordination.k8s.io", &["Lease", "LeaseCandidate"], &[]),
    ("discovery.k8s.io", &["EndpointSlice"], &[]),
    ("events.k8s.io", &["Event"], &[]),
    (
        "extensions",
        &["DaemonSet", "Deployment", "DeploymentRollback", "Ingress", "NetworkPolicy", "ReplicaSet"],
        &["PodSecurityPolicy"],
    ),
    ("flowcontrol.apiserver.k8s.io", &[], &["FlowSchema", "PriorityLevelConfiguration"]),
    ("imagepolicy.k8s.io", &[], &["ImageReview"]),
    ("internal.apiserver.k8s.io", &[], &["StorageVersion"]),
    ("metrics.k8s.io", &["PodMetrics"], &["NodeMetrics"]),
    (
        "networking.k8s.io",
        &["Ingress", "NetworkPolicy"],
        &["ClusterCIDR", "IPAddress", "IngressClass", "ServiceCIDR"],
    ),
    ("node.k8s.io", &[], &["RuntimeClass"]),
    ("policy", &["Eviction", "PodDisruptionBudget"], &["PodSecurityPolicy"]),
    ("rbac.authorization.k8s.io", &["Role", "RoleBinding"], &["ClusterRole", "ClusterRoleBinding"]),
    (
        "resource.k8s.io",
        &[
            "PodSchedulingContext",
            "ResourceClaim",
            "ResourceClaimParameters",
            "ResourceClaimTemplate",
            "ResourceClassParameters",
        ],
        &["DeviceClass", "DeviceTaintRule", "ResourceClass", "ResourcePoolStatusRequest", "ResourceSlice"],
    ),
    ("scheduling.k8s.io", &["PodGroup", "Workload"], &["PriorityClass"]),
    ("settings.k8s.io", &["PodPreset"], &[]),
    (
        "storage.k8s.io",
        &["CSIStorageCapacity"],
        &["CSIDriver", "CSINode", "StorageClass", "VolumeAttachment", "VolumeAttributesClass"],
    ),
    ("storagemigration.k8s.io", &[], &["StorageVersionMigration"]),
];

/// Where objects of a kind of Kubernetes live; [`Scope::ByObject`] if it is none.
pub(super) fn scope(group: &str, kind: &str) -> Scope {
    let Some((_, namespaced, cluster)) = GROUPS.iter().find(|(name, ..)| *name == group) else {
        return Scope::ByObject;
    };
    match (namespaced.contains(&kind), cluster.contains(&kind)) {
        (true, _) => Scope::Namespaced,
        (false, true) => Scope::Cluster,
        (false, false) => Scope::ByObject,
    }
}

/// Kinds that are not a resource of their own: they are sent to a part of another, or only come back from
/// one.
const NO_RESOURCE: &[(&str, &str)] = &[
    ("", "NodeProxyOptions"),
    ("", "PodAttachOptions"),
    ("", "PodExecOptions"),
    ("", "PodLogOptions"),
    ("", "PodPortForwardOptions"),
    ("", "PodProxyOptions"),
    ("", "PodStatusResult"),
    ("", "ServiceProxyOptions"),
    ("apps", "DeploymentRollback"),
    ("authentication.k8s.io", "TokenRequest"),
    ("extensions", "DeploymentRollback"),
    ("policy", "Eviction"),
];

/// Whether a group is one of Kubernetes itself.
pub(crate) fn is_built_in(group: &str) -> bool {
    GROUPS.iter().any(|(name, ..)| *name == group)
}

/// Whether a kind of Kubernetes is called so, in any group, whether it is a resource or not.
pub(crate) fn is_known(kind: &str) -> bool {
    GROUPS.iter().any(|(_, namespaced, cluster)| namespaced.contains(&kind) || cluster.contains(&kind))
        || kind == "Scale"
}

/// The kinds that are resources, in a fixed order: group, kind, where its objects live.
pub(crate) fn resources() -> impl Iterator<Item = (&'static str, &'static str, Scope)> {
    GROUPS
        .iter()
        .flat_map(|(group, namespaced, cluster)| {
            let namespaced = namespaced.iter().map(|kind| (*group, *kind, Scope::Namespaced));
            namespaced.chain(cluster.iter().map(|kind| (*group, *kind, Scope::Cluster)))
        })
        .filter(|(group, kind, _)| !NO_RESOURCE.contains(&(group, kind)))
}

/// Whether a group is one of Kubernetes.
pub(crate) fn has_group(group: &str) -> bool {
    GROUPS.iter().any(|(name, ..)| *name == group)
}

/// Whether a group of Kubernetes has a kind.
pub(crate) fn has(group: &str, kind: &str) -> bool {
    let has = |kinds: &[&str]| kinds.contains(&kind);
    GROUPS.iter().any(|(name, namespaced, cluster)| *name == group && (has(namespaced) || has(cluster)))
}

/// A version of a group that API servers serve, and all of its kinds that are stable.
pub(crate) fn version(group: &str) -> &'static str {
    match group {
        "autoscaling" => "v2",
        "metrics.k8s.io" => "v1beta1",
        _ => "v1",
    }
}

/// The resource of a kind: English for it, in lower case, but for the few that are not.
pub(crate) fn plural(group: &str, kind: &str) -> String {
    let name = kind.to_lowercase();
    match (group, kind) {
        ("", "Endpoints") => name,
        ("metrics.k8s.io", "PodMetrics") => "pods".to_owned(),
        ("metrics.k8s.io", "NodeMetrics") => "nodes".to_owned(),
        _ if name.ends_with('s') => format!("{name}es"),
        _ => match name.strip_suffix('y') {
            Some(stem) => format!("{stem}ies"),
            None => format!("{name}s"),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_kind_stands_in_one_place() {
        let mut seen = BTreeSet::new();
        for (group, namespaced, cluster) in GROUPS {
            for kind in namespaced.iter().chain(*cluster) {
                assert!(seen.insert((group, kind)), "{group} {kind} stands here twice");
            }
        }
    }

    #[test]
    fn resources_are_called_as_api_servers_call_them() {
        for (group, kind, expected) in [
            ("", "Pod", "pods"),
            ("", "Endpoints", "endpoints"),
            ("", "ComponentStatus", "componentstatuses"),
            ("networking.k8s.io", "Ingress", "ingresses"),
            ("networking.k8s.io", "IngressClass", "ingressclasses"),
            ("networking.k8s.io", "NetworkPolicy", "networkpolicies"),
            ("networking.k8s.io", "IPAddress", "ipaddresses"),
            ("storage.k8s.io", "CSIStorageCapacity", "csistoragecapacities"),
            ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy", "validatingadmissionpolicies"),
            ("metrics.k8s.io", "PodMetrics", "pods"),
        ] {
            assert_eq!(plural(group, kind), expected, "{group} {kind}");
        }
        assert!(NO_RESOURCE.iter().all(|(group, kind)| scope(group, kind) != Scope::ByObject));
        assert!(resources().all(|(_, kind, _)| !kind.ends_with("Options")));
    }

    #[test]
    fn kinds_are_told_by_their_group() {
        for (group, kind, expected) in [
            ("", "Pod", Scope::Namespaced),
            ("", "PodExecOptions", Scope::Namespaced),
            ("", "NodeProxyOptions", Scope::Cluster),
            ("", "Namespace", Scope::Cluster),
            ("rbac.authorization.k8s.io", "ClusterRole", Scope::Cluster),
            ("rbac.authorization.k8s.io", "RoleBinding", Scope::Namespaced),
            ("example.com", "Pod", Scope::ByObject),
            ("", "ClusterRole", Scope::ByObject),
            ("autoscaling", "Scale", Scope::ByObject),
        ] {
            assert_eq!(scope(group, kind), expected, "{group} {kind}");
        }
    }
}
